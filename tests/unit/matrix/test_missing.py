"""Keys that have not come: why, asking for them, and whom we take them from."""

from __future__ import annotations

from typing import Any

import pytest
from nio.crypto import OutgoingKeyRequest

from bridge.matrix.client import Clear, Dark, LampClient
from tests.making import Hands
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import ANNA, BOT, MALLORY, MEGOLM_, ROOM, event, olm, say


def withheld(sender: str, **content: Any) -> dict[str, Any]:
    content = {"algorithm": MEGOLM_, "room_id": ROOM, **content}
    return {"type": "m.room_key.withheld", "sender": sender, "content": content}


async def test_why_a_key_was_withheld_is_the_reason(pair: Pair) -> None:
    said = await say(pair.anna, "hello")
    session = said["content"]["session_id"]
    assert pair.bot.decrypt(ROOM, said) == Dark("its key has not arrived", session)
    pair.bot.take_to_device([
        withheld(ANNA, session_id=session, code="m.unverified"),
        withheld(MALLORY, session_id=session, code="m.blacklisted"),
        withheld(ANNA, session_id=5, code=[]), withheld(ANNA, code="\n" * 9),
        withheld(ANNA, session_id=session, code={}),
    ])  # fmt: skip
    dark = pair.bot.decrypt(ROOM, said)
    assert dark == Dark("its key was withheld: m.unverified", session)
    assert pair.bot.withheld[ANNA, session] == "m.unverified"


async def test_what_was_withheld_is_remembered_up_to_a_bound(pair: Pair) -> None:
    pair.bot.take_to_device(
        withheld(ANNA, session_id=f"s{n}", code="m.unverified") for n in range(10_050)
    )
    assert len(pair.bot.withheld) == 10_000
    assert (ANNA, "s0") not in pair.bot.withheld


async def test_who_says_that_they_have_no_session_with_us_gets_one(pair: Pair) -> None:
    key = pair.anna.olm.account.identity_keys["curve25519"]
    pair.bot.take_to_device([withheld(ANNA, code="m.no_olm", sender_key=key)])
    await pair.bot.tend_keys()
    await pair.bot.tend_keys()
    assert [each["type"] for each in pair.world.server.mail(ANNA, "ANNA")] == ["m.room.encrypted"]


async def lose_a_key(pair: Pair) -> dict[str, Any]:
    said = await say(pair.anna, "hello")
    pair.world.server.mail(BOT, "BOT")
    assert isinstance(pair.bot.decrypt(ROOM, said), Dark)
    return said


def requests(pair: Pair) -> list[dict[str, Any]]:
    return pair.world.server.paths(BOT, "m.room_key_request")


async def test_a_key_is_asked_for_after_ten_seconds_once_and_of_its_maker_only(pair: Pair) -> None:
    pair.bot.missing.clock = clock = Hands()
    said = await lose_a_key(pair)
    clock.move(9)
    await pair.bot.tend_keys()
    assert not requests(pair)
    clock.move(2)
    await pair.bot.tend_keys()
    pair.bot.decrypt(ROOM, said)
    clock.move(20)
    await pair.bot.tend_keys()
    await pair.bot.request_keys(ROOM, said)
    (body,) = requests(pair)
    assert {user: list(each) for user, each in body["messages"].items()} == {ANNA: ["ANNA"]}
    asked = body["messages"][ANNA]["ANNA"]
    assert asked["body"]["session_id"] == said["content"]["session_id"]
    assert (asked["action"], asked["requesting_device_id"]) == ("request", "BOT")


async def test_a_key_that_came_meanwhile_is_not_asked_for(pair: Pair) -> None:
    pair.bot.missing.clock = clock = Hands()
    said = await say(pair.anna, "hello")
    pair.bot.decrypt(ROOM, said)
    pair.world.receive(pair.bot)
    clock.move(60)
    await pair.bot.tend_keys()
    assert not requests(pair)


