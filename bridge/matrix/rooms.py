"""`bluelamp rooms plan|apply`: makes the rooms on the server what the register says.

Never removes anybody or anything, never takes over a room that the bot did not make unless the
register names its id, and never acts on a plan before each room was looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.errors import NotFound, NotPermitted, NotSignedIn, RateLimited
from bridge.matrix.api import Api, quote
from bridge.matrix.desired import House, State, Want, creation, want
from bridge.matrix.drift import (
    V3,
    Difference,
    Request,
    child,
    compare,
    differs,
    maker,
    problem,
    state_of,
)
from bridge.model import RoomId, UserId
from bridge.register import Entry, Lock, People, Register

#: How long one call may be kept waiting by M_LIMIT_EXCEEDED: Synapse's default lets a new account
#: make ten rooms and then one a minute.
_PATIENCE_S = 600.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What differs between the register and the server; empty if nothing does."""

    differences: tuple[Difference, ...]
    house: House
    #: Which room is which, as far as is known.
    lock: Lock

    def __str__(self) -> str:
        """Show one line for each difference, problems marked with "!"."""
        lines = [f"{'!' if d.problem else '-'} {d}" for d in self.differences]
        return "\n".join(lines) or "Nothing to do: every room is as the register says."

    @property
    def problems(self) -> tuple[Difference, ...]:
        """Those that a person has to see to."""
        return tuple(difference for difference in self.differences if difference.problem)


async def plan(  # noqa: PLR0913  (six, as the house allows)
    api: Api,
    register: Register,
    people: People,
    lock: Lock,
    *,
    bot: UserId,
    card: Callable[[Entry], str],
) -> Plan:
    """Compare the server with the register; *card* gives the notice that becomes a room's topic.

    Raises:
        NotSignedIn: *api* has no valid token of the bot.
        TransportError: the server was not reached.
    """
    notices = {entry.key: card(entry) for entry in register.rooms.values()}
    house = House(register=register, people=people, bot=bot, notices=notices)
    server = _Server(api, lambda _: None)
    found: list[Difference] = []
    for key in house.order():
        room = want(house, key, lock)
        place = await server.find(room, register.source)
        if place.note is not None:
            found.append(place.note)
        if place.id is not None and (place.note is None or place.note.mend is None):
            found += await server.compare(room, place.id)
    return Plan(differences=tuple(found), house=house, lock=lock)


