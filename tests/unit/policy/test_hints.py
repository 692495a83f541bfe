"""What counts as a hint of the same person and room, and for how long it is remembered."""

from __future__ import annotations

from dataclasses import replace

from bridge.model import Action, EventId, Message, Ms, Rid, RoomId, UserId, Verdict
from bridge.policy.hints import _CROWD, _MOST, Hints

from .shipped import message

WEAK = Verdict(action=Action.ALLOW, rule=None, reason="", score=30, revision="r1")
MEMORY = Ms(60_000)


def said(event: str, at: int = 0, **other: str) -> Message:
    return replace(message("x", at=at), event_id=EventId(event), **other)  # type: ignore[arg-type]


def test_a_hint_counts_for_the_same_person_in_the_same_room_only() -> None:
    hints = Hints()
    hints.note(said("$a"), Rid("1"), WEAK, MEMORY)
    assert [hint.rid for hint in hints.of(said("$b"))] == ["1"]
    assert hints.of(said("$b", room=RoomId("!other"))) == ()
    assert hints.of(said("$b", sender=UserId("@ben:force.example"))) == ()


def test_a_message_and_its_edits_are_one_hint() -> None:
    hints = Hints()
    hints.note(said("$a"), Rid("1"), WEAK, MEMORY)
    edit = said("$e", replaces=EventId("$a"))
    assert hints.of(edit) == ()
    hints.note(edit, Rid("2"), WEAK, MEMORY)
    assert [hint.rid for hint in hints.of(said("$b"))] == ["2"]


def test_what_leaves_no_hint_is_not_remembered() -> None:
    hints = Hints()
    hints.note(said("$a"), Rid("1"), replace(WEAK, score=0), MEMORY)
    hints.note(said("$b"), Rid("2"), replace(WEAK, action=Action.NUDGE, rule="r"), MEMORY)
    assert hints.of(said("$c")) == ()


def test_memory_is_bounded_for_one_person_and_for_all() -> None:
    hints = Hints()
    for n in range(_MOST + 5):
        hints.note(said(f"${n}"), Rid(f"{n}"), WEAK, MEMORY)
    assert len(hints.of(said("$x"))) == _MOST
    for n in range(3 * _CROWD):
        one = said("$a", at=n * 1000, sender=UserId(f"@{n}:force.example"))
        hints.note(one, Rid("1"), WEAK, MEMORY)
    assert len(hints._by) <= _CROWD + 2
