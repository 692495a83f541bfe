"""A curious auditor: what somebody who may read something tries, to read more than that."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from bridge.records.consult import journal_of
from bridge.records.custody import scope_of
from bridge.store import journal
from bridge.store.entries import Filter
from tests.unit.console.conftest import Browser
from tests.unit.console.world import BEN, MINUTE, rids


async def asked(asker: Browser, **form: str) -> str:
    """Ask custodians for these records; the request's name."""
    before = set(asker.desk.requests)
    answer = await asker.post("/keys/ask", form)
    assert answer.status == 303, await answer.text()
    (fresh,) = set(asker.desk.requests) - before
    return fresh


async def released(asker: Browser, custodian: Browser, **form: str) -> str:
    """Have them released, and opened."""
    rid = await asked(asker, **form)
    assert (await custodian.get(f"/keys/requests/{rid}")).status == 200
    answer = await custodian.post(f"/keys/requests/{rid}", {"decision": "release"})
    assert answer.status == 303, await answer.text()
    assert (await asker.post(f"/keys/requests/{rid}/use")).status == 303
    return rid


@pytest_asyncio.fixture
async def custodian(browser: Browser) -> Browser:
    return await (await browser.sign_in("second").start("Appeal or referral", "R/1")).unlock("psd")


@pytest_asyncio.fixture
async def asker(browser: Browser) -> AsyncIterator[Browser]:
    yield await browser.sign_in("areader").start()
    browser.desk.requests.clear()


def named(browser: Browser, name: str) -> str:
    """The record of a message of the story."""
    with browser.desk.archive.open(conduct=True) as stack:
        numbers = [one.rid for one in stack.index.stream(Filter(kinds=frozenset({"message"})))][
            ::-1
        ]
    return numbers[{"milk": 0, "uht": 1, "plate": 2, "lane": 3}[name]]


async def test_what_was_released_of_one_person_opens_nothing_of_another(
    asker: Browser, custodian: Browser
) -> None:
    """Not by a wider search, a link, a file, an export or a person's own page."""
    await released(asker, custodian, room="response-a-social", person="Ben Hughes")
    talk = await (await asker.get("/rooms/response-a-social/conversation")).text()
    assert "AB12 CDE has just left" in talk
    assert "Whose turn is it" not in talk
    assert "Anna Reid" not in talk
    assert (await asker.get(f"/records/{named(asker, 'milk')}")).status == 403
    assert (await asker.get(f"/records/{named(asker, 'uht')}")).status == 200
    for form in ({"words": "turn"}, {"kind": "said"}, {"person": "Anna Reid"},
                 {"room": "Response A secure"}):  # fmt: skip
        place = (await asker.post("/search", form)).headers["Location"]
        assert "Whose turn is it" not in await asker.ended(place)
    for file in rids(asker.world.config, "media"):
        assert (await asker.post(f"/records/{file}/file")).status == 400
    answer = await asker.post("/subject", {"person": "Anna Reid", "basis": "SAR/9"})
    assert "Whose turn is it" not in await (await asker.get(answer.headers["Location"])).text()


async def test_what_was_released_is_for_that_purpose_and_case_alone(
    asker: Browser, custodian: Browser
) -> None:
    rid = await released(asker, custodian, person="Ben Hughes")
    await asker.post("/start", {"purpose": "Audit of how rooms are used", "case": "C/2"})
    assert (await asker.get("/rooms/response-a-social/conversation")).status == 403
    answer = await asker.post(f"/keys/requests/{rid}/use")
    assert answer.status == 400
    assert "another purpose or case" in await answer.text()
    assert (await asker.get("/rooms/response-a-social/conversation")).status == 403


async def test_a_request_is_nobody_elses_to_open(asker: Browser, custodian: Browser) -> None:
    rid = await released(asker, custodian, person="Ben Hughes")
    other = await asker.sign_in("disclose").start()
    for person in (other, custodian):
        answer = await person.post(f"/keys/requests/{rid}/use")
        assert answer.status in {403, 404}
    assert (await other.get("/rooms/response-a-social/conversation")).status == 403


async def test_nobody_answers_their_own_request(browser: Browser) -> None:
    person = await browser.sign_in("curious").start()
    rid = await asked(person, person="Ben Hughes")
    await person.unlock("psd")
    assert (await person.get(f"/keys/requests/{rid}")).status == 403
    assert (await person.post(f"/keys/requests/{rid}", {"decision": "release"})).status == 403
    browser.desk.requests.clear()


