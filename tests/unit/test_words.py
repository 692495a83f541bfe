"""Whatever bytes a member sends: words are found, nothing raises, nothing unfit is stored."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.matrix import translate
from bridge.matrix.client import Clear
from bridge.matrix.words import words_of
from bridge.model import RoomId

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


@pytest.mark.parametrize("markup", [
    "<b", "<a href='", '<a href="', "<a href=", "alt ", "alt= ", "<!--", "<![CDATA[", "&", "&#",
    "</", "<a " + "x=1 " * 3, "href=' ", 'title="\'', "<", "alt\n=\n", "<?", "<!",
])  # fmt: skip
def test_no_markup_keeps_the_reading_busy(markup: str) -> None:
    """64 kB is what an event may have; anybody may send one."""
    formatted = markup * (65_536 // len(markup))
    began = time.thread_time()
    words_of("m.room.message", {"body": "x", "formatted_body": formatted})
    # A hundred times the work that it is: of this thread alone, however busy the machine.
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(("formatted", "found"), [
    ('<img src="mxc://a/b" alt="AB12 CDE">', ["AB12 CDE"]),
    ("<a href='https://x.example/?q=AB12&amp;r=1'>x</a>", ["https://x.example/?q=AB12&r=1"]),
    ("<A HREF=https://x.example/AB12>x</A>", ["https://x.example/AB12"]),
    ('<span data-mx-spoiler = "he\nis <here>">x</span>', ["he\nis <here>"]),
    ("<span data-mx-spoiler>x</span><b title=''>y</b>", []),
    ('<a href="https://matrix.to/#/@a:b">Anna</a>', []),
    ('<a title="&#65;B12" href="x">x</a>', ["AB12", "x"]),
    ('<div data-mx-maths="\\text{AB12}"><code>x</code></div>', ["\\text{AB12}"]),
    ("<a/href=x>", ["x"]),
    ("<b>nothing</b> subtitle: = no", []),
])  # fmt: skip
def test_what_attributes_say_is_words(formatted: str, found: list[str]) -> None:
    words = words_of("m.room.message", {"body": "x", "formatted_body": formatted})
    assert words.extra == ((("attributes", "\n".join(found)),) if found else ())
