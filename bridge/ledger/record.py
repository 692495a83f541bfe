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
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.errors import CannotOpen
from bridge.model import Ms, Rid
from bridge.verify import Unsound, opening
from bridge.verify.headers import FORMAT, VERSION, Header, Kind, encode_header
from bridge.verify.notes import encode64
from bridge.verify.opening import NONCE, PADDING, place_of, record_key


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


class Record(NamedTuple):
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


def report_info(origin: str, bucket: str, rid: str, standards: str) -> bytes:
    """Bind a sealed report to its place."""
    return b"\n".join(
        (FORMAT + b"/report", origin.encode(), bucket.encode(), rid.encode(), standards.encode())
    )


def hold_info(origin: str, hold: str, bucket: str, custodian: str) -> bytes:
    """Bind what a custodian saved of a bucket for a hold to both."""
    return b"\n".join(
        (FORMAT + b"/hold", origin.encode(), hold.encode(), bucket.encode(), custodian.encode())
    )


#: Stands where a digest will; no digest is spelt like it.
_NO_DIGEST = "?" * 44


def close(origin: str, header: Header, body: bytes, halves: bytes) -> Record:
    """Seal *body* under the record's own key and finish the record. *header* gets its rest.

    It is encoded once, with its length and a stand-in for its digest: what the body is bound to
    is that without both of them.
    """
    rid = Rid(str(header["rid"]))
    key, commit = record_key(halves, rid)
    padded = body + b"\x80"
    padded += bytes(-len(padded) % PADDING)
    length = NONCE + len(padded) + _TAG
    header["kc"], header["len"], header["sha256"] = encode64(commit), length, _NO_DIGEST
    raw = encode_header(header)
    bare = raw.replace(b'"len":%d,' % length, b"", 1).replace(_DIGEST_OF_NOTHING, b"", 1)
    nonce = secrets.token_bytes(NONCE)
    sealed = nonce + AESGCM(key).encrypt(nonce, padded, place_of(origin) + bare)
    digest = encode64(hashlib.sha256(sealed).digest())
    return Record(rid, raw.replace(_NO_DIGEST.encode(), digest.encode(), 1), sealed)


_DIGEST_OF_NOTHING = b'"sha256":"%s",' % _NO_DIGEST.encode()
#: Bytes of the tag that AES-GCM puts behind a body.
_TAG = 16


def open_body(origin: str, header: Header, body: bytes, halves: bytes) -> bytes:
    """Open a sealed body with the custodians' *halves* for this record.

    Raises:
        CannotOpen: the halves are of another record, or header or body were changed.
    """
    try:
        return opening.open_body(origin, header, body, halves)
    except Unsound as exc:
        raise CannotOpen(str(exc)) from None
