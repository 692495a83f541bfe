"""A removal certificate as people read it."""

from __future__ import annotations

import msgspec

from bridge.model import Fate, Step
from bridge.records.certificate import certificate

STEPS = (
    Step(what="message", fate=Fate.REMOVED, target="$a"),
    Step(what="reply", fate=Fate.REMOVED, target="$b", detail="moved likewise"),
    Step(what="pin", fate=Fate.NOT_APPLICABLE, detail="none"),
)


def said(*, detail: str = "", steps: tuple[Step, ...] = STEPS, status: str = "done") -> str:
    inside = msgspec.json.encode({"key": "k", "detail": detail, "certificate": steps})
    return certificate(inside, status=status, when="today")


def test_it_says_of_each_thing_what_became_of_it() -> None:
    assert said().split("\n") == [
        "Removal of $a: closed, today",
        "  message          removed         $a",
        "  reply            removed         $b (moved likewise)",
        "  pin              not applicable  (none)",
    ]


def test_one_that_is_not_whole_yet_says_so_and_why() -> None:
    text = said(detail="the brake is on", status="failed")
    assert text.startswith("Removal of $a: not closed yet, today\n  because: the brake is on\n")


def test_another_outcome_has_no_certificate() -> None:
    assert said(steps=()) == ""
    assert certificate(b'{"key":"k","detail":""}', status="done", when="today") == ""
    assert certificate(b"not JSON", status="done", when="today") == ""
    assert certificate(b'{"certificate":[{"what":1}]}', status="done", when="today") == ""
