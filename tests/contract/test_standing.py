"""What stands in the way of acting, decisions on record, and counts: alike in both stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.facts import Braked, Decided, Fact, Minuted, Mode, Performed, Seen
from bridge.ledger.record import new_rid
from bridge.model import (
    Action,
    Copy,
    Effect,
    EventId,
    Moment,
    Ms,
    Notify,
    Outcome,
    Redact,
    RoomClass,
    Status,
    UserId,
    Verdict,
    key,
)
from bridge.ports import Store
from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore
from tests.making import ASHA, NOON, SECURE, SOCIAL, Hands, custodian, identity, say

PSD = custodian()
BEN = UserId("@ben:force.example")


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore(identity(PSD), Hands())
    else:
        made = SqliteStore(tmp_path / "ledger.db", identity(PSD), Hands(), anchor=None)
    yield made
    await made.close()


def on(room: str | None, mode: Mode = Mode.PAUSE, until: Ms | None = None) -> Braked:
    where = SOCIAL if room else None
    return Braked(room=where, on=True, by="gwen", reason="a test", mode=mode, until=until)


def off(room: str | None, mode: Mode = Mode.PAUSE) -> Braked:
    return Braked(room=SOCIAL if room else None, on=False, by="gwen", reason="", mode=mode)


async def test_what_is_on_is_remembered_with_its_end_and_its_reason(store: Store) -> None:
    await store.append([on("social", until=Ms(NOON + 1)), on(None, Mode.INCIDENT)])
    pause, incident = sorted(await store.standing(), key=lambda one: one.mode, reverse=True)
    assert (pause.mode, pause.room, pause.until) == (Mode.PAUSE, SOCIAL, NOON + 1)
    assert (pause.since, pause.by, pause.reason) == (NOON, "gwen", "a test")
    assert (incident.mode, incident.room, incident.until) == (Mode.INCIDENT, None, None)
    assert await store.brakes() == {SOCIAL}, "an incident is no pause"


async def test_a_second_pause_of_a_room_takes_the_place_of_the_first(store: Store) -> None:
    await store.append([on("social", until=Ms(NOON + 1))])
    await store.append([on("social")])
    assert [one.until for one in await store.standing()] == [None]


async def test_the_end_of_everything_of_a_kind_ends_its_rooms_and_not_the_other_kind(
    store: Store,
) -> None:
    await store.append([on("social"), on(None), on("social", Mode.INCIDENT)])
    await store.append([off(None)])
    assert [(one.mode, one.room) for one in await store.standing()] == [(Mode.INCIDENT, SOCIAL)]
    assert await store.brakes() == frozenset()
    await store.append([off("social", Mode.INCIDENT)])
    assert await store.standing() == ()


async def test_decisions_are_counted_by_room(store: Store) -> None:
    assert await store.minutes(SECURE) == 0
    facts: list[Fact] = []
    for number in (1, 2):
        message = say(f"$d{number}", "!decision go", room=SECURE)
        facts += [
            Seen(message=message, cls=RoomClass.OPERATIONAL),
            Minuted(
                rid=new_rid(), message=message, cls=RoomClass.OPERATIONAL, number=number, words="go"
            ),
        ]
    await store.append(facts)
    assert await store.minutes(SECURE) == 2
    assert await store.minutes(SOCIAL) == 0


def verdict(action: Action, rule: str = "r") -> Verdict:
    return Verdict(action=action, rule=rule, reason="why", revision="v")


async def moved(store: Store, event: str, *, held: str = "", at: Ms = NOON) -> None:
    message = say(event, at=at)
    copy: Effect = Copy(room=SOCIAL, about=message.event_id, to=SECURE, reason="why")
    word: Effect = Notify(
        room=SOCIAL, about=message.event_id, to=ASHA, moment=Moment.MOVED, reason="why"
    )
    owes = () if held else (copy, word)
    decided = Decided(
        message=message, cls=RoomClass.SOCIAL, verdict=verdict(Action.REDIRECT), owes=owes,
        held=held,
    )  # fmt: skip
    await store.append([Seen(message=message, cls=RoomClass.SOCIAL), decided])
    for effect in owes:
        outcome = Outcome(key=key(effect), status=Status.DONE, detail=f"$sent-{key(effect)}")
        await store.append([Performed(outcome=outcome)])


async def test_what_was_sent_is_counted_by_room_and_kind_within_its_time(store: Store) -> None:
    await moved(store, "$a")
    await moved(store, "$b")
    whole = {(SOCIAL, "copy"): 2, (SOCIAL, "notify moved"): 2}
    assert dict(await store.counts(NOON, Ms(NOON + 1))) == whole
    assert dict(await store.counts(Ms(NOON + 1), Ms(NOON + 2))) == {}
    assert dict(await store.counts(Ms(NOON - 1), NOON)) == {}


async def test_the_newest_message_that_somebody_was_told_about_is_found(store: Store) -> None:
    assert await store.newest_told(ASHA, None) is None
    await moved(store, "$a")
    await moved(store, "$b", at=Ms(NOON + 1))
    plain = say("$c", at=Ms(NOON + 2))
    await store.append([Seen(message=plain, cls=RoomClass.SOCIAL)])
    assert await store.newest_told(ASHA, None) == EventId("$b")
    assert await store.newest_told(ASHA, SOCIAL) == EventId("$b")
    assert await store.newest_told(ASHA, SECURE) is None
    assert await store.newest_told(BEN, None) is None


async def test_what_was_held_back_in_an_incident_counts_as_left_where_it_was(store: Store) -> None:
    await moved(store, "$a", held="incident")
    known = (await store.known([EventId("$a")]))[EventId("$a")]
    assert (known.action, known.rule) == (Action.ALLOW, "r")
    assert await store.newest_told(ASHA, None) is None


async def test_what_was_waived_or_given_up_counts_as_left_where_it_was(store: Store) -> None:
    for event, status in (
        ("$a", Status.WAIVED), ("$b", Status.ABANDONED), ("$c", Status.REFUSED), ("$d", Status.DONE)
    ):  # fmt: skip
        message = say(event)
        owes = (Redact(room=SOCIAL, about=message.event_id, reason="r"),)
        decided = Decided(
            message=message, cls=RoomClass.SOCIAL, verdict=verdict(Action.REDIRECT), owes=owes
        )
        await store.append([Seen(message=message, cls=RoomClass.SOCIAL), decided])
        await store.append([Performed(outcome=Outcome(key=key(owes[0]), status=status))])
    known = await store.known([EventId(f"${one}") for one in "abcd"])
    assert [one.action for one in known.values()] == [Action.ALLOW] * 2 + [Action.REDIRECT] * 2
    assert {one.rule for one in known.values()} == {"r"}


async def test_what_one_person_had_moved_in_one_go_is_found_oldest_first(store: Store) -> None:
    late = Ms(NOON + 600_001)
    await moved(store, "$b", at=Ms(NOON + 1))
    await moved(store, "$a")
    await moved(store, "$late", at=late)
    for other in (say("$ben", sender=BEN), say("$room", room=SECURE), say("$e", replaces="$a")):
        decided = Decided(message=other, cls=RoomClass.SOCIAL, verdict=verdict(Action.REDIRECT))
        await store.append([Seen(message=other, cls=RoomClass.SOCIAL), decided])
    await store.append([Seen(message=say("$plain"), cls=RoomClass.SOCIAL)])
    assert list(await store.moved_near(EventId("$a"))) == ["$a", "$b"]
    assert list(await store.moved_near(EventId("$late"))) == ["$b", "$late"]
    assert await store.moved_near(EventId("$nowhere")) == {}
