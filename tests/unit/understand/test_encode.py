"""Holds what the model reads: the same text is the same row, whoever makes it and however long."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.understand.encode import (
    MOST_BEFORE,
    MOST_CHARACTERS,
    OVERLAP,
    WINDOWS,
    Frame,
    Row,
    as_text,
    padded,
    rows,
)

FRAME = Frame(begin=1, end=2, most=32)


def letters(text: str) -> list[int]:
    """Take each letter for a piece: enough to see what goes where."""
    return [ord(ch) for ch in text]


def read(body: str, *before: str) -> tuple[Row, ...]:
    return rows(letters, FRAME, body, before)


def said(row: Row) -> str:
    """The message's own part of a row, without its frame."""
    own = [i for i, kind in zip(row.ids, row.types, strict=True) if kind == 0]
    assert own[0] == FRAME.begin
    assert own[-1] == FRAME.end
    return "".join(map(chr, own[1:-1]))


def earlier(row: Row) -> list[str]:
    """What was said before, as it stands in a row."""
    tail = [i for i, kind in zip(row.ids, row.types, strict=True) if kind == 1]
    parts: list[str] = [""]
    for i in tail:
        if i == FRAME.end:
            parts.append("")
        else:
            parts[-1] += chr(i)
    return parts[:-1]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("Morning ALL", "morning all"),
        ("two\nlines\t and   more ", "two lines and more"),
        ("d’you “see”", 'd\'you "see"'),  # noqa: RUF001
        ("ＡВ12 сlear", "ab12 clear"),  # noqa: RUF001
        ("hid\u200bden", "hidden"),
        ("p\u00e2ned", "paned"),
        ("oh 😭", "oh loudly crying face"),
        ("oh 😭😭😭 no", "oh loudly crying face no"),
        ("😭 🙄", "loudly crying face face with rolling eyes"),
        ("👮🏽", "police officer"),
        ("", ""),
        ("\u200b\x1f", ""),
    ],
)
def test_a_text_is_folded_as_the_rules_fold_it_with_pictographs_named(
    written: str, read_as: str
) -> None:
    assert as_text(written) == read_as


def test_a_message_alone_is_framed() -> None:
    assert read("hello") == (Row((1, *letters("hello"), 2), (0,) * 7),)


def test_what_was_said_before_follows_oldest_first_and_is_told_apart() -> None:
    (row,) = read("yes", "tea", "or gin")
    assert said(row) == "yes"
    assert earlier(row) == ["tea", "or gin"]


def test_only_the_three_nearest_are_read() -> None:
    (row,) = read("yes", "a", "b", "c", "d")
    assert earlier(row) == ["b", "c", "d"]
    assert MOST_BEFORE == 3


def test_what_has_no_text_before_is_as_if_it_were_not_there() -> None:
    assert read("yes", "", "\u200b") == read("yes")


def test_the_oldest_before_goes_first_and_loses_its_beginning() -> None:
    (row,) = read("x" * 14, "abcdefgh", "ijklmnop")
    assert said(row) == "x" * 14
    assert earlier(row) == ["cdefgh", "ijklmnop"]


def test_a_long_message_keeps_most_of_the_row() -> None:
    row = read("x" * 500, "y" * 500)[0]
    assert len(row.ids) <= FRAME.most
    assert row.types.count(0) >= 0.6 * FRAME.most - 1
    assert earlier(row)


def test_a_long_message_is_read_in_windows_that_share_their_edges() -> None:
    text = "".join(chr(ord("a") + at % 26) for at in range(70))
    found = read(text)
    assert len(found) > 1
    whole = said(found[0])
    for row in found[1:]:
        part = said(row)
        assert whole.endswith(part[:OVERLAP])
        whole += part[OVERLAP:]
    assert whole == text


def test_no_message_has_more_windows_than_are_allowed() -> None:
    found = read("x" * 65_536)
    assert len(found) == WINDOWS


def test_only_the_beginning_of_an_endless_message_is_looked_at() -> None:
    asked: list[int] = []

    def pieces(text: str) -> Sequence[int]:
        asked.append(len(text))
        return letters(text)

    rows(pieces, FRAME, "x" * 1_000_000, ("y" * 1_000_000,))
    assert max(asked) <= MOST_CHARACTERS


@given(st.text(max_size=200), st.lists(st.text(max_size=60), max_size=5))
def test_any_text_has_rows_that_fit(body: str, before: list[str]) -> None:
    found = rows(letters, FRAME, body, before)
    assert 1 <= len(found) <= WINDOWS
    for row in found:
        assert len(row.ids) == len(row.types) <= FRAME.most
        assert row.types == tuple(sorted(row.types))
        assert row.ids[0] == FRAME.begin
        assert row.ids[row.types.count(0) - 1] == FRAME.end


def test_every_window_has_the_same_words_before_it() -> None:
    found = read("x" * 90, "before")
    assert len(found) > 1
    assert {tuple(earlier(row)) for row in found} == {("before",)}


def test_rows_are_filled_up_to_the_longest() -> None:
    short, long = read("hi")[0], read("hello", "you")[0]
    ids, mask, types = padded([short, long])
    assert {len(part) for part in (*ids, *mask, *types)} == {len(long.ids)}
    assert sum(mask[0]) == len(short.ids)
    assert ids[0][len(short.ids) :] == [0] * (len(long.ids) - len(short.ids))
    assert tuple(types[1]) == long.types


def test_the_same_text_is_the_same_row_every_time() -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    for _ in range(50):
        body = "".join(chance.choice("ab c😭é") for _ in range(chance.randrange(90)))
        assert read(body, "before") == read(body, "before")
