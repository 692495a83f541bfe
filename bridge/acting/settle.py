"""Does what is owed: in order within one message, several messages at a time, once each.

Never keeps a list of its own: what is owed is what the store says, so that starting up after a
crash and going on after a batch are the same code.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog

from bridge.acting.closure import What
from bridge.acting.enforce import OF_A_COPY, Enforcer
from bridge.acting.removal import ask_about
from bridge.facts import Braked, Fact, Performed
from bridge.model import (
    CHOICE_MS,
    FINAL,
    Choice,
    Close,
    Copy,
    Debt,
    Effect,
    Fate,
    Invite,
    Keep,
    Ms,
    Notify,
    Outcome,
    Queue,
    Redact,
    Refer,
    Restore,
    Rid,
    Room,
    RoomId,
    Say,
    Status,
    key,
)
from bridge.officers import appeals
from bridge.officers.brake import append, stopped
from bridge.ports import Clock, Store
from bridge.way import choosing

log = structlog.get_logger(__name__)

#: Messages whose debts are worked on at the same time.
ABREAST = 8
#: Removals that are closed at the same time; they never keep a message waiting.
CLOSINGS = 2
#: A debt that is older than this is given up, and a person is told: 24 hours.
OLDEST_MS = 86_400_000
#: What can be read only in its room waits for its copy for so many attempts, within 15 s.
PATIENCE = 3
_MINUTE_MS = 60_000
_LONGEST_WAIT_S = 60.0


class Group(NamedTuple):
    """What is done in order: a message's debts; or the closure of its removal, which comes last."""

    message: Rid
    closing: bool = False


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
    #: Looks into a file that was fetched; what follows is recorded with it.
    look: Callable[[Debt, bytes], Awaitable[Sequence[Fact]]] | None = None
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _braking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _busy: dict[Group, asyncio.Task[None]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ABREAST))
    _closings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CLOSINGS))
    _lines: dict[RoomId, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    #: When what was taken out; an attempt that is made again is no other removal.
    _removals: dict[RoomId, deque[tuple[Ms, str]]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    _not_before: dict[Group, Ms] = field(default_factory=dict)
    #: Where nothing was done when we last looked.
    _braked: frozenset[RoomId | None] = frozenset()

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
        for _ in range(2):  # a removal is closed when its message is out
            await self._begin()
            await asyncio.gather(*self._busy.values())

    async def _begin(self) -> None:
        groups: dict[Group, list[Debt]] = defaultdict(list)
        for debt in await self.store.owed():
            groups[_group(debt)].append(debt)
        brakes, now = stopped(await self.store.standing()), self.clock()
        for room in self._braked - brakes:  # somebody has looked: it is counted anew
            if room is not None:
                self._removals.pop(room, None)
        self._braked = brakes
        for message, debts in groups.items():
            if message.closing and _is_still_in(groups.get(Group(message.message), ())):
                continue
            if message in self._busy or self._not_before.get(message, 0) > now:
                continue
            free = [debt for debt in debts if _may(debt.effect, brakes) and not _waits(debt, now)]
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

    async def _pay(self, message: Group, debts: Sequence[Debt]) -> None:
        copy: Status | None = None
        async with self._closings if message.closing else self._slots:
            for debt in debts:
                if isinstance(debt.effect, Notify) and copy is Status.FAILED:
                    continue  # nobody is told that it is there before it is
                if not _may(debt.effect, stopped(await self.store.standing())):
                    continue  # it was stopped while this waited
                copied = copy is Status.DONE if copy else await self._is_copied(debt.effect)
                fact = await self._pay_one(debt, copied=copied)
                outcome = fact.outcome
                if isinstance(debt.effect, Copy):
                    copy = outcome.status
                await append(self.store, [fact, *await self._seen_in(fact.file, debt, debts)])
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
                # A copy that cannot be made does not keep the leak open, nor somebody who cannot
                # be let in, nor a file that cannot be fetched; all else waits its turn.
                if not isinstance(debt.effect, Copy | Keep | Invite) or _only_there(debt):
                    return

    async def _is_copied(self, effect: Effect) -> bool:
        """Whether what somebody is told of has a copy, where that was not made just now."""
        told_of_it = isinstance(effect, Notify) and effect.moment in OF_A_COPY
        return not told_of_it or await self._was_done(Copy, effect)

    async def _was_done(self, what: type[Copy | Redact], effect: Effect) -> bool:
        events = (effect.about, *await self.store.edits(effect.about))
        posted = [one for event in events for one in await self.store.posted_about(event)]
        return any(isinstance(one.effect, what) for one in posted)

    async def _seen_in(
        self, file: bytes | None, debt: Debt, debts: Sequence[Debt]
    ) -> Sequence[Fact]:
        """What follows from a file's content; nothing where its message is about to go anyway."""
        if self.look is None or file is None or any(isinstance(d.effect, Redact) for d in debts):
            return ()
        return await self.look(debt, file)

    async def _pay_one(self, debt: Debt, *, copied: bool) -> Performed:
        """Do one thing; say how it went and what is owed because of that."""
        name, now = key(debt.effect), self.clock()
        if isinstance(debt.effect, Choice):
            return choosing.lapsed(debt, self.rooms.get(debt.effect.room), self.review)
        if now - debt.since > OLDEST_MS and (copied or not await self._must_know(debt)):
            outcome = Outcome(key=name, status=Status.ABANDONED, detail="owed for over a day")
            reason = "it could not be done for a day and was given up"
            asked = (*self._ask(debt, reason), *appeals.after(debt, outcome.status))
            return Performed(outcome=outcome, owes=asked)
        if isinstance(debt.effect, Redact) and await self._too_many(debt.effect.room, name, now):
            outcome = Outcome(key=name, status=Status.FAILED, detail="the brake is on")
            return Performed(outcome=outcome, owes=await self._set_brake(debt))
        look = debt.attempts > 0 or debt.since < self.started
        line = _line(debt.effect)
        if line is None:
            outcome, file = await self.enforcer.perform(debt, look_first=look, copied=copied)
        else:
            async with self._lines[line]:  # posts to one room keep the order of their messages
                outcome, file = await self.enforcer.perform(debt, look_first=look, copied=copied)
        owes: tuple[Effect, ...] = ()
        if reason := ask_about(outcome):
            owes = self._ask(debt, reason)
        elif outcome.status is Status.REFUSED and not _was_asked(outcome):
            owes = self._ask(debt, f"it could not be done: {outcome.detail}")
        elif outcome.status is Status.FAILED and _goes_without(debt):
            owes = self._ask(debt, "it was taken out before it could be copied; it will be tried "
                                   "again, and the record has it")  # fmt: skip
        owes += appeals.after(debt, outcome.status)
        return Performed(outcome=outcome, owes=owes, file=file)

    async def _must_know(self, debt: Debt) -> bool:
        """Whether somebody was not told yet that their message went, as its copy was waited for."""
        never = isinstance(debt.effect, Notify) and not debt.attempts
        return never and await self._was_done(Redact, debt.effect)

    async def _too_many(self, room: RoomId, name: str, now: Ms) -> bool:
        """Count a removal, once; say whether there were too many before it."""
        recent = self._removals[room]
        while recent and now - recent[0][0] > _MINUTE_MS:
            recent.popleft()
        if any(other == name for _, other in recent):
            return False
        if len(recent) < self.removals_per_minute:
            recent.append((now, name))
            return False
        return True

    async def _set_brake(self, debt: Debt) -> tuple[Effect, ...]:
        """Pause the room, and call a person: once, however many removals wait."""
        room = debt.effect.room
        reason = f"more than {self.removals_per_minute} removals in a minute"
        async with self._braking:
            if {room, None} & await self.store.brakes():
                return ()
            facts: list[Fact] = [Braked(room=room, on=True, by="bluelamp", reason=reason)]
            await self.store.append(facts)
        log.error("brake.set", room=room, reason=reason)
        asked = self._ask(
            debt,
            f"{reason}; Blue Lamp has paused itself there until somebody types !resume here, or "
            "runs 'bluelamp resume'; what it did up to then stays done",
            Queue.BRAKE,
        )
        # The same message may set it off again, and then a person is called again.
        return tuple(replace(one, turn=str(self.clock())) for one in asked)

    def _ask(self, debt: Debt, reason: str, queue: Queue = Queue.ERRORS) -> tuple[Refer, ...]:
        room = self.rooms.get(debt.effect.room)
        to = (room.review if room else None) or self.review
        if to is None or isinstance(debt.effect, Refer):
            log.error("refer.nowhere", room=debt.effect.room, event_id=debt.effect.about)
            return ()
        effect = debt.effect
        # Two things may go wrong with one message: each is asked about by itself.
        turn = hashlib.sha256(f"{key(effect)}\0{reason}".encode("utf-8", "replace")).hexdigest()[:8]
        return (
            Refer(
                room=effect.room,
                about=effect.about,
                queue=queue,
                to=to,
                reason=reason,
                turn=turn,
            ),
        )

    def _put_off(self, message: Group, debt: Debt) -> None:
        wait_s = min(2.0**debt.attempts, _LONGEST_WAIT_S)
        self._not_before[message] = Ms(self.clock() + int(wait_s * 1000))
        asyncio.get_running_loop().call_later(wait_s + 0.05, self.wake)


def _group(debt: Debt) -> Group:
    return Group(debt.message, isinstance(debt.effect, Close))


def _only_there(debt: Debt) -> bool:
    """Whether a message can be copied only as long as it is in its room: we have nothing else.

    What a person marked, or was never encrypted: a rule was in no hurry, or it was readable to more
    than the room. The others are taken out although their copy could not be made yet.
    """
    return isinstance(debt.effect, Copy) and not debt.ciphertext and debt.attempts < PATIENCE


def _goes_without(debt: Debt) -> bool:
    """Whether a message is taken out now for which this copy failed: said once."""
    return isinstance(debt.effect, Copy) and debt.attempts == (0 if debt.ciphertext else PATIENCE)


def _was_asked(outcome: Outcome) -> bool:
    """Whether a closure failed only for the message itself, whose removal was asked about."""
    failed = {step.what for step in outcome.steps if step.fate is Fate.FAILED}
    return bool(failed) and failed <= {What.MESSAGE, What.EDIT}


def _is_still_in(debts: Sequence[Debt]) -> bool:
    """Whether the message itself has yet to be taken out."""
    return any(isinstance(debt.effect, Redact) for debt in debts)


def _may(effect: Effect, brakes: frozenset[RoomId | None]) -> bool:
    """Under the brake nothing is done to a room or its people; recording and asking go on."""
    return isinstance(effect, Refer | Keep | Say | Choice) or not {effect.room, None} & brakes


def _waits(debt: Debt, now: Ms) -> bool:
    """Whether a person has yet to choose, and may."""
    return isinstance(debt.effect, Choice) and now - debt.since < CHOICE_MS


def _line(effect: Effect) -> RoomId | None:
    match effect:
        case Copy(to=to) | Refer(to=to):
            return to
        case Restore(room=room):
            return room
        case _:
            return None
