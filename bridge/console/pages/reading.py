"""Reading: one record, its proof, a file; and how events are put together for whoever reads.

Never shows anything before the look is on record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec
from aiohttp import web

from bridge.console.desk import Here, Said, here
from bridge.console.guard import harden
from bridge.console.rights import Right
from bridge.console.views import file_name
from bridge.ledger.attachment import open_attachment
from bridge.model import Queue
from bridge.records.archive import Opened, Sight, Stack, find_one
from bridge.records.conversation import Item, conversation, read_inside, tie_replies
from bridge.records.reading import Proven, prove_row
from bridge.store.entries import Entry
from bridge.verify import Unsound
from bridge.verify.headers import EVENTS, PLAIN, Kind
from bridge.verify.notes import Checkpoint
from bridge.verify.proofs import check_proof
from bridge.verify.tree import leaf_hash

CONDUCT = Queue.PROFESSIONAL_STANDARDS.value
#: Says of a record whether its author is not to be named.
Hide: TypeAlias = Callable[[Entry], bool]
TALK = frozenset(kind.value for kind in EVENTS - {Kind.MEDIA})
#: What was decided and what had to be done: others say what became of these.
_FOLLOWED = frozenset({Kind.VERDICT, Kind.DEBT})
#: What the first bytes of a picture say that a browser may show as it is.
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif", b"GIF89a": "image/gif",
}  # fmt: skip


def read(stack: Stack, sight: Sight, shown: list[Entry], hide: Hide) -> list[Item]:
    """Open events, and whatever refers to them, and put them together.

    Who said it is hidden where *hide* says so.
    """
    events = list(sight.open(stack, shown))
    first = stack.index.about(one.rid for one in shown)
    second = stack.index.about(one.rid for one in first if one.facet.kind in _FOLLOWED)
    about = sorted({one.id: one for one in (*first, *second)}.values())
    kept = [one for one in about if one.facet.kind not in TALK and one.facet.kind not in PLAIN]
    words = [one for one in kept if one.facet.kind != Kind.MEDIA]
    opened = {one.rid: one for one in sight.open(stack, words)}
    files = {one.rid: Opened(one, {"ref": one.ref}, None) for one in kept if one.rid not in opened}
    items = conversation(events, (opened.get(one.rid) or files[one.rid] for one in kept))
    unnamed = {one.rid: one for one in shown if hide(one)}
    for item in items:
        if (entry := unnamed.get(item.rid)) is not None:
            _unname(item, pseudonym(entry))
    tie_replies(items)
    return items


def _unname(item: Item, name: str) -> None:
    item.removed = [(name if by == item.sender else by, at) for by, at in item.removed]
    item.reactions = {
        key: [name if by == item.sender else by for by in people]
        for key, people in item.reactions.items()
    }
    item.sender, item.by = (item.sender, name) if item.by else (name, "")


def hidden_from(at: Here) -> Hide:
    """Say whose records are not named to this person: those of matters not revealed to them."""
    revealed = frozenset(at.visit.revealed)
    return lambda entry: entry.facet.has(CONDUCT) and entry.rid not in revealed


def pseudonym(entry: Entry) -> str:
    """What somebody is called while nobody has to know who they are."""
    return f"Person {entry.sender[:4].upper()}" if entry.sender else "Somebody"


async def show_record(request: web.Request) -> web.Response:
    """Show one record, what it refers to and what refers to it."""
    at = here(request)
    rid = request.match_info["rid"]
    entry = await at.work(lambda stack: find_one(stack, rid))
    sight, review = choose(at)
    _refuse_unrevealed(at, entry)
    await at.look(f"rid:{rid}", "read a record", count=1, review=review,
                  conduct=entry.facet.has(CONDUCT))  # fmt: skip

    def get(stack: Stack) -> tuple[Opened, list[Entry], list[Entry]]:
        if entry.facet.kind == Kind.MEDIA:
            one = Opened(entry, {"ref": entry.ref}, None)
        else:
            (one,) = sight.open(stack, [entry])
        refs = [entry.ref] if entry.ref else []
        first = stack.index.about([rid])
        second = stack.index.about(e.rid for e in first if e.facet.kind in _FOLLOWED)
        about = sorted({e.id: e for e in (*first, *second)}.values())
        return one, list(stack.index.get(refs).values()), about

    opened, before, after = await at.work(get)
    if opened.inside is None and entry.facet.kind != Kind.MEDIA and not opened.gone:
        raise Said("This record does not open with the keys that are here.", 403)
    inside = msgspec.json.decode(opened.inside) if opened.inside else None
    shown = msgspec.json.format(opened.inside, indent=2).decode() if opened.inside else ""
    room = inside.get("room", "") if isinstance(inside, dict) else ""
    return at.page(
        "record.html", one=opened, inside=inside, shown=shown, before=before,
        after=[one for one in after if one.facet.kind not in PLAIN],
        room=_key_of(at, room if isinstance(room, str) else ""),
    )  # fmt: skip


def _refuse_unrevealed(at: Here, entry: Entry) -> None:
    if hidden_from(at)(entry):
        raise Said(
            "This is about a professional-standards matter: open the matter, and say there why "
            "you have to know who it is.", 403
        )  # fmt: skip


async def show_proof(request: web.Request) -> web.Response:
    """Show where a record stands, and check that now."""
    at = here(request)
    rid = request.match_info["rid"]

    def get(stack: Stack) -> tuple[Entry, Proven]:
        entry = find_one(stack, rid)
        row = stack.rows([entry])[entry.id]
        return entry, prove_row(at.desk.config, stack.origin(entry.log), stack.log(entry.log), row)

    entry, proven = await at.work(get)
    keys = [one.key for one in at.desk.config.witnesses]
    leaf = leaf_hash(proven.row.header)
    point: Checkpoint | None = None
    seen: dict[str, int] = {}
    wrong = ""
    try:
        point, seen = check_proof(proven.proof, leaf, proven.verifier, keys)
    except Unsound as exc:
        wrong = str(exc)
    return at.page(
        "proof.html", entry=entry, proven=proven, leaf=leaf.hex(), point=point, seen=seen,
        wrong=wrong, witnesses=[one.name for one in keys], text=proven.proof.text(),
    )  # fmt: skip


async def get_file(request: web.Request) -> web.Response:
    """Hand out a file of a message: a picture to look at, anything else to save."""
    at = here(request)
    rid = request.match_info["rid"]
    sight, review = choose(at)
    entry = await at.work(lambda stack: find_one(stack, rid))
    if entry.facet.kind != Kind.MEDIA:
        raise Said("This record is not a file.", 404)
    _refuse_unrevealed(at, entry)
    await at.look(f"rid:{rid}", "opened a file", count=1, review=review,
                  conduct=entry.facet.has(CONDUCT))  # fmt: skip

    def get(stack: Stack) -> tuple[bytes, str]:
        whole = sight.raw(stack, entry).partition(b"\n")[2]
        message = find_one(stack, entry.ref)
        inside = read_inside(sight.raw(stack, message))
        content = inside.content if isinstance(inside.content, dict) else {}
        name = content.get("filename") or content.get("body")
        return open_attachment(whole, content), name if isinstance(name, str) else ""

    raw, name = await at.work(get)
    kind = next((kind for start, kind in _PICTURES.items() if raw.startswith(start)), "")
    response = web.Response(body=raw, content_type=kind or "application/octet-stream")
    harden(response)
    how = "inline" if kind else "attachment"
    response.headers["Content-Disposition"] = f'{how}; filename="{_ascii(file_name(name))}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def choose(at: Here) -> tuple[Sight, bool]:
    """With which keys to read, and whether they are the reviewers'.

    Raises:
        Said: none are open.
    """
    if at.visit.sight is not None and at.may(Right.READ):
        return at.visit.sight, False
    if at.visit.review is not None and at.may(Right.REVIEW):
        return at.visit.review, True
    raise Said("Content is closed: a key has to be unlocked first.", 403)


def _key_of(at: Here, room: str) -> str:
    """The register's key of a room; empty where it is not on it."""
    register, _, lock = at.desk.register()
    keys: Iterable[str] = (key for key in register.rooms if register.id_of(key, lock) == room)
    return next(iter(keys), "") if room else ""


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
