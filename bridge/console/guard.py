"""Stands before every page: who asks, from where, and may they; and what no answer goes without.

Never lets anything through that is not listed in `rights.PAGES`, and never logs an address's
query, a form or a name.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

import structlog
from aiohttp import web

from bridge.console.desk import DESK, SESSION, TOKEN, Desk, Said, own_page, rendered, see_other
from bridge.console.rights import PAGES, Page, Right
from bridge.console.sessions import Session
from bridge.errors import BridgeError
from bridge.verify import Unsound

log = structlog.get_logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "__Host-bluelamp"
_SAFE = frozenset({"GET"})
#: What every answer says to the browser.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        "microphone=(), midi=(), payment=(), usb=()"
    ),
    "X-Robots-Tag": "noindex, nofollow",
}
#: The addresses at which somebody who has signed in is shown a page.
_SHOWN = re.compile(
    "|".join(
        re.sub(r"{\w+}", "[^/]+", path)
        for (method, path), page in PAGES.items()
        if method == "GET" and page.right is not Right.NOBODY
    )
)
_NO_CACHE = "no-store, max-age=0"
_SAID = {
    400: "That did not work",
    403: "You may not do that",
    404: "There is no such page",
    405: "There is no such page",
    409: "That did not work",
    410: "That is over",
    413: "That file is too large",
    429: "Too many tries",
    500: "Something went wrong in Blue Lamp",
    503: "The record cannot be used just now",
}


class NothingSaved(Said):
    """A form came in that cannot be taken any more; with where to go to begin again."""

    def __init__(self, heading: str, message: str, begin: str) -> None:
        """Carry the heading of the answer, and the address of the page where one begins again."""
        super().__init__(message, 403)
        self.heading, self.begin = heading, begin


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through, or say why not; put on the headers that every answer has."""
    try:
        response = await _guarded(request, handler)
    except web.HTTPException as exc:
        response = _error(request, exc.status, "")
    except NothingSaved as exc:
        response = _error(request, exc.status, str(exc), exc.heading, exc.begin)
    except Said as exc:
        response = _error(request, exc.status, str(exc))
    except (BridgeError, Unsound) as exc:
        response = _error(request, 503 if getattr(exc, "exit_code", 1) == 4 else 400, str(exc))
    except Exception as exc:
        # Where, and what kind: the words of an unforeseen error may be a message's.
        place = traceback.extract_tb(exc.__traceback__)[-1]
        log.error(
            "page.fault", kind=type(exc).__name__, at=f"{Path(place.filename).name}:{place.lineno}"
        )
        response = _error(request, 500, "It has been logged. Nothing on record is lost.")
    if not response.prepared:
        harden(response)
    return response


