"""What was measured, as JSON: with all that is needed to judge it, and nothing of the machine.

Never writes a path, a host's name or an address.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import random
import re
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PARTS = ("matrix-nio", "vodozemac", "matrix-synapse")
#: How often samples are drawn again to see how far a ratio can be trusted.
_DRAWS = 2_000
#: A list of numbers, which is to stand on one line.
_SAMPLES = re.compile(r"\[[\d\s.,]*\]")


def surroundings() -> dict[str, Any]:
    """Say when and on what it was measured; the loads are those of the moment, 1 and 5 min."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()[:2]],
        "python": platform.python_version(),
        **{part: version(part) for part in _PARTS},
    }


def percentile(samples: Sequence[float], percent: int) -> float:
    """Return the value that *percent* of a hundred *samples* do not exceed."""
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]


def compared(ours: Sequence[float], peer: Sequence[float], percent: int) -> dict[str, float]:
    """Hold a percentile of *ours* against *peer*'s: the ratio and its 95 % bootstrap interval."""
    # Of what was measured: chance here decides nothing but how the figure is rounded.
    chance = random.Random(0)  # noqa: S311 - no secret
    ratios = sorted(
        percentile(chance.choices(ours, k=len(ours)), percent)
        / percentile(chance.choices(peer, k=len(peer)), percent)
        for _ in range(_DRAWS)
    )
    return {
        "ours": round(percentile(ours, percent), 1),
        "peer": round(percentile(peer, percent), 1),
        "ratio": round(percentile(ours, percent) / percentile(peer, percent), 2),
        "ratio_from": round(ratios[_DRAWS // 40], 2),
        "ratio_to": round(ratios[-_DRAWS // 40], 2),
    }


def keep(folder: Path, name: str, result: Mapping[str, Any]) -> None:
    """Write *result* to *name*.json in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _SAMPLES.sub(lambda found: " ".join(found[0].split()), json.dumps(result, indent=2))
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
