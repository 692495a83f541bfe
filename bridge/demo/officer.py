"""An officer with a phone: a real end-to-end encrypted client, for the demo and the tests.

Never shares anything with the bot but the protocol: own device, own keys, own sync.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from bridge.errors import TransportError
from bridge.matrix.api import quote
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account
from bridge.matrix.transport import MatrixTransport
from bridge.model import EventId, Kind, Message, RoomId, UserId
from bridge.running.stopping import end
from bridge.secret import write_secret

_POLL_S = 0.01
#: How long somebody waits for what is going to be there, on a machine that does much else.
_PATIENCE_S = 120.0


@dataclass(slots=True)
class Phone:
    """What an officer's client shows."""

    #: Every event that could be read, by id.
    messages: dict[EventId, Message] = field(default_factory=dict)
    unreadable: set[EventId] = field(default_factory=set)
    #: Event → when its removal was seen (seconds of a monotonic clock).
    removed: dict[EventId, float] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        """Show one event."""
        if message.kind is Kind.UNREADABLE:
            self.unreadable.add(message.event_id)
            return
        self.unreadable.discard(message.event_id)
        self.messages[message.event_id] = message
        if message.type == "m.room.redaction":
            target = json.loads(message.content).get("redacts")
            self.removed.setdefault(EventId(str(target)), time.monotonic())


class Officer:
    """One signed-in person. Joins every room that they are invited to."""

    def __init__(self, user: UserId, transport: MatrixTransport) -> None:
        """Use `Officer.sign_in`."""
        self.user, self.phone = user, Phone()
        self.transport = transport
        self.api = transport.api
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def sign_in(cls, url: str, user: UserId, password: str, folder: Path) -> Self:
        """Sign in on a new device that keeps its keys in *folder*, and begin to read."""
        write_secret(folder / "password", password)
        account = Account(
            url=url, user=user, state=folder, token_file=None, password_file=folder / "password"
        )
        return cls(user, await open_device(account, approved=lambda _: True))

    async def _read(self) -> None:
        async for batch in self.transport.batches(None, ()):
            for message in batch.messages:
                self.phone.take(message)

    async def until(self, seen: Callable[[Phone], bool], patience_s: float = _PATIENCE_S) -> bool:
        """Wait until the phone shows something; say whether it did in time."""
        deadline = time.monotonic() + patience_s
        while not seen(self.phone):
            if self._reading.done():
                self._reading.result()
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def enter(self, room: RoomId, patience_s: float = _PATIENCE_S) -> None:
        """Be in *room*.

        Raises:
            TransportError: nobody has invited us there in time.
        """
        deadline = time.monotonic() + patience_s
        while room not in self.transport.rooms():
            if time.monotonic() > deadline:
                raise TransportError(f"{self.user} was not let into {room}.")
            await asyncio.sleep(_POLL_S)

    async def say(self, room: RoomId, text: str, *, html: str | None = None) -> EventId:
        """Send a text message, with formatted text if *html* is given."""
        content: dict[str, Any] = {"msgtype": "m.text", "body": text}
        if html is not None:
            content |= {"format": "org.matrix.custom.html", "formatted_body": html}
        return await self.send(room, content)

    async def edit(self, room: RoomId, event: EventId, text: str) -> EventId:
        """Change the text of a message that we sent."""
        fresh = {"msgtype": "m.text", "body": text}
        return await self.send(
            room,
            {
                "msgtype": "m.text",
                "body": f"* {text}",
                "m.new_content": fresh,
                "m.relates_to": {"rel_type": "m.replace", "event_id": event},
            },
        )

    async def send(
        self, room: RoomId, content: Mapping[str, Any], *, kind: str = "m.room.message"
    ) -> EventId:
        """Send any event, encrypted."""
        sealed = await self.transport.client.seal(room, kind, content)
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.encrypted/{uuid4()}"
        answer = await self.api.call("PUT", path, sealed)
        return EventId(answer["event_id"])

    async def react(self, room: RoomId, event: EventId, key: str) -> EventId:
        """React to a message; reactions travel in the clear."""
        relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.reaction/{uuid4()}"
        answer = await self.api.call("PUT", path, {"m.relates_to": relation})
        return EventId(answer["event_id"])

    async def fetch(self, room: RoomId, event: EventId) -> dict[str, Any]:
        """Ask the server for an event as it is now."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/event/{quote(event)}"
        return await self.api.call("GET", path)

    async def close(self) -> None:
        """Switch the phone off."""
        await end(self._reading)
        await self.transport.close()
