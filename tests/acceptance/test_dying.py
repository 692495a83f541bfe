"""Killed with -9 at every moment that matters: each effect happens once, and is on record first."""

from __future__ import annotations

import asyncio

import pytest

from tests.acceptance.town import Town, plate

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

MOMENTS = [
    "before:record",
    "after:record",
    "before:copy",
    "during:copy",
    "after:copy",
    "before:redact",
    "during:redact",
    "after:redact",
    "before:notify",
    "during:notify",
    "after:notify",
]


#: These are part of `make test`, the others of `make accept`.
FIRST = {"during:copy", "during:redact"}


@pytest.mark.parametrize(
    "moment",
    [pytest.param(m, marks=() if m in FIRST else pytest.mark.slow) for m in MOMENTS],
)
async def test_a_bot_that_dies_puts_everything_right_once_when_it_returns(
    town: Town, moment: str
) -> None:
    """Copied once, removed once, told once, however it died."""
    bot = town.stage.bot
    await town.quiet()
    await town.bot_stops()
    await bot.start(module="tests.acceptance.dying_bot", also=[moment])
    notes = len(town.notes(town.asha, "is now in"))
    words = f"{plate()} is outside the address, {moment}"
    event = await town.asha.say(town.social, words)
    assert await asyncio.to_thread(bot.wait, 120) == -9, "it should have been killed"

    await bot.start()
    assert await town.gone(event)
    assert await town.copied(words)
    assert await town.noted(town.asha, notes + 1, "is now in")
    await town.settled(town.ben, town.asha)

    assert len(town.copies(words)) == 1
    assert await town.removals(event) == 1
    assert len(town.notes(town.asha, "is now in")) == notes + 1
    assert len({note.room for note in town.notes(town.asha)}) == 1, "one direct room, remembered"
    counted = town.counted(town.kept_of(event))
    for effect in ("copy", "redact", "notify"):
        assert counted["debt", effect, ""] == 1
        assert counted["outcome", effect, "done"] == 1
    assert counted["message", "", ""] == 1
    assert counted["verdict", "", ""] == 1
    assert town.sound()
