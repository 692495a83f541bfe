"""Which recorded event brings which file: the SQLite store's index for reference checks.

Never has a file's bytes or key, only where it lies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from bridge.ledger.facts import decode_effect
from bridge.model import Effect, EventId, Keep, Message
from bridge.ports import Attached
from bridge.store.sql import statements

SQL = statements("ledger.sql")


def add(db: sqlite3.Connection, message: Message) -> None:
    """Remember the files of a message that is being recorded."""
    rows = [(one.url, message.event_id, one.part) for one in message.media]
    db.executemany(SQL["add_file"], rows)


def keep(db: sqlite3.Connection, effect: bytes) -> None:
    """Remember that the file of this effect is in the record, if it is about one."""
    match decode_effect(effect):
        case Keep(about=event, url=url):
            db.execute(SQL["keep_file"], (url, event))
        case _:
            pass


def find(
    db: sqlite3.Connection, events: Sequence[EventId], url: str | None
) -> tuple[Attached, ...]:
    """The files of these events, and whoever brings the one at *url*."""
    asked = msgspec.json.encode([event for event in events if "\0" not in event]).decode()
    return tuple(map(_attached, db.execute(SQL["files"], (asked, url))))


def _attached(row: Any) -> Attached:
    url, event, part, kept = row
    return Attached(url=url, event=EventId(event), part=part, kept=bool(kept))


class Files:
    """The same without a database, for the store that is in memory."""

    def __init__(self) -> None:
        """Know of none."""
        self._found: dict[tuple[str, EventId], Attached] = {}

    def add(self, message: Message) -> None:
        """Remember the files of a message that is being recorded."""
        event = message.event_id
        for one in message.media:
            fresh = Attached(event=event, part=one.part, url=one.url, kept=False)
            self._found.setdefault((one.url, event), fresh)

    def keep(self, effect: Effect) -> None:
        """Remember that the file of this effect is in the record, if it is about one."""
        match effect:
            case Keep(about=event, url=url) if (url, event) in self._found:
                self._found[url, event] = replace(self._found[url, event], kept=True)
            case _:
                pass

    def forget(self, events: Collection[EventId]) -> None:
        """Know no longer what these events brought."""
        self._found = {k: one for k, one in self._found.items() if one.event not in events}

    def find(self, events: Sequence[EventId], url: str | None) -> tuple[Attached, ...]:
        """The files of these events, and whoever brings the one at *url*."""
        found = (one for one in self._found.values() if one.event in events or one.url == url)
        return tuple(sorted(found, key=lambda one: (one.event, one.part, one.url)))
