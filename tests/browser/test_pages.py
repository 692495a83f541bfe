"""Every page by the keyboard alone, held against axe and a narrow screen; and the newer ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from bridge.console.rights import PAGES
from bridge.facts import CaseOpened, Held, PolicyApproved
from bridge.model import Rid
from bridge.policy.load import revision_of
from bridge.running.shelf import Shelf, read_files
from tests.browser.conftest import Console, Desk, serve
from tests.unit.console.test_drafts import KEBAB
from tests.unit.console.world import ANNA, BEN, SECURE, SOCIAL, TOP, Story, found, shift

CASE = "PS/2026/114"
#: Pages of one address, and those that only whoever has not signed in is shown.
STRANGERS = {"/sign-in", "/enrol"}
ELSEWHERE = {"/sign-in/provider", "/sign-in/provider/back", "/enrol/second-factor"}
ALONE = sorted(
    path for method, path in PAGES if method == "GET" and "{" not in path and path not in ELSEWHERE
)
#: Who sees which of them: everything but professional standards, and that.
CONDUCT = {"/conduct"}


def told() -> Story:
    files = read_files(TOP / "policies")
    story = shift(Story())
    story.tell(
        CaseOpened(reference=CASE, title="A complaint about a stop", by="Gwen Price"),
        Held(rid=Rid("a" * 32), scope=f"room:{SECURE}", case=CASE, by="Gwen Price",
             reason="The driver may complain to the ombudsman"),
        Held(rid=Rid("b" * 32), scope=f"room:{SOCIAL} person:{BEN}", case=CASE, by="Gwen Price",
             reason="What the officer said before it"),
        *(PolicyApproved(revision=revision_of(files), by=one, account="x") for one in (ANNA, BEN)),
    )  # fmt: skip
    story.later(60_000)
    draft = {**files, "packs/milk.yaml": KEBAB.encode()}
    story.tell(PolicyApproved(revision=revision_of(draft), by=BEN, account="ben"))
    return story


@pytest.fixture(scope="module")
def newer(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A force with a case, a draft that waits, and a sample to try it over."""
    force = found(tmp_path_factory.mktemp("newer") / "force", "psd", story=told())
    with (force.folder / "config.yaml").open("a") as config:
        config.write("policies:\n  folder: policies\n  activation: two-people\n")
    with (force.folder / "console.yaml").open("a") as settings:
        settings.write(f"sample: [{TOP / 'tests' / 'corpus' / 'sample.jsonl'}]\n")
    _add_rooms(force.folder / "rooms.yaml", "CDEFGH")
    Shelf(force.config.shelf).keep(read_files(TOP / "policies"))
    (force.folder / "policies" / "packs" / "milk.yaml").write_text(KEBAB)
    yield from serve(force, browser)


def _add_rooms(file: Path, teams: str) -> None:
    """Enough rooms for a list that is worth narrowing."""
    text = file.read_text(encoding="utf-8")
    block = text[text.index("  response-b-social:") : text.index("  response-b-secure:")]
    more = "".join(
        block.replace("response-b-social", f"response-{team.lower()}-social").replace(
            "name: Response B", f"name: Response {team}"
        )
        for team in teams
    )
    file.write_text(text.replace(block, block + more), encoding="utf-8")


@pytest.fixture(scope="module")
def everybody(newer: Console) -> Desk:
    """Somebody of every role but professional standards, with the key unlocked."""
    desk = newer.sign_in("curious").start()
    desk.unlock()
    return desk


@pytest.fixture(scope="module")
def standards(newer: Console) -> Desk:
    desk = newer.sign_in("pstandards").start("Appeal or referral")
    desk.unlock("reviewers")
    return desk


@pytest.mark.parametrize("path", ALONE)
def test_every_page_goes_by_keyboard_and_looks_right(
    newer: Console, everybody: Desk, standards: Desk, path: str
) -> None:
    desk = standards if path in CONDUCT else everybody
    if path in STRANGERS:
        desk = Desk(newer, "", newer.browser.new_page())
    assert desk.go(path) == 200
    assert desk.page.url.removeprefix(newer.url) == path, "another page came in its stead"
    desk.goes_by_keyboard()
    desk.looks_right()
    if path in STRANGERS:
        desk.page.close()


def follow_to(desk: Desk, path: str, link: str) -> None:
    desk.go(path)
    desk.page.locator(link).first.click()


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("/rooms", "a[href^='/rooms/response-a-social']"),
        ("/rooms/response-a-social/conversation", "a[href^='/records/']"),
        ("/rooms/response-a-social/conversation", ""),
        ("/referrals", "td a[href^='/referrals/']"),
        ("/policies", "a[href^='/policies/drafts/']"),
    ],
)
def test_every_page_of_one_thing_goes_by_keyboard_and_looks_right(
    newer: Console, everybody: Desk, path: str, link: str
) -> None:
    if link:
        follow_to(everybody, path, link)
    else:
        everybody.go(path)
    everybody.page.wait_for_load_state()
    everybody.goes_by_keyboard()
    everybody.looks_right()


