"""What is asked of the homeserver about the remains of a message. As `ports`: a contract.

Never implements anything: tests/contract holds every implementation, the in-memory one included, to
these promises.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bridge.model import EventId, Message, Ms, RoomId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """What was said in a room after an event."""

    #: Oldest first, as it is now: an event that was taken out has no content.
    messages: tuple[Message, ...]
    #: What stands in the clear part of our own removals and settings among it.
    marks: frozenset[str] = frozenset()
    #: False where there is more than we read.
    whole: bool = True


class Standing(StrEnum):
    """How the server shows an event now."""

    THERE = "there"  #: it still says something
    EMPTY = "empty"  #: it was taken out, and says nothing
    ABSENT = "absent"  #: no such event in this room


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Who else may have what was said."""

    #: Whether it was encrypted.
    encrypted: bool
    #: Other servers with members there.
    servers: tuple[str, ...] = ()


class Remains(Protocol):
    """What is left of a message on the homeserver, and ways to take that away, too.

    Everything may be done again. *mark* stands in the clear part of what is done, so that `later`
    shows it from then on. Errors are as of `Transport`.
    """

    async def later(self, room: RoomId, event: EventId, *, since: Ms) -> Later:
        """Read what was said in *room* after *event*; decrypted in memory only.

        Where the server does not know *event* (any more): after *since*. Nothing that was said
        before the call is left out but what lies beyond 20,000 events. Beyond 500, what relates to
        nothing may come undecrypted.
        """
        ...

    async def standing(self, room: RoomId, event: EventId) -> Standing:
        """Ask the server how *event* stands now."""
        ...

    async def take_out(
        self, room: RoomId, event: EventId, reason: str, *, txn: str, mark: str
    ) -> None:
        """Redact *event*; the same *txn* twice does it once."""
        ...

    async def unpin(
        self, room: RoomId, events: Collection[EventId], *, mark: str
    ) -> tuple[EventId, ...]:
        """Take *events* off the room's list of pinned ones; return those that were on it."""
        ...

    async def drop_file(self, url: str, of: UserId) -> bool:
        """Delete a file that *of* has uploaded from the server, and see that it is gone.

        False where we were not given the means; `NotPermitted` where it is another server's or
        another person's: whoever names a file in a message must not have it deleted by that.
        """
        ...

    async def reach(self, room: RoomId, event: EventId) -> Reach:
        """Say who else may have what *event* said; also after it was taken out."""
        ...
