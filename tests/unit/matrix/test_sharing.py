"""Sending where one device is bad: nobody waits for it (4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import vodozemac
from nio.api import Api as NioApi

from bridge.errors import TransportError
from bridge.matrix.client import Clear
from tests.making import Hands
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.test_devices import device
from tests.unit.matrix.world import ANNA, BOT, MALLORY, ROOM, World, joined, say, stock_tend


def with_bad_one_time_key(world: World) -> None:
    """Give Mallory a device whose one-time key is well signed and no key."""
    account = vodozemac.Account()
    world.server.devices[MALLORY]["BAD"] = device(
        MALLORY, "BAD", ed=account.ed25519_key.to_base64(), signatures=None
    )
    keys = dict(world.server.devices[MALLORY]["BAD"])
    one_time: dict[str, Any] = {"key": "notakey"}
    for thing in (keys, one_time):
        signature = account.sign(NioApi.to_canonical_json(thing).encode()).to_base64()
        thing["signatures"] = {MALLORY: {"ed25519:BAD": signature}}
    world.server.devices[MALLORY]["BAD"] = keys
    world.server.one_time[MALLORY, "BAD"] = {f"signed_curve25519:{n}": one_time for n in "abcdef"}


async def test_stock_nio_hangs_for_ever_on_a_signed_key_that_is_none(world: World) -> None:
    with_bad_one_time_key(world)
    bot = world.stock(BOT, "BOT")
    await stock_tend(bot)
    await world.settle_stock(bot, BOT, MALLORY)
    content = {"msgtype": "m.text", "body": "x"}
    with pytest.raises(vodozemac.KeyException):
        await bot.room_send(ROOM, "m.room.message", content, ignore_unverified_devices=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await bot.room_send(ROOM, "m.room.message", content, ignore_unverified_devices=True)


async def test_a_signed_key_that_is_none_costs_nobody_else_the_message(pair: Pair) -> None:
    with_bad_one_time_key(pair.world)
    pair.bot.take_state(ROOM, joined(MALLORY))
    async with asyncio.timeout(60):
        said = [await say(pair.bot, text) for text in ("one", "two")]
    pair.world.receive(pair.anna)
    assert all(isinstance(pair.anna.decrypt(ROOM, event), Clear) for event in said)


@pytest.mark.parametrize("odd", [
    {"one_time_keys": {MALLORY: "x"}}, {"one_time_keys": []}, {},
    {"one_time_keys": {MALLORY: {"BAD": {}}}}, {"one_time_keys": {MALLORY: {"BAD": {"a": 5}}}},
    {"one_time_keys": {MALLORY: {"BAD": {"a": {"key": 5}}}, BOT: 7}, "failures": 5},
])  # fmt: skip
async def test_odd_answers_to_a_claim_cost_nobody_else_the_message(
    pair: Pair, odd: dict[str, Any]
) -> None:
    pair.world.server.devices[MALLORY]["BAD"] = device(MALLORY, "BAD")

    def twist(path: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if "claim" not in path:
            return answer
        if not odd or not isinstance(odd["one_time_keys"], dict):
            return odd
        return {**odd, "one_time_keys": {**answer["one_time_keys"], **odd["one_time_keys"]}}

    await say(pair.bot, "so that there is an Olm session")
    pair.world.server.twist = twist
    pair.bot.take_state(ROOM, joined(MALLORY))
    said = await say(pair.bot, "hello")
    pair.world.receive(pair.anna)
    assert isinstance(pair.anna.decrypt(ROOM, said), Clear)


async def test_a_device_without_keys_blocks_nobody_and_gets_them_when_it_has_some(
    pair: Pair,
) -> None:
    mallory = pair.world.lamp(MALLORY, "LATE")
    await mallory.tend_keys()
    await pair.world.settle(pair.bot, pair.anna, mallory)
    kept = pair.world.server.one_time.pop((MALLORY, "LATE"))
    fallback = pair.world.server.fallback.pop((MALLORY, "LATE"))
    pair.bot.exchange.later.clock = clock = Hands()
    said = await say(pair.bot, "one")
    claims = len(pair.world.server.paths(BOT, "claim"))
    await say(pair.bot, "two")
    assert len(pair.world.server.paths(BOT, "claim")) == claims, "not at every message"
    pair.world.receive(pair.anna)
    assert isinstance(pair.anna.decrypt(ROOM, said), Clear)
    pair.world.server.one_time[MALLORY, "LATE"] = kept
    pair.world.server.fallback[MALLORY, "LATE"] = fallback
    clock.move(100)
    later = await say(pair.bot, "three")
    pair.world.receive(mallory)
    assert isinstance(mallory.decrypt(ROOM, later), Clear)
    await mallory.close()


async def test_a_claim_that_fails_blocks_nobody(pair: Pair) -> None:
    await say(pair.bot, "so that there is an Olm session")

    def fail(path: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if "claim" in path:
            raise TransportError("504")
        return answer

    pair.world.server.devices[MALLORY]["FAR"] = device(MALLORY, "FAR")
    pair.world.server.twist = fail
    pair.bot.take_state(ROOM, joined(MALLORY))
    said = await say(pair.bot, "hello")
    pair.world.receive(pair.anna)
    assert isinstance(pair.anna.decrypt(ROOM, said), Clear)


async def test_keys_that_could_not_be_sent_are_sent_with_the_next_message(pair: Pair) -> None:
    def fail(path: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        raise TransportError("cut off")

    pair.world.server.twist = fail
    with pytest.raises(TransportError):
        await say(pair.bot, "lost")
    pair.world.server.mail(ANNA, "ANNA")
    pair.world.server.twist = None
    async with asyncio.timeout(60):
        said = await say(pair.bot, "hello")
    pair.world.receive(pair.anna)
    assert isinstance(pair.anna.decrypt(ROOM, said), Clear)


async def test_two_sends_at_once_share_one_key_and_wait_for_each_other(pair: Pair) -> None:
    one, two = await asyncio.gather(say(pair.bot, "one"), say(pair.bot, "two"))
    assert one["content"]["session_id"] == two["content"]["session_id"]
    assert len(pair.world.server.mail(ANNA, "ANNA")) == 1


async def test_who_left_cannot_read_on_and_who_returns_can(pair: Pair) -> None:
    first = await say(pair.bot, "one")
    pair.bot.take_state(ROOM, joined(ANNA, "leave"))
    pair.bot.take_key_news({"device_lists": {"left": [ANNA]}})
    second = await say(pair.bot, "two")
    assert first["content"]["session_id"] != second["content"]["session_id"]
    pair.world.receive(pair.anna)
    assert not isinstance(pair.anna.decrypt(ROOM, second), Clear)
    pair.bot.take_state(ROOM, joined(ANNA))
    third = await say(pair.bot, "three")
    pair.world.receive(pair.anna)
    assert isinstance(pair.anna.decrypt(ROOM, third), Clear)
