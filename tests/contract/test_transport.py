"""What `ports.Transport` promises, asked of a homeserver of lists and of a real one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer
from bridge.errors import TransportError
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account
from bridge.matrix.memory import MemoryTransport
from bridge.model import Cursor, EventId, Kind, Message, Ms, RoomId, UserId
from bridge.ports import Post, Transport
from bridge.secret import write_secret
from tests.making import Hands, say

POST = Post(body="hello", formatted="<b>hello</b>")


class Scene(Protocol):
    """A transport in a room with somebody else."""

    transport: Transport
    room: RoomId
    other: UserId

    async def hear(self, text: str) -> EventId:
        """Have the other person say something in the room."""
        ...


class MemoryScene:
    def __init__(self) -> None:
        self.memory = MemoryTransport(clock=Hands())
        self.transport: Transport = self.memory
        self.room, self.other, self._count = RoomId("!social"), UserId("@asha:force.example"), 0

    async def hear(self, text: str) -> EventId:
        self._count += 1
        message = say(f"${self._count}", text, room=self.room, sender=self.other)
        self.memory.say(message)
        return message.event_id


class MatrixScene:
    def __init__(self, transport: Transport, room: RoomId, officer: Officer) -> None:
        self.transport, self.room, self.other, self._officer = (
            transport,
            room,
            officer.user,
            officer,
        )

    async def hear(self, text: str) -> EventId:
        return await self._officer.say(self.room, text)


@pytest.fixture(params=["memory", "matrix"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    if request.param == "memory":
        yield MemoryScene()
        return
    homeserver: Homeserver = request.getfixturevalue("homeserver")
    tag = uuid4().hex[:12]
    bot, other = (UserId(f"@{name}-{tag}:force.example") for name in ("lamp", "pc"))
    for user in (bot, other):
        homeserver.register(user[1:].split(":")[0], "a password")
    write_secret(tmp_path / "bot" / "password", "a password")
    account = Account(
        url=homeserver.url, user=bot, state=tmp_path / "bot", token_file=None,
        password_file=tmp_path / "bot" / "password",
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        transport = await open_device(account, approved=lambda _: True)
        stack.push_async_callback(transport.close)
        made = await transport.api.call("POST", "/_matrix/client/v3/createRoom", _room(other))
        officer = await Officer.sign_in(homeserver.url, other, "a password", tmp_path / "pc")
        stack.push_async_callback(officer.close)
        room = RoomId(made["room_id"])
        await officer.enter(room)
        yield MatrixScene(transport, room, officer)


def _room(other: UserId) -> dict[str, Any]:
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    return {
        "preset": "private_chat",
        "invite": [other],
        "initial_state": [{"type": "m.room.encryption", "state_key": "", "content": encryption}],
    }


async def heard(scene: Scene, since: Cursor | None, event: EventId) -> tuple[Message, Cursor]:
    """Take batches until *event* comes; return it readable, and the cursor of its batch."""
    async with contextlib.aclosing(scene.transport.batches(since, ())) as batches:  # type: ignore[type-var]
        cursor = since
        async for batch in batches:
            cursor = batch.cursor or cursor
            for message in batch.messages:
                if message.event_id == event and message.kind is not Kind.UNREADABLE:
                    assert cursor is not None
                    return message, cursor
    raise AssertionError("the batches ended without it")


async def test_what_is_said_comes_with_its_sender_and_words(scene: Scene) -> None:
    event = await scene.hear("who brings the milk?")
    message, _ = await heard(scene, None, event)
    assert (message.body, message.sender, message.room) == (
        "who brings the milk?", scene.other, scene.room
    )  # fmt: skip
    assert message.kind is Kind.TEXT
    assert message.ciphertext


async def test_a_batch_whose_cursor_is_not_handed_back_comes_again(scene: Scene) -> None:
    first = await scene.hear("one")
    _, cursor = await heard(scene, None, first)
    second = await scene.hear("two")
    assert (await heard(scene, cursor, second))[0].body == "two"
    assert (await heard(scene, cursor, second))[0].body == "two"


async def test_the_same_transaction_twice_sends_once(scene: Scene) -> None:
    first = await scene.transport.send(scene.room, POST, txn="t1")
    assert await scene.transport.send(scene.room, POST, txn="t1") == first
    assert await scene.transport.send(scene.room, POST, txn="t2") != first


async def test_what_was_sent_is_found_by_its_transaction_and_nothing_else_is(scene: Scene) -> None:
    event = await scene.transport.send(scene.room, POST, txn="needle")
    await scene.transport.send(scene.room, POST, txn="hay")
    assert await scene.transport.find(scene.room, "needle", since=Ms(0)) == event
    assert await scene.transport.find(scene.room, "thread", since=Ms(0)) is None
    assert await scene.transport.find(scene.room, "needle", since=Ms(2**50)) is None


async def test_a_direct_room_is_made_once_and_known_as_one(scene: Scene) -> None:
    event = await scene.hear("x")
    await heard(scene, None, event)
    room = await scene.transport.direct(scene.other)
    assert await scene.transport.direct(scene.other) == room
    assert scene.transport.is_direct(room)
    assert not scene.transport.is_direct(scene.room)


async def test_removing_twice_is_removing_once(scene: Scene) -> None:
    event = await scene.hear("x")
    first = await scene.transport.redact(scene.room, event, "moved", txn="r1")
    assert await scene.transport.redact(scene.room, event, "moved", txn="r1") == first


async def test_a_message_can_be_read_again_from_its_ciphertext_after_it_was_removed(
    scene: Scene,
) -> None:
    event = await scene.hear("AB12 CDE")
    message, _ = await heard(scene, None, event)
    await scene.transport.redact(scene.room, event, "moved", txn="r1")
    again = await scene.transport.reopen(scene.room, event, message.ciphertext)
    assert (again.body, again.sender) == ("AB12 CDE", scene.other)


async def test_an_event_that_does_not_exist_cannot_be_read_again(scene: Scene) -> None:
    with pytest.raises(TransportError):
        await scene.transport.reopen(scene.room, EventId("$" + "x" * 43), b"")
