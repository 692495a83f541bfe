"""What was found of rooms and decided about what is due is read again, also from a later log."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from bridge.facts import (
    Appraised,
    Braked,
    Care,
    Cleared,
    Drifted,
    Fact,
    Fate,
    Labelled,
    Mode,
    Noted,
)
from bridge.ledger.record import new_rid
from bridge.model import Ms
from bridge.store.memory import MemoryStore
from bridge.store.reader import SqliteReader, labelled
from bridge.store.sqlite import SqliteStore
from tests.making import NOON, SOCIAL, Hands, custodian, identity

PSD = custodian(months=9)
JULY = Ms(NOON + 222 * 86_400_000)


def told() -> list[Fact]:
    return [
        Drifted(
            rid=new_rid(), key="a-social", room=SOCIAL, care=Care.MENDING, sort="door",
            text="join rule is public; putting it right", by="@sam:force.example",
        ),
        Drifted(rid=new_rid(), key="b", room=None, care=Care.CALLED, text="people see to it"),
        Cleared(rid=new_rid(), room=SOCIAL, name="A social", messages=3, text="three"),
        Appraised(
            rid=new_rid(), item="room:b", fate=Fate.RETAIN, reason="r", by="Gwen", until=Ms(5)
        ),
        Labelled(rid=new_rid(), item="room:b", group=2, reason="r", by="Gwen"),
        Labelled(rid=new_rid(), item="room:b", group=3, reason="not so grave", by="Gwen"),
        Braked(room=SOCIAL, on=True, by="Gwen", reason="an operation", mode=Mode.INCIDENT,
               until=Ms(JULY + 86_400_000)),
    ]  # fmt: skip


def open_store(folder: Path, clock: Hands) -> SqliteStore:
    return SqliteStore(folder / "ledger.db", identity(PSD), clock, anchor=None)


def check(path: Path) -> None:
    reader = SqliteReader(path)
    try:
        drifts, (cleared,), (decided,) = reader.drifts(), reader.cleared(), reader.appraisals()
        labels = reader.labels()
    finally:
        reader.close()
    assert [(one.key, one.room, one.care, one.sort) for one in drifts] == [
        ("b", "", "called", ""), ("a-social", SOCIAL, "mending", "door"),
    ]  # fmt: skip
    assert (cleared.name, cleared.messages, cleared.at) == ("A social", 3, NOON)
    assert (decided.item, decided.fate, decided.until) == ("room:b", "retain", 5)
    assert [one.group for one in labels] == [2, 3]
    assert labelled(path) == (labels, [decided])


async def test_it_is_read_again_as_it_was_told(tmp_path: Path) -> None:
    store = open_store(tmp_path, Hands())
    await store.append(told())
    await store.close()
    check(tmp_path / "ledger.db")


async def test_it_goes_on_in_the_next_log_as_do_incidents_that_are_on(tmp_path: Path) -> None:
    clock = Hands()
    store = open_store(tmp_path, clock)
    await store.append(told())
    clock.at = JULY
    assert await store.roll()
    (incident,) = await store.standing()
    assert (incident.mode, incident.by) == (Mode.INCIDENT, "Gwen")
    await store.close()
    check(tmp_path / "ledger.db")


async def test_a_file_from_before_has_nothing_of_it_until_the_bot_has_opened_it(
    tmp_path: Path,
) -> None:
    clock, path = Hands(), tmp_path / "ledger.db"
    store = open_store(tmp_path, clock)
    await store.append([Noted(text="before")])
    await store.close()
    db = sqlite3.connect(path)
    for table in ("drift", "cleared", "appraisal", "label"):
        db.execute(f"DROP TABLE {table}")
    db.execute("PRAGMA user_version = 4")
    db.commit()
    db.close()
    reader = SqliteReader(path)
    assert (reader.drifts(), reader.cleared(), reader.appraisals(), reader.labels()) == (
        [], [], [], [],
    )  # fmt: skip
    reader.close()
    store = open_store(tmp_path, clock)
    await store.append(told())
    await store.close()
    check(path)


async def test_where_there_is_no_ledger_nobody_has_decided_anything(tmp_path: Path) -> None:
    assert labelled(tmp_path / "none.db") == ([], [])


async def test_the_store_in_memory_records_the_same() -> None:
    store = MemoryStore(identity(PSD), Hands())
    facts = told()
    await store.append(facts)
    kinds = [msgspec.json.decode(one.header, type=dict[str, str | int]) for one in store.records]
    named = [str(one["kind"]) for one in kinds if one["kind"] not in {
        "genesis", "certificate", "epoch"}]  # fmt: skip
    assert named == ["drift", "drift", "disposal", "appraisal", "label", "label", "brake"]
    drift = next(one for one in kinds if one["kind"] == "drift")
    assert (drift["status"], drift["sort"]) == ("mending", "door")
    assert SOCIAL not in str(kinds), "rooms are tagged"
    assert "@sam" not in str(kinds), "nor does anybody's name stand there"
