"""Folds text to plain lower-case ASCII, so that look-alikes of a word are the word.

Never changes what is kept or shown: folded text is for matching alone, and every offset in it leads
back to the raw text.

What is folded: letter case, NFKD forms, accents, look-alike letters of other scripts (a selection
of Unicode TR39), invisible and bidirectional marks, and the underscore, which would otherwise glue
words together. Whatever has no plain form becomes `OTHER`, which is no letter to any rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat

#: Stands in folded text for whatever has no plain form, such as a pictograph.
OTHER = "\x1f"
#: Extra views of longer texts are made of their beginning only.
VIEW_LIMIT = 8_000
#: So much of a text is read otherwise for who reads slowly, in characters.
MOST_OTHERWISE = 1_000

_ALIKE_FROM = (
    "АВЕКМНОРСТУХЅІЈаеорсухѕіјԁԛԝһѵкмтвнь"
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαορνικτυχγβεηω"
    "ıłøđðƒɑɡɩŁØĐ"
    "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢ"
)
_ALIKE_TO = (
    "abekmhopctyxsijaeopcyxsijdqwhvkmtbhb"
    "abezhikmnoptyxaopviktuxybenw"
    "ilodofagilod"
    "abcdefghijklmnopqrstuvwyz"
)
_SPECIAL = {
    "ß": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "_": " ",
    "‘": "'", "’": "'", "‛": "'", "ʼ": "'", "´": "'", "“": '"', "”": '"', "„": '"',  # noqa: RUF001
    "⁄": "/", "∕": "/", "×": "x", "•": ".", "·": ".", "−": "-",  # noqa: RUF001
    "\u115f": "", "\u1160": "", "\u3164": "", "\uffa0": "", "\u2800": " ",
    "\u2028": "\n", "\u2029": "\n",
}  # fmt: skip
#: Letters that are drawn as flags or in filled boxes, which NFKD leaves alone.
_DRAWN = ((0x1F1E6, 26), (0x1F150, 26), (0x1F170, 26))
_KEPT_CONTROLS = "\t\n\r"


def _plain(ch: str) -> str:
    """Give the plain form of one character; empty if it is invisible."""
    if ch in _SPECIAL:
        return _SPECIAL[ch]
    at = _ALIKE_FROM.find(ch)
    if at >= 0:
        return _ALIKE_TO[at]
    for first, count in _DRAWN:
        if first <= ord(ch) < first + count:
            return chr(ord("a") + ord(ch) - first)
    parts = unicodedata.normalize("NFKD", ch)
    return "".join(map(_plain_part, parts)) if parts != ch else _plain_part(ch)


def _plain_part(ch: str) -> str:
    if ch.isascii() and (ch.isprintable() or ch in _KEPT_CONTROLS):
        return ch.lower()
    at = _ALIKE_FROM.find(ch)
    if at >= 0:
        return _ALIKE_TO[at]
    category = unicodedata.category(ch)
    if category in {"Cc", "Cf", "Mn", "Me", "Mc"}:
        return ""
    if category == "Zs":
        return " "
    if category == "Pd":
        return "-"
    digit = unicodedata.decimal(ch, None)
    return OTHER if digit is None else str(digit)


class _Table(dict[int, str]):
    """A translation table that works out each character when it first meets it."""

    def __missing__(self, code: int) -> str:
        plain = _plain(chr(code))
        if len(self) < 50_000:  # nobody fills our memory by sending us all of Unicode
            self[code] = plain
        return plain


_TABLE = _Table()
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A text as rules see it, with the way back to the raw one."""

    raw: str
    #: ASCII only, so that a character is a byte.
    text: str
    #: For each character of `text` the offset of its origin in `raw`; None where they are equal.
    origins: tuple[int, ...] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Translate a span of `text` into one of `raw`."""
        if self.origins is None or start >= end:
            return start, end
        return self.origins[start], self.origins[end - 1] + 1

    def original(self, start: int, end: int) -> str:
        """Give the raw text of a span of `text`."""
        first, last = self.span(start, end)
        return self.raw[first:last]


#: What becomes of ASCII, as a table of bytes; what is left out becomes a null byte first.
_BYTES = bytes(
    0 if _CONTROLS.fullmatch(chr(code)) else ord(" " if code == ord("_") else chr(code).lower())
    for code in range(128)
) + bytes(range(128, 256))


def plain_bytes(raw: str) -> bytes:
    """Fold *raw* into the ASCII bytes that RE2 reads, without the way back."""
    if raw.isascii():
        data = raw.encode().translate(_BYTES)
        return data.replace(b"\0", b"") if 0 in data else data
    return raw.translate(_TABLE).encode("ascii")


def plain(raw: str) -> str:
    """Fold *raw* without the way back: what every message goes through."""
    return plain_bytes(raw).decode("ascii")


def folded(raw: str, data: bytes | None = None) -> Folded:
    """Fold *raw* and keep the way back; only for what has been matched.

    *data* is what `plain_bytes` made of it, if anybody asked.
    """
    text = (plain_bytes(raw) if data is None else data).decode("ascii")
    if len(text) == len(raw) and raw.isascii():
        return Folded(raw=raw, text=text)
    lengths = {ch: len(_TABLE[ord(ch)]) for ch in set(raw)}
    if all(length == 1 for length in lengths.values()):
        return Folded(raw=raw, text=text)
    each = map(lengths.__getitem__, raw)
    if max(lengths.values()) == 1:
        return Folded(raw=raw, text=text, origins=tuple(compress(range(len(raw)), each)))
    origins = chain.from_iterable(map(repeat, range(len(raw)), each))
    return Folded(raw=raw, text=text, origins=tuple(origins))


# Views: other readings of a text, made only where one of these fires.

#: Letters set apart, as in "a b 1 2 c d e" or "0 7 7 0 0 / 9 0 0".
SPACED = r"(?:^|[^a-z0-9])(?:[a-z0-9][ .,*|/:~+-]{1,3}){4,40}[a-z0-9](?:$|[^a-z0-9])"
#: Figures and signs for letters, as in "m1sper" or "p@ckage".
LEET = r"\b[a-z]{1,12}[013457@$!][a-z0-9@$!]{0,8}[a-z]|\b[a-z]{2,12}[013457@$]\b|[$@!][a-z]{3,}"

_SPACED_RUN = re.compile(r"(?<![a-z0-9])(?:[a-z0-9][ .,*|/:~+-]{1,3}){4,40}[a-z0-9](?![a-z0-9])")
_GAP = re.compile(r"[^a-z0-9]+")
_LEETED = re.compile(LEET)
_LEET = str.maketrans("013457@$!", "oieastasi")


def joined(view: Folded) -> tuple[Folded, ...]:
    """Read letters that are set apart as one word, and as words where some are further apart."""
    text = view.text[:VIEW_LIMIT]
    runs = [run.span() for run in _SPACED_RUN.finditer(text)]
    ends = set(chain.from_iterable(_word_ends(text, *run) for run in runs))
    return tuple(_without(view, text, runs, kept) for kept in ([set(), ends] if ends else [set()]))


def _word_ends(text: str, first: int, last: int) -> Iterator[int]:
    """Give where letters set apart are further apart than the others of their run."""
    gaps = [gap.span() for gap in _GAP.finditer(text, first, last)]
    least = min((end - start for start, end in gaps), default=0)
    return (start for start, end in gaps if end - start > least and text[start] == " ")


def _without(view: Folded, text: str, runs: Sequence[tuple[int, int]], kept: set[int]) -> Folded:
    """Leave out what stands between the letters of *runs*, but for what is *kept*."""
    keep: list[int] = []
    at = 0
    for first, last in runs:
        keep += range(at, first)
        keep += (place for place in range(first, last) if text[place].isalnum() or place in kept)
        at = last
    keep += range(at, len(text))
    origins = view.origins
    back = tuple(keep) if origins is None else tuple(origins[place] for place in keep)
    return Folded(raw=view.raw, text="".join(text[place] for place in keep), origins=back)


def read_otherwise(raw: str) -> tuple[str, ...]:
    """Give the other readings of *raw* whose triggers fire: joined, without figures for letters.

    Of its beginning alone: they are for what somebody typed, not for what was pasted.
    """
    view = folded(raw[:MOST_OTHERWISE])
    found = []
    if _SPACED_RUN.search(view.text):
        found.append(joined(view)[-1].text)
    if _LEETED.search(view.text):
        found.append(unleeted(view).text)
    return tuple(found)


def unleeted(view: Folded) -> Folded:
    """Read figures and signs as the letters that they look like."""
    text = view.text[:VIEW_LIMIT].translate(_LEET)
    origins = view.origins
    return Folded(
        raw=view.raw, text=text, origins=None if origins is None else origins[: len(text)]
    )
