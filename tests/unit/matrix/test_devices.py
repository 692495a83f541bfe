"""Other people's devices: bad ones, strangers, impostors, and what is said of them (3, 6, 12)."""

from __future__ import annotations

import time
from typing import Any

import pytest
import vodozemac
from nio.api import Api as NioApi

from bridge.errors import ConfigError, NotPermitted
from bridge.matrix.client import Clear, LampClient
from tests.making import Hands
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import (
    ANNA,
    BOT,
    MALLORY,
    PICKLE_KEY,
    ROOM,
    Owner,
    World,
    encrypt,
    joined,
    say,
    stock_sync,
    stock_tend,
)


def device(user: str, device_id: str, /, **odd: Any) -> dict[str, Any]:
    """Make the signed keys of a device; *odd* is what is wrong with them."""
    account = vodozemac.Account()
    keys = {
        "user_id": user,
        "device_id": device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            f"curve25519:{device_id}": odd.pop("curve", account.curve25519_key.to_base64()),
            f"ed25519:{device_id}": odd.pop("ed", account.ed25519_key.to_base64()),
        },
        **odd,
    }
    signature = account.sign(NioApi.to_canonical_json(keys).encode()).to_base64()
    keys.setdefault("signatures", {user: {f"ed25519:{device_id}": signature}})
    return {name: value for name, value in keys.items() if value is not None}


BAD: dict[str, Any] = {
    "a signing key that is none": device(MALLORY, "BAD", ed="notakey"),
    "a key that is none": device(MALLORY, "BAD", curve="notakey"),
    "no user": device(MALLORY, "BAD", user_id=None),
    "no device": device(MALLORY, "BAD", device_id=None),
    "another's name": device(MALLORY, "BAD", user_id=ANNA),
    "keys that are a list": device(MALLORY, "BAD", keys=["x"]),
    "a number as key": device(MALLORY, "BAD", ed=5),
    "signatures that are text": device(MALLORY, "BAD", signatures="x"),
    "no signature": device(MALLORY, "BAD", signatures={}),
    "a list": ["x"],
    "text": "x",
    "nothing": None,
    "unsigned that is text": {**device(MALLORY, "BAD"), "unsigned": "x"},
}
#: These stock nio survives.
HARMLESS = {"no signature", "another's name"}


@pytest.mark.parametrize("bad", sorted(BAD.keys() - HARMLESS))
async def test_stock_nio_learns_of_nobody_beside_a_bad_device(world: World, bad: str) -> None:
    anna = world.lamp(ANNA, "ANNA")
    await anna.tend_keys()
    world.server.devices[MALLORY]["BAD"] = BAD[bad]
    bot = world.stock(BOT, "BOT")
    await stock_tend(bot)
    bot.olm.users_for_key_query |= {ANNA, MALLORY}
    # The bad one comes first.
    others = dict(world.server.devices)
    world.server.devices.clear()
    world.server.devices |= {MALLORY: others.pop(MALLORY), **others}
    raised = False
    try:
        await stock_tend(bot)
    except Exception:
        raised = True
    # The bad device itself may even have been believed.
    learned = "ANNA" in bot.olm.device_store[ANNA] and "BAD" not in bot.olm.device_store[MALLORY]
    assert raised or not learned
    await anna.close()


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_device_is_left_out_and_nobody_else(pair: Pair, bad: str) -> None:
    pair.world.server.devices[MALLORY] = {"BAD": BAD[bad], "GOOD": device(MALLORY, "GOOD")}
    for user in (MALLORY, "@nobody:force.example", "not a user id"):
        pair.bot.take_state(ROOM, joined(user))
    pair.bot.take_key_news({"device_lists": {"changed": [ANNA, MALLORY, 5, None]}})
    await pair.bot.tend_keys()
    known = pair.bot.olm.device_store
    assert known[ANNA]["ANNA"].curve25519 == pair.anna.olm.account.identity_keys["curve25519"]
    if bad != "unsigned that is text":
        assert set(known[MALLORY]) == {"GOOD"}
    assert await say(pair.bot, "still here")


