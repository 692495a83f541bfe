"""What was found of rooms, disposed of in them, and decided about what is due, to be read again.

Never decides anything: of several decisions about one thing the last counts, and whoever asks
says so.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from bridge.facts import Appraised, Cleared, Drifted, Labelled
from bridge.model import Ms
from bridge.store.sql import statements

SQL = statements("oversight.sql")
#: Ledger files of this version and later have these tables.
SINCE = 5


@dataclass(frozen=True, slots=True)
class Drift:
    """A room that was not as the register says, and what was done."""

    rid: str
    at: int
    #: The room's key and id; empty where it is about no one room, or the id is not known.
    key: str
    room: str
    care: str
    sort: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Clearing:
    """A disposal in a room, with its certificate in words."""

    rid: str
    at: int
    room: str
    name: str
    messages: int
    text: str


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What was decided about one thing, by whom and why."""

    rid: str
    at: int
    item: str
    fate: str
    reason: str
    by: str
    #: When it is looked at again, ms.
    until: int | None


@dataclass(frozen=True, slots=True)
class Label:
    """The MoPI group that somebody gave something."""

    rid: str
    at: int
    item: str
    group: int
    reason: str
    by: str


def follow(db: sqlite3.Connection, fact: Drifted | Cleared | Appraised | Labelled, now: Ms) -> None:
    """Draw the consequences of one fact, in the transaction that is open."""
    match fact:
        case Drifted():
            row = (fact.rid, now, fact.key, fact.room or "", fact.care.value, fact.sort, fact.text,
                   fact.by)  # fmt: skip
            db.execute(SQL["add_drift"], row)
        case Cleared():
            done = (fact.rid, now, fact.room, fact.name, fact.messages, fact.text)
            db.execute(SQL["add_cleared"], done)
        case Appraised():
            said = (fact.rid, now, fact.item, fact.fate.value, fact.reason, fact.by, fact.until)
            db.execute(SQL["add_appraisal"], said)
        case Labelled():
            label = (fact.rid, now, fact.item, fact.group, fact.reason, fact.by)
            db.execute(SQL["add_label"], label)
