"""A log that grows leaf by leaf, to be shown to witnesses; a witness in a process of its own."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.verify.notes import Checkpoint, Cosigner, Verifier
from bridge.verify.tree import Tiler, leaf_hash, lookup, prove_consistency, root_of
from tests.making import ORIGIN

ROOT = Path(__file__).parents[3]
NAME = "witness.force.example/w1"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
LOG = Verifier(ORIGIN, KEY.public_key().public_bytes_raw())


class History:
    """What was logged, under a word: another word is another history."""

    def __init__(
        self, size: int, word: str = "", *, parts_at: int = 0, origin: str = ORIGIN
    ) -> None:
        """Log *size* leaves; before *parts_at* they are those of every other history."""
        self.origin = origin
        said = [f"{word if n >= parts_at else ''}{n}" for n in range(size)]
        self.leaves = [leaf_hash(one.encode()) for one in said]

    def point(self, size: int) -> Checkpoint:
        return Checkpoint(self.origin, size, root_of(self.leaves[:size]))

    def note(self, size: int, key: Ed25519PrivateKey = KEY) -> str:
        return self.point(size).sign(key)

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        if not 0 < old < new:
            return ()
        tiler, tiles = Tiler(), dict[tuple[int, int], bytes]()
        for leaf in self.leaves:
            tiles |= {(tile.level, tile.index): tile.hashes for tile in tiler.append(leaf)}
        return tuple(prove_consistency(old, new, lookup(tiler.size, tiles, tiler.edges)))


class Running:
    """A witness that runs by itself."""

    def __init__(self, *command: str) -> None:
        """Start *command*, and wait until it says where it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        said = ""
        while "key: " not in said:
            line = self.process.stdout.readline()
            if not line:
                self.kill()
                raise AssertionError("the witness did not start")
            said += line
        self.url = re.findall(r"url: (\S+)", said)[0]
        self.key = Cosigner.parse(re.findall(r"key: (\S+)", said)[0])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=300)
        return self.process.returncode


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Running]:
    one = Running("tests.unit.witness.serving", str(folder))
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.kill()
