"""Checks a ledger by numbered steps, each of which names itself when it fails.

Never trusts what it checks: every hash is computed again. The steps keep the numbers of
docs/ledger.md, so that a report can be read against it:

(1) sequence, canonical headers, fields of each kind, names used once
(2) each body's length and digest
(3) tiles, and the tree's right edge
(4) each checkpoint's signature and root
(6) consistency with checkpoints from outside
(8) bucket certificates
(9) epochs
(10) nothing done without a debt, nothing owed without a message
(11) time does not run backwards

Steps 5 (cosignatures), 7 (time stamps), 12 (disposals) and 13 (earlier logs) have nothing to check
yet: nothing writes what they check.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bridge.verify import Unsound
from bridge.verify.headers import (
    ALWAYS,
    EVENTS,
    LONGEST,
    MAY,
    MUST,
    VERSION,
    Header,
    Kind,
    encode_header,
)
from bridge.verify.notes import Checkpoint, Verifier, encode64, parse, size_of
from bridge.verify.papers import OVERHEAD, Certificate, Signed
from bridge.verify.tree import Frontier, Tile, Tiler, leaf_hash

#: Clocks are set back by this much at most without a complaint.
TOLERANCE_MS = 120_000
#: Header fields that are whole numbers; all others are text.
_NUMBERS = frozenset({"v", "t", "len"})
#: RFC 8785 spells whole numbers below this exactly.
_EXACT = 2**53
_RID = re.compile(r"[0-9a-f]{32}").fullmatch


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it lies in the store."""

    seq: int
    header: bytes
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not as it must be."""

    step: int
    rid: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything about a ledger besides its records."""

    #: None where no key is pinned: the genesis's own is taken, and the report says so.
    verifier: Verifier | None
    tiles: Mapping[tuple[int, int], bytes]
    #: (size, signed note), from the ledger itself.
    checkpoints: Sequence[tuple[int, str]]
    #: (where it comes from, signed note), kept elsewhere.
    outside: Sequence[tuple[str, str]]
    #: The size, peaks and tile edges that the store would continue from.
    edge: tuple[int, bytes, bytes]
    #: The custodians' pinned identities; empty where none are pinned.
    identities: Mapping[str, bytes]
    now: int


