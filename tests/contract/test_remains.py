"""What `remains.Remains` promises, asked of a homeserver of lists and of a real one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

from bridge.acting.closure import is_empty
from bridge.acting.remains import Remains, Standing
from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer
from bridge.errors import NotFound, NotPermitted
from bridge.matrix.api import Api, login, quote
from bridge.matrix.closing import MatrixRemains
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account
from bridge.matrix.memory import MemoryTransport
from bridge.matrix.memory_closing import MemoryRemains
from bridge.matrix.transport import MatrixTransport
from bridge.model import EventId, Kind, Ms, RoomId, UserId
from bridge.ports import Transport
from bridge.secret import write_secret
from tests.making import Hands, say

NOWHERE = EventId("$" + "x" * 43)


class Scene(Protocol):
    """A room with somebody else, and what is left there."""

    remains: Remains
    powerless: Remains
    transport: Transport
    room: RoomId

    async def hear(self, text: str) -> EventId:
        """Have the other person say something, which the bot can read."""
        ...

    async def pin(self, *events: EventId) -> None:
        """Have these events pinned, and no others."""
        ...

    async def pinned(self) -> list[str]:
        """What is pinned now."""
        ...

    async def put_file(self) -> str:
        """Have a file lie on the server."""
        ...


class MemoryScene:
    def __init__(self) -> None:
        self.memory = MemoryTransport(clock=Hands())
        self.transport: Transport = self.memory
        self.own = MemoryRemains(transport=self.memory)
        self.remains: Remains = self.own
        self.powerless: Remains = MemoryRemains(transport=self.memory, admin=False)
        self.room, self._count = RoomId("!social"), 0

    async def hear(self, text: str) -> EventId:
        self._count += 1
        message = say(f"${self._count}", text, room=self.room)
        self.memory.say(message)
        return message.event_id

    async def pin(self, *events: EventId) -> None:
        self.own.pinned[self.room] = [*events]

    async def pinned(self) -> list[str]:
        return [*self.own.pinned[self.room]]

    async def put_file(self) -> str:
        url = "mxc://force.example/file"
        self.memory.files[url] = b"a file"
        self.own.uploaded[url] = self.memory.user
        return url


class MatrixScene:
    def __init__(
        self, transport: MatrixTransport, admin: Api, room: RoomId, officer: Officer
    ) -> None:
        self.transport: Transport = transport
        self.remains: Remains = MatrixRemains(transport.client, transport.api, admin)
        self.powerless: Remains = MatrixRemains(transport.client, transport.api)
        self.room, self._api, self._officer = room, transport.api, officer
        self._path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.pinned_events"

    async def hear(self, text: str) -> EventId:
        event = await self._officer.say(self.room, text)
        async with contextlib.aclosing(self.transport.batches(None, ())) as batches:  # type: ignore[type-var]
            async for batch in batches:
                if any(m.event_id == event and m.kind is Kind.TEXT for m in batch.messages):
                    return event
        raise AssertionError("the batches ended without it")

    async def pin(self, *events: EventId) -> None:
        await self._api.call("PUT", self._path, {"pinned": [*events]})

    async def pinned(self) -> list[str]:
        return list((await self._api.call("GET", self._path))["pinned"])

    async def put_file(self) -> str:
        return await self._api.upload(b"a file")


@pytest.fixture(params=["memory", "matrix"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    if request.param == "memory":
        yield MemoryScene()
        return
    homeserver: Homeserver = request.getfixturevalue("homeserver")
    tag = uuid4().hex[:12]
    bot, other, root = (UserId(f"@{name}-{tag}:force.example") for name in ("lamp", "pc", "root"))
    for user in (bot, other, root):
        homeserver.register(user[1:].split(":")[0], "a password", admin=user == root)
    write_secret(tmp_path / "bot" / "password", "a password")
    account = Account(
        url=homeserver.url, user=bot, state=tmp_path / "bot", token_file=None,
        password_file=tmp_path / "bot" / "password",
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        transport = await open_device(account, approved=lambda _: True)
        stack.push_async_callback(transport.close)
        signed_in = await login(homeserver.url, root, "a password", device_name="files")
        admin = await stack.enter_async_context(Api(homeserver.url, signed_in.token))
        made = await transport.api.call("POST", "/_matrix/client/v3/createRoom", _room(other))
        officer = await Officer.sign_in(homeserver.url, other, "a password", tmp_path / "pc")
        stack.push_async_callback(officer.close)
        room = RoomId(made["room_id"])
        await officer.enter(room)
        yield MatrixScene(transport, admin, room, officer)


def _room(other: UserId) -> dict[str, Any]:
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    return {
        "preset": "private_chat",
        "invite": [other],
        "initial_state": [{"type": "m.room.encryption", "state_key": "", "content": encryption}],
    }


async def test_what_came_after_a_message_is_read_in_its_order(scene: Scene) -> None:
    await scene.hear("before")
    first = await scene.hear("first")
    after = [await scene.hear(text) for text in ("second", "third")]
    later = await scene.remains.later(scene.room, first, since=Ms(0))
    said = [m for m in later.messages if m.kind is Kind.TEXT]
    assert [m.event_id for m in said] == after
    assert [m.body for m in said] == ["second", "third"]
    assert later.whole


async def test_where_the_message_is_unknown_what_came_after_its_time_is_read(scene: Scene) -> None:
    event = await scene.hear("here")
    later = await scene.remains.later(scene.room, NOWHERE, since=Ms(0))
    assert event in {m.event_id for m in later.messages}
    later = await scene.remains.later(scene.room, NOWHERE, since=Ms(2**50))
    assert later.messages == ()


async def test_what_was_taken_out_is_empty_and_shows_by_whom_it_was(scene: Scene) -> None:
    first = await scene.hear("first")
    event = await scene.hear("AB12 CDE")
    assert await scene.remains.standing(scene.room, event) is Standing.THERE
    await scene.remains.take_out(scene.room, event, "moved", txn="t1", mark="m1")
    assert await scene.remains.standing(scene.room, event) is Standing.EMPTY
    later = await scene.remains.later(scene.room, first, since=Ms(0))
    assert is_empty(next(m for m in later.messages if m.event_id == event))
    assert "m1" in later.marks
    assert "m2" not in later.marks


async def test_taking_out_twice_is_taking_out_once(scene: Scene) -> None:
    event = await scene.hear("x")
    before = len((await scene.remains.later(scene.room, event, since=Ms(0))).messages)
    for _ in range(2):
        await scene.remains.take_out(scene.room, event, "moved", txn="t1", mark="m1")
    after = len((await scene.remains.later(scene.room, event, since=Ms(0))).messages)
    assert after - before <= 1


async def test_an_event_that_is_not_there_is_absent(scene: Scene) -> None:
    await scene.hear("x")
    assert await scene.remains.standing(scene.room, NOWHERE) is Standing.ABSENT


async def test_an_event_of_another_room_is_absent_here(scene: Scene) -> None:
    event = await scene.hear("x")
    with contextlib.suppress(NotFound, NotPermitted):
        assert await scene.remains.standing(RoomId("!other"), event) is Standing.ABSENT


async def test_events_are_unpinned_and_others_stay(scene: Scene) -> None:
    one, two = await scene.hear("one"), await scene.hear("two")
    assert await scene.remains.unpin(scene.room, {one}, mark="p") == ()
    await scene.pin(one, two, one)
    assert await scene.remains.unpin(scene.room, {one}, mark="p") == (one,)
    assert await scene.pinned() == [two]
    assert await scene.remains.unpin(scene.room, {one}, mark="p") == ()
    assert "p" in (await scene.remains.later(scene.room, one, since=Ms(0))).marks


async def test_a_file_is_deleted_once_and_for_all(scene: Scene) -> None:
    url = await scene.put_file()
    ours = scene.transport.user
    assert not await scene.powerless.drop_file(url, ours)
    assert await scene.transport.fetch(url) == b"a file"
    assert await scene.remains.drop_file(url, ours)
    with pytest.raises(NotFound):
        await scene.transport.fetch(url)
    assert await scene.remains.drop_file(url, ours)


async def test_a_file_that_somebody_else_has_uploaded_is_left(scene: Scene) -> None:
    """Or anybody could have a colleague's picture deleted by naming it in a message."""
    url = await scene.put_file()
    with pytest.raises(NotPermitted):
        await scene.remains.drop_file(url, UserId("@somebody:else"))
    assert await scene.transport.fetch(url) == b"a file"


async def test_another_servers_file_is_not_ours_to_delete(scene: Scene) -> None:
    with pytest.raises(NotPermitted):
        await scene.remains.drop_file("mxc://other.example/file", scene.transport.user)


async def test_it_is_said_who_else_may_have_it(scene: Scene) -> None:
    event = await scene.hear("x")
    await scene.remains.take_out(scene.room, event, "moved", txn="t1", mark="m1")
    reach = await scene.remains.reach(scene.room, event)
    assert reach.encrypted
    assert reach.servers == ()
