"""From Matrix JSON to our words. Total: a member chooses these bytes, so nothing here may raise.

Never uses nio's event classes, which call half of what clients show a "bad event" (7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bridge.matrix.client import Clear, Dark
from bridge.matrix.words import MEDIA_TYPES, Words, storable, to_json, words_of
from bridge.model import EventId, Kind, Message, Ms, RoomId, UserId

#: Types that only make sense in the clear: inside encryption they are an attempt to deceive.
_CLEAR_ONLY = ("m.room.member", "m.room.power_levels", "m.room.create", "m.room.encryption",
               "m.room.name", "m.room.topic", "m.room.join_rules", "m.room.history_visibility",
               "m.room.redaction")  # fmt: skip


#: Stands in what is delivered instead of a message that the gate stopped.
GATE_FIELD = "uk.police.gate"
_NO_WORDS = Words()
_STATES = frozenset({Kind.MEMBERSHIP, Kind.STATE})
#: Times beyond this (the year 9999) are a sender's joke, and no database holds them all.
_LATEST = 253_370_764_800_000


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An event as served, around what it says."""

    room: RoomId
    event: Mapping[str, Any]
    doubt: str = ""
    suspect: bool = False
    #: What was read out of the encryption, if it was encrypted.
    clear: Clear | None = None
    encrypted: bool = False
    late: bool = False

    def said(self, kind: str, content: Mapping[str, Any]) -> Message:
        """Translate what somebody said, however oddly their client spelt it."""
        words = words_of(kind, content)
        if words.media or kind == "m.sticker" or _text_of(content, "msgtype") in MEDIA_TYPES:
            return self.message(Kind.MEDIA, kind, content, words)
        if words.body or words.formatted or words.extra:
            return self.message(Kind.TEXT, kind, content, words)
        return self.message(Kind.OTHER, kind, content, words)

    def message(
        self, ours: Kind, kind: str, content: Mapping[str, Any], words: Words = _NO_WORDS
    ) -> Message:
        """Put the parts together."""
        sent_at = self.event.get("origin_server_ts")
        whose = self.event.get("state_key") if ours in _STATES else None
        return Message(
            event_id=EventId(storable(self.event.get("event_id", ""))),
            room=self.room,
            sender=UserId(storable(self.event.get("sender", ""))),
            sent_at=Ms(min(max(sent_at, 0), _LATEST) if isinstance(sent_at, int) else 0),
            kind=ours,
            type=storable(kind),
            body=words.body,
            formatted=words.formatted,
            extra=words.extra,
            media=words.media,
            replaces=words.replaces,
            session=self.clear.session_id if self.clear else "",
            index=self.clear.index if self.clear else -1,
            content=to_json(content),
            ciphertext=to_json(_served(self.event)) if self.encrypted else b"",
            doubt=self.doubt,
            suspect=self.suspect,
            late=self.late,
            state_key=storable(whose) if isinstance(whose, str) else None,
        )


def is_stopped(event: Mapping[str, Any]) -> bool:
    """Say whether this stands for a message that the gate stopped: a relation and our mark.

    Anybody can write the same; there is nothing else in it that a client would show.
    """
    content = event.get("content")
    return (
        isinstance(content, dict)
        and content.get(GATE_FIELD) == "stopped"
        and content.keys() <= {"m.relates_to", GATE_FIELD}
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
    envelope = _Envelope(
        room=room,
        event=event,
        doubt=doubt,
        suspect=hostile or clear.suspect,
        clear=clear,
        encrypted=True,
        late=late,
    )
    if hostile:
        return envelope.message(Kind.OTHER, clear.type, clear.content)
    return envelope.said(clear.type, clear.content)


def unreadable(room: RoomId, event: Mapping[str, Any], dark: Dark) -> Message:
    """Translate an event that we could not read: all of it as served."""
    envelope = _Envelope(room=room, event=event, doubt=dark.reason, encrypted=True)
    return envelope.message(Kind.UNREADABLE, "m.room.encrypted", _served(event))


def beyond_us(room: RoomId, event: Mapping[str, Any], error: Exception) -> Message:
    """Translate an event that made us stumble: kept as served, and a person looks."""
    doubt = f"Blue Lamp stumbled over it: {type(error).__name__}"
    envelope = _Envelope(room=room, event=event, doubt=doubt, suspect=True)
    return envelope.message(Kind.OTHER, storable(event.get("type", "")), _served(event))


def _text_of(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""


def _served(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event without what the server adds for us."""
    served = dict(event)
    served.pop("unsigned", None)
    served.pop("age", None)
    return served
