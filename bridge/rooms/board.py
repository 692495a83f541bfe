"""Who was told what about which room, and who has said so: what follows from what is on record.

Never decides what anybody is to be told, and never asks anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.facts import Notice, Progress, Told
from bridge.model import EventId, Ms, RoomId, UserId

#: Taps that may be on a card that is just being sent are remembered, so many at most.
_MOST_EARLY = 1000


@dataclass(frozen=True, slots=True)
class Card:
    """What hangs in a room, or hung there."""

    notice: Notice
    event: EventId
    at: Ms


@dataclass(frozen=True, slots=True)
class Seen:
    """That one person was shown one card of one room."""

    notice: Notice
    at: Ms
    #: When they said that they had read it; None: not yet.
    acknowledged: Ms | None = None


@dataclass(slots=True)
class Board:
    """Everything that was told, as far as it still matters."""

    #: What is about to be sent, by its name; of several rooms, in their order.
    due: dict[str, tuple[list[Notice], Ms]] = field(default_factory=dict)
    #: The cards that hung in each room, oldest first.
    cards: dict[RoomId, list[Card]] = field(default_factory=dict)
    #: (room, person, card) → that they were shown it.
    seen: dict[tuple[RoomId, UserId, str], Seen] = field(default_factory=dict)
    #: The policy under which each room's newest card is known to say what holds.
    revisions: dict[RoomId, str] = field(default_factory=dict)
    #: When somebody was last told in private, by room: they cannot read the card that hangs there.
    joined: dict[RoomId, Ms] = field(default_factory=dict)
    _notices: dict[EventId, list[Notice]] = field(default_factory=dict)
    _early: dict[EventId, dict[UserId, None]] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Iterable[tuple[Ms, Told]]) -> Board:
        """Draw the board from all that is on record, oldest first."""
        board = cls()
        for at, one in told:
            board.follow(one, at)
        return board

    def follow(self, told: Told, at: Ms) -> None:
        """Draw the consequences of one fact."""
        notice = told.notice
        match told.progress:
            case Progress.DUE:
                self.due.setdefault(notice.name, ([], at))[0].append(notice)
            case Progress.SHOWN:
                self.due.pop(notice.name, None)
                self._shown(notice, told.event or EventId(""), at)
            case Progress.WITHDRAWN:
                self.due.pop(notice.name, None)
            case Progress.STANDS:
                self.revisions[notice.room] = told.revision
            case Progress.ACKNOWLEDGED if told.by is not None:
                key = (notice.room, told.by, notice.card)
                before = self.seen.get(key, Seen(notice, at))
                self.seen[key] = Seen(before.notice, before.at, before.acknowledged or at)
            case _:
                pass

    def _shown(self, notice: Notice, event: EventId, at: Ms) -> None:
        self._notices.setdefault(event, []).append(notice)
        self.revisions[notice.room] = notice.revision
        if notice.private:
            self.joined[notice.room] = at
        else:
            self.cards.setdefault(notice.room, []).append(Card(notice, event, at))
        for user in notice.to:
            self.seen.setdefault((notice.room, user, notice.card), Seen(notice, at))

    def card(self, room: RoomId) -> Card | None:
        """What hangs in *room* now."""
        hung = self.cards.get(room)
        return hung[-1] if hung else None

    def is_card(self, event: EventId) -> bool:
        """Say whether *event* is a card, or what somebody was told in private."""
        return event in self._notices

    def tap(self, event: EventId, user: UserId) -> list[Told]:
        """Say what it comes to that *user* taps ✅ on *event*: of a card, that they have read it.

        A card that is just being sent is not known yet: the tap is remembered for `early`.
        """
        found = self._notices.get(event)
        if found is None:
            if self.due and len(self._early) < _MOST_EARLY:
                self._early.setdefault(event, {})[user] = None
            return []
        return [
            Told(notice=one, progress=Progress.ACKNOWLEDGED, event=event, by=user)
            for one in found
            if self._may(one, user)
        ]

    def early(self, event: EventId) -> list[Told]:
        """Say what the taps on *event* come to that came before it was known to be a card."""
        users = self._early.pop(event, {})
        if not self.due:
            self._early.clear()  # none of the others was on a card
        return [one for user in users for one in self.tap(event, user)]

    def _may(self, notice: Notice, user: UserId) -> bool:
        """Say whether *user* has something to acknowledge: who reads a room's card may tap it."""
        seen = self.seen.get((notice.room, user, notice.card))
        if seen is not None and seen.acknowledged is not None:
            return False
        return user in notice.to or not notice.private
