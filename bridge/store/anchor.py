"""The newest checkpoint, kept on another path than the ledger that it is of.

Never lets a ledger go on that is older than its anchor, and never replaces an anchor that is not
of this very ledger: two processes, or a host that was restored, would not notice each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bridge.errors import StoreBehind, StoreError
from bridge.verify import Unsound
from bridge.verify.notes import Verifier, parse

#: What to do about a ledger that is older than what was signed of it.
RECOVER = (
    "Put the newer file back; do not delete the anchor. If that file is lost, 'bluelamp ledger "
    "recover' begins a new ledger that says which records are missing"
)


@contextlib.contextmanager
def held(anchor: Path) -> Iterator[None]:
    """Keep other processes from looking at the anchor and replacing it meanwhile."""
    anchor.parent.mkdir(parents=True, exist_ok=True)
    with anchor.with_name(anchor.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def keep_anchor(path: Path, note: str) -> None:
    """Replace the anchor in one step, and have it on the disk before anyone is told.

    Only while it is `held`, and after `compare`.
    """
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


def compare(
    anchor: Path, ledger: Path, verifier: Verifier, size: int, kept_at: Callable[[int], str | None]
) -> None:
    """Refuse to go on from the file *ledger* of *size* records if the anchor is of another one.

    *kept_at* gives the ledger's own checkpoint of a size: what it once signed, it has.

    Raises:
        StoreBehind: it is older than the anchor, or another ledger.
        StoreError: the anchor cannot be read.
    """
    if not anchor.exists():
        return
    try:
        kept = parse(anchor.read_text(encoding="utf-8", errors="replace"), verifier)
    except OSError as exc:
        raise StoreError(f"The anchor {anchor} cannot be read: {exc.strerror}.") from None
    except Unsound as exc:
        raise StoreBehind(f"The anchor {anchor} cannot be believed: {exc}.") from None
    note = kept_at(kept.size)
    if note is None or parse(note, verifier) != kept:
        raise StoreBehind(
            f"The ledger {ledger} is not the one of the checkpoint kept at {anchor}: {kept.size} "
            f"records were signed there, {size} are here. It was rolled back or replaced, or "
            f"another Blue Lamp uses the same anchor. {RECOVER}."
        )
