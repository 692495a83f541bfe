"""How soon a message is moved: our bot beside a bot that does the least that would do.

Never compares two runs: both bots are on one homeserver at the same time, and are spoken to in
turn, one message at a time. A time begins when the server has accepted an encrypted message (its
PUT returns) and ends when another member's client

* has seen in its sync that the message was removed;
* can read the copy in the secure room.

Usage: python -m benchmarks.latency [--messages N] [--into FOLDER]
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.paired import Paired
from benchmarks.plot import staircases
from benchmarks.results import compared, surroundings
from bridge.demo.force import SERVER
from bridge.demo.officer import Officer, Phone
from bridge.demo.stage import Stage, stage
from bridge.errors import BridgeError
from bridge.model import Message, RoomId, UserId
from bridge.secret import write_secret

MESSAGES = 100
#: Messages to each bot that are not counted: sessions are made, caches filled.
_WARM_UP = 6
TARGET = 1.3
#: Between two messages: what a bot still does for the first (telling its sender) is over then.
_PAUSE_S = 0.4
_PATIENCE_S = 20.0
_START_S = 30.0
_PLATE = re.compile(r"\b[A-Z]{2}[0-9]{2} [A-Z]{3}\b")
_LETTERS = "ABCDEFGHJKLMNOPRSTUVWXY"
_PEER = UserId(f"@peer:{SERVER}")
#: As many people as in a team of the demo, its supervisor included.
_PEOPLE = ("paula", "piotr", "pia", "per")


@dataclass(slots=True)
class TimedPhone(Phone):
    """A phone that remembers when it could read each message with a plate."""

    #: Room and plate → when (seconds of a monotonic clock).
    readable: dict[tuple[RoomId, str], float] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        """Show one event."""
        Phone.take(self, message)
        for plate in _PLATE.findall(message.body):
            self.readable.setdefault((message.room, plate), time.monotonic())


@dataclass(slots=True)
class Pair:
    """One bot's rooms, somebody who speaks there, and somebody who looks."""

    social: RoomId
    secure: RoomId
    speaker: Officer
    phone: TimedPhone
    removed_ms: list[float] = field(default_factory=list)
    copied_ms: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, social: RoomId, secure: RoomId, speaker: Officer, witness: Officer) -> Pair:
        """Have *witness* look at a clock, too."""
        witness.phone = phone = TimedPhone()
        return cls(social, secure, speaker, phone)

    async def try_once(self) -> tuple[float, float]:
        """Say something operational; return after how many ms it was removed, and copied.

        Raises:
            BridgeError: it was not.
        """
        plate = _plate()
        event = await self.speaker.say(self.social, f"{plate} is outside the address")
        accepted = time.monotonic()
        copy = (self.secure, plate)
        while event not in self.phone.removed or copy not in self.phone.readable:
            if time.monotonic() > accepted + _PATIENCE_S:
                raise BridgeError(f"A message was not moved within {_PATIENCE_S:.0f} s.")
            await asyncio.sleep(0.005)
        removed, copied = self.phone.removed[event], self.phone.readable[copy]
        return (removed - accepted) * 1000, (copied - accepted) * 1000

    async def count_once(self) -> None:
        """Try once, and remember the times."""
        removed_ms, copied_ms = await self.try_once()
        self.removed_ms.append(removed_ms)
        self.copied_ms.append(copied_ms)


def _plate() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(5))
    return f"{letters[:2]}{secrets.choice(['19', '21', '23', '68', '70', '72'])} {letters[2:]}"


async def _our_pair(built: Stage) -> Pair:
    """Ours: the demo's team, its bot without the brake that so many removals would set."""
    built.bot.stop()
    with built.force.config.open("a", encoding="utf-8") as config:
        config.write("brake:\n  removals_per_minute: 10000\n")
    await built.bot.start()
    team, officers = "Response A", built.officers
    return Pair.of(built.social(team), built.secure(team), officers["asha"], officers["ben"])


