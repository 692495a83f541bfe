"""What there is of one person: gathered for a stated ground, with everybody else in it marked.

Never hands anything out itself (`handing` does, with a recipient on record), and never says who a
professional-standards matter is about.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bridge.console.desk import Here, Said, here, lines_of, see_other, text_of
from bridge.console.pages.handing import MOST
from bridge.console.pages.reading import CONDUCT, TALK, hidden_from, read
from bridge.console.pages.searching import day_of, remember
from bridge.model import UserId
from bridge.records.archive import Sight, Stack
from bridge.records.conversation import Item
from bridge.records.naming import Names, names_of
from bridge.records.searching import Search
from bridge.register import Person, person_id, room_id
from bridge.store.entries import END, Filter
from bridge.store.journal import Category

#: What a page shows of one person; a file has all.
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that the person said or did, and who else is named in it."""

    item: Item
    others: tuple[str, ...]


async def show_subject(request: web.Request) -> web.Response:
    """Ask about whom."""
    at = here(request)
    return at.page("subject.html", **_form(at), errors={}, form={})


async def subject(request: web.Request) -> web.Response:
    """Gather what there is of one person; it has a random name, as a search has."""
    at, given = here(request), await request.post()
    form: dict[str, Any] = {
        name: text_of(given, name, 200) for name in ("person", "basis", "from", "to")
    }
    form["room"] = lines_of(given, "room")
    people = at.desk.register()[1]
    one = person_id(people, form["person"]) if form["person"] else None
    errors: dict[str, str] = {}
    if one is None:
        errors["person"] = "Give their full name, collar number or Matrix id"
    if not form["basis"]:
        errors["basis"] = "Say on what ground: the request's reference, for example"
    wanted = Filter()
    if one is not None and not errors:
        sight = at.sight()
        try:
            wanted = _wanted(at, sight, one, form)
        except Said as exc:
            errors["from"] = str(exc)
    if errors or one is None:
        values = _form(at)
        return at.page("subject.html", status=400, errors=errors, form=form, **values)
    parts = [("person", one), *(("room", name) for name in form["room"]),
             *((name, form[name]) for name in ("from", "to", "basis"))]  # fmt: skip
    scope = shlex.join(f"{name}:{value}" for name, value in parts if value)
    await at.look(scope, "gathered what there is about one person", category=Category.COMBINATION)
    found = Search(id=secrets.token_urlsafe(12), scope=scope, wanted=wanted, subject=one,
                   form={"person": one})  # fmt: skip
    remember(at, found)
    return see_other(f"/subject/{found.id}")


def _wanted(at: Here, sight: Sight, one: str, form: dict[str, Any]) -> Filter:
    """The records of the form.

    Raises:
        Said: something in it cannot be.
    """
    register, _, lock = at.desk.register()
    rooms = None
    if form["room"]:
        ids = {name: room_id(register, lock, name) for name in form["room"]}
        if unknown := [name for name, found in ids.items() if found is None]:
            raise Said(f"There is no room {unknown[0]!r} on the register.")
        tags = (sight.tags("room", str(found)) for found in ids.values())
        rooms = tuple(dict.fromkeys(tag for each in tags for tag in each))
    start, end = day_of(at, form["from"], 0, 0), day_of(at, form["to"], 1, END)
    if start >= end:
        raise Said("The last day is before the first.")
    # Who a professional-standards matter is about must not come out by asking for them.
    return Filter(
        kinds=TALK, senders=sight.tags("sender", one), rooms=rooms, start=start, end=end,
        without=frozenset({CONDUCT}),
    )  # fmt: skip


async def show_found(request: web.Request) -> web.Response:
    """Show it, with third parties marked."""
    at = here(request)
    found = at.visit.searches.get(request.match_info["search"])
    if not isinstance(found, Search) or not found.subject:
        raise Said("That is over. Gather it again.", 410)
    sight, people = at.sight(), at.desk.register()[1]
    person = people.get(UserId(found.subject))
    await at.look(found.scope, "read what there is about one person",
                  category=Category.COMBINATION)  # fmt: skip

    hide = hidden_from(at)

    def find(stack: Stack) -> tuple[list[Item], int]:
        every = stack.index.newest(found.wanted, MOST)
        return read(stack, sight, every[:_SHOWN][::-1], hide), len(every)

    items, count = await at.work(find)
    names = names_of(people.persons.values(), found.subject)
    mentions = await asyncio.to_thread(_mentions, items, names, person)
    return at.page(
        "subject_found.html", search=found, subject=person, mentions=mentions, count=count,
        shown=_SHOWN, marked=sum(bool(one.others) for one in mentions), bot=at.desk.config.user,
    )  # fmt: skip


def _mentions(items: Iterable[Item], names: Names, person: Person | None) -> list[Mention]:
    """Mark who else of the force is in each; others only a person can find."""
    own = person.id if person is not None else ""
    found = []
    for item in items:
        texts = [item.text, *(version.text for version in item.versions)]
        acting = {by for by, _ in item.removed}
        acting |= {by for several in item.reactions.values() for by in several}
        acting |= {item.sender, item.by}
        found.append(Mention(item, names.within(texts, acting - {own})))
    return found


def _form(at: Here) -> dict[str, Any]:
    register, people, _ = at.desk.register()
    return {
        "persons": sorted(one.name for one in people.persons.values()),
        "rooms": [(key, entry.name) for key, entry in register.rooms.items()],
    }
