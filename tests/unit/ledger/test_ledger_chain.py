"""One log after another: closed by half-year, and begun anew when records were lost."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from bridge.errors import StoreBehind, StoreError, UsageError
from bridge.facts import Decided, Disposed, Erased, Fact, Held, Noted, Performed, Released, Seen
from bridge.ledger.record import new_rid
from bridge.model import (
    Action,
    Cursor,
    EventId,
    Ms,
    Outcome,
    Redact,
    Rid,
    RoomClass,
    Status,
    Verdict,
    key,
)
from bridge.store import chain
from bridge.store.reader import SqliteReader
from bridge.store.recover import Loss, recover
from bridge.store.sqlite import ROLL_AGAIN_MS, SqliteStore
from bridge.verify.notes import Verifier, parse
from tests.making import NOON, ORIGIN, SOCIAL, Hands, custodian, identity, say

PSD = custodian(months=9)
JULY = Ms(NOON + 222 * 86_400_000)
CLEAN = Verdict(action=Action.ALLOW, rule=None, reason="", revision="r1")


def open_store(folder: Path, clock: Hands) -> SqliteStore:
    return SqliteStore(folder / "ledger.db", identity(PSD), clock, anchor=folder / "checkpoint")


def seen(event: str) -> Seen:
    return Seen(message=say(event), cls=RoomClass.SOCIAL, clean=CLEAN)


def heads(path: Path) -> list[dict[str, object]]:
    reader = SqliteReader(path)
    try:
        return [{**json.loads(r.header), "there": r.body is not None} for r in reader.rows()]
    finally:
        reader.close()


def genesis(path: Path) -> dict[str, object]:
    reader = SqliteReader(path)
    try:
        row = next(iter(reader.rows()))
        assert row.body is not None
        return dict(json.loads(row.body))
    finally:
        reader.close()


async def rid_of(store: SqliteStore, event: str) -> Rid:
    return (await store.known([EventId(event)]))[EventId(event)].rid


async def two_logs(folder: Path) -> tuple[SqliteStore, Hands]:
    """A ledger whose first log was closed, with a message and an open debt in it."""
    clock = Hands()
    store = open_store(folder, clock)
    redact = Redact(room=SOCIAL, about=EventId("$a"), reason="moved")
    move = Verdict(action=Action.REDIRECT, rule="veh.vrm", reason="a registration", revision="r1")
    decided = Decided(message=say("$a"), cls=RoomClass.SOCIAL, verdict=move, owes=(redact,))
    await store.append([seen("$a"), decided, seen("$b")], cursor=Cursor("s1"))
    assert not await store.roll()
    clock.at = JULY
    assert await store.roll()
    return store, clock


async def test_a_log_is_closed_when_its_half_year_is_over_and_the_next_names_its_end(
    tmp_path: Path,
) -> None:
    store, _ = await two_logs(tmp_path)
    await store.append([Noted(text="first of the new log")])
    note = await store.checkpoint()
    await store.close()
    assert chain.closed(tmp_path / "ledger.db") == [tmp_path / "ledger.1.db"]
    begun = genesis(tmp_path / "ledger.db")
    assert begun["origin"] == f"{ORIGIN}/2"
    assert note.startswith(f"{ORIGIN}/2\n")
    previous = begun["previous"]
    assert isinstance(previous, dict)
    verifier = Verifier(ORIGIN, identity(PSD).verifier.key)
    last = parse(previous["checkpoint"], verifier)
    assert last.size == len(heads(tmp_path / "ledger.1.db"))
    assert previous["lost"] is None
    assert (tmp_path / "checkpoint.1").read_text() == previous["checkpoint"]


async def test_what_the_bot_owes_and_knows_goes_on_in_the_next_log(tmp_path: Path) -> None:
    store, clock = await two_logs(tmp_path)
    assert await store.cursor() == "s1"
    assert (await store.known([EventId("$b")]))[EventId("$b")].action is Action.ALLOW
    (debt,) = await store.owed()
    await store.append([Performed(outcome=Outcome(key=key(debt.effect), status=Status.DONE))])
    assert await store.owed() == ()
    await store.close()
    again = open_store(tmp_path, clock)
    assert not await again.roll()
    assert (await again.head()).size == len(heads(tmp_path / "ledger.db"))
    await again.close()


@pytest.mark.parametrize("cut", ["before", "between"])
async def test_closing_that_is_cut_short_is_finished_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    clock = Hands()
    store = open_store(tmp_path, clock)
    await store.append([seen("$a")], cursor=Cursor("s1"))
    clock.at = JULY

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    name = "_carry_over" if cut == "before" else "finish"
    with monkeypatch.context() as patch:
        patch.setattr(chain, name, die)
        with pytest.raises(Killed):
            store._roll()
    store._lock.close()
    again = open_store(tmp_path, clock)
    await again.roll()
    await again.append([Noted(text="on")])
    assert await again.cursor() == "s1"
    assert genesis(tmp_path / "ledger.db")["origin"] == f"{ORIGIN}/2"
    assert len(chain.closed(tmp_path / "ledger.db")) == 1
    await again.close()


async def test_a_disposal_reaches_the_closed_logs_and_a_hold_keeps_what_is_in_them(
    tmp_path: Path,
) -> None:
    store, _ = await two_logs(tmp_path)
    a, b = await rid_of(store, "$a"), await rid_of(store, "$b")
    hold = new_rid()
    await store.append([Held(rid=hold, scope="room:x", case="", reason="r", by="dsu")])
    kept = ((hold, (b,)),)
    fact = Disposed(bucket="social-2026-11", custodian="psd", attestation=b"{}", kept=kept)
    await store.append([fact])
    while await store.tidy():
        pass

    def there() -> dict[str, bool]:
        return {str(h["rid"]): bool(h["there"]) for h in heads(tmp_path / "ledger.1.db")}

    assert (there()[a], there()[b]) == (False, True)
    await store.append([Released(hold=hold, reason="closed", by="dsu")])
    await store.tidy()
    assert not there()[b]
    await store.close()


async def test_one_record_of_a_closed_log_can_be_erased(tmp_path: Path) -> None:
    store, _ = await two_logs(tmp_path)
    b = await rid_of(store, "$b")
    await store.append([Erased(record=b, orders=b"{}")])
    await store.tidy()
    gone = [h["rid"] for h in heads(tmp_path / "ledger.1.db") if not h["there"]]
    assert gone == [b]
    await store.close()


async def rolled_back(folder: Path) -> Hands:
    """A ledger of which a newer checkpoint was signed than its file has."""
    clock = Hands()
    store = open_store(folder, clock)
    await store.append([seen("$a")], cursor=Cursor("s1"))
    await store.checkpoint()
    await store.close()
    old = (folder / "ledger.db").read_bytes()
    store = open_store(folder, clock)
    await store.append([seen("$b")], cursor=Cursor("s2"))
    await store.checkpoint()
    await store.close()
    (folder / "ledger.db").write_bytes(old)
    with pytest.raises(StoreBehind, match="recover"):
        open_store(folder, clock)
    return clock


def mend(folder: Path) -> Loss:
    note = (folder / "checkpoint").read_text()
    return recover(folder / "ledger.db", identity(PSD), [note], "restored from Tuesday")


async def test_after_a_loss_a_new_log_says_which_records_are_missing(tmp_path: Path) -> None:
    clock = await rolled_back(tmp_path)
    size = len(heads(tmp_path / "ledger.db"))
    loss = mend(tmp_path)
    assert (loss.first, loss.end) == (size, size + 2)  # an epoch and a message
    store = open_store(tmp_path, clock)
    assert await store.cursor() == "s1"  # so that the server's copy of the loss is read again
    await store.append([seen("$b")])
    await store.checkpoint()
    await store.close()
    previous = genesis(tmp_path / "ledger.db")["previous"]
    assert isinstance(previous, dict)
    assert (previous["lost"], previous["reason"]) == ([size, size + 2], "restored from Tuesday")
    assert len(heads(tmp_path / "ledger.1.db")) == size
    await open_store(tmp_path, clock).close()


@pytest.mark.parametrize("damage", ["gone", "noise"])
async def test_a_ledger_that_cannot_be_read_at_all_is_recovered_as_wholly_lost(
    tmp_path: Path, damage: str
) -> None:
    clock = await rolled_back(tmp_path)
    path = tmp_path / "ledger.db"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"noise" * 4096)
    loss = mend(tmp_path)
    assert loss.first == 0
    assert (loss.kept_as is None) == (damage == "gone")
    store = open_store(tmp_path, clock)
    await store.append([Noted(text="on")])
    await store.close()
    assert genesis(path)["origin"] == f"{ORIGIN}/2"


async def test_nothing_is_recovered_where_nothing_is_lost(tmp_path: Path) -> None:
    store = open_store(tmp_path, Hands())
    await store.append([seen("$a")])
    await store.checkpoint()
    await store.append([seen("$b")])
    await store.close()
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(UsageError, match="Nothing is lost"):
        mend(tmp_path)
    assert (tmp_path / "ledger.db").read_bytes() == before


async def test_without_a_checkpoint_from_elsewhere_nobody_can_say_what_was_lost(
    tmp_path: Path,
) -> None:
    await rolled_back(tmp_path)
    for notes in ([], ["other.example/bluelamp\n9\nAAAA\n\n"], ["x"]):
        with pytest.raises(StoreError, match="--checkpoint"):
            recover(tmp_path / "ledger.db", identity(PSD), notes, "")


def reading(path: Path) -> sqlite3.Connection:
    """Somebody who reads the file, and keeps at it."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM record").fetchone()
    return db


