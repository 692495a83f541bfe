"""Steps 4 to 6: checkpoints, and who else has signed them.

Never knows what a record says, only how many there are, when they were written, and their hashes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate, pairwise

from bridge.verify import Unsound
from bridge.verify.notes import Checkpoint, Verifier, cosigned, parse, unverified
from bridge.verify.past import Lost
from bridge.verify.report import Evidence, Report
from bridge.verify.tree import Roots

#: Clocks may differ by this much without a complaint.
TOLERANCE_MS = 120_000
#: A record that waited longer for a cosignature is worth a warning.
LONGEST_WAIT_MS = 3_600_000


class Points:
    """Checks the checkpoints of one ledger, when its records have been seen."""

    def __init__(
        self,
        evidence: Evidence,
        report: Report,
        verifier: Verifier | None,
        roots: Roots,
        times: Sequence[int],
    ) -> None:
        """Check against the computed *roots*, and the *times* of all records in order, ms."""
        self._evidence, self.report, self._verifier = evidence, report, verifier
        self._roots, self._times = roots, times
        #: The latest time of any record up to each.
        self._latest: list[int] | None = None
        #: Size → witness → the time of its cosignature, ms.
        self._cosigned: dict[int, dict[str, int]] = {}
        self._kept = 0
        self._lost: Mapping[str, Lost] = {}

    def fail(self, step: int, rid: str, what: str) -> None:
        """Report a failure."""
        self.report.fail(step, rid, what)

    @property
    def origin(self) -> str:
        """The name of the log."""
        return self._verifier.name if self._verifier else ""

    def check(self, lost: Mapping[str, Lost], here: Collection[str]) -> None:
        """Check every checkpoint from outside, and the stored ones but for the light pass.

        *lost* is what is on record as no longer there, by log; *here* are the logs that are.
        """
        self._lost = lost
        for size, note in sorted(self._evidence.checkpoints):  # (4)
            if not 0 <= size < self.report.since:
                self._point(4, f"the checkpoint at {size}", size, note)
        for where, note in self._evidence.outside:  # (6)
            found = self._elsewhere(f"the checkpoint from {where}", note, here)
            if found is not None:
                self._kept = max(self._kept, found.size)
                self.report.outside += 1
        for where, note in self._evidence.anchors:  # (6)
            found = self._elsewhere(f"the checkpoint from {where}", note, here)
            self.report.anchors += found is not None
        self._in_order()
        self._gaps()
        self._tail()

    def _elsewhere(self, where: str, note: str, here: Collection[str]) -> Checkpoint | None:  # (6)
        """Check a checkpoint of this log, or of one that is lost as a whole."""
        origin = note.partition("\n")[0]
        if origin in here or origin not in self._lost:
            return self._point(6, where, None, note)
        try:
            # Its key may have been lost with it, so that nobody here knows it any more.
            self._beyond(6, where, unverified(note), 0)
        except Unsound as exc:
            self.fail(6, "", f"{where}: {exc}")
        return None

    def _point(self, step: int, where: str, size: int | None, note: str) -> Checkpoint | None:
        if self._verifier is None:
            return None  # the genesis does not say whose this is; step 4 has said so
        try:
            point = parse(note, self._verifier)
        except Unsound as exc:
            self.fail(step, "", f"{where}: {exc}")
            return None
        here = len(self._times)
        if size is not None and point.size != size:
            self.fail(step, "", f"{where} is filed under another size than it states")
        elif point.size > here:
            self._beyond(step, where, point, here)
        elif not self.is_root(point):
            self.fail(step, "", f"{where} has another root: a record it covers was changed")
        else:
            self._witnesses(where, point, note)
            return point
        return None

    def _beyond(self, step: int, where: str, point: Checkpoint, here: int) -> None:
        """Judge a checkpoint that covers more than is *here*: it says nothing of what is."""
        lost = self._lost.get(point.origin)
        if lost is None or point.size > lost.point.size:
            gone = point.size - here
            self.fail(step, "", f"{where} covers {gone} records that are no longer here")
        elif point.size == lost.point.size and point != lost.point:
            self.fail(step, "", f"{where} has another root than the genesis of the next log names")
        else:
            self.report.warnings.append(
                f"{where} covers records that are lost, so nothing could be held against it"
            )

    def is_root(self, point: Checkpoint) -> bool:
        """Say whether a checkpoint covers no more than there is, and has the root of its size."""
        try:
            return point.size <= len(self._times) and self._roots.at(point.size) == point.root
        except Unsound:
            return False  # a tile before a light pass's end is not there

    def _witnesses(self, where: str, point: Checkpoint, note: str) -> None:  # (5)
        if not self._evidence.witnesses:
            return
        try:
            found = cosigned(note, self._evidence.witnesses)
        except Unsound as exc:
            self.fail(5, "", f"{where}: {exc}")
            return
        if self._latest is None:
            self._latest = list(accumulate(self._times, max))
        times = self._cosigned.setdefault(point.size, {})
        for name, seconds in found.items():
            at = seconds * 1000
            if point.size and self._latest[point.size - 1] > at + TOLERANCE_MS:
                self.fail(5, "", f"{where} covers a record that is dated later than {name} saw it")
            times[name] = min(at, times.get(name, at))

    def _in_order(self) -> None:  # (5)
        latest: dict[str, int] = {}
        for size, times in sorted(self._cosigned.items()):
            for name, at in times.items():
                if at < latest.get(name, 0) - TOLERANCE_MS:
                    self.fail(5, "", f"{name} signed the checkpoint at {size} before a smaller one")
                latest[name] = max(at, latest.get(name, 0))

    def _gaps(self) -> None:  # (5)
        enough = max(1, self._evidence.enough)
        signed = {
            size: sorted(times.values())[enough - 1]
            for size, times in self._cosigned.items()
            if len(times) >= enough
        }
        self.report.cosigned = len(signed)
        self._kept = max(self._kept, *signed, 0)
        since = self.report.since
        for before, size in pairwise([since, *sorted(size for size in signed if size > since)]):
            waited = signed[size] - self._times[before]
            self.report.longest_gap_ms = max(self.report.longest_gap_ms, waited)
        if self.report.longest_gap_ms > LONGEST_WAIT_MS:
            hours = self.report.longest_gap_ms / 3_600_000
            self.report.warnings.append(
                f"a record waited {hours:.1f} hours until a witness had signed for it"
            )

    def _tail(self) -> None:
        kept, records = min(self._kept, len(self._times)), len(self._times)
        self.report.unwitnessed_tail = records - kept
        if kept < records:
            age = self._evidence.now - self._times[kept]
            self.report.unwitnessed_age_ms = max(0, age)
