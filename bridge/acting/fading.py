"""What is asked of the homeserver about messages whose time in their room is over. A contract.

Never implements anything. Everything may be done again; errors are as of `ports.Transport`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from bridge.model import EventId, Ms, RoomId


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """An event that still says something, and whose time is over."""

    event: EventId
    at: Ms
    #: The Megolm session that it was encrypted with; empty if none.
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of what is old in a room."""

    events: tuple[Old, ...]
    #: There is nothing older than was asked for beyond this.
    last: bool


class Fading(Protocol):
    """Finds what is old, and has the server and our own keys let go of it."""

    async def begin(self, room: RoomId) -> None:
        """Look at a room from its beginning again."""
        ...

    async def oldest(self, room: RoomId, before: Ms) -> Page:
        """Give the next events sent before then that still say something, oldest first.

        State, removals and what was taken out are not among them. At most a hundred.
        """
        ...

    async def in_use(self, room: RoomId, since: Ms, until: Ms) -> frozenset[str] | None:
        """Name the sessions of events sent in [since, until); None where there are too many."""
        ...

    async def purge(self, room: RoomId, before: Ms, *, but_from: EventId | None) -> bool:
        """Have the server delete what was said before then from its database, and see it done.

        Where *but_from* is given: what was said before that event, and not itself. False where we
        were not given the means. The newest event of a room is never deleted.
        """
        ...

    async def agree(self, room: RoomId, shown_ms: int) -> None:
        """Have the server show messages of *room* for so long, unless it is told so already."""
        ...

    async def pinned(self, room: RoomId) -> tuple[EventId, ...]:
        """Name what is pinned in a room, each once."""
        ...

    async def drop_keys(self, room: RoomId, sessions: Collection[str]) -> int:
        """Delete our copies of the keys of these sessions; say how many there were."""
        ...
