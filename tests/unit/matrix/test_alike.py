"""The fast ways to read and spell JSON say what the slow ones say, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.matrix.client import _read
from bridge.matrix.words import to_json

TEXT = st.text(max_size=8) | st.sampled_from(["\x7f", "\ud800", "\0", '"\\/', "\u2028", "£", "😀"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def slowly(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


@settings(max_examples=400, deadline=None)
@given(value=JSON)
def test_what_is_spelt_fast_is_spelt_as_ever(value: object) -> None:
    assert to_json(value) == slowly(value)


@pytest.mark.parametrize("value", [
    1e16, 1e-7, -0.0, [1.5], {"a": [{"b": 1e300}]}, 2**64, -(2**70),
    {"b": 1, "a": {"d": 2, "c": 3}},
    {"\x7f": "\x7f"}, "\x00\x1f", {"é": 1, "e": 2}, True, None, [], {}, "",
])  # fmt: skip
def test_numbers_signs_and_order_are_as_ever(value: object) -> None:
    assert to_json(value) == slowly(value)


@settings(max_examples=400, deadline=None)
@given(value=JSON, ascii_only=st.booleans())
def test_what_is_read_fast_is_read_as_ever(value: Any, ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only)
    assert repr(_read(raw)) == repr(json.loads(raw)), "repr tells 1 from 1.0 and True"


@pytest.mark.parametrize(
    "raw", ['{"a":1,"a":2}', '"\\ud800"', "1e999", "-0", "[1e5, 10000000000000000000000]", " [] "]
)
def test_what_the_fast_way_might_read_otherwise_it_does_not(raw: str) -> None:
    assert repr(_read(raw)) == repr(json.loads(raw))


@pytest.mark.parametrize("raw", ["NaN", '{"a":[-Infinity]}', "", "[", "{} x", "01", '"\x01"'])
def test_what_is_no_json_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        _read(raw)
