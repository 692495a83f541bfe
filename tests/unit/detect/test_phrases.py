"""The small language that officers write words in."""

from __future__ import annotations

import pytest

from bridge.detect.phrases import compiled, phrase_pattern


@pytest.mark.parametrize(
    ("phrase", "matching", "other"),
    [
        ("no comment", ["no comment", "no, comment", "no-comment"], ["nocomment", "no commentary"]),
        ("arrest*", ["arrest", "arrested", "arrests"], ["rearrested"]),
        ("nick/lift", ["nick", "lift"], ["nicked"]),
        ("in (the) bin", ["in bin", "in the bin"], ["in that bin"]),
        ("(a/the) scene", ["scene", "the scene"], ["scenes"]),
        ("he's", ["hes", "he's"], ["he is"]),
        (
            "gone ... comment",
            ["gone comment", "gone straight no comment"],
            ["gone a b c d comment"],
        ),
        ("cell _", ["cell 4", "cell 12"], ["cell four", "cells 4"]),
        ("lock-up", ["lock-up", "lockup", "lock up"], ["locked up"]),
    ],
)
def test_a_phrase_matches_what_it_says(phrase: str, matching: list[str], other: list[str]) -> None:
    expression = compiled(phrase_pattern(phrase))
    for text in matching:
        assert expression.search(text.encode()), text
    for text in other:
        found = expression.search(text.encode())
        assert found is None, text


@pytest.mark.parametrize("phrase", ["", "...", "(the)", "... scene", "a//b", "what?", "[a-z]"])
def test_a_phrase_that_says_nothing_or_too_much_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match=r"phrase|choice|sign"):
        phrase_pattern(phrase)


@pytest.mark.parametrize("pattern", [r"(?=x)y", r"(\w+)\1", "a{2000}", "(", "café"])
def test_a_pattern_that_is_not_linear_or_not_one_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        compiled(pattern)


@pytest.mark.parametrize("pattern", ["a*", "(?:)", "x?|y"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="empty text"):
        compiled(pattern)
