"""What the gate costs who sends: a homeserver that asks the bot first, beside one that does not.

Never compares two runs: two homeservers, each with its own bot, its own rooms and people, run on
one machine at the same time, and are spoken to in turn. A time is that of the request which sends
an encrypted message, from before it is made until the server has answered it:

* warm: under a room key that the bot has;
* rotated: under a new room key, handed out just before, as clients do every hundred messages;
* stopped: what the gate does not deliver, on record before the answer.

And how many messages a second both take, six people in two rooms at once, sealed beforehand.

Usage: python -m benchmarks.gate [--messages N] [--into FOLDER]
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.paired import Paired
from benchmarks.plot import staircases
from benchmarks.results import compared, percentile, surroundings
from bridge.demo.force import OFFICERS
from bridge.demo.officer import Officer
from bridge.demo.stage import Stage, stage
from bridge.matrix.api import quote
from bridge.model import RoomId

MESSAGES = 100
#: How long the gate waits for the bot: as the policies have it that ship.
BUDGET_MS = 300
#: The most that an allowed message may take, beside one of a server without the gate; and the most
#: that it may take longer, ms. How many messages a second there must be at least, beside the same.
RATIO, MORE_MS, THROUGHPUT = 1.5, 10.0, 0.8
_WARM_UP = 10
_PAUSE_S = 0.05
#: Messages of each person in each round of the throughput, and rounds.
_EACH, _ROUNDS = 15, 4
_LETTERS = "ABCDEFGHJKLMNOPRSTUVWXY"
_CHAT = "stuck behind a tractor, five minutes late, milk is on me"
_NAMES = "with the gate", "without"


@dataclass(slots=True)
class Side:
    """One homeserver, its people, and how long it took."""

    built: Stage
    warm_ms: list[float] = field(default_factory=list)
    rotated_ms: list[float] = field(default_factory=list)
    stopped_ms: list[float] = field(default_factory=list)
    #: Messages a second, of each round.
    per_s: list[float] = field(default_factory=list)
    #: How many questions the module had no answer to in time, and how long the bot took for others.
    unanswered: int = 0
    bot_ms: list[float] = field(default_factory=list)
    #: CPU time of homeserver and bot for each warm message, all that follows from it included.
    cpu_ms: float = 0.0

    @property
    def room(self) -> RoomId:
        """Where times are taken."""
        return self.built.social("Response A")

    @property
    def speaker(self) -> Officer:
        """Who speaks there."""
        return self.built.officers["asha"]

    async def send(self, text: str = _CHAT, *, rotate: bool = False) -> float:
        """Send one message, under a new room key if *rotate*; return how long it took, ms."""
        if rotate:
            self.speaker.transport.client.olm.outbound_group_sessions.pop(self.room, None)
        sealed = await _sealed(self.speaker, self.room, text)
        begun = time.monotonic()
        await _put(self.speaker, self.room, sealed)
        return (time.monotonic() - begun) * 1000

    async def crowd(self) -> None:
        """Have everybody send at once, one message after another; remember how many a second."""
        ready = []
        for one in OFFICERS:
            officer, room = self.built.officers[one.local], self.built.social(one.team)
            contents = [await _sealed(officer, room, f"{_CHAT} {n}") for n in range(_EACH)]
            ready.append((officer, room, contents))
        begun = time.monotonic()
        await asyncio.gather(*(_all_of(*one) for one in ready))
        self.per_s.append(_EACH * len(ready) / (time.monotonic() - begun))

    def cpu_s(self) -> float:
        """CPU time that homeserver and bot have used up to now."""
        tick = os.sysconf("SC_CLK_TCK")
        whole = 0
        for process in (self.built.homeserver, self.built.bot):
            running = process._process  # noqa: SLF001 - nobody else has its id
            assert running is not None  # noqa: S101 - they run until we are done
            stat = Path(f"/proc/{running.pid}/stat").read_text(encoding="utf-8")
            whole += sum(map(int, stat.rpartition(")")[2].split()[11:13]))  # utime, stime
        return whole / tick

    def ask_logs(self) -> None:
        """Take from their logs what homeserver and bot said of the gate's questions."""
        said = self.built.homeserver.log.read_text(encoding="utf-8", errors="replace")
        self.unanswered = said.count("no answer to check")
        lines = self.built.bot.log.read_text(encoding="utf-8").splitlines()
        answers = [json.loads(line) for line in lines if '"gate.answered"' in line]
        self.bot_ms = [one["ms"] for one in answers]


async def _sealed(officer: Officer, room: RoomId, text: str) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": text}
    return dict(await officer.transport.client.seal(room, "m.room.message", content))


async def _put(officer: Officer, room: RoomId, sealed: dict[str, Any]) -> None:
    path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.encrypted/{uuid4()}"
    await officer.api.call("PUT", path, sealed)


async def _all_of(officer: Officer, room: RoomId, contents: list[dict[str, Any]]) -> None:
    for sealed in contents:
        await _put(officer, room, sealed)


def _operational() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(5))
    return f"{letters[:2]}21 {letters[2:]} has just left the address"


