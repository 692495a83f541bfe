"""To-device messages that anybody can send: none may cost us another (1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import vodozemac
from unpaddedbase64 import encode_base64

from bridge.errors import StoreError
from bridge.matrix.client import Clear, Dark, LampClient
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import (
    ANNA,
    BOT,
    MEGOLM_,
    ROOM,
    KeyServer,
    World,
    olm,
    say,
    stock_sync,
    stock_tend,
)

Attack = Callable[[LampClient, Any], Awaitable[dict[str, Any]]]


def _body(by: LampClient, to: Any, kind: object, body: object) -> dict[str, Any]:
    keys = by.olm.account.identity_keys
    ours = to.olm.account.identity_keys["curve25519"]
    content = {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": keys["curve25519"],
        "ciphertext": {ours: {"type": kind, "body": body}},
    }
    return {"type": "m.room.encrypted", "sender": by.user_id, "content": content}


async def garbage_prekey(by: LampClient, to: Any) -> dict[str, Any]:
    return _body(by, to, 0, "AAAA")


async def garbage_message(by: LampClient, to: Any) -> dict[str, Any]:
    return _body(by, to, 1, "!!!")


async def prekey_with_a_one_time_key_that_we_lost(by: LampClient, to: Any) -> dict[str, Any]:
    sender, other = vodozemac.Account(), vodozemac.Account()
    other.generate_one_time_keys(1)
    key = next(iter(other.one_time_keys.values()))
    session = sender.create_outbound_session(to.olm.account._account.curve25519_key, key)
    kind, raw = session.encrypt(b"{}").to_parts()
    return _body(by, to, kind, encode_base64(raw))


async def room_key_that_is_none(by: LampClient, to: Any) -> dict[str, Any]:
    content = {"algorithm": MEGOLM_, "room_id": ROOM, "session_id": "abc", "session_key": "garbage"}
    return await olm(by, to, "m.room_key", content)


async def room_key_of_another_session(by: LampClient, to: Any) -> dict[str, Any]:
    key = vodozemac.GroupSession().session_key.to_base64()
    content = {"algorithm": MEGOLM_, "room_id": ROOM, "session_id": "abc", "session_key": key}
    return await olm(by, to, "m.room_key", content)


ATTACKS: list[Attack] = [
    garbage_prekey,
    garbage_message,
    prekey_with_a_one_time_key_that_we_lost,
    room_key_that_is_none,
    room_key_of_another_session,
]
#: nio ignores this one as it should.
STOCK_FAILS = [attack for attack in ATTACKS if attack is not room_key_of_another_session]


async def _introduce(world: World, bot: Any) -> LampClient:
    anna = world.lamp(ANNA, "ANNA")
    await anna.tend_keys()
    anna.take_state(ROOM, {"type": "m.room.encryption", "state_key": "",
                           "content": {"algorithm": MEGOLM_}})  # fmt: skip
    for user in (BOT, ANNA):
        member = {"type": "m.room.member", "state_key": user, "content": {"membership": "join"}}
        anna.take_state(ROOM, member)
    await anna.tend_keys()
    return anna


@pytest.mark.parametrize("attack", STOCK_FAILS)
async def test_stock_nio_loses_the_batch_over_one_bad_message(world: World, attack: Attack) -> None:
    bot = world.stock(BOT, "BOT")
    await stock_tend(bot)
    anna = await _introduce(world, bot)
    bad = await attack(anna, bot)
    said = await say(anna, "who brings the milk?")
    good = world.server.mail(BOT, "BOT")
    raised = None
    try:
        await stock_sync(bot, to_device=[bad, *good])
    except Exception as exc:
        raised = exc
    session = said["content"]["session_id"]
    assert raised is not None
    assert bot.olm.inbound_group_store.get(ROOM, said["content"]["sender_key"], session) is None
    await anna.close()


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_bad_message_does_not_cost_us_the_good_one_beside_it(
    pair: Pair, attack: Attack
) -> None:
    bad = await attack(pair.anna, pair.bot)
    said = await say(pair.anna, "who brings the milk?")
    fresh = pair.bot.take_to_device([bad, *pair.world.server.mail(BOT, "BOT"), bad])
    assert fresh == {said["content"]["session_id"]}
    clear = pair.bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert (clear.content["body"], clear.doubt) == ("who brings the milk?", "")
    assert (clear.device_id, clear.index) == ("ANNA", 0)


async def test_a_device_whose_first_message_we_cannot_read_is_started_with_anew(
    pair: Pair,
) -> None:
    server: KeyServer = pair.world.server
    # Our store went back: what Anna used of us is gone.
    bad = await prekey_with_a_one_time_key_that_we_lost(pair.anna, pair.bot)
    pair.bot.take_to_device([bad])
    await pair.bot.tend_keys()
    await pair.bot.tend_keys()
    dummy = server.mail(ANNA, "ANNA")
    assert [event["type"] for event in dummy] == ["m.room.encrypted"]
    pair.bot.take_to_device([bad])
    claims = len(server.paths(BOT, "claim"))
    await pair.bot.tend_keys()
    assert len(server.paths(BOT, "claim")) == claims, "once an hour is enough"


async def test_if_the_store_fails_nothing_of_the_batch_counts(pair: Pair, tmp_path: Path) -> None:
    said = await say(pair.anna, "hello")
    mail = pair.world.server.mail(BOT, "BOT")
    pair.bot.store.database.execute_sql("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        pair.bot.take_to_device(mail)
    await pair.bot.close()
    again = pair.world.lamp(BOT, "BOT")
    assert again.take_to_device(mail) == {said["content"]["session_id"]}
    await again.close()


async def test_somebody_elses_copy_of_a_key_takes_nothing_from_the_makers(pair: Pair) -> None:
    mallory = pair.world.lamp("@mallory:force.example", "EVIL")
    await mallory.tend_keys()
    await pair.world.settle(pair.bot, pair.anna, mallory)
    said = await say(pair.anna, "one")
    session = pair.anna.olm.outbound_group_sessions[ROOM]
    later = await say(pair.anna, "two")
    # Mallory was given the key, as signed by it, when it stood at the second message.
    copy = {
        "algorithm": MEGOLM_,
        "room_id": ROOM,
        "session_id": session.id,
        "session_key": session._session.session_key.to_base64(),
    }
    forged = await olm(mallory, pair.bot, "m.room_key", copy)
    pair.bot.take_to_device([forged])
    assert isinstance(pair.bot.decrypt(ROOM, said), Dark)
    pair.world.receive(pair.bot)
    pair.bot.take_to_device([forged])
    await pair.bot.close()
    bot = pair.world.lamp(BOT, "BOT")
    await bot.know([ANNA])
    for event, text in ((said, "one"), (later, "two")):
        clear = bot.decrypt(ROOM, event)
        assert isinstance(clear, Clear)
        assert (clear.content["body"], clear.doubt) == (text, "")
    await bot.close()
    await mallory.close()
