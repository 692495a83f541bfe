"""Appeals: what people tap and reply, what it comes to, and the parts of what they are told.

Never reads a store or a clock, and never decides: a person does. Silence decides nothing.

An officer taps 👎 on the bot's note (or says `!appeal`), and a reviewer outside their team looks.
The reviewer taps ✅, ❌ or ➡️ on the request in the review room; the bot asks back, and only their
encrypted reply to that question counts. Reactions travel in the clear, so that whoever runs the
homeserver could forge one: what that can do is have the bot ask a question.

`appealdesk.AppealDesk` is the part that reads the store. Whoever takes a command calls its
`object_to(event, by)` for `!appeal` (*event*: what the command replies to) and for "again"; the
console calls `decide(rid, decision, by, reason)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bridge.detect.markup import own_words_from
from bridge.facts import Appeal, Decision, Stage
from bridge.model import (
    Action,
    Debt,
    Effect,
    EventId,
    Kind,
    Message,
    Moment,
    Notify,
    Restore,
    RoomId,
    Say,
    Status,
    UserId,
)
from bridge.officers.hours import HOUR_MS, Hours
from bridge.policy import plain_reaction
from bridge.register import Person

#: A pass, for a message that could not be posted again, is good for so long.
PASS_MS = 24 * HOUR_MS
#: A tap on a note that says: this was wrong.
WRONG = "👎"
#: What a reviewer taps, and what it stands for. A nudge's `restored` is `false_positive`.
TAPS = {
    "✅": Decision.RESTORED,
    "❌": Decision.ACTION_STANDS,
    "➡️": Decision.REFERRED,
    "➡": Decision.REFERRED,
}
#: Skin tones: a thumb is a thumb.
_TONES = dict.fromkeys(range(0x1F3FB, 0x1F400))
#: A reason is cut after so many characters.
MOST_REASON = 600
_NO = {"no", "cancel", "stop", "wait", "undo"}
_YES = {"yes", "y", "ok", "okay", "confirm", "confirmed", "agreed", "✅"}
_AGAIN = "again"
#: Of more who may decide, the others are counted.
_MOST_NAMES = 8


# What people tap and reply


class _Relation(msgspec.Struct):
    rel_type: str
    event_id: str
    key: str = ""


class _Reaction(msgspec.Struct):
    relation: _Relation = msgspec.field(name="m.relates_to")


class _Answered(msgspec.Struct):
    event_id: str = ""


class _Answer(msgspec.Struct):
    answered: _Answered = msgspec.field(name="m.in_reply_to", default_factory=_Answered)
    rel_type: str = ""
    event_id: str = ""


class _Reply(msgspec.Struct):
    relation: _Answer = msgspec.field(name="m.relates_to")


def tapped(message: Message) -> tuple[EventId, str] | None:
    """Say which event *message* is a reaction to, and what was tapped."""
    if message.kind is not Kind.OTHER or message.type != "m.reaction":
        return None
    try:
        relation = msgspec.json.decode(message.content, type=_Reaction).relation
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if relation.rel_type != "m.annotation" or not _is_event(relation.event_id):
        return None
    return EventId(relation.event_id), plain_reaction(relation.key).translate(_TONES)


def replied(message: Message) -> tuple[tuple[EventId, ...], str] | None:
    """Say what *message* may be a reply to, likeliest first, and its own words.

    In a thread some clients name the newest message of it instead, so its root counts, too.
    """
    if message.kind is not Kind.TEXT or message.replaces is not None or message.suspect:
        return None
    try:
        answer = msgspec.json.decode(message.content, type=_Reply).relation
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    root = answer.event_id if answer.rel_type == "m.thread" else ""
    events = [EventId(one) for one in (answer.answered.event_id, root) if _is_event(one)]
    if not events:
        return None
    words = message.body[own_words_from(message.body) :].strip()
    return tuple(dict.fromkeys(events)), words


def _is_event(name: str) -> bool:
    return 0 < len(name) <= 512 and name.isascii()


def is_again(words: str) -> bool:
    """Say whether a reply asks for a second opinion, however it is spelt."""
    return "".join(one for one in words if one.isalpha()).casefold() == _AGAIN


def is_no(words: str) -> bool:
    """Say whether a reply takes a tap back."""
    return _bare(words) in _NO


def reason_of(words: str) -> str:
    """The reason in a reply that confirms; empty where it is a bare yes."""
    if _bare(words) in _YES:
        return ""
    return " ".join(words.split())[:MOST_REASON].rstrip(".")


def _bare(words: str) -> str:
    return words.strip(" .!\"'“”\n").casefold()


# What is decided


def decided(tap: Decision, action: Action) -> Decision:
    """What a tap comes to: there is nothing to put back after a nudge."""
    if tap is Decision.RESTORED and action < Action.REDIRECT:
        return Decision.FALSE_POSITIVE
    return tap


MEANS = {
    Decision.RESTORED: "the officer was right, and the message goes back",
    Decision.FALSE_POSITIVE: "the officer was right, and the note should not have come",
    Decision.ACTION_STANDS: "the action stands",
    Decision.REFERRED: "somebody else has to decide",
}


def question(decision: Decision, who: str) -> str:
    """What the bot asks back after a tap; the reply to it decides."""
    means = MEANS[decision]
    if decision is Decision.ACTION_STANDS:
        how = "reply to this message with your reason, in a sentence that the officer will read"
    else:
        how = 'reply to this message with "yes", or with a sentence for the record'
    return f'{who}, you mean: {means}. To confirm, {how}. To take it back, reply "no".'


def ask_name(appeal: Appeal, decision: Decision, user: UserId) -> str:
    """Name a question, so that the reply to it is known for what it is."""
    return f"confirm {appeal.rid} {decision.value} {user}"


def asked_in(name: str) -> tuple[str, Decision, UserId] | None:
    """Read back what `ask_name` wrote: the appeal's name, what was tapped, and by whom."""
    parts = name.split(" ", 3)
    if len(parts) != 4 or parts[0] != "confirm":
        return None
    return parts[1], Decision(parts[2]), UserId(parts[3])


