"""The newest checkpoint, kept on another path than the ledger that it is of.

Never lets a ledger go on that is older than its anchor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bridge.errors import StoreBehind
from bridge.store.book import Book
from bridge.verify import Unsound
from bridge.verify.notes import parse


def keep_anchor(path: Path, note: str) -> None:
    """Replace the anchor in one step, and have it on the disk before anyone is told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def compare(anchor: Path, path: Path, book: Book, kept_at: Callable[[int], str | None]) -> None:
    """Refuse to go on from the file *path* if it is older than what we once signed.

    *kept_at* gives the ledger's own checkpoint of a size.

    Raises:
        StoreBehind: it is.
    """
    if not anchor.exists():
        return
    verifier = book.identity.verifier
    try:
        kept = parse(anchor.read_text(encoding="utf-8"), verifier)
    except Unsound as exc:
        raise StoreBehind(f"The anchor {anchor} cannot be believed: {exc}.") from None
    note = kept_at(kept.size)
    if note is None or parse(note, verifier) != kept:
        raise StoreBehind(
            f"The ledger {path} is older than the checkpoint kept at {anchor}: {kept.size} records "
            f"were signed there, {book.frontier.size} are here. It was rolled back or replaced. "
            "Put the newer file back; do not delete the anchor."
        )
