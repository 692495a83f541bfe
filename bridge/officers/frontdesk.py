"""Where people's commands are taken: it says what is to be recorded, and what is owed in answer.

Never acts: an answer is owed like anything else. Never lets an exclamation mark be a way round a
rule: words behind a command in a social room are judged as anybody's. Never keeps the words of a
report where anybody but professional standards could read them.

`!report` where colleagues read it is taken out and *not* copied to the secure room: the people whom
it is about may be reading there. Its sender is asked to type it in their direct room.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from bridge.facts import Decided, Fact, Minuted, Mode, Reported, Seen
from bridge.ledger.record import new_rid
from bridge.model import (
    Action,
    Effect,
    EventId,
    Kind,
    Message,
    Moment,
    Ms,
    Notify,
    Redact,
    Room,
    RoomClass,
    RoomId,
    Say,
    UserId,
)
from bridge.officers import brake
from bridge.officers.answers import Answers, offered, where_is
from bridge.officers.appealdesk import AppealDesk
from bridge.officers.commands import (
    BRAKE,
    Command,
    Terms,
    Where,
    Word,
    parse,
    reasonable,
    terms,
    unsure_of,
)
from bridge.policy import Policy
from bridge.ports import Clock, Known, Store
from bridge.register import People

log = structlog.get_logger(__name__)

#: One person is answered no more often than this in a minute; more is recorded all the same.
MOST_A_MINUTE = 10
_MINUTE_MS = 60_000
#: An order to stop or start that took longer to reach us is asked for again, ms.
STALE_MS = 10 * _MINUTE_MS
#: A reason is cut after so many characters.
_LONGEST_REASON = 300
STANDARDS = "professional-standards"
_REPORT = "report"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one command comes to."""

    effects: tuple[Effect, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(slots=True, kw_only=True)
class FrontDesk:
    """Takes commands."""

    store: Store
    #: The approved rooms, under every id that they have now.
    rooms: Mapping[RoomId, Room]
    people: Callable[[], People]
    policy: Callable[[], Policy]
    bot: UserId
    is_direct: Callable[[RoomId], bool]
    clock: Clock
    answers: Answers
    #: Whether a report could be sealed to professional standards now.
    can_report: Callable[[], bool] = lambda: False
    appeals: AppealDesk | None = None
    #: A major incident ends by itself after so long, where nobody says how long.
    incident_ms: Ms = brake.INCIDENT_MS
    #: Who has asked that what is owed be forgotten.
    agreement: brake.Agreement = field(default_factory=brake.Agreement)
    _lately: dict[UserId, deque[Ms]] = field(default_factory=lambda: defaultdict(deque))
    #: The last decision's number by room: some may not be on record yet.
    _numbers: dict[RoomId, int] = field(default_factory=dict)

    async def take(
        self, message: Message, room: Room | None, judge: Callable[[], Awaitable[list[Fact]]]
    ) -> list[Fact]:
        """Say what is to be recorded of *message*: what *judge* says, and the answer to it.

        *room* None: it is a direct room, or on no register.
        """
        direct = room is None and self.is_direct(message.room)
        command = parse(message, self.bot, direct=direct) if room or direct else None
        root = message.replaces or message.event_id
        edit = message.replaces is not None
        if direct and edit and await self._has(root, _REPORT):
            return self._bare(message, ())  # it corrects a report, and must not be read as more
        if command is not None and command.word is Word.REPORT:
            return await self._report(command, message, room, root)
        if command is not None and direct and command.near == Word.REPORT and command.words:
            # Mistyped, it must not lie where custodians can read it.
            return await self._report(replace(command, words=""), message, room, root)
        if command is None or (edit and await self._has(root)):
            return await judge()
        made = await judge()
        seen = next(
            (f for f in made if isinstance(f, Seen) and f.message.event_id == message.event_id),
            None,
        )
        if seen is None or not self._may_ask(message.sender):
            return made
        answer = await self._answer(command, message, room, root)
        answered = replace(seen, owes=(*seen.owes, *answer.effects))
        return [
            *(answered if one is seen else _without_nudge(one) for one in made), *answer.facts
        ]  # fmt: skip

    async def _has(self, root: EventId, name: str = "") -> bool:
        """Say whether something was said to *root*, which somebody has edited since."""
        posted = [one.effect for one in await self.store.posted_about(root)]
        owed = [debt.effect for debt in await self.store.owed() if debt.effect.about == root]
        said = [one for one in (*posted, *owed) if isinstance(one, Say)]
        return any(not name or one.name == name for one in said)

    def _may_ask(self, user: UserId) -> bool:
        lately, now = self._lately[user], self.clock()
        while lately and now - lately[0] > _MINUTE_MS:
            lately.popleft()
        if len(lately) >= MOST_A_MINUTE:
            log.warning("command.too_many", user=user)
            return False
        lately.append(now)
        return True

    async def _answer(
        self, command: Command, message: Message, room: Room | None, root: EventId
    ) -> _Answer:
        word = command.word
        if (word in BRAKE or word is Word.DECISION) and (why := unsure_of(message)):
            text = self.answers.unsure(why)
            return _Answer(effects=(_say(message, root, message.sender, "unsure", text),))
        if word in BRAKE:
            return await self._brake(command, message, room, root)
        if word is Word.DECISION:
            return await self._decision(command, message, room, root)
        if word is Word.APPEAL:
            return await self._appeal(command, message, root)
        if word is Word.WHY:
            text = await self._why(command, message, direct=room is None)
        elif word is Word.PRIVACY:
            text = self._privacy(room)
        else:
            text = self._help(message.sender, room, command)
        return _Answer(effects=(_say(message, root, message.sender, word or "unknown", text),))

    # What people want to know

    def _help(self, user: UserId, room: Room | None, command: Command) -> str:
        roles = self._roles(user)
        able = room is not None and brake.may(user, roles, None, room)
        able = able or any(user == one.supervisor for one in self.rooms.values())
        words = offered(room, reports=self.can_report(), brake=able)
        return self.answers.help(words, command.near, typed=command.word is Word.HELP)

    def _privacy(self, room: Room | None) -> str:
        cls = room.cls if room else RoomClass.DIRECT
        return self.answers.privacy(self.policy().classes[cls], room.name if room else None)

    async def _why(self, command: Command, message: Message, *, direct: bool) -> str:
        sender, here = message.sender, None if direct else message.room
        event = command.reply or await self.store.newest_told(sender, here)
        if event is None:
            return self.answers.nothing()
        root, known = await self._root(event)
        if known is None:
            return self.answers.why_not()
        room = self.rooms.get(known.room)
        own = known.sender == sender
        if not own and (room is None or room.supervisor != sender):
            return self.answers.why_not()
        events = (root, *await self.store.edits(root))
        done = [one for event in events for one in await self.store.posted_about(event)]
        rules = {rule.id: rule.reason for rule in self.policy().rules}
        reason = rules.get(known.rule or "", "")
        return self.answers.why(known, done, reason, self.clock(), own=own)

    async def _root(self, event: EventId) -> tuple[EventId, Known | None]:
        """The message that *event* is, edits, copies or is a note about."""
        posted = (await self.store.posted((event,))).get(event)
        about = posted.effect.about if posted else event
        known = (await self.store.known((about,))).get(about)
        if known is not None and known.replaces is not None:
            about = known.replaces
            known = (await self.store.known((about,))).get(about)
        return about, known

    async def _appeal(self, command: Command, message: Message, root: EventId) -> _Answer:
        sender = message.sender
        here = None if self.is_direct(message.room) else message.room
        event = command.reply or await self.store.newest_told(sender, here)
        if event is None:
            why = self.answers.cannot_appeal(self.answers.nothing())
        elif self.appeals is None:
            why = self.answers.cannot_appeal("Appeals are taken by a person.")
        else:
            heard = await self.appeals.object_to(event, sender)
            if not heard.refused:
                return _Answer(effects=heard.owes, facts=heard.facts)
            why = self.answers.cannot_appeal(heard.refused)
        return _Answer(effects=(_say(message, root, sender, Word.APPEAL, why),))

    # What people put on record

    async def _decision(
        self, command: Command, message: Message, room: Room | None, root: EventId
    ) -> _Answer:
        sender, name = message.sender, Word.DECISION
        if room is None or room.cls is not RoomClass.OPERATIONAL:
            text = self.answers.no_decision(room)
            return _Answer(effects=(_say(message, root, sender, name, text),))
        if not command.words:
            text = self.answers.empty_decision()
            return _Answer(effects=(_say(message, root, sender, name, text),))
        before = max(self._numbers.get(room.id, 0), await self.store.minutes(room.id))
        number = self._numbers[room.id] = before + 1
        fact = Minuted(
            rid=new_rid(), message=message, cls=room.cls, number=number, words=command.words
        )
        who = self.answers.said.person(sender)
        text = self.answers.decided(number, fact.rid, who, message.sent_at)
        return _Answer(effects=(_say(message, root, room.id, name, text),), facts=(fact,))

    async def _report(
        self, command: Command, message: Message, room: Room | None, root: EventId
    ) -> list[Fact]:
        sender = message.sender
        if room is not None:
            text = self.answers.report_here(room.name)
            others = await self.store.edits(root)
            gone = tuple(
                Redact(room=room.id, about=event, reason="Removed by Blue Lamp")
                for event in dict.fromkeys((root, *others, message.event_id))
            )
            say = _say(message, root, sender, "report-in-room", text)
            return [Seen(message=message, cls=room.cls, owes=(*gone, say))]
        gone = (Redact(room=message.room, about=message.event_id, reason="Kept apart"),)
        if why := unsure_of(message):
            text = self.answers.unsure(why)
            return self._bare(message, (*gone, _say(message, root, sender, "unsure", text)))
        standards = self._standards() if self.can_report() else ()
        if not command.words:
            text = self.answers.empty_report(near=bool(command.near))
            mistyped = gone if command.near else ()
            say = _say(message, root, sender, "report-empty", text)
            return self._bare(message, (*mistyped, say))
        if not standards:
            text = self.answers.no_reports()
            return self._bare(message, (*gone, _say(message, root, sender, _REPORT, text)))
        fact = Reported(rid=new_rid(), message=message, words=command.words)
        text = self.answers.reported(file=message.kind is Kind.MEDIA)
        notice = self.answers.notice(fact.rid)
        told = tuple(_say(message, root, one, "report-notice", notice) for one in standards)
        say = _say(message, root, sender, _REPORT, text)
        return [*self._bare(message, (*told, *gone, say)), fact]

    def _standards(self) -> tuple[UserId, ...]:
        found = self.people().persons.values()
        return tuple(one.id for one in found if STANDARDS in one.roles)

    def _bare(self, message: Message, owes: tuple[Effect, ...]) -> list[Fact]:
        """Record that something was said in a direct room, and nothing of what."""
        bare = replace(
            message, kind=Kind.OTHER, body="", formatted="", extra=(), media=(), content=b"{}",
            ciphertext=b"", doubt="its words are kept apart",
        )  # fmt: skip
        return [Seen(message=bare, cls=RoomClass.DIRECT, owes=owes)]

    # The brake

    async def _brake(
        self, command: Command, message: Message, room: Room | None, root: EventId
    ) -> _Answer:
        word, sender = command.word, message.sender
        if room is None or room.cls is not RoomClass.REVIEW or word is None:
            reviews = [one for one in self.rooms.values() if one.cls is RoomClass.REVIEW]
            review = reviews[0].name if reviews else "the review room"
            text = self.answers.elsewhere(word or Word.PAUSE, review)
            return _Answer(effects=(_say(message, root, sender, word or "brake", text),))
        text, facts = await self._ordered(command, message, room)
        return _Answer(effects=(_say(message, root, room.id, word, text),), facts=facts)

    async def _ordered(
        self, command: Command, message: Message, review: Room
    ) -> tuple[str, tuple[Fact, ...]]:
        """Carry out what was ordered in the room *review*, or say why not."""
        now, words, on = self.clock(), command.words, command.word is not Word.RESUME
        if now - message.sent_at > STALE_MS:
            return "That reached me late, so I did nothing. Please say it again.", ()
        if command.word is Word.INCIDENT:
            head, _, words = words.partition(" ")
            if head.casefold() not in {"on", "off"}:
                return "Say !incident on or !incident off, and where.", ()
            on = head.casefold() == "on"
        waive, words = _waive(words) if command.word is Word.RESUME else (False, words)
        found = await self._terms(words, command)
        if found.where is None:
            return where_is(self._own_rooms()), ()
        here = found.where.room
        at = self.rooms.get(here) if here else None
        if not brake.may(message.sender, self._roles(message.sender), at, review):
            return (
                "That is for reviewers, administrators, and the supervisor of the room. It is on "
                "record that you asked.", (),
            )  # fmt: skip
        if found.length is not None and not reasonable(found.length):
            return "For how long? From 1 minute to 7 days: 30m, 2h.", ()
        by: str = message.sender
        if waive:
            first = self.agreement.first(here, message.sender, now)
            if first is None:
                return self._second(here), ()
            by = f"{first} and {by}"
        return await self._order(command, found, by, on=on, waive=waive)

    async def _order(
        self, command: Command, found: Terms, by: str, *, on: bool, waive: bool
    ) -> tuple[str, tuple[Fact, ...]]:
        now, here = self.clock(), found.where.room if found.where else None
        mode = Mode.INCIDENT if command.word is Word.INCIDENT else Mode.PAUSE
        order = brake.Order(
            mode=mode, on=on, room=here, by=by, reason=_storable(found.reason), length=found.length
        )
        fact = order.fact(now, self.incident_ms)
        dropped = brake.waived(await self.store.owed(), here, by) if waive else []
        text = self.answers.said.done(fact, now, await self.store.standing(), len(dropped))
        return text, (fact, *dropped)

    async def _terms(self, words: str, command: Command) -> Terms:
        """Where, how long and why; what is replied to says where, if nothing else does."""
        found = terms(words, self._own_rooms())
        if found.where is None and command.reply is not None:
            posted = (await self.store.posted((command.reply,))).get(command.reply)
            if posted is not None and posted.effect.room in self.rooms:
                return replace(found, where=Where(room=posted.effect.room))
        return found

    def _own_rooms(self) -> Sequence[Room]:
        acted = {RoomClass.SOCIAL, RoomClass.COMMUNITY, RoomClass.OPERATIONAL}
        return [room for room in self.rooms.values() if room.cls in acted]

    def _second(self, room: RoomId | None) -> str:
        where = "all" if room is None else self.answers.said.place(room)
        return (
            "To forget what is owed cannot be undone, and takes two people. Somebody else who may "
            f"has 15 minutes to type the same:\n!resume waive {where}"
        )

    def _roles(self, user: UserId) -> frozenset[str]:
        person = self.people().get(user)
        return person.roles if person else frozenset()


def _say(message: Message, root: EventId, to: UserId | RoomId, name: str, text: str) -> Say:
    return Say(room=message.room, about=root, to=to, name=str(name), text=text)


def _storable(words: str) -> str:
    """Cut a reason short, and spell out lone surrogates: no file could hold them."""
    return words[:_LONGEST_REASON].encode("utf-8", "backslashreplace").decode()


def _waive(words: str) -> tuple[bool, str]:
    head, _, rest = words.partition(" ")
    if head.casefold().strip("-") == "waive":
        return True, rest
    return False, words


def _without_nudge(fact: Fact) -> Fact:
    """Whoever types a command is answered, and not nudged about how they put it."""
    if not isinstance(fact, Decided) or fact.verdict.action is not Action.NUDGE:
        return fact
    left = tuple(
        one for one in fact.owes if not (isinstance(one, Notify) and one.moment is Moment.NUDGE)
    )
    return replace(fact, owes=left)
