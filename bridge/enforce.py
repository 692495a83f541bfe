"""The only module that acts on the world. Rehearsal (dry run) lives here and nowhere else.

Never does what is not written down as owed, and never raises for what the homeserver did: it
says how it went.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_never

from bridge.errors import NotFound, NotPermitted, TransportError
from bridge.model import Copy, Debt, EventId, Notify, Outcome, Redact, Refer, RoomId, Status, key
from bridge.ports import Post, Transport
from bridge.texts import Speaker

#: A copy that takes longer does not keep a leak open (invariant 3).
COPY_S = 5.0
#: Any other effect is given up for now after so long.
EFFECT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcer:
    """Carries out debts."""

    transport: Transport
    speaker: Speaker
    rehearse: bool = False

    async def perform(self, debt: Debt, *, look_first: bool) -> Outcome:
        """Do what is owed and say how it went.

        *look_first*: an earlier attempt may have succeeded without our knowing; look before
        doing it again.
        """
        name = key(debt.effect)
        if self.rehearse:
            return Outcome(key=name, status=Status.REHEARSED)
        patience_s = COPY_S if isinstance(debt.effect, Copy) else EFFECT_S
        try:
            async with asyncio.timeout(patience_s):
                event = await self._do(debt, name, look_first=look_first)
        except TimeoutError:
            detail = f"no answer within {patience_s:.0f} s"
            return Outcome(key=name, status=Status.FAILED, detail=detail)
        except NotPermitted as exc:
            return Outcome(key=name, status=Status.REFUSED, detail=str(exc))
        except NotFound as exc:
            # What is not there need not be taken out; what cannot be read cannot be copied.
            gone = isinstance(debt.effect, Redact)
            status = Status.DONE if gone else Status.REFUSED
            return Outcome(key=name, status=status, detail=str(exc))
        except TransportError as exc:
            return Outcome(key=name, status=Status.FAILED, detail=str(exc))
        return Outcome(key=name, status=Status.DONE, detail=event)

    async def _do(self, debt: Debt, txn: str, *, look_first: bool) -> EventId:
        effect = debt.effect
        match effect:
            case Copy(room=room, about=about, to=to, reason=reason):
                if look_first and (found := await self._find(to, txn, debt)):
                    return found
                message = await self.transport.reopen(room, about, debt.ciphertext)
                return await self.transport.send(
                    to, self.speaker.copy(debt, message, reason), txn=txn
                )
            case Redact(room=room, about=about, reason=reason):
                return await self.transport.redact(room, about, reason, txn=txn)
            case Notify(to=user):
                room = await self.transport.direct(user)
                post = self.speaker.private(effect, debt.sent_at)
                return await self._post(room, post, txn, debt, look_first=look_first)
            case Refer(to=to):
                post = self.speaker.refer(effect, debt.sender, debt.sent_at)
                return await self._post(to, post, txn, debt, look_first=look_first)
            case _:
                assert_never(effect)

    async def _post(
        self, room: RoomId, post: Post, txn: str, debt: Debt, *, look_first: bool
    ) -> EventId:
        if look_first and (found := await self._find(room, txn, debt)):
            return found
        return await self.transport.send(room, post, txn=txn)

    async def _find(self, room: RoomId, txn: str, debt: Debt) -> EventId | None:
        return await self.transport.find(room, txn, since=debt.since)
