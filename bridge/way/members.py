"""What people say by a reaction: that a message is operational. The supervisor's word moves it.

Never reads words, and never believes a reaction about another room. Clients send reactions in the
clear, so that whoever runs the homeserver could forge one: what that can do is move a message to
the secure room, on record and open to appeal.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from bridge.model import Action, EventId, Kind, Message, Queue, Room, Verdict
from bridge.policy import Policy, plain_reaction
from bridge.policy.meaning import OPERATIONAL
from bridge.ports import Known

SUPERVISOR = "member.supervisor"
ASKS = "member.asks"
AGREES = "member.agrees"
_REACTION = "m.reaction"
_ASK = (
    "a member of the room marked it as operational; the room's supervisor can move it with the "
    "same mark"
)
_UNREAD = "it was marked as operational, and Blue Lamp could not read it to move it"
_LONGEST_ID = 512


class _Relation(msgspec.Struct):
    rel_type: str
    event_id: str
    key: str


class _Content(msgspec.Struct):
    relation: _Relation = msgspec.field(name="m.relates_to")


def marked(message: Message, reactions: Collection[str]) -> EventId | None:
    """Say which message is called operational, if *message* is a reaction that does so."""
    if not reactions or message.kind is not Kind.OTHER or message.type != _REACTION:
        return None
    try:
        relation = msgspec.json.decode(message.content, type=_Content).relation
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if relation.rel_type != "m.annotation" or plain_reaction(relation.key) not in reactions:
        return None
    target = relation.event_id
    return EventId(target) if 0 < len(target) <= _LONGEST_ID and target.isascii() else None


def target(event: EventId, known: Known) -> Message:
    """Stand for a message that is on record, as far as is known without its words."""
    said: dict[str, Any] = {"event_id": event, "room": known.room, "sender": known.sender}
    return Message(**said, sent_at=known.sent_at, kind=Kind.TEXT, type="m.room.message")


def judge(reaction: Message, room: Room, known: Known, policy: Policy) -> Verdict | None:
    """Judge the message that *reaction* marks; None where there is nothing to do.

    *known* is what is on record about it. Where the policy's model may move messages, a member's
    word is enough beside that of a model that has nudged its sender. Of somebody in distress
    nothing is moved or referred, whoever marks it.
    """
    revision = policy.revision
    action = known.action or Action.ALLOW
    if known.room != reaction.room or action >= Action.REDIRECT:
        return None
    if known.action is None and not known.unreadable:
        return None  # no message: nobody judged it
    if known.rule in policy.left_alone:
        return None
    if policy.model_moves and action is Action.NUDGE and known.rule == OPERATIONAL:
        return Verdict(
            action=Action.REDIRECT,
            rule=AGREES,
            reason="it reads like talk about a job, and a member of the room marked it",
            revision=revision,
        )
    if known.unreadable or reaction.sender != room.supervisor:
        if known.rule == ASKS:
            return None  # they have been asked
        return Verdict(
            action=action,
            rule=ASKS,
            reason=_UNREAD if known.unreadable else _ASK,
            referrals=frozenset({Queue.MEMBERS}),
            revision=revision,
        )
    return Verdict(
        action=Action.REDIRECT,
        rule=SUPERVISOR,
        reason="the room's supervisor marked it as operational",
        revision=revision,
    )
