"""Secret files of the bot's own: made once, readable by nobody else.

Never prints what is in one.
"""

from __future__ import annotations

import os
from pathlib import Path

from bridge.errors import ConfigError


def read_secret(path: Path, what: str) -> str:
    """Return the one line that the file holds.

    Raises:
        ConfigError: it is not there, is empty, or others may read it.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except UnicodeDecodeError:
        raise ConfigError(str(path), None, f"{what} is not text") from None
    except OSError as exc:
        raise ConfigError(str(path), None, f"{what} cannot be read: {exc.strerror}") from None
    if not text:
        raise ConfigError(str(path), None, f"{what} should be in this file, but it is empty")
    if mode & 0o077:
        raise ConfigError(
            str(path), None, f"others may read {what}; run 'chmod 600 {path}' and change it"
        )
    return text


def write_secret(path: Path, text: str) -> None:
    """Write the file in one step, so that after a crash it is either old or new."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
