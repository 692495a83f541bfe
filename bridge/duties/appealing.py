"""Sees that appeals are answered: reminds, and calls for help when an answer is late.

Never decides one: silence decides nothing. How far each has come is on record before people are
told, so that a crash repeats nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bridge.facts import Appealed, Stage
from bridge.model import Effect, Ms
from bridge.officers import appeals
from bridge.officers.appealdesk import AppealDesk
from bridge.officers.hours import Hours
from bridge.ports import Clock, Docket, Store

log = structlog.get_logger(__name__)

_TICK_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Appealing:
    """Looks at the open appeals four times a minute."""

    store: Store
    desk: AppealDesk
    clock: Clock
    #: Called when something is newly owed.
    wake: Callable[[], None]

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_S)

    async def once(self) -> None:
        """Press for whatever is due."""
        now = self.clock()
        dockets = await self.store.open_appeals()
        found = [(one, due) for one in dockets if (due := stage_at(one, self.desk.hours, now))]
        if found:
            await self.store.append([await self._pressed(one, stage) for one, stage in found])
            self.wake()

    async def _pressed(self, docket: Docket, stage: Stage) -> Appealed:
        appeal, desk = docket.appeal, self.desk
        bench, room = await desk.bench(appeal), desk.rooms.get(appeal.room)
        who = bench.deciders(self.clock()) if bench else ()
        where = room.name if room else "a room that is no longer on the register"
        told = appeals.pressing(appeal, who, desk.hours, where, stage)
        log.warning("appeal.pressed", stage=stage.value, room=appeal.room)
        owes: list[Effect] = []
        if (review := desk.asked_in(appeal)) is not None:
            owes.append(appeals.say(appeal, review, stage.value, told))
        if stage is Stage.OVERDUE:
            owner = room.owner if room else None
            if owner is not None:
                owes.append(appeals.say(appeal, owner, stage.value, told))
            late = appeals.late(desk.name(owner) if owner else "")
            owes.append(appeals.say(appeal, appeal.sender, stage.value, late))
        return Appealed(appeal=appeal, stage=stage, owes=tuple(owes))


def stage_at(docket: Docket, hours: Hours, now: Ms) -> Stage | None:
    """Say how far an open appeal comes at *now*; None where nothing is newly due."""
    appeal = docket.appeal
    if now >= appeal.due:
        return None if docket.stage is Stage.OVERDUE else Stage.OVERDUE
    if docket.stage is Stage.RAISED and now >= hours.remind_at(appeal.at, appeal.due):
        return Stage.REMINDED
    return None
