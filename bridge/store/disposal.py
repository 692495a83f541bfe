"""What holds, cases and disposals lead to in the SQLite store: which bodies stay, which go.

Never decides that something goes: a fact on record does, and a crash in between is made good by
going on with `tidy`. Deletion goes in ranges, so that nobody waits for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from bridge.facts import CaseOpened, Disposed, Erased, Held, Released
from bridge.model import Ms, Rid
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


def follow(
    db: sqlite3.Connection,
    fact: CaseOpened | Held | Released | Disposed | Erased,
    now: Ms,
    size: int,
) -> None:
    """Draw the consequences of *fact*, which is among the first *size* records."""
    match fact:
        case CaseOpened(reference=reference, title=title, by=by):
            db.execute(SQL["add_case"], (reference, title, by, now))
        case Held(rid=rid, case=case, reason=reason, by=by):
            db.execute(SQL["add_hold"], (rid, case, reason, by, now))
        case Released(hold=hold):
            db.execute(SQL["release_hold"], (now, hold))
            db.execute(SQL["drop_released"], (hold,))
        case Disposed(bucket=bucket, custodian=custodian, kept=kept):
            pairs = [(hold, rid) for hold, rids in kept for rid in rids]
            db.executemany(SQL["add_kept"], pairs)
            db.execute(SQL["add_disposal"], (bucket, custodian, now, bucket, size))
        case Erased(record=record):
            db.execute(SQL["drop_body_of"], (f'"rid":"{record}"',))


def buckets(records: Iterable[tuple[int, bytes]]) -> list[tuple[str, int]]:
    """Say which buckets these (number, header)s open, and where."""
    heads = ((seq, msgspec.json.decode(raw, type=_Head)) for seq, raw in records)
    return [(head.bucket, seq) for seq, head in heads if head.kind == Kind.CERTIFICATE]


def tidy(db: sqlite3.Connection, now: Ms) -> bool:
    """Delete what the oldest open disposal still has to, in one range; say whether more is left.

    To be called within a transaction.
    """
    db.execute(SQL["drop_old_waiting"], (now - WAITING_MS,))
    row = db.execute(SQL["open_disposal"]).fetchone()
    if row is None:
        return False
    ordinal, bucket, first, end = row
    last = min(first + RANGE, end)
    kept = {rid for (rid,) in db.execute(SQL["kept"])}
    go: list[int] = []
    gone: list[Rid] = []
    stay: list[tuple[int, str]] = []
    for seq, raw in db.execute(SQL["headers"], (first, last)):
        head = msgspec.json.decode(raw, type=_Head)
        if head.bucket != bucket or head.kind in STAY:
            continue
        if head.rid in kept:
            stay.append((seq, head.rid))
        else:
            go.append(seq)
            gone.append(Rid(head.rid))
    db.executemany(SQL["place_kept"], stay)
    db.executemany(SQL["drop_body"], [(seq,) for seq in go])
    db.executemany(SQL["forget_event"], [(rid,) for rid in gone])
    db.execute(SQL["move_disposal"], (last, int(last >= end), ordinal))
    return db.execute(SQL["open_disposal"]).fetchone() is not None
