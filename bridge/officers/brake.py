"""The brake: pauses, their end, and major-incident mode; who may order them, and what is said.

Never stops capture: messages are recorded and judged whatever is on. Never does anything itself:
an order becomes facts.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from bridge.facts import Braked, Decided, Fact, Mode, Performed
from bridge.model import (
    Cursor,
    Debt,
    Keep,
    Ms,
    Outcome,
    Refer,
    Room,
    RoomId,
    Say,
    Status,
    UserId,
    key,
)
from bridge.ports import Standing, Store

#: Who may stop and start the bot anywhere; a supervisor may in their own rooms.
ROLES = frozenset({"reviewer", "administrator"})
#: A major incident ends by itself after so long, where nobody says how long: 4 hours.
INCIDENT_MS = Ms(4 * 3_600_000)
#: The second of two people has so long to agree, ms.
AGREE_MS = 15 * 60_000
#: People are reminded so often that it is on.
REMIND_MS = 3_600_000
#: What is owed for its own sake and not to the message's sender: it is never waived.
_STAYS = Refer | Keep | Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants."""

    mode: Mode
    on: bool
    #: None: everywhere.
    room: RoomId | None
    by: str
    reason: str = ""
    #: How long it lasts; None: until somebody says so, an incident for its usual time.
    length: Ms | None = None

    def fact(self, now: Ms, incident: Ms = INCIDENT_MS) -> Braked:
        """What goes on record; a major incident lasts for *incident* where nobody says how long."""
        length = self.length
        if length is None and self.mode is Mode.INCIDENT:
            length = incident
        until = Ms(now + length) if self.on and length is not None else None
        return Braked(
            room=self.room, on=self.on, by=self.by, reason=self.reason, mode=self.mode, until=until
        )


def may(user: UserId, roles: Collection[str], room: Room | None, review: Room | None) -> bool:
    """Say whether *user* may stop and start the bot in *room* (None: everywhere).

    *review* is where it is ordered: its supervisor may for every room.
    """
    supervisors = {one.supervisor for one in (room, review) if one is not None} - {None}
    return bool(ROLES & set(roles)) or user in supervisors


def waived(owed: Iterable[Debt], room: RoomId | None, by: str) -> list[Fact]:
    """Forget what is owed in *room* (None: everywhere), on record; what people asked for stays."""
    return [
        Performed(outcome=Outcome(key=key(one.effect), status=Status.WAIVED, detail=f"by {by}"))
        for one in owed
        if room in {None, one.effect.room} and not isinstance(one.effect, _STAYS)
    ]


@dataclass(slots=True)
class Agreement:
    """Two people for what cannot be undone: who was the first to ask, in rooms or elsewhere.

    In memory only: a restart asks anew.
    """

    _asked: dict[str | None, tuple[UserId, Ms]] = field(default_factory=dict)

    def first(self, what: str | None, user: UserId, now: Ms) -> UserId | None:
        """Who else has asked for *what*, such as a room's id; None if *user* is the first.

        Then somebody else has `AGREE_MS` to ask the same.
        """
        first = self._asked.pop(what, None)
        if first is not None and first[0] != user and now - first[1] <= AGREE_MS:
            return first[0]
        self._asked[what] = user, now
        return None


def stopped(standing: Iterable[Standing]) -> frozenset[RoomId | None]:
    """Where nothing is done now, for whichever reason."""
    return frozenset(one.room for one in standing)


def held(facts: Sequence[Fact], standing: Iterable[Standing]) -> list[Fact]:
    """Take out of *facts* what would become owed in a room where a major incident is on."""
    rooms = {one.room for one in standing if one.mode is Mode.INCIDENT}
    if not rooms:
        return list(facts)
    return [_hold(fact, rooms) for fact in facts]


async def append(
    store: Store, facts: Sequence[Fact], cursor: Cursor | None = None
) -> Sequence[Fact]:
    """Record *facts*, holding back what a major incident holds back; return what was recorded."""
    if any(isinstance(fact, Decided) for fact in facts):
        facts = held(facts, await store.standing())
    await store.append(facts, cursor=cursor)
    return facts


