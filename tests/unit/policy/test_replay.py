"""What a draft would change is summed up by rule, with the records."""

from __future__ import annotations

from bridge.model import Action
from bridge.policy.replay import Line, Replayed, Way, difference

ALLOWED = Way(Action.ALLOW, None)
MOVED = Way(Action.REDIRECT, "vehicle")
NUDGED = Way(Action.NUDGE, "talk")


def test_each_way_a_message_can_change_has_its_list() -> None:
    found = difference(
        [
            Replayed("same", MOVED, MOVED),
            Replayed("left alone", ALLOWED, ALLOWED),
            Replayed("new", ALLOWED, NUDGED),
            Replayed("gone", MOVED, ALLOWED),
            Replayed("weaker", MOVED, NUDGED),
        ]
    )
    assert found.messages == 5
    assert [one.rid for one in found.newly] == ["new"]
    assert [one.rid for one in found.no_longer] == ["gone"]
    assert [one.rid for one in found.otherwise] == ["weaker"]
    assert found.lines == (Line("talk", 0, 2), Line("vehicle", 3, 1))


def test_nothing_on_record_changes_nothing() -> None:
    assert difference([]).lines == ()
