"""How much a rule may still do, given what people found about it.

Never gives a rule more strength than its file does, and never takes any for two early errors: it
needs more errors than a team should see, *and* has to be wrong more often than it may be, with a
confidence of 95 % (the lower end of a Wilson interval).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.detect.rules import Channel, Mode, Rule
from bridge.model import Action
from bridge.policy.bounds import Bounds
from bridge.policy.measure import wilson

_ORDER = (Mode.ENFORCE, Mode.NUDGE, Mode.SIGN, Mode.SHADOW, Mode.OFF)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often people found that one rule was right and wrong: in moves, and in nudges."""

    moves_right: int = 0
    moves_wrong: int = 0
    nudges_right: int = 0
    nudges_wrong: int = 0

    @property
    def right(self) -> int:
        """Of either."""
        return self.moves_right + self.nudges_right

    @property
    def wrong(self) -> int:
        """Of either: a message that should not be moved should not be nudged for, either."""
        return self.moves_wrong + self.nudges_wrong


def tally(found: Iterable[tuple[str, Action, bool]]) -> dict[str, Tally]:
    """Count (rule, what happened, whether that was right), rule by rule."""
    counts: dict[str, list[int]] = {}
    for rule, action, right in found:
        place = (0 if action >= Action.REDIRECT else 2) + (0 if right else 1)
        counts.setdefault(rule, [0, 0, 0, 0])[place] += 1
    return {rule: Tally(*each) for rule, each in counts.items()}


def reduced(one: Tally, bounds: Bounds, people: int) -> Mode:
    """Say what a rule with this record may do at most, in a force of so many *people*."""
    if _too_often(one.right, one.wrong, bounds.allowed(bounds.wrong_nudges, people), bounds):
        return Mode.SHADOW
    moves = bounds.allowed(bounds.wrong_moves, people)
    if _too_often(one.moves_right, one.moves_wrong, moves, bounds):
        return Mode.NUDGE
    return Mode.ENFORCE


def weaker(one: Mode, other: Mode) -> Mode:
    """Give the one that may do less."""
    return max(one, other, key=_ORDER.index)


def _too_often(right: int, wrong: int, allowed: float, bounds: Bounds) -> bool:
    surely, _ = wilson(wrong, right + wrong)
    return wrong > allowed and 100 * surely > bounds.wrong_share


def weakened(
    rules: Iterable[Rule], tallies: Mapping[str, Tally], bounds: Bounds, people: int
) -> dict[str, Mode]:
    """Say which rules lose strength, and what each may still do."""
    found: dict[str, Mode] = {}
    for rule in rules:
        if rule.channel is not Channel.OPERATIONAL or rule.id not in tallies:
            continue
        mode = weaker(rule.mode, reduced(tallies[rule.id], bounds, people))
        if mode is not rule.mode:
            found[rule.id] = mode
    return found
