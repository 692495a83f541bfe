"""A custodian's vault file: bucket keys under a passphrase and a share that is kept apart.

Never opens a file: bytes in, bytes out. The root key needs both halves, so neither a copied file
nor an overheard passphrase opens anything, and an old copy of the file is noise once the share
has been replaced.
"""

from __future__ import annotations

import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.errors import CannotOpen, LedgerError
from bridge.ledger.keys import Custodian
from bridge.verify.headers import FORMAT
from bridge.verify.notes import decode64, encode64

SHARE_BYTES = 32
#: RFC 9106's second recommended setting: 64 MiB, three passes, four lanes.
_MEMORY_KIB, _PASSES, _LANES = 65_536, 3, 4


class _Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    signed: str
    seed: str


class _Inside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    identity: str
    buckets: dict[str, _Bucket]


class _Outside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    salt: str
    nonce: str
    sealed: str


_TYPE = "bluelamp vault 1"


def _root(passphrase: str, share: bytes, salt: bytes) -> bytes:
    stretched = Argon2id(
        salt=salt, length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    ).derive(passphrase.encode())
    return HKDF(hashes.SHA256(), 32, salt, FORMAT + b"/vault").derive(stretched + share)


def lock(custodian: Custodian, passphrase: str, share: bytes) -> bytes:
    """Return the vault file of *custodian*, encrypted under both halves."""
    inside = _Inside(
        name=custodian.name,
        identity=encode64(custodian.identity),
        buckets={
            bucket: _Bucket(signed, encode64(seed))
            for bucket, (signed, seed) in custodian.seeds.items()
        },
    )
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = AESGCM(_root(passphrase, share, salt)).encrypt(
        nonce, msgspec.json.encode(inside), _TYPE.encode()
    )
    return msgspec.json.encode(
        _Outside(format=_TYPE, salt=encode64(salt), nonce=encode64(nonce), sealed=encode64(sealed))
    )


def unlock(vault: bytes, passphrase: str, share: bytes) -> Custodian:
    """Open a vault file.

    Raises:
        CannotOpen: the passphrase is wrong, or the share belongs to another state of the vault.
        LedgerError: it is not a vault file.
    """
    try:
        outside = msgspec.json.decode(vault, type=_Outside)
    except msgspec.MsgspecError:
        raise LedgerError("this is not a custodian's vault file") from None
    if outside.format != _TYPE:
        raise LedgerError(f"this vault has the format {outside.format!r}, which is unknown here")
    try:
        root = _root(passphrase, share, decode64(outside.salt))
        plain = AESGCM(root).decrypt(
            decode64(outside.nonce), decode64(outside.sealed), _TYPE.encode()
        )
    except InvalidTag:
        raise CannotOpen(
            "the vault does not open: the passphrase is wrong, or the share file does not belong "
            "to this copy of the vault"
        ) from None
    except ValueError:
        raise LedgerError("this vault file is damaged: its salt or nonce is too short") from None
    inside = msgspec.json.decode(plain, type=_Inside)
    return Custodian(
        inside.name,
        decode64(inside.identity),
        {name: (one.signed, decode64(one.seed)) for name, one in inside.buckets.items()},
    )
