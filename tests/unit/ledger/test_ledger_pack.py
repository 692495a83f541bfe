"""A disclosure pack shows one record, and nothing that is not so."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ledger.opening import Reader
from bridge.store.memory import MemoryStore
from bridge.verify import Unsound
from bridge.verify.notes import Cosigner, Verifier, cosign, encode64
from bridge.verify.pack import check_pack, make_pack
from bridge.verify.proofs import Proof, prove
from bridge.verify.tree import lookup
from tests.making import ORIGIN, Hands, custodian, identity
from tests.unit.ledger.forging import STRANGER, VERIFIER, WORDS, Ledger, of_memory, play, spoilt

PSD = custodian()
WITNESS = Cosigner("witness.example", STRANGER.public_key().public_bytes_raw())


def _ledger() -> Ledger:
    clock = Hands()
    store = MemoryStore(identity(PSD), clock)
    asyncio.run(play(store, clock, notes=20))
    return of_memory(store)


LEDGER = _ledger()
GET = lookup(len(LEDGER.rows), LEDGER.tiles, LEDGER.edge[2])
NOTE = LEDGER.signed(len(LEDGER.rows))
SIGNED = NOTE + cosign(STRANGER, WITNESS.name, NOTE.partition("\n\n")[0] + "\n", 99)


def halves(at: int) -> bytes:
    reader = Reader(ORIGIN, ["psd"], [PSD])
    for row in LEDGER.rows[:at]:
        reader.learn(LEDGER.header(row.seq), row.body or b"")
    return reader.halves(LEDGER.header(at))


AT = LEDGER.find("message")
ROW = LEDGER.rows[AT]
BODY = ROW.body or b""
HALVES = halves(AT)
PACK = make_pack(
    ROW.header, prove(AT, SIGNED, GET), VERIFIER, opened=(BODY, HALVES), witnesses=[WITNESS]
)


def changed(**fields: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(PACK), **fields})


def test_a_pack_shows_the_words_and_what_proves_them() -> None:
    shown = check_pack(PACK, verifier=VERIFIER, witnesses=[WITNESS])
    assert shown.content is not None
    assert msgspec.json.decode(shown.content)["content"]["body"] == WORDS[0]
    assert shown.header == LEDGER.header(AT)
    assert (shown.index, shown.checkpoint.size) == (AT, len(LEDGER.rows))
    assert shown.witnessed == {WITNESS.name: 99}
    assert shown.pinned


def test_without_a_key_from_elsewhere_a_pack_agrees_with_itself_and_says_so() -> None:
    shown = check_pack(PACK)
    assert not shown.pinned
    assert shown.verifier == VERIFIER
    assert shown.witnessed == {WITNESS.name: 99}


def test_with_a_pinned_key_the_witnesses_that_a_pack_names_itself_do_not_count() -> None:
    assert check_pack(PACK, verifier=VERIFIER).witnessed == {}


def test_a_pack_may_prove_a_record_without_its_content() -> None:
    bare = make_pack(ROW.header, prove(AT, NOTE, GET), VERIFIER)
    assert check_pack(bare, verifier=VERIFIER).content is None
    closed = make_pack(ROW.header, prove(AT, NOTE, GET), VERIFIER, opened=(BODY, b""))
    assert check_pack(closed, verifier=VERIFIER).content is None


def test_a_pack_of_a_record_that_is_not_sealed_shows_its_body() -> None:
    row = LEDGER.rows[0]
    pack = make_pack(row.header, prove(0, NOTE, GET), VERIFIER, opened=(row.body or b"", b""))
    assert check_pack(pack, verifier=VERIFIER).content == row.body
    with pytest.raises(Unsound, match="not sealed"):
        make_pack(row.header, prove(0, NOTE, GET), VERIFIER, opened=(row.body or b"", HALVES))


def test_the_halves_in_a_pack_open_no_other_record() -> None:
    other = LEDGER.find("undecryptable")
    row = LEDGER.rows[other]
    with pytest.raises(Unsound, match="do not belong"):
        make_pack(row.header, prove(other, NOTE, GET), VERIFIER, opened=(row.body or b"", HALVES))


PROOF = prove(AT, NOTE, GET)
TEXT = PROOF.text()
OTHER = Verifier("farce.example", VERIFIER.key)


@pytest.mark.parametrize(
    ("pack", "why"),
    [
        (b"", "not a disclosure pack"),
        (b"\xff", "not a disclosure pack"),
        (PACK[:-3], "not a disclosure pack"),
        (b"[]", "not a disclosure pack"),
        (changed(more=1), "not a disclosure pack"),
        (changed(header=1), "not a disclosure pack"),
        (changed(format="bluelamp/pack/v2"), "not known here"),
        (changed(verifier=str(OTHER)), "another ledger"),
        (changed(verifier=str(Verifier(ORIGIN, WITNESS.key))), "another ledger, or another key"),
        (changed(witnesses=["x"]), "witness"),
        (changed(header=""), "cannot be read"),
        (changed(header=ROW.header.decode() + " "), "one way"),
        (changed(header=LEDGER.rows[AT + 1].header.decode()), "another record"),
        (changed(header=ROW.header.decode().replace("allow", "nudge")), "another record"),
        (changed(proof=TEXT[:-1]), "not a checkpoint"),
        (changed(proof=TEXT[:-2] + "\n"), "base64"),
        (changed(proof=TEXT.replace(encode64(PROOF.path[-1]) + "\n", "")), "fewer hashes"),
        (changed(proof=Proof(index=AT + 1, path=PROOF.path, checkpoint=NOTE).text()),
         "another record"),
        (changed(proof=TEXT.replace(ORIGIN, "farce.example")), "another ledger"),
        (changed(proof=Proof(index=AT, path=PROOF.path, checkpoint=LEDGER.signed(
            len(LEDGER.rows), STRANGER)).text()), "nobody we know"),
        (changed(body="!"), "base64"),
        (changed(body=""), "nothing that they open"),
        (changed(body=encode64(BODY[:-1])), "not the one that was recorded"),
        (changed(body=encode64(spoilt(BODY))), "not the one that was recorded"),
        (changed(halves=encode64(HALVES[:-1])), "32 bytes each"),
        (changed(halves=encode64(HALVES + bytes(32))), "one half or two"),
        (changed(halves=encode64(HALVES + bytes(64))), "one half or two"),
        (changed(halves=encode64(bytes(32))), "one half or two"),
        (PACK[:-2] + b', "body": ""}', "says something twice"),
        (PACK.replace(b"{", b'{"body": "",', 1), "says something twice"),
        (changed(halves=encode64(HALVES + b"1" * 32)), "do not belong"),
        (changed(halves=encode64(HALVES)[:-1]), "base64"),
    ],
)  # fmt: skip
def test_a_pack_that_is_not_as_it_must_be_is_refused_with_one_sentence(
    pack: bytes, why: str
) -> None:
    with pytest.raises(Unsound, match=why) as refused:
        check_pack(pack, verifier=VERIFIER, witnesses=[WITNESS])
    assert "\n" not in str(refused.value)


def test_a_body_cannot_be_opened_with_another_key_that_someone_made_fit() -> None:
    # Both the body's digest and its key commitment stand in the header, which the proof covers.
    body = bytes(len(BODY))
    header = {**LEDGER.header(AT), "sha256": encode64(hashlib.sha256(body).digest())}
    forged = changed(
        header=msgspec.json.encode(header, order="deterministic").decode(), body=encode64(body)
    )
    with pytest.raises(Unsound, match="another record"):
        check_pack(forged, verifier=VERIFIER)


@given(st.integers(0, len(PACK) - 1), st.integers(0, 7))
def test_no_bit_of_a_pack_can_be_flipped_to_show_something_else(at: int, bit: int) -> None:
    raw = bytearray(PACK)
    raw[at] ^= 1 << bit
    try:
        shown = check_pack(bytes(raw), verifier=VERIFIER, witnesses=[WITNESS])
    except Unsound:
        return
    # The line of a witness can be made that of somebody unknown: then it does not count.
    whole = check_pack(PACK, verifier=VERIFIER, witnesses=[WITNESS])
    assert shown.witnessed in (whole.witnessed, {})
    assert replace(shown, witnessed=whole.witnessed) == whole


def test_a_pack_is_for_people_to_keep_too() -> None:
    assert PACK.startswith(b"{\n")
    assert base64.b64decode(msgspec.json.decode(PACK)["halves"]) == HALVES
