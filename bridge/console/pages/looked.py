"""Who looked at what, by whom, when and why: for whoever watches those who watch.

Never shows what was looked at, and a restricted enquiry only to the independent log reader.
"""

from __future__ import annotations

import asyncio
import csv
import datetime
import hashlib
import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from aiohttp import web

from bridge.config import Config
from bridge.console.desk import Here, Said, here, see_other, text_of
from bridge.console.guard import harden
from bridge.console.pages import chosen as choices
from bridge.console.rights import Right
from bridge.records.consult import consultations, journal_of
from bridge.store import journal
from bridge.store.journal import Category, Entry
from bridge.store.reader import SqliteReader
from bridge.verify.headers import PLAIN

PER_PAGE = 100
_PAGE = 20_000
#: Records whose entries do not name them: as many of the one as of the other.
_UNNAMED = frozenset({"note", "examination"})
_COLUMNS = ("at", "category", "who", "role", "what", "scope", "purpose", "case", "basis",
            "recipient", "count", "rid")  # fmt: skip


_FIELDS = ("category", "who", "case", "day")
#: Lists of one visit that are remembered.
_MOST = 20
#: With these a spreadsheet begins a formula; the wide ones do as well in some languages.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which looks somebody has asked for."""

    form: dict[str, str]

    def stop(self) -> None:
        """There is nothing to stop: it is kept among searches, which can be."""


class _Head(msgspec.Struct):
    kind: str
    rid: str


@dataclass(frozen=True, slots=True)
class Held:
    """How the journal and the consultation ledger agree."""

    #: Entries whose record is in the ledger, and those whose record is missing.
    matched: int
    missing: int
    #: Records of which no entry speaks: it was taken out, or could not be written.
    wordless: int


async def choose(request: web.Request) -> web.Response:
    """Remember what is asked for under a random name: a name or a case stands in no address."""
    at, given = here(request), await request.post()
    form = {name: text_of(given, name, 80) for name in _FIELDS}
    chosen = Chosen(choices.without(form, text_of(given, "without", 80)))
    kept = at.visit.searches
    while len(kept) >= _MOST:
        kept.pop(next(iter(kept))).stop()
    name = secrets.token_urlsafe(12)
    kept[name] = chosen
    return see_other(f"/looked?chosen={name}")


async def show(request: web.Request) -> web.Response:
    """Show a page of it."""
    at = here(request)
    name = request.query.get("chosen", "")
    kept = at.visit.searches.get(name)
    if name and not isinstance(kept, Chosen):
        raise Said("That list is over. Choose again.", 410)
    form = kept.form if isinstance(kept, Chosen) else dict.fromkeys(_FIELDS, "")
    text = request.query.get("page", "1")
    number = int(text) if text.isdigit() and 0 < int(text) < 10_000 else 1
    found = await asyncio.to_thread(lambda: list(_chosen(at, form)))
    held = await asyncio.to_thread(_held, at.desk.config)
    found.reverse()
    shown = found[PER_PAGE * (number - 1) : PER_PAGE * number]
    return at.page(
        "looked.html", entries=shown, form=form, chosen=name, number=number, held=held,
        count=len(found), categories=list(Category), more=len(found) > PER_PAGE * number,
        pages=-(-len(found) // PER_PAGE), groups=choices.groups(form, choices.LOOKED, {}),
    )  # fmt: skip


async def export(request: web.Request) -> web.Response:
    """Hand it out as a table, for the regulator; that is on record as well."""
    at, given = here(request), await request.post()
    recipient = text_of(given, "recipient", 200)
    if not recipient or not recipient.isprintable():
        raise Said("Say who gets it: it is recorded.")
    form = {name: text_of(given, name, 80) for name in _FIELDS}
    found = await asyncio.to_thread(lambda: list(_chosen(at, form)))
    raw = _table(found).encode()
    digest = hashlib.sha256(raw).hexdigest()
    rid = await at.disclose("who looked", "handed out who looked", recipient, len(found), digest)
    response = web.Response(body=raw, content_type="text/csv", charset="utf-8")
    harden(response)
    response.headers["Content-Disposition"] = f'attachment; filename="who-looked-{rid[:8]}.csv"'
    return response


def _chosen(at: Here, form: dict[str, str]) -> Iterator[Entry]:
    everything = at.may(Right.INDEPENDENT)
    # What a command was used for is held against the list here.
    restricted = frozenset(at.desk.settings.restricted)
    for each in journal.read(journal_of(at.desk.config)):
        if not everything and (each.restricted or each.purpose in restricted):
            continue
        one = each if everything else _without_the_matter(each)
        day = datetime.datetime.fromtimestamp(one.at / 1000, at.desk.config.zone)
        if (
            (not form["category"] or one.category == form["category"])
            and (not form["who"] or form["who"].lower() in one.who.lower())
            and (not form["case"] or form["case"].lower() in one.case.lower())
            and (not form["day"] or f"{day:%Y-%m-%d}" == form["day"])
        ):
            yield one


def _without_the_matter(one: Entry) -> Entry:
    """That somebody of professional standards looked, and not at which matter, or for which case.

    Whoever reads this may know the rooms: a record's name or a case would tell them whom.
    """
    if not one.conduct:
        return one
    return msgspec.structs.replace(
        one, what="worked on a professional-standards matter", scope="", case="", reason="",
        recipient="", count=None,
    )  # fmt: skip


def _held(config: Config) -> Held:
    """Hold the journal against the ledger, name by name."""
    path = consultations(config)
    names, unnamed = set[str](), 0
    if path.exists():
        reader = SqliteReader(path)
        try:
            for start in range(0, reader.size(), _PAGE):
                for _, header in reader.headers(start, start + _PAGE):
                    head = msgspec.json.decode(header, type=_Head)
                    if head.kind in _UNNAMED:
                        unnamed += 1
                    elif head.kind not in PLAIN:
                        names.add(head.rid)
        finally:
            reader.close()
    lines = [one.rid for one in journal.read(journal_of(config))]
    said, rest = set(filter(None, lines)), lines.count("")
    matched = len(said & names) + min(rest, unnamed)
    missing = len(said - names) + max(0, rest - unnamed)
    return Held(matched, missing, len(names - said) + max(0, unnamed - rest))


def _table(found: list[Entry]) -> str:
    out = io.StringIO()
    # Every cell in quotation marks: elsewhere a semicolon begins the next one.
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    for one in found:
        at = datetime.datetime.fromtimestamp(one.at / 1000, datetime.UTC)
        values = [getattr(one, name) for name in _COLUMNS[1:]]
        writer.writerow([f"{at:%Y-%m-%dT%H:%M:%SZ}", *map(_cell, values)])
    return out.getvalue()


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ")[:1] in _FORMULA else text
