"""Parts of an answer of the server, whatever it put there.

Never raises: what is not of its kind is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.matrix.words import is_id


def part(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object in an answer of the server."""
    found = whole.get(name)
    return found if isinstance(found, dict) else {}


def rooms(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Rooms by id; what cannot be an id is none of ours."""
    return {room: one for room, one in part(whole, name).items() if is_id(room)}


def text(value: object) -> str:
    """Text."""
    return value if isinstance(value, str) else ""


def events(whole: Mapping[str, Any], name: str = "events") -> list[dict[str, Any]]:
    """A list of events."""
    found = whole.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
