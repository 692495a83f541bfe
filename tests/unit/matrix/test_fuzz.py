"""Random and mutated bytes wherever others choose them: no error, no stall, no loss beside them."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.matrix.client import Clear, Dark, LampClient
from tests.unit.matrix.test_devices import device
from tests.unit.matrix.world import (
    ANNA,
    BOT,
    MALLORY,
    MEGOLM_,
    ROOM,
    KeyServer,
    Owner,
    World,
    event,
    olm,
    say,
)

#: Processor time, so that a busy machine is no failure.
LONGEST_S = 0.1
EXAMPLES = pytest.mark.parametrize(
    "examples", [300, pytest.param(20_000, marks=pytest.mark.torture)]
)  # fmt: skip

WORDS = st.sampled_from([
    "type", "content", "sender", "algorithm", "ciphertext", "body", "session_id", "session_key",
    "room_id", "sender_key", "keys", "signatures", "user_id", "device_id", "ed25519", "key",
    "device_keys", "master_keys", "self_signing_keys", "one_time_keys", "failures", "membership",
    "m.room.encrypted", "m.room_key", "m.forwarded_room_key", "m.room_key.withheld", "m.dummy",
    "m.room_key_bundle", "m.room.member", "m.room.encryption", MEGOLM_, "code", "usage",
    "m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2", ANNA, BOT, MALLORY, ROOM, "BOT", "ANNA",
    "state_key", "unsigned", "recipient", "recipient_keys", "file", "url", "join", "invite", "",
])  # fmt: skip
TEXT = WORDS | st.text(alphabet=st.characters(), max_size=20)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.sampled_from(["A" * 43, "A" * 70_000])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=12,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=6)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Go through all paths into *value*."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for name, inner in items:
        yield (*at, name)
        yield from _places(inner, (*at, name))


def mutated(draw: Callable[[Any], Any], value: Any) -> Any:
    """Return *value* with something in it taken out or replaced."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return value
        *path, last = draw(st.sampled_from(places))
        within = value
        for step in path:
            within = within[step]
        match draw(st.integers(0, 2)):
            case 0:
                del within[last]
            case 1 if isinstance(within[last], str) and within[last]:
                text, at = within[last], draw(st.integers(0, len(within[last]) - 1))
                within[last] = text[:at] + draw(st.characters()) + text[at + 1 :]
            case _:
                within[last] = draw(JSON)
    return value


