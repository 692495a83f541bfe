"""Every route with every role and none: nobody gets a page that the table does not give them."""

from __future__ import annotations

import pytest
from aiohttp import web

from bridge.console import server
from bridge.console.rights import PAGES, ROLES, Page, Right
from bridge.errors import ConfigError
from bridge.register.people import ROLES as LISTED
from tests.unit.console.conftest import Browser
from tests.unit.console.world import STAFF

#: What stands in for the names in addresses.
NAMES = {
    "{name}": "nobody", "{request}": "0" * 32, "{search}": "none", "{rid}": "0" * 32,
    "{room}": "response-a-social", "{hold}": "0" * 32,
    "{revision}": "0" * 64, "{trial}": "none",
}  # fmt: skip
#: The table, as people read it: role → what it may open. Whoever changes one changes the other.
MAY_OPEN = {
    "auditor": "/keys /keys/ask /search /rooms /drift /retention /disposals /policies "
    "/acknowledgements /subject",
    "custodian": "/keys /rooms /drift /retention /disposals",
    "reviewer": "/keys /referrals /policies /rooms /drift",
    "professional-standards": "/keys /keys/ask /search /referrals /conduct",
    "disclosure-officer": "/keys /keys/ask /search /subject /retention /disposals",
    "log-reader": "/looked",
    "independent-log-reader": "/looked",
    "policy-officer": "/keys /keys/ask /policies /rooms /drift /acknowledgements",
    "administrator": "/rooms /drift /policies /acknowledgements /accounts",
    "": "",
}
LISTS = sorted({path for paths in MAY_OPEN.values() for path in paths.split()})


def filled(path: str) -> str:
    for name, value in NAMES.items():
        path = path.replace(name, value)
    return path


def test_every_role_of_the_register_stands_in_the_table() -> None:
    assert set(ROLES) == set(LISTED)


def test_every_route_is_listed_and_every_listed_page_is_served(browser: Browser) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in browser.client.app.router.routes()
        if route.resource is not None
    }
    assert routes == set(PAGES)


def test_a_page_that_nobody_listed_stops_the_console_from_starting(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def extra(_request: web.Request) -> web.Response:
        return web.Response()

    handlers = {**server._HANDLERS, ("GET", "/debug"): extra}
    monkeypatch.setattr(server, "_HANDLERS", handlers)
    with pytest.raises(ConfigError, match="/debug"):
        server.application(browser.desk)


@pytest.mark.parametrize(("method", "path"), sorted(PAGES))
async def test_nobody_who_has_not_signed_in_is_served(
    browser: Browser, method: str, path: str
) -> None:
    ask = browser.get if method == "GET" else browser.post
    answer = await ask(filled(path))
    if PAGES[method, path].right is Right.NOBODY:
        assert answer.status in {200, 400, 403, 404}
        return
    if method == "GET":
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/sign-in")
    else:
        assert answer.status == 403


def allowed(page: Page, roles: str) -> bool:
    rights = {right for role in roles.split() for right in ROLES[role]}
    return page.right in {Right.NOBODY, Right.ANYBODY} or bool(rights & {page.right, page.either})


@pytest.mark.parametrize("name", STAFF)
async def test_every_role_is_refused_whatever_the_table_does_not_give_it(
    browser: Browser, name: str
) -> None:
    for (method, path), page in sorted(PAGES.items()):
        person = await browser.sign_in(name).start()
        ask = person.get if method == "GET" else person.post
        answer = await ask(filled(path))
        text = await answer.text()
        refused = answer.status == 403 and "Your role does not let you" in text
        assert refused == (not allowed(page, STAFF[name])), f"{name} {method} {path}"
        assert answer.status != 500, f"{name} {method} {path}"
        browser.desk.sessions.end_all(name)


#: Who has one role alone; the walk above has the others with a second one.
ALONE = [roles for roles in MAY_OPEN if roles in STAFF.values()]


@pytest.mark.parametrize("roles", ALONE)
async def test_each_role_opens_its_lists_and_no_others(browser: Browser, roles: str) -> None:
    name = next(name for name, own in STAFF.items() if own == roles)
    person = await browser.sign_in(name).start()
    opened = [path for path in LISTS if (await person.get(path)).status == 200]
    assert opened == sorted(MAY_OPEN[roles].split())


async def test_a_page_that_needs_a_purpose_is_not_shown_without_one(browser: Browser) -> None:
    person = browser.sign_in("acustodian")
    for (method, path), page in PAGES.items():
        if page.visit and method == "GET" and allowed(page, STAFF["acustodian"]):
            answer = await person.get(filled(path))
            assert answer.headers.get("Location", "").startswith("/start"), path


async def test_a_role_that_is_taken_away_is_gone_with_the_next_click(browser: Browser) -> None:
    person = await browser.sign_in("areader").start()
    assert (await person.get("/search")).status == 200
    file = browser.world.folder / "people.csv"
    before = file.read_text()
    try:
        file.write_text(before.replace(",areader,auditor", ",areader,"))
        assert (await person.get("/search")).status == 403
        file.write_text(before.replace(",areader,auditor", ",,"))
        assert (await person.get("/")).headers["Location"].startswith("/sign-in")
    finally:
        file.write_text(before)
