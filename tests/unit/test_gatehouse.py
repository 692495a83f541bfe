"""What the gate is told, and what happens when it did not hear in time, without a homeserver."""

from __future__ import annotations

import asyncio
import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.model import EventId, Kind, Media, Message, Ms, RoomId, UserId
from bridge.policy.load import load
from bridge.way.gatehouse import PASS, STOP, UNREAD, Gatehouse
from bridge.way.repeats import SAME_MS, Repeats
from tests.making import ASHA, SECURE, SOCIAL, say
from tests.unit.policy.shipped import shipped_files
from tests.unit.policy.test_meaning import MODEL, TERMS
from tests.unit.test_pipeline import OPERATIONAL, World
from tests.unit.test_understanding import LONG_S, TALK, Beside

DIRECT = RoomId(f"!direct-{ASHA}")


def gone(world: World) -> list[str]:
    return [which for what, which in world.done() if what == "removed"]


def told(world: World) -> list[str]:
    return [sent.post.body for sent in world.sent if sent.post and sent.room == DIRECT]


def copies(world: World) -> int:
    return sum(1 for sent in world.sent if sent.post and sent.room == SECURE)


async def stopped(world: World, message: Message, **how: Any) -> bool:
    """Ask as the gate does; what is owed is done."""
    world.transport.say(message)  # so that it can be read again from its ciphertext
    stop = await world.pipeline.stop(message, **how)
    await world.settler.settle_once()
    return stop


async def test_what_is_stopped_is_copied_and_explained_and_nothing_is_taken_out() -> None:
    world = World()
    assert await stopped(world, say("$a", OPERATIONAL))
    assert copies(world) == 1
    assert gone(world) == []
    assert "was not delivered" in told(world)[0]
    message = next(inside for kind, _, inside in world.ledger() if kind == "message")
    assert message["origin"] == "stopped at the gate"


async def test_what_was_delivered_after_all_is_taken_out_and_its_sender_hears_the_truth() -> None:
    """The gate waited too long, or the bot died between the record and the answer."""
    world = World()
    message = say("$a", OPERATIONAL)
    assert await stopped(world, message)
    world.restart()
    await world.hear_and_settle(message)
    assert gone(world) == ["$a"]
    assert copies(world) == 1, "it is in the secure room already"
    assert "Colleagues may have seen it" in told(world)[-1]
    assert await world.store.owed() == ()
    await world.hear_and_settle(message)
    assert gone(world) == ["$a"]


async def test_what_came_again_after_it_was_moved_as_ever_owes_nothing_more() -> None:
    world = World()
    message = say("$a", OPERATIONAL)
    await world.hear_and_settle(message)
    records = len(world.store.records)
    await world.hear_and_settle(message)
    assert len(world.store.records) == records


async def test_an_answer_that_comes_too_late_stops_nothing_and_is_judged_once() -> None:
    world = World()
    message = say("$a", OPERATIONAL)
    assert not await stopped(world, message, too_late=lambda: True)
    assert world.store.records == []
    await world.hear_and_settle(message)
    assert gone(world) == ["$a"]
    assert world.kinds().count("verdict") == 1


async def test_a_stopped_edit_changes_nothing_about_what_it_would_have_edited() -> None:
    world = World()
    await world.hear_and_settle(say("$a", "who wants tea?"))
    assert await stopped(world, say("$e", OPERATIONAL, replaces="$a"))
    harmless = say("$f", "who wants coffee?", replaces="$a")
    assert not await stopped(world, harmless)
    await world.hear_and_settle(harmless)
    assert gone(world) == []
    known = await world.store.known([EventId("$a")])
    assert known[EventId("$a")].rule is None


async def test_the_file_of_a_stopped_message_is_kept() -> None:
    world = World()
    world.transport.files["mxc://x/1"] = b"sealed"
    photo = dataclasses.replace(
        say("$a", OPERATIONAL), kind=Kind.MEDIA, media=(Media(part="file", url="mxc://x/1"),)
    )
    assert await stopped(world, photo)
    assert "media" in world.kinds()


async def test_the_same_ciphertext_again_is_the_same_answer_and_no_new_record() -> None:
    world = World()
    first = dataclasses.replace(say("$a", OPERATIONAL), session="s", index=3)
    assert await stopped(world, first)
    records = len(world.store.records)
    assert await stopped(world, dataclasses.replace(first, event_id=EventId("$again")))
    assert len(world.store.records) == records


async def test_somebody_elses_ciphertext_stops_nothing() -> None:
    world = World()
    first = dataclasses.replace(say("$a", OPERATIONAL), session="s", index=3)
    assert await stopped(world, first)
    replay = dataclasses.replace(first, event_id=EventId("$r"), sender=UserId("@eve:x"))
    assert not await stopped(world, replay)


async def test_what_is_withheld_twice_is_not_said_to_have_been_moved() -> None:
    world = World()
    words = "SECRET//EYES ONLY: the raid is at nine"
    message = say("$a", words)
    assert await stopped(world, message)
    assert "was not copied anywhere" in told(world)[0].replace("It was not", "was not")
    assert await stopped(world, say("$b", words), times=1)
    assert copies(world) == 0
    assert "moved already" not in told(world)[-1]


