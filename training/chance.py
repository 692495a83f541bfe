"""Changes messages as rooms do: other things said before, nothing said before, slips of the finger.

Never changes what a message means: where what was said before carries the meaning, it is taken
away rarely, and then the message alone is what a reader would have.

In the corpus three in four messages have nothing before them and the others have what belongs to
them; in a room nearly every message has something before it that may belong or not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.policy.corpus import Label
from training.data import Example

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often something is done to a message."""

    #: What was said before is taken away: of a fragment, of another message.
    alone_fragment: float = 0.15
    alone: float = 0.4
    #: Something that does not belong is put before a message that has nothing, or before what has.
    unrelated: float = 0.3
    unrelated_first: float = 0.15
    #: What does not belong is social, as most of what is said in a social room.
    unrelated_social: float = 0.7
    slip: float = 0.15
    unmarked: float = 0.15


RATES = Rates()


class Room:
    """Draws changes, the same ones for the same seed."""

    def __init__(self, some: Sequence[Example], seed: int, rates: Rates = RATES) -> None:
        """Say from which messages something unrelated is drawn."""
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._rates = rates
        self._social = [one for one in some if one.label is Label.SOCIAL]
        self._other = [one for one in some if one.label is not Label.SOCIAL]

    def heard(self, one: Example) -> tuple[str, tuple[str, ...]]:
        """Give the text of *one* and what was said before it, as they may come another time."""
        return self._text(one.text), self._before(one)

    def _before(self, one: Example) -> tuple[str, ...]:
        draw, rates = self._chance.random(), self._rates
        if one.before:
            alone = rates.alone_fragment if "fragment" in one.kinds else rates.alone
            if draw < alone:
                return ()
            first = self._unrelated(one, 1) if draw > 1 - rates.unrelated_first else ()
            return (*first, *one.before)
        return self._unrelated(one, self._chance.randint(1, 2)) if draw < rates.unrelated else ()

    def _unrelated(self, one: Example, count: int) -> tuple[str, ...]:
        social = self._chance.random() < self._rates.unrelated_social
        pool = (self._social if social else self._other) or self._social or self._other
        drawn = [self._chance.choice(pool) for _ in range(count)]
        return tuple(other.text for other in drawn if other.voice != one.voice)

    def _text(self, text: str) -> str:
        if self._chance.random() < self._rates.unmarked:
            text = "".join(ch for ch in text if ch not in ".,'’!\"") or text  # noqa: RUF001
        if self._chance.random() < self._rates.slip and len(text) > 3:
            text = self._slip(text)
        return text

    def _slip(self, text: str) -> str:
        """Leave out, double, exchange or mistake one letter."""
        at = self._chance.randrange(len(text) - 1)
        return self._chance.choice(
            (
                text[:at] + text[at + 1 :],
                text[:at] + text[at] + text[at:],
                text[:at] + text[at + 1] + text[at] + text[at + 2 :],
                text[:at] + self._chance.choice(_LETTERS) + text[at + 1 :],
            )
        )
