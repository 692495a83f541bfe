"""How a moved message is read back from its copy, to be posted again where it was said.

Never guesses: a copy that does not say where the words begin and end is not read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from bridge.acting.moving import COPY_FIELD
from bridge.model import EventId, Kind, Message


class _Mark(msgspec.Struct):
    """What stands in a copy (`moving.COPY_FIELD`)."""

    head: int
    tail: int
    #: Of the formatted text, if there is one.
    html: tuple[int, int] | None = None
    part: int = 1
    of: int = 1
    #: What the message answered, in its own room.
    answers: str = ""
    #: Of which event this is a copy.
    event: str = ""


class _Content(msgspec.Struct):
    mark: _Mark = msgspec.field(name=COPY_FIELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The words in one post of a copy."""

    words: str
    #: The same as HTML; empty where the copy is too long to have any.
    html: str
    #: Which post of how many this is.
    part: int
    of: int
    answers: EventId | None
    #: Of which event it is a copy; None where it does not say.
    event: EventId | None = None


def piece(copy: Message) -> Piece | None:
    """Cut the words out of one post of a copy; None if it is none of ours."""
    try:
        mark = msgspec.json.decode(copy.content, type=_Content).mark
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    words = _cut(copy.body, mark.head, mark.tail)
    html = _cut(copy.formatted, *mark.html) if mark.html and copy.formatted else ""
    if words is None or html is None or not 1 <= mark.part <= mark.of:
        return None
    answers = EventId(mark.answers) if mark.answers.startswith("$") else None
    event = EventId(mark.event) if mark.event else None
    return Piece(words=words, html=html, part=mark.part, of=mark.of, answers=answers, event=event)


def _cut(text: str, head: int, tail: int) -> str | None:
    if min(head, tail) < 0 or head + tail > len(text):
        return None
    return text[head : len(text) - tail]


def whole(first: Message, pieces: list[Piece]) -> Message:
    """Put a message together again; *first* is the first post of its copy."""
    return replace(
        first,
        kind=Kind.TEXT,
        body="".join(one.words for one in pieces),
        formatted=pieces[0].html if len(pieces) == 1 else "",
        extra=(),
        media=(),
        content=b"{}",
    )
