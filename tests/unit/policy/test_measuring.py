"""Measuring a policy, comparing two, and gates."""

from __future__ import annotations

import csv
import itertools
import json
import os
import time
from pathlib import Path

import pytest

from bridge.errors import ConfigError, UsageError
from bridge.model import Action, RoomClass
from bridge.policy.corpus import Label, Labelled, read_corpus
from bridge.policy.explain import explain
from bridge.policy.gate import check_gate, gate
from bridge.policy.load import load
from bridge.policy.measure import Judged, Measurement, as_message, compare, measure, wilson

from .shipped import PROJECT, SAMPLE, shipped
from .test_loading import RULE, files

#: What the sample has to meet. It is written by the writer of the rules: it shows that they have
#: not become worse, and is no proof of how good they are.
SAMPLE_GATE = (
    "social.redirect_per_1000<=5 and social.nudge_per_1000<=20"
    " and operational.redirect_recall>=0.80 and operational.nudge_recall>=0.90"
    " and concern.review_recall>=0.70"
)


def shared(name: str) -> Path:
    """Find data that nobody here wrote; it stays outside of the project."""
    folder = Path(os.environ.get("BLUELAMP_SHARED", PROJECT.parent / "shared"))
    path = folder / name
    if not path.exists():
        pytest.skip(f"{name} is not here; BLUELAMP_SHARED says where the shared folder is")
    return path


def clock() -> float:
    return next(TICKS)


TICKS = itertools.count(0.0, 1.0)


def judged(name: str, label: Label, action: Action, *, referred: bool = False) -> Judged:
    return Judged(
        id=name, label=label, action=action, score=0, referred=referred, rules=frozenset()
    )


def measurement(*all_judged: Judged) -> Measurement:
    return Measurement(revision="r", judged=all_judged, seconds=2.0)


SMALL = measurement(
    judged("o1", Label.OPERATIONAL, Action.REDIRECT),
    judged("o2", Label.OPERATIONAL, Action.ALLOW),
    judged("s1", Label.SOCIAL, Action.ALLOW),
    judged("s2", Label.SOCIAL, Action.NUDGE),
    judged("c1", Label.CONCERN, Action.ALLOW, referred=True),
)


def test_the_figures_have_the_shape_that_was_agreed() -> None:
    figures = json.loads(json.dumps(SMALL.as_json()))
    assert figures["messages"] == 5
    operational = figures["operational"]
    assert operational["n"] == 2
    assert operational["nudge_or_stronger"] == 1
    assert operational["redirect_or_stronger"] == 1
    assert figures["social"]["nudge_or_stronger"] == 1
    assert figures["social"]["redirect_or_stronger"] == 0
    assert figures["concern"]["n"] == 1
    assert figures["concern"]["review_or_stronger"] == 1
    assert figures["misses"] == ["o2"]
    assert figures["false_positives"] == ["s2"]
    assert figures["messages_per_second"] == 2


def test_small_samples_say_less_than_they_seem_to() -> None:
    low, high = wilson(0, 4827)
    assert low == 0
    assert 0.0007 < high < 0.0009
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10)[1] == pytest.approx(1.0)


def test_a_gate_is_met_if_all_its_bounds_hold() -> None:
    bounds = gate(SMALL, "operational.nudge_recall>=0.5 and social.nudge_per_1000<=5")
    assert [bound.holds for bound in bounds] == [True, False]
    assert bounds[1].value == 500


@pytest.mark.parametrize(
    "expression",
    ["", "social.n", "social.n<=x", "nope>=1", "social.n>=1 or social.n<=2", "__import__('os')"],
)
def test_what_is_no_gate_is_refused(expression: str) -> None:
    with pytest.raises(UsageError):
        gate(SMALL, expression)
    with pytest.raises(UsageError):
        check_gate(expression)


def test_a_gate_can_be_read_before_anything_is_measured() -> None:
    check_gate("operational.nudge_recall>=0.5 and social.nudge_per_1000<=5")


def test_a_corpus_may_begin_with_a_mark_of_the_order_of_its_bytes() -> None:
    (one,) = read_corpus('\ufeff{"id": "1", "text": "x", "label": "social"}\n', "corpus")
    assert one.text == "x"


