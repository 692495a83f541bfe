"""`bluelamp run` that is killed with -9 at a chosen moment. For the tests only.

Usage: python -m tests.acceptance.dying_bot -c CONFIG run MOMENT, where MOMENT is before:WHAT,
during:WHAT (the server has done it, we have not recorded it) or after:WHAT; WHAT is record, copy,
redact, notify, close or (during only) card. halfway:close is when the first of what is left was
taken out.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from bridge.acting.enforce import Enforcer
from bridge.acting.hanging import Hanging
from bridge.cli.main import main
from bridge.facts import Decided, Fact, Performed
from bridge.ledger.facts import effect_name
from bridge.matrix.closing import MatrixRemains
from bridge.model import Close, Cursor, Debt, EventId, Outcome, key
from bridge.store.sqlite import SqliteStore
from tests.acceptance.patient_bot import wait


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str) -> None:
    """Put the mine in its place."""
    when, _, what = moment.partition(":")
    do, append = Enforcer._do, SqliteStore.append
    names: dict[str, str] = {}

    async def mined_do(self: Enforcer, debt: Debt, txn: str, *, look_first: bool) -> EventId:
        names[key(debt.effect)] = effect_name(debt.effect)
        if (when, what) == ("before", effect_name(debt.effect)):
            _die()
        event = await do(self, debt, txn, look_first=look_first)
        if (when, what) == ("during", effect_name(debt.effect)):
            _die()
        return event

    async def mined_append(
        self: SqliteStore, facts: Sequence[Fact], *, cursor: Cursor | None = None
    ) -> None:
        decided = any(isinstance(fact, Decided) and fact.owes for fact in facts)
        if decided and (when, what) == ("before", "record"):
            _die()
        await append(self, facts, cursor=cursor)
        if decided and (when, what) == ("after", "record"):
            _die()
        done = [names.get(f.outcome.key) for f in facts if isinstance(f, Performed)]
        if when == "after" and what in done:
            _die()

    close, take_out = Enforcer._close, MatrixRemains.take_out

    async def mined_close(self: Enforcer, debt: Debt, effect: Close) -> Outcome:
        names[key(effect)] = "close"
        if moment == "before:close":
            _die()
        outcome = await close(self, debt, effect)
        if moment == "during:close":
            _die()
        return outcome

    async def mined_take_out(self: MatrixRemains, *what: Any, **how: Any) -> None:
        await take_out(self, *what, **how)
        if moment == "halfway:close":
            _die()

    Enforcer._close = mined_close  # type: ignore[method-assign]
    say = Hanging.say

    async def mined_say(self: Hanging, *what: Any, **how: Any) -> EventId:
        event = await say(self, *what, **how)
        if moment == "during:card":
            _die()
        return event

    Hanging.say = mined_say  # type: ignore[method-assign]
    MatrixRemains.take_out = mined_take_out  # type: ignore[method-assign]
    Enforcer._do = mined_do  # type: ignore[method-assign]
    SqliteStore.append = mined_append  # type: ignore[method-assign]


if __name__ == "__main__":
    wait()
    arm(sys.argv[-1])
    sys.exit(main(sys.argv[1:-1]))
