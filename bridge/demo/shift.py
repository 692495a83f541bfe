"""The shift that the demo plays: who says what, and what should become of it.

Never real: every name, plate, number and address is invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Expected(StrEnum):
    """What should become of a message."""

    LEFT = "left alone"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message of the shift."""

    who: str
    team: str
    text: str
    expected: Expected
    html: str | None = None
    #: What the sender changes it to, which is what is judged in the end.
    edited: str | None = None
    #: The bot is dead while it is sent.
    while_dead: bool = False


def _left(who: str, team: str, text: str) -> Line:
    return Line(who=who, team=team, text=text, expected=Expected.LEFT)


SHIFT = (
    _left("asha", "Response A", "Morning all. Whose turn is it to bring the milk?"),
    _left("ben", "Response A", "Mine, but I overslept, so it's UHT today. Sorry 🙈"),
    _left("dan", "Response B", "Stuck in traffic behind a tractor, 10 mins late"),
    Line(
        who="asha",
        team="Response A",
        text="AB12 CDE has just left 14 Acacia Avenue, driver is the one from Tuesday",
        expected=Expected.MOVED,
    ),
    _left("chloe", "Response A", "It's Priya's birthday on her rest day, shall we do a cake?"),
    Line(
        who="ewa",
        team="Response B",
        text="CAD 2217 still needs a unit, anyone near?",
        html="<b>CAD 2217</b> still needs a unit, anyone near?",
        expected=Expected.MOVED,
    ),
    _left("femi", "Response B", "Anyone want to swap my Friday late for a Saturday early?"),
    Line(
        who="dan",
        team="Response B",
        text="He's gone no comment, still in custody until the morning",
        expected=Expected.MOVED,
    ),
    Line(
        who="ben",
        team="Response A",
        text="Who's on the tea run?",
        edited="Who's on the tea run? Suspect's back at 9 Mill Lane, obs are on the front door",
        expected=Expected.MOVED,
    ),
    Line(
        who="chloe",
        team="Response A",
        text="Custody ref 26XX/4471/26, solicitor's on the way for the robbery suspect",
        expected=Expected.MOVED,
        while_dead=True,
    ),
    Line(
        who="femi",
        team="Response B",
        text="PNC check came back, LD17 KVY is stolen, last seen Mill Lane",
        expected=Expected.MOVED,
    ),
    _left("ewa", "Response B", "Right, chips at the usual place at half past?"),
)
