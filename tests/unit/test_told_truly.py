"""Nobody is told what is not so, and nothing is lost, however the steps of a move fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.acting.settle import PATIENCE
from bridge.errors import NotFound, NotPermitted, TransportError
from bridge.facts import Braked
from bridge.matrix.memory import Fault, MemoryTransport, no_fault
from bridge.model import Action, EventId, Kind, Media, Message, Ms, RoomId, UserId
from bridge.model import Room as Approved
from tests.making import ASHA, NOON, REVIEW, SECURE, SOCIAL, say
from tests.unit.counter import GWEN, Counter
from tests.unit.test_alongside import FRAGMENT
from tests.unit.test_members import VAGUE, react
from tests.unit.test_moving import INTAKE, SERGEANT, at, bodies
from tests.unit.test_pipeline import OPERATIONAL, World, failing

DAY = 86_400_001
ROOM = f"!direct-{ASHA}"


class Faults:
    """Makes calls fail by their place: the first send, the second …"""

    def __init__(self, *steps: tuple[str, TransportError]) -> None:
        self._steps = list(steps)

    def __call__(self, name: str) -> tuple[bool, TransportError | None]:
        if self._steps and self._steps[0][0] == name:
            return False, self._steps.pop(0)[1]
        return True, None


async def on(world: World, seconds: int = 90) -> None:
    """Let time pass, and go on."""
    world.clock.move(1000 * seconds)
    await world.settler.settle_once()


def told(world: World) -> list[str]:
    return [one.post.body for one in world.sent if one.room == ROOM and one.post]


class Emptied:
    """A transport whose server has nothing left of any message: it was taken out."""

    def __init__(self, inner: MemoryTransport) -> None:
        self._inner = inner

    async def reopen(self, room: RoomId, event: EventId, ciphertext: bytes) -> Message:
        if not ciphertext:
            raise NotFound("It was taken out.")
        return await self._inner.reopen(room, event, ciphertext)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def forget(world: World) -> None:
    object.__setattr__(world.settler.enforcer, "transport", Emptied(world.transport))


@pytest.mark.parametrize("restarted", [False, True], ids=["going on", "after a restart"])
async def test_a_copy_that_was_refused_is_not_told_of_also_when_the_removal_took_two_attempts(
    restarted: bool,
) -> None:
    world = World()
    refused = NotFound("its key is gone")
    world.transport.fault = Faults(("send", refused), ("redact", TransportError("429")))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert told(world) == []
    if restarted:
        world.restart()
    await on(world)
    (words,) = told(world)
    assert "was taken out of Response A social" in words
    assert "It was not copied anywhere else." in words


async def test_a_sender_hears_that_it_was_taken_out_although_its_copy_was_given_up() -> None:
    world = World()
    world.transport.fault = failing("send", TransportError("503"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert ("removed", "$a") in world.done()
    world.transport.fault = no_fault
    world.clock.move(DAY)
    world.restart()
    await world.settler.settle_once()
    assert ["It was not copied anywhere else." in one for one in told(world)] == [True]


async def test_nobody_hears_of_a_removal_that_was_given_up() -> None:
    world = World()
    world.transport.fault = lambda _: (False, TransportError("503"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    world.transport.fault = no_fault
    for _ in range(3):
        world.clock.move(DAY)
        world.restart()
        await world.settler.settle_once()
        await world.settler.settle_once()
    assert told(world) == []
    assert bodies(world, REVIEW)


async def test_a_supervisor_is_not_sent_to_a_copy_that_is_not_there() -> None:
    world = World()
    world.rooms[INTAKE] = Approved(id=INTAKE, cls=world.rooms[SECURE].cls, name="Response A intake")
    world.rooms[SOCIAL] = replace(
        world.rooms[SOCIAL], entitled=frozenset(), intake=INTAKE, supervisor=SERGEANT
    )
    world.transport.fault = Faults(("send", NotPermitted("the room was closed")))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    (words,) = [
        one.post.body for one in world.sent if one.room == f"!direct-{SERGEANT}" and one.post
    ]
    assert "was taken out and could not be moved" in words


async def test_a_fragment_whose_copy_takes_long_is_copied_from_what_was_kept_of_it() -> None:
    world = World()
    await world.hear_and_settle(say("$w", FRAGMENT))
    world.transport.fault = Faults(("send", TransportError("slow")))
    await world.hear_and_settle(at(say("$a", OPERATIONAL), 10))
    assert ("removed", "$w") in world.done()
    forget(world)
    await on(world)
    assert any(FRAGMENT in body for body in bodies(world, SECURE))


async def test_an_edited_fragment_is_copied_as_it_reads_now() -> None:
    world = World()
    await world.hear_and_settle(say("$w", f"{FRAGMENT} first"))
    await world.hear_and_settle(at(say("$e", f"{FRAGMENT} then", replaces="$w"), 5))
    world.transport.fault = Faults(("send", TransportError("slow")))
    await world.hear_and_settle(at(say("$a", OPERATIONAL), 10))
    forget(world)
    await on(world)
    copies = [body for body in bodies(world, SECURE) if FRAGMENT in body]
    assert len(copies) == 1
    assert f"{FRAGMENT} then" in copies[0]


async def test_what_can_be_read_only_where_it_stands_is_copied_first_and_not_for_ever() -> None:
    """A person marked it: we hold nothing of it any more, and it is in no hurry."""
    world = World()
    world.rooms[SOCIAL] = replace(world.rooms[SOCIAL], supervisor=GWEN)
    await world.hear(say("$a", VAGUE))
    world.transport.fault = failing("send", TransportError("slow"))
    await world.hear(react("$r", "$a", GWEN))
    for _ in range(PATIENCE):
        await on(world)
        assert ("removed", "$a") not in world.done()
    assert bodies(world, REVIEW) == [], "nobody hears that it was taken out before it was"
    await on(world)
    assert ("removed", "$a") in world.done()
    world.transport.fault = no_fault
    await on(world)
    assert any("it was taken out before it could be copied" in b for b in bodies(world, REVIEW))


async def test_a_person_is_asked_once_however_often_a_copy_fails() -> None:
    world = World()
    secure_down = SecureDown(world)
    world.transport.fault = secure_down
    await world.hear_and_settle(say("$a", OPERATIONAL))
    for _ in range(5):
        await on(world)
    asked = [1 for kind, head, _ in world.ledger() if kind == "debt" and head["effect"] == "refer"]
    assert len(asked) == 1


class SecureDown:
    """Every first send of an attempt fails: that of the copy."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, name: str) -> tuple[bool, TransportError | None]:
        copied = any(one.room == SECURE for one in self._world.sent)
        if name != "send" or copied or self._world.clock.at == self._at():
            return True, None
        self._tried = self._world.clock.at
        return False, TransportError("503")

    _tried = Ms(0)

    def _at(self) -> Ms:
        return self._tried


