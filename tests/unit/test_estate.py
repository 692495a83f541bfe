"""A changed register is taken up while the bot runs, whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

import msgspec
import pytest

from bridge.ledger.opening import Reader
from bridge.matrix.api import Api
from bridge.matrix.premises import MatrixPremises
from bridge.model import Ms, RoomId, UserId
from bridge.register import Lock, Register, dump_lock, load_people, load_rooms
from bridge.rooms.estate import Estate, Held, stamp
from bridge.rooms.fights import Fights
from bridge.rooms.guard import Past
from bridge.rooms.premises import Sort
from bridge.rooms.roster import Belonged
from bridge.running.lockfile import add_ids, read_ids
from bridge.store.memory import MemoryStore
from tests.making import ORIGIN, Hands, custodian, identity
from tests.unit.test_register import PEOPLE, ROOMS
from tests.unit.test_rooms_plan import HOUSE, LOCK

PSD = custodian()
HERE = RoomId("!here")


class Town:
    """A register and its lock in files, and a review room that can be out of reach."""

    def __init__(self, folder: Path) -> None:
        self.rooms, self.lock = folder / "rooms.yaml", folder / "rooms.lock.yaml"
        self.told, self.reachable = list[str](), True
        self.rooms.write_text(ROOMS, encoding="utf-8")
        self.store = MemoryStore(identity(PSD), Hands())
        self.meanwhile: Callable[[], None] = lambda: None
        self.asked = 0
        read = stamp(self.rooms, self.lock)
        self.held = Held(*self.load(), read)
        self.estate = Estate(
            store=self.store,
            rooms=self.rooms,
            lock=self.lock,
            clock=Hands(),
            held=self.held,
            load=self.load,
            take=self.take,
            tell=self.tell,
        )

    def load(self) -> tuple[Register, Lock]:
        people = load_people(PEOPLE, "people.csv")
        found = load_rooms(self.rooms.read_text(encoding="utf-8"), "rooms.yaml", people)
        self.meanwhile()
        return found, read_ids(self.lock)

    def take(self, register: Register, lock: Lock) -> None:
        self.held.register, self.held.lock = register, lock

    async def tell(self, _name: str, words: str, _since: Ms) -> bool:
        if self.reachable:
            self.told.append(words)
        return self.reachable

    def write(self, text: str) -> None:
        before = stamp(self.rooms)
        self.rooms.write_text(text, encoding="utf-8")
        if stamp(self.rooms) == before:  # a clock too coarse to tell
            os.utime(self.rooms, ns=(0, 0))

    def notes(self) -> list[str]:
        reader, found = Reader(ORIGIN, ["psd"], [PSD]), []
        for record in self.store.records:
            header = msgspec.json.decode(record.header, type=dict[str, str | int])
            reader.learn(header, record.body)
            if header["kind"] == "note":
                found.append(str(msgspec.json.decode(reader.open(header, record.body) or b"")))
        return found

    async def looks(self, times: int = 2) -> None:
        for _ in range(times):
            await self.estate.once()


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def renamed() -> str:
    assert "Response A social" in ROOMS
    return ROOMS.replace("Response A social", "Response A chat")


async def test_a_changed_register_is_taken_up_and_on_record_with_a_digest(town: Town) -> None:
    await town.looks()
    assert town.notes() == []
    assert town.estate.fresh()
    before, told = town.held.register, list[int]()
    town.estate.taken.append(lambda: told.append(1))
    town.write(renamed())
    assert not town.estate.fresh()
    await town.looks(1)
    assert town.held.register is before, "somebody may still be writing"
    await town.looks(1)
    assert town.held.register.rooms["a-social"].name == "Response A chat"
    assert town.estate.fresh()
    assert told == [1]
    (note,) = town.notes()
    assert "rooms.yaml was read again: " in note
    assert "; changed: a-social; rooms.yaml sha256 " in note


async def test_a_room_that_was_made_since_is_known_at_once(town: Town) -> None:
    await town.looks(1)
    add_ids(town.lock, Lock().with_room("a-social", HERE))
    await town.looks(1)
    assert town.held.lock.ids == {"a-social": HERE}
    (note,) = town.notes()
    assert "known on the server: a-social" in note
    assert "rooms.lock.yaml sha256 " in note


async def test_lines_that_moved_change_no_room(town: Town) -> None:
    town.write("# a comment\n" + renamed())
    await town.looks()
    assert "; changed: a-social; rooms.yaml" in town.notes()[0]


@pytest.mark.parametrize("wrong", ["", "nonsense", ROOMS.replace("class: social", "class: pub")])
async def test_a_wrong_register_is_refused_whole_and_a_person_is_told_once(
    town: Town, wrong: str
) -> None:
    before = town.held.register
    town.write(wrong)
    await town.looks(6)
    assert town.held.register is before
    assert town.estate.fresh(), "what counts goes on"
    (said,) = town.told
    assert said.startswith("a changed rooms.yaml is refused, and the rooms as they were stay: ")
    assert len(town.notes()) == 1
    town.write(renamed())
    await town.looks()
    assert town.held.register is not before


async def test_what_could_not_be_said_is_said_later(town: Town) -> None:
    town.reachable = False
    town.write("nonsense")
    await town.looks(3)
    assert town.told == []
    town.reachable = True
    await town.looks()
    assert len(town.told) == 1


async def test_files_that_change_while_they_are_read_are_read_again(town: Town) -> None:
    def once() -> None:
        town.meanwhile = lambda: None
        town.write(ROOMS.replace("Response A social", "Response A canteen"))

    before, town.meanwhile = town.held.register, once
    town.write(renamed())
    await town.looks(2)
    assert town.held.register is before
    await town.looks(2)
    assert town.held.register.rooms["a-social"].name == "Response A canteen"


# The lock, which several write


def test_whoever_writes_an_older_lock_brings_no_retired_room_back(tmp_path: Path) -> None:
    path = tmp_path / "rooms.lock.yaml"
    add_ids(path, Lock().with_room("a", RoomId("!a")))
    applying = read_ids(path)  # `rooms apply` begins
    add_ids(path, Lock().closing("a", "it is over"))
    assert read_ids(path).retiring == {"a": "it is over"}
    add_ids(path, Lock().without("a", "it is over"))
    add_ids(path, applying.with_room("b", RoomId("!b")).with_picture("social", "mxc://x/y"))
    found = read_ids(path)
    assert found.retired == {"a": "it is over"}
    assert found.retiring == {}
    assert found.ids == {"a": "!a", "b": "!b"}
    assert found.pictures == {"social": "mxc://x/y"}


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rooms.lock.yaml"

    def write(n: int) -> None:
        for m in range(10):
            add_ids(path, Lock().with_room(f"r{n}-{m}", RoomId(f"!r{n}-{m}")))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert len(read_ids(path).ids) == 40


def test_a_lock_says_which_rooms_are_being_retired() -> None:
    lock = replace(Lock(), retiring=MappingProxyType({"a": "over"}))
    assert "retiring:\n  a: over" in dump_lock(lock)
    assert lock.closed == {"a"}


async def test_a_room_that_left_the_register_half_closed_has_to_stand_there_to_be_closed() -> None:
    premises = MatrixPremises(cast("Api", None), lambda: (HOUSE, LOCK))
    said = await premises.close_down("heron", "over")
    assert said == "it is not in rooms.yaml any more: it has to stand there until it is closed"


def test_a_room_that_is_being_retired_is_no_longer_looked_after() -> None:
    lock = LOCK.closing("a-social", "over")
    assert "a-social" not in replace(HOUSE, retired=lock.closed).order()


# What a restart must not forget


def test_what_a_guard_knows_is_kept_and_a_broken_file_is_as_none(tmp_path: Path) -> None:
    past = Past(
        mended=(("a", Sort.POWER, "x", (1, 2)),),
        called=(("a", Sort.DOOR, "y"),),
        unsaid=(("room-1", "a", "words", 3),),
    )
    path = tmp_path / "rooms.fights"
    Fights(path=path).write(past)
    kept = Fights(path=path)
    assert kept.read() == past
    written = path.stat().st_mtime_ns
    kept.write(past)
    assert path.stat().st_mtime_ns == written
    path.write_text("{", encoding="utf-8")
    assert Fights(path=path).read() == Past()
    assert Fights(path=tmp_path / "none").read() == Past()


def test_who_belonged_to_a_room_is_known_as_long_as_they_are_in_it(tmp_path: Path) -> None:
    anna, ben, spy = (UserId(f"@{name}:force.example") for name in ("anna", "ben", "spy"))
    belonged = Belonged(folder=tmp_path / "belonged")
    assert belonged.of("a") is None
    belonged.note("a", frozenset({anna, ben}), frozenset({anna, ben}))
    belonged.note("a", frozenset({anna}), frozenset({anna, ben, spy}))
    again = Belonged(folder=tmp_path / "belonged")
    assert again.of("a") == frozenset({anna, ben}), (
        "ben is off the list and still there; spy never belonged"
    )
    again.note("a", frozenset({anna}), frozenset({anna, spy}))
    assert again.of("a") == frozenset({anna})
    again.note("b", frozenset({anna}), frozenset({anna, spy}))
    assert again.of("b") == frozenset({anna, spy}), "who was there at first may have belonged"
