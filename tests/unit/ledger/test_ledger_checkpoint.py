"""Checkpoints: what is signed comes back, and nothing else is taken for one."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bridge.verify import Unsound
from bridge.verify.notes import Checkpoint, Verifier, decode64, encode64, parse, size_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "force.example/bluelamp"
VERIFIER = Verifier(ORIGIN, KEY.public_key().public_bytes_raw())
POINT = Checkpoint(ORIGIN, 1234, hashlib.sha256(b"root").digest())
NOTE = POINT.sign(KEY)
VECTOR = Path(__file__).parents[2] / "vectors" / "checkpoint.json"


@given(st.integers(0, 2**53), st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_read_back(size: int, root: bytes) -> None:
    point = Checkpoint(ORIGIN, size, root)
    assert parse(point.sign(KEY), VERIFIER) == point


def test_the_note_is_byte_for_byte_the_vector() -> None:
    vector = json.loads(VECTOR.read_text(encoding="utf-8"))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))
    point = Checkpoint(vector["origin"], vector["size"], bytes.fromhex(vector["root"]))
    verifier = Verifier.parse(vector["vkey"])
    assert point.sign(key) == vector["note"]
    assert str(verifier) == vector["vkey"]
    assert parse(vector["note"], verifier) == point


def test_the_vector_follows_the_signed_note_format_by_hand() -> None:
    vector = json.loads(VECTOR.read_text(encoding="utf-8"))
    name, key_id, key = vector["vkey"].split("+", 2)
    raw = base64.b64decode(key)
    assert raw[0] == 1  # Ed25519
    assert hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() == key_id
    text, _, signature = vector["note"].partition("\n\n")
    dash, signer, encoded = signature.removesuffix("\n").split(" ")
    assert (dash, signer) == ("\u2014", name)
    blob = base64.b64decode(encoded)
    assert blob[:4].hex() == key_id
    key_of = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"])).public_key()
    key_of.verify(blob[4:], (text + "\n").encode())


def test_the_verifier_key_of_the_go_documentation_is_read() -> None:
    # https://pkg.go.dev/golang.org/x/mod/sumdb/note, the example of NewVerifier
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    verifier = Verifier.parse(vkey)
    assert verifier.name == "PeterNeumann"
    assert str(verifier) == vkey


SIGNATURE = NOTE.split("\n")[4]
MALFORMED = {
    "nothing": "",
    "no signature": POINT.text(),
    "an empty signature block": POINT.text() + "\n",
    "no newline at the end": NOTE.removesuffix("\n"),
    "no blank line": NOTE.replace("\n\n", "\n"),
    "a fourth line": NOTE.replace("\n\n", "\nmore\n\n"),
    "two lines": NOTE.replace("1234\n", ""),
    "another origin": NOTE.replace("force.example", "farce.example"),
    "another size": NOTE.replace("1234", "1235"),
    "a leading zero": NOTE.replace("1234", "01234"),
    "a plus": NOTE.replace("1234", "+1234"),
    "a negative size": NOTE.replace("1234", "-1"),
    "no size": NOTE.replace("1234", ""),
    "other digits": NOTE.replace("1234", "\u0661\u0662"),
    "a size beyond all": NOTE.replace("1234", "9" * 5000),
    "another root": NOTE.replace(encode64(POINT.root), encode64(bytes(32))),
    "a short root": NOTE.replace(encode64(POINT.root), encode64(bytes(31))),
    "a root that is not base64": NOTE.replace(encode64(POINT.root), "!" * 44),
    "carriage returns": NOTE.replace("\n", "\r\n"),
    "a space before": " " + NOTE,
    "trailing garbage": NOTE + "garbage\n",
    "garbage without a newline": NOTE + "garbage",
    "a blank line at the end": NOTE + "\n",
    "garbage before the signature": NOTE.replace("\n\n", "\n\ngarbage\n"),
    "a hyphen for the dash": NOTE.replace("\u2014", "-"),
    "two spaces": NOTE.replace("\u2014 ", "\u2014  "),
    "a signature that is not base64": NOTE.replace(SIGNATURE[-8:], "!!!!!!!="),
    "a signature cut short": NOTE.replace(SIGNATURE, SIGNATURE[: -len(SIGNATURE) + 40]),
    "only the key id": f"{POINT.text()}\n\u2014 {ORIGIN} {encode64(VERIFIER.key_id)}\n",
    "a nameless signer": NOTE + "\u2014  AAAAAAA=\n",
    "a signer with a plus": NOTE + f"\u2014 a+b {encode64(bytes(68))}\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_refused(name: str) -> None:
    assert MALFORMED[name] != NOTE
    with pytest.raises(Unsound):
        parse(MALFORMED[name], VERIFIER)


def test_a_base64_of_two_spellings_is_taken_in_one_only() -> None:
    spelt = encode64(POINT.root)  # 32 bytes leave two spare bits in the last letter
    other = spelt[:-2] + chr(ord(spelt[-2]) + 1) + "="
    assert base64.b64decode(other) == POINT.root
    with pytest.raises(Unsound, match="canonical"):
        parse(NOTE.replace(spelt, other), VERIFIER)
    with pytest.raises(Unsound):
        decode64(spelt.removesuffix("="))
    with pytest.raises(Unsound):
        decode64(spelt + "\n")


def test_another_key_of_the_same_name_is_not_ours() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    with pytest.raises(Unsound, match="nobody we know"):
        parse(POINT.sign(stranger), VERIFIER)


def test_a_wrong_signature_under_our_key_id_is_refused() -> None:
    blob = encode64(VERIFIER.key_id + bytes(64))
    with pytest.raises(Unsound, match="wrong"):
        parse(f"{POINT.text()}\n\u2014 {ORIGIN} {blob}\n", VERIFIER)


def test_signatures_of_witnesses_stand_beside_ours() -> None:
    witness = f"\u2014 witness.example {encode64(bytes(76))}\n"
    assert parse(NOTE + witness, VERIFIER) == POINT
    head, _, ours = NOTE.partition("\n\n")
    assert parse(f"{head}\n\n{witness}{ours}", VERIFIER) == POINT


@given(st.integers(0, len(NOTE.encode()) * 8 - 1))
def test_no_bit_of_a_checkpoint_can_be_flipped(bit: int) -> None:
    raw = bytearray(NOTE.encode())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unsound):
        parse(raw.decode("utf-8", "replace"), VERIFIER)


@pytest.mark.parametrize(
    "vkey",
    ["", "name", "name+00000000", "name+00000000+", "+00000000+AQ==", "name+zz+!!",
     str(VERIFIER).replace("+", " ", 1), str(VERIFIER)[:-4], str(VERIFIER) + "A",
     str(VERIFIER).replace(VERIFIER.key_id.hex(), "00000000"),
     str(VERIFIER).replace(VERIFIER.key_id.hex(), VERIFIER.key_id.hex().upper() + "0"),
     f"{ORIGIN}+{VERIFIER.key_id.hex()}+{encode64(bytes([2]) + VERIFIER.key)}"],
)  # fmt: skip
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(Unsound):
        Verifier.parse(vkey)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak", "tab\t"])
def test_a_ledger_has_a_name_that_a_note_can_hold(name: str) -> None:
    with pytest.raises(Unsound, match="named"):
        Verifier(name, bytes(32))


def test_sizes_are_spelt_in_one_way() -> None:
    assert [size_of(text) for text in ("0", "7", "1234567890")] == [0, 7, 1_234_567_890]
    for text in ("", "00", "1 ", "1_0", "\u00b2", "9" * 19):
        with pytest.raises(Unsound):
            size_of(text)
