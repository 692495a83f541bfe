"""Messages leave their room on their day, and the server's database is searched for their words."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.acting.expiring import Due, Expirer
from bridge.acting.unfinished import MemorySlate
from bridge.config import load_policies
from bridge.demo.homeserver import Homeserver
from bridge.facts import Seen
from bridge.ledger.keys import Custodian
from bridge.matrix.api import Api, quote
from bridge.matrix.client import LampClient
from bridge.matrix.closing import MatrixRemains
from bridge.matrix.desired import RETENTION_TYPE
from bridge.matrix.directs import Directs
from bridge.matrix.fading import MatrixFading
from bridge.matrix.translate import plain
from bridge.model import Ms, RoomClass
from bridge.rooms.caretaking import over_in_private
from bridge.rooms.slate import FileSlate
from bridge.running.stopping import end
from bridge.store.memory import MemoryStore
from tests.homeserver.test_rooms import V3, join, state
from tests.making import RETENTION, identity
from tests.rooms.conftest import Estate
from tests.unit.test_register import TOP

AT_ONCE = 8


def now() -> Ms:
    return Ms(time.time_ns() // 1_000_000)


def certified() -> Custodian:
    made = Custodian.new("psd")
    today = time.gmtime()
    made.issue_ahead(
        dict.fromkeys({*RETENTION.values(), "system"}, 90),
        year=today.tm_year, month=today.tm_mon, months=2,
    )  # fmt: skip
    return made


class Keys:
    """The bot's room keys, as far as they are dropped."""

    def __init__(self) -> None:
        self.dropped: set[str] = set()

    def forget_sessions(self, room: str, sessions: Collection[str]) -> int:
        self.dropped |= set(sessions)
        return len(sessions)


