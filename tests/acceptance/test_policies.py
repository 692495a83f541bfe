"""The policy of a running bot changes, and people say what no rule sees."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.cli.main import main
from bridge.demo.officer import Officer
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


async def active(town: Town, capsys: pytest.CaptureFixture[str]) -> str:
    """The revision that decides: of the files, and of what people found wrong before."""
    capsys.readouterr()
    assert await command(town, "policy", "status") == 0
    found = re.search(r"active +(\w+)", capsys.readouterr().out)
    assert found is not None
    return found[1]


async def test_a_running_bot_takes_on_changed_files_and_keeps_the_old_ones_if_they_are_wrong(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = town.stage.config.policies
    pack = folder / "packs" / "kebab.yaml"
    words = "who wants a doner kebab after late turn?"
    event = await town.asha.say(town.social, words)
    await town.settled()
    assert event not in town.ben.phone.removed
    plain = await active(town, capsys)
    try:
        pack.write_text(KEBAB, encoding="utf-8")
        assert await command(town, "policy", "reload") == 0
        said = capsys.readouterr().out
        fresh = await active(town, capsys)
        assert fresh != plain
        assert f"{fresh[:12]} decides" in said
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
    # What people found wrong meanwhile may have made another rule weaker than it was before.
    for _ in range(1_200):
        await asyncio.sleep(0.1)
        if await active(town, capsys) != fresh:
            break
    else:
        pytest.fail("the files as they were decide again, and a hang-up signal ends nobody")
    event = await town.asha.say(town.social, words)
    await town.settled()
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
    await town.settled()
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
    await town.settled()
    assert event not in town.ben.phone.removed
    counted = town.counted(town.kept_of(event))
    assert counted["debt", "notify", ""] == 1
    assert counted["debt", "refer", ""] == 0


async def said_in_the_review_room(town: Town, *words: str) -> bool:
    return await town.gwen.until(
        lambda phone: any(
            all(one in message.body for one in words) for message in phone.messages.values()
        )
    )


async def verdict_on(town: Town, words: str, officer: Officer | None = None) -> Kept | None:
    """Have something said; return the record of the verdict about it, if there is one."""
    event = await (officer or town.asha).say(town.social, words)
    assert await town.gwen.until(lambda phone: event in phone.messages)
    await town.heard(event)
    await town.quiet()
    return next((r for r in town.kept_of(event) if r.header["kind"] == "verdict"), None)


def sees(verdict: Kept | None) -> bool:
    """Say whether the rule took part in a verdict; another one may see something, too."""
    return verdict is not None and "talk.firm" in str(verdict.inside["findings"])


@contextlib.asynccontextmanager
async def rules_alone(town: Town) -> AsyncIterator[Path]:
    """Have no model take part, and few errors count; give the list of people, put back after."""
    config = town.stage.config
    changed = (config.people, config.path, config.policies / "classes.yaml")
    before = [path.read_text(encoding="utf-8") for path in changed]
    assert "wrong_nudges: 5" in before[2]
    await town.bot_stops()
    config.path.write_text(f"{before[1]}model: off\n", encoding="utf-8")
    fewer = before[2].replace("wrong_nudges: 5", "wrong_nudges: 2")
    changed[2].write_text(fewer, encoding="utf-8")
    await town.bot_runs()
    try:
        yield config.people
    finally:
        await town.bot_stops()
        for path, text in zip(changed, before, strict=True):
            path.write_text(text, encoding="utf-8")


async def test_a_rule_that_people_find_wrong_moves_no_more_then_nudges_no_more_and_stays_so(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rules_alone(town) as people:
        assert await finds(town, "00" * 16, "false-positive") == 3
        assert "is not listed as a policy-officer" in capsys.readouterr().err
        with people.open("a", encoding="utf-8") as file:  # the bot goes on running
            file.write("@pia:force.example,Pia Lund,9001,,Insp,,pia,policy-officer\n")
        found: list[str] = []
        for n in range(4):
            verdict = await verdict_on(town, f"obs still on {n}")
            assert verdict is not None
            assert verdict.header["action"] == "redirect"
            found.append(str(verdict.header["rid"]))
            assert await finds(town, found[-1], "false-positive") == 0
        assert "talk.firm wrong 4 times of 4; it no longer moves" in capsys.readouterr().out
        assert await said_in_the_review_room(
            town, "The rule talk.firm", "loses strength: it no longer moves", "wrong 4 times of 4"
        )
        for n in range(4, 7):  # by somebody of whom nothing was moved in the last minute
            verdict = await verdict_on(town, f"obs still on {n}", town.chloe)
            assert verdict is not None
            assert (verdict.header["action"], verdict.header["rule"]) == ("nudge", "talk.firm")
            found.append(str(verdict.header["rid"]))
            assert await finds(town, found[-1], "false-positive") == 0
        assert await said_in_the_review_room(
            town, "The rule talk.firm", "loses strength: it does nothing any more"
        )
        assert not sees(await verdict_on(town, "obs still on, as before", town.chloe))
        assert await command(town, "policy", "status") == 0
        weak = "weakened talk.firm: shadow; wrong 7 times of 7"
        assert weak in capsys.readouterr().out

        await town.bot_stops()
        await town.bot_runs()
        assert not sees(await verdict_on(town, "obs still on, after a restart", town.chloe))
        assert await command(town, "policy", "status") == 0
        assert weak in capsys.readouterr().out
        loaded = [r.header["revision"] for r in town.ledger() if r.header["kind"] == "policy"]
        assert len({*loaded[-4:]}) == 3, "as files have it, without moves, without anything (twice)"
        for rid in found:  # they look again, and the last finding counts
            assert await finds(town, rid, "action-stands") == 0
        assert await said_in_the_review_room(town, "talk.firm", "has its full strength again")
        event = await town.asha.say(town.social, "obs still on, once more")
        assert await town.gone(event)
        await town.quiet()
    assert town.sound()
