"""Timed duties: checkpoints, messages whose keys never came, debts to try again.

Never does anything that a crash would lose: each duty looks at the store and starts over.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from bridge.acting.settle import Settler
from bridge.facts import Beat, Fact, Noted
from bridge.ledger.keys import DAY_MS, Certificates
from bridge.model import EventId, Ms
from bridge.officers.brake import append
from bridge.ports import Clock, Head, Store
from bridge.way.pipeline import Pipeline

log = structlog.get_logger(__name__)

CHECKPOINT_MS = 60_000
CHECKPOINT_RECORDS = 1000
#: When nothing was recorded for so long, the record says that we were there.
BEAT_MS = 15 * 60_000
#: A clock that is set back further is an alarm.
CLOCK_MS = 120_000
#: Keys may arrive after their message; people are told when they have not come after so long.
UNREADABLE_MS = 60_000
_WARN_DAYS = 30
#: People are told when less than this is free on the ledger's disk, in bytes.
LOW = 1 << 30
_TICK_S = 1.0


@dataclass(slots=True, kw_only=True)
class Sweep:
    """Looks at the store once a second."""

    store: Store
    pipeline: Pipeline
    settler: Settler
    certificates: Certificates
    retentions: frozenset[str]
    clock: Clock
    _warned: Ms = field(default=Ms(0))
    _size: int = -1
    _grown: Ms = field(default=Ms(0))
    _behind: bool = False
    _low: bool = False
    #: When we first saw that an event waits, in this process: after an absence, keys arrive over
    #: several syncs, and the time when it was sent says nothing about them.
    _waits_since: dict[EventId, Ms] = field(default_factory=dict)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_S)

    async def once(self) -> None:
        """Do whatever is due."""
        now = self.clock()
        head = await self.store.head()
        await self._set_back(now, head)
        self._space(head)
        await self._beat(now, head)
        await self._checkpoint(now)
        await self._unreadable(now)
        await self.store.tidy()
        await self.store.roll()
        self._certificates(now)

    async def _set_back(self, now: Ms, head: Head) -> None:
        """Raise the alarm, once, when the clock is behind the record."""
        behind_ms = (head.latest or 0) - now
        if behind_ms > CLOCK_MS and not self._behind:
            said = (
                f"the clock was set back by {behind_ms // 1000} s; until it has caught up, "
                "records bear the time of the newest one before"
            )
            log.error("clock.set_back", behind_s=behind_ms // 1000)
            await self.store.append([Noted(text=said)])
        self._behind = behind_ms > CLOCK_MS

    def _space(self, head: Head) -> None:
        """Raise the alarm, once, while there is still room to act on it."""
        low = head.free is not None and head.free < LOW
        if low and not self._low:
            log.error(
                "disk.low",
                free_mb=(head.free or 0) >> 20,
                what_to_do="make room: when the disk is full the bot stops, and so does removal",
            )
        self._low = low

    async def _beat(self, now: Ms, head: Head) -> None:
        """Put on record that we are there, when nothing else was for a while."""
        if head.size != self._size or now < self._grown:
            self._size, self._grown = head.size, now
        elif now - self._grown >= BEAT_MS:
            await self.store.append([Beat()])
            await self.store.checkpoint()
            self._size, self._grown = (await self.store.head()).size, now

    async def _checkpoint(self, now: Ms) -> None:
        head = await self.store.head()
        ahead = head.size - head.witnessed
        age = now - (head.checkpoint_at or 0)
        if ahead >= CHECKPOINT_RECORDS or (ahead and age >= CHECKPOINT_MS):
            await self.store.checkpoint()

    async def _unreadable(self, now: Ms) -> None:
        waiting = await self.store.waiting()
        self._waits_since = {m.event_id: self._waits_since.get(m.event_id, now) for m in waiting}
        late = [m for m in waiting if now - self._waits_since[m.event_id] >= UNREADABLE_MS]
        known = await self.store.known([m.event_id for m in late])
        facts: list[Fact] = []
        for message in late:
            if message.event_id in known and known[message.event_id].rule is None:
                facts += self.pipeline.give_up(message)
        if facts:
            await append(self.store, facts)
            self.settler.wake()

    def _certificates(self, now: Ms) -> None:
        if now - self._warned < DAY_MS:
            return
        self._warned = now
        for retention in sorted(self.retentions):
            left = (self.certificates.last_day(retention) - now) // DAY_MS
            if left < _WARN_DAYS:
                log.warning("certificates.ending", retention=retention, days_left=left)
