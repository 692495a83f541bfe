"""Reads what a stranger answers, whole and up to a limit.

Never takes the first piece of an answer for all of it, as one `read` of a stream would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Pieces(Protocol):
    """A body that comes in pieces: `aiohttp.StreamReader`."""

    def iter_any(self) -> AsyncIterator[bytes]:
        """Give what has come, as soon as it has."""
        ...


async def at_most(body: Pieces, most: int) -> bytes:
    """Read *body* to its end, or *most* bytes of it."""
    got = bytearray()
    async for piece in body.iter_any():
        got += piece
        if len(got) >= most:
            break
    return bytes(got[:most])
