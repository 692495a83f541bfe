"""What a member can write to us, and what of it we believe (5, 6, 7, 8, 10, 11)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nio.events import BadEvent, MegolmEvent

from bridge.matrix.client import Clear, Dark, LampClient
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import (
    ANNA,
    BOT,
    MALLORY,
    MEGOLM_,
    ROOM,
    World,
    event,
    joined,
    say,
    stock_sync,
    stock_tend,
)


async def seal_raw(client: LampClient, payload: object) -> dict[str, Any]:
    """Encrypt anything at all under the room's key."""
    await client.seal(ROOM, "m.room.message", {"body": "x"})
    session = client.olm.outbound_group_sessions[ROOM]
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    content = {
        "algorithm": MEGOLM_,
        "ciphertext": session._session.encrypt(raw).to_base64(),
        "session_id": session.id,
    }
    return event(client.user_id, content)


SPOOFS = {
    "m.room.name": {"name": "SPOOFED"},
    "m.room.power_levels": {"users": {ANNA: 100}},
    "m.room.member": {"membership": "leave"},
    "m.room.encryption": {"algorithm": "none"},
}


async def test_stock_nio_believes_state_inside_encryption(world: World) -> None:
    anna, bot = world.lamp(ANNA, "ANNA"), world.stock(BOT, "BOT")
    await stock_tend(bot)
    anna.take_state(ROOM, joined(BOT))
    await world.settle(anna)
    await world.settle_stock(bot, BOT, ANNA, MALLORY)
    spoof = {"type": "m.room.member", "state_key": MALLORY, "room_id": ROOM,
             "content": {"membership": "leave"}}  # fmt: skip
    name = {"type": "m.room.name", "state_key": "", "room_id": ROOM, "content": {"name": "SPOOFED"}}
    said = [await seal_raw(anna, each) for each in (spoof, name)]
    for each in said:
        each["content"] |= {"sender_key": anna.olm.account.identity_keys["curve25519"],
                            "device_id": "ANNA"}  # fmt: skip
    await stock_sync(bot, to_device=world.server.mail(BOT, "BOT"), timeline=said)
    room = bot.rooms[ROOM]
    assert room.name == "SPOOFED"
    assert MALLORY not in room.users
    await anna.close()


@pytest.mark.parametrize("kind", SPOOFS)
async def test_state_inside_encryption_changes_nothing(pair: Pair, kind: str) -> None:
    key = BOT if kind == "m.room.member" else ""
    said = await seal_raw(
        pair.anna, {"type": kind, "state_key": key, "room_id": ROOM, "content": SPOOFS[kind]}
    )
    pair.world.receive(pair.bot)
    room = pair.bot.rooms[ROOM]
    before = (room.name, dict(room.users), room.power_levels.users, room.encrypted)
    clear = pair.bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert clear.type == kind, "it is captured as what it is"
    assert (room.name, dict(room.users), room.power_levels.users, room.encrypted) == before


async def test_encryption_cannot_be_switched_off_and_power_levels_are_not_kept(pair: Pair) -> None:
    room = pair.bot.rooms[ROOM]
    for kind, content in {
        "m.room.encryption": {"algorithm": "none"},
        "m.room.power_levels": {"users": {MALLORY: 100}},
        "m.room.create": {"room_version": "12", "additional_creators": [MALLORY]},
    }.items():
        pair.bot.take_state(ROOM, {"type": kind, "state_key": "", "content": content})
    # Whoever wants to know a level asks the server: creators of version 12 are in no list (10).
    assert room.encrypted
    assert room.power_levels.users == {}


