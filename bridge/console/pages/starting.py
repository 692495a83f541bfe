"""The start of work: what somebody has come for, kept with everything they look at.

Never lets anyone on without a purpose: it is recorded with each look.
"""

from __future__ import annotations

from aiohttp import web

from bridge.console.desk import LONGEST_PLACE, here, own_page, see_other, text_of
from bridge.console.sessions import Visit


async def show_start(request: web.Request) -> web.Response:
    """Ask for purpose and case."""
    at = here(request)
    visit = at.session.visit
    return at.page(
        "start.html", then=own_page(request.query.get("then", "/")),
        purpose=visit.purpose if visit else "", case=visit.case if visit else "",
    )  # fmt: skip


async def start(request: web.Request) -> web.Response:
    """Begin a visit; what was open for another purpose is closed."""
    at, form = here(request), await request.post()
    purpose, case = text_of(form, "purpose", 200), text_of(form, "case", 80)
    then = own_page(text_of(form, "then", LONGEST_PLACE + 1))
    errors: dict[str, str] = {}
    if purpose not in at.desk.settings.purposes:
        errors["purpose"] = "Select what you have come for"
    if not case:
        errors["case"] = "Enter a case or reference number; it is recorded with each look"
    elif not case.isprintable():
        errors["case"] = "The reference has characters in it that do not show on a screen"
    if errors:
        return at.page(
            "start.html", status=400, errors=errors, purpose=purpose, case=case, then=then
        )
    if at.session.visit is not None:
        at.session.visit.lock()
    restricted = purpose in at.desk.settings.restricted
    at.session.visit = Visit(purpose=purpose, case=case, restricted=restricted, rights=at.rights)
    return see_other(then)
