"""Keeps the promises of `premises.Premises` with a real homeserver.

Never decides what is to be done, and never mends what it has not just looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import structlog

from bridge.errors import NotFound, NotPermitted, NotSignedIn
from bridge.matrix.api import Api, quote
from bridge.matrix.desired import LOCK_TYPE, House, Want, want
from bridge.matrix.drift import (
    V3,
    Difference,
    Request,
    authors,
    present,
    state_of,
    why_locked,
)
from bridge.matrix.rooms import Server
from bridge.matrix.transport import MatrixTransport
from bridge.model import RoomId, UserId
from bridge.register import Lock
from bridge.rooms.premises import Fault, Gone, Look, Sort
from bridge.secret import read_secret

log = structlog.get_logger(__name__)

_ADMIN = "/_synapse/admin"
_MEMBER = "m.room.member"
#: How the server says that it is still deleting a room.
_UNDER_WAY = frozenset({"scheduled", "active", "shutting_down", "purging"})


class MatrixPremises:
    """The rooms of the register, seen and set with the bot's account."""

    def __init__(
        self, api: Api, plan: Callable[[], tuple[House, Lock]], admin: Api | None = None
    ) -> None:
        """Ask *api*; *plan* says how everything should be now, and which room is which.

        *admin* asks with the token of an administrator of the server; None: sessions stay.
        """
        self._api, self._plan, self._admin = api, plan, admin

    @classmethod
    def behind(
        cls,
        transport: MatrixTransport,
        plan: Callable[[], tuple[House, Lock]],
        admin_token: Path | None,
    ) -> Self:
        """Look after the rooms of *transport*; *admin_token* is a file with such a token.

        Raises:
            ConfigError: that file cannot be used.
        """
        admin = None
        if admin_token is not None:
            token = read_secret(admin_token, "the administrator's token")
            admin = Api(transport.api.url, token)
            transport.beside.append(admin)
        return cls(transport.api, plan, admin)

    def listed(self) -> tuple[str, ...]:
        """Every room and space on the register, those first that others refer to."""
        return tuple(self._plan()[0].order())

    def key_of(self, room: RoomId) -> str | None:
        """Which of them *room* is."""
        house, lock = self._plan()
        return next((k for k in house.order() if house.register.id_of(k, lock) == room), None)

    async def look(self, key: str) -> Look:
        """Read how it is now."""
        room, here, found, events = await self._differences(key)
        if here is None:
            faults = tuple(self._fault(one, room, events) for one in found)
            return Look(key=key, name=room.name, id=room.id, faults=faults)
        return Look(
            key=key,
            name=room.name,
            id=here,
            faults=tuple(self._fault(one, room, events) for one in found),
            inside=frozenset(_inside(events) - {room.bot}),
            locked=why_locked(events, room.bot),
            members=frozenset(room.members),
            present=present(state_of(events)),
        )

    async def put_right(self, fault: Fault) -> str:
        """Look again, and mend it where it is still there."""
        room, _, found, _ = await self._differences(fault.key)
        for one in found:
            if (one.sort, one.about) != (fault.sort, fault.about):
                continue
            if one.mend is not None:
                return await self._do(one.mend)
            if self._admin is not None and _regainable(one, room):
                return await self._regain(room, self._admin)
        return ""

    async def _regain(self, room: Want, admin: Api) -> str:
        """Have the homeserver's administrator give the bot its power, and its place, again."""
        if room.id is None:
            return "there is no such room on the server"
        path = f"{_ADMIN}/v1/rooms/{quote(room.id)}/make_room_admin"
        try:
            await admin.call("POST", path, {"user_id": room.bot})
        except (NotPermitted, NotFound) as exc:
            return str(exc)
        return await self._do(Request(method="POST", path=f"{V3}/join/{quote(room.id)}", body={}))

    async def lock_down(self, key: str, reason: str) -> str:
        """Let nobody but the bot write there."""
        return await self._set_lock(key, reason)

    async def lift_lock(self, key: str) -> str:
        """Let people write there again."""
        return await self._set_lock(key, "")

    async def _set_lock(self, key: str, reason: str) -> str:
        house, lock = self._plan()
        room = want(house, key, lock)
        if room.id is None:
            return "there is no such room on the server"
        path = f"{V3}/rooms/{quote(room.id)}/state/{LOCK_TYPE}/"
        body = {"reason": reason} if reason else {}
        # The mark first: a lock that was begun is finished by whoever looks next.
        refused = await self._do(Request(method="PUT", path=path, body=body))
        if refused:
            return refused
        _, _, found, _ = await self._differences(key)
        for one in found:
            if one.sort is Sort.POWER and one.mend is not None:
                return await self._do(one.mend)
        return ""

    async def close_down(self, key: str, reason: str) -> str:
        """Put everybody out."""
        house, lock = self._plan()
        if key not in house.register.rooms:
            return "it is not in rooms.yaml any more: it has to stand there until it is closed"
        room = want(house, key, lock)
        if room.id is None:
            return "there is no such room on the server"
        refused = await self._set_lock(key, reason)
        for user in _members(await Server(self._api, lambda _: None).events(room.id)):
            if user != room.bot:
                path = f"{V3}/rooms/{quote(room.id)}/kick"
                body = {"user_id": user, "reason": reason}
                refused = await self._do(Request(method="POST", path=path, body=body)) or refused
        if room.parent_id is not None:
            path = f"{V3}/rooms/{quote(room.parent_id)}/state/m.space.child/{quote(room.id)}"
            refused = await self._do(Request(method="PUT", path=path, body={})) or refused
        return refused

    async def delete_room(self, key: str) -> str:
        """Have the server delete it."""
        room = self._place(key)
        if room is None:
            return "there is no such room on the server"
        if self._admin is None:
            return "the bot has no administrator's token"
        path = f"{_ADMIN}/v2/rooms/{quote(room)}"
        try:
            await self._admin.call("DELETE", path, {"block": True, "purge": True})
        except (NotPermitted, NotFound) as exc:
            return str(exc)
        return ""

    async def deleted(self, key: str) -> Gone:
        """Ask the administrator's interface: the bot itself is no longer in the room."""
        room = self._place(key)
        if room is None or self._admin is None:
            return Gone.THERE
        try:
            await self._admin.call("GET", f"{_ADMIN}/v1/rooms/{quote(room)}")
        except NotFound:
            return Gone.GONE
        except NotPermitted as exc:
            log.error("admin.refused", error=str(exc))
            return Gone.THERE
        try:
            found = await self._admin.call("GET", f"{_ADMIN}/v2/rooms/{quote(room)}/delete_status")
        except NotFound:
            return Gone.THERE
        under_way = [one for one in found.get("results") or () if one.get("status") in _UNDER_WAY]
        return Gone.GOING if under_way else Gone.THERE

    def _place(self, key: str) -> RoomId | None:
        """Which room it is, also where it is no longer on the register."""
        house, lock = self._plan()
        listed = key in house.order() or key in house.register.rooms
        return house.register.id_of(key, lock) if listed else lock.ids.get(key)

    async def lock_account(self, user: UserId) -> str:
        """Let *user* sign in no more."""
        if self._admin is None:
            return "the bot has no administrator's token"
        path = f"{_ADMIN}/v2/users/{quote(user)}"
        try:
            await self._admin.call("GET", path)  # to set anything would make who is not there
            await self._admin.call("PUT", path, {"locked": True})
        except NotFound:
            return "the server does not know them"
        except NotPermitted as exc:
            log.error("admin.refused", error=str(exc))
            return "the homeserver refused"
        return ""

    async def end_sessions(self, user: UserId) -> int | None:
        """Sign *user* out everywhere."""
        if self._admin is None:
            return None
        path = f"{_ADMIN}/v2/users/{quote(user)}"
        try:
            found = (await self._admin.call("GET", f"{path}/devices")).get("devices")
            devices = [str(one["device_id"]) for one in found or () if isinstance(one, dict)]
            if devices:
                await self._admin.call("POST", f"{path}/delete_devices", {"devices": devices})
        except NotFound:
            return 0
        except NotPermitted as exc:
            log.error("admin.refused", error=str(exc))
            return None
        return len(devices)

    async def _differences(
        self, key: str
    ) -> tuple[Want, RoomId | None, tuple[Difference, ...], Sequence[Mapping[str, Any]]]:
        """How a room should be, where it is, how it differs, and its state."""
        house, lock = self._plan()
        room, server = want(house, key, lock), Server(self._api, lambda _: None)
        place = await server.find(room, house.register.source, follow=False)
        if place.note is not None or place.id is None:
            note = (place.note,) if place.note is not None else ()
            known = room.id is not None
            sort, about = (Sort.ABSENT, room.bot) if known else (Sort.KNOWN, "")
            absent = (replace(one, sort=sort, about=about) for one in note)
            return room, None, tuple(absent), await _left(server, room)
        events = await server.events(place.id)
        return room, place.id, await server.compared(room, place.id, events), events

    def _fault(self, one: Difference, room: Want, events: Sequence[Mapping[str, Any]]) -> Fault:
        by = authors(events)
        member = by.get((_MEMBER, one.about))
        mendable = one.mend is not None or (self._admin is not None and _regainable(one, room))
        sort = one.sort
        if sort is Sort.MISSING and member not in {None, room.bot}:
            sort = Sort.KNOWN  # they went by themselves, or their supervisor saw to it
        return Fault(
            key=one.key,
            room=one.room,
            what=one.what,
            sort=sort,
            about=one.about,
            by=_author(one, by),
            mendable=mendable,
        )

    async def _do(self, request: Request) -> str:
        """Do it; say what the server has against it, or nothing."""
        try:
            await self._api.call(request.method, request.path, request.body)
        except NotSignedIn:
            raise
        except (NotPermitted, NotFound) as exc:
            return str(exc)
        return ""


