"""Tells people of rooms whose review is due, or that nobody answers for any more.

Never tells the same twice, also after a restart, and never does anything else about it.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import structlog

from bridge.errors import NotSignedIn, TransportError
from bridge.facts import Fact, Noted
from bridge.model import Ms, RoomId, UserId
from bridge.ports import Clock
from bridge.rooms.reviews import Reminder

log = structlog.get_logger(__name__)

_TICK_S = 60.0


@dataclass(slots=True, kw_only=True)
class Reminding:
    """Looks once a minute; there is something new once a day at most."""

    #: What people should have been told by a day.
    due: Callable[[datetime.date], Sequence[Reminder]]
    #: Says something in a room once under a name; says whether it is there.
    tell: Callable[[RoomId, str, str, Ms], Awaitable[bool]]
    #: The direct room of the bot and one person; where people are asked about the room of a key.
    direct: Callable[[UserId], Awaitable[RoomId]]
    review: Callable[[str], RoomId | None]
    record: Callable[[list[Fact]], Awaitable[None]]
    clock: Clock
    zone: ZoneInfo
    _told: set[tuple[str, UserId | None]] = field(default_factory=set)

    async def run(self) -> None:
        """Remind for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_S)

    async def once(self) -> None:
        """Tell whatever is due and was not told."""
        today = datetime.datetime.fromtimestamp(self.clock() / 1000, self.zone).date()
        for reminder in self.due(today):
            for to in reminder.to:
                if (reminder.name, to) not in self._told and await self._tell(reminder, to):
                    self._told.add((reminder.name, to))

    async def _tell(self, reminder: Reminder, to: UserId | None) -> bool:
        midnight = datetime.datetime.combine(reminder.since, datetime.time(), self.zone)
        try:
            room = self.review(reminder.key) if to is None else await self.direct(to)
            if room is None:
                log.error("nobody.told", room=reminder.key, why="there is no review room")
                said = f"nobody was told, as there is no review room: {reminder.words}"
                await self.record([Noted(text=said)])
                return True
            told = await self.tell(
                room, reminder.name, reminder.words, Ms(int(midnight.timestamp() * 1000))
            )
        except NotSignedIn:
            raise
        except TransportError as exc:
            log.warning("reminder.not_told", error=str(exc))
            return False
        if told and to is None:
            await self.record([Noted(text=f"people were told: {reminder.words}")])
        return told