async def test_a_request_that_is_too_old_opens_nothing(asker: Browser, custodian: Browser) -> None:
    rid = await asked(asker, person="Ben Hughes")
    await custodian.get(f"/keys/requests/{rid}")
    for _ in range(8 * 24 * 4):  # whoever works on stays signed in; the request does not last
        asker.clock.move(15 * MINUTE)
    late = await (await asker.sign_in("second").start("Appeal or referral", "R/1")).unlock("psd")
    answer = await late.post(f"/keys/requests/{rid}", {"decision": "release"})
    assert answer.status == 409


async def test_a_scope_says_no_more_than_its_fields(asker: Browser) -> None:
    """What is typed into one field does not become another: a case that widens, a second room."""
    rid = await asked(asker, person="Ben Hughes", rule='veh.vrm person:"Anna Reid" rid:x')
    parsed = scope_of(asker.world.config, asker.desk.requests[rid].made.scope)
    assert parsed.person == BEN
    assert parsed.clear == {"rule": 'veh.vrm person:"Anna Reid" rid:x'}


async def test_searches_and_gatherings_are_their_owners_alone(browser: Browser) -> None:
    one = await (await browser.sign_in("curious").start()).unlock("psd")
    searched = (await one.post("/search", {"words": "milk"})).headers["Location"]
    gathered = (await one.post("/subject", {"person": "Ben Hughes", "basis": "x"})).headers[
        "Location"
    ]
    other = await (await browser.sign_in("acustodian").start()).unlock("psd")
    for place in (searched, gathered):
        assert (await other.get(place)).status == 410
    assert (await other.post(f"{searched}/stop")).status == 410
    assert (await one.get(gathered.replace("/subject/", "/search/"))).status == 200
    discloser = await browser.sign_in("disclose").start()
    answer = await discloser.post(f"{searched}/export", {"recipient": "me"})
    assert answer.status == 410


async def test_after_the_key_is_locked_nothing_that_was_open_is(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start()).unlock("psd")
    place = (await person.post("/search", {"words": "milk"})).headers["Location"]
    gathered = (await person.post("/subject", {"person": "Ben Hughes", "basis": "x"})).headers[
        "Location"
    ]
    milk = named(person, "milk")
    assert (await person.get(f"/records/{milk}")).status == 200
    await person.post("/keys/lock")
    for path, status in ((place, 410), (gathered, 410), (f"/records/{milk}", 403),
                         ("/rooms/response-a-social/conversation", 403)):  # fmt: skip
        assert (await person.get(path)).status == status, path
    assert (await person.post(f"{place}/export", {"recipient": "me"})).status == 410


async def test_after_the_session_is_over_no_page_and_no_file_is_served(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start()).unlock("psd")
    place = (await person.post("/search", {"words": "milk"})).headers["Location"]
    browser.clock.move(21 * MINUTE)
    for path in (place, f"/records/{named(person, 'milk')}", "/"):
        assert (await person.get(path)).headers["Location"].startswith("/sign-in")
    assert (await person.post(f"{place}/export", {"recipient": "me"})).status == 403


async def test_another_case_needs_everything_anew(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start()).unlock("psd")
    place = (await person.post("/search", {"words": "milk"})).headers["Location"]
    await person.start(case="C/2")
    assert (await person.get(place)).status == 410
    assert (await person.get("/rooms/response-a-social/conversation")).status == 403


@pytest.mark.parametrize(
    "rid",
    ["0" * 31, "0" * 33, "F" * 32, "../../etc/passwd", "%00", "' OR 1=1 --", "..%2f..%2fx",
     "\u202e" * 32, "x" * 3000],
)  # fmt: skip
async def test_names_that_were_made_up_find_nothing_and_break_nothing(
    browser: Browser, rid: str
) -> None:
    person = await (await browser.sign_in("curious").start()).unlock("psd")
    for path in (f"/records/{rid}", f"/records/{rid}/proof", f"/search/{rid}", f"/rooms/{rid}",
                 f"/referrals/{rid}", f"/subject/{rid}", f"/rooms/{rid}/conversation"):  # fmt: skip
        answer = await person.get(path)
        assert answer.status in {400, 404, 410}, (path, answer.status)
        assert "Traceback" not in await answer.text()


