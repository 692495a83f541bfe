"""Figures of a judge: recall at a share of false alarms, thresholds, calibration, reliability.

Never chooses anything by what it is to be measured on: thresholds and calibrations are found on
one set of logits and measured on another by whoever calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.policy.measure import wilson

#: Shares of hard social messages flagged at which recall is told.
SHARES = (0.005, 0.02, 0.05, 0.1)


def threshold(negatives: np.ndarray, share: float) -> float:
    """Give the least value that at most *share* of *negatives* are above."""
    ordered = np.sort(negatives)[::-1]
    allowed = int(share * len(ordered))
    return float(ordered[allowed]) if allowed < len(ordered) else -math.inf


def recall_at(positives: np.ndarray, negatives: np.ndarray, share: float) -> float:
    """Give the share of *positives* above that threshold."""
    return float((positives > threshold(negatives, share)).mean())


@dataclass(frozen=True, slots=True)
class Platt:
    """From a logit to a probability: sigmoid(a * logit + b)."""

    a: float
    b: float

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Give probabilities."""
        return 1 / (1 + np.exp(-(self.a * logits + self.b)))


def platt(logits: np.ndarray, wishes: np.ndarray, rounds: int = 100) -> Platt:
    """Fit by Newton's method the line that makes logits probabilities."""
    x = np.stack([logits, np.ones_like(logits)], axis=1).astype(np.float64)
    y = wishes.astype(np.float64)
    line = np.array([1.0, 0.0])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-(x @ line)))
        slope = x.T @ (p - y) + 1e-3 * line
        curve = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        # Far from the end Newton's step can lead away from it.
        line -= step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    else:
        raise ValueError("no line makes these logits probabilities: was anything learned?")
    if line[0] <= 0:
        raise ValueError("the surer it is the seldomer it is right: nothing was learned")
    return Platt(float(line[0]), float(line[1]))


def reliability(
    chances: np.ndarray, wishes: np.ndarray, bins: int = 10
) -> list[dict[str, float | int]]:
    """For each tenth of stated probability: how many, what was stated, what came true."""
    place = np.minimum((chances * bins).astype(int), bins - 1)
    told: list[dict[str, float | int]] = []
    for at in range(bins):
        inside = place == at
        if not inside.any():
            continue
        low, high = wilson(int(wishes[inside].sum()), int(inside.sum()))
        told.append(
            {
                "from": at / bins,
                "to": (at + 1) / bins,
                "n": int(inside.sum()),
                "stated": round(float(chances[inside].mean()), 3),
                "true": round(float(wishes[inside].mean()), 3),
                "low": round(low, 3),
                "high": round(high, 3),
            }
        )
    return told


def calibration_error(chances: np.ndarray, wishes: np.ndarray, bins: int = 10) -> float:
    """Give the mean distance between what was stated and what came true, over all messages."""
    rows = reliability(chances, wishes, bins)
    return sum(row["n"] * abs(row["stated"] - row["true"]) for row in rows) / len(chances)


def share_of(flags: Sequence[bool] | np.ndarray) -> dict[str, float | int]:
    """Give a count, its share and the Wilson interval of 95 %."""
    count, total = int(np.sum(flags)), len(flags)
    low, high = wilson(count, total)
    share = count / total if total else 0.0
    return {
        "n": total,
        "count": count,
        "share": round(share, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }
