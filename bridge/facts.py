"""What the store is asked to record. docs/ledger.md maps each fact to its kind of record.

Never holds what a fact leads to: the store draws the consequences, in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from bridge.model import (
    Action,
    Effect,
    Gap,
    Message,
    Outcome,
    Rid,
    RoomClass,
    RoomId,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An event was served to us."""

    message: Message
    cls: RoomClass
    #: Given where it was judged and nothing was found: no verdict record follows.
    clean: Verdict | None = None
    #: What we owe for its own sake: to keep its files.
    owes: tuple[Effect, ...] = ()
    #: The name that its record gets, where somebody needs to know it beforehand.
    rid: Rid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """We made up our mind about a message, and owe these effects, in this order."""

    message: Message
    cls: RoomClass
    verdict: Verdict
    owes: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """We did what we owed, or tried."""

    outcome: Outcome
    #: What we owe because of how it went, such as asking a person.
    owes: tuple[Effect, ...] = ()
    #: The file that was fetched, where that was the debt.
    file: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoaded:
    """From now on this policy decides."""

    revision: str
    files: tuple[tuple[str, str], ...]  #: (name, SHA-256 in hex) of every file
    #: The revision of the files alone, where rules have lost strength; empty if none has.
    base: str = ""
    #: (rule, the mode that it is reduced to).
    weakened: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyApproved:
    """A policy officer approves that the policy of this revision decides."""

    revision: str
    by: str
    #: Under which account of this machine it was said.
    account: str


class Decision(StrEnum):
    """What a person found when they looked at what we had done to a message."""

    RESTORED = "restored"  #: the officer was right, and the message is back
    ACTION_STANDS = "action_stands"  #: the bot was right
    FALSE_POSITIVE = "false_positive"  #: the officer was right; the message was not put back
    REFERRED = "referred"  #: somebody else has to decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjudicated:
    """A person has looked at what a rule led to, and says whether it was right."""

    #: The verdict's record, its rule, and what happened in the room.
    record: Rid
    rule: str
    action: Action
    decision: Decision
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The server did not give us part of a timeline."""

    gap: Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Braked:
    """Acting was stopped, or allowed again, in one room or (room None) everywhere."""

    room: RoomId | None
    on: bool
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something about the bot itself that the record should have: started, stopped, found."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Nothing was recorded for a while, and we were there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened:
    """From now on records may be linked to this case."""

    reference: str
    title: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What this scope covers must stay readable, whatever its retention says."""

    rid: Rid
    scope: str
    #: The case that it is held for; empty if for none.
    case: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A hold is over."""

    hold: Rid
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposed:
    """A custodian has destroyed the key of a bucket, and says so in a signed attestation."""

    bucket: str
    custodian: str
    #: The body of the record: `verify.papers.ShredBody` as JSON.
    attestation: bytes
    #: Hold → its records of this bucket, whose bodies stay.
    kept: tuple[tuple[Rid, tuple[Rid, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Every custodian has ordered that one record's content is deleted."""

    record: Rid
    #: The body of the record: `verify.papers.EraseBody` as JSON.
    orders: bytes


# What the consultation ledger, which has a file of its own, is asked to record.


class Basis(StrEnum):
    """On whose word content is read."""

    CUSTODIANS = "custodians"  #: every custodian's key was there
    GRANTED = "granted"  #: asked for, and released by the other custodian
    REVIEW = "review"  #: flagged records only, with the reviewers' key
    BREAK_GLASS = "break-glass"  #: a deputy alone; somebody must examine it afterwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """Somebody is about to read content, or asks to. Recorded before they do."""

    rid: Rid
    who: str
    role: str
    scope: str
    purpose: str
    case: str
    basis: Basis = Basis.CUSTODIANS


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A custodian released the keys of some records to whoever asked for them."""

    rid: Rid
    #: The request, as the asker's consultation ledger names it.
    request: Rid
    by: str
    scope: str
    #: How many records.
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A look that nobody approved beforehand was examined afterwards."""

    view: Rid
    by: str
    finding: str


Fact: TypeAlias = (
    Seen
    | Decided
    | Performed
    | PolicyLoaded
    | PolicyApproved
    | Adjudicated
    | Missed
    | Braked
    | Noted
    | Beat
    | CaseOpened
    | Held
    | Released
    | Disposed
    | Erased
    | Viewed
    | Granted
    | Examined
)
