"""Posts the newest checkpoint once a day where auditors see it.

Never posts more often than that: each post is itself a record, and an idle ledger would not be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.acting.enforce import Enforcer
from bridge.ledger.keys import DAY_MS
from bridge.model import Ms, RoomId
from bridge.ports import Clock, Countersigned

_TICK_S = 60.0


@dataclass(slots=True, kw_only=True)
class Publishing:
    """Looks once a minute whether a day (UTC) has begun."""

    store: Countersigned
    enforcer: Enforcer
    #: The rooms of class audit that the register lists.
    rooms: Sequence[RoomId]
    clock: Clock
    _day: int = -1

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_S)

    async def once(self) -> None:
        """Post today's checkpoint, unless it was: the day is in the name that it is sent under."""
        day = self.clock() // DAY_MS
        if day == self._day or not self.rooms:
            return
        note = await self.store.newest()
        if note.split("\n")[1] == "0":
            return  # nothing was signed yet
        name, since = f"checkpoint-{day}", Ms(day * DAY_MS)
        done = [
            await self.enforcer.publish(room, note, txn=name, since=since) for room in self.rooms
        ]
        if all(done):
            self._day = day
