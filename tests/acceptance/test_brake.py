"""The brake, and rehearsal: how people stop the bot from acting while it goes on recording."""

from __future__ import annotations

import asyncio

import pytest

from bridge.cli.main import main
from bridge.running.app import now
from tests.acceptance.town import Town, plate

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def command(town: Town, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["-c", str(town.stage.config.path), *arguments])


async def test_a_pause_stops_acting_at_once_and_recording_goes_on(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was owed meanwhile is done when a person says so."""
    assert await command(town, "pause", "--room", "Response A social") == 0
    assert "Paused in Response A social" in capsys.readouterr().out
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    await town.heard(event)
    await town.passed()
    assert event not in town.ben.phone.removed
    assert "paused: Response A social" in await town.stage.bot.status()
    assert any(r.inside.get("event_id") == event for r in town.ledger())

    resumed = now()
    assert await command(town, "resume", "--room", "Response A social") == 0
    assert await town.gone(event)
    await town.quiet()
    (removed_at,) = town.removed_at(event)
    assert removed_at >= resumed


async def test_a_pause_survives_a_restart(town: Town) -> None:
    assert await command(town, "pause", "--all") == 0
    await town.bot_stops()
    await town.bot_runs()
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    await town.heard(event)
    await town.passed()
    assert event not in town.ben.phone.removed
    resumed = now()
    assert await command(town, "resume", "--all") == 0
    assert await town.gone(event)
    await town.quiet()
    (removed_at,) = town.removed_at(event)
    assert removed_at >= resumed


async def test_what_was_owed_can_be_waived_and_that_is_on_record(town: Town) -> None:
    """After a wrong rule, nobody wants its removals carried out late."""
    assert await command(town, "pause", "--all") == 0
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    await town.heard(event)
    assert await command(town, "resume", "--all", "--waive", "--by", "PC Dan Murray") == 0
    assert "paused: every room" in await town.stage.bot.status(), "it takes two"
    assert await command(town, "resume", "--all", "--waive", "--by", "PC Ewa Nowak") == 0
    await town.settled()
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
        events = [await town.asha.say(town.social, f"{plate()} seen north, {n}") for n in range(5)]
        assert await town.gwen.until(
            lambda phone: any("has paused itself" in m.body for m in phone.messages.values())
        )
        await town.heard(*events)
        assert await town.ben.until(lambda phone: len({*events} & phone.removed.keys()) >= 3)
        await town.passed()
        removed = [event for event in events if event in town.ben.phone.removed]
        assert len(removed) == 3
        assert "paused: Response A social" in await town.stage.bot.status()
        for one in ("PC Dan Murray", "PC Ewa Nowak"):
            assert await command(town, "resume", "--all", "--waive", "--by", one) == 0
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
    await town.settled()
    assert event not in town.ben.phone.removed
    assert town.copies(words) == []
    counted = town.counted(town.kept_of(event))
    assert counted["outcome", "redact", "rehearsed"] == 1
    await town.bot_stops()
    await town.bot_runs()
    await town.settled()
    assert event not in town.ben.phone.removed


async def said_in_review(town: Town, words: str) -> str:
    """What the bot said with these words in the review room, as its supervisor sees it."""
    review = town.stage.rooms["review"]

    def found() -> list[str]:
        every = town.gwen.phone.messages.values()
        return [m.body for m in every if m.room == review and words in m.body]

    assert await town.gwen.until(lambda _: bool(found()), 240), words
    return found()[-1]


@pytest.mark.slow
async def test_a_supervisor_pauses_a_room_from_the_review_room_and_it_ends_by_itself(
    town: Town,
) -> None:
    """Typed in an encrypted room, on record, and told where it was ordered."""
    review = town.stage.rooms["review"]
    await town.gwen.enter(review)
    await town.gwen.say(review, "!pause Response A social 1m a wrong rule")
    assert "Recording goes on" in await said_in_review(town, "Paused in Response A social until")
    event = await town.asha.say(town.social, f"{plate()} is at the address")
    assert "is over" in await said_in_review(town, "The pause in Response A social")
    assert await town.gone(event)
    await town.quiet()
    on, off = [r for r in town.ledger() if r.header["kind"] == "brake"][-2:]
    assert on.inside["by"] == town.gwen.user
    assert on.inside["reason"] == "a wrong rule"
    assert off.inside["by"] == "bluelamp"
    (removed_at,) = town.removed_at(event)
    assert removed_at >= int(off.header["t"]), "not before the pause was over"
    assert town.sound()


async def test_in_a_major_incident_everything_is_recorded_and_nothing_is_done(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command(
        town, "incident", "on", "--room", "Response A social", "--for", "1h", "--reason", "a flood"
    ) == 0  # fmt: skip
    assert "Major-incident mode is on in Response A social until" in capsys.readouterr().out
    assert "a flood" in await said_in_review(town, "switched major-incident mode on")
    words = f"{plate()} is at the address"
    event = await town.asha.say(town.social, words)
    await town.settled()
    assert event not in town.ben.phone.removed
    assert town.copies(words) == []
    assert await command(town, "incident", "off", "--all") == 0
    await town.settled()
    assert event not in town.ben.phone.removed, "not afterwards either"
    kept = town.kept_of(event)
    verdict = next(r for r in kept if r.header["kind"] == "verdict")
    assert (verdict.header["action"], verdict.inside["held"]) == ("redirect", "incident")
    assert not [r for r in kept if r.header["kind"] == "debt"]
    moved = await town.asha.say(town.social, f"{plate()} is at the address")
    assert await town.gone(moved)
    assert town.sound()


async def test_one_room_rehearses_while_another_acts(town: Town) -> None:
    path = town.stage.config.rooms
    plain = path.read_text(encoding="utf-8")
    await town.bot_stops()
    path.write_text(
        plain.replace("name: Response A social", "name: Response A social\n    rehearse: true"),
        encoding="utf-8",
    )
    try:
        await town.bot_runs()
        event = await town.asha.say(town.social, f"{plate()} is at the address")
        other = town.stage.officers["dan"]
        acted = await other.say(town.stage.social("Response B"), f"{plate()} is at the address")
        witness = town.stage.officers["ewa"]
        assert await witness.until(lambda phone: acted in phone.removed)
        await town.settled()
        assert event not in town.ben.phone.removed
        assert town.counted(town.kept_of(event))["outcome", "redact", "rehearsed"] == 1
    finally:
        await town.bot_stops()
        path.write_text(plain, encoding="utf-8")
