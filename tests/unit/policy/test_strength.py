"""Rules lose strength when people find that they err too often, and not before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.detect.rules import Mode
from bridge.model import Action
from bridge.policy.bounds import Bounds
from bridge.policy.load import load
from bridge.policy.strength import Tally, reduced, tally, weakened

from .shipped import CLASSES, message, shipped
from .test_judging import SOCIAL
from .test_loading import complaint, files

BOUNDS = Bounds()
TEAM = 30


def test_two_early_errors_do_not_kill_a_rule() -> None:
    assert reduced(Tally(moves_wrong=2), BOUNDS, TEAM) is Mode.ENFORCE
    assert reduced(Tally(nudges_wrong=2), BOUNDS, TEAM) is Mode.ENFORCE


def test_as_many_wrong_moves_as_a_team_may_see_in_three_months_are_borne() -> None:
    assert reduced(Tally(moves_wrong=3), BOUNDS, TEAM) is Mode.ENFORCE
    assert reduced(Tally(moves_wrong=4), BOUNDS, TEAM) is Mode.NUDGE


def test_a_rule_that_is_nearly_always_right_may_be_wrong_more_often() -> None:
    assert reduced(Tally(moves_wrong=4, moves_right=40), BOUNDS, TEAM) is Mode.ENFORCE
    assert reduced(Tally(moves_wrong=20, moves_right=20), BOUNDS, TEAM) is Mode.SHADOW


def test_a_rule_that_nudges_wrongly_too_often_does_nothing_any_more() -> None:
    assert reduced(Tally(nudges_wrong=15), BOUNDS, TEAM) is Mode.ENFORCE
    assert reduced(Tally(nudges_wrong=16), BOUNDS, TEAM) is Mode.SHADOW
    assert reduced(Tally(moves_wrong=8, nudges_wrong=8), BOUNDS, TEAM) is Mode.SHADOW


def test_a_larger_force_bears_more_and_a_smaller_one_as_much_as_a_team() -> None:
    assert reduced(Tally(moves_wrong=30), BOUNDS, 10 * TEAM) is Mode.ENFORCE
    assert reduced(Tally(moves_wrong=31), BOUNDS, 10 * TEAM) is Mode.NUDGE
    assert reduced(Tally(moves_wrong=3), BOUNDS, 5) is Mode.ENFORCE


counts = st.integers(0, 60)


@given(counts, counts, counts, counts, st.integers(1, 400))
def test_being_right_never_costs_strength(a: int, b: int, c: int, d: int, people: int) -> None:
    order = list(Mode)
    one = Tally(a, b, c, d)
    before = order.index(reduced(one, BOUNDS, people))
    assert order.index(reduced(replace(one, moves_right=a + 5), BOUNDS, people)) <= before
    assert order.index(reduced(replace(one, nudges_right=c + 5), BOUNDS, people)) <= before


def test_findings_are_counted_by_rule_and_by_what_was_done() -> None:
    found = tally(
        [
            ("a", Action.REDIRECT, True),
            ("a", Action.REDIRECT, False),
            ("a", Action.NUDGE, False),
            ("b", Action.QUARANTINE, False),
        ]
    )
    assert found == {"a": Tally(1, 1, 0, 1), "b": Tally(0, 1, 0, 0)}


def test_a_rule_never_gets_more_strength_than_its_file_gives_it() -> None:
    modes = [replace(rule, mode=Mode.SHADOW) for rule in shipped().rules[:1]]
    assert weakened(modes, {modes[0].id: Tally(moves_wrong=4)}, BOUNDS, TEAM) == {}


def test_markings_distress_and_professional_standards_are_not_weakened_by_appeals() -> None:
    rules = [r for r in shipped().rules if r.channel != "operational"]
    assert len(rules) >= 3
    assert weakened(rules, {r.id: Tally(moves_wrong=99) for r in rules}, BOUNDS, TEAM) == {}


def test_a_weakened_rule_only_nudges_and_then_only_counts() -> None:
    words = message("obs still on")
    strong = shipped().judge(words, SOCIAL)
    assert strong.action is Action.REDIRECT
    seen = {finding.rule for finding in strong.findings}
    nudging = shipped().weakened(dict.fromkeys(seen, Mode.NUDGE))
    assert nudging.judge(words, SOCIAL).action is Action.NUDGE
    silent = shipped().weakened(dict.fromkeys(seen, Mode.SHADOW))
    assert silent.judge(words, SOCIAL).action is Action.ALLOW
    assert silent.weakened({}).judge(words, SOCIAL) == strong


def test_what_decides_otherwise_has_another_revision() -> None:
    rule = shipped().rules[0].id
    nudging = shipped().weakened({rule: Mode.NUDGE})
    silent = nudging.weakened({rule: Mode.SHADOW})
    assert len({shipped().revision, nudging.revision, silent.revision}) == 3
    assert nudging.base == silent.base == shipped().revision
    assert silent.weakened({}).revision == shipped().revision
    assert nudging.judge(message("AB12 CDE left"), SOCIAL).revision == nudging.revision


def test_the_figures_stand_in_the_policy() -> None:
    assert shipped().bounds == BOUNDS
    strict = CLASSES.replace("  wrong_moves: 1 ", "  wrong_moves: 0 ")
    assert load(files(classes=strict)).bounds == replace(BOUNDS, wrong_moves=0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  team: 30", "  team: 0", "0 is not between 1 and 10000"),
        ("  wrong_share: 20", "  wrong_share: 100", "100 is not between 0 and 99"),
        ("  wrong_share: 20", "  wrong_sharing: 20", "unknown key 'wrong_sharing'"),
        ('["🚨"]', "[]", "the list is empty"),
    ],
)
def test_figures_that_make_no_sense_are_refused_with_their_line(
    old: str, new: str, words: str
) -> None:
    line = next(n for n, text in enumerate(CLASSES.splitlines(), 1) if old in text)
    assert complaint(classes=CLASSES.replace(old, new)).startswith(f"classes.yaml:{line}: {words}")