def test_a_case_finds_what_was_put_under_it(everybody: Desk) -> None:
    everybody.go("/search")
    everybody.page.fill("#case", CASE)
    everybody.press("Search")
    assert everybody.says("The driver may complain to the ombudsman")
    assert everybody.says("stopped at 10:40, driver spoken to")
    assert everybody.lacks("bring the milk")
    assert CASE not in unquote(everybody.page.url)
    everybody.goes_by_keyboard()
    everybody.looks_right("case")


def test_rooms_are_chosen_by_keyboard_and_narrowed_by_typing(everybody: Desk) -> None:
    everybody.go("/search")
    everybody.tab_to("Find a room")
    everybody.page.keyboard.type("response a")
    everybody.page.get_by_text("2 of").wait_for()
    everybody.tab_to("Response A s")
    everybody.page.keyboard.press("Space")
    everybody.page.get_by_text("1 selected").wait_for()
    everybody.page.focus("#words")
    everybody.page.keyboard.type("driver")
    everybody.page.keyboard.press("Enter")
    assert "1 found" in everybody.ended()
    everybody.follow("Change the search")
    assert everybody.page.locator("input[name=room]:checked").count() == 1
    everybody.looks_right("search")


def test_rooms_are_chosen_without_javascript(newer: Console) -> None:
    desk = newer.sign_in("curious", js=False).start()
    desk.unlock()
    desk.go("/search")
    assert desk.page.get_by_placeholder("Find a room").count() == 0
    for room in ("Response A social", "Response A secure"):
        desk.page.get_by_label(room, exact=True).check()
    desk.press("Search")
    assert desk.says("stopped at 10:40, driver spoken to")
    tags = desk.page.locator(".moj-filter__tag")
    assert [one.split()[-1] for one in tags.all_inner_texts()] == ["social", "secure"]
    desk.press("Remove Response A social")
    assert desk.lacks("bring the milk")
    assert [one.split()[-1] for one in tags.all_inner_texts()] == ["secure"]


def test_what_was_chosen_is_taken_away_by_keyboard(everybody: Desk) -> None:
    everybody.go("/search")
    everybody.page.select_option("#action", "redirect")
    everybody.page.select_option("#rule", "veh.vrm")
    everybody.page.fill("#from", "2026-11-19")
    everybody.press("Search")
    everybody.page.get_by_role("heading", name="1 record").wait_for()
    everybody.goes_by_keyboard()
    everybody.looks_right("results")
    everybody.page.locator("h1").click()
    everybody.tab_to("Remove veh.vrm")
    everybody.page.keyboard.press("Enter")
    everybody.page.get_by_role("heading", name="3 records").wait_for()
    everybody.page.wait_for_load_state()
    assert everybody.page.locator(".moj-filter__tag").count() == 2
    assert "redirect" not in everybody.page.url


def test_who_looked_is_narrowed_by_tags(everybody: Desk) -> None:
    everybody.go("/looked")
    everybody.page.select_option("#category", "access")
    everybody.page.fill("#who", "curious")
    everybody.press("Show")
    everybody.page.get_by_role("button", name="Remove curious").wait_for()
    everybody.goes_by_keyboard()
    everybody.looks_right("looked-chosen")
    everybody.press("Remove curious")
    everybody.page.get_by_role("button", name="Remove curious").wait_for(state="detached")
    assert everybody.page.locator(".moj-filter__tag").count() == 1


def test_some_of_the_results_are_chosen_by_keyboard_and_handed_out(
    everybody: Desk, tmp_path: Path
) -> None:
    everybody.go("/search")
    everybody.page.select_option("#action", "redirect")
    everybody.press("Search")
    picks = everybody.page.locator("input[name=rid]")
    everybody.tab_to("Select all")
    everybody.page.keyboard.press("Space")
    assert all(one.is_checked() for one in picks.all())
    picks.first.focus()
    everybody.page.keyboard.press("Space")
    chosen = picks.count() - 1
    assert chosen > 1
    everybody.page.get_by_text("Hand these records out").click()
    everybody.looks_right("results-chosen")
    everybody.page.fill("#recipient", "the court")
    with everybody.page.expect_download() as waiting:
        everybody.press("Save the file")
    file = tmp_path / "chosen.jsonl"
    waiting.value.save_as(file)
    assert json.loads(file.read_text().splitlines()[0])["records"] == chosen


