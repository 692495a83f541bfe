"""The model is asked beside the rules, within its time, and never holds anything up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
from structlog.testing import capture_logs

from bridge.model import Message, RoomClass
from bridge.understand import stage
from bridge.understand.model import Asked, Belief
from bridge.understand.stage import Understanding
from tests.making import say

#: Far longer than anything here takes: what waits so long waits for what never comes.
LONG_S = 120.0


class Slow:
    """Believes what its first word says, once it is let go on."""

    def __init__(self, *, held: bool = False) -> None:
        self.asked: list[Asked] = []
        self.go = threading.Event()
        if not held:
            self.go.set()
        self.threads: set[str] = set()

    def judge(self, asked: Sequence[Asked]) -> list[Belief]:
        self.threads.add(threading.current_thread().name)
        self.go.wait(LONG_S)
        self.asked += asked
        if any("broken" in one.body for one in asked):
            raise ValueError(asked[0].body)
        return [
            Belief(operational=0.5, concern=0.1, read="unread" not in one.body) for one in asked
        ]


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    found = Slow(held=True)
    yield found
    found.go.set()


def always(_message: Message, _cls: RoomClass) -> bool:
    return True


def social(*messages: Message) -> list[tuple[Message, RoomClass]]:
    return [(message, RoomClass.SOCIAL) for message in messages]


async def test_what_is_answered_in_time_is_given_at_once() -> None:
    model = Slow()
    understanding = Understanding(model=model, budget_s=LONG_S)
    found = await understanding.of(social(say("$a", "one"), say("$b", "two")), always)
    assert set(found) == {"$a", "$b"}
    assert model.asked == [Asked("one"), Asked("two", ("one",))]
    assert all(name.startswith("model") for name in model.threads)
    assert len(model.threads) == 1
    understanding.close()


async def test_only_what_is_wanted_is_asked_and_remembered() -> None:
    model = Slow()
    understanding = Understanding(model=model, budget_s=LONG_S)
    said = social(say("$a", "rules moved this"), say("$b", "two"))
    await understanding.of(said, lambda message, _: message.event_id == "$b")
    assert model.asked == [Asked("two", ())]
    understanding.close()


async def test_what_is_not_answered_in_time_comes_later(slow: Slow) -> None:
    understanding = Understanding(model=slow, budget_s=0.02)
    assert await understanding.of(social(say("$a"), say("$b")), always) == {}
    assert slow.asked == [], "it was not waited for"
    assert understanding.waiting == 2
    slow.go.set()
    late = understanding.late()
    events = [(await anext(late))[0].event_id for _ in range(2)]
    assert events == ["$a", "$b"]
    assert (understanding.waiting, understanding.count.late) == (0, 2)
    understanding.close()


async def test_who_is_behind_is_not_waited_for(slow: Slow) -> None:
    understanding = Understanding(model=slow, budget_s=0.05)
    await understanding.of(social(say("$a")), always)
    understanding.budget_s = LONG_S
    async with asyncio.timeout(LONG_S / 2):  # not so much as the budget of one
        for number in range(100):
            assert await understanding.of(social(say(f"${number}")), always) == {}
    assert slow.asked == []
    slow.go.set()
    understanding.close()


async def test_the_loop_goes_on_while_the_model_thinks(slow: Slow) -> None:
    understanding = Understanding(model=slow, budget_s=LONG_S)
    asking = asyncio.ensure_future(understanding.of(social(say("$a")), always))
    async with asyncio.timeout(LONG_S / 2):
        while not slow.threads:  # noqa: ASYNC110 - a thread tells nobody that it has begun
            await asyncio.sleep(0.005)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (asking.done(), slow.asked) == (False, [])
    slow.go.set()
    assert set(await asking) == {"$a"}
    understanding.close()


async def test_of_a_flood_only_so_many_wait_and_the_rest_is_counted_and_said_once(
    slow: Slow,
) -> None:
    understanding = Understanding(model=slow, budget_s=0.01, most_waiting=5)
    with capture_logs() as logs:
        await understanding.of(social(*(say(f"${n}") for n in range(50))), always)
    assert understanding.waiting == 5
    assert understanding.count.passed_over == 45
    assert [entry["event"] for entry in logs] == ["model.too_much"]
    assert understanding.relieved() == 0, "it is not over yet"
    slow.go.set()
    late = understanding.late()
    for _ in range(5):
        await anext(late)
    assert understanding.relieved() == 45
    assert understanding.relieved() == 0, "it is said once"
    understanding.close()


async def test_of_a_flood_of_long_messages_only_so_many_bytes_wait(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "MOST_BYTES", 1_000_000)
    understanding = Understanding(model=slow, budget_s=0.01)
    await understanding.of(social(*(say(f"${n}", "a" * 65_536) for n in range(50))), always)
    assert understanding.waiting < 10
    assert understanding._bytes <= 1_000_000
    slow.go.set()
    late = understanding.late()
    while understanding.waiting:
        await anext(late)
    assert understanding._bytes == 0
    understanding.close()


async def test_a_model_that_fails_is_counted_and_its_words_are_in_no_log() -> None:
    understanding = Understanding(model=Slow(), budget_s=LONG_S)
    with capture_logs() as logs:
        found = await understanding.of(social(say("$a", "broken AB12"), say("$b", "ok")), always)
    assert set(found) == {"$b"}
    assert understanding.count.failed == 1
    assert "AB12" not in str(logs)
    understanding.close()


async def test_a_message_that_it_cannot_read_gets_no_belief() -> None:
    understanding = Understanding(model=Slow(), budget_s=LONG_S)
    assert await understanding.of(social(say("$a", "unread")), always) == {}
    understanding.close()


async def test_what_waits_when_it_is_closed_is_let_go(slow: Slow) -> None:
    understanding = Understanding(model=slow, budget_s=0.01)
    await understanding.of(social(*(say(f"${n}") for n in range(20))), always)
    understanding.close()
    slow.go.set()
    async with asyncio.timeout(LONG_S):
        while understanding.waiting:  # noqa: ASYNC110 - it is let go, and nobody hears of it
            await asyncio.sleep(0.01)
    assert len(slow.asked) <= 2
