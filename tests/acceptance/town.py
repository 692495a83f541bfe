"""Asks what happened to a message: on phones, on the server, and in the ledger."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass

import msgspec

from bridge.demo.force import BOT
from bridge.demo.officer import Officer
from bridge.demo.stage import Stage
from bridge.ledger.opening import Reader
from bridge.ledger.scope import Scope
from bridge.model import EventId, Message, Ms, RoomId
from bridge.records.reading import check_ledger, open_vault, opened
from bridge.running.app import now
from bridge.secret import read_secret
from bridge.store.reader import SqliteReader
from bridge.verify.headers import Header

#: How long we wait for what is going to be, on a machine that does much else.
PATIENCE_S = 120.0
#: What is run as the bot in these stories.
PATIENT_BOT = "tests.acceptance.patient_bot"
#: Letters of plates: none of those that a registration never has.
_LETTERS = "ABCDEFGHJKLMNOPRSTUVWXY"


def plate() -> str:
    """A registration that no other story has used."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(5))
    return f"{letters[:2]}{secrets.choice(['19', '21', '23', '68', '70', '72'])} {letters[2:]}"


@dataclass(frozen=True)
class Kept:
    """One opened record."""

    seq: int
    header: Header
    inside: dict[str, object]


class Town:
    """A running force, seen from outside."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.social = stage.social("Response A")
        self.secure = stage.secure("Response A")
        self.asha: Officer = stage.officers["asha"]
        self.ben: Officer = stage.officers["ben"]
        self.chloe: Officer = stage.officers["chloe"]
        self.gwen: Officer = stage.officers["gwen"]

    async def bot_runs(self) -> None:
        if not self.stage.bot.running:
            await self.stage.bot.start()

    async def bot_stops(self) -> int | None:
        return await asyncio.to_thread(self.stage.bot.stop)

    async def quiet(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until the bot owes nothing; what it has not heard of yet it may owe later."""
        deadline = time.monotonic() + patience_s
        while " 0 things owed" not in (status := await self.stage.bot.status()):
            assert time.monotonic() < deadline, status
            await asyncio.sleep(0.1)

    async def heard(self, *events: EventId) -> None:
        """Wait until *events* are on record, and so what was said before them, in any room."""
        deadline = time.monotonic() + PATIENCE_S
        while left := [event for event in events if not self.is_on_record(event)]:
            assert time.monotonic() < deadline, f"{left} are not on record"
            await asyncio.sleep(0.1)

    async def passed(self, *phones: Officer, room: RoomId | None = None) -> EventId:
        """Wait until the bot has heard what was said so far, and *phones* show what it has done.

        What is said after something else is heard after it, by the bot and by everybody. *phones*
        are of people in *room*; usually Ben's, and the team's social room.
        """
        witnesses = phones or (self.ben,)
        speaker, room = witnesses[0], room or self.social
        await self.heard(await speaker.say(room, "kettle is on"))
        last = await speaker.say(room, "biscuits too")
        await self.heard(last)
        for one in witnesses:
            assert await one.until(
                lambda phone: last in phone.messages or last in phone.unreadable, PATIENCE_S
            )
        return last

    async def settled(self, *phones: Officer, room: RoomId | None = None) -> None:
        """Wait as `passed`, and until the bot has done everything that it owed because of that."""
        await self.passed(*phones, room=room)
        await self.quiet()
        await self.passed(*phones, room=room)

    # On phones

    async def gone(self, event: EventId, patience_s: float = PATIENCE_S) -> bool:
        return await self.ben.until(lambda phone: event in phone.removed, patience_s)

    async def copied(self, words: str, patience_s: float = PATIENCE_S) -> bool:
        def shown(message: Message) -> bool:
            return message.room == self.secure and message.sender == BOT and words in message.body

        return await self.ben.until(
            lambda phone: any(map(shown, phone.messages.values())), patience_s
        )

    def copies(self, words: str) -> list[Message]:
        """The copies with these words in the secure room, oldest first."""
        found = self.ben.phone.messages.values()
        there = [m for m in found if m.room == self.secure and m.sender == BOT and words in m.body]
        return sorted(there, key=lambda one: one.sent_at)

    def notes(self, officer: Officer, words: str = "") -> list[Message]:
        """What the bot has told *officer* in private, oldest first.

        As the server has it: a phone that waits for a key may come to read it in another order.
        """
        rooms = set(self.stage.rooms.values())
        found = sorted(officer.phone.messages.values(), key=lambda one: one.sent_at)
        return [
            m
            for m in found
            if m.sender == BOT and m.room not in rooms and m.type == "m.room.message"
            and words in m.body
        ]  # fmt: skip

    async def noted(self, officer: Officer, count: int, words: str = "") -> bool:
        return await officer.until(lambda _: len(self.notes(officer, words)) >= count, PATIENCE_S)

    # On the server

    async def content(self, room: RoomId, event: EventId) -> dict[str, object]:
        return dict((await self.ben.fetch(room, event))["content"])

    async def removals(self, event: EventId) -> int:
        """How many redactions of *event* there are."""
        return len(self.removed_at(event))

    def removed_at(self, event: EventId) -> list[Ms]:
        """When the server was asked to take *event* out, each time."""
        found = self.ben.phone.messages.values()
        return [
            m.sent_at
            for m in found
            if m.type == "m.room.redaction" and json.loads(m.content).get("redacts") == event
        ]

    # In the ledger

    def is_on_record(self, event: EventId) -> bool:
        """Whether the bot has put *event* on record, readable or not."""
        reader = SqliteReader(self.stage.config.ledger)
        try:
            return reader.recorded(event) is not None
        finally:
            reader.close()

    def ledger(self) -> list[Kept]:
        """Everything, opened with the custodian's key."""
        force, config = self.stage.force, self.stage.config
        passphrase = read_secret(force.passphrase, "the passphrase")
        custodian = open_vault(force.vault, force.share, passphrase)
        reader = Reader(config.origin, (custodian.name,), [custodian])
        everything = Scope(text="everything", clear={})
        return [
            Kept(seq, header, msgspec.json.decode(body.partition(b"\n")[0]) if body else {})
            for seq, (header, body) in enumerate(opened(config, reader, everything))
        ]

    def kept_of(self, event: EventId) -> list[Kept]:
        """The records about an event, its debts and their outcomes, in order."""
        records = self.ledger()
        about = {r.header["rid"] for r in records if r.inside.get("event_id") == event}
        debts = {r.header["rid"] for r in records if r.header.get("ref") in about}
        return [r for r in records if {r.header["rid"], r.header.get("ref")} & (about | debts)]

    def sound(self) -> bool:
        return check_ledger(self.stage.config, now=now()).ok

    def counted(self, kept: list[Kept]) -> Counter[tuple[str, str, str]]:
        return Counter(
            (
                str(r.header["kind"]),
                str(r.header.get("effect", "")),
                str(r.header.get("status", "")),
            )
            for r in kept
        )
