"""What a curious colleague tries: roles that change meanwhile, odd cells, names in addresses."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.console.pages import searching
from bridge.console.pages.looked import _cell
from bridge.records.consult import journal_of
from bridge.store import journal
from tests.unit.console.conftest import AGENT, Browser


@contextmanager
def roles(browser: Browser, name: str, now: str) -> Iterator[None]:
    """Give somebody other roles in people.csv, for as long as this lasts."""
    file = browser.world.folder / "people.csv"
    before = file.read_text(encoding="utf-8")
    lines = [
        f"{line.rsplit(',', 1)[0]},{now}" if f",{name}," in line else line
        for line in before.splitlines()
    ]
    try:
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield
    finally:
        file.write_text(before, encoding="utf-8")


async def test_whoever_loses_a_role_loses_what_they_opened_with_it(browser: Browser) -> None:
    """A custodian who may only audit from now on does not go on with the custodian's key."""
    person = await (await browser.sign_in("acustodian").start()).unlock()
    talk = "/rooms/response-a-social/conversation"
    place = (await person.post("/search", {"words": "milk"})).headers["Location"]
    assert (await person.get(talk)).status == 200
    with roles(browser, "acustodian", "auditor"):
        assert (await person.get(talk)).status == 403
        assert (await person.get(place)).status == 410
        page = await (await person.get("/keys")).text()
        assert "Content closed" in page
        session = browser.desk.sessions.get(person.token, AGENT)
        assert session is not None
        assert session.visit is not None
        assert not session.visit.custodians
    assert (await person.get(talk)).status == 403, "it does not come back with the role"


async def test_they_are_told_why_it_is_locked(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    with roles(browser, "acustodian", "auditor"):
        assert "Your roles have changed" in await (await person.get("/search")).text()
        assert "Your roles have changed" not in await (await person.get("/search")).text()


async def test_what_was_found_with_professional_standards_is_gone_with_that_role(
    browser: Browser,
) -> None:
    with roles(browser, "curious", "auditor custodian professional-standards"):
        person = await (await browser.sign_in("curious").start()).unlock()
        place = (await person.post("/search", {"words": "sergeant"})).headers["Location"]
        assert "before the" in await person.ended(place)
        with roles(browser, "curious", "auditor custodian"):
            answer = await person.get(place)
            assert answer.status == 410
            assert "hears of it" not in await answer.text()


async def test_a_role_that_is_added_closes_nothing(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    with roles(browser, "acustodian", "auditor custodian reviewer"):
        assert (await person.get("/rooms/response-a-social/conversation")).status == 200
        assert (await person.get("/referrals")).status == 200


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\uff1d", " =", "  @"])
def test_no_cell_of_a_table_is_a_formula(sign: str) -> None:
    assert _cell(f"{sign}1+1") == f"'{sign}1+1"
    assert _cell("C/1") == "C/1"
    assert _cell(None) == ""


async def test_no_cell_breaks_out_into_the_next_one(browser: Browser) -> None:
    """Also where a semicolon divides cells, as spreadsheets of other countries have it."""
    case = 'x;=cmd|"/c calc";"=1'
    await browser.sign_in("acustodian").start(case=case)
    person = await (await browser.sign_in("acustodian").start(case=case)).unlock()
    assert person.token
    reader = await browser.sign_in("independent").start()
    answer = await reader.post("/looked/export", {"recipient": "The regulator"})
    raw = await answer.text()
    for line in raw.splitlines():
        assert all(cell.startswith('"') for cell in line.split('","')[:1])
    rows = list(csv.reader(io.StringIO(raw)))
    assert {len(row) for row in rows} == {12}
    assert case in {row[7] for row in rows}
    assert ';"=' not in raw.replace('""', "")


@pytest.mark.parametrize("recipient", ["", "  ", "court\u202efdp", "a\x00b"])
async def test_a_recipient_whose_name_does_not_show_gets_nothing(
    browser: Browser, recipient: str
) -> None:
    reader = await browser.sign_in("independent").start()
    assert (await reader.post("/looked/export", {"recipient": recipient})).status == 400


async def test_who_looked_is_narrowed_without_a_name_in_the_address(browser: Browser) -> None:
    for case in ("NARROW/1", "NARROW/2"):
        await (await browser.sign_in("acustodian").start(case=case)).unlock()
    reader = await browser.sign_in("independent").start()
    answer = await reader.post("/looked", {"case": "NARROW/1", "who": "acustodian"})
    place = answer.headers["Location"]
    assert "NARROW" not in place
    assert "acustodian" not in place
    page = await (await reader.get(place)).text()
    assert "NARROW/1" in page
    assert "NARROW/2" not in page
    # What somebody types into an address narrows nothing, and another's list is not theirs.
    page = await (await reader.get("/looked?case=NARROW/1")).text()
    assert "NARROW/2" in page
    other = await browser.sign_in("independent").start()
    assert (await other.get(place)).status == 410
    auditor = await browser.sign_in("curious").start()
    for path in (place.replace("/looked?chosen=", "/search/"),
                 place.replace("/looked?chosen=", "/policies/tried/"),
                 place.replace("/looked?chosen=", "/subject/")):  # fmt: skip
        assert (await auditor.get(path)).status == 410


async def test_one_kind_of_search_is_never_taken_for_another(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start()).unlock()
    searched = (await person.post("/search", {"kind": "said"})).headers["Location"]
    listed = (await person.post("/looked", {"case": "x"})).headers["Location"]
    name, chosen = searched.rsplit("/", 1)[1], listed.rsplit("=", 1)[1]
    for path in (f"/subject/{name}", f"/policies/tried/{name}", f"/looked?chosen={name}",
                 f"/search/{chosen}", f"/policies/tried/{chosen}"):  # fmt: skip
        assert (await person.get(path)).status == 410, path
    assert (await person.post(f"/search/{chosen}/export", {"recipient": "me"})).status == 410
    assert (await person.post(f"/policies/tried/{name}/stop")).status == 410


async def test_a_visit_remembers_only_so_many_searches_of_any_kind(browser: Browser) -> None:
    person = await (await browser.sign_in("curious").start()).unlock()
    for _ in range(searching._MOST + 3):
        await person.post("/subject", {"person": "Ben Hughes", "basis": "x"})
        await person.post("/looked", {"case": "x"})
    session = browser.desk.sessions.get(person.token, AGENT)
    assert session is not None
    assert session.visit is not None
    assert len(session.visit.searches) <= searching._MOST


async def test_asking_for_a_page_begins_nothing_that_a_form_begins(browser: Browser) -> None:
    """No address that another site can send somebody to does anything but look."""
    person = await (await browser.sign_in("curious").start(case="GET/1")).unlock()
    before = [one for one in journal.read(journal_of(person.world.config)) if one.case == "GET/1"]
    for path in ("/search?words=milk&room=response-a-social", "/subject?person=Ben+Hughes&basis=x",
                 "/keys/ask?room=response-a-social", "/looked?recipient=me", "/keys/unlock",
                 "/keys/lock", "/looked/export", "/retention/holds", "/sign-out"):  # fmt: skip
        answer = await person.get(path)
        assert answer.status in {200, 404}, path
        assert "Cache-Control" in answer.headers
        assert "no-store" in answer.headers["Cache-Control"]
    after = [one for one in journal.read(journal_of(person.world.config)) if one.case == "GET/1"]
    assert after == before
    session = browser.desk.sessions.get(person.token, AGENT)
    assert session is not None
    assert session.visit is not None
    assert session.visit.custodians, "still signed in, and still unlocked"
    assert not session.visit.searches
