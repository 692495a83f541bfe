"""How often a rule may be wrong before it loses strength.

Never knows a rule: `bridge.policy.strength` holds rules to these figures.
"""

from __future__ import annotations

from dataclasses import dataclass

#: How far back we look, in days; the figures are for a month of thirty.
DAYS = 90
_MONTHS = DAYS / 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a team should see at most. classes.yaml says so, under `strength`."""

    #: The size of a team, and what it should see at most in a month.
    team: int = 30
    wrong_moves: int = 1
    wrong_nudges: int = 5
    #: The share of what people looked at, in per cent, that may be wrong.
    wrong_share: int = 20

    def allowed(self, monthly: int, people: int) -> float:
        """How many errors are no more than *people* should see in `DAYS` days."""
        return monthly * _MONTHS * max(1.0, people / self.team)
