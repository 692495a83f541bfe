"""What people were told about their rooms, in the order in which it happened.

Never decides what follows from it: `bridge.rooms.board` draws that from the same rows every time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from bridge.facts import Told
from bridge.model import Ms
from bridge.store.sql import statements

SQL = statements("tellings.sql")

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Told).decode


def follow(db: sqlite3.Connection, fact: Told, now: Ms) -> None:
    """Note one fact, in the transaction that is open."""
    db.execute(SQL["add_telling"], (now, _encode(fact)))


def tellings(rows: Iterable[Any]) -> list[tuple[Ms, Told]]:
    """Read the rows of the statement of that name."""
    return [(Ms(at), _decode(fact)) for at, fact in rows]
