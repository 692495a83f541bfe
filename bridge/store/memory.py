"""The store that the others are measured against. Forgets everything on exit.

Never used by `bluelamp run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from bridge.facts import (
    Adjudicated,
    Braked,
    Decided,
    Disposed,
    Erased,
    Fact,
    Held,
    Performed,
    PolicyApproved,
    Released,
    Seen,
)
from bridge.ledger.facts import Owed
from bridge.ledger.record import Record
from bridge.model import FINAL, Action, Cursor, Debt, EventId, Kind, Message, Ms, Rid, RoomId, key
from bridge.ports import Approval, Clock, Head, Known, Ruling
from bridge.store.book import Book, Identity, Page
from bridge.store.checkpoints import is_signed_by, of_nothing, with_lines
from bridge.store.disposal import STAY, WAITING_MS
from bridge.verify.steps import Row
from bridge.verify.tree import Frontier, Tile, Tiler, lookup, prove_consistency


class MemoryStore:
    """Keeps the promises of `ports.Store` but durability."""

    def __init__(self, identity: Identity, clock: Clock) -> None:
        """Begin an empty ledger."""
        self._clock = clock
        self._book = Book(identity, frontier=Frontier(), tiler=Tiler(), tag_keys={})
        self.records: list[Record] = []
        self.tiles: list[Tile] = []
        self.notes: list[tuple[int, Ms, str]] = []
        self._cursor: Cursor | None = None
        self._events: dict[EventId, tuple[Ms, Known]] = {}
        self._debts: dict[str, tuple[Owed, Debt]] = {}
        self._waiting: dict[EventId, Message] = {}
        self._sources: dict[tuple[str, int], EventId] = {}
        self._brakes: set[RoomId | None] = set()
        self._approvals: list[Approval] = []
        self._rulings: dict[Rid, tuple[Ms, Ruling]] = {}
        self._holds: dict[Rid, bool] = {}
        self._kept: list[tuple[Rid, Rid]] = []
        #: Buckets that were disposed of, each with the number of records then.
        self._disposed: dict[str, int] = {}
        self._erased: set[Rid] = set()

    async def append(self, facts: Sequence[Fact], *, cursor: Cursor | None = None) -> None:
        """Record *facts*."""
        if not facts and cursor is None:
            return
        now = self._clock()
        page = self._book.write([(facts, cursor)], self, now)
        self.records += page.records
        self.tiles += page.tiles
        self._cursor = page.cursor or self._cursor
        for fact in page.facts:
            self._follow(page, fact, now)

    def _follow(self, page: Page, fact: Fact, now: Ms) -> None:
        match fact:
            case Seen(message=message, clean=clean):
                self._follow_seen(page, message, clean.action if clean else None)
                self._follow_owed(page, fact, now)
            case Decided(message=message, verdict=verdict):
                for event in (message.event_id, message.replaces):
                    if event in self._events:
                        at, known = self._events[event]
                        judged = replace(known, action=verdict.action, rule=verdict.rule)
                        self._events[event] = at, judged
                self._follow_owed(page, fact, now)
            case Performed() if fact.outcome.key in self._debts:
                self._follow_performed(page, fact, now)
            case Braked(room=room, on=True):
                self._brakes.add(room)
            case Braked(room=None, on=False):
                self._brakes.clear()
            case Braked(room=room, on=False):
                self._brakes.discard(room)
            case PolicyApproved(revision=revision, by=by):
                self._approvals.append(Approval(revision=revision, by=by))
            case Adjudicated():
                self._follow_ruling(fact, now)
            case _:
                self._follow_disposal(fact)

    def _follow_ruling(self, fact: Adjudicated, now: Ms) -> None:
        ruling = Ruling(
            record=fact.record, rule=fact.rule, action=fact.action, decision=fact.decision
        )
        self._rulings.pop(fact.record, None)
        self._rulings[fact.record] = now, ruling

    def _follow_disposal(self, fact: Fact) -> None:
        match fact:
            case Held(rid=rid):
                self._holds[rid] = True
            case Released(hold=hold):
                self._holds[hold] = False
            case Disposed(bucket=bucket, kept=kept):
                self._kept += [(hold, rid) for hold, rids in kept for rid in rids]
                self._disposed[bucket] = len(self.records)
            case Erased(record=record):
                self._erased.add(record)
            case _:
                pass

    def _follow_seen(self, page: Page, message: Message, action: Action | None) -> None:
        self._events[message.event_id] = (
            message.sent_at,
            Known(
                rid=page.events[message.event_id],
                sender=message.sender,
                action=action,
                rule=None,
                replaces=message.replaces,
                unreadable=message.kind is Kind.UNREADABLE,
                room=message.room,
                sent_at=message.sent_at,
            ),
        )
        if message.index >= 0:
            self._sources.setdefault((message.session, message.index), message.event_id)
        if message.kind is Kind.UNREADABLE:
            self._waiting[message.event_id] = message
        else:
            self._waiting.pop(message.event_id, None)

    def _follow_owed(self, page: Page, fact: Seen | Decided, now: Ms) -> None:
        message = fact.message
        about = self._events[message.event_id][1].rid
        for effect in fact.owes:
            owed = page.debts[key(effect)]
            # Owing the same twice is owing it once.
            self._debts.setdefault(key(effect), (
                owed,
                Debt(
                    effect=effect,
                    rid=owed.rid,
                    message=about,
                    sender=message.sender,
                    sent_at=message.sent_at,
                    since=now,
                    ciphertext=message.ciphertext,
                ),
            ))  # fmt: skip

    def _follow_performed(self, page: Page, fact: Performed, now: Ms) -> None:
        name = fact.outcome.key
        owed, debt = self._debts[name]
        for effect in fact.owes:
            fresh = page.debts[key(effect)]
            then = replace(debt, effect=effect, rid=fresh.rid, since=now, attempts=0)
            self._debts.setdefault(key(effect), (fresh, then))
        if fact.outcome.status in FINAL:
            del self._debts[name]
        else:
            self._debts[name] = owed, replace(debt, attempts=debt.attempts + 1)

    def rid_of(self, event: EventId) -> Rid | None:
        """The record of an event, if there is one."""
        return self._events[event][1].rid if event in self._events else None

    def debt(self, key: str) -> Owed | None:
        """The record of a debt that is not settled, if there is one."""
        return self._debts[key][0] if key in self._debts else None

    async def tidy(self) -> bool:
        """Forget the events of what was disposed of; its bodies are no longer shown as it is."""
        gone = {r.rid for seq, r in enumerate(self.records) if self._is_gone(seq, r)}
        self._events = {e: k for e, k in self._events.items() if k[1].rid not in gone}
        since = self._clock() - WAITING_MS
        self._waiting = {e: m for e, m in self._waiting.items() if m.sent_at >= since}
        return False

    async def roll(self) -> bool:
        """Never: what is forgotten on exit grows into no second half-year."""
        return False

    def _is_gone(self, seq: int, record: Record) -> bool:
        if record.rid in self._erased:
            return True
        header = msgspec.json.decode(record.header, type=dict[str, str | int])
        end = self._disposed.get(str(header.get("bucket", "")), 0)
        if seq >= end or header["kind"] in STAY:
            return False
        return not any(rid == record.rid and self._holds.get(hold) for hold, rid in self._kept)

    async def checkpoint(self) -> str:
        """Sign the tree as it stands."""
        checkpoint = self._book.checkpoint()
        note = checkpoint.sign(self._book.identity.key)
        self.notes.append((checkpoint.size, self._clock(), note))
        return note

    async def newest(self) -> str:
        """The newest note; before the first, one that says so much of the empty tree."""
        identity = self._book.identity
        return self.notes[-1][2] if self.notes else of_nothing(identity)

    async def newest_by(self, name: str) -> str | None:
        """The newest note that the witness *name* has countersigned."""
        found = (note for _, _, note in reversed(self.notes) if is_signed_by(note, name))
        return next(found, None)

    async def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Prove that the tree of *new* records continues that of *old* ones."""
        tiler = self._book.tiler
        tiles = {(tile.level, tile.index): tile.hashes for tile in self.tiles}
        return tuple(prove_consistency(old, new, lookup(tiler.size, tiles, tiler.edges)))

    async def countersign(self, size: int, lines: str) -> None:
        """Put a witness's signature *lines* under the note of that size."""
        self.notes = [
            (one, at, with_lines(note, lines) if one == size else note)
            for one, at, note in self.notes
        ]

    async def cursor(self) -> Cursor | None:
        """The cursor of the newest batch on record."""
        return self._cursor

    async def known(self, events: Sequence[EventId]) -> Mapping[EventId, Known]:
        """Those of *events* that are on record."""
        return {e: self._events[e][1] for e in events if e in self._events}

    async def sources(self, messages: Sequence[Message]) -> Mapping[tuple[str, int], EventId]:
        """Which event first carried each of *messages*' place in its session."""
        places = {(m.session, m.index) for m in messages if m.index >= 0}
        return {place: self._sources[place] for place in places if place in self._sources}

    async def edits(self, event: EventId) -> tuple[EventId, ...]:
        """The recorded edits of *event*, oldest first."""
        found = [(at, e) for e, (at, known) in self._events.items() if known.replaces == event]
        return tuple(e for _, e in sorted(found))

    async def owed(self) -> tuple[Debt, ...]:
        """What is owed and not settled, oldest first."""
        return tuple(debt for _, debt in self._debts.values())

    async def waiting(self) -> tuple[Message, ...]:
        """What could not be read in the last week, oldest first."""
        since = self._clock() - WAITING_MS
        found = (m for m in self._waiting.values() if m.sent_at >= since)
        return tuple(sorted(found, key=lambda m: (m.sent_at, m.event_id)))

    async def brakes(self) -> frozenset[RoomId | None]:
        """Where acting is stopped."""
        return frozenset(self._brakes)

    async def approvals(self) -> tuple[Approval, ...]:
        """Every approval of a policy, oldest first."""
        return tuple(self._approvals)

    async def rulings(self, since: Ms) -> tuple[Ruling, ...]:
        """What was found about verdicts at or after *since*, oldest first."""
        return tuple(ruling for at, ruling in self._rulings.values() if at >= since)

    async def head(self) -> Head:
        """Where the ledger stands."""
        size, at, _ = self.notes[-1] if self.notes else (0, None, "")
        tree = self._book.frontier
        return Head(
            size=tree.size,
            root=tree.root(),
            witnessed=size,
            checkpoint_at=at,
            latest=self._book.latest,
        )

    async def close(self) -> None:
        """Nothing to let go of."""

    def rows(self) -> list[Row]:
        """Every record, as `verify` reads them."""
        return [
            Row(seq, r.header, None if self._is_gone(seq, r) else r.body)
            for seq, r in enumerate(self.records)
        ]

    def edge(self) -> tuple[int, bytes, bytes]:
        """The size, peaks and tile edges to go on from."""
        tree = self._book.frontier
        return tree.size, b"".join(tree.peaks), self._book.tiler.edges
