"""The engine: one pass, evidence, exceptions, conjunctions, views."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.detect import engine as engines
from bridge.detect.engine import Engine
from bridge.detect.identifiers import AgeRange
from bridge.detect.phrases import compiled, phrase_pattern
from bridge.detect.rules import (
    Case,
    Channel,
    Concepts,
    Ladder,
    Lexicon,
    Mode,
    Near,
    Rule,
    Sighting,
    Words,
)
from bridge.detect.shapes import SHAPES


def lexicon(*phrases: str) -> Lexicon:
    pattern = "|".join(map(phrase_pattern, phrases))
    return Lexicon(id=pattern, pattern=pattern, expression=compiled(pattern), size=len(phrases))


def words(*phrases: str) -> Words:
    found = lexicon(*phrases)
    return Words(pattern=found.pattern, expression=found.expression, wordy=True)


def shape(name: str) -> Words:
    found = SHAPES[name]
    return Words(pattern=found.pattern, expression=compiled(found.pattern), check=found.check)


def rule(looks_for: Words | Concepts, *, base: int = 60, **kwargs: Any) -> Rule:
    ladder = kwargs.pop("ladder", Ladder(base=base))
    return Rule(
        id=kwargs.pop("name", "r"), title="t", reason="r", family="f", channel=Channel.OPERATIONAL,
        mode=kwargs.pop("mode", Mode.ENFORCE), dpia="d", looks_for=looks_for, ladder=ladder,
        **kwargs,
    )  # fmt: skip


def sight(raw: str, *rules: Rule) -> tuple[Sighting, ...]:
    return Engine(rules, AgeRange()).sight(raw)


def test_offsets_are_into_the_raw_text() -> None:
    raw = "🚓🚓 run ΑΒ12 СDЕ now"  # noqa: RUF001 - look-alikes
    (found,) = sight(raw, rule(shape("vrm_current")))
    assert raw[found.start : found.end] == "ΑΒ12 СDЕ"  # noqa: RUF001


def test_evidence_near_a_place_makes_it_surer() -> None:
    near = Near(lexicons=(lexicon("plate"),), window=20)
    looking = rule(shape("vrm_current"), ladder=Ladder(base=40, evidence=80), evidence=near)
    assert sight("AB12 CDE", looking)[0].confidence == 40
    backed = sight("the plate AB12 CDE", looking)[0]
    assert backed.confidence == 80
    assert backed.evidence == ((4, 9),)
    assert sight("the plate " + "x " * 20 + "AB12 CDE", looking)[0].confidence == 40


def test_an_exception_cancels_the_place_that_it_stands_near_to_and_no_other() -> None:
    near = Near(lexicons=(lexicon("cake"),), window=10)
    looking = rule(words("suspect"), exceptions=(near,))
    raw = "suspect cake, " + "and then later on that day " * 2 + "the suspect ran"
    (found,) = sight(raw, looking)
    assert found.start > 40


def test_a_failed_check_lowers_and_does_not_rule_out() -> None:
    ladder = Ladder(base=75, check_failed=50, evidence=90, check_failed_evidence=65)
    near = Near(lexicons=(lexicon("plate"),))
    looking = rule(shape("vrm_current"), ladder=ladder, evidence=near)
    assert sight("AB99 CDE", looking)[0].confidence == 50
    assert sight("plate AB99 CDE", looking)[0].confidence == 65


def test_small_letters_are_less_sure_and_so_is_shouting() -> None:
    looking = rule(shape("vrm_prefix"), ladder=Ladder(base=60, lower=30, lower_spaced=0))
    assert sight("saw P417KHB there", looking)[0].confidence == 60
    assert sight("saw p417khb there", looking)[0].confidence == 30
    assert sight("SEE YOU AT B4 THE MATCH TONIGHT", looking) == ()


def test_case_can_be_asked_for() -> None:
    looking = rule(words("secret"), case=Case.UPPER)
    assert sight("SECRET", looking)
    assert not sight("Secret Santa", looking)
    capital = rule(words("op walnut"), case=Case.CAPITAL)
    assert sight("op Walnut", capital)
    assert not sight("op walnut", capital)


def test_a_conjunction_counts_groups_within_its_window() -> None:
    both = Concepts(groups=((lexicon("suspect"),), (lexicon("hospital"),)), at_least=2, window=40)
    found = sight("the suspect is in hospital", rule(both))
    assert [one.confidence for one in found] == [60, 60]
    assert not sight("the suspect " + "x " * 30 + " hospital", rule(both))
    assert not sight("suspect suspect", rule(both))


def test_more_groups_than_needed_count_more() -> None:
    groups = tuple((lexicon(word),) for word in ("suspect", "hospital", "knife"))
    looking = rule(Concepts(groups=groups, at_least=2), ladder=Ladder(base=40, per_extra=15))
    assert sight("suspect with knife in hospital", looking)[0].confidence == 55


def test_one_place_does_not_count_for_two_groups() -> None:
    groups = ((lexicon("victim"),), (lexicon("victim"),))
    assert not sight("victim", rule(Concepts(groups=groups, at_least=2)))


def test_letters_set_apart_are_found() -> None:
    raw = "just seen A B 1 2 C D E by the lights"
    (found,) = sight(raw, rule(shape("vrm_current")))
    assert raw[found.start : found.end] == "A B 1 2 C D E"
    assert found.view == "joined"


def test_figures_for_letters_are_found_by_rules_of_words_only() -> None:
    (found,) = sight("the m1sper again", rule(words("misper")))
    assert found.view == "unleeted"
    assert not sight("the mo7 again", rule(shape("vrm_current")))


def test_a_rule_that_is_off_sees_nothing() -> None:
    assert not sight("misper", rule(words("misper"), mode=Mode.OFF), rule(words("x"), name="x"))


def test_where_the_set_runs_out_of_memory_rules_are_asked_one_by_one() -> None:
    engine = Engine([rule(words("misper"))], AgeRange())

    engine._match = lambda text: []
    assert engine.sight("the misper again")
    assert not engine.sight("milk")


@pytest.mark.parametrize(
    "raw",
    [
        "", "\x00" * 100, "\ud800", "misper\udfff", "a\u0301" * 30_000, "\u202e" * 1000,
        "\U0001d426" * 9000, "misper " * 9000, "m1sper " * 9000, "a b c d e " * 6000, "а " * 30_000,  # noqa: RUF001
    ],
)  # fmt: skip
def test_no_text_makes_it_fail(raw: str) -> None:
    for found in sight(raw, rule(words("misper")), rule(shape("vrm_current"), name="v")):
        assert 0 <= found.start < found.end <= len(raw)


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(codec=None, exclude_categories=()), max_size=20),
            st.sampled_from(["misper", "AB12 CDE", "m1sper", "A B 1 2 C D E", "ΑΒ12", " "]),  # noqa: RUF001
        )
    )
)
def test_every_sighting_lies_in_the_text(parts: list[str]) -> None:
    raw = "".join(parts)
    for found in ENGINE.sight(raw):
        assert 0 <= found.start < found.end <= len(raw)


ENGINE = Engine([rule(words("misper")), rule(shape("vrm_current"), name="v")], AgeRange())


def test_the_engine_has_a_version_that_is_part_of_every_revision() -> None:
    assert engines.ENGINE
