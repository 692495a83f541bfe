"""A witness without a disk or a network, which can be told to fail before or after it has acted.

Never used by `bluelamp run`. It keeps the promises of `ports.Witness`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import WitnessError
from bridge.verify.notes import Verifier
from bridge.witness.client import accepted, refused
from bridge.witness.judge import Judge, Refused
from bridge.witness.wire import encode


@dataclass(slots=True)
class Notes:
    """The newest note of each log, in a dictionary."""

    notes: dict[str, str] = field(default_factory=dict)

    def read(self) -> Iterable[str]:
        """The newest note of each log that was kept."""
        return self.notes.values()

    def keep(self, origin: str, note: str) -> None:
        """Replace it."""
        self.notes[origin] = note


class MemoryWitness:
    """Remembers for as long as it lives."""

    def __init__(self, name: str, log: Verifier, clock: Callable[[], float]) -> None:
        """Witness one log, with a new key."""
        self.judge = Judge(name, Ed25519PrivateKey.generate(), [log], Notes(), clock)
        #: Raised instead of an answer: before anything is done, or after.
        self.fails_before = self.fails_after = False

    @property
    def name(self) -> str:
        """Whom its cosignatures are by."""
        return self.judge.name

    async def cosign(self, old: int, proof: Sequence[bytes], note: str) -> str:
        """Cosign *note*, which by *proof* continues what was seen at the size *old*."""
        if self.fails_before:
            raise WitnessError(f"The witness {self.name} does not answer.")
        try:
            line = self.judge.add(encode(old, proof, note).encode())
        except Refused as exc:
            size = b"" if exc.size is None else f"{exc.size}\n".encode()
            return refused(self.name, exc.status, size)
        if self.fails_after:
            raise WitnessError(f"The witness {self.name} does not answer.")
        return accepted(note, line.encode(), self.judge.cosigner)
