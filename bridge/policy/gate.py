"""Decides whether a measurement is good enough: a small language of bounds.

Never evaluates anything but names, comparisons and figures.

An expression is bounds joined by `and`, such as
`social.redirect_per_1000<=5 and operational.nudge_recall>=0.5`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import UsageError
from bridge.model import Action
from bridge.policy.corpus import Label
from bridge.policy.measure import Measurement

_BOUND = re.compile(r"\s*([a-z_]+(?:\.[a-z_0-9]+)?)\s*(<=|>=|==|<|>)\s*([0-9]+(?:\.[0-9]+)?)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One bound, and how the measurement stands to it."""

    text: str
    value: float
    holds: bool


def gate(measurement: Measurement, expression: str) -> tuple[Bound, ...]:
    """Evaluate each bound of *expression*; the gate is met if all of them hold.

    Raises:
        UsageError: the expression is not one, or names a figure that there is not.
    """
    figures = figures_of(measurement)
    return tuple(_bound(part, figures) for part in re.split(r"\band\b", expression))


def check_gate(expression: str) -> None:
    """Read *expression* before anything is measured.

    Raises:
        UsageError: as `gate`.
    """
    gate(Measurement(revision="", judged=(), seconds=0.0), expression)


def _bound(text: str, figures: dict[str, float]) -> Bound:
    read = _BOUND.fullmatch(text)
    if read is None:
        raise UsageError(f"{text.strip()!r} is not a bound such as social.redirect_per_1000<=5")
    name, sign, limit = read.groups()
    if name not in figures:
        raise UsageError(f"there is no figure {name!r}; there are: {', '.join(sorted(figures))}")
    value = figures[name]
    return Bound(text=text.strip(), value=value, holds=_COMPARE[sign](value, float(limit)))


def figures_of(measurement: Measurement) -> dict[str, float]:
    """Give every figure that an expression may name.

    A share of nothing counts as the worst, so that an empty corpus meets no gate.
    """
    figures: dict[str, float] = {
        "messages": len(measurement.judged),
        "messages_per_second": measurement.messages_per_second,
    }
    for label in Label:
        total = len(measurement.of(label))
        figures[f"{label}.n"] = total
        referred = sum(1 for one in measurement.of(label) if one.referred)
        figures[f"{label}.review_recall"] = referred / total if total else 0.0
        figures[f"{label}.review_per_1000"] = 1000 * referred / total if total else 1000.0
        for name, least in (("nudge", Action.NUDGE), ("redirect", Action.REDIRECT)):
            count = measurement.count(label, least)
            figures[f"{label}.{name}"] = count
            figures[f"{label}.{name}_recall"] = count / total if total else 0.0
            figures[f"{label}.{name}_per_1000"] = 1000 * count / total if total else 1000.0
    return figures
