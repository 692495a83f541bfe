"""Checks a ledger by numbered steps, each of which names itself when it fails.

Never trusts what it checks: every hash is computed again. The steps keep the numbers of
docs/ledger.md, so that a report can be read against it:

(1) sequence, canonical headers, fields of each kind, names used once
(2) each body's length and digest, or a disposal that explains why it is gone
(3) tiles, and the tree's right edge
(4) each checkpoint's signature and root
(5) cosignatures of witnesses
(6) consistency with checkpoints from outside
(8) bucket certificates, and whose word counts
(9) epochs
(10) nothing done without a debt, nothing owed without a message, nothing settled twice
(11) time does not run backwards
(12) disposals: shreds, holds, erasures
(13) the link to the ledger before

Step 7 (time stamps) has nothing to check yet: nothing writes what it checks. Steps 4 to 6 are in
`points`; 8, 12 and 13 in `custody` and `past`; the rest is here.
"""

from __future__ import annotations

from array import array
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from bridge.verify import Unsound
from bridge.verify.custody import Custody
from bridge.verify.headers import EVENTS, PLAIN, Head, Kind, read_header
from bridge.verify.notes import unverified
from bridge.verify.papers import OVERHEAD
from bridge.verify.past import Last, Past, Sort
from bridge.verify.points import TOLERANCE_MS, Points
from bridge.verify.report import Evidence, Failure, Report, Row
from bridge.verify.tree import WIDTH, Lookup, Roots, Tile, Tiler, lookup, state_at

__all__ = ["TOLERANCE_MS", "Evidence", "Failure", "Report", "Row", "verify", "verify_logs"]

#: An epoch seals no more records than this, and none that is written later than this, ms.
EPOCH_RECORDS = 1024
EPOCH_MS = 15 * 60 * 1000
#: After these a debt is settled.
FINAL = frozenset({"done", "refused", "abandoned", "waived", "rehearsed"})
#: Debts that are open for longer are worth a warning: we give up after a day.
LONG_OWED_MS = 25 * 3_600_000
#: Kinds that are always about an earlier record, and what kind of record that is.
_SERVED = EVENTS - {Kind.MEDIA}
_ABOUT: Mapping[str, frozenset[Kind]] = {
    Kind.VERDICT: _SERVED,
    Kind.DEBT: _SERVED,
    Kind.OUTCOME: frozenset(Kind),  # which debt it is of is looked at with its effect
    Kind.MEDIA: _SERVED,
    Kind.REVIEW: _SERVED | {Kind.VERDICT},
    Kind.MINUTE: _SERVED,
    Kind.RELEASE: frozenset({Kind.HOLD}),
    Kind.APPEAL: frozenset({Kind.VERDICT}),
    Kind.DECISION: frozenset({Kind.VERDICT}),
    Kind.EXAMINATION: frozenset({Kind.VIEW}),
    Kind.NOTICE: frozenset({Kind.NOTICE}),
    Kind.ERASE: frozenset(Kind),
}
#: Kinds whose body is read here, even in a light pass.
_PAPERS = frozenset({Kind.GENESIS, Kind.CERTIFICATE, Kind.SHRED, Kind.ERASE})


@dataclass(slots=True)
class _Epoch:
    bucket: str
    #: No record of it is written later than this, ms.
    ends: int
    records: int = 0


@dataclass(slots=True, eq=False)
class _Sort(Sort):
    """Records of one kind in one bucket, and how they are checked."""

    sealed: bool = True
    paper: bool = False
    about: frozenset[Kind] | None = None
    act: Callable[[Head, int, bytes], None] | None = None


