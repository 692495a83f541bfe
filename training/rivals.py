"""Simpler judges, taught on the same train half, to see whether the model is worth its size.

Never asks the held half for anything but a judgement.

Each gives a score for each head, [messages, 2]; only the order of the scores counts.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bridge.model import RoomClass
from bridge.policy import Policy
from bridge.policy.measure import as_message
from bridge.understand.encode import as_text
from training.data import Example
from training.fit import Reader, asked
from training.network import WIDTH, from_base

Judge = Callable[[Sequence[Example]], np.ndarray]
#: Of so many messages the time that one takes is told.
_TIMED = 200


@dataclass(frozen=True, slots=True)
class Rival:
    """A simpler judge: its name, how it judges, and how large it is."""

    name: str
    judge: Judge
    bytes_: int


def rules(policy: Policy, size: int) -> Rival:
    """Give the shipped rules alone: each message by itself, as in a social room."""
    strict = policy.with_conduct()

    def judge(some: Sequence[Example]) -> np.ndarray:
        verdicts = [strict.judge(as_message(one.text), RoomClass.SOCIAL) for one in some]
        return np.array([[one.score, float(bool(one.referrals))] for one in verdicts])

    return Rival("rules alone", judge, size)


def ngrams(train: Sequence[Example]) -> Rival:
    """Give logistic regression on words, pairs of words and parts of words."""
    parts = [
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True),
        TfidfVectorizer(ngram_range=(1, 1), min_df=3, sublinear_tf=True),
    ]
    texts, before = _texts(train)
    seen = [part.fit_transform(texts if at < 2 else before) for at, part in enumerate(parts)]
    heads = _heads(hstack(seen).tocsr(), train, 4.0)

    def judge(some: Sequence[Example]) -> np.ndarray:
        told, earlier = _texts(some)
        found = [part.transform(told if at < 2 else earlier) for at, part in enumerate(parts)]
        return _ask(heads, hstack(found).tocsr())

    return Rival("n-grams, logistic regression", judge, len(pickle.dumps((parts, heads))))


def static(train: Sequence[Example], read: Reader) -> Rival:
    """Give logistic regression on the means of the base model's word vectors."""
    table = from_base(list(read.pieces), read.frame.most).words.weight.detach().numpy()

    def vectors(some: Sequence[Example]) -> np.ndarray:
        found = np.zeros((len(some), 2 * WIDTH), dtype=np.float32)
        for at, one in enumerate(some):
            row = read.rows(one.text, one.before)[0]
            ids, types = np.array(row.ids), np.array(row.types)
            found[at, :WIDTH] = table[ids[types == 0]].mean(0)
            if types.any():
                found[at, WIDTH:] = table[ids[types == 1]].mean(0)
        return found

    heads = _heads(vectors(train) * 10, train, 10.0)
    return Rival(
        "static word vectors, logistic regression",
        lambda some: _ask(heads, vectors(some) * 10),
        table.size + len(pickle.dumps(heads)),
    )


def frozen(train: Sequence[Example], read: Reader, size: int) -> Rival:
    """Give logistic regression on the vectors of the base model as it came."""
    network = from_base(list(read.pieces), read.frame.most).eval()

    def vectors(some: Sequence[Example]) -> np.ndarray:
        _, own = asked(network, read, [(one.text, ()) for one in some])
        _, all_ = asked(network, read, [(" ".join((*one.before, one.text)), ()) for one in some])
        return np.concatenate([own, all_], axis=1) * 5

    heads = _heads(vectors(train), train, 10.0)
    return Rival(
        "MiniLM-L6 as it comes, logistic regression",
        lambda some: _ask(heads, vectors(some)),
        size,
    )


def _texts(some: Sequence[Example]) -> tuple[list[str], list[str]]:
    return (
        [as_text(one.text) for one in some],
        [" ".join(map(as_text, one.before)) for one in some],
    )


def _heads(seen: Any, train: Sequence[Example], strength: float) -> list[LogisticRegression]:
    heads = []
    for at in range(2):
        weights = [one.weights[at] for one in train]
        wishes = [one.wishes[at] for one in train]
        head = LogisticRegression(C=strength, max_iter=2_000)
        heads.append(head.fit(seen, wishes, sample_weight=weights))
    return heads


def _ask(heads: Sequence[LogisticRegression], seen: Any) -> np.ndarray:
    return np.stack([head.decision_function(seen) for head in heads], axis=1)


def milliseconds(judge: Judge, some: Sequence[Example]) -> float:
    """Give the median CPU time of one message by itself, in ms."""
    times = []
    for one in some[:_TIMED]:
        began = time.process_time()
        judge([one])
        times.append(time.process_time() - began)
    return float(np.median(times)) * 1e3
