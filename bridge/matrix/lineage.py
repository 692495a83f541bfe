"""Which room replaced which: upgrades are followed when both rooms say so.

Never believes one room alone: the old one's tombstone, which only those with the power may set,
and the new one's first event must name each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.matrix.words import is_id
from bridge.model import RoomId

_LONGEST = 16


class Lineage:
    """What rooms say of their successors and predecessors."""

    def __init__(self) -> None:
        """Know of no upgrade yet."""
        self._successors: dict[RoomId, RoomId] = {}
        self._predecessors: dict[RoomId, RoomId] = {}

    def take(self, room: RoomId, event: Mapping[str, Any]) -> RoomId | None:
        """Take in one state event; return the successor that a tombstone newly names."""
        content = event.get("content")
        content = content if isinstance(content, dict) else {}
        match event.get("type"):
            case "m.room.tombstone":
                named = content.get("replacement_room")
                if is_id(named) and self._successors.get(room) != named:
                    self._successors[room] = RoomId(named)
                    return RoomId(named)
            case "m.room.create":
                before = content.get("predecessor")
                named = before.get("room_id") if isinstance(before, dict) else None
                if is_id(named):
                    self._predecessors[room] = RoomId(named)
        return None

    def is_named(self, room: RoomId) -> bool:
        """Say whether some room's tombstone names *room* as its successor."""
        return room in self._successors.values()

    def origin(self, room: RoomId) -> RoomId:
        """Return the first room of the line that *room* continues; itself if it continues none."""
        for _ in range(_LONGEST):
            before = self._predecessors.get(room)
            if before is None or self._successors.get(before) != room:
                break
            room = before
        return room

    def newest(self, room: RoomId) -> RoomId:
        """Return the last room of the line that *room* begins; itself if nothing continues it."""
        for _ in range(_LONGEST):
            after = self._successors.get(room)
            if after is None or self._predecessors.get(after) != room:
                break
            room = after
        return room
