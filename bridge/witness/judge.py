"""Decides whether a checkpoint continues the last one, keeps it, and only then cosigns it.

Never answers before what it answers for is kept, and never goes back to a smaller tree.
https://c2sp.org/tlog-witness
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.verify import Unsound
from bridge.verify.notes import Checkpoint, Cosigner, Verifier, cosign, cosigned, parse
from bridge.verify.tree import Frontier, check_consistency
from bridge.witness.wire import Submission, decode

#: The number of a ledger's second log, and of every later one.
_LATER = re.compile(r"[2-9]|[1-9]\d{1,8}")
MALFORMED, FORBIDDEN, UNKNOWN, ELSEWHERE, INCONSISTENT, BROKEN = 400, 403, 404, 409, 422, 503


class Refused(Exception):
    """The checkpoint is not cosigned."""

    def __init__(self, status: int, why: str, *, size: int | None = None) -> None:
        """Carry the status of HTTP and, where the size does not fit, the size that we have."""
        super().__init__(why)
        self.status, self.size = status, size


class Memory(Protocol):
    """Where a witness keeps the newest note of each log.

    `keep` is durable and atomic once it returns: after a crash there is the old note or the new
    one. `OSError` where it cannot say which.
    """

    def read(self) -> Iterable[str]:
        """The newest note of each log that was kept."""
        ...

    def keep(self, origin: str, note: str) -> None:
        """Replace it."""
        ...


class Judge:
    """One witness: its key, the logs that it knows, and what it remembers of them."""

    def __init__(
        self,
        name: str,
        key: Ed25519PrivateKey,
        logs: Iterable[Verifier],
        memory: Memory,
        clock: Callable[[], float],
    ) -> None:
        """Cosign as *name* for *logs*; *clock* gives Unix seconds.

        Raises:
            Unsound: a note that was kept is not of the log, or not signed by us.
            OSError: it cannot be read.
        """
        self.name, self._key, self._memory, self._clock = name, key, memory, clock
        self.cosigner = Cosigner(name, key.public_key().public_bytes_raw())
        self._logs = {log.name: log for log in logs}
        #: The newest note of each log that we have seen, and what it says.
        self._notes: dict[str, str] = {}
        self._latest: dict[str, Checkpoint] = {}
        self._broken: set[str] = set()
        self._one_by_one = threading.Lock()
        for note in memory.read():
            origin = note.partition("\n")[0]
            if (log := self._log(origin)) is not None:
                self._notes[origin], self._latest[origin] = note, self._own(note, log)

    def _own(self, note: str, log: Verifier) -> Checkpoint:
        latest = parse(note, log)
        if not cosigned(note, [self.cosigner]):
            raise Unsound(f"what this witness kept of {log.name} has no signature of its own")
        return latest

    def _log(self, origin: str) -> Verifier | None:
        """The key of a log; the later logs of a ledger have its name, a number and its key."""
        base, number = _numbered(origin)
        if origin in self._logs:
            return self._logs[origin]
        return Verifier(origin, self._logs[base].key) if number and base in self._logs else None

    def notes(self) -> dict[str, str]:
        """The newest note of each log, with the log's signature and ours."""
        return dict(self._notes)

    def add(self, body: bytes) -> str:
        """Read a request, and return our signature line.

        Raises:
            Refused: with the status to answer.
        """
        try:
            submission = decode(body)
            cosigned(submission.note, ())  # its form only: we do not know yet whose it is
        except Unsound as exc:
            raise Refused(MALFORMED, str(exc)) from None
        checkpoint, origin = self._signed(submission.note)
        with self._one_by_one:
            if origin in self._broken:
                raise Refused(BROKEN, "this witness could not keep a checkpoint and must restart")
            self._check(submission, checkpoint)
            line = cosign(self._key, self.name, checkpoint.text(), int(self._clock()))
            note = _only(submission.note, origin) + line
            try:
                self._memory.keep(origin, note)
            except OSError:
                # Whether it is kept we do not know, so from here on we know nothing.
                self._broken.add(origin)
                raise Refused(BROKEN, "this witness could not keep the checkpoint") from None
            self._notes[origin], self._latest[origin] = note, checkpoint
        return line

    def _signed(self, note: str) -> tuple[Checkpoint, str]:
        origin = note.partition("\n")[0]
        if (log := self._log(origin)) is None:
            raise Refused(UNKNOWN, "this witness does not know this log")
        try:
            return parse(note, log), origin
        except Unsound as exc:
            raise Refused(FORBIDDEN, str(exc)) from None

    def _check(self, submission: Submission, new: Checkpoint) -> None:
        """Refuse what does not continue the newest checkpoint that we cosigned."""
        if self._closed(new.origin):
            raise Refused(INCONSISTENT, "a later log of this ledger was seen: this one is closed")
        if submission.old > new.size:
            raise Refused(MALFORMED, "the old size is larger than the checkpoint's")
        latest = self._latest.get(new.origin)
        size = latest.size if latest else 0
        if submission.old != size:
            raise Refused(ELSEWHERE, f"the newest checkpoint here is of {size}", size=size)
        if new.size == 0 and new.root != Frontier().root():
            raise Refused(INCONSISTENT, "this is not the root of the empty tree")
        if latest is None or size == 0:
            if submission.proof:
                raise Refused(INCONSISTENT, "nothing needs proving from the empty tree")
            return
        try:
            check_consistency(size, latest.root, new.size, new.root, submission.proof)
        except Unsound as exc:
            raise Refused(INCONSISTENT, str(exc)) from None

    def _closed(self, origin: str) -> bool:
        """Whether we have seen a later log of the same ledger."""
        base, number = _numbered(origin) if origin not in self._logs else (origin, 1)
        seen = (one for one, latest in self._latest.items() if latest.size)
        later = (_numbered(one) for one in seen if one not in self._logs)
        return any(name == base and other > number for name, other in later)


def _numbered(origin: str) -> tuple[str, int]:
    """Split the name of a later log into the ledger's and its number, from 2; else 0."""
    base, _, number = origin.rpartition("/")
    later = _LATER.fullmatch(number) is not None
    return (base, int(number)) if later else (origin, 0)


def _only(note: str, origin: str) -> str:
    """The note with nobody's signature but the log's."""
    text, _, lines = note.partition("\n\n")
    own = [line for line in lines.splitlines() if line.split(" ")[1] == origin]
    return f"{text}\n\n" + "".join(f"{line}\n" for line in own)
