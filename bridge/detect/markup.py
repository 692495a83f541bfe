"""Takes the words out of a message: HTML to text, and what it repeats of others.

Never loses the way back: every character of the text knows its place in the raw one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from html import unescape

#: How much HTML is read; Matrix allows 64 KiB for the whole event.
_MOST = 70_000
_TAG = re.compile(r"<!--.*?(?:-->|$)|</?([a-zA-Z][a-zA-Z0-9-]*)[^>]*(?:>|$)", re.DOTALL)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});?")
#: Tags that stand between words; others, such as <b>, may stand inside one.
_BREAKING = frozenset({
    "address", "blockquote", "br", "caption", "dd", "details", "div", "dl", "dt", "h1", "h2", "h3",
    "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre", "summary", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "ul",
})  # fmt: skip
#: Clients show these words to nobody, or they are another person's.
_UNSHOWN = frozenset({"mx-reply", "script", "style", "template", "title"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """Text taken out of a longer one."""

    text: str
    #: Pieces of it, in order: (offset in `text`, start in the raw text, length in the raw text).
    #: A piece of one character in `text` may stand for an entity of many.
    pieces: tuple[tuple[int, int, int], ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Translate a span of `text` into one of the raw text."""
        return self._place(start, last=False), self._place(max(start, end - 1), last=True)

    def _place(self, offset: int, *, last: bool) -> int:
        at = bisect_right(self.pieces, (offset, 1 << 60, 0)) - 1
        if at < 0:
            return 0
        begin, raw, length = self.pieces[at]
        following = self.pieces[at + 1][0] if at + 1 < len(self.pieces) else len(self.text)
        if following - begin != length:  # an entity or a break: all of it
            return raw + (length if last else 0)
        return raw + (offset - begin) + (1 if last else 0)


class _Builder:
    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._out: list[str] = []
        self._pieces: list[tuple[int, int, int]] = []
        self._length = 0

    def add(self, text: str, start: int, length: int) -> None:
        if text:
            self._pieces.append((self._length, start, length))
            self._out.append(text)
            self._length += len(text)

    def words(self, start: int, end: int) -> None:
        """Add the raw text between two tags, with its entities read."""
        if start == end:
            return
        for entity in _ENTITY.finditer(self._raw, start, end):
            self.add(self._raw[start : entity.start()], start, entity.start() - start)
            self.add(unescape(entity[0]), entity.start(), len(entity[0]))
            start = entity.end()
        self.add(self._raw[start:end], start, end - start)

    def extract(self) -> Extract:
        return Extract(text="".join(self._out), pieces=tuple(self._pieces))


def words_of(html: str) -> Extract:
    """Take the words out of *html*, as a reader sees them. Broken HTML is read as it stands."""
    raw = html[:_MOST]
    builder = _Builder(raw)
    at, hidden, depth = 0, "", 0
    for tag in _TAG.finditer(raw):
        name = (tag[1] or "").lower()
        closing = raw.startswith("</", tag.start())
        if not hidden:
            builder.words(at, tag.start())
        at = tag.end()
        if hidden:
            depth += (-1 if closing else 1) if name == hidden else 0
            hidden = hidden if depth else ""
        elif name in _UNSHOWN and not closing:
            hidden, depth = name, 1
        elif name in _BREAKING:
            builder.add("\n", tag.start(), tag.end() - tag.start())
    if not hidden:
        builder.words(at, len(raw))
    return builder.extract()


_FALLBACK = re.compile(r"> (?:\* )?<@[^\n>]*>[^\n]*\n(?:>[^\n]*\n)*\n?")


def own_words_from(body: str) -> int:
    """Give the offset at which a reply's own words begin, after the quotation of its parent.

    Old clients put the parent's words first, each line after "> ", the first with its sender.
    Where nothing would be left the whole body counts: nobody hides words by quoting themselves.
    """
    if not body.startswith("> "):
        return 0
    quoted = _FALLBACK.match(body)
    return quoted.end() if quoted and body[quoted.end() :].strip() else 0
