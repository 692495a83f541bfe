"""The bot's side of witnesses: they are shown everything, hold up nothing, and stop a rollback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.duties.witnessing import Seat, Witnessing
from bridge.errors import StoreBehind, StoreError, WitnessElsewhere
from bridge.facts import Fact, Noted
from bridge.ports import Witness
from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import Cosigner, cosigned, parse
from bridge.witness.memory import MemoryWitness
from tests.making import Hands, custodian, identity

PSD = custodian()
WHO = identity(PSD)


def witness(name: str = "w.example/1", clock: Hands | None = None) -> MemoryWitness:
    hands = clock or Hands()
    return MemoryWitness(name, WHO.verifier, lambda: hands() / 1000)


def seat(one: MemoryWitness) -> Seat:
    return Seat(witness=one, key=one.judge.cosigner)


def shown_to(
    store: MemoryStore | SqliteStore, *witnesses: MemoryWitness, clock: Hands | None = None
) -> Witnessing:
    return Witnessing(store=store, seats=[seat(w) for w in witnesses], clock=clock or Hands())


def sqlite(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "ledger.db", WHO, Hands(), anchor=folder / "anchor")


def note(words: str, count: int = 1) -> list[Fact]:
    return [Noted(text=f"{words} {n}") for n in range(count)]


def latest(one: MemoryWitness) -> int:
    kept = one.judge.notes().get(WHO.origin)
    return parse(kept, WHO.verifier).size if kept else -1


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A witness may take as long to sign as a busy machine makes it."""
    monkeypatch.setattr("bridge.duties.witnessing.PATIENCE_S", 120.0)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await true():  # noqa: ASYNC110 - a witness tells nobody that it has signed
            await asyncio.sleep(0.02)


async def stopped(running: asyncio.Task[None]) -> None:
    """Have it end before its store is closed."""
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | SqliteStore:
    return MemoryStore(WHO, Hands()) if request.param == "memory" else sqlite(tmp_path)


async def test_every_witness_signs_and_all_lines_stand_under_the_checkpoint(
    store: MemoryStore | SqliteStore,
) -> None:
    first, second = witness("w.example/1"), witness("w.example/2")
    witnessing = shown_to(store, first, second)
    keys = [first.judge.cosigner, second.judge.cosigner]
    await witnessing.compare()
    for count in (1, 300, 2, 700):
        await store.append(note("words", count))
        await store.checkpoint()
        await witnessing.show()
        newest = await store.newest()
        assert parse(newest, WHO.verifier).size == (await store.head()).size
        assert set(cosigned(newest, keys)) == {"w.example/1", "w.example/2"}
        assert len(newest.rpartition("\n\n")[2].splitlines()) == 3
    assert latest(first) == latest(second) == (await store.head()).size
    await store.close()


async def test_signing_again_replaces_the_line_and_never_the_ledgers_own(
    store: MemoryStore | SqliteStore,
) -> None:
    one = witness()
    witnessing = shown_to(store, one)
    await store.append(note("words"))
    await store.checkpoint()
    for _ in range(3):
        await witnessing.show()
    lines = (await store.newest()).rpartition("\n\n")[2].splitlines()
    assert [line.split(" ")[1] for line in lines] == [WHO.origin, "w.example/1"]
    size = (await store.head()).size
    await store.countersign(size, lines[0].replace(lines[0][-8:], "AAAAAAA=") + "\n")
    assert parse(await store.newest(), WHO.verifier).size == size
    await store.close()


async def test_the_cosigned_note_is_kept_at_the_anchor_as_well(tmp_path: Path) -> None:
    store, one = sqlite(tmp_path), witness()
    await store.append(note("words"))
    await store.checkpoint()
    await shown_to(store, one).show()
    anchored = (tmp_path / "anchor").read_text(encoding="utf-8")
    assert anchored == await store.newest()
    assert cosigned(anchored, [one.judge.cosigner])
    await store.close()
    await sqlite(tmp_path).close()


async def test_a_witness_that_is_down_is_a_warning_and_is_asked_again(
    store: MemoryStore | SqliteStore,
) -> None:
    one, clock = witness(), Hands()
    witnessing = shown_to(store, one, clock=clock)
    await store.append(note("words"))
    await store.checkpoint()
    one.fails_before = True
    with capture_logs() as logs:
        await witnessing.show()
        await witnessing.show()
    assert [line["event"] for line in logs] == ["witness.trouble"]
    assert witnessing.lines() == [
        "witness w.example/1 has signed nothing yet (The witness w.example/1 does not answer.)"
    ]
    await store.append(note("more", 300))
    await store.checkpoint()
    one.fails_before = False
    await witnessing.show()
    clock.move(4000)
    assert witnessing.lines() == [f"witness w.example/1 signed {latest(one)} records 4 s ago"]
    assert latest(one) == (await store.head()).size
    await store.close()


