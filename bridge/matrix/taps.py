"""Reactions that are put under a message of the bot's own, for people to tap.

Never needed: who sees none chooses one themselves. So nobody waits for them, and one that could not
be put there is not put there again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bridge.errors import TransportError
from bridge.matrix.api import Api, quote
from bridge.model import EventId, RoomId

log = structlog.get_logger(__name__)


class Taps:
    """Puts them there, one after the other, beside everything else."""

    def __init__(self, api: Api) -> None:
        """React with the bot's account."""
        self._api = api
        self._running: set[asyncio.Task[None]] = set()

    def offer(self, room: RoomId, event: EventId, symbols: Sequence[str], *, txn: str) -> None:
        """Put *symbols* under *event*, soon; the same *txn* again puts no others there."""
        if symbols:
            task = asyncio.create_task(self._put(room, event, tuple(symbols), txn))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _put(self, room: RoomId, event: EventId, symbols: Sequence[str], txn: str) -> None:
        for number, symbol in enumerate(symbols):  # reactions are never encrypted
            relation = {"rel_type": "m.annotation", "event_id": event, "key": symbol}
            path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.reaction/{quote(txn)}.{number}"
            try:
                await self._api.call("PUT", path, {"m.relates_to": relation})
            except TransportError as exc:
                log.info("taps.not_offered", room=room, event=event, why=type(exc).__name__)
                return

    async def close(self) -> None:
        """Leave what was not put there yet."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
