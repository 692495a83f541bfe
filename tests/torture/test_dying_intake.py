"""A new Megolm session for every message, and a bot that is killed with -9 again and again.

Nothing may be lost or stay unreadable, and what is operational is moved once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest

from bridge.demo.officer import Officer
from bridge.errors import BridgeError
from bridge.model import EventId, Ms, RoomId
from bridge.running.app import compare_coverage
from tests.acceptance.town import Kept, Town, plate

#: One message in so many is operational.
ONE_IN = 8
#: Messages, kills, and messages while the bot is away at the end; the full run's can be chosen.
#: A server hands out 100 keys at a time: with more, words come before their keys.
SMALL = (40, 6, 0)
FULL = (
    int(os.environ.get("TORTURE_MESSAGES", "1000")),
    int(os.environ.get("TORTURE_KILLS", "100")),
    130,
)
EFFECTS = ("copy", "redact", "notify", "close")
#: Kinds of records of what was said; what came before its key has two of them.
READ = ("message", "undecryptable", "late")


@dataclass(frozen=True)
class Said:
    """One message that the server accepted."""

    event: EventId
    room: RoomId
    secure: RoomId
    by: Officer
    words: str
    operational: bool


@dataclass
class Run:
    """People who talk, and somebody who kills."""

    town: Town
    chance: random.Random
    said: list[Said] = field(default_factory=list)
    #: How long after its start the bot was killed each time, s.
    lived_s: list[float] = field(default_factory=list)
    #: How many of these while it was still starting, and just after somebody spoke.
    unborn: int = 0
    listening: int = 0
    spoken: asyncio.Event = field(default_factory=asyncio.Event)
    #: So many messages are to be there before the bot comes back for good.
    piled: int = 0

    async def talk(self, count: int, kills: int) -> None:
        """Say *count* things at least, and go on as long as somebody kills."""
        stage = self.town.stage
        teams = [
            (stage.social(team), stage.secure(team), [stage.officers[name] for name in names])
            for team, names in (
                ("Response A", ("asha", "ben", "chloe")),
                ("Response B", ("dan", "ewa", "femi")),
            )
        ]
        # So that the talk lasts about as long as the killing: a life and a start are about 3 s.
        pause_s = 3.0 * kills / count * 0.8
        while len(self.said) < max(count, self.piled) or len(self.lived_s) < kills:
            room, secure, officers = self.chance.choice(teams)
            officer = self.chance.choice(officers)
            operational = len(self.said) % ONE_IN == ONE_IN - 1
            number = len(self.said)
            words = f"{plate()} at the address" if operational else f"milk, round {number}"
            officer.transport.client.olm.outbound_group_sessions.pop(room, None)
            event = await officer.say(room, words)
            self.said.append(Said(event, room, secure, officer, words, operational))
            self.spoken.set()
            # Bursts and silences, as people talk.
            if not self.piled:
                await asyncio.sleep(self.chance.choice((0.0, 0.5, 1.0, 2.5)) * pause_s)

    async def kill(self, kills: int, away: int) -> None:
        """Start the bot and kill it, *kills* times: while it starts, as it listens, any time."""
        bot = self.town.stage.bot
        while len(self.lived_s) < kills:
            began = time.monotonic()
            if not bot.running:
                starting = asyncio.create_task(bot.start())
                if self.chance.random() < 0.2:
                    await asyncio.wait({starting}, timeout=self.chance.uniform(0.1, 2.5))
                    self.unborn += not starting.done()
                    bot.kill()
                    with contextlib.suppress(BridgeError):
                        await starting
                    self.lived_s.append(time.monotonic() - began)
                    continue
                await starting
            if self.chance.random() < 0.6:
                # As keys and words come in: about when they are saved and put on record.
                self.listening += 1
                await asyncio.sleep(self.chance.uniform(0.0, 0.5))
                self.spoken.clear()
                await self.spoken.wait()
                await asyncio.sleep(self.chance.uniform(0.0, 0.15))
            else:
                await asyncio.sleep(self.chance.uniform(0.0, 2.0))
            assert bot.running, bot.last_words()
            bot.kill()
            self.lived_s.append(time.monotonic() - began)
        self.piled = len(self.said) + away
        while len(self.said) < self.piled:
            self.spoken.clear()
            await self.spoken.wait()
        await bot.start()


async def settled(town: Town, patience_s: float) -> str:
    """Wait until nothing is owed and nothing waits for a key; say how it stands."""
    deadline = time.monotonic() + patience_s
    calm = 0
    while calm < 8 and time.monotonic() < deadline:
        status = await town.stage.bot.status()
        done = " 0 things owed" in status and " 0 messages wait" in status
        calm = calm + 1 if done else 0
        await asyncio.sleep(0.5)
    return status


def times_done(
    town: Town, records: Sequence[Kept], moved: Iterable[Said]
) -> dict[EventId, Counter[str]]:
    """How often each message was copied and removed on phones, and what the ledger says of it."""
    names: dict[str, set[str]] = defaultdict(set)
    by_ref = defaultdict(list)
    for record in records:
        by_ref[record.header.get("ref")].append(record)
        if record.header["kind"] in READ:
            names[str(record.inside["event_id"])].add(str(record.header["rid"]))
    found: dict[EventId, Counter[str]] = {}
    for one in moved:
        witness = next(
            officer
            for officer in town.stage.officers.values()
            if officer is not one.by and one.event in officer.phone.messages
        )
        phone = witness.phone.messages.values()
        count = found[one.event] = Counter[str]()
        count["copies"] = sum(
            m.room == one.secure and one.words in m.body and m.type == "m.room.message"
            for m in phone
        )
        count["removals"] = sum(
            m.type == "m.room.redaction" and one.event in m.content.decode() for m in phone
        )
        about = [record for rid in names[one.event] for record in by_ref[rid]]
        count["verdicts"] = sum(r.header["kind"] == "verdict" for r in about)
        for debt in (r for r in about if r.header["kind"] == "debt"):
            effect = str(debt.header["effect"])
            count[f"owed {effect}"] += 1
            count[f"done {effect}"] += sum(
                r.header.get("status") == "done" for r in by_ref[debt.header["rid"]]
            )
    return found


def hasty(records: Sequence[Kept]) -> int:
    """How many messages people were told of as unreadable that could be read in the end."""
    late = {record.header.get("ref") for record in records if record.header["kind"] == "late"}
    return sum(r.header["kind"] == "verdict" and r.header.get("ref") in late for r in records)


async def torture(
    town: Town, capsys: pytest.CaptureFixture[str], count: int, kills: int, away: int
) -> None:
    seed = int(os.environ.get("TORTURE_SEED", "0")) or secrets.randbelow(10**9)
    run = Run(town, random.Random(seed))  # noqa: S311 - a run that can be played again
    began = time.monotonic()
    await asyncio.gather(run.talk(count, kills), run.kill(kills, away))
    status = await settled(town, 60 + count / 10)
    took_s = time.monotonic() - began
    covered = await compare_coverage(town.stage.config, Ms(0))
    moved = [one for one in run.said if one.operational]
    records = await asyncio.to_thread(town.ledger)
    first = sum(record.header["kind"] == "undecryptable" for record in records)
    done = times_done(town, records, moved)
    once = Counter[str]({"copies": 1, "removals": 1, "verdicts": 1})
    once.update({f"{word} {effect}": 1 for word in ("owed", "done") for effect in EFFECTS})
    wrong = {event: dict(got) for event, got in done.items() if got != once}
    sound = await asyncio.to_thread(town.sound)
    rows = {
        "seed": seed,
        "messages, each of a new session": len(run.said),
        "kills": f"{len(run.lived_s)}: {run.unborn} starting, {run.listening} just spoken to",
        "seconds": f"{took_s:.0f}",
        "missed": f"{covered.missed} of {covered.served}",
        "undecryptable at first": first,
        "undecryptable at the end": covered.unreadable,
        "given up too early": hasty(records),
        "operational, moved once": f"{len(moved) - len(wrong)} of {len(moved)}",
        "ledger verifies": sound,
        "bot": status,
    }
    with capsys.disabled():
        print("\n" + "\n".join(f"  {name:34}{value}" for name, value in rows.items()))
    missed = {event for day in covered.days for event in day.missed}
    assert not missed, [one for one in run.said if one.event in missed]
    assert covered.unreadable == 0
    assert covered.closed == {}
    assert hasty(records) == 0
    assert not wrong
    assert sound
    assert " 0 things owed" in status


@pytest.mark.slow
async def test_nothing_is_lost_by_a_bot_that_is_killed_six_times(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    await torture(town, capsys, *SMALL)


@pytest.mark.torture
async def test_nothing_is_lost_by_a_bot_that_is_killed_a_hundred_times(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    await torture(town, capsys, *FULL)