async def _left(server: Server, room: Want) -> Sequence[Mapping[str, Any]]:
    """Read the state in which the bot left a room, which says who put it out."""
    if room.id is None:
        return ()
    try:
        return await server.events(room.id)
    except NotSignedIn:
        raise
    except (NotPermitted, NotFound):
        return ()  # it never was there


def _regainable(one: Difference, room: Want) -> bool:
    """Say whether it is that the bot was put out, or has lost its power."""
    lost = one.sort is Sort.POWER and one.about == room.bot
    return one.mend is None and (lost or one.sort is Sort.ABSENT)


def _author(one: Difference, by: Mapping[tuple[str, str], UserId]) -> UserId | None:
    """Who made it so."""
    if one.sort in {Sort.STRANGER, Sort.ABSENT}:
        return by.get((_MEMBER, one.about))
    if one.sort in {Sort.POWER, Sort.OUTRANKED}:
        return by.get(("m.room.power_levels", ""))
    return by.get((one.about, ""))


async def lift_limits(url: str, admin_token: Path, bot: UserId) -> None:
    """Have the server no longer slow *bot* down: its default stalls after ten new rooms.

    Raises:
        ConfigError: the file with the administrator's token cannot be used.
        TransportError: the server was not reached, or refused.
    """
    path = f"{_ADMIN}/v1/users/{quote(bot)}/override_ratelimit"
    async with Api(url, read_secret(admin_token, "the administrator's token")) as admin:
        await admin.call("POST", path, {"messages_per_second": 0, "burst_count": 0})


def _members(events: Sequence[Mapping[str, Any]]) -> list[UserId]:
    """Who is in a room, or asked in."""
    return [
        UserId(str(event["state_key"]))
        for event in events
        if event["type"] == _MEMBER and event["content"].get("membership") in {"join", "invite"}
    ]


def _inside(events: Sequence[Mapping[str, Any]]) -> set[UserId]:
    return {
        UserId(str(event["state_key"]))
        for event in events
        if event["type"] == _MEMBER and event["content"].get("membership") == "join"
    }