def test_nothing_meets_a_gate_by_being_empty() -> None:
    empty = measurement()
    assert not gate(empty, "social.redirect_per_1000<=5")[0].holds
    assert not gate(empty, "operational.nudge_recall>=0.1")[0].holds


def test_two_measurements_are_compared() -> None:
    after = measurement(
        judged("o1", Label.OPERATIONAL, Action.NUDGE),
        judged("o2", Label.OPERATIONAL, Action.NUDGE),
        judged("s2", Label.SOCIAL, Action.ALLOW),
        judged("new", Label.SOCIAL, Action.NUDGE),
    )
    change = compare(SMALL, after)
    assert change.newly_matched == ("o2",)
    assert change.no_longer_matched == ("s2",)
    assert change.other_action == (("o1", Action.REDIRECT, Action.NUDGE),)


def test_measuring_switches_the_professional_standards_rules_on() -> None:
    one = Labelled(id="1", text="looked my ex up on niche lol", label=Label.CONCERN)
    found = measure(shipped(), [one], clock=clock)
    assert found.judged[0].referred
    assert not shipped().conduct.enabled
    assert found.by_rule["conduct.misuse"].concern == 1


def test_what_a_rule_in_shadow_sees_is_counted_and_changes_nothing() -> None:
    one = Labelled(id="1", text="the misper again", label=Label.SOCIAL)
    shadow = load(files(RULE.replace("    family:", "    mode: shadow\n    family:")))
    found = measure(shadow, [one], clock=clock)
    assert found.by_rule["a.rule"].social == 1
    assert found.judged[0].action is Action.ALLOW
    assert shadow.judge(as_message(one.text), RoomClass.SOCIAL).findings == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "corpus:2: this line is not JSON"),
        ("[]", "corpus:2: this line is not a JSON object"),
        ('{"id": "2", "text": "x"}', "corpus:2: 'label' is missing"),
        ('{"id": "2", "text": "x", "label": "odd"}', "corpus:2: 'odd' is not one of"),
        ('{"id": "1", "text": "x", "label": "social"}', "corpus:2: the id '1' is there twice"),
        ('{"id": "2", "text": "x", "label": "social", "tag": 1}', "corpus:2: unknown key 'tag'"),
    ],
)
def test_what_is_wrong_with_a_corpus_is_said_with_its_line(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("'", ".")):
        read_corpus('{"id": "1", "text": "x", "label": "social"}\n' + line, "corpus")


def test_a_message_may_hold_half_a_pair_of_surrogates() -> None:
    line = '{"id": "1", "text": "AB12 CDE \\ud800 just left", "label": "operational"}'
    (one,) = read_corpus(line, "corpus")
    assert one.text == "AB12 CDE \ud800 just left"
    assert measure(shipped(), [one], clock=clock).count(Label.OPERATIONAL, Action.REDIRECT) == 1


def test_a_message_may_hold_a_line_separator() -> None:
    (one,) = read_corpus('{"id": "1", "text": "a\u2028b", "label": "social"}\n', "corpus")
    assert one.text == "a\u2028b"


def test_an_explanation_shows_what_decided() -> None:
    text = "run LK19 ZXP, he made off from us"
    found = explain(shipped(), text)
    assert found.verdict.action is Action.REDIRECT
    first = next(one for one in found.seen if one.rule == "vehicle.vrm.current")
    assert text[first.start : first.end] == "LK19 ZXP"
    assert first.source.startswith("rules/vehicles.yaml:")
    assert found.families[first.channel]["vehicle"] == 85
    assert found.scores[first.channel] == found.verdict.score
    assert explain(shipped(), text, RoomClass.OPERATIONAL).verdict.action is Action.ALLOW


def test_the_sample_meets_its_gate() -> None:
    corpus = read_corpus(SAMPLE.read_text(encoding="utf-8"), SAMPLE.name)
    assert len(corpus) >= 300
    assert {one.label for one in corpus} == set(Label)
    found = measure(shipped(), corpus, clock=time.perf_counter)
    failed = [bound for bound in gate(found, SAMPLE_GATE) if not bound.holds]
    assert not failed, (failed, found.misses, found.false_positives)


