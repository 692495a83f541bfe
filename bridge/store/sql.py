"""Reads named statements from a .sql file, and has names as these take them.

Never formats a value into a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

import msgspec

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statements(file: str) -> dict[str, str]:
    """Return the statements of *file* in this package, by name."""
    text = resources.files("bridge.store").joinpath(file).read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def names_json(names: Iterable[str]) -> str:
    """Names of records, or tags, as a JSON list; what is none of them is left out."""
    return msgspec.json.encode([name for name in names if _is_name(name)]).decode()


def blob(text: str) -> bytes | None:
    """A name as an index keeps it; None for what is none."""
    return bytes.fromhex(text) if _is_name(text) else None


def in_hex(raw: bytes | None) -> str:
    """A name that an index kept; empty where it kept none."""
    return raw.hex() if raw is not None else ""


def _is_name(text: str) -> bool:
    return len(text) == 32 and not text.strip("0123456789abcdef")
