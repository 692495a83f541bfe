"""Opens one sealed body, for whoever has the halves of its key.

Never derives a half: those come from the custodians.
"""

from __future__ import annotations

import hmac

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.verify import Unsound
from bridge.verify.headers import FORMAT, Header
from bridge.verify.notes import encode64

#: Bodies are padded to a multiple of this many bytes, so that lengths say little.
PADDING = 256
#: Bytes of the nonce that a sealed body begins with.
NONCE = 12

_encode = msgspec.json.Encoder(order="deterministic").encode


def record_key(halves: bytes, rid: str) -> tuple[bytes, bytes]:
    """Combine the custodians' *halves*, side by side, into (key, key commitment); 32 bytes each."""
    both = hmac.digest(halves, b"dek" + bytes.fromhex(rid), "sha512")
    return both[:32], both[32:]


def place_of(origin: str) -> bytes:
    """Return how what a sealed body is bound to begins: its ledger."""
    return FORMAT + b"/body\n" + origin.encode() + b"\n"


def bound(origin: str, header: Header) -> bytes:
    """Return what a sealed body is bound to: its ledger, and its header as far as it was known."""
    bare = {name: value for name, value in header.items() if name not in {"len", "sha256"}}
    return place_of(origin) + _encode(bare)


def open_body(origin: str, header: Header, body: bytes, halves: bytes) -> bytes:
    """Open a sealed body with the custodians' *halves* for this record.

    Raises:
        Unsound: the halves are of another record, or header or body were changed.
    """
    key, commit = record_key(halves, str(header["rid"]))
    # AES-GCM does not commit to its key: without this, one body could be opened in two ways.
    if not hmac.compare_digest(encode64(commit), str(header.get("kc", ""))):
        raise Unsound(f"these key halves do not belong to record {header['rid']}")
    try:
        padded = AESGCM(key).decrypt(body[:NONCE], body[NONCE:], bound(origin, header))
    except (InvalidTag, ValueError):  # ValueError: too short to hold even a nonce
        raise Unsound(f"record {header['rid']} does not open: it was changed") from None
    return padded.rstrip(b"\0")[:-1]
