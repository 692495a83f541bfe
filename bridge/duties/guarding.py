"""Sees that rooms stay what they were approved to be: at once after each change, and by the hour.

Never decides anything and never acts: `guard` and `upkeep` do. What it could not do because the
homeserver was away comes again with the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from bridge.errors import NotFound, NotPermitted, NotSignedIn, TransportError
from bridge.model import Ms, RoomId, UserId
from bridge.ports import Clock
from bridge.rooms.upkeep import Upkeep

log = structlog.get_logger(__name__)

TICK_S = 0.5
#: Every room is looked at so often, whether anything was heard of it or not.
ROUND_MS = 15 * 60_000
#: Between two rooms of a round: a bearable rate.
PACE_S = 0.05
#: A homeserver that does not answer is left alone for so long.
RETRY_MS = 5_000


@dataclass(slots=True, kw_only=True)
class Guarding:
    """Goes round the rooms."""

    upkeep: Upkeep
    clock: Clock
    #: Who is listed now.
    listed: Callable[[], Collection[UserId]]
    #: Who was listed when leavers were last seen off, kept across restarts.
    remembered: Callable[[], frozenset[UserId] | None]
    remember: Callable[[frozenset[UserId]], None]
    #: Whether the register is as it stands on the disk; where not, rooms are left as they are until
    #: it was taken up.
    fresh: Callable[[], bool] = lambda: True
    #: Called before every room is looked at.
    renew: Callable[[], None] = lambda: None
    #: What decides how rooms should be: other objects as soon as it is another.
    deciding: Callable[[], tuple[object, ...]] = tuple
    #: Rooms of which something was heard.
    _heard: set[RoomId] = field(default_factory=set)
    _last: Ms | None = None
    _failed: int = -RETRY_MS
    _decided: tuple[object, ...] = ()

    def hear(self, room: RoomId) -> None:
        """Note that something about *room* has changed."""
        self._heard.add(room)

    async def run(self) -> None:
        """Guard for ever."""
        while True:
            await self.once()
            await asyncio.sleep(TICK_S)

    async def once(self) -> None:
        """Look at what has changed, and at everything where it is time."""
        now, people, decides = self.clock(), frozenset(self.listed()), self.deciding()
        if 0 <= now - self._failed < RETRY_MS or not self.fresh():
            return
        heard, self._heard = self._heard, set()
        try:
            if not _same(decides, self._decided) or self._is_time(now):
                self.renew()
                await self._see_off(people)
                if await self._round():
                    self._decided, self._last = decides, now
            elif not await self._some(heard):
                self._heard |= heard
            await self.upkeep.speak()
        except NotSignedIn:
            raise
        except TransportError as exc:
            self._heard |= heard
            self._failed = now
            log.warning("rooms.not_looked_at", error=str(exc))

    def _is_time(self, now: Ms) -> bool:
        return self._last is None or not 0 <= now - self._last < ROUND_MS

    async def _see_off(self, people: frozenset[UserId]) -> None:
        before = await asyncio.to_thread(self.remembered)
        if before is not None and before != people:
            await self.upkeep.see_off(before, people)
        if before != people:
            await asyncio.to_thread(self.remember, people)

    async def _round(self) -> bool:
        """Look at every room; say whether the register stayed what it is."""
        for key in self.upkeep.premises.listed():
            if not self.fresh():
                return False
            await self._look(key)
            await asyncio.sleep(PACE_S)
        return True

    async def _some(self, rooms: Collection[RoomId]) -> bool:
        """Look at *rooms*, as `_round` does."""
        keys = (self.upkeep.premises.key_of(room) for room in rooms)
        for key in dict.fromkeys(filter(None, keys)):
            if not self.fresh():
                return False
            await self._look(key)
        return True

    async def _look(self, key: str) -> None:
        """Look at one room; one that the server keeps from us keeps us from no other."""
        try:
            await self.upkeep.look(key)
        except NotSignedIn:
            raise
        except (NotPermitted, NotFound) as exc:
            log.warning("room.not_looked_at", room=key, error=str(exc))


def _same(some: tuple[object, ...], others: tuple[object, ...]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))
