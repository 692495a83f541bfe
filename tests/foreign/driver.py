"""Drives a matrix-js-sdk client, which is another program by other people.

Has an officer's words (`say`, `edit`, `until`, `phone`), so that whatever is asked of an officer
can be asked of it. Never shares code or keys with the bot; it speaks to a process in JSON lines.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bridge.demo.officer import Phone
from bridge.model import EventId, Kind, Message, Ms, RoomId, UserId

Content = Mapping[str, Any]

PROGRAM = Path(__file__).with_name("client.mjs")
_ANSWER_S, _END_S, _POLL_S = 240.0, 30.0, 0.01
#: How long we wait for what is going to be, on a machine that does much else.
_PATIENCE_S = 120.0
#: A line holds a whole attachment.
_LINE_BYTES = 2**26


class Refused(Exception):
    """The client could not do what it was asked."""


@dataclass(slots=True)
class Sight(Phone):
    """What the client shows, and how sure it is of who wrote it."""

    #: Event → why it could not be decrypted, also if it could be later.
    failures: dict[EventId, str] = field(default_factory=dict)
    #: Event → the shield beside it: none, grey or red.
    shields: dict[EventId, str] = field(default_factory=dict)

    def see(self, event: Mapping[str, Any]) -> None:
        """Show one event as the client reported it."""
        name = EventId(event["id"])
        if "failure" in event:
            self.failures[name] = event["failure"]
        if "shield" in event:
            self.shields[name] = event["shield"]
        self.take(_message(event))


@dataclass(frozen=True, slots=True)
class Identity:
    """A cross-signing identity, by which this device is signed."""

    #: The public master key.
    master: str
    #: What opens the secret storage in which the private keys lie.
    recovery: str


class Client:
    """One signed-in device of another SDK. Joins every room that it is invited to."""

    def __init__(self, process: Process) -> None:
        """Use `Client.sign_in`."""
        self.phone = Sight()
        self.user, self.device = UserId(""), ""
        self._process = process
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def sign_in(
        cls, node: Path, url: str, user: UserId, password: str, log: Path, *, strict: bool = True
    ) -> Self:
        """Sign in on a new device; what it says of itself goes to the file *log*.

        *strict*: no keys to, and no words from, devices that are not cross-signed.

        Raises:
            Refused: the client could not sign in.
        """
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                node, PROGRAM, stdin=PIPE, stdout=PIPE, stderr=stderr,
                limit=_LINE_BYTES, start_new_session=True,
            )  # fmt: skip
        client = cls(process)
        try:
            who = await client.ask(
                "signIn", url=url, user=user, password=password, device="a foreign client",
                strict=strict,
            )  # fmt: skip
        except BaseException:
            await client.close()
            raise
        client.user, client.device = UserId(who["user"]), str(who["device"])
        return client

    async def ask(self, do: str, **options: Any) -> Any:
        """Have a command of client.mjs carried out, and return its answer.

        Raises:
            Refused: it could not be done, the process has ended, or there was no answer.
        """
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": do, **options}).encode() + b"\n")
        try:
            await self._process.stdin.drain()
            return await asyncio.wait_for(answer, _ANSWER_S)
        except (OSError, TimeoutError) as exc:
            raise Refused(f"{do}: {type(exc).__name__}") from None
        finally:
            self._asked.pop(number, None)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "event" in said:
                self.phone.see(said["event"])
                continue
            answer = self._asked.get(said["id"])
            if answer is None or answer.done():
                continue
            if "error" in said:
                answer.set_exception(Refused(said["error"]))
            else:
                answer.set_result(said["ok"])
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Refused("the client has ended"))

    async def until(self, seen: Callable[[Sight], bool], patience_s: float = _PATIENCE_S) -> bool:
        """Wait until the client shows something; say whether it did in time."""
        deadline = time.monotonic() + patience_s
        while not seen(self.phone):
            if self._reading.done():
                self._reading.result()
                raise Refused("the client has ended")
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def loses(self, event: EventId) -> bool:
        """Wait until *event* has been removed."""
        return await self.until(lambda phone: event in phone.removed)

    async def hears(self, sender: UserId, words: str, room: RoomId | None = None) -> bool:
        """Wait for a readable message of *sender* with *words*, in *room* or anywhere."""

        def heard(message: Message) -> bool:
            there = room in {None, message.room}
            return there and message.sender == sender and words in message.body

        return await self.until(lambda phone: any(map(heard, phone.messages.values())))

    async def enter(self, room: RoomId, patience_s: float = _PATIENCE_S) -> None:
        """Be in *room*, to which we are invited.

        Raises:
            Refused: nobody has invited us there in time.
        """
        deadline = time.monotonic() + patience_s
        while room not in await self.ask("rooms"):
            if time.monotonic() > deadline:
                raise Refused(f"{self.user} was not let into {room}")
            await asyncio.sleep(0.1)

    # What is said

    async def send(
        self, room: RoomId, content: Content, *, kind: str = "m.room.message", rotate: bool = False
    ) -> EventId:
        """Send any event; *rotate*: under a new room key."""
        done = await self.ask("send", room=room, type=kind, content=dict(content), rotate=rotate)
        return EventId(done)

    async def say(
        self, room: RoomId, text: str, *, html: str | None = None, rotate: bool = False
    ) -> EventId:
        """Send a text message, with formatted text if *html* is given."""
        return await self.send(room, text_of(text, html), rotate=rotate)

    async def reach(self, *, on: bool) -> None:
        """Take the network away, or give it back."""
        await self.ask("network", on=on)

    async def queue(self, room: RoomId, *texts: str) -> int:
        """Type messages without network; return how many are kept, sealed, to be sent later."""
        return int(await self.ask("queue", room=room, texts=list(texts)))

    async def resend(self, room: RoomId) -> list[EventId]:
        """Have what was not sent sent now, in its order."""
        return [EventId(event) for event in await self.ask("resend", room=room)]

    async def edit(self, room: RoomId, event: EventId, text: str) -> EventId:
        """Change the text of a message that we sent."""
        changes = {"m.new_content": text_of(text), "m.relates_to": about("m.replace", event)}
        return await self.send(room, text_of(f"* {text}") | changes)

    async def reply(self, room: RoomId, event: EventId, text: str) -> EventId:
        """Answer a message, without the quotation that older clients put into the text."""
        return await self.send(room, text_of(text) | {"m.relates_to": in_reply_to(event)})

    async def reply_in_thread(self, room: RoomId, root: EventId, text: str) -> EventId:
        """Answer in the thread under *root*."""
        relation = about("m.thread", root) | in_reply_to(root) | {"is_falling_back": True}
        return await self.send(room, text_of(text) | {"m.relates_to": relation})

    async def react(self, room: RoomId, event: EventId, symbol: str) -> EventId:
        """React to a message; clients send that in the clear."""
        relation = about("m.annotation", event) | {"key": symbol}
        return await self.send(room, {"m.relates_to": relation}, kind="m.reaction")

    async def poll(
        self, room: RoomId, question: str, answers: list[str], *, stable: bool = False
    ) -> EventId:
        """Start a poll, by default under the names that clients still use (MSC3381)."""
        kind = "m.poll.start" if stable else "org.matrix.msc3381.poll.start"
        return await self.send(room, poll_of(question, answers, stable=stable), kind=kind)

    async def locate(self, room: RoomId, text: str, uri: str) -> EventId:
        """Share a static location."""
        return await self.send(
            room,
            {
                "msgtype": "m.location",
                "body": text,
                "geo_uri": uri,
                "org.matrix.msc3488.location": {"uri": uri, "description": text},
                "org.matrix.msc3488.asset": {"type": "m.pin"},
                "org.matrix.msc1767.text": text,
            },
        )

    async def stick(self, room: RoomId, text: str, image: bytes) -> EventId:
        """Send a sticker; its picture is public, as it is in a sticker pack."""
        address = await self.ask("publish", data=_encoded(image), type="image/png")
        info = {"mimetype": "image/png", "size": len(image), "w": 1, "h": 1}
        return await self.send(room, {"body": text, "url": address, "info": info}, kind="m.sticker")

    async def attach(
        self,
        room: RoomId,
        data: bytes,
        *,
        msgtype: str,
        name: str,
        mimetype: str,
        caption: str | None = None,
        thumbnail: bytes | None = None,
        also: Content | None = None,
    ) -> EventId:
        """Send a file and its thumbnail, encrypted; *also* is put into the content."""
        file = await self.ask("upload", data=_encoded(data), type=mimetype)
        info: dict[str, Any] = {"mimetype": mimetype, "size": len(data)}
        if thumbnail is not None:
            small = await self.ask("upload", data=_encoded(thumbnail), type="image/png")
            size = {"mimetype": "image/png", "size": len(thumbnail), "w": 1, "h": 1}
            info |= {"thumbnail_file": small, "thumbnail_info": size}
        content = {
            "msgtype": msgtype,
            "body": name if caption is None else caption,
            "filename": name,
            "file": file,
            "info": info,
        }
        return await self.send(room, content | dict(also or {}))

    # Rooms and their keys

    async def found_room(self) -> RoomId:
        """Make an encrypted room whose past newcomers may read."""
        return RoomId(await self.ask("createRoom"))

    async def invite(self, room: RoomId, user: UserId) -> None:
        """Invite somebody, and share the room's past with them."""
        await self.ask("invite", room=room, user=user)

    async def join(self, room: RoomId, patience_s: float = _PATIENCE_S) -> None:
        """Follow an invitation to *room*, once there is one.

        Raises:
            Refused: nobody has invited us there in time.
        """
        deadline = time.monotonic() + patience_s
        while True:
            try:
                await self.ask("join", room=room)
            except Refused:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    async def leave(self, room: RoomId) -> None:
        """Be in *room* no more."""
        await self.ask("leave", room=room)

    async def redact(self, room: RoomId, event: EventId) -> EventId:
        """Take out what we sent; the redaction, which is an event itself."""
        return EventId(await self.ask("redact", room=room, event=event))

    async def room_key(self, session: str) -> dict[str, Any]:
        """What this device has to read a session."""
        key = await self.ask("roomKey", session=session)
        if key is None:
            raise Refused(f"{self.user} has no key of {session}")
        return dict(key)

    async def device_keys(self) -> dict[str, str]:
        """This device's own public keys, by kind."""
        return dict(await self.ask("deviceKeys"))

    async def to_device(self, user: UserId, device: str, kind: str, content: Content) -> None:
        """Encrypt anything to another device."""
        await self.ask("toDevice", user=user, device=device, type=kind, content=dict(content))

    # What is there

    async def opened(self, file: Content) -> bytes:
        """Download and decrypt an attachment."""
        return base64.b64decode(await self.ask("download", file=dict(file)))

    async def unsealed(self, sealed: bytes, file: Content) -> bytes:
        """Decrypt what was uploaded as *file*."""
        return base64.b64decode(await self.ask("unseal", data=_encoded(sealed), file=dict(file)))

    async def drawn(self, room: RoomId) -> list[dict[str, Any]]:
        """Everything that the client draws in a room now."""
        return list(await self.ask("drawn", room=room))

    async def fetch(self, room: RoomId, event: EventId) -> dict[str, Any]:
        """Ask the server for an event as it is now."""
        return dict(await self.ask("fetch", room=room, event=event))

    async def make_identity(self) -> Identity:
        """Make a new cross-signing identity and sign this device with it."""
        return Identity(**await self.ask("makeIdentity"))

    async def recover(self, recovery: str) -> Identity:
        """Sign this device with the identity that lies in secret storage."""
        return Identity(**await self.ask("recover", recovery=recovery))

    async def sign_out(self) -> None:
        """Have the server forget this device, and end."""
        await self.ask("signOut")
        await self.close()

    async def close(self) -> None:
        """End the process."""
        if not self._reading.done():
            with contextlib.suppress(Refused):
                await asyncio.wait_for(self.ask("quit"), _END_S)
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def text_of(text: str, html: str | None = None) -> dict[str, Any]:
    """The content of a text message."""
    content = {"msgtype": "m.text", "body": text}
    if html is not None:
        content |= {"format": "org.matrix.custom.html", "formatted_body": html}
    return content


