"""The only module that acts on the world. Rehearsal (dry run) lives here and nowhere else.

Never does what is not written down as owed, and never raises for what the homeserver did: it
says how it went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from bridge.acting import restoring
from bridge.acting.moving import Parent, answered
from bridge.acting.removal import Closer
from bridge.acting.restoring import Piece
from bridge.acting.texts import Speaker, notice, said
from bridge.detect.markup import own_words_from
from bridge.errors import NotFound, NotPermitted, TooLarge, TransportError
from bridge.model import (
    Choice,
    Close,
    Copy,
    Debt,
    Effect,
    EventId,
    Invite,
    Keep,
    Message,
    Moment,
    Ms,
    Notify,
    Outcome,
    Redact,
    Refer,
    Restore,
    RoomId,
    Say,
    Status,
    UserId,
    key,
)
from bridge.ports import Post, Posted, Transport

log = structlog.get_logger(__name__)

#: A copy that takes longer does not keep a leak open (invariant 3).
COPY_S = 5.0
#: Any other effect is given up for now after so long.
EFFECT_S = 30.0
#: Fetching or copying a file.
FILE_S = 180.0
#: Taking out what else holds a message's words; the next attempt goes on.
CLOSE_S = 180.0


#: What a message was a reply to is looked up for no longer.
PARENT_S = 1.5


async def _nothing(_: EventId) -> Sequence[Posted]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcer:
    """Carries out debts."""

    transport: Transport
    speaker: Speaker
    rehearse: bool = False
    #: What we sent about an event: `Store.posted_about`.
    posted_about: Callable[[EventId], Awaitable[Sequence[Posted]]] = _nothing
    #: Takes out what else holds a message's words; None: the message alone goes.
    closer: Closer | None = None

    async def perform(
        self, debt: Debt, *, look_first: bool, copied: bool = True
    ) -> tuple[Outcome, bytes | None]:
        """Do what is owed; say how it went, and give the file if that was to be fetched.

        *look_first*: an earlier attempt may have succeeded without our knowing; look before
        doing it again. *copied*: False where the message went without a copy, so that its sender
        is not told otherwise.
        """
        name = key(debt.effect)
        try:
            if isinstance(debt.effect, Keep):  # capture, not action: also in a rehearsal
                async with asyncio.timeout(FILE_S):
                    file = await self.transport.fetch(debt.effect.url)
                return Outcome(key=name, status=Status.DONE), file
            if self._rehearses(debt.effect):
                return Outcome(key=name, status=Status.REHEARSED), None
            if isinstance(debt.effect, Close):
                async with asyncio.timeout(CLOSE_S):
                    return await self._close(debt, debt.effect), None
            async with asyncio.timeout(_patience_s(debt)):
                told = debt if copied else _uncopied(debt)
                event = await self._do(told, name, look_first=look_first)
        except Exception as exc:
            return _failed(debt, name, exc), None
        return Outcome(key=name, status=Status.DONE, detail=event), None

    async def _close(self, debt: Debt, effect: Close) -> Outcome:
        if self.closer is None:
            return Outcome(key=key(effect), status=Status.DONE)
        return await self.closer.close(debt, effect)

    def _rehearses(self, effect: Effect) -> bool:
        """Everywhere, or in this room: there, whoever asks something is answered all the same."""
        room = self.speaker.rooms.get(effect.room)
        practised = room is not None and room.rehearse and not isinstance(effect, Say)
        return self.rehearse or practised

    async def publish(self, room: RoomId, note: str, *, txn: str, since: Ms) -> bool:
        """Post a checkpoint in *room* once; say whether it is there. A rehearsal posts nothing.

        *since*: what was sent under *txn* after that is looked for first.
        """
        post = self.speaker.checkpoint(note)
        return await self._once("checkpoint", room, post, txn=txn, since=since)

    async def tell(self, room: RoomId, words: str, *, txn: str, since: Ms) -> bool:
        """Say something about the bot itself in *room* once; else as `publish`."""
        return await self._once("notice", room, notice(words), txn=txn, since=since)

    async def _once(self, what: str, room: RoomId, post: Post, *, txn: str, since: Ms) -> bool:
        if self.rehearse:
            return True
        try:
            async with asyncio.timeout(EFFECT_S):
                if await self.transport.find(room, txn, since=since) is None:
                    await self.transport.send(room, post, txn=txn)
        except Exception as exc:
            log.warning(f"{what}.not_posted", room=room, error=type(exc).__name__)
            return False
        return True

    async def _do(self, debt: Debt, txn: str, *, look_first: bool) -> EventId:
        effect = debt.effect
        match effect:
            case Copy(room=room, about=about, to=to, reason=reason):
                message = await self.transport.reopen(room, about, debt.ciphertext)
                to = self.transport.newest(to)
                parent = await self._parent(message, to)
                first, *rest = self.speaker.copy(debt, message, reason, parent)
                event = await self._post(to, first, txn, debt, look_first=look_first)
                for n, post in enumerate(rest, 2):
                    await self._post(to, post, f"{txn}-{n}", debt, look_first=look_first)
                if message.media:
                    await self._post_file(to, message, f"{txn}-file", debt, look_first=look_first)
                return event
            case Redact(room=room, about=about, reason=reason):
                return await self.transport.redact(room, about, reason, txn=txn)
            case Notify(to=user):
                room = await self.transport.direct(user)
                copy = await self._copy_of(effect)
                post = self.speaker.private(effect, debt.sent_at, copy, told_at=debt.since)
                return await self._post(room, post, txn, debt, look_first=look_first)
            case Refer(to=to):
                to = self.transport.newest(to)
                post = self.speaker.refer(effect, debt.sender, debt.sent_at)
                return await self._post(to, post, txn, debt, look_first=look_first)
            case Invite(to=room, user=user):
                await self.transport.invite(self.transport.newest(room), user)
                return EventId("")
            case Say(to=to, text=text):
                private = to.startswith("@")
                room = await self.transport.direct(UserId(to)) if private else RoomId(to)
                post = said(text, UserId(to) if private else None)
                return await self._post(room, post, txn, debt, look_first=look_first)
            case Restore():
                return await self._restore(debt, effect, txn, look_first=look_first)
            case Keep() | Close() | Choice():
                raise AssertionError("a file is fetched, a removal closed, a choice made, before")
            case _:
                assert_never(effect)

    async def _post_file(
        self, room: RoomId, message: Message, txn: str, debt: Debt, *, look_first: bool
    ) -> None:
        if look_first and await self._find(room, txn, debt):
            return
        try:
            await self.transport.repost(room, message, txn=txn)
        except (TooLarge, NotFound):
            # The words are there, and nobody is told that the file is.
            post = self.speaker.without_file(debt.sender)
            await self._post(room, post, f"{txn}-none", debt, look_first=look_first)

    async def _restore(self, debt: Debt, effect: Restore, txn: str, *, look_first: bool) -> EventId:
        """Post a moved message again where it was said, from its copy."""
        source = self.transport.newest(effect.source)
        copied = key(Copy(room=effect.room, about=effect.about, to=effect.source, reason=""))
        first = await self._ours(source, effect.copy)
        pieces = [_piece(first, effect)]
        for n in range(2, pieces[0].of + 1):
            event = await self.transport.find(source, f"{copied}-{n}", since=debt.sent_at)
            if event is None:
                raise NotFound("A part of the copy is no longer there.")
            pieces.append(_piece(await self._ours(source, event), effect))
        to = self.transport.newest(effect.room)
        message = restoring.whole(first, pieces)
        parent = Parent(copy=pieces[0].answers) if pieces[0].answers else None
        sent_at = Ms(int(effect.along)) if effect.along else debt.sent_at
        posts = self.speaker.restored(replace(debt, sent_at=sent_at), message, parent)
        event = await self._post(to, posts[0], txn, debt, look_first=look_first)
        for n, post in enumerate(posts[1:], 2):
            await self._post(to, post, f"{txn}-{n}", debt, look_first=look_first)
        file = await self.transport.find(source, f"{copied}-file", since=debt.sent_at)
        if file is not None:
            again = await self._ours(source, file)
            await self._post_file(to, again, f"{txn}-file", debt, look_first=look_first)
        return event

    async def _ours(self, room: RoomId, event: EventId) -> Message:
        """Read a post of ours again, and believe nobody who could put another in its place.

        Raises:
            NotFound: it is not there any more, or not as we wrote it.
        """
        message = await self.transport.reopen(room, event, b"")
        if message.sender != self.transport.user or message.suspect or not message.ciphertext:
            raise NotFound("The copy is not as it was made.")
        return message

    async def _parent(self, message: Message, to: RoomId) -> Parent | None:
        """What a message that goes to *to* was a reply to; nothing here may hold up the copy."""
        event = answered(message)
        if event is None:
            return None
        for posted in await self.posted_about(event):
            if isinstance(posted.effect, Copy) and self.transport.newest(posted.effect.to) == to:
                return Parent(copy=posted.event)
        try:
            async with asyncio.timeout(PARENT_S):
                parent = await self.transport.reopen(message.room, event, b"")
        except (TransportError, TimeoutError):
            return Parent()
        words = parent.body[own_words_from(parent.body) :]
        return Parent(name=self.speaker.name(parent.sender), words=words)

    async def _copy_of(self, notify: Notify) -> tuple[RoomId, EventId] | None:
        """Where the message stands now that somebody is told of."""
        for posted in reversed(await self.posted_about(notify.about)):
            if isinstance(posted.effect, Copy):
                return self.transport.newest(posted.effect.to), posted.event
        return None

    async def _post(
        self, room: RoomId, post: Post, txn: str, debt: Debt, *, look_first: bool
    ) -> EventId:
        if look_first and (found := await self._find(room, txn, debt)):
            return found
        return await self.transport.send(room, post, txn=txn)

    async def _find(self, room: RoomId, txn: str, debt: Debt) -> EventId | None:
        return await self.transport.find(room, txn, since=debt.since)


def _piece(copy: Message, effect: Restore) -> Piece:
    """The words in one post of a copy.

    Raises:
        NotFound: it does not say where they are, or is a copy of something else.
    """
    piece = restoring.piece(copy)
    if piece is None or piece.event not in {None, effect.about}:
        raise NotFound("The copy cannot be read any more.")
    return piece


#: What somebody is told instead where their message could not be copied.
_WITHOUT_COPY = {
    Moment.MOVED: Moment.REMOVED,
    Moment.STOPPED: Moment.WITHHELD,
    Moment.INTAKE: Moment.UNMOVED,
}
#: What people are told of a copy, if there is one.
OF_A_COPY = frozenset(_WITHOUT_COPY)


def _uncopied(debt: Debt) -> Debt:
    """The same debt, telling that the message is in no other room."""
    if isinstance(debt.effect, Notify) and debt.effect.moment in _WITHOUT_COPY:
        moment = _WITHOUT_COPY[debt.effect.moment]
        return replace(debt, effect=replace(debt.effect, moment=moment))
    return debt


def _patience_s(debt: Debt) -> float:
    """How long one attempt may take. A large file that did not fit the first gets more time."""
    if isinstance(debt.effect, Invite):
        return COPY_S
    if isinstance(debt.effect, Restore):
        return FILE_S
    if not isinstance(debt.effect, Copy):
        return EFFECT_S
    return FILE_S if debt.attempts else COPY_S


def _failed(debt: Debt, name: str, exc: Exception) -> Outcome:
    """Translate what went wrong; an error that is no homeserver's is a fault of ours, and said."""
    match exc:
        case TimeoutError():
            return Outcome(key=name, status=Status.FAILED, detail="no answer in time")
        case NotPermitted():
            return Outcome(key=name, status=Status.REFUSED, detail=str(exc))
        case NotFound():
            # What is not there need not be taken out; what cannot be read cannot be copied.
            gone = isinstance(debt.effect, Redact)
            status = Status.DONE if gone else Status.REFUSED
            return Outcome(key=name, status=status, detail=str(exc))
        case TransportError():
            return Outcome(key=name, status=Status.FAILED, detail=str(exc))
        case _:
            # Only the kind of error: its words may be the message's.
            log.error("effect.fault", effect=type(debt.effect).__name__, error=type(exc).__name__)
            return Outcome(key=name, status=Status.FAILED, detail=f"a fault: {type(exc).__name__}")