async def test_an_answer_that_was_lost_does_no_harm(store: MemoryStore | SqliteStore) -> None:
    one = witness()
    witnessing = shown_to(store, one)
    for words in ("a", "b", "c"):
        await store.append(note(words, 30))
        await store.checkpoint()
        one.fails_after = words != "c"
        await witnessing.show()
    assert latest(one) == (await store.head()).size
    assert cosigned(await store.newest(), [one.judge.cosigner])
    await store.close()


class Slow:
    """A witness that does not answer."""

    name = "slow.example/1"

    async def cosign(self, old: int, proof: Sequence[bytes], note: str) -> str:
        await asyncio.sleep(3600)
        return ""


async def test_a_slow_witness_holds_up_neither_the_bot_nor_the_others(
    store: MemoryStore | SqliteStore,
) -> None:
    quick = witness("quick.example/1")
    slow: Witness = Slow()
    seats = [Seat(witness=slow, key=Cosigner("slow.example/1", bytes(32))), seat(quick)]
    witnessing = Witnessing(store=store, seats=seats, clock=Hands())
    running = asyncio.create_task(witnessing.run())
    for words in ("a", "b"):
        await store.append(note(words))
        await store.checkpoint()
        size = (await store.head()).size

        async def seen(size: int = size) -> bool:
            return latest(quick) == size

        await until(seen)
    assert not running.done()
    await stopped(running)
    await store.close()


async def test_a_bot_without_witnesses_goes_on(store: MemoryStore | SqliteStore) -> None:
    witnessing = shown_to(store)
    await witnessing.compare()
    running = asyncio.create_task(witnessing.run())
    await asyncio.sleep(0.05)
    assert not running.done()
    await stopped(running)
    await store.close()


async def test_after_a_restart_the_store_still_knows_how_far_a_witness_was(
    tmp_path: Path,
) -> None:
    store, one = sqlite(tmp_path), witness()
    await store.append(note("words", 40))
    await store.checkpoint()
    await shown_to(store, one).show()
    size = (await store.head()).size
    await store.append(note("more", 40))
    await store.checkpoint()
    await store.close()
    store = sqlite(tmp_path)
    one.fails_before = True
    again = shown_to(store, one)
    await again.compare()
    assert again.lines()[0].startswith(f"witness w.example/1 signed {size} records 0 s ago (")
    await store.close()


# Rolled back


async def rolled_back(folder: Path, one: MemoryWitness, *, then: int) -> SqliteStore:
    """Put an older copy of ledger and anchor back, and go on with *then* other records."""
    store = sqlite(folder)
    witnessing = shown_to(store, one)
    await store.append(note("words", 20))
    await store.checkpoint()
    await witnessing.show()
    await store.close()
    copies = {path: path.read_bytes() for path in (folder / "ledger.db", folder / "anchor")}
    store = sqlite(folder)
    await store.append(note("lost", 20))
    await store.checkpoint()
    await shown_to(store, one).show()
    await store.close()
    for path, raw in copies.items():
        path.write_bytes(raw)
    store = sqlite(folder)  # the anchor was put back too: it sees nothing
    if then:
        await store.append(note("instead", then))
        await store.checkpoint()
    return store


async def test_a_ledger_that_was_rolled_back_with_its_anchor_is_refused_at_the_start(
    tmp_path: Path,
) -> None:
    one = witness()
    store = await rolled_back(tmp_path, one, then=0)
    with pytest.raises(StoreBehind, match=r"has seen \d+ records .*'bluelamp ledger recover'"):
        await shown_to(store, one).compare()
    await store.close()


async def test_a_ledger_that_was_rolled_back_and_grew_past_is_refused_as_well(
    tmp_path: Path,
) -> None:
    one = witness()
    store = await rolled_back(tmp_path, one, then=400)
    before = latest(one)
    assert (await store.head()).size > before
    with pytest.raises(StoreBehind, match="has seen another history"):
        await shown_to(store, one).compare()
    assert latest(one) == before
    await store.close()


async def test_a_ledger_that_was_begun_anew_in_its_place_is_refused_before_its_first_record(
    tmp_path: Path,
) -> None:
    old, one = sqlite(tmp_path), witness()
    await old.append(note("words", 20))
    await old.checkpoint()
    await shown_to(old, one).show()
    await old.close()
    (tmp_path / "new").mkdir()
    fresh = sqlite(tmp_path / "new")
    with pytest.raises(StoreBehind):
        await shown_to(fresh, one).compare()
    assert (await fresh.head()).size == 0
    await fresh.close()


async def test_the_bot_stops_when_a_witness_turns_out_to_be_ahead(tmp_path: Path) -> None:
    one = witness()
    store = await rolled_back(tmp_path, one, then=3)
    with capture_logs() as logs, pytest.raises(StoreBehind, match="rolled back"):
        async with asyncio.timeout(120):
            await shown_to(store, one).run()
    assert [line["log_level"] for line in logs] == ["error"]
    await store.close()


