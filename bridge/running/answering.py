"""The `appeals:` part of config.yaml: by when appeals are answered, and on which days.

Never goes on with hours in which nobody would answer.
"""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from bridge.nodes import Node
from bridge.officers.hours import Hours

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SUPERVISOR, _WAIT = "supervisor", "wait"
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def answering(node: Node | None, zone: ZoneInfo) -> Hours:
    """Read when appeals are answered; what is left out is as `Hours` has it."""
    if node is None:
        return Hours(zone=zone)
    got = node.mapping(
        optional=(
            "answer_hours",
            "days",
            "opens",
            "closes",
            "out_of_hours",
            "remind_hours",
            "again_days",
        )
    )
    usual = Hours(zone=zone)
    opens, closes = _minute(got.get("opens"), usual.opens), _minute(got.get("closes"), usual.closes)
    if opens >= closes:
        got.get("closes", node).fail("reviewers have to begin before they end, on the same day")
    choices = (_SUPERVISOR, _WAIT)
    waits = "out_of_hours" in got and got["out_of_hours"].choice(choices) == _WAIT
    answer = _whole(got.get("answer_hours"), usual.answer, 24 * 14)
    return Hours(
        zone=zone,
        answer=answer,
        days=_days(got["days"]) if "days" in got else usual.days,
        opens=opens,
        closes=closes,
        supervisors=not waits,
        remind=_whole(got.get("remind_hours"), usual.remind, 24 * 14),
        again=_whole(got.get("again_days"), usual.again, 90),
    )


def _whole(node: Node | None, otherwise: int, most: int) -> int:
    return node.integer(least=1, most=most) if node else otherwise


def _days(node: Node) -> frozenset[int]:
    return frozenset(_DAYS.index(item.choice(_DAYS)) for item in node.list())


def _minute(node: Node | None, otherwise: int) -> int:
    """Read a time of day such as 08:00, in minutes after midnight."""
    if node is None:
        return otherwise
    text = node.text()
    if _TIME.fullmatch(text) is None:
        node.fail(f"{text!r} is not a time of day such as 08:00")
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
