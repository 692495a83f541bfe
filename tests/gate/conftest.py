"""A force whose homeserver asks the bot before it delivers a message."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.demo.stage import Stage, stage
from tests.acceptance.town import PATIENT_BOT, Town

#: The most that a force may have a room wait: on a slow machine all of it may be needed.
BUDGET_MS = 5_000


class Gated(Town):
    """A running force behind the gate, seen from outside."""

    def rows(self, needle: str) -> int:
        """How many rows of the homeserver's tables hold *needle*."""
        path: Path = self.stage.homeserver.directory / "homeserver.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60) as db:
            tables = {
                "event_json": "json", "events": "event_id", "rejections": "event_id",
                "event_search": "value",
            }  # fmt: skip
            return sum(
                int(db.execute(
                    f"SELECT count(*) FROM {table} WHERE {column} LIKE ?", (f"%{needle}%",)
                ).fetchone()[0])
                for table, column in tables.items()
            )  # fmt: skip


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def behind(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Built once, with a homeserver of its own."""
    folder = tmp_path_factory.mktemp("gated")
    async with stage(folder, lambda _: None, gate_ms=BUDGET_MS, module=PATIENT_BOT) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="session")
async def gated(behind: Stage) -> Gated:
    """The force with its bot running, as a story begins."""
    found = Gated(behind)
    await found.bot_runs()
    await found.quiet()
    await found.passed(found.ben, found.asha, found.chloe)
    return found