def harden(response: web.StreamResponse) -> None:
    """Put on what no answer goes without."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)  # a file's own policy is stricter
    response.headers.setdefault("Cache-Control", _NO_CACHE)


def page_of(request: web.Request) -> Page:
    """What it takes to be served this page.

    Raises:
        web.HTTPException: there is none, or nobody listed it.
    """
    if request.match_info.http_exception is not None:
        raise request.match_info.http_exception
    resource = request.match_info.route.resource
    found = PAGES.get((request.method, resource.canonical)) if resource is not None else None
    if found is None:
        raise web.HTTPNotFound
    return found


def caller(request: web.Request) -> str:
    """Say from which address somebody asks: what our own proxies say, and nobody else."""
    trusted, address = request.app[DESK].settings.proxies, request.remote or ""
    passed = ",".join(request.headers.getall("X-Forwarded-For", ()))
    before = [one.strip() for one in passed.split(",") if one.strip()]
    while before and _is_in(address, trusted):
        address = before.pop()
    return address


def _is_in(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        there = ip_address(address)
    except ValueError:
        return False
    return any(there in network for network in networks)


async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    desk = request.app[DESK]
    _refuse_strange_host(request)
    page = page_of(request)
    _refuse_other_sites(request, page)
    token = request.cookies.get(COOKIE, "")
    session = desk.sessions.get(token, request.headers.get("User-Agent", "")) if token else None
    session = _still_good(desk, session, token)
    request[SESSION], request[TOKEN] = session, token
    if page.right is Right.NOBODY:
        return await handler(request)
    if session is None or not session.name:
        if request.method == "GET":
            return see_other(
                f"/sign-in?then={quote(request.path_qs)}" if request.path != "/" else "/sign-in"
            )
        raise NothingSaved(
            "You have been signed out",
            "You are not signed in any more: nothing was done here for "
            f"{desk.settings.idle_minutes} minutes, or your session was ended. What you sent just "
            "now was not saved, and nothing happened.",
            f"/sign-in?then={quote(_way_back(request))}",
        )
    rights = desk.rights(session)
    if session.visit is not None and session.visit.keep_to(rights):
        session.said.append(("warning", "Your roles have changed: what was open is locked."))
    if session.visit is not None and session.visit.keep_time(desk.clock()):
        session.said.append(("warning", "What was released to you has run out, and is locked."))
    if page.right is not Right.ANYBODY and not rights & {page.right, page.either}:
        raise Said(f"Your role does not let you {page.right.value}.", 403)
    if page.visit and session.visit is None:
        if request.method == "GET":
            return see_other(
                f"/start?then={quote(request.path_qs)}" if request.path != "/" else "/start"
            )
        raise NothingSaved(
            "Say first what you have come for",
            "Since you signed in you have not said what you have come for. What you sent just now "
            "was not saved, and nothing happened.",
            f"/start?then={quote(_way_back(request))}",
        )
    return await handler(request)


def _still_good(desk: Desk, session: Session | None, token: str) -> Session | None:
    """End a session whose account was disabled or reset, or whose person is not listed any more."""
    if session is None or not session.name:
        return session
    account = desk.accounts.get(session.name)
    if session.provided:  # whoever is disabled here does not come in by another door
        gone = account is not None and account.disabled
    else:
        gone = account is None or account.disabled or account.epoch != session.epoch
    if gone or desk.person_of(session) is None:
        desk.sessions.end(token)
        return None
    return session


def _refuse_strange_host(request: web.Request) -> None:
    """Answer under our own name only: a name that somebody else points here is not ours."""
    if request.host not in hosts(request):
        raise Said("The console is not known by this address.", 403)


def hosts(request: web.Request) -> frozenset[str]:
    """The names under which browsers know us."""
    settings = request.app[DESK].settings
    if settings.url:
        return frozenset({urlsplit(settings.url).netloc})
    bound = request.transport.get_extra_info("sockname") if request.transport else None
    port = bound[1] if bound else settings.port
    return frozenset({f"{settings.host}:{port}", f"localhost:{port}", f"127.0.0.1:{port}"})


def _refuse_other_sites(request: web.Request, page: Page) -> None:
    """Refuse what another site makes a browser do."""
    site = request.headers.get("Sec-Fetch-Site", "")
    if request.method in _SAFE:
        navigation = request.headers.get("Sec-Fetch-Mode") == "navigate"
        framed = request.headers.get("Sec-Fetch-Dest", "") in {"iframe", "frame", "object", "embed"}
        if (site in {"cross-site", "same-site"} and not navigation) or framed:
            raise Said("Another site asked for this page.", 403)
        return
    if site:
        if site != "same-origin":
            raise Said("Another site sent this form.", 403)
        return
    origin = urlsplit(request.headers.get("Origin", ""))
    if origin.netloc not in hosts(request) or origin.scheme not in {"http", "https"}:
        raise Said("The browser does not say which site sent this form.", 403)


def _way_back(request: web.Request) -> str:
    """The page of ours that a form was on: as the browser says, or by the form's own address.

    What was typed into it is never in there.
    """
    there = urlsplit(request.headers.get("Referer", ""))
    ours = there.netloc in hosts(request)
    if ours and _SHOWN.fullmatch(there.path):
        return own_page(f"{there.path}?{there.query}" if there.query else there.path)
    place = there.path if ours else request.path
    while place and not _SHOWN.fullmatch(place):  # a form's own address is below its page's
        place = place.rpartition("/")[0]
    return own_page(place)


def _error(
    request: web.Request, status: int, why: str, heading: str = "", begin: str = ""
) -> web.Response:
    shown = status if status in _SAID else 500
    if status == 405:
        shown = 404
    heading = heading or _SAID[shown]
    return rendered(request, "error.html", status=shown, heading=heading, why=why, begin=begin)