def _hold(fact: Fact, rooms: Collection[RoomId | None]) -> Fact:
    if isinstance(fact, Decided) and not {fact.message.room, None}.isdisjoint(rooms):
        return replace(fact, owes=(), held=Mode.INCIDENT.value)
    return fact


# What is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Says it, in rooms and at the command line alike."""

    rooms: Mapping[RoomId, Room]
    names: Mapping[UserId, str]
    zone: ZoneInfo

    def done(self, fact: Braked, now: Ms, standing: Iterable[Standing], waived: int = 0) -> str:
        """What an order came to; *standing* is what was on before."""
        where = self.place(fact.room)
        if fact.on:
            until = f" until {self.time(fact.until, now)}" if fact.until is not None else ""
            if fact.mode is Mode.INCIDENT:
                return (
                    f"Major-incident mode is on in {where}{until}. Blue Lamp only records there: "
                    "no notes, nothing is moved. What it would have done is on record."
                )
            return f"Paused in {where}{until}. Recording goes on."
        own = [one for one in standing if one.mode is fact.mode]
        wider = fact.room is not None and any(one.room is None for one in own)
        if wider:
            return f"{where} stays as it is: every room is stopped. Say all instead of its name."
        if fact.mode is Mode.INCIDENT:
            return f"Major-incident mode is off in {where}. Blue Lamp acts again."
        more = f" {waived} things that were owed are waived." if waived else ""
        return f"Acting again in {where}.{more}"

    def over(self, one: Standing, now: Ms) -> str:
        """That a pause or an incident has ended by itself."""
        since = self.time(one.since, now)
        if one.mode is Mode.INCIDENT:
            return (
                f"Major-incident mode in {self.place(one.room)}, on since {since}, has ended by "
                "itself: its time is over. Blue Lamp acts there again."
            )
        return (
            f"The pause in {self.place(one.room)}, since {since}, is over. Blue Lamp acts there "
            "again, and does what was owed meanwhile."
        )

    def begun(self, one: Standing, now: Ms) -> str:
        """That major-incident mode was switched on, for those who were not there."""
        reason = f" Reason: {one.reason}." if one.reason else ""
        return (
            f"{self.person(one.by)} switched major-incident mode on in {self.place(one.room)} at "
            f"{self.time(one.since, now)}.{reason} Blue Lamp only records there. It ends "
            f"{self._end(one, now)}."
        )

    def reminder(self, one: Standing, now: Ms) -> str:
        """That major-incident mode is still on."""
        return (
            f"Major-incident mode is still on in {self.place(one.room)}, since "
            f"{self.time(one.since, now)}: nothing is moved there. It ends {self._end(one, now)}.\n"
            f"!incident off {self._typed(one.room)}"
        )

    def ended(self, one: Standing) -> str:
        """That somebody has switched major-incident mode off."""
        return f"Major-incident mode is off in {self.place(one.room)}. Blue Lamp acts there again."

    def _end(self, one: Standing, now: Ms) -> str:
        return f"at {self.time(one.until, now)}" if one.until else "when somebody says so"

    def place(self, room: RoomId | None) -> str:
        """What people call a room."""
        if room is None:
            return "every room"
        return self.rooms[room].name if room in self.rooms else room

    def person(self, by: str) -> str:
        """What people call whoever gave an order."""
        return self.names.get(UserId(by), by)

    def _typed(self, room: RoomId | None) -> str:
        return "all" if room is None else self.place(room)

    def time(self, at: Ms, now: Ms) -> str:
        """Spell a time; with its day where that is not today."""
        local, today = (datetime.datetime.fromtimestamp(t / 1000, self.zone) for t in (at, now))
        day = "" if local.date() == today.date() else f" on {local:%a} {local.day} {local:%b}"
        return f"{local:%H:%M}{day}"
