"""A ledger in memory, and hands that may write anything into it and take it back.

Never goes round the reader: what was edited in the tables is read and verified as a file's would
be. Nothing is computed again but where an edit says so.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.store.reader import SqliteReader
from bridge.verify.notes import Checkpoint, parse
from tests.making import ORIGIN
from tests.unit.ledger.forging import STRANGER, VERIFIER, Ledger


@dataclass(frozen=True)
class Column:
    """A column that verify answers for, and what names its rows."""

    table: str
    name: str
    key: tuple[str, ...]
    #: What SQLite lets it hold.
    kind: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


#: Every column of every table that verification covers: docs/ledger.md, *File*. Not
#: `checkpoint.at`, which is signed by nobody, nor the bot's notebook.
COLUMNS = (
    Column("record", "seq", ("seq",), "INTEGER"),
    Column("record", "header", ("seq",), "BLOB"),
    Column("body", "seq", ("seq",), "INTEGER"),
    Column("body", "body", ("seq",), "BLOB"),
    Column("tile", "level", ("level", "idx"), "INTEGER"),
    Column("tile", "idx", ("level", "idx"), "INTEGER"),
    Column("tile", "hashes", ("level", "idx"), "BLOB"),
    Column("head", "size", ("one",), "INTEGER"),
    Column("head", "peaks", ("one",), "BLOB"),
    Column("head", "edges", ("one",), "BLOB"),
    Column("checkpoint", "size", ("size",), "INTEGER"),
    Column("checkpoint", "note", ("size",), "TEXT"),
)


class Opened:
    """One ledger with its anchor, whose tables anyone may edit."""

    def __init__(self, path: Path, anchor: str, identities: dict[str, bytes]) -> None:
        self._anchor, self._identities = anchor, identities
        self._reader = SqliteReader(path)
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        with contextlib.closing(self._reader._db) as file:
            file.backup(self.db)
        self.db.text_factory = self._reader._db.text_factory
        self._reader._db = self.db
        self.db.executescript(
            "PRAGMA foreign_keys = OFF;"
            "DROP TRIGGER record_is_append_only; DROP TRIGGER record_is_kept;"
        )

    def ledger(self) -> Ledger:
        """Everything as the reader finds it, and the anchor."""
        return Ledger(
            rows=tuple(self._reader.rows()),
            tiles=self._reader.tiles(),
            checkpoints=tuple(self._reader.checkpoints()),
            edge=self._reader.edge(),
            outside=(("the anchor", self._anchor),),
            identities=self._identities,
        )

    def overlooked(self) -> str:
        """Say so if verify finds nothing wrong, or cannot say what is."""
        try:
            return "not noticed" if self.ledger().verified().ok else ""
        except Exception as exc:
            return f"verify fell over: {exc!r}"

    @contextlib.contextmanager
    def edited(self) -> Iterator[None]:
        """Take back whatever is done meanwhile."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            self.db.execute("ROLLBACK")

    def all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self.db.execute(statement, values).fetchall()

    def changed(self, statement: str, *values: object) -> bool:
        """Do what *statement* says; False if the tables do not allow it or nothing came of it."""
        try:
            return self.db.execute(statement, values).rowcount > 0
        except sqlite3.IntegrityError:
            return False


def mutate(value: bytes, chance: random.Random) -> bytes:
    """Return *value* with a bit flipped, or bytes set, put in, taken out or cut off."""
    at = chance.randrange(len(value)) if value else 0
    few = chance.randbytes(chance.choice((1, 1, 2, 8)))
    match chance.randrange(8) if value else 5:
        case 0 | 1 | 2 | 3:
            return value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]
        case 4:
            return value[:at] + few + value[at + len(few) :]
        case 5:
            return value[:at] + few + value[at:]
        case 6:
            return value[:at] + value[at + len(few) :]
        case _:
            return value[:at]


