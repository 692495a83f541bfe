"""What goes into a verification, and what comes out of it.

Never computes anything: `steps` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bridge.verify.notes import Cosigner, Verifier


class Row(NamedTuple):
    """One record as it lies in the store."""

    seq: int
    header: bytes
    #: None where it was deleted.
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything about a ledger besides its records."""

    #: None where no key is pinned: the genesis's own is taken, and the report says so.
    verifier: Verifier | None
    #: Every full tile: (level, index) → 256 hashes.
    tiles: Mapping[tuple[int, int], bytes]
    #: (size, signed note), from the ledger itself.
    checkpoints: Sequence[tuple[int, str]]
    #: (where it comes from, signed note), kept elsewhere.
    outside: Sequence[tuple[str, str]]
    #: The size, peaks and tile edges that the store would continue from.
    edge: tuple[int, bytes, bytes]
    #: The custodians' pinned identities; empty where none are pinned.
    identities: Mapping[str, bytes]
    #: Ms.
    now: int
    #: Whose cosignatures count, and how many of them make a checkpoint one that is kept elsewhere.
    witnesses: Sequence[Cosigner] = ()
    enough: int = 1
    #: As *outside*, but from the host that writes the ledger: who owns it could change both.
    anchors: Sequence[tuple[str, str]] = ()
    #: The last checkpoint of the log before this one, if somebody has it, and that log's key.
    previous: str | None = None
    previous_verifier: Verifier | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not as it must be."""

    step: int
    rid: str
    what: str


@dataclass(frozen=True, slots=True)
class Before:
    """What the genesis says of the log before this one."""

    origin: str
    size: int
    #: Records that it is known to have had and that are lost: [first, last + 1).
    lost: tuple[int, int] | None
    reason: str


@dataclass(slots=True)
class Report:
    """What was found."""

    records: int = 0
    checkpoints: int = 0
    #: Records after the newest checkpoint that is kept elsewhere, and the age of the oldest, ms.
    unwitnessed_tail: int = 0
    unwitnessed_age_ms: int = 0
    #: Checkpoints from elsewhere that were given and hold.
    outside: int = 0
    #: Anchors on the host itself that hold; they count for nothing else.
    anchors: int = 0
    #: Whether the next log's genesis names this one's end, and the root of it is that.
    tied: bool = False
    failures: list[Failure] = field(default_factory=list)
    #: Nothing that proves tampering, but something that a person should look into.
    warnings: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    #: Whether ledger key and custodians were pinned, or taken from the genesis.
    pinned: bool = False
    #: Records up to here were given a light pass only: no hashes, no bodies.
    since: int = 0
    #: Checkpoints that enough witnesses have signed, and the longest that a record waited for one.
    cosigned: int = 0
    longest_gap_ms: int = 0
    #: Debts without a final outcome, and the age of the oldest, ms.
    open_debts: int = 0
    oldest_debt_ms: int = 0
    #: Bodies that are gone as they should be; and such as are there although they might be gone.
    disposed: int = 0
    undeleted: int = 0
    #: References into an earlier log that was not given.
    elsewhere: int = 0
    #: What each genesis says of the log before it.
    before: list[Before] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing was changed, dropped or put out of order, as far as can be seen from here."""
        return not self.failures

    def fail(self, step: int, rid: str, what: str) -> None:
        """Add a failure of *step*."""
        self.failures.append(Failure(step, rid, what))

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON has it; times in whole seconds."""
        return {
            "ok": self.ok,
            "records": self.records,
            "checkpoints": self.checkpoints,
            "unwitnessed_tail": self.unwitnessed_tail,
            "unwitnessed_age_s": self.unwitnessed_age_ms // 1000,
            "failures": [
                {"step": one.step, "rid": one.rid, "what": one.what} for one in self.failures
            ],
            "warnings": self.warnings,
            "kinds": dict(sorted(self.kinds.items())),
            "outside": self.outside,
            "anchors": self.anchors,
            "pinned": self.pinned,
            "since": self.since,
            "cosigned": self.cosigned,
            "longest_gap_s": self.longest_gap_ms // 1000,
            "open_debts": self.open_debts,
            "oldest_debt_s": self.oldest_debt_ms // 1000,
            "disposed": self.disposed,
            "undeleted": self.undeleted,
            "elsewhere": self.elsewhere,
            "previous": [
                {"origin": one.origin, "size": one.size, "lost": one.lost, "reason": one.reason}
                for one in self.before
            ],
        }


def sum_up(reports: Sequence[Report]) -> Report:
    """Say of all logs of a ledger, oldest first, what their *reports* say of each."""
    whole = Report(pinned=all(one.pinned for one in reports))
    for one in reports:
        for name in _COUNTS:
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
        whole.failures += one.failures
        whole.warnings += one.warnings
        whole.before += one.before
        whole.longest_gap_ms = max(whole.longest_gap_ms, one.longest_gap_ms)
        whole.oldest_debt_ms = max(whole.oldest_debt_ms, one.oldest_debt_ms)
        for kind, count in one.kinds.items():
            whole.kinds[kind] = whole.kinds.get(kind, 0) + count
    # A checkpoint that is kept elsewhere covers the logs before its own too, as each genesis names
    # the end of the log before: but only where that end is here, and has the root that is named.
    covered = False
    for one in reversed(reports):
        if not (covered and one.tied):
            whole.unwitnessed_tail += one.unwitnessed_tail
            whole.unwitnessed_age_ms = max(whole.unwitnessed_age_ms, one.unwitnessed_age_ms)
            covered = one.unwitnessed_tail < one.records
    return whole


_COUNTS = (
    "records", "checkpoints", "outside", "anchors", "since", "cosigned", "open_debts", "disposed",
    "undeleted", "elsewhere",
)  # fmt: skip
