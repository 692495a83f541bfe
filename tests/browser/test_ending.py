"""Before a session ends its owner is warned, and can stay; and what they typed is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.browser.conftest import Console, Desk

IDLE, MINUTE = 20 * 60, 60


@pytest.fixture
def typing(console: Console) -> Iterator[Desk]:
    """Somebody who types a request, on a page whose clock only the test moves."""
    desk = console.sign_in("acustodian").start()
    desk.page.clock.install()
    stand_still(desk)
    opened(desk)
    yield desk
    desk.page.context.close()
    console.open.remove(desk.page.context)


def stand_still(desk: Desk) -> None:
    """Stop the clock of the page, in half a minute by itself."""
    now = datetime.fromtimestamp(desk.page.evaluate("Date.now()") / 1000, UTC)
    desk.page.clock.pause_at(now + timedelta(seconds=30))


def opened(desk: Desk) -> None:
    desk.go("/subject")
    desk.page.fill("#basis", "typed at length")


def later(desk: Desk, seconds: int) -> None:
    desk.page.clock.fast_forward(seconds * 1000)


def warning(desk: Desk) -> Any:
    return desk.page.get_by_role("alertdialog")


def stay(desk: Desk, how: str) -> None:
    """Stay signed in, and wait until the console has said so."""
    with desk.page.expect_response("**/stay") as answer:
        desk.page.keyboard.press(how)
    assert answer.value.status == 200
    warning(desk).wait_for(state="hidden")


def test_two_minutes_before_the_end_they_are_warned_and_stay_by_keyboard(typing: Desk) -> None:
    later(typing, IDLE - 3 * MINUTE)
    assert not warning(typing).is_visible()
    later(typing, MINUTE + 1)
    warning(typing).wait_for()
    assert "You will be signed out in 2 minutes." in warning(typing).inner_text()
    assert typing.page.evaluate("document.activeElement.textContent") == "Stay signed in"
    typing.page.clock.resume()  # what looks at the page sets timers of its own
    typing.looks_right()
    stand_still(typing)
    typing.page.get_by_role("button", name="Stay signed in").focus()
    stay(typing, "Enter")
    assert typing.page.input_value("#basis") == "typed at length"
    later(typing, IDLE - 3 * MINUTE)
    assert not warning(typing).is_visible(), "it begins anew"
    later(typing, MINUTE + 1)
    warning(typing).wait_for()
    later(typing, MINUTE)
    warning(typing).get_by_text("within a minute").wait_for()
    stay(typing, "Escape")


def test_whoever_does_nothing_is_told_that_it_is_over_and_keeps_what_they_typed(
    typing: Desk,
) -> None:
    later(typing, IDLE + 1)
    warning(typing).get_by_text("You have been signed out").wait_for()
    link = warning(typing).get_by_role("link", name="sign in again")
    assert link.get_attribute("href") == "/sign-in?then=/subject"
    typing.page.get_by_role("button", name="Close").press("Enter")
    warning(typing).wait_for(state="hidden")
    assert typing.page.input_value("#basis") == "typed at length"
    assert not typing.complaints


def test_whoever_was_signed_out_meanwhile_is_told_so_when_they_want_to_stay(typing: Desk) -> None:
    later(typing, IDLE - 2 * MINUTE + 1)
    warning(typing).wait_for()
    typing.page.context.clear_cookies()
    typing.page.keyboard.press("Enter")
    warning(typing).get_by_text("You have been signed out").wait_for()
    typing.complaints.clear()


def test_another_page_of_the_same_browser_that_is_used_keeps_this_one(typing: Desk) -> None:
    later(typing, IDLE - 2 * MINUTE + 1)
    warning(typing).wait_for()
    other = typing.page.context.new_page()
    other.goto(typing.console.url + "/search")
    warning(typing).wait_for(state="hidden")
    later(typing, IDLE - 3 * MINUTE)
    assert not warning(typing).is_visible()


def test_a_session_that_nobody_can_prolong_is_said_to_end(typing: Desk) -> None:
    """Ten hours after signing in it ends whatever they do."""
    typing.page.route("**/subject", _soon_over)
    opened(typing)
    later(typing, 3 * MINUTE + 1)
    warning(typing).get_by_text("Nobody stays signed in for longer than 10 hours").wait_for()
    assert not warning(typing).get_by_role("button", name="Stay signed in").is_visible()
    typing.page.keyboard.press("Escape")
    warning(typing).wait_for(state="hidden")
    later(typing, MINUTE)
    assert not warning(typing).is_visible(), "whoever has read it can go on typing"


def _soon_over(route: Any) -> None:
    """The page as it is five minutes before the last end of its session."""
    answer = route.fetch()
    before, _, rest = answer.text().partition('data-last="')
    route.fulfill(
        response=answer, body=f'{before}data-last="300000"{rest[rest.index(chr(34)) + 1 :]}'
    )


def test_without_scripts_there_is_no_warning_and_the_page_says_how_long_one_may_take(
    console: Console,
) -> None:
    desk = console.sign_in("acustodian", js=False).start()
    desk.go("/subject")
    assert not warning(desk).is_visible()
    assert desk.says("You are signed out after 20 minutes in which you open no page")
