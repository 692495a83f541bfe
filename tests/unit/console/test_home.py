"""Home: what waits is counted each time, and the last days once a minute."""

from __future__ import annotations

import pytest

from bridge.console.pages import home
from bridge.records.figures import figures
from tests.unit.console.conftest import Browser


async def test_the_last_days_are_counted_once_a_minute_for_each_who_may_know_as_much(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[object] = []

    def count(*args: object, **more: object) -> object:
        counted.append(args)
        return figures(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(home, "figures", count)
    auditor, reviewer = [await browser.sign_in(name).start() for name in ("areader", "sokoro")]
    standards = await browser.sign_in("pstandards").start()
    first = await (await auditor.get("/")).text()
    assert "records in the ledger" in first
    for person in (auditor, reviewer):
        assert (await person.get("/")).status == 200
    assert len(counted) == 1
    assert (await standards.get("/")).status == 200
    assert len(counted) == 2, "they are shown other numbers"
    browser.clock.move(60_000)
    assert (await auditor.get("/")).status == 200
    assert len(counted) == 3


async def test_what_waits_is_gone_as_soon_as_it_was_decided(browser: Browser) -> None:
    reviewer = await (await browser.sign_in("sokoro").start()).unlock("reviewers")
    before = await (await reviewer.get("/")).text()
    assert "could not be read referral<" in before
    text = await (await reviewer.get("/referrals?queue=undecryptable")).text()
    rid = text.split('href="/referrals/')[1][:32]
    form = {"decision": "action_stands", "reason": "its key is lost"}
    assert (await reviewer.post(f"/referrals/{rid}", form)).status == 303
    assert "could not be read referral" not in await (await reviewer.get("/")).text()
