"""What every page is handed: the ledger to read, the looks to record, who is signed in.

Never a way to the rooms, and never the bot's ledger to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import jinja2
from aiohttp import web
from markupsafe import Markup

from bridge.config import Config, load_policies, load_register
from bridge.console.accounts import Accounts
from bridge.console.provider import SignIns
from bridge.console.rights import ROLES, Right
from bridge.console.sessions import Session, Sessions, Throttle, Visit
from bridge.console.settings import Settings
from bridge.errors import BridgeError, ConfigError
from bridge.facts import Basis, Disclosed, Noted, Viewed
from bridge.ledger.record import new_rid
from bridge.model import Ms, Rid, UserId
from bridge.policy import Policy
from bridge.policy.replay import Trial
from bridge.ports import Clock
from bridge.records.archive import Archive, Sight, Stack
from bridge.records.consult import Consulted, Recorder
from bridge.records.figures import Figures
from bridge.register import Lock, People, Person, Register
from bridge.store.directions import Direction, Directions
from bridge.store.journal import Category, Entry

T = TypeVar("T")
#: What was asked for stands on record whole: a longer question is refused.
LONGEST_SCOPE = 10_000
#: No address of ours is longer, query and all.
LONGEST_PLACE = 1_000
DESK: web.AppKey[Desk] = web.AppKey("desk")
#: The session of a request, and its cookie.
SESSION: web.RequestKey[Session | None] = web.RequestKey("session")
TOKEN: web.RequestKey[str] = web.RequestKey("token")


class Said(BridgeError):
    """Something that is not so, said to the person at the page, with the page's status."""

    def __init__(self, message: str, status: int = 400) -> None:
        """Carry the status of the answer."""
        super().__init__(message)
        self.status = status


@dataclass(slots=True, kw_only=True)
class Desk:
    """Everything that pages are made with."""

    config: Config
    settings: Settings
    clock: Clock
    archive: Archive
    recorder: Recorder
    accounts: Accounts
    sessions: Sessions
    throttle: Throttle
    templates: jinja2.Environment
    #: What reviewers decided, which the bot carries out.
    directions: Directions
    #: Makes what judges records again as a draft would; None where that cannot be done here.
    trial: Callable[[Policy], Trial] | None = None
    #: Those by the force's identity provider; None where there is none.
    sign_ins: SignIns | None = None
    #: Requests to custodians, by their names.
    requests: dict[str, Any] = field(default_factory=dict)
    #: The last days at a glance, and when they were counted, for those who may know of
    #: professional-standards matters and for those who may not.
    glance: dict[bool, tuple[Ms, Figures]] = field(default_factory=dict)
    _policy: tuple[object, Policy] | None = None
    _register: tuple[tuple[int, ...], tuple[Register, People, Lock]] | None = None

    def register(self) -> tuple[Register, People, Lock]:
        """Rooms and people as the force's files have them now; while one is wrong, as before.

        Raises:
            ConfigError: they never could be read.
        """
        stamp = tuple(
            path.stat().st_mtime_ns if path.exists() else 0
            for path in (self.config.rooms, self.config.people, self.config.lock)
        )
        if self._register is None or self._register[0] != stamp:
            try:
                self._register = (stamp, load_register(self.config))
            except ConfigError:
                if self._register is None:
                    raise
        return self._register[1]

    def person(self, name: str) -> Person | None:
        """Who has this console sign-in."""
        if not name:
            return None
        people = self.register()[1].persons.values()
        return next((one for one in people if one.console == name), None)

    def person_of(self, session: Session) -> Person | None:
        """Who has signed in; None if nobody has, or they are not listed any more."""
        listed = self.person(session.name)
        if session.roles is None or not session.name:
            return listed
        if listed is None:
            return Person(id=UserId(""), name=session.full, console=session.name,
                          roles=session.roles)  # fmt: skip
        return replace(listed, roles=session.roles)

    def rights(self, session: Session) -> frozenset[Right]:
        """What this session may do now: roles that are taken away are gone with the next click."""
        person = self.person_of(session)
        if person is None:
            return frozenset()
        return frozenset(right for role in person.roles for right in ROLES.get(role, ()))

    async def policy(self) -> Policy:
        """The policy files of the folder; read again only when one has changed.

        Raises:
            PolicyError: something in one of them is wrong.
        """
        files = sorted(path for path in self.config.policies.rglob("*") if path.is_file())
        stamp = tuple((str(path), path.stat().st_mtime_ns) for path in files)
        if self._policy is None or self._policy[0] != stamp:
            loaded = await asyncio.to_thread(load_policies, self.config.policies, clock=None)
            self._policy = (stamp, loaded)
        return self._policy[1]

    async def decided(self) -> dict[str, Direction]:
        """What reviewers have decided here, by verdict."""
        return dict(await asyncio.to_thread(self.directions.read))

    async def final(self) -> dict[str, int]:
        """When each verdict was decided here that does not wait for anybody else."""
        return {rid: one.at for rid, one in (await self.decided()).items() if one.is_final}

    async def work(self, do: Callable[[Stack], T], *, conduct: bool = False) -> T:
        """Have *do* read the ledger, in a thread of its own; see `Archive.open`."""

        def run() -> T:
            with self.archive.open(conduct=conduct) as stack:
                return do(stack)

        return await asyncio.to_thread(run)


