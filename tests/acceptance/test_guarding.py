"""The running bot keeps its rooms, and the people in them, as the register and the list say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from bridge.cli.main import main
from bridge.demo.officer import Officer
from bridge.matrix.api import Api, login, quote
from bridge.model import RoomId, UserId
from bridge.secret import read_secret
from tests.acceptance.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

V3 = "/_matrix/client/v3"
HANA = UserId("@hana:force.example")
PASSWORD = "correct horse battery staple"
LINE = f"{HANA},PC Hana Reid,7001,{{team}},PC,@gwen:force.example,,\n"


async def until(found: Callable[[], Awaitable[bool]], patience_s: float = 240.0) -> bool:
    deadline = time.monotonic() + patience_s
    while not await found():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True


@pytest.fixture
def people(town: Town) -> Iterator[Callable[[str], None]]:
    """Write more lines into people.csv; the file is as it was afterwards."""
    path = town.stage.config.people
    before = path.read_text(encoding="utf-8")

    def write(lines: str) -> None:
        path.write_text(before + lines, encoding="utf-8")

    yield write
    path.write_text(before, encoding="utf-8")


def told(officer: Officer, review: RoomId, words: str) -> bool:
    found = officer.phone.messages.values()
    return any(m.room == review and words in m.body for m in found)


async def test_power_given_behind_the_bots_back_is_taken_away_and_the_review_room_hears(
    town: Town,
) -> None:
    token = read_secret(town.stage.force.admin_token, "the token")
    async with Api(town.stage.homeserver.url, token) as admin:
        path = f"/_synapse/admin/v1/rooms/{quote(town.social)}/make_room_admin"
        await admin.call("POST", path, {"user_id": town.chloe.user})
        levels = f"/_synapse/admin/v1/rooms/{quote(town.social)}/state"

        async def mended() -> bool:
            state = (await admin.call("GET", levels))["state"]
            (power,) = [e for e in state if e["type"] == "m.room.power_levels"]
            return town.chloe.user not in power["content"]["users"]

        assert await until(mended)
    review = town.stage.rooms["review"]
    words = f"power levels: {town.chloe.user} has 100, should have none"
    assert await town.gwen.until(lambda _: told(town.gwen, review, words))


async def test_a_joiner_a_mover_and_a_leaver_are_where_the_list_has_them(
    town: Town, people: Callable[[str], None]
) -> None:
    await asyncio.to_thread(town.stage.homeserver.register, "hana", PASSWORD)
    signed_in = await login(town.stage.homeserver.url, "hana", PASSWORD, device_name="phone")
    social_b = town.stage.social("Response B")
    async with Api(town.stage.homeserver.url, signed_in.token) as hana:

        async def joins(room: RoomId) -> bool:
            try:
                await hana.call("POST", f"{V3}/join/{quote(room)}", {})
            except Exception:  # not asked in yet
                return False
            return True

        async def rooms() -> set[str]:
            return set((await hana.call("GET", f"{V3}/joined_rooms"))["joined_rooms"])

        people(LINE.format(team="Response A"))
        assert await until(lambda: joins(town.social)), "a joiner is asked in"
        people(LINE.format(team="Response B"))
        assert await until(lambda: joins(social_b)), "a mover is asked into the new rooms"

        async def moved() -> bool:
            return town.social not in await rooms()

        assert await until(moved), "and is out of the old ones"
        people("")

        async def signed_out() -> bool:
            try:
                await rooms()
            except Exception:  # the token is no longer good
                return True
            return False

        assert await until(signed_out), "a leaver's sessions are ended"
    async with Api(town.stage.homeserver.url, (await login(
        town.stage.homeserver.url, "hana", PASSWORD, device_name="again"
    )).token) as again:  # fmt: skip

        async def out() -> bool:
            return not (await again.call("GET", f"{V3}/joined_rooms"))["joined_rooms"]

        assert await until(out), "and they are in no room any more"

    def noted() -> list[str]:
        notes = [str(r.inside.get("text")) for r in town.ledger() if r.header["kind"] == "drift"]
        return [note for note in notes if note.startswith(f"{HANA} has left the list of people: ")]

    async def on_record() -> bool:
        return bool(noted())

    assert await until(on_record)
    (left,) = noted()
    assert left.endswith(" on the homeserver ended")


async def test_the_command_says_how_every_room_is(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(town.stage.config.path)
    code = await asyncio.to_thread(main, ["-c", path, "rooms", "status"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Response A" in said
    assert "Referrals" in said
    assert "MoPI" in said, "the secure rooms have no group yet"
    assert code in {0, 2}
