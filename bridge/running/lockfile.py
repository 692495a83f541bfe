"""rooms.lock.yaml on the disk: read, and written by several who know nothing of each other.

Never loses what somebody else has written there meanwhile: a room that the bot has retired while
`rooms apply` was under way stays retired.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bridge.errors import ConfigError
from bridge.register import Lock, dump_lock, load_lock


def read_ids(path: Path) -> Lock:
    """Read rooms.lock.yaml; empty where there is none.

    Raises:
        ConfigError: something in it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock()
    except UnicodeDecodeError:
        raise ConfigError(str(path), None, "the room ids is not a UTF-8 text file") from None
    except OSError as exc:
        raise ConfigError(str(path), None, f"the room ids cannot be read: {exc.strerror}") from None
    return load_lock(text, str(path))


def add_ids(path: Path, lock: Lock) -> None:
    """Write what *lock* knows in one step, beside what else stands there.

    Raises:
        ConfigError: what stands there is wrong.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        fresh = path.with_suffix(".new")
        fresh.write_text(dump_lock(lock.over(read_ids(path))), encoding="utf-8")
        fresh.replace(path)
    finally:
        os.close(folder)
