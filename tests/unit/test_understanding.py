"""A model beside the rules, from the message to what is done about it, without a homeserver."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import cast

import msgspec
import pytest

from bridge.model import Action, Kind, Message, Ms, UserId
from bridge.policy import Policy
from bridge.policy.load import load
from bridge.policy.meaning import OPERATIONAL, Taking
from bridge.understand.model import Asked, Belief
from bridge.understand.stage import Understanding
from bridge.way.pipeline import Pipeline
from bridge.way.rereading import Rereading
from tests.making import ASHA, NOON, SECURE, SOCIAL, say
from tests.unit.policy.shipped import shipped_files
from tests.unit.policy.test_meaning import MODEL, TERMS
from tests.unit.test_pipeline import OPERATIONAL as MOVED
from tests.unit.test_pipeline import World

TALK = "purple it was, would you believe"
HINTED = "so she's not going on the statement as the one who said it"
BEN = UserId("@ben:force.example")
#: Far longer than anything here takes: what waits so long waits for what never comes.
LONG_S = 120.0


class Sure:
    """Believes of every message what it is told to, once it is let go on."""

    def __init__(self, operational: float) -> None:
        self.operational = operational
        self.asked: list[Asked] = []
        self.go = threading.Event()
        self.go.set()

    def judge(self, asked: Sequence[Asked]) -> list[Belief]:
        self.go.wait(LONG_S)
        self.asked += asked
        sure = [self.operational if "milk" not in one.body else 0.01 for one in asked]
        return [Belief(operational=one, concern=0.0) for one in sure]


class Followed:
    """What is read late, and whether everything that was handed out was followed to its end."""

    def __init__(self, reader: Understanding) -> None:
        self._reader = reader
        self.done = True
        self.relieved = reader.relieved

    async def late(self) -> AsyncIterator[tuple[Message, Belief | None]]:
        async for one in self._reader.late():
            self.done = False
            yield one
            self.done = True

    @property
    def over(self) -> bool:
        return self.done and not self._reader.waiting and self._reader._late.empty()


class Beside(World):
    """The same world, with a model beside the rules."""

    def __init__(self, sure: float, *, budget_s: float = LONG_S, waiting: int = 2_000) -> None:
        super().__init__()
        self.model = Sure(sure)
        self.decides: Policy = load({**shipped_files(), "model.yaml": TERMS.encode()}).with_model(
            MODEL
        )
        self.reader = Understanding(model=self.model, budget_s=budget_s, most_waiting=waiting)
        self.pipeline = Pipeline(
            transport=self.transport, store=self.store, policy=lambda: self.decides,
            rooms=self.rooms, review=self.pipeline.review, wake=self.settler.wake,
            understanding=self.reader,
        )  # fmt: skip

    async def read_late(self, count: int) -> None:
        """Let the model go on, and follow it to the end: *count* more are on record."""
        followed = Followed(self.reader)
        following = Rereading(
            understanding=cast("Understanding", followed), pipeline=self.pipeline, store=self.store
        )
        before = len(self.verdicts())
        self.model.go.set()
        task = asyncio.ensure_future(following.run())
        async with asyncio.timeout(LONG_S):
            while not followed.over:  # noqa: ASYNC110 - a thread tells nobody that it has read
                await asyncio.sleep(0.01)
        task.cancel()
        assert len(self.verdicts()) == before + count
        await self.settler.settle_once()

    def verdicts(self) -> list[tuple[str, str]]:
        """(action, rule) of every verdict on record."""
        return [
            (str(header["action"]), str(header.get("rule", "")))
            for kind, header, _ in self.ledger()
            if kind == "verdict"
        ]


@pytest.fixture
async def worlds() -> AsyncIterator[list[Beside]]:
    found: list[Beside] = []
    yield found
    for world in found:
        world.model.go.set()
        world.reader.close()


def beside(worlds: list[Beside], sure: float, **more: float) -> Beside:
    worlds.append(Beside(sure, **more))  # type: ignore[arg-type]
    return worlds[-1]


async def test_talk_that_names_nothing_is_nudged_and_stays(worlds: list[Beside]) -> None:
    world = beside(worlds, 0.95)
    await world.hear_and_settle(say("$a", TALK))
    assert world.done() == [("posted", f"!direct-{ASHA}")]
    (note,) = world.sent
    assert note.post is not None
    assert "purple" not in note.post.body
    assert world.verdicts() == [("nudge", OPERATIONAL)]
    _, header, inside = next(one for one in world.ledger() if one[0] == "verdict")
    assert header["revision"] == world.decides.revision
    assert OPERATIONAL in msgspec.json.encode(inside).decode()


async def test_with_a_rules_weak_sign_it_is_moved(worlds: list[Beside]) -> None:
    world = beside(worlds, 0.85)
    await world.hear_and_settle(say("$a", HINTED))
    assert world.done()[:2] == [("posted", SECURE), ("removed", "$a")]
    moved = next(s.post for s in world.sent if s.post and s.room == f"!direct-{ASHA}")
    assert "it reads like talk about a job" in moved.body
    assert "statement" not in moved.body


async def test_after_a_colleague_was_moved_for_what_he_said_it_is_moved(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.85)
    await world.hear(say("$a", MOVED, sender=BEN))
    await world.hear_and_settle(say("$b", TALK, at=Ms(NOON + 20_000)))
    assert ("removed", "$b") in world.done()
    hints = [header.get("hints") or inside.get("hints") for kind, header, inside in world.ledger()
             if kind == "verdict"]  # fmt: skip
    assert hints[-1], "the record says what counted"


async def test_it_is_told_what_was_said_before_in_that_room(worlds: list[Beside]) -> None:
    world = beside(worlds, 0.1)
    await world.hear(say("$a", MOVED, sender=BEN), say("$b", "milk"))
    await world.hear(say("$c", "where was he"))
    assert world.model.asked[-1] == Asked("where was he", ("milk",)), (
        "what was moved is no part of the talk that goes on"
    )


async def test_what_rules_move_and_what_it_cannot_judge_is_not_asked(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.99)
    secure = say("$s", TALK, room=SECURE)
    bot = say("$o", TALK, sender=world.transport.user)
    await world.hear(say("$a", MOVED), secure, bot, say("$u", kind=Kind.UNREADABLE), say("$e", " "))
    assert world.model.asked == []


async def test_a_batch_that_comes_twice_is_asked_once(worlds: list[Beside]) -> None:
    world = beside(worlds, 0.95)
    batch = world.transport.say(say("$a", TALK))
    await world.pipeline.handle(batch)
    await world.pipeline.handle(batch)
    assert len(world.model.asked) == 1


async def test_answered_late_it_is_judged_again_after_it_was_recorded(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.85, budget_s=0.02)
    world.model.go.clear()
    await world.hear_and_settle(say("$a", HINTED))
    assert world.model.asked == [], "it was not waited for"
    assert ("removed", "$a") not in world.done()
    first = len(world.verdicts())
    await world.read_late(1)
    assert world.verdicts()[first:] == [("redirect", OPERATIONAL)]
    assert world.done()[-3:-1] == [("posted", SECURE), ("removed", "$a")]


async def test_answered_late_and_moved_meanwhile_nothing_is_done_twice(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.95, budget_s=0.02)
    world.model.go.clear()
    await world.hear(say("$a", TALK))
    await world.hear_and_settle(say("$e", MOVED, replaces="$a"))
    done = world.done()
    await world.read_late(0)
    assert world.done() == done
    assert world.verdicts()[-1][0] == "redirect"


async def test_answered_late_with_nothing_more_to_say_leaves_no_record(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.2, budget_s=0.02)
    world.model.go.clear()
    await world.hear(say("$a", TALK))
    kinds = world.kinds()
    await world.read_late(0)
    assert world.kinds() == kinds == ["message"]


async def test_a_flood_never_holds_up_intake(worlds: list[Beside]) -> None:
    """Three hundred messages in thirty batches are on record while the model has read none."""
    world = beside(worlds, 0.95, budget_s=0.05, waiting=50)
    world.model.go.clear()
    for batch in range(30):
        await world.hear(*(say(f"${batch}-{n}", f"{TALK} {n}") for n in range(10)))
        world.reader.budget_s = LONG_S  # the first batch alone waits, and it waited in vain
    assert world.kinds().count("message") == 300
    assert world.model.asked == [], "the model has read none"
    assert world.reader.count.passed_over == 250
    await world.read_late(50)
    assert world.verdicts() == [("nudge", OPERATIONAL)] * 50
    notes = [inside["text"] for kind, _, inside in world.ledger() if kind == "note"]
    assert notes == [
        "250 messages were judged by rules alone: more came at once than the language model can "
        "read"
    ]


async def test_what_the_gate_asked_about_is_not_asked_again_when_it_is_delivered(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.95)
    assert not await world.pipeline.stop(say("$a", TALK)), "a nudge stops nothing"
    await world.hear(say("$a", TALK))
    assert len(world.model.asked) == 1
    assert world.verdicts() == [("nudge", OPERATIONAL)]


async def test_what_the_model_says_too_late_for_the_gate_counts_once_it_is_delivered(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.95, budget_s=0.05)
    world.model.go.clear()
    assert not await world.pipeline.stop(say("$a", TALK))
    await world.read_late(0)
    assert world.verdicts() == []
    world.reader.budget_s = LONG_S
    await world.hear(say("$a", TALK))
    assert world.verdicts() == [("nudge", OPERATIONAL)]


async def test_the_gate_stops_what_the_model_moves(worlds: list[Beside]) -> None:
    world = beside(worlds, 0.85)
    assert await world.pipeline.stop(say("$a", HINTED))
    assert world.verdicts() == [("redirect", OPERATIONAL)]


async def test_a_members_mark_moves_what_the_model_nudged(worlds: list[Beside]) -> None:
    world = beside(worlds, 0.7)
    world.decides = replace(world.decides, reactions=frozenset({"🚨"}))
    await world.hear(say("$a", TALK))
    await world.hear_and_settle(mark("$r", "$a"))
    assert world.verdicts() == [("nudge", OPERATIONAL), ("redirect", "member.agrees")]
    assert ("removed", "$a") in world.done()


async def test_a_members_mark_on_what_the_model_let_be_asks_the_supervisor(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.2)
    world.decides = replace(world.decides, reactions=frozenset({"🚨"}))
    await world.hear(say("$a", TALK))
    await world.hear_and_settle(mark("$r", "$a"))
    assert world.verdicts() == [("allow", "member.asks")]


async def test_a_members_mark_moves_nothing_where_the_model_may_only_nudge(
    worlds: list[Beside],
) -> None:
    world = beside(worlds, 0.7)
    files = {**shipped_files(), "model.yaml": TERMS.replace("enforce", "nudge").encode()}
    world.decides = replace(load(files), reactions=frozenset({"🚨"})).with_model(MODEL)
    await world.hear(say("$a", TALK))
    await world.hear_and_settle(mark("$r", "$a"))
    assert world.verdicts()[-1] == ("nudge", "member.asks")


async def test_the_same_talk_gets_the_same_verdicts_in_one_batch_and_in_many(
    worlds: list[Beside],
) -> None:
    said = [say(f"${n}", words, at=Ms(NOON + 70_000 * n))
            for n, words in enumerate((TALK, "milk", HINTED, MOVED, "who knows"))]  # fmt: skip
    together, apart = beside(worlds, 0.85), beside(worlds, 0.85)
    await together.hear(*said)
    for one in said:
        await apart.hear(one)
    assert together.verdicts() == apart.verdicts()
    assert together.model.asked == apart.model.asked


async def test_policy_with_another_model_decides_at_once(worlds: list[Beside]) -> None:
    world = beside(worlds, 0.85)
    await world.hear(say("$a", TALK))
    other = Taking(digest="f" * 64, operational=MODEL.operational, concern=MODEL.concern)
    world.decides = world.decides.with_model(other)
    await world.hear(say("$b", TALK, sender=BEN))
    revisions = [header["revision"] for kind, header, _ in world.ledger() if kind == "verdict"]
    assert len(set(revisions)) == 2
    assert all(action is not Action.QUARANTINE.name for action, _ in world.verdicts())


def mark(event: str, about: str) -> Message:
    relation = {"rel_type": "m.annotation", "event_id": about, "key": "🚨"}
    content = msgspec.json.encode({"m.relates_to": relation})
    bare = say(event, "", sender=BEN, kind=Kind.OTHER)
    return replace(bare, type="m.reaction", content=content, room=SOCIAL)


DOMESTIC = "the neighbours are having a domestic about a hedge"


def stepping_back(worlds: list[Beside], sure: float, **more: float) -> Beside:
    world = beside(worlds, sure, **more)
    terms = TERMS.replace("nudge: 0.6,", "nudge: 0.6, only_ask: 0.1, let_be: 0.06,")
    files = {**shipped_files(), "model.yaml": terms.encode()}
    world.decides = load(files).with_model(MODEL)
    return world


async def test_what_the_model_lets_be_is_moved_by_nothing_that_comes_next(
    worlds: list[Beside],
) -> None:
    world = stepping_back(worlds, 0.01)
    for number, words in enumerate((DOMESTIC, DOMESTIC, HINTED)):
        await world.hear_and_settle(say(f"${number}", words, at=Ms(NOON + 5_000 * number)))
    assert world.done() == []
    assert {action for action, _ in world.verdicts()} == {"allow"}


async def test_what_rules_are_not_sure_to_move_is_asked_about_where_the_model_sees_nothing(
    worlds: list[Beside],
) -> None:
    unsure = "custody on channel 4 is on again tonight"
    world, other = stepping_back(worlds, 0.01), stepping_back(worlds, 0.5)
    for each in (world, other):
        await each.hear_and_settle(say("$a", unsure))
    assert [action for action, _ in world.verdicts()] == ["nudge"]
    assert [action for action, _ in other.verdicts()] == ["redirect"]


async def test_a_belief_that_comes_late_takes_nothing_back(worlds: list[Beside]) -> None:
    world = stepping_back(worlds, 0.01, budget_s=0.0)
    world.model.go.clear()
    await world.hear_and_settle(say("$a", DOMESTIC))
    before = world.verdicts()
    assert [action for action, _ in before] == ["nudge"]
    await world.read_late(0)
    assert world.verdicts() == before
