"""Carries out the closure of a removal for `enforce`: finds, takes out, reads back, certifies.

Never takes out what is not on record, never goes on under a brake, and never believes that
something is gone which the server has not shown to be so. The server is its only memory: whatever
interrupts it, it looks again and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bridge.acting.closure import (
    PARTS,
    REPEATS,
    SEALED_FILE,
    THREADED,
    WHY,
    Found,
    Moved,
    What,
    certified,
    find,
    in_thread,
    is_empty,
    left,
    limits,
    mark,
    summary,
    texts_of,
)
from bridge.acting.remains import Later, Remains, Standing
from bridge.errors import NotFound, NotPermitted, TransportError
from bridge.model import (
    Action,
    Close,
    Copy,
    Debt,
    EventId,
    Fate,
    Keep,
    Message,
    Outcome,
    Redact,
    Room,
    RoomId,
    Status,
    Step,
    UserId,
    Verdict,
    key,
)
from bridge.officers.brake import stopped
from bridge.policy import Policy
from bridge.ports import Attached, Known, Store, Transport

#: So many events are taken out in one attempt; the next goes on.
MOST = 500
#: After so many attempts, what is still not on record is left to a person.
PATIENCE = 6
#: How long we wait for what others have to do first, s.
_WAIT_S, _LOOK_S = 3.0, 0.1
#: Why something is left to a person: (it says the same, it could not be read).
_LEFT = (
    "says the same and is no reply to it: it was left",
    "could not be read: nobody knows whether it repeats the words",
)
#: So many other messages with the same file are looked up.
_MOST_HOLDERS = 20


@dataclass(slots=True, kw_only=True)
class _Work:
    """One attempt at one closure."""

    effect: Close
    key: str
    attempts: int
    steps: list[Step] = field(default_factory=list)
    #: Why it has to be tried again; empty if it has not.
    again: str = ""
    taken: int = 0

    def note(self, what: What, fate: Fate, target: str = "", detail: str = "") -> None:
        self.steps.append(Step(what=what, fate=fate, target=target, detail=detail))

    def wait(self, what: What, target: str, why: str) -> None:
        self.again = self.again or why
        self.note(what, Fate.FAILED, target, why)

    def outcome(self) -> Outcome:
        noted = {step.what for step in self.steps}
        for what in What:
            if what not in noted and what not in {What.ECHO, What.REST}:
                self.note(what, Fate.NOT_APPLICABLE, detail="none")
        steps, failed = certified(self.steps), [s for s in self.steps if s.fate is Fate.FAILED]
        if self.again:
            status, detail = Status.FAILED, self.again
        elif failed:
            status, detail = Status.REFUSED, summary(failed)
        else:
            status, detail = Status.DONE, ""
        return Outcome(key=self.key, status=status, detail=detail, steps=steps)


class Deciding(Protocol):
    """Whoever decides: the pipeline."""

    @property
    def policy(self) -> Callable[[], Policy]:
        """The policy that decides now."""
        ...

    async def decide(self, message: Message, verdict: Verdict) -> None:
        """Have a message go where *verdict* says: on record first, as every move."""
        ...


@dataclass(slots=True, kw_only=True)
class Closer:
    """Takes out what else holds the words of a message that was taken out."""

    transport: Transport
    remains: Remains
    store: Store
    rooms: Mapping[RoomId, Room]
    #: Given before the first closure: it needs somebody who settles, and they need us.
    pipeline: Deciding = field(init=False)

    async def close(self, debt: Debt, effect: Close) -> Outcome:
        """Do as much as can be done now; say what became of each thing.

        Raises:
            TransportError: the homeserver is not there; nothing of what was done is lost.
        """
        work = _Work(effect=effect, key=key(effect), attempts=debt.attempts)
        first, events, known = await self._family(debt, effect)
        message = await self._reopened(debt)
        said = texts_of(message) if message else ()
        moved = Moved(
            room=effect.room,
            sender=known.sender if known else debt.sender,
            events=frozenset(events),
            said=said,
            whole=bool(said) and len(events) == 1,
        )
        for event in events:
            await self._see_out(work, What.MESSAGE if event == first else What.EDIT, event)
        since = min(debt.sent_at, known.sent_at) if known else debt.sent_at
        later = await self.remains.later(effect.room, first, since=since)
        gone = await self._take_along(work, moved, later, known)
        await self._unpin(work, {*events, *gone}, later)
        reach = await self.remains.reach(effect.room, first)
        await self._drop_files(work, {*events, *gone}, encrypted=reach.encrypted)
        linked = not said or any("://" in text for text in said)
        work.steps += limits(encrypted=reach.encrypted, servers=reach.servers, linked=linked)
        return work.outcome()

    async def _family(
        self, debt: Debt, effect: Close
    ) -> tuple[EventId, tuple[EventId, ...], Known | None]:
        """The message itself, it with its recorded edits, and what is on record about it."""
        known = (await self.store.known([effect.about])).get(effect.about)
        first = effect.about
        if known is not None and known.replaces is not None:
            first = known.replaces
            known = (await self.store.known([first])).get(first, known)
        edits = await self.store.edits(first)
        return first, tuple(dict.fromkeys((first, *edits, effect.about))), known

    async def _reopened(self, debt: Debt) -> Message | None:
        if not debt.ciphertext:
            return None  # the server has nothing left to read
        try:
            return await self.transport.reopen(
                debt.effect.room, debt.effect.about, debt.ciphertext
            )  # fmt: skip
        except TransportError:
            return None

    # Events

    async def _see_out(self, work: _Work, what: What, event: EventId, detail: str = "") -> bool:
        """Take an event out if it is still there, and see that it is gone."""
        room = work.effect.room
        try:
            standing = await self.remains.standing(room, event)
            if standing is Standing.THERE:
                if not await self._may(work, what, event):
                    return False
                # The name under which `Redact` would do it: the two together do it once.
                redact = Redact(room=room, about=event, reason=work.effect.reason)
                await self.remains.take_out(
                    room, event, redact.reason, txn=key(redact), mark=mark(work.key, event, what)
                )
                standing = await self.remains.standing(room, event)
        except NotPermitted as exc:
            work.note(what, Fate.FAILED, event, str(exc))
            return False
        except NotFound:
            standing = Standing.ABSENT
        match standing:
            case Standing.EMPTY:
                work.note(what, Fate.REMOVED, event, detail)
            case Standing.ABSENT:
                work.note(what, Fate.NOT_APPLICABLE, event, "the server has no such event")
            case Standing.THERE:
                work.wait(what, event, "the server still shows it")
        return standing is not Standing.THERE

    async def _may(self, work: _Work, what: What, event: EventId) -> bool:
        """Whether one more event may be taken out now."""
        if {work.effect.room, None} & stopped(await self.store.standing()):
            work.wait(what, event, "the brake is on")
        elif work.taken >= MOST:
            work.wait(what, event, f"{MOST} were taken out at once; the next go in a moment")
        else:
            work.taken += 1
            return True
        return False

    async def _take_along(
        self, work: _Work, moved: Moved, later: Later, first: Known | None
    ) -> set[EventId]:
        """Take out what holds the words; return what of it is gone.

        Of a message that went along itself, nobody's answers go: its own words were harmless.
        """
        harmless = first is not None and first.rule in {REPEATS, THREADED}
        room = self.rooms.get(moved.room)
        threads = room is not None and self.pipeline.policy().classes[room.cls].threads
        known = await self.store.known([m.event_id for m in later.messages])
        gone = _done_before(work, later, known, moved.events)
        decided: list[Found] = []
        for one in find(moved, later.messages, threads=threads):
            event, what = one.message.event_id, one.what
            if one.message.sender == self.transport.user or event in moved.events:
                continue
            on_record = known.get(event)
            if harmless and what not in PARTS:
                continue
            if on_record is None or on_record.room != moved.room:
                _unrecorded(work, what, event)
            elif (on_record.action or Action.ALLOW) >= Action.REDIRECT:
                decided.append(one)
            elif one.unsure or what is What.ECHO:
                work.note(what, Fate.PARTIAL, event, _LEFT[one.unsure])
            elif what not in PARTS:
                if await self._decide(work, one, first):
                    decided.append(one)
            elif await self._see_out(work, what, event):
                gone.add(event)
        gone |= await self._see_decided(work, decided)
        if not threads and (count := in_thread(moved, later.messages)):
            stay = f"{count} in its thread stay, as the policy for this room says"
            work.note(What.THREAD, Fate.NOT_APPLICABLE, detail=stay)
        if not later.whole:
            beyond = "more than 20,000 events came after it: the later ones were not looked at"
            work.note(What.REST, Fate.PARTIAL, detail=beyond)
        return gone

    async def _decide(self, work: _Work, one: Found, first: Known | None) -> bool:
        """Have somebody's own words go where the message went; False under a brake."""
        if {work.effect.room, None} & stopped(await self.store.standing()):
            work.wait(one.what, one.message.event_id, "the brake is on")
            return False
        rule = THREADED if one.what is What.THREAD else REPEATS
        action = max((first and first.action) or Action.REDIRECT, Action.REDIRECT)
        revision = self.pipeline.policy().revision
        verdict = Verdict(action=action, rule=rule, reason=WHY[rule], revision=revision)
        await self.pipeline.decide(one.message, verdict)
        return True

    async def _see_decided(self, work: _Work, decided: Sequence[Found]) -> set[EventId]:
        """See out what is moved by a verdict of its own; that may take a moment."""
        deadline = asyncio.get_running_loop().time() + _WAIT_S
        gone: set[EventId] = set()
        for one in decided:
            event, room = one.message.event_id, work.effect.room
            while (standing := await self.remains.standing(room, event)) is Standing.THERE:
                if asyncio.get_running_loop().time() > deadline:
                    break
                await asyncio.sleep(_LOOK_S)
            if standing is not Standing.THERE:
                work.note(one.what, Fate.REMOVED, event, "moved likewise")
                gone.add(event)
            elif any(_is_of(debt, Redact, event) for debt in await self.store.owed()):
                work.wait(one.what, event, "it is still being moved")
            else:
                work.note(one.what, Fate.FAILED, event, "it could not be moved likewise")
        return gone

    # What points to it, and what came with it

    async def _unpin(self, work: _Work, events: Collection[EventId], later: Later) -> None:
        ours = mark(work.key, work.effect.about, What.PIN)
        try:
            off = await self.remains.unpin(work.effect.room, events, mark=ours)
        except NotPermitted as exc:
            work.note(What.PIN, Fate.FAILED, detail=str(exc))
            return
        for event in off:
            work.note(What.PIN, Fate.REMOVED, event, "no longer pinned")
        if not off and ours in later.marks:
            work.note(What.PIN, Fate.REMOVED, detail="no longer pinned")

    async def _drop_files(
        self, work: _Work, events: Collection[EventId], *, encrypted: bool
    ) -> None:
        files = {one.url: one for one in await self.store.attached([*events])}
        owed = await self.store.owed() if files else ()
        known = await self.store.known([one.event for one in files.values()])
        for one in files.values():
            what = What.THUMBNAIL if one.part == "thumbnail" else What.FILE
            if any(_needs(debt, one, events) for debt in owed):
                work.wait(what, one.url, "it has to be recorded and copied first")
                continue
            holders = await self.store.attached((), one.url)
            if one.event not in known or not any(holder.kept for holder in holders):
                why = "it is not on record, and was left so that it is not lost"
                work.note(what, Fate.PARTIAL, one.url, why)
            elif await self._is_used(holders, events):
                work.note(what, Fate.PARTIAL, one.url, "another message uses it: it was left")
            else:
                by = known[one.event].sender
                await self._drop(work, what, one.url, by, encrypted=encrypted)

    async def _is_used(self, holders: Sequence[Attached], events: Collection[EventId]) -> bool:
        """Whether another message, which still stands, brings the same file."""
        others = [one.event for one in holders if one.event not in events]
        if len(others) > _MOST_HOLDERS:
            return True
        known = await self.store.known(others)
        for event, on_record in known.items():
            if await self.remains.standing(on_record.room, event) is Standing.THERE:
                return True
        return False

    async def _drop(
        self, work: _Work, what: What, url: str, by: UserId, *, encrypted: bool
    ) -> None:
        try:
            dropped = await self.remains.drop_file(url, by)
        except NotPermitted as exc:
            work.note(what, Fate.PARTIAL, url, str(exc))
            return
        if dropped:
            work.note(what, Fate.REMOVED, url)
        elif encrypted:
            work.note(what, Fate.PARTIAL, url, SEALED_FILE)
        else:
            why = "still on the server: Blue Lamp was not given the right to delete files"
            work.note(what, Fate.PARTIAL, url, why)