def test_what_happened_to_a_message_stands_in_the_order_of_time(everybody: Desk) -> None:
    everybody.go("/rooms/response-a-social/conversation")
    said = everybody.page.locator("article").filter(has_text="AB12 CDE has just left").first
    said.get_by_role("link", name="Link to record").click()
    every = everybody.page.locator("ol.moj-timeline > li")
    times = every.locator("time").evaluate_all("all => all.map((one) => one.dateTime)")
    assert len(times) > 2
    assert times == sorted(times)
    assert every.first.get_attribute("aria-current") == "true"
    everybody.goes_by_keyboard()
    everybody.looks_right("record")
    every.nth(1).get_by_role("link").click()
    everybody.page.get_by_text("which this is about").wait_for()
    assert every.nth(1).get_attribute("aria-current") == "true"


def test_a_draft_is_shown_and_tried_over_what_is_open(everybody: Desk) -> None:
    everybody.go("/policies")
    assert everybody.says("A draft waits")
    everybody.looks_right("policies")
    everybody.page.locator("a[href^='/policies/drafts/']").click()
    assert everybody.says("Ben Hughes")
    everybody.page.get_by_text("packs/milk.yaml, line by line").click()
    assert everybody.says("phrases: [bring the milk]")
    everybody.looks_right("draft")
    everybody.page.get_by_label("What is opened for this purpose").check()
    everybody.page.fill("#from", "2026-11-19")
    everybody.page.fill("#to", "2026-11-22")
    everybody.press("Try the draft")
    assert "judged again in" in everybody.ended()
    assert everybody.says("Newly matched: 1")
    assert everybody.says("Whose turn is it to bring the milk?")
    everybody.goes_by_keyboard()
    everybody.looks_right("tried")


def test_a_policy_officer_tries_a_draft_over_the_sample_by_keyboard(newer: Console) -> None:
    officer = newer.sign_in("policy").start()
    officer.go("/policies")
    officer.page.locator("a[href^='/policies/drafts/']").click()
    officer.tab_to("The sample")  # the one choice: what is open is closed to them
    officer.page.keyboard.press("Space")
    officer.page.keyboard.press("Enter")
    assert "judged again in" in officer.ended()
    assert officer.says("the sample")
    officer.looks_right()


def test_one_person_is_gathered_in_a_scope_and_handed_out_with_third_parties_marked(
    everybody: Desk, tmp_path: Path
) -> None:
    everybody.go("/subject")
    everybody.page.fill("#person", "Ben Hughes")
    everybody.page.fill("#basis", "SAR/2026/31")
    everybody.page.get_by_label("Response A social", exact=True).check()
    everybody.press("Gather it")
    everybody.page.get_by_text("Hand it out").click()
    everybody.looks_right("subject-found")
    everybody.page.fill("#recipient", "Ben Hughes himself")
    with everybody.page.expect_download() as waiting:
        everybody.press("Save the file")
    file = tmp_path / "person.jsonl"
    waiting.value.save_as(file)
    first, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert first["subject"] == BEN
    assert all("third_parties" in line for line in lines)


def test_what_is_printed_has_its_purpose_and_no_buttons(everybody: Desk) -> None:
    everybody.go("/subject")
    everybody.page.fill("#person", "Ben Hughes")
    everybody.page.fill("#basis", "SAR/2026/31")
    everybody.press("Gather it")
    page = everybody.page
    page.emulate_media(media="print")
    assert page.get_by_text("Two sugars please").first.is_visible()
    assert page.get_by_text(CASE).first.is_visible()
    for hidden in (".govuk-service-navigation", ".govuk-button", ".govuk-back-link", "form"):
        for one in page.locator(hidden).all():
            assert not one.is_visible(), hidden
    page.emulate_media(media="screen")


def test_a_conversation_is_printed_with_earlier_versions_and_the_rest_of_long_messages(
    everybody: Desk,
) -> None:
    everybody.go("/rooms/response-a-social/conversation")
    page = everybody.page
    earlier = page.locator(".bl-versions").first
    rest = page.locator("details .bl-said__text").first
    assert not _is_painted(earlier)
    assert not _is_painted(rest)
    page.emulate_media(media="print")
    assert "Who's on the tea run?" in earlier.inner_text()
    assert "x" * 3000 in rest.inner_text()
    assert _is_painted(earlier)
    assert _is_painted(rest)
    for hidden in ("form", "details.bl-noprint"):
        assert not any(_is_painted(one) for one in page.locator(hidden).all()), hidden
    page.emulate_media(media="screen")


def _is_painted(one: Any) -> bool:
    """Whether it has a place on the paper: what a closed part leaves out has none."""
    return bool(
        one.evaluate(
            "one => one.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
            " && one.getBoundingClientRect().height > 0"
        )
    )


def test_after_signing_out_the_way_back_shows_nothing(newer: Console) -> None:
    desk = newer.sign_in("acustodian").start()
    desk.unlock()
    desk.go("/rooms/response-a-social/conversation")
    assert desk.says("bring the milk")
    desk.press("Sign out")
    desk.page.get_by_role("heading", name="Sign in").wait_for()
    desk.page.go_back()
    desk.page.wait_for_load_state()
    assert desk.lacks("bring the milk")
