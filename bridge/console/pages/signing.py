"""Signing in and out, and enrolling: a passphrase, a second factor, recovery codes.

Never says which part of a sign-in was wrong, and never puts anything that was typed on record.
"""

from __future__ import annotations

import asyncio
from typing import Any

import segno
from aiohttp import web

from bridge.console import accounts as keeping
from bridge.console.desk import (
    DESK,
    LONGEST_PLACE,
    SESSION,
    TOKEN,
    Desk,
    Said,
    here,
    markup,
    note,
    own_page,
    rendered,
    see_other,
    text_of,
)
from bridge.console.guard import COOKIE, caller
from bridge.console.sessions import Enrolling, Session
from bridge.model import Rid
from bridge.store.journal import Category, Entry

_WRONG = "The sign-in name, the passphrase or the code is not right."


async def show_sign_in(request: web.Request) -> web.Response:
    """Show the form."""
    if (session := request.get(SESSION)) is not None and session.name:
        return see_other("/")
    return rendered(request, "sign_in.html", then=own_page(request.query.get("then", "")))


async def sign_in(request: web.Request) -> web.Response:
    """Check who it is, and begin a session of theirs."""
    desk, form = request.app[DESK], await request.post()
    if desk.sign_ins is not None and desk.sign_ins.provider.only:
        raise Said("Here everybody signs in with the force's identity provider.", 403)
    name, code = text_of(form, "name", 64), text_of(form, "code", 32)
    passphrase = form.get("passphrase", "")
    then = own_page(text_of(form, "then", LONGEST_PLACE + 1))
    keys = (f"name {name.lower()}", f"from {caller(request)}")
    if wait := desk.throttle.wait(*keys):
        return again(request, then, f"Too many tries. Wait {minutes(wait)} and try again.", 429)
    account = None
    if isinstance(passphrase, str) and name and passphrase and code:
        account = await asyncio.to_thread(
            desk.accounts.check, name, passphrase[:1000], code, desk.clock()
        )
    if account is None or desk.person(name) is None:
        desk.throttle.fail(*keys)
        known = desk.accounts.get(name) is not None
        await access(desk, name if known else "", "was refused at sign-in")
        return again(request, then, _WRONG, 400)
    desk.throttle.forget(*keys)
    await access(desk, name, "signed in")
    return begun(request, see_other(then), name, account.epoch)


async def sign_out(request: web.Request) -> web.Response:
    """End the session, and forget every key that was opened in it."""
    desk: Desk = request.app[DESK]
    session = request[SESSION]
    desk.sessions.end(request[TOKEN])
    await access(desk, session.name if session else "", "signed out")
    response = see_other("/sign-in")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    _drop_cookie(response)
    return response


async def stay(request: web.Request) -> web.Response:
    """Use the session, and say how long it lasts: for whoever is warned that it ends."""
    at = here(request)
    idle, last = at.desk.sessions.lasts(at.session)
    return web.json_response({"idle": idle, "last": last})


def begun(
    request: web.Request, response: web.Response, name: str, epoch: int,
    **more: Any,
) -> web.Response:  # fmt: skip
    """Begin a session under a fresh name, whatever cookie there was before."""
    desk: Desk = request.app[DESK]
    if request.get(TOKEN):
        desk.sessions.end(request[TOKEN])
    agent = request.headers.get("User-Agent", "")
    token = desk.sessions.begin(name, epoch, agent, **more)
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="Strict")
    return response


async def access(desk: Desk, name: str, what: str) -> None:
    """Have it on record that somebody came in, left or was refused."""
    who = name or "an unknown name"
    entry = Entry(rid=Rid(""), at=desk.clock(), category=Category.ACCESS, who=who, what=what)
    await desk.recorder.record([note(f"{who} {what}")], [entry])


async def show_enrol(request: web.Request) -> web.Response:
    """Ask for the enrolment code and a passphrase."""
    return rendered(request, "enrol.html", shortest=keeping.SHORTEST)


async def enrol(request: web.Request) -> web.Response:
    """Check the code, and go on to the second factor."""
    desk, form = request.app[DESK], await request.post()
    name, code = text_of(form, "name", 64), text_of(form, "code", 64)
    first, second = str(form.get("passphrase", "")), str(form.get("again", ""))
    keys = (f"enrol {name.lower()}", f"from {caller(request)}")
    if wait := desk.throttle.wait(*keys):
        raise Said(f"Too many tries. Wait {minutes(wait)} and try again.", 429)
    errors: dict[str, str] = {}
    if not desk.accounts.may_enrol(name, code, desk.clock()):
        desk.throttle.fail(*keys)
        await access(desk, name if desk.accounts.get(name) else "", "was refused at enrolment")
        errors["code"] = (
            "The sign-in name or the enrolment code is not right, or the code is too old"
        )
    elif len(first) < keeping.SHORTEST:
        errors["passphrase"] = f"The passphrase needs at least {keeping.SHORTEST} characters"
    elif first != second:
        errors["again"] = "The two passphrases are not the same"
    if errors:
        return rendered(
            request, "enrol.html", status=400, shortest=keeping.SHORTEST, errors=errors, name=name
        )
    enrolling = Enrolling(name=name, code=code, passphrase=first, totp=keeping.new_totp())
    return begun(request, see_other("/enrol/second-factor"), "", 0, enrolling=enrolling)


async def show_second_factor(request: web.Request) -> web.Response:
    """Show the QR code."""
    return _second_factor(request, _enrolling(request))


async def second_factor(request: web.Request) -> web.Response:
    """Check that their app gives the right code; then the account is theirs."""
    desk, form = request.app[DESK], await request.post()
    enrolling = _enrolling(request)
    if not keeping.is_code(enrolling.totp, text_of(form, "code", 16), desk.clock()):
        return _second_factor(request, enrolling, "That code is not right. Enter the newest one")
    words = await asyncio.to_thread(
        desk.accounts.enrol, enrolling.name, enrolling.passphrase, enrolling.totp, enrolling.code
    )
    await access(desk, enrolling.name, "enrolled")
    desk.sessions.end(request[TOKEN])
    response = rendered(request, "recovery.html", codes=words)
    _drop_cookie(response)
    return response


def _second_factor(request: web.Request, enrolling: Enrolling, error: str = "") -> web.Response:
    desk: Desk = request.app[DESK]
    uri = keeping.totp_uri(enrolling.totp, enrolling.name, desk.config.force)
    picture = segno.make(uri, error="m", micro=False).svg_inline(
        scale=5, border=2, omitsize=True, svgclass="bl-qr", lineclass="bl-qr__dots"
    )
    secret = " ".join(enrolling.totp[at : at + 4] for at in range(0, len(enrolling.totp), 4))
    return rendered(
        request, "second_factor.html", status=400 if error else 200, error=error,
        picture=markup(picture), secret=secret,
    )  # fmt: skip


def _enrolling(request: web.Request) -> Enrolling:
    session: Session | None = request.get(SESSION)
    if session is None or session.enrolling is None:
        raise Said("Begin with your enrolment code.", 403)
    return session.enrolling


def again(request: web.Request, then: str, error: str, status: int) -> web.Response:
    """Show the form again, with what was wrong."""
    return rendered(request, "sign_in.html", status=status, then=then, error=error)


def _drop_cookie(response: web.Response) -> None:
    response.set_cookie(
        COOKIE, "", path="/", secure=True, httponly=True, samesite="Strict", max_age=0
    )


def minutes(ms: int) -> str:
    """A time to wait, in words."""
    seconds = -(-ms // 1000)
    return f"{seconds} seconds" if seconds < 90 else f"{-(-seconds // 60)} minutes"
