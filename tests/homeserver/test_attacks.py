"""What any account on a real homeserver can do to the bot, and that it does not help them.

The same with each detail, beside stock nio, is in tests/unit/matrix.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import vodozemac
from nio import AsyncClient, AsyncClientConfig
from nio.api import Api as NioApi
from nio.store import SqliteStore

from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer
from bridge.matrix.api import Api, login, quote
from bridge.matrix.client import Clear, Dark
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account, pickle_key
from bridge.matrix.seeds import Vault
from bridge.matrix.transport import MatrixTransport
from bridge.model import EventId, RoomId, UserId
from bridge.secret import write_secret
from tests.homeserver.conftest import PASSWORD, SignIn

V3 = "/_matrix/client/v3"
ENCRYPTED = {
    "preset": "private_chat",
    "room_version": "12",
    "initial_state": [
        {"type": "m.room.encryption", "state_key": "",
         "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    ],
}  # fmt: skip


@dataclass
class Town:
    """The bot and Anna in an encrypted room."""

    bot: MatrixTransport
    anna: Officer
    room: RoomId
    homeserver: Homeserver
    tag: str
    folder: Path

    async def read(self, event: EventId) -> Clear | Dark:
        """Have the bot read an event as the server has it, with all keys that came by now."""
        for _ in range(50):
            await self.sync()
            path = f"{V3}/rooms/{quote(self.room)}/event/{quote(event)}"
            served = await self.bot.api.call("GET", path)
            inside = self.bot.client.decrypt(self.room, served)
            if isinstance(inside, Clear):
                return inside
        return inside

    since: str = ""

    async def sync(self) -> None:
        """One round of what the transport does with keys."""
        query = {
            "timeout": "0",
            **({"since": self.since} if self.since else {"full_state": "true"}),
        }
        got = await self.bot.api.call("GET", f"{V3}/sync", query=query)
        client = self.bot.client
        client.take_to_device((got.get("to_device") or {}).get("events") or [])
        for room, part in ((got.get("rooms") or {}).get("join") or {}).items():
            for side in ("state", "timeline"):
                for event in part[side]["events"]:
                    if "state_key" in event:
                        client.take_state(room, event)
        client.take_key_news(got)
        await client.tend_keys()
        self.since = got["next_batch"]


@pytest.fixture
async def town(homeserver: Homeserver, tag: str, tmp_path: Path) -> AsyncIterator[Town]:
    users = [UserId(f"@{tag}-{name}:{homeserver.server_name}") for name in ("bot", "anna")]
    for user in users:
        homeserver.register(user[1:].split(":")[0], PASSWORD)
    write_secret(tmp_path / "bot" / "password", PASSWORD)
    account = Account(
        url=homeserver.url, user=users[0], state=tmp_path / "bot", token_file=None,
        password_file=tmp_path / "bot" / "password",
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        bot = await open_device(account, approved=lambda _: True)
        stack.push_async_callback(bot.close)
        anna = await Officer.sign_in(homeserver.url, users[1], PASSWORD, tmp_path / "anna")
        stack.push_async_callback(anna.close)
        made = await bot.api.call("POST", f"{V3}/createRoom", {**ENCRYPTED, "invite": [users[1]]})
        room = RoomId(made["room_id"])
        await anna.enter(room)
        yield Town(bot, anna, room, homeserver, tag, tmp_path)


async def test_a_member_whose_device_keys_are_garbage_stops_nothing(
    town: Town, sign_in: SignIn
) -> None:
    evil = await sign_in(f"{town.tag}-evil")
    who = await evil.call("GET", f"{V3}/account/whoami")
    user, device = who["user_id"], who["device_id"]
    signer = vodozemac.Account()
    keys: dict[str, Any] = {
        "user_id": user,
        "device_id": device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            f"curve25519:{device}": vodozemac.Account().curve25519_key.to_base64(),
            f"ed25519:{device}": signer.ed25519_key.to_base64(),
        },
    }
    one_time: dict[str, Any] = {"key": "notakey"}
    for thing in (keys, one_time):
        signature = signer.sign(NioApi.to_canonical_json(thing).encode()).to_base64()
        thing["signatures"] = {user: {f"ed25519:{device}": signature}}
    body = {"device_keys": keys, "one_time_keys": {"signed_curve25519:AAAA": one_time}}
    await evil.call("POST", f"{V3}/keys/upload", body)
    other = await login(town.homeserver.url, user, PASSWORD, device_name="x")
    garbage = {
        **keys, "device_id": other.device_id,
        "keys": {f"curve25519:{other.device_id}": "notakey", f"ed25519:{other.device_id}": "x"},
    }  # fmt: skip
    async with Api(town.homeserver.url, other.token) as api:
        await api.call("POST", f"{V3}/keys/upload", {"device_keys": garbage})
    await town.bot.api.call("POST", f"{V3}/rooms/{quote(town.room)}/invite", {"user_id": user})
    await evil.call("POST", f"{V3}/join/{quote(town.room)}", {})
    await town.sync()
    async with asyncio.timeout(240):
        said = []
        for text in ("one", "two"):
            content = {"msgtype": "m.text", "body": text}
            sealed = await town.bot.client.seal(town.room, "m.room.message", content)
            path = f"{V3}/rooms/{quote(town.room)}/send/m.room.encrypted/{secrets.token_hex(4)}"
            said.append((await town.bot.api.call("PUT", path, sealed))["event_id"])
    assert await town.anna.until(lambda phone: set(said) <= phone.messages.keys())


async def test_who_claims_all_our_keys_does_not_make_us_deaf(town: Town, tag: str) -> None:
    bot = town.bot.client
    claim = {"one_time_keys": {bot.user_id: {bot.device_id: "signed_curve25519"}}}
    for _ in range(60):
        got = await town.anna.api.call("POST", f"{V3}/keys/claim", claim)
    assert got["one_time_keys"], "there is a fallback key"
    # A new device speaks before the bot could do anything about it.
    user = UserId(f"@{tag}-anna:{town.homeserver.server_name}")
    # Another device of the same identity.
    theirs = (Vault.of(town.folder / name, None) for name in ("anna", "second"))
    for old, new in zip(*((one.path, one.passphrase) for one in theirs), strict=True):
        write_secret(new, old.read_text(encoding="utf-8"))
    second = await Officer.sign_in(town.homeserver.url, user, PASSWORD, town.folder / "second")
    await second.enter(town.room)
    event = await second.say(town.room, "from a new phone")
    clear = await town.read(event)
    assert isinstance(clear, Clear)
    assert clear.content["body"] == "from a new phone"
    await town.sync()
    got = await town.bot.api.call("GET", f"{V3}/sync", query={"timeout": "0"})
    assert got["device_one_time_keys_count"]["signed_curve25519"] >= 49
    await second.close()


async def test_a_store_that_is_behind_the_server_makes_other_keys(
    homeserver: Homeserver, tag: str, tmp_path: Path
) -> None:
    homeserver.register(tag, PASSWORD)
    signed_in = await login(homeserver.url, tag, PASSWORD, device_name="bot")
    token = tmp_path / "token"
    write_secret(token, signed_in.token)
    crypto = tmp_path / "bot" / "crypto"
    crypto.mkdir(parents=True)
    account = Account(
        url=homeserver.url, user=signed_in.user_id, state=tmp_path / "bot", token_file=token,
        password_file=None,
    )  # fmt: skip

    def stock() -> AsyncClient:
        config = AsyncClientConfig(store=SqliteStore, pickle_key=pickle_key(account.state))
        client = AsyncClient(
            homeserver.url, signed_in.user_id, store_path=str(crypto), config=config
        )
        client.restore_login(signed_in.user_id, signed_in.device_id, signed_in.token)
        return client

    dying = stock()
    dying.olm.handle_response = lambda _: None
    await dying.keys_upload()
    await dying.close()
    dead = stock()
    answer = await dead.keys_upload()
    assert "already exists" in answer.message, "stock nio is dead for good"
    await dead.close()
    bot = await open_device(account, approved=lambda _: True)
    assert bot.client.olm.account.shared
    await bot.close()


async def test_what_a_member_posts_again_is_doubted_and_the_original_is_not(town: Town) -> None:
    event = await town.anna.say(town.room, "written by Anna")
    first = await town.read(event)
    path = f"{V3}/rooms/{quote(town.room)}"
    served = await town.bot.api.call("GET", f"{path}/event/{quote(event)}")
    again = await town.bot.api.call(
        "PUT", f"{path}/send/m.room.encrypted/{secrets.token_hex(4)}", served["content"]
    )
    second = await town.read(again["event_id"])
    assert isinstance(first, Clear)
    assert isinstance(second, Clear)
    assert first.doubt == ""
    assert second.doubt == "its session is of no device of its sender that we know"
    assert (first.session_id, first.index) == (second.session_id, second.index)


async def test_a_user_with_the_bots_device_id_can_read_it(
    town: Town, tmp_path: Path, tag: str
) -> None:
    local = f"{tag}-same"
    town.homeserver.register(local, PASSWORD)
    same = await login(
        town.homeserver.url, local, PASSWORD, device_id=town.bot.client.device_id, device_name="x"
    )
    write_secret(tmp_path / "token", same.token)
    account = Account(
        url=town.homeserver.url, user=same.user_id, state=tmp_path / "same",
        token_file=tmp_path / "token", password_file=None,
    )  # fmt: skip
    officer = Officer(same.user_id, await open_device(account, approved=lambda _: True))
    await town.bot.api.call(
        "POST", f"{V3}/rooms/{quote(town.room)}/invite", {"user_id": same.user_id}
    )
    await officer.enter(town.room)
    await town.sync()
    content = {"msgtype": "m.text", "body": "hello"}
    sealed = await town.bot.client.seal(town.room, "m.room.message", content)
    path = f"{V3}/rooms/{quote(town.room)}/send/m.room.encrypted/x"
    event = (await town.bot.api.call("PUT", path, sealed))["event_id"]
    assert await officer.until(lambda phone: event in phone.messages)
    await officer.close()


@pytest.mark.parametrize("forge", [
    lambda ours: {"type": 0, "body": "AAAA"},
    lambda ours: {"type": 1, "body": "!!!"},
    lambda ours: {"type": 7, "body": {}},
])  # fmt: skip
async def test_a_malformed_message_to_the_device_costs_nothing_beside_it(
    town: Town, forge: Callable[[str], dict[str, Any]]
) -> None:
    bot = town.bot.client
    ours = bot.olm.account.identity_keys["curve25519"]
    content = {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": town.anna.transport.client.olm.account.identity_keys["curve25519"],
        "ciphertext": {ours: forge(ours)},
    }
    path = f"{V3}/sendToDevice/m.room.encrypted/{secrets.token_hex(4)}"
    messages = {bot.user_id: {bot.device_id: content}}
    await town.anna.api.call("PUT", path, {"messages": messages})
    event = await town.anna.say(town.room, "hello")
    clear = await town.read(event)
    assert isinstance(clear, Clear)
    assert clear.doubt == ""