#: Messages with an identifier or a reference in many spellings, and ordinary ones with the same
#: numbers, plates, addresses and words of the job. Written before their rules were mended by them.
REFERENCES = SAMPLE.with_name("references.jsonl")
REFERENCES_GATE = (
    "operational.nudge_recall>=0.95 and operational.redirect_recall>=0.90"
    " and social.redirect_per_1000<=5 and social.nudge_per_1000<=30"
)


def test_identifiers_and_references_meet_their_gate() -> None:
    corpus = read_corpus(REFERENCES.read_text(encoding="utf-8"), REFERENCES.name)
    assert len([one for one in corpus if one.label is Label.OPERATIONAL]) >= 150
    assert len([one for one in corpus if one.label is Label.SOCIAL]) >= 150
    found = measure(shipped(), corpus, clock=time.perf_counter)
    failed = [bound for bound in gate(found, REFERENCES_GATE) if not bound.holds]
    assert not failed, (failed, found.misses, found.false_positives)


#: Two more of the same kind, by twelve invented officers each: written without the rules at hand,
#: measured once, and only then used to mend them. What was met at that first time, of 240 with an
#: identifier: shift.jsonl 0.77 nudged and 0.70 moved, with 27 of 240 ordinary ones moved;
#: beat.jsonl 0.75 and 0.68, with 24 of 240. The gates hold what was mended since; they prove
#: nothing about the next officer's spelling, for which those first figures are the estimate.
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        (
            "shift.jsonl",
            "operational.nudge_recall>=0.90 and operational.redirect_recall>=0.86"
            " and social.redirect_per_1000<=9 and social.nudge_per_1000<=25",
        ),
        (
            "beat.jsonl",
            "operational.nudge_recall>=0.76 and operational.redirect_recall>=0.72"
            " and social.redirect_per_1000<=21 and social.nudge_per_1000<=55",
        ),
    ],
)
def test_officers_whose_spelling_was_new_meet_their_gate(name: str, bounds: str) -> None:
    path = SAMPLE.with_name(name)
    corpus = read_corpus(path.read_text(encoding="utf-8"), path.name)
    assert sum(one.label is Label.OPERATIONAL for one in corpus) == 240
    assert sum(one.label is Label.SOCIAL for one in corpus) == 240
    found = measure(shipped(), corpus, clock=time.perf_counter)
    failed = [bound for bound in gate(found, bounds) if not bound.holds]
    assert not failed, (failed, found.misses, found.false_positives)


#: Twenty-five more invented officers, by one who had read the rules. unseen.jsonl is thirteen of
#: them: frozen before anything was mended, measured before and after, not looked at in between
#: (but since). Of its 148 with an identifier the rules alone nudged 97 and moved 80 before, 106
#: and 82 after, of 205 look-alikes 7 and 3 both times. ward.jsonl is the other twelve, by which
#: rules/trade.yaml was made: of 124, 70 and 58 before, 104 and 83 after, of 180 look-alikes 1 and
#: none. The rest of both tells something of a job and names nothing that rules look for.
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        (
            "ward.jsonl",
            "operational.nudge_recall>=0.62 and operational.redirect_recall>=0.48"
            " and social.redirect_per_1000<=0 and social.nudge_per_1000<=6",
        ),
        (
            "unseen.jsonl",
            "operational.nudge_recall>=0.55 and operational.redirect_recall>=0.41"
            " and social.redirect_per_1000<=15 and social.nudge_per_1000<=35",
        ),
    ],
)
def test_twenty_five_more_officers_meet_their_gate(name: str, bounds: str) -> None:
    path = SAMPLE.with_name(name)
    corpus = read_corpus(path.read_text(encoding="utf-8"), path.name)
    identified = [one for one in corpus if "identifier" in one.tags]
    assert len(identified) == {"ward.jsonl": 124, "unseen.jsonl": 148}[name]
    assert sum(one.label is Label.SOCIAL for one in corpus) * 2 == len(corpus)
    found = measure(shipped(), corpus, clock=time.perf_counter)
    failed = [bound for bound in gate(found, bounds) if not bound.holds]
    # Of the unseen ones only the bound is told: whoever reads which ones failed has seen them.
    assert not failed, (failed, found.misses if name == "ward.jsonl" else "")


