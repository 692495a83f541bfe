"""The ledger's file: opened, brought up to date, and held against a second writer.

Never touches a record: an older file gets new tables and columns beside them.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bridge.errors import StoreError, StoreLocked
from bridge.store.sql import statements
from bridge.verify.headers import Kind

SQL = statements("ledger.sql")
#: The version that ledger.sql stamps.
_VERSION = 5


def connect(path: Path) -> sqlite3.Connection:
    """Open the file at *path*, or make it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    os.chmod(path, 0o600)
    db.executescript(SQL["pragmas"])
    return db


def lock(path: Path) -> Any:
    """Hold the right to write until the returned file is closed, or the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_suffix(".lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StoreLocked(
            f"Another Blue Lamp is writing to the ledger {path}. Only one may: stop that one "
            "first, or give this one a ledger of its own."
        ) from None
    return file


def copy(path: Path, target: Path) -> None:
    """Copy the ledger at *path* as it is at one moment, while another process may write to it.

    Raises:
        StoreError: it cannot be read, or the disk is full.
    """
    try:
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        own = sqlite3.connect(target)
        try:
            source.backup(own, pages=4096)
        finally:
            own.close()
            source.close()
    except sqlite3.Error as exc:
        raise StoreError(f"The ledger {path} was not copied: {exc}.") from None


def is_up_to_date(db: sqlite3.Connection) -> bool:
    """Say whether the file has all tables that this version has."""
    return bool(db.execute(SQL["version"]).fetchone()[0] >= _VERSION)


def forget_tag_keys(path: Path) -> None:
    """Leave nothing in the copy at *path* with which people and rooms could be looked for.

    A ledger that goes on from it opens its buckets again, with fresh ones.

    Raises:
        StoreError: it cannot be written, or the disk is full.
    """
    try:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA secure_delete = ON")
            db.execute(SQL["drop_tag_keys"], ("~",))
            db.execute("VACUUM")
        finally:
            db.close()
    except sqlite3.Error as exc:
        raise StoreError(f"The copy {path} was not made ready: {exc}.") from None


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Give the file the tables that this version has; what stands in it stays.

    All or nothing: tables without a version would be taken for an older ledger's.
    """
    version = db.execute(SQL["version"]).fetchone()[0]
    is_new = db.execute(SQL["is_new"]).fetchone()[0]
    upgrades = [SQL[f"upgrade_{n}"] for n in (1, 4) if not is_new and version < n]
    db.executescript("\n".join((SQL["begin"], *upgrades, SQL["schema"])))
    if not is_new and version < 2:
        found = buckets(db.execute(SQL["all_headers"]))
        db.executemany(SQL["add_bucket"], found)
    if not is_new and version < 4:
        names = {rid: event for event, rid in db.execute(SQL["event_names"])}
        db.executemany(SQL["set_verdict"], verdicts(db.execute(SQL["all_headers"]), names))
    db.execute(SQL["stamp"])
    db.execute(SQL["commit"])


class _Head(msgspec.Struct):
    kind: str
    bucket: str = ""
    rid: str = ""
    ref: str = ""


def buckets(records: Iterable[tuple[int, bytes]]) -> list[tuple[str, int]]:
    """Say which buckets these (number, header)s open, and where."""
    heads = ((seq, msgspec.json.decode(raw, type=_Head)) for seq, raw in records)
    return [(head.bucket, seq) for seq, head in heads if head.kind == Kind.CERTIFICATE]


def verdicts(
    records: Iterable[tuple[int, bytes]], names: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Say which is the newest verdict on each event that *names* has: (its record, the event)."""
    newest: dict[str, str] = {}
    for _, raw in records:
        head = msgspec.json.decode(raw, type=_Head)
        if head.kind == Kind.VERDICT and head.ref in names:
            newest[head.ref] = head.rid
    return ((rid, names[about]) for about, rid in newest.items())
