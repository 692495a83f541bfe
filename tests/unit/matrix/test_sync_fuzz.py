"""Whole sync responses with anything in them: nothing raises, stalls, or costs its neighbours."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from bridge.matrix import translate
from bridge.matrix.api import Api
from bridge.matrix.client import Clear
from bridge.matrix.transport import MatrixTransport
from bridge.model import Batch, Message, RoomId
from tests.unit.matrix.chaos import KINDS, Dice, wire
from tests.unit.matrix.test_fuzz import Arena, Megolm, arena, hostile
from tests.unit.matrix.trial import (
    LONGEST_S,
    Escaped,
    Lost,
    Stalled,
    handled,
    kept,
    table,
    tried,
)
from tests.unit.matrix.world import ANNA, MALLORY, ROOM

__all__ = ["arena"]

#: One of these syncs brings a new room key.
_KEY_EACH = 10
_BESIDE = "!beside:force.example"

EXAMPLES = pytest.mark.parametrize(
    "examples", [300, pytest.param(100_000, marks=pytest.mark.torture)]
)  # fmt: skip


class OddApi(Api):
    """A homeserver that answers everything with what chance says."""

    dice: Dice | None = None

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> dict[str, Any]:
        if self.dice is None:
            return {}
        if path.endswith("/messages"):
            chunk = [self.dice.event() for _ in range(self.dice.below(3))]
            page = {"chunk": chunk, "end": None if self.dice.below(2) else "next"}
            return dict(wire(page if self.dice.below(4) else self.dice.mutated(page)))
        return dict(wire(self.dice.object()))


@pytest.fixture
def transport(arena: Arena) -> Iterator[MatrixTransport]:
    made = MatrixTransport(arena.bot, OddApi("http://127.0.0.1:9"), approved=lambda _: True)
    yield made
    arena.run.run(made.api.close())


class Said:
    """What Anna says beside: in the clear, and encrypted under keys old and new."""

    def __init__(self, arena: Arena) -> None:
        """Give the bot a first key."""
        self._arena, self._number = arena, 0
        self._session, _, mail = arena.say("first")
        arena.bot.take_to_device([mail])

    def again(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return to-device events and messages, of which none may get lost."""
        mail = []
        if self._number % _KEY_EACH == 0:
            self._session = Megolm(self._arena.anna)
            mail = [self._arena.mail(self._arena.anna, "m.room_key", self._session.key)]
        self._number += 1
        plain = {"type": "m.room.message", "content": {"body": "plain"}, "sender": ANNA,
                 "event_id": f"$plain{self._number}", "origin_server_ts": 1}  # fmt: skip
        return mail, [plain, self._session.say({"body": "sealed"})]


def odd_sync(arena: Arena, dice: Dice) -> dict[str, Any]:
    """A sync response such as servers send, with odd events in it; or mutated, too."""
    member = {"type": "m.room.member", "state_key": MALLORY, "sender": MALLORY,
              "content": {"membership": "join"}, "event_id": "$member"}  # fmt: skip
    sync = {
        "next_batch": "s1",
        "to_device": {"events": [hostile(arena, dice) for _ in range(dice.below(3))]},
        "device_lists": {"changed": [MALLORY, dice.text()], "left": [dice.text()]},
        "device_one_time_keys_count": {"signed_curve25519": 50},
        "device_unused_fallback_key_types": ["signed_curve25519"],
        "rooms": {
            "join": {ROOM: odd_room(dice), "!odd": odd_room(dice)},
            "leave": {"!left": odd_room(dice)},
            "invite": {"!new": {"invite_state": {"events": [member, dice.event()]}}},
        },
    }
    for _ in range(dice.below(4)):
        dice.mutate(sync)
    return sync


def odd_room(dice: Dice) -> dict[str, Any]:
    events = [dice.event() if dice.below(8) else dice.json() for _ in range(dice.below(4))]
    return {
        "timeline": {"events": events, "limited": dice.below(8) == 0, "prev_batch": "p"},
        "state": {"events": [dice.event() for _ in range(dice.below(3))]},
        "ephemeral": {"events": []},
    }


