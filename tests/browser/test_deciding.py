"""What is decided in the console happens in the room: a browser, phones and a bot on one server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bridge.config import Config, load_config
from bridge.demo.force import AUDITOR
from bridge.demo.homeserver import Homeserver
from bridge.demo.stage import Stage, stage
from bridge.model import Message, Ms
from bridge.records.consult import journal_of
from bridge.secret import read_secret
from bridge.store import journal
from tests.acceptance.test_appeals import Court
from tests.acceptance.town import Town, plate
from tests.browser.conftest import Console, Desk, serve
from tests.unit.console.world import World

#: In `make accept`: it needs a homeserver, a bot and phones besides.
pytestmark = pytest.mark.slow
T = TypeVar("T")
#: For a bot, a homeserver and a browser that share a busy machine with others.
_PATIENCE_S = 240


class Elsewhere:
    """A loop in a thread of its own, for phones and bot: whoever drives a browser has theirs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_PATIENCE_S)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True)
class Force:
    """The force of a stage, as its console knows it."""

    on: Stage

    @property
    def folder(self) -> Path:
        return self.on.force.folder

    @property
    def config(self) -> Config:
        return load_config(self.on.force.config)

    def share(self, name: str) -> Path:
        assert name == "psd"
        return self.on.force.share

    def passphrase(self, name: str) -> str:
        assert name == "psd"
        return read_secret(self.on.force.passphrase, "the passphrase")

    def enrolled(self, name: str, at: Ms) -> tuple[str, list[str]]:
        return World(self.folder, (), {}).enrolled(name, at)


@dataclass(frozen=True)
class Scene:
    """Phones and a bot, the console, and the auditor who sits at it."""

    elsewhere: Elsewhere
    court: Court
    desk: Desk

    @property
    def town(self) -> Town:
        return self.court.town

    def appealed(self, words: str) -> Message:
        """Have Asha say something that is moved, and appeal."""
        town = self.town
        return self.elsewhere.run(self.court.appealed(words, town.asha, town.social))

    def told(self, words: str) -> Message:
        """Wait until Asha was told."""
        return self.elsewhere.run(self.court.told(self.town.asha, words))

    def decide(self, words: str, decision: str, reason: str) -> None:
        """Decide the appeal about these words, as people do."""
        desk = self.desk
        desk.go("/referrals")
        desk.page.get_by_role("row").filter(has_text=words).get_by_role("link").click()
        assert desk.says("The officer appealed")
        assert desk.says("They were promised an answer by")
        desk.page.get_by_label(decision).check()
        desk.page.fill("#reason", reason)
        desk.press("Put the decision on record")
        assert desk.says("Your decision is on record")


