"""Referrals and appeals in the console: who may decide, what it does, and what became of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from bridge.console.pages import referrals
from bridge.facts import Adjudicated, Appeal, Appealed, Decision, Fact, Noted, Stage
from bridge.ledger.record import new_rid
from bridge.model import Action, EventId, Ms, Queue, Rid, RoomClass
from bridge.records.followed import PATIENCE_MS
from bridge.store.reader import SqliteReader
from tests.unit.console.conftest import NOW, Browser
from tests.unit.console.world import (
    BEN,
    CHLOE,
    DAN,
    HOUR,
    SOCIAL,
    Story,
    World,
    found,
    record,
    rids,
    verdict,
)

MOVED, NUDGED, LEFT = "AB12 CDE left the yard", "Mill Lane again tonight", "CD34 EFG was here"
DAY = 86_400_000


def story() -> Story:
    made = Story()
    move = verdict(Action.REDIRECT, "veh.vrm", "it has a registration", "AB12 CDE")
    nudge = verdict(Action.NUDGE, "ops.place", "it may name a place", "Mill Lane")
    asked = verdict(Action.REDIRECT, "veh.vrm", "it has one", "CD34 EFG", Queue.ERRORS)
    conduct = verdict(Action.ALLOW, "con.grievance", "a person should look", "shut",
                      Queue.PROFESSIONAL_STANDARDS)  # fmt: skip
    made.judge(BEN, MOVED, move, name="moved")
    made.judge(CHLOE, NUDGED, nudge, name="nudged")
    made.judge(DAN, LEFT, asked, name="left")
    made.judge(CHLOE, "somebody should shut her up", conduct, name="conduct")
    return made


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A force where two have appealed: Ben later than Chloe, who has waited for long."""
    made = found(tmp_path_factory.mktemp("referred") / "force", "psd", story=story())
    first, second, *_ = [Rid(one) for one in rids(made.config, "verdict")]
    events = [Rid(one) for one in rids(made.config, "message")]
    ben = appeal(first, events[0], BEN, Action.REDIRECT, "veh.vrm", NOW - 2 * HOUR)
    chloe = appeal(second, events[1], CHLOE, Action.NUDGE, "ops.place", NOW - 30 * HOUR)
    told: list[tuple[Ms, list[Fact]]] = [
        (one.at, [Appealed(appeal=one, stage=Stage.RAISED)]) for one in (chloe, ben)
    ]
    asyncio.run(record(made.config, told))
    return made


def appeal(verdict: Rid, about: Rid, by: Any, action: Action, rule: str, at: int) -> Appeal:
    return Appeal(
        rid=new_rid(), event=EventId("$e"), record=about, room=SOCIAL, cls=RoomClass.SOCIAL,
        sender=by, sent_at=Ms(at - HOUR), verdict=verdict, rule=rule, action=action, round=1,
        at=Ms(at), due=Ms(at + 24 * HOUR),
    )  # fmt: skip


def verdicts(world: World) -> list[str]:
    """Moved and appealed, nudged and appealed, moved and not appealed, conduct."""
    return list(rids(world.config, "verdict"))


@contextmanager
def bot_here(world: World) -> Iterator[None]:
    """Have something where the bot's socket is."""
    path = world.config.socket
    path.parent.mkdir(exist_ok=True, parents=True)
    path.touch()
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def listed(world: World, before: str, after: str) -> Iterator[None]:
    """Have people.csv say something else meanwhile."""
    file = world.folder / "people.csv"
    text = file.read_text()
    assert before in text
    try:
        file.write_text(text.replace(before, after))
        yield
    finally:
        file.write_text(text)


async def reviewer(browser: Browser, name: str = "sokoro") -> Browser:
    return await (await browser.sign_in(name).start()).unlock("reviewers")


async def shown(person: Browser, path: str) -> str:
    answer = await person.get(path)
    text = await answer.text()
    assert answer.status == 200, text
    return text


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", text)).replace("&#39;", "'")


async def append(browser: Browser, *facts: Fact, at: int | None = None) -> None:
    """Have the bot record these."""
    await record(browser.world.config, [(Ms(browser.clock.at if at is None else at), list(facts))])


