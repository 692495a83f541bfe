"""A force on a homeserver of its own: what is tortured shares nothing with other tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.demo.stage import stage
from tests.acceptance.town import Town
from tests.torture.tally import TOLD, table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the torture families of this run found, in one table."""
    if TOLD:
        terminalreporter.section("torture of the ledger")
        for line in table(TOLD):
            terminalreporter.write_line(line)


@pytest_asyncio.fixture(loop_scope="function")
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Everything new, and taken down again."""
    async with stage(tmp_path, lambda _: None) as built:
        yield Town(built)
