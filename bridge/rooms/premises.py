"""What is asked of the homeserver about the rooms themselves. As `ports`: a contract.

Never implements anything, and never says what is to be done: `guard` and `belonging` decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bridge.model import RoomId, UserId


class Sort(StrEnum):
    """What kind of difference there is between a room and the register."""

    SETTING = "setting"  #: name, topic, class mark, space: nobody gets in or reads because of it
    DOOR = "door"  #: who gets in, who can read, for how long it is kept, how it is encrypted
    POWER = "power"  #: who may do what
    OUTRANKED = "outranked"  #: somebody has as much power as the bot, for good or for now
    MISSING = "missing"  #: somebody who belongs there is not asked in
    STRANGER = "stranger"  #: somebody is there who does not belong
    UNSURE = "unsure"  #: so many do not belong that the list may be wrong
    ABSENT = "absent"  #: the bot is not in it
    LOCKED = "locked"  #: the bot has locked it
    REPLACED = "replaced"  #: another room continues it
    KNOWN = "known"  #: what a person has to see to, and knows of by other ways

    @property
    def loosens(self) -> bool:
        """Say whether a person should hear of it when somebody did it."""
        return self in {Sort.DOOR, Sort.POWER, Sort.OUTRANKED, Sort.STRANGER, Sort.ABSENT}


class Gone(StrEnum):
    """How far the server is with deleting a room."""

    THERE = "there"  #: it has it, as far as we may know
    GOING = "going"  #: it is deleting it
    GONE = "gone"  #: it has it no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a room is not as the register says."""

    #: The room's key and name on the register.
    key: str
    room: str
    #: In plain words, such as "join rule is public, should be invite".
    what: str
    sort: Sort
    #: What it is about: a type of state, or a person.
    about: str = ""
    #: Who made it so; None where nobody is known to have.
    by: UserId | None = None
    #: The bot can put it right with one request.
    mendable: bool = False

    @property
    def same(self) -> tuple[str, Sort, str]:
        """What it has in common with the same thing happening again."""
        return self.key, self.sort, self.about


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one room or space is now."""

    key: str
    name: str
    #: None where it does not exist yet.
    id: RoomId | None = None
    faults: tuple[Fault, ...] = ()
    #: Who is in it, beside the bot.
    inside: frozenset[UserId] = frozenset()
    #: Why the bot has locked it; empty if it has not.
    locked: str = ""
    #: Who belongs there by register and list; None where the room was not seen.
    members: frozenset[UserId] | None = None
    #: Who is there, asked in, or asking to come in.
    present: frozenset[UserId] = frozenset()


class Premises(Protocol):
    """The rooms and spaces on the register, as the homeserver has them.

    Everything may be done again. Errors are as of `ports.Transport`.
    """

    def listed(self) -> tuple[str, ...]:
        """Every room and space on the register, those first that others refer to."""
        ...

    def key_of(self, room: RoomId) -> str | None:
        """Which of them *room* is, if it is known."""
        ...

    async def look(self, key: str) -> Look:
        """Read how it is now, and how that differs from the register as it is now."""
        ...

    async def put_right(self, fault: Fault) -> str:
        """Look again and, where the fault is still there, mend it; else say why not, or nothing."""
        ...

    async def lock_down(self, key: str, reason: str) -> str:
        """Let nobody but the bot write there; say why not, or nothing. It lasts until lifted."""
        ...

    async def lift_lock(self, key: str) -> str:
        """Let people write there again; say why not, or nothing."""
        ...

    async def close_down(self, key: str, reason: str) -> str:
        """Put everybody out of a room that nobody needs any more; say why not, or nothing."""
        ...

    async def delete_room(self, key: str) -> str:
        """Have the server delete it, with all that was said in it; say why not, or nothing.

        The server goes on deleting after it has said yes.
        """
        ...

    async def deleted(self, key: str) -> Gone:
        """Say how far that is; *key* need not be on the register any more."""
        ...

    async def lock_account(self, user: UserId) -> str:
        """Let *user* sign in no more until an administrator says so; why not, or nothing."""
        ...

    async def end_sessions(self, user: UserId) -> int | None:
        """Sign *user* out everywhere; of how many devices, or None if we have not the means.

        Somebody whom the server does not know has none.
        """
        ...