async def run(folder: Path, count: int) -> tuple[Side, Side]:
    """Speak *count* times on each homeserver, in turn; return them, with the gate and without."""

    def say(what: str) -> None:
        print(what, file=sys.stderr)

    async with AsyncExitStack() as stack:
        # A folder's name is in the name of a socket, which may not be long.
        built = await stack.enter_async_context(stage(folder / "g", say, gate_ms=BUDGET_MS))
        beside = await stack.enter_async_context(stage(folder / "w", say))
        gate, without = sides = Side(built), Side(beside)
        say(f"Speaking {count} times on each homeserver")
        for kind, rotate in (("warm", False), ("rotated", True)):
            before = [side.cpu_s() for side in sides]
            for number in range(_WARM_UP + count):
                for side in random.sample(sides, 2):
                    took_ms = await side.send(rotate=rotate)
                    if number >= _WARM_UP:
                        getattr(side, f"{kind}_ms").append(took_ms)
                    await asyncio.sleep(_PAUSE_S)
            if not rotate:
                await asyncio.sleep(2)  # until all that follows from them is done
                for side, was in zip(sides, before, strict=True):
                    side.cpu_ms = (side.cpu_s() - was) * 1000 / (count + _WARM_UP)
        for _ in range(max(count // 4, 4)):
            gate.stopped_ms.append(await gate.send(_operational()))
            await asyncio.sleep(4 * _PAUSE_S)
        say(f"Everybody at once, {_ROUNDS} times on each")
        for _ in range(_ROUNDS):
            for side in random.sample(sides, 2):
                await side.crowd()
                await asyncio.sleep(2)  # until its bot has read it all
        gate.ask_logs()
    return gate, without


def told(gate: Side, without: Side) -> dict[str, Any]:
    """Put the figures together, ms."""
    times = {
        "warm": (gate.warm_ms, without.warm_ms),
        "rotated": (gate.rotated_ms, without.rotated_ms),
    }
    figures: dict[str, Any] = {
        name: {f"p{percent}": compared(with_it, beside, percent) for percent in (50, 95)}
        for name, (with_it, beside) in times.items()
    }
    speed = [percentile(side.per_s, 50) for side in (gate, without)]
    asked = len(gate.warm_ms) * 2 + len(gate.stopped_ms) + 2 * _WARM_UP
    asked += _EACH * len(OFFICERS) * len(gate.per_s)
    more_ms = round(figures["warm"]["p50"]["ours"] - figures["warm"]["p50"]["peer"], 1)
    throughput = round(speed[0] / speed[1], 2)
    return {
        "what": "the request that sends an encrypted message, in ms; ours is with the gate",
        "messages_each": len(gate.warm_ms),
        "budget_ms": BUDGET_MS,
        **figures,
        "stopped": {f"p{percent}": round(percentile(gate.stopped_ms, percent), 1)
                    for percent in (50, 95)},
        "throughput": {
            "ours_per_s": round(speed[0], 1),
            "peer_per_s": round(speed[1], 1),
            "ratio": throughput,
            "people": len(OFFICERS),
            "rooms": 2,
        },
        "cpu_ms": {"ours": round(gate.cpu_ms, 1), "peer": round(without.cpu_ms, 1)},
        "asked": asked,
        "unanswered": gate.unanswered,
        "bot_ms": {f"p{percent}": round(percentile(gate.bot_ms, percent), 1)
                   for percent in (50, 95)},
        "targets": {
            "warm_p50_ratio": _aimed(figures["warm"]["p50"]["ratio"], RATIO, at_most=True),
            "warm_p50_more_ms": _aimed(more_ms, MORE_MS, at_most=True),
            "throughput_ratio": _aimed(throughput, THROUGHPUT, at_most=False),
        },
        **surroundings(),
        "samples": {
            **{f"{name}_ms": {"ours": _rounded(with_it), "peer": _rounded(beside)}
               for name, (with_it, beside) in times.items()},
            "stopped_ms": {"ours": _rounded(gate.stopped_ms)},
            "per_s": {"ours": _rounded(gate.per_s), "peer": _rounded(without.per_s)},
        },
    }  # fmt: skip


def _aimed(measured: float, target: float, *, at_most: bool) -> dict[str, Any]:
    met = measured <= target if at_most else measured >= target
    return {"measured": measured, "target": target, "met": met}


def _rounded(samples: Sequence[float]) -> list[float]:
    return [round(one, 1) for one in samples]


def drawn(gate: Side, without: Side, result: dict[str, Any]) -> str:
    """Draw what *result* says."""
    return staircases(
        "How long a message takes to send, end-to-end encrypted",
        {
            "under a room key that the bot has": dict(
                zip(_NAMES, (gate.warm_ms, without.warm_ms), strict=True)
            ),
            "just after a new room key": dict(
                zip(_NAMES, (gate.rotated_ms, without.rotated_ms), strict=True)
            ),
        },
        note=f"{result['messages_each']} messages each, in turn, on two Synapse "
        f"{result['matrix-synapse']}; {result['cores']} cores, {result['date']}",
    )


if __name__ == "__main__":
    Paired(
        name="gate",
        about=__doc__,
        messages=MESSAGES,
        run=run,
        told=told,
        drawn=drawn,
        samples="samples",
    ).main()
