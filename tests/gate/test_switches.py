"""Each thing that the homeserver holds for us by itself: on a real one, with no bot that answers.

Each is tried with its switch on and with it off, by the same request.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.demo.homeserver import Homeserver
from bridge.errors import NotPermitted
from bridge.matrix.api import Api, login, quote

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

SERVER = "force.example"
BOT, ASHA, BEN = (f"@{name}:{SERVER}" for name in ("bluelamp", "asha", "ben"))
CLASS = "uk.police.room_class"
ON = {"rooms_by_template": True}
OFF = dict.fromkeys(
    ("wait_for_bot", "no_plaintext", "guard_state", "guard_invitations", "rooms_by_template"), False
)
HELLO = {"msgtype": "m.text", "body": "hello"}


@dataclass(frozen=True)
class People:
    """Three people on one homeserver; the bot is signed in, and answers nothing."""

    bot: Api
    asha: Api
    ben: Api

    async def make(self, **asked: Any) -> str:
        """Have Asha make a room."""
        answer = await self.asha.call("POST", "/_matrix/client/v3/createRoom", asked)
        return str(answer["room_id"])

    async def of_class(self, cls: str = "social", **asked: Any) -> str:
        """Have Asha make a room of a class."""
        return await self.make(creation_content={CLASS: cls}, **asked)

    async def state(self, room: str) -> dict[tuple[str, str], dict[str, Any]]:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state"
        events = await self.asha.call_list("GET", path)
        return {(one["type"], one["state_key"]): one for one in events}

    async def enters(self, who: Api, room: str) -> None:
        await who.call("POST", f"/_matrix/client/v3/rooms/{quote(room)}/join", {})

    async def say(self, room: str, kind: str, content: dict[str, Any]) -> str:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/{kind}/{secrets.token_hex(4)}"
        return str((await self.asha.call("PUT", path, content))["event_id"])

    async def set(self, room: str, kind: str, content: dict[str, Any]) -> None:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state/{kind}/"
        await self.asha.call("PUT", path, content)

    async def invite(self, room: str, user: str) -> None:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/invite"
        await self.asha.call("POST", path, {"user_id": user})


@contextlib.asynccontextmanager
async def served(folder: Path, **switches: bool) -> AsyncIterator[People]:
    config = {"bot": BOT, "socket": str(folder / "s"), "ask": "the Digital Desk", **switches}
    modules = [{"module": "bluelamp_gate.Gate", "config": config}]
    server = Homeserver(folder / "homeserver", server_name=SERVER, settings={"modules": modules})
    async with server, contextlib.AsyncExitStack() as closing:
        apis = []
        for name in ("bluelamp", "asha", "ben"):
            await asyncio.to_thread(server.register, name, "a password")
            token = (await login(server.url, name, "a password", device_name="test")).token
            apis.append(await closing.enter_async_context(Api(server.url, token)))
        yield People(*apis)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[People]:
    async with served(tmp_path_factory.mktemp("on"), **ON) as people:
        yield people


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def off(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[People]:
    async with served(tmp_path_factory.mktemp("off"), **OFF) as people:
        yield people


async def test_a_room_of_a_class_has_bot_encryption_and_class_from_its_beginning(
    on: People,
) -> None:
    """Whatever its maker asked for that would loosen it."""
    loose = [
        {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "public"}},
        {"type": CLASS, "state_key": "", "content": {"class": "operational"}},
        {"type": "m.room.topic", "state_key": "", "content": {"topic": "rotas"}},
        "odd",
    ]
    room = await on.of_class(
        name="Rotas", preset="public_chat", visibility="public", room_version="10", invite=[BEN],
        initial_state=loose, power_level_content_override={"users_default": 100},
    )  # fmt: skip
    state = await on.state(room)
    create = state["m.room.create", ""]["content"]
    assert create["additional_creators"] == [BOT]
    assert create["room_version"] == "12"
    assert state["m.room.encryption", ""]["content"]["algorithm"] == "m.megolm.v1.aes-sha2"
    assert state[CLASS, ""]["content"] == {"class": "social"}
    assert state["m.room.join_rules", ""]["content"]["join_rule"] == "invite"
    assert state["m.room.power_levels", ""]["content"]["users_default"] == 0
    assert state["m.room.topic", ""]["content"]["topic"] == "rotas"
    assert state["m.room.name", ""]["content"]["name"] == "Rotas"
    for user in (BOT, BEN):
        assert state["m.room.member", user]["content"]["membership"] == "invite"


async def test_nothing_is_said_there_before_the_bot_is_in_it(on: People, off: People) -> None:
    room = await on.of_class()
    with pytest.raises(NotPermitted, match="Blue Lamp is not in this room yet"):
        await on.say(room, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2"})
    await on.enters(on.bot, room)
    assert await on.say(room, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2"})
    loose = await off.of_class()
    assert await off.say(loose, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2"})


async def test_nothing_unencrypted_is_said_there(on: People, off: People) -> None:
    room = await on.of_class()
    await on.enters(on.bot, room)
    with pytest.raises(NotPermitted, match="is encrypted, and this message was not"):
        await on.say(room, "m.room.message", HELLO)
    loose = await off.of_class()
    assert await off.say(loose, "m.room.message", HELLO)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("m.room.history_visibility", {"history_visibility": "world_readable"}),
        ("m.room.join_rules", {"join_rule": "public"}),
        ("m.room.guest_access", {"guest_access": "can_join"}),
        ("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": 9}),
        ("m.room.power_levels", {"users_default": 100}),
        (CLASS, {"class": "operational"}),
    ],
)
async def test_nobody_loosens_it_also_not_who_made_it(
    on: People, off: People, kind: str, content: dict[str, Any]
) -> None:
    room = await on.of_class()
    with pytest.raises(NotPermitted, match=r"looked after by Blue Lamp.*the Digital Desk"):
        await on.set(room, kind, content)
    await on.set(room, "m.room.topic", {"topic": "still ours to set"})
    loose = await off.of_class()
    await off.set(loose, kind, content)


async def test_strangers_of_other_servers_are_not_asked_in(on: People, off: People) -> None:
    room = await on.of_class()
    with pytest.raises(NotPermitted):
        await on.invite(room, "@eve:elsewhere.example")
    await on.invite(room, BEN)
    loose = await off.of_class()
    await off.invite(loose, BEN)


async def test_rooms_are_made_by_template_only_and_the_text_says_where_to_ask(
    on: People, off: People
) -> None:
    with pytest.raises(NotPermitted, match=r"made by the force.*speak to the Digital Desk"):
        await on.make(name="just us")
    for odd in ("review", "", 3, ["social"], {"a": 1}):
        with pytest.raises(NotPermitted, match="rooms of the classes social, operational"):
            await on.make(creation_content={CLASS: odd})
    assert await on.make(is_direct=True, invite=[BEN], preset="trusted_private_chat")
    with pytest.raises(NotPermitted, match="made by the force"):
        await on.make(is_direct=True, invite=[BEN, BOT])
    assert await off.make(name="just us")


async def test_a_room_whose_maker_gave_it_our_state_is_none_of_ours(on: People) -> None:
    """It was not made by template, and the bot is no creator of it."""
    room = await on.make(is_direct=True, invite=[BEN], initial_state=[
        {"type": CLASS, "state_key": "", "content": {"class": "social"}},
    ])  # fmt: skip
    assert await on.say(room, "m.room.message", HELLO)
    await on.set(room, "m.room.history_visibility", {"history_visibility": "world_readable"})
