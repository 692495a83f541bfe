"""What the clear part of a record may look like: docs/ledger.md's table of kinds, as code.

Never looks inside a body.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from bridge.verify import Unsound

#: Stands in every derivation and signature, so that nothing of ours is valid elsewhere.
FORMAT: Final = b"bluelamp/ledger/v1"
#: The version field of headers.
VERSION: Final = 1
#: The longest header, in bytes.
LONGEST: Final = 2048

Header: TypeAlias = dict[str, str | int]

_encode = msgspec.json.Encoder(order="deterministic").encode


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
    #: A custodian released the keys of some records to whoever asked for them.
    GRANT = "grant"
    #: A look that nobody approved beforehand was examined afterwards.
    EXAMINATION = "examination"
    #: The keys of one flagged record, sealed to the reviewers.
    REVIEW = "review"
    CASE = "case"
    HOLD = "hold"
    RELEASE = "release"
    #: A custodian has destroyed a bucket's key.
    SHRED = "shred"
    #: One record's body is deleted, as every custodian has ordered.
    ERASE = "erase"
    #: Nothing happened, and we were there.
    HEARTBEAT = "heartbeat"


#: Kinds whose body is not sealed under an epoch: it says nothing about anyone, or is sealed by
#: itself.
PLAIN = frozenset(
    {Kind.GENESIS, Kind.CERTIFICATE, Kind.EPOCH, Kind.REVIEW, Kind.SHRED, Kind.ERASE,
     Kind.HEARTBEAT}
)  # fmt: skip
#: Kinds that say that an event was served: verdicts and debts are about one of these.
EVENTS = frozenset(
    {Kind.MESSAGE, Kind.MEDIA, Kind.UNDECRYPTABLE, Kind.LATE, Kind.MEMBERSHIP, Kind.STATE,
     Kind.EVENT}
)  # fmt: skip
#: Header fields that every record has.
ALWAYS = frozenset({"v", "kind", "rid", "t", "len", "sha256"})
_SEAL = frozenset({"bucket", "epoch", "kc"})
_NONE = frozenset[str]()
#: Header fields that a record of each kind has besides in any case. (`ref` is step 10's.)
MUST = {
    **{kind: _SEAL for kind in Kind if kind not in PLAIN},
    **{kind: _SEAL | {"room", "sender", "event", "class"} for kind in EVENTS},
    Kind.GENESIS: _NONE,
    Kind.CERTIFICATE: frozenset({"bucket"}),
    Kind.EPOCH: frozenset({"bucket", "commit"}),
    Kind.VERDICT: _SEAL | {"room", "sender", "event", "class", "action", "revision"},
    Kind.DEBT: _SEAL | {"room", "event", "effect"},
    Kind.MEDIA: _SEAL,
    Kind.OUTCOME: _SEAL | {"effect", "status"},
    Kind.POLICY: _SEAL | {"revision"},
    Kind.GAP: _SEAL | {"room"},
    Kind.BRAKE: _SEAL | {"status"},
    Kind.VIEW: _SEAL,
    Kind.REVIEW: frozenset({"bucket"}),
    Kind.SHRED: frozenset({"bucket"}),
    Kind.ERASE: _NONE,
    Kind.HEARTBEAT: _NONE,
}
#: Header fields that a record of each kind may have besides.
MAY = {
    **MUST,
    **{kind: MUST[kind] | {"ref"} for kind in EVENTS},
    Kind.VERDICT: MUST[Kind.VERDICT] | {"ref", "rule", "referrals"},
    Kind.DEBT: MUST[Kind.DEBT] | {"ref", "class"},
    Kind.OUTCOME: MUST[Kind.OUTCOME] | {"ref"},
    Kind.BRAKE: MUST[Kind.BRAKE] | {"room"},
    Kind.VIEW: _SEAL | {"status"},
    Kind.EXAMINATION: _SEAL | {"ref"},
    Kind.REVIEW: MUST[Kind.REVIEW] | {"ref"},
    Kind.RELEASE: _SEAL | {"ref"},
    Kind.ERASE: frozenset({"ref"}),
}
# A message that was judged and found clean carries its verdict itself.
for _kind in (Kind.MESSAGE, Kind.LATE):
    MAY[_kind] = MAY[_kind] | {"action", "revision"}


def encode_header(header: Header) -> bytes:
    """Encode as RFC 8785 has it, given ASCII keys and only strings and integers.

    Raises:
        Unsound: it is longer than a header may be.
    """
    raw = _encode(header)
    if len(raw) > LONGEST:
        raise Unsound(f"a record's header would be {len(raw)} bytes long; {LONGEST} is the most")
    return raw
