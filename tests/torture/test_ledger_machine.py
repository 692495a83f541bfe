"""Any sequence of appends, checkpoints, crashes, failures and restarts, against a plain list.

Holds, shreds and erasures are to be further rules here, with a branch each in `consequences`.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.errors import StoreError
from bridge.facts import Fact
from bridge.model import Cursor
from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore
from tests.making import Hands, identity
from tests.torture.acts import PSD, Promise, act, consequences, ledger_in, new_folder, promise
from tests.torture.tally import Tally, tell
from tests.unit.ledger.appending import identity_in, open_in
from tests.unit.ledger.forging import decode

#: Kinds of records that a store makes for itself.
OWN = {"genesis", "certificate", "epoch"}
#: Acts of a batch follow from its number; this many later the next one's begin.
STRIDE = 3
Batch: TypeAlias = tuple[int, Sequence[Fact]]
#: Sizes of batches that are appended at once.
Acts = st.lists(st.integers(1, 5), min_size=1, max_size=3)


class Ledger(RuleBasedStateMachine):
    """A store, and the list of what it must hold.

    A rule changes both. One that leaves it open whether something was recorded asks the store
    that was opened again, and holds it to the whole of each batch, in order.
    """

    steps = 0

    def __init__(self) -> None:
        """Begin a ledger."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.tmp = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.lives = 0
        self.clock = Hands()
        #: The list: each batch that is on record, in order.
        self.model: list[Sequence[Fact]] = []
        self.mirror = MemoryStore(identity(PSD), self.clock)
        self.told = Promise()
        self.signed: list[tuple[str, str]] = []
        self.folder = new_folder(self.tmp / "0")
        self.store = self.open()

    def open(self) -> SqliteStore:
        where = self.folder / "ledger.db"
        return SqliteStore(
            where, identity_in(self.folder), self.clock, anchor=self.folder / "checkpoint"
        )

    # What may happen

    @rule(sizes=Acts)
    def append(self, sizes: list[int]) -> None:
        """Append several batches at once, and wait for all."""
        batches = self.batches(sizes)
        assert not any(self.runner.run(self.attempt(batches)))
        self.recorded(batches)

    @rule()
    def checkpoint(self) -> None:
        self.signed.append(("a checkpoint", self.runner.run(self.store.checkpoint())))

    @rule(minutes=st.integers(0, 20))
    def wait(self, minutes: int) -> None:
        self.clock.move(minutes * 60_000)

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.open()

    @rule()
    def crash(self) -> None:
        """Leave the file as it lies, go on from there."""
        left = self.leave()
        self.runner.run(self.store.close())
        self.come_back(left)

    @rule(sizes=Acts, after=st.integers(1, 60))
    def crash_while_writing(self, sizes: list[int], after: int) -> None:
        """Leave the file as it lies before so many statements of a write."""
        batches = self.batches(sizes)
        left = self.left_before(after, self.attempt(batches))
        self.come_back(left)
        more = int(self.runner.run(self.store.cursor()) or 0) - len(self.model)
        assert 0 <= more <= len(batches)
        self.recorded(batches[:more])

    @rule(after=st.integers(1, 7))
    def crash_while_signing(self, after: int) -> None:
        """Leave file and anchor as they lie before so many statements of a checkpoint."""
        self.append([1])  # so that there is something to sign
        self.come_back(self.left_before(after, self.store.checkpoint()))

    @rule(sizes=Acts, pages=st.integers(0, 3))
    def fill_the_disk(self, sizes: list[int], pages: int) -> None:
        """Let the file grow no further: what fails is one error, and then all is refused."""
        (now,) = self.store._db.execute("PRAGMA page_count").fetchone()
        self.store._db.execute(f"PRAGMA max_page_count = {now + pages}")
        batches = self.batches([*sizes, 5, 5])
        outcomes = self.runner.run(self.attempt(batches))
        if not any(outcomes):
            self.store._db.execute(f"PRAGMA max_page_count = {2**30}")
            self.recorded(batches)
            return
        assert all(isinstance(outcome, StoreError) for outcome in outcomes)
        for what in (self.store.head, self.store.cursor, self.store.checkpoint, self.store.owed):
            ask: Callable[[], Coroutine[Any, Any, object]] = what
            with pytest.raises(StoreError, match="full"):
                self.runner.run(ask())
        self.crash()

    # What must always be so

    @invariant()
    def it_holds_what_the_list_holds(self) -> None:
        Ledger.steps += 1
        events = STRIDE * (len(self.model) + 1)
        found, wanted = (
            self.runner.run(consequences(store, events)) for store in (self.store, self.mirror)
        )
        assert found == wanted

    @precondition(lambda self: self.told.size > 0)
    @invariant()
    def it_verifies_with_all_that_was_told_and_signed(self) -> None:
        found = ledger_in(self.folder, (*self.signed, *self.told.witness))
        assert found.verified().failures == []
        on_record = [kind for at in range(len(found.rows))
                     if (kind := found.header(at)["kind"]) not in OWN]  # fmt: skip
        listed = [decode(record.header)["kind"] for record in self.mirror.records]
        assert on_record == [kind for kind in listed if kind not in OWN]

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.tmp)

    # How

    def batches(self, sizes: list[int]) -> list[Batch]:
        """Return new batches of so many acts each, with the cursor that each moves to."""
        first = len(self.model) + 1
        return [
            (at, [fact for n in range(size) for fact in act(STRIDE * at + n)])
            for at, size in enumerate(sizes, first)
        ]

    async def attempt(self, batches: list[Batch]) -> list[BaseException | None]:
        """Append *batches*, all at once; return what became of each."""
        return await asyncio.gather(
            *(self.store.append(facts, cursor=Cursor(str(at))) for at, facts in batches),
            return_exceptions=True,
        )

    def recorded(self, batches: list[Batch]) -> None:
        """Have *batches* on the list; from now on the store must have them."""
        for at, facts in batches:
            self.model.append(facts)
            self.runner.run(self.mirror.append(facts, cursor=Cursor(str(at))))
        self.told = self.runner.run(promise(self.store, len(self.model)))

    def left_before(self, after: int, doing: Coroutine[Any, Any, object]) -> Path:
        """Return what a crash leaves before statement *after* of *doing*, or else after it."""
        left: list[Path] = []
        count = itertools.count(1)

        def look(_: str) -> None:
            if next(count) == after:
                left.append(self.leave())

        self.store._db.set_trace_callback(look)
        self.runner.run(doing)
        self.store._db.set_trace_callback(None)
        found = left[0] if left else self.leave()
        self.runner.run(self.store.close())
        return found

    def leave(self) -> Path:
        """Copy the folder as kill -9 leaves it: all that was written, synced or not."""
        self.lives += 1
        without = shutil.ignore_patterns("*-shm", "*.lock")
        return Path(shutil.copytree(self.folder, self.tmp / str(self.lives), ignore=without))

    def come_back(self, left: Path) -> None:
        shutil.rmtree(self.folder)
        self.folder = left
        self.store = self.open()


async def test_a_debt_that_is_settled_twice_at_once_is_settled_once(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    store = open_in(folder)
    await store.append([*act(0), *act(1)])
    await asyncio.gather(store.append(act(2)), store.append(act(2)))
    await store.close()
    found = ledger_in(folder)
    kinds = [found.header(at)["kind"] for at in range(len(found.rows))]
    assert (kinds.count("outcome"), kinds.count("note")) == (1, 1)
    assert found.verified().failures == []


def run_machine(examples: int, steps: int, *, alike: bool) -> None:
    """Play so many stories; *alike* is the same ones every time."""
    Ledger.steps = 0
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=alike,
            suppress_health_check=list(HealthCheck), database=None,
        ),
    )  # fmt: skip
    tell(Tally(family="machine against a list", tried=Ledger.steps, lost=0,
               remark=f"steps of {examples} stories"))  # fmt: skip
    assert Ledger.steps > examples


def test_a_ledger_holds_what_a_list_holds() -> None:
    run_machine(examples=8, steps=10, alike=True)


@pytest.mark.torture
def test_a_ledger_holds_what_a_list_holds_in_many_stories() -> None:
    run_machine(examples=150, steps=40, alike=False)
