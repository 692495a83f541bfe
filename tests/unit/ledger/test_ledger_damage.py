"""A ledger file whose bits, rows and ends were changed by someone who computes nothing again."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.store.sqlite import SqliteStore
from tests.making import Hands, custodian, identity
from tests.unit.ledger.forging import Ledger, dice, of_file, play

PSD = custodian()
FLIPS = 400
#: Every column that verify answers for. `checkpoint.at` is not one: when a checkpoint was made is
#: signed by nobody. Nor are the bot's own notebooks (debt, event, waiting, brake, cursor).
BYTES = ("record.header", "body.body", "tile.hashes", "head.peaks", "head.edges", "checkpoint.note")
NUMBERS = ("record.seq", "body.seq", "tile.level", "tile.idx", "checkpoint.size", "head.size")


class File:
    """A ledger file, its anchor, and hands that may write anything into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.anchor = path.with_name("checkpoint").read_text(encoding="utf-8")
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(
            "PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;"
            "DROP TRIGGER record_is_append_only; DROP TRIGGER record_is_kept;"
        )

    def ledger(self, *, anchor: bool = True) -> Ledger:
        outside = (("the anchor", self.anchor),) if anchor else ()
        return of_file(self.path, outside=outside, identities={"psd": PSD.public})

    def sound(self, *, anchor: bool = True) -> bool:
        return self.ledger(anchor=anchor).verified().ok

    def all(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        return self.db.execute(statement, values).fetchall()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger")

    async def run() -> None:
        clock = Hands()
        path, anchor = folder / "ledger.db", folder / "checkpoint"
        store = SqliteStore(path, identity(PSD), clock, anchor=anchor)
        await play(store, clock, notes=230)
        await store.close()
        shutil.copy(path, folder / "older.db")
        store = SqliteStore(path, identity(PSD), clock, anchor=anchor)
        await play(store, clock, notes=5)
        await store.close()

    asyncio.run(run())
    return folder


@pytest.fixture
def file(original: Path, tmp_path: Path) -> Iterator[File]:
    shutil.copytree(original, tmp_path / "copy")
    made = File(tmp_path / "copy" / "ledger.db")
    yield made
    made.db.close()


def test_the_untouched_file_is_sound(file: File) -> None:
    report = file.ledger().verified()
    assert (report.ok, report.unwitnessed_tail, report.outside) == (True, 0, 1)


def test_no_bit_of_a_covered_column_can_be_flipped_unnoticed(file: File) -> None:
    chance = dice(20261122)
    unnoticed, seen = [], set[str]()
    for _ in range(FLIPS):
        place = chance.choice(BYTES)
        table, column = place.split(".")
        kind = "TEXT" if column == "note" else "BLOB"
        name = "(level, idx)" if table == "tile" else "rowid"
        rows = file.all(
            f"SELECT {name.strip('()')}, CAST({column} AS BLOB) FROM {table} "
            f"WHERE length({column}) > 0"
        )
        *where, value = chance.choice(rows)
        assert isinstance(value, bytes)
        raw = bytearray(value)
        bit = chance.randrange(len(raw) * 8)
        raw[bit // 8] ^= 1 << bit % 8
        change = (
            f"UPDATE {table} SET {column} = CAST(? AS {kind}) "
            f"WHERE {name} = ({', '.join('?' * len(where))})"
        )
        file.db.execute(change, (bytes(raw), *where))
        if file.sound():
            unnoticed.append((place, where, bit))
        file.db.execute(change, (value, *where))
        seen.add(place)
    assert unnoticed == []
    assert seen == set(BYTES)
    assert file.sound()


def test_no_number_of_a_covered_column_can_be_changed_unnoticed(file: File) -> None:
    chance = dice(7)
    unnoticed = []
    for place in NUMBERS * 5:
        table, column = place.split(".")
        (number,) = chance.choice(file.all(f"SELECT {column} FROM {table}"))
        assert isinstance(number, int)
        other = number ^ 1 << chance.randrange(20)
        file.db.execute("BEGIN")
        try:
            change = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"
            file.db.execute(change, (other, number))
        except sqlite3.IntegrityError:
            file.db.execute("ROLLBACK")
            continue
        file.db.execute("COMMIT")
        if file.sound():
            unnoticed.append((place, number, other))
        file.db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (number, other))
    assert unnoticed == []
    assert file.sound()


def test_no_row_can_be_taken_away_unnoticed(file: File) -> None:
    chance = dice(8)
    (count,) = file.all("SELECT count(*) FROM record")[0]
    assert isinstance(count, int)
    for seq in [0, 1, count - 1, *chance.sample(range(count), 20)]:
        for table in ("record", "body"):
            (row,) = file.all(f"SELECT * FROM {table} WHERE seq = ?", seq)
            file.db.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
            assert not file.sound(), (table, seq)
            file.db.execute(f"INSERT INTO {table} VALUES (?, ?)", row)
    for table in ("tile", "head"):
        rows = file.all(f"SELECT * FROM {table}")
        file.db.execute(f"DELETE FROM {table}")
        assert not file.sound(), table
        marks = ", ".join("?" * len(rows[0]))
        file.db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    assert file.sound()


def test_no_two_rows_can_be_exchanged_unnoticed(file: File) -> None:
    chance = dice(9)
    (count,) = file.all("SELECT count(*) FROM record")[0]
    assert isinstance(count, int)
    for _ in range(20):
        one, two = chance.sample(range(count), 2)
        for tables in (("record",), ("body",), ("record", "body")):
            _exchange(file, tables, one, two)
            assert not file.sound(), (tables, one, two)
            _exchange(file, tables, one, two)
    assert file.sound()


def _exchange(file: File, tables: tuple[str, ...], one: int, two: int) -> None:
    for table in tables:
        for old, new in ((one, -1), (two, one), (-1, two)):
            file.db.execute(f"UPDATE {table} SET seq = ? WHERE seq = ?", (new, old))


def test_a_record_cannot_be_put_in(file: File) -> None:
    (row,) = file.all("SELECT header FROM record ORDER BY seq DESC LIMIT 1")
    (last,) = file.all("SELECT max(seq) + 1 FROM record")
    file.db.execute("INSERT INTO record VALUES (?, ?)", (*last, *row))
    file.db.execute("INSERT INTO body SELECT ?, body FROM body WHERE seq = 0", last)
    assert not file.sound()


def test_a_file_that_was_rolled_back_is_noticed_by_its_anchor_only(
    file: File, original: Path
) -> None:
    file.db.close()
    shutil.copy(original / "older.db", file.path)
    file.db = sqlite3.connect(file.path)
    failures = file.ledger().verified().failures
    assert [one.step for one in failures] == [6]
    assert "no longer here" in failures[0].what
    report = file.ledger(anchor=False).verified()
    assert report.ok
    assert (report.outside, report.unwitnessed_tail) == (0, report.records)


def test_newest_records_cut_off_with_everything_computed_again_are_noticed_by_the_anchor_only(
    file: File,
) -> None:
    whole = file.ledger()
    cut = replace(whole, rows=whole.rows[:-3]).add_up()
    assert {one.step for one in cut.verified().failures} == {6}
    alone = replace(cut, outside=()).verified()
    assert alone.ok
    assert (alone.outside, alone.unwitnessed_tail) == (0, alone.records)


def test_an_inside_checkpoint_may_vanish_but_the_one_kept_elsewhere_still_counts(
    file: File,
) -> None:
    """Said in docs/ledger.md: nothing checks yet that checkpoints come regularly (step 5)."""
    file.db.execute("DELETE FROM checkpoint")
    report = file.ledger().verified()
    assert (report.ok, report.checkpoints, report.unwitnessed_tail) == (True, 0, 0)
