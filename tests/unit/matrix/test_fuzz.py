"""Random and mutated bytes wherever others choose them: no error, no stall, no loss beside them."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nio.crypto import OutboundGroupSession
from unpaddedbase64 import encode_base64

from bridge.matrix.client import Clear, Dark, LampClient
from bridge.matrix.keys import OLM
from tests.unit.matrix.chaos import Dice, spelt, wire
from tests.unit.matrix.test_devices import device
from tests.unit.matrix.trial import handled, kept, tried
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
)

EXAMPLES = pytest.mark.parametrize(
    "examples", [300, pytest.param(20_000, marks=pytest.mark.torture)]
)  # fmt: skip


@dataclass
class Arena:
    """The bot, Anna and Mallory, on stores that may lose what they like in a power cut."""

    world: World
    bot: LampClient
    anna: LampClient
    mallory: LampClient
    run: asyncio.Runner

    def mail(self, by: LampClient, kind: str, content: Any) -> dict[str, Any]:
        """Encrypt anything, however spelt, from a device to the bot's, and return the event."""
        ours = self.bot.olm.account.identity_keys
        payload = {
            "sender": by.user_id,
            "sender_device": by.device_id,
            "keys": {"ed25519": by.olm.account.identity_keys["ed25519"]},
            "recipient": BOT,
            "recipient_keys": {"ed25519": ours["ed25519"]},
            "type": kind,
            "content": content,
        }
        session = by.olm.session_store.get(ours["curve25519"])
        number, raw = session.encrypt(spelt(payload)).to_parts()
        part = {"type": number, "body": encode_base64(raw)}
        sealed = {
            "algorithm": OLM,
            "sender_key": by.olm.account.identity_keys["curve25519"],
            "ciphertext": {ours["curve25519"]: part},
        }
        return {"type": "m.room.encrypted", "sender": by.user_id, "content": sealed}

    def say(self, text: str) -> tuple[Megolm, dict[str, Any], dict[str, Any]]:
        """Have Anna say something under a new key; return it, the event, and the key's mail."""
        session = Megolm(self.anna)
        self.world.server.asked.clear()
        return session, session.say({"body": text}), self.mail(self.anna, "m.room_key", session.key)


class Megolm:
    """A room key of somebody's."""

    def __init__(self, by: LampClient) -> None:
        """Make one that nobody has."""
        self._by, self._session = by, OutboundGroupSession()
        self.key = {
            "algorithm": MEGOLM_,
            "room_id": ROOM,
            "session_id": self._session.id,
            "session_key": self._session.session_key,
        }

    @property
    def id(self) -> str:
        return str(self._session.id)

    def say(self, content: Any, kind: str = "m.room.message") -> dict[str, Any]:
        """Encrypt a message, and return it as it is served."""
        return self.seal(spelt({"type": kind, "content": content, "room_id": ROOM}))

    def seal(self, plain: str) -> dict[str, Any]:
        """Encrypt anything, and return it as it is served."""
        sealed = self._session._session.encrypt(plain.encode()).to_base64()
        content = {
            "algorithm": MEGOLM_,
            "session_id": self.id,
            "sender_key": self._by.olm.account.identity_keys["curve25519"],
            "device_id": self._by.device_id,
            "ciphertext": sealed,
        }
        return event(self._by.user_id, content)


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
        bot, anna, mallory = clients
        for by in (anna, mallory):
            first = run.run(olm(by, bot, "m.dummy", {}))
            bot.take_to_device([first])
        yield Arena(world, bot, anna, mallory, run)
        for client in clients:
            run.run(client.close())


def hostile(arena: Arena, dice: Dice) -> dict[str, Any]:
    """What anybody may send to a device."""
    match dice.below(4):
        case 0:
            return dice.object()
        case 1:
            return {"type": dice.text(), "sender": MALLORY, "content": dice.object()}
        case 2:
            # Well encrypted, and nonsense inside.
            return arena.mail(arena.mallory, dice.text(), dice.json())
        case _:
            key = {"algorithm": MEGOLM_, "room_id": ROOM, "session_id": "x", "session_key": "y"}
            return dict(dice.mutated(arena.mail(arena.mallory, "m.room_key", key)))


@EXAMPLES
def test_a_good_room_key_arrives_beside_whatever_else_is_sent(arena: Arena, examples: int) -> None:
    def one(dice: Dice) -> None:
        session, said, mail = arena.say("hello")
        events = wire([hostile(arena, dice) for _ in range(1 + dice.below(3))])
        fresh = handled(lambda: arena.bot.take_to_device([*events, mail]))
        kept(session.id in fresh, "the key")
        clear = handled(lambda: arena.bot.decrypt(ROOM, said))
        kept(isinstance(clear, Clear) and clear.doubt == "", "the message")
        news = wire(dice.object())
        handled(lambda: arena.bot.take_key_news(news))
        arena.bot.olm.uploaded_key_count = 50

    tried("to-device messages", examples, one)


