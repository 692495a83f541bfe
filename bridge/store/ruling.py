"""What follows from approvals of policies and from what people found about verdicts.

Never decides what they come to: `bridge.policy` does, from the same rows every time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from bridge.facts import Adjudicated, Decision, PolicyApproved
from bridge.model import Action, Ms, Rid
from bridge.ports import Approval, Ruling
from bridge.store.sql import statements

SQL = statements("ledger.sql")


def follow(db: sqlite3.Connection, fact: PolicyApproved | Adjudicated, now: Ms) -> None:
    """Draw the consequences of one fact, in the transaction that is open."""
    match fact:
        case PolicyApproved(revision=revision, by=by):
            db.execute(SQL["add_approval"], (revision, by))
        case Adjudicated(record=record, rule=rule, action=action, decision=decision):
            row = (record, rule, action.value, decision.value, now)
            db.execute(SQL["add_ruling"], row)


def approvals(rows: Iterable[Any]) -> tuple[Approval, ...]:
    """Read the rows of the statement of that name."""
    return tuple(Approval(revision=revision, by=by) for revision, by in rows)


def rulings(rows: Iterable[Any]) -> tuple[Ruling, ...]:
    """Read the rows of the statement of that name."""
    return tuple(
        Ruling(record=Rid(record), rule=rule, action=Action(action), decision=Decision(decision))
        for record, rule, action, decision in rows
    )