def change_column(ledger: Opened, column: Column, chance: random.Random) -> bool:
    """Change one value of *column*; False if that came to nothing."""
    keys = ", ".join(column.key)
    shown = column.name if column.kind == "INTEGER" else f"CAST({column.name} AS BLOB)"
    *place, value = chance.choice(ledger.all(f"SELECT {keys}, {shown} FROM {column.table}"))
    if column.kind == "INTEGER":
        other: object = chance.choice(
            (value ^ 1 << chance.randrange(62), value + 1, value - 1, -value, chance.randrange(400))
        )
    else:
        other = mutate(value, chance)
    where = " AND ".join(f"{key} = ?" for key in column.key)
    return other != value and ledger.changed(
        f"UPDATE {column.table} SET {column.name} = CAST(? AS {column.kind}) WHERE {where}",
        other, *place,
    )  # fmt: skip


Edit = Callable[[Opened, random.Random], bool]


def _some_row(ledger: Opened, table: str, chance: random.Random) -> int:
    return int(chance.choice(ledger.all(f"SELECT rowid FROM {table}"))[0])


def delete_a_record(ledger: Opened, chance: random.Random) -> bool:
    at = _some_row(ledger, "record", chance)
    whole = chance.random() < 0.5 and ledger.changed("DELETE FROM body WHERE seq = ?", at)
    done = ledger.changed("DELETE FROM record WHERE seq = ?", at)
    if whole and chance.random() < 0.5:  # and close the hole
        for table in ("record", "body"):
            ledger.changed(f"UPDATE {table} SET seq = -seq WHERE seq > ?", at)
            ledger.changed(f"UPDATE {table} SET seq = -seq - 1 WHERE seq < 0")
    return done


def delete_a_body(ledger: Opened, chance: random.Random) -> bool:
    return ledger.changed("DELETE FROM body WHERE seq = ?", _some_row(ledger, "body", chance))


def delete_a_tile(ledger: Opened, chance: random.Random) -> bool:
    place = chance.choice(ledger.all("SELECT level, idx FROM tile"))
    return ledger.changed("DELETE FROM tile WHERE (level, idx) = (?, ?)", *place)


def delete_the_head(ledger: Opened, chance: random.Random) -> bool:
    return ledger.changed("DELETE FROM head")


def cut_off_the_end(ledger: Opened, chance: random.Random) -> bool:
    count = chance.choice((1, 2, 3, 10, 40, 10_000))
    size = ledger.all("SELECT count(*) FROM record")[0][0]
    for table in ("record", "body"):
        ledger.changed(f"DELETE FROM {table} WHERE seq >= ?", size - count)
    ledger.changed("DELETE FROM checkpoint WHERE size > ?", size - count)
    return True


def cut_off_the_end_and_add_up(ledger: Opened, chance: random.Random) -> bool:
    """As whoever has the host's key can: only the anchor knows better."""
    cut_off_the_end(ledger, chance)
    _put_back(ledger, ledger.ledger().add_up())
    return True


def rewrite_and_add_up(ledger: Opened, chance: random.Random) -> bool:
    """Put one record's time back by a little, and everything that follows from it."""
    found = ledger.ledger()
    at = chance.randrange(len(found.rows))
    moved = found.with_fields(at, t=int(found.header(at)["t"]) - chance.randrange(1, 100))
    _put_back(ledger, moved.add_up())
    return True


def sign_as_a_stranger(ledger: Opened, chance: random.Random) -> bool:
    _put_back(ledger, ledger.ledger().add_up(signed_by=STRANGER))
    return True


def _put_back(ledger: Opened, whole: Ledger) -> None:
    for table in ("record", "body", "tile", "head", "checkpoint"):
        ledger.db.execute(f"DELETE FROM {table}")
    many = ledger.db.executemany
    many("INSERT INTO record VALUES (?, ?)", [(row.seq, row.header) for row in whole.rows])
    many("INSERT INTO body VALUES (?, ?)", [(row.seq, row.body) for row in whole.rows])
    many("INSERT INTO tile VALUES (?, ?, ?)", [(*at, h) for at, h in whole.tiles.items()])
    many("INSERT INTO checkpoint VALUES (?, 0, ?)", whole.checkpoints)
    many("INSERT INTO head VALUES (1, ?, ?, ?)", [whole.edge])


