"""Who may come in: a disabled account stays shut, and what was done to one is among the looks."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from bridge.cli.main import main
from bridge.console.accounts import Accounts
from bridge.console.desk import DESK
from bridge.console.guard import caller
from bridge.errors import UsageError
from bridge.facts import Viewed
from bridge.ledger.record import new_rid
from bridge.ledger.release import VALID_MS
from bridge.records.consult import journal_of, record
from bridge.store import journal
from tests.unit.console.conftest import NOW, Browser
from tests.unit.console.test_curious import released
from tests.unit.console.world import PASSPHRASE, World, found


def test_a_code_is_good_for_nothing_once_the_account_is_disabled(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    code = accounts.add("eve", NOW)
    assert accounts.may_enrol("eve", code, NOW)
    accounts.disable("eve")
    assert not accounts.may_enrol("eve", code, NOW)
    with pytest.raises(UsageError, match="taken back"):
        accounts.enrol("eve", PASSPHRASE, "A" * 32, code)
    account = accounts.get("eve")
    assert account is not None
    assert account.disabled
    assert not account.enrolled


def test_who_was_disabled_comes_back_by_a_reset_alone(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("eve", NOW)
    accounts.disable("eve")
    code = accounts.reset("eve", NOW)
    assert accounts.may_enrol("eve", code, NOW)
    accounts.enrol("eve", PASSPHRASE, "A" * 32, code)
    account = accounts.get("eve")
    assert account is not None
    assert account.enrolled
    assert not account.disabled


def test_what_an_administrator_does_to_an_account_is_among_the_looks(tmp_path: Path) -> None:
    world: World = found(tmp_path / "force", "psd")
    where = ["-c", str(world.folder / "config.yaml")]
    for command in (["add", "areader"], ["disable", "areader"], ["reset", "areader"]):
        assert main(["auditor", *command, *where]) == 0
    entries = list(journal.read(journal_of(world.config)))
    assert [one.what for one in entries] == [
        "let areader enrol for the console",
        "disabled the console account areader",
        "took areader's passphrase and second factor away and let them enrol again",
    ]
    assert all("on the console's host" in one.who for one in entries)


async def test_what_was_released_is_locked_once_its_time_is_over(browser: Browser) -> None:
    asker = await browser.sign_in("areader").start()
    custodian = await (await browser.sign_in("acustodian").start()).unlock()
    await released(asker, custodian, room="response-a-social")
    page = "/rooms/response-a-social/conversation"
    assert (await asker.get(page)).status == 200
    asker_session = browser.desk.sessions.get(asker.token, "a browser")
    assert asker_session is not None
    assert asker_session.visit is not None
    assert asker_session.visit.until == browser.clock() + VALID_MS
    asker_session.visit.until = browser.clock()
    answer = await asker.get(page)
    assert "AB12" not in await answer.text()
    assert asker_session.visit.sight is None


@pytest.mark.parametrize(
    ("proxies", "passed", "address"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        (("127.0.0.1",), "203.0.113.9", "203.0.113.9"),
        (("127.0.0.1",), "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.1", "203.0.113.0/24"), "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (("127.0.0.1",), "", "127.0.0.1"),
        (("127.0.0.1",), "nonsense", "nonsense"),
    ],
)
async def test_only_our_own_proxies_say_for_whom_they_ask(
    browser: Browser, proxies: tuple[str, ...], passed: str, address: str
) -> None:
    networks = tuple(ip_network(one) for one in proxies)
    browser.desk.settings = replace(browser.desk.settings, proxies=networks)
    headers = {"X-Forwarded-For": passed} if passed else {}
    request = make_mocked_request("GET", "/", headers=headers, app=browser.client.app)
    request = request.clone(remote="127.0.0.1")
    assert request.app[DESK] is browser.desk
    assert caller(request) == address


async def test_failures_through_a_proxy_count_for_each_browser_by_itself(browser: Browser) -> None:
    browser.desk.settings = replace(browser.desk.settings, proxies=(ip_network("127.0.0.1"),))
    for name in "abcdefg":
        form = {"name": name, "passphrase": "wrong and wrong", "code": "000000"}
        await browser.post("/sign-in", form, X_Forwarded_For="203.0.113.9")
    form = {"name": "areader", "passphrase": "wrong and wrong", "code": "000000"}
    answer = await browser.post("/sign-in", form, X_Forwarded_For="203.0.113.9")
    assert answer.status == 429
    answer = await browser.post("/sign-in", form, X_Forwarded_For="203.0.113.77")
    assert answer.status == 400


async def test_a_team_that_does_not_exist_is_no_search_of_everything(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    form = {"from": "2026-11-20", "to": "2026-11-22"}
    answer = await person.post("/search", form | {"team": "Tea club"})
    assert answer.status == 400
    assert "Nobody in people.csv is in a team" in await answer.text()
    answer = await person.post("/search", form | {"team": "Information", "person": "Ben Hughes"})
    assert answer.status == 400
    assert "is not in the team" in await answer.text()


async def agreement(browser: Browser) -> str:
    """What *Who looked* says of the journal and the ledger."""
    reader = await browser.sign_in("logs").start("Appeal or referral", "A/9")
    page = await (await reader.get("/looked")).text()
    return page.partition('<p class="govuk-inset-text">')[2].partition("</p>")[0]


def wordless(told: str) -> int:
    """Of how many records it says that no entry speaks."""
    found = re.search(r"Of ([\d,]+) records there no entry speaks here", told)
    return int(found[1].replace(",", "")) if found else 0


async def test_lines_that_somebody_took_out_of_the_journal_are_missed(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    for _ in range(3):
        assert (await person.get("/rooms/response-a-social/conversation")).status == 200
    await agreement(browser)
    await browser.desk.recorder.close()
    before = await agreement(browser)
    assert "have their record" in before
    path = journal_of(browser.world.config)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    looks = [at for at, line in enumerate(lines) if b'"rid":"",' not in line]
    others = [at for at in range(len(lines)) if at not in looks]
    gone = {*looks[-2:], others[-1]}
    path.write_bytes(b"".join(line for at, line in enumerate(lines) if at not in gone))
    try:
        told = await agreement(browser)
    finally:
        path.write_bytes(whole)
    # Other stories of this force may have stopped a look halfway.
    assert wordless(told) == wordless(before) + 3, told


async def test_a_look_by_command_is_among_the_looks_with_its_purpose(tmp_path: Path) -> None:
    world: World = found(tmp_path / "force", "psd")
    look = Viewed(rid=new_rid(), who="gwen", role="custodian psd", scope="room:response-a-social",
                  purpose="Covert enquiry", case="C/7")  # fmt: skip
    await record(world.config, [look], lambda: NOW)
    (entry,) = journal.read(journal_of(world.config))
    assert (entry.rid, entry.who, entry.scope, entry.case) == (
        look.rid, "gwen", "room:response-a-social", "C/7"
    )  # fmt: skip
    assert entry.what == "opened records by command"