async def test_a_log_that_somebody_reads_is_closed_later_and_loses_nothing(tmp_path: Path) -> None:
    clock = Hands()
    store = open_store(tmp_path, clock)
    await store.append([seen("$a")])
    reader = reading(tmp_path / "ledger.db")
    await store.append([seen(f"$b{n}") for n in range(50)])
    before = (await store.head()).size
    clock.at = JULY
    assert not await store.roll()
    await store.append([Noted(text="goes on meanwhile")])
    reader.close()
    assert not await store.roll()  # not every second
    clock.move(ROLL_AGAIN_MS)
    assert await store.roll()
    size = len(heads(tmp_path / "ledger.1.db"))
    assert size > before
    await store.close()
    await open_store(tmp_path, clock).close()


async def test_a_closed_log_that_was_put_elsewhere_is_not_written_over(tmp_path: Path) -> None:
    store, clock = await two_logs(tmp_path)
    await store.append([Noted(text="the second log")])
    (tmp_path / "ledger.1.db").rename(tmp_path / "elsewhere.db")
    clock.at = Ms(JULY + 190 * 86_400_000)
    assert await store.roll()
    await store.close()
    assert chain.closed(tmp_path / "ledger.db") == [tmp_path / "ledger.2.db"]


async def test_what_is_to_go_from_a_log_that_is_elsewhere_waits_for_it(tmp_path: Path) -> None:
    store, _ = await two_logs(tmp_path)
    hold = new_rid()
    b = await rid_of(store, "$b")
    await store.append([Held(rid=hold, scope="room:x", case="", reason="r", by="dsu")])
    fact = Disposed(
        bucket="social-2026-11", custodian="psd", attestation=b"{}", kept=((hold, (b,)),)
    )
    await store.append([fact])
    path = tmp_path / "ledger.1.db"
    path.rename(tmp_path / "elsewhere.db")
    assert not await store.tidy()
    assert not path.exists()
    (tmp_path / "elsewhere.db").rename(path)
    while await store.tidy():
        pass
    assert [h["rid"] for h in heads(path) if h["there"] and h["kind"] == "message"] == [b]
    await store.close()