async def apply(
    api: Api, planned: Plan, *, save: Callable[[Lock], None], progress: Progress
) -> Plan:
    """Mend what *planned* lists, and return what remains: problems, with the new lock.

    *save* gets the lock each time that a room was made or found, before anything else is done to
    it. May be interrupted anywhere and run again: what was made is found again by its alias.

    Raises:
        NotSignedIn: *api* has no valid token of the bot.
        TransportError: the server was not reached; what was done stays done.
    """
    server = _Server(api, progress)
    house, lock = planned.house, planned.lock
    due = {difference.key for difference in planned.differences}
    left: list[Difference] = []
    for key in house.order():
        if key in due:
            lock, remaining = await _mend(server, house, key, lock, save)
            left += remaining
    return Plan(differences=tuple(left), house=house, lock=lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a room of the register is on the server."""

    #: None if it does not exist.
    id: RoomId | None = None
    #: What stands between the bot and being in it, or between it and the lock.
    note: Difference | None = None


async def _mend(
    server: _Server, house: House, key: str, lock: Lock, save: Callable[[Lock], None]
) -> tuple[Lock, list[Difference]]:
    """Make one room what it should be; return the lock with it, and what could not be done."""
    room = want(house, key, lock)
    place = await server.find(room, house.register.source)
    if place.note is not None and place.note.problem:
        return lock, [place.note]
    try:
        here = await server.make(room) if place.id is None else place.id
        if place.note is not None and place.note.mend is not None:
            await server.enter(room, place.note.mend, here)
    except NotSignedIn:
        raise
    except (NotPermitted, NotFound) as exc:
        tried = "make it" if place.id is None else "join it"
        return lock, [problem(room, f"the bot cannot {tried}: {exc}")]
    if room.id is None:
        lock = lock.with_room(key, here)
        save(lock)
    left = []
    for difference in await server.compare(room, here):
        left += await server.mend(room, difference)
    return lock, left


def _made_for(room: Want, state: State) -> bool:
    """Say whether the bot made a room for this key; only it can set the canonical alias there."""
    alias = state.get(("m.room.canonical_alias", ""), {}).get("alias")
    return maker(state) == room.bot and alias == room.alias


class _Server:
    """The homeserver, as far as rooms are concerned."""

    def __init__(self, api: Api, progress: Progress) -> None:
        self._api, self._progress = api, progress
        self._joined: frozenset[RoomId] | None = None

    async def ask(self, request: Request) -> dict[str, Any]:
        """Ask, and wait whenever the homeserver says that it is too much."""
        left_s = _PATIENCE_S
        while True:
            try:
                return await self._api.call(request.method, request.path, request.body)
            except RateLimited as limited:
                wait_s = max(limited.retry_after_ms, 100) / 1000
                if wait_s > left_s:
                    raise
                left_s -= wait_s
            self._progress(f"The homeserver asks us to wait {wait_s:.0f} s")
            await asyncio.sleep(wait_s)

    async def find(self, room: Want, source: str) -> _Place:
        """Look where *room* is: by the id that we know, else by its alias."""
        if room.id is None:
            return await self._by_alias(room)
        if room.id in await self._rooms():
            return _Place(id=room.id)
        if await self._may_enter(room.id):
            join = Request(method="POST", path=f"{V3}/join/{quote(room.id)}", body={})
            return _Place(id=room.id, note=differs(room, "the bot is not in it: join", join))
        return _Place(
            note=problem(
                room,
                f"the bot cannot enter {room.id} on {self._api.url}: have {room.bot} invited to "
                f"it, or take the id out of {source} and its lock so that a new room is made",
            )
        )

    async def make(self, room: Want) -> RoomId:
        """Make *room*, without its members."""
        self._progress(f"Making {room.name}")
        path = f"{V3}/createRoom"
        answer = await self.ask(Request(method="POST", path=path, body=creation(room)))
        here = RoomId(answer["room_id"])
        self._joined = await self._rooms() | {here}
        return here

    async def enter(self, room: Want, join: Request, here: RoomId) -> None:
        """Join a room that the bot was invited to."""
        self._progress(f"Joining {room.name}")
        await self.ask(join)
        self._joined = await self._rooms() | {here}

    async def compare(self, room: Want, here: RoomId) -> tuple[Difference, ...]:
        """Read a room that the bot is in, and list how it differs."""
        state = await self._state(here)
        link: Mapping[str, Any] = {}
        if room.parent_id is not None and room.parent_id in await self._rooms():
            parent = await self._state(room.parent_id)
            link = parent.get(("m.space.child", here), {})
        return (*compare(room, here, state), *child(room, here, link))

    async def mend(self, room: Want, difference: Difference) -> list[Difference]:
        """Do what mends *difference*; return what remains of it."""
        if difference.mend is None:
            return [difference]
        self._progress(f"Putting right: {difference}")
        try:
            await self.ask(difference.mend)
        except NotSignedIn:
            raise
        except (NotPermitted, NotFound) as exc:
            return [problem(room, f"{difference.what}, and the bot cannot change that: {exc}")]
        return []

    async def _by_alias(self, room: Want) -> _Place:
        try:
            answer = await self._api.call("GET", f"{V3}/directory/room/{quote(room.alias)}")
        except NotFound:
            makes = f"does not exist: make it, and invite {len(room.members)}"
            return _Place(note=differs(room, makes))
        here = RoomId(answer["room_id"])
        # Members may give a room this alias, so it is believed only of one that we made with it.
        if here in await self._rooms() and _made_for(room, await self._state(here)):
            return _Place(id=here, note=differs(room, "exists already: note its id in the lock"))
        return _Place(
            note=problem(
                room,
                f"the alias {room.alias} leads to {here}, which the bot did not make for this: "
                "have the alias removed, or give this id in the register if it is the right room",
            )
        )

    async def _rooms(self) -> frozenset[RoomId]:
        """List the rooms that the bot was in when it was first asked, and those it made since."""
        if self._joined is None:
            answer = await self._api.call("GET", f"{V3}/joined_rooms")
            self._joined = frozenset(map(RoomId, answer["joined_rooms"]))
        return self._joined

    async def _may_enter(self, room: RoomId) -> bool:
        path = f"/_matrix/client/v1/room_summary/{quote(room)}"
        try:
            summary = await self._api.call("GET", path)
        except NotSignedIn:
            raise
        except (NotFound, NotPermitted):
            return False
        return summary.get("membership") == "invite" or summary.get("join_rule") == "public"

    async def _state(self, room: RoomId) -> State:
        return state_of(await self._api.call_list("GET", f"{V3}/rooms/{quote(room)}/state"))
