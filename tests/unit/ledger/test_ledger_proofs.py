"""Proofs of inclusion and consistency: the RFC's own, another library's, and none that lies."""

from __future__ import annotations

import contextlib
import hashlib

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.verify import Unsound
from bridge.verify.notes import Checkpoint, Cosigner, Verifier, cosign, cosigned, encode64
from bridge.verify.proofs import Proof, check_proof, parse_proof, prove
from bridge.verify.tree import (
    HASH,
    WIDTH,
    Lookup,
    Roots,
    Tiler,
    check_consistency,
    leaf_hash,
    lookup,
    prove_consistency,
    prove_inclusion,
    root_of,
    root_of_inclusion,
    state_at,
)
from tests.making import ORIGIN
from tests.unit.ledger.forging import KEY, STRANGER, VERIFIER
from tests.unit.ledger.test_ledger_merkle import INPUTS, ROOTS, cheap, mth

#: The reference proofs of certificate-transparency's merkletree tests, over the inputs of
#: `test_ledger_merkle`: (record from 1, size, path).
PATHS = [
    (1, 1, []),
    (1, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (6, 8, ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (2, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip
#: (old size, new size, proof)
CONSISTENCY = [
    (1, 1, []),
    (1, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 5, ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip
SIZES = st.integers(1, 700)


def tiled(leaves: list[bytes]) -> Lookup:
    tiler = Tiler()
    tiles: dict[tuple[int, int], bytes] = {}
    for leaf in leaves:
        tiles |= {(tile.level, tile.index): tile.hashes for tile in tiler.append(leaf)}
    return lookup(len(leaves), tiles, tiler.edges)


REFERENCE = [leaf_hash(one) for one in INPUTS]
MANY = cheap(700)
LOOKUP = tiled(MANY)
#: No hash of anything here.
NEVER = b"\xff" * HASH
BIG = WIDTH * WIDTH + 300


@pytest.mark.parametrize(("record", "size", "path"), PATHS)
def test_paths_are_those_of_the_reference(record: int, size: int, path: list[str]) -> None:
    proof = prove_inclusion(record - 1, size, tiled(REFERENCE[:size]))
    assert [one.hex() for one in proof] == path
    root = root_of_inclusion(REFERENCE[record - 1], record - 1, size, proof)
    assert root.hex() == ROOTS[size]


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference(
    old: int, new: int, proof: list[str]
) -> None:
    found = prove_consistency(old, new, tiled(REFERENCE[:new]))
    assert [one.hex() for one in found] == proof
    check_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), found)


@pytest.fixture(scope="module")
def oracle() -> pymerkle.InmemoryTree:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(300):
        tree.append_entry(number.to_bytes(2, "big"))
    return tree


@pytest.mark.parametrize("size", [1, 2, 3, 9, 64, 255, 256, 257, 300])
def test_another_library_makes_and_takes_the_same_proofs(
    oracle: pymerkle.InmemoryTree, size: int
) -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(size)]
    get = tiled(leaves)
    assert oracle.get_root(size) == Roots(get).at(size)
    for index in {0, size // 2, size - 1}:
        theirs = oracle.prove_inclusion(index + 1, size).serialize()["path"]
        ours = [leaves[index], *prove_inclusion(index, size, get)]
        assert sorted(one.hex() for one in ours) == sorted(
            theirs
        )  # theirs stand from left to right
    for old in {1, size // 3 + 1, size}:
        proof = prove_consistency(old, size, get)
        check_consistency(old, oracle.get_root(old), size, oracle.get_root(size), proof)


@given(SIZES, st.data())
@settings(deadline=None)
def test_every_record_is_proven_by_its_own_path_and_by_no_other(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    path, root = prove_inclusion(index, size, LOOKUP), root_of(MANY[:size])
    assert root_of_inclusion(MANY[index], index, size, path) == root
    assert root_of_inclusion(leaf_hash(b"another"), index, size, path) != root
    for at in range(len(path)):
        wrong = [*path[:at], NEVER, *path[at + 1 :]]
        assert root_of_inclusion(MANY[index], index, size, wrong) != root
    with pytest.raises(Unsound, match="more hashes"):
        root_of_inclusion(MANY[index], index, size, [*path, NEVER])
    if path:
        with pytest.raises(Unsound, match="fewer hashes"):
            root_of_inclusion(MANY[index], index, size, path[:-1])
        other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
        with contextlib.suppress(Unsound):  # that place may have a path of another length
            assert root_of_inclusion(MANY[index], other, size, path) != root


@given(SIZES, st.data())
@settings(deadline=None)
def test_a_tree_continues_every_one_that_it_grew_from_and_no_other(
    new: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, new))
    roots = Roots(LOOKUP)
    before, after = roots.at(old), roots.at(new)
    proof = prove_consistency(old, new, LOOKUP)
    check_consistency(old, before, new, after, proof)
    wrong = [
        (before, NEVER, proof),
        (NEVER, after, proof),
        (before, after, [*proof, NEVER]),
    ]
    wrong += [(before, after, [*proof[:at], NEVER, *proof[at + 1 :]]) for at in range(len(proof))]
    if proof:
        wrong.append((before, after, proof[:-1]))
    for one, two, path in wrong:
        with pytest.raises(Unsound, match="continues"):
            check_consistency(old, one, new, two, path)


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5)])
def test_there_is_no_consistency_with_nothing_or_with_the_future(old: int, new: int) -> None:
    with pytest.raises(Unsound):
        prove_consistency(old, new, LOOKUP)
    with pytest.raises(Unsound):
        check_consistency(old, bytes(HASH), new, bytes(HASH), [bytes(HASH)])


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_there_is_no_proof_of_a_record_that_is_not_there(index: int) -> None:
    with pytest.raises(Unsound, match="no record"):
        prove_inclusion(index, 5, LOOKUP)
    with pytest.raises(Unsound, match="no record"):
        root_of_inclusion(MANY[0], index, 5, [])


def test_a_missing_tile_is_said() -> None:
    for act in (
        lambda get: prove_inclusion(0, 700, get),
        lambda get: prove_consistency(3, 700, get),
        lambda get: state_at(700, get),
        lambda get: Roots(get).at(700),
    ):
        with pytest.raises(Unsound, match="missing"):
            act(lambda level, index: b"" if (level, index) == (1, 0) else LOOKUP(level, index))


@given(st.lists(st.integers(0, 700), max_size=8))
@settings(deadline=None)
def test_roots_are_found_at_any_sizes_in_any_order(sizes: list[int]) -> None:
    roots = Roots(LOOKUP)
    assert [roots.at(size) for size in sizes] == [root_of(MANY[:size]) for size in sizes]


def test_a_large_tree_is_proven_and_continued_over_three_levels_of_tiles() -> None:
    leaves = cheap(BIG)
    get = tiled(leaves)
    root = root_of(leaves)
    for index in (0, 255, 256, WIDTH * WIDTH - 1, WIDTH * WIDTH, BIG - 1):
        path = prove_inclusion(index, BIG, get)
        assert root_of_inclusion(leaves[index], index, BIG, path) == root
    for old in (1, 256, 65_535, 65_536, 65_537):
        before = mth(leaves[:old])
        check_consistency(old, before, BIG, root, prove_consistency(old, BIG, get))
        tree, tiler = state_at(old, get)
        assert tree.root() == before
        for leaf in leaves[old : old + 3]:
            tree.append(leaf)
            tiler.append(leaf)
        assert tree.root() == root_of(leaves[: old + 3])
        assert tiler.edges == state_at(old + 3, get)[1].edges


# Proofs as text


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_a_proof_is_spelt_as_others_spell_it() -> None:
    # The example of the reference implementations' tests (transparency-dev, sigsum).
    proof = Proof(index=5, path=(sha("hash1"), sha("hash2")), checkpoint="test checkpoint\n")
    assert proof.text() == (
        "c2sp.org/tlog-proof@v1\nindex 5\n"
        f"{encode64(sha('hash1'))}\n{encode64(sha('hash2'))}\n\ntest checkpoint\n"
    )
    assert parse_proof(proof.text()) == proof
    alone = "c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"
    assert parse_proof(alone) == Proof(index=0, path=(), checkpoint="checkpoint\n")
    assert parse_proof(alone.replace("index", "extra ZXh0cmE=\nindex")) == parse_proof(alone)


NOTE = Checkpoint(ORIGIN, 700, root_of(MANY)).sign(KEY)
PROOF = prove(123, NOTE, LOOKUP)


def test_a_proof_proves() -> None:
    point, witnessed = check_proof(parse_proof(PROOF.text()), MANY[123], VERIFIER)
    assert (point.size, witnessed) == (700, {})
    assert len(PROOF.text()) < 1_300


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a proof"),
        ("c2sp.org/tlog-proof@v2" + PROOF.text()[22:], "not a proof"),
        (PROOF.text().replace("\n\n", "\n", 1), "not base64"),
        (PROOF.text().replace("index 123\n", ""), "which record"),
        (PROOF.text().replace("index 123", "index 0123"), "whole number"),
        (PROOF.text().replace("index 123", "index -1"), "whole number"),
        (PROOF.text().replace("index 123", "extra !\nindex 123"), "base64"),
        (PROOF.text().replace("index 123\n", "index 123\nAAAA\n"), "no hash of 32"),
        (PROOF.text().replace("index 123\n", "index 123\n" + (encode64(bytes(32)) + "\n") * 64),
         "no hash of 32"),
        (PROOF.text().replace("index 123", "index 124"), "another record"),
        (PROOF.text().replace("index 123", "index 700"), "no record"),
        (PROOF.text().replace(encode64(PROOF.path[0]) + "\n", ""), "fewer hashes"),
        (PROOF.text()[:-1], "not a checkpoint"),
        (PROOF.text().replace("700", "701"), "wrong"),
        (PROOF.text().replace(ORIGIN, "farce.example"), "another ledger"),
        (Proof(index=123, path=PROOF.path, checkpoint=Checkpoint(ORIGIN, 700, root_of(MANY)).sign(
            STRANGER)).text(), "nobody we know"),
    ],
)  # fmt: skip
def test_a_proof_that_is_not_as_it_must_be_proves_nothing(text: str, why: str) -> None:
    with pytest.raises(Unsound, match=why):
        check_proof(parse_proof(text), MANY[123], VERIFIER)


