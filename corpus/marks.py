"""Finds telephone numbers and registrations that could be somebody's.

Never says whose. Invented numbers come from the ranges that Ofcom keeps free for drama; invented
registrations of the current style have an age identifier that was not issued when they were
written (issued: 02 to 26 and 51 to 76). Older and Northern Irish styles cannot be told from real
ones: each must be looked at, and its message stand in accepted.yaml with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama
_DRAMA = re.compile(
    r"""
    (?: 7700900\d{3} | 1632960\d{3} | 3069990\d{3} | 8081570\d{3} | 9098790\d{3}
      | 20 79460 \d{3} | 113 4960 \d{3} | 114 4960 \d{3} | 115 4960 \d{3} | 116 4960 \d{3}
      | 117 4960 \d{3} | 118 4960 \d{3} | 121 4960 \d{3} | 131 4960 \d{3} | 141 4960 \d{3}
      | 151 4960 \d{3} | 161 4960 \d{3} | 191 4980 \d{3} | 29 20180 \d{3}
      | 28 96496 \d{3} | 28 90180 \d{3} )  # Belfast: the range of today, and the one before it
    """,
    re.VERBOSE,
)
_PHONE = re.compile(
    r"(?<![\d/.])(?:\+44[\s-]?(?:\(0\))?|0044[\s-]?|0)(?=[1-9])(?:[\s()-]{0,2}\d){9,10}(?!\d)"
)
_ISSUED = frozenset({*range(2, 27), *range(51, 77)})
_CURRENT = re.compile(r"\b([A-HJ-PR-Y]{2})([0-9]{2})[\s-]?([A-HJ-PR-Z]{3})\b", re.IGNORECASE)
_OLDER = re.compile(
    r"\b(?:[A-HJ-NPR-TV-Y][0-9]{1,3}[ ][A-HJ-PR-Y]{3}"  # a letter for the year in front
    r"|[A-HJ-PR-Y]{3}[ ][0-9]{1,3}[A-HJ-NPR-TV-Y]"  # behind
    r"|(?:[A-PR-Z]?[A-PR-Z]Z|[A-PR-Z]?I[A-PR-Z]|[A-PR-Z][A-PR-Z]?I)[ ]?[1-9][0-9]{2,3})\b"
    # ... and of Northern Ireland, where no Q is issued
)


def phones(text: str) -> Iterator[str]:
    """Give telephone numbers outside the ranges for drama."""
    for found in _PHONE.finditer(text):
        digits = re.sub(r"\(0\)|\D", "", found.group())
        number = digits.removeprefix("0044").removeprefix("44") if digits[0] != "0" else digits
        if not _DRAMA.fullmatch(number.removeprefix("00").removeprefix("44").removeprefix("0")):
            yield found.group()


def plates(text: str) -> Iterator[str]:
    """Give registrations that may have been issued, as they stand."""
    for found in _CURRENT.finditer(text):
        if int(found.group(2)) in _ISSUED:
            yield found.group()
    yield from (found.group() for found in _OLDER.finditer(text))
