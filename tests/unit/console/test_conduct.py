"""Professional-standards matters: nobody else sees one, counts one, or knows that there is one."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from bridge.records.consult import journal_of
from bridge.store import journal
from bridge.store.entries import Filter
from tests.unit.console.conftest import Browser
from tests.unit.console.world import World, rids

#: The message, its rule, and the person who said it.
WORDS, RULE, PERSON = "shut her up", "con.grievance", "Dan Murray"


@pytest_asyncio.fixture
async def standards(browser: Browser) -> Browser:
    """Somebody of professional standards, with the reviewers' key."""
    return await (await browser.sign_in("pstandards").start("Appeal or referral")).unlock(
        "reviewers"
    )


@pytest_asyncio.fixture
async def curious(browser: Browser) -> AsyncIterator[Browser]:
    """Somebody with every role but that one, and every key."""
    person = await browser.sign_in("curious").start()
    await person.unlock("psd")
    yield await person.unlock("reviewers")


@pytest_asyncio.fixture
async def reviewer(browser: Browser) -> Browser:
    """A reviewer who is nothing else."""
    return await (await browser.sign_in("sokoro").start("Appeal or referral")).unlock("reviewers")


def matter(world: World, browser: Browser) -> tuple[str, set[str]]:
    """The verdict, and the names of every record that is about it."""
    with browser.desk.archive.open(conduct=True) as stack:
        (verdict,) = stack.index.newest(Filter(rules=frozenset({RULE}),
                                               kinds=frozenset({"verdict"})), 5)  # fmt: skip
        every, fresh = {verdict.rid, verdict.ref}, {verdict.rid, verdict.ref}
        while fresh:
            fresh = {one.rid for one in stack.index.about(fresh)} - every
            every |= fresh
    return verdict.rid, every


async def narrowed(person: Browser, **form: str) -> str:
    """Where the looks are that somebody asked for."""
    return (await person.post("/looked", form)).headers["Location"]


async def text_of(person: Browser, path: str) -> str:
    answer = await person.get(path)
    assert answer.status == 200, path
    return await answer.text()


async def searched(person: Browser, /, **form: str) -> str:
    answer = await person.post("/search", form)
    return await person.ended(answer.headers["Location"])


def nothing_of_it(text: str, every: set[str]) -> bool:
    said = {WORDS, RULE, *every, *(rid[:8] for rid in every)}
    return not [one for one in said if one in text]


