"""A gate whose bot is killed, hangs and comes back, while people talk.

Whatever the gate heard in time, the oracle's counts are the same: nothing is lost, nothing is moved
twice, and what is operational ends up out of the room and once in the secure one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer
from bridge.demo.stage import gate_module, stage
from bridge.model import EventId, Ms, RoomId
from bridge.running.app import compare_coverage
from tests.acceptance.town import Kept, Town, plate
from tests.torture.test_dying_intake import settled

#: One message in so many is operational.
ONE_IN = 4
#: Messages, and how often the bot is killed or made to hang meanwhile.
SMALL = (32, 5)
FULL = (
    int(os.environ.get("TORTURE_MESSAGES", "600")),
    int(os.environ.get("TORTURE_FLAPS", "60")),
)
#: How long the gate waits for the bot; a bot that hangs does so for longer.
GATE_MS = 800
TEAMS = {"Response A": ("asha", "ben", "chloe"), "Response B": ("dan", "ewa", "femi")}


@dataclass(frozen=True)
class Said:
    """One message that the server accepted, and who looks what became of it."""

    event: EventId
    room: RoomId
    secure: RoomId
    witness: Officer
    words: str
    operational: bool


@dataclass
class Run:
    """People who talk, and somebody who kills and stuns the bot."""

    town: Town
    chance: random.Random
    said: list[Said] = field(default_factory=list)
    flaps: Counter[str] = field(default_factory=Counter)
    spoken: asyncio.Event = field(default_factory=asyncio.Event)
    #: Whether the bot runs, be it that it hangs.
    up: bool = True

    async def talk(self, count: int, flaps: int) -> None:
        """Say *count* things, and go on as long as the bot flaps; as clients do, never in doubt."""
        stage_ = self.town.stage
        while len(self.said) < count or self.flaps.total() < flaps:
            team = self.chance.choice(list(TEAMS))
            names = self.chance.sample(TEAMS[team], 2)
            speaker, witness = (stage_.officers[name] for name in names)
            operational = len(self.said) % ONE_IN == ONE_IN - 1
            words = f"{plate()} is outside the address" if operational else (
                f"milk, round {len(self.said)}"
            )  # fmt: skip
            if self.chance.random() < 0.2:
                speaker.transport.client.olm.outbound_group_sessions.pop(stage_.social(team), None)
            event = await speaker.say(stage_.social(team), words)
            self.said.append(Said(
                event, stage_.social(team), stage_.secure(team), witness, words, operational
            ))  # fmt: skip
            self.spoken.set()
            # While the bot is away all is delivered: a slow start is not to be most of a run.
            pauses = (0.0, 0.0, 0.1, 0.5) if self.up else (0.5, 2.0)
            await asyncio.sleep(self.chance.choice(pauses))

    async def flap(self, flaps: int) -> None:
        """Kill the bot, stop it, or have it hang, *flaps* times; it runs in the end."""
        bot = self.town.stage.bot
        while self.flaps.total() < flaps:
            # A life is as long as some messages take, however slow the machine.
            until = len(self.said) + self.chance.randint(3, 16)
            while len(self.said) < until:
                self.spoken.clear()
                await self.spoken.wait()
            how = self.chance.choice(("killed", "killed", "hung", "stopped"))
            assert bot._process is not None
            if how == "hung":
                os.kill(bot._process.pid, signal.SIGSTOP)
                await asyncio.sleep(self.chance.uniform(0.1, 3 * GATE_MS / 1000))
                os.kill(bot._process.pid, signal.SIGCONT)
            else:
                self.up = False
                if how == "killed":
                    bot.kill()
                else:
                    await asyncio.to_thread(bot.stop)
                await asyncio.sleep(self.chance.uniform(0.0, 1.0))
                await bot.start()
                self.up = True
            self.flaps[how] += 1


def became(one: Said, records: Sequence[Kept]) -> Counter[str]:
    """How often an operational message was copied, left the room and was decided about."""
    shown = list(one.witness.phone.messages.values())
    about = {
        r.header["rid"] for r in records
        if r.inside.get("room") == one.room and one.words in json.dumps(r.inside.get("content", ""))
    }  # fmt: skip
    count = Counter[str]()
    count["copies"] = sum(
        m.room == one.secure and one.words in m.body and m.type == "m.room.message" for m in shown
    )
    count["removals"] = sum(
        m.type == "m.room.redaction" and json.loads(m.content).get("redacts") == one.event
        for m in shown
    )
    count["records"] = len(about)
    debts = {r.header["rid"]: str(r.header["effect"]) for r in records
             if r.header["kind"] == "debt" and r.header.get("ref") in about}  # fmt: skip
    count["copied, says the record"] = sum(
        r.header["kind"] == "outcome" and r.header.get("status") == "done"
        and debts.get(str(r.header.get("ref"))) == "copy"
        for r in records
    )  # fmt: skip
    return count


ONCE = Counter({"copies": 1, "removals": 1, "records": 1, "copied, says the record": 1})


async def torture(town: Town, capsys: pytest.CaptureFixture[str], count: int, flaps: int) -> None:
    seed = int(os.environ.get("TORTURE_SEED", "0")) or secrets.randbelow(10**9)
    run = Run(town, random.Random(seed))  # noqa: S311 - a run that can be played again
    began = time.monotonic()
    await asyncio.gather(run.talk(count, flaps), run.flap(flaps))
    status = await settled(town, 60 + count / 5)
    took_s = time.monotonic() - began
    chat = [one for one in run.said if not one.operational]
    moved = [one for one in run.said if one.operational]
    for one in moved:  # what the server has is on its way to phones
        await one.witness.until(lambda phone, one=one: one.event in phone.removed, 20)  # type: ignore[misc]
    covered = await compare_coverage(town.stage.config, Ms(0))
    records = await asyncio.to_thread(town.ledger)
    found = {one.event: became(one, records) for one in moved}
    wrong = {event: dict(got) for event, got in found.items() if got != ONCE}
    recorded = {r.inside.get("event_id") for r in records}
    lost = [one.words for one in chat if one.event not in recorded]
    unread = [one for one in chat if one.event not in one.witness.phone.messages]
    stopped = sum(r.inside.get("origin") == "stopped at the gate" for r in records)
    reached = sum(
        any(m.room == one.room and one.words in m.body
            for m in one.witness.phone.messages.values())
        for one in moved
    )  # fmt: skip
    sound = await asyncio.to_thread(town.sound)
    rows = {
        "seed": seed,
        "messages": len(run.said),
        "flaps": ", ".join(f"{what} {times}" for what, times in sorted(run.flaps.items())),
        "seconds": f"{took_s:.0f}",
        "missed": f"{covered.missed} of {covered.served}",
        "undecryptable at the end": covered.unreadable,
        "stopped before delivery": f"{stopped} of {len(moved)}",
        "delivered, and then taken out": f"{reached} of {len(moved)}",
        "operational, moved once": f"{len(moved) - len(wrong)} of {len(moved)}",
        "chat that was lost": len(lost) + len(unread),
        "ledger verifies": sound,
        "bot": status,
    }
    with capsys.disabled():
        print("\n" + "\n".join(f"  {name:34}{value}" for name, value in rows.items()))
    assert stopped, "a gate that is never up proves nothing"
    assert not wrong
    assert not lost
    assert not unread
    assert covered.missed == 0
    assert covered.unreadable == 0
    assert sound
    assert " 0 things owed" in status


@pytest_asyncio.fixture(loop_scope="function")
async def gated(tmp_path: Path) -> AsyncIterator[Town]:
    """Everything new, with a gate, and taken down again."""
    module = gate_module(tmp_path, GATE_MS)
    # Asked again soon after it was found dead, or a slow machine would never ask.
    module["config"] = {**cast("dict[str, object]", module["config"]), "rest_s": 1}
    place = tmp_path / "homeserver"
    async with (
        Homeserver(place, settings={"modules": [module]}) as server,
        stage(tmp_path, lambda _: None, server=server, gate_ms=GATE_MS) as built,
    ):
        yield Town(built)


@pytest.mark.slow
async def test_nothing_is_lost_or_moved_twice_by_a_gate_that_flaps_five_times(
    gated: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    await torture(gated, capsys, *SMALL)


@pytest.mark.torture
async def test_nothing_is_lost_or_moved_twice_by_a_gate_that_flaps_sixty_times(
    gated: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    await torture(gated, capsys, *FULL)
