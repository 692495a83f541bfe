"""What a judge's logits on labelled messages come to: calibration, thresholds, what is found there.

Never mixes what is found on some messages with what is measured on others: each function has one
set of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge.policy.corpus import Label
from training.data import Example
from training.measures import Platt, platt, share_of, threshold

HEADS = ("operational", "concern")
#: Named shares of hard social messages at which thresholds are found.
NAMED = {"0.5%": 0.005, "1%": 0.01, "2%": 0.02, "5%": 0.05, "10%": 0.1}


def wishes_of(some: Sequence[Example]) -> np.ndarray:
    """Give what is wished of both heads, [messages, 2]."""
    return np.array([one.wishes for one in some], dtype=np.float32)


def texts_of(some: Sequence[Example]) -> list[tuple[str, Sequence[str]]]:
    """Give messages and what was said before them."""
    return [(one.text, one.before) for one in some]


def where(some: Sequence[Example], label: Label, *, hard: bool = False) -> np.ndarray:
    """Say which messages have a label, and are hard if that is asked."""
    return np.array([one.label is label and (one.hard or not hard) for one in some])


def calibrations(some: Sequence[Example], logits: np.ndarray) -> dict[str, Platt]:
    """Fit each head's line; messages of concern say nothing for the operational head."""
    concern, wishes = where(some, Label.CONCERN), wishes_of(some)
    return {
        "operational": platt(logits[~concern, 0], wishes[~concern, 0]),
        "concern": platt(logits[:, 1], wishes[:, 1]),
    }


def limits_of(
    some: Sequence[Example], logits: np.ndarray, lines: Mapping[str, Platt]
) -> dict[str, dict[str, float]]:
    """Find each head's thresholds, as probabilities, at the named shares of hard social."""
    hard = where(some, Label.SOCIAL, hard=True)
    return {
        head: {
            name: above(threshold(lines[head](logits[hard, at]), share))
            for name, share in NAMED.items()
        }
        for at, head in enumerate(HEADS)
    }


def above(value: float) -> float:
    """Give the next number of five decimals above *value*: from there on something is flagged."""
    return round(math.floor(value * 100_000 + 1) / 100_000, 5)


def at_limits(
    some: Sequence[Example],
    logits: np.ndarray,
    lines: Mapping[str, Platt],
    limits: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Say what is found, and what is flagged wrongly, at thresholds found elsewhere."""
    chances = {head: lines[head](logits[:, at]) for at, head in enumerate(HEADS)}
    hard = where(some, Label.SOCIAL, hard=True)
    told: dict[str, Any] = {}
    for head, names in (("operational", ("2%", "0.5%")), ("concern", ("2%",))):
        for name in names:
            flagged = chances[head] >= limits[head][name]
            told[f"{head} found at {name}"] = share_of(flagged[where(some, Label(head))])
            told[f"hard social taken for {head} at {name}"] = share_of(flagged[hard])
    return told
