"""From Matrix JSON to our words. Total: a member chooses these bytes, so nothing here may raise.

Never uses nio's event classes, which call half of what clients show a "bad event" (7).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.matrix.client import Clear, Dark
from bridge.model import EventId, Kind, Message, Ms, RoomId, UserId

_MEDIA = {"m.image", "m.file", "m.audio", "m.video"}
#: Types that only make sense in the clear: inside encryption they are an attempt to deceive.
_CLEAR_ONLY = ("m.room.member", "m.room.power_levels", "m.room.create", "m.room.encryption",
               "m.room.name", "m.room.topic", "m.room.join_rules", "m.room.history_visibility",
               "m.room.redaction")  # fmt: skip


def to_json(value: object) -> bytes:
    """Spell *value* as ASCII JSON; lone surrogates, which no UTF-8 can hold, stay escaped."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What people read in a message."""

    body: str = ""
    formatted: str = ""
    replaces: EventId | None = None


_NO_WORDS = _Words()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope:
    """An event as served, around what it says."""

    room: RoomId
    event: Mapping[str, Any]
    doubt: str = ""
    encrypted: bool = False
    late: bool = False

    def said(self, kind: str, content: Mapping[str, Any]) -> Message:
        """Translate what somebody said, however oddly their client spelt it."""
        if kind == "m.sticker" or content.get("msgtype") in _MEDIA:
            return self.message(Kind.MEDIA, kind, content, _words(content))
        if kind == "m.room.message" and content:
            return self.message(Kind.TEXT, kind, content, _words(content))
        return self.message(Kind.OTHER, kind, content)

    def message(
        self, ours: Kind, kind: str, content: Mapping[str, Any], words: _Words = _NO_WORDS
    ) -> Message:
        """Put the parts together."""
        sent_at = self.event.get("origin_server_ts")
        return Message(
            event_id=EventId(str(self.event.get("event_id", ""))),
            room=self.room,
            sender=UserId(str(self.event.get("sender", ""))),
            sent_at=Ms(sent_at if isinstance(sent_at, int) else 0),
            kind=ours,
            type=kind,
            body=words.body,
            formatted=words.formatted,
            replaces=words.replaces,
            content=to_json(content),
            ciphertext=to_json(_served(self.event)) if self.encrypted else b"",
            doubt=self.doubt,
            late=self.late,
        )


def plain(room: RoomId, event: Mapping[str, Any]) -> Message:
    """Translate an event that was served in the clear."""
    envelope = _Envelope(room=room, event=event)
    kind = str(event.get("type", ""))
    content = event.get("content")
    content = content if isinstance(content, dict) else {}
    if kind == "m.room.member":
        return envelope.message(Kind.MEMBERSHIP, kind, content)
    if "state_key" in event:
        return envelope.message(Kind.STATE, kind, content)
    if kind == "m.room.redaction" and "redacts" not in content and "redacts" in event:
        content = {**content, "redacts": event["redacts"]}
    return envelope.said(kind, content)


def decrypted(room: RoomId, event: Mapping[str, Any], clear: Clear, *, late: bool) -> Message:
    """Translate what was inside an encrypted event."""
    hostile = clear.type in _CLEAR_ONLY
    doubt = f"a {clear.type} inside encryption, which clients ignore" if hostile else clear.doubt
    envelope = _Envelope(room=room, event=event, doubt=doubt, encrypted=True, late=late)
    if hostile:
        return envelope.message(Kind.OTHER, clear.type, clear.content)
    return envelope.said(clear.type, clear.content)


def unreadable(room: RoomId, event: Mapping[str, Any], dark: Dark) -> Message:
    """Translate an event that we could not read: all of it as served."""
    envelope = _Envelope(room=room, event=event, doubt=dark.reason, encrypted=True)
    return envelope.message(Kind.UNREADABLE, "m.room.encrypted", _served(event))


def _served(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event without what the server adds for us."""
    return {name: value for name, value in event.items() if name not in {"unsigned", "age"}}


def _words(content: Mapping[str, Any]) -> _Words:
    """Return everything that some client might show, and what it edits."""
    relation = content.get("m.relates_to")
    relation = relation if isinstance(relation, dict) else {}
    fresh = content.get("m.new_content")
    if relation.get("rel_type") != "m.replace" or not isinstance(fresh, dict):
        return _Words(body=_text(content), formatted=_html(content))
    body, outer = _text(fresh), _text(content)
    # Old clients show the outer text; it may say something else than the new content.
    if outer.removeprefix("* ") != body:
        body = f"{body}\n{outer}"
    target = relation.get("event_id")
    replaces = EventId(target) if isinstance(target, str) else None
    return _Words(body=body, formatted=_html(fresh), replaces=replaces)


def _text(content: Mapping[str, Any]) -> str:
    body, name = content.get("body", ""), content.get("filename")
    text = body if isinstance(body, str) else to_json(body).decode()
    if isinstance(name, str) and name != text:
        text = f"{text}\n{name}"
    return text


def _html(content: Mapping[str, Any]) -> str:
    html = content.get("formatted_body", "")
    return html if isinstance(html, str) else to_json(html).decode()
