"""What custodians sign: bucket certificates, attestations of destruction, orders to erase.

Never holds a private key. A paper travels as the exact text that was signed, with the Ed25519
signature over FORMAT ‖ "/" ‖ its kind ‖ LF ‖ the text.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bridge.verify import Unsound
from bridge.verify.headers import FORMAT
from bridge.verify.notes import decode64

#: Bytes that sealing to a bucket's key adds: the KEM's share (1,120) and the tag (16).
OVERHEAD = 1136


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A custodian's word: seal this bucket to this key."""

    custodian: str
    bucket: str
    retention: str
    #: The bucket takes records of [start, end); its key may be destroyed at `expires`. Ms.
    start: int
    end: int
    expires: int
    #: ML-KEM-768 encapsulation key (1,184 bytes) and X25519 public key (32), base64.
    key: str


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate as it travels: the exact text that was signed, and the signature (base64)."""

    certificate: str
    signature: str

    def check(self, identity: bytes) -> Certificate:
        """Check the signature against the custodian's *identity* (Ed25519, 32 bytes).

        Raises:
            Unsound: the signature is wrong or the text is not a certificate.
        """
        return _check(Certificate, self.certificate, self.signature, identity)


class Wrap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a custodian saved of a bucket for one hold, before destroying the bucket's key.

    `sealed` (base64) is this custodian's halves of `records`, 32 bytes each in their order,
    sealed to a key that the custodian made for the hold; empty where the hold holds nothing here.
    """

    #: The rid of the hold.
    hold: str
    records: tuple[str, ...]
    sealed: str


class Attestation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A custodian's word: the key of this bucket is destroyed."""

    custodian: str
    #: The ledger, and its signed checkpoint at which the holds were read.
    origin: str
    checkpoint: str
    bucket: str
    #: Ms.
    destroyed: int
    #: One for each hold that was active at that checkpoint.
    holds: tuple[Wrap, ...]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A custodian's word: erase this one record."""

    custodian: str
    origin: str
    rid: str
    #: Ms.
    ordered: int
    reason: str


class Paper(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An attestation or order as it travels: the exact text that was signed, and the signature."""

    text: str
    #: Ed25519, base64.
    signature: str

    def attestation(self, identity: bytes) -> Attestation:
        """Check the signature and read an attestation.

        Raises:
            Unsound: it is not one, or not by this *identity* (Ed25519, 32 bytes).
        """
        return _check(Attestation, self.text, self.signature, identity)

    def order(self, identity: bytes) -> Order:
        """Check the signature and read an order to erase.

        Raises:
            Unsound: it is not one, or not by this *identity* (Ed25519, 32 bytes).
        """
        return _check(Order, self.text, self.signature, identity)


class ShredBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in a shred record."""

    attestation: Paper


class EraseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in an erase record: an order by each custodian."""

    orders: tuple[Paper, ...]


class Previous(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a genesis says of the log before it."""

    #: Its last signed checkpoint that we have.
    checkpoint: str
    #: Records that the log before is known to have had, and that are lost: [first, last + 1).
    lost: tuple[int, int] | None = None
    reason: str = ""


def encode_previous(previous: Previous) -> bytes:
    """Write down what a genesis will say of the log before it."""
    return msgspec.json.encode(previous, order="deterministic")


def decode_previous(raw: bytes) -> Previous:
    """Read back what `encode_previous` wrote."""
    return msgspec.json.decode(raw, type=Previous)


class Genesis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in a genesis record."""

    origin: str
    #: The ledger's key, as a vkey line.
    verifier: str
    #: Custodian → Ed25519 identity, base64.
    custodians: dict[str, str]
    software: str
    previous: Previous | None = None


def signed_bytes(kind: str, text: str) -> bytes:
    """Return the bytes that are signed of a paper of *kind*: certificate, attestation or order."""
    return FORMAT + b"/" + kind.encode() + b"\n" + text.encode()


_P = TypeVar("_P", Certificate, Attestation, Order)
_CALLED = {
    Certificate: "a bucket certificate",
    Attestation: "an attestation of destruction",
    Order: "an order to erase",
}


def _check(form: type[_P], text: str, signature: str, identity: bytes) -> _P:
    called = _CALLED[form]
    try:
        Ed25519PublicKey.from_public_bytes(identity).verify(
            decode64(signature), signed_bytes(form.__name__.lower(), text)
        )
        return msgspec.json.decode(text, type=form)
    except InvalidSignature:
        raise Unsound(f"{called} is not signed by its custodian") from None
    except (msgspec.MsgspecError, ValueError):
        raise Unsound(f"{called} is not in the form of one") from None