async def decided(person: Browser, rid: str, decision: str, reason: str = "so it is") -> Any:
    return await person.post(f"/referrals/{rid}", {"decision": decision, "reason": reason})


async def test_each_kind_of_matter_offers_what_the_bot_does_and_says_so(browser: Browser) -> None:
    person = await reviewer(browser)
    moved, nudged, left, conduct = verdicts(browser.world)
    text = plain(await shown(person, f"/referrals/{moved}"))
    assert "goes back into the room from its copy, and its sender is told" in text
    assert "with your reason. They can ask for a second opinion" in text
    assert "False positive" not in text, "its words to the sender would not be true"
    text = await shown(person, f"/referrals/{nudged}")
    assert 'value="restored"' not in text, "there is nothing to put back"
    assert "The message is where it was. Its sender is told that they were right" in text
    text = await shown(person, f"/referrals/{left}")
    assert 'value="restored"' in text
    assert plain(text).count("Nothing changes in the room, and nobody is told") == 2
    standards = await reviewer(browser, "pstandards")
    text = await shown(standards, f"/referrals/{conduct}")
    assert 'value="restored"' not in text
    assert plain(text).count("nobody is told") == 2
    assert "your own affair" in text


async def test_what_is_not_offered_cannot_be_decided(browser: Browser) -> None:
    person = await reviewer(browser)
    _, nudged, *_ = verdicts(browser.world)
    answer = await decided(person, nudged, "restored")
    assert answer.status == 400
    assert nudged not in await person.desk.decided()


async def test_who_may_not_decide_is_told_beforehand_and_nothing_is_recorded(
    browser: Browser,
) -> None:
    """The same team, and whoever is no reviewer: as the bot has it."""
    moved, _, left, conduct = verdicts(browser.world)
    cases = [
        (",Supervision,Inspector,,sokoro", ",Response A,Inspector,,sokoro", "sokoro", moved,
         "somebody outside Response A decides"),
        ("@sam.okoro:force.example,Sam Okoro", "@ben.hughes2:force.example,Sam Okoro", "pstandards",
         moved, "you are not listed as one"),
    ]  # fmt: skip
    for before, after, name, rid, why in cases:
        with listed(browser.world, before, after):
            person = await reviewer(browser, name)
            text = await shown(person, f"/referrals/{rid}")
            assert why in plain(text), name
            assert 'name="decision"' not in text
            answer = await decided(person, rid, "action_stands")
            assert answer.status == 403
            assert why in await answer.text()
    assert moved not in await browser.desk.decided()
    standards = await reviewer(browser, "pstandards")
    assert 'name="decision"' in await shown(standards, f"/referrals/{conduct}"), "their own matters"
    assert 'name="decision"' in await shown(standards, f"/referrals/{left}")


async def test_nobody_is_offered_a_decision_about_their_own_message(browser: Browser) -> None:
    *_, left, _ = verdicts(browser.world)
    text = (browser.world.folder / "people.csv").read_text()
    dan = next(line for line in text.splitlines() if line.startswith(DAN))
    row = [*dan.split(",")[:-2], "sokoro", "reviewer"]
    with (
        listed(browser.world, ",sokoro,reviewer", ",,"),
        listed(browser.world, dan, ",".join(row)),
    ):
        person = await reviewer(browser)
        assert "the message is yours" in await shown(person, f"/referrals/{left}")
        assert (await decided(person, left, "false_positive")).status == 403


async def test_what_was_promised_first_stands_first_and_says_that_it_is_late(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrals, "PER_PAGE", 2)
    person = await reviewer(browser)
    text = await shown(person, "/referrals")
    rows = [plain(one) for one in re.findall(r"<tr>.*?</tr>", text, re.DOTALL)[1:]]
    assert [("Chloe" in rows[0], "late" in rows[0]), ("Ben" in rows[1], "late" in rows[1])] == [
        (True, True), (True, False),
    ]  # fmt: skip
    assert len(rows) == 2
    assert "3 wait, 2 on a page" in plain(text)
    text = plain(await shown(person, "/referrals?page=2"))
    assert "CD34 EFG" in text
    assert "nobody was promised one" in text