def test_the_sample_copies_nothing_from_the_development_set() -> None:
    theirs = read_corpus(shared("corpus/dev.jsonl").read_text(encoding="utf-8"), "dev.jsonl")
    ours = read_corpus(SAMPLE.read_text(encoding="utf-8"), SAMPLE.name)
    same = {one.text.casefold() for one in theirs} & {one.text.casefold() for one in ours}
    assert all(len(text) < 20 for text in same), same


def test_real_text_messages_are_left_alone() -> None:
    lines = shared("data/uci_sms_ham.txt").read_text(encoding="utf-8").split("\n")
    corpus = [
        Labelled(id=str(at), text=line, label=Label.SOCIAL) for at, line in enumerate(lines) if line
    ]
    found = measure(shipped(), corpus, clock=time.perf_counter)
    (bound,) = gate(found, "social.nudge_per_1000<=1")
    assert bound.holds, (bound.value, [corpus[int(i)].text for i in found.false_positives[:9]])


def test_counter_speech_and_quotations_are_seldom_referred() -> None:
    """HateCheck, by functionality; what people say about hateful words is not hateful."""
    rows = list(csv.DictReader(shared("data/hatecheck.csv").read_text("utf-8").splitlines()))
    corpus = [
        Labelled(
            id=str(at),
            text=row["test_case"],
            label=Label.CONCERN if row["label_gold"] == "hateful" else Label.SOCIAL,
            tags=(row["functionality"],),
        )
        for at, row in enumerate(rows)
    ]
    judged_ones = measure(shipped(), corpus, clock=time.perf_counter).judged
    shares = {
        what: sum(one.referred for one in ones) / len(ones)
        for what in {one.tags[0] for one in judged_ones}
        for ones in [[one for one in judged_ones if what in one.tags]]
    }
    assert shares["counter_quote_nh"] <= 0.02
    assert shares["counter_ref_nh"] <= 0.20
    assert max(shares["ident_neutral_nh"], shares["ident_pos_nh"]) <= 0.01
    assert max(shares[f"target_{what}_nh"] for what in ("obj", "indiv", "group")) <= 0.02
    assert min(shares["slur_h"], shares["derog_dehum_h"]) >= 0.55


def test_the_development_set_stays_within_bounds() -> None:
    corpus = read_corpus(shared("corpus/dev.jsonl").read_text(encoding="utf-8"), "dev.jsonl")
    found = measure(shipped(), corpus, clock=time.perf_counter)
    bounds = gate(found, "social.redirect_per_1000<=5 and operational.redirect_recall>=0.5")
    assert all(bound.holds for bound in bounds), bounds


#: Four sets by writers who had seen nothing of this, half of each operational; docs/accuracy.md
#: says what was met at the first time, and what was mended since.
STRANGERS_GATE = (
    "operational.nudge_recall>=0.58 and operational.redirect_recall>=0.48"
    " and social.redirect_per_1000<=9 and social.nudge_per_1000<=9"
)
#: Four sets more, by other writers; half of what is operational in them names nothing.
NEWEST_GATE = (
    "operational.nudge_recall>=0.5 and operational.redirect_recall>=0.41"
    " and social.redirect_per_1000<=6 and social.nudge_per_1000<=12"
)


@pytest.mark.parametrize(
    ("name", "count", "bounds"),
    [("strangers", 1_197, STRANGERS_GATE), ("newest", 1_599, NEWEST_GATE)],
)
def test_strangers_meet_their_gate_by_the_rules_alone(name: str, count: int, bounds: str) -> None:
    path = SAMPLE.with_name(f"{name}.jsonl")
    corpus = read_corpus(path.read_text(encoding="utf-8"), path.name)
    assert len(corpus) == count
    found = measure(shipped(), corpus, clock=time.perf_counter)
    failed = [bound for bound in gate(found, bounds) if not bound.holds]
    assert not failed, (failed, found.false_positives)
