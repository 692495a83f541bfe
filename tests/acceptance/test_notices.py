"""What is kept in a room is pinned there, told to whoever joins, and told again when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.cli.main import main
from bridge.demo.force import BOT
from bridge.demo.officer import Officer
from bridge.matrix.api import quote
from bridge.model import Message, UserId
from tests.acceptance.town import Kept, Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

V3 = "/_matrix/client/v3"
IRIS = UserId("@iris:force.example")
PASSWORD = "correct horse battery staple"


async def until(found: Callable[[], Awaitable[bool]], patience_s: float = 240.0) -> bool:
    deadline = time.monotonic() + patience_s
    while not await found():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.3)
    return True


class Hall:
    """The town, with cards in its social rooms."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.classes = town.stage.config.policies / "classes.yaml"
        self.before = self.classes.read_text(encoding="utf-8")

    def allow(self, **changes: str) -> None:
        """Have cards in social rooms, and change something else about those."""
        head, social = self.before.split("  social:\n    nudge", 1)
        social = social.replace("card: none", "card: pinned", 1)
        for old, new in changes.items():
            social = social.replace(old, new, 1)
        self.classes.write_text(f"{head}  social:\n    nudge{social}", encoding="utf-8")

    def cards(self, officer: Officer, words: str) -> list[Message]:
        """The cards in the social room, as *officer* can read them."""
        found = officer.phone.messages.values()
        return [
            m for m in found
            if m.room == self.town.social and m.sender == BOT and words in m.body
        ]  # fmt: skip

    async def pinned(self) -> list[str]:
        path = f"{V3}/rooms/{quote(self.town.social)}/state/m.room.pinned_events"
        try:
            return list((await self.town.ben.api.call("GET", path))["pinned"])
        except Exception:  # nothing was ever pinned
            return []

    def status(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
        """What `notices status` says of the social room: its exit code, and each person by name."""
        capsys.readouterr()
        config = str(self.town.stage.force.config)
        code = main(["notices", "status", "-c", config, "--room", "response-a-social", "--json"])
        (room,) = json.loads(capsys.readouterr().out)
        return code, {one["name"]: one for one in room["people"]}

    def records(self) -> list[Kept]:
        return [one for one in self.town.ledger() if one.header["kind"] == "notice"]


@pytest_asyncio.fixture(loop_scope="session")
async def hall(town: Town) -> AsyncIterator[Hall]:
    found = Hall(town)
    yield found
    found.classes.write_text(found.before, encoding="utf-8")


@contextlib.asynccontextmanager
async def joiner(town: Town, folder: Path) -> AsyncIterator[Officer]:
    """Somebody who is new in the team, and whose phone accepts whatever it is asked to."""
    server, people = town.stage.homeserver, town.stage.config.people
    await asyncio.to_thread(server.register, "iris", PASSWORD)
    iris = await Officer.sign_in(server.url, IRIS, PASSWORD, folder)
    before = people.read_text(encoding="utf-8")
    try:
        line = f"{IRIS},PC Iris Bell,7002,Response A,PC,@gwen:force.example,,\n"
        people.write_text(before + line, encoding="utf-8")
        await iris.enter(town.social)
        yield iris
    finally:
        await iris.close()
        people.write_text(before, encoding="utf-8")


@pytest.mark.slow
async def test_a_card_is_shown_to_everybody_and_to_who_joins_and_again_when_it_changes(
    hall: Hall, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    town = hall.town
    await town.quiet()
    hall.allow()
    assert await town.ben.until(lambda _: bool(hall.cards(town.ben, "Fine here:")))
    (card,) = hall.cards(town.ben, "Fine here:")
    assert "kept 90 days" in card.body
    assert json.loads(card.content)["msgtype"] == "m.notice", "it makes no sound"

    async def hangs() -> bool:
        return (await hall.pinned())[:1] == [card.event_id]

    assert await until(hangs)

    async with joiner(town, tmp_path) as iris:  # who cannot read what was said before
        assert await iris.until(lambda _: bool(town.notes(iris, "reads this room")))
        (note,) = town.notes(iris, "reads this room")
        await iris.react(note.room, note.event_id, "✅")
        await town.asha.react(town.social, card.event_id, "✅")

        async def both() -> bool:
            _, people = hall.status(capsys)
            return all(people[name]["acknowledged"] for name in ("PC Asha Khan", "PC Iris Bell"))

        assert await until(both)
        code, people = hall.status(capsys)
        assert code == 2
        assert people["PC Iris Bell"]["private"]
        assert {name for name, one in people.items() if not one["shown"]} == set()
        assert people["PC Ben Hughes"]["acknowledged"] is None
        assert len(town.notes(iris, "reads this room")) == 1, "nobody is told twice"

    hall.allow(**{"visible_days: 30": "visible_days: 20"})
    assert await town.ben.until(lambda _: bool(hall.cards(town.ben, "has changed.")))
    (changed,) = hall.cards(town.ben, "has changed.")
    assert "Visible 20 days" in changed.body

    async def replaced() -> bool:
        pinned = await hall.pinned()
        return pinned[:1] == [changed.event_id] and card.event_id not in pinned

    assert await until(replaced)
    code, people = hall.status(capsys)
    assert code == 2
    assert {name for name, one in people.items() if one["acknowledged"]} == set()
    said = [(one.header["status"], one.inside.get("by")) for one in hall.records()]
    assert ("acknowledged", IRIS) in said
    assert ("acknowledged", town.asha.user) in said
    assert town.sound()


@pytest.mark.slow
async def test_a_bot_that_dies_when_it_has_hung_a_card_does_not_hang_it_twice(hall: Hall) -> None:
    town, bot = hall.town, hall.town.stage.bot
    await town.quiet()
    await town.bot_stops()
    hall.allow(**{"visible_days: 30": "visible_days: 15"})
    await bot.start(module="tests.acceptance.dying_bot", also=["during:card"])
    assert await asyncio.to_thread(bot.wait, 120) == -9, "it should have been killed"
    await bot.start()

    async def shown() -> bool:
        newest = [one.header["status"] for one in hall.records() if "to" in one.inside]
        return newest.count("due") == newest.count("shown")

    assert await until(shown)
    # What comes after it in the room is there: so is a second one, if there were any.
    last = await town.asha.say(town.social, "who wants a brew")
    assert await town.ben.until(lambda phone: last in phone.messages)
    assert len(hall.cards(town.ben, "Visible 15 days")) == 1
    assert len(hall.cards(town.asha, "Visible 15 days")) == 1
