"""Searching by what stands in the clear, by room and person, and in the words of what is open.

Never puts what was searched for into an address: a search has a random name.
"""

from __future__ import annotations

import asyncio
import datetime
import secrets
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from bridge.console.desk import (
    LONGEST_SCOPE,
    Here,
    Said,
    here,
    lines_of,
    printable,
    see_other,
    text_of,
)
from bridge.console.pages import chosen
from bridge.console.pages.reading import CONDUCT, Hide, hidden_from, pseudonym
from bridge.console.rights import Right
from bridge.console.views import words as worded
from bridge.model import Action, RoomClass, UserId
from bridge.records.archive import Opened, Sight, Stack
from bridge.records.cases import case_of, under
from bridge.records.searching import SAID, Search, cut_short
from bridge.register import People, person_id, room_id
from bridge.store.entries import END, Entry, Facet, Filter
from bridge.store.reader import Case, Hold
from bridge.verify.headers import Kind

PER_PAGE = 50
#: Nobody pages further than this: the question has to be narrower.
_DEEPEST = 200
#: Searches of one visit that are remembered.
_MOST = 20
_FIELDS = ("case", "person", "team", "from", "to", "rule", "action", "class", "kind", "words")
#: What may be looked for → kinds of records.
KINDS: Mapping[str, tuple[str, frozenset[str]]] = {
    "said": ("messages", SAID),
    "verdict": ("what was decided", frozenset({Kind.VERDICT.value})),
    "outcome": ("what was done", frozenset({Kind.OUTCOME.value})),
    "undecryptable": ("what could not be read", frozenset({Kind.UNDECRYPTABLE.value})),
    "membership": ("who joined and left", frozenset({Kind.MEMBERSHIP.value})),
    "event": ("reactions and removals", frozenset({Kind.EVENT.value})),
    "decision": ("decisions of people", frozenset({Kind.DECISION.value})),
    "gap": ("gaps", frozenset({Kind.GAP.value})),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the results."""

    entry: Entry
    #: What it is about: the message of a verdict, or itself.
    opened: Opened | None
    #: What its author is called where they are not to be named; empty where they may be.
    called: str = ""


async def show(request: web.Request) -> web.Response:
    """Show the form."""
    at = here(request)
    again = at.visit.searches.get(request.query.get("again", ""))
    return at.page("search.html", **await _form(at), form=again.form if again else {}, errors={})


async def search(request: web.Request) -> web.Response:
    """Begin a search; it is on record before anything is looked into."""
    at, given = here(request), await request.post()
    form: dict[str, Any] = {name: text_of(given, name, 200) for name in _FIELDS}
    form["room"] = lines_of(given, "room")
    form = chosen.without(form, text_of(given, "without", 200))
    try:
        wanted, judged, scope = await asyncio.to_thread(_wanted, at, form)
        case = await asyncio.to_thread(_case, at, form["case"])
    except Said as exc:
        values = await _form(at)
        return at.page("search.html", status=400, form=form, errors={"search": str(exc)}, **values)
    words = form["words"]
    what = "searched the words of what is open" if words else "searched"
    await at.look(scope, what)
    found = None
    if case is not None:
        # What holds cover is sealed, and so it is opened after that is on record.
        sight = at.sight()
        found = await at.work(lambda stack: under(at.desk.config, stack, sight, *case))
        wanted = replace(wanted, among=found.covered)
    one = Search(id=secrets.token_urlsafe(12), scope=scope, wanted=wanted, judged=judged,
                 words=words, form=form, called=_called(at), under=found)  # fmt: skip
    remember(at, one)
    if words:
        _begin(at, one)
    return see_other(f"/search/{one.id}")


def remember(at: Here, one: Search) -> None:
    """Keep a search for as long as the visit; the oldest goes when there are too many."""
    searches = at.visit.searches
    while len(searches) >= _MOST:
        searches.pop(next(iter(searches))).stop()
    searches[one.id] = one


async def results(request: web.Request) -> web.Response:
    """Show what was found so far."""
    at = here(request)
    one = _find(at, request).now()
    groups = chosen.groups(one.form, chosen.SEARCHED, _called_so(at))
    if one.words:
        return at.page("found.html", search=one, refresh=one.state == "running", groups=groups,
                       cut=cut_short(one))  # fmt: skip
    text = request.query.get("page", "1")
    number = int(text) if text.isdigit() and 1 <= int(text) <= _DEEPEST else 1
    sight = at.visit.sight

    def read(stack: Stack) -> tuple[list[Entry], int | None]:
        found = stack.index.newest(one.wanted, PER_PAGE + 1, PER_PAGE * (number - 1))
        return found, stack.index.count(one.wanted) if one.wanted.is_countable else None

    found, count = await at.work(read)
    shown = found[:PER_PAGE]
    if sight is not None and shown:
        await at.look(one.scope, "read a page of results", count=len(shown))
    hide = hidden_from(at)
    rows = await at.work(lambda stack: _rows(stack, sight, shown, hide))
    return at.page(
        "results.html", search=one, rows=rows, count=count, number=number,
        more=len(found) > PER_PAGE and number < _DEEPEST, per_page=PER_PAGE, groups=groups,
    )  # fmt: skip


async def stop(request: web.Request) -> web.Response:
    """End a search that is running; what it found stays."""
    at = here(request)
    one = _find(at, request)
    one.stop()
    return see_other(f"/search/{one.id}")


def _rows(stack: Stack, sight: Sight | None, found: list[Entry], hide: Hide) -> list[Row]:
    """Open what is shown, where it can be; a verdict is shown with the message that it is about."""
    if sight is None:
        return [Row(one, None) for one in found]
    about = stack.index.get(one.ref for one in found if one.facet.kind == Kind.VERDICT and one.ref)
    meant = [about.get(one.ref, one) for one in found]
    by_rid = {one.rid: one for one in sight.open(stack, {e.rid: e for e in meant}.values())}
    return [
        Row(one, by_rid.get(of.rid), pseudonym(of) if hide(of) else "")
        for one, of in zip(found, meant, strict=True)
    ]


def _find(at: Here, request: web.Request) -> Search:
    found = at.visit.searches.get(request.match_info["search"])
    if not isinstance(found, Search):
        raise Said("That search is over. Search again.", 410)
    return found


def _called_so(at: Here) -> Mapping[str, Mapping[str, str]]:
    """What values of the form are called: field → value → that."""
    register, _, _ = at.desk.register()
    return {
        "room": {key: entry.name for key, entry in register.rooms.items()},
        "kind": {name: label for name, (label, _) in KINDS.items()},
        "action": {one.name.lower(): worded(one.name.lower()) for one in Action},
    }


def _called(at: Here) -> Callable[[Entry], str]:
    hide = hidden_from(at)
    return lambda entry: pseudonym(entry) if hide(entry) else ""


def _begin(at: Here, one: Search) -> None:
    """Look for words in a thread of its own."""
    sight, archive, conduct = at.sight(), at.desk.archive, at.may(Right.CONDUCT)

    def run() -> None:
        with archive.open(conduct=conduct) as stack:
            one.run(stack, sight)

    one.state = "running"
    task = asyncio.get_running_loop().run_in_executor(None, run)
    task.add_done_callback(lambda done: done.exception())


def _case(at: Here, reference: str) -> tuple[Case, tuple[Hold, ...]] | None:
    """The case that is asked for, if one is.

    Raises:
        Said: there is none of that name, or it cannot be told here what was put under it.
    """
    if not reference:
        return None
    if at.visit.sight is None:
        raise Said("What was put under a case is sealed: unlock a key, then search by case.")
    found = case_of(at.desk.config, reference)
    if found is None:
        raise Said(f"No case {reference!r} is on record. Give its reference as the hold has it.")
    return found


def _whose(people: People, team: str, person: str) -> list[UserId]:
    """Name whose records are wanted; nobody where neither is given.

    Raises:
        Said: there is no such team or person, or the one is not in the other.
    """
    ids = [one.id for one in people.team(team)] if team else []
    if team and not ids:
        raise Said(f"Nobody in people.csv is in a team {team!r}.")
    if not person:
        return ids
    one = person_id(people, person)
    if one is None:
        raise Said(f"There is no person {person!r}; give their full name, collar "
                   "number or Matrix id.")  # fmt: skip
    if ids and UserId(one) not in ids:
        raise Said(f"{person} is not in the team {team!r}; leave one of them out.")
    return [UserId(one)]


def _wanted(at: Here, form: Mapping[str, Any]) -> tuple[Filter, Filter | None, str]:
    """Read the form: which records, and the same in words for the record of the look.

    Words are in messages, and rules and actions in the verdicts about them: where both are asked
    for, the second has the verdicts, and the first the messages.

    Raises:
        Said: something in it cannot be.
    """
    register, people, lock = at.desk.register()
    rooms = senders = None
    if form["room"] or form["person"] or form["team"]:
        sight = at.visit.sight
        if sight is None:
            raise Said("Rooms and people can be searched for once a key is unlocked. Without one, "
                       "search by time, class, rule or what happened.")  # fmt: skip
        if form["room"]:
            named = {name: room_id(register, lock, name) for name in form["room"]}
            if unknown := [name for name, found in named.items() if found is None]:
                raise Said(f"There is no room {unknown[0]!r} on the register.")
            tags = (sight.tags("room", str(found)) for found in named.values())
            rooms = tuple(dict.fromkeys(tag for each in tags for tag in each))
        if ids := _whose(people, form["team"], form["person"]):
            senders = tuple(tag for one in ids for tag in sight.tags("sender", str(one)))
    if form["words"] and at.visit.sight is None:
        raise Said("Words can be searched for once a key is unlocked.")
    start, end = day_of(at, form["from"], 0, 0), day_of(at, form["to"], 1, END)
    if start >= end:
        raise Said("The search ends before it begins.")
    kinds = frozenset(SAID) if form["words"] else KINDS.get(form["kind"], KINDS["said"])[1]
    if by_verdict := bool(form["rule"] or form["action"]):
        kinds = KINDS["verdict"][1]
    wanted = Filter(
        kinds=kinds,
        # Who somebody is must not come out by asking for them.
        without=frozenset({CONDUCT}) if senders is not None else frozenset(),
        classes=frozenset({form["class"]} - {""}),
        actions=frozenset({form["action"]} - {""}),
        rules=frozenset({form["rule"]} - {""}),
        start=start,
        end=end,
        rooms=rooms,
        senders=senders,
    )
    judged = None
    if form["words"] and by_verdict:
        # A verdict is about what was said before it: in the evening, or on another day.
        judged = replace(wanted, end=END)
        wanted = replace(wanted, kinds=SAID, actions=frozenset(), rules=frozenset())
    scope = scope_in_words(form)
    if len(printable(scope)) >= LONGEST_SCOPE:
        raise Said("These are too many rooms for one search: select fewer of them.")
    return wanted, judged, scope


def scope_in_words(form: Mapping[str, Any]) -> str:
    """What a form asks for, as the record of the look has it."""
    said = [(name, value) for name, value in form.items() if value and name != "room"]
    said = [*(("room", name) for name in form.get("room", ())), *said]
    return shlex.join(f"{name}:{value}" for name, value in said) or "everything"


def day_of(at: Here, text: str, later: int, default: int) -> int:
    """When a day begins that somebody typed, so many days later; *default* for none.

    Raises:
        Said: it is no day.
    """
    if not text:
        return default
    try:
        day = datetime.date.fromisoformat(text) + datetime.timedelta(days=later)
        began = datetime.datetime.combine(day, datetime.time(), at.desk.config.zone)
        return int(began.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Said(f"{text!r} is not a day such as 2026-11-22.") from None


async def _form(at: Here) -> dict[str, Any]:
    register, people, _ = at.desk.register()
    facets: tuple[Facet, ...] = await at.work(lambda stack: stack.index.facets())
    return {
        "rooms": [(key, entry.name) for key, entry in register.rooms.items()],
        "persons": sorted(person.name for person in people.persons.values()),
        "teams": sorted({person.team for person in people.persons.values() if person.team}),
        "rules": sorted({facet.rule for facet in facets if facet.rule}),
        "classes": sorted({facet.cls for facet in facets if facet.cls}),
        "actions": [one.name.lower() for one in Action],
        "kinds": {name: label for name, (label, _) in KINDS.items()},
        "all_classes": [one.value for one in RoomClass],
    }
