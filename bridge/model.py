"""The words this program is written in. Read this file first.

Never does I/O, reads a clock, or knows what Matrix JSON looks like.

A `Batch` of `Message`s comes in. `detect` makes `Finding`s, `policy.decide` makes a `Verdict` of
them, which is turned into `Effect`s that we owe. Doing one gives an `Outcome`. Each is on record as
a fact (`bridge.facts`). Times are milliseconds since 1970 in UTC, as in Matrix and the ledger.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NewType, TypeAlias

import msgspec

from bridge.occasions import Moment, Queue

#: These are read as a part of this module.
__all__ = ["Moment", "Queue"]

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
    #: Who answers for the room, and hears when an appeal about it is late.
    owner: UserId | None = None
    team: str = ""  #: empty for the rooms of the whole force
    #: Who may be in this room, and who in its secure room; None where nobody has said.
    members: frozenset[UserId] | None = None
    entitled: frozenset[UserId] | None = None
    #: Where a message goes whose sender may not be in the secure room.
    intake: RoomId | None = None
    #: The highest marking that may be said there, such as OFFICIAL; empty: what its class says.
    ceiling: str = ""
    #: What would be done about its messages is on record as rehearsed, and is not done.
    rehearse: bool = False


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
    #: What a state event is about: of a membership, whose it is. None where it is no state.
    state_key: str | None = None


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


class Finding(msgspec.Struct, frozen=True, kw_only=True):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """Let somebody into the room that their message goes to, where the register has them."""

    room: RoomId
    about: EventId
    to: RoomId
    user: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Take out what else holds a message's words, read it all back, and certify what has gone."""

    room: RoomId
    about: EventId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Post a moved message again where it was said, from the copy in the secure room."""

    room: RoomId
    about: EventId
    #: The room that the copy stands in.
    source: RoomId
    #: The copy.
    copy: EventId
    #: When it was said, ms, where it goes back along with another message; else empty.
    along: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tell a person privately."""

    room: RoomId
    about: EventId
    to: UserId
    moment: Moment
    reason: str
    #: Which of several that are said at the same occasion about the same event; empty: the first.
    turn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refer:
    """Ask a person to look."""

    room: RoomId
    about: EventId
    queue: Queue
    to: RoomId
    reason: str
    #: Which of several requests about the same event; empty: the first.
    turn: str = ""


#: A choice is open for so long, which is less than a debt lives: 12 hours.
CHOICE_MS = 43_200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Waits for a person to say whether what the gate stopped is moved or left: never carried out.

    Their answer settles it, or the hours that it is open for.
    """

    room: RoomId
    about: EventId
    #: Who was asked.
    user: UserId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Answer or tell somebody something that no `Moment` has: an answer to a command, a digest."""

    room: RoomId
    #: What it answers, which is an event of that room.
    about: EventId
    #: A person (in their direct room) or a room.
    to: UserId | RoomId
    #: Which of several things that are said about the same event: `help`, `privacy`, …
    name: str
    #: Plain text of our own; a line that begins with `!` is a command.
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Put a file into the record, as it lies on the server."""

    room: RoomId
    about: EventId
    part: str
    url: str


Effect: TypeAlias = Copy | Redact | Notify | Refer | Keep | Invite | Close | Restore | Choice | Say


def key(effect: Effect) -> str:
    """Name *effect* the same way every time, so that doing it twice does it once.

    32 hexadecimal digits. It is the Matrix transaction id, and stands in the clear part of what
    we send, so that we can find it again.
    """
    match effect:
        case Copy(to=to):
            whom: str = to
        case Notify(to=user, moment=moment, turn=turn):
            whom = f"{user}\0{moment}" + (f"\0{turn}" if turn else "")
        case Refer(queue=queue, turn=turn):
            whom = queue + (f"\0{turn}" if turn else "")
        case Keep(url=url):
            whom = url
        case Invite(to=to, user=user):
            whom = f"{user}\0{to}"
        case Restore(copy=copy):
            whom = copy
        case Choice(user=user):
            whom = user
        case Say(to=to, name=said):
            whom = f"{to}\0{said}"
        case Redact() | Close():
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


class Fate(StrEnum):
    """What became of one thing that held words."""

    REMOVED = "removed"
    NOT_APPLICABLE = "not applicable"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a removal certificate."""

    #: What it was: message, edit, reaction, reply, thread, pin, file, thumbnail, search index …
    what: str
    fate: Fate
    #: Its event or address, if it has one.
    target: str = ""
    #: Why, or until when, where something is left.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt at a debt went."""

    key: str
    status: Status
    #: What the server said, or the event that resulted; never words of a message.
    detail: str = ""
    #: The certificate of a removal: what was done to each thing that held the words.
    steps: tuple[Step, ...] = ()
