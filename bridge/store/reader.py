"""Reads a ledger that another process may be writing to, in short ranges.

Never writes: it opens the file for reading only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.errors import StoreError
from bridge.store.sql import statements
from bridge.verify.steps import Row

SQL = statements("ledger.sql")
_READ_ROWS = 512


class SqliteReader:
    """Reads a ledger that another process may be writing to, in short ranges."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at *path* for reading only.

        Raises:
            StoreError: there is none, or it is not one.
        """
        if not path.exists():
            raise StoreError(f"There is no ledger at {path}. Has the bot run yet?")
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            # A note that is not UTF-8 is for `verify` to report, not for us to fall over.
            self._db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            self._db.execute(SQL["head"]).fetchone()
        except sqlite3.Error as exc:
            raise StoreError(f"The file {path} cannot be read as a ledger: {exc}.") from None
        self._path = path

    def size(self) -> int:
        """How many records there are now."""
        row = self._read("head")
        return int(row[0][0]) if row else 0

    def edge(self) -> tuple[int, bytes, bytes]:
        """The size, peaks and tile edges that the writer goes on from."""
        rows = self._read("head")
        return rows[0] if rows else (0, b"", b"")

    def rows(self) -> Iterator[Row]:
        """The records that there are now, in order."""
        at = 0
        while rows := self._read("rows", at, _READ_ROWS):
            for row in rows:
                yield Row(*row)
            at = rows[-1][0] + 1

    def tiles(self) -> dict[tuple[int, int], bytes]:
        """Every full tile."""
        return {(level, index): hashes for level, index, hashes in self._read("tiles")}

    def checkpoints(self) -> list[tuple[int, str]]:
        """Every signed note, by size."""
        return self._read("checkpoints")

    def recorded(self, event: str) -> bool | None:
        """Whether *event* is on record and readable; None if it is not on record at all."""
        rows = self._read("recorded", event)
        return not rows[0][0] if rows else None

    def gaps(self) -> int:
        """How many gaps are on record."""
        return int(self._read("gaps")[0][0])

    def snapshot(self) -> None:
        """From here on, see the ledger as it is now."""
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _read(self, name: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(SQL[name], values).fetchall()
        except sqlite3.Error as exc:
            raise StoreError(f"The ledger {self._path} cannot be read: {exc}.") from None
