"""What a model's belief may lead to beside the rules, and what it never leads to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.detect.rules import Channel, Mode
from bridge.errors import PolicyError
from bridge.model import Action, Kind, Ms, Queue, Rid, RoomClass, Verdict
from bridge.policy import Policy, record_hint
from bridge.policy.decide import Hint
from bridge.policy.explain import explain
from bridge.policy.load import load
from bridge.policy.meaning import CONCERN, OPERATIONAL, SHARES, SURE, Taking, Terms
from bridge.policy.strength import Tally, weakened

from .shipped import message, shipped, shipped_files

MODEL = Taking(
    digest="d" * 64,
    operational={"0.5%": 0.95, "1%": 0.9, "2%": 0.8, "5%": 0.6, "10%": 0.4},
    concern={"0.5%": 0.9, "1%": 0.8, "2%": 0.7, "5%": 0.6, "10%": 0.5},
)
TERMS = """mode: enforce
dpia: DPIA-1
operational: {title: Reads like it, reason: it reads like talk about a job}
concern: {title: Of concern, reason: a person looks}
classes:
  social: {nudge: 0.6, move_with_hint: 0.8, move: 0.99, concern: 0.5}
  community: {nudge: 5 %, concern: 2%}
"""
WORDS = "got him, under the bed, just the cousin left to find"
MOVED = "AB12 CDE just left 14 Acacia Avenue"
#: The shipped files but for signs, so that no words here have one by chance.
UNSIGNED = {
    name: content
    for name, content in shipped_files().items()
    if name not in {"rules/job_signs.yaml", "rules/signs.yaml"}
}
#: A rule sees something in it, and by itself that is not enough for anything.
HINTED = "so she's not going on the statement as the one who said it"
DISTRESS = "can't stop thinking about that baby. haven't slept since"
SLUR = "typical diversity hire"
HELD_BACK = TERMS.replace(
    "move_with_hint: 0.8,", "move_with_hint: 0.8, only_ask: 0.1, let_be: 0.06,"
)
#: The rules move it, and are not sure.
UNSURE = "custody on channel 4 is on again tonight"
#: The rules ask about it, and see no identifier.
DOMESTIC = "the neighbours are having a domestic about a hedge"


@dataclass(frozen=True)
class Sure:
    operational: float = 0.0
    concern: float = 0.0
    alone: float | None = None


def policy(terms: str = TERMS, **changes: object) -> Policy:
    made = load({**UNSIGNED, "model.yaml": terms.encode()})
    return dataclasses.replace(made.with_model(MODEL), **changes)  # type: ignore[arg-type]


POLICY = policy()


def signed(
    channel: str = "operational", mode: str = "sign", base: int = 20, terms: str = TERMS
) -> Policy:
    """The same with one rule more, which sees the cousin."""
    made = load({**UNSIGNED, "model.yaml": terms.encode(), "rules/made.yaml": f"""rules:
  - id: made.sign
    title: Speaks of a cousin
    reason: it speaks of a cousin
    family: sign
    channel: {channel}
    mode: {mode}
    dpia: DPIA-1
    phrases: [cousin]
    confidence: {{base: {base}}}
    match: [just the cousin left]
    no_match: [nobody is left]
