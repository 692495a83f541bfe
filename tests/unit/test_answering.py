"""The `appeals:` part of config.yaml."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from bridge.errors import ConfigError
from bridge.nodes import parse
from bridge.officers.hours import Hours
from bridge.running.answering import answering

LONDON = ZoneInfo("Europe/London")


def read(text: str) -> Hours:
    return answering(parse(text, "config.yaml"), LONDON)


def test_what_is_left_out_is_as_it_usually_is() -> None:
    assert answering(None, LONDON) == Hours(zone=LONDON)
    assert read("answer_hours: 24") == Hours(zone=LONDON)


def test_every_value_is_taken() -> None:
    text = """\
answer_hours: 48
days: [Mon, Sat]
opens: "07:30"
closes: "24:00"
out_of_hours: wait
remind_hours: 8
again_days: 14
"""
    assert read(text) == Hours(
        zone=LONDON,
        answer=48,
        days=frozenset({0, 5}),
        opens=450,
        closes=1440,
        supervisors=False,
        remind=8,
        again=14,
    )


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("answer_hours: 0", 1, "is not between 1 and 336"),
        ("days: []", 1, "the list is empty"),
        ("days: [Monday]", 1, "'Monday' is not one of: Mon"),
        ("opens: 8", 1, "'8' is not a time of day such as 08:00"),
        ('opens: "24:30"', 1, "is not a time of day"),
        ('opens: "18:00"\ncloses: "08:00"', 2, "reviewers have to begin before they end"),
        ('opens: "19:00"', 1, "reviewers have to begin before they end"),
        ("out_of_hours: nobody", 1, "'nobody' is not one of: supervisor, wait"),
        ("hours: 3", 1, "hours"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert refused.value.line == line
    assert why in refused.value.problem
