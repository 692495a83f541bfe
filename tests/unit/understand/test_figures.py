"""What is told of how fast the language model reads is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.understand import AIMS, HEADING, retell, told

TOP = Path(__file__).parents[3]
MEASURED = json.loads((TOP / "benchmarks" / "results" / "understand.json").read_text("utf-8"))
FIGURES = (TOP / "docs" / "figures.md").read_text("utf-8")


def test_every_figure_that_is_told_was_measured() -> None:
    part = FIGURES.partition(HEADING)[2].partition("\n## ")[0]
    assert told(MEASURED).partition(HEADING)[2].strip() == part.strip()


def test_a_missed_aim_is_said_to_be_missed() -> None:
    slow = {**MEASURED, "alone": {"median_ms": 9.0, "p99_ms": 10.0}}
    fast = {**MEASURED, "alone": {"median_ms": 7.0, "p99_ms": 10.0}}
    assert "**missed**" in told(slow)
    assert "**missed**" not in told(fast)
    assert MEASURED["aims"] == AIMS


def test_new_figures_take_the_place_of_the_old(tmp_path: Path) -> None:
    page = tmp_path / "figures.md"
    page.write_text(f"# Figures\n\n{HEADING}\n\nold\n\n## After\n\nstays\n", "utf-8")
    retell(page, MEASURED)
    retell(page, MEASURED)
    text = page.read_text("utf-8")
    assert text.count(HEADING) == 1
    assert "old" not in text.split()
    assert text.endswith("## After\n\nstays\n")