async def test_of_two_things_that_go_wrong_with_a_message_both_are_asked_about() -> None:
    """And each is settled on record: what is owed twice under one name would stay open for ever."""
    world = World()
    lost = Media(part="file", url="mxc://force.example/lost")
    photo = replace(say("$a", OPERATIONAL), kind=Kind.MEDIA, media=(lost,))
    await world.hear_and_settle(photo)
    for _ in range(3):
        await on(world)
    asked = bodies(world, REVIEW)
    assert any("it could not be done: There is no file" in one for one in asked)
    assert any("it is not on record, and was left so that it is not lost" in one for one in asked)
    debts = {head["rid"] for kind, head, _ in world.ledger() if kind == "debt"}
    settled = {
        head.get("ref") for kind, head, _ in world.ledger() if kind in {"outcome", "certificate"}
    }
    assert debts <= settled


# The brake


async def test_an_attempt_that_is_made_again_is_no_other_removal() -> None:
    world = World(limit=2)
    down: Fault = failing("redact", TransportError("429"))
    world.transport.fault = down
    await world.hear_and_settle(say("$a", OPERATIONAL))
    for _ in range(4):
        await on(world, 9)
    assert await world.store.brakes() == frozenset()
    world.transport.fault = no_fault
    await on(world, 20)
    assert ("removed", "$a") in world.done()


async def test_a_pause_stops_what_was_waiting_for_its_turn() -> None:
    """The order comes while the first of two messages is being moved."""
    world = Counter()
    await world.hear(say("$a", OPERATIONAL), say("$b", f"{OPERATIONAL} again", at=Ms(NOON + 1)))
    real, count = world.transport.fault, 0

    def pausing(name: str) -> tuple[bool, TransportError | None]:
        nonlocal count
        count += name == "redact"
        if count == 1 and name == "redact":
            world.store._standing.follow(_pause(), world.clock())
        return real(name)

    world.transport.fault = pausing
    await world.settler.settle_once()
    assert len(world.removed()) == 1
    assert not [one for one in world.sent if one.room == ROOM], "nor is anybody told meanwhile"


def _pause() -> Braked:
    return Braked(room=None, on=True, by="gwen", reason="")


async def test_after_it_was_waived_a_message_counts_as_left_and_can_be_moved_by_a_person() -> None:
    world = Counter()
    await world.type("!pause all", room=REVIEW, by=GWEN)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    dan, ewa = (UserId(f"@{one}:force.example") for one in ("dan", "ewa"))
    await world.type("!resume waive all", room=REVIEW, by=dan)
    await world.type("!resume waive all", room=REVIEW, by=ewa)
    assert (await world.store.known([EventId("$a")]))[EventId("$a")].action is Action.ALLOW
    later = Ms(world.clock() + 300_000)
    await world.hear_and_settle(say("$e", "tea at four then?", replaces="$a", at=later))
    assert world.removed() == [], "an edit into chat goes nowhere with a message that stayed"
    await world.hear_and_settle(react("$r", "$a", GWEN, at=later))
    assert "$a" in world.removed()
