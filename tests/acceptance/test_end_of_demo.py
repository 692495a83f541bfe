"""How a shift ends: its ledger is held against the homeserver when the bot has heard everything."""

from __future__ import annotations

import datetime

import pytest

from bridge.config import Config
from bridge.demo import stage
from bridge.model import Ms
from bridge.running.app import compare_coverage
from bridge.running.coverage import Coverage, Day
from tests.acceptance.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_bot_that_owes_nothing_is_not_stopped_before_it_has_heard_its_own_last_words(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has just sent comes back to it a moment later, and only then is on record."""
    late = Day("Response A secure", datetime.date(2026, 11, 22), served=1, missed=["$late"])
    running: list[bool] = []

    async def not_at_once(config: Config, since: Ms) -> Coverage:
        running.append(town.stage.bot.running)
        if len(running) == 1:
            return Coverage(days=(late,), closed={})
        return await compare_coverage(config, since)

    monkeypatch.setattr(stage, "compare_coverage", not_at_once)
    await town.settled()
    assert await town.stage.keep([]) == []
    assert running[:2] == [True, True], "it went on until nothing was missing"
    assert not running[-1]
