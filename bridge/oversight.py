"""Facts about what is looked after: rooms that drifted, what was disposed of, what people decide.

Never holds a word of a message. They are read as a part of `facts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.model import Ms, Rid, RoomId


class Care(StrEnum):
    """What is done about a room that is not as the register says."""

    MENDING = "mending"  #: it is being put right
    REFUSED = "refused"  #: the homeserver did not let it be put right, or the room be locked
    LOCKING = "locking"  #: nobody but the bot can write there until somebody has seen to it
    CALLED = "called"  #: only people can put it right, and were told
    UNLOCKED = "unlocked"  #: somebody has seen to it
    RETIRED = "retired"  #: two people have closed it for good
    DELETED = "deleted"  #: the server deletes it
    LEFT = "left"  #: somebody has left the list of people
    REHEARSED = "rehearsed"  #: nothing is done in a rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """A room was not as the register says, or somebody had something done about it."""

    rid: Rid
    #: The room's key on the register; empty where it is about no one room.
    key: str
    #: None where the room is not on the server, or not known.
    room: RoomId | None
    care: Care
    #: What kind of difference it is, such as door or power; empty where somebody ordered it.
    sort: str = ""
    #: In plain words, with who did it and what is done.
    text: str
    #: Who made it so, or ordered it; empty where nobody is known to have.
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """Messages whose time in a room is over were taken out."""

    rid: Rid
    room: RoomId
    #: What people call the room.
    name: str
    messages: int
    #: What has gone from where and what is left, in words: the disposal certificate.
    text: str


class Fate(StrEnum):
    """What people decide about something that is due."""

    RETAIN = "retain"  #: it stays, until a day
    DISPOSE = "dispose"  #: it may go


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraised:
    """Somebody has decided about something whose time has come."""

    rid: Rid
    #: What it is about, such as bucket:operational-2026-11, room:KEY or hold:RID.
    item: str
    fate: Fate
    reason: str
    by: str
    #: Under which account of this machine it was said; empty where it was said elsewhere.
    account: str = ""
    #: When it is looked at again; None: never, as it goes.
    until: Ms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Somebody gives a scope a MoPI group; the newest counts."""

    rid: Rid
    #: What it is about, such as room:KEY, case:REFERENCE or bucket:operational-2026-11.
    item: str
    #: 1 to 4.
    group: int
    reason: str
    by: str
    account: str = ""
