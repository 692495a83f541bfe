"""The policy of a running bot changes, and people say what no rule sees."""

from __future__ import annotations

import asyncio
import signal

import pytest

from bridge.cli.main import main
from bridge.config import load_policies
from tests.acceptance.town import Kept, Town

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

KEBAB = """rules:
  - id: pack.kebab
    title: A kebab
    reason: it has a kebab
    family: kebab
    dpia: DPIA-1
    phrases: [doner kebab]
    confidence: {base: 70}
    match: [a doner kebab]
    no_match: [milk]
"""


async def command(town: Town, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["-c", str(town.stage.config.path), *arguments])


async def finds(town: Town, rid: str, decision: str) -> int:
    return await command(town, "policy", "adjudicate", rid, "--decision", decision, "--by", "pia")


def verdicts(kept: list[Kept]) -> list[str]:
    return [str(r.header["rule"]) for r in kept if r.header["kind"] == "verdict"]


async def test_a_running_bot_takes_on_changed_files_and_keeps_the_old_ones_if_they_are_wrong(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = town.stage.config.policies
    pack = folder / "packs" / "kebab.yaml"
    words = "who wants a doner kebab after late turn?"
    event = await town.asha.say(town.social, words)
    await asyncio.sleep(1)
    assert event not in town.ben.phone.removed
    try:
        pack.write_text(KEBAB, encoding="utf-8")
        assert await command(town, "policy", "reload") == 0
        fresh = load_policies(folder, clock=None).revision
        assert f"{fresh[:12]} decides" in capsys.readouterr().out
        event = await town.asha.say(town.social, words)
        assert await town.gone(event)
        await town.quiet()
        ledger = town.ledger()
        loaded = next(r.seq for r in ledger if r.header["kind"] == "policy"
                      and r.header["revision"] == fresh)  # fmt: skip
        first = next(r.seq for r in ledger if r.header["kind"] in {"verdict", "message"}
                     and r.header.get("revision") == fresh)  # fmt: skip
        assert loaded < first

        pack.write_text(KEBAB.replace("  - id:", "  - idd:"), encoding="utf-8")
        assert await town.gwen.until(
            lambda phone: any(
                "packs/kebab.yaml:2: unknown key 'idd'" in m.body for m in phone.messages.values()
            )
        ), "without being asked, within seconds"
        event = await town.asha.say(town.social, words)
        assert await town.gone(event), "the old policy stays"
        assert await command(town, "policy", "status") == 0
        said = capsys.readouterr().out
        assert f"active   {fresh}" in said
        assert "packs/kebab.yaml:2" in said
    finally:
        pack.unlink(missing_ok=True)
        process = town.stage.bot._process
        assert process is not None
        process.send_signal(signal.SIGHUP)
    plain = load_policies(folder, clock=None).revision
    for _ in range(15):
        await asyncio.sleep(0.1)
        if await command(town, "policy", "status") == 0 and (
            f"active   {plain}" in capsys.readouterr().out
        ):
            break
    else:
        pytest.fail("a hang-up signal has the files read at once")
    event = await town.asha.say(town.social, words)
    await asyncio.sleep(1)
    assert event not in town.ben.phone.removed
    assert town.sound()


async def test_the_supervisors_reaction_moves_what_no_rule_saw(town: Town) -> None:
    words = "he is kicking off again at the usual place"
    event = await town.asha.say(town.social, words)
    assert await town.gwen.until(lambda phone: event in phone.messages)
    await town.ben.react(town.social, event, "🚨")
    assert await town.gwen.until(
        lambda phone: any(
            "a message that a colleague says is operational" in m.body
            for m in phone.messages.values()
        )
    ), "a member's reaction asks"
    await asyncio.sleep(0.5)
    assert event not in town.ben.phone.removed
    await town.gwen.react(town.social, event, "🚨")
    assert await town.gone(event)
    assert await town.copied(words)
    assert await town.noted(town.asha, 1, "the room's supervisor marked it as operational")
    await town.quiet()
    assert verdicts(town.kept_of(event)) == ["member.asks", "member.supervisor"]
    asked = [m for m in town.gwen.phone.messages.values() if "says is operational" in m.body]
    assert not any(words in m.body for m in asked)


async def test_somebody_in_distress_is_offered_support_in_private(town: Town) -> None:
    event = await town.chloe.say(town.social, "can't stop thinking about that baby")
    assert await town.noted(town.chloe, 1, "Peer Support, ext. 4450")
    await town.quiet()
    assert event not in town.ben.phone.removed
    counted = town.counted(town.kept_of(event))
    assert counted["debt", "notify", ""] == 1
    assert counted["debt", "refer", ""] == 0


async def test_what_people_find_wrong_is_seen_in_the_status(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    people = town.stage.config.people
    plain = people.read_text(encoding="utf-8")
    officer = "@pia:force.example,Pia Lund,9001,,Insp,,pia,policy-officer"
    await town.bot_stops()
    people.write_text(f"{plain}{officer}\n", encoding="utf-8")
    try:
        await town.bot_runs()
        rids: list[str] = []
        for n in range(4):
            event = await town.asha.say(town.social, f"obs still on {n}")
            assert await town.gone(event)
            await town.quiet()
            rids.append(next(str(r.header["rid"]) for r in town.kept_of(event)))
            assert await finds(town, rids[-1], "false-positive") == 0
        assert "talk.firm wrong 4 times of 4; it no longer moves" in capsys.readouterr().out
        event = await town.asha.say(town.social, "obs still on, again")
        assert await town.gwen.until(
            lambda phone: any("loses strength" in m.body for m in phone.messages.values())
        )
        await town.quiet()
        assert event not in town.ben.phone.removed
        for rid in rids:  # they look again
            assert await finds(town, rid, "action-stands") == 0
        event = await town.asha.say(town.social, "obs still on, once more")
        assert await town.gone(event)
        await town.quiet()
    finally:
        await town.bot_stops()
        people.write_text(plain, encoding="utf-8")
    assert town.sound()
