"""Everything that some client might show of an event: words, names of files, and the files.

Never raises: a member chooses these bytes. What is of the wrong type is spelt out as JSON rather
than passed over, because some client will show it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeGuard

import msgspec

from bridge.matrix.nested import cut
from bridge.model import EventId, Media

MEDIA_TYPES = frozenset({"m.image", "m.file", "m.audio", "m.video"})
_POLLS = ("m.poll.start", "m.poll", "org.matrix.msc3381.poll.start", "org.matrix.msc3381.v2.poll")
_TEXTS = ("m.text", "org.matrix.msc1767.text")
_PLACES = ("m.location", "org.matrix.msc3488.location")
#: A reaction of fewer letters than this is a picture, not a word.
_LETTERS = 3
_ATTRIBUTE = re.compile(
    r"""\b(?:alt|title|href|data-mx-spoiler|data-mx-maths)\s*=\s*"""
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>][^\s>]*))""",
    re.IGNORECASE,
)
_MENTION = "https://matrix.to/"
_LONGEST_ID = 512
#: Words nested deeper in a text than this no client shows.
_DEEPEST = 10


#: What carries words or files besides body and formatted body; most messages have none of it.
_MORE = frozenset({"filename", "info", "file", "url", "geo_uri", *_PLACES, *_POLLS, *_TEXTS})
#: Two encoders spell these alike, as long as they are ASCII; floats they do not.
_ALIKE = frozenset({str, int, bool, type(None)})
_NESTED = frozenset({dict, list})
_spell = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode
_spell_fast = msgspec.json.Encoder(order="deterministic").encode


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What people read in an event."""

    body: str = ""
    formatted: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    media: tuple[Media, ...] = ()
    replaces: EventId | None = None


def to_json(value: object) -> bytes:
    """Spell *value*, read from JSON, as ASCII JSON with its keys in order.

    Lone surrogates, which no UTF-8 can hold, stay escaped; what is nested too deep is cut out.
    """
    try:
        return _to_json(value)
    except RecursionError:
        return _to_json(cut(value))


def _to_json(value: object) -> bytes:
    if _alike(value):
        try:
            raw = _spell_fast(value)
        except UnicodeEncodeError:
            return _spell(value).encode()
        if raw.isascii() and b"\x7f" not in raw:
            return raw
    return _spell(value).encode()


def _alike(value: object) -> bool:
    """Say whether *value* has nothing but lists, objects and what is `_ALIKE`, at any depth."""
    left = [value]
    while left:
        one = left.pop()
        inside: Collection[object] = (one,)
        if isinstance(one, dict):
            inside = one.values()
        elif isinstance(one, list):
            inside = one
        # Most levels end here, without a look at each value.
        kinds = set(map(type, inside)) - _ALIKE
        if not kinds <= _NESTED:
            return False
        if kinds:
            left += [within for within in inside if type(within) in _NESTED]
    return True


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
    body, formatted = _text(content.get("body", "")), _text(content.get("formatted_body", ""))
    extra: list[tuple[str, str]] = []
    name = content.get("filename")
    if name is not None and _text(name) != body:
        extra.append(("filename", _text(name)))
    if "<" in formatted and (hidden := "\n".join(_attributes(formatted))):
        extra.append(("attributes", hidden))
    if _MORE.isdisjoint(content):
        return Words(body=body, formatted=formatted, extra=tuple(extra), replaces=replaces)
    for part in _PLACES:
        place = _mapping(content.get(part))
        for name, said in (("location", "description"), ("place", "uri")):
            if place.get(said) and _text(place[said]) not in body:
                extra.append((name, _text(place[said])))
    if content.get("geo_uri") and _text(content["geo_uri"]) not in body:
        extra.append(("place", _text(content["geo_uri"])))
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


def _attributes(formatted: str) -> Iterator[str]:
    """The values of the attributes that clients show or open, wherever they stand.

    Not by Python's HTML parser: some markup of 40 kB keeps it busy for seconds.
    Mentions lead to people and rooms and say nothing.
    """
    for found in _ATTRIBUTE.finditer(formatted):
        value = html.unescape(found["double"] or found["single"] or found["bare"] or "")
        if value and not value.startswith(_MENTION):
            yield value


def _poll(poll: Mapping[str, Any]) -> Iterator[str]:
    """A poll's question and its answers."""
    yield from _plain(poll.get("question"))
    answers = poll.get("answers")
    for answer in answers if isinstance(answers, list) else ():
        yield from _plain(answer)


def _plain(said: object, depth: int = 0) -> Iterator[str]:
    """The words in an extensible event's text, in any of the ways that it was ever spelt."""
    if depth > _DEEPEST:
        return
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        for one in said:
            yield from _plain(one, depth + 1)
    elif isinstance(said, dict):
        for part in (*_TEXTS, "body"):
            if part in said:
                yield from _plain(said[part], depth + 1)
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
    text = value if isinstance(value, str) else str(value)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text[:_LONGEST_ID]


def is_id(value: object) -> TypeGuard[str]:
    """Say whether *value* can be an id: text that the store can hold, no longer than ids are."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else to_json(value).decode()
