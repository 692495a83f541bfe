"""The tree over the records: RFC 6962 hashes, kept as C2SP tlog-tiles, and its proofs.

Never knows what a leaf means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from bridge.verify import Unsound

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
        self._edges = [split(one) for one in edges_of(size, edges)] or [[]]

    def append(self, leaf: bytes) -> Sequence[Tile]:
        """Add one leaf hash; returns each tile that it completes, lowest level first."""
        edge = self._edges[0]
        edge.append(leaf)
        self.size += 1
        return self._full() if len(edge) == WIDTH else ()

    def _full(self) -> list[Tile]:
        tiles, level = [], 0
        while len(edge := self._edges[level]) == WIDTH:
            tiles.append(Tile(level, self.size // WIDTH ** (level + 1) - 1, b"".join(edge)))
            level += 1
            if level == len(self._edges):
                self._edges.append([])
            self._edges[level].append(fold(edge))
            edge.clear()
        return tiles

    @property
    def edges(self) -> bytes:
        """The hashes that are in no full tile yet, lowest level first."""
        return b"".join(b"".join(edge) for edge in self._edges)


def split(hashes: bytes) -> list[bytes]:
    """Take hashes that stand side by side apart."""
    return [hashes[i : i + HASH] for i in range(0, len(hashes), HASH)]


def fold(row: Sequence[bytes]) -> bytes:
    """Hash a full subtree: 1, 2, 4, 8 … hashes side by side."""
    sha256 = hashlib.sha256
    while len(row) > 1:
        row = [sha256(b"\1" + row[i] + row[i + 1]).digest() for i in range(0, len(row), 2)]
    return row[0]


def edges_of(size: int, edges: bytes) -> list[bytes]:
    """Split the ragged right edges of a tree of *size* leaves by level, lowest first."""
    found, at, left = [], 0, size
    while left:
        width = left % WIDTH * HASH
        found.append(edges[at : at + width])
        at, left = at + width, left // WIDTH
    if at != len(edges):
        raise ValueError("these edges belong to a tree of another size")
    return found


# Everything below asks for hashes by their tile: (level, index) gives the hashes of that tile, of
# which the last of a level has only as many as there are. Missing hashes are no bytes at all.
Lookup: TypeAlias = Callable[[int, int], bytes]


def lookup(size: int, tiles: Mapping[tuple[int, int], bytes], edges: bytes) -> Lookup:
    """Look hashes up in the full *tiles* and the right *edges* of a tree of *size* leaves."""
    ragged = {
        (level, size // WIDTH ** (level + 1)): edge
        for level, edge in enumerate(edges_of(size, edges))
    }
    return lambda level, index: tiles.get((level, index)) or ragged.get((level, index), b"")


def _subtree(start: int, height: int, get: Lookup) -> bytes:
    """Hash the full subtree of 2 ** *height* leaves from *start* on."""
    level, rest = divmod(height, 8)
    tile, first = divmod(start >> 8 * level, WIDTH)
    hashes = get(level, tile)[first * HASH : (first + (1 << rest)) * HASH]
    if len(hashes) != HASH << rest:
        raise Unsound(f"tile {level}/{tile} is missing, or short")
    return fold(split(hashes))


def _peaks(start: int, end: int, get: Lookup) -> list[bytes]:
    """Hash the full subtrees that leaves [start, end) consist of, largest first."""
    found = []
    while start < end:
        height = (end - start).bit_length() - 1
        found.append(_subtree(start, height, get))
        start += 1 << height
    return found


def _range(start: int, end: int, get: Lookup) -> bytes:
    """Hash leaves [start, end) as a tree of their own."""
    return Frontier(end - start, _peaks(start, end, get)).root()


def state_at(size: int, get: Lookup) -> tuple[Frontier, Tiler]:
    """Return a tree as it was at *size*.

    Raises:
        Unsound: a tile is missing.
    """
    edges, level = b"", 0
    while left := size >> 8 * level:
        width = left % WIDTH * HASH
        edge = get(level, left // WIDTH)[:width]
        if len(edge) != width:
            raise Unsound(f"tile {level}/{left // WIDTH} is missing, or short")
        edges, level = edges + edge, level + 1
    return Frontier(size, _peaks(0, size, get)), Tiler(size, edges)


class Roots:
    """The root at any size of one tree; quickest when sizes are asked for in their order."""

    __slots__ = ("_get", "_whole")

    def __init__(self, get: Lookup) -> None:
        """Look hashes up with *get*."""
        self._get, self._whole = get, Frontier()

    def at(self, size: int) -> bytes:
        """Return the root of the first *size* leaves.

        Raises:
            Unsound: a tile is missing.
        """
        tiles, rest = divmod(size, WIDTH)
        if tiles < self._whole.size:
            self._whole = Frontier()
        while self._whole.size < tiles:
            self._whole.append(_subtree(self._whole.size * WIDTH, 8, self._get))
        leaves = split(self._get(0, tiles)[: rest * HASH])
        if len(leaves) != rest:
            raise Unsound(f"tile 0/{tiles} is missing, or short")
        tree = Frontier(tiles * WIDTH, self._whole.peaks)
        for leaf in leaves:
            tree.append(leaf)
        return tree.root()


def _split_point(size: int) -> int:
    """Return the largest power of two that is smaller than *size*."""
    return 1 << (size - 1).bit_length() - 1


def prove_inclusion(index: int, size: int, get: Lookup) -> list[bytes]:
    """Return the audit path of leaf *index* in the tree of *size*: RFC 6962 section 2.1.1.

    Raises:
        Unsound: a tile is missing, or there is no such leaf.
    """
    if not 0 <= index < size:
        raise Unsound(f"a tree of {size} records has no record {index}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split_point(end - start)
        if index < middle:
            path.append(_range(middle, end, get))
            end = middle
        else:
            path.append(_range(start, middle, get))
            start = middle
    return path[::-1]


def prove_consistency(old: int, new: int, get: Lookup) -> list[bytes]:
    """Return the proof that the tree of *new* continues that of *old*: RFC 6962 section 2.1.2.

    Raises:
        Unsound: a tile is missing, or *old* is not between 1 and *new*.
    """
    if not 0 < old <= new:
        raise Unsound(f"nothing shows that a tree of {new} records continues one of {old}")
    proof, start, end = [], 0, new
    while old != end:
        middle = start + _split_point(end - start)
        if old <= middle:
            proof.append(_range(middle, end, get))
            end = middle
        else:
            proof.append(_range(start, middle, get))
            start = middle
    if start:
        proof.append(_range(start, end, get))
    return proof[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that *path* leads to from *leaf*: RFC 9162 section 2.1.3.2.

    Raises:
        Unsound: the path has not as many hashes as this place in this tree needs.
    """
    if not 0 <= index < size:
        raise Unsound(f"a tree of {size} records has no record {index}")
    root, here, last = leaf, index, size - 1
    for one in path:
        if last == 0:
            raise Unsound("the proof has more hashes than this place in the tree needs")
        if here & 1 or here == last:
            root = node_hash(one, root)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            root = node_hash(root, one)
        here, last = here >> 1, last >> 1
    if last:
        raise Unsound("the proof has fewer hashes than this place in the tree needs")
    return root


def check_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of *new* leaves continues that of *old*: RFC 9162 section 2.1.4.2.

    Raises:
        Unsound: it does not, or the proof does not show it.
    """
    wrong = Unsound(f"this does not show that the tree of {new} continues the tree of {old}")
    if old == new:
        if proof or old_root != new_root:
            raise wrong
        return
    if not 0 < old < new or not proof:
        raise wrong
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = hashes[0]
    for one in hashes[1:]:
        if last == 0:
            raise wrong
        if here & 1 or here == last:
            first, second = node_hash(one, first), node_hash(one, second)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, one)
        here, last = here >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise wrong
