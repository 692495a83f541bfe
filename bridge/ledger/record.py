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
from enum import StrEnum

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.errors import CannotOpen, LedgerError
from bridge.ledger import FORMAT, VERSION
from bridge.ledger.checkpoint import encode64
from bridge.model import Ms, Rid

#: The longest header, in bytes.
LONGEST = 2048
#: Bodies are padded to a multiple of this many bytes, so that lengths say little.
PADDING = 256
_NONCE = 12


class Kind(StrEnum):
    """What a record is about. The table in docs/ledger.md has the fields of each."""

    GENESIS = "genesis"
    CERTIFICATE = "certificate"
    EPOCH = "epoch"
    MESSAGE = "message"
    MEDIA = "media"
    UNDECRYPTABLE = "undecryptable"
    LATE = "late"
    MEMBERSHIP = "membership"
    STATE = "state"
    EVENT = "event"
    VERDICT = "verdict"
    DEBT = "debt"
    OUTCOME = "outcome"
    POLICY = "policy"
    GAP = "gap"
    BRAKE = "brake"
    NOTE = "note"
    VIEW = "view"


#: Kinds whose body is not sealed to the custodians: it says nothing about anyone.
PLAIN = frozenset({Kind.GENESIS, Kind.CERTIFICATE, Kind.EPOCH})
#: Kinds that say that an event was served: verdicts and debts are about one of these.
EVENTS = frozenset(
    {Kind.MESSAGE, Kind.MEDIA, Kind.UNDECRYPTABLE, Kind.LATE, Kind.MEMBERSHIP, Kind.STATE,
     Kind.EVENT}
)  # fmt: skip
#: Header fields that every record has.
ALWAYS = frozenset({"v", "kind", "rid", "t", "len", "sha256"})
#: Header fields that a record of each kind may have besides.
MAY = {
    Kind.GENESIS: frozenset[str](),
    Kind.CERTIFICATE: frozenset({"bucket"}),
    Kind.EPOCH: frozenset({"bucket", "commit"}),
    **{
        kind: frozenset({"bucket", "epoch", "kc", "ref", "room", "sender", "event", "class"})
        for kind in EVENTS
    },
    Kind.VERDICT: frozenset(
        {"bucket", "epoch", "kc", "ref", "room", "sender", "event", "class", "action", "rule",
         "referrals", "revision"}
    ),
    Kind.DEBT: frozenset({"bucket", "epoch", "kc", "ref", "room", "event", "class", "effect"}),
    Kind.MEDIA: frozenset({"bucket", "epoch", "kc", "ref"}),
    Kind.OUTCOME: frozenset({"bucket", "epoch", "kc", "ref", "effect", "status"}),
    Kind.POLICY: frozenset({"bucket", "epoch", "kc", "revision"}),
    Kind.GAP: frozenset({"bucket", "epoch", "kc", "room"}),
    Kind.BRAKE: frozenset({"bucket", "epoch", "kc", "room", "status"}),
    Kind.NOTE: frozenset({"bucket", "epoch", "kc"}),
    Kind.VIEW: frozenset({"bucket", "epoch", "kc"}),
}  # fmt: skip
# A message that was judged and found clean carries its verdict itself.
for _kind in (Kind.MESSAGE, Kind.LATE):
    MAY[_kind] = MAY[_kind] | {"action", "revision"}

_SEAL = frozenset({"bucket", "epoch", "kc"})
#: Header fields that a record of each kind has besides in any case. (`ref` is step 10's.)
MUST = {
    Kind.GENESIS: frozenset[str](),
    Kind.CERTIFICATE: frozenset({"bucket"}),
    Kind.EPOCH: frozenset({"bucket", "commit"}),
    **{kind: _SEAL | {"room", "sender", "event", "class"} for kind in EVENTS},
    Kind.VERDICT: _SEAL | {"room", "sender", "event", "class", "action", "revision"},
    Kind.DEBT: _SEAL | {"room", "event", "effect"},
    Kind.MEDIA: _SEAL,
    Kind.OUTCOME: _SEAL | {"effect", "status"},
    Kind.POLICY: _SEAL | {"revision"},
    Kind.GAP: _SEAL | {"room"},
    Kind.BRAKE: _SEAL | {"status"},
    Kind.NOTE: _SEAL,
    Kind.VIEW: _SEAL,
}

_encode = msgspec.json.Encoder(order="deterministic").encode

Header = dict[str, str | int]


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


def encode_header(header: Header) -> bytes:
    """Encode as RFC 8785 has it, given ASCII keys and only strings and integers.

    Raises:
        LedgerError: it is longer than a header may be.
    """
    raw = _encode(header)
    if len(raw) > LONGEST:
        raise LedgerError(
            f"a record's header would be {len(raw)} bytes long; {LONGEST} is the most"
        )
    return raw


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
