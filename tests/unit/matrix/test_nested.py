"""JSON that is nested, or counts, beyond what Python reads."""

from __future__ import annotations

import json
import math

import pytest

from bridge.matrix.nested import CUT, cut, read_json
from bridge.matrix.words import to_json, words_of

DEEP = 30_000


@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_what_is_too_deep_is_cut_out_and_the_rest_is_read(left: str, right: str) -> None:
    raw = '{"one": 1, "deep": %s5%s, "brackets": "[[{\\"]", "two": [2, []]}'
    got = read_json(raw % (left * DEEP, right * DEEP))
    assert CUT in json.dumps(got.pop("deep"))
    assert got == {"one": 1, "brackets": '[[{"]', "two": [2, []]}


def test_two_deep_things_side_by_side_are_both_cut_out() -> None:
    deep = "[" * 60 + "]" * 60
    got = read_json(f'[{"[" * DEEP}{"]" * DEEP}, {deep}, "last"]'.encode())
    assert json.dumps(got).count(CUT) == 2
    assert got[-1] == "last"


def test_a_number_of_thousands_of_digits_costs_nothing_beside_it() -> None:
    got = read_json(f'{{"body": "hello", "n": {"9" * 5_000}, "m": {"9" * 4_000}}}')
    assert got == {"body": "hello", "n": math.inf, "m": int("9" * 4_000)}


@pytest.mark.parametrize("raw", ["{", "[" * DEEP, "nul", "\x00", "[" * DEEP + "}" * DEEP, "[1]]"])
def test_what_is_no_json_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(raw)


def test_constants_that_are_no_json_are_the_callers_to_refuse() -> None:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    with pytest.raises(ValueError, match="NaN is no JSON"):
        read_json('{"a": NaN}', refuse)


def test_what_is_not_deep_is_never_cut() -> None:
    value = {"a": [{"b": [1, "[[[[", None]}], "c": CUT}
    assert cut(value) == value
    assert read_json(json.dumps(value)) == value


def test_content_as_deep_as_python_reads_can_be_written_and_its_words_are_found() -> None:
    deep: object = "x"
    for _ in range(20_000):
        deep = [deep]
    content = {"body": "AB12 CDE", "m.text": deep, "odd": deep}
    assert json.loads(to_json(content))["body"] == "AB12 CDE"
    assert words_of("m.room.message", content).body == "AB12 CDE"