async def test_a_name_that_the_server_refuses_costs_nobody_else_their_keys(pair: Pair) -> None:
    def refuse(path: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if "query" in path and "@odd:x" in body["device_keys"]:
            raise NotPermitted("400 M_INVALID_PARAM")
        return answer

    pair.bot.exchange.later.clock = Hands()  # that stands still
    pair.world.server.twist = refuse
    pair.world.server.devices[MALLORY]["GOOD"] = device(MALLORY, "GOOD")
    for user in ("@odd:x", MALLORY, "@carl:force.example"):
        pair.bot.take_state(ROOM, joined(user))
    await pair.bot.tend_keys()
    assert set(pair.bot.olm.device_store[MALLORY]) == {"GOOD"}
    asked = len(pair.world.server.paths(BOT, "query"))
    await pair.bot.tend_keys()
    await say(pair.bot, "no delay")
    assert len(pair.world.server.paths(BOT, "query")) == asked, "it is put off"


async def test_a_thousand_made_up_devices_are_cut_off(pair: Pair) -> None:
    made_up = {f"D{n}": device(MALLORY, f"D{n}") for n in range(300)}
    pair.world.server.devices[MALLORY] = made_up
    pair.bot.take_state(ROOM, joined(MALLORY))
    await pair.bot.tend_keys()
    assert len(pair.bot.olm.device_store[MALLORY]) == 200


async def test_a_device_under_a_name_that_is_taken_is_not_believed(pair: Pair) -> None:
    pair.world.server.devices[ANNA]["ANNA"] = device(ANNA, "ANNA")
    pair.bot.take_key_news({"device_lists": {"changed": [ANNA]}})
    await pair.bot.tend_keys()
    known = pair.bot.olm.device_store[ANNA]["ANNA"]
    assert known.ed25519 == pair.anna.olm.account.identity_keys["ed25519"]


async def test_stock_nio_gives_no_keys_to_a_user_with_our_device_id(world: World) -> None:
    bot, same = world.stock(BOT, "BOT"), world.lamp(ANNA, "BOT")
    await same.tend_keys()
    await stock_tend(bot)
    await world.settle_stock(bot, BOT, ANNA)
    await bot.share_group_session(ROOM, ignore_unverified_devices=True)
    assert not world.server.mail(ANNA, "BOT")
    assert not bot.get_missing_sessions(ROOM)
    await same.close()


async def test_a_user_with_our_device_id_can_read_us(world: World) -> None:
    bot, same = world.lamp(BOT, "BOT"), world.lamp(ANNA, "BOT")
    await world.settle(bot, same)
    said = await say(bot, "hello")
    world.receive(same)
    assert isinstance(same.decrypt(ROOM, said), Clear)
    for client in (bot, same):
        await client.close()


async def test_stock_nio_believes_that_a_member_wrote_what_they_posted_again(
    world: World,
) -> None:
    # See tests/homeserver/test_attacks.py for the same through a server.
    anna, bot = world.lamp(ANNA, "ANNA"), world.stock(BOT, "BOT")
    await stock_tend(bot)
    lamp_bot = joined(BOT)
    anna.take_state(ROOM, lamp_bot)
    await world.settle(anna)
    said = await say(anna, "written by Anna")
    again = {**said, "sender": MALLORY}
    response = await stock_sync(bot, to_device=world.server.mail(BOT, "BOT"), timeline=[again])
    heard = response.rooms.join[ROOM].timeline.events[0]
    assert (heard.sender, heard.body) == (MALLORY, "written by Anna")
    await anna.close()


async def test_what_a_member_posts_again_as_their_own_is_doubted(pair: Pair) -> None:
    said = await say(pair.anna, "written by Anna")
    pair.world.receive(pair.bot)
    first = pair.bot.decrypt(ROOM, said)
    again = pair.bot.decrypt(ROOM, {**said, "sender": MALLORY})
    assert isinstance(first, Clear)
    assert isinstance(again, Clear)
    assert again.doubt == "its session is of no device of its sender that we know"
    assert (first.session_id, first.index) == (again.session_id, again.index)
    # Even with the maker's key published as their own.
    maker = pair.anna.olm.account.identity_keys["curve25519"]
    pair.world.server.devices[MALLORY]["EVIL"] = device(MALLORY, "EVIL", curve=maker)
    await pair.bot.tend_keys()
    claimed = pair.bot.decrypt(ROOM, {**said, "sender": MALLORY})
    assert isinstance(claimed, Clear)
    assert claimed.doubt == "its session claims another signing key than its sender's device has"


async def test_a_device_that_we_do_not_know_is_asked_about_once_and_then_not_doubted(
    world: World,
) -> None:
    anna, bot = world.lamp(ANNA, "ANNA"), world.lamp(BOT, "BOT")
    bot.exchange.later.clock = Hands()  # that stands still
    await bot.tend_keys()
    await anna.tend_keys()
    Owner(world.server, ANNA).sign("ANNA")
    for user in (BOT, ANNA):
        anna.take_state(ROOM, joined(user))
    encrypt(anna)
    said = await say(anna, "hello")
    world.receive(bot)
    doubted = bot.decrypt(ROOM, said)
    assert isinstance(doubted, Clear)
    assert doubted.doubt == "its session is of no device of its sender that we know"
    await bot.tend_keys()
    sure = bot.decrypt(ROOM, said)
    assert isinstance(sure, Clear)
    assert (sure.doubt, sure.device_id) == ("", "ANNA")
    asked = len(world.server.paths(BOT, "query"))
    for _ in range(3):
        bot.decrypt(ROOM, {**said, "sender": MALLORY})
        await bot.tend_keys()
    assert len(world.server.paths(BOT, "query")) == asked + 1
    for client in (bot, anna):
        await client.close()


async def test_senders_who_are_known_before_they_are_read_are_not_doubted(world: World) -> None:
    anna, bot = world.lamp(ANNA, "ANNA"), world.lamp(BOT, "BOT")
    await bot.tend_keys()
    await world.settle(anna)
    anna.take_state(ROOM, joined(BOT))
    Owner(world.server, ANNA).sign("ANNA")
    said = await say(anna, "hello")
    world.receive(bot)
    await bot.know([ANNA])
    clear = bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert clear.doubt == ""
    asked = len(world.server.paths(BOT, "query"))
    await bot.know([ANNA])
    assert len(world.server.paths(BOT, "query")) == asked
    for client in (bot, anna):
        await client.close()


async def test_a_device_that_its_owner_did_not_sign_is_doubted_until_they_do(pair: Pair) -> None:
    owner = Owner(pair.world.server, ANNA)
    signatures = pair.world.server.devices[ANNA]["ANNA"]["signatures"][ANNA]
    del signatures[next(name for name in signatures if name != "ed25519:ANNA")]
    said = await say(pair.anna, "hello")
    pair.bot.take_key_news({"device_lists": {"changed": [ANNA]}})
    pair.world.receive(pair.bot)
    await pair.bot.tend_keys()
    unsigned = pair.bot.decrypt(ROOM, said)
    owner.sign("ANNA")
    pair.bot.take_key_news({"device_lists": {"changed": [ANNA]}})
    await pair.bot.tend_keys()
    signed = pair.bot.decrypt(ROOM, said)
    assert isinstance(unsigned, Clear)
    assert isinstance(signed, Clear)
    assert unsigned.doubt == "its device is not cross-signed by its owner"
    assert signed.doubt == ""


async def test_a_self_signing_key_that_the_master_key_did_not_sign_signs_nothing(
    pair: Pair,
) -> None:
    master, _ = pair.world.server.identities[ANNA]
    Owner(pair.world.server, ANNA).sign("ANNA")
    _, other = pair.world.server.identities[ANNA]
    pair.world.server.identities[ANNA] = (master, other)
    said = await say(pair.anna, "hello")
    pair.bot.take_key_news({"device_lists": {"changed": [ANNA]}})
    pair.world.receive(pair.bot)
    await pair.bot.tend_keys()
    clear = pair.bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert clear.doubt == "its device is not cross-signed by its owner"


async def test_a_changed_identity_is_told_once_also_after_a_restart(pair: Pair) -> None:
    before = pair.bot.pins.get(ANNA)
    await pair.bot.close()
    fresh = Owner(pair.world.server, ANNA)
    bot = pair.world.lamp(BOT, "BOT")
    await bot.know([ANNA])
    told: list[str] = []
    bot.on_change.append(told.append)
    await bot.tend_keys()
    assert len(told) == 1
    assert f"identity of {ANNA} has changed" in told[0]
    assert bot.pins.get(ANNA) == fresh.public("master") != before
    await bot.close()
    again = pair.world.lamp(BOT, "BOT")
    again.on_change.append(told.append)
    await again.know([ANNA])
    assert len(told) == 1
    await again.close()


async def test_a_stranger_on_our_own_account_is_an_alarm_and_gets_no_keys(pair: Pair) -> None:
    told: list[str] = []
    pair.bot.on_change.append(told.append)
    thief = pair.world.lamp(BOT, "THIEF")
    await thief.tend_keys()
    pair.bot.take_key_news({"device_lists": {"changed": [BOT]}})
    for _ in range(2):
        await pair.bot.tend_keys()
    assert [("'THIEF'" in sentence) for sentence in told] == [True]
    await say(pair.bot, "secret")
    assert not pair.world.server.mail(BOT, "THIEF")
    await thief.close()


async def test_a_damaged_file_of_identities_is_said(world: World) -> None:
    (world.folder / "pins.json").write_text("{")
    with pytest.raises(ConfigError, match="identities that were seen"):
        LampClient("http://127.0.0.1:9", BOT, world.folder, PICKLE_KEY)


async def test_doubts_are_cheap(pair: Pair) -> None:
    """With 150 devices more it is not 150 times the work."""
    said = await say(pair.anna, "hello")
    pair.world.receive(pair.bot)

    def worked_s() -> float:
        began = time.thread_time()
        for _ in range(500):
            assert isinstance(pair.bot.decrypt(ROOM, said), Clear)
        return time.thread_time() - began

    alone = worked_s()
    pair.world.server.devices[ANNA] |= {f"D{n}": device(ANNA, f"D{n}") for n in range(150)}
    pair.bot.take_key_news({"device_lists": {"changed": [ANNA]}})
    await pair.bot.tend_keys()
    assert worked_s() < 20 * alone + 0.2
