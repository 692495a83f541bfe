"""Does what is owed: in order within one message, several messages at a time, once each.

Never keeps a list of its own: what is owed is what the store says, so that starting up after a
crash and going on after a batch are the same code.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bridge.enforce import Enforcer
from bridge.facts import Braked, Fact, Performed
from bridge.model import (
    FINAL,
    Copy,
    Debt,
    Effect,
    Keep,
    Ms,
    Notify,
    Outcome,
    Queue,
    Redact,
    Refer,
    Rid,
    Room,
    RoomId,
    Status,
    key,
)
from bridge.ports import Clock, Store

log = structlog.get_logger(__name__)

#: Messages whose debts are worked on at the same time.
ABREAST = 8
#: A debt that is older than this is given up, and a person is told: 24 hours.
OLDEST_MS = 86_400_000
_MINUTE_MS = 60_000
_LONGEST_WAIT_S = 60.0


@dataclass(slots=True, kw_only=True)
class Settler:
    """Carries debts from the store to the world, and outcomes back."""

    store: Store
    enforcer: Enforcer
    rooms: Mapping[RoomId, Room]
    review: RoomId | None
    clock: Clock
    #: More removals than this in one room and minute set the brake there.
    removals_per_minute: int
    started: Ms
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: dict[Rid, asyncio.Task[None]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ABREAST))
    _lines: dict[RoomId, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _removals: dict[RoomId, deque[Ms]] = field(default_factory=lambda: defaultdict(deque))
    _not_before: dict[Rid, Ms] = field(default_factory=dict)

    def wake(self) -> None:
        """Say that something is owed."""
        self._due.set()

    async def run(self) -> None:
        """Settle for ever; cancelling lets what is under way finish what it is doing."""
        self.wake()
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                await self._begin()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def settle_once(self) -> None:
        """Work through everything that can be done now, and wait for it."""
        await self._begin()
        await asyncio.gather(*self._busy.values())

    async def _begin(self) -> None:
        groups: dict[Rid, list[Debt]] = defaultdict(list)
        for debt in await self.store.owed():
            groups[debt.message].append(debt)
        brakes, now = await self.store.brakes(), self.clock()
        for message, debts in groups.items():
            if message in self._busy or self._not_before.get(message, 0) > now:
                continue
            free = [debt for debt in debts if _may(debt.effect, brakes)]
            if free:
                task = asyncio.create_task(self._pay(message, free))
                self._busy[message] = task
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._busy = {rid: other for rid, other in self._busy.items() if other is not task}
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("settle.stopped", error=type(exc).__name__)
        # More may have become owed for this message while it was busy.
        self._due.set()

    async def _pay(self, message: Rid, debts: Sequence[Debt]) -> None:
        copy = Status.DONE
        async with self._slots:
            for debt in debts:
                if isinstance(debt.effect, Notify) and copy is Status.FAILED:
                    continue  # nobody is told that it is there before it is
                fact = await self._pay_one(debt, copied=copy is Status.DONE)
                outcome = fact.outcome
                if isinstance(debt.effect, Copy):
                    copy = outcome.status
                await self.store.append([fact])
                log.info(
                    "effect",
                    effect=type(debt.effect).__name__.lower(),
                    event_id=debt.effect.about,
                    room=debt.effect.room,
                    status=outcome.status.value,
                    detail="" if outcome.status is Status.DONE else outcome.detail,
                )
                if outcome.status in FINAL:
                    continue
                self._put_off(message, debt)
                # A copy that cannot be made does not keep the leak open, nor does a file that
                # cannot be fetched keep anything waiting; all else waits its turn.
                if not isinstance(debt.effect, Copy | Keep):
                    return

    async def _pay_one(self, debt: Debt, *, copied: bool) -> Performed:
        """Do one thing; say how it went and what is owed because of that."""
        name, now = key(debt.effect), self.clock()
        if now - debt.since > OLDEST_MS:
            outcome = Outcome(key=name, status=Status.ABANDONED, detail="owed for over a day")
            reason = "it could not be done for a day and was given up"
            return Performed(outcome=outcome, owes=self._ask(debt, reason))
        if isinstance(debt.effect, Redact) and await self._too_many(debt.effect.room, now):
            outcome = Outcome(key=name, status=Status.FAILED, detail="the brake is on")
            reason = (
                f"more than {self.removals_per_minute} removals in a minute; Blue Lamp has paused "
                "itself in this room until someone runs 'bluelamp resume'"
            )
            return Performed(outcome=outcome, owes=self._ask(debt, reason))
        look = debt.attempts > 0 or debt.since < self.started
        line = _line(debt.effect)
        if line is None:
            outcome, file = await self.enforcer.perform(debt, look_first=look, copied=copied)
        else:
            async with self._lines[line]:  # posts to one room keep the order of their messages
                outcome, file = await self.enforcer.perform(debt, look_first=look, copied=copied)
        owes: tuple[Effect, ...] = ()
        if outcome.status is Status.REFUSED:
            owes = self._ask(debt, f"it could not be done: {outcome.detail}")
        elif outcome.status is Status.FAILED and isinstance(debt.effect, Copy):
            owes = self._ask(debt, "it was taken out before it could be copied; it will be tried "
                                   "again, and the record has it")  # fmt: skip
        return Performed(outcome=outcome, owes=owes, file=file)

    async def _too_many(self, room: RoomId, now: Ms) -> bool:
        """Count a removal; set the brake if there were too many."""
        recent = self._removals[room]
        while recent and now - recent[0] > _MINUTE_MS:
            recent.popleft()
        if len(recent) < self.removals_per_minute:
            recent.append(now)
            return False
        if not {room, None} & await self.store.brakes():
            reason = f"more than {self.removals_per_minute} removals in a minute"
            facts: list[Fact] = [Braked(room=room, on=True, by="bluelamp", reason=reason)]
            await self.store.append(facts)
            log.error("brake.set", room=room, reason=reason)
        return True

    def _ask(self, debt: Debt, reason: str) -> tuple[Effect, ...]:
        room = self.rooms.get(debt.effect.room)
        to = (room.review if room else None) or self.review
        if to is None or isinstance(debt.effect, Refer):
            log.error("refer.nowhere", room=debt.effect.room, event_id=debt.effect.about)
            return ()
        effect = debt.effect
        ask = Refer(room=effect.room, about=effect.about, queue=Queue.ERRORS, to=to, reason=reason)
        return (ask,)

    def _put_off(self, message: Rid, debt: Debt) -> None:
        wait_s = min(2.0**debt.attempts, _LONGEST_WAIT_S)
        self._not_before[message] = Ms(self.clock() + int(wait_s * 1000))
        asyncio.get_running_loop().call_later(wait_s + 0.05, self.wake)


def _may(effect: Effect, brakes: frozenset[RoomId | None]) -> bool:
    """Under the brake nothing is done to a room or its people; recording and asking go on."""
    return isinstance(effect, Refer | Keep) or not {effect.room, None} & brakes


def _line(effect: Effect) -> RoomId | None:
    match effect:
        case Copy(to=to) | Refer(to=to):
            return to
        case _:
            return None
