"""The store for one machine: SQLite, one file, one writer, one transaction for all that waits.

Never goes on after a failed write: what was acknowledged is safe, what was not may be half in
memory, so the process must start again from the file (docs/ledger.md, Storage).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bridge.errors import BridgeError, StoreError
from bridge.facts import Fact
from bridge.ledger.keys import month_of
from bridge.model import Action, Cursor, Debt, EventId, Message, Ms, RoomId, UserId
from bridge.ports import Approval, Attached, Clock, Docket, Head, Known, Posted, Ruling, Standing
from bridge.store import disposal, space
from bridge.store.book import Book, Identity, Page, begun_alike
from bridge.store.chain import (
    Begun,
    begin_next,
    begun_as,
    finish,
    half_year,
    newest_before,
    next_origin,
    set_aside,
    written,
)
from bridge.store.checkpoints import Checkpoints
from bridge.store.disposal import WAITING_MS, Logs
from bridge.store.file import bring_up_to_date, buckets, connect, lock
from bridge.store.notebook import Notebook
from bridge.store.sql import statements
from bridge.verify.papers import Previous
from bridge.verify.tree import HASH, Frontier, Tiler

SQL = statements("ledger.sql")

#: A log that could not be closed, because somebody reads it, is tried again after so long.
ROLL_AGAIN_MS = 60_000

T = TypeVar("T")


class SqliteStore:
    """Keeps the promises of `ports.Store` in one SQLite file."""

    def __init__(
        self, path: Path, identity: Identity, clock: Clock, *, anchor: Path | None
    ) -> None:
        """Open or make the ledger at *path*; *anchor* is where its newest checkpoint is kept.

        Raises:
            StoreLocked: another process writes to it.
            StoreBehind: it is older than the anchor says.
            StoreError: it cannot be read or is not a ledger.
        """
        self._path, self._clock, self._anchor = path, clock, anchor
        self._identity = identity
        self._dead: BridgeError | None = None
        self._wal_to_empty = False
        self._roll_after = Ms(0)
        self._pending: list[tuple[Sequence[Fact], Cursor | None, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._lock = lock(path)
        try:
            self._open()
        except sqlite3.Error as exc:
            self._lock.close()
            raise StoreError(
                f"The ledger {path} cannot be used: {exc}. Is it a ledger, and is "
                "the disk writable?"
            ) from None
        except OSError as exc:
            self._lock.close()
            raise StoreError(
                f"The ledger {path} or its anchor cannot be read: {exc.strerror}."
            ) from None
        except BaseException:
            self._lock.close()
            raise

    def _open(self) -> None:
        finish(self._path)
        self._db = connect(self._path)
        bring_up_to_date(self._db)
        self._logs = Logs(self._db, self._path)
        self._notebook = Notebook(self._logs)
        begun = begun_as(self._db, self._identity.origin)
        if self._anchor is not None:
            set_aside(self._anchor, begun.previous)
        self._book = self._open_book(begun)
        self._checkpoints = Checkpoints(
            self._db, self._book, path=self._path, anchor=self._anchor, clock=self._clock
        )

    # What it promises

    async def append(self, facts: Sequence[Fact], *, cursor: Cursor | None = None) -> None:
        """Record *facts* durably; whatever else waits goes into the same transaction."""
        self._check_alive()
        if not facts and cursor is None:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((facts, cursor, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await asyncio.shield(done)

    async def checkpoint(self) -> str:
        """Sign the tree as it stands; keep the note here, then at the anchor."""
        return await self._in_thread(lambda: self._checkpoints.sign())  # noqa: PLW0108 - roll() replaces it

    async def newest(self) -> str:
        """The newest note; before the first, one that says so much of the empty tree."""
        return await self._in_thread(lambda: self._checkpoints.newest())  # noqa: PLW0108 - as above

    async def newest_by(self, name: str) -> str | None:
        """The newest note that the witness *name* has countersigned."""
        return await self._in_thread(lambda: self._checkpoints.newest_by(name))

    async def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Prove that the tree of *new* records continues that of *old* ones."""
        return await self._in_thread(lambda: self._checkpoints.proof(old, new))

    async def countersign(self, size: int, lines: str) -> None:
        """Put a witness's signature *lines* under the note of that size."""
        await self._in_thread(lambda: self._checkpoints.countersign(size, lines))

    async def cursor(self) -> Cursor | None:
        """The cursor of the newest batch on record."""
        row = await self._in_thread(lambda: self._one("cursor"))
        return Cursor(row[0]) if row else None

    async def known(self, events: Sequence[EventId]) -> Mapping[EventId, Known]:
        """Those of *events* that are on record."""
        return await self._in_thread(lambda: self._notebook.known(events))

    async def sources(self, messages: Sequence[Message]) -> Mapping[tuple[str, int], EventId]:
        """Which event first carried each of *messages*' place in its session."""
        return await self._in_thread(lambda: self._notebook.sources(messages))

    async def edits(self, event: EventId) -> tuple[EventId, ...]:
        """The recorded edits of *event*, oldest first."""
        return await self._in_thread(lambda: self._notebook.edits(event))

    async def posted(self, events: Sequence[EventId]) -> Mapping[EventId, Posted]:
        """Those of *events* that the bot sent because it owed them."""
        return await self._in_thread(lambda: self._notebook.posted(events))

    async def posted_about(self, event: EventId) -> tuple[Posted, ...]:
        """What the bot sent about *event*, oldest first."""
        return await self._in_thread(lambda: self._notebook.posted_about(event))

    async def attached(
        self, events: Sequence[EventId], url: str | None = None
    ) -> tuple[Attached, ...]:
        """The files of *events*; and every recorded event that brings the file at *url*."""
        return await self._in_thread(lambda: self._notebook.attached(events, url))

    async def appeals(self, of: Sequence[str]) -> tuple[Docket, ...]:
        """The appeals of these names, or about these events."""
        return await self._in_thread(lambda: self._notebook.appeals(of))

    async def open_appeals(self) -> tuple[Docket, ...]:
        """The appeals that nobody has decided, oldest first."""
        return await self._in_thread(lambda: self._notebook.open_appeals())  # noqa: PLW0108 - as above

    async def passes(self, since: Ms) -> Mapping[tuple[UserId, RoomId], Action]:
        """Whose next message in which room is let through, up to which action."""
        return await self._in_thread(lambda: self._notebook.passes(since))

    async def owed(self) -> tuple[Debt, ...]:
        """What is owed and not settled, oldest first."""
        return await self._in_thread(lambda: self._notebook.owed())  # noqa: PLW0108 - as above

    async def waiting(self) -> tuple[Message, ...]:
        """What could not be read in the last week, oldest first."""
        since = Ms(self._clock() - WAITING_MS)
        return await self._in_thread(lambda: self._notebook.waiting(since))

    async def brakes(self) -> frozenset[RoomId | None]:
        """Where acting is stopped; None stands for everywhere."""
        return await self._in_thread(lambda: self._notebook.brakes())  # noqa: PLW0108 - as above

    async def standing(self) -> tuple[Standing, ...]:
        """The pauses and incidents that are on, oldest first."""
        return await self._in_thread(lambda: self._notebook.standing())  # noqa: PLW0108 - as above

    async def minutes(self, room: RoomId) -> int:
        """How many decisions of *room* are on record."""
        return await self._in_thread(lambda: self._notebook.minutes(room))

    async def newest_told(self, sender: UserId, room: RoomId | None) -> EventId | None:
        """The newest message of *sender* about which they were told."""
        return await self._in_thread(lambda: self._notebook.newest_told(sender, room))

    async def moved_near(self, event: EventId) -> Mapping[EventId, Known]:
        """What the sender of *event* had moved from its room about then, oldest first."""
        return await self._in_thread(lambda: self._notebook.moved_near(event))

    async def counts(self, since: Ms, until: Ms) -> Mapping[tuple[RoomId, str], int]:
        """How much was sent in [since, until)."""
        return await self._in_thread(lambda: self._notebook.counts(since, until))

    async def approvals(self) -> tuple[Approval, ...]:
        """Every approval of a policy, oldest first."""
        return await self._in_thread(lambda: self._notebook.approvals())  # noqa: PLW0108 - as above

    async def rulings(self, since: Ms) -> tuple[Ruling, ...]:
        """What was found about verdicts at or after *since*, oldest first."""
        return await self._in_thread(lambda: self._notebook.rulings(since))

    async def tidy(self) -> bool:
        """Delete a part of what disposals on record still have to; say whether more is left."""
        return await self._in_thread(self._tidy)

    async def roll(self) -> bool:
        """Close the log if its half-year is over, and begin the next; say whether it was."""
        return await self._in_thread(self._roll)

    async def head(self) -> Head:
        """Where the ledger stands."""
        return await self._in_thread(self._head)

    async def close(self) -> None:
        """Finish what is under way, then let go of file and lock."""
        if self._writer is not None and not self._writer.done():
            await self._writer
        await asyncio.get_running_loop().run_in_executor(self._thread, self._db.close)
        self._thread.shutdown()
        self._lock.close()

    # How

    def _run(self, name: str, *values: Any) -> None:
        self._db.execute(SQL[name], values)

    def _one(self, name: str, *values: Any) -> Any:
        return self._db.execute(SQL[name], values).fetchone()

    def _all(self, name: str, *values: Any) -> list[Any]:
        return self._db.execute(SQL[name], values).fetchall()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def alive() -> T:
            self._check_alive()
            return work()

        self._check_alive()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, alive)
        except sqlite3.Error as exc:
            raise self._die(exc) from None
        except (OSError, StoreError) as exc:
            raise self._die(exc) from None

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise self._dead

    def _die(self, exc: BaseException) -> BridgeError:
        """From here on, refuse everything: after a failed write, memory and file may differ."""
        if isinstance(exc, BridgeError):
            self._dead = exc
        else:
            self._dead = StoreError(
                f"Writing to the ledger {self._path} failed ({_said(exc)}). Nothing that was "
                "acknowledged is lost; free some space or mend the disk, then start again."
            )
        return self._dead

    async def _write_all(self) -> None:
        while self._pending:
            waiting, self._pending = self._pending, []
            batches = [(facts, cursor) for facts, cursor, _ in waiting]
            loop = asyncio.get_running_loop()
            try:
                self._check_alive()
                await loop.run_in_executor(self._thread, self._write, batches)
            except Exception as exc:
                dead = self._dead or self._die(exc)
                dead.__cause__ = None if isinstance(exc, BridgeError) else exc
                for _, _, done in waiting:
                    if not done.done():
                        done.set_exception(dead)
            else:
                for _, _, done in waiting:
                    if not done.done():
                        done.set_result(None)

    def _write(self, batches: Sequence[tuple[Sequence[Fact], Cursor | None]]) -> None:
        now = self._clock()
        self._run("begin")
        try:
            page = self._book.write(batches, self._notebook, now)
            self._keep(page)
            if page.tag_keys:
                self._run("drop_tag_keys", month_of(now))
            self._notebook.follow(page, now)
            self._run("commit")
        except BaseException as exc:
            # Before anything else runs in this thread: a checkpoint that waits must not sign
            # records that are in memory only.
            self._die(exc)
            if self._db.in_transaction:
                self._run("rollback")
            raise

    def _tidy(self) -> bool:
        self._book.forget(self._clock())
        if self._one("anything_to_tidy", self._clock() - WAITING_MS)[0]:
            self._run("begin")
            more = disposal.tidy(self._logs, self._clock())
            self._run("commit")
            self._wal_to_empty = True  # what was deleted still lies there
            if more:
                return True
        if self._wal_to_empty:  # somebody who reads keeps it as it is: then the next time
            self._wal_to_empty = bool(self._one("empty_wal")[0])
        return False

    def _roll(self) -> bool:
        if (genesis := self._one("genesis")) is None:
            return False
        now = self._clock()
        if half_year(written(genesis[0])) >= half_year(now) or now < self._roll_after:
            return False
        self._roll_after = Ms(now + ROLL_AGAIN_MS)
        while self._tidy():
            pass
        note = self._checkpoints.sign()
        if self._one("empty_wal")[0]:
            return False  # somebody reads: what lies in the -wal file would not go along
        origin = next_origin(self._book.identity.origin, self._identity.origin)
        self._db.close()
        try:
            begin_next(self._path, origin, Previous(checkpoint=note))
        except StoreError:
            return False  # next time
        finally:
            self._open()
        return True

    def _keep(self, page: Page) -> None:
        rows = list(enumerate(page.records, page.first))
        self._db.executemany(SQL["add_record"], [(seq, r.header) for seq, r in rows])
        self._db.executemany(SQL["add_body"], [(seq, r.body) for seq, r in rows])
        self._db.executemany(
            SQL["add_tile"], [(tile.level, tile.index, tile.hashes) for tile in page.tiles]
        )
        self._db.executemany(SQL["add_tag_key"], list(page.tag_keys.items()))
        if page.tag_keys:
            opened = buckets((seq, r.header) for seq, r in rows)
            self._db.executemany(SQL["add_bucket"], opened)
        tree = self._book.frontier
        self._run("set_head", tree.size, b"".join(tree.peaks), self._book.tiler.edges)
        if page.cursor is not None:
            self._run("set_cursor", page.cursor)

    def _head(self) -> Head:
        newest = self._one("newest_checkpoint")
        tree = self._book.frontier
        return Head(
            size=tree.size,
            root=tree.root(),
            witnessed=newest[0] if newest else 0,
            checkpoint_at=Ms(newest[1]) if newest else None,
            latest=self._book.latest,
            free=space.free(self._path),
        )

    def _open_book(self, begun: Begun) -> Book:
        row = self._one("head")
        size, peaks, edges = row or (0, b"", b"")
        identity = self._identity.renamed(begun.origin, begun.previous)
        if (genesis := self._one("genesis")) is not None:
            begun_alike(identity, genesis[1] or b"", self._path)
        try:
            frontier = Frontier(size, [peaks[i : i + HASH] for i in range(0, len(peaks), HASH)])
            tiler = Tiler(size, edges)
        except ValueError as exc:
            raise StoreError(
                f"The ledger {self._path} is damaged at its end ({exc}). Run 'bluelamp ledger "
                "verify', and restore it from the newest copy that verifies."
            ) from None
        return Book(
            identity,
            frontier=frontier,
            tiler=tiler,
            tag_keys=dict(self._all("tag_keys")),
            latest=self._latest(),
        )

    def _latest(self) -> Ms | None:
        """When the newest record was written, as it says itself."""
        row = self._one("newest_header")
        try:
            return written(row[0]) if row else newest_before(self._path)
        except msgspec.MsgspecError:
            raise StoreError(
                f"The newest record of the ledger {self._path} is damaged. Run 'bluelamp ledger "
                "verify', and restore it from the newest copy that verifies."
            ) from None


def _said(exc: BaseException) -> str:
    """What went wrong; only the words of disk and database, as others' may be a message's."""
    return str(exc) if isinstance(exc, sqlite3.Error | OSError) else type(exc).__name__
