"""What every store does alike: seal facts into records, grow the tree, say what follows.

Never keeps anything durable itself; the store that calls it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge import __version__
from bridge.errors import StoreError
from bridge.facts import Adjudicated, Appealed, Decided, Fact, Performed, Seen
from bridge.ledger.facts import Memory, Owed, drafts, effect_name
from bridge.ledger.keys import Certificates
from bridge.ledger.record import Draft, Record
from bridge.ledger.seal import EPOCH_MS, Sealer
from bridge.model import FINAL, Action, Cursor, EventId, Ms, Rid, RoomClass, Verdict, key
from bridge.verify.headers import Kind
from bridge.verify.notes import Checkpoint, Verifier, encode64
from bridge.verify.papers import Previous
from bridge.verify.tree import Frontier, Tile, Tiler, leaf_hash

#: A clock that is behind by less is only being put right.
_STEP_MS = 60_000

#: Records that name an event which another record is of.
_ABOUT_ANOTHER = frozenset({Kind.VERDICT, Kind.DEBT, Kind.APPEAL, Kind.MINUTE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who writes this ledger, to whom it is sealed, and for how long each class is kept."""

    origin: str
    key: Ed25519PrivateKey = field(repr=False)
    certificates: Certificates
    #: Custodian → pinned Ed25519 identity.
    custodians: Mapping[str, bytes]
    #: Room class → retention class.
    retention: Mapping[RoomClass, str]
    #: Who may read flagged records without the custodians; None for nobody.
    reviewers: Certificates | None = None
    #: To whom alone reports are sealed; None where none can be made.
    standards: Certificates | None = None
    #: What the genesis says of the log before this one, if there was one.
    previous: Previous | None = None

    @property
    def verifier(self) -> Verifier:
        """The public half, as others know this ledger."""
        return Verifier(self.origin, self.key.public_key().public_bytes_raw())

    def renamed(self, origin: str, previous: Previous | None = None) -> Identity:
        """The same writer under another name, for a second ledger or the log after *previous*."""
        return replace(self, origin=origin, previous=previous)


@dataclass(slots=True)
class Page:
    """What one transaction writes."""

    first: int
    records: list[Record] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    tag_keys: dict[str, bytes] = field(default_factory=dict)
    cursor: Cursor | None = None
    facts: list[Fact] = field(default_factory=list)
    #: The record of each event and debt that this page adds.
    events: dict[EventId, Rid] = field(default_factory=dict)
    debts: dict[str, Owed] = field(default_factory=dict)
    #: The record of the newest verdict on each event.
    verdicts: dict[EventId, Rid] = field(default_factory=dict)
    #: Debts that this page settles: what settles them again is no outcome.
    settled: set[str] = field(default_factory=set)


class _Both:
    """Looks in the page that is being written first, then in what was there before."""

    def __init__(self, page: Page, before: Memory) -> None:
        self._page, self._before = page, before

    def rid_of(self, event: EventId) -> Rid | None:
        return self._page.events.get(event) or self._before.rid_of(event)

    def debt(self, key: str) -> Owed | None:
        if key in self._page.settled:
            return None
        return self._page.debts.get(key) or self._before.debt(key)


