"""Looks into pictures that were put into the record, for where they were taken.

Never writes anything to a disk or a log but that it could not look, never keeps anything waiting
that is owed already, and never makes a verdict milder: what a file says is judged as if its sender
had said it too, and only what is stricter than before is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from bridge.detect.position import PART, position_of, spelt
from bridge.facts import Fact
from bridge.model import Debt, Keep, Message
from bridge.ports import Transport

log = structlog.get_logger(__name__)

#: Longer files are not looked into: a position stands at a picture's beginning, but all of a file
#: has to be read to know that it is the one that was sent.
MOST_BYTES = 32 << 20
#: Looking takes milliseconds; after so many seconds it is given up.
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """Says what follows from what a file says of itself."""

    transport: Transport
    #: Judges a message again that says more than when it came.
    reconsider: Callable[[Message], Awaitable[Sequence[Fact]]]
    patience_s: float = PATIENCE_S

    async def look(self, debt: Debt, sealed: bytes) -> Sequence[Fact]:
        """Look into the file that *debt* had fetched, as it lies on the server. Never raises."""
        effect = debt.effect
        if not isinstance(effect, Keep) or len(sealed) > MOST_BYTES:
            return ()
        try:
            async with asyncio.timeout(self.patience_s):
                message = await self.transport.reopen(effect.room, effect.about, debt.ciphertext)
                words = await asyncio.to_thread(self._read, message, effect.url, sealed)
                if not words:
                    return ()
                return await self.reconsider(replace(message, extra=(*message.extra, words)))
        except Exception as exc:
            # Only the kind of error: its words may be the message's.
            log.warning("file.not_looked_into", event_id=effect.about, error=type(exc).__name__)
            return ()

    def _read(self, message: Message, url: str, sealed: bytes) -> tuple[str, str] | None:
        """Give what the picture says, under the name of its part; in a thread of its own."""
        found = position_of(self.transport.unsealed(message, url, sealed))
        return None if found is None else (PART, spelt(found))
