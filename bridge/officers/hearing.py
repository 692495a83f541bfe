"""Puts together who hears what people say to the bot about appeals, in rooms and in the console.

Never hears anything itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from bridge.config import Config
from bridge.duties.appealing import Appealing
from bridge.duties.directing import Directing, Judged
from bridge.facts import Decision, Directed
from bridge.model import Ms, Rid, Room, RoomClass, RoomId, UserId
from bridge.officers.appealdesk import AppealDesk
from bridge.officers.bench import DECIDES
from bridge.ports import Clock, Store
from bridge.rooms.roster import Roster
from bridge.store.directions import Directions


def appeals(  # noqa: PLR0913, PLR0917 - it is where who hears appeals is put together
    config: Config,
    rooms: Mapping[RoomId, Room],
    store: Store,
    roster: Roster,
    wake: Callable[[], None],
    clock: Clock,
) -> Appealing:
    """Make the desk that hears appeals about messages of *rooms*, and what presses for answers."""
    desk = AppealDesk(
        store=store,
        people=roster.people,
        rooms=rooms,
        review=next((one.id for one in rooms.values() if one.cls is RoomClass.REVIEW), None),
        hours=config.appeals,
        clock=clock,
        contact=config.contact,
    )
    return Appealing(store=store, desk=desk, clock=clock, wake=wake)


def console(  # noqa: PLR0913, PLR0917 - it is where what the console decides is put together
    config: Config,
    desk: AppealDesk,
    roster: Roster,
    verdict: Callable[[str], Judged | None],
    wake: Callable[[], None],
    weigh: Callable[[], Awaitable[None]],
) -> Directing:
    """Make what carries out the decisions that the consultation ledger beside ours has."""
    followed = Directions(config.ledger)

    def read() -> Sequence[tuple[Ms, Directed]]:
        found = sorted(followed.read().values(), key=lambda one: one.at)
        return [
            (
                Ms(one.at),
                Directed(
                    rid=Rid(one.rid),
                    verdict=Rid(one.verdict),
                    decision=Decision(one.status),
                    by=one.by,
                    reason=one.reason,
                ),
            )
            for one in found
            if one.status in set(Decision)
        ]

    def reviewer(name: str) -> UserId | None:
        people = roster.people().persons.values()
        able = (one.id for one in people if name and one.console == name and one.roles & DECIDES)
        return next(able, None)

    return Directing(
        store=desk.store,
        desk=desk,
        read=read,
        reviewer=reviewer,
        verdict=verdict,
        wake=wake,
        weigh=weigh,
    )
