"""The brake, and rehearsal: how people stop the bot from acting while it goes on recording."""

from __future__ import annotations

import asyncio

import pytest

from bridge.cli.main import main
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def command(town: Town, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["-c", str(town.stage.config.path), *arguments])


async def test_a_pause_stops_acting_at_once_and_recording_goes_on(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was owed meanwhile is done when a person says so."""
    assert await command(town, "pause", "--room", "Response A social") == 0
    assert "Paused in Response A social" in capsys.readouterr().out
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    await asyncio.sleep(2)
    assert event not in town.ben.phone.removed
    assert "paused: Response A social" in await town.stage.bot.status()
    assert any(r.inside.get("event_id") == event for r in town.ledger())

    assert await command(town, "resume", "--room", "Response A social") == 0
    assert await town.gone(event)
    await town.quiet()


async def test_a_pause_survives_a_restart(town: Town) -> None:
    assert await command(town, "pause", "--all") == 0
    await town.bot_stops()
    await town.bot_runs()
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    await asyncio.sleep(2)
    assert event not in town.ben.phone.removed
    assert await command(town, "resume", "--all") == 0
    assert await town.gone(event)
    await town.quiet()


async def test_what_was_owed_can_be_waived_and_that_is_on_record(town: Town) -> None:
    """After a wrong rule, nobody wants its removals carried out late."""
    assert await command(town, "pause", "--all") == 0
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    await asyncio.sleep(1)
    assert await command(town, "resume", "--all", "--waive") == 0
    await town.quiet()
    await asyncio.sleep(0.5)
    assert event not in town.ben.phone.removed
    counted = town.counted(town.kept_of(event))
    assert counted["outcome", "redact", "waived"] == 1
    assert counted["outcome", "copy", "waived"] == 1


async def test_too_many_removals_set_the_brake_and_a_person_is_called(town: Town) -> None:
    """A rule that goes wrong stops itself; the limit here is three a minute."""
    path = town.stage.config.path
    plain = path.read_text(encoding="utf-8")
    await town.bot_stops()
    path.write_text(plain + "brake: {removals_per_minute: 3}\n", encoding="utf-8")
    try:
        await town.bot_runs()
        events = [await town.asha.say(town.social, f"{plate()} north, {n}") for n in range(5)]
        assert await town.gwen.until(
            lambda phone: any("has paused itself" in m.body for m in phone.messages.values())
        )
        await asyncio.sleep(1)
        removed = [event for event in events if event in town.ben.phone.removed]
        assert len(removed) == 3
        assert "paused: Response A social" in await town.stage.bot.status()
        assert await command(town, "resume", "--all", "--waive") == 0
        await town.quiet()
    finally:
        await town.bot_stops()
        path.write_text(plain, encoding="utf-8")
    assert town.sound()


async def test_a_rehearsal_judges_and_records_but_sends_nothing(town: Town) -> None:
    await town.bot_stops()
    await town.stage.bot.start(also=["--rehearse"])
    words = f"{plate()} is at the address"
    event = await town.asha.say(town.social, words)
    await asyncio.sleep(2)
    await town.quiet()
    assert event not in town.ben.phone.removed
    assert town.copies(words) == []
    counted = town.counted(town.kept_of(event))
    assert counted["outcome", "redact", "rehearsed"] == 1
    await town.bot_stops()
    await town.bot_runs()
    await asyncio.sleep(1)
    assert event not in town.ben.phone.removed