@dataclass(slots=True)
class Report:
    """What was found."""

    records: int = 0
    checkpoints: int = 0
    #: Records after the newest checkpoint that is kept elsewhere, and the age of the oldest, ms.
    unwitnessed_tail: int = 0
    unwitnessed_age_ms: int = 0
    outside: int = 0
    failures: list[Failure] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Nothing was changed, dropped or put out of order, as far as can be seen from here."""
        return not self.failures


_HAS = {kind.value: ALWAYS | MUST[kind] for kind in Kind}
_MAY = {kind.value: ALWAYS | MAY[kind] for kind in Kind}


def _well_typed(header: Header) -> bool:
    for name, value in header.items():
        if name in _NUMBERS:
            if not isinstance(value, int) or not 0 <= value < _EXACT:
                return False
        elif not isinstance(value, str):
            return False
    return _RID(str(header["rid"])) is not None


class _Check:
    """The state of one pass over the records."""

    def __init__(self, evidence: Evidence, report: Report) -> None:
        self.evidence, self.report = evidence, report
        self.tree, self.tiler = Frontier(), Tiler()
        self.roots: dict[int, bytes] = {}
        self.times: dict[int, int] = {}
        self.verifier = evidence.verifier
        self.custodians: tuple[str, ...] = ()
        self._wanted: set[int] = set()
        self._rids: set[str] = set()
        self._seen: dict[str, str] = {}
        #: Debt → its effect.
        self._owed: dict[str, str] = {}
        self._epochs: dict[str, str] = {}
        self._buckets: set[str] = set()
        self._latest = 0

    def want(self, sizes: Iterable[int]) -> None:
        """Remember the root at each of these sizes."""
        self._wanted |= set(sizes)
        if 0 in self._wanted:
            self.roots[0] = self.tree.root()

    def fail(self, step: int, rid: str, what: str) -> None:
        self.report.failures.append(Failure(step, rid, what))

    def record(self, row: Row) -> None:
        header = self._header(row)
        self._grow(row)
        if header is None:
            return
        rid = str(header["rid"])
        self._body(row, header, rid)
        if header["kind"] == Kind.GENESIS:
            self._genesis(row, rid)
        elif header["kind"] == Kind.CERTIFICATE:
            self._certificate(row, header, rid)
        elif header["kind"] == Kind.EPOCH:
            self._epoch(header, rid)
        else:
            self._sealed(header, rid)
        self._reference(header, rid)
        self._time(header, rid)
        self.report.kinds[str(header["kind"])] = self.report.kinds.get(str(header["kind"]), 0) + 1

    def _header(self, row: Row) -> Header | None:  # (1)
        here = f"record {row.seq}"
        if row.seq != self.tree.size:
            self.fail(1, "", f"record {self.tree.size} is missing: {here} stands in its place")
        try:
            header = msgspec.json.decode(row.header, type=dict[str, str | int])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.fail(1, "", f"the header of {here} cannot be read")
            return None
        rid, kind = str(header.get("rid", "")), str(header.get("kind", ""))
        try:
            canonical = len(row.header) <= LONGEST and encode_header(header) == row.header
        except Unsound:
            canonical = False
        if not canonical:
            self.fail(1, rid, f"the header of {here} is not spelt in the one way it may be")
        if header.get("v") != VERSION or kind not in MAY:
            self.fail(1, rid, f"{here} is of version {header.get('v')!r}, kind {kind!r}: unknown")
            return None
        fields = set(header)
        if not _HAS[kind] <= fields <= _MAY[kind]:
            self.fail(1, rid, f"{here} has other fields than a {kind} record has")
            return None
        if not _well_typed(header):
            self.fail(1, rid, f"{here} has a field of the wrong type")
            return None
        if rid in self._rids:
            self.fail(1, rid, f"the name of {here} was used before")
        if (kind == Kind.GENESIS) != (row.seq == 0):
            self.fail(1, rid, f"{here} is a {kind}: a ledger starts with its only genesis")
        self._rids.add(rid)
        self._seen[rid] = kind
        return header

    def _grow(self, row: Row) -> None:  # (3)
        leaf = leaf_hash(row.header)
        self.tree.append(leaf)
        for tile in self.tiler.append(leaf):
            self._tile(tile)
        if self.tree.size in self._wanted:
            self.roots[self.tree.size] = self.tree.root()

    def _tile(self, tile: Tile) -> None:  # (3)
        if self.evidence.tiles.get((tile.level, tile.index)) != tile.hashes:
            self.fail(3, "", f"tile {tile.level}/{tile.index} is not made of these records")

    def _body(self, row: Row, header: Header, rid: str) -> None:  # (2)
        if row.body is None:
            self.fail(2, rid, f"the body of record {row.seq} is gone, and no disposal explains it")
        elif (
            len(row.body) != header["len"]
            or encode64(hashlib.sha256(row.body).digest()) != header["sha256"]
        ):
            self.fail(2, rid, f"the body of record {row.seq} is not the one that was recorded")

    def _genesis(self, row: Row, rid: str) -> None:  # (4)
        try:
            body = msgspec.json.decode(row.body or b"", type=dict[str, msgspec.Raw])
            stated = Verifier.parse(msgspec.json.decode(body["verifier"], type=str))
            sealed_to = msgspec.json.decode(body["custodians"], type=dict[str, str])
        except (msgspec.MsgspecError, KeyError, Unsound):
            self.fail(4, rid, "the genesis does not name the ledger's key and custodians")
            return
        self.custodians = tuple(sealed_to)
        pinned = {name: encode64(key) for name, key in self.evidence.identities.items()}
        if pinned and pinned != sealed_to:
            self.fail(8, rid, "the genesis names other custodians than are pinned here")
        if self.verifier is None:
            self.verifier = stated
        elif self.verifier != stated:
            self.fail(4, rid, "the genesis names another key than the one that is pinned here")

    def _certificate(self, row: Row, header: Header, rid: str) -> None:  # (8)
        bucket = str(header["bucket"])
        self._buckets.add(bucket)
        try:
            body = msgspec.json.decode(row.body or b"", type=dict[str, msgspec.Raw])
            certificates = [
                self._signed(one)
                for one in msgspec.json.decode(body["certificates"], type=list[Signed])
            ]
        except (msgspec.MsgspecError, KeyError, Unsound) as exc:
            self.fail(8, rid, f"the certificates of {bucket} do not hold: {exc}")
            return
        if tuple(c.custodian for c in certificates) != self.custodians:
            self.fail(8, rid, f"{bucket} is not certified by each custodian that the genesis names")
        for certificate in certificates:
            if certificate.bucket != bucket:
                self.fail(8, rid, f"a certificate of {certificate.bucket} is used for {bucket}")
            elif not certificate.start <= int(header["t"]) < certificate.end:
                self.fail(8, rid, f"the certificate of {bucket} was not valid when it was used")

    def _signed(self, signed: Signed) -> Certificate:
        if not self.evidence.identities:
            return msgspec.json.decode(signed.certificate, type=Certificate)
        name = msgspec.json.decode(signed.certificate, type=Certificate).custodian
        if name not in self.evidence.identities:
            raise Unsound(f"nobody has pinned the identity of custodian {name!r}")
        return signed.check(self.evidence.identities[name])

    def _epoch(self, header: Header, rid: str) -> None:  # (9)
        bucket = str(header.get("bucket", ""))
        if bucket not in self._buckets:
            self.fail(9, rid, f"this epoch is of {bucket}, which was not opened before")
        if header["len"] != (OVERHEAD + 32) * len(self.custodians):
            self.fail(9, rid, "this epoch is not sealed to the custodians that the genesis names")
        self._epochs[rid] = bucket

    def _sealed(self, header: Header, rid: str) -> None:  # (9)
        if self._epochs.get(str(header["epoch"])) != header["bucket"]:
            self.fail(9, rid, "this record is sealed under an epoch that is not of its bucket")

    def _reference(self, header: Header, rid: str) -> None:  # (10)
        ref, kind = str(header.get("ref", "")), header["kind"]
        if kind == Kind.DEBT:
            self._owed[rid] = str(header["effect"])
        if ref and (ref not in self._seen or ref == rid):
            self.fail(10, rid, "this record refers to one that does not come before it")
        elif not ref and kind in {Kind.VERDICT, Kind.DEBT, Kind.OUTCOME}:
            self.fail(10, rid, f"this {kind} says not what it is about")
        elif kind == Kind.OUTCOME and self._owed.get(ref) != header["effect"]:
            self.fail(10, rid, "something was done that was never written down as owed")
        elif kind in {Kind.VERDICT, Kind.DEBT} and self._seen.get(ref) not in EVENTS:
            self.fail(10, rid, f"this {kind} is about something that was never served to us")

    def _time(self, header: Header, rid: str) -> None:  # (11)
        at = int(header["t"])
        if at < self._latest - TOLERANCE_MS:
            self.fail(11, rid, "this record claims to be older than those before it")
        self._latest = max(self._latest, at)
        self.times[self.tree.size] = at

    def edge(self) -> None:  # (3)
        size, peaks, edges = self.evidence.edge
        if (size, peaks, edges) != (self.tree.size, b"".join(self.tree.peaks), self.tiler.edges):
            self.fail(
                3,
                "",
                f"the store would go on from {size} records, but there are "
                f"{self.tree.size}, or with another right edge",
            )
        extra = len(self.evidence.tiles) - _tiles_of(self.tree.size)
        if extra > 0:
            self.fail(3, "", f"there are {extra} tiles that no records belong to")

    def checkpoint(self, step: int, where: str, size: int | None, note: str) -> Checkpoint | None:
        if self.verifier is None:
            return None
        try:
            checkpoint = parse(note, self.verifier)
        except Unsound as exc:
            self.fail(step, "", f"{where}: {exc}")
            return None
        if size is not None and checkpoint.size != size:
            self.fail(step, "", f"{where} is filed under another size than it states")
        elif checkpoint.size > self.tree.size:
            lost = checkpoint.size - self.tree.size
            self.fail(step, "", f"{where} covers {lost} records that are no longer here")
        elif self.roots.get(checkpoint.size) != checkpoint.root:
            self.fail(step, "", f"{where} has another root: a record it covers was changed")
        return checkpoint


def _tiles_of(size: int) -> int:
    count = 0
    while size := size // 256:
        count += size
    return count


def verify(
    rows: Iterable[Row], evidence: Evidence, *, progress: Callable[[int], None] = lambda _: None
) -> Report:
    """Check every record against *evidence*; *progress* is called with the count so far."""
    report = Report(checkpoints=len(evidence.checkpoints))
    check = _Check(evidence, report)
    check.want(size for size, _ in evidence.checkpoints)
    check.want(_size_of(note) for _, note in evidence.outside)
    for row in rows:
        check.record(row)
        report.records += 1
        if report.records % 1000 == 0:
            progress(report.records)
    progress(report.records)
    if not report.records:
        check.fail(1, "", "there are no records: not even a genesis")
    check.edge()
    for size, note in evidence.checkpoints:  # (4)
        check.checkpoint(4, f"the checkpoint at {size}", size, note)
    witnessed = 0
    for where, note in evidence.outside:  # (6)
        found = check.checkpoint(6, f"the checkpoint from {where}", None, note)
        if found is not None:
            witnessed = max(witnessed, found.size)
            report.outside += 1
    report.unwitnessed_tail = max(0, report.records - witnessed)
    if report.unwitnessed_tail:
        report.unwitnessed_age_ms = max(0, evidence.now - check.times.get(witnessed + 1, 0))
    return report


def _size_of(note: str) -> int:
    lines = note.split("\n", 2)
    try:
        return size_of(lines[1]) if len(lines) > 2 else 0
    except Unsound:
        return 0
