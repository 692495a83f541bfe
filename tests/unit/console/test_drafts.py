"""A draft of the policy is shown beside what decides, and tried over what is open."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.console.drafts import waiting
from bridge.console.sessions import Session
from bridge.facts import PolicyApproved
from bridge.model import Action
from bridge.policy.comparing import compare_files, compare_rules
from bridge.policy.load import load, revision_of
from bridge.policy.replay import Replayed, Shift, Way, shifts
from bridge.records import trying
from bridge.records.consult import journal_of
from bridge.records.trying import Run
from bridge.running.shelf import Shelf, read_files
from bridge.running.trial import trials
from bridge.store import journal
from tests.unit.console.conftest import AGENT, Browser
from tests.unit.console.world import ANNA, BEN, TOP, Story, World, found, rids, shift

KEBAB = """rules:
  - id: pack.milk
    title: Milk
    reason: it has milk
    family: milk
    dpia: DPIA-1
    phrases: [bring the milk]
    confidence: {base: 99}
    match: [bring the milk please]
    no_match: [a kebab]
"""
SAMPLE = [
    {"id": "one", "text": "who will bring the milk today", "label": "social"},
    {"id": "two", "text": "see you at the gym", "label": "social"},
    {"id": "three", "text": "AB12 CDE just left the address, units to attend", "label":
     "operational"},
]  # fmt: skip


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two people made what decides active; one of them has put a draft forward since."""
    files = read_files(TOP / "policies")
    draft = {**files, "packs/milk.yaml": KEBAB.encode()}
    story = shift(Story())
    story.tell(*(PolicyApproved(revision=revision_of(files), by=one, account="x")
                 for one in (ANNA, BEN)))  # fmt: skip
    story.later(60_000)
    story.tell(PolicyApproved(revision=revision_of(draft), by=BEN, account="ben"))
    made = found(tmp_path_factory.mktemp("drafts") / "force", "psd", story=story)
    with (made.folder / "config.yaml").open("a") as config:
        config.write("policies:\n  folder: policies\n  activation: two-people\n")
    with (made.folder / "console.yaml").open("a") as settings:
        settings.write("sample: [sample.jsonl]\n")
    lines = "".join(json.dumps(one) + "\n" for one in SAMPLE)
    (made.folder / "sample.jsonl").write_text(lines)
    Shelf(made.config.shelf).keep(files)
    (made.folder / "policies" / "packs" / "milk.yaml").write_text(KEBAB)
    return made


def revision(world: World) -> str:
    return revision_of(read_files(world.config.policies))


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.desk.trial = trials(replace(browser.desk.config, model=None))
    return browser


def session_of(person: Browser) -> Session:
    found = person.desk.sessions.get(person.token, AGENT)
    assert found is not None
    return found


async def tried(person: Browser, over: str, **more: str) -> tuple[str, str]:
    """Try the draft, and give the place and the page of what came out."""
    place = f"/policies/drafts/{revision(person.world)}"
    form = {"over": over, "from": "2026-11-19", "to": "2026-11-23", **more}
    answer = await person.post(f"{place}/try", form)
    assert answer.status == 303, await answer.text()
    where = answer.headers["Location"]
    return where, await person.ended(where)


async def test_a_draft_that_waits_says_who_put_it_forward_and_what_is_otherwise(
    browser: Browser,
) -> None:
    person = await browser.sign_in("policy").start()
    listed = await (await person.get("/policies")).text()
    assert "A draft waits" in listed
    assert "Put forward by" in listed
    assert "Ben Hughes" in listed
    page = await (await person.get(f"/policies/drafts/{revision(browser.world)}")).text()
    assert "Ben Hughes" in page
    assert "1 more policy officer" in page
    assert "pack.milk" in page
    assert "Milk (enforce)" in page
    assert "phrases: [bring the milk]" in page
    assert (await person.get(f"/policies/drafts/{'0' * 64}")).status == 404


