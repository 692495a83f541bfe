"""What holds, cases and disposals lead to in the SQLite store: which bodies stay, which go.

Never decides that something goes: a fact on record does, and a crash in between is made good by
going on with `tidy`. Deletion goes in ranges, so that nobody waits for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.facts import CaseOpened, Disposed, Erased, Held, Released
from bridge.model import Ms
from bridge.store.chain import closed
from bridge.store.file import connect
from bridge.store.sql import statements
from bridge.verify.headers import Kind

SQL = statements("disposal.sql")
#: What could not be read is tried again for this long.
WAITING_MS = 7 * 86_400_000
#: Records that are looked at in one go.
RANGE = 2_000
#: Kinds that stay when their bucket goes: they say nothing about anyone, and `verify` reads them.
STAY = frozenset({Kind.CERTIFICATE.value, Kind.EPOCH.value, Kind.SHRED.value})


class _Head(msgspec.Struct):
    kind: str
    rid: str
    bucket: str = ""


@dataclass(frozen=True, slots=True)
class Logs:
    """The ledger's open log, which holds the notebook, and the files of those that are closed."""

    db: sqlite3.Connection
    path: Path

    @contextmanager
    def of(self, name: str) -> Iterator[sqlite3.Connection]:
        """Give the log of that file name to write to; the open one is called by an empty name.

        A closed log must be there: look with `has` before.
        """
        if not name:
            yield self.db
            return
        other = connect(self.path.with_name(name))
        try:
            yield other
            other.execute(SQL["empty_wal"]).fetchall()
        finally:
            other.close()

    def has(self, name: str) -> bool:
        """Whether that log is here; somebody may have put a closed one elsewhere."""
        return not name or self.path.with_name(name).exists()

    def names(self) -> list[str]:
        """The names of all logs, the open one first."""
        return ["", *(file.name for file in closed(self.path))]


def follow(
    logs: Logs, fact: CaseOpened | Held | Released | Disposed | Erased, now: Ms, size: int
) -> None:
    """Draw the consequences of *fact*, which is among the first *size* records.

    All of it within the transaction that is under way. What is to go from a closed log, which is
    another file, is only written down: `tidy` deletes it when the fact is durable.
    """
    db = logs.db
    match fact:
        case CaseOpened(reference=reference, title=title, by=by):
            db.execute(SQL["add_case"], (reference, title, by, now))
        case Held(rid=rid, case=case, reason=reason, by=by):
            db.execute(SQL["add_hold"], (rid, case, reason, by, now))
        case Released(hold=hold):
            db.execute(SQL["release_hold"], (now, hold))
            _drop(db, db.execute(SQL["released"], (hold,)).fetchall())
        case Disposed(bucket=bucket, custodian=custodian, kept=kept):
            pairs = [(hold, rid) for hold, rids in kept for rid in rids]
            db.executemany(SQL["add_kept"], pairs)
            for name in logs.names():
                with logs.of(name) as log:
                    first = log.execute(SQL["bucket_first"], (bucket,)).fetchone()
                    last = log.execute(SQL["size"]).fetchone() if name else (size,)
                if first is not None:
                    row = (bucket, custodian, now, name, first[0], last[0])
                    db.execute(SQL["add_disposal"], row)
        case Erased(record=record):
            db.execute(SQL["forget_posts_about"], (record,))
            db.execute(SQL["forget_appeals_about"], (record,))
            db.execute(SQL["forget_files_of"], (record,))
            db.execute(SQL["forget_event"], (record,))
            for name in logs.names():
                with logs.of(name) as log:
                    found = log.execute(SQL["place_of"], (f'"rid":"{record}"',)).fetchall()
                _drop(db, [(name, seq) for (seq,) in found])


def _drop(db: sqlite3.Connection, places: list[tuple[str, int]]) -> None:
    """Delete bodies of the open log, and write down all *places* for `tidy`."""
    db.executemany(SQL["drop_body"], [(seq,) for name, seq in places if not name])
    db.executemany(SQL["add_pending"], places)


def tidy(logs: Logs, now: Ms) -> bool:
    """Delete what the oldest open disposal still has to, in one range; say whether more is left.

    To be called within a transaction of the open log.
    """
    db = logs.db
    db.execute(SQL["drop_old_waiting"], (now - WAITING_MS,))
    db.execute(SQL["drop_old_passes"], (now - WAITING_MS,))
    for name, seq in db.execute(SQL["pending"]).fetchall():
        if logs.has(name):
            with logs.of(name) as log:
                log.execute(SQL["drop_body"], (seq,))
            db.execute(SQL["settle_pending"], (name, seq))
    row = _open_disposal(logs)
    if row is None:
        return False
    ordinal, bucket, name, first, end = row
    last = min(first + RANGE, end)
    kept = {rid for (rid,) in db.execute(SQL["kept"])}
    with logs.of(name) as log:
        heads = [
            (seq, msgspec.json.decode(raw, type=_Head))
            for seq, raw in log.execute(SQL["headers"], (first, last))
        ]
        own = [(seq, h.rid) for seq, h in heads if h.bucket == bucket and h.kind not in STAY]
        log.executemany(SQL["drop_body"], [(seq,) for seq, rid in own if rid not in kept])
    db.executemany(SQL["place_kept"], [(name, seq, rid) for seq, rid in own if rid in kept])
    db.executemany(SQL["note_gone"], [(rid,) for _, rid in own if rid not in kept])
    if last >= end:  # all at once, as the index of events is not sorted by records
        db.execute(SQL["forget_posts"])
        db.execute(SQL["forget_appeals"])
        db.execute(SQL["forget_files"])
        db.execute(SQL["forget_events"])
        db.execute(SQL["empty_gone"])
    db.execute(SQL["move_disposal"], (last, int(last >= end), ordinal))
    return _open_disposal(logs) is not None


def _open_disposal(logs: Logs) -> tuple[int, str, str, int, int] | None:
    """The oldest disposal that can go on: its log is here."""
    rows = logs.db.execute(SQL["open_disposals"]).fetchall()
    return next((row for row in rows if logs.has(row[2])), None)
