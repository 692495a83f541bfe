"""What is learned from what people found, and when a new model is better than the old."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Action, UserId
from bridge.policy.corpus import Label
from bridge.policy.learning import (
    FEWEST,
    FEWEST_OF_A_LABEL,
    Ruled,
    Score,
    halves,
    label_of,
    score,
    too_few,
    why_not_better,
)


def ruled(sender: str, label: Label = Label.SOCIAL) -> Ruled:
    return Ruled(sender=UserId(sender), text="x", before=(), label=label)


@pytest.mark.parametrize(
    ("action", "right", "concern", "label"),
    [
        (Action.REDIRECT, True, False, Label.OPERATIONAL),
        (Action.NUDGE, True, False, Label.OPERATIONAL),
        (Action.REDIRECT, False, False, Label.SOCIAL),
        (Action.NUDGE, False, False, Label.SOCIAL),
        (Action.ALLOW, True, True, Label.CONCERN),
        (Action.ALLOW, False, True, Label.SOCIAL),
        (Action.ALLOW, True, False, None),
        (Action.ALLOW, False, False, None),
        (Action.QUARANTINE, True, False, None),
    ],
)
def test_what_people_found_says_what_a_message_is(
    action: Action, right: bool, concern: bool, label: Label | None
) -> None:
    assert label_of(action, right=right, concern=concern) is label


def test_nobodys_messages_are_both_learned_from_and_measured_on() -> None:
    some = [ruled(f"@{n % 40}:force.example") for n in range(400)]
    learned, measured = halves(some)
    assert len(learned) + len(measured) == 400
    assert {one.sender for one in learned}.isdisjoint({one.sender for one in measured})
    assert min(len(learned), len(measured)) > 80
    assert halves(some) == (learned, measured)


def test_a_small_sample_is_said_to_be_too_small() -> None:
    jobs = [ruled("@a", Label.OPERATIONAL)] * FEWEST_OF_A_LABEL
    talk = [ruled("@b")] * (FEWEST - FEWEST_OF_A_LABEL)
    assert too_few([*jobs, *talk]) == ""
    assert "has 49 messages (10 operational and 39 social)" in too_few([*jobs, *talk[1:]])
    assert "9 operational" in too_few([*jobs[1:], *talk, *talk])


def test_a_score_says_how_well_the_two_are_told_apart() -> None:
    jobs = [(Label.OPERATIONAL, sure) for sure in (0.9, 0.8, 0.3, 0.5)]
    talk = [(Label.SOCIAL, sure) for sure in (0.1, 0.5, 0.85)]
    found = score([*jobs, *talk, (Label.CONCERN, 1.0)], 0.8)
    assert (found.recall, round(found.flagged, 3)) == (0.5, 0.333)
    assert found.order == pytest.approx((3 + 2 + 1 + 1.5) / 12)


@given(
    st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=1, max_size=12),
    st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=1, max_size=12),
)
def test_the_order_is_that_of_all_pairs(jobs: list[float], talk: list[float]) -> None:
    both = [(Label.OPERATIONAL, one) for one in jobs] + [(Label.SOCIAL, one) for one in talk]
    pairs = [1.0 if j > t else 0.5 if j == t else 0.0 for j in jobs for t in talk]
    assert score(both, 0.5).order == pytest.approx(sum(pairs) / len(pairs))


OLD = Score(order=0.8, recall=0.5, flagged=0.02)


@pytest.mark.parametrize(
    ("new", "strictly", "reasons"),
    [
        (Score(order=0.81, recall=0.6, flagged=0.02), True, 0),
        (Score(order=0.8, recall=0.5, flagged=0.02), False, 0),
        (Score(order=0.8, recall=0.5, flagged=0.02), True, 1),
        (Score(order=0.79, recall=0.9, flagged=0.0), False, 1),
        (Score(order=0.9, recall=0.9, flagged=0.03), False, 1),
        (Score(order=0.7, recall=0.9, flagged=0.5), True, 2),
    ],
)
def test_better_is_better_on_every_count(new: Score, strictly: bool, reasons: int) -> None:
    found = why_not_better(new, OLD, "your sample", strictly=strictly)
    assert len(found) == reasons
    assert all(one.startswith("your sample: ") for one in found)