class Cellar:
    """A room with old messages on a real homeserver, and who clears it."""

    def __init__(self, estate: Estate, homeserver: Homeserver) -> None:
        self.estate, self.database = estate, homeserver.directory / "homeserver.db"
        self.room = estate.room("social")
        self.store = MemoryStore(identity(certified()), now)
        self.keys = Keys()
        self.stopping = False
        olm = SimpleNamespace(inbound_group_store=self.keys)
        client = cast(LampClient, SimpleNamespace(olm=olm, user_id=estate.house.bot))
        self.fading = MatrixFading(client, estate.api, estate.admin)
        self.expirer = Expirer(
            store=self.store,
            remains=MatrixRemains(client, estate.api, estate.admin),
            fading=self.fading,
            slate=MemorySlate(),
            record=estate.record,
            certified=lambda rid: False,
            tell=partial(estate.tell, ""),
            goes_on=lambda: not self.stopping,
            pace_s=0,
        )

    async def say(self, api: Api, words: str, session: str) -> str:
        """Say something as it would lie there; the words stand for its ciphertext."""
        path = f"{V3}/rooms/{quote(self.room)}/send/m.room.message/{token_hex(8)}"
        content = {"msgtype": "m.text", "body": words, "session_id": session}
        return str((await api.call("PUT", path, content))["event_id"])

    async def fill(self, api: Api, word: str, count: int) -> None:
        waiting: Iterator[int] = iter(range(count))

        async def talk() -> None:
            for n in waiting:
                await self.say(api, f"{word} number {n}", f"session-{n // 100}")

        await asyncio.gather(*(talk() for _ in range(AT_ONCE)))

    async def hear(self, but: str = "") -> int:
        """Put everything that was said there on record, but one."""
        start, found = "", 0
        while True:
            query = {"dir": "f", "limit": "500"} | ({"from": start} if start else {})
            path = f"{V3}/rooms/{quote(self.room)}/messages"
            page = await self.estate.api.call("GET", path, query=query)
            said = [e for e in page["chunk"] if "state_key" not in e and e["event_id"] != but]
            messages = [plain(self.room, event) for event in said]
            await self.store.append([Seen(message=m, cls=RoomClass.SOCIAL) for m in messages])
            found += len(said)
            if not page["chunk"] or "end" not in page:
                return found
            start = page["end"]

    def due(self, before: Ms) -> Due:
        return Due(room=self.room, name="A social", days=30, before=before)

    def left(self, word: str) -> int:
        """How often *word* is anywhere in the server's database that has messages."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as db:
            found = 0
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
                where = " OR ".join(f'CAST("{one}" AS TEXT) LIKE ?' for one in columns)
                query = f'SELECT COUNT(*) FROM "{table}" WHERE {where}'
                found += db.execute(query, [f"%{word}%"] * len(columns)).fetchone()[0]
            return found


@pytest.fixture
def cellar(estate: Estate, homeserver: Homeserver) -> Cellar:
    return Cellar(estate, homeserver)


@pytest.mark.parametrize("count", [60, pytest.param(5_000, marks=pytest.mark.torture)])
async def test_the_words_of_what_is_over_are_gone_from_the_servers_database(
    cellar: Cellar, count: int
) -> None:
    if count > 1_000 and cellar.estate.version != "12":
        return  # once is enough
    anna, word = await cellar.estate.joins("anna", "social"), f"w{token_hex(6)}"
    await cellar.fill(anna, word, count)
    before = now()
    await asyncio.sleep(0.01)
    newer = f"n{token_hex(6)}"
    await cellar.say(anna, newer, "session-0")
    assert await cellar.hear() == count + 1
    assert cellar.left(word) >= count
    assert await cellar.expirer.clear(cellar.due(before))
    assert cellar.left(word) == 0, "the words are in no table of the server's database"
    assert cellar.left(newer) >= 1
    paper = cellar.estate.notes[-1]
    assert f"visible for 30 days: {count} messages and 0 edits taken out" in paper
    assert "server's database: what was taken out was deleted" in paper
    sessions = {f"session-{n // 100}" for n in range(count)}
    assert cellar.keys.dropped == sessions - {"session-0"}, "one of them is still in use"


async def test_what_is_not_on_record_stays_in_the_database_and_what_was_said_before_it_goes(
    cellar: Cellar,
) -> None:
    anna, gone, kept = await cellar.estate.joins("anna", "social"), token_hex(8), token_hex(8)
    for n in range(3):
        await cellar.say(anna, f"{gone} number {n}", "early")
    strange = await cellar.say(anna, kept, "strange")
    await cellar.say(anna, "and this", "late")
    await cellar.hear(but=strange)
    assert await cellar.expirer.clear(cellar.due(Ms(now() + 1)))
    assert cellar.left(gone) == 0
    path = f"{V3}/rooms/{quote(cellar.room)}/event/{quote(strange)}"
    assert (await anna.call("GET", path))["content"]["body"] == kept
    assert cellar.keys.dropped == {"early", "late"}
    assert "deleted as far as the first message that stays" in cellar.estate.notes[-2]
    assert "A social: 1 message is past its time there and not on record" in cellar.estate.told[0]
    assert await cellar.expirer.clear(cellar.due(Ms(now() + 1)))
    assert (await anna.call("GET", path))["content"]["body"] == kept
    assert len(cellar.estate.told) == 1


async def test_what_has_gone_is_no_longer_pinned(cellar: Cellar) -> None:
    anna = await cellar.estate.joins("anna", "social")
    event = await cellar.say(anna, "read this first", "s")
    before = now()
    await asyncio.sleep(0.01)
    newer = await cellar.say(anna, "and then this", "s")
    path = f"{V3}/rooms/{quote(cellar.room)}/state/m.room.pinned_events/"
    await cellar.estate.api.call("PUT", path, {"pinned": [event, newer]})
    await cellar.hear()
    assert await cellar.expirer.clear(cellar.due(before))
    assert (await cellar.estate.api.call("GET", path))["pinned"] == [newer]
    assert "1 taken off the list of pinned messages" in cellar.estate.notes[-1]


async def test_without_an_administrators_token_the_certificate_says_what_the_server_keeps(
    cellar: Cellar,
) -> None:
    cellar.fading._admin = None
    anna, word = await cellar.estate.joins("anna", "social"), f"w{token_hex(6)}"
    event = await cellar.say(anna, word, "s")
    await cellar.hear()
    assert await cellar.expirer.clear(cellar.due(Ms(now() + 1)))
    path = f"{V3}/rooms/{quote(cellar.room)}/event/{quote(event)}"
    assert (await anna.call("GET", path))["content"] == {}
    assert cellar.left(word) >= 1
    paper = cellar.estate.notes[-1]
    assert "keeps what was taken out for its redaction_retention_period" in paper


async def test_private_rooms_forget_on_their_day_too(cellar: Cellar) -> None:
    estate, word = cellar.estate, f"w{token_hex(6)}"
    anna = await estate.sign_in(estate.person("anna"))
    directs = Directs(estate.api, estate.house.bot)
    cellar.room, _ = await directs.with_user(estate.person("anna"))
    await join(anna, cellar.room)
    for event in await estate.api.call_list("GET", f"{V3}/rooms/{quote(cellar.room)}/state"):
        directs.take(cellar.room, event)
    # What the officer wrote and what the bot answered; the newest event of a room is never deleted.
    for api, words in ((anna, word), (estate.api, word), (anna, "and today")):
        await cellar.say(api, words, "s")
    await cellar.hear()
    policy = load_policies(TOP / "policies", clock=None)
    month = policy.classes[RoomClass.DIRECT].visible_days * 86_400_000
    (due,) = over_in_private(directs.rooms(), policy, Ms(now() + month - 1))
    assert due.room == cellar.room
    assert await cellar.expirer.clear(due)
    assert await cellar.expirer.clear(due)
    found = await state(estate.api, cellar.room, RETENTION_TYPE)
    assert found == {"max_lifetime": month + 2 * 86_400_000}
    assert await cellar.expirer.clear(replace(due, server_ms=86_400_000))
    assert await state(estate.api, cellar.room, RETENTION_TYPE) == {"max_lifetime": 86_400_000}
    assert cellar.left(word) == 0
    assert f"private room with {estate.person('anna')}" in estate.notes[-1]


def counted(cellar: Cellar) -> int:
    """How many removals all certificates speak of."""
    taken = [note for note in cellar.estate.notes if "messages and 0 edits taken out" in note]
    return sum(int(note.partition("days: ")[2].partition(" ")[0]) for note in taken)


async def test_a_bot_that_is_stopped_in_the_middle_certifies_each_message_once(
    cellar: Cellar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, word = await cellar.estate.joins("anna", "social"), f"w{token_hex(6)}"
    await cellar.fill(anna, word, 40)
    before = now()
    await asyncio.sleep(0.01)
    await cellar.say(anna, "and today", "session-9")
    await cellar.hear()
    cellar.expirer.slate = FileSlate(tmp_path / "clearing.json")
    begun, out = asyncio.Event(), MatrixRemains.take_out
    taken: list[object] = []

    async def take_out(remains: MatrixRemains, *what: Any, **how: Any) -> None:
        await out(remains, *what, **how)
        taken.append(what)
        if len(taken) == 6:
            begun.set()
            await asyncio.Event().wait()  # until the bot is stopped

    with monkeypatch.context() as patch:
        patch.setattr(MatrixRemains, "take_out", take_out)
        clearing = asyncio.ensure_future(cellar.expirer.clear(cellar.due(before)))
        async with asyncio.timeout(240):
            await begun.wait()
        await end(clearing)
    assert counted(cellar) == 5, "of the sixth it does not know that it is out"
    assert cellar.left(word) > 0
    again = replace(cellar.expirer, slate=FileSlate(tmp_path / "clearing.json"))
    assert await again.clear(cellar.due(before))
    assert counted(cellar) == 40
    assert cellar.left(word) == 0
    assert cellar.keys.dropped == {"session-0"}


@pytest.mark.slow
async def test_what_was_interrupted_goes_on_and_takes_nothing_out_twice(cellar: Cellar) -> None:
    anna, word = await cellar.estate.joins("anna", "social"), f"w{token_hex(6)}"
    await cellar.fill(anna, word, 130)
    await cellar.hear()
    due, turns = cellar.due(Ms(now() + 1)), iter([True, False])
    cellar.expirer.goes_on = lambda: next(turns)
    assert not await cellar.expirer.clear(due)
    assert cellar.left(word) > 0
    cellar.expirer.goes_on = lambda: True
    assert await cellar.expirer.clear(due)
    assert counted(cellar) == 130
    # The newest event of a room is hidden, and never deleted.
    assert cellar.left(word) <= 1
