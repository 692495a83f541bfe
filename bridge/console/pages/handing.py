"""Handing records out.

Never hands anything out without a recipient, and never before that is on record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from aiohttp import web

from bridge import __version__
from bridge.console.desk import Here, Said, here, lines_of, text_of
from bridge.console.guard import harden
from bridge.console.pages.conversation import in_words, talk_of, with_what_was_done
from bridge.console.pages.reading import hidden_from
from bridge.console.rights import Right
from bridge.records.archive import Opened, Sight, Stack
from bridge.records.naming import Names, names_of, texts_of
from bridge.records.searching import Search, cut_short
from bridge.store.entries import Entry
from bridge.store.journal import Category
from bridge.verify.tree import leaf_hash

#: One file has no more records than this: ask for it in parts.
MOST = 50_000
FORMAT = "bluelamp/export/v1"
#: Said whether there are any or not: otherwise it would say that there are.
LEFT_OUT = "professional-standards matters, if there are any"
_encode = msgspec.json.Encoder(order="deterministic").encode
#: What breaks a line elsewhere, in UTF-8 → as JSON may spell it, wherever it stands.
_BREAKS = {sign.encode(): f"\\u{ord(sign):04x}".encode() for sign in "\x85\u2028\u2029"}


async def export(request: web.Request) -> web.Response:
    """Hand out the records of a search, or those chosen of them, as JSON lines with hashes."""
    at, form = here(request), await request.post()
    found = at.visit.searches.get(request.match_info["search"])
    if not isinstance(found, Search):
        raise Said("That search is over. Search again.", 410)
    found, sight = found.now(), at.sight()
    hits = [one.rid for one in found.hits] if found.words else None
    chosen = frozenset(lines_of(form, "rid"))

    def entries(stack: Stack) -> list[Entry]:
        if hits is not None:
            return sorted(stack.index.get(hits).values())
        every = stack.index.newest(found.wanted, MOST + 1)[::-1]
        return [one for one in every if one.rid in chosen] if chosen else every

    return await _hand_out(at, form, sight, entries, found, len(chosen) if hits is None else 0)


async def export_conversation(request: web.Request) -> web.Response:
    """Hand out what was said in a room in some days, and what was decided and done about it."""
    at, form = here(request), await request.post()
    sight = at.sight()
    talk = talk_of(at, request.match_info["room"], form)

    def entries(stack: Stack) -> list[Entry]:
        return with_what_was_done(stack, stack.index.newest(talk.wanted, MOST + 1))

    found = Search(id="", scope=in_words([*talk.scope]), wanted=talk.wanted)
    return await _hand_out(at, form, sight, entries, found)


async def _hand_out(  # noqa: PLR0913, PLR0917 - what is handed out, and what it is part of
    at: Here, form: Mapping[str, Any], sight: Sight, entries: Any, found: Search, chosen: int = 0
) -> web.Response:
    # Of a search that goes on, what was found when it was asked for.
    scope, cut = found.scope, cut_short(found)
    if chosen:
        scope = f"{scope} chosen:{chosen}"
        cut = "of the records that were found only those that were chosen one by one"
    recipient = text_of(form, "recipient", 200)
    if not recipient or not recipient.isprintable():
        raise Said("Say who gets the records: it is recorded.")
    # Opening them to be written out is a look, which is on record before it is taken.
    await at.look(scope, "gathered records to hand out", category=Category.COMBINATION)

    hide = hidden_from(at)
    names = None
    if found.subject:
        names = names_of(at.desk.register()[1].persons.values(), found.subject)

    def write(stack: Stack) -> tuple[bytes, int]:
        every = entries(stack)
        if len(every) > MOST:
            raise Said(f"These are more than {MOST:,} records: hand them out in parts.")
        chosen = [one for one in every if not hide(one)]
        lines = [_line(one) for one in _lines(stack, sight, chosen, names)]
        body = b"".join(line + b"\n" for line in lines)
        opened = sum(b'"opened":null' not in line for line in lines)
        about = _about(at, scope, recipient, len(lines), opened, body, stack)
        about["cut_short"] = cut
        if found.subject:
            about["subject"] = found.subject
            about["naming_others"] = sum(b'"third_parties":[]' not in line for line in lines)
        return _line(about) + b"\n" + body, len(lines)

    raw, count = await at.work(write)
    digest = hashlib.sha256(raw).hexdigest()
    rid = await at.disclose(scope, "handed out records", recipient, count, digest)
    response = web.Response(body=raw, content_type="application/jsonl")
    harden(response)
    name = f"bluelamp-{rid[:8]}.jsonl"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-SHA256"] = digest
    return response


def _about(  # noqa: PLR0913, PLR0917 - the first line says what the rest is
    at: Here, scope: str, recipient: str, count: int, opened: int, body: bytes, stack: Stack
) -> dict[str, object]:
    newest = max(stack.index.origins, default=0)
    notes = stack.log(newest).checkpoints()
    return {
        "format": FORMAT,
        "software": f"bluelamp {__version__}",
        "ledger": at.desk.config.origin,
        "scope": scope,
        "purpose": at.visit.purpose,
        "case": at.visit.case,
        "by": at.session.name,
        "recipient": recipient,
        "made": at.desk.clock(),
        "records": count,
        "opened": opened,
        "not_opened": count - opened,
        "without": "" if at.may(Right.CONDUCT) else LEFT_OUT,
        "sha256_of_lines": hashlib.sha256(body).hexdigest(),
        "checkpoint": notes[-1][1] if notes else "",
    }


def _line(one: dict[str, object]) -> bytes:
    """One line that is one line for every reader: some break at more than a line feed."""
    raw = _encode(one)
    for sign, spelt in _BREAKS.items():
        raw = raw.replace(sign, spelt)
    return raw


def _lines(
    stack: Stack, sight: Sight, chosen: list[Entry], names: Names | None
) -> Iterator[dict[str, object]]:
    for start in range(0, len(chosen), 512):
        chunk = chosen[start : start + 512]
        rows = stack.rows(chunk)
        for one in sight.open(stack, chunk):
            row = rows[one.entry.id]
            marked = {} if names is None else {"third_parties": _others(one, names)}
            yield marked | {
                "log": stack.origin(one.entry.log),
                "index": one.entry.seq,
                "leaf": leaf_hash(row.header).hex(),
                "header": row.header.decode(),
                "opened": _text(one),
                "disposed": one.gone,
            }


def _others(one: Opened, names: Names) -> tuple[str, ...]:
    """Who else of the force is named in a record of somebody's."""
    return names.within(texts_of(one.inside)) if one.inside is not None else ()


def _text(one: Opened) -> str | None:
    """What is inside, as the text that was sealed."""
    return one.inside.decode("utf-8", "replace") if one.inside is not None else None