@pytest.mark.parametrize("odd", [
    {}, {"type": 5}, {"type": "m.room.member"}, {"type": "m.room.member", "state_key": 5},
    {"type": "m.room.member", "state_key": "@x:y", "content": {"membership": ["join"]}},
    {"type": "m.room.member", "state_key": "@x:y", "content": {"membership": {}}},
    {"type": "m.room.member", "state_key": "@x:y",
     "content": {"membership": "join", "displayname": {"a": 1}}},
    {"type": "m.room.member", "state_key": "@x:y", "content": []},
    {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": ["x"]}},
    {"type": ["m.room.member"], "content": {}},
])  # fmt: skip
async def test_odd_state_changes_nothing_that_matters(pair: Pair, odd: dict[str, Any]) -> None:
    pair.bot.take_state(ROOM, odd)
    assert set(pair.bot.rooms[ROOM].users) - {"@x:y"} == {ANNA, BOT}


PAYLOADS: dict[str, object] = {
    "no JSON": b"\xff\xfe",
    "no object": [1, 2],
    "nothing": b"",
    "content is text": {"type": "m.room.message", "room_id": ROOM, "content": "x"},
    "type is a list": {"type": ["m.room.message"], "room_id": ROOM, "content": {}},
    "another room": {"type": "m.room.message", "room_id": "!other", "content": {}},
    "no room": {"type": "m.room.message", "content": {}},
    "not a number": b'{"type":"m","room_id":"!room:force.example","content":{"a":NaN}}',
    "very deep": b"[" * 50_000,
}


@pytest.mark.parametrize("name", PAYLOADS)
async def test_what_is_malformed_inside_is_dark_with_a_reason(pair: Pair, name: str) -> None:
    said = await seal_raw(pair.anna, PAYLOADS[name])
    pair.world.receive(pair.bot)
    dark = pair.bot.decrypt(ROOM, said)
    assert isinstance(dark, Dark)
    assert dark.reason in {"what it says is malformed", "it was encrypted for another room",
                           "its key does not fit"}  # fmt: skip


@pytest.mark.parametrize("content", [
    None, [], "x", {}, {"algorithm": MEGOLM_}, {"algorithm": MEGOLM_, "session_id": 5},
    {"algorithm": MEGOLM_, "session_id": "\ud800"}, {"algorithm": MEGOLM_, "session_id": ""},
    {"algorithm": {}, "session_id": "x"}, {"algorithm": MEGOLM_, "session_id": "x" * 100_000},
])  # fmt: skip
async def test_whatever_an_envelope_holds_it_is_dark_and_not_an_error(
    pair: Pair, content: object
) -> None:
    senders: list[object] = [ANNA, None, 5, {}]
    for sender in senders:
        served = {"type": "m.room.encrypted", "sender": sender, "content": content}
        assert isinstance(pair.bot.decrypt(ROOM, served), Dark)


async def test_a_ciphertext_of_any_kind_does_not_fit(pair: Pair) -> None:
    said = await say(pair.anna, "hello")
    pair.world.receive(pair.bot)
    texts: list[object] = [None, 5, [], "", "AAAA", "\ud800", "é", {"a": "b"}]
    for ciphertext in texts:
        odd = {**said, "content": {**said["content"], "ciphertext": ciphertext}}
        assert pair.bot.decrypt(ROOM, odd) == Dark(
            "its key does not fit", said["content"]["session_id"]
        )


async def test_stock_nio_cannot_read_what_names_neither_sender_key_nor_device(
    world: World,
) -> None:
    served = event(ANNA, {"algorithm": MEGOLM_, "ciphertext": "AwgA", "session_id": "x"})
    assert isinstance(MegolmEvent.parse_event(served), BadEvent)


async def test_what_names_neither_sender_key_nor_device_is_read_and_attributed(
    pair: Pair,
) -> None:
    said = await say(pair.anna, "hello")
    for name in ("sender_key", "device_id"):
        del said["content"][name]
    pair.world.receive(pair.bot)
    clear = pair.bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert (clear.content["body"], clear.doubt, clear.device_id) == ("hello", "", "ANNA")


async def test_a_key_that_begins_after_the_message_is_said_to(pair: Pair) -> None:
    first = await say(pair.anna, "one")
    pair.world.server.mail(BOT, "BOT")
    mallory = pair.world.lamp(MALLORY, "NEW")
    await mallory.tend_keys()
    pair.anna.take_state(ROOM, joined(MALLORY))
    session = pair.anna.olm.outbound_group_sessions.get(ROOM)
    assert session is None, "a newcomer gets a key of their own"
    dark = pair.bot.decrypt(ROOM, first)
    assert dark == Dark("its key has not arrived", first["content"]["session_id"])
    await mallory.close()


async def test_stock_nio_stays_in_rooms_that_it_has_left_and_ours_does_not(
    world: World, pair: Pair
) -> None:
    stock = world.stock(MALLORY, "STOCK")
    await world.settle_stock(stock, MALLORY)
    response = await stock_sync(stock)
    response.rooms.leave = response.rooms.join
    response.rooms.join = {}
    response.next_batch = "later"
    await stock.receive_response(response)
    assert ROOM in stock.rooms
    pair.bot.forget_room(ROOM)
    assert ROOM not in pair.bot.rooms
