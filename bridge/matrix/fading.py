"""Keeps the promises of `fading.Fading` with a real homeserver.

Never decrypts anything: that something is old is seen from outside.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

import structlog

from bridge.acting.fading import Old, Page
from bridge.errors import NotFound, NotPermitted, TransportError
from bridge.matrix.api import Api, quote
from bridge.matrix.client import LampClient
from bridge.matrix.desired import RETENTION_TYPE
from bridge.matrix.transport import MatrixTransport
from bridge.matrix.words import is_id
from bridge.model import EventId, Ms, RoomId
from bridge.secret import read_secret

log = structlog.get_logger(__name__)

_PAGE = 100
#: No more is read to see which sessions are in use: 5,000 events.
_MOST_PAGES = 50
_PATIENCE_S = 600.0


class MatrixFading:
    """Looks at old messages with the bot's account, and purges with an administrator's."""

    def __init__(self, client: LampClient, api: Api, admin: Api | None = None) -> None:
        """Ask *api*; *admin* asks with the token of an administrator; None: nothing is purged."""
        self._client, self._api, self._admin = client, api, admin
        #: How far each room was read.
        self._read: dict[RoomId, str] = {}

    @classmethod
    def behind(cls, transport: MatrixTransport, admin_token: Path | None) -> Self:
        """Look through *transport*; *admin_token* is the file with an administrator's token.

        Raises:
            ConfigError: that file cannot be used.
        """
        admin = None
        if admin_token is not None:
            admin = Api(transport.api.url, read_secret(admin_token, "the administrator's token"))
            transport.beside.append(admin)
        return cls(transport.client, transport.api, admin)

    async def begin(self, room: RoomId) -> None:
        """Look at a room from its beginning again."""
        self._read.pop(room, None)

    async def oldest(self, room: RoomId, before: Ms) -> Page:
        """Give the next old events."""
        served, end = await self._page(room, self._read.get(room))
        if end is not None:
            self._read[room] = end
        old = [event for event in served if _at(event) < before]
        return Page(
            events=tuple(_old(event) for event in old if _says_something(event)),
            last=end is None or not served or not old,
        )

    async def in_use(self, room: RoomId, since: Ms, until: Ms) -> frozenset[str] | None:
        """Name the sessions of what was said then."""
        found = set[str]()
        path = f"/_matrix/client/v1/rooms/{quote(room)}/timestamp_to_event"
        try:
            query = {"ts": str(since), "dir": "f"}
            first = str((await self._api.call("GET", path, query=query))["event_id"])
        except NotFound:
            return frozenset()
        path = f"/_matrix/client/v3/rooms/{quote(room)}/context/{quote(first)}"
        around = await self._api.call("GET", path, query={"limit": "0"})
        found |= {_session(around.get("event") or {})}
        start = around.get("end")
        for _ in range(_MOST_PAGES):
            served, start = await self._page(room, start)
            found |= {_session(event) for event in served}
            if start is None or not served or all(_at(event) >= until for event in served):
                return frozenset(found - {""})
        return None

    async def purge(self, room: RoomId, before: Ms, *, but_from: EventId | None) -> bool:
        """Have the server delete what was said before then, or before that event."""
        if self._admin is None:
            return False
        base = "/_synapse/admin/v1"
        until = {"purge_up_to_event_id": but_from} if but_from else {"purge_up_to_ts": before}
        body = {"delete_local_events": True, **until}
        try:
            started = await self._admin.call("POST", f"{base}/purge_history/{quote(room)}", body)
        except (NotPermitted, NotFound) as exc:
            log.error("admin.refused", error=str(exc))
            return False
        path = f"{base}/purge_history_status/{quote(str(started.get('purge_id')))}"
        deadline = time.monotonic() + _PATIENCE_S
        while (status := (await self._admin.call("GET", path)).get("status")) == "active":
            if time.monotonic() > deadline:
                raise TransportError("The homeserver takes long to delete old messages.")
            await asyncio.sleep(0.5)
        if status != "complete":
            raise TransportError("The homeserver failed to delete old messages.")
        self._read.pop(room, None)
        return True

    async def agree(self, room: RoomId, shown_ms: int) -> None:
        """Have the server show messages for so long."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state/{RETENTION_TYPE}/"
        wanted = {"max_lifetime": shown_ms}
        try:
            found = await self._api.call("GET", path)
        except NotFound:
            found = {}
        if found != wanted:
            await self._api.call("PUT", path, wanted)

    async def pinned(self, room: RoomId) -> tuple[EventId, ...]:
        """Name what is pinned."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.pinned_events"
        try:
            found = (await self._api.call("GET", path)).get("pinned")
        except NotFound:
            return ()
        named = filter(is_id, found) if isinstance(found, list) else ()
        return tuple(EventId(one) for one in dict.fromkeys(named))

    async def drop_keys(self, room: RoomId, sessions: Collection[str]) -> int:
        """Delete our copies of these keys."""
        return int(self._client.olm.inbound_group_store.forget_sessions(room, sessions))

    async def _page(
        self, room: RoomId, start: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/messages"
        query = {"dir": "f", "limit": str(_PAGE)} | ({"from": start} if start else {})
        page = await self._api.call("GET", path, query=query)
        chunk, end = page.get("chunk"), page.get("end")
        served = [one for one in chunk if isinstance(one, dict)] if isinstance(chunk, list) else []
        return served, end if isinstance(end, str) else None


def _says_something(event: Mapping[str, Any]) -> bool:
    """Say whether an event is no state, no removal, and was not taken out."""
    content, unsigned = event.get("content"), event.get("unsigned")
    removed = isinstance(unsigned, dict) and "redacted_because" in unsigned
    return (
        is_id(event.get("event_id"))
        and "state_key" not in event
        and event.get("type") != "m.room.redaction"
        and bool(content)
        and not removed
    )


def _old(event: Mapping[str, Any]) -> Old:
    return Old(event=EventId(event["event_id"]), at=Ms(_at(event)), session=_session(event))


def _session(event: Mapping[str, Any]) -> str:
    content = event.get("content")
    found = content.get("session_id") if isinstance(content, dict) else None
    return found if isinstance(found, str) else ""


def _at(event: Mapping[str, Any]) -> int:
    at = event.get("origin_server_ts")
    return at if isinstance(at, int) else 0
