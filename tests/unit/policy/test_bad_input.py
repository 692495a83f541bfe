"""Whatever some client sends gets a verdict or goes to a person; nothing makes judging fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.matrix import translate
from bridge.matrix.client import Clear
from bridge.matrix.words import MEDIA_TYPES, words_of
from bridge.model import (
    JUDGED,
    Action,
    EventId,
    Kind,
    Message,
    Ms,
    RoomClass,
    RoomId,
    UserId,
    Verdict,
)

from .shipped import shipped

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
#: Pieces that rules look for, and pieces that parsers trip over.
PIECES = st.sampled_from([
    "AB12 CDE", "misper", "m1sper", "A B 1 2 C D E", "ΑΒ12", "02/73319Z", "CAD 2217", "SECRET - UK",  # noqa: RUF001
    "\ud800", "\udfff", "\x00", "\u202e", "\u2066", "a\u0301\u0302", "\U000e0041", "\ufdfa",
    "<b>", "</b", "<mx-reply>", "&#x110000;", "&#0;", "<!--", "> <@a:b> ", "\n", "\u2028", "_",
    "@$!", "07700 900123", "53.1, -1.2", "///a.b.c", "MG11_statement.pdf", "99/99/9999", "GB00AAAA",
])  # fmt: skip
TEXT = st.lists(st.one_of(ANY_TEXT, PIECES), max_size=12).map("".join)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)
LOOSE = st.one_of(TEXT, JSON)
CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "body": LOOSE, "formatted_body": LOOSE, "format": LOOSE, "msgtype": LOOSE,
        "filename": LOOSE, "url": LOOSE, "file": JSON, "info": JSON, "geo_uri": LOOSE,
        "m.relates_to": st.one_of(JSON, st.just({"rel_type": "m.replace", "event_id": "$e"})),
        "m.new_content": st.one_of(JSON, st.fixed_dictionaries({"body": LOOSE})),
        "m.location": JSON, "m.text": JSON, "org.matrix.msc1767.text": LOOSE,
        "m.poll.start": st.one_of(JSON, st.fixed_dictionaries({"question": JSON, "answers": JSON})),
    },
)  # fmt: skip
TYPES = st.sampled_from(
    ["m.room.message", "m.sticker", "m.poll.start", "m.reaction", "m.room.redaction", "x.y"]
)


def judged(kind: str, content: dict[str, Any]) -> tuple[Message, Verdict]:
    words = words_of(kind, content)
    message = Message(
        event_id=EventId("$event"),
        room=RoomId("!room"),
        sender=UserId("@asha:force.example"),
        sent_at=Ms(0),
        kind=Kind.MEDIA if content.get("msgtype") in _MEDIA else Kind.TEXT,
        type=kind,
        body=words.body,
        formatted=words.formatted,
        extra=words.extra,
        media=words.media,
    )
    return message, shipped().with_conduct().judge(message, RoomClass.SOCIAL)


_MEDIA = [*MEDIA_TYPES]


def holds(message: Message, verdict: Verdict) -> None:
    assert verdict.rule != "builtin:error"
    texts = {"body": [message.body], "formatted": [message.formatted]}
    for part, words in message.extra:
        texts.setdefault(part, []).append(words)
    for found in verdict.findings:
        longest = max(map(len, texts[found.part]))
        assert 0 <= found.start < found.end <= longest
        assert 0 < found.confidence <= 100


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TYPES, CONTENT)
def test_every_shape_of_event_gets_a_verdict(kind: str, content: dict[str, Any]) -> None:
    holds(*judged(kind, content))


@pytest.mark.torture
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(TYPES, CONTENT)
def test_every_shape_of_event_gets_a_verdict_at_length(kind: str, content: dict[str, Any]) -> None:
    holds(*judged(kind, content))


EVENT = st.fixed_dictionaries(
    {"type": TYPES | LOOSE, "content": CONTENT | JSON},
    optional={
        "event_id": LOOSE, "sender": LOOSE, "origin_server_ts": st.integers() | JSON,
        "state_key": LOOSE, "redacts": LOOSE, "unsigned": JSON,
    },
)  # fmt: skip


def gets_a_verdict(event: dict[str, Any]) -> None:
    """Take a whole event in, as served and as if it had been inside encryption, and judge it."""
    room = RoomId("!room")
    messages = [translate.plain(room, event)]
    if isinstance(event["content"], dict):
        clear = Clear(str(event["type"]), event["content"], "session", 1, "")
        messages.append(translate.decrypted(room, event, clear, late=False))
    for message in messages:
        for cls in JUDGED:
            holds(message, shipped().with_conduct().judge(message, cls))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENT)
def test_every_event_as_a_server_may_send_it_gets_a_verdict(event: dict[str, Any]) -> None:
    gets_a_verdict(event)


@pytest.mark.torture
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENT)
def test_every_event_as_a_server_may_send_it_gets_a_verdict_at_length(
    event: dict[str, Any],
) -> None:
    gets_a_verdict(event)


PLATE = "AB12 CDE just left the address"
CARRIED: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("m.room.message", {"msgtype": "m.text", "body": PLATE}),
    "a notice": ("m.room.message", {"msgtype": "m.notice", "body": PLATE}),
    "an emote": ("m.room.message", {"msgtype": "m.emote", "body": PLATE}),
    "a type nobody knows": ("m.room.message", {"msgtype": "x.y", "body": PLATE}),
    "no type": ("m.room.message", {"body": PLATE}),
    "a list": ("m.room.message", {"body": [PLATE]}),
    "an object": ("m.room.message", {"body": {"a": PLATE}}),
    "formatted": ("m.room.message", {"body": "", "formatted_body": f"<b>{PLATE}</b>"}),
    "a caption": ("m.room.message", {"msgtype": "m.image", "body": PLATE, "filename": "a.jpg"}),
    "a file's name": (
        "m.room.message",
        {"msgtype": "m.file", "body": "x", "filename": f"{PLATE}.txt", "url": "mxc://a/b"},
    ),
    "an edit": (
        "m.room.message",
        {
            "body": "* x",
            "m.new_content": {"msgtype": "m.text", "body": PLATE},
            "m.relates_to": {"rel_type": "m.replace", "event_id": "$e"},
        },
    ),
    "an edit's outer text": (
        "m.room.message",
        {
            "body": f"* {PLATE}",
            "m.new_content": {"msgtype": "m.text", "body": "x"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": "$e"},
        },
    ),
    "a poll's question": ("m.poll.start", {"m.poll.start": {"question": {"m.text": PLATE}}}),
    "a poll's answer": (
        "org.matrix.msc3381.poll.start",
        {"org.matrix.msc3381.poll.start": {"answers": [{"id": "1", "m.text": PLATE}]}},
    ),
    "a place's description": (
        "m.room.message",
        {"msgtype": "m.location", "body": "x", "m.location": {"description": PLATE}},
    ),
    "a place": (
        "m.room.message",
        {"msgtype": "m.location", "body": "here", "geo_uri": "geo:53.80100,-1.54917;u=9"},
    ),
    "an extensible place": (
        "m.room.message",
        {"msgtype": "m.location", "body": "here", "m.location": {"uri": "geo:53.80100,-1.54917"}},
    ),
    "an extensible text": ("m.message", {"m.text": [{"body": PLATE}]}),
    "a sticker": ("m.sticker", {"body": PLATE, "url": "mxc://a/b"}),
    "a reaction in words": (
        "m.reaction",
        {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$e", "key": PLATE}},
    ),
    "a redaction's reason": ("m.room.redaction", {"reason": PLATE, "redacts": "$e"}),
    "a reply": (
        "m.room.message",
        {
            "body": f"> <@ben:force.example> tea?\n\n{PLATE}",
            "m.relates_to": {"m.in_reply_to": {"event_id": "$e"}},
        },
    ),
    "a thread": (
        "m.room.message",
        {"body": PLATE, "m.relates_to": {"rel_type": "m.thread", "event_id": "$e"}},
    ),
}


@pytest.mark.parametrize("way", CARRIED)
def test_operational_words_are_seen_in_whatever_carries_them(way: str) -> None:
    kind, content = CARRIED[way]
    message = translate.plain(
        RoomId("!room"),
        {"type": kind, "content": content, "event_id": "$1", "sender": "@asha:force.example"},
    )
    verdict = shipped().judge(message, RoomClass.SOCIAL)
    least = Action.NUDGE if way.endswith("place") else Action.REDIRECT
    assert verdict.action >= least, (message.kind, message.extra)


@pytest.mark.parametrize("part", ["body", "formatted_body", "filename"])
@pytest.mark.parametrize(
    "piece",
    [
        "a\u0301\u0302\u0303", "\u202e\u2066", "\x00", "\ud800", "<b>", "<blockquote>", "&amp;",
        "&#", "AB12 CDE ", "A B 1 2 C D E ", "m1sper ", "\u200bmisper", "\U000e0041", "\ufdfa",
        "1/", "/", ".", "he said the suspect ", "07700 900 ", "the old mill ", "> <@a:b> x\n",
        "0.1, ", "b. ",
    ],
)  # fmt: skip
def test_64_kib_of_anything_get_a_verdict(part: str, piece: str) -> None:
    long = piece * (65_536 // len(piece.encode("utf-8", "surrogatepass")) + 1)
    holds(*judged("m.room.message", {"msgtype": "m.text", "body": "x", part: long}))


def test_operational_talk_is_found_behind_what_should_hide_it() -> None:
    for body in (
        "\u202eAB12 CDE\u202c just left the address",
        "A\u0301B\u030312 CDE just left the address",
        "AB\x0012\u200b CDE just left the address",
        "\ud800AB12 CDE just left the address\udfff",
        "x" * 60_000 + " AB12 CDE just left the address",
    ):
        assert judged("m.room.message", {"body": body})[1].action is Action.REDIRECT, body[:40]
    nested = "<div>" * 500 + "AB12 CDE just left" + "</div>" * 500
    content = {"body": "see below", "formatted_body": nested}
    assert judged("m.room.message", content)[1].action is Action.REDIRECT


@pytest.mark.parametrize("body", [None, 7, ["AB12 CDE just left the address"], {"a": "CAD 2217"}])
def test_a_body_that_is_no_text_is_judged_as_it_is_spelt(body: object) -> None:
    holds(*judged("m.room.message", {"body": body}))
