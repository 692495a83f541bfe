"""Tells supervisors once a day, privately, how much happened in their rooms. Counts only.

Never has a word of a message or a member's name, and says nothing where nothing happened.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import structlog

from bridge.acting.enforce import Enforcer
from bridge.errors import TransportError
from bridge.model import JUDGED, Ms, Room, RoomId, UserId
from bridge.ports import Clock, Store

log = structlog.get_logger(__name__)

_TICK_S = 60.0
#: What was sent, as the store counts it, and what it is called; one and several.
_COUNTED = {
    "copy": ("message moved", "messages moved"),
    "notify removed": ("message taken out", "messages taken out"),
    "notify nudge": ("note to a sender", "notes to senders"),
    "notify unreadable": ("message that could not be read", "messages that could not be read"),
}
_APPEALS = ("appeal open", "appeals open")


@dataclass(slots=True, kw_only=True)
class Digest:
    """Looks once a minute whether the hour has come."""

    store: Store
    enforcer: Enforcer
    rooms: Mapping[RoomId, Room]
    #: The direct room of the bot and one person.
    direct: Callable[[UserId], Awaitable[RoomId]]
    clock: Clock
    zone: ZoneInfo
    #: The hour of the day, of this zone, at which it is told.
    hour: int
    _told: datetime.date | None = None

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_S)

    async def once(self) -> None:
        """Tell of the day that ended at the last such hour, unless it was told."""
        end = self._last()
        if self._told == end.date():
            return
        since, until = (_ms(day) for day in (end - datetime.timedelta(days=1), end))
        said = [
            await self._tell(user, lines, f"digest-{end:%Y-%m-%d}", until)
            for user, lines in sorted((await self._lines(since, until)).items())
        ]
        if all(said):
            self._told = end.date()

    def _last(self) -> datetime.datetime:
        now = datetime.datetime.fromtimestamp(self.clock() / 1000, self.zone)
        today = now.replace(hour=self.hour, minute=0, second=0, microsecond=0)
        return today if now >= today else today - datetime.timedelta(days=1)

    async def _lines(self, since: Ms, until: Ms) -> dict[UserId, list[str]]:
        """Say for each supervisor what happened in each of their rooms, where anything did."""
        counts = dict(await self.store.counts(since, until))
        for docket in await self.store.open_appeals():
            key = (docket.appeal.room, "appeal")
            counts[key] = counts.get(key, 0) + (docket.appeal.at < until)
        found: defaultdict[UserId, list[str]] = defaultdict(list)
        for room in sorted(self.rooms.values(), key=lambda one: one.name):
            line = _line(room, counts)
            if line and room.cls in JUDGED and room.supervisor is not None:
                found[room.supervisor].append(line)
        return found

    async def _tell(self, user: UserId, lines: list[str], name: str, since: Ms) -> bool:
        if self.enforcer.rehearse:
            return True
        words = "\n".join(["Since this time yesterday, in the rooms that you supervise:", *lines])
        try:
            room = await self.direct(user)
        except TransportError as exc:
            log.warning("digest.not_posted", error=type(exc).__name__)
            return False
        return await self.enforcer.tell(room, words, txn=name, since=since)


def _line(room: Room, counts: Mapping[tuple[RoomId, str], int]) -> str:
    """One room's counts; nothing where there is nothing to count."""
    named = {**_COUNTED, "appeal": _APPEALS}
    parts = [
        f"{count} {one if count == 1 else several}"
        for what, (one, several) in named.items()
        if (count := counts.get((room.id, what), 0))
    ]
    return f"{room.name}: {', '.join(parts)}." if parts else ""


def _ms(at: datetime.datetime) -> Ms:
    return Ms(int(at.timestamp() * 1000))
