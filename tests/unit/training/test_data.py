"""Holds the way from corpus to lesson: nothing held is learned, nothing is invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.policy.corpus import Label, read_corpus
from corpus.rows import Corpus, Half, read
from training.chance import RATES, Rates, Room
from training.data import (
    WEIGHT_OF_CONCERN,
    WEIGHT_OF_HARD_SOCIAL,
    WEIGHT_OF_ORDINARY,
    Example,
    digest,
    examples,
    folds,
    learnable,
    ordinary,
)

NEVER = Rates(
    alone_fragment=0,
    alone=0,
    unrelated=0,
    unrelated_first=0,
    unrelated_social=0,
    slip=0,
    unmarked=0,
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read()


def example(**other: object) -> Example:
    given = {
        "id": "x-ann-one-001", "voice": "x-ann-one", "text": "the kettle has gone again",
        "before": (), "label": Label.SOCIAL, "hard": False, "kinds": (),
    } | other  # fmt: skip
    return Example(**given)  # type: ignore[arg-type]


def test_no_voice_of_the_held_half_is_learned_from(corpus: Corpus) -> None:
    train, held = examples(corpus, Half.TRAIN), examples(corpus, Half.HELD)
    assert len(train) > len(held) > 1_000
    assert not {one.voice for one in train} & {one.voice for one in held}
    assert not {one.id for one in train} & {one.id for one in held}


def test_a_fragment_without_its_conversation_is_not_learned(corpus: Corpus) -> None:
    train = examples(corpus, Half.TRAIN)
    some = learnable(train)
    assert 0 < len(train) - len(some) < 400
    assert not any("fragment" in one.kinds and not one.before for one in some)


def test_each_label_is_one_wish() -> None:
    assert example(label=Label.SOCIAL).wishes == (0.0, 0.0)
    assert example(label=Label.OPERATIONAL).wishes == (1.0, 0.0)
    assert example(label=Label.CONCERN).wishes == (0.0, 1.0)


def test_a_message_of_concern_says_little_about_what_is_operational() -> None:
    assert example(label=Label.CONCERN).weights[0] == WEIGHT_OF_CONCERN < 1


def test_a_hard_social_message_weighs_more() -> None:
    assert example(hard=True).weights[0] == WEIGHT_OF_HARD_SOCIAL > example().weights[0]
    assert example(hard=True, label=Label.OPERATIONAL).weights[0] == 1


@pytest.mark.parametrize("by", ["voice", "hand"])
def test_folds_divide_everything_and_nobody_is_on_both_sides(corpus: Corpus, by: str) -> None:
    some = examples(corpus, Half.TRAIN)
    key: Callable[[Example], str] = lambda one: one.hand if by == "hand" else one.voice  # noqa: E731
    left_out: list[int] = []
    for inside, outside in folds(some, by=by, count=3):
        assert inside
        assert outside
        assert not {key(some[at]) for at in inside} & {key(some[at]) for at in outside}
        left_out += outside
    assert sorted(left_out) == list(range(len(some)))


def test_the_digest_of_a_corpus_changes_with_a_label_and_with_a_half(corpus: Corpus) -> None:
    whole, backwards = corpus.said[:500], corpus.said[499::-1]
    corpus = replace(corpus, said=[*whole], halves=dict(corpus.halves))
    before = digest(corpus)
    assert digest(replace(corpus, said=backwards)) == before
    first = corpus.said[0]
    changed = Label.CONCERN if first.label is not Label.CONCERN else Label.SOCIAL
    corpus.said[0] = replace(first, label=changed)
    assert digest(corpus) != before
    corpus.said[0] = first
    assert digest(corpus) == before
    corpus.halves[first.voice] = (
        Half.HELD if corpus.halves[first.voice] is Half.TRAIN else Half.TRAIN
    )
    assert digest(corpus) != before


def test_ordinary_messages_are_social_whole_and_each_there_once() -> None:
    some = ordinary()
    assert len(some) > 300
    assert len({one.text for one in some}) == len({one.id for one in some}) == len(some)
    assert {one.label for one in some} == {Label.SOCIAL}
    assert {one.weights for one in some} == {(WEIGHT_OF_ORDINARY, WEIGHT_OF_ORDINARY)}
    assert not any(one.hard or one.before or one.text.startswith("#") for one in some)


def test_no_ordinary_message_is_one_of_the_corpus_or_of_what_measures(corpus: Corpus) -> None:
    known = {said.text.casefold() for said in corpus.said}
    sample = Path(__file__).parents[2] / "corpus" / "sample.jsonl"
    known |= {one.text.casefold() for one in read_corpus(sample.read_text("utf-8"), sample.name)}
    both = {one.text for one in ordinary() if one.text.casefold() in known}
    assert all(len(text.split()) <= 5 for text in both), both


# What chance does to a message


def pool() -> list[Example]:
    return [
        example(id=f"x-{name}-{at}", voice=f"x-{name}", text=f"{name} said {at}", label=label)
        for name in ("ann", "bob", "cas")
        for at, label in enumerate(Label)
    ]


def heard(
    one: Example, times: int = 300, rates: Rates = RATES
) -> list[tuple[str, tuple[str, ...]]]:
    room = Room(pool(), 1, rates)
    return [room.heard(one) for _ in range(times)]


def test_without_chance_a_message_is_as_it_was() -> None:
    one = example(before=("tea?",), kinds=("fragment",))
    assert set(heard(one, rates=NEVER)) == {(one.text, one.before)}


def test_the_same_seed_changes_the_same_things() -> None:
    assert heard(example()) == heard(example())


def test_what_was_said_before_is_sometimes_taken_away_and_never_altered() -> None:
    one = example(before=("tea?", "or gin"), kinds=("fragment",))
    found = [before for _, before in heard(one)]
    assert 0 < found.count(()) < len(found) / 3
    assert all(before[-2:] == one.before for before in found if before)


def test_a_message_with_nothing_before_it_sometimes_has_what_strangers_said() -> None:
    texts = {other.text for other in pool() if other.voice != "x-ann"}
    found = [before for _, before in heard(example(voice="x-ann"))]
    assert 0 < sum(map(bool, found)) < len(found) / 2
    assert {text for before in found for text in before} <= texts


def test_a_slip_changes_one_letter_at_most() -> None:
    one = example(text="handover at six")
    slips = [text for text, _ in heard(one, rates=replace(NEVER, slip=1))]
    assert len(set(slips)) > 10
    assert all(abs(len(text) - len(one.text)) <= 1 for text in slips)


def test_marks_are_left_out_and_words_are_not() -> None:
    one = example(text="he's in, isn't he?")
    assert {text for text, _ in heard(one, rates=replace(NEVER, unmarked=1))} == {"hes in isnt he?"}
    only = example(text="...")
    assert {text for text, _ in heard(only, rates=replace(NEVER, unmarked=1))} == {"..."}