@given(st.integers(0, len(PROOF.text()) - 1))
def test_a_proof_that_was_cut_short_proves_nothing(end: int) -> None:
    with pytest.raises(Unsound):
        check_proof(parse_proof(PROOF.text()[:end]), MANY[123], VERIFIER)


def test_a_record_that_is_in_no_checkpoint_yet_cannot_be_proven() -> None:
    with pytest.raises(Unsound, match="covers 700"):
        prove(700, NOTE, LOOKUP)


# Cosignatures

WITNESS = Cosigner("witness.example/w1", STRANGER.public_key().public_bytes_raw())
TEXT = Checkpoint(ORIGIN, 700, root_of(MANY)).text()
LINE = cosign(STRANGER, WITNESS.name, TEXT, 1_679_315_147)


def test_a_cosignature_is_made_byte_for_byte_as_the_format_has_it() -> None:
    # https://c2sp.org/tlog-cosignature, word by word
    raw = b"\x04" + WITNESS.key
    assert WITNESS.key_id == hashlib.sha256(b"witness.example/w1\n" + raw).digest()[:4]
    assert str(WITNESS) == f"{WITNESS.name}+{WITNESS.key_id.hex()}+{encode64(raw)}"
    assert Cosigner.parse(str(WITNESS)) == WITNESS
    message = b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()
    time = (1_679_315_147).to_bytes(8, "big")
    blob = WITNESS.key_id + time + STRANGER.sign(message)
    assert f"\u2014 witness.example/w1 {encode64(blob)}\n" == LINE