""".encode()})  # fmt: skip
    return made.with_model(MODEL)


SIGNED = signed()


def judged(words: str, sure: Sure, of: Policy = POLICY, **more: object) -> Verdict:
    return of.judge(message(words), RoomClass.SOCIAL, belief=sure, **more)  # type: ignore[arg-type]


HINT = Hint(rid=Rid("ab" * 16), score=30, sent_at=Ms(0))


def test_by_itself_it_asks_and_does_not_move() -> None:
    verdict = judged(WORDS, Sure(0.95))
    assert (verdict.action, verdict.rule) == (Action.NUDGE, OPERATIONAL)
    assert verdict.reason == "it reads like talk about a job"
    (finding,) = verdict.findings
    assert (finding.rule, finding.start, finding.end) == (OPERATIONAL, 0, len(WORDS))
    assert finding.confidence == 95


def test_less_sure_it_leaves_no_trace() -> None:
    assert judged(WORDS, Sure(0.59)) == POLICY.judge(message(WORDS), RoomClass.SOCIAL)


def test_with_a_rules_weak_sign_it_moves() -> None:
    weak = POLICY.judge(message(HINTED), RoomClass.SOCIAL)
    assert weak.action is Action.ALLOW
    assert weak.score, "the shipped rules see a weak sign in it"
    verdict = judged(HINTED, Sure(0.85))
    assert (verdict.action, verdict.rule) == (Action.REDIRECT, OPERATIONAL)
    assert {finding.rule for finding in verdict.findings} > {OPERATIONAL}
    assert judged(HINTED, Sure(0.79)).action is Action.NUDGE


@pytest.mark.parametrize("ground", ["hints", "flagged"])
def test_with_what_was_said_a_moment_before_it_moves_and_the_record_says_with_what(
    ground: str,
) -> None:
    verdict = judged(WORDS, Sure(0.85), **{ground: [HINT]})  # type: ignore[arg-type]
    assert (verdict.action, verdict.hints) == (Action.REDIRECT, (HINT.rid,))


@pytest.mark.parametrize("ground", ["hints", "flagged"])
def test_what_was_said_before_is_not_two_grounds(ground: str) -> None:
    """It made the model sure, so that it cannot bear it out as well."""
    for alone, action in (0.79, Action.NUDGE), (0.8, Action.REDIRECT):
        verdict = judged(WORDS, Sure(0.98, alone=alone), **{ground: [HINT]})  # type: ignore[arg-type]
        assert verdict.action is action


def test_what_was_said_longer_ago_does_not_count() -> None:
    late = message(WORDS, at=POLICY.memory + 1)
    verdict = POLICY.judge(late, RoomClass.SOCIAL, belief=Sure(0.85), flagged=[HINT])
    assert (verdict.action, verdict.hints) == (Action.NUDGE, ())


def test_above_a_probability_that_the_policy_names_it_moves_alone() -> None:
    assert judged(WORDS, Sure(0.991)).action is Action.REDIRECT
    assert judged(WORDS, Sure(0.989)).action is Action.NUDGE


ASKED = "the rule alone asks about a cousin"


def asking(mode: str = "enforce", base: int = 45) -> Policy:
    """The same where that rule nudges by itself."""
    terms = TERMS.replace("move: 0.99", "move: 0.99, move_nudged: 0.4")
    return signed(mode=mode, base=base, terms=terms)


def test_what_a_rule_nudges_by_itself_is_moved_by_a_weaker_belief() -> None:
    policy = asking()
    alone = policy.judge(message(ASKED), RoomClass.SOCIAL)
    assert (alone.action, alone.rule) == (Action.NUDGE, "made.sign")
    assert judged(ASKED, Sure(0.39), policy) == alone
    verdict = judged(ASKED, Sure(0.4), policy)
    assert (verdict.action, verdict.rule) == (Action.REDIRECT, OPERATIONAL)
    assert {finding.rule for finding in verdict.findings} == {"made.sign", OPERATIONAL}
    assert judged("nothing of that here", Sure(0.4), policy).action is Action.ALLOW


def test_what_is_nudged_for_what_was_said_before_takes_the_surer_belief() -> None:
    policy = asking(base=35)
    assert policy.judge(message(ASKED), RoomClass.SOCIAL).action is Action.ALLOW
    weak = [Hint(rid=Rid(f"{n:032x}"), score=6, sent_at=Ms(0)) for n in range(2)]
    alone = policy.judge(message(ASKED), RoomClass.SOCIAL, hints=weak)
    assert (alone.action, len(alone.hints)) == (Action.NUDGE, 2)
    assert judged(ASKED, Sure(0.59), policy, hints=weak).action is Action.NUDGE
    assert judged(ASKED, Sure(0.85), policy, hints=weak).action is Action.REDIRECT


def test_a_rule_that_may_only_ask_does_not_help_a_weaker_belief_to_move() -> None:
    policy = asking("nudge")
    assert policy.judge(message(ASKED), RoomClass.SOCIAL).action is Action.NUDGE
    assert judged(ASKED, Sure(0.59), policy).action is Action.NUDGE


# Signs


def test_a_sign_and_the_model_together_move_and_the_record_names_the_sign() -> None:
    verdict = judged(WORDS, Sure(0.85), SIGNED)
    assert (verdict.action, verdict.rule, verdict.hints) == (Action.REDIRECT, OPERATIONAL, ())
    assert {finding.rule for finding in verdict.findings} == {"made.sign", OPERATIONAL}
    assert judged(WORDS, Sure(0.79), SIGNED).action is Action.NUDGE


def test_a_sign_alone_does_nothing_and_leaves_no_trace() -> None:
    for sure in (None, Sure(0.59)):
        verdict = SIGNED.judge(message(WORDS), RoomClass.SOCIAL, belief=sure)
        assert (verdict.action, verdict.score, verdict.findings) == (Action.ALLOW, 0, ())
        assert record_hint(Rid("cd" * 16), verdict, Ms(0)) is None


def test_signs_add_nothing_to_hints_of_the_conversation() -> None:
    strong = [Hint(rid=Rid(f"{n:032x}"), score=59, sent_at=Ms(0)) for n in range(4)]
    verdict = SIGNED.judge(message(WORDS), RoomClass.SOCIAL, hints=strong)
    assert (verdict.action, verdict.hints) == (Action.ALLOW, ())


def test_the_model_alone_asks_where_no_sign_is() -> None:
    assert judged("nothing of that here", Sure(0.85), SIGNED).action is Action.NUDGE


def test_a_sign_of_another_channel_does_not_count() -> None:
    conduct = signed("professional-standards").with_conduct()
    verdict = judged(WORDS, Sure(0.85, 0.0), conduct)
    assert (verdict.action, verdict.referrals) == (Action.NUDGE, frozenset())
    assert judged(WORDS, Sure(0.0, 0.6), SIGNED.with_conduct()).referrals == frozenset()
    assert judged(WORDS, Sure(0.0, 0.6), conduct).referrals == {Queue.PROFESSIONAL_STANDARDS}


@pytest.mark.parametrize("mode", ["shadow", "nudge"])
def test_a_rule_in_shadow_or_that_only_asks_is_no_second_ground_for_moving(mode: str) -> None:
    weak = signed(mode=mode)
    assert judged(WORDS, Sure(0.85), weak).action is Action.NUDGE


def test_what_a_rule_saw_goes_before_a_sign_as_the_second_ground() -> None:
    words = f"{HINTED}, cousin"
    verdict = judged(words, Sure(0.85), SIGNED)
    assert verdict.action is Action.REDIRECT
    assert "made.sign" not in {finding.rule for finding in verdict.findings}


def test_a_sign_is_looked_for_only_beside_a_belief_and_is_explained() -> None:
    assert SIGNED.look(message(WORDS)) == ()
    assert [one.rule.id for one in SIGNED.signs(message(WORDS), ())] == ["made.sign"]
    found = explain(SIGNED, WORDS, belief=Sure(0.85))
    assert [(one.rule, one.mode) for one in found.seen] == [("made.sign", Mode.SIGN)]
    assert found.scores[Channel.OPERATIONAL] == 0


@pytest.mark.parametrize("channel", ["support", "marking\n    marking: secret"])
def test_a_sign_of_what_no_model_believes_is_refused_with_its_line(channel: str) -> None:
    with pytest.raises(PolicyError, match="cannot be a sign"):
        signed(channel)


def test_the_shipped_signs_of_a_job_move_nothing_by_themselves() -> None:
    signs = [rule for rule in shipped().rules if rule.mode is Mode.SIGN]
    assert {rule.channel for rule in signs} == {Channel.OPERATIONAL, Channel.PROFESSIONAL_STANDARDS}
    of_a_job = [rule for rule in signs if rule.channel is Channel.OPERATIONAL]
    assert all(rule.id.startswith("sign.job.") for rule in of_a_job)
    assert shipped().signs(message(WORDS), ())
    assert shipped().judge(message(WORDS), RoomClass.SOCIAL).action is Action.ALLOW


def test_what_rules_have_moved_it_does_not_touch() -> None:
    assert judged(MOVED, Sure(1.0, 1.0)) == judged(MOVED, Sure())


def test_somebody_in_distress_is_left_alone() -> None:
    plain = POLICY.judge(message(DISTRESS), RoomClass.SOCIAL)
    assert POLICY.sees_distress(plain), "the shipped rules see distress in it"
    assert judged(DISTRESS, Sure(1.0, 1.0)) == plain


def test_it_is_never_the_only_ground_for_professional_standards() -> None:
    conduct = POLICY.with_conduct()
    verdict = judged(WORDS, Sure(0.0, 1.0), conduct)
    assert (verdict.action, verdict.referrals, verdict.findings) == (Action.ALLOW, frozenset(), ())


def test_it_strengthens_a_rules_sign_of_concern() -> None:
    rules = tuple(
        dataclasses.replace(rule, mode=Mode.SIGN)
        if rule.channel is Channel.PROFESSIONAL_STANDARDS
        else rule
        for rule in shipped().rules
    )
    signs = {rule.id: rule for rule in rules if rule.channel is Channel.PROFESSIONAL_STANDARDS}
    conduct = dataclasses.replace(POLICY.with_conduct(), reduced=signs)
    assert judged(SLUR, Sure(0.0, 0.4), conduct).referrals == frozenset()
    verdict = judged(SLUR, Sure(0.0, 0.6), conduct)
    assert verdict.referrals == {Queue.PROFESSIONAL_STANDARDS}
    assert verdict.action is Action.ALLOW
    assert verdict.rule in signs, "a rule that people wrote is what they are asked about"
    assert CONCERN in {finding.rule for finding in verdict.findings}


def test_where_the_standards_rules_are_off_nothing_of_concern_is_said() -> None:
    assert not POLICY.conduct.enabled
    verdict = judged(SLUR, Sure(0.0, 1.0))
    assert (verdict.referrals, verdict.findings) == (frozenset(), ())


@pytest.mark.parametrize("mode", [Mode.NUDGE, Mode.SHADOW, Mode.OFF])
def test_a_mode_bounds_what_it_may_do(mode: Mode) -> None:
    weaker = policy(TERMS.replace("mode: enforce", f"mode: {mode}"))
    most = Action.NUDGE if mode is Mode.NUDGE else Action.ALLOW
    assert judged(WORDS, Sure(1.0), weaker).action is most
    assert weaker.wants_belief(message(WORDS), RoomClass.SOCIAL) is (mode is not Mode.OFF)
    assert not weaker.model_moves


def test_people_who_find_it_wrong_take_its_strength() -> None:
    tallies = {OPERATIONAL: Tally(nudges_right=4, nudges_wrong=60)}
    modes = weakened(POLICY.accountable, tallies, POLICY.bounds, 30)
    assert modes == {OPERATIONAL: Mode.SHADOW}
    weaker = POLICY.weakened(modes)
    assert judged(WORDS, Sure(1.0), weaker).action is Action.ALLOW
    assert weaker.weakened({}).revision == POLICY.revision, "and findings give it back"


# Which decides


def test_the_model_is_part_of_what_the_verdict_names() -> None:
    files = load({**UNSIGNED, "model.yaml": TERMS.encode()})
    other = dataclasses.replace(MODEL, digest="e" * 64)
    revisions = {one.revision for one in (files, POLICY, files.with_model(other))}
    assert len(revisions) == 3
    assert POLICY.base == files.revision
    assert judged(WORDS, Sure(0.95)).revision == POLICY.revision
    assert POLICY.with_model(None).revision == files.revision
    assert POLICY.weakened({"x": Mode.OFF}).revision == POLICY.revision


def test_strength_and_model_name_a_policy_in_any_order() -> None:
    files = load({**UNSIGNED, "model.yaml": TERMS.encode()})
    modes = {files.rules[0].id: Mode.NUDGE}
    first, second = files.weakened(modes).with_model(MODEL), files.with_model(MODEL).weakened(modes)
    assert first.revision == second.revision != POLICY.revision
    assert first.base == files.revision


def test_without_a_file_that_lets_it_no_model_does_anything() -> None:
    files = {name: content for name, content in shipped_files().items() if name != "model.yaml"}
    bare = load(files).with_model(MODEL)
    assert bare.revision == load(files).revision
    assert not bare.wants_belief(message(WORDS), RoomClass.SOCIAL)
    assert judged(WORDS, Sure(1.0, 1.0), bare).action is Action.ALLOW


@pytest.mark.parametrize(
    ("words", "cls", "kind", "asked"),
    [
        (WORDS, RoomClass.SOCIAL, Kind.TEXT, True),
        (WORDS, RoomClass.COMMUNITY, Kind.MEDIA, True),
        (WORDS, RoomClass.OPERATIONAL, Kind.TEXT, False),
        (WORDS, RoomClass.SOCIAL, Kind.UNREADABLE, False),
        (WORDS, RoomClass.SOCIAL, Kind.OTHER, False),
        (MOVED, RoomClass.SOCIAL, Kind.TEXT, False),
        (DISTRESS, RoomClass.SOCIAL, Kind.TEXT, False),
    ],
)
def test_only_what_it_could_change_is_asked_about(
    words: str, cls: RoomClass, kind: Kind, asked: bool
) -> None:
    assert POLICY.wants_belief(message(words, kind=kind), cls) is asked


@given(
    words=st.sampled_from([WORDS, MOVED, HINTED, DISTRESS, SLUR, UNSURE, DOMESTIC, "", "ok"]),
    operational=st.floats(0, 1),
    concern=st.floats(0, 1),
    grounds=st.lists(st.just(HINT), max_size=2),
)
def test_a_belief_makes_nothing_milder_unless_the_policy_lets_it_and_never_takes_out_uncopied(
    words: str, operational: float, concern: float, grounds: list[Hint]
) -> None:
    conduct = POLICY.with_conduct()
    before = conduct.judge(message(words), RoomClass.SOCIAL, hints=grounds)
    sure = Sure(operational, concern)
    after = judged(words, sure, conduct, hints=grounds, flagged=grounds)
    assert before.action <= after.action
    lets = policy(HELD_BACK).with_conduct()
    back = judged(words, sure, lets, hints=grounds, flagged=grounds)
    assert before.action - back.action <= 1
    assert before.referrals <= back.referrals
    if before.score >= SURE or operational >= 0.1 or words == DISTRESS:
        assert back.action >= before.action
    assert before.referrals <= after.referrals
    assert set(before.findings) <= set(after.findings)
    assert after.action is not Action.QUARANTINE or before.action is Action.QUARANTINE
    assert after == judged(words, sure, conduct, hints=grounds, flagged=grounds)


@given(st.floats(0, 1), st.floats(0, 1), st.booleans(), st.booleans())
def test_the_surer_it_is_the_more_it_does(
    one: float, other: float, grounded: bool, nudged: bool
) -> None:
    terms = Terms(nudge=0.3, move_with_hint=0.5, move=0.9, move_nudged=0.2)
    low, high = (
        terms.action(sure, grounded=grounded, nudged=nudged) for sure in sorted((one, other))
    )
    assert low <= high
    for more in ({"grounded": True, "nudged": nudged}, {"grounded": grounded, "nudged": True}):
        assert terms.action(one, grounded=grounded, nudged=nudged) <= terms.action(one, **more)


# What the file may say


def test_a_share_is_the_probability_that_the_model_has_there() -> None:
    assert POLICY.speaking is not None
    community = POLICY.speaking.classes[RoomClass.COMMUNITY]
    assert community == Terms(nudge=0.6, concern=0.7)


def test_the_shipped_file_loads_and_lets_no_model_move_alone() -> None:
    speaking = shipped().with_model(MODEL).speaking
    assert speaking is not None
    for terms in speaking.classes.values():
        assert terms.move is None
        assert terms.move_with_hint is not None
        assert terms.nudge <= terms.move_with_hint
        assert terms.move_nudged is not None


@pytest.mark.parametrize(
    ("was", "instead", "line", "why"),
    [
        ("mode: enforce", "mode: on", 1, "not one of"),
        ("mode: enforce", "mode: sign", 1, "a model cannot be one"),
        ("dpia: DPIA-1\n", "", 1, "'dpia' is missing"),
        ("nudge: 0.6", "nudge: 60", 6, "above 0 and below 1"),
        ("nudge: 0.6", "nudge: nan", 6, "above 0 and below 1"),
        ("nudge: 0.6", "nudge: a lot", 6, "not a number"),
        ("nudge: 0.6, ", "", 6, "'nudge' is missing"),
        ("nudge: 5 %", "nudge: 3 %", 7, "not one of the shares"),
        ("nudge: 5 %", "nudge: 0.5 %, move: 2 %", 7, "stricter step has to be surer"),
        ("move_with_hint: 0.8", "move_with_hint: 0.5", 6, "stricter step has to be surer"),
        ("move: 0.99", "move: 0.7", 6, "stricter step has to be surer"),
        ("concern: 0.5}", "concern: 0.5, odd: 1}", 6, "unknown key 'odd'"),
        ("  community: {nudge: 5 %, concern: 2%}\n", "", 6, "'community' is missing"),
        ("  community:", "  operational:", 7, "unknown key 'operational'"),
        ("title: Reads like it, ", "", 3, "'title' is missing"),
    ],
)
def test_what_is_wrong_in_it_is_said_with_its_line(
    was: str, instead: str, line: int, why: str
) -> None:
    assert was in TERMS
    with pytest.raises(PolicyError, match=why) as caught:
        policy(TERMS.replace(was, instead))
    assert (caught.value.source, caught.value.line) == ("model.yaml", line)


def test_shares_are_in_order() -> None:
    assert sorted(SHARES, key=lambda name: float(name.rstrip("%"))) == list(SHARES)


NAMED = TERMS.replace(
    "move_with_hint: 0.8,",
    "move_with_hint: 0.8, nudge_with_identifier: 0.3, move_with_identifier: 0.7,",
)


def bare() -> str:
    """A text in which rules see nothing, and which has the shape of an identifier."""
    of = policy(NAMED)
    text = "room 2.11 is booked till noon"
    assert not of.look(message(text))
    assert [one.rule.mode for one in of.signs(message(text), ())] == [Mode.SIGN]
    return text


def test_beside_the_shape_of_an_identifier_a_weaker_belief_asks_and_a_surer_one_moves() -> None:
    text, of = bare(), policy(NAMED)
    assert judged(text, Sure(0.29), of).action is Action.ALLOW
    asked, moved = judged(text, Sure(0.31), of), judged(text, Sure(0.71), of)
    assert (asked.action, asked.rule) == (Action.NUDGE, OPERATIONAL)
    assert (moved.action, moved.rule) == (Action.REDIRECT, OPERATIONAL)
    for verdict in (asked, moved):
        assert "location.room" in {finding.rule for finding in verdict.findings}


def test_without_a_step_for_it_the_shape_is_a_sign_as_others_are() -> None:
    text = bare()
    assert judged(text, Sure(0.59)).action is Action.ALLOW
    assert judged(text, Sure(0.79)).action is Action.NUDGE
    assert judged(text, Sure(0.81)).action is Action.REDIRECT


def test_the_shape_alone_is_nothing_and_neither_is_one_that_an_exception_takes_away() -> None:
    text, of = bare(), policy(NAMED)
    assert of.judge(message(text), RoomClass.SOCIAL) == of.judge(message("hi"), RoomClass.SOCIAL)
    mine = "selling my bed, room 2.11 is booked till noon"
    assert not of.signs(message(mine), ())
    assert judged(mine, Sure(0.55), of).action is Action.ALLOW


def test_a_rule_that_people_found_wrong_lends_its_shape_no_more_than_it_may_do() -> None:
    text, of = bare(), policy(NAMED)
    less = of.weakened({"location.room": Mode.NUDGE})
    assert judged(text, Sure(0.75), less).action is Action.NUDGE
    none = of.weakened({"location.room": Mode.SHADOW})
    assert judged(text, Sure(0.55), none).action is Action.ALLOW


def test_what_a_rule_saw_by_itself_is_not_told_again_as_a_shape() -> None:
    seen = POLICY.look(message(MOVED))
    again = {one.rule.id for one in POLICY.signs(message(MOVED), seen)}
    assert "vehicle.vrm.current" in {one.rule.id for one in seen} - again


def test_a_step_for_identifiers_that_asks_for_more_than_the_plain_one_is_refused() -> None:
    wrong = NAMED.replace("nudge_with_identifier: 0.3", "nudge_with_identifier: 0.61")
    with pytest.raises(PolicyError, match="'nudge' asks for less than 'nudge_with_identifier'"):
        policy(wrong)


def test_what_rules_would_move_without_being_sure_is_asked_about_where_the_model_sees_nothing() -> (
    None
):
    of = policy(HELD_BACK)
    before = of.judge(message(UNSURE), RoomClass.SOCIAL)
    assert (before.action, before.score < SURE) == (Action.REDIRECT, True)
    assert of.wants_belief(message(UNSURE), RoomClass.SOCIAL)
    verdict = judged(UNSURE, Sure(0.09), of)
    assert (verdict.action, verdict.rule) == (Action.NUDGE, before.rule)
    assert OPERATIONAL in {finding.rule for finding in verdict.findings}, "the record says why"
    assert judged(UNSURE, Sure(0.11), of) == before


def test_what_rules_are_sure_of_is_not_even_asked_about() -> None:
    of = policy(HELD_BACK)
    assert of.judge(message(MOVED), RoomClass.SOCIAL).score >= SURE
    assert not of.wants_belief(message(MOVED), RoomClass.SOCIAL)
    assert judged(MOVED, Sure(0.0), of).action is Action.REDIRECT


def test_what_rules_would_ask_about_is_let_be_where_the_model_sees_nothing() -> None:
    of = policy(HELD_BACK)
    assert of.judge(message(DOMESTIC), RoomClass.SOCIAL).action is Action.NUDGE
    verdict = judged(DOMESTIC, Sure(0.05), of)
    assert (verdict.action, verdict.rule) == (Action.ALLOW, OPERATIONAL)
    assert verdict.reason == "it does not read like talk about a job"
    assert len(verdict.findings) > 1
    assert judged(DOMESTIC, Sure(0.07), of).action is Action.NUDGE


def test_what_may_have_an_identifier_is_asked_about_whatever_the_model_says() -> None:
    text = "AB12 CDE is in the yard"
    of = policy(HELD_BACK)
    assert of.judge(message(text), RoomClass.SOCIAL).action is Action.NUDGE
    assert judged(text, Sure(0.0), of).action is Action.NUDGE


def test_a_model_in_shadow_holds_nothing_back_and_neither_does_one_without_these_steps() -> None:
    shadow = policy(HELD_BACK.replace("mode: enforce", "mode: shadow", 1))
    for of in (shadow, POLICY):
        assert judged(UNSURE, Sure(0.0), of).action is Action.REDIRECT
        assert judged(DOMESTIC, Sure(0.0), of).action is Action.NUDGE


def test_a_step_back_above_the_step_to_ask_is_refused() -> None:
    with pytest.raises(PolicyError, match="'let_be' is not below 'nudge'"):
        policy(HELD_BACK.replace("let_be: 0.06", "let_be: 0.6"))


def test_what_is_let_be_is_no_hint_for_what_comes_next() -> None:
    verdict = judged(DOMESTIC, Sure(0.01), policy(HELD_BACK))
    assert verdict.score == 0
    assert record_hint(Rid("cd" * 16), verdict, Ms(0)) is None


def test_nothing_is_let_be_that_people_are_asked_to_look_at() -> None:
    of = policy(HELD_BACK).with_conduct()
    verdict = judged(f"{SLUR}, {DOMESTIC}", Sure(0.01), of)
    assert verdict.action is Action.NUDGE
    assert verdict.referrals == {Queue.PROFESSIONAL_STANDARDS}


@pytest.mark.parametrize("words", [UNSURE, DOMESTIC])
def test_the_model_denies_nothing_that_it_has_not_read(words: str) -> None:
    of = policy(HELD_BACK)
    elsewhere = dataclasses.replace(message("cake in the kitchen"), extra=(("filename", words),))
    padded = message("the heating is on again upstairs and it is warm. " * 7 + words)
    for one in (padded, elsewhere):
        alone = of.judge(one, RoomClass.SOCIAL)
        assert alone.action is not Action.ALLOW
        assert of.judge(one, RoomClass.SOCIAL, belief=Sure(0.0)) == alone


def test_a_rule_whose_file_lets_it_only_ask_lends_no_shape() -> None:
    files = dict(UNSIGNED)
    name = next(n for n, content in files.items() if b"- id: location.room\n" in content)
    files[name] = files[name].replace(
        b"- id: location.room\n", b"- id: location.room\n    mode: nudge\n"
    )
    of = load({**files, "model.yaml": NAMED.encode()}).with_model(MODEL)
    assert judged(bare(), Sure(0.55), of).action is Action.ALLOW


def test_a_weaker_identifier_does_not_hide_one_that_may_move() -> None:
    of = policy(NAMED).weakened({"vehicle.vrm.current": Mode.NUDGE})
    text = "room 2.11 is booked till noon, AB12 CDE"
    assert judged(text, Sure(0.75), of).action is Action.REDIRECT


def test_what_is_let_be_and_of_concern_names_the_rule_of_concern() -> None:
    of = signed("professional-standards", terms=HELD_BACK).with_conduct()
    verdict = judged(f"{DOMESTIC}, and a cousin", Sure(0.01, 0.95), of)
    assert (verdict.action, verdict.rule) == (Action.ALLOW, "made.sign")
    assert verdict.reason == "it speaks of a cousin"
    assert verdict.referrals == {Queue.PROFESSIONAL_STANDARDS}


@pytest.mark.parametrize("words", [UNSURE, DOMESTIC])
def test_harmless_talk_before_a_message_holds_nothing_back(words: str) -> None:
    of = policy(HELD_BACK)
    alone = of.judge(message(words), RoomClass.SOCIAL)
    assert judged(words, Sure(0.01, alone=0.4), of).action is alone.action
    assert judged(words, Sure(0.01, alone=0.05), of).action < alone.action
