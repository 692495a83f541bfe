"""Keeps the promises of `ports.Transport` with a real homeserver.

Never moves the cursor: it hands it out with each batch, and takes it back when asked for more.
What is needed to read a batch again is in the crypto store before the batch is handed out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import structlog

from bridge.errors import NotFound, NotPermitted, NotSignedIn, TransportError
from bridge.matrix import directs, media, served, translate
from bridge.matrix.api import Api, quote
from bridge.matrix.client import Clear, Dark, LampClient
from bridge.matrix.lineage import Lineage
from bridge.matrix.posts import content
from bridge.matrix.recent import Recent
from bridge.matrix.taps import Taps
from bridge.model import Batch, Cursor, EventId, Gap, Message, Ms, RoomId, UserId
from bridge.ports import Post

log = structlog.get_logger(__name__)

#: Stands in the clear part of what we send, so that it can be found again after a crash.
DEBT_FIELD = "uk.police.debt"
#: The server waits this long for news before it answers a sync with nothing, ms.
_POLL_MS = 25_000
#: Synapse hands out this many timeline events a room and sync at most, whatever is asked.
_TIMELINE = 100
_PAGE = 100
#: Synapse takes files of 50 MiB by default.
MOST_BYTES = 50 * 1024 * 1024
#: A gap is filled, and a sent event looked for, over this many pages at most.
_MOST_PAGES = 200
_LONGEST_WAIT_S = 30.0
#: Keys come before their message; while one is awaited we look so often.
_KEY_S = 0.004
_MOST_HELD = 64
_FILTER = json.dumps(
    {
        "presence": {"types": []},
        "account_data": {"types": []},
        "room": {
            "timeline": {"limit": _TIMELINE},
            "ephemeral": {"types": []},
            "account_data": {"types": []},
        },
    }
)


class MatrixTransport:
    """A signed-in device of the bot."""

    def __init__(
        self,
        client: LampClient,
        api: Api,
        *,
        approved: Callable[[RoomId], bool],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Speak through *client* and *api*; join rooms that *approved* knows when invited.

        Files of more than *most_bytes* are neither kept nor copied.
        """
        self._most_bytes = most_bytes
        #: Keys and encryption.
        self.client = client
        self._approved = approved
        #: For what is no message: state, rooms, keys.
        self.api = api
        self._taps = Taps(api)
        #: Called with each room of which state was heard, and which we are no longer in.
        self.on_state: list[Callable[[RoomId], None]] = []
        #: Others to the same server, which end with this one.
        self.beside: list[Api] = []
        #: What was stopped and never encrypted, such as a reaction: it is nowhere else to be read.
        self.held: Recent[EventId, Message] = Recent(_MOST_HELD)
        self._waiting: dict[EventId, Message] = {}
        #: Sessions whose keys came in a sync that could not be taken in whole.
        self._fresh: set[str] = set()
        self.directs = directs.Directs(api, UserId(client.user_id))
        self._lineage = Lineage()
        self._creating = asyncio.Lock()
        #: Set once the server has told us which rooms there are.
        self._oriented = asyncio.Event()

    @property
    def user(self) -> UserId:
        """Who we are."""
        return UserId(self.client.user_id)

    def is_direct(self, room: RoomId) -> bool:
        """Say whether we made this room to speak with one person."""
        return self.directs.is_direct(room)

    def origin(self, room: RoomId) -> RoomId:
        """The room that *room* continues after upgrades; itself if it continues none."""
        return self._lineage.origin(room)

    def newest(self, room: RoomId) -> RoomId:
        """The room that continues *room* after upgrades; itself if none does."""
        return self._lineage.newest(room)

    def is_member(self, room: RoomId, user: UserId) -> bool:
        """Say whether *user* is in *room*, or what continues it, as far as the server told us."""
        known = self.client.rooms.get(self.newest(room))
        member = known.users.get(user) if known is not None else None
        return member is not None and not member.invited

    def rooms(self) -> frozenset[RoomId]:
        """The rooms that we are in, as far as the server has told us."""
        return frozenset(RoomId(room) for room in self.client.rooms)

    # In

    async def batches(
        self, since: Cursor | None, waiting: Sequence[Message]
    ) -> AsyncIterator[Batch]:
        """Everything after *since*, for ever; *waiting* is what could not be read before."""
        self._waiting = {message.event_id: message for message in waiting}
        again = self._retry(None)
        if again:
            yield Batch(messages=again)
        first, patience_s = True, 1.0
        while True:
            try:
                sync = await self._sync(since, full_state=first)
                batch = await self._take(sync, since)
                patience_s = 1.0
            except NotSignedIn:
                raise
            except TransportError as exc:
                log.warning("sync.failed", error=str(exc), retry_s=patience_s)
                await asyncio.sleep(patience_s)
                patience_s = min(patience_s * 2, _LONGEST_WAIT_S)
                continue
            since, first = batch.cursor, False
            self._oriented.set()
            yield batch
            await self._tend()

    async def _sync(self, since: Cursor | None, *, full_state: bool) -> dict[str, Any]:
        # Keys that came otherwise than by sync open something at once, and not after a quiet poll.
        at_once = full_state or self.client.bundles.fresh
        query = {"filter": _FILTER, "timeout": "0" if at_once else str(_POLL_MS)}
        if since is not None:
            query["since"] = since
        if full_state:
            # nio forgets rooms and members when it stops; the server tells us again.
            query["full_state"] = "true"
        return await self.api.call(
            "GET", "/_matrix/client/v3/sync", query=query, timeout_s=_POLL_MS / 1000 + 60
        )

    async def _tend(self) -> None:
        try:
            await self.client.tend_keys()
        except TransportError as exc:
            log.warning("keys.failed", error=str(exc))

    async def _take(self, sync: Mapping[str, Any], since: Cursor | None) -> Batch:
        """Take in one sync response: first what keys it has, then what was said."""
        self._fresh |= self.client.take_to_device(served.events(served.part(sync, "to_device")))
        self.client.take_key_news(sync)
        rooms = served.part(sync, "rooms")
        joined, left = served.rooms(rooms, "join"), served.rooms(rooms, "leave")
        await self._accept(served.rooms(rooms, "invite"))
        messages: list[Message] = []
        gaps: list[Gap] = []
        for room in joined | left:
            part = served.part(left if room in left else joined, room)
            said, missed = await self._take_room(RoomId(room), part, since)
            messages += said
            gaps += missed
        for room in left:
            self.client.forget_room(room)
            self.directs.forget(RoomId(room))
            self._hear(RoomId(room))
        messages += self._retry(self._fresh)
        self._fresh = set()
        return Batch(
            messages=tuple(messages), gaps=tuple(gaps), cursor=Cursor(str(sync["next_batch"]))
        )

    async def _accept(self, invites: Mapping[str, Any]) -> None:
        """Join the approved rooms that we are invited to, and no others."""
        for room in invites:
            part = served.part(served.part(invites, room), "invite_state")
            self.client.take_invite(room, served.events(part))
            if self._approved(RoomId(room)) or self._lineage.is_named(RoomId(room)):
                await self._join(RoomId(room))
            else:
                log.warning("invite.not_on_register", room=room)

    async def _take_room(
        self, room: RoomId, part: Mapping[str, Any], since: Cursor | None
    ) -> tuple[list[Message], list[Gap]]:
        timeline = served.part(part, "timeline")
        events = served.events(timeline)
        for event in [*served.events(served.part(part, "state")), *events]:
            if isinstance(event.get("state_key"), str):
                await self._take_state(room, event)
        gaps: list[Gap] = []
        if timeline.get("limited"):
            earlier, gaps = await self._fill(room, str(timeline.get("prev_batch", "")), since)
            events = earlier + events
        # Whose device said it is settled before it is read.
        await self.client.know(str(event.get("sender", "")) for event in events)
        return [self._read_safely(room, event) for event in events if event.get("event_id")], gaps

    async def _take_state(self, room: RoomId, event: Mapping[str, Any]) -> None:
        self._hear(room)
        self.client.take_state(room, event)
        self.directs.take(room, event)
        successor = self._lineage.take(room, event)
        if successor is not None and self._approved(self._lineage.origin(room)):
            await self._join(successor)

    def _hear(self, room: RoomId) -> None:
        for hear in self.on_state:
            hear(room)

    async def _join(self, room: RoomId) -> None:
        try:
            await self.api.call("POST", f"/_matrix/client/v3/join/{quote(room)}", {})
        except TransportError as exc:
            log.warning("room.cannot_join", room=room, error=str(exc))

    async def _fill(
        self, room: RoomId, start: str, since: Cursor | None
    ) -> tuple[list[dict[str, Any]], list[Gap]]:
        """Fetch what the server left out of a timeline since then (None: ever), oldest first."""
        found: list[dict[str, Any]] = []
        path = f"/_matrix/client/v3/rooms/{quote(room)}/messages"
        for _ in range(_MOST_PAGES):
            query = {"dir": "b", "from": start, "limit": str(_PAGE)}
            query |= {"to": since} if since else {}
            try:
                page = await self.api.call("GET", path, query=query)
            except NotPermitted as exc:
                return found[::-1], [Gap(room=room, reason=str(exc))]
            found += served.events(page, "chunk")
            start = served.text(page.get("end"))
            if not start or not page.get("chunk"):
                return found[::-1], []
        return found[::-1], [Gap(room=room, reason=f"more than {_MOST_PAGES * _PAGE} events")]

    def _read_safely(self, room: RoomId, event: Mapping[str, Any]) -> Message:
        """Read an event; one that makes us stumble costs no other its reading."""
        try:
            return self._read(room, event)
        except Exception as exc:
            # Only the kind of error: its words may be a member's.
            log.error("event.stumbled", room=room, error=type(exc).__name__)
            return translate.beyond_us(room, event, exc)

    def _read(self, room: RoomId, event: Mapping[str, Any]) -> Message:
        if event.get("type") != "m.room.encrypted" or "state_key" in event:
            return translate.plain(room, event)
        if translate.is_stopped(event):
            return translate.plain(room, {**event, "type": "uk.police.gate.stopped"})
        if not event.get("content"):
            # Redacted before we came: what it said is gone, and no key will bring it back.
            return translate.plain(room, {**event, "type": "m.room.encrypted.redacted"})
        inside = self.client.decrypt(room, event)
        if isinstance(inside, Clear):
            return translate.decrypted(room, event, inside, late=False)
        message = translate.unreadable(room, event, inside)
        self._waiting[message.event_id] = message
        return message

    def _retry(self, fresh: set[str] | None) -> tuple[Message, ...]:
        """Read again what waits for one of the *fresh* sessions (None: try everything)."""
        found: list[Message] = []
        for event_id, message in list(self._waiting.items()):
            event = json.loads(message.ciphertext)
            session_id = served.part(event, "content").get("session_id")
            if fresh is not None and not (isinstance(session_id, str) and session_id in fresh):
                continue
            inside = self.client.decrypt(message.room, event)
            if isinstance(inside, Clear):
                found.append(translate.decrypted(message.room, event, inside, late=True))
                del self._waiting[event_id]
        return tuple(found)

    # Out

    async def send(self, room: RoomId, post: Post, *, txn: str) -> EventId:
        """Post in *room*, encrypted if the room is."""
        event = await self._send(room, "m.room.message", content(post), txn=txn)
        self._taps.offer(room, event, post.offers, txn=txn)
        return event

    async def _send(self, room: RoomId, kind: str, content: dict[str, Any], *, txn: str) -> EventId:
        if room not in self.client.rooms:
            await self._learn(room)
        if self.client.rooms[room].encrypted:
            content = await self.client.seal(room, kind, content)
            kind = "m.room.encrypted"
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/{kind}/{quote(txn)}"
        answer = await self.api.call("PUT", path, {**content, DEBT_FIELD: txn})
        return EventId(answer["event_id"])

    async def redact(self, room: RoomId, event: EventId, reason: str, *, txn: str) -> EventId:
        """Take *event* out of *room*."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/redact/{quote(event)}/{quote(txn)}"
        answer = await self.api.call("PUT", path, {"reason": reason})
        return EventId(answer["event_id"])

    async def invite(self, room: RoomId, user: UserId) -> None:
        """Ask *user* into *room*, unless they are there or have been asked."""
        if room not in self.client.rooms:
            await self._learn(room)
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.member/{quote(user)}"
        try:
            member = await self.api.call("GET", path)
        except NotFound:
            member = {}
        if member.get("membership") not in {"join", "invite"}:
            path = f"/_matrix/client/v3/rooms/{quote(room)}/invite"
            await self.api.call("POST", path, {"user_id": user})
            await self._learn(room)  # or they would get no keys of what we say there next

    async def fetch(self, url: str) -> bytes:
        """Fetch a file as it lies on the server."""
        return await media.fetch(self.api, url, most_bytes=self._most_bytes)

    def unsealed(self, message: Message, url: str, sealed: bytes) -> bytes:
        """Decrypt a file in memory."""
        return media.unsealed(message.content, url, sealed)

    async def repost(self, room: RoomId, message: Message, *, txn: str) -> EventId:
        """Post a message's file again in *room*, under fresh keys."""
        content = await media.again(self.api, message.content, most_bytes=self._most_bytes)
        return await self._send(room, message.type, content, txn=txn)

    async def find(self, room: RoomId, txn: str, *, since: Ms) -> EventId | None:
        """Look for what was sent under *txn* at or after *since*."""
        start = ""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/messages"
        for _ in range(_MOST_PAGES):
            query = {"dir": "b", "limit": str(_PAGE), **({"from": start} if start else {})}
            page = await self.api.call("GET", path, query=query)
            for event in page.get("chunk") or []:
                if event.get("origin_server_ts", 0) < since:
                    return None
                ours = event.get("sender") == self.client.user_id
                if ours and event.get("content", {}).get(DEBT_FIELD) == txn:
                    return EventId(event["event_id"])
            start = page.get("end") or ""
            if not start:
                return None
        return None

    async def direct(self, user: UserId) -> RoomId:
        """The encrypted room of the bot and *user*, made if there is none."""
        # Before the first sync we would not know the one there is, and make another.
        await self._oriented.wait()
        async with self._creating:
            room, changed = await self.directs.with_user(user)
            if changed or room not in self.client.rooms:
                # A sync may show a room before all of its first events: ask for the whole state,
                # or the invited person would get no keys.
                await self._learn(room)
        return room

    async def reopen(self, room: RoomId, event: EventId, ciphertext: bytes) -> Message:
        """Read a message again."""
        if (held := self.held.get(event)) is not None:
            return held
        if ciphertext:
            event_now = json.loads(ciphertext)
        else:
            path = f"/_matrix/client/v3/rooms/{quote(room)}/event/{quote(event)}"
            event_now = await self.api.call("GET", path)
        if event_now.get("type") != "m.room.encrypted":
            return translate.plain(room, event_now)
        inside = self.client.decrypt(room, event_now)
        if isinstance(inside, Dark):
            raise NotFound(f"The event {event} cannot be read again: {inside.reason}.")
        return translate.decrypted(room, event_now, inside, late=False)

    async def foresee(
        self, room: RoomId, event: Mapping[str, Any], *, patience_s: float
    ) -> Message | None:
        """Read an event that is not delivered yet; None if that cannot be done in time.

        Writes nothing: the key that is used is a copy, and no key is asked for.
        """
        deadline = time.monotonic() + patience_s
        while True:
            if not self._oriented.is_set():
                pass  # we do not know yet who is in which room
            elif event.get("type") != "m.room.encrypted" or "state_key" in event:
                return translate.plain(room, event)
            elif isinstance(inside := self.client.decrypt(room, event, wanted=False), Clear):
                return translate.decrypted(room, event, inside, late=False)
            if time.monotonic() >= deadline:
                return None
            await asyncio.sleep(_KEY_S)

    async def _learn(self, room: RoomId) -> None:
        """Ask for the state of a room that the syncs have not told us all about yet."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state"
        for event in await self.api.call_list("GET", path):
            await self._take_state(room, event)

    async def close(self) -> None:
        """Close the connections."""
        await self._taps.close()
        await self.client.close()
        await asyncio.gather(*(api.close() for api in (self.api, *self.beside)))
