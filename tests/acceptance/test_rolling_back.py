"""Somebody puts yesterday's ledger back, with its anchor: the witness remembers, the bot stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import BridgeError
from tests.acceptance.test_guarding import until
from tests.acceptance.town import Town, plate

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


def kept(town: Town) -> tuple[Path, Path]:
    config = town.stage.config
    assert config.anchor is not None
    return config.ledger, config.anchor


async def test_a_ledger_that_was_put_back_is_refused_by_the_witness(town: Town) -> None:
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    assert await town.gone(event)
    await town.quiet()

    async def witnessed() -> bool:
        return "witness witness.force.example/w1 signed" in await town.stage.bot.status()

    assert await until(witnessed)
    await town.bot_stops()
    old, before = [path.read_bytes() for path in kept(town)], len(town.ledger())

    await town.bot_runs()
    later = await town.asha.say(town.social, f"{plate()} has gone")
    assert await town.gone(later)
    await town.quiet()
    await town.bot_stops()
    new = [path.read_bytes() for path in kept(town)]

    try:
        for path, raw in zip(kept(town), old, strict=True):
            path.write_bytes(raw)
        with pytest.raises(BridgeError, match=r"rolled back or replaced\. .*ledger recover"):
            await town.stage.bot.start()
        assert len(town.ledger()) == before  # nothing was added to it
    finally:
        for path, raw in zip(kept(town), new, strict=True):
            path.write_bytes(raw)
    await town.bot_runs()
    assert town.sound()
