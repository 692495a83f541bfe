"""Checkpoints and cosignatures: C2SP tlog-checkpoint in a signed note with Ed25519.

Never accepts a note whose every line is not exactly as the format has it.
https://c2sp.org/tlog-checkpoint  https://c2sp.org/signed-note  https://c2sp.org/tlog-cosignature
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bridge.verify import Unsound

_KEY_ID = 4
#: Bytes of the time in a cosignature.
_TIME = 8
_DASH = "\N{EM DASH} "
#: Digits that a size may have; Python itself refuses to read a few thousand of them.
_DIGITS = 18


def encode64(raw: bytes) -> str:
    """Encode as standard base64 with padding."""
    return base64.b64encode(raw).decode()


def decode64(text: str) -> bytes:
    """Decode standard base64, and accept one spelling only.

    Raises:
        Unsound: it is not base64 or not the canonical spelling.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unsound(f"{text[:20]!r} is not base64") from None
    if encode64(raw) != text:
        raise Unsound(f"{text[:20]!r} is not canonical base64")
    return raw


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public half of a log's key, with the name it signs under."""

    name: str
    key: bytes

    #: The byte that tells kinds of keys apart, and what such a key is called.
    ALGORITHM: ClassVar[bytes] = b"\x01"
    CALLED: ClassVar[str] = "the verifier key of an Ed25519 log"

    def __post_init__(self) -> None:
        """Refuse a name that a signed note could not tell from what stands beside it."""
        if not self.name or "+" in self.name or any(c.isspace() for c in self.name):
            raise Unsound(f"a ledger cannot be named {self.name!r}: no spaces and no plus")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        named = self.name.encode() + b"\n" + self.ALGORITHM + self.key
        return hashlib.sha256(named).digest()[:_KEY_ID]

    def __str__(self) -> str:
        """Return the vkey line of the signed-note format."""
        return f"{self.name}+{self.key_id.hex()}+{encode64(self.ALGORITHM + self.key)}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a vkey line.

        Raises:
            Unsound: it is not one, or not of a key of this kind.
        """
        name, plus, rest = vkey.strip().partition("+")
        key_id, plus2, key = rest.partition("+")
        raw = decode64(key) if plus and plus2 else b""
        if not name or len(raw) != 33 or raw[:1] != cls.ALGORITHM:
            raise Unsound(f"this is not {cls.CALLED}")
        verifier = cls(name, raw[1:])
        if verifier.key_id.hex() != key_id:
            raise Unsound("the key id of this verifier key does not belong to its key")
        return verifier


@dataclass(frozen=True, slots=True)
class Cosigner(Verifier):
    """The public half of a witness's key: it signs a time with every checkpoint.

    https://c2sp.org/tlog-cosignature, the Ed25519 kind.
    """

    ALGORITHM: ClassVar[bytes] = b"\x04"
    CALLED: ClassVar[str] = "the verifier key of an Ed25519 witness"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself at one moment: this many records, with this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"

    def sign(self, key: Ed25519PrivateKey) -> str:
        """Return the signed note."""
        verifier = Verifier(self.origin, key.public_key().public_bytes_raw())
        signature = encode64(verifier.key_id + key.sign(self.text().encode()))
        return f"{self.text()}\n{_DASH}{self.origin} {signature}\n"


def parse(note: str, verifier: Verifier) -> Checkpoint:
    """Read a signed note and check the log's own signature on it.

    Lines of other signers (witnesses) are left to `cosigned`.

    Raises:
        Unsound: it is not a checkpoint, is of another log, or the signature is wrong.
    """
    checkpoint, signed = _split(note)
    if checkpoint.origin != verifier.name:
        raise Unsound(f"this checkpoint is of another ledger: {checkpoint.origin}")
    public = Ed25519PublicKey.from_public_bytes(verifier.key)
    for name, raw in signed:
        if name != verifier.name or raw[:_KEY_ID] != verifier.key_id:
            continue
        try:
            public.verify(raw[_KEY_ID:], checkpoint.text().encode())
        except InvalidSignature:
            raise Unsound("the signature on this checkpoint is wrong") from None
        return checkpoint
    raise Unsound("nobody we know has signed this checkpoint")


def unverified(note: str) -> Checkpoint:
    """Read what a signed note says, whoever signed it.

    Raises:
        Unsound: it is not a checkpoint.
    """
    return _split(note)[0]


def _split(note: str) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    """Take a note apart into its checkpoint and (name, key id with signature) of each signer."""
    text, blank, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3 or not note.endswith("\n"):
        raise Unsound("this is not a checkpoint: it needs three lines, a blank and signatures")
    origin, size, root = lines
    checkpoint = Checkpoint(origin, size_of(size), decode64(root))
    if len(checkpoint.root) != 32:
        raise Unsound("the checkpoint's root is not 32 bytes long")
    return checkpoint, [_signature(line) for line in signatures.removesuffix("\n").split("\n")]


def cosign(key: Ed25519PrivateKey, name: str, note_text: str, unix_seconds: int) -> str:
    """Return the line that the witness *name* adds to the note with the text *note_text*.

    The text is everything before the blank line, its last line feed included; the line that is
    returned ends in one too. It says: at this time, this was the largest tree that we have seen
    of this log, and it continues every one that we saw before.
    """
    cosigner = Cosigner(name, key.public_key().public_bytes_raw())
    signature = key.sign(_cosigned(note_text, unix_seconds))
    raw = cosigner.key_id + unix_seconds.to_bytes(8, "big") + signature
    return f"{_DASH}{name} {encode64(raw)}\n"


def cosigned(note: str, cosigners: Sequence[Cosigner]) -> dict[str, int]:
    """Return who of *cosigners* has signed the note, and when (Unix seconds), by name.

    Raises:
        Unsound: it is no checkpoint, or the line of one of them is wrong.
    """
    checkpoint, signed = _split(note)
    known = {(one.name, one.key_id): one for one in cosigners}
    found: dict[str, int] = {}
    for name, raw in signed:
        cosigner = known.get((name, raw[:_KEY_ID]))
        if cosigner is None:
            continue
        at = int.from_bytes(raw[_KEY_ID : _KEY_ID + _TIME], "big")
        try:
            Ed25519PublicKey.from_public_bytes(cosigner.key).verify(
                raw[_KEY_ID + _TIME :], _cosigned(checkpoint.text(), at)
            )
        except InvalidSignature:
            raise Unsound(f"the cosignature of {name} on this checkpoint is wrong") from None
        found[name] = max(at, found.get(name, 0))
    return found


def _cosigned(note_text: str, unix_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {unix_seconds}\n{note_text}".encode()


def size_of(text: str) -> int:
    """Read the line of a checkpoint that states its size.

    Raises:
        Unsound: it is not a whole number, spelt in the one way it may be.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS or str(int(text)) != text:
        raise Unsound(f"the checkpoint's size {text[:20]!r} is not a whole number")
    return int(text)


def _signature(line: str) -> tuple[str, bytes]:
    """Split a signature line into the name and the key id with the signature."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not name or "+" in name:
        raise Unsound(f"{line[:20]!r} is not the signature line of a note")
    raw = decode64(encoded)
    if len(raw) <= _KEY_ID:
        raise Unsound("a signature of this note is too short to be one")
    return name, raw
