"""What the pipeline asks of every batch costs what the batch is worth, not what is on record."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

from bridge.facts import Seen
from bridge.model import EventId, Message, Ms, RoomClass
from bridge.store.sql import statements
from bridge.store.sqlite import SqliteStore
from tests.making import NOON, Hands, custodian, identity, say

SQL = statements("ledger.sql")


def at(event: str, session: str, index: int, *, after: int = 0) -> Message:
    """Make a message at one place of a session."""
    sent_at = Ms(NOON + after)
    return replace(say(event), session=session, index=index, sent_at=sent_at)


async def told(path: Path, *messages: Message) -> SqliteStore:
    store = SqliteStore(path / "ledger.db", identity(custodian()), Hands(), anchor=None)
    await store.append([Seen(message=one, cls=RoomClass.SOCIAL) for one in messages])
    return store


def test_a_place_in_a_session_is_looked_up_and_the_session_not_read() -> None:
    db = sqlite3.connect(":memory:")
    db.executescript(SQL["schema"])
    for name, how in {"sources": "(session=? AND idx=?)", "events": "(id=?)"}.items():
        plan = db.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", (json.dumps([]),)).fetchall()
        assert any(how in step[3] for step in plan), plan
    db.close()


async def test_of_two_events_in_one_place_the_older_is_its_source(tmp_path: Path) -> None:
    store = await told(
        tmp_path, at("$late", "s", 4, after=9), at("$first", "s", 4), at("$next", "s", 5)
    )
    asked = [at("$x", "s", 4), at("$y", "t", 4), at("$z", "s", 6), at("$dark", "s", -1)]
    assert await store.sources(asked) == {("s", 4): "$first"}
    await store.close()


async def test_an_id_with_a_null_character_is_found_and_is_no_other(tmp_path: Path) -> None:
    store = await told(tmp_path, say("$a"), say("$b\0c"), say("$é😀"))
    ids = [EventId(one) for one in ("$a\0x", "$b\0c", "$b", "$é😀")]
    assert set(await store.known(ids)) == {"$b\0c", "$é😀"}
    assert await store.known([]) == {}
    await store.close()
