"""What people found about messages, as something to learn from, and when a new model is better.

Never lets one person's messages be both learned from and measured on, and never takes a model for
better that is so on one sample only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.model import Action, UserId
from bridge.policy.corpus import Label

#: Fewer messages to measure on, or of one label, say nothing.
FEWEST = 50
FEWEST_OF_A_LABEL = 10
#: So much more of what is social may be flagged than by the old model, as a share.
_SLACK = 0.005
#: So much less of what is operational may be found: thresholds that find nothing flag nothing.
_LOST = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A message about which a person has said whether what was done to it was right."""

    sender: UserId
    text: str
    before: tuple[str, ...]
    label: Label


def label_of(action: Action, *, right: bool, concern: bool) -> Label | None:
    """Say what a message is after a person has looked; None where that follows from nothing.

    *right*: what was done stands. *concern*: it was flagged for professional standards.
    """
    if not right:
        return Label.SOCIAL if action is not Action.ALLOW or concern else None
    if action in {Action.NUDGE, Action.REDIRECT}:
        return Label.OPERATIONAL
    return Label.CONCERN if concern and action is Action.ALLOW else None


def halves(found: Iterable[Ruled]) -> tuple[list[Ruled], list[Ruled]]:
    """Divide *found* by who said it: what is learned from, and what is measured on."""
    learned: list[Ruled] = []
    measured: list[Ruled] = []
    for one in found:
        even = hashlib.sha256(one.sender.encode()).digest()[0] % 2
        (measured if even else learned).append(one)
    return learned, measured


def too_few(measured: Sequence[Ruled]) -> str:
    """Say why *measured* is too small a sample to judge a model by; empty if it is not."""
    counts = {
        label: sum(one.label is label for one in measured)
        for label in (Label.OPERATIONAL, Label.SOCIAL)
    }
    if len(measured) >= FEWEST and min(counts.values()) >= FEWEST_OF_A_LABEL:
        return ""
    said = " and ".join(f"{count} {label}" for label, count in counts.items())
    return (
        f"the half of them to measure on has {len(measured)} messages ({said}); it takes {FEWEST}, "
        f"and {FEWEST_OF_A_LABEL} of each"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a model tells messages of one label, operational or of concern, from social ones."""

    #: Of such a message and a social one drawn by chance, how often the first is the surer.
    order: float
    #: Shares that are flagged at the model's own threshold.
    recall: float
    flagged: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"order {self.order:.3f}, found {100 * self.recall:.1f} %, social flagged "
            f"{100 * self.flagged:.1f} %"
        )


def score(
    found: Sequence[tuple[Label, float]], threshold: float, wanted: Label = Label.OPERATIONAL
) -> Score:
    """Hold beliefs against labels: *wanted* against social; each of the two has to be there."""
    jobs = sorted(sure for label, sure in found if label is wanted)
    talk = sorted(sure for label, sure in found if label is Label.SOCIAL)
    return Score(
        order=_order(jobs, talk),
        recall=sum(sure >= threshold for sure in jobs) / len(jobs),
        flagged=sum(sure >= threshold for sure in talk) / len(talk),
    )


def _order(jobs: Sequence[float], talk: Sequence[float]) -> float:
    """Give the share of pairs in the right order; equal ones count half. Both are sorted."""
    below, equal, won = 0, 0, 0.0
    for sure in jobs:
        while below < len(talk) and talk[below] < sure:
            below += 1
        equal = max(equal, below)
        while equal < len(talk) and talk[equal] <= sure:
            equal += 1
        won += below + (equal - below) / 2
    return won / (len(jobs) * len(talk))


def why_not_better(new: Score, old: Score, what: str, *, strictly: bool) -> list[str]:
    """Say in what *new* does not beat *old* on a sample; *strictly*: equal is not better."""
    worse = []
    if new.order < old.order or (strictly and new.order == old.order):
        worse.append(f"{what}: it tells the two apart no better ({new.order:.3f}, {old.order:.3f})")
    if new.flagged > old.flagged + _SLACK:
        worse.append(
            f"{what}: it flags more of what is social ({100 * new.flagged:.1f} %, "
            f"{100 * old.flagged:.1f} %)"
        )
    if new.recall < old.recall - _LOST:
        worse.append(
            f"{what}: it finds less of what it should ({100 * new.recall:.1f} %, "
            f"{100 * old.recall:.1f} %)"
        )
    return worse
