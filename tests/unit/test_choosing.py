"""Move or discard: what was stopped and whose sender is not in the secure room."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge.acting.settle import OLDEST_MS
from bridge.facts import Braked
from bridge.model import CHOICE_MS, Choice, EventId, Kind, Message, RoomId, UserId
from tests.making import ASHA, REVIEW, SECURE, SOCIAL, say
from tests.unit.test_gatehouse import DIRECT, copies, stopped, told
from tests.unit.test_pipeline import OPERATIONAL, World

SERGEANT = UserId("@gwen:force.example")
INTAKE = RoomId("!intake")


def world(*, entitled: bool = True, supervised: bool = True) -> World:
    """Asha is not in the secure room; whether she may be is *entitled*."""
    made = World()
    made.rooms[SOCIAL] = replace(
        made.rooms[SOCIAL],
        entitled=frozenset({ASHA} if entitled else ()),
        supervisor=SERGEANT if supervised else None,
        intake=INTAKE,
    )
    made.transport.outside.add((SECURE, ASHA))
    return made


async def asked(made: World, event: str = "$a") -> EventId:
    """Have a message stopped; return the question about it."""
    assert await stopped(made, say(event, OPERATIONAL, at=made.clock()))
    return next(one.event for one in reversed(made.sent) if one.post and one.room == DIRECT)


def tap(event: EventId, key: str, by: UserId = ASHA, name: str = "$tap") -> Message:
    relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
    content = json.dumps({"m.relates_to": relation}).encode()
    one = say(name, "", room=DIRECT, sender=by)
    return replace(one, kind=Kind.OTHER, type="m.reaction", content=content, ciphertext=b"")


def reply(event: EventId, words: str) -> Message:
    content = {"body": words, "m.relates_to": {"m.in_reply_to": {"event_id": event}}}
    return replace(say("$reply", words, room=DIRECT), content=json.dumps(content).encode())


async def waits(made: World) -> bool:
    return any(isinstance(debt.effect, Choice) for debt in await made.store.owed())


async def test_who_is_not_in_the_secure_room_is_asked_and_nothing_is_moved_meanwhile() -> None:
    made = world()
    await asked(made)
    assert copies(made) == 0
    (question,) = told(made)
    assert question.startswith("You wrote something in Response A social that belongs in Response")
    assert "It was not delivered. Tap ➡️ to post it there under your name, 🗑️ to leave it" in question
    assert "by 00:00. A record is kept either way." in question
    assert "AB12" not in question
    assert await waits(made)


@pytest.mark.parametrize("words", ["➡️", "➡", "move", "Move it."])
async def test_who_says_move_is_let_in_and_it_is_moved_once_and_explained(words: str) -> None:
    made = world()
    event = await asked(made)
    answer = tap(event, words) if len(words) <= 2 else reply(event, words)
    await made.hear_and_settle(answer)
    assert copies(made) == 1
    assert made.transport.invited == {(SECURE, ASHA)}
    assert "it is now in Response A secure, under your name" in told(made)[-1]
    assert await made.store.owed() == ()
    copy = next(one.post for one in made.sent if one.room == SECURE)
    assert copy is not None
    assert OPERATIONAL in copy.body


@pytest.mark.parametrize("words", ["🗑️", "🗑", "discard", "Leave it"])
async def test_who_says_discard_has_it_left_and_the_record_keeps_it(words: str) -> None:
    made = world()
    event = await asked(made)
    answer = tap(event, words) if len(words) <= 2 else reply(event, words)
    await made.hear_and_settle(answer)
    assert copies(made) == 0
    assert told(made)[-1] == (
        "It was left: nobody in Response A social or elsewhere has it. The record does."
    )
    assert await made.store.owed() == ()
    kept = next(inside for kind, _, inside in made.ledger() if kind == "message")
    assert OPERATIONAL in json.dumps(kept["content"])
    assert [h["status"] for k, h, _ in made.ledger() if h.get("effect") == "choice" and
            k == "outcome"] == ["waived"]  # fmt: skip


async def test_who_may_not_be_in_the_secure_room_has_it_moved_to_the_intake() -> None:
    made = world(entitled=False)
    await made.hear_and_settle(tap(await asked(made), "➡️"))
    assert copies(made) == 0
    assert sum(1 for one in made.sent if one.post and one.room == INTAKE) == 1
    sergeant = RoomId(f"!direct-{SERGEANT}")
    assert any(one.room == sergeant for one in made.sent)


async def test_two_answers_at_once_are_the_first_one() -> None:
    made = world()
    event = await asked(made)
    await made.hear_and_settle(
        tap(event, "➡️"), tap(event, "🗑️", name="$two"), tap(event, "➡️", name="$three")
    )
    assert copies(made) == 1
    assert not any("It was left" in words for words in told(made))
    await made.hear_and_settle(tap(event, "🗑️", name="$four"))
    assert copies(made) == 1
    assert not any("It was left" in words for words in told(made))


@pytest.mark.parametrize("key", ["👍", "moving", "", "❤️"])
async def test_what_is_no_answer_leaves_the_question_open(key: str) -> None:
    made = world()
    event = await asked(made)
    await made.hear_and_settle(tap(event, key), tap(EventId("$other"), "➡️", name="$two"))
    assert copies(made) == 0
    assert await waits(made)


async def test_nobody_answers_for_somebody_else() -> None:
    made = world()
    event = await asked(made)
    await made.hear_and_settle(tap(event, "➡️", by=UserId("@eve:force.example")))
    assert copies(made) == 0
    assert await waits(made)


async def test_it_waits_through_a_restart_and_is_asked_once() -> None:
    made = world()
    event = await asked(made)
    made.clock.move(60_000)
    made.restart()
    await made.settler.settle_once()
    assert len(told(made)) == 1
    assert await waits(made)
    await made.hear_and_settle(tap(event, "➡️"))
    assert copies(made) == 1


async def test_a_question_that_nobody_answers_tells_the_supervisor_and_not_what_it_said() -> None:
    made = world()
    event = await asked(made)
    made.clock.move(CHOICE_MS - 1)
    await made.settler.settle_once()
    assert await waits(made)
    made.clock.move(1)
    for _ in range(2):
        await made.settler.settle_once()
    sergeant = RoomId(f"!direct-{SERGEANT}")
    (words,) = [one.post.body for one in made.sent if one.post and one.room == sergeant]
    assert "has not said whether to move it. It was left." in words
    assert "AB12" not in words
    assert "Acacia" not in words
    assert await made.store.owed() == ()
    await made.hear_and_settle(tap(event, "➡️"))
    assert copies(made) == 0, "it is too late"


async def test_where_nobody_supervises_the_reviewers_hear_of_it() -> None:
    made = world(supervised=False)
    await asked(made)
    made.clock.move(CHOICE_MS)
    for _ in range(2):
        await made.settler.settle_once()
    (words,) = [one.post.body for one in made.sent if one.post and one.room == REVIEW]
    assert "its sender has not said whether to move it" in words
    assert "AB12" not in words


def test_a_question_is_open_for_less_long_than_its_message_can_be_read_again() -> None:
    assert CHOICE_MS < OLDEST_MS


async def test_the_same_words_again_ask_nothing_more_and_do_not_say_that_they_were_moved() -> None:
    made = world()
    await asked(made)
    assert await stopped(made, say("$b", OPERATIONAL), times=1)
    assert await stopped(made, say("$c", OPERATIONAL), times=2)
    assert len(told(made)) == 2
    assert "moved already" not in told(made)[-1]


async def test_who_is_in_the_secure_room_is_not_asked() -> None:
    made = world()
    made.transport.outside.clear()
    assert await stopped(made, say("$a", OPERATIONAL))
    assert copies(made) == 1
    assert not await waits(made)


async def test_what_was_delivered_after_all_is_not_copied_again_by_a_late_answer() -> None:
    made = world()
    event = await asked(made)
    await made.hear_and_settle(say("$a", OPERATIONAL))
    assert copies(made) == 1
    assert not await waits(made)
    await made.hear_and_settle(tap(event, "➡️"))
    assert copies(made) == 1


async def test_under_the_brake_an_answer_waits_and_is_carried_out_after_it() -> None:
    made = world()
    event = await asked(made)
    await made.store.append([Braked(room=SOCIAL, on=True, by="gwen", reason="wait")])
    await made.hear_and_settle(tap(event, "➡️"))
    assert copies(made) == 0
    await made.store.append([Braked(room=SOCIAL, on=False, by="gwen", reason="go")])
    await made.settler.settle_once()
    assert copies(made) == 1