@dataclass(slots=True, kw_only=True)
class Here:
    """One request: who asks, for what purpose, and what they may do."""

    request: web.Request
    desk: Desk
    session: Session
    rights: frozenset[Right]

    @property
    def visit(self) -> Visit:
        """The visit; only pages that need one ask."""
        if self.session.visit is None:
            raise Said("Say first what you have come for.", 403)
        return self.session.visit

    @property
    def person(self) -> Person:
        """Who is signed in."""
        found = self.desk.person_of(self.session)
        if found is None:
            raise Said("You are not listed any more.", 403)
        return found

    def may(self, right: Right) -> bool:
        """Say whether they may do that."""
        return right in self.rights

    async def work(self, do: Callable[[Stack], T]) -> T:
        """Have *do* read what this person may know of, in a thread of its own."""
        return await self.desk.work(do, conduct=self.may(Right.CONDUCT))

    def sight(self) -> Sight:
        """What they can open.

        Raises:
            Said: nothing yet.
        """
        found = self.visit.sight
        if found is None:
            raise Said("Content is closed: a custodian's key has to be unlocked first.", 403)
        return found

    async def look(  # noqa: PLR0913 - what a look is recorded with
        self,
        scope: str,
        what: str,
        *,
        count: int | None = None,
        review: bool = False,
        category: Category = Category.CONSULTATION,
        conduct: bool = False,
    ) -> Rid:
        """Have a look on record, durably, before it is taken; return its name there.

        What it says of a matter of *conduct* is shown to the independent log reader only.

        Raises:
            StoreError: it cannot be recorded; then nothing may be shown.
        """  # fmt: skip
        visit = self.visit
        basis = Basis.REVIEW if review else Basis(visit.basis or Basis.CUSTODIANS)
        role = "reviewer" if review else visit.role
        scope = printable(scope)
        fact = Viewed(rid=new_rid(), who=self.session.name, role=role, scope=scope,
                      purpose=visit.purpose, case=visit.case, basis=basis)  # fmt: skip
        # Without a key there is nobody on whose word it is, and nothing but headers to see.
        said = basis.value if review or visit.basis else ""
        await self.record(fact, self.entry(fact.rid, category, what, scope=scope, count=count,
                                           basis=said, role=role, conduct=conduct))  # fmt: skip
        return fact.rid

    def entry(self, rid: str, category: Category, what: str, **more: Any) -> Entry:
        """The words of something that this person does, for the journal."""
        visit = self.session.visit
        if visit is not None:
            more = {"purpose": visit.purpose, "case": visit.case,
                    "restricted": visit.restricted, **more}  # fmt: skip
        return Entry(rid=rid, at=self.desk.clock(), category=category, who=self.session.name,
                     what=what, **more)  # fmt: skip

    async def record(self, fact: Consulted, *entries: Entry) -> None:
        """Have something on record before it happens."""
        await self.desk.recorder.record([fact], entries)

    async def disclose(self, scope: str, what: str, recipient: str, count: int, digest: str) -> Rid:
        """Have it on record that records are handed to somebody."""
        visit = self.visit
        fact = Disclosed(
            rid=new_rid(), who=self.session.name, role=visit.role, scope=printable(scope),
            purpose=visit.purpose, case=visit.case, recipient=recipient, count=count,
            digest=digest,
        )  # fmt: skip
        await self.record(fact, self.entry(fact.rid, Category.DISCLOSURE, what, scope=fact.scope,
                                           recipient=recipient, count=count,
                                           role=visit.role))  # fmt: skip
        return fact.rid

    def say(self, text: str, kind: str = "success") -> None:
        """Say something on the next page."""
        self.session.said.append((kind, text))

    def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """Make a page."""
        return rendered(self.request, template, status=status, **values)