@pytest.fixture(scope="module")
def scene(
    browser: Any, homeserver: Homeserver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    elsewhere, stack = Elsewhere(), AsyncExitStack()
    folder = tmp_path_factory.mktemp("deciding")
    try:
        on = elsewhere.run(
            stack.enter_async_context(stage(folder, lambda _: None, server=homeserver))
        )
        town = Town(on)
        elsewhere.run(town.bot_runs())
        for console in serve(Force(on), browser, staff=[AUDITOR]):
            yield Scene(elsewhere, Court(town), _auditor(console))
    finally:
        elsewhere.run(stack.aclose())
        elsewhere.end()


def _auditor(console: Console) -> Desk:
    desk = console.sign_in(AUDITOR).start("Appeal or referral", "APP/2026/7")
    desk.unlock()
    return desk


def test_agreeing_with_the_officer_puts_the_message_back(scene: Scene) -> None:
    words = f"{plate()} is Priya's new car, come and see"
    scene.appealed(words)
    assert scene.court.posts(scene.town.ben, scene.town.social, words) == []
    scene.decide(words, "Agree with the officer", "A private car, and no job")
    back = scene.elsewhere.run(scene.court.shown(scene.town.ben, scene.town.social, words))
    assert back.body.startswith("PC Asha Khan wrote at ")
    assert "You were right" in scene.told("It is back in").body
    scene.desk.go("/referrals")
    assert scene.desk.lacks(words)
    assert scene.desk.says("agreed with the officer")


def test_agreeing_with_the_bot_leaves_it_where_it_is(scene: Scene) -> None:
    words = f"{plate()} just left 14 Acacia Avenue"
    scene.appealed(words)
    scene.decide(words, "Agree with the bot", "It names a vehicle of a live job")
    note = scene.told("A person agreed")
    assert "It names a vehicle of a live job" in note.body
    assert scene.court.posts(scene.town.ben, scene.town.social, words) == []
    decided = [one for one in scene.town.ledger() if one.header["kind"] == "decision"]
    assert [one.header["status"] for one in decided] == ["restored", "action_stands"]


def test_the_conversation_shows_both_and_what_became_of_them(scene: Scene) -> None:
    scene.desk.go("/rooms/response-a-social/conversation")
    assert scene.desk.says("agreed with the officer")
    assert scene.desk.says("agreed with the bot")
    assert scene.desk.says("(Restored by Blue Lamp after a review.)")
    scene.desk.looks_right()


def test_what_nobody_appealed_goes_back_too_and_its_sender_is_told(scene: Scene) -> None:
    words = f"{plate()} is Omar's new van, come and see"
    town, court, desk = scene.town, scene.court, scene.desk
    before = len(town.notes(town.asha, "It is back in"))
    scene.elsewhere.run(court.moved(words, town.asha, town.social))
    verdict = [one.header["rid"] for one in town.ledger() if one.header["kind"] == "verdict"][-1]
    desk.go(f"/referrals/{verdict}")
    desk.page.get_by_label("Agree with the officer").check()
    desk.page.fill("#reason", "A private van")
    desk.press("Put the decision on record")
    assert desk.says("Your decision is on record. The message goes back into the room")
    back = scene.elsewhere.run(court.shown(town.ben, town.social, words))
    assert back.body.startswith("PC Asha Khan wrote at ")
    scene.elsewhere.run(court.told(town.asha, "It is back in", before))
    desk.go(f"/referrals/{verdict}")
    assert desk.says("It was carried out")
    assert desk.says("There is nothing left to decide")
    assert [one for one in town.ledger() if one.header["kind"] == "decision"][-1].header[
        "ref"
    ] == verdict


def test_a_hold_that_is_placed_in_the_browser_is_the_bots(scene: Scene) -> None:
    desk = scene.desk
    desk.go("/retention")
    desk.page.select_option("#room", label="Response A social")
    desk.page.fill("#case", "APP/2026/7")
    desk.page.fill("#reason", "The officer may go to a tribunal")
    desk.press("Put on hold")
    assert desk.says("is on record")
    held = [one for one in scene.town.ledger() if one.header["kind"] == "hold"]
    assert [one.inside["reason"] for one in held] == ["The officer may go to a tribunal"]
    assert held[0].inside["case"] == "APP/2026/7"


def test_what_was_said_is_handed_out_as_it_is_on_record(scene: Scene, tmp_path: Path) -> None:
    desk = scene.desk
    desk.go("/search")
    desk.page.fill("#words", "Acacia")
    desk.press("Search")
    assert "found in" in desk.ended()
    desk.page.get_by_text("Hand these records out").click()
    desk.page.fill("#recipient", "Police Federation")
    with desk.page.expect_download() as waiting:
        desk.press("Save the file")
    file = tmp_path / "export.jsonl"
    waiting.value.save_as(file)
    first, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert first["records"] == len(lines) >= 1
    assert all("14 Acacia Avenue" in line["opened"] for line in lines)
    assert {line["leaf"] for line in lines}


def test_who_looked_has_all_of_it(scene: Scene) -> None:
    scene.desk.go("/looked")
    for words in ("read a referral", "decided a referral: restored", "handed out records",
                  "held records", "APP/2026/7", "Police Federation"):  # fmt: skip
        assert scene.desk.says(words), words
    entries = [one.what for one in journal.read(journal_of(scene.desk.console.world.config))]
    assert entries.count("decided a referral: action_stands") == 1
    assert scene.town.sound()
