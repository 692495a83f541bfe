"""What officers and reviewers do about appeals: raise one, ask for a second opinion, decide.

Never decides by itself, acts or records: what a person says becomes facts and debts, which whoever
asks records in one transaction. One message is appealed once, and once more for a second opinion.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from bridge.facts import Adjudicated, Appeal, Appealed, Decision, Fact, Stage
from bridge.ledger.record import new_rid
from bridge.model import (
    Action,
    Effect,
    EventId,
    Message,
    Moment,
    Ms,
    Notify,
    Queue,
    Refer,
    Rid,
    Room,
    RoomClass,
    RoomId,
    Say,
    UserId,
)
from bridge.officers import appeals
from bridge.officers.bench import Bench, named
from bridge.officers.commands import unsure_of
from bridge.officers.hours import Hours
from bridge.ports import Clock, Docket, Posted, Store
from bridge.register import People
from bridge.way.alongside import is_back, put_back

log = structlog.get_logger(__name__)

#: Notes that say what was done to a message, or that it stands: a thumb down on these appeals.
_DONE = frozenset(
    {
        Moment.NUDGE,
        Moment.MOVED,
        Moment.REMOVED,
        Moment.STOPPED,
        Moment.WITHHELD,
        Moment.CHOOSE,
        Moment.STANDS,
    }
)
#: What was just sent may not be on record yet; it is waited for so long, if it became due lately.
_LATE_S, _LATE_TIMES, _LATELY_MS = 0.1, 20, 30_000
#: So often within that time, whoever asks: four seconds of thirty.
_MOST_WAITS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of what somebody said."""

    #: To be recorded, after the message that said it.
    facts: tuple[Fact, ...] = ()
    #: What we owe to whoever said it: an answer, a question.
    owes: tuple[Effect, ...] = ()
    #: Why nothing came of it, as a sentence for them; empty where something did, and they are told
    #: by what is owed.
    refused: str = ""


