"""What the clear part of a record may look like: docs/ledger.md's table of kinds, as code.

Never looks inside a body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias

import msgspec

from bridge.verify import Unsound

#: Stands in every derivation and signature, so that nothing of ours is valid elsewhere.
FORMAT: Final = b"bluelamp/ledger/v1"
#: The version field of headers.
VERSION: Final = 1
#: The longest header, in bytes.
LONGEST: Final = 2048
#: RFC 8785 spells whole numbers below this exactly.
EXACT: Final = 2**53
#: Header fields that are whole numbers; all others are text.
NUMBERS: Final = frozenset({"v", "t", "len"})

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
    #: A policy officer approves a policy.
    APPROVAL = "approval"
    #: Somebody says that what was done to their message was wrong.
    APPEAL = "appeal"
    #: A person says whether what was done to a message was right.
    DECISION = "decision"
    #: A person puts a decision of theirs on record.
    MINUTE = "minute"
    #: What somebody tells professional standards, sealed to them alone.
    REPORT = "report"
    GAP = "gap"
    BRAKE = "brake"
    NOTE = "note"
    #: A room was not as the register says, and what was done about it.
    DRIFT = "drift"
    #: Messages whose time in a room was over were taken out: the certificate.
    DISPOSAL = "disposal"
    #: What people are told about a room, and that they were.
    NOTICE = "notice"
    VIEW = "view"
    #: A custodian released the keys of some records to whoever asked for them.
    GRANT = "grant"
    #: Somebody handed records to somebody else.
    DISCLOSURE = "disclosure"
    #: A reviewer says in the console what is to become of a verdict.
    DIRECTION = "direction"
    #: A look that nobody approved beforehand was examined afterwards.
    EXAMINATION = "examination"
    #: The keys of one flagged record, sealed to the reviewers.
    REVIEW = "review"
    CASE = "case"
    HOLD = "hold"
    RELEASE = "release"
    #: Somebody decided about something whose time had come.
    APPRAISAL = "appraisal"
    #: Somebody gave something a MoPI group.
    LABEL = "label"
    #: A custodian has destroyed a bucket's key.
    SHRED = "shred"
    #: One record's body is deleted, as every custodian has ordered.
    ERASE = "erase"
    #: Nothing happened, and we were there.
    HEARTBEAT = "heartbeat"


#: Kinds whose body is not sealed under an epoch: it says nothing about anyone, or is sealed by
#: itself.
PLAIN = frozenset(
    {Kind.GENESIS, Kind.CERTIFICATE, Kind.EPOCH, Kind.REVIEW, Kind.REPORT, Kind.SHRED,
     Kind.ERASE, Kind.HEARTBEAT}
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
    Kind.APPROVAL: _SEAL | {"revision"},
    Kind.APPEAL: _SEAL | {"room", "sender", "event", "class", "rule", "action", "status"},
    Kind.DECISION: _SEAL | {"rule", "action", "status"},
    Kind.MINUTE: _SEAL | {"room", "sender", "event", "class"},
    Kind.REPORT: frozenset({"bucket"}),
    Kind.GAP: _SEAL | {"room"},
    Kind.BRAKE: _SEAL | {"status"},
    Kind.DRIFT: _SEAL | {"status"},
    Kind.DISPOSAL: _SEAL | {"room"},
    Kind.APPRAISAL: _SEAL | {"status"},
    Kind.NOTICE: _SEAL | {"room", "class", "status", "revision", "card"},
    Kind.VIEW: _SEAL,
    Kind.DIRECTION: _SEAL | {"verdict", "status", "by"},
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
    Kind.APPEAL: MUST[Kind.APPEAL] | {"ref"},
    Kind.DECISION: MUST[Kind.DECISION] | {"ref", "appeal"},
    Kind.MINUTE: MUST[Kind.MINUTE] | {"ref"},
    Kind.BRAKE: MUST[Kind.BRAKE] | {"room"},
    Kind.DRIFT: MUST[Kind.DRIFT] | {"room", "sort"},
    Kind.NOTE: _SEAL | {"ref", "status"},
    Kind.NOTICE: MUST[Kind.NOTICE] | {"ref", "event", "sender"},
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


class Head(Protocol):
    """A header that was read. Text that it may have and has not is empty."""

    kind: str
    rid: str
    t: int
    len: int
    sha256: str
    bucket: str
    epoch: str
    ref: str
    effect: str
    status: str


#: Fields that `Head` answers for even where a kind cannot have them.
_NO_FIELD = {"bucket": "", "epoch": "", "ref": "", "effect": "", "status": ""}
_HEX = "0123456789abcdef"
_TYPES: dict[str, Any] = {
    "v": Literal[VERSION],
    "t": Annotated[int, msgspec.Meta(ge=0, lt=EXACT)],
    "len": Annotated[int, msgspec.Meta(ge=0, lt=EXACT)],
}


def _reader(kind: Kind) -> Callable[[bytes], Head]:
    """Make what reads the headers of *kind*, and nothing that such a header may not be."""
    types = {**_TYPES, "kind": Literal[kind.value]}
    fields: list[Any] = []
    for name in sorted(ALWAYS | MAY[kind]):
        type_ = types.get(name, str)
        fields.append((name, type_) if name in ALWAYS | MUST[kind] else (name, type_, ""))
    form = msgspec.defstruct(
        f"{kind.value.title()}Header",
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
        namespace={n: v for n, v in _NO_FIELD.items() if n not in ALWAYS | MAY[kind]},
    )
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(form).decode
    return decode


_READERS = {f'"kind":"{kind.value}"'.encode(): _reader(kind) for kind in Kind}
_spell = msgspec.json.Encoder().encode
_kind_in = re.compile(rb'"kind":"[a-z]*"').search


def read_header(raw: bytes) -> Head:
    """Read the header of a record, strictly: in the one spelling, with the fields of its kind.

    Raises:
        Unsound: it is not one, and why.
    """
    # The kind is guessed to choose a reader; the reader accepts no other kind than its own.
    found = _kind_in(raw)
    reader = _READERS.get(found[0]) if found else None
    try:
        head = reader(raw) if reader else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        head = None
    if head is None:
        raise Unsound(_what_is_wrong(raw))
    if len(head.rid) != 32 or head.rid.strip(_HEX):
        raise Unsound("has a field of the wrong type")
    # Fields stand in alphabetical order in each form, so that spelling it again is RFC 8785.
    if _spell(head) != raw or len(raw) > LONGEST:
        raise Unsound("is not spelt in the one way it may be")
    return head


def _what_is_wrong(raw: bytes) -> str:
    """Say why a header is none."""
    try:
        header = msgspec.json.decode(raw, type=dict[str, str | int])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "cannot be read"
    kind = header.get("kind", "")
    if header.get("v") != VERSION or kind not in MAY:
        return f"is of version {header.get('v')!r}, kind {kind!r}: unknown"
    if not ALWAYS | MUST[Kind(kind)] <= header.keys() <= ALWAYS | MAY[Kind(kind)]:
        return f"has other fields than a {kind} record has"
    if all(_is_typed(name, value) for name, value in header.items()):
        return "is not spelt in the one way it may be"
    return "has a field of the wrong type"


def _is_typed(name: str, value: str | int) -> bool:
    if name in NUMBERS:
        return isinstance(value, int) and 0 <= value < EXACT
    return isinstance(value, str)
