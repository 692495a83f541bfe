"""Teaches the weights of `bridge.understand.wording`: logistic regression, by no chance at all.

Never sees what the network makes of a message: each judges by itself, and their sum counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from bridge.understand.wording import BITS, Wording, counted
from training.data import Example

#: What the wording's logits weigh beside the network's. Strangers' messages are found about alike
#: from 0.3 to 0.5, more than with less or more.
BESIDE = 0.4
#: How freely it learns (C of scikit-learn): half of that finds less, twice that wavers.
_STRENGTH = 2.0
#: A place that fewer messages have is not learned.
_FEWEST = {"words": 2, "parts": 3, "before": 3}
_ROUNDS, _NEAR = 2_000, 1e-3
_MOST = 127


def worded(some: Sequence[Example]) -> Wording:
    """Teach the weights from *some* examples."""
    counts = [counted(one.text, one.before) for one in some]
    seen = {name: _matrix([one[name] for one in counts], bits) for name, bits in BITS.items()}
    rare = {name: _rarity(seen[name], _FEWEST[name]) for name in BITS}
    matrix = hstack([seen[name].multiply(rare[name]) for name in BITS]).tocsr()
    weights = np.stack([_head(matrix, some, at) for at in range(2)])
    edges = np.cumsum([1 << bits for bits in BITS.values()])[:-1]
    parts = dict(zip(BITS, np.split(weights * BESIDE, edges, axis=1), strict=True))
    tables, scales = {}, {}
    for name, part in parts.items():
        scaled = part * rare[name]
        scales[name] = np.maximum(np.abs(scaled).max(axis=1), 1e-12) / _MOST
        tables[name] = np.round(scaled / scales[name][:, None]).astype(np.int8)
    return Wording(tables, scales)


def beside(wording: Wording, some: Sequence[Example]) -> np.ndarray:
    """Give what is added to the network's logits, [messages, 2]."""
    return np.array([wording.logits(one.text, one.before) for one in some], dtype=np.float32)


def _matrix(counts: Sequence[dict[int, int]], bits: int) -> Any:
    """Give the messages as rows of length 1."""
    often = [1 + np.log(np.fromiter(one.values(), dtype=np.float64)) for one in counts]
    values = [one / max(np.linalg.norm(one), 1e-12) for one in often]
    places = [place for one in counts for place in one]
    ends = np.cumsum([0, *(len(one) for one in counts)])
    return csr_matrix((np.concatenate(values), places, ends), shape=(len(counts), 1 << bits))


def _rarity(matrix: Any, fewest: int) -> np.ndarray:
    """Say what each place counts for: the rarer the more, nothing below *fewest* messages."""
    having = np.asarray((matrix > 0).sum(axis=0)).ravel()
    rarity = np.log((1 + matrix.shape[0]) / (1 + having)) + 1
    rarity[having < fewest] = 0
    lengths = np.sqrt(np.asarray(matrix.multiply(rarity).power(2).sum(axis=1)).ravel())
    told = lengths[lengths > 0]
    return np.asarray(rarity / (told.mean() if told.size else 1.0))


def _head(matrix: Any, some: Sequence[Example], at: int) -> np.ndarray:
    wishes = [one.wishes[at] for one in some]
    weights = [one.weights[at] for one in some]
    head = LogisticRegression(C=_STRENGTH, max_iter=_ROUNDS, tol=_NEAR)
    return np.asarray(head.fit(matrix, wishes, sample_weight=weights).coef_).ravel()
