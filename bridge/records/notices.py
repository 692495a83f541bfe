"""Who has been shown what is kept in their rooms, and who has acknowledged it.

Never tells anybody anything: it reads what the running bot has on record.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bridge.model import Ms, RoomClass, RoomId, UserId
from bridge.register import Entry, Lock, People, Register
from bridge.rooms.board import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands with one person and one room."""

    user: UserId
    #: What they are called; of a guest the Matrix id.
    name: str
    #: When they were shown what holds now, and when they acknowledged it; None: not yet.
    shown: Ms | None = None
    acknowledged: Ms | None = None
    #: They were told in private, as the card hung before they came.
    private: bool = False
    #: The digest of the last card that they were shown, where that is not what hangs; or empty.
    earlier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A card that hung in a room, and how many were shown it and acknowledged it."""

    card: str
    revision: str
    since: Ms
    shown: int
    acknowledged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How it stands with one room."""

    key: str
    name: str
    cls: RoomClass
    #: Digests of what people have to know and of the policy, and since when it hangs; empty and
    #: None where nothing hangs yet.
    card: str = ""
    revision: str = ""
    since: Ms | None = None
    words: str = ""
    #: What hung there before, newest first.
    before: tuple[Before, ...] = ()
    people: tuple[Standing, ...] = ()

    @property
    def unshown(self) -> tuple[Standing, ...]:
        """Who has not been shown it."""
        return tuple(one for one in self.people if one.shown is None)

    @property
    def silent(self) -> tuple[Standing, ...]:
        """Who has been shown it and has not acknowledged it."""
        return tuple(
            one for one in self.people if one.shown is not None and one.acknowledged is None
        )


def standings(  # noqa: PLR0913, PLR0917 - who belongs where, and what is on record
    register: Register,
    people: People,
    lock: Lock,
    board: Board,
    carded: Collection[RoomClass],
    today: datetime.date,
) -> Iterator[Room]:
    """Say how it stands with each room that has a card, as classes.yaml says of these classes."""
    last = _last(board)
    for entry in register.rooms.values():
        if entry.cls in carded and entry.key not in lock.retired:
            room = register.id_of(entry.key, lock)
            belong = (*register.members(entry, people), *register.guests(entry, today))
            found = [_standing(room, user, people, board, last) for user in dict.fromkeys(belong)]
            yield _room(entry, room, tuple(sorted(found, key=lambda one: one.name)), board)


def _room(entry: Entry, room: RoomId | None, found: tuple[Standing, ...], board: Board) -> Room:
    hangs = board.card(room) if room is not None else None
    if room is None or hangs is None:
        return Room(key=entry.key, name=entry.name, cls=entry.cls, people=found)
    return Room(
        key=entry.key, name=entry.name, cls=entry.cls, card=hangs.notice.card, since=hangs.at,
        revision=board.revisions[room], words=hangs.notice.words, people=found,
        before=_before(room, board),
    )  # fmt: skip


def _standing(
    room: RoomId | None, user: UserId, people: People, board: Board,
    last: Mapping[tuple[RoomId, UserId], str],
) -> Standing:  # fmt: skip
    person = people.get(user)
    name = person.name if person is not None else str(user)
    hangs = board.card(room) if room is not None else None
    if room is None or hangs is None:
        return Standing(user=user, name=name)
    seen = board.seen.get((room, user, hangs.notice.card))
    if seen is None:
        return Standing(user=user, name=name, earlier=last.get((room, user), ""))
    return Standing(
        user=user, name=name, shown=seen.at, acknowledged=seen.acknowledged,
        private=seen.notice.private,
    )  # fmt: skip


def _last(board: Board) -> dict[tuple[RoomId, UserId], str]:
    """The card that each person was shown last, by room."""
    shown = sorted(board.seen.items(), key=lambda one: one[1].at)
    return {(room, user): card for (room, user, card), _ in shown}


def _before(room: RoomId, board: Board) -> tuple[Before, ...]:
    """What hung in *room* before, newest first; each once, since it was first hung."""
    hung = board.cards.get(room, [])
    first = {one.notice.card: one for one in reversed(hung)}
    first.pop(hung[-1].notice.card, None)
    counts = {card: [0, 0] for card in first}
    for (where, _, card), seen in board.seen.items():
        if where == room and card in counts:
            counts[card][0] += 1
            counts[card][1] += seen.acknowledged is not None
    return tuple(
        Before(
            card=card, revision=one.notice.revision, since=one.at, shown=counts[card][0],
            acknowledged=counts[card][1],
        )
        for card, one in first.items()
    )  # fmt: skip
