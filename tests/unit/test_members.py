"""What people say by a reaction, hints that add up, and support for somebody in distress."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Kind, Message, Ms, Queue, RoomClass, RoomId, UserId
from bridge.way import members
from bridge.way.owing import NUDGE_MS, SUPPORT_MS, _asked
from tests.making import ASHA, NOON, REVIEW, SECURE, SOCIAL, say
from tests.unit.test_pipeline import OPERATIONAL, POLICY, ROOMS, World

GWEN, BEN = UserId("@gwen:force.example"), UserId("@ben:force.example")
#: Nothing in it is for a rule: only people know that it is about work.
VAGUE = "he is kicking off again, same place"
WEAK = "MG11 is done"
PLATE = "LK19 ZXP"
DISTRESS = "can't stop thinking about that baby. haven't slept since"


def town() -> World:
    world = World()
    world.rooms[SOCIAL] = replace(ROOMS[SOCIAL], supervisor=GWEN)
    world.pipeline.peer_support = True
    return world


def react(
    event: str, to: str, by: UserId, key: str = "🚨", *, room: RoomId = SOCIAL, at: Ms = NOON
) -> Message:
    relation = {"rel_type": "m.annotation", "event_id": to, "key": key}
    content = json.dumps({"m.relates_to": relation}).encode()
    own = say(event, "", room=room, sender=by, at=at)
    return replace(own, kind=Kind.OTHER, type="m.reaction", content=content, ciphertext=b"")


async def test_the_supervisors_mark_moves_a_message_that_no_rule_saw() -> None:
    world = town()
    await world.hear_and_settle(say("$a", VAGUE))
    assert world.sent == []
    await world.hear_and_settle(react("$r", "$a", GWEN))
    assert world.done() == [("posted", SECURE), ("removed", "$a"), ("posted", f"!direct-{ASHA}")]
    copy, _, note = world.sent
    assert copy.post is not None
    assert VAGUE in copy.post.body
    assert copy.post.body.startswith("PC Asha Khan wrote in Response A social at 12:00:")
    assert note.post is not None
    assert "the room's supervisor marked it as operational" in note.post.body
    (verdict,) = [inside for kind, inside in kinds(world) if kind == "verdict"]
    assert verdict["rule"] == members.SUPERVISOR


def kinds(world: World) -> list[tuple[str, dict[str, str | int]]]:
    return [(kind, header) for kind, header, _ in world.ledger()]


async def test_a_mark_that_is_spelt_for_a_coloured_picture_counts_the_same() -> None:
    world = town()
    await world.hear_and_settle(say("$a", VAGUE), react("$r", "$a", GWEN, "🚨\ufe0f"))
    assert ("removed", "$a") in world.done()


async def test_the_supervisors_mark_takes_what_people_read_now_and_leaves_no_edit_behind() -> None:
    world = town()
    await world.hear_and_settle(say("$a", "later"), say("$e", VAGUE, replaces="$a"))
    await world.hear_and_settle(react("$r", "$a", GWEN))
    assert [s.removed for s in world.sent if s.removed] == ["$e", "$a"]
    assert world.sent[0].post is not None
    assert VAGUE in world.sent[0].post.body


async def test_a_members_mark_asks_and_moves_nothing() -> None:
    world = town()
    await world.hear_and_settle(say("$a", VAGUE))
    await world.hear_and_settle(react("$r", "$a", BEN))
    assert world.done() == [("posted", REVIEW)]
    (asked,) = world.sent
    assert asked.post is not None
    assert "Response A social" in asked.post.body
    assert "%24a" in asked.post.formatted
    assert "kicking off" not in asked.post.body + asked.post.formatted


async def test_a_second_members_mark_does_not_ask_again_and_the_supervisor_still_may() -> None:
    world = town()
    await world.hear_and_settle(say("$a", VAGUE), react("$r", "$a", BEN))
    await world.hear_and_settle(react("$s", "$a", ASHA))
    assert world.done() == [("posted", REVIEW)]
    await world.hear_and_settle(react("$t", "$a", GWEN))
    assert ("removed", "$a") in world.done()


@pytest.mark.parametrize(
    "mark",
    [
        react("$r", "$a", GWEN, "👍"),
        react("$r", "$never-seen", GWEN),
        react("$r", "$elsewhere", GWEN),
        react("$r", "$own", GWEN),
        react("$r", "$a", GWEN, room=SECURE),
        replace(react("$r", "$a", GWEN), suspect=True, doubt="odd"),
        replace(react("$r", "$a", GWEN), content=b'{"m.relates_to":{"event_id":"$a","key":"x"}}'),
    ],
    ids=["another", "unknown", "elsewhere", "the bot's", "not judged", "suspect", "not a mark"],
)
async def test_a_mark_that_is_none_of_this_room_moves_nothing(mark: Message) -> None:
    world = town()
    world.rooms[RoomId("!b")] = replace(ROOMS[SOCIAL], id=RoomId("!b"), supervisor=BEN)
    bot = world.transport.user
    await world.hear_and_settle(
        say("$a", VAGUE), say("$own", "hello", sender=bot),
        say("$elsewhere", VAGUE, room=RoomId("!b")),
    )  # fmt: skip
    await world.hear_and_settle(mark)
    assert [s for s in world.sent if s.removed or s.room == SECURE] == []
    assert world.kinds().count("event") == 1, "it is on record all the same"


async def test_a_mark_on_what_has_been_moved_already_does_nothing() -> None:
    world = town()
    await world.hear_and_settle(say("$a", OPERATIONAL))
    before = len(world.sent)
    await world.hear_and_settle(react("$r", "$a", GWEN), react("$s", "$a", BEN))
    assert len(world.sent) == before


async def test_a_mark_on_what_could_not_be_read_asks_a_person() -> None:
    world = town()
    await world.hear(world.transport.lock(say("$a", VAGUE)))
    await world.hear_and_settle(react("$r", "$a", GWEN))
    assert world.done() == [("posted", REVIEW)]


async def test_a_batch_with_a_mark_that_comes_twice_moves_once() -> None:
    world = town()
    batch = world.transport.say(say("$a", VAGUE), react("$r", "$a", GWEN))
    await world.pipeline.handle(batch)
    await world.pipeline.handle(batch)
    await world.settler.settle_once()
    assert world.kinds().count("verdict") == 1


@given(st.binary(max_size=60), st.text(max_size=5))
def test_no_content_of_a_reaction_is_more_than_it_can_take(raw: bytes, key: str) -> None:
    mark = replace(react("$r", "$a", GWEN, "x"), content=raw)
    assert members.marked(mark, {"🚨"}) is None
    assert members.marked(react("$r", "$a", GWEN, "🚨" + key), frozenset()) is None


# Hints


async def test_three_weak_hints_in_a_minute_count_as_a_strong_one() -> None:
    world = town()
    for n in range(2):
        await world.hear_and_settle(say(f"${n}", WEAK, at=Ms(NOON + n * 1000)))
    assert world.sent == []
    await world.hear_and_settle(say("$2", WEAK, at=Ms(NOON + 2000)))
    assert ("removed", "$2") in world.done()
    verdicts = [inside for kind, _, inside in world.ledger() if kind == "verdict"]
    named = {inside["event_id"]: header["rid"] for kind, header, inside in world.ledger()
             if kind == "message"}  # fmt: skip
    assert verdicts[-1]["hints"] == [named["$0"], named["$1"]]


async def test_hints_of_one_batch_count_as_well() -> None:
    world = town()
    await world.hear_and_settle(*(say(f"${n}", WEAK) for n in range(3)))
    assert ("removed", "$2") in world.done()


async def test_two_weak_hints_may_be_chance() -> None:
    world = town()
    await world.hear_and_settle(say("$0", WEAK), say("$1", WEAK))
    assert world.sent == []


@pytest.mark.parametrize(
    "other", [{"sender": BEN}, {"at": Ms(NOON + 61_000)}], ids=["another person", "later"]
)
async def test_hints_of_others_or_of_long_ago_do_not_count(other: dict[str, object]) -> None:
    world = town()
    await world.hear_and_settle(say("$0", WEAK), say("$1", WEAK), say("$2", WEAK, **other))  # type: ignore[arg-type]
    assert world.sent == []


async def test_after_a_restart_earlier_hints_are_forgotten() -> None:
    world = town()
    await world.hear_and_settle(say("$0", WEAK), say("$1", WEAK))
    world.restart()
    await world.hear_and_settle(say("$2", WEAK))
    assert world.sent == []


# Distress


async def test_somebody_in_distress_is_offered_support_and_nobody_else_is_told() -> None:
    world = town()
    await world.hear_and_settle(say("$a", DISTRESS))
    (note,) = world.sent
    assert note.room == f"!direct-{ASHA}"
    assert note.post is not None
    assert note.post.body.startswith("That sounds heavy. Nobody has been told.")
    assert not note.post.sounds


async def test_support_is_offered_once_a_day() -> None:
    world = town()
    await world.hear_and_settle(say("$a", DISTRESS))
    await world.hear_and_settle(say("$b", DISTRESS, at=Ms(NOON + NUDGE_MS)))
    await world.hear_and_settle(say("$c", DISTRESS, sender=BEN))
    assert [s.room for s in world.sent] == [f"!direct-{ASHA}", f"!direct-{BEN}"]
    await world.hear_and_settle(say("$d", DISTRESS, at=Ms(NOON + SUPPORT_MS)))
    assert len(world.sent) == 3


async def test_distress_about_a_job_is_never_moved_or_referred() -> None:
    world = town()
    await world.hear_and_settle(say("$a", f"obs still on, custody. {DISTRESS}"))
    assert [s for s in world.sent if s.removed or s.room in {SECURE, REVIEW}] == []


@pytest.mark.parametrize("words", [DISTRESS, f"I feel suicidal after that job, {PLATE}"])
async def test_no_mark_moves_or_refers_what_somebody_in_distress_said(words: str) -> None:
    world = town()
    await world.hear_and_settle(say("$a", words))
    await world.hear_and_settle(react("$r", "$a", BEN), react("$s", "$a", GWEN))
    assert [s for s in world.sent if s.removed or s.room in {SECURE, REVIEW}] == []
    assert all("referrals" not in header for kind, header in kinds(world) if kind == "verdict")


@pytest.mark.parametrize("distress_first", [True, False])
async def test_what_somebody_in_distress_said_goes_along_with_nothing(distress_first: bool) -> None:
    world = town()
    distress = say("$a", f"I feel suicidal after that job, {PLATE}")
    moved = say("$b", f"run {PLATE}, suspect's in it", at=Ms(NOON + 20_000))
    if distress_first:
        await world.hear_and_settle(distress, moved)
    else:
        moved = replace(moved, sent_at=NOON)
        await world.hear_and_settle(moved, replace(distress, sent_at=Ms(NOON + 20_000)))
    assert [s.removed for s in world.sent if s.removed] == ["$b"]


async def test_a_force_that_names_nobody_offers_nothing() -> None:
    world = town()
    world.pipeline.peer_support = False
    await world.hear_and_settle(say("$a", DISTRESS))
    assert world.sent == []


def test_the_shipped_policy_has_a_mark_and_a_rule_for_distress() -> None:
    assert POLICY.reactions == {"🚨"}
    verdict = POLICY.judge(say("$a", DISTRESS), RoomClass.SOCIAL)
    assert POLICY.sees_distress(verdict)
    assert not POLICY.sees_distress(POLICY.judge(say("$a", OPERATIONAL), RoomClass.SOCIAL))


def test_people_are_asked_once_about_what_should_not_wait() -> None:
    both = frozenset({Queue.PROFESSIONAL_STANDARDS, Queue.ESCALATED, Queue.MEMBERS})
    assert _asked(both) == [Queue.MEMBERS, Queue.ESCALATED]
    assert _asked(both - {Queue.ESCALATED}) == [Queue.MEMBERS, Queue.PROFESSIONAL_STANDARDS]
