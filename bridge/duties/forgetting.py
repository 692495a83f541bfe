"""Clears rooms of what is no longer shown in them, in quiet hours.

Never decides what is due: the class of the room does, and for operational information a label that
people have set.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import structlog

from bridge.acting.expiring import Due, Expirer
from bridge.errors import NotSignedIn, TransportError
from bridge.model import Ms, RoomId
from bridge.ports import Clock

log = structlog.get_logger(__name__)

#: The hours of the day in which rooms are cleared.
QUIET = range(1, 5)
_TICK_S = 60.0


@dataclass(slots=True, kw_only=True)
class Forgetting:
    """Looks once a minute whether the quiet hours have begun."""

    expirer: Expirer
    #: What is due by now, in which rooms.
    due: Callable[[Ms], Sequence[Due]]
    clock: Clock
    zone: ZoneInfo
    #: Says whether the homeserver's clock is where ours is: what is over is decided by it.
    clocks_agree: Callable[[], Awaitable[bool]]
    #: The day on which each room was cleared.
    _cleared: dict[RoomId, datetime.date] = field(default_factory=dict)

    async def run(self) -> None:
        """Forget for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_S)

    async def once(self) -> None:
        """Clear what is due, where the hour is quiet; each room once a night."""
        if not is_quiet(self.clock(), self.zone):
            return
        now = self.clock()
        today = datetime.datetime.fromtimestamp(now / 1000, self.zone).date()
        waiting = [due for due in self.due(now) if self._cleared.get(due.room) != today]
        if waiting and not await self._is_time():
            return
        for due in waiting:
            try:
                if await self.expirer.clear(due):
                    self._cleared[due.room] = today
            except NotSignedIn:
                raise
            except (TransportError, OSError) as exc:  # OSError: no room to note what is done
                log.warning("room.not_cleared", room=due.room, error=str(exc))

    async def _is_time(self) -> bool:
        """Nothing is forgotten by a clock that may have jumped."""
        try:
            agree = await self.clocks_agree()
        except TransportError as exc:
            log.warning("rooms.not_cleared", error=str(exc))
            return False
        if not agree:
            log.error("clock.disagrees", what_to_do="set the homeserver's clock and the bot's")
        return agree


def is_quiet(now: Ms, zone: ZoneInfo) -> bool:
    """Say whether few people are up."""
    return datetime.datetime.fromtimestamp(now / 1000, zone).hour in QUIET
