"""Bits flipped, values changed, rows moved about in every table that verification covers.

Two ledgers are edited: one small, where most verifications are quick, and one with full tiles.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from bridge.store.sqlite import SqliteStore
from tests.making import Hands, custodian, identity
from tests.torture.editing import COLUMNS, EDITS, Column, Edit, Opened, change_column
from tests.torture.tally import Tally, tell
from tests.unit.ledger.forging import dice, play

PSD = custodian()
#: Changes; one in so many is of whole rows, one in so many of the rest is of the larger ledger.
SMALL, FULL = 400, 100_000
STRUCTURAL, WITH_TILES = 8, 40
#: Tiles take five times as long, and there are fewer of them.
WEIGHTS = [1 if column.table == "tile" else 7 for column in COLUMNS]


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Opened]:
    """One of about thirty records, one with a full tile."""
    return tuple(_made(tmp_path_factory.mktemp("ledger"), n) for n in (5, 260))  # type: ignore[return-value]


def _made(folder: Path, notes: int) -> Opened:
    path, anchor = folder / "ledger.db", folder / "checkpoint"

    async def run() -> None:
        clock = Hands()
        store = SqliteStore(path, identity(PSD), clock, anchor=anchor)
        await play(store, clock, notes=notes)
        await store.close()

    asyncio.run(run())
    return Opened(path, anchor.read_text(encoding="utf-8"), {"psd": PSD.public})


def edit_both(ledgers: tuple[Opened, Opened], count: int) -> None:
    chance = dice(20261122)
    small, tiled = ledgers
    unnoticed, tried = [], Counter[str]()
    never: list[Column | Edit] = [*COLUMNS, *EDITS]  # each is tried at least once
    while tried.total() < count:
        (column,), edit = chance.choices(COLUMNS, WEIGHTS), chance.choice(EDITS)
        kind = never[-1] if never else edit if chance.randrange(STRUCTURAL) == 0 else column
        name = str(kind) if isinstance(kind, Column) else kind.__name__
        on = tiled if "tile" in name or chance.randrange(WITH_TILES) == 0 else small
        with on.edited():
            if not (
                change_column(on, kind, chance) if isinstance(kind, Column) else kind(on, chance)
            ):
                continue
            tried[name] += 1
            never = [other for other in never if other is not kind]
            if said := on.overlooked():
                unnoticed.append((name, said))
    rarest = min(tried.items(), key=lambda item: item[1])
    tell(Tally(family="flips and edits", tried=count, undetected=len(unnoticed),
               remark=f"{len(tried)} kinds, fewest {rarest[1]} ({rarest[0]})"))  # fmt: skip
    assert unnoticed == []
    assert never == []
    assert {one.overlooked() for one in ledgers} == {"not noticed"}  # as they were


def test_no_change_to_what_is_covered_goes_unnoticed(ledgers: tuple[Opened, Opened]) -> None:
    edit_both(ledgers, SMALL)


@pytest.mark.torture
def test_no_change_of_a_hundred_thousand_goes_unnoticed(ledgers: tuple[Opened, Opened]) -> None:
    edit_both(ledgers, FULL)


def test_a_change_to_what_is_not_covered_is_not_noticed(ledgers: tuple[Opened, Opened]) -> None:
    """The control: the rig does notice when nothing is noticed."""
    for on in ledgers:
        with on.edited():
            assert on.changed("UPDATE checkpoint SET at = at + 1")
            assert on.changed("DELETE FROM event")
            assert on.overlooked() == "not noticed"
