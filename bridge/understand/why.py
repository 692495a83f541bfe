"""Says why the model believes what it does: which words mattered, by leaving each out in turn.

Never asked for by the running bot: it runs the model once for every word, for a person who wants to
know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.understand.model import Asked, Belief
from bridge.understand.stage import Answers

#: So many words are tried; of a longer message those of its beginning.
MOST_WORDS = 80
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Mattered:
    """A word of the message, and what it did to the belief."""

    start: int
    end: int
    #: How much lower the log-odds of operational talk are without it; below 0: higher.
    weight: float


def words_that_mattered(model: Answers, asked: Asked, count: int = 5) -> tuple[Mattered, ...]:
    """Give the *count* words that spoke most for operational talk, the strongest first."""
    places = [found.span() for found in _WORD.finditer(asked.body)][:MOST_WORDS]
    if len(places) < 2:
        return ()
    shorter = [
        Asked(f"{asked.body[:start]} {asked.body[end:]}", asked.before) for start, end in places
    ]
    whole, *others = model.judge([asked, *shorter])
    found = [
        Mattered(start, end, _odds(whole) - _odds(other))
        for (start, end), other in zip(places, others, strict=True)
        if other.read
    ]
    strongest = sorted(found, key=lambda one: (-one.weight, one.start))
    return tuple(one for one in strongest[:count] if one.weight > 0)


def context_weight(model: Answers, asked: Asked) -> float:
    """Say how much higher the log-odds are for what was said before."""
    alone, together = model.judge([Asked(asked.body), asked])
    return _odds(together) - _odds(alone) if alone.read and together.read else 0.0


def _odds(belief: Belief) -> float:
    sure = min(max(belief.operational, 1e-9), 1 - 1e-9)
    return math.log(sure / (1 - sure))


def text_of(asked: Asked, mattered: Sequence[Mattered]) -> tuple[str, ...]:
    """Give the words themselves."""
    return tuple(asked.body[one.start : one.end] for one in mattered)
