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
from bridge.store.file import bring_up_to_date, connect, is_up_to_date
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
        StoreError: the disk does not take it, or somebody reads the old log just now.
    """
    fresh = _fresh(path)
    for leftover in (fresh, *_beside(fresh)):
        leftover.unlink(missing_ok=True)
    last = path.with_name(f"{path.stem}.{int(origin.rpartition('/')[2]) - 1}{path.suffix}")
    if last.exists():
        raise StoreError(f"The log at {path} cannot be closed: there is a file {last} already.")
    had = path.exists()
    try:
        new = connect(fresh)
        bring_up_to_date(new)
        new.execute(SQL["begun"], (origin, encode_previous(previous)))
        if had and carry:
            _carry_over(path, new)
            new.execute(SQL["name_kept"], (last.name,))
            new.execute(SQL["name_disposals"], (last.name,))
            new.execute(SQL["name_pending"], (last.name,))
        new.execute(SQL["empty_wal"]).fetchall()
        new.close()
    except sqlite3.Error as exc:
        raise StoreError(f"No new log could be begun beside {path}: {exc}.") from None
    if had:
        path.rename(last)
    finish(path)
    return last if had else None


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.stem}-next{path.suffix}")


def _beside(path: Path) -> tuple[Path, Path]:
    """The files that the database keeps beside its own while it is in use."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _carry_over(path: Path, new: sqlite3.Connection) -> None:
    """Copy the old file's notebook, when nothing of the old file is left in its -wal.

    A reader in another process keeps it there; what lay in it would not go along.
    """
    old = connect(path)
    if not is_up_to_date(old):
        bring_up_to_date(old)
    old.execute(SQL["empty_wal"]).fetchall()
    old.close()
    wal, shm = _beside(path)
    if wal.exists() and wal.stat().st_size:
        raise StoreError(f"The log {path} is being read by another process; try again later.")
    new.execute(SQL["attach"], (str(path),))
    new.executescript(SQL["carry_over"])
    new.execute(SQL["detach"])
    wal.unlink(missing_ok=True)
    shm.unlink(missing_ok=True)


def finish(path: Path) -> None:
    """Finish what `begin_next` had begun, also when it was cut short.

    What still lies beside a file that is gone would be taken for the new one's: it is put aside.
    """
    fresh = _fresh(path)
    if path.exists() or not fresh.exists():
        return
    for one in _beside(path):
        if one.exists():
            one.rename(one.with_name(f"{one.name}.of-{len(closed(path))}.lost"))
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def newest_before(path: Path) -> Ms | None:
    """When the newest record of the last closed log was written, if there is one."""
    for file in reversed(closed(path)):
        db = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        try:
            row = db.execute(SQL["newest_header"]).fetchone()
            return written(row[0]) if row else None
        except (sqlite3.Error, msgspec.MsgspecError):
            return None
        finally:
            db.close()
    return None
