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

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from bridge import members
from bridge.facts import Decided, Fact, Missed, Seen
from bridge.ledger.record import new_rid
from bridge.model import (
    JUDGED,
    Action,
    Batch,
    Copy,
    Effect,
    EventId,
    Keep,
    Kind,
    Message,
    Moment,
    Ms,
    Notify,
    Queue,
    Redact,
    Refer,
    Rid,
    Room,
    RoomClass,
    RoomId,
    UserId,
    Verdict,
)
from bridge.policy import Policy
from bridge.policy.hints import Hints
from bridge.ports import Known, Store, Transport

log = structlog.get_logger(__name__)

#: One nudge a person and room in this time: a conversation gets one at most.
NUDGE_MS = 30 * 60 * 1000
#: Support is offered to one person at most once in this time: a day.
SUPPORT_MS = 86_400_000
UNLISTED = "builtin:unlisted-room"
UNREADABLE = "builtin:unreadable"
EDIT_OF_MOVED = "builtin:edit-of-moved"
DOUBTFUL = "builtin:doubtful"
REPLACED = "builtin:room-replaced"
#: Stands for a record that is about to be made.
_NO_RID = Rid("")
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
    _hints: Hints = field(default_factory=Hints)
    _nudged: dict[tuple[UserId, RoomId], Ms] = field(default_factory=dict)
    #: Kept in memory only: no file says who was in distress, at the price of asking again after a
    #: restart.
    _supported: dict[UserId, Ms] = field(default_factory=dict)
    _unlisted: set[RoomId] = field(default_factory=set)

    async def run(self) -> None:
        """Take batches for ever."""
        cursor, waiting = await self.store.cursor(), await self.store.waiting()
        async for batch in self.transport.batches(cursor, waiting):
            await self.handle(batch)

    async def handle(self, batch: Batch) -> None:
        """Take one batch through (1) and (2), and have (3) begin."""
        facts: list[Fact] = [Missed(gap=gap) for gap in batch.gaps]
        recall = await self._recall(batch)
        for served in batch.messages:
            if not recall.is_new(served):
                continue
            message = recall.as_ours(served)
            made = await self._judge(message, recall)
            recall.note(message, made)
            facts += made
        await self.store.append(facts, cursor=batch.cursor)
        if any(isinstance(fact, (Seen, Decided)) and fact.owes for fact in facts):
            self.wake()

    async def _recall(self, batch: Batch) -> _Recall:
        edited = {m.replaces for m in batch.messages if m.replaces}
        # An edit of an edit is an edit of the first message, whatever its sender's client says.
        roots = await self.store.known(tuple(edited)) if edited else {}
        edited |= {known.replaces for known in roots.values() if known.replaces}
        ids = edited | {m.event_id for m in batch.messages}
        reactions = self.policy().reactions
        ids |= {event for m in batch.messages if (event := members.marked(m, reactions))}
        return _Recall(
            known=dict(await self.store.known(tuple(ids))),
            sources=dict(await self.store.sources(batch.messages)),
            edits={e: list(await self.store.edits(e)) for e in edited},
        )

    async def _judge(self, message: Message, recall: _Recall) -> list[Fact]:
        """Say what is to be recorded of one message, and what is owed for it."""
        room = self._room(message.room)
        if room is None:
            if self.transport.is_direct(message.room):
                return [Seen(message=message, cls=RoomClass.DIRECT)]
            return self._refer_unlisted(message)
        keep = tuple(
            Keep(room=room.id, about=message.event_id, part=one.part, url=one.url)
            for one in message.media
        )
        rid: Rid | None = None
        judged = room.cls in JUDGED and message.sender != self.transport.user
        if not judged or message.kind not in _WORDS:
            if message.kind is Kind.STATE and message.type == "m.room.tombstone":
                return self._refer_replaced(message, room)
            marked = members.marked(message, self.policy().reactions)
            if judged and marked is not None and not message.suspect:
                seen = Seen(message=message, cls=room.cls)
                return [seen, *await self._marked(message, room, marked, recall)]
            if not message.suspect:
                return [Seen(message=message, cls=room.cls, owes=keep)]
            verdict = self._nothing()
        else:
            verdict = self.policy().judge(message, room.cls, hints=self._hints.of(message))
        original = recall.original(message)
        if original is not None and _moved(original):
            # Its message has been moved: an edit that arrives late goes the same way.
            verdict = _follow(verdict, original)
        if message.suspect:
            verdict = _doubtful(verdict, message.doubt)
        if _plain(verdict):
            return [Seen(message=message, cls=room.cls, clean=verdict, owes=keep)]
        if verdict.score:
            rid = new_rid()
            self._hints.note(message, rid, verdict, self.policy().memory)
        already = await self._also_out(message, recall)
        owes = self._owes(verdict, message, room, already)
        return [
            Seen(message=message, cls=room.cls, owes=keep, rid=rid),
            Decided(message=message, cls=room.cls, verdict=verdict, owes=owes),
        ]

    async def _marked(
        self, reaction: Message, room: Room, event: EventId, recall: _Recall
    ) -> list[Fact]:
        """Somebody says of a message that it is operational: move it, or ask the supervisor."""
        known = recall.known.get(event)
        if known is not None and known.replaces is not None:
            event, known = known.replaces, recall.known.get(known.replaces)
        if known is None or known.sender == self.transport.user:
            return []
        verdict = members.judge(reaction, room, known, self.policy().revision)
        if verdict is None:
            return []
        message = members.target(event, known)
        edits = (*await self.store.edits(event), *recall.edits.get(event, ()))
        owes = self._owes(verdict, message, room, tuple(dict.fromkeys(edits)))
        if edits:  # what people read is what goes to the secure room
            owes = tuple(
                replace(one, about=edits[-1]) if isinstance(one, Copy) else one for one in owes
            )
        recall.known[event] = replace(known, action=verdict.action, rule=verdict.rule)
        return [Decided(message=message, cls=room.cls, verdict=verdict, owes=owes)]

    async def _also_out(self, message: Message, recall: _Recall) -> tuple[EventId, ...]:
        """Which events must go with *message* when it goes: what it edits, and other edits."""
        if message.replaces is None:
            return await self.store.edits(message.event_id)
        original = recall.original(message)
        if original is not None and _moved(original):
            return ()
        others = (e for e in recall.edits.get(message.replaces, ()) if e != message.event_id)
        return (message.replaces, *others)

    def _room(self, room: RoomId) -> Room | None:
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
        about, reason = message.event_id, verdict.reason
        out = [Redact(room=room.id, about=e, reason=_public(room)) for e in (*also, about)]
        owes: list[Effect] = []
        match verdict.action:
            case Action.NUDGE if self._may_nudge(message):
                owes.append(_tell(message, Moment.NUDGE, reason))
            case Action.REDIRECT if room.secure is not None:
                copy = Copy(room=room.id, about=about, to=room.secure, reason=reason)
                owes += [copy, *out, _tell(message, Moment.MOVED, reason)]
            case Action.REDIRECT:
                owes += self._ask(message, room, Queue.ERRORS, "this room has no secure room")
            case Action.QUARANTINE:
                owes += [*out, _tell(message, Moment.REMOVED, reason)]
                owes += self._ask(message, room, Queue.MARKINGS, reason)
            case _:
                pass
        for queue in sorted(verdict.referrals):
            owes += self._ask(message, room, queue, reason)
        if self.policy().sees_distress(verdict) and self._may_support(message):
            owes.append(_tell(message, Moment.SUPPORT, reason))
        return tuple(owes)

    def _may_nudge(self, message: Message) -> bool:
        whom = (message.sender, message.room)
        last = self._nudged.get(whom)
        if last is not None and message.sent_at - last < NUDGE_MS:
            return False
        self._nudged[whom] = message.sent_at
        return True

    def _may_support(self, message: Message) -> bool:
        last = self._supported.get(message.sender)
        if not self.peer_support or (last is not None and message.sent_at - last < SUPPORT_MS):
            return False
        self._supported[message.sender] = message.sent_at
        return True

    def _ask(self, message: Message, room: Room, queue: Queue, reason: str) -> list[Effect]:
        to = room.review or self.review
        if to is None:
            log.error("refer.nowhere", queue=queue.value, room=room.id, event_id=message.event_id)
            return []
        about = message.event_id
        return [Refer(room=message.room, about=about, queue=queue, to=to, reason=reason)]

    def _refer_replaced(self, message: Message, room: Room) -> list[Fact]:
        """A room was replaced by another: we follow it, and the register should be told."""
        reason = "this room was upgraded; Blue Lamp follows it: put the new id on the register"
        verdict = replace(self._nothing(), rule=REPLACED, reason=reason,
                          referrals=frozenset({Queue.ERRORS}))  # fmt: skip
        owes = tuple(self._ask(message, room, Queue.ERRORS, reason))
        return [
            Seen(message=message, cls=room.cls),
            Decided(message=message, cls=room.cls, verdict=verdict, owes=owes),
        ]

    def _refer_unlisted(self, message: Message) -> list[Fact]:
        """A room that is on no register: nothing of it is kept, and a person is asked, once."""
        if message.room in self._unlisted or self.review is None:
            return []
        self._unlisted.add(message.room)
        log.error("room.not_on_register", room=message.room)
        reason = "the bot is in a room that is not on the register; it keeps nothing of it"
        bare = replace(
            message, kind=Kind.OTHER, body="", formatted="", content=b"{}", ciphertext=b""
        )
        ask = Refer(
            room=message.room, about=message.event_id, queue=Queue.ERRORS, to=self.review,
            reason=reason,
        )  # fmt: skip
        verdict = Verdict(
            action=Action.ALLOW, rule=UNLISTED, reason=reason,
            referrals=frozenset({Queue.ERRORS}), revision=self.policy().revision,
        )  # fmt: skip
        return [
            Seen(message=bare, cls=RoomClass.REVIEW),
            Decided(message=bare, cls=RoomClass.REVIEW, verdict=verdict, owes=(ask,)),
        ]

    def _nothing(self) -> Verdict:
        revision = self.policy().revision
        return Verdict(action=Action.ALLOW, rule=None, reason="not judged", revision=revision)

    def give_up(self, message: Message) -> list[Fact]:
        """Decide about a message whose key did not come: people are told."""
        room = self._room(message.room)
        if room is None:
            return []
        reason = f"it could not be decrypted ({message.doubt})"
        owes = [
            *self._ask(message, room, Queue.UNDECRYPTABLE, reason),
            _tell(message, Moment.UNREADABLE, reason),
        ]
        verdict = Verdict(
            action=Action.ALLOW, rule=UNREADABLE, reason=reason,
            referrals=frozenset({Queue.UNDECRYPTABLE}), revision=self.policy().revision,
        )  # fmt: skip
        return [Decided(message=message, cls=room.cls, verdict=verdict, owes=tuple(owes))]