class _Check:
    """The state of one pass over the records."""

    def __init__(self, evidence: Evidence, report: Report, past: Past) -> None:
        self.evidence, self.report, self._past = evidence, report, past
        self.size = 0
        #: The time of each record, ms, and the latest of them.
        self.times = array("q")
        self._latest = past.latest
        #: False in a light pass.
        self._full = True
        self._tiler = Tiler()
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._seen = past.seen
        self._sorts: dict[tuple[str, str], _Sort] = {}
        self._epochs: dict[str, _Epoch] = {}
        self.custody = Custody(evidence, report, past, self.times)
        self._acts: Mapping[str, Callable[[Head, int, bytes], None]] = {
            Kind.GENESIS: self.custody.genesis,
            Kind.CERTIFICATE: self.custody.certificate,
            Kind.EPOCH: self._epoch,
            Kind.DEBT: self._debt,
            Kind.OUTCOME: self._outcome,
            Kind.HOLD: self.custody.hold,
            Kind.RELEASE: self.custody.release,
            Kind.SHRED: self.custody.shred,
            Kind.ERASE: self.custody.erase,
        }

    def fail(self, step: int, rid: str, what: str) -> None:
        self.report.fail(step, rid, what)

    # The pass. It runs for every record, so what is done for each stands here in full.

    def record(self, seq: int, raw: bytes, body: bytes | None) -> None:  # noqa: PLR0912
        if seq != self.size:  # (1)
            self.fail(1, "", f"record {self.size} is missing: record {seq} stands in its place")
        self.size += 1
        if self._full:  # (3)
            for tile in self._tiler.append(sha256(b"\0" + raw).digest()):
                self._tile(tile)
        try:  # (1)
            head = read_header(raw)
        except Unsound as exc:
            self.fail(1, "", f"the header of record {seq} {exc}")
            self.times.append(self._latest)
            return
        rid, at = head.rid, head.t
        if rid in self._seen:
            self.fail(1, rid, f"the name of record {seq} was used before")
        sort = self._sorts.get((head.kind, head.bucket)) or self._new_sort(head)
        sort.count += 1
        if (head.kind == "genesis") != (seq == 0):
            self.fail(1, rid, f"record {seq} is a {head.kind}: a ledger starts with its genesis")
        if self._full or sort.paper:  # (2)
            if body is None:
                self._past.missing[rid] = seq
            elif (
                len(body) != head.len
                or b2a_base64(sha256(body).digest(), newline=False).decode() != head.sha256
            ):
                self.fail(2, rid, f"the body of record {seq} is not the one that was recorded")
        if sort.sealed:  # (9)
            epoch = self._epochs.get(head.epoch)
            if epoch is None or epoch.bucket != head.bucket:
                self.fail(9, rid, "this record is sealed under an epoch that is not of its bucket")
            else:
                epoch.records += 1
                if epoch.records > EPOCH_RECORDS or at >= epoch.ends:
                    self._overfull(epoch, head)
        if head.ref or sort.about is not None:  # (10)
            self._reference(head, sort)
        if sort.act is not None:
            sort.act(head, seq, body or b"")
        self._seen[rid] = sort
        if at > self._latest:  # (11)
            self._latest = at
        elif at < self._latest - TOLERANCE_MS:
            self.fail(11, rid, "this record claims to be older than those before it")
        self.times.append(at)

    def _new_sort(self, head: Head) -> _Sort:
        kind = head.kind
        sort = self._sorts[kind, head.bucket] = _Sort(
            kind=kind,
            bucket=head.bucket,
            report=self.report,
            full=self._full,
            sealed=kind not in PLAIN,
            paper=kind in _PAPERS,
            about=_ABOUT.get(kind),
            act=self._acts.get(kind),
        )
        self._past.sorts.append(sort)
        return sort

    def _tile(self, tile: Tile) -> None:  # (3)
        place = tile.level, tile.index
        stored = self.evidence.tiles.get(place)
        if stored == tile.hashes:
            self._tiles[place] = stored
            return
        self._tiles[place] = tile.hashes
        self.fail(3, "", f"tile {tile.level}/{tile.index} is not made of these records")

    def _epoch(self, head: Head, _seq: int, _body: bytes) -> None:  # (9)
        rid, bucket = head.rid, head.bucket
        end = self.custody.ends.get(bucket)
        if end is None:
            self.fail(9, rid, f"this epoch is of {bucket}, which was not opened before")
        if head.len != (OVERHEAD + 32) * len(self.custody.custodians):
            self.fail(9, rid, "this epoch is not sealed to the custodians that the genesis names")
        ends = head.t + EPOCH_MS + TOLERANCE_MS
        self._epochs[rid] = _Epoch(bucket, ends if end is None else min(ends, end))

    def _overfull(self, epoch: _Epoch, head: Head) -> None:  # (9)
        if epoch.records > EPOCH_RECORDS:
            self.fail(9, head.rid, f"this epoch has more than {EPOCH_RECORDS} records")
        if head.t >= epoch.ends:
            self.fail(9, head.rid, "this record was written after its epoch or bucket had ended")

    def _reference(self, head: Head, sort: _Sort) -> None:  # (10)
        about = self._seen.get(head.ref)
        if not head.ref:
            if (head.kind, head.status) != (Kind.NOTICE, "due"):  # the first one about a notice
                self.fail(10, head.rid, f"this {head.kind} says not what it is about")
        elif about is None and not self._past.whole:
            self.report.elsewhere += 1
        elif about is None:
            self.fail(10, head.rid, "this record refers to one that does not come before it")
        elif sort.about is not None and about.kind not in sort.about:
            self.fail(10, head.rid, f"a {head.kind} cannot be about a {about.kind} record")

    def _debt(self, head: Head, _seq: int, _body: bytes) -> None:  # (10)
        self._past.owed[head.rid] = head.effect
        self._past.open[head.rid] = head.t

    def _outcome(self, head: Head, _seq: int, _body: bytes) -> None:  # (10)
        if head.ref not in self._seen and not self._past.whole:
            return
        if self._past.owed.get(head.ref) != head.effect:
            self.fail(10, head.rid, "something was done that was never written down as owed")
        elif head.status in FINAL and self._past.open.pop(head.ref, None) is None:
            self.fail(10, head.rid, "this settles a debt that was settled before")

    # Where a light pass ends

    def skip_to_checkpoint(self, note: str) -> int:
        """Prepare a light pass up to a checkpoint; returns its size, or 0 if it is wrong.

        Step 6 says what is wrong with it.
        """
        try:
            point = unverified(note)
            tree, _ = state_at(point.size, self._stored())
        except (Unsound, ValueError):
            return 0
        return self.skip_to(point.size) if tree.root() == point.root else 0

    def skip_to(self, size: int) -> int:
        """Prepare a light pass of *size* records; returns that, or 0 if tiles are missing."""
        try:
            _, self._tiler = state_at(size, self._stored())
        except (Unsound, ValueError):
            return 0
        self._full = size == 0
        return size

    def _stored(self) -> Lookup:
        size, _, edges = self.evidence.edge
        return lookup(size, self.evidence.tiles, edges)

    def full(self) -> None:
        """From here on, check everything."""
        self._full = True
        self._sorts = {}  # what was counted so far was not looked into

    # The end

    def count(self) -> None:
        """Count the records of each kind."""
        kinds = self.report.kinds
        for sort in self._past.sorts:
            if sort.report is self.report:
                kinds[sort.kind] = kinds.get(sort.kind, 0) + sort.count

    def end(self, since: int) -> Points:
        """Check what shows only when every record of this log has been seen.

        Returns its checkpoints, which are for when the next log has said what is lost of this one.
        """
        tiles = {**self.evidence.tiles, **self._tiles} if since else self._tiles
        get = lookup(self.size, tiles, self._tiler.edges)
        self._edge(get)
        roots, verifier = Roots(get), self.custody.verifier
        points = Points(self.evidence, self.report, verifier, roots, self.times)
        for rid, point in self.custody.points:  # (12)
            if not points.is_root(point):
                self.fail(12, rid, "the checkpoint of this attestation has another root")
        if self.report.elsewhere:
            self.report.warnings.append(
                f"{self.report.elsewhere} records refer to an earlier log that was not given"
            )
        self._past.records += self.size
        self._past.latest = self._latest
        self._past.last = Last(verifier, self.size, roots, self.report) if verifier else None
        if self._past.last is not None:
            self._past.ended[self._past.last.verifier.name] = self._past.last
        return points

    def _edge(self, get: Lookup) -> None:  # (3)
        size, peaks, edges = self.evidence.edge
        try:
            own = b"".join(state_at(self.size, get)[0].peaks)
        except Unsound:
            own = b""  # a tile before a light pass's end is not there
        if (size, peaks, edges) != (self.size, own, self._tiler.edges):
            self.fail(
                3,
                "",
                f"the store would go on from {size} records, but there are "
                f"{self.size}, or with another right edge",
            )
        extra = len(self.evidence.tiles) - _tiles_of(self.size)
        if extra > 0:
            self.fail(3, "", f"there are {extra} tiles that no records belong to")


