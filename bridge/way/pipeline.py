"""One batch through: judge, record, owe. The order of effects is fixed here.

Never acts on the world: what is owed is carried out by `settle`, in a task of its own, so that
keys keep arriving meanwhile.

(1) judge every message of the batch that was not judged before;
(2) in one transaction: append the records, note what is owed, move the cursor;
(3) settle.

A crash before (2) is a crash before anything happened: the batch comes again. A crash after (2)
leaves debts, and starting up is (3) by the same code.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from bridge.facts import GATE, LET_THROUGH, OWES, Adjudicated, Decided, Fact, Missed, Seen
from bridge.model import (
    JUDGED,
    Action,
    Batch,
    Effect,
    EventId,
    Kind,
    Message,
    Notify,
    Redact,
    Room,
    RoomClass,
    RoomId,
    Verdict,
    key,
)
from bridge.officers.appealdesk import AppealDesk, Heard
from bridge.officers.brake import append, stopped
from bridge.officers.frontdesk import FrontDesk
from bridge.policy import Policy
from bridge.ports import Known, Store, Transport
from bridge.understand.model import Belief
from bridge.understand.stage import Understanding
from bridge.way import choosing, members, strange
from bridge.way.amending import plain
from bridge.way.judging import Judge, beside
from bridge.way.owing import Owing, along_with, as_edited, keeps
from bridge.way.recall import Recall, moved
from bridge.way.recalling import recalled
from bridge.way.runs import along as run_along

_WORDS = frozenset({Kind.TEXT, Kind.MEDIA})


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """Takes batches from the transport to the store."""

    transport: Transport
    store: Store
    policy: Callable[[], Policy]
    #: The approved rooms; an upgraded room joins them under its new id. Shared with others.
    rooms: dict[RoomId, Room]
    #: Where people are asked about a room that is on no register.
    review: RoomId | None
    #: Called when something is newly owed.
    wake: Callable[[], None]
    #: Whether there is somebody to talk to for people in distress.
    peer_support: bool = False
    #: Reads what rules cannot; None where no model takes part.
    understanding: Understanding | None = None
    #: Hears appeals; None where nobody does.
    appeals: AppealDesk | None = None
    #: Takes commands; None where nobody does.
    desk: FrontDesk | None = None
    #: Says what is to be recorded of a ✅ on a card; None of anything else.
    cards: Callable[[Message], tuple[Fact, ...] | None] = lambda _: None
    #: Called when a person has said whether a rule was right.
    ruled: Callable[[], None] = lambda: None
    #: Held from looking at what is on record until what follows from it is there, too.
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _unlisted: set[RoomId] = field(default_factory=set)
    _words: Judge = field(init=False)
    _owing: Owing = field(init=False)

    def __post_init__(self) -> None:
        """Know how words are judged, and what verdicts lead to."""
        # The policy may become another while we run.
        self._words = Judge(policy=lambda: self.policy(), store=self.store)  # noqa: PLW0108
        self._owing = Owing(review=lambda: self.review, is_member=self.transport.is_member)

    async def run(self, met: Callable[[Batch], Awaitable[None]]) -> None:
        """Take batches for ever, each after *met* has met with its rooms."""
        cursor, waiting = await self.store.cursor(), await self.store.waiting()
        async for batch in self.transport.batches(cursor, waiting):
            await met(batch)
            await self.handle(batch)

    async def handle(self, batch: Batch) -> None:
        """Take one batch through (1) and (2), and have (3) begin."""
        async with self._turn:
            facts = await append(self.store, await self._facts(batch), batch.cursor)
        if any(isinstance(fact, Adjudicated) for fact in facts):
            self.ruled()
        if any(isinstance(fact, OWES) and fact.owes for fact in facts):
            self.wake()

    async def reread(self, message: Message, belief: Belief) -> None:
        """Decide about a message on record that the model has read since."""
        async with self._turn:
            facts = await append(self.store, await self.reconsider(message, belief))
        if facts:
            self.wake()

    async def _facts(self, batch: Batch) -> list[Fact]:
        facts: list[Fact] = [Missed(gap=gap) for gap in batch.gaps]
        self._words.begin()
        recall = await recalled(batch, self.store, self.policy().reactions)
        recall.beliefs.update(await self._understood(batch, recall))
        for served in batch.messages:
            if not recall.is_new(served):
                facts += await self._delivered(served, recall)
                continue
            message = recall.as_ours(served)
            made = await self._taken(message, recall)
            recall.note(message, made)
            facts += made
        return facts

    async def _understood(self, batch: Batch, recall: Recall) -> dict[EventId, Belief]:
        """Ask the model what it believes of what is new and judged, as far as time allows."""
        if self.understanding is None:
            return {}
        rooms = ((message, self.room(message.room)) for message in batch.messages)
        said = [
            (message, room.cls)
            for message, room in rooms
            if room is not None and room.cls in JUDGED and message.kind in _WORDS
            and message.sender != self.transport.user and recall.is_new(message)
            and not self._words.foresees(message)
        ]  # fmt: skip
        return await self.understanding.of(said, self.policy().wants_belief)

    def _is_read(self, message: Message, room: Room, recall: Recall) -> bool:
        """Say whether the model has been heard about a message, or has nothing to say."""
        if self.understanding is None or message.event_id in recall.beliefs:
            return True
        return not self.policy().wants_belief(message, room.cls)

    async def _judge(self, message: Message, recall: Recall) -> list[Fact]:
        """Say what is to be recorded of one message, and what is owed for it."""
        room = self.room(message.room)
        if room is None:
            if self.transport.is_direct(message.room):
                return [Seen(message=message, cls=RoomClass.DIRECT)]
            if message.room in self._unlisted or self.review is None:
                return []  # asked once
            self._unlisted.add(message.room)
            return strange.unlisted(message, self.review, self.policy().revision)
        keep, origin = keeps(message), ""
        judged = room.cls in JUDGED and message.sender != self.transport.user
        if not judged or message.kind not in _WORDS:
            if message.kind is Kind.STATE and message.type == "m.room.tombstone":
                revision = self.policy().revision
                return strange.replaced(message, room, self._owing, revision)
            marked = members.marked(message, self.policy().reactions)
            if judged and marked is not None and not message.suspect:
                seen = Seen(message=message, cls=room.cls)
                return [seen, *await self._marked(message, room, marked, recall)]
            if not message.suspect:
                return [Seen(message=message, cls=room.cls, owes=keep)]
            verdict = strange.nothing(self.policy().revision)
        else:
            origin = self._words.practised(message)
            verdict = await self._words.of_words(message, room, recall)
        verdict = beside(verdict, message, recall)
        if plain(verdict):
            return [Seen(message=message, cls=room.cls, clean=verdict, owes=keep)]
        rid = self._words.remember(message, verdict)
        already = await self._also_out(message, recall)
        owes = self._owes(verdict, message, room, already)
        if along := await self._along(message, verdict, room, recall):
            owes = along_with(owes)
        self._words.note(message, verdict)
        return [
            *along,
            Seen(message=message, cls=room.cls, owes=keep, rid=rid, origin=origin),
            Decided(message=message, cls=room.cls, verdict=verdict, owes=owes),
        ]

    async def _delivered(self, served: Message, recall: Recall) -> list[Fact]:
        """Take out what the gate was told to stop and, having waited too long, delivered.

        It is on record as moved, and nobody has taken it out or owes to: also after a crash
        between the record and the answer.
        """
        room, known = self.room(served.room), recall.known[served.event_id]
        if room is None or served.kind not in _WORDS or not moved(known):
            return []
        about = served.event_id
        done = [posted.effect for posted in await self.store.posted_about(about)]
        owed = [debt.effect for debt in await self.store.owed() if debt.effect.about == about]
        if any(isinstance(one, Redact) for one in (*done, *owed)):
            return []
        verdict = strange.delivered(served, room, known, self.policy().revision)
        paid = {key(one) for one in (*done, *owed)}
        all_of_it = self._owes(verdict, served, room, ())
        owes = tuple(one for one in all_of_it if key(one) not in paid)
        decided = Decided(message=served, cls=room.cls, verdict=verdict, owes=owes)
        return [*choosing.overtaken(owed), decided]

    async def stop(
        self,
        served: Message,
        *,
        times: int = 0,
        too_late: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Say whether the gate must not deliver a message; what it stops is on record by then.

        *times*: how often the same words of the same person were stopped just before. *too_late*:
        whether the gate has stopped waiting, so that it will be delivered.
        """
        if not await self._may_stop(served):
            return False  # as most: it waits for nobody, and is judged after delivery
        async with self._turn:
            facts, stop = await self._stop(served, times, too_late)
            if facts:
                await self.store.append(facts)
        if facts:
            self.wake()
        return stop

    async def _recall(self, served: Message) -> Recall:
        batch = Batch(messages=(served,))
        return await recalled(batch, self.store, self.policy().reactions)

    async def _may_stop(self, served: Message) -> bool:
        """Say whether it has to be looked at more closely whether to stop a message."""
        room = self.room(served.room)
        if room is None or room.cls not in JUDGED or served.kind not in _WORDS:
            return False
        recall = await self._recall(served)
        if recall.sources or recall.carried(served) is not None:
            return True
        return self._words.may_stop(recall.as_ours(served), room, recall)

    async def _stop(
        self, served: Message, times: int, too_late: Callable[[], bool]
    ) -> tuple[list[Fact], bool]:
        room = self.room(served.room)
        if room is None or room.cls not in JUDGED or served.kind not in _WORDS:
            return [], False
        recall = await self._recall(served)
        first = tuple(recall.sources.values())
        recall.known.update(await self.store.known(first) if first else {})
        if (known := recall.carried(served)) is not None:
            return [], known.sender == served.sender and moved(known)  # its client tries again
        message = recall.as_ours(served)
        if message.suspect:
            return [], False  # a person looks at it after delivery
        recall.beliefs.update(await self._understood(Batch(messages=(message,)), recall))
        verdict = await self._words.of_words(message, room, recall)
        verdict = beside(verdict, message, recall)
        quiet = room.rehearse or {room.id, None} & stopped(await self.store.standing())
        if verdict.action < Action.REDIRECT or quiet or too_late():
            if self._is_read(message, room, recall):
                practised = room.rehearse and verdict.action >= Action.REDIRECT
                self._words.foresee(message, verdict, practised=practised)
            return [], False
        # An edit that nobody saw changes nothing about what it would have edited.
        message = replace(message, replaces=None)
        owes = self._owing.stops(verdict, message, room, times)
        self._words.note(message, verdict)
        cls = RoomClass.OPERATIONAL  # its record is evidence, and not a social room's
        return [
            Seen(
                message=message,
                cls=cls,
                owes=keeps(message),
                rid=self._words.remember(message, verdict),
                origin=GATE,
            ),
            Decided(message=message, cls=cls, verdict=verdict, owes=owes),
        ], True

    async def _taken(self, message: Message, recall: Recall) -> list[Fact]:
        """Judge *message*, unless it is about an appeal; answer it if it is a command."""
        room, judge = self.room(message.room), functools.partial(self._judge, message, recall)
        heard, ours = None, room is not None or self.transport.is_direct(message.room)
        ours = ours and message.sender != self.transport.user
        if ours and room is None:
            heard = await choosing.hear(message, self.store, self.room, self._owing)
        if ours and heard is None and (read := self.cards(message)) is not None:
            heard = Heard(facts=read)
        if self.appeals is not None and ours and heard is None:
            heard = await self.appeals.hear(message, room)
        if heard is not None:
            cls = room.cls if room else RoomClass.DIRECT
            return [Seen(message=message, cls=cls, owes=heard.owes), *heard.facts]
        return await judge() if self.desk is None else await self.desk.take(message, room, judge)

    async def _marked(
        self, reaction: Message, room: Room, event: EventId, recall: Recall
    ) -> list[Fact]:
        """Somebody says of a message that it is operational: move it, or ask the supervisor."""
        known = recall.known.get(event)
        if known is not None and known.replaces is not None:
            event, known = known.replaces, recall.known.get(known.replaces)
        if known is None or known.sender == self.transport.user:
            return []
        verdict = members.judge(reaction, room, known, self.policy())
        if verdict is None:
            return []
        message = members.target(event, known)
        edits = (*await self.store.edits(event), *recall.edits.get(event, ()))
        owes = self._owes(verdict, message, room, tuple(dict.fromkeys(edits)))
        owes = as_edited(owes, edits)
        recall.known[event] = replace(known, action=verdict.action, rule=verdict.rule)
        return [Decided(message=message, cls=room.cls, verdict=verdict, owes=owes)]

    async def _also_out(self, message: Message, recall: Recall) -> tuple[EventId, ...]:
        """Which events must go with *message* when it goes: what it edits, and other edits."""
        if message.replaces is None:
            return await self.store.edits(message.event_id)
        original = recall.original(message)
        if original is not None and moved(original):
            return ()
        others = (e for e in recall.edits.get(message.replaces, ()) if e != message.event_id)
        return (message.replaces, *others)

    async def reconsider(self, message: Message, belief: Belief | None = None) -> list[Fact]:
        """Judge a message on record again, which says more than when it came.

        Or of which the model has come to *belief* since. Only what is stricter than before is
        decided.
        """
        room = self.room(message.room)
        before = (await self.store.known((message.event_id,))).get(message.event_id)
        if room is None or room.cls not in JUDGED or before is None or moved(before):
            return []
        if before.sender == self.transport.user or before.rule == LET_THROUGH:
            return []
        verdict = self._words.verdict(message, room, belief)
        was = before.action or Action.ALLOW
        asks = bool(verdict.referrals) and verdict.rule != before.rule
        if verdict.action < was or (verdict.action is was and not asks):
            return []
        return await self._decided(message, verdict, room, before)

    async def decide(self, message: Message, verdict: Verdict) -> None:
        """Have a message on record go where *verdict* says, unless it has gone already."""
        async with self._turn:
            room = self.room(message.room)
            before = (await self.store.known((message.event_id,))).get(message.event_id)
            if room is None or before is None or moved(before):
                return
            await append(self.store, await self._decided(message, verdict, room, before))
        self.wake()

    async def _decided(
        self, message: Message, verdict: Verdict, room: Room, before: Known
    ) -> list[Fact]:
        """Decide about a message on record, which goes with all of its edits if it goes."""
        first = before.replaces or message.event_id  # who edits whom is as recorded
        all_of_it = dict.fromkeys((first, *await self.store.edits(first)))
        also = tuple(event for event in all_of_it if event != message.event_id)
        owes = self._owes(verdict, message, room, also)
        return [Decided(message=message, cls=room.cls, verdict=verdict, owes=owes)]

    def room(self, room: RoomId) -> Room | None:
        """The approved room, also under the id that an upgrade gave it."""
        if room not in self.rooms:
            approved = self.rooms.get(self.transport.origin(room))
            if approved is None:
                return None
            self.rooms[room] = replace(approved, id=room)
        return self.rooms[room]

    def _owes(
        self, verdict: Verdict, message: Message, room: Room, also: tuple[EventId, ...]
    ) -> tuple[Effect, ...]:
        """Turn a verdict into effects, in the order in which they must happen."""
        distress = self.peer_support and self.policy().sees_distress(verdict)
        return self._owing.owes(verdict, message, room, also, distress=distress)

    async def _along(
        self, message: Message, verdict: Verdict, room: Room, recall: Recall
    ) -> list[Fact]:
        """What the same person said just before goes with a message that is moved."""
        found = self._words.runs.earlier(message) if verdict.action is Action.REDIRECT else ()
        if not found:
            return []
        known = {**await self.store.known([one.event for one in found]), **recall.known}
        facts: list[Fact] = []
        for event, newest, ciphertext in found:
            before = known.get(event)
            if before is None or moved(before) or before.unreadable:
                continue
            edits = (*await self.store.edits(event), *recall.edits.get(event, ()))
            fragment, judged = members.target(event, before), run_along(verdict)
            if newest == (event, *edits)[-1]:
                fragment = replace(fragment, ciphertext=ciphertext)
            owes = self._owes(judged, fragment, room, tuple(dict.fromkeys(edits)))
            # Its sender is told once, about the message that it goes along with.
            untold = tuple(one for one in owes if not isinstance(one, Notify))
            owes = as_edited(untold, edits)
            recall.known[event] = replace(before, action=judged.action, rule=judged.rule)
            facts.append(Decided(message=fragment, cls=room.cls, verdict=judged, owes=owes))
        return facts

    def give_up(self, message: Message) -> list[Fact]:
        """Decide about a message whose key did not come: people are told."""
        room = self.room(message.room)
        if room is None:
            return []
        return strange.unread(message, room, self._owing, self.policy().revision)