async def test_a_rehearsal_delivers_it_and_the_record_says_that_it_would_have_been_stopped() -> (
    None
):
    world = World()
    world.rooms[SOCIAL] = dataclasses.replace(world.rooms[SOCIAL], rehearse=True)
    message, chat = say("$a", OPERATIONAL), say("$b", "who brings the milk?")
    assert not await stopped(world, message)
    assert not await stopped(world, chat)
    await world.hear_and_settle(message, chat)
    assert world.sent == []
    kept = {i["event_id"]: i.get("origin") for k, _, i in world.ledger() if k == "message"}
    assert kept == {"$a": "would have been stopped at the gate", "$b": None}
    outcomes = {h["status"] for k, h, _ in world.ledger() if k == "outcome"}
    assert outcomes == {"rehearsed"}


def beside_a_model() -> Beside:
    """A model that is sure of itself, and may move nothing alone."""
    world = Beside(0.9)
    terms = TERMS.replace(" move: 0.99,", "").encode()
    world.decides = load({**shipped_files(), "model.yaml": terms}).with_model(MODEL)
    return world


async def test_chat_waits_neither_for_the_batch_before_it_nor_for_a_model() -> None:
    """A model alone moves nothing, so that nobody has to wait for what it says."""
    world = beside_a_model()
    world.model.go.clear()
    slow = asyncio.create_task(world.hear(say("$a", TALK)))
    try:
        async with asyncio.timeout(LONG_S / 2):  # not so long as the model may take
            while not world.reader.waiting:  # noqa: ASYNC110 - nobody says that it has been asked
                await asyncio.sleep(0.01)
            assert not await stopped(world, say("$b", "who brings the milk?"))
            assert not await stopped(world, say("$c", TALK))
        assert not slow.done(), "it waits for the model"
    finally:
        world.model.go.set()
    await slow
    await world.hear_and_settle(say("$c", TALK))
    assert len(world.model.asked) == 2, "what was delivered is read as ever"


async def test_beside_a_second_ground_the_model_is_asked_before_it_is_delivered() -> None:
    world = beside_a_model()
    await world.hear_and_settle(say("$a", OPERATIONAL, sender=UserId("@ben:force.example")))
    assert await stopped(world, say("$b", TALK))
    assert copies(world) == 2
    assert world.model.asked[-1].body == TALK


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"room_id": 3, "sender": ASHA},
        {"room_id": SOCIAL, "sender": None},
        {"room_id": "!elsewhere", "sender": ASHA},
        {"room_id": SECURE, "sender": ASHA},
    ],
)
async def test_what_is_none_of_ours_passes(said: dict[str, Any]) -> None:
    assert await gatehouse(World(), None).check(said) == PASS


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No question takes any time, however busy this machine is."""
    monkeypatch.setattr("bridge.way.gatehouse.time", SimpleNamespace(monotonic=lambda: 0.0))


def gatehouse(world: World, message: Message | None) -> Gatehouse:
    async def foresee(room: RoomId, event: object, *, patience_s: float) -> Message | None:
        assert 0 < patience_s < 5
        return message

    return Gatehouse(
        foresee=foresee, pipeline=world.pipeline, room=world.pipeline.room,
        user=world.transport.user,
    )  # fmt: skip


@pytest.mark.parametrize("budget", [None, "3", True, -1, 10**9])
async def test_whatever_the_budget_it_is_answered(budget: object) -> None:
    world = World()
    asked = {"room_id": SOCIAL, "sender": ASHA, "budget_ms": budget}
    assert await gatehouse(world, None).check(asked) == UNREAD
    assert await gatehouse(world, say("$a", "milk?")).check(asked) == PASS


@pytest.mark.usefixtures("in_time")
async def test_what_was_never_encrypted_is_kept_in_memory_until_it_is_moved() -> None:
    """The server does not have it, and the disk must not."""
    world = World()
    message = dataclasses.replace(
        say("$a", ""), extra=(("reaction", OPERATIONAL),), type="m.reaction", ciphertext=b""
    )
    house = gatehouse(world, message)
    asked = {"room_id": SOCIAL, "sender": ASHA, "budget_ms": 5000}
    assert await house.check(asked) == STOP
    assert house.held == {"$a": message}
    assert await gatehouse(world, say("$b", OPERATIONAL)).check(asked) == STOP
    assert list(house.held) == ["$a"]


@pytest.mark.usefixtures("in_time")
async def test_what_belongs_elsewhere_is_stopped() -> None:
    world = World()
    message = say("$a", OPERATIONAL)
    world.transport.say(message)
    asked = {"room_id": SOCIAL, "sender": ASHA, "budget_ms": 5000}
    assert await gatehouse(world, message).check(asked) == STOP


def test_the_same_words_count_as_the_same_slip_for_ten_minutes() -> None:
    repeats = Repeats()
    first = say("$a", "Same  words")
    assert repeats.times(first) == 0
    repeats.note(first)
    again = say("$b", "same words", at=Ms(first.sent_at + SAME_MS))
    assert repeats.times(again) == 1
    assert repeats.times(say("$c", "same words", at=Ms(first.sent_at + SAME_MS + 1))) == 0
    assert repeats.times(say("$d", "same words", sender=UserId("@ben:x"))) == 0
    assert "same" not in repr(repeats)


def test_two_polls_or_pictures_are_not_the_same_slip_for_having_no_text() -> None:
    repeats = Repeats()
    poll = dataclasses.replace(say("$a", ""), extra=(("poll", "who goes to AB12 CDE?"),))
    repeats.note(poll)
    assert repeats.times(poll) == 1
    assert repeats.times(dataclasses.replace(poll, extra=(("poll", "who goes there?"),))) == 0
    picture = Media(part="file", url="mxc://x/1")
    assert repeats.times(dataclasses.replace(poll, media=(picture,))) == 0
