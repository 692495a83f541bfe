"""Plays the shift: a homeserver, a bot process, seven phones; and checks every line of it.

Never takes the bot's word for anything: what is left, moved and told is read from other people's
phones, and what was kept is read from the ledger with the custodian's key.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bridge.config import Config, load_config, load_register
from bridge.demo.bot import BotProcess
from bridge.demo.bystander import witnessed
from bridge.demo.force import ADMIN, BOT, GATE, OFFICERS, SUPERVISOR, Force, found
from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer, Phone
from bridge.demo.shift import Expected, Line
from bridge.errors import BridgeError
from bridge.ledger.opening import Reader
from bridge.ledger.scope import Scope
from bridge.matrix.api import login
from bridge.model import EventId, Message, Ms, RoomId, UserId
from bridge.records.reading import check_ledger, open_vault, opened
from bridge.running.app import apply_register, compare_coverage, now
from bridge.secret import read_secret, write_secret

Say = Callable[[str], None]
#: A message that is not removed within this time is counted as left alone.
_PATIENCE_S = 60.0
#: How long we look at a message that should be left alone.
_QUIET_S = 1.5


@dataclass(slots=True)
class Told:
    """What became of one line."""

    line: Line
    event: EventId
    room: RoomId
    #: One of these goes: a stopped edit leaves its message.
    gone: tuple[EventId, ...]
    #: Seconds until the server had taken it, and from then to a colleague's seeing the removal.
    sent_s: float = 0.0
    removed_s: float | None = None
    #: No colleague's phone ever had it.
    stopped: bool = False
    copied: bool = False
    informed: bool = False
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """It went as it should."""
        return not self.faults


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything that runs during the demo."""

    force: Force
    config: Config
    homeserver: Homeserver
    bot: BotProcess
    officers: dict[str, Officer]
    #: Room key → id.
    rooms: dict[str, RoomId]
    #: Events that the server has in the approved rooms, and those that the record misses.
    served: int = 0
    missed: int = 0

    def social(self, team: str) -> RoomId:
        """The team's social room."""
        return self.rooms[f"{team.lower().replace(' ', '-')}-social"]

    def secure(self, team: str) -> RoomId:
        """The team's secure room."""
        return self.rooms[f"{team.lower().replace(' ', '-')}-secure"]

    def without_gate(self) -> Path:
        """A configuration in which nobody answers the homeserver's gate."""
        path = self.force.config.with_name("config-without-gate.yaml")
        whole = self.force.config.read_text(encoding="utf-8")
        path.write_text(whole.replace(GATE, ""), encoding="utf-8")
        return path

    def colleague(self, line: Line) -> Officer:
        """Somebody of the same team, on whose phone we look."""
        other = next(o for o in OFFICERS if o.team == line.team and o.local != line.who)
        return self.officers[other.local]

    async def play(self, line: Line) -> Told:
        """Have one line said, and see what becomes of it."""
        speaker, room = self.officers[line.who], self.social(line.team)
        if line.while_dead:
            self.bot.kill()
        before = len(self._notes(speaker))
        begun = time.monotonic()
        event = await speaker.say(room, line.text, html=line.html)
        told = Told(line, event, room, (event,), sent_s=time.monotonic() - begun)
        begun = time.monotonic()
        if line.edited is not None:
            await self.colleague(line).until(lambda phone: event in phone.messages)
            edit = await speaker.edit(room, event, line.edited)
            told.gone = (event, edit)
            begun = time.monotonic()
        if line.while_dead:
            self.bot.config = self.without_gate()
            await self.bot.start()
            begun = time.monotonic()
        if line.expected is Expected.MOVED:
            await self._see_moved(told, begun, notes=before + 1)
        else:
            await self._see_left(told)
        return told

    def _notes(self, officer: Officer) -> list[Message]:
        """What the bot has told an officer in private about moved messages."""
        rooms = set(self.rooms.values())
        return [
            m
            for m in officer.phone.messages.values()
            if m.sender == BOT and m.room not in rooms and "is now in" in m.body
        ]

    async def _see_moved(self, told: Told, begun: float, *, notes: int) -> None:
        line = told.line
        witness = self.colleague(line)
        if await witness.until(
            lambda phone: any(e in phone.removed for e in told.gone), _PATIENCE_S
        ):
            event = next(e for e in told.gone if e in witness.phone.removed)
            told.removed_s = witness.phone.removed[event] - begun
        else:
            told.faults.append("it was not removed")
        words = line.edited or line.text
        secure = self.secure(line.team)

        def copied(phone: Phone) -> bool:
            return any(
                m.room == secure and m.sender == BOT and words in m.body
                for m in phone.messages.values()
            )

        told.copied = await witness.until(copied, _PATIENCE_S)
        told.stopped = not any(
            m.room == told.room and words in m.body for m in witness.phone.messages.values()
        )
        speaker = self.officers[line.who]
        told.informed = await speaker.until(
            lambda _: len(self._notes(speaker)) >= notes, _PATIENCE_S
        )
        if not told.copied:
            told.faults.append("no copy in the secure room")
        if not told.informed:
            told.faults.append("its sender was not told")

    async def _see_left(self, told: Told) -> None:
        witness = self.colleague(told.line)
        if not await witness.until(lambda phone: told.event in phone.messages, _PATIENCE_S):
            told.faults.append("a colleague could not read it")
        if await witness.until(lambda phone: told.event in phone.removed, _QUIET_S):
            told.faults.append("it was removed")

    async def keep(self, tolds: list[Told]) -> list[str]:
        """Stop the bot and hold its ledger against what was said; return what is wrong."""
        deadline = time.monotonic() + _PATIENCE_S
        # Its own last words are on record when the homeserver has sent it those, too.
        while (
            " 0 things owed" not in await self.bot.status()
            or (await compare_coverage(self.config, Ms(0))).missed
        ):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        self.bot.stop()
        report = await asyncio.to_thread(lambda: check_ledger(self.config, now=now()))
        faults = [f"the ledger does not verify: {one.what}" for one in report.failures]
        if report.unwitnessed_tail:
            faults.append(f"{report.unwitnessed_tail} records are in no checkpoint")
        covered = await compare_coverage(self.config, Ms(0))
        self.served, self.missed = covered.served, covered.missed
        if covered.missed or covered.unreadable:
            faults.append(f"missed {covered.missed}, unreadable {covered.unreadable} events")
        recorded = self._recorded()
        for told in tolds:
            words = told.line.edited or told.line.text
            if told.event not in recorded and not any(words in said for said in recorded):
                told.faults.append("it is not on record")
        return faults

    def _recorded(self) -> set[str]:
        """Read with the custodian's key which events, and which words, are on record."""
        passphrase = read_secret(self.force.passphrase, "the passphrase")
        custodian = open_vault(self.force.vault, self.force.share, passphrase)
        reader = Reader(self.config.origin, (custodian.name,), [custodian])
        events: set[str] = set()
        everything = Scope(text="everything", clear={"kind": "message"})
        for _, body in opened(self.config, reader, everything):
            if body is not None:
                record = msgspec.json.decode(body)
                events.add(str(record["event_id"]))
                content = record["content"]
                events.add(str(content.get("m.new_content", content).get("body", "")))
        return events


