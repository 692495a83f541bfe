"""`bluelamp rooms plan|apply`: makes the rooms on the server what the register says.

Never puts out more than a tenth of a room's own people unasked, never takes over a room that the
bot did not make unless the register names its id, and never acts on a plan before each room was
looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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
    why_locked,
)
from bridge.model import RoomClass, RoomId
from bridge.register import Lock
from bridge.rooms import badges
from bridge.rooms.premises import Sort

T = TypeVar("T")

#: How long one call may be kept waiting by M_LIMIT_EXCEEDED: Synapse's default lets a new account
#: make ten rooms and then one a minute.
_PATIENCE_S = 600.0

_MOST_UPGRADES = 16
_NO_PICTURE = "the picture of its class is not on the server yet"

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


async def plan(api: Api, house: House, lock: Lock) -> Plan:
    """Compare the server with how everything should be.

    Raises:
        NotSignedIn: *api* has no valid token of the bot.
        TransportError: the server was not reached.
    """
    server = Server(api, lambda _: None)
    found: list[Difference] = []
    for key in house.order():
        room = want(house, key, lock)
        place = await server.find(room, house.register.source)
        if place.note is not None:
            found.append(place.note)
        if place.id is not None and (place.note is None or place.note.mend is None):
            found += await server.compare(room, place.id)
            found += [differs(room, _NO_PICTURE)] if _pictureless(house, lock, key) else []
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
    server = Server(api, progress)
    house, lock = planned.house, planned.lock
    due = {difference.key for difference in planned.differences}
    left: list[Difference] = []
    for key in house.order():
        if key in due:
            cls = _pictureless(house, lock, key)
            if cls is not None:
                lock, refused = await _draw(server, want(house, key, lock), cls, lock)
                save(lock)
                left += refused
            lock, remaining = await _mend(server, house, key, lock, save)
            left += remaining
    return Plan(differences=tuple(left), house=house, lock=lock)


async def adopt(api: Api, house: House, key: str, lock: Lock) -> Plan:
    """Enter a room that exists already and that *lock* gives for *key*; say how it differs.

    Changes nothing in it. The lock comes back without the room if the bot cannot enter it.

    Raises:
        NotSignedIn, TransportError: as `plan`.
    """
    server, room = Server(api, lambda _: None), want(house, key, lock)
    place = await server.find(room, house.register.source, follow=False)
    if place.id is None:
        without = {name: one for name, one in lock.ids.items() if name != key}
        note = (place.note,) if place.note is not None else ()
        return Plan(differences=note, house=house, lock=replace(lock, ids=without))
    if place.note is not None and place.note.mend is not None:
        await server.enter(room, place.note.mend, place.id)
    events = await server.events(place.id)
    encrypted = ("m.room.encryption", "") in state_of(events)
    past = (
        "what was said before the bot came is not on record, and stays unreadable to it"
        if encrypted
        else "what was said before the bot came is not on record, and readable to the server"
    )
    found = await server.compared(room, place.id, events)
    return Plan(differences=(problem(room, past), *found), house=house, lock=lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a room of the register is on the server."""

    #: None if it does not exist.
    id: RoomId | None = None
    #: What stands between the bot and being in it, or between it and the lock.
    note: Difference | None = None


