"""`bluelamp run` that is killed with -9 at a chosen moment. For the tests only.

Usage: python -m tests.acceptance.dying_bot -c CONFIG run MOMENT, where MOMENT is before:WHAT,
during:WHAT (the server has done it, we have not recorded it) or after:WHAT; WHAT is record, copy,
redact or notify.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from bridge.cli.main import main
from bridge.enforce import Enforcer
from bridge.facts import Decided, Fact, Performed
from bridge.ledger.facts import effect_name
from bridge.model import Cursor, Debt, EventId, key
from bridge.store.sqlite import SqliteStore


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

    Enforcer._do = mined_do  # type: ignore[method-assign]
    SqliteStore.append = mined_append  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[-1])
    sys.exit(main(sys.argv[1:-1]))
