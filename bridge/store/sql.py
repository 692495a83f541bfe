"""Reads named statements from a .sql file. Never formats a value into one."""

from __future__ import annotations

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statements(file: str) -> dict[str, str]:
    """Return the statements of *file* in this package, by name."""
    text = resources.files("bridge.store").joinpath(file).read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
