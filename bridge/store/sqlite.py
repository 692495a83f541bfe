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

from bridge.errors import BridgeError, StoreError
from bridge.facts import (
    Braked,
    CaseOpened,
    Decided,
    Disposed,
    Erased,
    Fact,
    Held,
    Performed,
    Released,
    Seen,
)
from bridge.ledger.facts import Owed, decode_effect, encode_effect
from bridge.ledger.keys import month_of
from bridge.model import (
    FINAL,
    Action,
    Cursor,
    Debt,
    EventId,
    Kind,
    Message,
    Ms,
    Rid,
    RoomId,
    UserId,
    key,
)
from bridge.ports import Clock, Head, Known
from bridge.store import disposal
from bridge.store.anchor import compare, keep_anchor
from bridge.store.book import Book, Identity, Page, begun_alike
from bridge.store.disposal import WAITING_MS
from bridge.store.file import connect, lock
from bridge.store.sql import statements
from bridge.verify.tree import HASH, Frontier, Tiler

SQL = statements("ledger.sql")

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
        self._path, self._anchor, self._clock = path, anchor, clock
        self._identity = identity
        self._dead: BridgeError | None = None
        self._pending: list[tuple[Sequence[Fact], Cursor | None, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._lock = lock(path)
        try:
            self._db = connect(path)
            if not self._one("is_new")[0] and self._one("version")[0] < 1:
                self._script("upgrade_1")
            # All or nothing: tables without a version would be taken for an older ledger's.
            self._script("begin", "schema", "stamp", "commit")
            self._book = self._open_book()
            if anchor is not None:
                compare(anchor, path, self._book, self._kept_at)
        except sqlite3.Error as exc:
            self._lock.close()
            raise StoreError(
                f"The ledger {path} cannot be used: {exc}. Is it a ledger, and is "
                "the disk writable?"
            ) from None
        except BaseException:
            self._lock.close()
            raise

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
        return await self._in_thread(self._checkpoint)

    async def cursor(self) -> Cursor | None:
        """The cursor of the newest batch on record."""
        row = await self._in_thread(lambda: self._one("cursor"))
        return Cursor(row[0]) if row else None

    async def known(self, events: Sequence[EventId]) -> Mapping[EventId, Known]:
        """Those of *events* that are on record."""
        return await self._in_thread(lambda: {e: k for e in events if (k := self._known(e))})

    async def sources(self, messages: Sequence[Message]) -> Mapping[tuple[str, int], EventId]:
        """Which event first carried each of *messages*' place in its session."""

        def look() -> dict[tuple[str, int], EventId]:
            places = {(m.session, m.index) for m in messages if m.index >= 0}
            return {p: EventId(row[0]) for p in places if (row := self._one("source", *p))}

        return await self._in_thread(look)

    async def edits(self, event: EventId) -> tuple[EventId, ...]:
        """The recorded edits of *event*, oldest first."""
        rows = await self._in_thread(lambda: self._all("edits", event))
        return tuple(EventId(row[0]) for row in rows)

    async def owed(self) -> tuple[Debt, ...]:
        """What is owed and not settled, oldest first."""
        return tuple(_debt(row) for row in await self._in_thread(lambda: self._all("debts")))

    async def waiting(self) -> tuple[Message, ...]:
        """What could not be read in the last week, oldest first."""
        since = self._clock() - WAITING_MS
        rows = await self._in_thread(lambda: self._all("waiting", since))
        return tuple(_waiting(row) for row in rows)

    async def brakes(self) -> frozenset[RoomId | None]:
        """Where acting is stopped; None stands for everywhere."""
        rows = await self._in_thread(lambda: self._all("brakes"))
        return frozenset(RoomId(row[0]) if row[0] else None for row in rows)

    async def tidy(self) -> bool:
        """Delete a part of what disposals on record still have to; say whether more is left."""
        return await self._in_thread(self._tidy)

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

    def _script(self, *names: str) -> None:
        self._db.executescript("\n".join(SQL[name] for name in names))

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
        except OSError as exc:
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
            page = self._book.write(batches, self, now)
            self._keep(page)
            if page.tag_keys:
                self._run("drop_tag_keys", month_of(now))
            self._follow(page, now)
            self._run("commit")
        except BaseException as exc:
            # Before anything else runs in this thread: a checkpoint that waits must not sign
            # records that are in memory only.
            self._die(exc)
            if self._db.in_transaction:
                self._run("rollback")
            raise

    def _tidy(self) -> bool:
        if not self._one("anything_to_tidy", self._clock() - WAITING_MS)[0]:
            return False
        self._run("begin")
        more = disposal.tidy(self._db, self._clock())
        self._run("commit")
        if not more:  # what was deleted still lies in the -wal file
            self._one("empty_wal")
        return more

    def _keep(self, page: Page) -> None:
        rows = list(enumerate(page.records, page.first))
        self._db.executemany(SQL["add_record"], [(seq, r.header) for seq, r in rows])
        self._db.executemany(SQL["add_body"], [(seq, r.body) for seq, r in rows])
        self._db.executemany(
            SQL["add_tile"], [(tile.level, tile.index, tile.hashes) for tile in page.tiles]
        )
        self._db.executemany(SQL["add_tag_key"], list(page.tag_keys.items()))
        if page.tag_keys:
            opened = disposal.buckets((seq, r.header) for seq, r in rows)
            self._db.executemany(disposal.SQL["add_bucket"], opened)
        tree = self._book.frontier
        self._run("set_head", tree.size, b"".join(tree.peaks), self._book.tiler.edges)
        if page.cursor is not None:
            self._run("set_cursor", page.cursor)

    def _follow(self, page: Page, now: Ms) -> None:
        """Draw the consequences of the page's facts."""
        for fact in page.facts:
            match fact:
                case Seen(message=message, clean=clean):
                    self._follow_seen(page, message, clean.action if clean else None)
                    self._follow_owed(page, fact, now)
                case Decided(message=message, verdict=verdict):
                    for event in (message.event_id, message.replaces):
                        if event:
                            self._run("judge_event", verdict.action.value, verdict.rule, event)
                    self._follow_owed(page, fact, now)
                case Performed(outcome=outcome, owes=owes):
                    for effect in owes:
                        if (then := page.debts.get(key(effect))) is not None:
                            raw = encode_effect(effect)
                            self._run("follow_debt", key(effect), then.rid, now, raw, outcome.key)
                    settled = outcome.status in FINAL
                    self._run("settle_debt" if settled else "attempt_debt", outcome.key)
                case Braked():
                    self._follow_brake(fact)
                case CaseOpened() | Held() | Released() | Disposed() | Erased():
                    disposal.follow(self._db, fact, now, self._book.frontier.size)
                case _:
                    pass

    def _follow_brake(self, fact: Braked) -> None:
        if fact.on:
            self._run("set_brake", fact.room or "")
        elif fact.room is None:
            self._run("drop_brakes")
        else:
            self._run("drop_brake", fact.room)

    def _follow_seen(self, page: Page, message: Message, action: Action | None) -> None:
        unreadable = message.kind is Kind.UNREADABLE
        self._run(
            "add_event",
            message.event_id,
            page.events[message.event_id],
            message.sender,
            action.value if action is not None else None,
            None,
            message.replaces,
            int(unreadable),
            message.sent_at,
            message.room,
            message.session,
            message.index,
        )
        if unreadable:
            self._run(
                "add_waiting",
                message.event_id,
                message.room,
                message.sender,
                message.sent_at,
                message.doubt,
                message.ciphertext,
            )
        elif message.late:
            self._run("drop_waiting", message.event_id)

    def _follow_owed(self, page: Page, fact: Seen | Decided, now: Ms) -> None:
        message = fact.message
        about = page.events.get(message.event_id) or self.rid_of(message.event_id)
        for effect in fact.owes:
            owed = page.debts[key(effect)]
            self._run(
                "add_debt",
                key(effect),
                owed.rid,
                owed.retention,
                about,
                message.sender,
                message.sent_at,
                now,
                encode_effect(effect),
                message.ciphertext,
            )

    # What drafts ask about what was recorded before

    def rid_of(self, event: EventId) -> Rid | None:
        """The record of an event, if there is one."""
        known = self._known(event)
        return known.rid if known else None

    def debt(self, key: str) -> Owed | None:
        """The record of a debt that is not settled, if there is one."""
        row = self._one("debt", key)
        if row is None:
            return None
        name = type(decode_effect(row[2])).__name__.lower()
        return Owed(rid=Rid(row[0]), retention=row[1], effect=name, message=Rid(row[3]))

    def _known(self, event: EventId) -> Known | None:
        row = self._one("event", event)
        if row is None:
            return None
        _, rid, sender, action, rule, replaces, unreadable = row
        return Known(
            rid=Rid(rid),
            sender=UserId(sender),
            action=Action(action) if action is not None else None,
            rule=rule,
            replaces=EventId(replaces) if replaces else None,
            unreadable=bool(unreadable),
        )

    def _head(self) -> Head:
        newest = self._one("newest_checkpoint")
        tree = self._book.frontier
        return Head(
            size=tree.size,
            root=tree.root(),
            witnessed=newest[0] if newest else 0,
            checkpoint_at=Ms(newest[1]) if newest else None,
        )

    def _checkpoint(self) -> str:
        checkpoint = self._book.checkpoint()
        newest = self._one("newest_checkpoint")
        if newest and newest[0] == checkpoint.size:
            note = str(newest[2])
        else:
            note = checkpoint.sign(self._identity.key)
            self._run("begin")
            self._run("add_checkpoint", checkpoint.size, self._clock(), note)
            self._run("commit")
        if self._anchor is not None:
            keep_anchor(self._anchor, note)
        return note

    def _kept_at(self, size: int) -> str | None:
        row = self._one("checkpoint_at", size)
        return str(row[0]) if row else None

    def _open_book(self) -> Book:
        row = self._one("head")
        size, peaks, edges = row or (0, b"", b"")
        if (genesis := self._one("genesis")) is not None:
            begun_alike(self._identity, genesis[1], self._path)
        try:
            frontier = Frontier(size, [peaks[i : i + HASH] for i in range(0, len(peaks), HASH)])
            tiler = Tiler(size, edges)
        except ValueError as exc:
            raise StoreError(
                f"The ledger {self._path} is damaged at its end ({exc}). Run 'bluelamp ledger "
                "verify', and restore it from the newest copy that verifies."
            ) from None
        return Book(
            self._identity, frontier=frontier, tiler=tiler, tag_keys=dict(self._all("tag_keys"))
        )


def _said(exc: BaseException) -> str:
    """What went wrong; only the words of disk and database, as others' may be a message's."""
    return str(exc) if isinstance(exc, sqlite3.Error | OSError) else type(exc).__name__


def _debt(row: Any) -> Debt:
    rid, message, sender, sent_at, since, effect, ciphertext, attempts = row
    return Debt(
        effect=decode_effect(effect),
        rid=Rid(rid),
        message=Rid(message),
        sender=UserId(sender),
        sent_at=Ms(sent_at),
        since=Ms(since),
        ciphertext=ciphertext,
        attempts=attempts,
    )


def _waiting(row: Any) -> Message:
    event, room, sender, sent_at, doubt, source = row
    return Message(
        event_id=EventId(event),
        room=RoomId(room),
        sender=UserId(sender),
        sent_at=Ms(sent_at),
        kind=Kind.UNREADABLE,
        type="m.room.encrypted",
        doubt=doubt,
        content=source,
        ciphertext=source,
    )