def here(request: web.Request) -> Here:
    """What a page is made for; only for pages that somebody signed in is served."""
    desk, session = request.app[DESK], request.get(SESSION)
    if session is None:
        raise Said("You are not signed in.", 403)
    return Here(request=request, desk=desk, session=session, rights=desk.rights(session))


def rendered(
    request: web.Request, template: str, *, status: int = 200, **values: Any
) -> web.Response:
    """Make a page for whoever asks."""
    desk: Desk = request.app[DESK]
    session: Session | None = request.get(SESSION)
    signed_in = session is not None and bool(session.name)
    said: Sequence[tuple[str, str]] = ()
    if session is not None:
        said, session.said = tuple(session.said), []
    rights = desk.rights(session) if session is not None and signed_in else frozenset()
    text = desk.templates.get_template(template).render(
        force=desk.config.force,
        contact=desk.config.contact,
        settings=desk.settings,
        session=session if signed_in else None,
        person=desk.person_of(session) if session is not None and signed_in else None,
        visit=session.visit if session is not None and signed_in else None,
        rights=rights,
        Right=Right,
        path=request.path,
        said=said,
        custodians=[one.name for one in desk.config.custodians],
        now=desk.clock(),
        lasts=desk.sessions.lasts(session) if session is not None and signed_in else None,
        **_rooms(desk),
        **values,
    )
    return web.Response(text=text, content_type="text/html", status=status)


def _rooms(desk: Desk) -> dict[str, dict[str, str]]:
    """Room id → key, and → name, of the rooms on the register."""
    register, _, lock = desk.register()
    ids = {key: register.id_of(key, lock) for key in register.rooms}
    return {
        "room_keys": {str(i): key for key, i in ids.items() if i},
        "room_names": {str(i): register.rooms[key].name for key, i in ids.items() if i},
    }


def note(text: str) -> Noted:
    """A note of the console's own, for the consultation ledger."""
    return Noted(text=f"console: {text}")


def printable(text: str) -> str:
    """Spell out what a screen would not show as it is, for a record that people read."""
    spelt = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return spelt[:LONGEST_SCOPE]


def see_other(place: str) -> web.Response:
    """Send the browser on, to a page of our own."""
    return web.Response(status=303, headers={"Location": own_page(place)})


def own_page(place: str) -> str:
    """The address if it is one of a page of ours, and the first page's if it is anything else."""
    # Browsers take a backslash for a slash, and two slashes for the name of another site.
    ours = place.startswith("/") and not place.startswith("//") and "\\" not in place
    return place if ours and place.isprintable() and len(place) <= LONGEST_PLACE else "/"


def text_of(form: Any, name: str, longest: int = 500) -> str:
    """One field of a form: one line of text, without spaces around it."""
    value = form.get(name, "")
    if not isinstance(value, str):
        return ""
    return " ".join(value.split())[:longest]


def lines_of(form: Any, name: str, longest: int = 200, most: int = 500) -> tuple[str, ...]:
    """Every value of one field that may be given more than once, without repeats."""
    values = [one for one in form.getall(name, ()) if isinstance(one, str)]
    kept = (" ".join(one.split())[:longest] for one in values[:most])
    return tuple(dict.fromkeys(one for one in kept if one))


def markup(text: str) -> Markup:
    """Say that HTML of our own is HTML."""
    return Markup(text)  # noqa: S704 - only ever our own, made without foreign words


def day_start(at: Ms, days: int = 0) -> Ms:
    """The time so many days before."""
    return Ms(at - days * 86_400_000)