def exchange_two_records(ledger: Opened, chance: random.Random) -> bool:
    one, two = chance.sample([row[0] for row in ledger.all("SELECT seq FROM record")], 2)
    for table in chance.choice((("record",), ("body",), ("record", "body"))):
        for old, new in ((one, -1), (two, one), (-1, two)):
            ledger.changed(f"UPDATE {table} SET seq = ? WHERE seq = ?", new, old)
    return True


def copy_a_record_over_another(ledger: Opened, chance: random.Random) -> bool:
    one, two = chance.sample([row[0] for row in ledger.all("SELECT seq FROM record")], 2)
    table, column = chance.choice((("record", "header"), ("body", "body")))
    other = f"(SELECT {column} FROM {table} WHERE seq = ?)"
    return ledger.changed(f"UPDATE {table} SET {column} = {other} WHERE seq = ?", one, two)


def repeat_a_record_at_the_end(ledger: Opened, chance: random.Random) -> bool:
    at = _some_row(ledger, "record", chance)
    for table in ("record", "body"):
        ledger.changed(f"INSERT INTO {table} SELECT (SELECT max(seq) + 1 FROM {table}), "
                       f"{'header' if table == 'record' else 'body'} FROM {table} WHERE seq = ?",
                       at)  # fmt: skip
    return True


def repeat_a_tile_elsewhere(ledger: Opened, chance: random.Random) -> bool:
    return ledger.changed("INSERT INTO tile SELECT ?, ?, hashes FROM tile LIMIT 1",
                          chance.randrange(4), chance.randrange(1, 9))  # fmt: skip


def take_an_older_head(ledger: Opened, chance: random.Random) -> bool:
    found = ledger.ledger()
    cut = Ledger(rows=found.rows[: chance.randrange(len(found.rows))], tiles={}, checkpoints=(),
                 edge=(0, b"", b"")).add_up()  # fmt: skip
    return ledger.changed("UPDATE head SET size = ?, peaks = ?, edges = ?", *cut.edge)


def forge_a_checkpoint(ledger: Opened, chance: random.Random) -> bool:
    """State another size or root, or let a stranger sign, or take a note from another place."""
    rows = ledger.all("SELECT size, note FROM checkpoint")
    size, note = chance.choice(rows)
    root = parse(note, VERIFIER).root
    of = chance.randrange(1, 400)
    other: tuple[int, str] = chance.choice((
        (size, note.replace(str(size), str(of), 1)),
        (of, note),
        (size, Checkpoint(ORIGIN, size, root).sign(STRANGER)),
        (size, Checkpoint(ORIGIN, size, chance.randbytes(32)).sign(STRANGER)),
        (of, Checkpoint(ORIGIN, of, root).sign(Ed25519PrivateKey.generate())),
        (size, Checkpoint(f"{ORIGIN}2", size, root).sign(STRANGER)),
        (size, note.partition("\n\n")[0] + "\n\n"),
        (size, note + note.splitlines()[-1].replace("=", "")),
        (size, chance.choice(rows)[1].partition("\n\n")[0] + "\n\n" + note.partition("\n\n")[2]),
    ))  # fmt: skip
    return other not in rows and ledger.changed(
        "INSERT OR REPLACE INTO checkpoint VALUES (?, 0, ?)", *other
    )


EDITS: tuple[Edit, ...] = (
    delete_a_record, delete_a_body, delete_a_tile, delete_the_head, cut_off_the_end,
    cut_off_the_end_and_add_up, rewrite_and_add_up, sign_as_a_stranger, exchange_two_records,
    copy_a_record_over_another, repeat_a_record_at_the_end, repeat_a_tile_elsewhere,
    take_an_older_head, forge_a_checkpoint,
)  # fmt: skip
