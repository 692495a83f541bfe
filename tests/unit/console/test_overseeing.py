"""What was found of rooms, what was disposed of, and decisions about it, in the console."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.facts import Appraised, Care, Cleared, Drifted, Fact, Fate, Labelled
from bridge.ledger.record import new_rid
from bridge.model import Ms
from bridge.running.control import Answer, Order, listen
from tests.unit.console.conftest import NOW, Browser
from tests.unit.console.world import ANNA, BEN, HOSTILE, SECURE, SOCIAL, Story, World, found

#: In 2034 what was said in November 2026 is due.
LATER = Ms(NOW + 2_700 * 86_400_000)
ITEM = "bucket:operational-2026-11"


def cared() -> Story:
    story = Story()
    story.say(ANNA, "stopped at 10:40, driver spoken to", room=SECURE)
    story.say(BEN, "milk", room=SOCIAL)
    story.tell(
        Drifted(
            rid=new_rid(), key="response-a-social", room=SOCIAL, care=Care.MENDING, sort="door",
            text="Response A social: join rule is public (by @ben.hughes:force.example); putting "
            "it right", by=BEN,
        ),
        Drifted(
            rid=new_rid(), key="review", room=None, care=Care.LOCKING, sort="power",
            text=f"Referrals: {HOSTILE}; locking the room",
        ),
        Drifted(rid=new_rid(), key="gone-room", room=None, care=Care.CALLED, text="a retired one"),
        Cleared(
            rid=new_rid(), room=SOCIAL, name="Response A social", messages=41,
            text="disposal in Response A social: 41 messages; files: 2 deleted",
        ),
        Appraised(
            rid=new_rid(), item="bucket:social-2026-10", fate=Fate.RETAIN, reason="an inquest",
            by="Gwen Price", until=Ms(NOW + 86_400_000),
        ),
        Labelled(rid=new_rid(), item="case:PS/1", group=2, reason="an assault", by="Gwen Price"),
    )  # fmt: skip
    return story


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A force whose rooms were looked after, where somebody has decided something."""
    folder = tmp_path_factory.mktemp("cared") / "force"
    return found(folder, "psd", story=cared(), certified=(2026, 2033))


@pytest_asyncio.fixture
async def ordered(world: World) -> AsyncIterator[list[Fact]]:
    """What a bot that listens here is ordered to record."""
    facts: list[Fact] = []

    async def obey(order: Order) -> Answer:
        facts.extend(order.facts)
        return Answer(ok=True, text="")

    path: Path = world.config.socket
    path.parent.mkdir(exist_ok=True)
    server = await listen(path, obey)
    yield facts
    server.close()
    await asyncio.to_thread(path.unlink, missing_ok=True)


async def at(browser: Browser, name: str, now: Ms = NOW) -> Browser:
    browser.clock.at = now
    return await browser.sign_in(name).start()


async def text(person: Browser, path: str) -> str:
    answer = await person.get(path)
    assert answer.status == 200, path
    return await answer.text()


async def test_what_was_found_of_rooms_is_listed_newest_first_with_who_and_what_was_done(
    browser: Browser,
) -> None:
    shown = await text(await at(browser, "admin"), "/drift")
    assert shown.index("a retired one") < shown.index("Referrals: ") < shown.index("public")
    for words in ("put right", "locked", "people were called", "Ben Hughes", "nobody known",
                  "Referrals", "gone-room"):  # fmt: skip
        assert words in shown, words


async def test_foreign_words_in_what_was_found_do_no_harm(browser: Browser) -> None:
    shown = await text(await at(browser, "admin"), "/drift")
    assert "<script>alert" not in shown
    assert "\u202e" not in shown


async def test_what_was_found_of_one_room_is_shown_alone(browser: Browser) -> None:
    person = await at(browser, "areader")
    shown = await text(person, "/drift?room=response-a-social")
    assert "join rule is public" in shown
    assert "Referrals: " not in shown
    empty = await text(person, "/drift?room=response-b-social")
    assert "Nothing was found in this room" in empty
    assert "/drift?room=response-a-social" in await text(person, "/rooms/response-a-social")


async def test_what_has_gone_is_shown_with_its_certificate_and_what_was_retained_with_why(
    browser: Browser,
) -> None:
    shown = await text(await at(browser, "acustodian"), "/disposals")
    for words in ("41 messages", "files: 2 deleted", "bucket:social-2026-10", "retained",
                  "an inquest", "Gwen Price", "case:PS/1", "group 2", "Nothing waits",
                  "No records were disposed of yet"):  # fmt: skip
        assert words in shown, words


async def test_operational_records_without_a_group_wait_and_are_decided_about(
    browser: Browser, ordered: list[Fact]
) -> None:
    person = await at(browser, "acustodian", LATER)
    shown = await text(person, "/disposals")
    assert "Records of operational-2026-11" in shown
    assert 'value="bucket:operational-2026-11"' in shown
    assert "Records of social-2026-11" not in shown, "that goes on its day"
    due = (await text(person, "/retention")).partition("Due now")[2].partition("</section>")[0]
    assert "2 buckets are due" in due, "those that nobody need decide about"
    answer = await person.post(
        "/disposals/decide", {"item": ITEM, "fate": "dispose", "reason": "seven years are over"}
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/disposals")
    (fact,) = ordered
    assert isinstance(fact, Appraised)
    assert (fact.item, fact.fate, fact.by, fact.account, fact.reason) == (
        ITEM, Fate.DISPOSE, "Gwen Price", "acustodian", "seven years are over",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fate": "retain", "reason": "r"}, "Say until when"),
        ({"fate": "retain", "until": "soon", "reason": "r"}, "Give the day as"),
        ({"fate": "dispose"}, "Say why"),
        ({"reason": "r"}, "Say whether it is retained or may go"),
        ({"fate": "dispose", "reason": "r", "item": "room:review"}, "names nothing"),
    ],
)
async def test_what_cannot_be_decided_is_said_and_nothing_is_ordered(
    browser: Browser, ordered: list[Fact], given: dict[str, str], said: str
) -> None:
    person = await at(browser, "acustodian", LATER)
    answer = await person.post("/disposals/decide", {"item": ITEM, **given})
    shown = await answer.text()
    assert (answer.status, said in shown) == (400, True), shown
    assert ordered == []


async def test_without_a_bot_on_this_machine_nothing_is_decided_and_it_is_said(
    browser: Browser,
) -> None:
    person = await at(browser, "acustodian", LATER)
    given = {"item": ITEM, "fate": "dispose", "reason": "r"}
    answer = await person.post("/disposals/decide", given)
    assert answer.status == 503, await answer.text()
    assert "bluelamp review decide" in await answer.text()


async def test_whoever_hands_records_out_sees_what_waits_and_decides_nothing(
    browser: Browser,
) -> None:
    # A disclosure officer alone: the one of the staff is an auditor as well.
    file = browser.world.folder / "people.csv"
    before = file.read_text(encoding="utf-8")
    only = before.replace(",disclose,disclosure-officer auditor", ",disclose,disclosure-officer")
    assert only != before
    try:
        file.write_text(only, encoding="utf-8")
        person = await at(browser, "disclose", LATER)
        shown = await text(person, "/disposals")
        assert "Records of operational-2026-11" in shown
        assert "/disposals/decide" not in shown
        given = {"item": ITEM, "fate": "dispose", "reason": "r"}
        assert (await person.post("/disposals/decide", given)).status == 403
    finally:
        file.write_text(before, encoding="utf-8")
