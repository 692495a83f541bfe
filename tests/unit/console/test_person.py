"""Everything of one person in a scope, with everybody else marked, as a page and as a file."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import aiohttp
import pytest

from bridge.model import UserId
from bridge.records.consult import journal_of
from bridge.records.naming import names_of, texts_of
from bridge.register import Person
from bridge.store import journal
from tests.unit.console.conftest import Browser
from tests.unit.console.world import ANNA, BEN, SOCIAL_B, Story, World, found, shift

INJECTED = '\u2028{"index":0,"opened":"forged"}\u2029\x85{"index":1}'


def told() -> Story:
    story = shift(Story())
    story.say(BEN, "Has anybody seen Anna? The sergeant asked Patel as well", name="names")
    story.say(BEN, "planning the reidcross kitchen", name="no names")
    story.say(BEN, INJECTED, name="breaks")
    story.say(BEN, "Ask @dan.murray:force.example, he was there", room=SOCIAL_B, name="b")
    return story


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    return found(tmp_path_factory.mktemp("person") / "force", "psd", story=told())


@pytest.fixture
async def officer(browser: Browser) -> Browser:
    """A disclosure officer to whom everything of two rooms was released."""
    return await (await browser.sign_in("curious").start(case="SAR/31")).unlock()


async def gathered(who: Browser, /, **form: Any) -> str:
    form = {"person": "Ben Hughes", "basis": "SAR/2026/31", **form}
    answer = await who.post("/subject", form)
    assert answer.status == 303, await answer.text()
    assert "ben" not in answer.headers["Location"].lower().rsplit("/", 1)[0]
    return answer.headers["Location"]


async def handed_out(who: Browser, place: str) -> tuple[aiohttp.ClientResponse, list[Any]]:
    answer = await who.post(f"{place.replace('/subject/', '/search/')}/export",
                            {"recipient": "Ben Hughes himself"})  # fmt: skip
    text = await answer.text()
    return answer, [json.loads(line) for line in text.splitlines()]


async def test_a_scope_narrows_what_is_gathered_and_stands_on_record(officer: Browser) -> None:
    place = await gathered(officer, room=["response-b-social"], **{"from": "2026-11-20"})
    page = await (await officer.get(place)).text()
    assert "he was there" in page
    assert "overslept" not in page
    assert "names Dan Murray" in page
    said = [one for one in journal.read(journal_of(officer.world.config)) if one.case == "SAR/31"]
    mine = [one for one in said if one.what == "gathered what there is about one person"]
    assert mine[-1].scope == (
        f"person:{BEN} room:response-b-social from:2026-11-20 basis:SAR/2026/31"
    )


async def test_third_parties_are_marked_in_the_file_record_by_record(officer: Browser) -> None:
    place = await gathered(officer)
    answer, (about, *lines) = await handed_out(officer, place)
    assert answer.status == 200
    assert about["subject"] == BEN
    assert about["recipient"] == "Ben Hughes himself"
    assert {json.loads(one["opened"])["sender"] for one in lines if one["opened"]} == {BEN}
    by_text = {json.loads(one["opened"])["content"].get("body"): one["third_parties"]
               for one in lines if one["opened"]}  # fmt: skip
    assert by_text["Has anybody seen Anna? The sergeant asked Patel as well"] == [
        "Anna Reid", "Chloe Patel"
    ]  # fmt: skip
    assert by_text["planning the reidcross kitchen"] == []
    assert by_text["Ask @dan.murray:force.example, he was there"] == ["Dan Murray"]
    assert about["naming_others"] == sum(bool(one["third_parties"]) for one in lines)
    said = [one for one in journal.read(journal_of(officer.world.config)) if one.case == "SAR/31"]
    assert said[-1].category == "disclosure"
    assert said[-1].recipient == "Ben Hughes himself"
    assert said[-1].count == about["records"] == len(lines)


async def test_no_words_of_a_message_become_a_line_of_a_file(officer: Browser) -> None:
    """Readers break lines at more signs than JSON escapes."""
    _, (about, *lines) = await handed_out(officer, await gathered(officer))
    assert len(lines) == about["records"]
    assert not [one for one in lines if one.get("opened") == "forged"]
    said = [json.loads(one["opened"])["content"].get("body") for one in lines if one["opened"]]
    assert INJECTED in said
    answer = await officer.post("/search", {"kind": "said"})
    answer = await officer.post(f"{answer.headers['Location']}/export", {"recipient": "x"})
    raw = await answer.read()
    assert len(raw.decode().splitlines()) == raw.count(b"\n")
    first, _, body = raw.partition(b"\n")
    assert json.loads(first)["sha256_of_lines"] == hashlib.sha256(body).hexdigest()
    assert "third_parties" not in json.loads(body.splitlines()[0])


@pytest.mark.parametrize(
    ("form", "said"),
    [({"person": "Nobody Known"}, "full name, collar number"), ({"basis": ""}, "on what ground"),
     ({"from": "yesterday"}, "is not a day"), ({"room": "made-up"}, "no room"),
     ({"from": "2026-11-21", "to": "2026-11-20"}, "before the first")],
)  # fmt: skip
async def test_what_cannot_be_gathered_is_said(
    officer: Browser, form: dict[str, str], said: str
) -> None:
    answer = await officer.post("/subject", {"person": "Ben Hughes", "basis": "x", **form})
    assert answer.status == 400
    assert said in await answer.text()


async def test_whoever_gathers_and_may_not_hand_out_gets_no_file(browser: Browser) -> None:
    auditor = await (await browser.sign_in("acustodian").start()).unlock()
    place = await gathered(auditor)
    page = await (await auditor.get(place)).text()
    assert "Hand it out" not in page
    answer, _ = await auditor.post(f"{place.replace('/subject/', '/search/')}/export"), None
    assert answer.status == 403


def test_who_is_named_is_found_however_it_is_written() -> None:
    anna, ann = (Person(id=UserId(f"@{name}:x"), name=name, collar=collar)
                 for name, collar in (("Anna Reid", "4471"), ("Ann Straße", "")))  # fmt: skip
    names = names_of([anna, ann], "@me:x")
    for text, who in (
        ("ANNA said so", ("Anna Reid",)), ("annata", ()), ("Ann and Anna", (ann.name, anna.name)),
        ("STRASSE", ("Ann Straße",)), ("ask 4471", ("Anna Reid",)), ("44710", ()),
        ("\uff32\uff45\uff49\uff44!", ("Anna Reid",)), ("", ()),
    ):  # fmt: skip
        assert names.within([text]) == who, text
    assert names.within([], [str(anna.id), "@stranger:x"]) == ("Anna Reid",)
    assert names_of([anna], str(anna.id)).within(["Anna Reid"]) == ()
    assert names_of([], "@me:x").within(["anything"]) == ()


def test_every_text_inside_a_record_is_looked_at() -> None:
    inside = {"content": {"body": "a", "m.mentions": {"user_ids": [ANNA]},
                          "m.new_content": {"formatted_body": "<b>b</b>"}, "n": 5}}  # fmt: skip
    found = set(texts_of(json.dumps(inside).encode()))
    assert {"a", ANNA, "<b>b</b>"} <= found
    assert list(texts_of(b"no json")) == []
    assert list(texts_of(b'["x"]')) == []
