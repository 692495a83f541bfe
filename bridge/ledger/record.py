"""One record: a header that is hashed, and a sealed body beside it.

Never puts a name, a room, an event id or a word into the clear part: only tags, classes, rules
and actions stand there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.errors import CannotOpen
from bridge.model import Ms, Rid
from bridge.verify.headers import FORMAT, VERSION, Header, Kind, encode_header
from bridge.verify.notes import encode64

#: Bodies are padded to a multiple of this many bytes, so that lengths say little.
PADDING = 256
_NONCE = 12


_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a record will say, before it is sealed."""

    kind: Kind
    rid: Rid
    #: Its retention class, such as social; with the month it makes the bucket.
    retention: str
    #: Clear fields, beyond those that every record has.
    fields: Mapping[str, str | int] = field(default_factory=dict)
    #: What is tagged rather than told: any of room, sender and event → its Matrix id.
    tagged: Mapping[str, str] = field(default_factory=dict)
    #: JSON.
    body: bytes = b"{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished record: the exact bytes that are stored and hashed."""

    rid: Rid
    header: bytes
    body: bytes


def new_rid() -> Rid:
    """Make a record's name."""
    return Rid(secrets.token_hex(16))


def finish(header: Header, body: bytes) -> Record:
    """Complete *header* with the length and digest of *body*."""
    whole = {**header, "len": len(body), "sha256": encode64(hashlib.sha256(body).digest())}
    return Record(rid=Rid(str(header["rid"])), header=encode_header(whole), body=body)


def start(draft: Draft, at: Ms) -> Header:
    """Return the header that *draft* begins with."""
    return {"v": VERSION, "kind": draft.kind.value, "rid": draft.rid, "t": at, **draft.fields}


def half(secret: bytes, rid: Rid) -> bytes:
    """One custodian's half of a record's key, from that custodian's epoch secret."""
    return hmac.digest(secret, b"rec" + bytes.fromhex(rid), "sha256")


def record_key(halves: bytes, rid: Rid) -> tuple[bytes, bytes]:
    """Combine the custodians' *halves*, side by side, into (key, key commitment); 32 bytes each."""
    both = hmac.digest(halves, b"dek" + bytes.fromhex(rid), "sha512")
    return both[:32], both[32:]


def tag(tag_key: bytes, what: str, identifier: str) -> str:
    """Tag an id so that only who holds the bucket's tag key can look for it; 32 hex digits."""
    return hmac.digest(tag_key, what.encode() + b"\0" + identifier.encode(), "sha256")[:16].hex()


def commitment(secret: bytes) -> str:
    """Commit to an epoch secret, so that a wrong one is noticed; base64."""
    return encode64(hmac.digest(secret, b"commit", "sha256"))


def epoch_info(origin: str, bucket: str, rid: str, custodian: str) -> bytes:
    """Bind a sealed epoch secret to its place; the HPKE interface takes no other data."""
    return b"\n".join(
        (FORMAT + b"/epoch", origin.encode(), bucket.encode(), rid.encode(), custodian.encode())
    )


def tag_info(origin: str, bucket: str, rid: str, custodian: str) -> bytes:
    """Bind a sealed tag key to its place."""
    return b"\n".join(
        (FORMAT + b"/tags", origin.encode(), bucket.encode(), rid.encode(), custodian.encode())
    )


def review_info(origin: str, bucket: str, rid: str, reviewers: str) -> bytes:
    """Bind the sealed keys of a flagged record to it."""
    return b"\n".join(
        (FORMAT + b"/review", origin.encode(), bucket.encode(), rid.encode(), reviewers.encode())
    )


def hold_info(origin: str, hold: str, bucket: str, custodian: str) -> bytes:
    """Bind what a custodian saved of a bucket for a hold to both."""
    return b"\n".join(
        (FORMAT + b"/hold", origin.encode(), hold.encode(), bucket.encode(), custodian.encode())
    )


def _bound(origin: str, header: Header) -> bytes:
    bare = {name: value for name, value in header.items() if name not in {"len", "sha256"}}
    return FORMAT + b"/body\n" + origin.encode() + b"\n" + _encode(bare)


def close(origin: str, header: Header, body: bytes, halves: bytes) -> Record:
    """Seal *body* under the record's own key and finish the record."""
    rid = Rid(str(header["rid"]))
    key, commit = record_key(halves, rid)
    header = {**header, "kc": encode64(commit)}
    padded = body + b"\x80"
    padded += bytes(-len(padded) % PADDING)
    nonce = secrets.token_bytes(_NONCE)
    return finish(header, nonce + AESGCM(key).encrypt(nonce, padded, _bound(origin, header)))


def open_body(origin: str, header: Header, body: bytes, halves: bytes) -> bytes:
    """Open a sealed body with the custodians' *halves* for this record.

    Raises:
        CannotOpen: the halves are of another record, or header or body were changed.
    """
    key, commit = record_key(halves, Rid(str(header["rid"])))
    if not hmac.compare_digest(encode64(commit), str(header.get("kc", ""))):
        raise CannotOpen(f"these key halves do not belong to record {header['rid']}")
    try:
        padded = AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], _bound(origin, header))
    except (InvalidTag, ValueError):  # ValueError: too short to hold even a nonce
        raise CannotOpen(f"record {header['rid']} does not open: it was changed") from None
    return padded.rstrip(b"\0")[:-1]
