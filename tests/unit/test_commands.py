"""What people type to the bot, however they type it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import EventId, Kind, Message, Ms, Room, RoomClass, RoomId, UserId
from bridge.officers.commands import Command, Word, parse, place, reasonable, span, terms
from tests.making import REVIEW, SECURE, SOCIAL, say

BOT = UserId("@bluelamp:force.example")
ROOMS = [
    Room(id=SOCIAL, cls=RoomClass.SOCIAL, name="Response A social"),
    Room(id=SECURE, cls=RoomClass.OPERATIONAL, name="Response A"),
    Room(id=REVIEW, cls=RoomClass.REVIEW, name="All hands"),
]
MINUTE = 60_000
ODD = st.text(max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=8,
)


def typed(body: str, content: Mapping[str, Any] | None = None) -> Message:
    whole = {"msgtype": "m.text", "body": body, **(content or {})}
    return replace(say("$c", body), content=json.dumps(whole).encode())


def read(
    body: str, content: Mapping[str, Any] | None = None, *, direct: bool = False
) -> Command | None:
    return parse(typed(body, content), BOT, direct=direct)


def word(
    body: str, content: Mapping[str, Any] | None = None, *, direct: bool = False
) -> Word | None:
    found = read(body, content, direct=direct)
    assert found is not None, body
    return found.word


@pytest.mark.parametrize("one", Word)
def test_every_command_is_read_in_any_case_and_with_blanks_around(one: Word) -> None:
    for body in (f"!{one}", f"!{one.upper()}", f"  ! {one.title()} ", f"!{one}.", f"\n!{one}\n"):
        assert word(body) is one


@pytest.mark.parametrize(
    "before",
    ["Blue Lamp: ", "blue lamp, ", "@bluelamp:force.example ", "@bluelamp ", "bluelamp: ",
     "Blue Lamp (automated): ", "\u200b"],
)  # fmt: skip
def test_a_leading_mention_does_no_harm(before: str) -> None:
    assert word(f"{before}!why") is Word.WHY


def test_a_pill_under_any_name_does_no_harm_if_it_means_the_bot() -> None:
    assert read("The Lamp: !why") is None, "somebody else may be meant"
    assert word("The Lamp: !why", {"m.mentions": {"user_ids": [BOT]}}) is Word.WHY
    assert read("The Lamp: !why", {"m.mentions": {"user_ids": ["@ben:force.example"]}}) is None


def test_what_stands_behind_it_is_kept_as_typed() -> None:
    found = read("!report: He SAID it\n  twice, at 3 ")
    assert found == Command(word=Word.REPORT, words="He SAID it\n  twice, at 3")


@pytest.mark.parametrize(("body", "near"), [("!hlep", "help"), ("!apeal it", "appeal"),
                                            ("!pricvacy", "privacy"), ("!foo", "")])  # fmt: skip
def test_what_is_no_command_but_looks_like_one_is_known_as_that(body: str, near: str) -> None:
    found = read(body)
    assert found is not None
    assert (found.word, found.near) == (None, near)


@pytest.mark.parametrize(
    "body",
    ["", "!", "!!", "!!!", "wow!", "help", "who brings milk! help", "! important",
     "!important: milk", "so he said !help me", "5!", "!7", "!?", "\u0021\n\nhelp", "why !why",
     "!" * 200],
)  # fmt: skip
def test_ordinary_talk_is_no_command(body: str) -> None:
    assert read(body) is None


def test_in_a_direct_room_some_words_do_without_the_mark() -> None:
    assert word("Help?", direct=True) is Word.HELP
    assert word("why", direct=True) is Word.WHY
    assert read("help me with the printer", direct=True) is None
    assert read("report", direct=True) is None, "nothing is reported by accident"
    assert word("!important: milk", direct=True) is None, "nobody else can be meant there"


def test_a_full_width_mark_is_one() -> None:
    assert word("\uff01\uff28\uff25\uff2c\uff30") is Word.HELP


def test_the_quotation_in_front_of_a_reply_is_not_what_was_typed() -> None:
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": "$a"}}}
    found = read("> <@ben:force.example> !pause all\n\n!why", relation)
    assert found == Command(word=Word.WHY, reply=EventId("$a"))


def test_a_thread_is_no_reply_unless_somebody_replied() -> None:
    there = {"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": "$last"}}
    falling = read("!why", {"m.relates_to": {**there, "is_falling_back": True}})
    meant = read("!why", {"m.relates_to": {**there, "is_falling_back": False}})
    assert falling == Command(word=Word.WHY)
    assert meant == Command(word=Word.WHY, reply=EventId("$last"))


def test_what_the_bot_or_another_bot_says_is_no_command() -> None:
    assert parse(replace(typed("!help"), sender=BOT), BOT) is None
    assert read("!help", {"msgtype": "m.notice"}) is None
    assert read("!help", {"msgtype": "m.emote"}) is None
    assert parse(replace(typed("!help"), suspect=True), BOT) is None
    assert parse(replace(typed("!help"), kind=Kind.UNREADABLE), BOT) is None
    assert parse(replace(typed("!help"), type="m.sticker"), BOT) is None


def test_a_caption_may_be_a_command() -> None:
    picture = replace(typed("!report this", {"msgtype": "m.image"}), kind=Kind.MEDIA)
    found = parse(picture, BOT, direct=True)
    assert found is not None
    assert found.word is Word.REPORT


@given(ODD, JSON, JSON, st.booleans())
def test_nothing_that_anybody_types_makes_it_stumble(
    body: str, relation: object, mentions: object, direct: bool
) -> None:
    whole = {"msgtype": "m.text", "body": body, "m.relates_to": relation, "m.mentions": mentions}
    parse(replace(say("$c", f"!{body}"), content=json.dumps(whole).encode()), BOT, direct=direct)
    terms(body, ROOMS)


@given(st.binary(max_size=60))
def test_nothing_that_is_no_json_makes_it_stumble(raw: bytes) -> None:
    assert parse(replace(say("$c", "!help"), content=raw), BOT) is None


def test_a_lone_surrogate_does_not_make_it_pass_for_ordinary_talk() -> None:
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": "$a"}}}
    assert read("!report it \udfff", relation, direct=True) == Command(
        word=Word.REPORT, words="it \udfff", reply=EventId("$a")
    )


def test_json_that_is_nested_without_end_is_no_reply() -> None:
    deep = b'{"msgtype":"m.text","m.relates_to":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001
    assert parse(replace(say("$c", "!help"), content=deep), BOT) in {
        None, Command(word=Word.HELP)
    }  # fmt: skip


# Where, for how long, why


@pytest.mark.parametrize(
    ("words", "room", "minutes", "reason"),
    [
        ("Response A social 30m a wrong rule", SOCIAL, 30, "a wrong rule"),
        ("response a SOCIAL", SOCIAL, None, ""),
        ("Response A 2h", SECURE, 120, ""),
        ('"Response A social", for 1h30m: tests', SOCIAL, 90, "tests"),
        ("30 min Response A social tests", SOCIAL, 30, "tests"),
        ("!social 5 minutes", SOCIAL, 5, ""),
    ],
)
def test_a_room_a_time_and_a_reason_are_told_apart(
    words: str, room: RoomId, minutes: int | None, reason: str
) -> None:
    found = terms(words, ROOMS)
    assert found.where is not None
    assert found.where.room == room
    assert found.length == (None if minutes is None else minutes * MINUTE)
    assert found.reason == reason


def test_everywhere_has_several_names_and_is_not_the_beginning_of_a_word() -> None:
    for words in ("all 30m", "ALL", "everywhere", "every room 30m"):
        found, _ = place(words, ROOMS)
        assert found is not None
        assert found.room is None
    found, rest = place("All hands 30m", ROOMS)
    assert found is not None
    assert (found.room, rest) == (REVIEW, "30m")
    assert place("allow it", ROOMS) == (None, "allow it")
    assert place("Response Area", ROOMS) == (None, "Response Area")


def test_a_number_by_itself_is_no_time() -> None:
    assert span("30 wrong ones") == (None, "30 wrong ones")
    assert span("3miles") == (None, "3miles")
    assert span("2h") == (Ms(120 * MINUTE), "")


def test_nothing_lasts_for_no_time_or_for_ever() -> None:
    assert not reasonable(Ms(0))
    assert reasonable(Ms(MINUTE))
    assert reasonable(Ms(7 * 24 * 60 * MINUTE))
    assert not reasonable(Ms(7 * 24 * 60 * MINUTE + 1))
