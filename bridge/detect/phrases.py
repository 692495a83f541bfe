"""The small language that officers write words in, made into RE2 patterns.

Never hands a pattern to an engine that can be made to run for ever: RE2 is linear in the text.

A phrase is words in the order they are said: `no comment interview`. In a phrase
  arrest*          any ending: arrests, arrested, arresting
  nick/lift        either word
  (the)            may be left out; (a/the/his) any one of these may be
  ...              up to three other words
  _                a number of one to four figures
Apostrophes may be left out by the sender, and words may be set apart by spaces, commas or hyphens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import re2

#: The most memory that one compiled pattern may take, in bytes; the program and its cache.
PATTERN_MEMORY = 16 << 20
SET_MEMORY = 96 << 20

_GAP = r"[\s,-]{1,3}"
_WORDS_BETWEEN = r"(?:[a-z0-9'&]+[\s,-]{1,3}){0,3}"
_ANYWHERE = re2._Anchor.UNANCHORED  # noqa: SLF001 - the wrapper gives it no other name
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789'&.+%:@-_")


def options(memory: int) -> Any:
    """Give RE2's options as this package wants them."""
    chosen = re2.Options()
    chosen.max_mem = memory
    chosen.log_errors = False
    chosen.never_capture = True
    chosen.encoding = re2.Options.Encoding.LATIN1
    return chosen


#: Present in every answer of a set; absent if RE2 ran out of memory, and the answer worth nothing.
CANARY = r"(?s)^"


def together(patterns: Iterable[str]) -> Callable[[bytes], list[int]]:
    """Compile many patterns as one set: it says which of them occur, in one pass, in order.

    An answer without the `CANARY`'s number is no answer.
    """
    chosen = re2.Set.SearchSet(options(SET_MEMORY))
    for pattern in patterns:
        chosen.Add(pattern.encode("ascii"))
    chosen.Compile()
    # The set below its wrapper, which turns "nothing" and "no answer" into None at some cost.
    match: Callable[[bytes], list[int]] = chosen._set.Match  # noqa: SLF001
    return match


def spans(expression: Any, data: bytes, most: int) -> list[tuple[int, int]]:
    """Find where a compiled *expression* matches *data*: the first *most* places, in order."""
    # As `finditer` does it, without the two objects that it makes for each place.
    match = expression._regexp.Match  # noqa: SLF001
    found: list[tuple[int, int]] = []
    at, end = 0, len(data)
    for _ in range(most):
        place = match(_ANYWHERE, data, at, end)[0]
        if place[0] < 0:
            break
        found.append(place)
        at = place[1]
    return found


#: Letters, figures, signs and ends of lines, beside one another in every way.
_ORDINARY = b"a 1\n\nz9.. -a\n"


def compiled(pattern: str) -> Any:
    """Compile *pattern*, which is matched against folded (lower-case ASCII) text.

    Raises:
        ValueError: RE2 refuses it, or it matches the empty text and so would match everywhere.
    """
    try:
        expression = re2.compile(pattern.encode("ascii"), options(PATTERN_MEMORY))
    except UnicodeEncodeError:
        raise ValueError(
            "a pattern is matched against plain letters, so it must be ASCII"
        ) from None
    except re2.error as exc:
        why = exc.args[0].decode() if isinstance(exc.args[0], bytes) else str(exc)
        raise ValueError(f"RE2 refuses this pattern: {why}") from None
    if expression.search(b"") is not None:
        raise ValueError("this pattern matches an empty text, so it would match every message")
    if any(found.start() == found.end() for found in expression.finditer(_ORDINARY)):
        raise ValueError("this pattern matches between letters, so it would match every message")
    return expression


def phrase_pattern(phrase: str) -> str:
    """Translate one phrase into a pattern with word boundaries.

    Raises:
        ValueError: it says nothing, or has a sign that the language does not know.
    """
    parts = phrase.lower().split()
    if not parts or all(part == "..." or part.startswith("(") for part in parts):
        raise ValueError(f"the phrase {phrase!r} has no word that must be there")
    if "..." in {parts[0], parts[-1]}:
        raise ValueError(f"the phrase {phrase!r} begins or ends with '...'")
    out: list[str] = []
    glued = True
    for part in parts:
        if part == "...":
            out.append(_GAP + _WORDS_BETWEEN)
            glued = True
            continue
        optional = part.startswith("(") and part.endswith(")")
        word = _choices(part[1:-1] if optional else part)
        if optional:
            out.append(f"(?:{_GAP}{word})?" if not glued else f"(?:{word}{_GAP})?")
        else:
            out.append(word if glued else _GAP + word)
            glued = False
    return _bounded("".join(out))


