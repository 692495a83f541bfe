"""Two people make a policy active; one never does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.policy.activation import standing


def test_nothing_is_active_before_two_people_have_approved_it() -> None:
    assert standing([]).active is None
    one = standing([("r1", "anna")])
    assert one.active is None
    assert one.pending == {"r1": ("anna",)}


def test_the_same_person_twice_is_one_person() -> None:
    assert standing([("r1", "anna"), ("r1", "anna")]).active is None


def test_the_second_person_makes_it_active() -> None:
    found = standing([("r1", "anna"), ("r2", "anna"), ("r1", "ben")])
    assert (found.active, found.approvers) == ("r1", ("anna", "ben"))
    assert found.pending == {"r2": ("anna",)}


def test_going_back_to_an_earlier_policy_takes_two_people_again() -> None:
    history = [("r1", "anna"), ("r1", "ben"), ("r2", "anna"), ("r2", "ben"), ("r1", "anna")]
    assert standing(history).active == "r2"
    assert standing([*history, ("r1", "carl")]).active == "r1"


names = st.sampled_from(["anna", "ben", "carl"])


@given(st.lists(st.tuples(st.sampled_from(["r1", "r2"]), names), max_size=12))
def test_what_is_active_was_always_approved_by_two_different_people(
    history: list[tuple[str, str]],
) -> None:
    found = standing(history)
    if found.active is None:
        people = [{who for rev, who in history if rev == one} for one in ("r1", "r2")]
        assert all(len(each) < 2 for each in people)
    else:
        assert len(set(found.approvers)) == 2
        assert {(found.active, who) for who in found.approvers} <= set(history)