PAGES = (
    "/", "/keys", "/referrals", "/referrals?queue=appeals", "/search", "/rooms", "/retention",
    "/referrals?queue=professional-standards", "/rooms/response-a-social/conversation",
    "/policies", "/acknowledgements", "/subject", "/accounts", "/rooms/response-a-social",
    "/looked", "/acknowledgements/response-a-social",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_shows_one_to_whoever_has_every_other_role(
    curious: Browser, path: str
) -> None:
    _, every = matter(curious.world, curious)
    assert len(every) > 3
    assert nothing_of_it(await text_of(curious, path), every)


@pytest.mark.parametrize("path", ["/", "/referrals", "/policies", "/rooms"])
async def test_no_page_shows_one_to_a_reviewer(reviewer: Browser, path: str) -> None:
    assert nothing_of_it(await text_of(reviewer, path), matter(reviewer.world, reviewer)[1])


async def test_professional_standards_sees_what_the_others_do_not(standards: Browser) -> None:
    verdict, _ = matter(standards.world, standards)
    assert RULE in await text_of(standards, "/conduct")
    assert "professional standards matter<" in await text_of(standards, "/")
    assert WORDS in await text_of(standards, f"/referrals/{verdict}")


@pytest.mark.parametrize("who", ["curious", "sokoro"])
async def test_a_link_to_any_record_of_one_is_as_one_to_nothing(
    curious: Browser, reviewer: Browser, who: str
) -> None:
    person = curious if who == "curious" else reviewer
    verdict, every = matter(person.world, person)
    await person.get("/")  # says what was said for the next page
    for path in ("/records/{}", "/records/{}/proof", "/referrals/{}"):
        strange = await person.get(path.format("0" * 32))
        for rid in every:
            answer = await person.get(path.format(rid))
            assert answer.status == strange.status == 400
            same = (await strange.text()).replace("0" * 32, rid)
            assert _bare(await answer.text()) == _bare(same)
    for path, form in (("/referrals/{}", {"decision": "restored", "reason": "so"}),
                       ("/records/{}/file", {})):  # fmt: skip
        answer = await person.post(path.format(verdict), form)
        assert answer.status == 400
    answer = await person.post(f"/referrals/{verdict}/reveal", {"reason": "because"})
    assert answer.status == 403


def _bare(text: str) -> str:
    """A page without the times on it."""
    return re.sub(r"<time.*?</time>", "", text)


async def test_before_somebody_is_shown_a_page_says_what_that_means_and_shows_nobody(
    standards: Browser, curious: Browser
) -> None:
    verdict, _ = matter(standards.world, standards)
    place = f"/referrals/{verdict}/reveal"
    card = await text_of(standards, place)
    assert "You are about to be shown who Person " in card
    assert "Dan Murray" not in card
    assert WORDS not in card
    empty = await standards.post(place, {"reason": " "})
    assert empty.status == 400
    assert "Say why you have to know who it is" in await empty.text()
    assert "Dan Murray" not in await text_of(standards, f"/referrals/{verdict}")
    await standards.post(place, {"reason": "to speak with them"})
    assert "Dan Murray" in await text_of(standards, f"/referrals/{verdict}")
    again = await standards.get(place)
    assert (again.status, again.headers["Location"]) == (303, f"/referrals/{verdict}")
    assert (await curious.get(place)).status == 403


async def test_the_page_before_somebody_is_shown_takes_an_open_key(browser: Browser) -> None:
    verdict, _ = matter(browser.world, browser)
    closed = await browser.sign_in("pstandards").start("Appeal or referral")
    answer = await closed.get(f"/referrals/{verdict}/reveal")
    assert answer.status == 403
    assert "a key has to be unlocked first" in await answer.text()


async def test_no_search_finds_one(curious: Browser) -> None:
    _, every = matter(curious.world, curious)
    for form in (
        {"words": WORDS}, {"words": "her"}, {"kind": "said"}, {"kind": "verdict"},
        {"kind": "outcome"}, {"kind": "decision"}, {"rule": RULE}, {"person": PERSON},
        {"action": "allow"}, {"room": "Response A social"}, {"room": "Response A social",
         "words": "sergeant"},
    ):  # fmt: skip
        text = await searched(curious, **form)
        asked = re.search(r'<form[^>]* class="bl-chosen">.*?</form>', text, re.DOTALL)
        text = text.replace(asked[0], "") if asked else text  # what they searched for themselves
        text = text.replace(WORDS, "", 2 * (form.get("words") == WORDS))
        assert nothing_of_it(text, every), form


async def test_nothing_is_counted_that_is_not_shown(curious: Browser, standards: Browser) -> None:
    """The charts and the lists agree, and differ from what professional standards are shown."""
    counts = []
    for conduct in (False, True):
        with curious.desk.archive.open(conduct=conduct) as stack:
            every = Filter(kinds=frozenset({"message"}))
            assert stack.index.count(every) == len(list(stack.index.stream(every)))
            counts.append(stack.index.count(every))
    assert counts[1] == counts[0] + 1
    text = await searched(curious, kind="said")
    assert f"{counts[0]} records" in text
    assert "are not counted here" in text


async def test_an_export_leaves_one_out_and_says_so_of_any(curious: Browser) -> None:
    _, every = matter(curious.world, curious)
    for form in ({"kind": "said"}, {"words": "e"}):
        place = (await curious.post("/search", form)).headers["Location"]
        await curious.ended(place)
        answer = await curious.post(f"{place}/export", {"recipient": "the court"})
        assert answer.status == 200
        first, *lines = (await answer.text()).splitlines()
        assert lines
        assert json.loads(first)["without"] == "professional-standards matters, if there are any"
        assert nothing_of_it("".join(lines), every)


async def test_one_person_is_gathered_without_it(curious: Browser) -> None:
    form = {"person": PERSON, "basis": "SAR/1"}
    place = (await curious.post("/subject", form)).headers["Location"]
    assert nothing_of_it(await text_of(curious, place), matter(curious.world, curious)[1])


async def test_what_was_decided_about_one_is_nobody_elses_business(
    curious: Browser, reviewer: Browser, standards: Browser
) -> None:
    verdict, every = matter(standards.world, standards)
    form = {"decision": "referred", "reason": "the sergeant is asked first"}
    assert (await standards.post(f"/referrals/{verdict}", form)).status == 303
    await standards.post(f"/referrals/{verdict}/reveal", {"reason": f"to speak with {PERSON}"})
    assert verdict[:8] in await text_of(standards, "/conduct"), "it waits for somebody else"
    for person in (curious, reviewer):
        assert nothing_of_it(await text_of(person, "/referrals"), every)
    # Of those who may know of it: what others have typed themselves is theirs.
    looked = await text_of(curious, await narrowed(curious, who="pstandards"))
    assert "worked on a professional-standards matter" in looked
    assert nothing_of_it(looked, every)
    assert PERSON not in looked
    answer = await curious.post("/looked/export", {"recipient": "x", "who": "pstandards"})
    assert nothing_of_it(await answer.text(), every)
    independent = await curious.sign_in("independent").start()
    assert verdict in await text_of(independent, "/looked")


async def test_the_case_of_a_matter_cannot_be_asked_for(
    curious: Browser, standards: Browser
) -> None:
    verdict, _ = matter(standards.world, standards)
    await standards.post("/start", {"purpose": "Appeal or referral", "case": "PSD/77", "then": "/"})
    await standards.unlock("reviewers")
    await standards.get(f"/referrals/{verdict}")
    entries = [one for one in journal.read(journal_of(curious.world.config)) if one.conduct]
    assert entries[-1].case == "PSD/77"
    assert "worked on" not in await text_of(curious, await narrowed(curious, case="PSD/77"))


async def test_who_it_is_stays_hidden_from_professional_standards_until_they_say_why(
    browser: Browser,
) -> None:
    """Not by its records, not by a search, and not in the conversation."""
    person = await browser.sign_in("curious").start()
    file = person.world.folder / "people.csv"
    before = file.read_text()
    try:
        file.write_text(before.replace(",curious,", ",curious,professional-standards "))
        await person.unlock("psd")
        await person.unlock("reviewers")
        verdict, every = matter(person.world, person)
        for rid in every:
            assert (await person.get(f"/records/{rid}")).status == 403
        found = await searched(person, words=WORDS)
        assert "1 found" in found
        assert PERSON not in found
        assert PERSON not in await searched(person, kind="verdict", rule=RULE)
        talk = await text_of(person, "/rooms/response-a-social/conversation")
        assert WORDS in talk
        assert PERSON not in _around(talk, WORDS)
        assert nothing_of_it(await searched(person, person=PERSON), every)
        assert PERSON not in await text_of(person, f"/referrals/{verdict}")
        await person.post(f"/referrals/{verdict}/reveal", {"reason": "to speak with them"})
        assert PERSON in await text_of(person, f"/referrals/{verdict}")
        talk = await text_of(person, "/rooms/response-a-social/conversation")
        assert PERSON in _around(talk, WORDS)
        assert (await person.get(f"/records/{verdict}")).status == 200
    finally:
        file.write_text(before)


def _around(page: str, words: str) -> str:
    """The message in which the words are, as the page has it."""
    return next(part for part in page.split("<article") if words in part)


async def test_a_record_that_refers_to_one_later_is_hidden_as_well(curious: Browser) -> None:
    """Decisions, appeals and outcomes come later than the verdict: the mark goes on to them."""
    _, every = matter(curious.world, curious)
    with curious.desk.archive.open() as stack:
        assert stack.index.get(every) == {}
        assert stack.index.about(every) == []
        assert RULE not in {facet.rule for facet in stack.index.facets()}
    assert len(list(rids(curious.world.config, "verdict"))) > 1
    assert msgspec.json.encode(sorted(every))
