"""What follows from appeals: how far each has come, and whose next message passes.

Never decides anything, and holds no reason that anybody gave: those are in the records.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bridge.facts import Adjudicated, Appeal, Appealed, Decision, Performed, Stage
from bridge.model import Action, Moment, Ms, Notify, RoomId, UserId
from bridge.ports import Docket
from bridge.store.sql import statements

SQL = statements("ledger.sql")

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Appeal).decode


def follow(db: sqlite3.Connection, fact: Appealed | Adjudicated, now: Ms) -> None:
    """Draw the consequences of one fact, in the transaction that is open."""
    appeal = fact.appeal
    match fact:
        case Appealed(appeal=one, stage=Stage.RAISED as stage):
            db.execute(SQL["add_appeal"], (one.rid, one.event, _encode(one), stage.value))
        case Appealed(appeal=one, stage=stage):
            db.execute(SQL["move_appeal"], (stage.value, one.rid))
        case Adjudicated(decision=decision, by=by) if appeal is not None:
            db.execute(SQL["decide_appeal"], (decision.value, by, now, appeal.rid))


def promise(db: sqlite3.Connection, fact: Adjudicated | Performed, now: Ms) -> None:
    """Remember whose next message is let through: whoever is about to be told so."""
    for user, room, action in passes_of(fact):
        db.execute(SQL["add_pass"], (user, room, action.value, now))


def passes_of(fact: Adjudicated | Performed) -> Iterator[tuple[UserId, RoomId, Action]]:
    """Say whose next message *fact* lets through in which room, up to which action."""
    for effect in fact.owes:
        if isinstance(effect, Notify) and effect.moment is Moment.PASSED:
            action = fact.action if isinstance(fact, Adjudicated) else Action.REDIRECT
            yield effect.to, effect.room, action


def dockets(rows: Iterable[Any]) -> tuple[Docket, ...]:
    """Read the rows of the statements `appeals` and `open_appeals`."""
    return tuple(
        Docket(
            appeal=_decode(appeal),
            stage=Stage(stage),
            decision=Decision(decision) if decision else None,
            decided_by=by,
            decided_at=Ms(at) if at is not None else None,
        )
        for appeal, stage, decision, by, at in rows
    )
