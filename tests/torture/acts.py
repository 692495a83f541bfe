"""What a tortured store is asked to do, and what must be left of it afterwards.

Never asks a store what it should have kept: the acts follow from their number alone, and
`MemoryStore`, given the same acts, says what follows from them.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bridge.facts import Braked, Fact, Missed, Noted, Performed, Seen
from bridge.model import Cursor, EventId, Gap, Kind, Outcome, Rid, RoomClass, Status, key
from bridge.ports import Known, Store
from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import Checkpoint
from tests.making import NOON, ORIGIN, SOCIAL, Hands, custodian, identity, say
from tests.unit.ledger.appending import open_in
from tests.unit.ledger.forging import CLEAN, KEY, Ledger, moved, of_file

PSD = custodian()
#: So many acts and they come round again, with other names.
ROUND = 8


def act(number: int) -> list[Fact]:
    """Return what is recorded as act *number*, which also is the cursor that it moves to."""
    turn, place = divmod(number, ROUND)
    a, b, dark = EventId(f"$a{turn}"), EventId(f"$b{turn}"), EventId(f"$u{turn}")
    owed = [key(effect) for effect in moved(b, "AB12 CDE", NOON)[1].owes]  # type: ignore[union-attr]
    match place:
        case 0:
            return [Seen(message=say(a), cls=RoomClass.SOCIAL, clean=CLEAN)]
        case 1:
            return moved(b, "AB12 CDE is on the drive", NOON)
        case 2:
            status = Status.FAILED if turn % 2 else Status.DONE
            return [Performed(outcome=Outcome(key=owed[0], status=status, detail="$sent"))]
        case 3:
            unread = say(dark, kind=Kind.UNREADABLE)
            return [Seen(message=unread, cls=RoomClass.SOCIAL),
                    Braked(room=SOCIAL, on=turn % 2 == 0, by="sgt", reason="many")]  # fmt: skip
        case 4:
            return [Performed(outcome=Outcome(key=owed[1], status=Status.DONE, detail="$gone"))]
        case 5:
            return [Noted(text=f"n{number}.{n}" * (1 + n % 9)) for n in range(number % 37)]
        case 6:
            read = [say(dark, late=True)] if turn % 3 else []
            return [Seen(message=one, cls=RoomClass.SOCIAL, clean=CLEAN) for one in read]
        case _:
            edit = say(f"$e{turn}", "milk, please", replaces=a)
            return [Seen(message=edit, cls=RoomClass.SOCIAL, clean=CLEAN),
                    Missed(gap=Gap(room=SOCIAL, reason="the server gave no more"))]  # fmt: skip


async def perform(store: Store, number: int) -> None:
    """Do act *number* and move the cursor behind it."""
    await store.append(act(number), cursor=Cursor(str(number + 1)))


async def consequences(store: Store, done: int) -> dict[str, object]:
    """Everything that follows from what is on record, but names that are drawn by chance."""
    events = [EventId(f"${name}{n}") for n in range(1 + done // ROUND) for name in "abue"]
    known = await store.known(events)
    return {
        "cursor": await store.cursor(),
        "owed": [replace(debt, rid="", message="") for debt in await store.owed()],  # type: ignore[arg-type]
        "waiting": [m.event_id for m in await store.waiting()],
        "brakes": await store.brakes(),
        "known": {event: _nameless(one) for event, one in known.items()},
        "edits": [await store.edits(event) for event in events],
    }


def _nameless(one: Known) -> Known:
    """Leave out the names of its records, but not whether there is a verdict."""
    return replace(one, rid=Rid(""), verdict=one.verdict and Rid("some"))


@functools.cache
def expected(done: int) -> dict[str, object]:
    """What must follow from the first *done* acts."""

    async def run() -> dict[str, object]:
        model = MemoryStore(identity(PSD), Hands())
        for number in range(done):
            await perform(model, number)
        return await consequences(model, done)

    return asyncio.run(run())


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the store acknowledged last: all acts before *acts* are the first *size* records."""

    acts: int = 0
    size: int = 0
    root: bytes = b""

    @classmethod
    def read(cls, line: str) -> Promise:
        """Read a line that `writing` says."""
        _, acts, size, root = line.split(" ")
        return cls(acts=int(acts), size=int(size), root=bytes.fromhex(root))

    def __str__(self) -> str:
        """Return the line."""
        return f"kept {self.acts} {self.size} {self.root.hex()}"

    @property
    def witness(self) -> tuple[tuple[str, str], ...]:
        """As a checkpoint kept elsewhere: these very records, in this order."""
        if not self.size:
            return ()
        return (("who was told", Checkpoint(ORIGIN, self.size, self.root).sign(KEY)),)


async def promise(store: Store, acts: int) -> Promise:
    head = await store.head()
    return Promise(acts=acts, size=head.size, root=head.root)


def promises(lines: Sequence[str]) -> Promise:
    """Return the last promise among the *lines* that somebody was told."""
    kept = [line for line in lines if line.startswith("kept ")]
    return Promise.read(kept[-1]) if kept else Promise()


def new_folder(folder: Path) -> Path:
    """Make *folder* a place where a ledger can begin."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").write_bytes(msgspec.json.encode(PSD.bundle()))
    return folder


def ledger_in(folder: Path, outside: tuple[tuple[str, str], ...] = ()) -> Ledger:
    """Read the ledger in *folder*, with its anchor and what is kept *outside*."""
    anchor = folder / "checkpoint"
    if anchor.exists():
        outside = (*outside, ("the anchor", anchor.read_text(encoding="utf-8")))
    return of_file(folder / "ledger.db", outside=outside, identities={"psd": PSD.public})


def failures(folder: Path, told: Promise) -> Sequence[object]:
    """Verify the ledger in *folder* against its anchor and what was told; return what is wrong."""
    return ledger_in(folder, told.witness).verified().failures


async def survey(folder: Path, told: Promise) -> str:
    """Open what is left in *folder* as a restart would; say what is wrong, or nothing.

    Everything that was *told* is there and what follows from it, an act is there whole or not at
    all, the ledger verifies, and it can be gone on with.
    """
    try:
        store = open_in(folder)
    except Exception as exc:
        return f"it does not open again: {exc!r}"
    try:
        return await _survey(store, folder, told)
    except Exception as exc:
        return f"it does not go on: {exc!r}"
    finally:
        await store.close()


async def _survey(store: SqliteStore, folder: Path, told: Promise) -> str:
    done = int(await store.cursor() or 0)
    if done < told.acts:
        return f"acts {done} to {told.acts} are lost"
    found, wanted = await consequences(store, done), await asyncio.to_thread(expected, done)
    if wrong := [name for name in wanted if found[name] != wanted[name]]:
        return f"after {done} acts there is something else: {wrong}"
    if (await store.head()).size and (unsound := failures(folder, told)):
        return f"it does not verify: {unsound[0]}"
    await perform(store, done)
    await store.checkpoint()
    after = await promise(store, done + 1)
    if unsound := failures(folder, after):
        return f"it does not verify any more after going on: {unsound[0]}"
    return ""
