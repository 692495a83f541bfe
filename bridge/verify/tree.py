"""The tree over the records: RFC 6962 hashes, kept as C2SP tlog-tiles.

Never knows what a leaf means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

HASH = 32
#: Hashes in a full tile, and log2 of it: https://c2sp.org/tlog-tiles
WIDTH = 256
_FULL = WIDTH * HASH


def leaf_hash(entry: bytes) -> bytes:
    """Hash a leaf as RFC 6962 section 2.1 has it."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node as RFC 6962 section 2.1 has it."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Fold the leaf hashes of a whole tree into its root."""
    tree = Frontier()
    for one in hashes:
        tree.append(one)
    return tree.root()


class Frontier:
    """The right edge of a tree: enough to append and to know the root; log2(n) hashes."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Continue a tree of *size* leaves from its *peaks*, largest subtree first."""
        if len(peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks")
        self.size, self.peaks = size, list(peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size = self.size
        while size & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            size >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root; of an empty tree, the hash of nothing."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> Frontier:
        """Return one that goes its own way."""
        return Frontier(self.size, self.peaks)


@dataclass(frozen=True, slots=True)
class Tile:
    """256 hashes side by side at one level; level 0 holds leaf hashes."""

    level: int
    index: int
    hashes: bytes = field(repr=False)


class Tiler:
    """Collects hashes into full tiles, and keeps the ragged right edge of each level."""

    __slots__ = ("_edges", "size")

    def __init__(self, size: int = 0, edges: bytes = b"") -> None:
        """Continue at *size* leaves; *edges* is what `edges` returned then."""
        self.size = size
        self._edges: list[bytearray] = []
        at, left = 0, size
        while left:
            width = left % WIDTH * HASH
            self._edges.append(bytearray(edges[at : at + width]))
            at, left = at + width, left // WIDTH
        if at != len(edges):
            raise ValueError("these edges belong to a tree of another size")

    def append(self, leaf: bytes) -> Iterator[Tile]:
        """Add one leaf hash; yields each tile that it completes, lowest level first."""
        index, level, one = self.size, 0, leaf
        self.size += 1
        while True:
            if level == len(self._edges):
                self._edges.append(bytearray())
            edge = self._edges[level]
            edge += one
            if len(edge) < _FULL:
                return
            index //= WIDTH
            hashes = bytes(edge)
            edge.clear()
            yield Tile(level, index, hashes)
            one = root_of([hashes[i : i + HASH] for i in range(0, _FULL, HASH)])
            level += 1

    @property
    def edges(self) -> bytes:
        """The hashes that are in no full tile yet, lowest level first."""
        return b"".join(bytes(edge) for edge in self._edges)
