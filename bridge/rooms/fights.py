"""What the guard of the rooms remembers over a restart: a file in the bot's state folder.

Never decides anything; a file that cannot be read is as none, and is said in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from bridge.rooms.guard import Past

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Fights:
    """Keeps what was put right, of what people were called, and what they were not told yet."""

    path: Path
    _written: Past | None = None

    def read(self) -> Past:
        """Return what was known; empty where nothing was."""
        try:
            self._written = msgspec.json.decode(self.path.read_bytes(), type=Past)
        except FileNotFoundError:
            return Past()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            log.error("fights.unreadable", path=str(self.path), error=str(exc))
            return Past()
        return self._written

    def write(self, past: Past) -> None:
        """Remember *past*, in one step; what is known already is not written again."""
        if past == self._written:
            return
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(past))
        fresh.replace(self.path)
        self._written = past
