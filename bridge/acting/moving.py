"""How a moved message looks where it goes: whose it is, its words and form, what it answered.

Never sends anything, and never lets HTML through that Matrix clients would not show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

import msgspec
import nh3

from bridge.detect.markup import own_words_from, words_of
from bridge.model import EventId, Message
from bridge.ports import Post

#: Stands in a copy: how many characters before and after the words are ours.
COPY_FIELD: Final = "uk.police.copy"
#: An event may have 65,536 bytes; encryption adds a third, and the envelope its part.
MOST_BYTES: Final = 40_000
#: Of what it answers, so many characters are shown.
_MOST_QUOTED = 300

#: What the specification lets clients show (client-server API, m.room.message), without pictures.
_TAGS = {
    "del", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "p", "a", "ul", "ol", "sup", "sub",
    "li", "b", "i", "u", "strong", "em", "s", "code", "hr", "br", "div", "table", "thead", "tbody",
    "tr", "th", "td", "caption", "pre", "span", "details", "summary",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href"},
    "ol": {"start"},
    "code": {"class"},
    "span": {"data-mx-spoiler"},
}
_UNSHOWN = {"mx-reply", "script", "style", "template", "title"}
_LINKS = {"https", "http", "mailto", "matrix"}
_QUOTED = re.compile("mx-reply", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What a moved message answered."""

    #: Its copy, where it was moved to the same room.
    copy: EventId | None = None
    #: Who wrote it, and their words; empty where they cannot be read any more.
    name: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around the words, as plain text and as HTML."""

    intro: str
    intro_html: str
    outro: str


class _Reply(msgspec.Struct):
    event_id: str = ""


class _Relation(msgspec.Struct):
    reply: _Reply | None = msgspec.field(name="m.in_reply_to", default=None)


class _Content(msgspec.Struct):
    relation: _Relation | None = msgspec.field(name="m.relates_to", default=None)


def answered(message: Message) -> EventId | None:
    """Say which event *message* is a reply to, if it says so."""
    try:
        relation = msgspec.json.decode(message.content, type=_Content).relation
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    reply = relation.reply if relation else None
    if reply is None or not reply.event_id.startswith("$") or len(reply.event_id) > 255:
        return None
    return EventId(reply.event_id)


def clean(html: str) -> str:
    """Leave of *html* what clients show; a reply's quotation and all pictures go."""
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        clean_content_tags=_UNSHOWN,
        url_schemes=_LINKS,
        link_rel=None,
    )


def posts(message: Message, frame: Frame, parent: Parent | None) -> tuple[Post, ...]:
    """Make the posts that a message becomes: one, or several if it is too long for one."""
    words = _words(message)
    quote = _quote(parent)
    head = f"{frame.intro}\n{quote}"
    tail = f"\n({frame.outro})"
    html_head = f"<p>{frame.intro_html}</p>{_quote_html(parent)}<blockquote>"
    html_tail = f"</blockquote><p><em>{escape(frame.outro)}</em></p>"
    answers = parent.copy if parent else None
    said_to = answered(message)
    context = {"answers": said_to} if said_to else {}
    of = {"event": message.event_id}  # inside the encryption, where no server can change it
    whole = Post(
        body=f"{head}{words}{tail}",
        formatted=f"{html_head}{_html(message, words)}{html_tail}",
        sounds=True,
        reply_to=answers,
        extra={
            COPY_FIELD: {
                "head": len(head),
                "tail": len(tail),
                "html": [len(html_head), len(html_tail)],
                **of,
                **context,
            }
        },
    )
    if weight(whole) <= MOST_BYTES:
        return (whole,)
    parts = list(_cut(words, MOST_BYTES - 2 * len(json.dumps(head + tail))))
    return tuple(
        Post(
            body=f"{head}{part}{tail}" if n == 1 else f"{part}{tail}",
            formatted="",
            sounds=n == 1,
            reply_to=answers if n == 1 else None,
            extra={
                COPY_FIELD: {
                    "head": len(head) if n == 1 else 0,
                    "tail": len(tail),
                    "part": n,
                    "of": len(parts),
                    **of,
                    **(context if n == 1 else {}),
                }
            },
        )
        for n, part in enumerate(parts, 1)
    )


def weight(post: Post) -> int:
    """Say how many bytes a post's words take in JSON."""
    return len(json.dumps([post.body, post.formatted, dict(post.extra)]))


def _own(message: Message) -> str:
    """What it says itself: without the quotation in front, where it answers something."""
    return message.body[own_words_from(message.body) if answered(message) else 0 :]


def _markup(message: Message) -> str:
    """Its HTML; where it answers nothing, what stands in a quotation is its own."""
    return message.formatted if answered(message) else _QUOTED.sub("p", message.formatted)


def _words(message: Message) -> str:
    """All words that people saw: plain ones, others that its HTML had, captions and names."""
    own = _own(message)
    shown = words_of(_markup(message)).text.strip() if message.formatted else ""
    found = [own] if own else []
    if shown and shown.split() != own.split():
        found.append(shown)
    found += [text for _, text in message.extra]
    # A lone surrogate cannot be sent, and must not keep the rest from being copied.
    return "\n".join(found).encode("utf-8", "replace").decode()


def _html(message: Message, words: str) -> str:
    own = _own(message)
    if message.formatted and not message.extra:
        html = _markup(message).encode("utf-8", "replace").decode()
        shown = words_of(html).text
        if shown.strip() and (shown.split() == own.split() or not own.strip()):
            return clean(html)
    return escape(words).replace("\n", "<br>")


def _quote(parent: Parent | None) -> str:
    if parent is None or parent.copy is not None:
        return ""
    if not parent.words:
        return "In reply to a message that cannot be read any more:\n"
    return f"In reply to {parent.name}, who wrote: {_short(parent.words)}\n"


def _quote_html(parent: Parent | None) -> str:
    if not (quote := _quote(parent)):
        return ""
    return f"<p><em>{escape(quote.rstrip())}</em></p>"


def _short(words: str) -> str:
    line = " ".join(words.encode("utf-8", "replace").decode().split())
    return line if len(line) <= _MOST_QUOTED else f"{line[: _MOST_QUOTED - 1]}…"


def _cut(words: str, most: int) -> Iterator[str]:
    """Cut *words* into pieces that take at most *most* bytes each in JSON."""
    start, taken = 0, 0
    for at, character in enumerate(words):
        cost = _cost(character)
        if taken + cost > most:
            yield words[start:at]
            start, taken = at, 0
        taken += cost
    if start < len(words) or not words:
        yield words[start:]


def _cost(character: str) -> int:
    if character.isascii():
        return 1 if character.isprintable() and character not in '"\\' else 6
    return 6 if ord(character) < 0x10000 else 12