@pytest.mark.parametrize("act", ["release", "erase"])
async def test_nothing_goes_from_a_closed_log_before_its_reason_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    store, _ = await two_logs(tmp_path)
    hold = new_rid()
    b = await rid_of(store, "$b")
    await store.append([Held(rid=hold, scope="room:x", case="", reason="r", by="dsu")])
    kept = ((hold, (b,)),)
    await store.append(
        [Disposed(bucket="social-2026-11", custodian="psd", attestation=b"{}", kept=kept)]
    )
    while await store.tidy():
        pass
    run = store._run

    def full(name: str, *values: object) -> None:
        if name == "commit":
            raise sqlite3.OperationalError("disk I/O error")
        run(name, *values)

    monkeypatch.setattr(store, "_run", full)
    facts: dict[str, Fact] = {
        "release": Released(hold=hold, reason="closed", by="dsu"),
        "erase": Erased(record=b, orders=b"{}"),
    }
    with pytest.raises(StoreError):
        await store.append([facts[act]])
    there = {h["rid"]: h["there"] for h in heads(tmp_path / "ledger.1.db")}
    assert there[b]
    await store.close()


async def test_what_lay_beside_a_file_that_is_gone_is_not_taken_for_the_new_ones(
    tmp_path: Path,
) -> None:
    clock = await rolled_back(tmp_path)
    path = tmp_path / "ledger.db"
    store = sqlite3.connect(path)
    store.execute("CREATE TABLE leftover (x)")
    wal = path.with_name("ledger.db-wal").read_bytes()
    store.close()
    path.unlink()
    path.with_name("ledger.db-wal").write_bytes(wal)
    mend(tmp_path)
    again = open_store(tmp_path, clock)
    await again.append([Noted(text="on")])
    await again.close()
    assert genesis(path)["origin"] == f"{ORIGIN}/2"


async def test_time_does_not_run_back_into_a_new_log(tmp_path: Path) -> None:
    store, clock = await two_logs(tmp_path)
    await store.close()
    clock.at = NOON
    store = open_store(tmp_path, clock)
    await store.append([Noted(text="first")])
    await store.close()
    newest = max(int(str(h["t"])) for h in heads(tmp_path / "ledger.1.db"))
    assert all(int(str(h["t"])) >= newest for h in heads(tmp_path / "ledger.db"))
