"""Shows people what is kept in their rooms, how long, and who can read it; hears who taps ✅.

Never sends before it is on record that it is due, so that what was sent before a crash is found
again and not sent twice; and never decides what anybody is told, or when: `cards` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bridge.acting import texts
from bridge.acting.hanging import Hanging
from bridge.errors import NotFound, NotPermitted, NotSignedIn, TransportError
from bridge.facts import Fact, Notice, Progress, Told
from bridge.ledger.record import new_rid
from bridge.model import EventId, Message, Ms, RoomId, UserId
from bridge.officers.appeals import tapped
from bridge.ports import Clock
from bridge.rooms import cards
from bridge.rooms.board import Board
from bridge.rooms.cards import Want

log = structlog.get_logger(__name__)

TICK_S = 1.0
#: Between two messages: a bearable rate where hundreds of rooms get a card.
PACE_S = 0.05
#: What could not be sent is tried again after so long.
RETRY_MS = 5_000
#: What the homeserver refused for good is tried again after so long: people may see to it.
REFUSED_MS = 15 * 60_000
#: Whether the card is still pinned is looked at so often.
PINS_MS = 15 * 60_000
#: Who does not come into the direct room is asked there again after so long.
ASK_MS = cards.DAY_MS
_READ = {"✅", "✔", "☑"}


@dataclass(slots=True, kw_only=True)
class Showing:
    """Looks once a second, in memory; asks the server only where there is something to do."""

    board: Board
    hanging: Hanging
    #: What people are to know of each room, and who is in it.
    wants: Callable[[], Mapping[RoomId, tuple[Want, Collection[UserId]]]]
    #: The direct room of the bot and one person, and whether somebody is in a room.
    direct: Callable[[UserId], Awaitable[RoomId]]
    is_member: Callable[[RoomId, UserId], bool]
    #: Puts facts on record: `Store.append`.
    record: Callable[[Sequence[Fact]], Awaitable[None]]
    clock: Clock
    pace_s: float = PACE_S
    #: In which direct room each is told, and when they were last asked into it.
    _places: dict[UserId, tuple[RoomId, Ms]] = field(default_factory=dict)
    #: When each room's pins were looked at, for which card.
    _pinned: dict[RoomId, tuple[EventId, Ms]] = field(default_factory=dict)
    #: When the homeserver last refused what is due under this name.
    _refused: dict[str, Ms] = field(default_factory=dict)
    _failed: int = -RETRY_MS

    async def run(self) -> None:
        """Show for ever."""
        while True:
            await self.once()
            await asyncio.sleep(TICK_S)

    async def once(self) -> None:
        """Send what was left unsent, and what is due now."""
        if 0 <= self.clock() - self._failed < RETRY_MS:
            return
        try:
            wants = self.wants()
            for name in self._resumable():
                await self._resume(name, wants)
            await self._hang(wants)
            await self._welcome(wants)
            await self._pin(wants)
        except NotSignedIn:
            raise
        except (TransportError, TimeoutError) as exc:
            self._failed = self.clock()
            log.warning("notice.not_shown", error=str(exc) or type(exc).__name__)

    def hear(self, message: Message) -> tuple[Fact, ...] | None:
        """Say what is to be recorded of a ✅ on what somebody was shown; None: it is none."""
        tap = tapped(message)
        if tap is None or tap[1] not in _READ or message.suspect:
            return None
        told = self.board.tap(tap[0], message.sender)
        for one in told:
            self.board.follow(one, self.clock())
        return tuple(told) if self.board.is_card(tap[0]) else None

    async def _hang(self, wants: Mapping[RoomId, tuple[Want, Collection[UserId]]]) -> None:
        for room, (want, inside) in wants.items():
            if cards.is_due(want, room, inside, self.board, self.clock()):
                news = cards.is_news(want, room, self.board)
                words = texts.changed(want.words) if news else want.words
                to = tuple(sorted(inside))
                await self._tell([_notice(want, room, to, words, new_rid())])
            elif (card := cards.stands(want, room, self.board)) is not None:
                await self._note([Told(
                    notice=card.notice, progress=Progress.STANDS, revision=want.revision
                )])  # fmt: skip

    async def _welcome(self, wants: Mapping[RoomId, tuple[Want, Collection[UserId]]]) -> None:
        """Tell whoever has joined, in one message about all of their rooms."""
        new: dict[UserId, dict[RoomId, Want]] = {}
        for room, (want, inside) in wants.items():
            for user in cards.newcomers(want, room, inside, self.board):
                new.setdefault(user, {})[room] = want
        for user, rooms in new.items():
            if await self._place(user) is None:
                continue  # they have yet to come into their direct room
            words = texts.welcome({want.name: want.joining for want in rooms.values()})
            name = new_rid()
            await self._tell([
                _notice(want, room, (user,), words, name, private=True)
                for room, want in rooms.items()
            ])  # fmt: skip

    async def _place(self, user: UserId) -> RoomId | None:
        """The direct room of *user*, once they are in it."""
        place, asked = self._places.get(user, (None, Ms(0)))
        now = self.clock()
        if place is None or (not self.is_member(place, user) and now - asked >= ASK_MS):
            try:
                place = await self.direct(user)
            except (NotPermitted, NotFound) as exc:
                log.warning("notice.no_direct_room", error=str(exc))
                return None
            self._places[user] = place, now
            await asyncio.sleep(self.pace_s)
        return place if self.is_member(place, user) else None

    async def _tell(self, notices: Sequence[Notice]) -> None:
        """Send one message: on record first that it is due, and then that it was shown."""
        await self._note([Told(notice=one, progress=Progress.DUE) for one in notices])
        await self._send(notices)
        await asyncio.sleep(self.pace_s)

    def _resumable(self) -> tuple[str, ...]:
        """What is due since an earlier look, but for what was refused just now."""
        now = self.clock()
        refused = (name for name, at in self._refused.items() if 0 <= now - at < REFUSED_MS)
        return tuple(name for name in self.board.due if name not in {*refused})

    async def _resume(self, name: str, wants: Mapping[RoomId, tuple[Want, object]]) -> None:
        """Look whether something was sent that is on record as due; if not, and it holds, send."""
        notices, since = self.board.due[name]
        try:
            place = await self._where(notices[0])
            event = await self.hanging.find(place, name=name, since=since)
        except NotSignedIn:
            raise
        except (NotPermitted, NotFound):
            event = None  # we are no longer there, or they cannot be asked anywhere
        if event is not None:
            await self._shown(notices, event)
        elif all(one.room in wants and wants[one.room][0].card == one.card for one in notices):
            await self._send(notices)
        else:
            await self._withdraw(notices)

    async def _send(self, notices: Sequence[Notice]) -> None:
        first = notices[0]
        to = first.to[0] if first.private else None
        try:
            place = await self._where(first)
            event = await self.hanging.say(place, first.words, name=first.name, to=to)
        except NotSignedIn:
            raise
        except (NotPermitted, NotFound) as exc:
            log.warning("notice.refused", room=first.room, error=str(exc))
            self._refused[first.name] = self.clock()
            return
        await self._shown(notices, event)

    async def _where(self, notice: Notice) -> RoomId:
        if not notice.private:
            return notice.room
        place, _ = self._places.get(notice.to[0], (None, None))
        return place or await self.direct(notice.to[0])

    async def _shown(self, notices: Sequence[Notice], event: EventId) -> None:
        await self._note([
            Told(notice=one, progress=Progress.SHOWN, event=event) for one in notices
        ])  # fmt: skip
        if early := self.board.early(event):
            await self._note(early)

    async def _withdraw(self, notices: Sequence[Notice]) -> None:
        await self._note([Told(notice=one, progress=Progress.WITHDRAWN) for one in notices])

    async def _note(self, told: Sequence[Told]) -> None:
        await self.record(told)
        for one in told:
            self.board.follow(one, self.clock())

    async def _pin(self, wants: Collection[RoomId]) -> None:
        """Have the newest card of each room pinned, now and then once more."""
        now = self.clock()
        for room in wants:
            card = self.board.card(room)
            if card is None:
                continue
            event, at = self._pinned.get(room, (None, Ms(0)))
            if event == card.event and 0 <= now - at < PINS_MS:
                continue
            self._pinned[room] = card.event, now
            try:
                before = {one.event for one in self.board.cards[room]} - {card.event}
                await self.hanging.put_up(room, card.event, before)
            except (NotPermitted, NotFound) as exc:
                log.warning("notice.not_pinned", room=room, error=str(exc))
            except (TransportError, TimeoutError):
                del self._pinned[room]
                raise


def _notice(  # noqa: PLR0913 - what a notice is made of
    want: Want,
    room: RoomId,
    to: tuple[UserId, ...],
    words: str,
    name: str,
    *,
    private: bool = False,
) -> Notice:
    return Notice(
        rid=new_rid(), room=room, cls=want.cls, card=want.card, revision=want.revision, name=name,
        to=to, private=private, words=words,
    )  # fmt: skip
