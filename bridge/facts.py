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
    EventId,
    Gap,
    Kind,
    Message,
    Ms,
    Outcome,
    Rid,
    RoomClass,
    RoomId,
    UserId,
    Verdict,
)
from bridge.oversight import Appraised, Care, Cleared, Drifted, Fate, Labelled
from bridge.telling import Notice, Progress, Told

#: These are read as a part of this module.
__all__ = [
    "Appraised", "Care", "Cleared", "Drifted", "Fate", "Labelled", "Notice", "Progress", "Told",
]  # fmt: skip

#: The rule of a verdict that lets a message through as a person promised: it uses up the promise.
LET_THROUGH = "builtin:pass"


#: The homeserver's gate asked about it and did not deliver it.
GATE = "stopped at the gate"
#: The gate asked about it in a rehearsal, and delivered it.
GATE_PRACTISED = "would have been stopped at the gate"


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
    #: How it came to us, where not by delivery alone: `GATE`, `GATE_PRACTISED`.
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """We made up our mind about a message, and owe these effects, in this order."""

    message: Message
    cls: RoomClass
    verdict: Verdict
    owes: tuple[Effect, ...] = ()
    #: Why nothing of it is done, so that the message stays where it is; empty if nothing is held.
    held: str = ""


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
    #: The revision of the files alone, where rules have lost strength or a model takes part.
    base: str = ""
    #: (rule, the mode that it is reduced to).
    weakened: tuple[tuple[str, str], ...] = ()
    #: The digest of the language model that takes part; empty if none does.
    model: str = ""


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
    #: Under which account of this machine it was said; empty where it was said in a room.
    account: str = ""
    #: The appeal that it answers; None where nobody appealed.
    appeal: Appeal | None = None
    #: Why, in the words of whoever decided; their own, and never the message's.
    reason: str = ""
    #: What we owe because of it, which is about the appeal's message.
    owes: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """Somebody says that what was done to their message was wrong."""

    #: Its own name.
    rid: Rid
    #: The message as the verdict names it, and its record.
    event: EventId
    record: Rid
    room: RoomId
    cls: RoomClass
    #: Whose message it is. Nobody else can appeal.
    sender: UserId
    sent_at: Ms
    #: The verdict's record, its rule, and what happened in the room.
    verdict: Rid
    rule: str
    action: Action
    #: 2 where it asks for a second opinion; 0 where nobody appealed, and a person looked.
    round: int
    at: Ms
    #: By when it is answered.
    due: Ms

    @property
    def message(self) -> Message:
        """Stand for the message, as far as is known without its words."""
        return Message(
            event_id=self.event,
            room=self.room,
            sender=self.sender,
            sent_at=self.sent_at,
            kind=Kind.TEXT,
            type="m.room.message",
        )


class Stage(StrEnum):
    """How far an appeal has come without being decided."""

    RAISED = "raised"
    REMINDED = "reminded"  #: people were reminded of it
    OVERDUE = "overdue"  #: it was not answered in time; the room's owner was told


@dataclass(frozen=True, slots=True, kw_only=True)
class Appealed:
    """An appeal was raised, or has come further without being decided."""

    appeal: Appeal
    stage: Stage
    owes: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Minuted:
    """A person puts a decision on record."""

    rid: Rid
    #: What they typed, which is on record as any message.
    message: Message
    cls: RoomClass
    #: Which decision of that room it is, from 1.
    number: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A person tells professional standards something, and nobody else."""

    rid: Rid
    message: Message
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The server did not give us part of a timeline."""

    gap: Gap


class Mode(StrEnum):
    """What keeps the bot from acting. Capture goes on in any case."""

    PAUSE = "pause"  #: what is owed waits until it ends, and is then done
    INCIDENT = "incident"  #: nothing becomes owed: a major incident, in which people have to talk


@dataclass(frozen=True, slots=True, kw_only=True)
class Braked:
    """Acting was stopped, or allowed again, in one room or (room None) everywhere."""

    room: RoomId | None
    on: bool
    by: str
    reason: str
    mode: Mode = Mode.PAUSE
    #: When it ends by itself; None: when somebody says so.
    until: Ms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something about the bot itself that the record should have: started, stopped, found."""

    text: str
    #: The verdict about which a decision of the console was not followed, where it is one.
    verdict: Rid | None = None

    @property
    def refers(self) -> dict[str, str]:
        """What stands of that in the clear, so that the console knows of it without a key."""
        return {"ref": self.verdict, "status": "refused"} if self.verdict else {}


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
    STANDARDS = "standards"  #: reports only, with professional standards' key
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
class Disclosed:
    """Somebody is about to hand records to somebody else. Recorded before they are written out."""

    rid: Rid
    who: str
    role: str
    scope: str
    purpose: str
    case: str
    recipient: str
    #: How many records, and the SHA-256 (hex) of the file.
    count: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directed:
    """A reviewer says in the console what is to become of a verdict; the bot carries it out."""

    rid: Rid
    #: The verdict's record, in the ledger that was looked at.
    verdict: Rid
    decision: Decision
    #: The reviewer's sign-in, as people.csv has it.
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A look that nobody approved beforehand was examined afterwards."""

    view: Rid
    by: str
    finding: str


#: Facts because of which something may become owed.
OWES = Seen | Decided | Performed | Adjudicated | Appealed

Fact: TypeAlias = (
    Seen
    | Decided
    | Performed
    | PolicyLoaded
    | PolicyApproved
    | Adjudicated
    | Appealed
    | Minuted
    | Reported
    | Missed
    | Braked
    | Noted
    | Beat
    | CaseOpened
    | Held
    | Released
    | Disposed
    | Erased
    | Drifted
    | Cleared
    | Appraised
    | Labelled
    | Told
    | Viewed
    | Granted
    | Disclosed
    | Directed
    | Examined
)
