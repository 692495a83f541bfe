"""Whatever bytes a member sends: words are found, nothing raises, nothing unfit is stored."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import NotFound
from bridge.matrix import translate
from bridge.matrix.api import Api
from bridge.matrix.client import Clear, LampClient
from bridge.matrix.transport import MatrixTransport
from bridge.matrix.words import words_of
from bridge.model import Kind, RoomId

ROOM = RoomId("!room")
TEXT = st.text(max_size=12) | st.sampled_from(["\ud800", "\0", "mxc://a/b", "$e", "m.replace", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "body", "formatted_body", "format", "msgtype", "filename", "file", "url", "info",
    "m.relates_to", "m.new_content", "rel_type", "event_id", "key", "reason", "membership",
    "m.poll.start", "org.matrix.msc3381.poll.start", "question", "answers", "m.text",
    "org.matrix.msc1767.text", "m.location", "description", "thumbnail_file", "thumbnail_url",
    "replacement_room", "predecessor", "room_id", "algorithm", "ciphertext", "session_id",
    "sender_key", "redacts", "displayname",
]  # fmt: skip
CONTENT = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
TYPES = st.sampled_from(
    ["m.room.message", "m.sticker", "m.reaction", "m.room.redaction", "m.room.encrypted",
     "m.room.member", "m.room.create", "m.room.tombstone", "m.room.encryption", "m.poll.start",
     "org.matrix.msc3381.poll.start", "odd", "\ud800", ""]
)  # fmt: skip
EVENT = st.fixed_dictionaries(
    {"type": TYPES | JSON, "content": CONTENT, "event_id": st.text("abc$", min_size=1, max_size=6)},
    optional={
        "sender": TEXT | JSON,
        "origin_server_ts": st.integers() | JSON,
        "state_key": TEXT | JSON,
        "redacts": JSON,
        "unsigned": JSON,
    },
)


@settings(max_examples=150, deadline=None)
@given(kind=TYPES, content=st.dictionaries(st.sampled_from(KEYS), CONTENT, max_size=6))
def test_no_content_makes_the_words_raise(kind: str, content: dict[str, Any]) -> None:
    words = words_of(kind, content)
    assert isinstance(words.body, str)
    if words.replaces is not None:
        words.replaces.encode()
    for one in words.media:
        one.url.encode()


@settings(max_examples=150, deadline=None)
@given(event=EVENT, late=st.booleans())
def test_no_event_makes_the_translation_raise_and_all_of_it_can_be_stored(
    event: dict[str, Any], late: bool
) -> None:
    messages = [translate.plain(ROOM, event)]
    if isinstance(event["content"], dict):
        clear = Clear(str(event["type"]), event["content"], "session", 1, "")
        messages.append(translate.decrypted(ROOM, event, clear, late=late))
    for message in messages:
        json.loads(message.content)
        message.content.decode("ascii")
        assert 0 <= message.sent_at < 2**63
        for name in (message.event_id, message.sender, message.replaces or "", message.type):
            name.encode()


def test_a_caption_a_name_and_a_formatted_text_are_all_words() -> None:
    words = words_of(
        "m.room.message",
        {"msgtype": "m.image", "body": "look", "filename": "AB12CDE.png",
         "formatted_body": "<b>look</b>", "file": {"url": "mxc://a/b"},
         "info": {"thumbnail_file": {"url": "mxc://a/t"}}},
    )  # fmt: skip
    assert words.body == "look"
    assert words.formatted == "<b>look</b>"
    assert words.extra == (("filename", "AB12CDE.png"),)
    assert [(m.part, m.url) for m in words.media] == [
        ("file", "mxc://a/b"), ("thumbnail", "mxc://a/t")
    ]  # fmt: skip


def test_an_edit_whose_outer_text_says_something_else_is_read_both_ways() -> None:
    words = words_of(
        "m.room.message",
        {"body": "* AB12 CDE", "m.new_content": {"body": "fine"},
         "m.relates_to": {"rel_type": "m.replace", "event_id": "$a"}},
    )  # fmt: skip
    assert (words.body, words.replaces) == ("fine", "$a")
    assert words.extra == (("outer", "* AB12 CDE"),)


class NoApi(Api):
    """A homeserver that has nothing."""

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> dict[str, Any]:
        raise NotFound("nothing here")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One loop for all examples: connections outlive them."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def transport(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[MatrixTransport]:
    client = LampClient("http://127.0.0.1:9", "@lamp:force.example", tmp_path, "pickle")
    client.restore_login("@lamp:force.example", "DEVICE", "token")
    made = MatrixTransport(client, NoApi("http://127.0.0.1:9"), approved=lambda _: True)
    yield made
    loop.run_until_complete(made.close())


PART = st.fixed_dictionaries(
    {"timeline": st.fixed_dictionaries({"events": st.lists(EVENT | JSON, max_size=3)})},
    optional={"state": st.fixed_dictionaries({"events": st.lists(EVENT | JSON, max_size=3)})},
)
SYNC = st.fixed_dictionaries(
    {"next_batch": st.just("s1")},
    optional={
        "rooms": st.fixed_dictionaries(
            {}, optional={name: st.dictionaries(st.just("!room"), PART, max_size=1)
                          for name in ("join", "leave")},
        ),
        "to_device": st.fixed_dictionaries({"events": st.lists(EVENT | JSON, max_size=3)}),
        "device_lists": st.fixed_dictionaries(
            {}, optional={"changed": st.lists(TEXT, max_size=2), "left": st.lists(TEXT)}
        ),
        "device_one_time_keys_count": st.dictionaries(TEXT, st.integers(0, 60), max_size=2),
    },
)  # fmt: skip


@pytest.mark.parametrize("examples", [80, pytest.param(100_000, marks=pytest.mark.torture)])
def test_no_sync_response_stops_the_intake_or_loses_what_stands_beside_it(
    transport: MatrixTransport, loop: asyncio.AbstractEventLoop, examples: int
) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(sync=SYNC)
    def fuzz(sync: dict[str, Any]) -> None:
        _take_in(transport, loop, sync)

    fuzz()


def _take_in(
    transport: MatrixTransport, loop: asyncio.AbstractEventLoop, sync: dict[str, Any]
) -> None:
    good = {"type": "m.room.message", "content": {"body": "cake"}, "event_id": "$good",
            "sender": "@a:b", "origin_server_ts": 1}  # fmt: skip
    sync.setdefault("rooms", {}).setdefault("join", {})["!beside"] = {
        "timeline": {"events": [good]}
    }
    begun = time.perf_counter()
    batch = loop.run_until_complete(transport._take(sync, None))
    assert time.perf_counter() - begun < 1.0  # a stall, on whatever machine
    assert [m.body for m in batch.messages if m.room == "!beside"] == ["cake"]
    assert batch.messages[-1].kind is Kind.TEXT or batch.messages
