"""Signing in with the force's identity provider, in a real browser: its cookies and its rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Console, Desk, serve
from tests.provider.conftest import providing
from tests.unit.console.world import found


@pytest.fixture(scope="module")
def provided(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A force that has a provider."""
    force = found(tmp_path_factory.mktemp("provided") / "force", "psd")
    with providing() as issuer, (force.folder / "console.yaml").open("a") as settings:
        settings.write(
            f"provider:\n  issuer: {issuer}\n  client: public\n  name: your Exampleshire account\n"
        )
        settings.flush()
        yield from serve(force, browser, staff=["admin"])


def test_somebody_signs_in_there_and_goes_on_where_they_wanted(provided: Console) -> None:
    """Our cookie is for our own pages alone, and yet they are signed in when they come back."""
    desk = Desk(provided, "acustodian", provided.browser.new_page())
    desk.go("/search")
    desk.goes_by_keyboard()
    desk.looks_right("sign-in-provider")
    desk.go("/search")
    # From here on with the keyboard alone, through the provider's own pages as well.
    keys = desk.page.keyboard
    desk.tab_to("Sign in with your Exampleshire account")
    keys.press("Enter")
    desk.page.locator("input[name=login]").wait_for()
    desk.page.locator("input[name=login]").focus()
    keys.type("acustodian")
    desk.tab_to("password")
    keys.type("any")
    keys.press("Enter")
    desk.page.get_by_role("button", name="Continue").wait_for()
    desk.tab_to("Continue")
    # The page that they come back to sends them on at once; kept from it, it can be looked at.
    desk.page.route("**/search", lambda route: route.fulfill(status=204))
    with desk.page.expect_request("**/search"):
        keys.press("Enter")
    desk.page.get_by_role("heading", name="You are signed in").wait_for()
    desk.complaints.clear()  # of the provider's own pages
    desk.goes_by_keyboard()
    desk.looks_right("signed-in")
    desk.page.unroute("**/search")
    desk.page.locator("h1").click()
    desk.tab_to("Go on to the console")
    keys.press("Enter")
    desk.page.get_by_role("heading", name="What have you come for?").wait_for()
    desk.page.wait_for_load_state()
    desk.goes_by_keyboard()
    desk.start()
    assert desk.heading() == "Search the record"
    assert desk.says("Gwen Price")
    cookies = {one["name"]: one for one in desk.page.context.cookies(provided.url)}
    assert cookies["__Host-bluelamp"]["sameSite"] == "Strict"
    assert "__Host-bluelamp-provider" not in cookies
    desk.press("Sign out")
    assert desk.go("/search") == 200
    assert desk.heading() == "Sign in to the auditors\u2019 console"
    assert "provided" not in provided.log.read_text()
    desk.page.close()
