"""The store that the others are measured against. Forgets everything on exit.

Never used by `bluelamp run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from bridge.facts import (
    LET_THROUGH,
    Adjudicated,
    Appealed,
    Braked,
    Decided,
    Disposed,
    Erased,
    Fact,
    Held,
    Minuted,
    Performed,
    PolicyApproved,
    Released,
    Seen,
    Stage,
)
from bridge.ledger.facts import Owed
from bridge.ledger.record import Record
from bridge.model import (
    FINAL,
    Action,
    Cursor,
    Debt,
    Effect,
    EventId,
    Kind,
    Message,
    Ms,
    Rid,
    RoomId,
    Status,
    UserId,
    key,
)
from bridge.ports import Approval, Attached, Clock, Docket, Head, Known, Posted, Ruling, Standing
from bridge.store.attached import Files
from bridge.store.book import Book, Identity, Page
from bridge.store.checkpoints import is_signed_by, of_nothing, with_lines
from bridge.store.disposal import STAY, WAITING_MS
from bridge.store.dockets import passes_of
from bridge.store.standing import Kept, counted, near, stays, told
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
        self._posts: dict[EventId, Posted] = {}
        self._appeals: dict[Rid, Docket] = {}
        self._passes: dict[tuple[UserId, RoomId], tuple[Ms, Action]] = {}
        self._files = Files()
        self._waiting: dict[EventId, Message] = {}
        self._sources: dict[tuple[str, int], EventId] = {}
        self._standing = Kept()
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
                self._follow_owed(page, fact.message, fact.owes, now)
            case Decided(message=message, verdict=verdict):
                for event in (message.event_id, message.replaces):
                    if event in self._events:
                        at, known = self._events[event]
                        found = page.verdicts.get(message.event_id)
                        judged = replace(
                            known, action=verdict.action, rule=verdict.rule, verdict=found
                        )
                        judged = replace(judged, action=Action.ALLOW) if fact.held else judged
                        self._events[event] = at, judged
                if verdict.rule == LET_THROUGH:
                    self._passes.pop((message.sender, message.room), None)
                self._follow_owed(page, fact.message, fact.owes, now)
            case Performed() if fact.outcome.key in self._debts:
                self._follow_performed(page, fact, now)
            case Braked() | Minuted():
                self._standing.follow(fact, now)
            case PolicyApproved(revision=revision, by=by):
                self._approvals.append(Approval(revision=revision, by=by))
            case Adjudicated():
                self._follow_ruling(fact, now)
                self._follow_appeal(page, fact, now)
            case Appealed():
                self._follow_appeal(page, fact, now)
            case _:
                self._follow_disposal(fact)

    def _follow_ruling(self, fact: Adjudicated, now: Ms) -> None:
        ruling = Ruling(
            record=fact.record, rule=fact.rule, action=fact.action, decision=fact.decision
        )
        self._rulings.pop(fact.record, None)
        self._rulings[fact.record] = now, ruling

    def _follow_appeal(self, page: Page, fact: Adjudicated | Appealed, now: Ms) -> None:
        appeal = fact.appeal
        match fact:
            case Appealed(appeal=one, stage=Stage.RAISED as stage):
                self._appeals.setdefault(one.rid, Docket(appeal=one, stage=stage))
            case Appealed(appeal=one, stage=stage) if one.rid in self._appeals:
                self._appeals[one.rid] = replace(self._appeals[one.rid], stage=stage)
            case Adjudicated(decision=decision, by=by) if appeal and appeal.rid in self._appeals:
                self._appeals[appeal.rid] = replace(
                    self._appeals[appeal.rid], decision=decision, decided_by=by, decided_at=now
                )
            case _:
                pass
        if isinstance(fact, Adjudicated):
            self._promise(fact, now)
        if appeal is not None:
            self._follow_owed(page, appeal.message, fact.owes, now, appeal.record)

    def _promise(self, fact: Adjudicated | Performed, now: Ms) -> None:
        for user, room, action in passes_of(fact):
            self._passes[user, room] = now, action

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
        self._files.add(message)
        if message.index >= 0:
            self._sources.setdefault((message.session, message.index), message.event_id)
        if message.kind is Kind.UNREADABLE:
            self._waiting[message.event_id] = message
        else:
            self._waiting.pop(message.event_id, None)

    def _follow_owed(
        self,
        page: Page,
        message: Message,
        owes: Sequence[Effect],
        now: Ms,
        about: Rid | None = None,
    ) -> None:
        about = about or self._events[message.event_id][1].rid
        for effect in owes:
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
        self._promise(fact, now)
        if fact.file is not None:
            self._files.keep(debt.effect)
        for effect in fact.owes:
            fresh = page.debts[key(effect)]
            then = replace(debt, effect=effect, rid=fresh.rid, since=now, attempts=0)
            self._debts.setdefault(key(effect), (fresh, then))
        if fact.outcome.status is Status.DONE and fact.outcome.detail.startswith("$"):
            event = EventId(fact.outcome.detail)
            self._posts.setdefault(event, Posted(event=event, effect=debt.effect, at=now))
        if stays(debt.effect, fact.outcome.status) and debt.effect.about in self._events:
            at, known = self._events[debt.effect.about]
            self._events[debt.effect.about] = at, replace(known, action=Action.ALLOW)
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
        lost = {e for e, k in self._events.items() if k[1].rid in gone}
        self._events = {e: k for e, k in self._events.items() if e not in lost}
        self._posts = {e: p for e, p in self._posts.items() if p.effect.about not in lost}
        self._files.forget(lost)
        self._appeals = {r: d for r, d in self._appeals.items() if d.appeal.event not in lost}
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

    async def posted(self, events: Sequence[EventId]) -> Mapping[EventId, Posted]:
        """Those of *events* that the bot sent because it owed them."""
        return {e: self._posts[e] for e in events if e in self._posts}

    async def posted_about(self, event: EventId) -> tuple[Posted, ...]:
        """What the bot sent about *event*, oldest first."""
        found = [one for one in self._posts.values() if one.effect.about == event]
        return tuple(sorted(found, key=lambda one: (one.at, one.event)))

    async def attached(
        self, events: Sequence[EventId], url: str | None = None
    ) -> tuple[Attached, ...]:
        """The files of *events*; and every recorded event that brings the file at *url*."""
        return self._files.find(events, url)

    async def appeals(self, of: Sequence[str]) -> tuple[Docket, ...]:
        """The appeals of these names, or about these events."""
        return tuple(d for d in self._appeals.values() if {d.appeal.rid, d.appeal.event} & {*of})

    async def open_appeals(self) -> tuple[Docket, ...]:
        """The appeals that nobody has decided, oldest first."""
        return tuple(docket for docket in self._appeals.values() if docket.open)

    async def passes(self, since: Ms) -> Mapping[tuple[UserId, RoomId], Action]:
        """Whose next message in which room is let through, up to which action."""
        return {whose: action for whose, (at, action) in self._passes.items() if at >= since}

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
        return self._standing.brakes

    async def standing(self) -> tuple[Standing, ...]:
        """The pauses and incidents that are on, oldest first."""
        return tuple(self._standing.standings.values())

    async def minutes(self, room: RoomId) -> int:
        """How many decisions of *room* are on record."""
        return self._standing.minutes[room]

    async def newest_told(self, sender: UserId, room: RoomId | None) -> EventId | None:
        """The newest message of *sender* about which they were told."""
        return told(self._events, sender, room)

    async def moved_near(self, event: EventId) -> Mapping[EventId, Known]:
        """What the sender of *event* had moved from its room about then, oldest first."""
        return near(self._events, event)

    async def counts(self, since: Ms, until: Ms) -> Mapping[tuple[RoomId, str], int]:
        """How much was sent in [since, until)."""
        return counted(self._posts.values(), since, until)

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
