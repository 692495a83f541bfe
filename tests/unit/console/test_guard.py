"""What no answer goes without, and what no request gets past."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from bridge.console.guard import COOKIE
from bridge.console.sessions import Sessions, Throttle
from bridge.console.views import file_name, foreign
from tests.making import Hands
from tests.unit.console.conftest import AGENT, NOW, Browser
from tests.unit.console.world import PASSPHRASE

PAGES = ("/sign-in", "/enrol", "/nothing/here", "/static/console.css", "/")
MINUTE = 60_000
#: Where somebody might be sent after they have signed in, were it for others.
ELSEWHERE = (
    "//evil.example", "///evil.example", "https://evil.example", "https:evil.example",
    "http:/evil.example", "javascript:alert(1)", "data:text/html,x", "evil.example",
    "@evil.example",
    "/\\evil.example", "\\\\evil.example", "/\\/evil.example", "/x\\..\\\\evil.example",
    "/\t/evil.example", "/\n/evil.example", "/\r\nLocation: https://evil.example",
    "\t//evil.example", " //evil.example", "/\x00/evil.example", "/\u2028/evil.example",
    "/\u202e/evil.example", "/%2f%2fevil.example", "/%2F/evil.example", "/%5cevil.example",
    "/%09/evil.example", "/%0d%0aLocation:%20https://evil.example", "//" + "x" * 5000,
    "/" + "x" * 5000,
)  # fmt: skip


def stays_here(place: str) -> bool:
    """Whether a browser that is sent there, and does all that browsers do with it, asks us."""
    plain = re.sub(r"[\t\r\n]", "", place.strip("".join(map(chr, range(33)))))
    return plain.startswith("/") and plain[1:2] not in {"/", "\\"} and len(plain) < 2000


async def signed_in(browser: Browser, then: str, name: str = "logs") -> str:
    """Sign in with passphrase and code; where they are sent."""
    browser.desk.accounts.folder.joinpath(f"{name}.json").unlink(missing_ok=True)
    _, recovery = browser.world.enrolled(name, NOW)
    form = {"name": name, "passphrase": PASSPHRASE, "code": recovery[0], "then": then}
    answer = await browser.post("/sign-in", form)
    assert answer.status == 303, await answer.text()
    return answer.headers["Location"]


async def then_of(browser: Browser, place: str) -> str:
    """Where the form of that page says to go on to."""
    found = re.search(r'name="then" value="([^"]*)"', await (await browser.get(place)).text())
    assert found is not None
    return unescape(found[1])


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_has_the_headers(browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "geolocation=()" in answer.headers["Permissions-Policy"]
    if "/static/" not in path:
        assert "no-store" in answer.headers["Cache-Control"]


async def test_no_page_has_a_script_or_a_style_in_itself(browser: Browser) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    for path in ("/", "/keys", "/search", "/rooms", "/retention", "/acknowledgements",
                 "/rooms/response-a-social/conversation"):  # fmt: skip
        text = await (await person.get(path)).text()
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert text.count("<script") == text.count("<script src=") + text.count(
            '<script type="module" src='
        )


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "", "Origin": "null"},
        {"Sec-Fetch-Site": ""},
    ],
)
async def test_a_form_that_another_site_sends_is_refused(
    browser: Browser, headers: dict[str, str]
) -> None:
    person = await browser.sign_in("areader").start()
    answer = await person.post("/search", {"from": "2026-11-20"}, **headers)
    assert answer.status == 403
    assert not list(browser.desk.sessions.all()[0].visit.searches)  # type: ignore[union-attr]


async def test_an_old_browser_that_names_our_own_site_may_send_a_form(browser: Browser) -> None:
    person = await browser.sign_in("areader").start()
    ours = str(browser.client.make_url("/")).rstrip("/")
    answer = await person.post("/search", {}, **{"Sec-Fetch-Site": "", "Origin": ours})
    assert answer.status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "iframe"},
    ],
)
async def test_no_other_site_can_build_a_page_of_ours_into_its_own(
    browser: Browser, headers: dict[str, str]
) -> None:
    person = await browser.sign_in("areader").start()
    assert (await person.get("/search", **headers)).status == 403


async def test_another_name_that_points_here_is_not_ours(browser: Browser) -> None:
    assert (await browser.get("/sign-in", Host="evil.example")).status == 403


@pytest.mark.parametrize(
    "then",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\r\nX: y",
    ],
)
async def test_nobody_is_sent_to_another_site(browser: Browser, then: str) -> None:
    person = browser.sign_in("areader")
    form = {"purpose": "Audit of how rooms are used", "case": "C", "then": then}
    answer = await person.post("/start", form)
    assert answer.headers["Location"] == "/" or answer.headers["Location"].startswith("/ ")


def test_what_browsers_take_for_another_site_is_known_here() -> None:
    for place in ("//e", "/\\e", "/\t/e", "\t//e", "https:e", "", "e"):
        assert not stays_here(place), place
    assert stays_here("/%2f%2fe")


@pytest.mark.parametrize("then", ELSEWHERE)
async def test_nobody_is_sent_to_another_site_by_signing_in(browser: Browser, then: str) -> None:
    assert stays_here(await then_of(browser, f"/sign-in?then={quote(then, safe='')}"))
    assert stays_here(await signed_in(browser, then))
    assert stays_here(await then_of(browser, f"/start?then={quote(then, safe='')}"))


@pytest.mark.parametrize("place", ["/%2f%2fevil.example", "/%5cevil.example", "/%09/evil.example"])
async def test_what_is_spelt_out_in_an_address_stays_spelt_out(
    browser: Browser, place: str
) -> None:
    assert await signed_in(browser, place) == place


async def test_whoever_signs_in_comes_to_the_very_page_that_they_asked_for(
    browser: Browser,
) -> None:
    wanted = "/looked?chosen=a%26b&page=2"
    place = (await browser.get(wanted)).headers["Location"]
    assert place.startswith("/sign-in?then=")
    then = await then_of(browser, place)
    assert await signed_in(browser, then) == wanted
    place = (await browser.get(wanted)).headers["Location"]
    assert place.startswith("/start?then=")
    then = await then_of(browser, place)
    form = {"purpose": "Audit of how rooms are used", "case": "C", "then": then}
    assert (await browser.post("/start", form)).headers["Location"] == wanted


async def test_a_cookie_of_before_a_time_out_is_nobodys_after_signing_in_again(
    browser: Browser,
) -> None:
    """Somebody who knows an old cookie, or gave one to the browser, has nothing of it."""
    person = browser.sign_in("logs")
    old = person.token
    browser.clock.move(21 * MINUTE)
    assert (await person.get("/start")).headers["Location"].startswith("/sign-in")
    assert person.token == old, "what is asked for in between makes no session"
    await signed_in(person, "/")
    assert person.token != old
    assert (await person.get("/start")).status == 200
    fresh, person.token = person.token, old
    assert (await person.get("/start")).status == 303
    person.token = fresh
    assert (await person.get("/start")).status == 200, "and the fresh one is not ended by it"


async def test_a_session_that_is_still_good_ends_when_its_browser_signs_in_again(
    browser: Browser,
) -> None:
    person = browser.sign_in("areader")
    old = person.token
    await signed_in(person, "/")
    assert browser.desk.sessions.get(old, AGENT) is None


async def test_whoever_stays_signed_in_has_as_long_again_and_no_longer_than_a_day_of_work(
    browser: Browser,
) -> None:
    person = browser.sign_in("areader")
    for _ in range(3):
        browser.clock.move(19 * MINUTE)
        answer = await person.post("/stay")
        assert answer.status == 200
    assert await answer.json() == {"idle": 20 * MINUTE, "last": (600 - 57) * MINUTE}
    page = await (await person.get("/start")).text()
    assert f'data-idle="{20 * MINUTE}" data-last="{(600 - 57) * MINUTE}"' in page
    assert "signed out after 20 minutes" in page
    assert (await person.post("/stay", **{"Sec-Fetch-Site": "cross-site"})).status == 403
    browser.clock.move(21 * MINUTE)
    assert (await person.post("/stay")).status == 403
    assert "data-ending" not in await (await browser.get("/sign-in")).text()


BACK = "/rooms/response-a-social/conversation?rid=" + "0" * 32


@pytest.mark.parametrize(
    ("form", "page", "then"),
    [
        (f"/referrals/{'0' * 32}", f"/referrals/{'0' * 32}", f"/referrals/{'0' * 32}"),
        (f"/referrals/{'0' * 32}", "", f"/referrals/{'0' * 32}"),
        ("/rooms/response-a-social/export", BACK, BACK),
        ("/rooms/response-a-social/export", "", "/rooms/response-a-social"),
        ("/keys/unlock", "", "/keys"),
        # A form that was shown again where it was sent to, with what was wrong.
        ("/retention/holds", "/retention/holds", "/retention"),
        ("/retention/holds", "https://evil.example/retention", "/retention"),
        ("/stay", "", "/"),
    ],
)
async def test_a_form_that_comes_too_late_is_said_not_to_be_saved_and_leads_back(
    browser: Browser, form: str, page: str, then: str
) -> None:
    person = await browser.sign_in("curious").start()
    browser.clock.move(21 * MINUTE)
    headers = {"Referer": str(browser.client.make_url(page)) if page[:1] == "/" else page}
    typed = {"reason": "what somebody typed at length", "decision": "stands"}
    answer = await person.post(form, typed, **(headers if page else {}))
    text = await answer.text()
    assert answer.status == 403
    assert "You have been signed out" in text
    assert "was not saved" in text
    link = re.search(r'href="(/sign-in\?[^"]*)"', text)
    assert link is not None
    assert parse_qs(urlsplit(unescape(link[1])).query) == {"then": [then]}
    assert "Location" not in answer.headers
    assert "typed" not in text


async def test_a_form_without_a_purpose_is_said_not_to_be_saved_and_leads_back(
    browser: Browser,
) -> None:
    answer = await browser.sign_in("curious").post("/subject", {"person": "Ben Hughes"})
    text = await answer.text()
    assert answer.status == 403
    assert "was not saved" in text
    assert 'href="/start?then=/subject"' in text
    assert "Ben Hughes" not in text


@pytest.mark.parametrize("path", ["/keys/ask", "/retention", "/subject", "/search"])
async def test_pages_with_forms_say_how_long_one_may_take(browser: Browser, path: str) -> None:
    person = await browser.sign_in("curious").start()
    role = browser.sign_in("pstandards")
    asked = await (role if path == "/keys/ask" else person).start()
    text = await (await asked.get(path)).text()
    assert "signed out after 20 minutes" in text
    assert ("not sent is not saved" in text) == (path != "/search")


async def test_the_cookie_is_fresh_after_signing_in_and_only_for_us(browser: Browser) -> None:
    browser.token = "chosen-by-somebody-else"
    secret, recovery = "", ["none"]
    browser.desk.accounts.folder.joinpath("acustodian.json").unlink()
    secret, recovery = browser.world.enrolled("acustodian", NOW)
    assert secret
    form = {"name": "acustodian", "passphrase": PASSPHRASE, "code": recovery[0]}
    answer = await browser.post("/sign-in", form)
    assert answer.status == 303
    cookie = answer.cookies[COOKIE]
    assert cookie.value != "chosen-by-somebody-else"
    assert len(cookie.value) > 40
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    again = await browser.post("/sign-in", form)
    assert again.status == 400  # a recovery code is good once


async def test_a_session_ends_when_nobody_uses_it_and_after_a_day_of_work(browser: Browser) -> None:
    person = browser.sign_in("areader")
    browser.clock.move(19 * 60_000)
    assert (await person.get("/start")).status == 200
    browser.clock.move(21 * 60_000)
    assert (await person.get("/start")).status == 303
    sessions = Sessions(browser.clock, idle_minutes=20, longest_hours=1)
    token = sessions.begin("areader", 0, AGENT)
    for _ in range(6):
        browser.clock.move(11 * 60_000)
        found = sessions.get(token, AGENT)
    assert found is None


async def test_a_session_is_bound_to_its_browser(browser: Browser) -> None:
    person = browser.sign_in("areader")
    assert (await person.get("/start", **{"User-Agent": "another"})).status == 303
    assert (await person.get("/start")).status == 303  # it is over for both


async def test_whoever_is_disabled_or_reset_is_signed_out(browser: Browser) -> None:
    for change in (browser.desk.accounts.disable, lambda n: browser.desk.accounts.reset(n, NOW)):
        browser.desk.accounts.folder.joinpath("second.json").unlink(missing_ok=True)
        browser.world.enrolled("second", NOW)
        person = browser.sign_in("second")
        assert (await person.get("/start")).status == 200
        change("second")
        assert (await person.get("/start")).status == 303
    browser.desk.accounts.folder.joinpath("second.json").unlink()
    browser.world.enrolled("second", NOW)


async def test_who_guesses_too_often_waits(browser: Browser) -> None:
    form = {"name": "areader", "passphrase": "wrong and wrong", "code": "000000"}
    statuses = [(await browser.post("/sign-in", form)).status for _ in range(7)]
    assert statuses == [400] * 5 + [429] * 2
    browser.clock.move(31_000)
    assert (await browser.post("/sign-in", form)).status == 400


def test_waiting_grows_and_ends() -> None:
    clock = Hands(NOW)
    throttle = Throttle(clock)
    assert throttle.wait("a", "b") == 0
    for _ in range(6):
        throttle.fail("a")
    assert throttle.wait("a") == 60_000
    assert throttle.wait("b") == 0
    throttle.forget("a")
    assert throttle.wait("a") == 0


async def test_a_form_that_is_too_long_is_refused(browser: Browser) -> None:
    answer = await browser.post("/sign-in", {"name": "x" * 100_000})
    assert answer.status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/debug",
        "/metrics",
        "/profile",
        "/heap",
        "/.git/config",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
    ],
)
async def test_nothing_shows_the_insides(browser: Browser, path: str) -> None:
    assert (await browser.get(path)).status == 404


def test_a_name_of_a_download_can_do_nothing() -> None:
    assert file_name("../../etc/passwd") == "passwd"
    assert file_name('a"; rm -rf <b>.png') == "a rm -rf b.png"
    assert file_name("C:\\x\\evil.exe") == "evil.exe"
    assert file_name("\u202egnp.exe") == "gnp.exe"
    assert file_name("...") == "file"
    assert len(file_name("x" * 500)) <= 80


def test_foreign_words_are_escaped_isolated_and_hide_nothing() -> None:
    shown = foreign('<img src=x onerror="alert(1)">\u202eabc\u0000\u2066')
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert "[U+202E]" in shown
    assert "[U+0000]" in shown
    assert shown.startswith('<bdi class="bl-foreign" dir="auto">')
    assert "👩‍🚒" in foreign("👩‍🚒")
    assert foreign("x" * 100, 10).count("x") == 10
