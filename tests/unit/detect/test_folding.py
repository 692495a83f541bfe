"""Folding: look-alikes of a word are the word, and every offset leads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.detect.fold import (
    VIEW_LIMIT,
    Folded,
    folded,
    joined,
    plain,
    read_otherwise,
    unleeted,
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("AB12 CDE", "ab12 cde"),
        ("ΑΒ12 СDЕ", "ab12 cde"),  # noqa: RUF001 - Greek and Cyrillic letters
        ("ＡＢ１２", "ab12"),  # noqa: RUF001 - full width
        ("\U0001d400\U0001d401\U0001d7cf\U0001d7d0", "ab12"),  # mathematical bold
        ("mi\u200bs\u00adper", "misper"),
        ("\u202emisper\u202c", "misper"),
        ("café", "cafe"),
        ("_quoted_", " quoted "),
        ("he’s", "he's"),  # noqa: RUF001 - what telephones type
        ("🅰️🅱️", "ab"),
        ("a\x00b", "ab"),
        ("straße", "strasse"),
        ("٣", "3"),
    ],
)
def test_a_look_alike_is_folded_to_what_it_looks_like(raw: str, expected: str) -> None:
    assert plain(raw) == expected


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_folded_text_is_ascii_whatever_comes(raw: str) -> None:
    view = folded(raw)
    assert view.text.isascii()
    assert view.text == plain(raw)
    assert view.origins is None or len(view.origins) == len(view.text)


@given(st.text(), st.data())
def test_every_span_of_folded_text_lies_within_the_raw_text(raw: str, data: st.DataObject) -> None:
    view = folded(raw)
    start = data.draw(st.integers(0, len(view.text)))
    end = data.draw(st.integers(start, len(view.text)))
    first, last = view.span(start, end)
    assert 0 <= first <= last <= max(len(raw), last if start == end else 0)


def test_a_span_leads_back_over_characters_that_vanish_or_grow() -> None:
    raw = "x\u200bﬁ AB\u200d12"
    view = folded(raw)
    start = view.text.index("ab12")
    assert view.original(start, start + 4) == "AB\u200d12"
    start = view.text.index("fi")
    assert view.original(start, start + 2) == "ﬁ"


def test_letters_set_apart_are_joined_and_lead_back() -> None:
    (view,) = joined(folded("look A B 1 2 C D E went"))
    start = view.text.index("ab12cde")
    assert view.original(start, start + 7) == "A B 1 2 C D E"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("h e  s  g o t  i t", "he s got it"),
        ("C o n n o r   H i b b s", "connor hibbs"),
        ("0 7 7 0 0 / 9 0 0 / 3 3 1", "07700 900 331"),
    ],
)
def test_where_some_letters_are_further_apart_a_word_ends(raw: str, expected: str) -> None:
    whole, words = joined(folded(raw))
    assert words.text == expected
    assert whole.text == expected.replace(" ", "")


def test_other_readings_are_made_only_where_something_calls_for_them() -> None:
    assert read_otherwise("see you at 5, b4 the match on the M25") == ()
    assert read_otherwise("the c0ke is in the l0ck up") == ("the coke is in the lock up",)
    assert read_otherwise("g o t  h i m in the l0ck up") == (
        "got him in the l0ck up",
        "g o t  h i m in the lock up",
    )


@given(st.text(max_size=200))
def test_other_readings_never_fail(raw: str) -> None:
    assert all(text.isascii() for text in read_otherwise(raw))


def test_figures_are_read_as_the_letters_that_they_look_like() -> None:
    assert unleeted(folded("m1sper p@ck4ge")).text == "misper package"


def test_views_are_made_of_a_texts_beginning_only() -> None:
    assert len(unleeted(folded("1" * 3 * VIEW_LIMIT)).text) == VIEW_LIMIT
    (view,) = joined(folded("ab " * VIEW_LIMIT))
    assert len(view.text) <= VIEW_LIMIT


def test_plain_ascii_needs_no_way_back() -> None:
    assert folded("AB12 CDE") == Folded(raw="AB12 CDE", text="ab12 cde")