async def test_a_decision_that_was_refused_comes_back_with_the_reason(browser: Browser) -> None:
    person = await reviewer(browser)
    *_, left, _ = verdicts(browser.world)
    with bot_here(browser.world):
        answer = await decided(person, left, "action_stands")
        assert answer.status == 303
        after = plain(await shown(person, "/referrals"))
        assert "Your decision is on record. The rule was right. Nothing changes" in after
        assert "Decide matter" not in after.partition("CD34 EFG")[2]
        browser.clock.move(PATIENCE_MS + 1)
        late = plain(await shown(person, "/referrals"))
        assert "1 decision is on record and not carried out yet" in late
        assert "decision on record that is not carried out yet" in await shown(person, "/")
        why = "whoever decided is not listed as a reviewer"
        text = f"a decision of the console was not followed: {why}"
        await append(browser, Noted(text=text, verdict=Rid(left)))
        back = plain(await shown(person, "/referrals"))
        assert "not carried out yet" not in back
        assert "The bot refused what sokoro decided" in back
        assert "CD34 EFG" in back
        keys = await (await browser.sign_in("curious").start()).unlock("psd")
        assert why in plain(await shown(keys, "/referrals")), "a custodian's key opens the reason"
        one = await shown(person, f"/referrals/{left}")
        assert "It waits for a decision again" in one
        assert 'name="decision"' in one
        browser.clock.move(60_000)
        assert (await decided(person, left, "false_positive")).status == 303
        done = Adjudicated(record=Rid(left), rule="veh.vrm", action=Action.REDIRECT,
                           decision=Decision.FALSE_POSITIVE, by="@sam:force.example")  # fmt: skip
        await append(browser, done)
        assert "It was carried out" in plain(await shown(person, f"/referrals/{left}"))
        assert "carried out" in plain(await shown(person, "/referrals"))


async def test_what_was_decided_in_the_review_room_is_not_decided_again(browser: Browser) -> None:
    person = await reviewer(browser)
    _, nudged, *_ = verdicts(browser.world)
    done = Adjudicated(record=Rid(nudged), rule="ops.place", action=Action.NUDGE,
                       decision=Decision.ACTION_STANDS, by="@x:force.example")  # fmt: skip
    await append(browser, done)
    text = await shown(person, f"/referrals/{nudged}")
    assert "nothing left to decide" in text
    assert 'name="decision"' not in text
    assert (await decided(person, nudged, "action_stands")).status == 409


async def test_where_no_bot_runs_nothing_is_promised_and_later_nothing_offered(
    browser: Browser,
) -> None:
    person = await reviewer(browser)
    moved, *_ = verdicts(browser.world)
    assert "where this is a copy of the ledger, it never is" in plain(
        await shown(person, f"/referrals/{moved}")
    )
    assert (await decided(person, moved, "action_stands")).status == 303
    assert "The bot does not run on this machine now" in await shown(person, "/referrals")
    browser.clock.move(DAY + HOUR)
    person = await reviewer(browser)
    standards = await reviewer(browser, "pstandards")
    conduct = verdicts(browser.world)[3]
    text = await shown(standards, f"/referrals/{conduct}")
    assert "Nothing can be decided here" in text
    assert (await decided(standards, conduct, "action_stands")).status == 503
    with bot_here(browser.world):
        assert 'name="decision"' in await shown(standards, f"/referrals/{conduct}")


async def test_the_bot_finds_the_message_of_a_verdict_in_its_own_notebook(world: World) -> None:
    moved, *_ = verdicts(world)
    with closing(SqliteReader(world.config.ledger)) as reader:
        assert reader.judged(moved) == world.events["moved"]
        assert reader.judged("0" * 32) is None
        assert reader.refused("0" * 32) == 0
    noted = Noted(text="a decision of the console was not followed: so", verdict=Rid(moved))
    await record(world.config, [(Ms(NOW + 9 * DAY), [noted])])
    with closing(SqliteReader(world.config.ledger)) as reader:
        assert reader.refused(moved) == NOW + 9 * DAY
