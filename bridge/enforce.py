"""The only module that acts on the world. Rehearsal (dry run) lives here and nowhere else.

Never does what is not written down as owed, and never raises for what the homeserver did: it
says how it went.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from bridge.errors import NotFound, NotPermitted, TransportError
from bridge.model import (
    Copy,
    Debt,
    EventId,
    Keep,
    Message,
    Moment,
    Ms,
    Notify,
    Outcome,
    Redact,
    Refer,
    RoomId,
    Status,
    key,
)
from bridge.ports import Post, Transport
from bridge.texts import Speaker, notice

log = structlog.get_logger(__name__)

#: A copy that takes longer does not keep a leak open (invariant 3).
COPY_S = 5.0
#: Any other effect is given up for now after so long.
EFFECT_S = 30.0
#: Fetching or copying a file.
FILE_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcer:
    """Carries out debts."""

    transport: Transport
    speaker: Speaker
    rehearse: bool = False

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
            if self.rehearse:
                return Outcome(key=name, status=Status.REHEARSED), None
            async with asyncio.timeout(_patience_s(debt)):
                told = debt if copied else _uncopied(debt)
                event = await self._do(told, name, look_first=look_first)
        except Exception as exc:
            return _failed(debt, name, exc), None
        return Outcome(key=name, status=Status.DONE, detail=event), None

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
                post = self.speaker.copy(debt, message, reason)
                event = await self._post(to, post, txn, debt, look_first=look_first)
                if message.media:
                    await self._post_file(to, message, f"{txn}-file", debt, look_first=look_first)
                return event
            case Redact(room=room, about=about, reason=reason):
                return await self.transport.redact(room, about, reason, txn=txn)
            case Notify(to=user):
                room = await self.transport.direct(user)
                post = self.speaker.private(effect, debt.sent_at)
                return await self._post(room, post, txn, debt, look_first=look_first)
            case Refer(to=to):
                post = self.speaker.refer(effect, debt.sender, debt.sent_at)
                return await self._post(to, post, txn, debt, look_first=look_first)
            case Keep():
                raise AssertionError("a file is fetched, not posted")
            case _:
                assert_never(effect)

    async def _post_file(
        self, room: RoomId, message: Message, txn: str, debt: Debt, *, look_first: bool
    ) -> None:
        if not (look_first and await self._find(room, txn, debt)):
            await self.transport.repost(room, message, txn=txn)

    async def _post(
        self, room: RoomId, post: Post, txn: str, debt: Debt, *, look_first: bool
    ) -> EventId:
        if look_first and (found := await self._find(room, txn, debt)):
            return found
        return await self.transport.send(room, post, txn=txn)

    async def _find(self, room: RoomId, txn: str, debt: Debt) -> EventId | None:
        return await self.transport.find(room, txn, since=debt.since)


def _uncopied(debt: Debt) -> Debt:
    """The same debt, telling that the message is in no other room."""
    if isinstance(debt.effect, Notify) and debt.effect.moment is Moment.MOVED:
        return replace(debt, effect=replace(debt.effect, moment=Moment.REMOVED))
    return debt


def _patience_s(debt: Debt) -> float:
    """How long one attempt may take. A large file that did not fit the first gets more time."""
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
