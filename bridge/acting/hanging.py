"""Sends what people are told of a room, and pins it: the only module that hangs anything there.

Never takes down what somebody else has pinned, and never sends twice under one name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from bridge.acting.texts import plain
from bridge.model import EventId, Ms, RoomId, UserId
from bridge.ports import Transport

#: Sending, or looking for what was sent, may take so long.
PATIENCE_S = 30.0
#: The server's clock and ours may differ by so much, ms.
_CLOCKS_MS = 120_000


class Pins(Protocol):
    """The list of pinned messages of a room. Errors are as of `ports.Transport`."""

    async def pin(self, room: RoomId, event: EventId, instead: Collection[EventId]) -> None:
        """Have *event* pinned first, and none of *instead*; whatever else is pinned stays."""
        ...


@dataclass(slots=True, kw_only=True)
class Hanging:
    """Sends and pins."""

    transport: Transport
    pins: Pins

    async def say(self, room: RoomId, words: str, *, name: str, to: UserId | None) -> EventId:
        """Say *words* in *room* without a sound, for *to* if given; under one *name* only once."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.transport.send(room, plain(words, to), txn=name)

    async def find(self, room: RoomId, *, name: str, since: Ms) -> EventId | None:
        """Look for what was sent under *name* after it was put on record."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.transport.find(room, name, since=Ms(since - _CLOCKS_MS))

    async def put_up(self, room: RoomId, event: EventId, instead: Collection[EventId]) -> None:
        """Have the card *event* pinned, in place of its predecessors."""
        async with asyncio.timeout(PATIENCE_S):
            await self.pins.pin(room, event, instead)