async def test_an_order_that_finds_it_out_stops_the_bot_too(tmp_path: Path) -> None:
    store, one = sqlite(tmp_path), witness()
    witnessing = shown_to(store, one)
    await store.append(note("words"))
    await store.checkpoint()
    await witnessing.show()
    running = asyncio.create_task(witnessing.run())
    await asyncio.sleep(0)

    async def ahead(old: int, proof: Sequence[bytes], note: str) -> str:
        raise WitnessElsewhere("", size=10**6)

    one.cosign = ahead  # type: ignore[method-assign]
    with pytest.raises(StoreBehind):
        await witnessing.show()
    with pytest.raises(StoreBehind):
        async with asyncio.timeout(120):
            await running
    await store.close()


async def test_a_new_log_of_the_ledger_is_shown_from_its_beginning_and_closes_the_old(
    tmp_path: Path,
) -> None:
    psd = custodian()
    for month in (1, 2):
        for retention in ("social", "operational", "system"):
            psd.issue(retention, year=2027, month=month, kept_days=90)
    who, clock, one = identity(psd), Hands(), witness()

    def opened() -> SqliteStore:
        return SqliteStore(tmp_path / "ledger.db", who, clock, anchor=tmp_path / "anchor")

    store = opened()
    witnessing = shown_to(store, one, clock=clock)
    await store.append(note("words", 30))
    await store.checkpoint()
    await witnessing.show()
    before = latest(one)
    await store.close()
    old = (tmp_path / "ledger.db").read_bytes()
    store = opened()
    witnessing = shown_to(store, one, clock=clock)
    clock.move(45 * 86_400_000)
    assert await store.roll()
    await witnessing.show()
    await store.append(note("new year"))
    await store.checkpoint()
    await witnessing.show()
    kept = one.judge.notes()
    assert set(kept) == {who.origin, f"{who.origin}/2"}
    assert latest(one) >= before
    head = await store.head()
    assert f"signed {head.size} records" in witnessing.lines()[0]
    assert cosigned(await store.newest(), [one.judge.cosigner])
    await store.close()
    (tmp_path / "ledger.db").write_bytes(old)
    (tmp_path / "anchor").unlink()
    (tmp_path / "ledger.1.db").unlink()
    store = opened()
    assert (await store.head()).size == before  # the witness has seen no more of this log
    with pytest.raises(StoreBehind, match="another history"):
        await shown_to(store, one).compare()
    await store.close()


# The anchor


def signed_sizes(store: SqliteStore) -> list[int]:
    return [size for (size,) in store._db.execute("SELECT size FROM checkpoint")]


async def test_an_anchor_that_another_ledger_has_moved_on_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    store = sqlite(tmp_path)
    await store.append(note("words", 5))
    await store.checkpoint()
    await store.close()
    copied = (tmp_path / "ledger.db").read_bytes()
    (tmp_path / "copy" / "ledger.db").write_bytes(copied)
    first = sqlite(tmp_path)
    second = SqliteStore(tmp_path / "copy" / "ledger.db", WHO, Hands(), anchor=tmp_path / "anchor")
    await first.append(note("first", 2))
    await second.append(note("second", 9))
    begun = signed_sizes(second)
    await first.checkpoint()
    kept = (tmp_path / "anchor").read_text(encoding="utf-8")
    with pytest.raises(StoreBehind, match="another Blue Lamp uses the same anchor"):
        await second.checkpoint()
    assert (tmp_path / "anchor").read_text(encoding="utf-8") == kept
    assert signed_sizes(second) == begun  # and nothing else was signed
    with pytest.raises(StoreBehind):  # fail-stop
        await second.append(note("more"))
    await second.close()
    await first.append(note("goes on"))
    await first.checkpoint()
    await first.close()


async def test_an_anchor_of_the_same_size_and_another_root_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    stores = [
        SqliteStore(folder / "ledger.db", WHO, Hands(), anchor=tmp_path / "anchor")
        for folder in (tmp_path, tmp_path / "copy")
    ]
    for store in stores:
        await store.append(note(str(id(store)), 3))
    await stores[0].checkpoint()
    with pytest.raises(StoreBehind):
        await stores[1].checkpoint()
    for store in stores:
        await store.close()


async def test_an_anchor_that_is_not_one_is_not_replaced(tmp_path: Path) -> None:
    store = sqlite(tmp_path)
    await store.append(note("words"))
    (tmp_path / "anchor").write_bytes(b"\xff\xfe nonsense")
    with pytest.raises(StoreBehind, match="cannot be believed"):
        await store.checkpoint()
    assert (tmp_path / "anchor").read_bytes() == b"\xff\xfe nonsense"
    await store.close()


async def test_an_anchor_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "anchor").mkdir()
    with pytest.raises(StoreError, match=r"The anchor .* cannot be read: Is a directory"):
        sqlite(tmp_path)


async def test_a_newest_record_that_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    store = sqlite(tmp_path)
    await store.append(note("words"))
    store._db.executescript("DROP TRIGGER record_is_append_only")
    store._db.execute("UPDATE record SET header = x'7b' WHERE seq = (SELECT max(seq) FROM record)")
    await store.close()
    with pytest.raises(StoreError, match=r"newest record .* is damaged"):
        sqlite(tmp_path)