def _still_owed(past: Past, report: Report, now: int) -> None:
    report.open_debts = len(past.open)
    report.oldest_debt_ms = max((now - at for at in past.open.values()), default=0)
    late = sum(now - at > LONG_OWED_MS for at in past.open.values())
    if late:
        report.warnings.append(
            f"{late} debts have been open for more than {LONG_OWED_MS // 3_600_000} hours: "
            "was the bot down?"
        )


def _tiles_of(size: int) -> int:
    count = 0
    while size := size // WIDTH:
        count += size
    return count


def verify(
    rows: Iterable[Row],
    evidence: Evidence,
    *,
    since: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Check every record of a ledger of one log; see `verify_logs`."""
    (report,) = verify_logs([(rows, evidence)], since=since, progress=progress)
    return report


def verify_logs(
    logs: Sequence[tuple[Iterable[Row], Evidence]],
    *,
    since: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Report]:
    """Check the logs of a ledger, oldest first; *progress* is called with the count so far.

    With *since*, a signed checkpoint up to which somebody verified the ledger before, and which
    counts as one from outside, the records up to there get a light pass: their headers are read,
    but neither these nor bodies are hashed.

    Where the oldest log names one before it, what refers to that is counted and not checked.
    """
    past = Past()
    target = -1 if since is None else _log_of(since, logs)
    points: list[Points] = []
    for number, log in enumerate(logs):
        given = since if number == target else None
        points.append(_verify_log(log, past, given, number < target, progress))
    for one in points:
        one.check(past.lost, past.logs)
    past.settle()
    if logs:
        _still_owed(past, points[-1].report, logs[-1][1].now)
    return [one.report for one in points]


def _log_of(since: str, logs: Sequence[tuple[Iterable[Row], Evidence]]) -> int:
    """Find the log that a checkpoint is of; the last one, if in doubt."""
    origin = since.partition("\n")[0]
    names = [evidence.verifier.name if evidence.verifier else "" for _, evidence in logs]
    return names.index(origin) if origin in names else len(logs) - 1


def _verify_log(
    log: tuple[Iterable[Row], Evidence],
    past: Past,
    since: str | None,
    light: bool,
    progress: Callable[[int], None],
) -> Points:
    rows, evidence = log
    if since is not None:
        given = ("the last verification", since)
        evidence = replace(evidence, outside=(*evidence.outside, given))
    report = Report(checkpoints=len(evidence.checkpoints), pinned=bool(evidence.identities))
    check = _Check(evidence, report, past)
    start = 0
    if light:
        start = check.skip_to(evidence.edge[0])
    elif since is not None:
        start = check.skip_to_checkpoint(since)
    report.since = start
    for seq, raw, body in rows:
        if check.size == start:
            check.full()
        check.record(seq, raw, body)
        if check.size % 1000 == 0:
            progress(past.records + check.size)
    report.records = check.size
    if not check.size:
        check.fail(1, "", "there are no records: not even a genesis")
    check.count()
    points = check.end(start)
    progress(past.records)
    return points