async def _mend(
    server: Server, house: House, key: str, lock: Lock, save: Callable[[Lock], None]
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
    if room.id != here:
        lock = lock.with_room(key, here)
        save(lock)
        room = want(house, key, lock)
    left: list[Difference] = []
    for difference in await server.compare(room, here):
        left += await server.mend(room, difference)
    if left:  # the running bot may have done it meanwhile
        still = {(one.sort, one.about) for one in await server.compare(room, here)}
        left = [one for one in left if (one.sort, one.about) in still]
    return lock, left


def _pictureless(house: House, lock: Lock, key: str) -> RoomClass | None:
    """Give the class of a room whose picture is not on the server yet; None for all others."""
    entry = house.register.rooms.get(key)
    if entry is None or badges.name(entry.cls) in lock.pictures:
        return None
    return entry.cls


async def _draw(
    server: Server, room: Want, cls: RoomClass, lock: Lock
) -> tuple[Lock, list[Difference]]:
    """Upload the picture of a class; return the lock with it, and what could not be done."""
    drawn = await asyncio.to_thread(badges.picture, cls)
    try:
        return lock.with_picture(badges.name(cls), await server.upload(drawn)), []
    except NotSignedIn:
        raise
    except (NotPermitted, NotFound) as exc:
        return lock, [problem(room, f"the bot cannot upload the picture of its class: {exc}")]


def _made_for(room: Want, state: State) -> bool:
    """Say whether the bot made a room for this key; only it can set the canonical alias there."""
    alias = state.get(("m.room.canonical_alias", ""), {}).get("alias")
    return maker(state) == room.bot and alias == room.alias


class Server:
    """The homeserver, as far as rooms are concerned, as it was when it was first asked."""

    def __init__(self, api: Api, progress: Progress) -> None:
        """Ask *api*; *progress* is told what is being done."""
        self._api, self._progress = api, progress
        self._joined: frozenset[RoomId] | None = None

    async def ask(self, request: Request) -> dict[str, Any]:
        """Ask, and wait whenever the homeserver says that it is too much."""
        return await self._patiently(
            lambda: self._api.call(request.method, request.path, request.body)
        )

    async def upload(self, picture: bytes) -> str:
        """Store a PNG that everybody may see; return where it lies."""
        return await self._patiently(lambda: self._api.upload(picture, kind="image/png"))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        left_s = _PATIENCE_S
        while True:
            try:
                return await ask()
            except RateLimited as limited:
                wait_s = max(limited.retry_after_ms, 100) / 1000
                if wait_s > left_s:
                    raise
                left_s -= wait_s
            self._progress(f"The homeserver asks us to wait {wait_s:.0f} s")
            await asyncio.sleep(wait_s)

    async def find(self, room: Want, source: str, *, follow: bool = True) -> _Place:
        """Look where *room* is: by the id that we know, else by its alias.

        *follow*: where it was upgraded, it is the room that continues it.
        """
        if room.id is None:
            return await self._by_alias(room)
        if room.id in await self._rooms():
            return await self._upgraded(room, room.id) if follow else _Place(id=room.id)
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
        events = await self.events(here)
        return await self.compared(room, here, events)

    async def compared(
        self, room: Want, here: RoomId, events: Sequence[Mapping[str, Any]]
    ) -> tuple[Difference, ...]:
        """List how the room of this state differs."""
        state = state_of(events)
        room = replace(room, locked=why_locked(events, room.bot))
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
            what = f"{difference.what}, and the bot cannot change that: {exc}"
            return [problem(room, what, difference.sort, difference.about)]
        return []

    async def _upgraded(self, room: Want, here: RoomId) -> _Place:
        """Follow upgrades as far as both rooms say so, and the bot is in the newer one."""
        newest = here
        for _ in range(_MOST_UPGRADES):
            after = await self._successor(newest)
            if after is None or after not in await self._rooms():
                break
            create = (await self._state(after)).get(("m.room.create", ""), {})
            if dict(create.get("predecessor") or {}).get("room_id") != newest:
                break
            newest = after
        if newest == here:
            return _Place(id=here)
        if room.fixed:
            what = f"was upgraded: give {newest} as its id in the register"
            return _Place(id=here, note=problem(room, what, Sort.REPLACED))
        return _Place(id=newest, note=differs(room, "was upgraded: note its new id in the lock"))

    async def _successor(self, room: RoomId) -> RoomId | None:
        path = f"{V3}/rooms/{quote(room)}/state/m.room.tombstone/"
        try:
            named = (await self._api.call("GET", path)).get("replacement_room")
        except NotFound:
            return None
        return RoomId(named) if isinstance(named, str) else None

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

    async def events(self, room: RoomId) -> list[dict[str, Any]]:
        """Read the state of a room that the bot is in."""
        return await self._api.call_list("GET", f"{V3}/rooms/{quote(room)}/state")

    async def _state(self, room: RoomId) -> State:
        return state_of(await self.events(room))
