"""Which words mattered is found by leaving them out."""

from __future__ import annotations

import pytest

from bridge.understand.model import Asked, Model
from bridge.understand.why import MOST_WORDS, context_weight, text_of, words_that_mattered
from tests.unit.understand.tiny import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(tiny(tmp_path_factory.mktemp("model")))


def test_the_words_that_mattered_are_those_that_it_would_miss(model: Model) -> None:
    asked = Asked("who brings him to the cell")
    found = words_that_mattered(model, asked)
    assert text_of(asked, found) == ("cell", "him")
    assert [one.weight for one in found] == pytest.approx([4.0, 1.0], abs=1e-4)


def test_words_that_speak_against_it_are_not_named(model: Model) -> None:
    assert words_that_mattered(model, Asked("milk lunch ok")) == ()


def test_of_one_word_nothing_can_be_left_out(model: Model) -> None:
    assert words_that_mattered(model, Asked("cell")) == ()
    assert words_that_mattered(model, Asked("")) == ()


def test_what_was_said_before_has_a_weight(model: Model) -> None:
    assert context_weight(model, Asked("maybe", ("cell",))) == pytest.approx(2.0, abs=1e-4)
    assert context_weight(model, Asked("привет", ("cell",))) == 0.0


def test_of_a_long_message_the_first_words_are_tried(model: Model) -> None:
    asked = Asked("ok " * 10_000)
    tried: list[Asked] = []
    judge = model.judge
    model.judge = lambda some: tried.extend(some) or judge(some)  # type: ignore[assignment,misc,func-returns-value]
    try:
        words_that_mattered(model, asked)
    finally:
        del model.judge
    assert len(tried) == 1 + MOST_WORDS
