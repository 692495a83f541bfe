"""What stands in the way of acting, for how long; decisions on record; and what is counted daily.

Never ends anything by itself: an end is a fact as the beginning was.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridge.facts import Braked, Minuted, Mode
from bridge.model import (
    Action,
    Effect,
    EventId,
    Ms,
    Notify,
    Redact,
    RoomId,
    Status,
    UserId,
)
from bridge.ports import Known, Posted, Standing
from bridge.store.sql import statements

SQL = statements("ledger.sql")
#: What one person said within so long of a message may have been moved along with it: ten minutes.
NEAR_MS = 600_000
#: After these a removal is not owed any more, and was not done. What was rehearsed counts as done:
#: the record is to say what would have followed.
_LEFT = {Status.WAIVED, Status.ABANDONED}


def follow(db: sqlite3.Connection, fact: Braked | Minuted, now: Ms) -> None:
    """Draw the consequences of one fact, in the transaction that is open."""
    match fact:
        case Minuted(message=message, number=number, rid=rid):
            db.execute(SQL["add_minute"], (message.room, number, rid))
        case Braked(on=True, mode=mode, room=room, by=by, reason=reason):
            row = (mode.value, room or "", now, fact.until or 0, by, reason)
            db.execute(SQL["set_standing"], row)
            if mode is Mode.PAUSE:
                db.execute(SQL["set_brake"], (room or "",))
        case Braked(mode=mode, room=None):
            db.execute(SQL["drop_standings"], (mode.value,))
            if mode is Mode.PAUSE:
                db.execute(SQL["drop_brakes"])
        case Braked(mode=mode, room=room):
            db.execute(SQL["drop_standing"], (mode.value, room))
            if mode is Mode.PAUSE:
                db.execute(SQL["drop_brake"], (room,))


def standing(db: sqlite3.Connection) -> tuple[Standing, ...]:
    """What stands now, oldest first."""
    rows = db.execute(SQL["standings"]).fetchall()
    # A pause of an earlier version is a name in its own table, and no more is known of it.
    known = {room for mode, room, *_ in rows if mode == Mode.PAUSE}
    older = [room for (room,) in db.execute(SQL["brakes"]) if room not in known]
    return (
        *(_standing(Mode.PAUSE.value, room, 0, 0, "", "") for room in older),
        *(_standing(*row) for row in rows),
    )


def _standing(mode: str, room: str, since: int, until: int, by: str, reason: str) -> Standing:  # noqa: PLR0913, PLR0917 - a row
    return Standing(
        mode=Mode(mode),
        room=RoomId(room) if room else None,
        since=Ms(since),
        until=Ms(until) if until else None,
        by=by,
        reason=reason,
    )


def minutes(db: sqlite3.Connection, room: RoomId) -> int:
    """How many decisions of *room* are on record."""
    return int(db.execute(SQL["minutes"], (room,)).fetchone()[0])


def newest_told(db: sqlite3.Connection, sender: UserId, room: RoomId | None) -> EventId | None:
    """The newest message of *sender* about which they were told something, if there is one."""
    row = db.execute(SQL["newest_told"], (sender, room or "")).fetchone()
    return EventId(row[0]) if row else None


def counts(db: sqlite3.Connection, since: Ms, until: Ms) -> dict[tuple[RoomId, str], int]:
    """What was sent in [since, until), by the room that it is about."""
    rows = db.execute(SQL["sent_counts"], (since, until)).fetchall()
    return {(RoomId(room), what): count for room, what, count in rows}


@dataclass(slots=True)
class Kept:
    """The same for a store that forgets everything on exit."""

    standings: dict[tuple[Mode, RoomId | None], Standing] = field(default_factory=dict)
    minutes: Counter[RoomId] = field(default_factory=Counter)

    def follow(self, fact: Braked | Minuted, now: Ms) -> None:
        """Draw the consequences of one fact."""
        match fact:
            case Minuted(message=message):
                self.minutes[message.room] += 1
            case Braked(on=True, mode=mode, room=room):
                self.standings.pop((mode, room), None)
                self.standings[mode, room] = Standing(
                    mode=mode, room=room, since=now, until=fact.until, by=fact.by,
                    reason=fact.reason,
                )  # fmt: skip
            case Braked(mode=mode, room=room):
                for key in [k for k in self.standings if k[0] is mode and room in {None, k[1]}]:
                    del self.standings[key]

    @property
    def brakes(self) -> frozenset[RoomId | None]:
        """Where acting is paused."""
        return frozenset(room for mode, room in self.standings if mode is Mode.PAUSE)


def counted(posts: Iterable[Posted], since: Ms, until: Ms) -> Mapping[tuple[RoomId, str], int]:
    """What was sent in [since, until), as `counts` has it."""
    found: Counter[tuple[RoomId, str]] = Counter()
    for one in posts:
        if since <= one.at < until:
            what = type(one.effect).__name__.lower()
            moment = f" {one.effect.moment.value}" if isinstance(one.effect, Notify) else ""
            found[one.effect.room, what + moment] += 1
    return found


def stays(effect: Effect, status: Status) -> bool:
    """Say whether a message that was to be taken out is left where it was said."""
    return isinstance(effect, Redact) and status in _LEFT


def told(
    events: Mapping[EventId, tuple[Ms, Known]], sender: UserId, room: RoomId | None
) -> EventId | None:
    """Say what `newest_told` does, of events by name, each with its time."""
    found = [
        (at, event)
        for event, (at, known) in events.items()
        if known.sender == sender and room in {None, known.room}
        and (known.rule == "builtin:unreadable" or (known.rule and known.action))
    ]  # fmt: skip
    return max(found)[1] if found else None


def near(events: Mapping[EventId, tuple[Ms, Known]], event: EventId) -> Mapping[EventId, Known]:
    """Say what was moved near *event*, of events by name, each with its time."""
    if event not in events:
        return {}
    at, here = events[event]
    found = [
        (then, name, known)
        for name, (then, known) in events.items()
        if abs(then - at) <= NEAR_MS and (known.sender, known.room) == (here.sender, here.room)
        and known.rule and known.replaces is None and (known.action or 0) >= Action.REDIRECT
    ]  # fmt: skip
    return {name: known for _, name, known in sorted(found, key=lambda one: one[:2])}
