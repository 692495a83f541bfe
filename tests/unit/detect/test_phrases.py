"""The small language that officers write words in."""

from __future__ import annotations

import pytest

from bridge.detect.phrases import compiled, name_pattern, phrase_pattern, spans, torn_apart


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


@pytest.mark.parametrize("pattern", [r"\b", r"misper|\b", r"\B", "a*\\b", r"(?m)^", r"(?m)$|x"])
def test_a_pattern_that_matches_between_letters_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"between letters|empty text"):
        compiled(pattern)


@pytest.mark.parametrize(
    "name", ["custody photo.jpg", "custodyphoto2.jpeg", "my custody-photo (3).png", "bwv 0231.mp4"]
)
def test_words_are_found_in_the_names_of_files(name: str) -> None:
    assert compiled(name_pattern(["custody photo", "bwv"])).search(name.encode()) is not None


@pytest.mark.parametrize(
    "name", ["custody photo", "custody photos.jpgs", "acustody photo.jpg", "custody\nphoto.jpg"]
)
def test_what_is_no_such_name_is_not(name: str) -> None:
    assert compiled(name_pattern(["custody photo", "bwv"])).search(name.encode()) is None


@pytest.mark.parametrize(
    ("phrase", "pair"),
    [
        ("dont/do not/nobody park", "do not"),
        ("ran/made off/away", "made off"),
        ("in the bin/block", None),
        ("do not park", None),
        ("do-not/never park", None),
        ("nick/lift him/her", None),
    ],
)
def test_a_slash_that_takes_a_pair_apart_is_seen(phrase: str, pair: str | None) -> None:
    assert torn_apart(phrase) == pair


def test_places_are_those_that_the_library_finds() -> None:
    expression = compiled("a+b?|c")
    data = b"aab c xx aaa b cc"
    theirs = [match.span() for match in expression.finditer(data)]
    assert spans(expression, data, 40) == theirs
    assert spans(expression, data, 2) == theirs[:2]
    assert spans(expression, b"", 2) == []
