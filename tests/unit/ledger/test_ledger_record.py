"""Headers have one spelling, and bodies open with all their halves or not at all."""

from __future__ import annotations

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import CannotOpen
from bridge.ledger.record import close, half, new_rid, open_body, tag
from bridge.model import Rid
from bridge.verify import Unsound
from bridge.verify.headers import LONGEST, MAY, MUST, PLAIN, Header, Kind, encode_header
from bridge.verify.opening import PADDING, record_key
from tests.making import ORIGIN

KEYS = st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x21), min_size=1, max_size=12)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
EXACT = st.integers(-(2**53) + 1, 2**53 - 1)
RID = Rid("0f" * 16)
HALVES = half(b"a" * 32, RID) + half(b"b" * 32, RID)
HEADER: Header = {
    "v": 1, "kind": "message", "rid": RID, "t": 1, "bucket": "social-2026-11", "class": "social",
}  # fmt: skip


@given(st.dictionaries(KEYS, TEXTS | EXACT, max_size=20))
@settings(max_examples=300, deadline=None)
def test_headers_are_spelt_as_rfc_8785_has_it(header: Header) -> None:
    assert encode_header(header) == rfc8785.dumps(dict(header))


@pytest.mark.parametrize("text", ['"\\/\b\f\n\r\t\x00\x1f\x7f', "\u2028\u00e9\U0001f600", "€"])
def test_escapes_are_those_of_rfc_8785(text: str) -> None:
    assert encode_header({"rule": text}) == rfc8785.dumps({"rule": text})


@given(st.dictionaries(KEYS, TEXTS | EXACT, max_size=20))
@settings(deadline=None)
def test_a_header_is_spelt_again_as_it_was_read(header: Header) -> None:
    raw = encode_header(header)
    assert encode_header(msgspec.json.decode(raw, type=dict[str, str | int])) == raw


def test_a_header_has_an_end() -> None:
    room = LONGEST - len(encode_header({"rule": ""}))
    assert len(encode_header({"rule": "x" * room})) == LONGEST
    with pytest.raises(Unsound, match="2049 bytes long"):
        encode_header({"rule": "x" * (room + 1)})


def test_every_kind_has_its_fields_and_whatever_is_sealed_says_under_which_key() -> None:
    assert set(MAY) == set(MUST) == set(Kind)
    for kind in Kind:
        assert MUST[kind] <= MAY[kind]
        assert kind in PLAIN or {"bucket", "epoch", "kc"} <= MUST[kind]


@pytest.mark.parametrize("fill", [b"\0", b"\x80", b"x"])
def test_a_body_of_any_length_comes_back(fill: bytes) -> None:
    for size in range(601):
        body = fill * size
        record = close(ORIGIN, HEADER, body, HALVES)
        header = msgspec.json.decode(record.header, type=dict[str, str | int])
        assert open_body(ORIGIN, header, record.body, HALVES) == body
        sealed = len(record.body) - 12 - 16
        assert sealed % PADDING == 0
        assert 0 <= sealed - size - 1 < PADDING


def test_lengths_say_little() -> None:
    lengths = {len(close(ORIGIN, HEADER, bytes(n), HALVES).body) for n in range(256)}
    assert lengths == {12 + 256 + 16}
    assert len(close(ORIGIN, HEADER, bytes(256), HALVES).body) == 12 + 512 + 16


def sealed() -> tuple[Header, bytes]:
    record = close(ORIGIN, HEADER, b'{"content":"who brings milk"}', HALVES)
    return msgspec.json.decode(record.header, type=dict[str, str | int]), record.body


WRONG = {
    "one half only": half(b"a" * 32, RID),
    "halves in another order": half(b"b" * 32, RID) + half(b"a" * 32, RID),
    "halves of another record": half(b"a" * 32, Rid("00" * 16)) + half(b"b" * 32, Rid("00" * 16)),
    "no halves": b"",
    "zeros": bytes(64),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_halves_are_recognised_by_the_commitment(name: str) -> None:
    header, body = sealed()
    with pytest.raises(CannotOpen, match="do not belong"):
        open_body(ORIGIN, header, body, WRONG[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [("kind", "media"), ("t", 2), ("bucket", "social-2026-12"), ("class", "operational"),
     ("room", "ab" * 16), ("v", 2)],
)  # fmt: skip
def test_a_body_opens_under_its_own_header_only(name: str, value: str | int) -> None:
    header, body = sealed()
    with pytest.raises(CannotOpen, match="was changed"):
        open_body(ORIGIN, {**header, name: value}, body, HALVES)


def test_a_body_opens_in_its_own_ledger_only() -> None:
    header, body = sealed()
    with pytest.raises(CannotOpen, match="was changed"):
        open_body("other.example/bluelamp", header, body, HALVES)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 11, 12, 27, 28, 100])
def test_a_body_that_was_cut_does_not_open(cut: int) -> None:
    header, body = sealed()
    with pytest.raises(CannotOpen, match="was changed"):
        open_body(ORIGIN, header, body[:cut], HALVES)


@given(st.integers(0, (12 + 256 + 16) * 8 - 1))
def test_no_bit_of_a_body_can_be_flipped(bit: int) -> None:
    header, body = sealed()
    raw = bytearray(body)
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CannotOpen):
        open_body(ORIGIN, header, bytes(raw), HALVES)


def test_the_same_words_look_different_every_time() -> None:
    assert len({sealed()[1] for _ in range(50)}) == 50


def test_keys_and_tags_are_pinned() -> None:
    """The derivations of docs/ledger.md, as figures; changing one locks every old record."""
    assert half(bytes(32), RID).hex() == (
        "14f21100a43af2bbfe0c313577d118663a3b037c288f2aa6b8a91cf3503b095b"
    )
    key, commit = record_key(bytes(64), RID)
    assert (key.hex(), commit.hex()) == (
        "008f30d17d8df4938d4b12c78be1e6eae687ecf15b63c505fb9af782bb91bb2b",
        "2c58c1da935bbeded1117200e123ec5a5d8d8270a82ec2995d525eeff0e1217c",
    )
    assert tag(bytes(32), "room", "!social") == "e01201c3e1175844d7c05f5bbed886d5"
    assert tag(bytes(32), "sender", "!social") != tag(bytes(32), "room", "!social")


def test_names_of_records_do_not_repeat() -> None:
    assert len({new_rid() for _ in range(10_000)}) == 10_000
    assert all(len(bytes.fromhex(new_rid())) == 16 for _ in range(10))