async def test_a_draft_is_tried_over_what_is_open_and_says_what_would_be_moved(
    browser: Browser,
) -> None:
    person = await (await browser.sign_in("acustodian").start(case="DRAFT/1")).unlock()
    where, page = await tried(person, "records")
    assert "pack.milk" in page
    assert "Newly matched: 1" in page
    assert "bring the milk?" in page
    assert "left alone" in page
    said = [one for one in journal.read(journal_of(person.world.config)) if one.case == "DRAFT/1"]
    whats = [one.what for one in said]
    first = whats.index("tried a draft of the policy over records")
    assert "read examples of what a draft would do" in whats[first + 1 :]
    assert said[first].scope.startswith(f"draft:{revision(browser.world)[:12]} from:2026-11-19")
    assert re.fullmatch(r"/policies/tried/[\w-]{16}", where)


async def test_a_policy_officer_is_given_figures_and_never_words(browser: Browser) -> None:
    """They may ask custodians for records to try a draft over, and are shown none of them."""
    officer = await browser.sign_in("policy").start()
    answer = await officer.post("/keys/ask", {"room": "response-a-social", "from": "2026-11-19"})
    assert answer.status == 303
    (request,) = (one for one, each in browser.desk.requests.items() if each.made.who == "policy")
    keys = await (await browser.sign_in("acustodian").start("Appeal or referral", "R/1")).unlock()
    await keys.get(f"/keys/requests/{request}")
    assert (await keys.post(f"/keys/requests/{request}", {"decision": "release"})).status == 303
    used = await officer.post(f"/keys/requests/{request}/use")
    assert used.headers["Location"] == "/policies"
    _, page = await tried(officer, "records")
    assert "pack.milk" in page
    assert "Newly matched: 1" in page
    assert "bring the milk?" not in page
    assert "Examples are shown to whoever may read" in page
    milk = next(iter(rids(browser.world.config, "message")))
    for path in (f"/records/{milk}", "/rooms/response-a-social/conversation", "/search"):
        assert (await officer.get(path)).status == 403
    browser.desk.requests.clear()


async def test_only_what_was_released_is_judged_again(browser: Browser) -> None:
    asker = await browser.sign_in("areader").start()
    await asker.post("/keys/ask", {"person": "Ben Hughes"})
    (request,) = (one for one, each in browser.desk.requests.items() if each.made.who == "areader")
    keys = await (await browser.sign_in("acustodian").start("Appeal or referral", "R/1")).unlock()
    await keys.get(f"/keys/requests/{request}")
    await keys.post(f"/keys/requests/{request}", {"decision": "release"})
    await asker.post(f"/keys/requests/{request}/use")
    where, page = await tried(asker, "records")
    run: Any = session_of(asker).visit.searches[where.rsplit("/", 1)[1]]  # type: ignore[union-attr]
    mine, whole = len(run.found), len([*rids(browser.world.config, "message")])
    assert 3 < mine < whole
    assert "Newly matched: none" in page  # the milk was Anna's
    browser.desk.requests.clear()


async def test_a_draft_is_tried_over_the_sample_without_any_key(browser: Browser) -> None:
    person = await browser.sign_in("policy").start()
    _, page = await tried(person, "sample")
    assert "<strong>3 messages</strong> judged again" in page
    assert "who will bring the milk today" in page
    assert "Newly matched: 1" in page
    assert "Record<span" not in page


async def test_without_a_key_records_are_not_tried(browser: Browser) -> None:
    person = await browser.sign_in("policy").start()
    place = f"/policies/drafts/{revision(browser.world)}/try"
    for form, said in (({"over": "records"}, "Content is closed"), ({}, "Select what to try"),
                       ({"over": "all"}, "Select what to try")):  # fmt: skip
        answer = await person.post(place, form)
        assert answer.status == 400
        assert said in await answer.text()
    keys = await (await browser.sign_in("acustodian").start()).unlock()
    answer = await keys.post(place, {"over": "records", "from": "2026-11-23", "to": "2026-11-20"})
    assert "The last day is before the first" in await answer.text()


async def test_whoever_only_sees_policies_tries_nothing(browser: Browser) -> None:
    person = await browser.sign_in("sokoro").start()
    place = f"/policies/drafts/{revision(browser.world)}"
    assert "Policy officers and auditors can try it" in await (await person.get(place)).text()
    assert (await person.post(f"{place}/try", {"over": "sample"})).status == 403


