"""What goes back with a message that a person restores: the fragments that went along with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.matrix.memory import MemoryTransport, Sent
from bridge.model import Action, EventId, Message, Ms, Rid, RoomId
from bridge.ports import Known
from bridge.way.alongside import fragments
from bridge.way.runs import RUN
from tests.making import ASHA, NOON, SECURE, SOCIAL, say
from tests.unit.test_appeals import DAN, DIRECT, EWA, Court, court
from tests.unit.test_moving import HINTS, _is_weak, at
from tests.unit.test_pipeline import OPERATIONAL, POLICY

FRAGMENT = next(words for words in HINTS if _is_weak(POLICY.judge, words))


def moved(seconds: int, rule: str = "veh.vrm") -> Known:
    return Known(
        rid=Rid("r"), sender=ASHA, action=Action.REDIRECT, rule=rule, replaces=None,
        unreadable=False, room=SOCIAL, sent_at=Ms(NOON + 1000 * seconds),
    )  # fmt: skip


def near(**said: Known) -> dict[EventId, Known]:
    return {EventId(f"${name}"): known for name, known in said.items()}


def test_fragments_before_and_after_go_back_with_their_message() -> None:
    run = near(a=moved(0, RUN), b=moved(30), c=moved(80, RUN), d=moved(130, RUN))
    assert fragments(EventId("$b"), run, ()) == ("$a", "$c", "$d")


def test_what_was_said_in_another_minute_is_another_run() -> None:
    run = near(a=moved(0, RUN), b=moved(100), c=moved(161, RUN))
    assert fragments(EventId("$b"), run, ()) == ()


def test_a_fragment_stays_beside_another_message_that_is_still_moved() -> None:
    run = near(a=moved(0, RUN), b=moved(10), c=moved(50), d=moved(100, RUN))
    assert fragments(EventId("$b"), run, ()) == ()
    assert fragments(EventId("$b"), run, {EventId("$c")}) == ("$a", "$d")
    assert fragments(EventId("$c"), run, {EventId("$b"), EventId("$a")}) == ("$d",)


def test_a_fragment_by_itself_takes_nothing_back_with_it() -> None:
    run = near(a=moved(0), b=moved(10, RUN), c=moved(20, RUN))
    assert fragments(EventId("$b"), run, ()) == ()
    assert fragments(EventId("$nowhere"), run, ()) == ()


def back(world: Court) -> list[Sent]:
    return [one for one in world.sent if one.room == SOCIAL and one.post]


async def said_and_moved() -> tuple[Court, EventId]:
    """A fragment, an operational message, another fragment: all moved; the request about it."""
    world = court()
    start = world.clock()
    before = at(replace(say("$w", FRAGMENT), sent_at=start), 0)
    await world.hear(before)
    await world.hear(at(replace(say("$a", OPERATIONAL), sent_at=start), 30))
    await world.hear(at(replace(say("$z", f"{FRAGMENT} now"), sent_at=start), 70))
    await world.settled()
    assert {one.removed for one in world.sent if one.removed} == {"$w", "$a", "$z"}
    note = next(
        one
        for one in world.sent
        if one.room == DIRECT and "just before" in one.post.body  # type: ignore[union-attr]
    )
    await world.tap(note.event, "👎", ASHA, DIRECT)
    return world, world.last(world.desk.review, "an appeal").event  # type: ignore[arg-type]


async def test_a_restored_message_brings_its_fragments_back_in_their_order_and_says_so_once() -> (
    None
):
    world, request = await said_and_moved()
    await world.decided(request, "✅", DAN, "yes")
    bodies = [one.post.body for one in back(world) if one.post]
    assert [one.split("\n")[1] for one in bodies] == [FRAGMENT, OPERATIONAL, f"{FRAGMENT} now"]
    times = [one.split("\n")[0] for one in bodies]
    assert times == [
        "PC Asha Khan wrote at 12:00:", "PC Asha Khan wrote at 12:00:",
        "PC Asha Khan wrote at 12:01:",
    ]  # fmt: skip
    assert len(world.said(DIRECT, "It is back in")) == 1


async def test_what_went_back_once_goes_back_no_more() -> None:
    world, request = await said_and_moved()
    await world.decided(request, "✅", DAN, "yes")
    heard = await world.desk.object_to(EventId("$z"), ASHA)
    assert heard.refused == "It has been put back already."
    assert not heard.facts


async def test_a_fragment_whose_copy_is_gone_does_not_keep_the_others_back() -> None:
    world, request = await said_and_moved()
    copies = [one for one in world.sent if one.room == SECURE]
    world.sent.remove(copies[0])
    await world.decided(request, "✅", EWA, "yes")
    assert [one.post.body.split("\n")[1] for one in back(world) if one.post] == [
        OPERATIONAL, f"{FRAGMENT} now",
    ]  # fmt: skip
    assert world.said(DIRECT, "Please send it again") == []


class Forged:
    """A transport whose server gives another message instead of one."""

    def __init__(self, inner: MemoryTransport, event: EventId, served: Message) -> None:
        self._inner, self._event, self._served = inner, event, served

    async def reopen(self, room: RoomId, event: EventId, ciphertext: bytes) -> Message:
        if event == self._event:
            return self._served
        return await self._inner.reopen(room, event, ciphertext)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("forged", ["plain", "by another", "suspect", "another copy"])
async def test_nothing_that_the_server_puts_in_a_copys_place_is_posted_in_somebodys_name(
    forged: str,
) -> None:
    world = court()
    request = await world.appealed()
    await world.appealed("$b", "AB12 CDE is Ben's to arrest")
    mine, other = [one.event for one in world.sent if one.room == SECURE]
    swapped = other if forged == "another copy" else mine
    served = await world.transport.reopen(SECURE, swapped, b"")
    served = {
        "plain": replace(served, ciphertext=b""),
        "by another": replace(served, sender=DAN),
        "suspect": replace(served, suspect=True),
        "another copy": replace(served, event_id=mine),
    }[forged]
    forger = Forged(world.transport, mine, served)
    object.__setattr__(world.settler.enforcer, "transport", forger)
    await world.decided(request, "✅", DAN, "yes")
    assert back(world) == []
    assert world.said(DIRECT, "Please send it again in Response A social")
