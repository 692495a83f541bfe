"""The ledger's file: opened, brought up to date, and held against a second writer.

Never touches a record: an older file gets new tables and columns beside them.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any

from bridge.errors import StoreLocked
from bridge.store import disposal
from bridge.store.sql import statements

SQL = statements("ledger.sql")


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


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Give the file the tables that this version has; what stands in it stays."""
    version = db.execute(SQL["version"]).fetchone()[0]
    is_new = db.execute(SQL["is_new"]).fetchone()[0]
    if not is_new and version < 1:
        db.executescript(SQL["upgrade_1"])
    db.executescript(SQL["schema"])
    if not is_new and version < 2:
        found = disposal.buckets(db.execute(SQL["all_headers"]))
        db.executemany(disposal.SQL["add_bucket"], found)
    db.executescript(SQL["stamp"])
