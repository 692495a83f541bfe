"""What was chosen stands as tags, which are taken away one by one; records chosen to hand out."""

from __future__ import annotations

import html
import json
import re

import pytest

from bridge.console.pages.chosen import LOOKED, SEARCHED, groups, without
from bridge.records.consult import journal_of
from bridge.store import journal
from tests.unit.console.conftest import Browser

CALLED = {"room": {"a-social": "A social"}, "kind": {"verdict": "what was decided"}}


def tags(text: str) -> list[str]:
    """What takes each tag of a page away."""
    return [html.unescape(one) for one in re.findall(r'name="without" value="([^"]*)"', text)]


async def place_of(person: Browser, path: str, **form: object) -> str:
    answer = await person.post(path, form)
    assert answer.status == 303, await answer.text()
    return answer.headers["Location"]


async def text_of(person: Browser, path: str) -> str:
    answer = await person.get(path)
    assert answer.status == 200
    return await answer.text()


def test_each_value_is_a_tag_and_says_what_it_is_called() -> None:
    form = {"room": ("a-social", "b"), "kind": "verdict", "words": "verdict", "case": ""}
    found = groups(form, SEARCHED, CALLED)
    assert [(one.heading, one.tags) for one in found] == [
        ("Words", (("words", "verdict"),)),
        ("Rooms", (("room a-social", "A social"), ("room b", "b"))),
        ("What", (("kind", "what was decided"),)),
    ]
    assert not groups({"kind": "said", "words": ""}, SEARCHED, CALLED), "nothing was chosen"


@pytest.mark.parametrize("headings", [SEARCHED, LOOKED])
def test_every_tag_takes_away_what_it_says_and_nothing_else(headings: dict[str, str]) -> None:
    form: dict[str, object] = dict.fromkeys(headings, "one of these")
    if "room" in form:
        form["room"] = ("one of these", "another")
    every = [taken for group in groups(form, headings, {}) for taken, _ in group.tags]
    assert len(every) == len(headings) + ("room" in form)
    for taken in every:
        left = without(form, taken)
        after = [one for group in groups(left, headings, {}) for one, _ in group.tags]
        assert sorted([*after, taken]) == sorted(every)


@pytest.mark.parametrize("taken", ["", "nothing", "room c", "basis x"])
def test_what_was_not_chosen_cannot_be_taken_away(taken: str) -> None:
    form = {"room": ("a", "b"), "words": "milk"}
    assert without(form, taken) == form


async def test_a_tag_of_a_search_searches_again_without_it_on_record(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    place = await place_of(person, "/search", action="redirect", rule="veh.vrm", kind="said")
    text = await text_of(person, place)
    assert tags(text) == ["action", "rule"]
    assert "1 record<" in text
    left = await place_of(person, "/search", action="redirect", rule="veh.vrm", kind="said",
                          without="rule")  # fmt: skip
    assert "veh.vrm" not in left
    text = await text_of(person, left)
    assert tags(text) == ["action"]
    assert "3 records<" in text
    said = [one.scope for one in journal.read(journal_of(browser.world.config))]
    before, after = "rule:veh.vrm action:redirect kind:said", "action:redirect kind:said"
    assert said.index(before) < said.index(after)


async def test_each_room_of_a_search_is_a_tag_of_its_own(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    rooms = [("room", "response-a-social"), ("room", "response-a-secure"), ("words", "")]
    answer = await person.post("/search", rooms)
    text = await text_of(person, answer.headers["Location"])
    assert tags(text) == ["room response-a-social", "room response-a-secure"]
    answer = await person.post("/search", [*rooms, ("without", "room response-a-social")])
    text = await text_of(person, answer.headers["Location"])
    assert tags(text) == ["room response-a-secure"]
    assert "Remove </span><bdi" in text
    assert "Response A secure" in text


async def test_a_tag_of_who_looked_shows_the_list_without_it(browser: Browser) -> None:
    person = await browser.sign_in("logs").start()
    place = await place_of(person, "/looked", category="access", who="nobody at all")
    text = await text_of(person, place)
    assert tags(text) == ["category", "who"]
    assert "Nobody has looked at anything like that" in text
    left = await place_of(person, "/looked", category="access", who="nobody at all", without="who")
    text = await text_of(person, left)
    assert tags(text) == ["category"]
    assert "Nobody has looked at anything like that" not in text


async def test_hostile_words_are_a_tag_and_no_markup(browser: Browser) -> None:
    person = await browser.sign_in("logs").start()
    hostile = '"><script>alert(1)</script>\u202e'
    text = await text_of(person, await place_of(person, "/looked", who=hostile))
    assert "<script>alert" not in text
    assert "[U+202E]" in text
    assert tags(text) == ["who"]


async def test_records_that_were_chosen_are_handed_out_and_no_others(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start()).unlock()
    place = await place_of(person, "/search", action="redirect")
    every = re.findall(r'name="rid" value="([0-9a-f]{32})"', await text_of(person, place))
    assert len(every) == 3
    form = [("recipient", "the court"), *(("rid", one) for one in (*every[:2], "0" * 32))]
    answer = await person.post(f"{place}/export", form)
    assert answer.status == 200
    first, *lines = map(json.loads, (await answer.text()).splitlines())
    assert {json.loads(one["header"])["rid"] for one in lines} == set(every[:2])
    assert "chosen one by one" in first["cut_short"]
    whole = await person.post(f"{place}/export", {"recipient": "the court"})
    assert len((await whole.text()).splitlines()) == 1 + 3
    last = [one for one in journal.read(journal_of(browser.world.config)) if one.recipient]
    assert [one.count for one in last[-2:]] == [2, 3]
    assert "chosen:3" in last[-2].scope