def beside(sync: dict[str, Any], mail: list[Any], said: list[Any], *, first: bool) -> None:
    """Put what is good into *sync*, beside what is not."""
    to_device = sync.setdefault("to_device", {})
    if not isinstance(to_device, dict) or not isinstance(to_device.get("events"), list):
        to_device = sync["to_device"] = {"events": []}
    to_device["events"] += mail
    rooms = sync.get("rooms")
    rooms = sync["rooms"] = rooms if isinstance(rooms, dict) else {}
    join = rooms.get("join")
    join = join if isinstance(join, dict) else {}
    good = {_BESIDE: {"timeline": {"events": said[:1]}}}
    room = join.get(ROOM)
    timeline = room.get("timeline") if isinstance(room, dict) else None
    events = timeline.get("events") if isinstance(timeline, dict) else None
    if isinstance(timeline, dict) and isinstance(events, list) and not timeline.get("limited"):
        # In the same room, among the odd ones.
        events.insert(len(events) // 2, said[1])
    else:
        join[ROOM] = {"timeline": {"events": said[1:]}}
    rooms["join"] = good | join if first else join | good
    leave = rooms.get("leave")
    if isinstance(leave, dict):
        leave.pop(ROOM, None)
        leave.pop(_BESIDE, None)
    sync["next_batch"] = "s1"


def bodies(batch: Batch) -> list[tuple[str, str]]:
    return [(message.event_id, message.body) for message in batch.messages]


def trial(arena: Arena, transport: MatrixTransport, said: Said, dice: Dice) -> None:
    """Give the bot one odd sync, and look for what was good in it."""
    arena.world.server.asked.clear()
    sync, first = odd_sync(arena, dice), dice.below(2) == 0
    transport.api.dice = Dice.of(dice.below(2**32))  # type: ignore[attr-defined]
    # Hypothesis may give up an example while it draws; from here on nothing is drawn.
    mail, good = said.again()
    beside(sync, mail, good, first=first)
    sync = wire(sync)
    batch = handled(lambda: arena.run.run(transport._take(sync, None)))
    found = bodies(batch)
    kept((good[0]["event_id"], "plain") in found, "a message in the clear")
    kept((good[1]["event_id"], "sealed") in found, "an encrypted message")
    for message in batch.messages:
        kept(storable(message), "a record of it")
    if len(arena.bot.rooms) > 100:
        for room in [room for room in arena.bot.rooms if room != ROOM]:
            arena.bot.forget_room(room)
    transport._waiting.clear()


def storable(message: Message) -> bool:
    """Whether the store can hold all of *message*."""
    json.loads(message.content)
    message.content.decode("ascii")
    texts = (message.event_id, message.room, message.sender, message.replaces or "", message.type)
    return 0 <= message.sent_at < 2**63 and all(one.encode() or not one for one in texts)


@EXAMPLES
def test_no_sync_response_stops_the_intake_or_loses_what_stands_beside_it(
    arena: Arena, transport: MatrixTransport, examples: int
) -> None:
    said = Said(arena)
    tried("sync responses", examples, lambda dice: trial(arena, transport, said, dice))


@EXAMPLES
def test_no_event_makes_its_translation_raise_and_all_of_it_can_be_stored(examples: int) -> None:
    def one(dice: Dice) -> None:
        event = wire(dice.event())
        messages = [handled(lambda: translate.plain(RoomId(ROOM), event))]
        if isinstance(event["content"], dict):
            clear = Clear(dice.one_of(KINDS), event["content"], "session", 1, "")
            late = bool(dice.below(2))
            messages.append(
                handled(lambda: translate.decrypted(RoomId(ROOM), event, clear, late=late))
            )
        for message in messages:
            kept(storable(message), "a record of it")

    tried("events", examples, one)


# The trial itself

Plant = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def plant(arena: Arena, transport: MatrixTransport, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Have something go wrong where the bot handles a sync, and try one."""
    said = Said(arena)
    # The good ones alone: nothing random here.
    monkeypatch.setattr("tests.unit.matrix.test_sync_fuzz.odd_sync", lambda *_: {})

    def planted(where: str, fault: Callable[[], None]) -> None:
        home = translate if where == "words_of" else arena.bot
        real = getattr(home, where)

        def faulty(*given: Any) -> Any:
            fault()
            return real(*given)

        monkeypatch.setattr(home, where, faulty)
        trial(arena, transport, said, Dice.of(1))

    return planted


def work() -> None:
    until = time.thread_time() + 5 * LONGEST_S  # too long on a slower machine, too
    while time.thread_time() < until:
        pass


def fail() -> None:
    raise LookupError("planted")


def test_a_sync_without_faults_passes_the_trial(plant: Plant) -> None:
    plant("words_of", lambda: None)


def test_the_trial_notices_work_that_takes_too_long(plant: Plant) -> None:
    with pytest.raises(Stalled, match="it worked for"):
        plant("words_of", work)


def test_the_trial_notices_what_waits_each_time(plant: Plant) -> None:
    with pytest.raises(Stalled, match="20 times"):
        plant("take_key_news", lambda: time.sleep(LONGEST_S))


def test_what_takes_long_only_once_is_the_machines_fault(plant: Plant) -> None:
    waits = iter([LONGEST_S])
    plant("take_key_news", lambda: time.sleep(next(waits, 0)))


def test_the_trial_notices_an_exception_that_escapes(plant: Plant) -> None:
    with pytest.raises(Escaped, match="LookupError: planted"):
        plant("take_key_news", fail)


def test_the_trial_notices_what_is_lost(plant: Plant) -> None:
    with pytest.raises(Lost, match="a message in the clear"):
        plant("words_of", fail)


def test_a_long_trial_counts_what_it_notices_and_shows_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.unit.matrix.trial.TALLIES", {})
    monkeypatch.setenv("FUZZ_SEED", "7")
    numbers = itertools.count()

    def one(dice: Dice) -> None:
        match next(numbers):
            case 3:
                raise Lost("it")
            case 4 | 5:
                handled(work)

    with pytest.raises(AssertionError, match=r"Lost: it \(FUZZ_SEED=7, number 3\)"):
        tried("a plant", 400, one)
    assert [row.split()[:-1] for row in table()[1:]] == [
        ["a", "plant", "400", "0", "2", "1"], ["all", "400", "0", "2", "1"]
    ]  # fmt: skip
