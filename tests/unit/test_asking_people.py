"""Where people are asked about a room, and what becomes of it where nobody is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from bridge.acting.enforce import Enforcer
from bridge.config import Config
from bridge.facts import Fact, Noted
from bridge.ledger.keys import Certificates
from bridge.matrix.transport import MatrixTransport
from bridge.model import Batch, Ms, RoomClass, RoomId, UserId
from bridge.policy import Policy
from bridge.ports import Store
from bridge.register import Lock, load_people, load_rooms
from bridge.rooms.caretaking import meet
from bridge.rooms.estate import Held
from bridge.running.parts import Parts
from bridge.running.serving import tell_people
from bridge.store.book import Identity
from tests.making import SOCIAL, say
from tests.unit.test_pipeline import World
from tests.unit.test_register import PEOPLE, SAM

HEAD = """\
server: force.example
force: {name: Police, space: force}
teams:
  A: {space: team-a}
rooms:
"""
ROOM = """\
  KEY:
    class: CLASS
    name: Room KEY
    information: corporate
    ceiling: OFFICIAL
    owner: "SAM"
    supervisor: "SAM"
    purpose: Work.
    dpia: DPIA-1
    review: 2027-05-01
    members: []
"""


def listed(key: str, cls: str, asked_in: str = "") -> str:
    room = ROOM.replace("KEY", key).replace("CLASS", cls).replace("SAM", SAM)
    return room + (f"    review_room: {asked_in}\n" if asked_in else "")


class NoRehearsal:
    rehearse = False
    rehearsed: frozenset[RoomClass] = frozenset()


def lock(*keys: str) -> Lock:
    found = Lock()
    for key in keys:
        found = found.with_room(key, RoomId(f"!{key}"))
    return found


def parts(*rooms: str, made: tuple[str, ...] = ()) -> Parts:
    people = load_people(PEOPLE, "people.csv")
    register = load_rooms(HEAD + "".join(rooms), "rooms.yaml", people)
    found = Parts(
        config=cast("Config", NoRehearsal()),
        policy=cast("Policy", None),
        held=Held(register, Lock()),
        people=people,
        rooms={},
        identity=cast("Identity", cast("Certificates", None)),
    )
    found.take(register, lock(*made), people)
    return found


class Heard:
    """What was said where, and what is on record."""

    def __init__(self) -> None:
        self.said: list[tuple[RoomId, str]] = []
        self.notes: list[str] = []

    async def tell(self, room: RoomId, words: str, *, txn: str, since: Ms) -> bool:
        self.said.append((room, words))
        return True

    async def append(self, facts: Sequence[Fact]) -> None:
        self.notes += [fact.text for fact in facts if isinstance(fact, Noted)]

    async def of(self, known: Parts, key: str) -> None:
        enforcer, store = cast("Enforcer", self), cast("Store", self)
        assert await tell_people(known, enforcer, store, key, "name", "it is locked", Ms(0))


TWO = (
    listed("first", "review"),
    listed("second", "review"),
    listed("audit", "audit", "second"),
    listed("intake", "intake", "first"),
)


async def test_people_hear_of_a_room_in_the_review_room_that_it_names() -> None:
    known, heard = parts(*TWO, made=("first", "second", "audit", "intake")), Heard()
    for key in ("audit", "intake", "second", "force", ""):
        await heard.of(known, key)
    assert [room for room, _ in heard.said] == ["!second", "!first", "!second", "!first", "!first"]
    assert heard.notes == []


async def test_where_the_room_that_is_named_is_not_made_another_hears() -> None:
    heard = Heard()
    await heard.of(parts(*TWO, made=("first", "audit")), "audit")
    assert [room for room, _ in heard.said] == ["!first"]


async def test_without_a_review_room_it_is_on_record_that_nobody_was_told() -> None:
    heard = Heard()
    await heard.of(parts(listed("audit", "audit"), made=("audit",)), "audit")
    assert heard.said == []
    assert heard.notes == ["nobody was told, as there is no review room: it is locked"]


def test_everybody_who_was_given_the_rooms_knows_another_register_at_once() -> None:
    known = parts(*TWO, made=("first", "audit"))
    rooms, auditors = known.rooms, known.auditors
    assert (set(rooms), auditors) == ({"!first", "!audit"}, ["!audit"])
    people = load_people(PEOPLE, "people.csv")
    other = load_rooms(HEAD + listed("second", "review") + listed("log", "audit"), "r", people)
    known.take(other, lock("first", "second", "log", "force"), people)
    assert (known.rooms, known.auditors) == (rooms, auditors)
    assert set(rooms) == {"!second", "!log", "!force"}
    assert (auditors, known.review) == (["!log"], "!second")
    assert rooms[RoomId("!log")].supervisor == UserId(SAM)


def test_a_room_that_is_closed_is_heard_until_the_bot_is_out_of_it() -> None:
    known = parts(*TWO, made=("first", "audit"))
    people = load_people(PEOPLE, "people.csv")
    retired = lock("first", "audit").without("audit", "over")
    for register in (known.register, load_rooms(HEAD + listed("first", "review"), "r", people)):
        known.take(register, retired, people)
        assert set(known.rooms) == {"!first", "!audit"}
    known.take(known.register, lock("first"), people)
    assert set(known.rooms) == {"!first"}


async def test_what_apply_makes_beside_the_bot_waits_until_it_is_on_the_register() -> None:
    world, made = World(), RoomId("!made")
    transport = cast("MatrixTransport", world.transport)
    ours = Batch(messages=(say("$a", room=made, sender=world.transport.user),))
    theirs = Batch(messages=(say("$b", room=made),))
    strangers = asyncio.create_task(meet(theirs, world.pipeline, transport))
    waits = asyncio.create_task(meet(ours, world.pipeline, transport))
    await asyncio.sleep(0)
    assert (strangers.done(), waits.done()) == (True, False)
    world.rooms[made] = replace(world.rooms[SOCIAL], id=made)
    await waits
    await meet(ours, world.pipeline, transport)
