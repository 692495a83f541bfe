"""What later records refer to: it goes on from one log of a ledger to the next.

Never reads a record: `steps` and `custody` tell it what they found.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.verify import Unsound
from bridge.verify.headers import EXACT, Kind
from bridge.verify.notes import Checkpoint, Verifier
from bridge.verify.papers import Certificate
from bridge.verify.report import Report
from bridge.verify.tree import Roots

#: Kinds whose body stays although the key of their bucket is destroyed: it is no content.
STAYS = frozenset({Kind.CERTIFICATE, Kind.EPOCH, Kind.SHRED})


@dataclass(slots=True, eq=False)
class Sort:
    """Records of one kind in one bucket of one log."""

    kind: str
    bucket: str
    #: Where to say what is found of them.
    report: Report
    #: Whether their bodies were looked at, and how many there are.
    full: bool
    count: int = 0


class Log(NamedTuple):
    """One log of the ledger that is here."""

    verifier: Verifier
    #: Records in the logs before it.
    before: int
    #: When each of its records was written, ms; it grows as they are read.
    times: array[int]


class Lost(NamedTuple):
    """What the next log's genesis says is no longer there: records [first, point.size)."""

    first: int
    point: Checkpoint


@dataclass(frozen=True, slots=True)
class Last:
    """How a log ended."""

    verifier: Verifier
    size: int
    roots: Roots
    report: Report

    def has(self, point: Checkpoint) -> bool:
        """Say whether that checkpoint's root is the one of these records."""
        try:
            return self.roots.at(point.size) == point.root
        except Unsound:
            return False  # a tile before a light pass's end is not there


@dataclass(slots=True)
class Past:
    """What later records refer to; it goes on from one log of a ledger to the next.

    Places are counted through all of its logs.
    """

    #: Records in the logs before this one.
    records: int = 0
    last: Last | None = None
    #: Log → how it ended, if it has.
    ended: dict[str, Last] = field(default_factory=dict)
    #: The latest time of any record so far, ms.
    latest: int = 0
    logs: dict[str, Log] = field(default_factory=dict)
    #: Log → what the next one's genesis says is lost of it.
    lost: dict[str, Lost] = field(default_factory=dict)
    #: False where this log goes on from one that was not given: who knows what stands there.
    whole: bool = True
    seen: dict[str, Sort] = field(default_factory=dict)
    sorts: list[Sort] = field(default_factory=list)
    #: Record whose body is gone → its number in its log.
    missing: dict[str, int] = field(default_factory=dict)
    #: Debt → its effect; debt → when it was written, until it is settled.
    owed: dict[str, str] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    #: (bucket, custodian) → what was certified.
    certificates: dict[tuple[str, str], Certificate] = field(default_factory=dict)
    #: Hold → its place and time; hold → where it was released.
    holds: dict[str, tuple[int, int]] = field(default_factory=dict)
    released: dict[str, int] = field(default_factory=dict)
    #: Buckets whose key is destroyed.
    shredded: set[str] = field(default_factory=set)
    #: Record → hold → the place of the shred that wrapped it.
    kept: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Record → the place of the order to erase it.
    erased: dict[str, int] = field(default_factory=dict)

    def settle(self) -> None:  # (2) (12)
        """Say which of the missing bodies nothing explains, when all logs have been seen."""
        for rid, seq in self.missing.items():
            sort = self.seen[rid]
            if self._is_held(rid):
                what = f"the body of record {seq} is gone, although a hold keeps it"
                sort.report.fail(12, rid, what)
            elif rid in self.erased or self._is_shredded(sort):
                sort.report.disposed += 1
            else:
                what = f"the body of record {seq} is gone, and no disposal explains it"
                sort.report.fail(2, rid, what)
        self._still_there()
        self._too_late()

    def _is_held(self, rid: str) -> bool:
        holds, erased = self.kept.get(rid, {}), self.erased.get(rid, EXACT)
        return any(hold not in self.released and at < erased for hold, at in holds.items())

    def _is_shredded(self, sort: Sort) -> bool:
        return sort.bucket in self.shredded and sort.kind not in STAYS

    def _too_late(self) -> None:
        """Warn of holds that are newer than a shred, and of what another one saved from it."""
        saved: dict[tuple[str, str], tuple[int, Report]] = {}
        for rid in self.kept.keys() & self.seen.keys():
            sort = self.seen[rid]
            for hold, at in self.kept[rid].items():
                saved.setdefault((hold, sort.bucket), (at, sort.report))
        for (former, bucket), (at, report) in sorted(saved.items(), key=lambda one: one[0]):
            over = self.released.get(former, EXACT)
            for hold, (place, _) in self.holds.items():
                if at < place < over and hold not in self.released:
                    report.warnings.append(
                        f"hold {hold} was recorded after a key of {bucket} had been destroyed: it "
                        f"keeps nothing of that bucket, and what hold {former} saved of it lasts "
                        "only until that one is released"
                    )

    def _still_there(self) -> None:
        """Count bodies that might be deleted and are not: deletion goes in chunks."""
        for sort in self.sorts:
            if sort.full and self._is_shredded(sort):
                sort.report.undeleted += sort.count
        for rid in {*self.missing, *self.kept, *self.erased} & self.seen.keys():
            sort = self.seen[rid]
            if sort.full:
                shredded = self._is_shredded(sort)
                may_go = (shredded or rid in self.erased) and not self._is_held(rid)
                sort.report.undeleted += (rid not in self.missing and may_go) - shredded
