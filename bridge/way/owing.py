"""What a verdict leads to: effects, in the order in which they must happen.

Never acts, and never asks a server: what is owed is written down first (`bridge.way.pipeline`) and
carried out later (`bridge.acting.settle`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import structlog

from bridge.model import (
    Action,
    Choice,
    Close,
    Copy,
    Effect,
    EventId,
    Invite,
    Keep,
    Message,
    Moment,
    Ms,
    Notify,
    Queue,
    Redact,
    Refer,
    Room,
    RoomId,
    Say,
    UserId,
    Verdict,
)

log = structlog.get_logger(__name__)

#: One nudge a person and room in this time: a conversation gets one at most.
NUDGE_MS = 30 * 60 * 1000
#: Support is offered to one person at most once in this time: a day.
SUPPORT_MS = 86_400_000


@dataclass(slots=True, kw_only=True)
class Owing:
    """Turns verdicts into what is owed for them."""

    #: Where people are asked about a room that names no review room.
    review: Callable[[], RoomId | None]
    #: Says who is in a room, as far as the server has told us.
    is_member: Callable[[RoomId, UserId], bool]
    _nudged: dict[tuple[UserId, RoomId], Ms] = field(default_factory=dict)
    #: Kept in memory only: no file says who was in distress, at the price of asking again after a
    #: restart.
    _supported: dict[UserId, Ms] = field(default_factory=dict)

    def owes(
        self,
        verdict: Verdict,
        message: Message,
        room: Room,
        also: tuple[EventId, ...],
        *,
        distress: bool = False,
    ) -> tuple[Effect, ...]:
        """Say what *verdict* leads to; *also* are the events that go out with the message.

        *distress*: its sender seems to be in distress, and there is somebody to talk to.
        """
        about, reason = message.event_id, verdict.reason
        out = [Redact(room=room.id, about=e, reason=public(room)) for e in (*also, about)]
        owes: list[Effect] = []
        match verdict.action:
            case Action.NUDGE if self._may_nudge(message):
                owes.append(tell(message, Moment.NUDGE, reason))
            case Action.REDIRECT if room.secure is not None:
                owes += self._moves(message, room, room.secure, reason)
                owes += out
                owes += self._told(message, room, reason)
            case Action.REDIRECT:
                why = "this room has no secure room"
                owes += self.ask(message, room, Queue.ERRORS, why)
            case Action.QUARANTINE:
                owes += [*out, tell(message, Moment.REMOVED, reason)]
                owes += self.ask(message, room, Queue.MARKINGS, reason)
            case _:
                pass
        for queue in _asked(verdict.referrals):
            owes += self.ask(message, room, queue, reason)
        if distress and self._may_support(message):
            owes.append(tell(message, Moment.SUPPORT, reason))
        if any(isinstance(one, Redact) for one in owes):
            owes.append(Close(room=room.id, about=about, reason=public(room)))
        return tuple(owes)

    def _moves(self, message: Message, room: Room, secure: RoomId, reason: str) -> Iterator[Effect]:
        """Copy it to where its sender may read it, and let them in first if they are not."""
        about, sender = message.event_id, message.sender
        if not _entitled(room, sender):
            to = room.intake or secure
            yield Copy(room=room.id, about=about, to=to, reason=reason)
            return
        if room.entitled is not None and not self.is_member(secure, sender):
            yield Invite(room=room.id, about=about, to=secure, user=sender)
        yield Copy(room=room.id, about=about, to=secure, reason=reason)

    def _told(self, message: Message, room: Room, reason: str) -> Iterator[Effect]:
        yield tell(message, Moment.MOVED, reason)
        yield from self._receives(message, room, reason)

    def _receives(self, message: Message, room: Room, reason: str) -> Iterator[Effect]:
        """Have the supervisor told of what lies in the intake room."""
        if not _entitled(room, message.sender) and room.supervisor is not None:
            yield Notify(
                room=room.id,
                about=message.event_id,
                to=room.supervisor,
                moment=Moment.INTAKE,
                reason=reason,
            )

    def stops(
        self, verdict: Verdict, message: Message, room: Room, times: int = 0
    ) -> tuple[Effect, ...]:
        """Say what is owed for a message that the gate did not deliver: nothing is taken out.

        *times*: how often the same words were stopped just before: they are moved once, and
        explained once more.
        """
        moves = verdict.action is Action.REDIRECT and room.secure is not None
        if times:
            moved = moves and self._is_inside(room, message.sender)
            return (_again(message, room, moved=moved),) if times == 1 else ()
        reason = verdict.reason
        owes: list[Effect] = []
        if moves and self._is_inside(room, message.sender):
            owes += self.chosen(message, room, reason)
        elif moves:
            owes.append(tell(message, Moment.CHOOSE, reason))
            owes.append(Choice(
                room=room.id, about=message.event_id, user=message.sender, reason=reason
            ))  # fmt: skip
        else:
            owes.append(tell(message, Moment.WITHHELD, reason))
            marked = verdict.action is Action.QUARANTINE
            queue = Queue.MARKINGS if marked else Queue.ERRORS
            owes += self.ask(message, room, queue, reason)
        for queue in _asked(verdict.referrals):
            owes += self.ask(message, room, queue, reason)
        return tuple(owes)

    def chosen(self, message: Message, room: Room, reason: str) -> tuple[Effect, ...]:
        """Say what is owed for a message that was not delivered and goes to the secure room."""
        moved = self._moves(message, room, room.secure, reason) if room.secure else ()
        told = tell(message, Moment.STOPPED, reason)
        return (*moved, told, *self._receives(message, room, reason))

    def _is_inside(self, room: Room, user: UserId) -> bool:
        """Say whether *user* is in the secure room already; where nobody has said, they are."""
        if room.secure is None or room.entitled is None:
            return True
        return user in room.entitled and self.is_member(room.secure, user)

    def ask(self, message: Message, room: Room, queue: Queue, reason: str) -> list[Effect]:
        """Have people asked to look at *message*, where there are any."""
        to = room.review or self.review()
        if to is None:
            log.error("refer.nowhere", queue=queue.value, room=room.id, event_id=message.event_id)
            return []
        about = message.event_id
        return [Refer(room=message.room, about=about, queue=queue, to=to, reason=reason)]

    def _may_nudge(self, message: Message) -> bool:
        whom = (message.sender, message.room)
        last = self._nudged.get(whom)
        if last is not None and message.sent_at - last < NUDGE_MS:
            return False
        self._nudged[whom] = message.sent_at
        return True

    def _may_support(self, message: Message) -> bool:
        last = self._supported.get(message.sender)
        if last is not None and message.sent_at - last < SUPPORT_MS:
            return False
        self._supported[message.sender] = message.sent_at
        return True


def _again(message: Message, room: Room, *, moved: bool) -> Say:
    where = " It has been moved already." if moved else ""
    words = (
        f"You have sent that again in {room.name}, and it was not delivered there this time "
        f"either.{where} If you think that this is wrong, answer the first note with 👎."
    )
    return Say(room=room.id, about=message.event_id, to=message.sender, name="again", text=words)


def tell(message: Message, moment: Moment, reason: str) -> Notify:
    """A private word to the sender of *message*."""
    return Notify(
        room=message.room, about=message.event_id, to=message.sender, moment=moment, reason=reason
    )


def keeps(message: Message) -> tuple[Keep, ...]:
    """What is owed for a message's own sake: to keep its files."""
    return tuple(
        Keep(room=message.room, about=message.event_id, part=one.part, url=one.url)
        for one in message.media
    )


def as_edited(owes: tuple[Effect, ...], edits: Sequence[EventId]) -> tuple[Effect, ...]:
    """Copy the newest of *edits*: what people read is what goes to the secure room."""
    if not edits:
        return owes
    return tuple(replace(one, about=edits[-1]) if isinstance(one, Copy) else one for one in owes)


def along_with(owes: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Have the sender told that what they said just before went along."""
    return tuple(
        replace(one, reason=f"{one.reason}. What you said just before went with it")
        if isinstance(one, Notify) and one.moment is Moment.MOVED
        else one
        for one in owes
    )


def _entitled(room: Room, user: UserId) -> bool:
    """Say whether *user* may be in the secure room of *room*; where nobody has said, they may."""
    return room.entitled is None or user in room.entitled


def public(room: Room) -> str:
    """The reason that everyone in the room may read under a redaction."""
    return f"Moved to {room.secure_name}" if room.secure else "Removed by Blue Lamp"


def _asked(queues: Collection[Queue]) -> list[Queue]:
    """Give the queues in whose name people are asked: once about what should not wait."""
    urgent = Queue.ESCALATED in queues
    return sorted(q for q in queues if not (urgent and q is Queue.PROFESSIONAL_STANDARDS))
