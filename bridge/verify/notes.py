"""Checkpoints: C2SP tlog-checkpoint in a signed note with Ed25519.

Never accepts a note whose every line is not exactly as the format has it.
https://c2sp.org/tlog-checkpoint  https://c2sp.org/signed-note
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bridge.verify import Unsound

_ED25519 = b"\x01"
_KEY_ID = 4
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

    def __post_init__(self) -> None:
        """Refuse a name that a signed note could not tell from what stands beside it."""
        if not self.name or "+" in self.name or any(c.isspace() for c in self.name):
            raise Unsound(f"a ledger cannot be named {self.name!r}: no spaces and no plus")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:_KEY_ID]

    def __str__(self) -> str:
        """Return the vkey line of the signed-note format."""
        return f"{self.name}+{self.key_id.hex()}+{encode64(_ED25519 + self.key)}"

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read a vkey line.

        Raises:
            Unsound: it is not one, or not of an Ed25519 key.
        """
        name, plus, rest = vkey.strip().partition("+")
        key_id, plus2, key = rest.partition("+")
        raw = decode64(key) if plus and plus2 else b""
        if not name or len(raw) != 33 or raw[:1] != _ED25519:
            raise Unsound("this is not the verifier key of an Ed25519 log")
        verifier = cls(name, raw[1:])
        if verifier.key_id.hex() != key_id:
            raise Unsound("the key id of this verifier key does not belong to its key")
        return verifier


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

    Lines of other signers (witnesses) are left to whoever knows their keys.

    Raises:
        Unsound: it is not a checkpoint, is of another log, or the signature is wrong.
    """
    text, blank, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3 or not note.endswith("\n"):
        raise Unsound("this is not a checkpoint: it needs three lines, a blank and signatures")
    origin, size, root = lines
    if origin != verifier.name:
        raise Unsound(f"this checkpoint is of another ledger: {origin}")
    checkpoint = Checkpoint(origin, size_of(size), decode64(root))
    if len(checkpoint.root) != 32:
        raise Unsound("the checkpoint's root is not 32 bytes long")
    public = Ed25519PublicKey.from_public_bytes(verifier.key)
    signed = [_signature(line) for line in signatures.removesuffix("\n").split("\n")]
    for name, raw in signed:
        if name != origin or raw[:_KEY_ID] != verifier.key_id:
            continue
        try:
            public.verify(raw[_KEY_ID:], checkpoint.text().encode())
        except InvalidSignature:
            raise Unsound("the signature on this checkpoint is wrong") from None
        return checkpoint
    raise Unsound("nobody we know has signed this checkpoint")


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