# The parts of texts


def received(who: str, by: str, *, outside: bool = True) -> str:
    """For `Moment.APPEALED`, behind the thanks.

    *outside*: who decides is no supervisor of the sender's own, as they may be out of hours.
    """
    where = "outside your team" if outside else "a supervisor, as it is out of hours"
    return (
        f"{who}, {where}, will reply by {by}. They will read it and what is near it, on "
        "record. Anything serious may have to be passed on."
    )


def request(appeal: Appeal, who: Iterable[Person], hours: Hours) -> str:
    """For the reviewers: what it is about, who may decide, by when, and how."""
    names = _names(who)
    again = ", after a first decision" if appeal.round > 1 else ""
    done = "nudged" if appeal.action < Action.REDIRECT else "removed"
    ask = (
        f"{names} may decide"
        if names
        else "nobody in people.csv may decide: it needs a reviewer outside the team"
    )
    return (
        f"its sender says that it was {done} wrongly{again}. The rule was {appeal.rule}. {ask}, by "
        f"{hours.say(appeal.due)}. Its record is {appeal.record}. On this message tap ✅ to agree "
        "with the officer, ❌ to agree with the bot, ➡️ if somebody else has to decide; Blue Lamp "
        "then asks you to confirm"
    )


def _names(who: Iterable[Person]) -> str:
    names = [person.name for person in who]
    more = f" and {len(names) - _MOST_NAMES} others" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def stands(reason: str, again_until: str | None) -> str:
    """For `Moment.STANDS`, which goes on with whom else to ask."""
    if again_until is None:
        return f"{reason}. If it still seems wrong: speak to your supervisor"
    return f'{reason}. Second opinion: reply "again" by {again_until}'


def after(debt: Debt, status: Status) -> tuple[Effect, ...]:
    """Say what the officer is told when a message was posted again, or could not be.

    Without a copy they may send it again themselves.
    """
    effect = debt.effect
    if not isinstance(effect, Restore) or status in {Status.FAILED, Status.REHEARSED}:
        return ()
    if effect.along:
        return ()  # they are told about the message that it went along with
    done = status is Status.DONE
    moment, reason = (Moment.RESTORED, KEPT) if done else (Moment.PASSED, WITHIN)
    told = Notify(
        room=effect.room, about=effect.about, to=debt.sender, moment=moment, reason=reason
    )
    return () if status is Status.WAIVED else (told,)


#: Said after a nudge that should not have come.
RIGHT = (
    "You were right; we are sorry. Your message is where it was, and the note about it counts as "
    "wrong. That helps to keep the rule from troubling others."
)
#: For `Moment.PASSED`.
WITHIN = "It is good for a day, and for one message."
#: For `Moment.RESTORED`.
KEPT = "The copy stays in the other room, as it is part of the record."


def on(by_when: str) -> str:
    """What the officer is told when a reviewer has passed it on."""
    return (
        "A reviewer has read your appeal and passed it on, as somebody else has to decide. You "
        f"still get an answer by {by_when}."
    )


def pressing(appeal: Appeal, who: Sequence[Person], hours: Hours, room: str, stage: Stage) -> str:
    """What people are told about an appeal that waits, or has waited too long."""
    names = _names(who) or "a reviewer from outside the team"
    if stage is Stage.OVERDUE:
        return (
            f"An appeal about a message in {room} was to be answered by {hours.say(appeal.due)}, "
            f"and was not. Nothing is decided by that: {names} still has to. Its record is "
            f"{appeal.record}."
        )
    return (
        f"Please remember the appeal about a message in {room}: an answer was promised by "
        f"{hours.say(appeal.due)}. {names} may decide. Its record is {appeal.record}."
    )


def late(owner: str) -> str:
    """What the officer is told when nobody has answered in time."""
    told = f" {owner} has been told." if owner else ""
    return f"We promised you an answer by now, and are sorry that it is late.{told}"


def say(appeal: Appeal, to: UserId | RoomId, name: str, text: str) -> Say:
    """Say something about *appeal*, once under each name."""
    name = f"appeal-{appeal.round}-{name}"
    return Say(room=appeal.room, about=appeal.event, to=to, name=name, text=text)


def tell(appeal: Appeal, moment: Moment, reason: str) -> Notify:
    """A private word to whoever appealed, once in each round."""
    return Notify(
        room=appeal.room,
        about=appeal.event,
        to=appeal.sender,
        moment=moment,
        reason=reason,
        turn=str(appeal.round) if appeal.round > 1 else "",
    )
