"""Ends pauses and major incidents whose time is over, and reminds people of those that are on.

Never lets a pause last because somebody could not be told: it ends first, and is told of then.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bridge.acting.enforce import Enforcer
from bridge.facts import Braked, Mode
from bridge.model import Ms, Room, RoomId
from bridge.officers.brake import REMIND_MS, Words
from bridge.ports import Clock, Standing, Store

log = structlog.get_logger(__name__)

_TICK_S = 1.0


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks once a second at what stands in the way of acting."""

    store: Store
    enforcer: Enforcer
    rooms: Mapping[RoomId, Room]
    #: Where people are asked about rooms that name no review room.
    review: RoomId | None
    #: Rooms of class audit.
    auditors: Sequence[RoomId]
    words: Words
    clock: Clock
    #: Called when the bot may act again.
    wake: Callable[[], None]
    #: What was on when we last looked.
    _seen: dict[tuple[Mode, RoomId | None, Ms], Standing] = field(default_factory=dict)
    #: The names under which something was or is to be said.
    _said: set[str] = field(default_factory=set)
    #: What has to be said, under its name: (where, words, since).
    _unsaid: dict[str, tuple[RoomId, str, Ms]] = field(default_factory=dict)

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_S)

    async def once(self) -> None:
        """End what is over, remind of what is on, and say both."""
        now = self.clock()
        standing = await self.store.standing()
        for one in standing:
            if one.until is not None and now >= one.until:
                await self._end(one, now)
            elif one.mode is Mode.INCIDENT:
                self._remember(one, now)
        self._gone(standing, now)
        self._seen = {(one.mode, one.room, one.since): one for one in standing}
        for name, (room, words, since) in list(self._unsaid.items()):
            if await self.enforcer.tell(room, words, txn=name, since=since):
                self._unsaid.pop(name, None)

    async def _end(self, one: Standing, now: Ms) -> None:
        over = Braked(
            room=one.room, on=False, by="bluelamp", reason="its time is over", mode=one.mode
        )
        await self.store.append([over])
        log.info("brake.over", mode=one.mode.value, room=one.room)
        self._say("over", one, self.words.over(one, now), self._places(one))
        self.wake()

    def _remember(self, one: Standing, now: Ms) -> None:
        """Tell of a major incident when it begins, and every hour from then on."""
        hours = (now - one.since) // REMIND_MS
        if hours:
            self._say(f"hour-{hours}", one, self.words.reminder(one, now), self._places(one))
        elif one.by.startswith("@"):  # who ordered it in the review room was answered there
            self._say("on", one, self.words.begun(one, now), self.auditors)
        else:
            self._say("on", one, self.words.begun(one, now), self._places(one))

    def _gone(self, standing: Iterable[Standing], now: Ms) -> None:
        """Tell auditors of a major incident that somebody has ended."""
        left = {(one.mode, one.room, one.since) for one in standing}
        for key, one in self._seen.items():
            ended = one.until is not None and now >= one.until
            if one.mode is Mode.INCIDENT and key not in left and not ended:
                self._say("off", one, self.words.ended(one), self.auditors)

    def _places(self, one: Standing) -> Sequence[RoomId]:
        """Where people are told: the review rooms that it concerns and, of an incident, audit."""
        here = [room for room in self.rooms.values() if one.room in {None, room.id}]
        reviews = [room.review or self.review for room in here if room.review or self.review]
        found = dict.fromkeys(room for room in reviews if room is not None)
        return (*found, *(self.auditors if one.mode is Mode.INCIDENT else ()))

    def _say(self, what: str, one: Standing, words: str, places: Sequence[RoomId]) -> None:
        for room in places:
            whole = f"{what}\0{one.mode}\0{one.room}\0{one.since}\0{room}"
            name = f"standing-{hashlib.sha256(whole.encode()).hexdigest()[:24]}"
            if name not in self._said:
                self._said.add(name)
                self._unsaid[name] = room, words, one.since
