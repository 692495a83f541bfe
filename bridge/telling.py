"""What people are told about a room, and that they were. Read as a part of `facts`, which has it.

Never holds a word that anybody but the bot has said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.model import EventId, Rid, RoomClass, RoomId, UserId


class Progress(StrEnum):
    """How far a notice has come."""

    DUE = "due"  #: it is about to be sent
    SHOWN = "shown"  #: it is where those whom it is for can read it
    ACKNOWLEDGED = "acknowledged"  #: one of them says that they have read it
    STANDS = "stands"  #: the policy is another, and what people have to know is the same
    WITHDRAWN = "withdrawn"  #: it was never sent, and says what holds no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is kept in a room, how long, and who can read it, as some people are told."""

    #: Its own name, which the first record about it has.
    rid: Rid
    #: The room that it is about, which is not where it is told if that is private.
    room: RoomId
    cls: RoomClass
    #: SHA-256 (hex) of the room's class and of what people have to know of it.
    card: str
    #: The policy that it was made from.
    revision: str
    #: Under which name it is sent, so that it is sent once; several rooms may share one message.
    name: str
    #: Whom it is for: who was in the room, or the one person who is told in private.
    to: tuple[UserId, ...]
    #: It is told to one person in private, and not in the room.
    private: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notice has come further."""

    notice: Notice
    progress: Progress
    #: The message that it stands in, once it was sent.
    event: EventId | None = None
    #: Who has acknowledged it.
    by: UserId | None = None
    #: The policy that decides now, where it is not the notice's own.
    revision: str = ""
