"""Carries out what reviewers decide in the auditors' console.

Never decides anything, and takes nobody's word for who they are but the consultation ledger's: each
decision is on record there first, under the sign-in of who made it. Carrying one out twice changes
nothing, so that after a crash all of them can be read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from bridge.errors import StoreError
from bridge.facts import Adjudicated, Appeal, Decision, Directed, Noted
from bridge.ledger.record import new_rid
from bridge.model import Action, EventId, Ms, Rid, UserId
from bridge.officers import appeals
from bridge.officers.appealdesk import AppealDesk
from bridge.officers.bench import OWN
from bridge.ports import Store
from bridge.way.alongside import is_back, put_back

log = structlog.get_logger(__name__)

TICK_S = 2.0
#: A decision that is older than an appeal answers an earlier one, if any. The console's clock may
#: be so much behind, ms.
CLOCKS_MS = 120_000
#: What the officer is told where the reviewer's own words are sealed to us.
UNSAID = "a reviewer has looked at it in the auditors' console"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a verdict of a rule without any key."""

    rid: Rid
    rule: str
    action: Action
    #: The message that it is about; None where the bot does not remember it any more.
    event: EventId | None = None
    #: When a decision of the console about it was last not followed, ms; 0 if none ever was.
    refused: int = 0


@dataclass(slots=True, kw_only=True)
class Directing:
    """Follows the decisions that are made in the console."""

    store: Store
    desk: AppealDesk
    #: Every decision on record, oldest first, each with when it was made.
    read: Callable[[], Sequence[tuple[Ms, Directed]]]
    #: Who has a console sign-in and may decide; None for anybody else.
    reviewer: Callable[[str], UserId | None]
    #: None where there is no verdict of that name, or no rule decided.
    verdict: Callable[[str], Judged | None]
    #: Called when something is newly owed, and when a rule was found right or wrong.
    wake: Callable[[], None]
    weigh: Callable[[], Awaitable[None]]
    _done: set[Rid] = field(default_factory=set)

    async def run(self) -> None:
        """Follow them for ever."""
        while True:
            try:
                await self.once()
            except StoreError as exc:  # of the consultation ledger; ours stops the bot by itself
                log.warning("directions.unread", error=str(exc))
            await asyncio.sleep(TICK_S)

    async def once(self) -> None:
        """Carry out what is new."""
        for at, one in await asyncio.to_thread(self.read):
            if one.rid not in self._done:
                self._done.add(one.rid)
                await self._carry_out(one, at)

    async def _carry_out(self, one: Directed, at: Ms) -> None:
        appeal = next(
            (each.appeal for each in await self.store.open_appeals()
             if each.appeal.verdict == one.verdict and each.appeal.at <= at + CLOCKS_MS), None,
        )  # fmt: skip
        if appeal is None and await self._is_ruled(one):
            return  # it was carried out before, or decided by somebody else
        found = await asyncio.to_thread(self.verdict, one.verdict)
        if found is not None and found.refused >= at:
            return  # it was refused before, and people know that it waits for another decision
        by = self.reviewer(one.by)
        if by is None:
            await self._refuse(one, found, "whoever decided is not listed as a reviewer")
        elif appeal is None:
            await self._adjudicate(one, found, by)
        else:
            heard = await self.desk.decide(appeal.rid, one.decision, by, one.reason or UNSAID)
            if heard.refused:
                await self._refuse(one, found, heard.refused)
                return
            await self.store.append(heard.facts)
            self.wake()
            await self.weigh()

    async def _is_ruled(self, one: Directed) -> bool:
        """Say whether the verdict was decided; what was referred on waits for somebody else."""
        rulings = await self.store.rulings(Ms(0))
        before = next((each.decision for each in rulings if each.record == one.verdict), None)
        return before not in {None, Decision.REFERRED} or before is one.decision

    async def _adjudicate(self, one: Directed, found: Judged | None, by: UserId) -> None:
        """Put a decision on record about what nobody appealed, and put back what was removed."""
        if found is None:
            await self._refuse(one, found, "no rule decided there")
            return
        asked = await self._unasked(found)
        if asked is not None and asked.sender == by:
            await self._refuse(one, found, OWN)
            return
        # What was held back by the brake is in its room, whatever the verdict says.
        decision = appeals.decided(one.decision, asked.action if asked else found.action)
        back = asked if decision is Decision.RESTORED else None
        if decision is Decision.RESTORED and back is None:
            why = "the message is not known any more, and cannot be put back"
            await self._refuse(one, found, why)
            return
        owes = await put_back(self.store, back) if back and not await self._is_back(back) else ()
        fact = Adjudicated(
            record=one.verdict, rule=found.rule, action=found.action, decision=decision, by=by,
            reason=one.reason, appeal=back, owes=owes,
        )  # fmt: skip
        await self.store.append([fact])
        if owes:
            self.wake()
        await self.weigh()

    async def _is_back(self, appeal: Appeal) -> bool:
        return await is_back(self.store, appeal.event)

    async def _unasked(self, found: Judged) -> Appeal | None:
        """Stand for the appeal that nobody made; None where the message is not known any more."""
        known = (await self.store.known([found.event])).get(found.event) if found.event else None
        room = self.desk.rooms.get(known.room) if known else None
        if known is None or room is None or found.event is None:
            return None
        now = self.desk.clock()
        return Appeal(
            rid=new_rid(), event=found.event, record=known.rid, room=known.room, cls=room.cls,
            sender=known.sender, sent_at=known.sent_at, verdict=found.rid, rule=found.rule,
            action=known.action or Action.ALLOW, round=0, at=now, due=now,
        )  # fmt: skip

    async def _refuse(self, one: Directed, found: Judged | None, why: str) -> None:
        if one.decision is Decision.REFERRED:
            return  # somebody else is asked already
        log.warning("direction.refused", verdict=one.verdict, why=why)
        text = f"a decision of the console was not followed: {why}"
        # A record may refer only to one that is there.
        await self.store.append([Noted(text=text, verdict=found.rid if found else None)])
