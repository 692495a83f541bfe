"""Room keys that do not come from who spoke: a room's past on invitation, and forwarded keys.

With clients of another SDK on the other side, and our transport on this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.demo.homeserver import Homeserver
from bridge.matrix import transport
from bridge.matrix.client import Clear, Dark
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account
from bridge.matrix.transport import MatrixTransport
from bridge.model import Cursor, EventId, Kind, Message, RoomId, UserId
from bridge.secret import write_secret
from tests.foreign.conftest import skip_without_the_parts
from tests.foreign.driver import Client

skip_without_the_parts()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PASSWORD = "a password"
LATER_S = 60.0
#: A sync waits for so long here when nothing happens; keys must not.
NEVER_MS = 3_600_000
_numbers = itertools.count()


@dataclass
class Ear:
    """The bot, as far as it listens: its transport, and what came of it."""

    account: Account
    transport: MatrixTransport
    #: The newest reading of each event; what was taken in last is what a record would say.
    heard: dict[EventId, Message] = field(default_factory=dict)
    dark: dict[EventId, Message] = field(default_factory=dict)
    cursor: Cursor | None = None
    _reading: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Begin where we stopped, with what could not be read by then."""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        waiting = [one for event, one in self.dark.items() if event not in self.heard]
        async for batch in self.transport.batches(self.cursor, waiting):
            for message in batch.messages:
                which = self.dark if message.kind is Kind.UNREADABLE else self.heard
                which[message.event_id] = message
            self.cursor = batch.cursor or self.cursor

    async def until(self, true: Callable[[], bool], patience_s: float = 120.0) -> bool:
        deadline = time.monotonic() + patience_s
        while not true() and time.monotonic() < deadline:
            if self._reading is not None and self._reading.done():
                self._reading.result()
            await asyncio.sleep(0.02)
        return true()

    async def stop(self) -> None:
        """End as by a crash, as far as what is on the disk goes."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self.transport.close()

    async def start_again(self) -> None:
        self.transport = await open_device(self.account, approved=lambda _: True)
        self.listen()

    async def read(self, room: RoomId, event: EventId) -> Clear | Dark:
        """Read an event as the server has it."""
        path = f"/_matrix/client/v3/rooms/{room}/event/{event}"
        return self.transport.client.decrypt(room, await self.transport.api.call("GET", path))


@dataclass
class Scene:
    """Asha and Ben on foreign clients, in their strictest mode, and the bot."""

    asha: Client
    ben: Client
    ear: Ear

    async def lose_the_key(self, room: RoomId, event: EventId) -> str:
        """Have the bot lose the room's keys, and notice; return the session that it misses."""
        client = self.ear.transport.client
        assert client.forget_sessions(room) > 0
        inside = await self.ear.read(room, event)
        assert isinstance(inside, Dark)
        # It waits for a while before it asks.
        client.missing.clock = lambda: time.monotonic() + LATER_S
        await client.tend_keys()
        asked = inside.session_id in client.olm.outgoing_key_requests
        assert asked or isinstance(await self.ear.read(room, event), Clear), "answered already"
        return inside.session_id


