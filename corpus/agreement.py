"""Compares the labels with those of a second reader, who saw neither them nor their reasons.

Never decides who is right: where a label should change stands in disputed.jsonl, for a person.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from bridge.policy.corpus import Label
from bridge.policy.measure import wilson
from corpus.rows import Said

#: One message in so many is read a second time.
ONE_IN = 10
_SEED = "second labels"


def _chance(*words: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join((_SEED, *words)).encode()).digest()[:8], "big")


def sample(said: Sequence[Said], already: Collection[str] = ()) -> list[Said]:
    """Draw a tenth of each voice's messages, spread over labels and hardness, in no telling order.

    Each voice is drawn by itself, so that a new voice changes nothing for the others. What was
    read a second time *already*, by id, is counted and not drawn again.
    """
    drawn: list[Said] = []
    for voice, group in groupby(sorted(said, key=lambda one: one.voice), lambda one: one.voice):
        spread = sorted(group, key=lambda one: (one.label, one.hard, _chance(one.id)))
        tenth = spread[_chance(voice) % ONE_IN :: ONE_IN]
        missing = len(tenth) - sum(one.id in already for one in spread)
        drawn += [one for one in tenth if one.id not in already][: max(0, missing)]
    return sorted(drawn, key=lambda one: _chance("order", one.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two readers agree; pairs are (first label, second label)."""

    pairs: Mapping[tuple[Label, Label], int]
    #: Ids with the first and the second label.
    apart: tuple[tuple[str, Label, Label], ...]

    @property
    def total(self) -> int:
        """How many messages were read twice."""
        return sum(self.pairs.values())

    @property
    def agreed(self) -> int:
        """How many of them got the same label twice."""
        return sum(count for (first, second), count in self.pairs.items() if first is second)

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson score interval of 95 % of the share that agreed."""
        return wilson(self.agreed, self.total)

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond what two readers have who guess at their own rates.

        Cohen 1960, Educational and Psychological Measurement 20(1).
        """
        total = self.total
        by_chance = sum(
            sum(self.pairs.get((label, other), 0) for other in Label)
            * sum(self.pairs.get((other, label), 0) for other in Label)
            for label in Label
        ) / (total * total)
        return (self.agreed / total - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0

    def rows(self) -> Iterator[str]:
        """Give the confusion table as lines of Markdown."""
        yield "| first \\ second | " + " | ".join(Label) + " |"
        yield "|---|" + "---:|" * len(Label)
        for first in Label:
            counts = (str(self.pairs.get((first, second), 0)) for second in Label)
            yield f"| {first} | " + " | ".join(counts) + " |"


def agreement(said: Sequence[Said], second: Mapping[str, Label]) -> Agreement:
    """Compare first and second labels of the messages that have both."""
    both = [(one.id, one.label, second[one.id]) for one in said if one.id in second]
    return Agreement(
        pairs=Counter((first, other) for _, first, other in both),
        apart=tuple(row for row in both if row[1] is not row[2]),
    )