@EXAMPLES
def test_anna_is_known_beside_whatever_the_server_says_of_mallory(
    arena: Arena, examples: int
) -> None:
    server = arena.world.server
    good = device(MALLORY, "EVIL2")
    truth = json.loads(json.dumps(server._query([ANNA, MALLORY])))
    part = {
        "device_keys": {"EVIL": truth["device_keys"][MALLORY]["EVIL"], "EVIL2": good},
        "master_keys": truth["master_keys"][MALLORY],
        "self_signing_keys": truth["self_signing_keys"][MALLORY],
    }
    query = arena.bot.exchange.take_queried

    def one(dice: Dice) -> None:
        answer = copy.deepcopy(truth)
        for name, value in dice.mutated(part).items():
            if name in answer and isinstance(answer[name], dict):
                answer[name][MALLORY] = value
        answer = wire(answer | {"failures": dice.json()})
        handled(lambda: arena.run.run(query(answer, [MALLORY, ANNA])))
        kept(arena.bot.olm.cross_signed[ANNA] == {"ANNA": True}, "Anna's device")
        odd = wire(dice.object())
        handled(lambda: arena.run.run(query(odd, [MALLORY])))
        for known in arena.bot.olm.device_store[MALLORY].values():
            kept(isinstance(known.curve25519, str), "sense")

    tried("devices and identities", examples, one)


@EXAMPLES
def test_annas_key_is_claimed_beside_whatever_is_claimed_of_mallory(
    arena: Arena, examples: int
) -> None:
    asked = {MALLORY: ["EVIL", "EVIL2"], ANNA: ["ANNA"]}
    curve = arena.anna.olm.account.identity_keys["curve25519"]
    claim = arena.bot.exchange.take_claimed

    def one(dice: Dice) -> None:
        account = arena.anna.olm
        account.account.generate_one_time_keys(1)
        name, key = list(account.account.one_time_keys["curve25519"].items())[-1]
        account.account.mark_keys_as_published()
        good = account._signed({"key": key})
        theirs = dice.mutated({"EVIL": {f"signed_curve25519:{name}": good}})
        answer = {"one_time_keys": {MALLORY: theirs, ANNA: {"ANNA": {"signed_curve25519:x": good}}}}
        answer = wire(answer)
        arena.bot.olm.session_store._entries.pop(curve, None)
        handled(lambda: claim(answer, asked))
        kept(arena.bot.olm.session_store.get(curve) is not None, "Anna's session")
        odd = wire(dice.object())
        handled(lambda: claim(odd, asked))

    tried("claimed keys", examples, one)


@EXAMPLES
def test_whatever_state_events_say_the_bot_keeps_its_rooms(arena: Arena, examples: int) -> None:
    def one(dice: Dice) -> None:
        odd = wire({
            "type": dice.one_of(["m.room.member", "m.room.encryption"])
            if dice.below(3) else dice.json(),
            "state_key": dice.one_of(["@x:y", 5, None]),
            "content": dice.content() if dice.below(2) else dice.json(),
            "sender": dice.json(),
        })  # fmt: skip
        handled(lambda: arena.bot.take_state(ROOM, odd))
        handled(lambda: arena.bot.take_invite(ROOM, [odd]))
        room = arena.bot.rooms[ROOM]
        kept(room.encrypted, "the encryption")
        kept({ANNA, BOT, MALLORY} <= set(room.users), "a member")

    tried("state events", examples, one)


@EXAMPLES
def test_whatever_an_encrypted_event_holds_it_is_clear_or_dark(arena: Arena, examples: int) -> None:
    session, said, mail = arena.say("hello")
    arena.bot.take_to_device([mail])
    payload = {"type": "m.room.message", "content": {"body": "x"}, "room_id": ROOM}

    def one(dice: Dice) -> None:
        match dice.below(3):
            case 0:
                served = {"type": "m.room.encrypted", "content": dice.json()} | dice.object()
            case 1:
                served = dice.mutated(said)
            case _:
                served = session.seal(spelt(dice.mutated(payload)))
        served = wire(served)
        read = handled(lambda: arena.bot.decrypt(ROOM, served))
        kept(isinstance(read, Clear | Dark), "sense")
        clear = handled(lambda: arena.bot.decrypt(ROOM, said))
        kept(isinstance(clear, Clear) and clear.content["body"] == "hello", "the message")

    tried("encrypted events", examples, one)