@pytest_asyncio.fixture(loop_scope="module")
async def scene(
    node: Path, homeserver: Homeserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(transport, "_POLL_MS", NEVER_MS)
    names = [f"keys{next(_numbers)}-{name}" for name in ("asha", "ben", "bot")]
    users = [UserId(f"@{name}:{homeserver.server_name}") for name in names]
    for name in names:
        await asyncio.to_thread(homeserver.register, name, PASSWORD)
    write_secret(tmp_path / "state" / "password", PASSWORD)
    account = Account(
        url=homeserver.url, user=users[2], state=tmp_path / "state", token_file=None,
        password_file=tmp_path / "state" / "password",
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as closing:

        async def foreign(user: UserId) -> Client:
            log = tmp_path / f"{user[1:].split(':')[0]}.log"
            client = await Client.sign_in(node, homeserver.url, user, PASSWORD, log)
            closing.push_async_callback(client.close)
            await client.make_identity()
            return client

        asha, ben = await foreign(users[0]), await foreign(users[1])
        ear = Ear(account, await open_device(account, approved=lambda _: True))
        closing.push_async_callback(ear.stop)
        yield Scene(asha, ben, ear)


async def say_before_the_bot_comes(scene: Scene) -> tuple[RoomId, dict[EventId, str]]:
    """Asha and Ben speak in a room of theirs, under several keys, and the bot is not there."""
    asha, ben = scene.asha, scene.ben
    room = await asha.found_room()
    await asha.invite(room, ben.user)
    await ben.enter(room)
    said = {}
    for who, words, rotate in (
        (asha, "the first thing", False), (asha, "under another key", True), (ben, "Ben's", False)
    ):  # fmt: skip
        said[await who.say(room, words, rotate=rotate)] = words
    assert await asha.until(lambda phone: said.keys() <= phone.messages.keys())
    assert not asha.phone.failures
    return room, said


def was_told(scene: Scene, said: dict[EventId, str]) -> None:
    """Everything that was said before is on record: late, and as Asha's word for it."""
    heard = scene.ear.heard
    assert {event: heard[event].body for event in said} == said
    for event in said:
        assert event in scene.ear.dark, "it could not be read at first"
        assert heard[event].late
        assert heard[event].doubt == f"its key came second-hand from {scene.asha.user}"


async def test_a_bot_that_joins_late_is_told_the_past_by_who_invites_it(scene: Scene) -> None:
    room, said = await say_before_the_bot_comes(scene)
    scene.ear.listen()
    await scene.asha.invite(room, scene.ear.account.user)
    assert await scene.ear.until(lambda: said.keys() <= scene.ear.heard.keys())
    was_told(scene, said)

    now = await scene.asha.say(room, "now you are here")
    assert await scene.ear.until(lambda: now in scene.ear.heard)
    assert scene.ear.heard[now].doubt == ""
    assert not scene.ear.heard[now].late


async def test_the_past_that_was_offered_before_a_restart_is_taken_up_after_it(
    scene: Scene,
) -> None:
    """The offer is on the bot's disk only: the server has handed it out and will not again."""
    room, said = await say_before_the_bot_comes(scene)
    client = scene.ear.transport.client
    client.bundles.download = None
    scene.ear.listen()
    await scene.asha.invite(room, scene.ear.account.user)
    assert await scene.ear.until(lambda: said.keys() <= scene.ear.dark.keys())
    assert await scene.ear.until(lambda: (scene.asha.user, room) in client.olm.bundles)
    await asyncio.sleep(1)
    assert not scene.ear.heard.keys() & said.keys()
    await scene.ear.stop()
    await scene.ear.start_again()
    assert await scene.ear.until(lambda: said.keys() <= scene.ear.heard.keys())
    was_told(scene, said)


async def together(scene: Scene) -> tuple[RoomId, EventId]:
    """Asha, Ben and the bot are in a room, and Asha has said something that the bot could read."""
    room = await scene.asha.found_room()
    scene.ear.listen()
    await scene.asha.invite(room, scene.ben.user)
    await scene.ben.enter(room)
    await scene.asha.invite(room, scene.ear.account.user)
    assert await scene.ear.until(lambda: room in scene.ear.transport.rooms())
    members = scene.ear.transport.client.rooms[room].users
    assert await scene.ear.until(lambda: scene.asha.user in members)
    event = await scene.asha.say(room, "hello both")
    assert await scene.ear.until(lambda: event in scene.ear.heard)
    assert scene.ear.heard[event].doubt == ""
    assert await scene.ben.until(lambda phone: event in phone.messages)
    return room, event


async def test_a_lost_key_is_taken_from_the_device_that_made_it(scene: Scene) -> None:
    """The SDK forwards the key, and what it opens is as good as before."""
    room, event = await together(scene)
    session = await scene.lose_the_key(room, event)
    client = scene.ear.transport.client
    assert await scene.ear.until(lambda: session not in client.olm.outgoing_key_requests)
    inside = await scene.ear.read(room, event)
    assert isinstance(inside, Clear)
    assert (inside.content["body"], inside.doubt) == ("hello both", "")


async def forward(scene: Scene, session: str, **changed: Any) -> None:
    """Ben's client sends the bot the key that it has, as a forwarded one."""
    ben, bot = scene.ben, scene.ear.transport.client
    key = await ben.room_key(session)
    content = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "room_id": key["room_id"],
        "session_id": session,
        "session_key": key["session_key"],
        "sender_key": key["sender_key"],
        "sender_claimed_ed25519_key": key["sender_claimed_keys"]["ed25519"],
        "forwarding_curve25519_key_chain": [],
        **changed,
    }
    kind = "m.forwarded_room_key"
    await ben.to_device(scene.ear.account.user, bot.device_id, kind, content)


async def hears_ben(scene: Scene, room: RoomId) -> None:
    """What Ben sent before has been taken in: a new key of his came after it."""
    event = await scene.ben.say(room, "did you get it?", rotate=True)
    assert await scene.ear.until(lambda: event in scene.ear.heard)


async def test_a_key_that_another_device_forwards_is_refused(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even though it is the right one: nobody but its maker can say whose it is."""
    room, event = await together(scene)
    await scene.asha.close()
    session = await scene.lose_the_key(room, event)
    await forward(scene, session)
    await hears_ben(scene, room)
    assert isinstance(await scene.ear.read(room, event), Dark)
    assert "forward.not_by_its_maker" in capsys.readouterr().out
    assert session in scene.ear.transport.client.olm.outgoing_key_requests


async def test_who_forwards_anothers_key_as_their_own_does_not_become_its_author(
    scene: Scene,
) -> None:
    """It opens the message, but the doubt about who wrote it is on record."""
    room, event = await together(scene)
    await scene.asha.close()
    session = await scene.lose_the_key(room, event)
    keys = await scene.ben.device_keys()
    await forward(
        scene, session, sender_key=keys["curve25519"], sender_claimed_ed25519_key=keys["ed25519"]
    )
    await hears_ben(scene, room)
    inside = await scene.ear.read(room, event)
    assert isinstance(inside, Clear)
    assert inside.suspect
    assert inside.doubt == "its session is of no device of its sender that we know"


async def test_a_key_that_nobody_asked_for_is_refused(scene: Scene) -> None:
    room, event = await together(scene)
    client = scene.ear.transport.client
    read = await scene.ear.read(room, event)
    assert isinstance(read, Clear)
    assert client.forget_sessions(room) > 0
    await forward(scene, read.session_id)
    await hears_ben(scene, room)
    assert isinstance(await scene.ear.read(room, event), Dark)
