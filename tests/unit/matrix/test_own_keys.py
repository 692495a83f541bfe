"""Our one-time and fallback keys: without one on the server, nobody new can reach us (2)."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.errors import TransportError
from bridge.matrix.client import Clear
from tests.making import Hands
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import ANNA, BOT, ROOM, World, say, stock_sync, stock_tend

ME = (BOT, "BOT")


async def exhaust(world: World, times: int = 60) -> None:
    for _ in range(times):
        body = {"one_time_keys": {BOT: {"BOT": "signed_curve25519"}}}
        world.server.answer(ANNA, "ANNA", "/_matrix/client/v3/keys/claim", body)


async def test_stock_nio_never_uploads_again_once_all_keys_were_claimed(world: World) -> None:
    bot = world.stock(*ME)
    await stock_tend(bot)
    await exhaust(world)
    for _ in range(3):
        await stock_sync(bot, count=0)
        await stock_tend(bot)
    assert not world.server.one_time[ME]
    assert not world.server.fallback[ME]


async def test_when_all_keys_were_claimed_new_ones_are_uploaded(pair: Pair) -> None:
    await exhaust(pair.world)
    assert not pair.world.server.one_time[ME]
    pair.world.receive(pair.bot)
    await pair.bot.tend_keys()
    assert len(pair.world.server.one_time[ME]) == 50


async def test_an_absent_count_means_none_and_an_odd_one_means_nothing(pair: Pair) -> None:
    pair.bot.take_key_news({"device_one_time_keys_count": {}})
    assert pair.bot.olm.uploaded_key_count == 0
    oddities: list[object] = ["many", [], None, {"a": 1}]
    for odd in oddities:
        pair.bot.take_key_news({"device_one_time_keys_count": {"signed_curve25519": odd}})
        await pair.bot.tend_keys()
    pair.bot.take_key_news({"device_one_time_keys_count": 5, "device_lists": [1]})


async def test_a_fallback_key_is_renewed_when_it_was_used_and_not_before(pair: Pair) -> None:
    server = pair.world.server
    first = server.fallback[ME]
    assert first
    await pair.bot.close()
    bot = pair.world.lamp(*ME)
    bot.exchange.later.clock = clock = Hands()
    pair.world.receive(bot)
    await bot.tend_keys()
    assert server.fallback[ME] == first, "a start alone renews nothing"
    await exhaust(pair.world)
    pair.world.receive(bot)
    await bot.tend_keys()
    second = server.fallback[ME]
    assert second != first
    await exhaust(pair.world)
    pair.world.receive(bot)
    await bot.tend_keys()
    assert server.fallback[ME] == second, "who claims them all the time orphans nobody"
    clock.move(400)
    pair.world.receive(bot)
    await bot.tend_keys()
    assert server.fallback[ME] != second
    await bot.close()


async def test_a_fallback_key_whose_upload_failed_is_uploaded_and_not_another(pair: Pair) -> None:
    server = pair.world.server
    await exhaust(pair.world)

    def lost(path: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        raise TransportError("cut off")

    pair.world.receive(pair.bot)
    server.twist = lost
    with pytest.raises(TransportError):
        await pair.bot.tend_keys()
    uploaded = server.fallback[ME]
    server.twist = None
    await pair.bot.close()
    bot = pair.world.lamp(*ME)
    await bot.tend_keys()
    assert server.fallback[ME] == uploaded
    await bot.close()


async def test_stock_nio_is_dead_for_good_after_a_crash_between_upload_and_save(
    world: World,
) -> None:
    bot = world.stock(*ME)
    bot.olm.handle_response = lambda _: None
    await stock_tend(bot)
    await bot.close()
    bot = world.stock(*ME)
    for _ in range(2):
        response = await bot.keys_upload()
        assert "already exists" in response.message
    assert not bot.olm.account.shared


async def test_after_that_crash_ours_makes_other_keys(world: World) -> None:
    stock = world.stock(*ME)
    stock.olm.handle_response = lambda _: None
    await stock_tend(stock)
    await stock.close()
    bot, anna = world.lamp(*ME), world.lamp(ANNA, "ANNA")
    await bot.tend_keys()
    assert bot.olm.account.shared
    await exhaust(world, 50)
    await world.settle(bot, anna)
    said = await say(anna, "hello")
    world.receive(bot)
    assert isinstance(bot.decrypt(ROOM, said), Clear)
    for client in (bot, anna):
        await client.close()


async def test_the_private_halves_are_saved_before_the_server_knows_of_the_public_ones(
    world: World,
) -> None:
    anna = world.lamp(ANNA, "ANNA")
    bot = world.lamp(*ME)

    def cut(path: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if "upload" in path:
            raise TransportError("cut off")
        return answer

    world.server.twist = cut
    with pytest.raises(TransportError):
        await bot.tend_keys()
    world.server.twist = None
    await bot.close()
    # The process died after the server had taken the keys.
    bot = world.lamp(*ME)
    await anna.tend_keys()
    await world.settle(anna, bot)
    said = await say(anna, "hello")
    world.receive(bot)
    assert isinstance(bot.decrypt(ROOM, said), Clear)
    for client in (bot, anna):
        await client.close()
