"""What one person said within a minute of a message that was moved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model import Action, Finding, Ms, Queue, UserId, Verdict
from bridge.policy.meaning import OPERATIONAL
from bridge.way.runs import RUN, RUN_MS, Runs, along
from tests.making import NOON, say


def verdict(action: Action, rule: str | None = None, score: int = 0) -> Verdict:
    found = (Finding(rule=rule, label="x", start=0, end=1),) if rule else ()
    return Verdict(
        action=action, rule=rule, reason="why", findings=found, score=score, revision="r"
    )


MOVED = verdict(Action.REDIRECT, "veh.vrm", 90)
WEAK = verdict(Action.ALLOW, "obs.word", 20)
NOTHING = verdict(Action.ALLOW)
BELIEVED = verdict(Action.NUDGE, OPERATIONAL, 93)


def after(first: Verdict, then: Verdict, *, later_ms: int = 1000, by: str = "asha") -> str | None:
    runs = Runs()
    runs.note(say("$1", at=NOON), first)
    fragment = say("$2", at=Ms(NOON + later_ms), sender=UserId(f"@{by}:force.example"))
    found = runs.follow(fragment, then)
    return found.rule if found is not None else None


def test_a_fragment_in_which_a_rule_saw_something_goes_along() -> None:
    assert after(MOVED, WEAK) == RUN


@pytest.mark.parametrize("then", [NOTHING, BELIEVED])
def test_what_no_rule_saw_anything_in_stays_though_the_model_took_it_for_part_of_the_job(
    then: Verdict,
) -> None:
    assert after(MOVED, then) is None


@pytest.mark.parametrize("then", [WEAK, BELIEVED])
def test_nothing_goes_along_with_what_was_not_moved(then: Verdict) -> None:
    assert after(WEAK, then) is None


def test_a_rule_that_may_move_nothing_has_nothing_follow_either() -> None:
    runs, weak = Runs(), {"obs.word"}
    runs.note(say("$0", at=NOON), WEAK, weak)
    moved = say("$1", at=Ms(NOON + 1))
    assert runs.earlier(moved) == ()
    runs.note(moved, MOVED, weak)
    fragment = say("$2", at=Ms(NOON + 2))
    assert runs.follow(fragment, WEAK, weak) is None
    both = replace(WEAK, findings=(*WEAK.findings, *MOVED.findings))
    assert runs.follow(fragment, both, weak) is not None


def test_a_fragment_is_remembered_with_what_it_says_now_until_it_is_moved() -> None:
    runs = Runs()
    runs.note(say("$0", at=NOON), WEAK)
    edit = say("$1", "other words", at=Ms(NOON + 1), replaces="$0")
    runs.note(edit, WEAK)
    (one,) = runs.earlier(say("$2", at=Ms(NOON + 2)))
    assert one == ("$0", "$1", edit.ciphertext)


def test_another_person_and_a_later_minute_are_other_runs() -> None:
    assert after(MOVED, WEAK, by="ben") is None
    assert after(MOVED, WEAK, later_ms=RUN_MS) == RUN
    assert after(MOVED, WEAK, later_ms=RUN_MS + 1) is None


def test_what_was_said_before_a_moved_message_is_given_oldest_first_and_once() -> None:
    runs = Runs()
    for n, one in enumerate((WEAK, NOTHING, BELIEVED, WEAK)):
        runs.note(say(f"${n}", at=Ms(NOON + n)), one)
    last = say("$9", at=Ms(NOON + 9))
    assert [one.event for one in runs.earlier(last)] == ["$0", "$3"]
    runs.note(last, MOVED)
    assert runs.earlier(say("$10", at=Ms(NOON + 10))) == ()


def test_what_was_found_in_a_moved_message_is_not_said_of_what_went_with_it() -> None:
    """Nor is a fragment put before whoever looks at the message."""
    looked_at = replace(MOVED, referrals=frozenset({Queue.PROFESSIONAL_STANDARDS}))
    one = along(looked_at)
    assert (one.action, one.rule, one.findings, one.score) == (Action.REDIRECT, RUN, (), 0)
    assert not one.referrals
