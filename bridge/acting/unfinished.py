"""What is left to do of clearing rooms, kept so that no interruption loses any of it. A contract.

Never holds a word of a message: ids of events and of Megolm sessions only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bridge.acting.fading import Old
from bridge.model import Rid, RoomId

_NOWHERE = Rid("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """What was begun in one room and not ended."""

    #: Being taken out; which of them have gone, and are in no certificate yet, the server knows.
    taking: tuple[Old, ...] = ()
    #: The record under which they are certified.
    rid: Rid = _NOWHERE
    #: Megolm sessions of what has gone, whose keys we may still have.
    sessions: tuple[str, ...] = ()
    #: Something has gone that the server was not seen to delete from its database.
    unpurged: bool = False
    #: How many messages people were told of that are not on record, and stay.
    told: int = 0


class Slate(Protocol):
    """Keeps it; what was written is read again, also after the bot was killed."""

    def read(self, room: RoomId) -> Unfinished:
        """Say what is left to do in *room*; nothing where nobody knows."""
        ...

    def write(self, room: RoomId, left: Unfinished) -> None:
        """Keep what is left to do in *room*, in one step. Blocks.

        Raises:
            OSError: it cannot be kept.
        """
        ...


class MemorySlate:
    """Keeps it until the process ends."""

    def __init__(self) -> None:
        """Begin with nothing left to do."""
        self.rooms: dict[RoomId, Unfinished] = {}

    def read(self, room: RoomId) -> Unfinished:
        """Say what is left to do in *room*."""
        return self.rooms.get(room, Unfinished())

    def write(self, room: RoomId, left: Unfinished) -> None:
        """Keep what is left to do in *room*."""
        self.rooms[room] = left
