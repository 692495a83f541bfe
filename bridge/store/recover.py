"""Goes on after records were lost: a new log, whose first record names what is missing.

Never hides a loss, and never touches a ledger that is not behind: the old file stays beside the
new one, for whoever looks into it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import StoreError, UsageError
from bridge.store.book import Identity
from bridge.store.chain import begin_next, begun_as, finish, is_log_of, next_origin
from bridge.store.file import connect, lock
from bridge.store.sql import statements
from bridge.verify import Unsound
from bridge.verify.notes import Checkpoint, Verifier, parse
from bridge.verify.papers import Previous

SQL = statements("ledger.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What is missing."""

    #: The log that lost it, and the one that goes on.
    origin: str
    next_origin: str
    #: Records [first, end) are known to have been there.
    first: int
    end: int
    #: Where the old file is now; None if there was none.
    kept_as: Path | None


@dataclass(frozen=True, slots=True)
class _Found:
    size: int
    origin: str
    readable: bool
    #: The root that was signed here at the size that matters; None if there is none.
    note: str | None


def recover(
    path: Path, identity: Identity, notes: Iterable[str], reason: str, *, key: bytes | None = None
) -> Loss:
    """Begin a new log in place of the one at *path*, which is older than *notes* of it say.

    *notes* are signed checkpoints that were kept elsewhere: the anchor's, witnesses', others'.
    *key* is the public key that they were signed with, where it is not that of *identity*.

    Raises:
        UsageError: nothing was lost.
        StoreError: there is no checkpoint that would say what was lost.
        StoreLocked: a bot is running.
    """
    held = lock(path)
    try:
        finish(path)
        known = [one for note in notes if (one := _known(note, identity, key)) is not None]
        if not known:
            raise StoreError(
                "There is no signed checkpoint of this ledger from elsewhere, so nobody can say "
                "what was lost. Give one with --checkpoint."
            )
        note, newest = max(known, key=lambda one: (_number(one[1].origin), one[1].size))
        found = _look(path, identity.origin, newest)
        if _agrees(found, newest, identity, key):
            raise UsageError(
                f"Nothing is lost: the ledger {path} has the {newest.size} records that the newest "
                "checkpoint covers. There is nothing to recover."
            )
        first = found.size if found.origin == newest.origin else 0
        fresh = next_origin(newest.origin, identity.origin)
        lost = (min(first, newest.size), newest.size)
        previous = Previous(checkpoint=note, lost=lost, reason=reason)
        kept = begin_next(path, fresh, previous, carry=found.readable)
    finally:
        held.close()
    return Loss(origin=newest.origin, next_origin=fresh, first=lost[0], end=lost[1], kept_as=kept)


def _number(origin: str) -> int:
    last = origin.rpartition("/")[2]
    return int(last) if last.isdigit() else 1


def _known(note: str, identity: Identity, key: bytes | None) -> tuple[str, Checkpoint] | None:
    """Read a checkpoint if it is of this ledger and signed with its key."""
    origin = note.partition("\n")[0]
    if not is_log_of(origin, identity.origin):
        return None
    try:
        return note, parse(note, Verifier(origin, key or identity.verifier.key))
    except Unsound:
        return None


def _look(path: Path, base: str, newest: Checkpoint) -> _Found:
    """Say what the file at *path* still has, as far as it can be read."""
    nothing = _Found(0, newest.origin, readable=False, note=None)
    if not path.exists():
        return nothing
    try:
        db = connect(path)
        try:
            whole = db.execute(SQL["is_whole"]).fetchone()[0] == "ok"
            row = db.execute(SQL["head"]).fetchone()
            note = db.execute(SQL["checkpoint_at"], (newest.size,)).fetchone()
            begun = begun_as(db, base)
        finally:
            db.close()
    except sqlite3.Error:
        return nothing
    return _Found(row[0] if row and whole else 0, begun.origin, whole, note[0] if note else None)


def _agrees(found: _Found, newest: Checkpoint, identity: Identity, key: bytes | None) -> bool:
    if found.origin != newest.origin:
        return _number(found.origin) > _number(newest.origin)
    if key not in {None, identity.verifier.key}:
        return False  # whose key is lost, cannot go on with that log
    known = _known(found.note, identity, key) if found.note else None
    return known is not None and known[1] == newest and found.readable