def test_a_key_of_a_log_is_no_key_of_a_witness() -> None:
    with pytest.raises(Unsound, match="witness"):
        Cosigner.parse(str(VERIFIER))
    with pytest.raises(Unsound, match="log"):
        Verifier.parse(str(WITNESS))


def test_who_signed_and_when_is_read_from_a_note() -> None:
    assert cosigned(NOTE + LINE, [WITNESS]) == {WITNESS.name: 1_679_315_147}
    assert cosigned(NOTE, [WITNESS]) == {}
    assert cosigned(NOTE + LINE, []) == {}
    later = cosign(STRANGER, WITNESS.name, TEXT, 1_679_315_200)
    assert cosigned(NOTE + later + LINE, [WITNESS]) == {WITNESS.name: 1_679_315_200}
    proof = Proof(index=PROOF.index, path=PROOF.path, checkpoint=NOTE + LINE)
    assert check_proof(proof, MANY[123], VERIFIER, [WITNESS])[1] == {WITNESS.name: 1_679_315_147}


@pytest.mark.parametrize(
    "line",
    [
        cosign(STRANGER, WITNESS.name, TEXT.replace("700", "701"), 1_679_315_147),
        f"\u2014 {WITNESS.name} {encode64(WITNESS.key_id + bytes(72))}\n",
        f"\u2014 {WITNESS.name} {encode64(WITNESS.key_id + bytes(71))}\n",
        f"\u2014 {WITNESS.name} {encode64(WITNESS.key_id + bytes(3))}\n",
    ],
)
def test_a_wrong_cosignature_is_said(line: str) -> None:
    with pytest.raises(Unsound, match="the cosignature of witness"):
        cosigned(NOTE + line, [WITNESS])
