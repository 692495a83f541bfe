"""docs/ledger.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.facts import Fact
from bridge.ledger.seal import EPOCH_MS, EPOCH_RECORDS, MADE_HERE
from bridge.verify import steps as verify
from bridge.verify.headers import ALWAYS, FORMAT, LONGEST, MAY, MUST, PLAIN, Kind
from bridge.verify.opening import PADDING

DOCUMENT = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text(encoding="utf-8")
SEAL = {"bucket", "epoch", "kc"}


def table(*head: str) -> list[list[str]]:
    """The rows of the one table that has these column heads."""
    lines = iter(DOCUMENT.splitlines())
    for line in lines:
        if [cell.strip() for cell in line.strip("|").split("|")] == list(head):
            break
    else:
        raise LookupError(f"docs/ledger.md has no table {head}")
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().removeprefix("|").split("|")[:-1]])
    return rows


HEAD = ("kind", "what it is about", "ref", "clear fields", "inside")
KINDS = {row[0].strip("`"): row for row in table(*HEAD)}


def test_the_table_has_every_kind_and_no_other() -> None:
    assert list(KINDS) == [kind.value for kind in Kind]


@pytest.mark.parametrize("kind", Kind)
def test_the_table_has_the_clear_fields_of_each_kind(kind: Kind) -> None:
    _, about, ref, clear, inside = KINDS[kind]
    fields = re.findall(r"`(\w+)(\??)`", clear)
    seal = set[str]() if kind in PLAIN else SEAL
    told = {name for name, _ in fields} | seal | ({"ref"} if ref != "—" else set())
    assert told == MAY[kind]
    assert {name for name, optional in fields if not optional} | seal == MUST[kind]
    assert about
    assert inside


def test_the_table_of_fields_has_what_every_header_has() -> None:
    assert {row[0].strip("`") for row in table("field", "meaning")} == ALWAYS


def test_every_fact_and_every_kind_that_facts_become_is_in_the_table() -> None:
    rows = table("fact", "records")
    facts = {one.__name__ for one in Fact.__args__}
    assert {row[0].strip("`") for row in rows} == facts
    kinds = {kind for row in rows for kind in re.findall(r"`(\w+)`", row[1])}
    assert kinds == {kind.value for kind in set(Kind) - MADE_HERE}


def test_steps_have_their_numbers_and_those_not_built_say_so() -> None:
    section = DOCUMENT.split("\n## Verify\n")[1].split("\n## ")[0]
    steps = dict(re.findall(r"^(\d+)\. (.*)$", section, re.MULTILINE))
    assert list(steps) == [str(n) for n in range(1, 14)]
    unbuilt = {number for number, text in steps.items() if "*Not built:*" in text}
    in_code = set(re.findall(r"^\((\d+)\)", verify.__doc__ or "", re.MULTILINE))
    assert unbuilt == set(steps) - in_code


def test_figures_are_those_of_the_code() -> None:
    for figure in (
        f"{EPOCH_RECORDS:,} records",
        f"{EPOCH_MS // 60_000} minutes",
        f"{LONGEST:,} bytes",
        f"multiple of {PADDING} bytes",
        FORMAT.decode(),
    ):
        assert figure in DOCUMENT
    assert verify.TOLERANCE_MS == 2 * 60_000
    assert "two minutes" in DOCUMENT