async def test_a_trial_is_its_owners_alone_and_gone_with_the_key(browser: Browser) -> None:
    one = await (await browser.sign_in("acustodian").start()).unlock()
    where, _ = await tried(one, "records")
    other = await (await browser.sign_in("curious").start()).unlock()
    assert (await other.get(where)).status == 410
    assert (await other.post(f"{where}/stop")).status == 410
    assert (await one.get(where.replace("/policies/tried/", "/search/"))).status == 410
    await one.post("/keys/lock")
    assert (await one.get(where)).status == 410


async def test_a_trial_that_is_stopped_says_how_far_it_came(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "CHUNK", 2)
    person = await (await browser.sign_in("acustodian").start()).unlock()
    gate = browser.desk.trial
    assert gate is not None
    made: list[Run] = []

    def slowly(policy: Any) -> Any:
        visit = session_of(person).visit
        assert visit is not None
        made.extend(one for one in visit.searches.values() if isinstance(one, Run))
        made[0].stop()
        return gate(policy)

    browser.desk.trial = slowly
    _, page = await tried(person, "records")
    assert "Stopped after 2 of" in page


async def test_a_trial_that_fails_says_so_and_shows_nothing(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()

    def broken(_policy: object) -> Any:
        raise RuntimeError("the words of a message")

    browser.desk.trial = broken
    _, page = await tried(person, "records")
    assert "The trial failed" in page
    assert "the words of a message" not in page


async def test_a_draft_that_does_not_load_is_shown_and_not_tried(browser: Browser) -> None:
    path = browser.world.folder / "policies" / "packs" / "milk.yaml"
    try:
        path.write_text("rules: [")
        person = await browser.sign_in("policy").start()
        place = f"/policies/drafts/{revision(browser.world)}"
        page = await (await person.get(place)).text()
        assert "packs/milk.yaml" in page
        assert "A draft that does not load cannot be tried" in page
        answer = await person.post(f"{place}/try", {"over": "sample"})
        assert answer.status == 400
    finally:
        path.write_text(KEBAB)


def test_without_two_people_only_files_that_the_bot_has_not_taken_over_wait(
    world: World, tmp_path: Path, browser: Browser
) -> None:
    config = replace(world.config, two_people=False, state=tmp_path)
    files = read_files(config.policies)
    with browser.desk.archive.open() as stack:
        find: Callable[[str], Any] = lambda latest: waiting(config, stack, latest)  # noqa: E731
        assert find(revision_of(files)).drafts == ()
        (draft,) = find("f" * 64).drafts
        assert (draft.revision, draft.in_folder) == (revision_of(files), True)
        # What decides has another name where a model takes part, and what is kept was taken over.
        Shelf(config.shelf).keep(files)
        assert find("f" * 64).drafts == ()
        assert find("f" * 64).active == revision_of(files)


def test_what_differs_is_said_by_rule_and_by_line() -> None:
    files = read_files(TOP / "policies")
    name = "rules/vehicles.yaml"
    changed = files[name].replace(b"base: 55, lower: 50", b"base: 60, lower: 50", 1)
    draft = {**files, name: changed}
    del draft["packs/isle.yaml"]
    said = {(one.name, one.what): (one.now, one.draft)
            for one in compare_rules(load(files), load(draft))}  # fmt: skip
    assert said["vehicle.vrm.current", "how sure: base"] == ("55", "60")
    assert all(draft == "" for (_, what), (_, draft) in said.items() if what == "rule")
    assert any(what == "rule" for _, what in said)
    one, other = compare_files(files, draft)
    assert (one.name, other.name) == ("packs/isle.yaml", name)
    assert "+" not in {sign for sign, _ in one.lines}
    assert [sign for sign, _ in other.lines if sign in "+-"] == ["-", "+"]
    assert compare_files(files, files) == ()


def test_what_each_rule_nudges_and_moves_is_counted_now_and_by_the_draft() -> None:
    allowed, moved = Way(Action.ALLOW, None), Way(Action.REDIRECT, "vehicle")
    nudged, out = Way(Action.NUDGE, "vehicle"), Way(Action.QUARANTINE, "marking")
    given = [
        Replayed("a", allowed, nudged), Replayed("b", moved, nudged), Replayed("c", moved, moved),
        Replayed("d", out, allowed), Replayed("e", allowed, allowed),
    ]  # fmt: skip
    assert shifts(given) == (
        Shift("marking", (0, 0), (1, 0)), Shift("vehicle", (0, 2), (2, 1)),
    )  # fmt: skip
