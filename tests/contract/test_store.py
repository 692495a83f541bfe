"""What `ports.Store` promises, asked of every store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bridge.errors import NoCertificate, StoreBehind, StoreLocked
from bridge.facts import (
    Braked,
    Decided,
    Disposed,
    Erased,
    Held,
    Noted,
    Performed,
    PolicyLoaded,
    Released,
    Seen,
)
from bridge.ledger.record import new_rid
from bridge.model import (
    Action,
    Copy,
    Cursor,
    EventId,
    Kind,
    Outcome,
    Redact,
    Rid,
    RoomClass,
    Status,
    Verdict,
    key,
)
from bridge.ports import Store
from bridge.store.disposal import RANGE
from bridge.store.memory import MemoryStore
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from bridge.verify.steps import Row
from tests.making import NOON, SECURE, SOCIAL, Hands, custodian, identity, say

MOVE = Verdict(action=Action.REDIRECT, rule="veh.vrm", reason="a registration", revision="r1")
CLEAN = Verdict(action=Action.ALLOW, rule=None, reason="", revision="r1")
PSD = custodian()


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Hands], Store]:
    def build(clock: Hands) -> Store:
        if request.param == "memory":
            return MemoryStore(identity(PSD), clock)
        return SqliteStore(tmp_path / "ledger.db", identity(PSD), clock, anchor=tmp_path / "cp")

    return build


def moved(event: str) -> list[Seen | Decided]:
    message = say(event, "AB12 CDE")
    copy = Copy(room=SOCIAL, about=message.event_id, to=SECURE, reason="a registration")
    redact = Redact(room=SOCIAL, about=message.event_id, reason="moved")
    return [
        Seen(message=message, cls=RoomClass.SOCIAL),
        Decided(message=message, cls=RoomClass.SOCIAL, verdict=MOVE, owes=(copy, redact)),
    ]


async def test_an_empty_store_remembers_nothing(make: Callable[[Hands], Store]) -> None:
    store = make(Hands())
    assert await store.cursor() is None
    assert await store.owed() == ()
    assert await store.waiting() == ()
    assert await store.brakes() == frozenset()
    await store.close()


async def test_what_was_seen_is_known_with_how_it_was_judged(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([Seen(message=say("$a"), cls=RoomClass.SOCIAL, clean=CLEAN), *moved("$b")])
    known = await store.known([EventId("$a"), EventId("$b"), EventId("$c")])
    assert {e: k.action for e, k in known.items()} == {"$a": Action.ALLOW, "$b": Action.REDIRECT}
    assert known[EventId("$b")].rule == "veh.vrm"
    await store.close()


async def test_debts_come_back_in_order_until_they_are_settled(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([*moved("$a"), *moved("$b")], cursor=Cursor("s1"))
    owed = await store.owed()
    assert [(type(d.effect).__name__, d.effect.about) for d in owed] == [
        ("Copy", "$a"), ("Redact", "$a"), ("Copy", "$b"), ("Redact", "$b"),
    ]  # fmt: skip
    assert owed[0].ciphertext == say("$a").ciphertext
    assert owed[0].since == NOON
    first, second = key(owed[0].effect), key(owed[1].effect)
    await store.append([Performed(outcome=Outcome(key=first, status=Status.DONE))])
    await store.append([Performed(outcome=Outcome(key=second, status=Status.FAILED))])
    left = await store.owed()
    assert [d.effect for d in left] == [d.effect for d in owed[1:]]
    assert left[0].attempts == 1
    assert await store.cursor() == "s1"
    await store.close()


async def test_an_unreadable_message_waits_until_it_is_read(make: Callable[[Hands], Store]) -> None:
    clock = Hands()
    store = make(clock)
    dark = say("$u", kind=Kind.UNREADABLE)
    await store.append([Seen(message=dark, cls=RoomClass.SOCIAL)])
    assert [m.event_id for m in await store.waiting()] == ["$u"]
    assert (await store.known([EventId("$u")]))[EventId("$u")].unreadable
    await store.append([Seen(message=say("$u", late=True), cls=RoomClass.SOCIAL, clean=CLEAN)])
    assert await store.waiting() == ()
    assert not (await store.known([EventId("$u")]))[EventId("$u")].unreadable
    await store.close()


async def test_after_a_week_an_unreadable_message_is_no_longer_tried(
    make: Callable[[Hands], Store],
) -> None:
    clock = Hands()
    store = make(clock)
    await store.append([Seen(message=say("$u", kind=Kind.UNREADABLE), cls=RoomClass.SOCIAL)])
    clock.move(7 * 86_400_000 + 1)
    assert await store.waiting() == ()
    await store.close()


async def test_edits_are_found_by_what_they_edit(make: Callable[[Hands], Store]) -> None:
    store = make(Hands())
    facts = [
        Seen(message=m, cls=RoomClass.SOCIAL, clean=CLEAN)
        for m in (say("$a"), say("$e1", replaces="$a"), say("$e2", replaces="$a"), say("$b"))
    ]
    await store.append(facts)
    assert await store.edits(EventId("$a")) == ("$e1", "$e2")
    assert await store.edits(EventId("$b")) == ()
    await store.close()


async def test_an_edit_that_moves_its_message_marks_both_as_moved(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([Seen(message=say("$a"), cls=RoomClass.SOCIAL, clean=CLEAN)])
    edit = say("$e", "AB12 CDE", replaces="$a")
    await store.append(
        [
            Seen(message=edit, cls=RoomClass.SOCIAL),
            Decided(message=edit, cls=RoomClass.SOCIAL, verdict=MOVE),
        ]
    )
    assert (await store.known([EventId("$a")]))[EventId("$a")].action is Action.REDIRECT
    await store.close()


async def test_brakes_are_set_and_released_by_room_or_everywhere(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([Braked(room=SOCIAL, on=True, by="sgt", reason="too many")])
    await store.append([Braked(room=None, on=True, by="sgt", reason="stop")])
    assert await store.brakes() == {SOCIAL, None}
    await store.append([Braked(room=SOCIAL, on=False, by="sgt", reason="fine")])
    assert await store.brakes() == {None}
    await store.append([Braked(room=None, on=False, by="sgt", reason="fine")])
    assert await store.brakes() == frozenset()
    await store.close()


async def test_appends_that_overlap_all_take_effect_in_the_order_they_were_made(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await asyncio.gather(
        *(store.append([Noted(text=f"n{i}")], cursor=Cursor(f"s{i}")) for i in range(50))
    )
    assert await store.cursor() == "s49"
    await store.close()


async def test_a_checkpoint_covers_everything_on_record(make: Callable[[Hands], Store]) -> None:
    store = make(Hands())
    await store.append([PolicyLoaded(revision="r1", files=(("a.yaml", "00"),))])
    note = await store.checkpoint()
    head = await store.head()
    assert head.witnessed == head.size == int(note.split("\n")[1])
    await store.append([Noted(text="more")])
    head = await store.head()
    assert head.size == head.witnessed + 1
    await store.close()


async def test_nothing_is_recorded_without_a_custodians_key(make: Callable[[Hands], Store]) -> None:
    clock = Hands()
    store = make(clock)
    clock.move(90 * 86_400_000)
    with pytest.raises(NoCertificate, match="keys issue"):
        await store.append([Noted(text="n")])
    with pytest.raises(NoCertificate):
        await store.append([Noted(text="n")])
    await store.close()


def open_sqlite(tmp_path: Path, clock: Hands | None = None) -> SqliteStore:
    return SqliteStore(
        tmp_path / "ledger.db", identity(PSD), clock or Hands(), anchor=tmp_path / "cp"
    )


async def test_a_second_writer_is_refused_with_one_clear_sentence(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    with pytest.raises(StoreLocked, match="Another Blue Lamp is writing"):
        open_sqlite(tmp_path)
    await store.close()
    await open_sqlite(tmp_path).close()


async def test_what_was_acknowledged_is_there_after_opening_again(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    await store.append(moved("$a"), cursor=Cursor("s7"))
    await store.append([Braked(room=None, on=True, by="sgt", reason="stop")])
    before = await store.head()
    await store.close()
    again = open_sqlite(tmp_path)
    assert await again.cursor() == "s7"
    assert len(await again.owed()) == 2
    assert await again.brakes() == {None}
    assert (await again.head()).root == before.root
    await again.close()


async def test_a_ledger_that_was_rolled_back_is_refused(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    await store.append([Noted(text="one")])
    await store.close()
    old = (tmp_path / "ledger.db").read_bytes()
    store = open_sqlite(tmp_path)
    await store.append([Noted(text="two")])
    await store.checkpoint()
    await store.close()
    (tmp_path / "ledger.db").write_bytes(old)
    with pytest.raises(StoreBehind, match="rolled back"):
        open_sqlite(tmp_path)


def bodies(store: Store, tmp_path: Path) -> dict[str, bool]:
    """Record → whether its body is there."""
    rows = store.rows() if isinstance(store, MemoryStore) else _read(tmp_path / "ledger.db")
    heads = [(msgspec.json.decode(row.header, type=dict[str, str | int]), row.body) for row in rows]
    return {str(head["rid"]): body is not None for head, body in heads}


def _read(path: Path) -> list[Row]:
    reader = SqliteReader(path)
    try:
        return list(reader.rows())
    finally:
        reader.close()


async def _tidied(store: Store) -> None:
    while await store.tidy():
        pass


async def _rids(store: Store, *events: str) -> list[Rid]:
    known = await store.known([EventId(event) for event in events])
    return [known[EventId(event)].rid for event in events]


def disposed(*kept: tuple[Rid, tuple[Rid, ...]]) -> Disposed:
    return Disposed(bucket="social-2026-11", custodian="psd", attestation=b"{}", kept=kept)


async def test_a_disposal_takes_the_bodies_of_its_bucket_and_what_was_noted_of_its_events(
    make: Callable[[Hands], Store], tmp_path: Path
) -> None:
    store = make(Hands())
    await store.append(moved("$a"))
    await store.append([Noted(text="of another bucket")])
    (a,) = await _rids(store, "$a")
    await store.append([disposed()])
    await store.append([Seen(message=say("$later"), cls=RoomClass.SOCIAL, clean=CLEAN)])
    await _tidied(store)
    assert await store.known([EventId("$a")]) == {}
    (later,) = await _rids(store, "$later")
    there = bodies(store, tmp_path)
    assert (there[a], there[later]) == (False, True)
    kinds = [there[rid] for rid in there]
    assert kinds.count(False) == 4  # message, verdict, two debts; note, keys and shred stay
    await store.close()


async def test_a_hold_keeps_exactly_what_was_saved_for_it_until_it_is_released(
    make: Callable[[Hands], Store], tmp_path: Path
) -> None:
    store = make(Hands())
    for event in ("$a", "$b", "$c"):
        await store.append([Seen(message=say(event), cls=RoomClass.SOCIAL, clean=CLEAN)])
    a, b, c = await _rids(store, "$a", "$b", "$c")
    one, two = new_rid(), new_rid()
    for hold in (one, two):
        await store.append([Held(rid=hold, scope="room:x", case="", reason="r", by="dsu")])
    await store.append([disposed((one, (a, b)), (two, (b,)))])
    await _tidied(store)
    there = bodies(store, tmp_path)
    assert [there[rid] for rid in (a, b, c)] == [True, True, False]
    await store.append([Released(hold=one, reason="closed", by="dsu")])
    there = bodies(store, tmp_path)
    assert [there[rid] for rid in (a, b, c)] == [False, True, False]
    await store.append([Released(hold=two, reason="closed", by="dsu")])
    there = bodies(store, tmp_path)
    assert [there[rid] for rid in (a, b, c)] == [False, False, False]
    await store.close()


async def test_a_hold_released_while_its_bucket_is_being_deleted_keeps_nothing(
    make: Callable[[Hands], Store], tmp_path: Path
) -> None:
    store = make(Hands())
    await store.append([Seen(message=say("$a"), cls=RoomClass.SOCIAL, clean=CLEAN)])
    (a,) = await _rids(store, "$a")
    hold = new_rid()
    await store.append([Held(rid=hold, scope="room:x", case="", reason="r", by="dsu")])
    await store.append([disposed((hold, (a,)))])
    await store.append([Released(hold=hold, reason="closed", by="dsu")])
    await _tidied(store)
    assert not bodies(store, tmp_path)[a]
    await store.close()


async def test_an_erased_record_loses_its_body_and_no_other_does(
    make: Callable[[Hands], Store], tmp_path: Path
) -> None:
    store = make(Hands())
    for event in ("$a", "$b"):
        await store.append([Seen(message=say(event), cls=RoomClass.SOCIAL, clean=CLEAN)])
    a, b = await _rids(store, "$a", "$b")
    edit = say("$e", replaces="$a")  # refers to the record of $a
    await store.append([Seen(message=edit, cls=RoomClass.SOCIAL, clean=CLEAN)])
    (e,) = await _rids(store, "$e")
    await store.append([Erased(record=a, orders=b"{}")])
    there = bodies(store, tmp_path)
    assert [there[rid] for rid in (a, b, e)] == [False, True, True]
    await store.close()


async def test_a_disposal_that_was_cut_short_goes_on_after_opening_again(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    count = 2 * RANGE
    facts = [Seen(message=say(f"$a{n}"), cls=RoomClass.SOCIAL, clean=CLEAN) for n in range(count)]
    await store.append(facts)
    await store.append([disposed()])
    assert await store.tidy()
    await store.close()
    store = open_sqlite(tmp_path)
    await _tidied(store)
    assert list(bodies(store, tmp_path).values()).count(False) == count
    assert (tmp_path / "ledger.db-wal").stat().st_size == 0
    await store.close()


async def test_words_of_what_was_deleted_are_nowhere_in_the_files(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    await store.append(moved("$gone-for-good"))
    (rid,) = await _rids(store, "$gone-for-good")
    sealed = next(r.body for r in _read(tmp_path / "ledger.db") if rid.encode() in r.header)
    assert sealed is not None
    for debt in await store.owed():
        await store.append([Performed(outcome=Outcome(key=key(debt.effect), status=Status.DONE))])
    await store.append([disposed()])
    await _tidied(store)
    await store.close()
    names = ("ledger.db", "ledger.db-wal", "ledger.lock")
    left = b"".join((tmp_path / n).read_bytes() for n in names if (tmp_path / n).exists())
    assert sealed[:64] not in left
    assert b"gone-for-good" not in left
