"""What was found of rooms, and what has gone or waits for a decision, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.facts import Appraised, Care, Cleared, Drifted, Fate, Labelled
from bridge.ledger.record import new_rid
from bridge.model import Ms
from tests.browser.conftest import Console, Desk, serve
from tests.unit.console.world import ANNA, BEGAN, BEN, DAY, HOUR, SECURE, SOCIAL, Story, found

#: Seven years before: what was said then is due.
BEFORE = Ms(int(datetime(2019, 10, 7, 9, tzinfo=UTC).timestamp() * 1000))
PAPER = (
    "disposal in Response A social (!socialA:force.example), visible for 30 days: 41 messages and "
    "2 edits taken out, sent from 2026-10-19 to 2026-10-20; SHA-256 of their sorted ids "
    "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592; files: 2 deleted, 0 left on "
    "the server; server's database: what was taken out was deleted, but for the room's newest "
    "event; the bot's own keys: 3 sessions dropped"
)


def seven_years() -> Story:
    story = Story(BEFORE)
    story.say(ANNA, "stopped at 10:40, driver spoken to", room=SECURE)
    story.at = Ms(BEGAN + HOUR)
    said = "Response A social: join rule is public, should be invite"
    story.tell(
        Drifted(
            rid=new_rid(), key="response-a-social", room=SOCIAL, care=Care.MENDING, sort="door",
            text=f"{said} (by {BEN}); putting it right", by=BEN,
        ),
        Drifted(
            rid=new_rid(), key="response-a-social", room=SOCIAL, care=Care.LOCKING, sort="door",
            text=f"{said} by {BEN}; locking the room", by=BEN,
        ),
    )  # fmt: skip
    story.later(HOUR)
    story.tell(
        Drifted(
            rid=new_rid(), key="response-a-social", room=SOCIAL, care=Care.UNLOCKED,
            text="Response A social was unlocked by @sam.okoro:force.example: we spoke with him",
            by="@sam.okoro:force.example",
        ),
        Drifted(
            rid=new_rid(), key="response-a-secure", room=SECURE, care=Care.CALLED,
            sort="outranked", text="Response A secure: @it:force.example has power level 100 and "
            "the bot 100; people have to see to it",
        ),
        Cleared(rid=new_rid(), room=SOCIAL, name="Response A social", messages=41, text=PAPER),
        Appraised(
            rid=new_rid(), item="bucket:social-2019-10", fate=Fate.RETAIN,
            reason="an inquest may ask for it", by="Gwen Price",
            until=Ms(max(BEGAN, int(time.time() * 1000)) + 90 * DAY),
        ),
        Labelled(rid=new_rid(), item="case:PS/2026/114", group=2, reason="an assault",
                 by="Gwen Price"),
    )  # fmt: skip
    return story


@pytest.fixture(scope="module")
def cared(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A force that has looked after its rooms for seven years."""
    folder = tmp_path_factory.mktemp("cared") / "force"
    yield from serve(
        found(folder, "psd", story=seven_years(), certified=(2019, 2026)), browser,
        staff=["acustodian"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def custodian(cared: Console) -> Desk:
    return cared.sign_in("acustodian").start()


def test_what_was_found_of_rooms_is_reached_from_the_rooms_and_looks_right(
    custodian: Desk,
) -> None:
    custodian.go("/rooms")
    custodian.follow("What was found of rooms, and put right")
    assert custodian.heading() == "What was found of rooms"
    for words in ("put right", "locked", "unlocked", "people were called", "Ben Hughes"):
        assert custodian.says(words), words
    custodian.looks_right("drift")
    custodian.go("/drift")
    custodian.goes_by_keyboard()
    custodian.go("/drift?room=response-a-secure")
    assert custodian.lacks("join rule is public")
    assert custodian.page.locator("ol.moj-timeline > li").count() > 0
    custodian.goes_by_keyboard()
    custodian.looks_right("drift-room")


def test_what_waits_is_decided_about_with_a_reason_and_what_has_gone_is_certified(
    custodian: Desk,
) -> None:
    custodian.go("/retention")
    custodian.follow("What waits for a decision")
    assert custodian.heading() == "Disposals"
    assert custodian.says("Records of operational-2019-10")
    assert custodian.says("an inquest may ask for it")
    custodian.page.get_by_text("41 messages").first.click()
    assert custodian.says("SHA-256 of their sorted ids")
    custodian.looks_right("disposals")
    custodian.go("/disposals")
    custodian.goes_by_keyboard()
    custodian.page.get_by_text("Decide about records of operational-2019-10").click()
    custodian.page.get_by_label("It is retained until a day").check()
    custodian.page.get_by_label("Why", exact=True).fill("an appeal is open")
    custodian.press("Decide")
    assert custodian.says("Say until when")
    custodian.looks_right()
    custodian.page.get_by_label("It may go").check()
    custodian.press("Decide")
    assert custodian.says("the bot does not run on this machine")
