"""A room is closed for good from the command line, by two people, on a real homeserver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.cli.main import main
from bridge.errors import NotFound
from bridge.matrix.api import Api, quote
from bridge.model import RoomId
from bridge.records import retention
from bridge.running.app import apply_register
from bridge.secret import read_secret
from tests.acceptance.test_guarding import until
from tests.acceptance.town import Town

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

KEY = "operation-heron"
ROOM = f"""
  {KEY}:
    class: operational
    name: Operation Heron
    team: Response A
    information: operational
    ceiling: OFFICIAL-SENSITIVE
    owner: "@gwen:force.example"
    supervisor: "@gwen:force.example"
    purpose: One night in November.
    dpia: DPIA-2026-014
    review: 2027-05-01
    members: ["@asha:force.example"]
"""


@pytest_asyncio.fixture(loop_scope="session")
async def heron(town: Town) -> AsyncIterator[RoomId]:
    """A room that the running bot looks after, with somebody in it; off the register afterwards."""
    config = town.stage.config
    before = config.rooms.read_text(encoding="utf-8")
    await town.bot_stops()
    config.rooms.write_text(before.rstrip("\n") + "\n" + ROOM, encoding="utf-8")
    try:
        applied = await apply_register(config, lambda _: None)
        await town.bot_runs()
        room = applied.lock.ids[KEY]
        await town.asha.enter(room)
        yield room
    finally:
        await town.bot_stops()
        config.rooms.write_text(before, encoding="utf-8")


async def command(town: Town, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["-c", str(town.stage.config.path), *arguments])


async def test_a_room_is_closed_by_two_people_and_deleted_once_nothing_is_held(
    town: Town, heron: RoomId, capsys: pytest.CaptureFixture[str]
) -> None:
    file = town.stage.config.path.parent / "holds.json"
    token = read_secret(town.stage.force.admin_token, "the token")

    async def retire(by: str) -> tuple[int, str]:
        code = await command(
            town, "rooms", "retire", KEY, "--reason", "the operation is over", "--holds", str(file),
            "--by", by,
        )  # fmt: skip
        both = capsys.readouterr()
        return code, " ".join((both.out + both.err).split())

    async with Api(town.stage.homeserver.url, token) as admin:

        async def members() -> list[str]:
            path = f"/_synapse/admin/v1/rooms/{quote(heron)}/members"
            return [str(one) for one in (await admin.call("GET", path))["members"]]

        scope = ("--scope", "room:'Operation Heron'", "--reason", "a complaint")
        assert await command(town, "hold", "add", *scope) == 0
        (hold,) = retention.state(town.stage.config).active

        code, said = await retire("PC Asha Khan")
        assert (code, "is not listed" in said) == (3, True), said
        for _ in range(2):
            code, said = await retire("PC Dan Murray")
            assert (code, "Nothing is done yet" in said) == (0, True), said
        assert town.asha.user in await members(), "it takes two"

        code, said = await retire("PC Ewa Nowak")
        assert code == 0, said
        assert "is closed, and it stays on the server: there are 1 active holds" in said
        assert [one["hold"] for one in json.loads(file.read_bytes())] == [hold.rid]
        assert town.asha.user not in await members()

        assert await command(town, "hold", "release", hold.rid, "--reason", "it was answered") == 0
        await retire("PC Dan Murray")
        code, said = await retire("PC Ewa Nowak")
        assert (code, "is being deleted on the server" in said) == (0, True), said
        assert json.loads(file.read_bytes()) == []

        async def gone() -> bool:
            try:
                await members()
            except NotFound:
                return True
            return False

        assert await until(gone)
        code, said = await retire("PC Dan Murray")
        assert (code, "gone from the server: nothing is left" in said) == (0, True), said
    texts = [str(one.inside["text"]) for one in town.ledger() if one.header["kind"] == "drift"]
    assert any("is retired by" in one and "the operation is over" in one for one in texts)
    assert any(one.endswith("is being deleted on the server") for one in texts)