@pytest.mark.parametrize("value", ["-1", "9" * 15, "9" * 40, "1e9", "\u0665", "'", ""])
async def test_odd_numbers_in_addresses_break_nothing(browser: Browser, value: str) -> None:
    person = await (await browser.sign_in("curious").start()).unlock("psd")
    place = (await person.post("/search", {"kind": "said"})).headers["Location"]
    for path in (f"/rooms/response-a-social/conversation?before={value}",
                 f"/rooms/response-a-social/conversation?after={value}",
                 f"{place}?page={value}", f"/looked?page={value}"):  # fmt: skip
        assert (await person.get(path)).status == 200, path


async def test_names_with_markup_are_text_wherever_they_stand(browser: Browser) -> None:
    """In a case, a recipient, a reason, a word that is searched, a person's own name."""
    evil = '"><script>alert(1)</script>'
    file = browser.world.folder / "people.csv"
    before = file.read_text()
    try:
        file.write_text(before.replace("Ben Hughes", "Ben <b>Hughes</b>"))
        person = browser.sign_in("curious")
        form = {"purpose": "Audit of how rooms are used", "case": evil, "then": "/"}
        assert (await person.post("/start", form)).status == 303
        await person.unlock("psd")
        place = (await person.post("/search", {"words": evil})).headers["Location"]
        await person.post(f"{place}/export", {"recipient": evil})
        again = place.rsplit("/", 1)[1]
        talk = "/rooms/response-a-social/conversation"
        for path in ("/", place, f"/search?again={again}", "/looked", "/rooms", talk):
            text = await (await person.get(path)).text()
            assert "<script>alert" not in text, path
            assert "<b>Hughes" not in text, path
        assert "&lt;b&gt;Hughes" in text
    finally:
        file.write_text(before)


async def test_a_download_has_a_name_of_ours_and_nothing_runs_in_it(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start()).unlock("psd")
    (file,) = rids(person.world.config, "media")
    answer = await person.post(f"/records/{file}/file")
    assert answer.status == 200
    how = answer.headers["Content-Disposition"]
    assert re.fullmatch(r'inline; filename="[A-Za-z0-9 ._()-]+\.png"', how)
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer.headers["Cache-Control"]
    place = (await person.post("/search", {"kind": "said"})).headers["Location"]
    for recipient in ("a court", "a\r\nSet-Cookie: x=y", '"; filename="evil.exe'):
        answer = await person.post(f"{place}/export", {"recipient": recipient})
        assert re.fullmatch(r'attachment; filename="bluelamp-[0-9a-f]{8}\.jsonl"',
                            answer.headers["Content-Disposition"])  # fmt: skip
        assert "Set-Cookie" not in answer.headers


async def test_a_look_that_cannot_be_recorded_is_not_taken(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is no way to read without being seen."""
    person = await (await browser.sign_in("curious").start()).unlock("psd")

    def full(_path: Path, _entries: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "add", full)
    for path in ("/rooms/response-a-social/conversation", f"/records/{named(person, 'milk')}"):
        answer = await person.get(path)
        assert answer.status == 500
        assert "milk" not in await answer.text()


async def test_every_look_of_an_attack_is_on_record(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start(case="LATE/9")).unlock("psd")
    await person.get(f"/records/{named(person, 'milk')}")
    await person.get("/rooms/response-a-social/conversation")
    await person.post("/search", {"words": "milk"})
    said = [one.what for one in journal.read(journal_of(person.world.config))
            if one.case == "LATE/9"]  # fmt: skip
    assert said == ["unlocked the key of psd", "read a record", "read a conversation",
                    "searched the words of what is open"]  # fmt: skip


async def unlocked_with(person: Browser, vault: str, share: str) -> int:
    form = aiohttp.FormData()
    form.add_field("vault", vault)
    form.add_field("passphrase", person.world.passphrase(share))
    form.add_field("share", person.world.share(share).read_bytes(), filename="share")
    return (await person.post("/keys/unlock", form)).status


async def test_a_share_of_another_vault_opens_nothing(browser: Browser) -> None:
    person = await browser.sign_in("curious").start()
    assert await unlocked_with(person, "psd", "reviewers") == 400
    assert await unlocked_with(person, "reviewers", "psd") == 400
    reviewer = await browser.sign_in("sokoro").start()
    assert await unlocked_with(reviewer, "psd", "psd") == 400
    assert (await reviewer.get("/rooms/response-a-social/conversation")).status == 403
