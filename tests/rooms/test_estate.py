"""Rooms taken over, upgraded and retired on a real homeserver, in both versions."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.errors import NotFound, NotPermitted, TransportError
from bridge.matrix import rooms
from bridge.matrix.api import Api, login, quote
from bridge.matrix.desired import Want
from bridge.matrix.drift import Difference, Request
from bridge.matrix.premises import MatrixPremises, lift_limits
from bridge.model import RoomId, UserId
from bridge.register import Lock, load_people, load_rooms
from bridge.rooms.premises import Gone, Sort
from bridge.secret import write_secret
from tests.homeserver.conftest import PASSWORD
from tests.homeserver.test_rooms import (
    PEOPLE,
    V3,
    house_of,
    invite,
    join,
    joined,
    make_room,
    state,
)
from tests.homeserver.test_rooms import ROOMS as FOUR_ROOMS
from tests.rooms.conftest import Estate


async def plan(estate: Estate, lock: Lock) -> rooms.Plan:
    return await rooms.plan(estate.api, estate.house, lock)


async def apply(estate: Estate, lock: Lock) -> rooms.Plan:
    def ignore(_: object) -> None:
        """Take no notice."""

    planned = await plan(estate, lock)
    return await rooms.apply(estate.api, planned, save=ignore, progress=ignore)


async def test_a_room_that_was_upgraded_is_followed_and_its_people_are_asked_in(
    estate: Estate,
) -> None:
    anna = await estate.joins("anna", "social")
    path = f"{V3}/rooms/{quote(estate.room('social'))}/upgrade"
    answer = await estate.api.call("POST", path, {"new_version": "12"})
    newer = RoomId(answer["replacement_room"])
    planned = await plan(estate, estate.lock)
    assert "A social: was upgraded: note its new id in the lock" in map(str, planned.differences)
    assert planned.problems == ()
    applied = await apply(estate, estate.lock)
    assert applied.lock.ids[estate.key("social")] == newer
    assert (await plan(estate, applied.lock)).differences == ()
    await join(anna, newer)


async def test_what_the_running_bot_put_right_meanwhile_is_nothing_that_is_left(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, ben = estate.room("social"), estate.person("ben")
    kick = {"user_id": ben, "reason": "so that there is something to do"}
    await estate.api.call("POST", f"{V3}/rooms/{quote(here)}/kick", kick)
    alone = rooms.Server.mend

    async def beside(server: rooms.Server, room: Want, found: Difference) -> list[Difference]:
        await invite(estate.api, here, ben)
        await join(await estate.sign_in(ben), here)  # who is in it cannot be invited
        return await alone(server, room, found)

    monkeypatch.setattr(rooms.Server, "mend", beside)
    planned = await plan(estate, estate.lock)
    assert len(planned.differences) == 1
    assert (await apply(estate, estate.lock)).differences == ()


async def test_a_successor_that_names_another_predecessor_is_not_followed(
    estate: Estate,
) -> None:
    other = await make_room(estate.api, preset="private_chat")
    path = f"{V3}/rooms/{quote(estate.room('social'))}/state/m.room.tombstone/"
    await estate.api.call("PUT", path, {"replacement_room": other, "body": "moved"})
    (problem,) = (await plan(estate, estate.lock)).differences
    assert problem.sort is Sort.REPLACED


async def test_a_room_that_exists_is_taken_over_and_what_cannot_be_read_is_said(
    estate: Estate,
) -> None:
    key, anna = estate.key("social"), await estate.sign_in(estate.person("anna"))
    theirs = await make_room(
        anna,
        name="Anna's own",
        room_version="11",
        preset="private_chat",
        power_level_content_override={"users": {estate.person("anna"): 100, estate.house.bot: 100}},
    )
    lock = Lock(ids={**estate.lock.ids, key: theirs})
    refused = await rooms.adopt(estate.api, estate.house, key, lock)
    assert key not in refused.lock.ids
    assert f"the bot cannot enter {theirs}" in str(refused)
    await invite(anna, theirs, estate.house.bot)
    adopted = await rooms.adopt(estate.api, estate.house, key, lock)
    assert adopted.lock.ids[key] == theirs
    said = [one.what for one in adopted.problems]
    assert (
        said[0] == "what was said before the bot came is not on record, and readable to the server"
    )
    assert any("has power level 100 and the bot 100, so the bot cannot" in what for what in said)
    assert await state(estate.api, theirs, "m.room.name") == {"name": "Anna's own"}
    left = await apply(estate, adopted.lock)
    assert [one.sort for one in left.differences] == [Sort.OUTRANKED]
    assert await state(estate.api, theirs, "m.room.name") == {"name": "REVIEW | A social"}


async def test_a_room_whose_closing_stopped_half_way_stays_so_until_it_is_finished(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, here = {}, estate.room("social")
    for who in ("anna", "ben", "sam"):
        people[who] = await estate.joins(who, "social")
    leaving, alone, kicks = set[str](), MatrixPremises._do, list[str]()
    estate.upkeep.leaving = leaving
    estate.upkeep.retiring = lambda key, reason: leaving.add(key)
    estate.upkeep.retired = lambda key, reason: leaving.discard(key)
    estate.upkeep.premises = estate.premises

    async def breaks_off(premises: MatrixPremises, request: Request) -> str:
        kicks.append(request.path)
        if sum(path.endswith("/kick") for path in kicks) == 2:
            raise TransportError("the homeserver is away")
        return await alone(premises, request)

    async def inside() -> set[str]:
        return {who for who, api in people.items() if here in await joined(api)}

    with monkeypatch.context() as patch:
        patch.setattr(MatrixPremises, "_do", breaks_off)
        closed, said = await estate.upkeep.retire(estate.key("social"), "gwen", "it is over")
    assert not closed
    assert "is not closed: the homeserver is away. Say this again to finish it" in said
    half = await inside()
    assert len(half) == 2
    await estate.look("social")
    assert await inside() == half, "nobody is asked in again, and nobody else put out"
    closed, said = await estate.upkeep.retire(estate.key("social"), "gwen", "it is over")
    assert (closed, await inside()) == (True, set())


async def test_a_room_that_is_retired_is_empty_and_gone_from_the_server(estate: Estate) -> None:
    anna, here = await estate.joins("anna", "social"), estate.room("social")
    retired: list[str] = []
    estate.upkeep.retired = lambda key, reason: retired.append(key)
    estate.upkeep.premises = estate.premises
    await estate.look("social")
    closed, said = await estate.upkeep.retire(estate.key("social"), "gwen", "it is over")
    assert (closed, said) == (True, "A social is closed, and is being deleted on the server.")
    assert retired == [estate.key("social")]
    assert here not in await joined(anna)
    deadline = time.monotonic() + 240
    while True:
        try:
            assert estate.admin is not None
            await estate.admin.call("GET", f"/_synapse/admin/v1/rooms/{quote(here)}")
        except NotFound:
            break
        assert time.monotonic() < deadline, "the server has not deleted it"
        await asyncio.sleep(0.2)
    assert estate.notes[-2].startswith("A social is retired by gwen: it is over; 0 active holds")
    house = replace(estate.house, retired=frozenset({estate.key("social")}))
    assert (await rooms.plan(estate.api, house, estate.lock)).differences == ()


async def test_what_the_server_has_deleted_is_known_to_be_gone(estate: Estate) -> None:
    key, premises = estate.key("social"), estate.premises
    assert await premises.deleted(key) is Gone.THERE
    assert await premises.close_down(key, "over") == ""
    assert await premises.delete_room(key) == ""
    deadline = time.monotonic() + 240
    while await premises.deleted(key) is not Gone.GONE:
        assert time.monotonic() < deadline, "the server has not deleted it"
        await asyncio.sleep(0.2)
    blind = MatrixPremises(estate.api, lambda: (estate.house, estate.lock))
    assert await blind.deleted(key) is Gone.THERE, "without an administrator's token nobody knows"


async def test_the_account_of_a_leaver_that_is_locked_lets_nobody_in(estate: Estate) -> None:
    anna, user = await estate.joins("anna", "social"), estate.person("anna")
    assert await estate.premises.lock_account(user) == ""
    with pytest.raises(NotPermitted):
        await anna.call("GET", f"{V3}/account/whoami")
    with pytest.raises(NotPermitted):
        await login(anna.url, user, PASSWORD, device_name="another phone")
    assert await estate.premises.lock_account(user) == "", "once more does no harm"
    stranger = UserId("@nobody-at-all:force.example")
    assert await estate.premises.lock_account(stranger) == "the server does not know them"
    blind = MatrixPremises(estate.api, lambda: (estate.house, estate.lock))
    assert "no administrator's token" in await blind.lock_account(user)


async def test_a_room_under_hold_is_closed_and_stays_on_the_server(estate: Estate) -> None:
    anna, here = await estate.joins("anna", "social"), estate.room("social")
    estate.upkeep.premises, estate.upkeep.holds = estate.premises, lambda: 1
    closed, said = await estate.upkeep.retire(estate.key("social"), "gwen", "it is over")
    assert closed
    assert "it stays on the server: there are 1 active holds" in said
    assert here not in await joined(anna)
    assert here in await joined(estate.api)


@pytest.mark.slow
async def test_with_an_administrators_token_many_rooms_are_made_without_waiting(
    tmp_path: Path, tag: str
) -> None:
    slow = {"rc_room_creation": {"per_second": 0.01, "burst_count": 1}}
    said: list[str] = []
    async with Homeserver(tmp_path / "server", settings=slow) as server:
        server.register(f"{tag}-bot", PASSWORD)
        server.register(f"{tag}-admin", PASSWORD, admin=True)
        admin = await login(server.url, f"{tag}-admin", PASSWORD, device_name="admin")
        write_secret(tmp_path / "token", admin.token)
        bot = await login(server.url, f"{tag}-bot", PASSWORD, device_name="test")
        await lift_limits(server.url, tmp_path / "token", bot.user_id)
        register = load_rooms(FOUR_ROOMS.format(tag=tag), "rooms.yaml")
        people = load_people(PEOPLE.format(tag=tag), "people.csv")
        house = house_of(register, people, bot.user_id)
        async with Api(server.url, bot.token) as api:
            planned = await rooms.plan(api, house, Lock())
            applied = await rooms.apply(api, planned, save=lambda _: None, progress=said.append)
            looks = MatrixPremises(api, lambda: (house, applied.lock))
            found = [(await looks.look(key)).faults for key in looks.listed()]
    assert applied.differences == ()
    assert found == [()] * 5
    assert not any("asks us to wait" in line for line in said)