def ask_about(outcome: Outcome) -> str:
    """Why a person should look at a closure that is done; empty if nobody need."""
    if outcome.status is not Status.DONE or not left(outcome.steps):
        return ""
    return f"it was taken out, but not everything with it: {summary(outcome.steps)}"


def _done_before(
    work: _Work, later: Later, known: Mapping[EventId, Known], events: Collection[EventId]
) -> set[EventId]:
    """Certify what an earlier attempt took out: its mark, or its verdict, stands there."""
    gone: set[EventId] = set()
    for message in later.messages:
        event = message.event_id
        if not is_empty(message) or event in events:
            continue
        for what in sorted(PARTS):
            if mark(work.key, event, what) in later.marks:
                work.note(what, Fate.REMOVED, event)
                gone.add(event)
        rule = known[event].rule if event in known else None
        if rule in {REPEATS, THREADED}:
            what = What.REPLY if rule == REPEATS else What.THREAD
            work.note(what, Fate.REMOVED, event, "moved likewise, for this message or one near it")
            gone.add(event)
    return gone


def _unrecorded(work: _Work, what: What, event: EventId) -> None:
    """What is not on record yet is not taken out: it would be lost."""
    if work.attempts < PATIENCE:
        work.wait(what, event, "it is not on record yet")
    else:
        work.note(what, Fate.PARTIAL, event, "it is not on record, and was left")


def _is_of(debt: Debt, effect: type[Redact], event: EventId) -> bool:
    return isinstance(debt.effect, effect) and debt.effect.about == event


def _needs(debt: Debt, file: Attached, events: Collection[EventId]) -> bool:
    match debt.effect:
        case Keep(url=url):
            return url == file.url
        case Copy(about=about):
            return about in events
        case _:
            return False
