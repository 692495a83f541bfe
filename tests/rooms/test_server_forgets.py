"""What rooms tell the homeserver about forgetting, and that it does so by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.errors import NotFound
from bridge.matrix import rooms
from bridge.matrix.api import Api, login, quote
from bridge.model import RoomClass, RoomId, UserId
from bridge.register import Lock, load_people, load_rooms
from tests.acceptance.test_what_the_server_keeps import holding, until
from tests.homeserver.conftest import PASSWORD
from tests.homeserver.test_rooms import PEOPLE, ROOMS, V3, Force, house_of, ignore, join, state

pytestmark = pytest.mark.slow

TAG = "keeps"
#: In this story a room shows messages for so long; the server looks once a second.
SHOWN_MS = 4_000
SETTINGS = {"retention": {"enabled": True, "purge_jobs": [{"interval": "1s"}]}}
PATIENCE_S = 240


@pytest.fixture
async def force(tmp_path: Path) -> AsyncIterator[Force]:
    """A force on a server that follows m.room.retention."""
    apis: list[Api] = []
    async with Homeserver(tmp_path, settings=SETTINGS) as homeserver:

        async def sign_in(user: str) -> Api:
            local = user.removeprefix("@").partition(":")[0]
            homeserver.register(local, PASSWORD)
            token = (await login(homeserver.url, local, PASSWORD, device_name="test")).token
            apis.append(Api(homeserver.url, token))
            return apis[-1]

        bot = UserId(f"@{TAG}-bot:{homeserver.server_name}")
        yield Force(
            tag=TAG,
            bot=bot,
            api=await sign_in(bot),
            register=load_rooms(ROOMS.format(tag=TAG), "rooms.yaml"),
            people=load_people(PEOPLE.format(tag=TAG), "people.csv"),
            sign_in=sign_in,
        )
        for api in apis:
            await api.close()


async def say(api: Api, room: RoomId, words: str) -> str:
    """Say something as it would lie there; the words stand for its ciphertext."""
    path = f"{V3}/rooms/{quote(room)}/send/m.room.encrypted/{token_hex(8)}"
    return str((await api.call("PUT", path, {"ciphertext": words}))["event_id"])


async def test_by_the_state_that_the_bot_sets_the_server_forgets_rooms_whose_time_is_known(
    force: Force, tmp_path: Path
) -> None:
    house = house_of(force.register, force.people, force.bot)
    house = replace(house, lifetimes=dict.fromkeys(RoomClass, SHOWN_MS))
    planned = await rooms.plan(force.api, house, Lock())
    lock = (await rooms.apply(force.api, planned, save=ignore, progress=ignore)).lock
    assert (await rooms.plan(force.api, house, lock)).differences == ()
    social, secure = lock.ids[f"{TAG}-social"], lock.ids[f"{TAG}-secure"]
    assert await state(force.api, social, "m.room.retention") == {"max_lifetime": SHOWN_MS}
    # Nobody has given the secure room a MoPI group: the server is not to forget it.
    with pytest.raises(NotFound):
        await state(force.api, secure, "m.room.retention")

    anna, lost, kept = await force.sign_in(force.person("anna")), token_hex(8), token_hex(8)
    for room, words in ((social, lost), (secure, kept)):
        await join(anna, room)
        await say(anna, room, f"{words} number 0")
        assert "event_json" in holding(tmp_path, words), "the newest stays, however old it is"
        for n in range(1, 5):
            await say(anna, room, f"{words} number {n}")
        await say(anna, room, "the newest stays")
    await until(lambda: not holding(tmp_path, lost), PATIENCE_S)
    assert "event_json" in holding(tmp_path, kept)