#: Words that belong together, and that a slash next to them takes apart.
_PAIRS = frozenset({
    ("do", "not"), ("can", "not"), ("did", "not"), ("will", "not"), ("made", "off"),
    ("makes", "off"), ("make", "off"), ("no", "comment"), ("no", "trace"), ("hard", "stop"),
    ("missing", "person"), ("next", "door"), ("last", "seen"), ("search", "team"), ("key", "safe"),
    ("cell", "site"), ("dog", "unit"), ("plain", "clothes"), ("county", "lines"), ("phone", "box"),
    ("care", "home"), ("front", "door"), ("back", "door"), ("custody", "suite"), ("black", "eye"),
    ("crime", "scene"), ("post", "mortem"), ("social", "worker"), ("he", "is"), ("she", "is"),
    ("they", "are"), ("we", "are"), ("i", "am"),
})  # fmt: skip


def torn_apart(phrase: str) -> str | None:
    """Say which two words a slash seems to take apart against the writer's meaning, if any do.

    A slash binds tighter than a space, so `don't/do not/nobody park` is (don't or do), then (not or
    nobody), then park; `don't/do-not/nobody park` is what was meant.
    """
    parts = phrase.lower().split()
    for left, right in pairwise(parts):
        first, second = left.strip("()").split("/"), right.strip("()").split("/")
        pair = (first[-1], second[0])
        if pair in _PAIRS and len(first) > 1 and len(second) > 1:
            return " ".join(pair)
    return None


#: What files that people share are called after the last dot.
_ENDINGS = (
    "pdf|docx?|odt|rtf|txt|xlsx?|csv|pptx?|msg|eml|zip|jpe?g|png|gif|webp|heic|tiff?|bmp|mp4|mov|"
    "m4v|avi|mkv|webm|3gp|mp3|m4a|wav|ogg|opus|amr"
)


def name_pattern(phrases: Iterable[str]) -> str:
    """Translate phrases into a pattern for a file's name with one of them in it.

    In names, words are set apart by anything or by nothing, and figures follow at once:
    "custody photo" is in CustodyPhoto2.jpg and "bwv" in BWV_0231.mp4.
    """
    wanted = "|".join(_in_a_name(phrase) for phrase in phrases)
    return rf"(?:^|[^a-z])(?:{wanted})(?:[^a-z\n][^\n]{{0,80}})?\.(?:{_ENDINGS})\b"


def _in_a_name(phrase: str) -> str:
    parts = phrase.lower().split()
    if not parts or any(part == "..." or part.startswith("(") for part in parts):
        raise ValueError(f"the name {phrase!r} is not words and choices alone")
    return r"[^a-z0-9\n]{0,3}".join(_choices(part) for part in parts)


def _choices(part: str) -> str:
    words = [_word(word) for word in part.split("/")]
    return words[0] if len(words) == 1 else f"(?:{'|'.join(words)})"


def _word(word: str) -> str:
    if not word:
        raise ValueError("there is an empty choice before or after '/'")
    ending = word.endswith("*")
    word = word.removesuffix("*")
    if word.isascii() and word.isalnum():
        return word + "[a-z']*" if ending else word  # as most are
    for sign in word:
        if sign not in _PLAIN:
            raise ValueError(f"the sign {sign!r} cannot stand in a phrase; see the README")
    escaped = "".join(_sign(sign) for sign in word)
    return escaped + "[a-z']*" if ending else escaped


def _sign(sign: str) -> str:
    if sign == "_":
        return "[0-9]{1,4}"
    if sign == "'":
        return "'?"
    if sign == "-":
        return "[ -]?"
    return sign if sign.isalnum() else "\\" + sign


def _bounded(pattern: str) -> str:
    return rf"\b{pattern}\b"
