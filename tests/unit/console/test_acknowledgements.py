"""Who was shown which card, and who was not: as a page, and as a command."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from bridge.facts import Notice, Progress, Told
from bridge.model import EventId, Ms, Rid, RoomClass, UserId
from bridge.records.consult import journal_of
from bridge.rooms.board import Board
from bridge.store import journal
from bridge.store.reader import told_in
from bridge.store.sqlite import SqliteStore
from tests.making import Hands, custodian, identity
from tests.unit.console.conftest import Browser
from tests.unit.console.world import (
    ANNA,
    BEN,
    CHLOE,
    DAY,
    SECURE,
    SOCIAL,
    Story,
    World,
    found,
    shift,
)

WORDS = "Fine here: rotas, milk, birthdays. Kept 90 days."
EARLIER, CARD, REVISION = (
    hashlib.sha256(one).hexdigest() for one in (b"earlier", b"card", b"policy")
)


def notice(card: str, *to: UserId, private: bool = False, name: str = "1") -> Notice:
    return Notice(
        rid=Rid(name * 32), room=SOCIAL, cls=RoomClass.SOCIAL, card=card, revision=REVISION,
        name=name * 32, to=to, private=private, words=WORDS,
    )  # fmt: skip


def told(story: Story) -> Story:
    """An earlier card for two, another one for one of them, and somebody who joins."""
    for name, one in (
        ("1", notice(EARLIER, ANNA, BEN)),
        ("2", notice(CARD, ANNA, name="2")),
        ("3", notice(CARD, CHLOE, private=True, name="3")),
    ):
        story.tell(Told(notice=one, progress=Progress.DUE))
        story.tell(Told(notice=one, progress=Progress.SHOWN, event=EventId(f"$card{name}")))
        story.later(60_000)
    read = Told(
        notice=notice(CARD, ANNA, name="2"), progress=Progress.ACKNOWLEDGED,
        event=EventId("$card2"), by=ANNA,
    )  # fmt: skip
    story.tell(read)
    return story


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    return found(tmp_path_factory.mktemp("told") / "force", "psd", story=told(shift(Story())))


@pytest.fixture(autouse=True)
def costs_are_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.policy.load.probe_costs", lambda *_: None)


async def test_the_page_counts_by_room_and_says_of_each_person(browser: Browser) -> None:
    officer = await browser.sign_in("policy").start()
    text = await (await officer.get("/acknowledgements")).text()
    assert CARD[:12] in text
    assert REVISION[:12] in text
    assert "none yet" in text, "in the secure room nothing hangs"
    text = await (await officer.get("/acknowledgements/response-a-social")).text()
    assert WORDS in text
    anna, ben = (text.split(name)[1].split("</tr>")[0] for name in ("Anna Reid", "Ben Hughes"))
    assert "in the room" in anna
    assert anna.count("<time") == 2, "shown, and acknowledged"
    assert "not shown" in ben
    assert EARLIER[:12] in ben
    before = text.split("Earlier cards")[1]
    assert EARLIER[:12] in before
    assert before.count(">2<") == 1, "two were shown it, and none of them said so"


async def test_who_looks_at_names_is_on_record_and_a_strange_room_is_none(
    browser: Browser,
) -> None:
    officer = await browser.sign_in("admin").start()
    place = journal_of(browser.world.config)
    before = len([*journal.read(place)])
    await officer.get("/acknowledgements")
    assert len([*journal.read(place)]) == before, "these are numbers"
    await officer.get("/acknowledgements/response-a-social")
    (entry,) = [*journal.read(place)][before:]
    assert "who was shown the card of" in entry.what
    answer = await officer.get("/acknowledgements/nowhere")
    assert answer.status == 404


def status(world: World, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["notices", "status", "-c", str(world.folder / "config.yaml"), *more])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command_names_who_has_not_been_shown_what_holds(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = status(world, capsys, "--room", "response-a-social")
    assert code == 1
    assert f"card {CARD[:12]} since" in said
    assert "Ben Hughes (shown an earlier one)" in said
    code, said = status(world, capsys, "--json")
    assert code == 1
    rooms: dict[str, dict[str, Any]] = {one["key"]: one for one in json.loads(said)}
    people = {one["user"]: one for one in rooms["response-a-social"]["people"]}
    assert people[ANNA]["acknowledged"] > people[ANNA]["shown"]
    assert people[BEN]["shown"] is None
    assert rooms["response-a-secure"]["since"] is None


def test_the_exit_code_says_whether_somebody_has_not_been_shown_or_has_not_acknowledged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--room", "response-a-social", "--person")
    assert status(world, capsys, *here, "Anna Reid")[0] == 0
    assert status(world, capsys, *here, BEN)[0] == 1
    code, said = status(world, capsys, "--person", "Nobody Here")
    assert (code, "Nobody is called 'Nobody Here'" in said) == (3, True)
    code, said = status(world, capsys, "--room", "nowhere")
    assert (code, "There is no room 'nowhere'" in said) == (3, True)


async def test_what_people_were_told_goes_on_in_the_next_log(tmp_path: Path) -> None:
    clock = Hands()
    psd = custodian(months=9)
    store = SqliteStore(tmp_path / "ledger.db", identity(psd), clock, anchor=None)
    one = notice(CARD, ANNA)
    await store.append([Told(notice=one, progress=Progress.DUE)])
    shown = Told(notice=one, progress=Progress.SHOWN, event=EventId("$card"))
    await store.append([shown])
    before = told_in(tmp_path / "ledger.db")
    clock.move(222 * DAY)
    assert await store.roll()
    assert told_in(tmp_path / "ledger.db") == before
    await store.append([Told(notice=one, progress=Progress.ACKNOWLEDGED, by=ANNA)])
    await store.close()
    board = Board.of(told_in(tmp_path / "ledger.db"))
    seen = board.seen[SOCIAL, ANNA, CARD]
    assert (seen.at, seen.acknowledged) == (before[1][0], Ms(clock.at))
    assert board.card(SECURE) is None
