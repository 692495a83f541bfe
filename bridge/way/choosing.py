"""Move or discard: what the sender of a stopped message says to the question about it.

Never decides for them, and never holds words: the message is in the ledger, and its ciphertext in
the debt that waits for the answer. Reactions travel in the clear, so that whoever runs the
homeserver could forge one: what that can do is move a message to the secure room, or leave it on
record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from bridge.facts import Performed
from bridge.model import (
    Choice,
    Copy,
    Debt,
    Effect,
    EventId,
    Message,
    Moment,
    Notify,
    Outcome,
    Queue,
    Refer,
    Room,
    RoomId,
    Say,
    Status,
    UserId,
    key,
)
from bridge.officers import appeals
from bridge.officers.appealdesk import Heard
from bridge.ports import Store
from bridge.way import members
from bridge.way.owing import Owing

_MOVE = {"➡️", "➡", "move", "move it", "post it", "yes"}
_DISCARD = {"🗑️", "🗑", "discard", "discard it", "leave it", "no"}
#: What was just sent may not be on record yet; it is waited for so long.
_LATE_S, _LATE_TIMES = 0.1, 20


async def hear(
    message: Message, store: Store, find: Callable[[RoomId], Room | None], owing: Owing
) -> Heard | None:
    """Take a reaction or reply in a direct room that may answer the question; None if it is none.

    A second answer changes nothing: the first has settled what was waiting.
    """
    said = _said(message)
    if said is None or message.suspect:
        return None
    event, moves = said
    asked = await _asked(store, event, message.sender)
    if asked is None:
        return None
    about = asked.about
    waiting = await _waiting(store, message.sender, about)
    known, room = (await store.known((about,))).get(about), find(asked.room)
    done = await store.posted_about(about)
    if waiting is None or known is None or any(isinstance(one.effect, Copy) for one in done):
        return Heard()
    if room is None or room.secure is None:
        return Heard()  # it is no longer on the register: the question stays open, and lapses
    settled = Status.DONE if moves else Status.WAIVED
    outcome = Outcome(key=key(waiting), status=settled, detail="move" if moves else "discard")
    subject = members.target(about, known)
    owes: tuple[Effect, ...] = (
        owing.chosen(subject, room, asked.reason) if moves else (_left(subject, room),)
    )
    return Heard(facts=(Performed(outcome=outcome, owes=owes),))


def overtaken(owed: Iterable[Effect]) -> Iterator[Performed]:
    """There is nothing left to choose: what was asked about was delivered and moved after all."""
    for one in owed:
        if isinstance(one, Choice):
            detail = "it was delivered after all"
            yield Performed(outcome=Outcome(key=key(one), status=Status.WAIVED, detail=detail))


def lapsed(debt: Debt, room: Room | None, review: RoomId | None) -> Performed:
    """Nobody has answered in time: it is left, and the supervisor hears that, without content."""
    effect = debt.effect
    outcome = Outcome(key=key(effect), status=Status.ABANDONED, detail="not answered in time")
    to = (room.review if room else None) or review
    owes: tuple[Effect, ...] = ()
    if room is not None and room.supervisor is not None:
        text = (
            f"{debt.sender} wrote something in {room.name} that was not delivered, as it seems to "
            f"belong in {room.secure_name or 'another room'}, and has not said whether to move it. "
            "It was left. What it said is in the record only."
        )
        said = Say(
            room=effect.room, about=effect.about, to=room.supervisor, name="unanswered", text=text
        )
        owes = (said,)
    elif to is not None:
        reason = "it was not delivered, and its sender has not said whether to move it"
        owes = (Refer(
            room=effect.room, about=effect.about, queue=Queue.ERRORS, to=to, reason=reason
        ),)  # fmt: skip
    return Performed(outcome=outcome, owes=owes)


def _said(message: Message) -> tuple[EventId, bool] | None:
    """What is answered, and whether the answer is to move."""
    event, word = EventId(""), ""
    if (tap := appeals.tapped(message)) is not None:
        event, word = tap
    elif (reply := appeals.replied(message)) is not None:
        event, word = reply[0][0], reply[1].strip(" .!\"'\n").casefold()
    if word in _MOVE:
        return event, True
    return (event, False) if word in _DISCARD else None


async def _asked(store: Store, event: EventId, user: UserId) -> Notify | None:
    """The question that *event* is, if it was put to *user*."""
    for _ in range(_LATE_TIMES):
        one = (await store.posted((event,))).get(event)
        if one is not None:
            effect = one.effect
            fits = isinstance(effect, Notify) and effect.moment is Moment.CHOOSE
            return effect if fits and isinstance(effect, Notify) and effect.to == user else None
        if await _waiting(store, user) is None:
            return None
        await asyncio.sleep(_LATE_S)
    return None


async def _waiting(store: Store, user: UserId, about: EventId | None = None) -> Choice | None:
    """What waits for *user* to choose."""
    for debt in await store.owed():
        one = debt.effect
        if isinstance(one, Choice) and one.user == user and about in {None, one.about}:
            return one
    return None


def _left(message: Message, room: Room) -> Say:
    text = f"It was left: nobody in {room.name} or elsewhere has it. The record does."
    return Say(room=room.id, about=message.event_id, to=message.sender, name="left", text=text)
