"""The words this program is written in. Read this file first.

Never does I/O, reads a clock, or knows what Matrix JSON looks like.

A `Batch` of `Message`s comes in. `detect` makes `Finding`s of a message, `policy.decide` makes a
`Verdict` of them, and a verdict is turned into `Effect`s that we then owe. Doing one gives an
`Outcome`. Each of these is on record as a fact (`bridge.facts`). Times are
milliseconds since 1970 in UTC (`Ms`), as Matrix and the ledger have them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NewType, TypeAlias

EventId = NewType("EventId", str)
RoomId = NewType("RoomId", str)
UserId = NewType("UserId", str)
Cursor = NewType("Cursor", str)
Ms = NewType("Ms", int)
#: A record's name in the ledger: 16 random bytes, as 32 hexadecimal digits.
Rid = NewType("Rid", str)


class RoomClass(StrEnum):
    """What a room is for. It comes from the register of approved rooms and from nowhere else."""

    SOCIAL = "social"  #: banter, welfare, rotas; operational talk must leave
    OPERATIONAL = "operational"  #: a team's secure room: where operational talk belongs
    COMMUNITY = "community"  #: as social, with guests of named partners; rules at their strictest
    INTAKE = "intake"  #: where a moved message goes when its sender has no secure room
    REVIEW = "review"  #: where the bot asks a person
    AUDIT = "audit"  #: where checkpoints are posted
    DIRECT = "direct"  #: the bot and one person
    CANARY = "canary"  #: messages to itself, to see that capture works


#: Rooms whose messages are judged. In the others, operational talk is at home or is ours.
JUDGED = frozenset({RoomClass.SOCIAL, RoomClass.COMMUNITY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One approved room, as the register has it and the server knows it."""

    id: RoomId
    cls: RoomClass
    name: str
    #: Where operational talk of this room goes; None where it is at home.
    secure: RoomId | None = None
    secure_name: str = ""
    #: Where a person is asked about this room.
    review: RoomId | None = None
    #: Whose mark on a message moves it.
    supervisor: UserId | None = None


