"""What is decided about an event without judging its words: strange rooms, upgrades, lost keys.

Never keeps anything of a room that is on no register.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from bridge.facts import Decided, Fact, Seen
from bridge.model import (
    Action,
    Kind,
    Message,
    Moment,
    Queue,
    Refer,
    Room,
    RoomClass,
    RoomId,
    Verdict,
)
from bridge.ports import Known
from bridge.way.owing import Owing, tell

log = structlog.get_logger(__name__)

UNLISTED = "builtin:unlisted-room"
UNREADABLE = "builtin:unreadable"
REPLACED = "builtin:room-replaced"


def nothing(revision: str) -> Verdict:
    """The verdict on what nobody judges."""
    return Verdict(action=Action.ALLOW, rule=None, reason="not judged", revision=revision)


def replaced(message: Message, room: Room, owing: Owing, revision: str) -> list[Fact]:
    """A room was replaced by another: we follow it, and the register should be told."""
    reason = "this room was upgraded; Blue Lamp follows it: put the new id on the register"
    owes = tuple(owing.ask(message, room, Queue.ERRORS, reason))
    return [
        Seen(message=message, cls=room.cls),
        Decided(
            message=message,
            cls=room.cls,
            verdict=_asked(REPLACED, reason, Queue.ERRORS, revision),
            owes=owes,
        ),
    ]


def unlisted(message: Message, review: RoomId, revision: str) -> list[Fact]:
    """A room that is on no register: nothing of it is kept, and a person is asked."""
    log.error("room.not_on_register", room=message.room)
    reason = "the bot is in a room that is not on the register; it keeps nothing of it"
    bare = replace(message, kind=Kind.OTHER, body="", formatted="", content=b"{}", ciphertext=b"")
    ask = Refer(
        room=message.room, about=message.event_id, queue=Queue.ERRORS, to=review, reason=reason
    )
    verdict = _asked(UNLISTED, reason, Queue.ERRORS, revision)
    return [
        Seen(message=bare, cls=RoomClass.REVIEW),
        Decided(message=bare, cls=RoomClass.REVIEW, verdict=verdict, owes=(ask,)),
    ]


def unread(message: Message, room: Room, owing: Owing, revision: str) -> list[Fact]:
    """A message whose key did not come: people are told."""
    reason = f"it could not be decrypted ({message.doubt})"
    owes = (
        *owing.ask(message, room, Queue.UNDECRYPTABLE, reason),
        tell(message, Moment.UNREADABLE, reason),
    )
    verdict = _asked(UNREADABLE, reason, Queue.UNDECRYPTABLE, revision)
    return [Decided(message=message, cls=room.cls, verdict=verdict, owes=owes)]


def delivered(message: Message, room: Room, known: Known, revision: str) -> Verdict:
    """The verdict on what the gate was told to stop and delivered: it had waited too long."""
    log.warning("gate.delivered_after_all", room=room.id, event_id=message.event_id)
    return Verdict(
        action=known.action or Action.REDIRECT,
        rule=known.rule,
        reason="the homeserver delivered it although it was to be stopped",
        revision=revision,
    )


def _asked(rule: str, reason: str, queue: Queue, revision: str) -> Verdict:
    return Verdict(
        action=Action.ALLOW,
        rule=rule,
        reason=reason,
        referrals=frozenset({queue}),
        revision=revision,
    )
