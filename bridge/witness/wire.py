"""What is sent to a witness: the old size, a consistency proof, and a checkpoint.

Never checks what is in a checkpoint: `judge` does.
https://c2sp.org/tlog-witness, add-checkpoint
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.verify import Unsound
from bridge.verify.notes import decode64, encode64, size_of
from bridge.verify.tree import HASH

#: Bytes of a request: 63 hashes, and a checkpoint with some sixteen large signatures.
LONGEST = 128 * 1024
#: The type of the answer that says which size the witness has.
SIZE_TYPE = "text/x.tlog.size"
_MOST_HASHES = 63


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint, and the proof that it continues the tree of the *old* size."""

    old: int
    proof: tuple[bytes, ...]
    note: str


def encode(old: int, proof: Sequence[bytes], note: str) -> str:
    """Write the body of a request."""
    hashes = "".join(f"{encode64(one)}\n" for one in proof)
    return f"old {old}\n{hashes}\n{note}"


def decode(body: bytes) -> Submission:
    """Read the body of a request.

    Raises:
        Unsound: it is not one.
    """
    try:
        head, blank, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Unsound("this is not UTF-8 text") from None
    first, *lines = head.split("\n")
    word, _, size = first.partition(" ")
    if not blank or word != "old":
        raise Unsound("this is not an old size, a proof, a blank line and a checkpoint")
    if len(lines) > _MOST_HASHES:
        raise Unsound(f"a proof has {_MOST_HASHES} lines at most")
    proof = tuple(decode64(line) for line in lines)
    if any(len(one) != HASH for one in proof):
        raise Unsound("a line of the proof is not a hash")
    return Submission(size_of(size), proof, note)
