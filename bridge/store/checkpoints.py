"""What a ledger says of itself, signed; who has countersigned it; and the proofs for witnesses.

Never signs two different trees of one size, and never signs at all when the anchor is not of this
ledger.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from bridge.ports import Clock
from bridge.store.anchor import compare, held, keep_anchor
from bridge.store.book import Book, Identity
from bridge.store.sql import statements
from bridge.verify.notes import Checkpoint
from bridge.verify.tree import Frontier, edges_of, prove_consistency

SQL = statements("checkpoint.sql")
_DASH = "\N{EM DASH} "


class Checkpoints:
    """The checkpoints of one open ledger. Used by the one thread that writes to it."""

    def __init__(
        self, db: sqlite3.Connection, book: Book, *, path: Path, anchor: Path | None, clock: Clock
    ) -> None:
        """Sign for the ledger at *path*, and hold it against *anchor*.

        Raises:
            StoreBehind: it is older than the anchor.
        """
        self._db, self._book, self._clock = db, book, clock
        self._path, self._anchor = path, anchor
        self._compare()

    def sign(self) -> str:
        """Sign the tree as it stands; keep the note here, then at the anchor.

        Raises:
            StoreBehind: the anchor is not of this ledger.
        """
        with held(self._anchor) if self._anchor else contextlib.nullcontext():
            self._compare()
            size = self._book.frontier.size
            note = self._note_at(size)
            if note is None:
                note = self._book.checkpoint().sign(self._book.identity.key)
                self._run("add", size, self._clock(), note)
            if self._anchor is not None:
                keep_anchor(self._anchor, note)
        return note

    def newest(self) -> str:
        """The newest note; before the first, one that says so much of the empty tree."""
        row = self._one("newest")
        return str(row[1]) if row else of_nothing(self._book.identity)

    def newest_by(self, name: str) -> str | None:
        """The newest note that *name* has countersigned."""
        row = self._one("newest_by", _line_of(name))
        return str(row[0]) if row else None

    def countersign(self, size: int, lines: str) -> None:
        """Put signature *lines* of a witness under the note of that size, and at the anchor.

        Raises:
            StoreBehind: the anchor is not of this ledger.
        """
        if (note := self._note_at(size)) is None:
            return
        signed = with_lines(note, lines)
        self._run("set_note", signed, size)
        if self._anchor is not None and self._one("newest")[0] == size:
            with held(self._anchor):
                self._compare()
                keep_anchor(self._anchor, signed)

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Prove that the tree of *new* records continues that of *old* ones."""
        tiler = self._book.tiler
        edges = edges_of(tiler.size, tiler.edges)

        def hashes(level: int, index: int) -> bytes:
            found = self._one("tile", level, index)
            return bytes(found[0]) if found else edges[level] if level < len(edges) else b""

        return tuple(prove_consistency(old, new, hashes))

    def _compare(self) -> None:
        if self._anchor is not None:
            verifier, size = self._book.identity.verifier, self._book.frontier.size
            compare(self._anchor, self._path, verifier, size, self._note_at)

    def _note_at(self, size: int) -> str | None:
        row = self._one("note_at", size)
        return str(row[0]) if row else None

    def _run(self, name: str, *values: Any) -> None:
        self._db.execute(SQL[name], values)

    def _one(self, name: str, *values: Any) -> Any:
        return self._db.execute(SQL[name], values).fetchone()


def of_nothing(identity: Identity) -> str:
    """What a ledger says of itself before its first checkpoint."""
    return Checkpoint(identity.origin, 0, Frontier().root()).sign(identity.key)


def is_signed_by(note: str, name: str) -> bool:
    """Whether a line of *name* stands under the note."""
    return _line_of(name) in note


def _line_of(name: str) -> str:
    return f"\n{_DASH}{name} "


def with_lines(note: str, lines: str) -> str:
    """Put witnesses' lines under a note, in place of older ones by the same names."""
    text, _, old = note.partition("\n\n")
    origin = text.partition("\n")[0]
    fresh = [line for line in lines.split("\n") if line and _signer(line) != origin]
    names = {_signer(line) for line in fresh}
    stay = [line for line in old.split("\n") if line and _signer(line) not in names]
    return f"{text}\n\n" + "".join(f"{line}\n" for line in (*stay, *fresh))


def _signer(line: str) -> str:
    return line.removeprefix(_DASH).partition(" ")[0]
