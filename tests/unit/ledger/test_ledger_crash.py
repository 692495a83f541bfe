"""What was acknowledged survives kill -9 and a full disk; after a failure nothing is written."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bridge.errors import StoreError
from bridge.facts import Decided, Fact, Noted, Performed, Seen
from bridge.model import Cursor, EventId, Ms, Outcome, Redact, RoomClass, Status, key
from bridge.ports import Store
from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore
from bridge.verify import Unsound
from bridge.verify.notes import parse
from tests.making import SOCIAL, Hands, custodian, identity, say
from tests.unit.ledger.appending import open_in
from tests.unit.ledger.forging import MOVE, STRANGER, VERIFIER, dice, of_file, of_memory

PSD = custodian()
KILLS = 16
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bundle.json").write_bytes(msgspec.json.encode(PSD.bundle()))
    return tmp_path


def appender(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.ledger.appending", str(folder), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


async def reopened(folder: Path) -> int:
    """Open as a restart would, refusing what is older than the anchor; return the cursor."""
    store = open_in(folder)
    cursor = await store.cursor()
    await store.close()
    return int(cursor or 0)


def check(folder: Path) -> int:
    """Verify against the anchor; return how many notes there are."""
    anchor = folder / "checkpoint"
    kept = (("the anchor", anchor.read_text(encoding="utf-8")),) if anchor.exists() else ()
    found = of_file(folder / "ledger.db", outside=kept, identities={"psd": PSD.public})
    report = found.verified()
    assert report.failures == []
    return report.kinds.get("note", 0)


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(folder: Path) -> None:
    chance = dice(15)
    acknowledged = 0
    for _ in range(KILLS):
        child = appender(folder)
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(chance.random() * 0.12)
        child.kill()
        rest, errors = child.communicate()
        assert errors == ""
        lines = (first + rest).split("\n")[:-1]  # what follows the last newline was cut off
        assert int(lines[-1]) > acknowledged
        acknowledged = int(lines[-1])
        on_record = asyncio.run(reopened(folder))
        assert on_record >= acknowledged
        assert check(folder) == on_record
    assert acknowledged > KILLS


def test_a_full_disk_is_one_error_and_then_the_store_refuses_everything(folder: Path) -> None:
    child = appender(folder, "300000")
    out, errors = child.communicate(timeout=300)
    assert errors == ""
    lines = out.splitlines()
    counts = [int(line) for line in lines if line.isdigit()]
    (refusal,) = (line for line in lines if line.startswith("refused: "))
    assert "free some space or mend the disk" in refusal
    assert lines.count("refused again") == 5
    assert asyncio.run(reopened(folder)) >= counts[-1]
    assert check(folder) >= counts[-1]


def sqlite(tmp_path: Path, clock: Callable[[], Ms] | None = None) -> SqliteStore:
    path, anchor = tmp_path / "ledger.db", tmp_path / "checkpoint"
    return SqliteStore(path, identity(PSD), clock or Hands(), anchor=anchor)


def fill_up(store: SqliteStore) -> None:
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")


async def test_after_a_write_that_failed_reopening_finds_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    store = sqlite(tmp_path)
    await store.append([Noted(text="kept")])
    await store.checkpoint()
    size = (await store.head()).size
    fill_up(store)
    waiting = [store.append([Noted(text="x" * 1000) for _ in range(50)]) for _ in range(3)]
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, StoreError)
        assert "full" in str(outcome)
    for what in (store.head, store.checkpoint, store.cursor):
        ask: Callable[[], Awaitable[object]] = what
        with pytest.raises(StoreError, match="full"):
            await ask()
    await store.close()
    again = sqlite(tmp_path)
    assert (await again.head()).size == size
    await again.append([Noted(text="goes on")])
    await again.checkpoint()
    await again.close()
    assert check(tmp_path) == 2


async def test_a_checkpoint_that_waited_behind_a_failed_write_is_never_signed(
    tmp_path: Path,
) -> None:
    """It would cover records that are in memory only: from then on the anchor would accuse us."""
    clock = Hands()

    def slow() -> Ms:
        time.sleep(0.05)
        return clock()

    store = sqlite(tmp_path, slow)
    await store.append([Noted(text="kept")])
    await store.checkpoint()
    fill_up(store)
    doomed = [asyncio.create_task(store.append([Noted(text="x" * 1000) for _ in range(50)]))]
    await asyncio.sleep(0.02)  # now it is being written
    with pytest.raises(StoreError):
        await store.checkpoint()
    with pytest.raises(StoreError):
        await doomed[0]
    await store.close()
    kept = parse((tmp_path / "checkpoint").read_text(encoding="utf-8"), VERIFIER)
    assert kept.size == of_file(tmp_path / "ledger.db").edge[0]
    await sqlite(tmp_path).close()
    assert check(tmp_path) == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_owing_the_same_twice_is_owing_it_once(kind: str, tmp_path: Path) -> None:
    store: Store = MemoryStore(identity(PSD), Hands()) if kind == "memory" else sqlite(tmp_path)
    message = say("$a", "AB12 CDE")
    redact = Redact(room=SOCIAL, about=EventId("$a"), reason="Moved")
    decided = Decided(message=message, cls=RoomClass.SOCIAL, verdict=MOVE, owes=(redact, redact))
    facts: list[Fact] = [Seen(message=message, cls=RoomClass.SOCIAL), decided, decided]
    await store.append(facts)
    await store.append([decided])
    assert len(await store.owed()) == 1
    for _ in range(2):
        await store.append([Performed(outcome=Outcome(key=key(redact), status=Status.DONE))])
    assert await store.owed() == ()
    await store.close()
    found = of_memory(store) if isinstance(store, MemoryStore) else of_file(tmp_path / "ledger.db")
    assert found.verified().ok


async def test_a_ledger_is_not_continued_under_another_key_name_or_custodian(
    tmp_path: Path,
) -> None:
    ours = identity(PSD)
    store = sqlite(tmp_path)
    await store.append([Noted(text="n")])
    await store.close()
    others = {
        "origin": replace(ours, origin="other.example/bluelamp"),
        "custodians": identity(custodian()),
        "verifier": replace(ours, key=STRANGER),
    }
    for what, other in others.items():
        with pytest.raises(StoreError, match=f"begun with another .*{what}"):
            SqliteStore(tmp_path / "ledger.db", other, Hands(), anchor=None)
    await sqlite(tmp_path).close()


async def test_the_tag_key_of_a_month_leaves_the_file_when_the_next_begins(tmp_path: Path) -> None:
    clock = Hands()
    store = sqlite(tmp_path, clock)
    await store.append([Noted(text="in November")])
    (old,) = (key for (key,) in store._db.execute("SELECT key FROM tag_key"))
    clock.move(9 * 86_400_000)
    await store.append([Noted(text="in December")])
    assert [b for (b,) in store._db.execute("SELECT bucket FROM tag_key")] == ["system-2026-12"]
    await store.close()
    assert old not in (tmp_path / "ledger.db").read_bytes()
    assert of_file(tmp_path / "ledger.db", identities={"psd": PSD.public}).verified().ok


async def test_a_clock_that_is_set_back_over_the_end_of_a_month_stops_nothing(
    tmp_path: Path,
) -> None:
    clock = Hands()
    clock.move(9 * 86_400_000 - 12 * 3_600_000 - 1000)  # a second before December
    store = sqlite(tmp_path, clock)
    for step in (0, 2000, -2000, 2000):
        clock.move(step)
        await store.append([], cursor=Cursor(str(clock())))
        await store.append([Noted(text="n")] if step <= 0 else [], cursor=Cursor("s"))
    await store.append([Noted(text="n")])
    await store.close()
    found = of_file(tmp_path / "ledger.db", identities={"psd": PSD.public})
    assert found.verified().failures == []
    assert len({found.header(at).get("bucket") for at in range(len(found.rows))}) == 3


async def test_a_lone_surrogate_does_not_stop_the_store(tmp_path: Path) -> None:
    """A sender can put one into the type of an encrypted event, and would stop the bot for good."""
    store = sqlite(tmp_path)
    hostile = replace(say("$a"), type="\ud800")
    await store.append([Seen(message=hostile, cls=RoomClass.SOCIAL)])
    await store.close()


async def test_an_anchor_that_is_no_checkpoint_is_not_believed(tmp_path: Path) -> None:
    store = sqlite(tmp_path)
    await store.append([Noted(text="n")])
    await store.checkpoint()
    await store.close()
    note = (tmp_path / "checkpoint").read_text(encoding="utf-8")
    for wrong in ("", note + "garbage\n", note.replace("\n", "\n9", 1)):
        (tmp_path / "checkpoint").write_text(wrong, encoding="utf-8")
        with pytest.raises((StoreError, Unsound)):
            sqlite(tmp_path)
