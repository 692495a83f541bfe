"""Proofs that one record is in a ledger, as text: C2SP tlog-proof.

Never trusts the extra line of a proof: nothing signs it. https://c2sp.org/tlog-proof
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.verify import Unsound
from bridge.verify.notes import (
    Checkpoint,
    Cosigner,
    Verifier,
    cosigned,
    decode64,
    encode64,
    parse,
    size_of,
    unverified,
)
from bridge.verify.tree import HASH, Lookup, prove_inclusion, root_of_inclusion

_FIRST = "c2sp.org/tlog-proof@v1"
#: A path has one hash for each level of the tree, and sizes have at most 18 digits.
_LONGEST_PATH = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That the record *index* (from 0) stands in the ledger that *checkpoint* is of."""

    index: int
    #: The audit path, from the leaf's sibling up.
    path: tuple[bytes, ...]
    #: The signed note, with the lines of witnesses if there are any.
    checkpoint: str

    def text(self) -> str:
        """Return the proof as it travels."""
        lines = [_FIRST, f"index {self.index}", *(encode64(one) for one in self.path)]
        return "\n".join(lines) + "\n\n" + self.checkpoint


def prove(index: int, note: str, get: Lookup) -> Proof:
    """Prove the record *index* in the tree that the checkpoint *note* is of.

    Raises:
        Unsound: the checkpoint does not cover it, or a tile is missing.
    """
    size = unverified(note).size
    if index >= size:
        raise Unsound(f"record {index} is in no checkpoint yet: the one given covers {size}")
    return Proof(index=index, path=tuple(prove_inclusion(index, size, get)), checkpoint=note)


def parse_proof(text: str) -> Proof:
    """Read a proof; whether it proves anything is for `check_proof`.

    Raises:
        Unsound: it is not one.
    """
    head, blank, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != _FIRST or not blank:
        raise Unsound(f"this is not a proof: it does not begin with {_FIRST}")
    if lines and lines[0].startswith("extra "):
        decode64(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise Unsound("the proof does not say which record it is of")
    index = size_of(lines[0].removeprefix("index "))
    path = tuple(decode64(line) for line in lines[1:])
    if len(path) > _LONGEST_PATH or any(len(one) != HASH for one in path):
        raise Unsound("the proof holds something that is no hash of 32 bytes")
    return Proof(index=index, path=path, checkpoint=note)


def check_proof(
    proof: Proof, leaf: bytes, verifier: Verifier, witnesses: Sequence[Cosigner] = ()
) -> tuple[Checkpoint, dict[str, int]]:
    """Check that the record with the hash *leaf* is in the ledger of *verifier*.

    Returns the checkpoint, and which of *witnesses* signed it when (Unix seconds).

    Raises:
        Unsound: it is not, or the proof does not show it.
    """
    point = parse(proof.checkpoint, verifier)
    if root_of_inclusion(leaf, proof.index, point.size, proof.path) != point.root:
        raise Unsound("the proof is of another record, or of another place in the ledger")
    return point, cosigned(proof.checkpoint, witnesses)
