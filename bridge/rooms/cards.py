"""When a card is hung in a room, and who is told in private. Short, rare, never nagging.

A card is hung where there is none, where people have to know something else, shortly before the
room forgets the one that hangs, and quietly again a day after the last person has joined: nobody
can read what was said in an encrypted room before they came. Who joins is told in private at once.
A change of policy that changes nothing people have to know is put on record, and nobody is told.

Never tells anybody anything, and never asks anybody twice to acknowledge the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bridge.model import Ms, RoomClass, RoomId, UserId
from bridge.rooms.board import Board, Card

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What people are to know of one room, by the policy that decides now."""

    name: str
    cls: RoomClass
    #: SHA-256 (hex) of what people have to know.
    card: str
    revision: str
    #: As it hangs in the room, and as it is told to whoever joins later.
    words: str
    joining: str
    #: How long the room shows a message, ms.
    visible_ms: int


def is_waiting(board: Board, room: RoomId) -> bool:
    """Say whether something about *room* is just being sent."""
    return any(one.room == room for notices, _ in board.due.values() for one in notices)


def is_news(want: Want, room: RoomId, board: Board) -> bool:
    """Say whether people were told something else before."""
    before = board.card(room)
    return before is not None and before.notice.card != want.card


def is_due(want: Want, room: RoomId, inside: Collection[UserId], board: Board, now: Ms) -> bool:
    """Say whether a card is to be hung in *room* now, with these people in it."""
    if not inside or is_waiting(board, room):
        return False
    before = board.card(room)
    if before is None or before.notice.card != want.card:
        return True
    if not before.notice.words.endswith(want.words):
        return True  # such as whom to ask: it hangs anew, and nobody has to acknowledge it again
    forgets_ms = max(want.visible_ms // 2, want.visible_ms - DAY_MS)
    joined = board.joined.get(room, Ms(0))
    return now - before.at >= forgets_ms or (joined > before.at and now - joined >= DAY_MS)


def stands(want: Want, room: RoomId, board: Board) -> Card | None:
    """The card of *room*, where it says what holds under another policy than is on record."""
    before = board.card(room)
    if before is None or before.notice.card != want.card:
        return None
    return before if board.revisions.get(room) != want.revision else None


def newcomers(
    want: Want, room: RoomId, inside: Collection[UserId], board: Board
) -> tuple[UserId, ...]:
    """Who is in *room* and was never shown what holds there, although a card hangs."""
    if board.card(room) is None or is_news(want, room, board) or is_waiting(board, room):
        return ()
    return tuple(sorted(user for user in inside if (room, user, want.card) not in board.seen))
