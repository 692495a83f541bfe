"""A force on the shared homeserver: rooms, phones and one bot process, for all stories."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.demo.homeserver import Homeserver
from bridge.demo.stage import Stage, stage
from tests.acceptance.town import PATIENT_BOT, Town


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def everything(
    homeserver: Homeserver, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """Built once; the stories follow one another in it."""
    folder = tmp_path_factory.mktemp("force")
    async with stage(folder, lambda _: None, server=homeserver, module=PATIENT_BOT) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="session")
async def town(everything: Stage) -> Town:
    """The force with its bot running, as a story begins: the one before has ended for everybody."""
    found = Town(everything)
    await found.bot_runs()
    await found.quiet()
    await found.passed(found.ben, found.asha, found.chloe)
    return found
