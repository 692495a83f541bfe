"""The benchmarks that need no homeserver run, so that they cannot rot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import throughput
from benchmarks.plot import staircases


@pytest.mark.slow
def test_throughput_measures_all_loops_and_keeps_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    throughput.main(["--messages", "200", "--into", str(tmp_path)])
    kept = json.loads((tmp_path / "throughput.json").read_text())
    assert kept["messages"] == 200
    assert kept["records"] >= 200
    assert kept["moved"] >= 5
    assert 0 < kept["cpu"]["ratio"] < 1.2
    said = capsys.readouterr()
    assert json.loads(said.out)["cpu"] == kept["cpu"]
    assert "cumulative" in said.err


def test_a_picture_of_samples_fetches_nothing() -> None:
    drawn = staircases("t", {"p": {"ours": [1.0, 130.0], "peer": [99.0]}}, note="n")
    assert drawn.count("<path") == 5 + 2
    assert drawn.count("http") == 1


def test_the_figures_quote_what_was_measured_last() -> None:
    top = Path(throughput.__file__).parent
    figures = (top.parent / "docs" / "figures.md").read_text(encoding="utf-8")
    latency = json.loads((top / "results" / "latency.json").read_text())
    speed = json.loads((top / "results" / "throughput.json").read_text())
    quoted = [
        f"{latency[what][name][part]}"
        for what in ("removed", "copied")
        for name in ("p50", "p95")
        for part in ("ours", "peer", "ratio")
    ]
    quoted += [f"{speed['cpu'][part]}" for part in ("ours_us", "peer_us", "ratio")]
    quoted += [f"{speed['against_stock_nio'][part]}" for part in ("cpu_us", "cpu_ratio")]
    quoted += [f"{part}" for part in speed["cpu_parts_us"].values()]
    gate = json.loads((top / "results" / "gate.json").read_text())
    quoted += [
        f"{gate[what][name][part]}"
        for what in ("warm", "rotated")
        for name in ("p50", "p95")
        for part in ("ours", "peer", "ratio")
    ]
    quoted += [f"{aim['measured']}" for aim in gate["targets"].values()]
    quoted += [f"{gate['cpu_ms'][part]}" for part in ("ours", "peer")]
    missed = sum(not aim["met"] for aim in gate["targets"].values())
    section = figures.split("## What the gate costs who sends")[1].split("\n## ")[0]
    assert section.count("**missed**") == missed
    assert [figure for figure in quoted if figure not in figures] == []
