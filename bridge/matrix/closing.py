"""Keeps the promises of `remains.Remains` with a real homeserver.

Never writes anything that it read to a disk, and never hands it to the pipeline: what is looked
through here is on record already, or will be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

import structlog

from bridge.acting.remains import Later, Reach, Standing
from bridge.errors import NotFound, NotPermitted, TooLarge, TransportError
from bridge.matrix import media, translate
from bridge.matrix.api import Api, quote
from bridge.matrix.client import Clear, Dark, LampClient
from bridge.matrix.transport import DEBT_FIELD, MatrixTransport
from bridge.matrix.words import is_id
from bridge.model import EventId, Message, Ms, RoomId, UserId
from bridge.secret import read_secret

log = structlog.get_logger(__name__)

_PAGE = 100
#: No more is read of what was said after a message: 20,000 events.
_MOST_PAGES = 200
#: So many events after a message are decrypted, and later ones only if they relate to something.
_CLOSELY = 500
#: A file that is deleted is gone; of one that is not, no more than this is fetched to see so.
_GLANCE_BYTES = 1024
#: What a redaction leaves of an event's content, in room versions from 11 on.
_LEFT = frozenset({"redacts"})


class MatrixRemains:
    """Looks and cleans up behind the bot's device."""

    def __init__(self, client: LampClient, api: Api, admin: Api | None = None) -> None:
        """Ask *api*, reading with the keys of *client*.

        *admin* asks with the token of an administrator of the server; None: files stay.
        """
        self._client, self._api, self._admin = client, api, admin
        self._server = client.user_id.partition(":")[2]

    @classmethod
    def behind(cls, transport: MatrixTransport, admin_token: Path | None) -> Self:
        """Clean up behind *transport*; *admin_token* is the file with an administrator's token.

        Raises:
            ConfigError: that file cannot be used.
        """
        api, admin = transport.api, None
        if admin_token is not None:
            admin = Api(api.url, read_secret(admin_token, "the administrator's token"))
            transport.beside.append(admin)
        return cls(transport.client, api, admin)

    async def later(self, room: RoomId, event: EventId, *, since: Ms) -> Later:
        """Read what was said in *room* after *event*."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/context/{quote(event)}"
        try:
            around = await self._api.call("GET", path, query={"limit": "0"})
        except NotFound:
            return await self._since(room, since)
        served: list[dict[str, Any]] = []
        start = around.get("end")
        for _ in range(_MOST_PAGES):
            if not isinstance(start, str):
                return self._read(room, served, whole=True)
            page = await self._page(room, "f", start)
            served += _events(page)
            start = page.get("end")
            if not page.get("chunk"):
                return self._read(room, served, whole=True)
        return self._read(room, served, whole=False)

    async def _since(self, room: RoomId, since: Ms) -> Later:
        """Read backwards until *since*."""
        served: list[dict[str, Any]] = []
        start: object = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(room, "b", start if isinstance(start, str) else "")
            events = _events(page)
            served += [one for one in events if _at(one) >= since]
            start = page.get("end")
            if not start or any(_at(one) < since for one in events):
                return self._read(room, served[::-1], whole=True)
        return self._read(room, served[::-1], whole=False)

    async def _page(self, room: RoomId, way: str, start: str) -> dict[str, Any]:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/messages"
        query = {"dir": way, "limit": str(_PAGE), **({"from": start} if start else {})}
        return await self._api.call("GET", path, query=query)

    def _read(self, room: RoomId, served: list[dict[str, Any]], *, whole: bool) -> Later:
        marks = (self._mark(event) for event in served)
        return Later(
            messages=tuple(
                self._message(room, event, closely=n < _CLOSELY or _relates(event))
                for n, event in enumerate(served)
                if is_id(event.get("event_id"))
            ),
            marks=frozenset(mark for mark in marks if mark),
            whole=whole,
        )

    def _mark(self, event: Mapping[str, Any]) -> str:
        """What stands in an event of our own; empty for anybody else's."""
        if event.get("sender") != self._client.user_id:
            return ""
        mark = _dict(event.get("content")).get(DEBT_FIELD)
        return mark if isinstance(mark, str) else ""

    def _message(self, room: RoomId, event: Mapping[str, Any], *, closely: bool) -> Message:
        """Read one event; without decrypting it where it is not looked at *closely*."""
        try:
            if event.get("type") != "m.room.encrypted" or "state_key" in event:
                return translate.plain(room, event)
            if not event.get("content"):
                return translate.plain(room, {**event, "type": "m.room.encrypted.redacted"})
            inside = self._client.decrypt(room, event) if closely else Dark("not looked at", "")
            if isinstance(inside, Clear):
                return translate.decrypted(room, event, inside, late=False)
            return translate.unreadable(room, event, inside)
        except Exception as exc:
            # Only the kind of error: its words may be a member's.
            log.error("event.stumbled", room=room, error=type(exc).__name__)
            return translate.beyond_us(room, event, exc)

    async def standing(self, room: RoomId, event: EventId) -> Standing:
        """Ask the server how *event* stands now."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/event/{quote(event)}"
        try:
            served = await self._api.call("GET", path)
        except NotFound:
            return Standing.ABSENT
        content = _dict(served.get("content"))
        removed = "redacted_because" in _dict(served.get("unsigned"))
        return Standing.EMPTY if removed and content.keys() <= _LEFT else Standing.THERE

    async def take_out(
        self, room: RoomId, event: EventId, reason: str, *, txn: str, mark: str
    ) -> None:
        """Redact *event*."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/redact/{quote(event)}/{quote(txn)}"
        await self._api.call("PUT", path, {"reason": reason, DEBT_FIELD: mark})

    async def unpin(
        self, room: RoomId, events: Collection[EventId], *, mark: str
    ) -> tuple[EventId, ...]:
        """Take *events* off the list of pinned ones."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.pinned_events"
        try:
            state = await self._api.call("GET", path)
        except NotFound:
            return ()
        pinned = state.get("pinned")
        if not isinstance(pinned, list):
            return ()
        off = tuple(one for one in dict.fromkeys(filter(is_id, pinned)) if one in events)
        if off:
            stay = [one for one in pinned if one not in off]
            await self._api.call("PUT", path, {**state, "pinned": stay, DEBT_FIELD: mark})
            again = await self._api.call("GET", path)
            if set(off) & set(filter(is_id, _list(again.get("pinned")))):
                raise TransportError("The list of pinned messages was changed at the same time.")
        return tuple(EventId(one) for one in off)

    async def drop_file(self, url: str, of: UserId) -> bool:
        """Delete a file that *of* has uploaded from the server, and see that it is gone."""
        if self._admin is None:
            return False
        server, _, name = url.removeprefix("mxc://").partition("/")
        if server != self._server:
            raise NotPermitted(f"The file lies on {server}, which is not ours.")
        path = f"/_synapse/admin/v1/media/{quote(server)}/{quote(name)}"
        try:
            info = _dict((await self._admin.call("GET", path)).get("media_info"))
        except NotFound:
            if await self._is_gone(url):
                return True
            raise NotPermitted("The server does not say whose file it is: it was left.") from None
        if info.get("user_id") != of:
            raise NotPermitted("Somebody else has uploaded the file: it was left.")
        with contextlib.suppress(NotFound):  # gone already
            await self._admin.call("DELETE", path)
        if await self._is_gone(url):
            return True
        raise TransportError("The file is still there after it was deleted.")

    async def _is_gone(self, url: str) -> bool:
        try:
            await media.fetch(self._api, url, most_bytes=_GLANCE_BYTES)
        except NotFound:
            return True
        except TooLarge:
            pass
        return False

    async def reach(self, room: RoomId, event: EventId) -> Reach:
        """Say who else may have what *event* said."""
        base = f"/_matrix/client/v3/rooms/{quote(room)}"
        answer = await self._api.call("GET", f"{base}/joined_members")
        servers = {str(user).partition(":")[2] for user in _dict(answer.get("joined"))}
        try:
            served = await self._api.call("GET", f"{base}/event/{quote(event)}")
            encrypted = served.get("type") == "m.room.encrypted"
        except NotFound:
            encrypted = False  # nobody can tell: no more is promised than is known
        others = tuple(sorted(servers - {self._server, ""}))
        return Reach(encrypted=encrypted, servers=others)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _relates(event: Mapping[str, Any]) -> bool:
    return "m.relates_to" in _dict(event.get("content"))


def _events(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for one in _list(page.get("chunk")) if isinstance(one, dict)]


def _at(event: Mapping[str, Any]) -> int:
    at = event.get("origin_server_ts")
    return at if isinstance(at, int) else 0