@dataclass(slots=True, kw_only=True)
class AppealDesk:
    """Hears appeals."""

    store: Store
    #: Who is listed now.
    people: Callable[[], People]
    rooms: Mapping[RoomId, Room]
    #: Where people are asked about a room that names no review room.
    review: RoomId | None
    hours: Hours
    clock: Clock
    #: Whom officers ask.
    contact: str
    #: What was raised or decided by this process, and may not be on record yet.
    _taken: set[tuple[str, int]] = field(default_factory=set)
    #: When we lately waited for what was to come on record.
    _waits: deque[Ms] = field(default_factory=deque)

    # What people do in rooms

    async def hear(self, message: Message, room: Room | None) -> Heard | None:
        """Take a reaction or reply that may be about an appeal; None if it is none.

        *room* is where it was said; None stands for a direct room. Commands are somebody else's.
        """
        if message.suspect or (room is not None and room.cls is not RoomClass.REVIEW):
            return None
        if (tap := appeals.tapped(message)) is not None:
            event, key = tap
            if room is None:
                return await self._thumb(message, event) if key == appeals.WRONG else None
            decision = appeals.TAPS.get(key)
            return await self._tap(message, event, decision) if decision else None
        if (reply := appeals.replied(message)) is not None:
            return await self._reply(message, *reply, private=room is None)
        return None

    async def _thumb(self, message: Message, event: EventId) -> Heard | None:
        note = await self._note(event, message.sender)
        if note is None or note.moment not in _DONE:
            return None
        heard = await self.object_to(event, message.sender)
        # A second tap changes nothing, and needs no answer.
        return heard if heard.facts else Heard()

    async def _reply(
        self, message: Message, events: Sequence[EventId], words: str, *, private: bool
    ) -> Heard | None:
        if private:
            event = events[0]
            if not appeals.is_again(words) or await self._note(event, message.sender) is None:
                return None
            heard = await self.object_to(event, message.sender)
            return self._answered(message, heard, message.sender)
        for event, one in (await self._posted(events, message.sender)).items():
            asked = appeals.asked_in(one.effect.name) if isinstance(one.effect, Say) else None
            if asked is not None and event in events:
                return await self._confirm(message, asked, words)
        return None

    async def _note(self, event: EventId, user: UserId) -> Notify | None:
        """The private note that *event* is, if it was to *user*."""
        one = (await self._posted((event,), user)).get(event)
        effect = one.effect if one else None
        return effect if isinstance(effect, Notify) and effect.to == user else None

    async def _posted(self, events: Sequence[EventId], user: UserId) -> Mapping[EventId, Posted]:
        """What we sent as *events*; waits a little for what is just being put on record."""
        since = self.clock() - _LATELY_MS
        for _ in range(_LATE_TIMES):
            found = await self.store.posted(events)
            owed = [debt.effect for debt in await self.store.owed() if debt.since >= since]
            if found or not any(_may_be(effect, user) for effect in owed) or not self._may_wait():
                return found
            await asyncio.sleep(_LATE_S)
        return {}

    def _may_wait(self) -> bool:
        """Everybody's messages wait meanwhile, so that nobody can have us wait for ever."""
        now = self.clock()
        while self._waits and now - self._waits[0] > _LATELY_MS:
            self._waits.popleft()
        self._waits.append(now)
        return len(self._waits) <= _MOST_WAITS

    # What officers do

    async def object_to(self, event: EventId, by: UserId) -> Heard:
        """Have *by* appeal about *event*: our note, their own message, or its copy.

        On a note that says that the action stands, or where there was a decision that it stands,
        this asks for the second opinion. Call it for `!appeal`, `!appeal again` and "again".
        """
        about = await self._about(event)
        known = (await self.store.known((about,))).get(about)
        if known is None or known.verdict is None or known.sender != by:
            return Heard(refused="Please reply to the note that Blue Lamp sent you about your "
                         "message, or tap 👎 on it.")  # fmt: skip
        if known.action in {None, Action.ALLOW} or known.rule is None:
            return Heard(refused="Nothing was done to this message.")
        before = await self.store.appeals((about,))
        round_ = len(before) + 1
        if (refused := self._once_more(before)) or (about, round_) in self._taken:
            return Heard(refused=refused or _UNDER_WAY)
        if not before and await is_back(self.store, about):
            return Heard(refused="It has been put back already.")
        room = self.rooms.get(known.room)
        if room is None:
            return Heard(refused=f"Its room is no longer looked after. Please ask {self.contact}.")
        self._taken.add((about, round_))
        now = self.clock()
        appeal = Appeal(
            rid=new_rid(),
            event=about,
            record=known.rid,
            room=known.room,
            cls=room.cls,
            sender=known.sender,
            sent_at=known.sent_at,
            verdict=known.verdict,
            rule=known.rule,
            action=known.action or Action.ALLOW,
            round=round_,
            at=now,
            due=self.hours.due(now),
        )
        return Heard(facts=(self._raised(appeal, room, before),))

    async def _about(self, event: EventId) -> EventId:
        """The message that was judged, where *event* is something that we said about it."""
        one = (await self.store.posted((event,))).get(event)
        if one is not None:
            event = one.effect.about
        return event

    def _once_more(self, before: Sequence[Docket]) -> str:
        """Say why no further appeal is possible after these; empty if one is."""
        if not before:
            return ""
        last = before[-1]
        if last.open:
            return f"{_UNDER_WAY} You get an answer by {self.hours.say(last.appeal.due)}."
        if last.decision is not Decision.ACTION_STANDS:
            return "It has been decided: you were right."
        if len(before) > 1:
            return f"Two people have looked at it. If it still seems wrong, ask {self.contact}."
        if last.decided_at is not None and self.clock() > self.hours.again_until(last.decided_at):
            return f"The time for a second opinion is over. Please ask {self.contact}."
        return ""

    def _raised(self, appeal: Appeal, room: Room, before: Sequence[Docket]) -> Appealed:
        first = UserId(before[-1].decided_by) if before else None
        bench = self._bench(appeal, room, first)
        who = bench.deciders(appeal.at)
        turn = str(appeal.round) if appeal.round > 1 else ""
        owes: list[Effect] = [
            Notify(
                room=appeal.room,
                about=appeal.event,
                to=appeal.sender,
                moment=Moment.APPEALED,
                reason=appeals.received(
                    named(who, "A reviewer"),
                    self.hours.say(appeal.due),
                    outside=not any(map(bench.is_near, who)),
                ),
                turn=turn,
            )
        ]
        if (to := self.asked_in(appeal)) is not None:
            request = appeals.request(appeal, who, self.hours)
            owes.append(
                Refer(
                    room=appeal.room,
                    about=appeal.event,
                    queue=Queue.APPEALS,
                    to=to,
                    reason=request,
                    turn=turn,
                )
            )
        else:
            log.error("appeal.nowhere", room=appeal.room)
        return Appealed(appeal=appeal, stage=Stage.RAISED, owes=tuple(owes))

    # What reviewers do

    async def _tap(self, message: Message, event: EventId, decision: Decision) -> Heard | None:
        """Ask back after a tap on a request; nothing else happens."""
        one = (await self._posted((event,), message.sender)).get(event)
        if one is None or not isinstance(one.effect, Refer):
            return None
        if one.effect.queue is not Queue.APPEALS:
            return None
        dockets = await self.store.appeals((one.effect.about,))
        place = int(one.effect.turn or 1) - 1
        if place >= len(dockets):
            return None
        docket = dockets[place]
        if why := await self._why_not(docket, message.sender):
            return self._answered(message, Heard(refused=f"Thank you, but {why}."), message.sender)
        meant = appeals.decided(decision, docket.appeal.action)
        ask = Say(
            room=message.room,
            about=message.event_id,
            to=message.room,
            name=appeals.ask_name(docket.appeal, meant, message.sender),
            text=appeals.question(meant, self.name(message.sender)),
        )
        return Heard(owes=(ask,))

    async def _confirm(
        self, message: Message, asked: tuple[str, Decision, UserId], words: str
    ) -> Heard | None:
        rid, decision, user = asked
        if message.sender != user or unsure_of(message):
            why = f"only {self.name(user)} can answer this, in an encrypted message"
            why += f" ({unsure_of(message)})" if message.sender == user and message.doubt else ""
            return self._answered(message, Heard(refused=f"Thank you, but {why}."), message.sender)
        if appeals.is_no(words):
            return self._answered(message, Heard(refused="Nothing was done."), message.room)
        heard = await self.decide(Rid(rid), decision, user, appeals.reason_of(words))
        return self._answered(message, heard, message.room)

    async def decide(self, rid: Rid, decision: Decision, by: UserId, reason: str) -> Heard:
        """Have *by* decide the appeal *rid*. The one way in which an appeal is decided.

        The caller records the facts and wakes the settler. What the officer and the review room are
        told is among the debts.
        """
        found = [one for one in await self.store.appeals((rid,)) if one.appeal.rid == rid]
        if not found:
            return Heard(refused="This appeal is no longer on record.")
        docket = found[0]
        appeal = docket.appeal
        decision = appeals.decided(decision, appeal.action)
        if why := await self._why_not(docket, by):
            return Heard(refused=f"Thank you, but {why}.")
        if decision is Decision.ACTION_STANDS and not reason:
            return Heard(refused="The officer should know why: please reply with your reason, in a "
                         "sentence.")  # fmt: skip
        owes = await self._owes(docket, decision, by, reason)
        # A referral leaves it open, so that another decision may follow.
        if (rid, appeal.round) in self._taken:
            return Heard(refused="Thank you, but it has just been decided.")
        if decision is not Decision.REFERRED:
            self._taken.add((rid, appeal.round))
        fact = Adjudicated(
            record=appeal.verdict,
            rule=appeal.rule,
            action=appeal.action,
            decision=decision,
            by=by,
            appeal=appeal,
            reason=reason,
            owes=owes,
        )
        return Heard(facts=(fact,))

    async def _why_not(self, docket: Docket, user: UserId) -> str:
        bench = await self.bench(docket.appeal)
        if bench is None:
            return "its room is no longer on the register"
        why = bench.why_not(user, self.clock())
        if not why and docket.decision is Decision.REFERRED and user == docket.decided_by:
            return "you have passed it on; somebody else decides"
        if not docket.open:
            return f"it was decided by {self.name(docket.decided_by)} already"
        return why

    async def bench(self, appeal: Appeal) -> Bench | None:
        """Who may decide *appeal*; None where its room is no longer on the register."""
        room = self.rooms.get(appeal.room)
        if room is None:
            return None
        rounds = await self.store.appeals((appeal.event,)) if appeal.round > 1 else ()
        first = next((UserId(one.decided_by) for one in rounds if one.appeal.round == 1), None)
        return self._bench(appeal, room, first)

    def _bench(self, appeal: Appeal, room: Room, first: UserId | None) -> Bench:
        people = self.people()
        return Bench(appeal=appeal, room=room, people=people, hours=self.hours, first=first)

    async def _owes(
        self, docket: Docket, decision: Decision, by: UserId, reason: str
    ) -> tuple[Effect, ...]:
        """What a decision leads to: first what is put right, then who is told."""
        appeal = docket.appeal
        owes: list[Effect] = []
        match decision:
            case Decision.RESTORED:
                owes += await put_back(self.store, appeal)
            case Decision.FALSE_POSITIVE:
                owes.append(appeals.say(appeal, appeal.sender, "right", appeals.RIGHT))
            case Decision.ACTION_STANDS:
                again = self.hours.again_until(self.clock()) if appeal.round == 1 else None
                until = self.hours.say(again) if again else None
                why = appeals.stands(reason, until)
                owes.append(appeals.tell(appeal, Moment.STANDS, why))
            case Decision.REFERRED:
                by_when = self.hours.say(appeal.due)
                owes.append(appeals.say(appeal, appeal.sender, "passed-on", appeals.on(by_when)))
        review = self.asked_in(appeal)
        if review is not None:
            text = f"{self.name(by)} decided this appeal: {appeals.MEANS[decision]}."
            owes.append(appeals.say(appeal, review, f"decided-{decision.value}", text))
        return tuple(owes)

    # Parts

    def asked_in(self, appeal: Appeal) -> RoomId | None:
        """Where people are asked about *appeal*."""
        room = self.rooms.get(appeal.room)
        return (room.review if room else None) or self.review

    def name(self, user: UserId | str) -> str:
        """What colleagues call *user*."""
        person = self.people().get(UserId(user))
        return person.name if person else user

    @staticmethod
    def _answered(message: Message, heard: Heard, to: UserId | RoomId) -> Heard:
        """Tell whoever said it why nothing came of it."""
        if not heard.refused:
            return heard
        text = heard.refused
        answer = Say(room=message.room, about=message.event_id, to=to, name="answer", text=text)
        return replace(heard, owes=(*heard.owes, answer))


_UNDER_WAY = "Your appeal is under way already."


def _may_be(effect: Effect, user: UserId) -> bool:
    """Say whether what is owed may be what *user* has just answered."""
    match effect:
        case Notify(to=to):
            return to == user
        case Refer(queue=queue):
            return queue is Queue.APPEALS
        case Say(name=name):
            return name.startswith("confirm ")
        case _:
            return False
