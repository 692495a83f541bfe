"""The figures that are told of judging are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.detect import AIMS, chat, labelled, shares
from bridge.policy.corpus import Label

TOP = Path(__file__).parents[3]
MEASURED = json.loads((TOP / "benchmarks" / "results" / "detect.json").read_text("utf-8"))
TOLD = (
    (TOP / "docs" / "figures.md").read_text("utf-8").partition("## How fast a message is judged")[2]
)
LESS_IS_BETTER = {"long_ms", "longest_ms", "p99_us"}


def told(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value}"


def test_every_figure_that_is_told_was_measured() -> None:
    table = TOLD.partition("\n## ")[0]
    figures = [*MEASURED["reached"].values(), MEASURED["longest"]]
    for name in ("ordinary", "hard_social", "flagged"):
        figures += [MEASURED[name][part] for part in ("per_s", "bare_per_s", "of_bare")]
    peers = MEASURED["peers"]
    figures += [peers[part] for part in ("patterns", "one_by_one_per_s", "joined_per_s")]
    figures += [peers["times_one_by_one"], peers["times_joined"]]
    words = [one if isinstance(one, str) else told(one) for one in figures]
    assert [word for word in words if word not in table] == []


def test_what_is_missed_is_said_to_be_missed() -> None:
    table = TOLD.partition("\n## ")[0]
    missed = [name for name, share in shares(MEASURED["reached"]).items() if share < 1]
    assert table.count("**missed**") == len(missed)
    assert MEASURED["aims"] == AIMS
    assert MEASURED["reached"]["ordinary_per_s"] > 50_000


def test_the_share_of_an_aim_is_above_one_where_it_is_reached() -> None:
    good = {name: aim / 2 if name in LESS_IS_BETTER else aim * 2 for name, aim in AIMS.items()}
    assert set(shares(good).values()) == {2.0}


def test_what_is_measured_is_the_same_each_time() -> None:
    assert chat(50) == chat(50)
    assert len(set(chat(500))) > 300
    assert len(labelled(Label.OPERATIONAL)) > 250