class Book:
    """The growing end of a ledger: the sealer and the right edge of the tree."""

    def __init__(
        self,
        identity: Identity,
        *,
        frontier: Frontier,
        tiler: Tiler,
        tag_keys: Mapping[str, bytes],
        latest: Ms | None = None,
    ) -> None:
        """Continue a ledger at its right edge; *latest* is when its newest record was written."""
        self.identity = identity
        self.latest = latest
        #: What a clock that was set back showed when epochs were last dropped.
        self._behind_since: Ms | None = None
        self.frontier, self.tiler = frontier, tiler
        self._sealer = Sealer(
            identity.origin,
            identity.certificates,
            tag_keys=tag_keys,
            reviewers=identity.reviewers,
            standards=identity.standards,
        )

    def write(
        self, batches: Iterable[tuple[Sequence[Fact], Cursor | None]], memory: Memory, now: Ms
    ) -> Page:
        """Seal *batches* into one page. The caller makes it durable or stops for good."""
        now = self._not_backwards(now)
        page = Page(self.frontier.size)
        if page.first == 0:
            self._add(page, [self._sealer.genesis(now, self._about())])
        both = _Both(page, memory)
        for facts, cursor in batches:
            for fact in facts:
                own = list(drafts(fact, both, self.identity.retention))
                _remember(page, fact, own)
                sealed = self._sealer.seal(own, now)
                page.tag_keys |= sealed.tag_keys
                self._add(page, sealed.records)
                self._add(page, self._for_review(fact, own, now))
                page.facts.append(fact)
            page.cursor = cursor or page.cursor
        self._sealer.forget(now)
        if page.records:
            self.latest = now
        return page

    def forget(self, now: Ms) -> None:
        """Drop the secrets of epochs that are over, also while nothing is written."""
        self._sealer.forget(now)

    def _not_backwards(self, clock: Ms) -> Ms:
        """When a page is written: a clock that was set back does not take the records with it.

        While time stands still no epoch would end, so they end by the clock that was set back.
        """
        latest = Ms(max(clock, self.latest or 0))
        if latest - clock < _STEP_MS:
            self._behind_since = None
        elif self._behind_since is None or not 0 <= clock - self._behind_since < EPOCH_MS:
            self._sealer.forget(Ms(latest + EPOCH_MS))
            self._behind_since = clock
        return latest

    def _for_review(self, fact: Fact, own: Sequence[Draft], now: Ms) -> Iterator[Record]:
        """What the reviewers need to read a flagged message and the verdict on it."""
        if not isinstance(fact, Decided) or not is_flagged(fact.verdict):
            return
        verdict = own[0]
        for rid in (Rid(str(verdict.fields["ref"])), verdict.rid):
            if (record := self._sealer.review(rid, now)) is not None:
                yield record

    def _about(self) -> dict[str, object]:
        about = {**_named(self.identity), "software": f"bluelamp {__version__}"}
        previous = self.identity.previous
        return about if previous is None else {**about, "previous": previous}

    def _add(self, page: Page, records: Iterable[Record]) -> None:
        for record in records:
            leaf = leaf_hash(record.header)
            self.frontier.append(leaf)
            page.tiles += self.tiler.append(leaf)
            page.records.append(record)

    def checkpoint(self) -> Checkpoint:
        """Return what the ledger says of itself now."""
        return Checkpoint(self.identity.origin, self.frontier.size, self.frontier.root())


def is_flagged(verdict: Verdict) -> bool:
    """Say whether people may have to look at a message."""
    return verdict.action is not Action.ALLOW or bool(verdict.referrals)


def _named(identity: Identity) -> dict[str, object]:
    return {
        "origin": identity.origin,
        "verifier": str(identity.verifier),
        "custodians": {n: encode64(k) for n, k in sorted(identity.custodians.items())},
    }


def begun_alike(identity: Identity, genesis: bytes, path: Path) -> None:
    """Refuse to go on with a ledger that was begun under another name or key, or for others.

    Raises:
        StoreError: it was; every record from then on would fail verification.
    """
    try:
        begun = msgspec.json.decode(genesis, type=dict[str, object])
    except msgspec.MsgspecError:
        raise StoreError(f"The first record of the ledger {path} cannot be read.") from None
    wrong = [name for name, value in _named(identity).items() if begun.get(name) != value]
    if wrong:
        raise StoreError(
            f"The ledger {path} was begun with another {' and '.join(wrong)} than is configured "
            "now. Put the configuration back, or begin a new ledger on another path."
        )


def _remember(page: Page, fact: Fact, own: Sequence[Draft]) -> None:
    """Note the names of what *fact* adds, so that later facts of the page can refer to them."""
    # The first record of a fact is never a debt's.
    debts = [draft for draft in own[1:] if draft.kind is Kind.DEBT]
    for draft in own:
        if "event" in draft.tagged and draft.kind not in _ABOUT_ANOTHER:
            page.events[EventId(draft.tagged["event"])] = draft.rid
    if isinstance(fact, Decided):
        page.verdicts[fact.message.event_id] = own[0].rid
    if debts and isinstance(fact, Seen | Decided | Performed | Adjudicated | Appealed):
        for effect, draft in zip(fact.owes, debts, strict=True):
            page.debts[key(effect)] = Owed(
                rid=draft.rid,
                retention=draft.retention,
                effect=effect_name(effect),
                message=Rid(str(draft.fields["ref"])),
            )
            page.settled.discard(key(effect))
    if isinstance(fact, Performed) and fact.outcome.status in FINAL:
        page.settled.add(fact.outcome.key)
