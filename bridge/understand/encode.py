"""Turns a message, and what was said before it, into what the model reads: the same in training.

Never looks anything up and never fails: any text of any length and script has an encoding.

What the model reads is one row of pieces: `[CLS] message [SEP] before [SEP] … before [SEP]`, what
was said before oldest first, with type 0 for the message and its frame and 1 for the rest. Who said
what is not told: the corpus does not have it. What does not fit is left out in this order: the
oldest that was said before; then of the message what is past `WINDOWS` windows, each of which is
judged by itself with the same messages before it. The largest verdict counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bridge.detect.fold import OTHER, plain

#: A new number whenever the same text would be encoded in another way: a model is of one format.
FORMAT = 1
#: The most that is told of what was said before: as in the corpus.
MOST_BEFORE = 3
#: So many characters of one message are read; the rest is for the rules alone.
MOST_CHARACTERS = 4_000
#: So many of a message before it: its end, which is nearest.
MOST_CHARACTERS_BEFORE = 400
#: So many windows a message is read in at most, and so many pieces two of them share.
WINDOWS = 8
OVERLAP = 16
#: What was said before never takes more than this share of a window from the message.
SHARE_BEFORE = 0.4

_SPACES = re.compile(r"[\s\x1f]+")
#: The flags' letters and the skin colours, which have no meaning by themselves here.
_NAMELESS = re.compile("[\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]")

#: From a text to its pieces, without frame.
Pieces = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The pieces that stand around texts, and how long a row may be."""

    begin: int  #: [CLS]
    end: int  #: [SEP]
    most: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of pieces, as the model reads it."""

    ids: tuple[int, ...]
    #: For each piece 0 if it is of the message, 1 if of what was said before.
    types: tuple[int, ...]


def as_text(text: str) -> str:
    """Give *text* as the model knows texts: folded, with pictographs named, in one line.

    The fold is the rules' own, so that look-alike letters hide no more from one than the other.
    """
    if not text.isascii():
        text = "".join(_named(text))
    return _SPACES.sub(" ", plain(text).replace(OTHER, " ")).strip()


def _named(text: str) -> Iterator[str]:
    """Give a word for each pictograph, once where it is repeated, and all else as it is."""
    last = ""
    for ch in text:
        if not ch.isascii() and unicodedata.category(ch) == "So" and not _NAMELESS.match(ch):
            if ch != last:
                yield f" {unicodedata.name(ch, '').lower()} "
            last = ch
        else:
            yield ch
            last = last if unicodedata.category(ch) in {"Mn", "Cf"} else ""


def rows(pieces: Pieces, frame: Frame, body: str, before: Sequence[str] = ()) -> tuple[Row, ...]:
    """Encode *body*, said after the messages *before* it (oldest first): one row, or its windows.

    The messages before are those of the same room, nearest in time; three are read.
    """
    said = list(pieces(as_text(body[:MOST_CHARACTERS])))
    earlier = [
        list(pieces(as_text(one[-MOST_CHARACTERS_BEFORE:]))) for one in before[-MOST_BEFORE:]
    ]
    tail = _tail([one for one in earlier if one], frame, len(said))
    room = frame.most - 2 - len(tail)
    return tuple(_row(window, tail, frame) for window in _windows(said, room))


def _tail(earlier: Sequence[list[int]], frame: Frame, wanted: int) -> list[int]:
    """Give what was said before, each with its end, as far as it fits: the nearest first."""
    free = max(frame.most - 2 - wanted, int(frame.most * SHARE_BEFORE))
    tail: list[int] = []
    for one in reversed(earlier):
        kept = one[-max(0, free - len(tail) - 1) :] if free - len(tail) > 1 else []
        if not kept:
            break
        tail = [*kept, frame.end, *tail]
    return tail


def _windows(said: Sequence[int], room: int) -> Iterator[Sequence[int]]:
    yield said[:room]
    at = room - OVERLAP
    for _ in range(WINDOWS - 1):
        if at + OVERLAP >= len(said):
            return
        yield said[at : at + room]
        at += room - OVERLAP


def _row(said: Sequence[int], tail: Sequence[int], frame: Frame) -> Row:
    ids = (frame.begin, *said, frame.end, *tail)
    return Row(ids, (0,) * (len(said) + 2) + (1,) * len(tail))


def padded(some: Sequence[Row]) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Give ids, mask and types of *some* rows, each filled up with zeros to the longest."""
    width = max(len(row.ids) for row in some)
    ids = [[*row.ids, *[0] * (width - len(row.ids))] for row in some]
    mask = [[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in some]
    types = [[*row.types, *[0] * (width - len(row.types))] for row in some]
    return ids, mask, types