def about(relation: str, event: EventId) -> dict[str, Any]:
    """A relation to another event."""
    return {"rel_type": relation, "event_id": event}


def in_reply_to(event: EventId) -> dict[str, Any]:
    """The relation of a reply."""
    return {"m.in_reply_to": {"event_id": event}}


def poll_of(question: str, answers: list[str], *, stable: bool) -> dict[str, Any]:
    """The content of a poll's start, in the stable or in the unstable form."""
    if stable:
        return {
            "m.text": [{"body": question}],
            "m.poll": {
                "kind": "m.disclosed",
                "max_selections": 1,
                "question": {"m.text": [{"body": question}]},
                "answers": [
                    {"m.id": str(n), "m.text": [{"body": text}]} for n, text in enumerate(answers)
                ],
            },
        }
    fallback = "\n".join([question, *(f"{n}. {text}" for n, text in enumerate(answers, 1))])
    return {
        "org.matrix.msc1767.text": fallback,
        "org.matrix.msc3381.poll.start": {
            "kind": "org.matrix.msc3381.poll.disclosed",
            "max_selections": 1,
            "question": {
                "body": question,
                "msgtype": "m.text",
                "org.matrix.msc1767.text": question,
            },
            "answers": [
                {"id": str(n), "org.matrix.msc1767.text": text} for n, text in enumerate(answers)
            ],
        },
    }


def _message(event: Mapping[str, Any]) -> Message:
    """What a client would show of an event, in our words but not by our code."""
    content = dict(event["content"])
    if event.get("redacts"):
        content["redacts"] = event["redacts"]
    fresh = content.get("m.new_content")
    body = (fresh if isinstance(fresh, dict) else content).get("body", "")
    return Message(
        event_id=EventId(event["id"]),
        room=RoomId(event["room"]),
        sender=UserId(event["sender"]),
        sent_at=Ms(event["sent_at"]),
        kind=_kind(event),
        type=event["type"],
        body=str(body),
        formatted=str(content.get("formatted_body", "")),
        content=json.dumps(content).encode(),
        doubt=event.get("failure", ""),
    )


def _kind(event: Mapping[str, Any]) -> Kind:
    if "failure" in event:
        return Kind.UNREADABLE
    if event["state"]:
        return Kind.STATE
    return Kind.TEXT if event["type"] == "m.room.message" else Kind.OTHER