async def test_one_person_cannot_make_us_ask_without_end(pair: Pair) -> None:
    pair.bot.missing.clock = clock = Hands()
    for n in range(500):
        pair.bot.decrypt(ROOM, event(MALLORY, {"algorithm": MEGOLM_, "session_id": f"s{n}"}))
    said = await lose_a_key(pair)
    clock.move(60)
    for _ in range(12):
        await pair.bot.tend_keys()
    assert len(requests(pair)) == 101
    assert said["content"]["session_id"] in pair.bot.olm.outgoing_key_requests


async def forwarded(by: LampClient, pair: Pair, said: dict[str, Any], **odd: Any) -> dict[str, Any]:
    """Make the answer to a request for a key, as Rust clients give it."""
    anna = pair.anna.olm
    content = said["content"]
    (session,) = anna.inbound_group_store.find(ROOM, content["session_id"])
    answer = {
        "algorithm": MEGOLM_,
        "forwarding_curve25519_key_chain": [],
        "room_id": ROOM,
        "sender_claimed_ed25519_key": anna.account.identity_keys["ed25519"],
        "sender_key": anna.account.identity_keys["curve25519"],
        "session_id": content["session_id"],
        "session_key": session.export_session(session.first_known_index),
        **odd,
    }
    return await olm(by, pair.bot, "m.forwarded_room_key", answer)


async def test_stock_nio_refuses_the_key_that_it_asked_for(pair: Pair) -> None:
    stock = pair.world.stock(MALLORY, "STOCK")
    device = pair.anna.olm.account.identity_keys
    stock.olm.outgoing_key_requests["s"] = OutgoingKeyRequest("s", "s", ROOM, MEGOLM_)

    class Forward:
        algorithm, session_id, room_id, sender = MEGOLM_, "s", ROOM, ANNA

    assert not stock.olm._should_accept_forward(ANNA, device["curve25519"], Forward())


async def test_a_lost_key_that_its_maker_forwards_is_taken_without_doubt(pair: Pair) -> None:
    said = await lose_a_key(pair)
    await pair.bot.request_keys(ROOM, said)
    await pair.bot.close()
    bot = pair.world.lamp(BOT, "BOT")
    await bot.know([ANNA])
    fresh = bot.take_to_device([await forwarded(pair.anna, pair, said)])
    assert fresh == {said["content"]["session_id"]}
    clear = bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert (clear.content["body"], clear.doubt) == ("hello", "")
    assert not bot.olm.outgoing_key_requests
    await bot.close()


@pytest.mark.parametrize("odd", [
    {"sender_claimed_ed25519_key": "x"}, {"sender_key": "x"}, {"room_id": "!other"},
    {"session_id": "x"}, {"session_key": "x"}, {"session_key": None}, {"sender_key": []},
])  # fmt: skip
async def test_a_forwarded_key_that_is_not_what_we_asked_for_is_refused(
    pair: Pair, odd: dict[str, Any]
) -> None:
    said = await lose_a_key(pair)
    await pair.bot.request_keys(ROOM, said)
    assert not pair.bot.take_to_device([await forwarded(pair.anna, pair, said, **odd)])
    assert isinstance(pair.bot.decrypt(ROOM, said), Dark)


async def test_a_key_that_nobody_asked_for_or_that_another_forwards_is_refused(pair: Pair) -> None:
    mallory = pair.world.lamp(MALLORY, "EVIL")
    await mallory.tend_keys()
    await pair.world.settle(pair.bot, pair.anna, mallory)
    said = await lose_a_key(pair)
    assert not pair.bot.take_to_device([await forwarded(pair.anna, pair, said)])
    await pair.bot.request_keys(ROOM, said)
    assert not pair.bot.take_to_device([await forwarded(mallory, pair, said)])
    assert pair.bot.take_to_device([await forwarded(pair.anna, pair, said)])
    await mallory.close()
