"""Reads a ledger that another process may be writing to, in short ranges.

Never writes: it opens the file for reading only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bridge.errors import StoreError
from bridge.facts import Told
from bridge.model import Ms
from bridge.ports import Approval
from bridge.store import disposal, oversight, ruling, tellings
from bridge.store.sql import statements
from bridge.verify.steps import Row

SQL = statements("ledger.sql")
_FIND = statements("index.sql")
_READ_ROWS = 512


@dataclass(frozen=True, slots=True)
class Case:
    """What records may be linked to."""

    reference: str
    title: str
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Hold:
    """What is kept whatever its retention says."""

    rid: str
    #: The case that it is for; empty if for none.
    case: str
    reason: str
    by: str
    at: int
    #: None while it is active.
    released: int | None
    #: Records that were saved for it so far.
    saved: int


@dataclass(frozen=True, slots=True)
class Disposal:
    """A bucket whose key a custodian has destroyed."""

    bucket: str
    custodian: str
    at: int
    #: Whether every body has been deleted.
    done: bool


class _At(msgspec.Struct):
    t: int


class _Named(msgspec.Struct):
    origin: str


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

    def origin(self) -> str:
        """The name of the log, as its first record has it.

        Raises:
            StoreError: there is no first record, or it cannot be read.
        """
        rows = self._read("genesis")
        try:
            return msgspec.json.decode(rows[0][1], type=_Named).origin
        except (IndexError, TypeError, UnicodeDecodeError, msgspec.MsgspecError):
            raise StoreError(f"The ledger {self._path} has no first record yet.") from None

    def edge(self) -> tuple[int, bytes, bytes]:
        """The size, peaks and tile edges that the writer goes on from."""
        rows = self._read("head")
        return rows[0] if rows else (0, b"", b"")

    def rows(self, start: int = 0) -> Iterator[Row]:
        """The records from number *start* that there are now, in order."""
        at = start
        while rows := self._read("rows", at, _READ_ROWS):
            for row in rows:
                yield Row(*row)
            at = rows[-1][0] + 1

    def at(self, numbers: Iterable[int]) -> list[Row]:
        """The records of these numbers that there are."""
        asked = msgspec.json.encode(list(numbers)).decode()
        return [Row(*row) for row in self._ask(_FIND["rows_at"], asked)]

    def among(self, numbers: Sequence[int]) -> list[Row]:
        """The records of these numbers; where they lie close together, with others between them."""
        if not numbers or max(numbers) - min(numbers) >= 2 * len(numbers):
            return self.at(numbers)
        return [Row(*row) for row in self._ask(_FIND["rows_between"], min(numbers), max(numbers))]

    def headers(self, start: int, end: int) -> list[tuple[int, bytes]]:
        """The number and header of each record of [start, end)."""
        return self._ask(_FIND["headers"], start, end)

    def about_earlier(self) -> Iterator[Row]:
        """Shred and review records: they bring keys to records that stand before them."""
        for row in self._read("about_earlier"):
            yield Row(*row)

    def tiles(self) -> dict[tuple[int, int], bytes]:
        """Every full tile."""
        return {(level, index): hashes for level, index, hashes in self._read("tiles")}

    def checkpoints(self) -> list[tuple[int, str]]:
        """Every signed note, by size."""
        return self._read("checkpoints")

    def find(self, rid: str) -> Row | None:
        """The record of that name, if there is one."""
        rows = self._read("find", f'"rid":"{rid}"')
        return Row(*rows[0]) if rows else None

    def verdict(self, rid: str) -> Row | None:
        """The verdict of that name, or the newest about the record of that name."""
        for field in ("rid", "ref"):
            if rows := self._read("verdict_of", f'"{field}":"{rid}"'):
                return Row(*rows[0])
        return None

    def approvals(self) -> tuple[Approval, ...]:
        """Every approval of a policy, oldest first; none where the file is older than they."""
        try:
            return ruling.approvals(self._read("approvals"))
        except StoreError:
            return ()

    def drifts(self, most: int = 500) -> list[oversight.Drift]:
        """How rooms drifted and what was done, newest first; none in a file that is older."""
        return [oversight.Drift(*row) for row in self._overseen("drifts", most)]

    def cleared(self, most: int = 500) -> list[oversight.Clearing]:
        """Disposals in rooms, newest first; none in a file that is older."""
        return [oversight.Clearing(*row) for row in self._overseen("cleared", most)]

    def appraisals(self) -> list[oversight.Appraisal]:
        """Every decision about what was due, oldest first; none in a file that is older."""
        return [oversight.Appraisal(*row) for row in self._overseen("appraisals")]

    def labels(self) -> list[oversight.Label]:
        """Every MoPI group that was given, oldest first; none in a file that is older."""
        return [oversight.Label(*row) for row in self._overseen("labels")]

    def tellings(self) -> list[tuple[Ms, Told]]:
        """What people were told of their rooms, oldest first; none where the file is older."""
        try:
            return tellings.tellings(self._ask(tellings.SQL["tellings"]))
        except StoreError:
            return []

    def cases(self) -> list[Case]:
        """Every case, oldest first."""
        return [Case(*row) for row in self._read_kept("cases")]

    def holds(self) -> list[Hold]:
        """Every hold, oldest first, also those that are over."""
        return [Hold(*row) for row in self._read_kept("holds")]

    def disposals(self) -> list[Disposal]:
        """Every disposal on record, oldest first."""
        return [Disposal(*row) for row in self._read_kept("disposals")]

    def buckets(self) -> list[tuple[str, Row]]:
        """Every bucket that was opened, with the record that opened it."""
        return [(name, Row(*row)) for name, *row in self._read_kept("buckets")]

    def judged(self, verdict: str) -> str | None:
        """The event that a verdict is about, as far as the notebook has it; never its edit."""
        rows = self._read("judged", verdict)
        return str(rows[0][0]) if rows else None

    def refused(self, verdict: str) -> int:
        """When a decision of the console about a verdict was last not followed, ms; 0 if never."""
        rows = self._read("refusal_of", f'"ref":"{verdict}"')
        return msgspec.json.decode(rows[0][0], type=_At).t if rows else 0

    def recorded(self, event: str) -> bool | None:
        """Whether *event* is on record and readable; None if it is not on record at all."""
        rows = self._read("recorded", event)
        return not rows[0][0] if rows else None

    def named(self, events: Sequence[str]) -> dict[str, str]:
        """Which record each of these events has, as far as the bot's notebook knows it."""
        return dict(self._ask(_FIND["named"], msgspec.json.encode(list(events)).decode()))

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
        return self._ask(SQL[name], *values)

    def _overseen(self, name: str, *values: Any) -> list[Any]:
        if self._read("version")[0][0] < oversight.SINCE:
            return []
        return self._ask(oversight.SQL[name], *values)

    def _read_kept(self, name: str) -> list[Any]:
        return self._ask(disposal.SQL[name])

    def _ask(self, statement: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            raise StoreError(f"The ledger {self._path} cannot be read: {exc}.") from None


def labelled(path: Path) -> tuple[list[oversight.Label], list[oversight.Appraisal]]:
    """Every MoPI group that was given, and every decision; none where there is no ledger yet.

    Raises:
        StoreError: it cannot be read.
    """
    if not path.exists():
        return [], []
    reader = SqliteReader(path)
    try:
        return reader.labels(), reader.appraisals()
    finally:
        reader.close()


def told_in(path: Path) -> list[tuple[Ms, Told]]:
    """What people were told of their rooms, as the ledger at *path* has it, oldest first.

    Raises:
        StoreError: there is no ledger.
    """
    reader = SqliteReader(path)
    try:
        return reader.tellings()
    finally:
        reader.close()


def active_holds(path: Path) -> int:
    """Say how many holds of the ledger at *path* are active.

    Raises:
        StoreError: there is no ledger.
    """
    reader = SqliteReader(path)
    try:
        return sum(hold.released is None for hold in reader.holds())
    finally:
        reader.close()
