"""What was said before is that of the room, of the last minutes, and bounded."""

from __future__ import annotations

from dataclasses import replace

from bridge.model import EventId, Message, Ms, RoomId
from bridge.understand.encode import MOST_BEFORE, MOST_CHARACTERS_BEFORE
from bridge.understand.talk import _ROOMS, SAME_TALK_MS, Talk, words
from tests.making import NOON, say


def heard(*messages: Message) -> Talk:
    talk = Talk()
    for message in messages:
        talk.note(message)
    return talk


def test_the_last_three_of_the_room_are_given_oldest_first() -> None:
    talk = heard(*(say(f"${n}", f"words {n}") for n in range(5)))
    assert talk.before(say("$x")) == ("words 2", "words 3", "words 4")
    assert len(talk.before(say("$x"))) == MOST_BEFORE


def test_other_rooms_and_older_talk_are_another_conversation() -> None:
    talk = heard(say("$a", "here"), say("$b", "there", room=RoomId("!other")))
    assert talk.before(say("$x")) == ("here",)
    assert talk.before(say("$x", at=Ms(NOON + SAME_TALK_MS + 1))) == ()


def test_an_edit_takes_the_place_of_what_it_edits_and_is_not_said_before_itself() -> None:
    talk = heard(say("$a", "first"), say("$b", "second"), say("$e", "better", replaces="$a"))
    assert talk.before(say("$x")) == ("better", "second")
    assert talk.before(say("$e", replaces="$a")) == ("second",)
    assert talk.before(say("$b")) == ("better",)


def test_of_a_long_message_its_end_is_remembered() -> None:
    talk = heard(say("$a", "a" * 65_536 + "end"))
    (before,) = talk.before(say("$x"))
    assert len(before) == MOST_CHARACTERS_BEFORE
    assert before.endswith("end")


def test_memory_is_bounded_in_rooms() -> None:
    talk = heard(*(say("$a", "x", room=RoomId(f"!{n}")) for n in range(_ROOMS + 10)))
    assert len(talk._rooms) == _ROOMS
    assert talk.before(say("$x", room=RoomId("!0"))) == ()


def test_what_others_said_in_a_reply_is_not_the_senders_words() -> None:
    assert words(say("$a", "> <@ben:x> got him\n\nok")) == "ok"


def test_words_that_are_only_shown_are_read_too() -> None:
    message = replace(say("$a", "hello"), formatted="<b>got him</b> under the bed")
    assert words(message) == "hello\ngot him under the bed"
    assert words(replace(message, formatted="<i>hello</i>")) == "hello"


def test_silence_is_nothing_said() -> None:
    assert heard(say("$a", " \n")).before(say("$x", at=NOON)) == ()
    assert Talk().before(replace(say("$x"), event_id=EventId("$y"))) == ()
