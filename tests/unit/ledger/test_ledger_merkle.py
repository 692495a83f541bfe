"""The tree, against the vectors of RFC 6962 and a definition that is slow and plain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.verify.tree import HASH, WIDTH, Frontier, Tile, Tiler, leaf_hash, node_hash, root_of

#: The inputs and roots of the reference implementation of RFC 6962 (certificate-transparency,
#: merkletree tests); every transparency log is tested with them.
INPUTS = [
    bytes.fromhex(one)
    for one in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = [0, 1, 2, 3, 7, 255, 256, 257, 511, 512, 513, 1000, 65535, 65536, 65536 + 1]


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 6962 section 2.1 defines it, word by word, but over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(mth(leaves[:split]), mth(leaves[split:]))


def cheap(count: int) -> list[bytes]:
    return [n.to_bytes(HASH, "big") for n in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_rfc_6962(size: int) -> None:
    assert root_of([leaf_hash(one) for one in INPUTS[:size]]).hex() == ROOTS[size]


@given(st.lists(st.binary(min_size=HASH, max_size=HASH), max_size=70))
@settings(deadline=None)
def test_the_frontier_agrees_with_the_definition_at_every_size(leaves: list[bytes]) -> None:
    tree = Frontier()
    for size, leaf in enumerate(leaves):
        assert tree.root() == mth(leaves[:size])
        tree.append(leaf)
        assert tree.size == size + 1
        assert len(tree.peaks) == tree.size.bit_count()
    assert tree.root() == root_of(leaves) == mth(leaves)


@given(st.integers(0, 600), st.integers(0, 600))
@settings(deadline=None, max_examples=50)
def test_a_tree_goes_on_where_it_was_left(before: int, after: int) -> None:
    leaves = cheap(before + after)
    tree = Frontier()
    for leaf in leaves[:before]:
        tree.append(leaf)
    copy, again = tree.copy(), Frontier(tree.size, tree.peaks)
    for leaf in leaves[before:]:
        copy.append(leaf)
        again.append(leaf)
    assert copy.root() == again.root() == root_of(leaves)
    assert tree.root() == root_of(leaves[:before])


def test_peaks_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="2 peaks"):
        Frontier(3, [bytes(HASH)])


def tiled(count: int) -> tuple[Tiler, list[Tile]]:
    tiler = Tiler()
    tiles: list[Tile] = []
    for leaf in cheap(count):
        tiles += tiler.append(leaf)
    return tiler, tiles


@pytest.mark.parametrize("size", SIZES)
def test_a_tilers_edges_are_enough_to_go_on(size: int) -> None:
    tiler, tiles = tiled(size)
    again = Tiler(size, tiler.edges)
    assert (again.size, again.edges) == (size, tiler.edges)
    more = 300 if size < 60_000 else 3
    leaves = cheap(size + more)[size:]
    assert [t for leaf in leaves for t in again.append(leaf)] == [
        t for leaf in leaves for t in tiler.append(leaf)
    ]
    assert again.edges == tiler.edges
    assert len(tiles) == size // WIDTH + size // WIDTH**2


def test_tiles_hold_the_hashes_of_their_subtrees() -> None:
    leaves = cheap(WIDTH * WIDTH + 1)
    tiler, tiles = tiled(len(leaves))
    by_place = {(tile.level, tile.index): tile.hashes for tile in tiles}
    assert sorted(by_place) == [(0, n) for n in range(WIDTH)] + [(1, 0)]
    for index in (0, 7, 255):
        part = leaves[index * WIDTH : (index + 1) * WIDTH]
        assert by_place[0, index] == b"".join(part)
        assert by_place[1, 0][index * HASH : (index + 1) * HASH] == mth(part)
    # At the right edge: one lonely leaf, nothing at level 1, one full tree at level 2.
    assert tiler.edges == leaves[-1] + mth(leaves[:-1])


@pytest.mark.parametrize("wrong", [b"", bytes(HASH - 1), bytes(HASH), bytes(3 * HASH)])
def test_edges_of_another_size_are_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="another size"):
        Tiler(257, wrong)
