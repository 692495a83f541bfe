"""Timed duties: checkpoints, messages whose keys never came, debts to try again.

Never does anything that a crash would lose: each duty looks at the store and starts over.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from bridge.facts import Fact
from bridge.ledger.keys import DAY_MS, Certificates
from bridge.model import EventId, Ms
from bridge.pipeline import Pipeline
from bridge.ports import Clock, Store
from bridge.settle import Settler

log = structlog.get_logger(__name__)

CHECKPOINT_MS = 60_000
CHECKPOINT_RECORDS = 1000
#: Keys may arrive after their message; people are told when they have not come after so long.
UNREADABLE_MS = 60_000
_WARN_DAYS = 30
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
        await self._checkpoint(now)
        await self._unreadable(now)
        self._certificates(now)

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
            await self.store.append(facts)
            self.settler.wake()

    def _certificates(self, now: Ms) -> None:
        if now - self._warned < DAY_MS:
            return
        self._warned = now
        for retention in sorted(self.retentions):
            left = (self.certificates.last_day(retention) - now) // DAY_MS
            if left < _WARN_DAYS:
                log.warning("certificates.ending", retention=retention, days_left=left)