@dataclass
class Arena:
    """The bot, Anna and Mallory, on stores that may lose what they like in a power cut."""

    world: World
    bot: LampClient
    anna: LampClient
    mallory: LampClient
    run: asyncio.Runner

    def say(self, text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Have Anna say something under a new key; return it, and the mail with the key."""
        self.anna.olm.outbound_group_sessions.pop(ROOM, None)
        said = self.run.run(say(self.anna, text))
        return said, self.world.server.mail(BOT, "BOT")


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    world = World(KeyServer(), tmp_path)
    with asyncio.Runner() as run:
        clients = [world.lamp(BOT, "BOT"), world.lamp(ANNA, "ANNA"), world.lamp(MALLORY, "EVIL")]
        for client in clients:
            client.store.database.execute_sql("PRAGMA synchronous = OFF")
            run.run(client.tend_keys())
            Owner(world.server, client.user_id).sign(client.device_id)
        run.run(world.settle(*clients))
        yield Arena(world, clients[0], clients[1], clients[2], run)
        for client in clients:
            run.run(client.close())


def fuzz(examples: int, test: Callable[[st.DataObject], None]) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    found = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=checks
    )
    found(given(st.data())(test))()


class Quick:
    """Fails if what is done inside takes too long; collecting hypothesis' garbage is not that."""

    def __enter__(self) -> None:
        gc.disable()
        self.began = time.thread_time()

    def __exit__(self, *_: object) -> None:
        took = time.thread_time() - self.began
        gc.enable()
        assert took < LONGEST_S


@EXAMPLES
def test_a_good_room_key_arrives_beside_whatever_else_is_sent(arena: Arena, examples: int) -> None:
    def hostile(data: st.DataObject) -> dict[str, Any]:
        payload = data.draw(OBJECT)
        match data.draw(st.integers(0, 3)):
            case 0:
                return payload
            case 1:
                return {"type": data.draw(TEXT), "sender": MALLORY, "content": data.draw(OBJECT)}
            case 2:
                # Well encrypted, and nonsense inside.
                kind = data.draw(TEXT)
                payload = json.loads(json.dumps(payload).encode("utf-8", "replace"))
                return arena.run.run(olm(arena.mallory, arena.bot, kind, payload))
            case _:
                content = {
                    "algorithm": MEGOLM_, "room_id": ROOM, "session_id": "x", "session_key": "y",
                }  # fmt: skip
                good = arena.run.run(olm(arena.mallory, arena.bot, "m.room_key", content))
                return dict(mutated(data.draw, good))

    def one(data: st.DataObject) -> None:
        said, mail = arena.say("hello")
        events = [hostile(data) for _ in range(data.draw(st.integers(1, 3)))]
        with Quick():
            fresh = arena.bot.take_to_device([*events, *mail])
        assert said["content"]["session_id"] in fresh
        clear = arena.bot.decrypt(ROOM, said)
        assert isinstance(clear, Clear)
        assert clear.doubt == ""
        arena.bot.take_key_news(data.draw(OBJECT))
        arena.bot.olm.uploaded_key_count = 50

    fuzz(examples, one)


@EXAMPLES
def test_anna_is_known_beside_whatever_the_server_says_of_mallory(
    arena: Arena, examples: int
) -> None:
    server = arena.world.server
    good = device(MALLORY, "EVIL2")
    truth = json.loads(json.dumps(server._query([ANNA, MALLORY])))

    def one(data: st.DataObject) -> None:
        answer = copy.deepcopy(truth)
        theirs = {"EVIL": truth["device_keys"][MALLORY]["EVIL"], "EVIL2": good}
        part = {
            "device_keys": theirs,
            "master_keys": truth["master_keys"][MALLORY],
            "self_signing_keys": truth["self_signing_keys"][MALLORY],
        }
        for name, value in mutated(data.draw, part).items():
            if name in answer and isinstance(answer[name], dict):
                answer[name][MALLORY] = value
        answer |= {"failures": data.draw(JSON)}
        with Quick():
            arena.run.run(arena.bot.exchange.take_queried(answer, [MALLORY, ANNA]))
        assert arena.bot.olm.cross_signed[ANNA] == {"ANNA": True}
        with Quick():
            arena.run.run(arena.bot.exchange.take_queried(data.draw(OBJECT), [MALLORY]))
        for known in arena.bot.olm.device_store[MALLORY].values():
            assert isinstance(known.curve25519, str)

    fuzz(examples, one)


@EXAMPLES
def test_annas_key_is_claimed_beside_whatever_is_claimed_of_mallory(
    arena: Arena, examples: int
) -> None:
    asked = {MALLORY: ["EVIL", "EVIL2"], ANNA: ["ANNA"]}
    curve = arena.anna.olm.account.identity_keys["curve25519"]

    def one(data: st.DataObject) -> None:
        account = arena.anna.olm
        account.account.generate_one_time_keys(1)
        name, key = list(account.account.one_time_keys["curve25519"].items())[-1]
        account.account.mark_keys_as_published()
        good = account._signed({"key": key})
        theirs = mutated(data.draw, {"EVIL": {f"signed_curve25519:{name}": good}})
        answer = {"one_time_keys": {MALLORY: theirs, ANNA: {"ANNA": {"signed_curve25519:x": good}}}}
        arena.bot.olm.session_store._entries.pop(curve, None)
        with Quick():
            arena.bot.exchange.take_claimed(answer, asked)
        assert arena.bot.olm.session_store.get(curve) is not None
        with Quick():
            arena.bot.exchange.take_claimed(data.draw(OBJECT), asked)

    fuzz(examples, one)


@EXAMPLES
def test_whatever_state_events_say_the_bot_keeps_its_rooms(arena: Arena, examples: int) -> None:
    def one(data: st.DataObject) -> None:
        kinds = st.sampled_from(["m.room.member", "m.room.encryption"])
        odd = {
            "type": data.draw(kinds | JSON),
            "state_key": data.draw(st.just("@x:y") | st.integers() | st.none()),
            "content": data.draw(OBJECT | JSON),
            "sender": data.draw(JSON),
        }
        with Quick():
            arena.bot.take_state(ROOM, odd)
            arena.bot.take_invite(ROOM, [odd])
        room = arena.bot.rooms[ROOM]
        assert room.encrypted
        assert {ANNA, BOT, MALLORY} <= set(room.users)

    fuzz(examples, one)


@EXAMPLES
def test_whatever_an_encrypted_event_holds_it_is_clear_or_dark(arena: Arena, examples: int) -> None:
    said, mail = arena.say("hello")
    arena.bot.take_to_device(mail)
    session = arena.anna.olm.outbound_group_sessions[ROOM]

    def one(data: st.DataObject) -> None:
        match data.draw(st.integers(0, 2)):
            case 0:
                served = {"type": "m.room.encrypted", "content": data.draw(JSON)}
                served |= data.draw(OBJECT)
            case 1:
                served = mutated(data.draw, said)
            case _:
                payload = {"type": "m.room.message", "content": {"body": "x"}, "room_id": ROOM}
                raw = json.dumps(mutated(data.draw, payload)).encode()
                ciphertext = session._session.encrypt(raw).to_base64()
                content = {**said["content"], "ciphertext": ciphertext}
                served = event(ANNA, content)
        with Quick():
            assert isinstance(arena.bot.decrypt(ROOM, served), Clear | Dark)
        clear = arena.bot.decrypt(ROOM, said)
        assert isinstance(clear, Clear)
        assert clear.content["body"] == "hello"

    fuzz(examples, one)
