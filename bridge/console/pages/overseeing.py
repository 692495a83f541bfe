"""What was found of rooms and mended, what was disposed of, and decisions about what is due.

Never writes to the bot's ledger: a decision is an order to the running bot, by its local socket.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from bridge.console.desk import Here, Said, here, note, see_other, text_of
from bridge.console.rights import Right
from bridge.errors import BridgeError, PolicyError
from bridge.facts import Fate
from bridge.records import deciding, due
from bridge.records.archive import Stack
from bridge.running.control import Order, ask
from bridge.store.journal import Category
from bridge.store.reader import SqliteReader
from bridge.verify.headers import Kind

#: No page has more lines of one kind than this; the ledger has all.
MOST = 200
#: What is decided here: rooms are decided about by their owners, at the command line.
_HERE = (due.Sort.BUCKET, due.Sort.HOLD)


async def drift(request: web.Request) -> web.Response:
    """Show how rooms were not as the register says, and what was done about it."""
    at = here(request)
    found = await asyncio.to_thread(_read, at, lambda reader: reader.drifts(MOST + 1))
    register, _, _ = at.desk.register()
    wanted = text_of(request.query, "room", 60)
    keys = [(key, entry.name) for key, entry in register.rooms.items()]
    names = dict(keys)
    shown = [one for one in found if not wanted or one.key == wanted]
    return at.page(
        "drift.html", found=shown[:MOST], names=names, rooms=keys, wanted=wanted,
        more=len(found) > MOST,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shred:
    """That a custodian destroyed the key of a bucket: the record of it is the certificate."""

    bucket: str
    at: int
    rid: str


async def disposals(request: web.Request) -> web.Response:
    """Show what waits for a decision, what was decided, and what has gone."""
    at = here(request)
    return await _page(at, errors={}, form={})


async def decide(request: web.Request) -> web.Response:
    """Have the bot record a decision about something that is due."""
    at, given = here(request), await request.post()
    form = {name: text_of(given, name, 300) for name in ("item", "fate", "until", "reason")}
    known = await _known(at)
    try:
        item = deciding.named(known, form["item"], _HERE)
        fact = deciding.decision(
            known, item, _fate(form["fate"]), reason=form["reason"], until=_day(form["until"]),
            by=at.person.name, account=at.session.name, now=at.desk.clock(),
        )  # fmt: skip
    except BridgeError as exc:
        return await _page(at, status=400, errors={form["item"]: str(exc)}, form=form)
    what = f"decided about {item}: {fact.fate}"
    await at.record(note(f"{at.session.name} {what}"),
                    at.entry("", Category.ALTERATION, what, reason=fact.reason))  # fmt: skip
    answer = await ask(at.desk.config.socket, Order.record(fact))
    if answer is None:
        raise Said(
            "Nothing was decided: the bot does not run on this machine, and only it writes its "
            "ledger. On its host: bluelamp review decide",
            503,
        )
    if not answer.ok:
        raise Said(answer.text, 409)
    at.say(f"On record: {item} {'is retained' if fact.fate is Fate.RETAIN else 'may go'}.")
    return see_other("/disposals")


async def _page(
    at: Here, *, errors: dict[str, str], form: dict[str, str], status: int = 200
) -> web.Response:
    known = await _known(at)
    survey = due.survey(known, at.desk.clock())
    waits = [one for one in survey.waiting if one.sort in _HERE]
    rooms = [one for one in survey.waiting if one.sort == due.Sort.ROOM]
    asked = {one.name for one in waits}
    retained = [
        one for one in survey.withheld.items() if f"{due.Sort.BUCKET}:{one[0]}" not in asked
    ]
    cleared = await asyncio.to_thread(_read, at, lambda reader: reader.cleared(MOST))
    return at.page(
        "disposals.html", status=status, waits=waits, waiting_rooms=rooms,
        withheld=retained, shreds=await at.work(_shreds), cleared=cleared,
        appraisals=known.appraisals[::-1][:MOST], labels=known.labels[::-1][:MOST], errors=errors,
        form=form, decides=at.may(Right.DECIDE),
    )  # fmt: skip


async def withheld(at: Here) -> frozenset[str]:
    """The buckets that stay although their date is past; none where that cannot be told."""
    try:
        return frozenset(due.survey(await _known(at), at.desk.clock()).withheld)
    except PolicyError:
        return frozenset()


def _shreds(stack: Stack) -> list[Shred]:
    """The certificates of disposals, newest first."""
    found = []
    for entry, row in stack.fetch(stack.of_kind(Kind.SHRED)[::-1][:MOST]):
        header = msgspec.json.decode(row.header, type=dict[str, str | int])
        found.append(Shred(bucket=str(header["bucket"]), at=entry.t, rid=entry.rid))
    return found


async def _known(at: Here) -> due.Known:
    policy = await at.desk.policy()
    return await asyncio.to_thread(due.know, at.desk.config, policy)


def _read(at: Here, ask_of: Callable[[SqliteReader], list[Any]]) -> list[Any]:
    reader = SqliteReader(at.desk.config.ledger)
    try:
        return ask_of(reader)
    finally:
        reader.close()


def _fate(text: str) -> Fate:
    try:
        return Fate(text)
    except ValueError:
        raise Said("Say whether it is retained or may go.") from None


def _day(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError:
        raise Said("Give the day as 2027-11-22.") from None
