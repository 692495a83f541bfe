"""The file in which what is left to do of clearing rooms is kept.

Never stops the bot by what is in it: where it cannot be read, nothing is known to be left.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.acting.unfinished import Unfinished
from bridge.model import RoomId


@dataclass(frozen=True, slots=True)
class FileSlate:
    """Keeps the promise of `unfinished.Slate`."""

    path: Path

    def read(self, room: RoomId) -> Unfinished:
        """Say what is left to do in *room*."""
        return self._all().get(room, Unfinished())

    def write(self, room: RoomId, left: Unfinished) -> None:
        """Keep what is left to do in *room*; it is on the disk before this returns."""
        whole = {name: one for name, one in self._all().items() if name != room}
        if left != Unfinished():
            whole[room] = left
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(whole))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def _all(self) -> dict[RoomId, Unfinished]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[RoomId, Unfinished])
        except (OSError, msgspec.MsgspecError):
            return {}