@contextlib.asynccontextmanager
async def _peer_pair(built: Stage, folder: Path) -> AsyncIterator[Pair]:
    """The peer's: rooms like ours, as many people as ours, and the peer as a process."""
    url, password = built.homeserver.url, secrets.token_urlsafe(9)
    for name in ("peer", *_PEOPLE):
        await asyncio.to_thread(built.homeserver.register, name, password)
    async with contextlib.AsyncExitStack() as stack:
        people = []
        for name in _PEOPLE:
            user = UserId(f"@{name}:{SERVER}")
            people.append(await Officer.sign_in(url, user, password, folder / name))
            stack.push_async_callback(people[-1].close)
        rooms = [await _make_room(people) for _ in ("social", "secure")]
        write_secret(folder / "password", password)
        await stack.enter_async_context(_running(url, folder, rooms))
        yield Pair.of(rooms[0], rooms[1], people[0], people[1])


async def _make_room(people: Sequence[Officer]) -> RoomId:
    maker, *others = people
    asked: dict[str, Any] = {
        "preset": "private_chat",
        "invite": [_PEER, *(one.user for one in others)],
        "power_level_content_override": {"users": {_PEER: 50}},
        "initial_state": [
            {
                "type": "m.room.encryption",
                "state_key": "",
                "content": {"algorithm": "m.megolm.v1.aes-sha2"},
            }
        ],
    }
    answer = await maker.api.call("POST", "/_matrix/client/v3/createRoom", asked)
    room = RoomId(answer["room_id"])
    for one in people:
        await one.enter(room)
    return room


@contextlib.asynccontextmanager
async def _running(url: str, folder: Path, rooms: Sequence[RoomId]) -> AsyncIterator[None]:
    """Run the peer until it listens, and then until we are done."""
    command = [sys.executable, "-m", "benchmarks.peer", url, _PEER, str(folder / "password"),
               str(folder / "keys"), *rooms]  # fmt: skip
    log = folder / "peer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603, ASYNC220
    try:
        deadline = time.monotonic() + _START_S
        while b"ready" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BridgeError(f"The peer did not start: {log.read_text()[-400:]}")
            await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


async def run(folder: Path, count: int) -> tuple[Pair, Pair]:
    """Speak *count* times to each bot, in turn; return ours and the peer's."""

    def say(what: str) -> None:
        print(what, file=sys.stderr)

    async with (
        stage(folder / "force", say) as built,
        _peer_pair(built, folder / "peer") as peer,
    ):
        ours = await _our_pair(built)
        for _ in range(_WARM_UP):
            for pair in (ours, peer):
                await pair.try_once()
                await asyncio.sleep(_PAUSE_S)
        say(f"Speaking {count} times to each bot")
        for _ in range(count):
            turn = [ours, peer]
            random.shuffle(turn)
            for pair in turn:
                await pair.count_once()
                await asyncio.sleep(_PAUSE_S)
    return ours, peer


def told(ours: Pair, peer: Pair) -> dict[str, Any]:
    """Put the figures together, ms."""
    times = {
        "removed": (ours.removed_ms, peer.removed_ms),
        "copied": (ours.copied_ms, peer.copied_ms),
    }
    return {
        "what": "from the server's acceptance of an encrypted message, in ms, one at a time",
        "messages_each": len(ours.removed_ms),
        **{
            name: {f"p{percent}": compared(us, them, percent) for percent in (50, 95)}
            for name, (us, them) in times.items()
        },
        "target": TARGET,
        **surroundings(),
        "samples_ms": {
            name: {
                "ours": [round(one, 1) for one in us],
                "peer": [round(one, 1) for one in them],
            }
            for name, (us, them) in times.items()
        },
    }


def drawn(ours: Pair, peer: Pair, result: dict[str, Any]) -> str:
    """Draw what *result* says."""
    names = "Blue Lamp", "minimal nio bot"
    return staircases(
        "How soon a message is moved, end-to-end encrypted",
        {
            "removal seen by another member": dict(
                zip(names, (ours.removed_ms, peer.removed_ms), strict=True)
            ),
            "copy readable in the secure room": dict(
                zip(names, (ours.copied_ms, peer.copied_ms), strict=True)
            ),
        },
        note=f"{result['messages_each']} messages each, in turn, on one Synapse "
        f"{result['matrix-synapse']}; {result['cores']} cores, {result['date']}",
    )


if __name__ == "__main__":
    Paired(
        name="latency",
        about=__doc__,
        messages=MESSAGES,
        run=run,
        told=told,
        drawn=drawn,
        samples="samples_ms",
    ).main()