def _plain(verdict: Verdict) -> bool:
    return verdict.rule is None and not verdict.findings and not verdict.hints


def _tell(message: Message, moment: Moment, reason: str) -> Notify:
    return Notify(
        room=message.room, about=message.event_id, to=message.sender, moment=moment, reason=reason
    )


def _public(room: Room) -> str:
    """The reason that everyone in the room may read under a redaction."""
    return f"Moved to {room.secure_name}" if room.secure else "Removed by Blue Lamp"


def _follow(verdict: Verdict, original: Known) -> Verdict:
    if verdict.action >= Action.REDIRECT:
        return verdict
    return replace(
        verdict,
        action=original.action or Action.REDIRECT,
        rule=EDIT_OF_MOVED,
        reason="it edits a message that was moved",
    )


def _doubtful(verdict: Verdict, doubt: str) -> Verdict:
    """What its author says of itself does not add up: a person looks, whatever else happens."""
    return replace(
        verdict,
        rule=verdict.rule or DOUBTFUL,
        reason=verdict.reason if verdict.action else f"as presented by the server: {doubt}",
        referrals=verdict.referrals | {Queue.ERRORS},
    )


def _moved(known: Known) -> bool:
    return (known.action or Action.ALLOW) >= Action.REDIRECT


@dataclass(slots=True, kw_only=True)
class _Recall:
    """What is on record about the messages of a batch, growing as they are judged."""

    known: dict[EventId, Known]
    #: (session, index) → the event that first carried it.
    sources: dict[tuple[str, int], EventId]
    #: Edited event → its edits, oldest first.
    edits: dict[EventId, list[EventId]]

    def is_new(self, message: Message) -> bool:
        """Say whether there is anything to record: first seen, or first readable."""
        before = self.known.get(message.event_id)
        return before is None or (before.unreadable and message.kind is not Kind.UNREADABLE)

    def as_ours(self, message: Message) -> Message:
        """Mark what was unreadable before; forget an edit of somebody else's message."""
        middle = self.original(message)
        if middle is not None and middle.replaces is not None:
            message = replace(message, replaces=middle.replaces)
        original = self.original(message)
        if original is not None and original.sender != message.sender:
            message = replace(message, replaces=None)  # clients ignore it, too
        first = self.sources.get((message.session, message.index))
        if first is not None and first != message.event_id:
            doubt = "its ciphertext was posted before, as another event"
            message = replace(message, doubt=doubt, suspect=True)
        late = message.event_id in self.known
        return message if message.late is late else replace(message, late=late)

    def original(self, message: Message) -> Known | None:
        """What is on record about the message that this one edits."""
        return self.known.get(message.replaces) if message.replaces else None

    def note(self, message: Message, made: list[Fact]) -> None:
        """Let later messages of the batch see what was decided about this one."""
        if not made:
            return
        if message.index >= 0:
            self.sources.setdefault((message.session, message.index), message.event_id)
        verdict = next((fact.verdict for fact in made if isinstance(fact, Decided)), None)
        self.known[message.event_id] = Known(
            rid=_NO_RID,
            sender=message.sender,
            action=verdict.action if verdict else Action.ALLOW,
            rule=verdict.rule if verdict else None,
            replaces=message.replaces,
            unreadable=message.kind is Kind.UNREADABLE,
            room=message.room,
            sent_at=message.sent_at,
        )
        original = self.original(message)
        if message.replaces is None:
            return
        self.edits.setdefault(message.replaces, []).append(message.event_id)
        if verdict is not None and original is not None:
            moved = replace(original, action=verdict.action, rule=verdict.rule)
            self.known[message.replaces] = moved
