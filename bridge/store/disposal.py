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
        """Give the log of that file name to write to; the open one is called by an empty name."""
        if not name:
            yield self.db
            return
        other = connect(self.path.with_name(name))
        try:
            yield other
            other.execute(SQL["empty_wal"]).fetchall()
        finally:
            other.close()

    def names(self) -> list[str]:
        """The names of all logs, the open one first."""
        return ["", *(file.name for file in closed(self.path))]


def follow(
    logs: Logs, fact: CaseOpened | Held | Released | Disposed | Erased, now: Ms, size: int
) -> None:
    """Draw the consequences of *fact*, which is among the first *size* records.

    In the open log within the transaction that is under way; a body in a closed log is deleted at
    once. Doing it twice, after a crash, does no harm.
    """
    db = logs.db
    match fact:
        case CaseOpened(reference=reference, title=title, by=by):
            db.execute(SQL["add_case"], (reference, title, by, now))
        case Held(rid=rid, case=case, reason=reason, by=by):
            db.execute(SQL["add_hold"], (rid, case, reason, by, now))
        case Released(hold=hold):
            db.execute(SQL["release_hold"], (now, hold))
            for name, seq in db.execute(SQL["released"], (hold,)).fetchall():
                with logs.of(name) as log:
                    log.execute(SQL["drop_body"], (seq,))
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
            for name in logs.names():
                with logs.of(name) as log:
                    log.execute(SQL["drop_body_of"], (f'"rid":"{record}"',))


def tidy(logs: Logs, now: Ms) -> bool:
    """Delete what the oldest open disposal still has to, in one range; say whether more is left.

    To be called within a transaction of the open log.
    """
    db = logs.db
    db.execute(SQL["drop_old_waiting"], (now - WAITING_MS,))
    row = db.execute(SQL["open_disposal"]).fetchone()
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
        db.execute(SQL["forget_events"])
        db.execute(SQL["empty_gone"])
    db.execute(SQL["move_disposal"], (last, int(last >= end), ordinal))
    return db.execute(SQL["open_disposal"]).fetchone() is not None
