"""Everything that some client might show of an event: words, names of files, and the files.

Never raises: a member chooses these bytes. What is of the wrong type is spelt out as JSON rather
than passed over, because some client will show it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, TypeGuard

from bridge.model import EventId, Media

MEDIA_TYPES = frozenset({"m.image", "m.file", "m.audio", "m.video"})
_POLLS = ("m.poll.start", "m.poll", "org.matrix.msc3381.poll.start", "org.matrix.msc3381.v2.poll")
_TEXTS = ("m.text", "org.matrix.msc1767.text")
_PLACES = ("m.location", "org.matrix.msc3488.location")
#: A reaction of fewer letters than this is a picture, not a word.
_LETTERS = 3
_SHOWN = frozenset({"alt", "title", "href", "data-mx-spoiler", "data-mx-maths"})
_MENTION = "https://matrix.to/"
_LONGEST_ID = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What people read in an event."""

    body: str = ""
    formatted: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    media: tuple[Media, ...] = ()
    replaces: EventId | None = None


def to_json(value: object) -> bytes:
    """Spell *value* as ASCII JSON; lone surrogates, which no UTF-8 can hold, stay escaped."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


def words_of(kind: str, content: Mapping[str, Any]) -> Words:
    """Read an event of the Matrix type *kind*."""
    if kind == "m.room.redaction":
        return Words(body=_text(content.get("reason", "")))
    relation = _mapping(content.get("m.relates_to"))
    if kind == "m.reaction":
        key = _text(relation.get("key", ""))
        worded = sum(one.isalnum() for one in key) >= _LETTERS
        return Words(extra=(("reaction", key),) if worded else ())
    fresh = content.get("m.new_content")
    if relation.get("rel_type") != "m.replace" or not isinstance(fresh, dict):
        return _one(kind, content, replaces=None)
    target = relation.get("event_id")
    read = _one(kind, fresh, replaces=EventId(target) if is_id(target) else None)
    outer = _one(kind, content, replaces=None)
    # Old clients show the outer text; it may say something else than the new content.
    if outer.body.removeprefix("* ") == read.body:
        return read
    return Words(
        body=read.body,
        formatted=read.formatted,
        extra=(*read.extra, ("outer", outer.body)),
        media=read.media,
        replaces=read.replaces,
    )


def _one(kind: str, content: Mapping[str, Any], *, replaces: EventId | None) -> Words:
    body = _text(content.get("body", ""))
    extra: list[tuple[str, str]] = []
    name = content.get("filename")
    if name is not None and _text(name) != body:
        extra.append(("filename", _text(name)))
    formatted = _text(content.get("formatted_body", ""))
    if "<" in formatted and (hidden := "\n".join(_attributes(formatted))):
        extra.append(("attributes", hidden))
    for part in _PLACES:
        place = _mapping(content.get(part))
        if place.get("description"):
            extra.append(("location", _text(place["description"])))
    for part in _POLLS:
        poll = content.get(part)
        if isinstance(poll, dict):
            extra.append(("poll", "\n".join(_poll(poll))))
    for part in _TEXTS:
        said = "\n".join(_plain(content.get(part)))
        if said and said != body:
            extra.append(("text", said))
    return Words(
        body=body,
        formatted=formatted,
        extra=tuple(extra),
        media=tuple(_media(content)),
        replaces=replaces,
    )


class _Attributes(HTMLParser):
    """Collects the attributes that clients show or open."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the words in one tag; mentions lead to people and rooms and say nothing."""
        for name, value in attrs:
            if name in _SHOWN and value and not value.startswith(_MENTION):
                self.found.append(value)


def _attributes(formatted: str) -> list[str]:
    parser = _Attributes()
    try:
        parser.feed(formatted)
        parser.close()
    except (AssertionError, ValueError):  # the parser's words for markup that is none
        parser.found.append(formatted)
    return parser.found


def _poll(poll: Mapping[str, Any]) -> Iterator[str]:
    """A poll's question and its answers."""
    yield from _plain(poll.get("question"))
    answers = poll.get("answers")
    for answer in answers if isinstance(answers, list) else ():
        yield from _plain(answer)


def _plain(said: object) -> Iterator[str]:
    """The words in an extensible event's text, in any of the ways that it was ever spelt."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        for one in said:
            yield from _plain(one)
    elif isinstance(said, dict):
        for part in (*_TEXTS, "body"):
            if part in said:
                yield from _plain(said[part])
                return


def _media(content: Mapping[str, Any]) -> Iterator[Media]:
    """The files of an event: the thing itself, and its thumbnail."""
    info = _mapping(content.get("info"))
    places = (
        ("file", _mapping(content.get("file")).get("url") or content.get("url")),
        ("thumbnail", _mapping(info.get("thumbnail_file")).get("url") or info.get("thumbnail_url")),
    )
    for part, url in places:
        if is_id(url) and url.startswith("mxc://"):
            yield Media(part=part, url=url)


def storable(value: object) -> str:
    """Spell an id so that any database takes it: no lone surrogates, and no longer than ids are."""
    return str(value).encode("utf-8", "replace").decode()[:_LONGEST_ID]


def is_id(value: object) -> TypeGuard[str]:
    """Say whether *value* can be an id: text that the store can hold, no longer than ids are."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else to_json(value).decode()
