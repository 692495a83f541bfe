"""Opens many records one after another, for looking through all of them: what `Reader.open` opens.

Never opens what that would not: whatever is out of the ordinary is handed back for it to judge.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.verify.opening import NONCE

#: Makes a custodian's half of a record's key from the record's name, 16 bytes.
Half: TypeAlias = Callable[[bytes], bytes]
_BLOCK = 64
_LONG_BLOCK = 128
_INNER, _OUTER = bytes(b ^ 0x36 for b in range(256)), bytes(b ^ 0x5C for b in range(256))
_LEN, _SHA256 = b'"len":', b'"sha256":"'
_sha512 = hashlib.sha512()


class Head(msgspec.Struct, gc=False):
    """What it takes to open a record."""

    kind: str
    rid: str
    epoch: str = ""
    kc: str = ""


read_head: Callable[[bytes], Head] = msgspec.json.Decoder(Head).decode


def half_of(secret: bytes) -> Half:
    """What `record.half` gives for *secret*: HMAC-SHA-256, its two keyed halves hashed once."""
    block = secret.ljust(_BLOCK, b"\0")
    inner, outer = hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))

    def half(rid: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(b"rec" + rid)
        second.update(first.digest())
        return second.digest()

    return half


def open_quickly(
    place: bytes, head: Head, header: bytes, body: bytes, halves: list[Half]
) -> bytes | None:
    """Return what is inside a body that is bound to *place*; None where it does not open here.

    *header* is as it stands in the ledger, *halves* are of the custodians in their order.
    """
    rid = bytes.fromhex(head.rid)
    both = _both(b"".join([half(rid) for half in halves]), rid)
    # AES-GCM does not commit to its key: see `bridge.verify.opening.open_body`.
    if not hmac.compare_digest(b64encode(both[32:]), head.kc.encode()):
        return None
    try:
        padded = AESGCM(both[:32]).decrypt(body[:NONCE], body[NONCE:], place + known_first(header))
    except (InvalidTag, ValueError):
        return None
    return padded.rstrip(b"\0")[:-1]


def known_first(header: bytes) -> bytes:
    """Leave `len` and `sha256` out of a header: they were not known when the body was sealed.

    The fields stand in their order, and a quotation mark inside a value is escaped.

    Raises:
        ValueError: it has not both.
    """
    first = header.index(_LEN)
    second = header.index(_SHA256, first)
    rest = header[header.index(b",", first) + 1 : second]
    return header[:first] + rest + header[header.index(b'",', second + len(_SHA256)) + 2 :]


def _both(halves: bytes, rid: bytes) -> bytes:
    """HMAC-SHA-512 as `bridge.verify.opening.record_key` has it, of up to four custodians."""
    if len(halves) > _LONG_BLOCK:
        return hmac.digest(halves, b"dek" + rid, "sha512")
    block = halves.ljust(_LONG_BLOCK, b"\0")
    first, second = _sha512.copy(), _sha512.copy()
    first.update(block.translate(_INNER) + b"dek" + rid)
    second.update(block.translate(_OUTER) + first.digest())
    return second.digest()