@contextlib.asynccontextmanager
async def stage(  # noqa: PLR0913 - each of them is another story
    folder: Path,
    say: Say,
    *,
    server: Homeserver | None = None,
    gate_ms: int | None = None,
    cards: bool = False,
    module: str = "bridge",
) -> AsyncIterator[Stage]:
    """Build everything in *folder*, and take it down again; *say* is told what is being done.

    *server* is a running homeserver to use instead of one of our own. *gate_ms*: our own asks
    the bot before it delivers a message, and waits so long for its answer. *cards*: what is kept
    is pinned in each room, and told to whoever joins later. *module*: what is run as the bot.

    Raises:
        BridgeError: a part did not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        modules = {"modules": [gate_module(folder, gate_ms)]} if gate_ms else {}
        homeserver = server or Homeserver(folder / "homeserver", settings=modules, progress=say)
        if server is None:
            await stack.enter_async_context(homeserver)
        # Two months may be less than the month that nobody has to be reminded of.
        force = found(folder, homeserver.url, months=3, gate_ms=gate_ms, cards=cards)
        witness = stack.enter_context(witnessed(force))
        say(f"A witness of the ledger answers at {witness}")
        say(f"Making {len(OFFICERS) + 3} accounts")
        await make_accounts(homeserver, force)
        config = load_config(force.config)
        say("Making the space and the rooms, as the bot")
        await _make_rooms(force)
        register, _, lock = load_register(config)
        rooms = {key: i for key in register.rooms if (i := register.id_of(key, lock))}
        say("Signing seven people in, each on their own encrypted device")
        officers = {}
        for one in (*OFFICERS, SUPERVISOR):
            officer = await Officer.sign_in(
                homeserver.url, one.id, force.passwords[one.id], folder / "phones" / one.local
            )
            stack.push_async_callback(officer.close)
            officers[one.local] = officer
        for one in OFFICERS:
            key = one.team.lower().replace(" ", "-")
            await officers[one.local].enter(rooms[f"{key}-social"])
            await officers[one.local].enter(rooms[f"{key}-secure"])
        for one in (SUPERVISOR, *(one for one in OFFICERS if one.roles)):
            await officers[one.local].enter(rooms["review"])
        say("Starting the bot")
        bot = BotProcess(force.config, module)
        await bot.start()
        stack.callback(bot.stop)
        yield Stage(
            force=force,
            config=config,
            homeserver=homeserver,
            bot=bot,
            officers=officers,
            rooms=rooms,
        )


def gate_module(folder: Path, budget_ms: int) -> dict[str, object]:
    """What homeserver.yaml says of the gate."""
    config = {
        "bot": BOT,
        "socket": str(folder / "gate.sock"),
        "ask": "the Digital Desk",
        "budget_ms": budget_ms,
    }
    return {"module": "bluelamp_gate.Gate", "config": config}


async def make_accounts(homeserver: Homeserver, force: Force) -> None:
    """Make everybody's account, and the administrator's token that the bot is given."""
    await asyncio.to_thread(_register, homeserver, force)
    signed_in = await login(
        homeserver.url, ADMIN, force.passwords[ADMIN], device_name="Blue Lamp deletes files"
    )
    write_secret(force.admin_token, signed_in.token)


def _register(homeserver: Homeserver, force: Force) -> None:
    names: dict[UserId, str] = {one.id: one.name for one in (*OFFICERS, SUPERVISOR)}
    for user, password in force.passwords.items():
        name = names.get(user, "Blue Lamp (automated)")
        admin = user == ADMIN
        homeserver.register(user[1:].split(":")[0], password, admin=admin, display_name=name)


async def _make_rooms(force: Force) -> None:
    left = await apply_register(load_config(force.config), lambda _: None)
    if left.differences:
        raise BridgeError(f"The rooms could not be made: {left}")