class Kind(StrEnum):
    """What a timeline event is to us."""

    TEXT = "text"  #: words: judged
    MEDIA = "media"  #: a file; its caption is judged
    UNREADABLE = "unreadable"  #: encrypted to keys that we do not have; never skipped
    MEMBERSHIP = "membership"
    STATE = "state"
    OTHER = "other"  #: reactions, redactions, polls: captured, not yet judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file that lies on the server, encrypted or not."""

    #: file or thumbnail.
    part: str
    #: Where it lies: mxc://server/id.
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event of a room's timeline, as far as we could read it."""

    event_id: EventId
    room: RoomId
    sender: UserId
    sent_at: Ms
    kind: Kind
    #: The Matrix type inside the encryption, such as m.room.message.
    type: str
    #: What people read; for an edit, the new text.
    body: str = ""
    #: The same with its HTML, where the sender's client gave one; may say something else.
    formatted: str = ""
    #: Other words that it carries, each with the name of its part: filename, location …
    extra: tuple[tuple[str, str], ...] = ()
    media: tuple[Media, ...] = ()
    #: The event that this one edits, if it is an edit.
    replaces: EventId | None = None
    #: Which Megolm session it was encrypted with and which message of it; no two may share both.
    session: str = ""
    index: int = -1
    #: The whole decrypted content as canonical JSON; for UNREADABLE the event as served.
    content: bytes = b"{}"
    #: The event as it lies on the server, still encrypted; empty if it never was.
    ciphertext: bytes = b""
    #: Why it could not be read, or what does not add up about it; empty if nothing.
    doubt: str = ""
    #: What does not add up is no accident: a person should look.
    suspect: bool = False
    #: Read only after it was first recorded as unreadable.
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Part of a timeline that the server did not give us."""

    room: RoomId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What came in one go. Handing back its cursor says that all of it is on record."""

    messages: tuple[Message, ...]
    gaps: tuple[Gap, ...] = ()
    #: None where there is nothing to move: messages that became readable later.
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something a detector saw. Holds where, never what: findings are logged and sealed."""

    #: The rule that found it, as the policy names it.
    rule: str
    #: What kind of thing it is, in words an officer understands.
    label: str
    #: Offsets in characters into the raw text of `part`.
    start: int
    end: int
    #: Which text of the message: body, formatted, or the name of an extra one.
    part: str = "body"
    #: 0 to 100; how sure the rule is after evidence and checks.
    confidence: int = 0


class Action(IntEnum):
    """What happens in the room, mildest first, so that max() is the strictest."""

    ALLOW = 0
    NUDGE = 1  #: it stays; its sender is told privately that it may belong elsewhere
    REDIRECT = 2  #: copied to the secure room, taken out, its sender told
    QUARANTINE = 3  #: taken out without a copy: markings above the room's ceiling only


class Queue(StrEnum):
    """Which people look. Queues join by union; they never change what happens in the room."""

    APPEALS = "appeals"
    PROFESSIONAL_STANDARDS = "professional-standards"
    UNDECRYPTABLE = "undecryptable"
    ERRORS = "errors"
    MARKINGS = "markings"
    MEMBERS = "members"  #: a member says that a message is operational


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What should happen to a message, who should look, and why."""

    action: Action
    #: The rule that decided; None only for a plain ALLOW, which no rule has to ask for.
    rule: str | None
    #: What the sender is told, such as "it has a vehicle registration"; never the matched words.
    reason: str
    findings: tuple[Finding, ...] = ()
    referrals: frozenset[Queue] = frozenset()
    #: Records of the last minutes whose weak signals counted.
    hints: tuple[Rid, ...] = ()
    #: 0 to 100.
    score: int = 0
    #: SHA-256 (hex) of everything that decided: policy files and engine version.
    revision: str

    def __post_init__(self) -> None:
        """Refuse a strict verdict without a rule: nobody could explain it."""
        if self.rule is None and (self.action is not Action.ALLOW or self.referrals):
            raise ValueError(f"{self.action.name} needs a rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Post the message again, with its sender's name, in the room where it belongs."""

    room: RoomId
    about: EventId
    to: RoomId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact:
    """Take one event out of its room."""

    room: RoomId
    about: EventId
    reason: str


class Moment(StrEnum):
    """The occasion of a private word; each has its text in `texts`."""

    NUDGE = "nudge"
    MOVED = "moved"
    REMOVED = "removed"
    UNREADABLE = "unreadable"
    SUPPORT = "support"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tell a person privately."""

    room: RoomId
    about: EventId
    to: UserId
    moment: Moment
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refer:
    """Ask a person to look."""

    room: RoomId
    about: EventId
    queue: Queue
    to: RoomId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Put a file into the record, as it lies on the server."""

    room: RoomId
    about: EventId
    part: str
    url: str


Effect: TypeAlias = Copy | Redact | Notify | Refer | Keep


def key(effect: Effect) -> str:
    """Name *effect* the same way every time, so that doing it twice does it once.

    32 hexadecimal digits. It is the Matrix transaction id, and stands in the clear part of what
    we send, so that we can find it again.
    """
    match effect:
        case Copy(to=to):
            whom: str = to
        case Notify(to=user, moment=moment):
            whom = f"{user}\0{moment}"
        case Refer(queue=queue):
            whom = queue
        case Keep(url=url):
            whom = url
        case Redact():
            whom = ""
    name = f"{type(effect).__name__.lower()}\0{effect.room}\0{effect.about}\0{whom}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """An effect that we owe, as it survives a crash."""

    effect: Effect
    rid: Rid
    #: The message's record, and who sent it when: what a copy must say.
    message: Rid
    sender: UserId
    sent_at: Ms
    #: When it was written down; after a day it is given up.
    since: Ms
    #: The event as it lies on the server, still encrypted.
    ciphertext: bytes
    #: Attempts that failed so far, in this process or an earlier one.
    attempts: int = 0


class Status(StrEnum):
    """How doing a debt went."""

    DONE = "done"
    FAILED = "failed"  #: will be tried again
    REFUSED = "refused"  #: will not; a person has been told
    ABANDONED = "abandoned"  #: owed for longer than a day; a person has been told
    WAIVED = "waived"  #: a person said not to
    REHEARSED = "rehearsed"  #: dry run: nothing was sent


#: After these a debt is settled.
FINAL = frozenset(Status) - {Status.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt at a debt went."""

    key: str
    status: Status
    #: What the server said, or the event that resulted; never words of a message.
    detail: str = ""
