"""The logs of one ledger, one after another: a log is closed, and the next one names its end.

Never changes a closed log, but to delete what was disposed of. A log is closed every half-year, so
that no file grows for ever, and when records were lost, so that the loss is on record and signed.
"""

from __future__ import annotations

import os
import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bridge.errors import StoreError
from bridge.model import Ms
from bridge.store.file import bring_up_to_date, connect
from bridge.store.sql import statements
from bridge.verify.papers import Previous, decode_previous, encode_previous

SQL = statements("chain.sql")


def closed(path: Path) -> list[Path]:
    """The closed logs of the ledger at *path*, oldest first."""
    name = re.compile(re.escape(path.stem) + r"\.(\d+)" + re.escape(path.suffix))
    found = [(int(match[1]), file) for file in path.parent.glob(f"{path.stem}.*{path.suffix}")
             if (match := name.fullmatch(file.name))]  # fmt: skip
    return [file for _, file in sorted(found)]


def half_year(at: Ms) -> tuple[int, int]:
    """The year (UTC) of *at*, and which half of it."""
    day = datetime.fromtimestamp(at / 1000, UTC)
    return day.year, 1 if day.month <= 6 else 2


def next_origin(origin: str, base: str) -> str:
    """Name the log after *origin*; the first log has the ledger's own name, *base*."""
    number = 1 if origin == base else int(origin.removeprefix(f"{base}/"))
    return f"{base}/{number + 1}"


def is_log_of(origin: str, base: str) -> bool:
    """Say whether *origin* is a log of the ledger *base*."""
    rest = origin.removeprefix(base)
    return rest == "" or re.fullmatch(r"/([2-9]|[1-9]\d+)", rest) is not None


@dataclass(frozen=True, slots=True)
class Begun:
    """How a log began, or is to begin."""

    origin: str
    previous: Previous | None = None


def begun_as(db: sqlite3.Connection, base: str) -> Begun:
    """Say how the log in this file began; the first log of a ledger has its name, *base*."""
    row = db.execute(SQL["how_begun"]).fetchone()
    if row is None:
        return Begun(base)
    if not is_log_of(row[0], base):
        raise StoreError(
            f"The ledger here is a log of another one, {row[0]}. Put the configuration back, or "
            "begin a new ledger on another path."
        )
    return Begun(row[0], decode_previous(row[1]))


def written(header: bytes) -> Ms:
    """When the record with this header was written."""
    return Ms(msgspec.json.decode(header, type=_Written).t)


class _Written(msgspec.Struct):
    t: int


def set_aside(anchor: Path, previous: Previous | None) -> None:
    """Give the anchor of the log before another name, beside which the new log's can stand."""
    if previous is None or not anchor.exists():
        return
    origin = previous.checkpoint.partition("\n")[0]
    if anchor.read_text(encoding="utf-8", errors="replace").partition("\n")[0] == origin:
        number = origin.rpartition("/")[2]
        anchor.rename(anchor.with_name(f"{anchor.name}.{number if number.isdigit() else 1}"))


def begin_next(path: Path, origin: str, previous: Previous, *, carry: bool = True) -> Path | None:
    """Close the log at *path* and begin the log *origin* in its place; return the closed file.

    The bot's notebook (cursor, debts, the index of events, holds) goes on in the new one, unless
    the old file cannot be read (not *carry*). What is cut short by a crash is finished when the
    ledger is next opened. None where there was no file.

    Raises:
        StoreError: the disk does not take it.
    """
    fresh = _fresh(path)
    for leftover in (fresh, *(fresh.with_name(fresh.name + end) for end in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    last = path.with_name(f"{path.stem}.{len(closed(path)) + 1}{path.suffix}")
    try:
        new = connect(fresh)
        bring_up_to_date(new)
        new.execute(SQL["begun"], (origin, encode_previous(previous)))
        if path.exists() and carry:
            _carry_over(path, new)
            new.execute(SQL["name_kept"], (last.name,))
            new.execute(SQL["name_disposals"], (last.name,))
        new.execute(SQL["empty_wal"]).fetchall()
        new.close()
    except sqlite3.Error as exc:
        raise StoreError(f"No new log could be begun beside {path}: {exc}.") from None
    had = path.exists()
    if had:
        path.rename(last)
    finish(path)
    return last if had else None


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.stem}-next{path.suffix}")


def _carry_over(path: Path, new: sqlite3.Connection) -> None:
    """Empty the old file's -wal, so that it can be renamed, and copy its notebook."""
    old = connect(path)
    bring_up_to_date(old)
    old.execute(SQL["empty_wal"]).fetchall()
    old.close()
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    new.execute(SQL["attach"], (str(path),))
    new.executescript(SQL["carry_over"])
    new.execute(SQL["detach"])


def finish(path: Path) -> None:
    """Finish what `begin_next` had begun when it was cut short."""
    fresh = _fresh(path)
    if path.exists() or not fresh.exists():
        return
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
