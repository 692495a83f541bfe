"""Four eyes: somebody asks for records, a custodian sees how many and releases them, or does not.

Never lets anybody answer their own request, and never keeps a request longer than the process: what
was asked and answered is on record, the keys to it are not.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bridge.console.desk import Here, Said, here, printable, see_other, text_of
from bridge.console.rights import Right
from bridge.errors import BridgeError
from bridge.facts import Basis, Granted, Viewed
from bridge.ledger import release as releasing
from bridge.ledger.keys import public_of
from bridge.ledger.opening import Reader
from bridge.ledger.record import new_rid
from bridge.ledger.release import VALID_MS, Request, Session, SignedRelease, digest_of
from bridge.model import Ms, Rid
from bridge.records.archive import Sight
from bridge.records.custody import LedgerCopy, names_of, scope_of
from bridge.store.journal import Category
from bridge.verify import Unsound
from bridge.verify.notes import encode64

_FIELDS = ("room", "person", "from", "to", "rule", "rid")
#: Requests that wait at the same time; older ones that are over are forgotten first.
_MOST = 100


@dataclass(slots=True, kw_only=True)
class Asking:
    """One request, what was answered, and the private half of its key."""

    made: Request
    session: Session = field(repr=False)
    #: Custodians who have to release: those whose key the asker had not unlocked.
    needed: tuple[str, ...]
    answers: dict[str, SignedRelease] = field(default_factory=dict, repr=False)
    #: Custodian → how many records they released.
    counts: dict[str, int] = field(default_factory=dict)
    #: (who, why) it was refused.
    refused: tuple[str, str] | None = None

    def is_open(self, now: Ms) -> bool:
        """Say whether it still waits for an answer."""
        return self.refused is None and now < self.made.expires and not self.is_released

    @property
    def is_released(self) -> bool:
        """Say whether everybody has released who has to."""
        return set(self.needed) <= set(self.answers)


async def show_ask(request: web.Request) -> web.Response:
    """Show the form."""
    at = here(request)
    return at.page("ask.html", **_form(at), form={}, errors={})


async def ask(request: web.Request) -> web.Response:
    """Ask; the request is recorded first."""
    at, given = here(request), await request.post()
    form = {name: text_of(given, name, 200) for name in _FIELDS}
    text = shlex.join(f"{name}:{value}" for name, value in form.items() if value)
    visit, config = at.visit, at.desk.config
    try:
        scope = await asyncio.to_thread(scope_of, config, text)
    except BridgeError as exc:
        return at.page("ask.html", status=400, form=form, errors={"scope": str(exc)}, **_form(at))
    now, seed = at.desk.clock(), secrets.token_bytes(32)
    made = Request(
        rid=new_rid(), origin=config.origin, who=at.session.name, scope=printable(scope.text),
        purpose=visit.purpose, case=visit.case, key=encode64(public_of(seed)),
        made=now, expires=now + VALID_MS,
    )  # fmt: skip
    releasing.check_request(made, origin=config.origin, now=now)
    needed = tuple(name for name in names_of(config) if name not in visit.custodians)
    if not needed:
        raise Said("Every key that is needed is unlocked here: there is nobody to ask.")
    fact = Viewed(
        rid=Rid(made.rid), who=made.who, role="asker", scope=made.scope, purpose=made.purpose,
        case=made.case, basis=Basis.GRANTED,
    )  # fmt: skip
    await at.record(
        fact,
        at.entry(made.rid, Category.CONSULTATION, "asked custodians to release records",
                 scope=made.scope, basis=Basis.GRANTED.value, role="asker"),
    )  # fmt: skip
    session = Session(
        request=made.rid, seed=encode64(seed), expires=made.expires, asked=digest_of(made)
    )
    _forget_old(at.desk.requests, now)
    at.desk.requests[made.rid] = Asking(made=made, session=session, needed=needed)
    who = " and ".join(needed)
    at.say(f"Asked. The custodian of {who} sees your request; the answer can be opened for 7 days.")
    return see_other("/keys")


async def show_request(request: web.Request) -> web.Response:
    """Show a custodian what is asked, and how many records that is."""
    at = here(request)
    asking = _find(at, request)
    own = _own(at, asking)
    count = None
    if own and asking.is_open(at.desk.clock()):
        counted = at.visit.counted
        if asking.made.rid not in counted:
            scope = await asyncio.to_thread(scope_of, at.desk.config, asking.made.scope)
            copy = LedgerCopy(config=at.desk.config, now=at.desk.clock())
            counted[asking.made.rid] = await asyncio.to_thread(
                copy.releasable, at.visit.custodians[own], scope
            )
        count = len(counted[asking.made.rid])
    return at.page("request.html", asking=asking, own=own, count=count)


async def answer(request: web.Request) -> web.Response:
    """Release the halves of what was asked for, or refuse to; it is recorded first."""
    at, form = here(request), await request.post()
    asking = _find(at, request)
    decision, reason = text_of(form, "decision", 20), text_of(form, "reason", 300)
    own = _own(at, asking)
    if not asking.is_open(at.desk.clock()):
        raise Said("This request was answered already, or is too old.", 409)
    if decision == "refuse":
        return await _refuse(at, asking, reason)
    if decision != "release":
        raise Said("Choose whether to release the records or to refuse.")
    if not own or asking.made.rid not in at.visit.counted:
        raise Said("Unlock your key first, and look at what is asked for.", 403)
    halves = at.visit.counted[asking.made.rid]
    if not halves:
        raise Said("There is nothing of this scope that could be released.")
    by = f"{at.session.name}, custodian {own}"
    grant = Granted(
        rid=new_rid(), request=Rid(asking.made.rid), by=by, scope=asking.made.scope,
        count=len(halves),
    )  # fmt: skip
    await at.record(
        grant,
        at.entry(grant.rid, Category.DISCLOSURE, f"released records to {asking.made.who}",
                 scope=asking.made.scope, recipient=asking.made.who, count=len(halves), role=by,
                 purpose=asking.made.purpose, case=asking.made.case),
    )  # fmt: skip
    signed = await asyncio.to_thread(
        releasing.release, at.visit.custodians[own], asking.made, halves,
        grant=grant.rid, at=at.desk.clock(),
    )  # fmt: skip
    asking.answers[own], asking.counts[own] = signed, len(halves)
    at.visit.counted.pop(asking.made.rid)
    at.say(f"{len(halves)} records are released to {asking.made.who}, and to nobody else.")
    return see_other("/keys")


async def use(request: web.Request) -> web.Response:
    """Read from now on what was released, and nothing else."""
    at = here(request)
    asking = at.desk.requests.get(request.match_info["request"])
    if not isinstance(asking, Asking) or asking.made.who != at.session.name:
        raise Said("There is no such request of yours.", 404)
    if not asking.is_released or at.desk.clock() >= asking.made.expires:
        raise Said("This request is not released, or is too old.", 409)
    if (asking.made.purpose, asking.made.case) != (at.visit.purpose, at.visit.case):
        raise Said("This was released for another purpose or case. Change yours to that first.")
    config, visit = at.desk.config, at.visit
    identities = {one.name: one.identity for one in config.custodians}
    granted: dict[str, dict[Rid, bytes]] = {}
    for name, signed in asking.answers.items():
        found = signed.check(identities)
        if found.custodian != name:
            raise Unsound("this release is by another custodian")
        granted[name] = releasing.released(found, asking.session)
    only = frozenset.intersection(*(frozenset(each) for each in granted.values()))
    mine = [one for name, one in visit.custodians.items() if name not in granted]
    sight = Sight(Reader(config.origin, names_of(config), mine, granted=granted), only=only)
    visit.sight, visit.basis, visit.request = None, Basis.GRANTED.value, asking.made.rid
    visit.until = Ms(asking.made.expires)
    visit.role = f"released by custodian {' and '.join(sorted(granted))}"
    await at.look(asking.made.scope, "opened what was released", count=len(only))
    await at.work(sight.prepare)
    visit.sight = sight
    at.say(f"{len(only)} records are open for this visit.")
    return see_other("/search" if at.may(Right.SEARCH) else "/policies")


async def _refuse(at: Here, asking: Asking, reason: str) -> web.Response:
    if not reason:
        raise Said("Say why you refuse: it is recorded, and told to who asked.")
    grant = Granted(
        rid=new_rid(), request=Rid(asking.made.rid), by=f"{at.session.name}: refused, {reason}",
        scope=asking.made.scope, count=0,
    )  # fmt: skip
    await at.record(
        grant,
        at.entry(grant.rid, Category.ACCESS, f"refused to release records to {asking.made.who}",
                 scope=asking.made.scope, count=0, purpose=asking.made.purpose,
                 case=asking.made.case),
    )  # fmt: skip
    asking.refused = (at.session.name, reason)
    at.visit.counted.pop(asking.made.rid, None)
    at.say(f"Refused. {asking.made.who} is told why.")
    return see_other("/keys")


def _find(at: Here, request: web.Request) -> Asking:
    found = at.desk.requests.get(request.match_info["request"])
    if not isinstance(found, Asking):
        raise Said("There is no such request any more.", 404)
    if found.made.who == at.session.name:
        raise Said("Nobody answers their own request.", 403)
    return found


def _own(at: Here, asking: Asking) -> str:
    """Which custodian this person answers as; empty until their key is unlocked."""
    waits = [name for name in asking.needed if name not in asking.answers]
    return next((name for name in waits if name in at.visit.custodians), "")


def _forget_old(requests: dict[str, Asking], now: Ms) -> None:
    for rid in [rid for rid, one in requests.items() if now >= one.made.expires]:
        del requests[rid]
    while len(requests) >= _MOST:
        del requests[next(iter(requests))]


def _form(at: Here) -> dict[str, Any]:
    register, people, _ = at.desk.register()
    return {
        "rooms": [(key, entry.name) for key, entry in register.rooms.items()],
        "persons": sorted(person.name for person in people.persons.values()),
    }
