"""What reviewers have decided in the console, as the consultation ledger has it in the clear.

Never opens a record. Why somebody decided as they did is sealed; it is known here only where the
journal lies beside the ledger, as it does on the machine that people read on.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bridge.facts import Decision
from bridge.store import journal
from bridge.store.reader import SqliteReader
from bridge.verify.headers import Kind

_PAGE = 20_000


class Direction(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about one verdict, when and by whom."""

    rid: str
    verdict: str
    #: As `facts.Decision` has it.
    status: str
    #: The reviewer's sign-in, as people.csv has it.
    by: str
    at: int
    #: In the reviewer's words; empty where only the sealed record has it.
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Say whether it is decided: what was referred on waits for somebody else."""
        return self.status != Decision.REFERRED


class _Head(msgspec.Struct):
    kind: str
    rid: str
    t: int
    verdict: str = ""
    status: str = ""
    by: str = ""


_decode = msgspec.json.Decoder(_Head).decode


def consultations_of(ledger: Path) -> Path:
    """Where looks at the ledger at *ledger* are recorded: beside it."""
    return ledger.with_name("consultations.db")


def journal_beside(ledger: Path) -> Path:
    """Where the readable copy of who looked lies."""
    return consultations_of(ledger).with_suffix(".journal")


class Directions:
    """Follows the consultation ledger; reads each record of it once."""

    def __init__(self, ledger: Path) -> None:
        """Follow what was decided about the ledger at *ledger*."""
        self._ledger, self._at = ledger, 0
        self._found: dict[str, Direction] = {}

    def read(self) -> dict[str, Direction]:
        """Verdict → what was decided; of several about the same, the last.

        Raises:
            StoreError: it cannot be read.
        """
        path = consultations_of(self._ledger)
        if not path.exists():
            return {}
        reader = SqliteReader(path)
        try:
            if reader.size() < self._at:  # another one: begin again
                self._at = 0
                self._found.clear()
            fresh = self._after(reader)
        finally:
            reader.close()
        if fresh:
            reasons = {one.rid: one.reason for one in journal.read(journal_beside(self._ledger))}
            for one in fresh:
                why = reasons.get(one.rid, "")
                self._found[one.verdict] = msgspec.structs.replace(one, reason=why)
        return self._found

    def _after(self, reader: SqliteReader) -> list[Direction]:
        found: list[Direction] = []
        while rows := reader.headers(self._at, self._at + _PAGE):
            for seq, header in rows:
                head = _decode(header)
                self._at = seq + 1
                if head.kind == Kind.DIRECTION:
                    found.append(
                        Direction(
                            rid=head.rid, verdict=head.verdict, status=head.status, by=head.by,
                            at=head.t,
                        )
                    )  # fmt: skip
        return found
