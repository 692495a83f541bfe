"""A conversation page by page, from its end, from a day or from around one record.

Never shows anything before the look is on record, and never leaves out what stands between two
pages: they go by the number of a record, as many records have one and the same time.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from bridge.console.desk import Here, Said, here, text_of
from bridge.console.pages.reading import TALK, Hide, hidden_from, read
from bridge.console.pages.searching import day_of
from bridge.model import Ms
from bridge.records.archive import Sight, Stack, find_one
from bridge.records.conversation import Item, tie_replies
from bridge.register import Entry as RoomEntry
from bridge.store.entries import END, Entry, Filter
from bridge.verify.headers import PLAIN, Kind

PER_PAGE = 200
#: From a decision on an outcome of a debt it is three steps to the message that it is about.
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of a conversation."""

    items: list[Item]
    #: The numbers of the records before and after which the other pages are; None for no page.
    earlier: int | None
    later: int | None
    #: The item in which the record is that was asked for.
    marked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What was said in a room, in the days that are asked for."""

    key: str
    room: RoomEntry
    wanted: Filter
    days: dict[str, str]

    @property
    def scope(self) -> list[tuple[str, str]]:
        """The same as the record of a look has it."""
        return [("room", self.room.name), *self.days.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in it a page is; nothing is its end."""

    #: Numbers of records.
    before: int | None = None
    after: int | None = None
    #: The name of a record that is to be in the middle.
    rid: str = ""


async def show_conversation(request: web.Request) -> web.Response:
    """Show a page of what was said in a room."""
    at = here(request)
    sight, asked = at.sight(), request.query
    talk = talk_of(at, request.match_info["room"], asked)
    place = Place(before=_number(asked.get("before")), after=_number(asked.get("after")),
                  rid=text_of(asked, "rid", 40))  # fmt: skip
    ends = (("before", place.before), ("after", place.after), ("rid", place.rid or None))
    scope = [*talk.scope, *((name, value) for name, value in ends if value is not None)]
    await at.look(in_words(scope), "read a conversation")
    hide = hidden_from(at)
    sheet = await at.work(lambda stack: _sheet(stack, sight, talk.wanted, place, hide))
    return at.page(
        "conversation.html", room=talk.room, key=talk.key, sheet=sheet, days=talk.days,
        asked=place.rid, more=f"&{urlencode(talk.days)}" if talk.days else "",
        bot=at.desk.config.user,
    )  # fmt: skip


def talk_of(at: Here, key: str, form: Mapping[str, Any]) -> Talk:
    """Read which room is meant, and which days of it.

    Raises:
        Said: there is no such room, or something in the form cannot be.
    """
    register, _, lock = at.desk.register()
    entry = register.rooms.get(key)
    room = register.id_of(key, lock) if entry else None
    if entry is None or room is None:
        raise Said("There is no such room on the register.", 404)
    days = {name: text for name in ("from", "to") if (text := text_of(form, name, 20))}
    start, end = day_of(at, days.get("from", ""), 0, 0), day_of(at, days.get("to", ""), 1, END)
    if start >= end:
        raise Said("The last day is before the first.")
    rooms = at.sight().tags("room", room)
    return Talk(key=key, room=entry, days=days,
                wanted=Filter(kinds=TALK, rooms=rooms, start=start, end=end))  # fmt: skip


def in_words(scope: list[tuple[str, Any]]) -> str:
    """A scope as the record of a look has it."""
    return shlex.join(f"{name}:{value}" for name, value in scope)


def _sheet(stack: Stack, sight: Sight, wanted: Filter, place: Place, hide: Hide) -> Sheet:
    index = stack.index
    if place.rid:
        spot = _spot(stack, wanted, place.rid)
        before = index.newest_in(wanted, PER_PAGE // 2, spot.id)[::-1]
        shown = [*before, spot, *index.oldest_in(wanted, PER_PAGE // 2, spot.id)]
    elif place.after is not None:
        shown = index.oldest_in(wanted, PER_PAGE, place.after)
    elif place.before is not None:
        shown = index.newest_in(wanted, PER_PAGE, place.before)[::-1]
    elif wanted.start:  # a day was asked for: it is read from its morning on
        shown = index.oldest_in(wanted, PER_PAGE)
    else:
        shown = index.newest_in(wanted, PER_PAGE)[::-1]
    if not shown:
        return Sheet([], None, None)
    items = read(stack, sight, shown, hide)
    tie_replies(items, _elsewhere(stack, sight, wanted, items, hide))
    first, last = shown[0].id, shown[-1].id
    return Sheet(
        items,
        first if index.newest_in(wanted, 1, first) else None,
        last if index.oldest_in(wanted, 1, last) else None,
        next((item.rid for item in items if item.has(spot.rid)), "") if place.rid else "",
    )


def _spot(stack: Stack, wanted: Filter, rid: str) -> Entry:
    """The record of the conversation that this one is, or is about.

    Raises:
        UsageError: there is none of that name.
        Said: it has no part in this conversation.
    """
    entry = find_one(stack, rid)
    for _ in range(_STEPS):
        if entry.facet.kind in TALK or not entry.ref:
            break
        entry = find_one(stack, entry.ref)
    if entry.facet.kind not in TALK or entry.room not in (wanted.rooms or ()):
        raise Said("That record is not a part of this conversation.", 404)
    return entry


def _elsewhere(
    stack: Stack, sight: Sight, wanted: Filter, items: list[Item], hide: Hide
) -> list[Item]:
    """What replies of this page answer on another page: opened only where the look covers it."""
    events = sorted({item.reply for item in items if item.reply and item.answers is None})
    found = {
        event: entry
        for event, entry in (stack.named(events) if events else {}).items()
        if entry.facet.kind in TALK and entry.room in (wanted.rooms or ())
    }
    covered = sorted(one for one in found.values() if wanted.start <= one.t < wanted.end)
    opened = {item.rid: item for item in read(stack, sight, covered, hide)} if covered else {}
    links = []
    for event, entry in found.items():
        item = opened.get(entry.rid)
        if item is None or not item.event:
            links.append(Item(rid=entry.rid, at=Ms(entry.t), kind=entry.facet.kind, event=event))
        elif item.event == event:  # the notebook proves nothing: what was opened does
            links.append(item)
    return links


def with_what_was_done(stack: Stack, talk: list[Entry]) -> list[Entry]:
    """Add to records of a conversation whatever was decided and done about them; no files."""
    first = stack.index.about(one.rid for one in talk)
    second = stack.index.about(
        one.rid for one in first if one.facet.kind in {Kind.VERDICT, Kind.DEBT}
    )
    about = [
        one for one in (*first, *second)
        if one.facet.kind not in TALK and one.facet.kind not in PLAIN | {Kind.MEDIA}
    ]  # fmt: skip
    return sorted({one.id: one for one in (*talk, *about)}.values())


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
