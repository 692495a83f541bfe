"""Signing in with the force's identity provider: there, and back.

Never puts what comes back on record or into a log, and never says more than that it was refused.
"""

from __future__ import annotations

from aiohttp import web

from bridge.console.desk import DESK, SESSION, Desk, Said, own_page, rendered, see_other
from bridge.console.guard import caller
from bridge.console.pages.signing import access, again, begun, minutes
from bridge.console.provider import PATIENCE_MS, UNKNOWN, NotSignedIn, SignIns

#: Comes back with somebody from another site, which our own cookie does not.
COOKIE = "__Host-bluelamp-provider"
#: What a provider may answer; anything else is not read.
_ANSWERS = ("state", "code", "iss", "error")


async def go(request: web.Request) -> web.Response:
    """Send somebody to the identity provider."""
    desk, sign_ins = _sign_ins(request)
    if (session := request.get(SESSION)) is not None and session.name:
        return see_other("/")
    then = own_page(request.query.get("then", ""))
    try:
        place, cookie = await sign_ins.begin(then, _back(request, desk))
    except NotSignedIn as exc:
        return again(request, then, str(exc), 503)
    response = web.Response(status=303, headers={"Location": place})
    _set(response, cookie, PATIENCE_MS // 1000)
    return response


async def come_back(request: web.Request) -> web.Response:
    """Take somebody in for whom the provider vouches, if they are listed."""
    desk, sign_ins = _sign_ins(request)
    key, cookie = _key(request), request.cookies.get(COOKIE, "")
    if not sign_ins.knows(cookie):
        # Anybody can ask for this address, or have others ask: that is no try to sign in.
        return _again(request, UNKNOWN)
    if wait := desk.throttle.wait(key):
        raise Said(f"Too many tries. Wait {minutes(wait)} and try again.", 429)
    answer = {
        name: request.query.get(name, "")[:4096] for name in _ANSWERS if name in request.query
    }
    try:
        claimed, then = await sign_ins.finish(cookie, answer)
    except NotSignedIn as exc:
        return await _refused(request, desk, "", str(exc))
    account = desk.accounts.get(claimed.name)
    known = desk.person(claimed.name) is not None or bool(claimed.roles)
    if not known or (account is not None and account.disabled):
        why = "You are not listed for this console. Ask whoever looks after it."
        return await _refused(request, desk, claimed.name if known else "", why)
    desk.throttle.forget(key)
    await access(desk, claimed.name, "signed in with the identity provider")
    # Our cookie is sent with what our own pages ask for, not with where another site sends
    # somebody: so this page sends them on.
    page = rendered(request, "signed_in.html", then=then)
    response = begun(request, page, claimed.name, 0, provided=True, full=claimed.full,
                     roles=claimed.roles)  # fmt: skip
    _set(response, "", 0)
    return response


async def _refused(request: web.Request, desk: Desk, name: str, why: str) -> web.Response:
    desk.throttle.fail(_key(request))
    await access(desk, name, "was refused at sign-in")
    return _again(request, why)


def _key(request: web.Request) -> str:
    """What tries are counted by here: they lock out nobody who signs in with a passphrase."""
    return f"provider from {caller(request)}"


def _again(request: web.Request, why: str) -> web.Response:
    response = again(request, "/", why, 400)
    _set(response, "", 0)
    return response


def _sign_ins(request: web.Request) -> tuple[Desk, SignIns]:
    desk = request.app[DESK]
    if desk.sign_ins is None:
        raise Said("No identity provider is configured here.", 404)
    return desk, desk.sign_ins


def _back(request: web.Request, desk: Desk) -> str:
    """Where the provider sends people back to: the name under which we were asked is ours."""
    return f"{desk.settings.url or f'{request.scheme}://{request.host}'}/sign-in/provider/back"


def _set(response: web.Response, value: str, seconds: int) -> None:
    response.set_cookie(
        COOKIE, value, path="/", secure=True, httponly=True, samesite="Lax", max_age=seconds
    )
