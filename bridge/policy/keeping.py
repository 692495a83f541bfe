"""Reads how long records of a class are kept: for how many days, at least and at most.

Never lets these contradict one another. A hold comes before the least, and the least before the
most.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.nodes import Node

#: Days: a hundred years.
LONGEST = 36_525


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How many days records of one class are kept after the end of their month."""

    days: int
    #: Nobody may have them disposed of before.
    least: int = 1
    #: Nobody may retain them longer, but with a hold.
    most: int = LONGEST


def read_keeping(node: Node) -> Keeping:
    """Read a number of days, or `{kept_for, minimum, maximum}`.

    Raises:
        PolicyError: they contradict one another, with the line.
    """
    if not node.is_mapping():
        return Keeping(days=node.integer(least=1, most=LONGEST))
    got = node.mapping(required=("kept_for",), optional=("minimum", "maximum"))
    given = {name: value.integer(least=1, most=LONGEST) for name, value in got.items()}
    found = Keeping(
        days=given["kept_for"],
        least=given.get("minimum", 1),
        most=given.get("maximum", LONGEST),
    )
    if found.least > found.most:
        got["minimum"].fail(
            f"the minimum, {found.least} days, is longer than the maximum, {found.most}"
        )
    if found.days < found.least:
        got["kept_for"].fail(
            f"records would be kept for {found.days} days, and {found.least} is the minimum"
        )
    if found.days > found.most:
        got["kept_for"].fail(
            f"records would be kept for {found.days} days, and {found.most} is the maximum"
        )
    return found
