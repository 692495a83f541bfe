"""What the inside asks of the outside. What is not written here is not promised.

Never implements anything: tests/contract holds every implementation, the in-memory ones
included, to these promises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.facts import Fact
from bridge.model import Action, Batch, Cursor, Debt, EventId, Message, Ms, Rid, RoomId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A message of the bot's own."""

    body: str
    #: HTML of the few tags that Matrix allows; every foreign word in it escaped.
    formatted: str
    #: False for m.notice, which makes no sound; True for m.text.
    sounds: bool = False
    #: Who is meant; their clients highlight it.
    mentions: tuple[UserId, ...] = ()


class Transport(Protocol):
    """A way in and out of Matrix.

    *Order and completeness.* Batches come in order and at least once: a batch whose cursor was not
    handed back comes again after a restart. Nothing is left out: an event that cannot be decrypted
    comes as `Kind.UNREADABLE`, and comes again with `late=True` once its key has arrived; a gap in
    the timeline is filled before the batch that holds it, or named in `Batch.gaps`. What is needed
    to read a batch again is durable before the batch is handed out.

    *Sending.* *txn* makes sending idempotent for at least an hour: the same *txn* twice sends once.
    It stands in the clear part of the event, so that `find` sees it for as long as the event lives.

    *Concurrency.* `batches` is iterated by one task; the other methods may be called from many.

    *Errors.* `TransportError` for whatever may pass, `NotPermitted` for what will not. A cancelled
    or failed send may still have happened.
    """

    @property
    def user(self) -> UserId:
        """Who we are."""
        ...

    def batches(self, since: Cursor | None, waiting: Sequence[Message]) -> AsyncIterator[Batch]:
        """Everything after *since*, for ever; *waiting* is what could not be read before."""
        ...

    async def send(self, room: RoomId, post: Post, *, txn: str) -> EventId:
        """Post in *room*, encrypted if the room is."""
        ...

    async def redact(self, room: RoomId, event: EventId, reason: str, *, txn: str) -> EventId:
        """Take *event* out; doing it to one that is out already changes nothing."""
        ...

    def origin(self, room: RoomId) -> RoomId:
        """The room that *room* continues after upgrades, as both rooms say; itself otherwise."""
        ...

    def is_direct(self, room: RoomId) -> bool:
        """Say whether we made *room* to speak with one person."""
        ...

    async def find(self, room: RoomId, txn: str, *, since: Ms) -> EventId | None:
        """Look for what was sent under *txn* at or after *since*."""
        ...

    async def direct(self, user: UserId) -> RoomId:
        """The encrypted room of the bot and *user*: made once, remembered by the server."""
        ...

    async def fetch(self, url: str) -> bytes:
        """Fetch a file as it lies on the server; `TooLarge` if it is longer than we keep."""
        ...

    async def repost(self, room: RoomId, message: Message, *, txn: str) -> EventId:
        """Post a message's file again in *room*, under fresh keys where the room is encrypted."""
        ...

    async def reopen(self, room: RoomId, event: EventId, ciphertext: bytes) -> Message:
        """Read a message again: from *ciphertext*, or from the server if that is empty."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store remembers of an event that it has recorded."""

    rid: Rid
    sender: UserId
    #: None while it could not be read, or where nobody judged it.
    action: Action | None
    rule: str | None
    #: What it edits.
    replaces: EventId | None
    #: It was recorded as unreadable and has not been read since.
    unreadable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the ledger stands."""

    size: int
    root: bytes
    #: Records covered by the newest checkpoint, and when it was made.
    witnessed: int
    checkpoint_at: Ms | None


class Store(Protocol):
    """Where facts are kept, and what follows from them.

    `append`, `checkpoint` and `tidy` are the only ways to change anything. `append` is atomic and
    durable: once it returns, its facts, its cursor and whatever follows from them (debts, the index
    of judged events, brakes, what waits for keys) survive a crash and a power cut; if it raises,
    none of them do and the store must not be used again (fail-stop). Calls may overlap; each is applied
    whole, in the order in which they were made.

    Raises `StoreError` when the disk is full, damaged or gone, `NoCertificate` when no custodian's
    key covers what is to be recorded.
    """

    async def append(self, facts: Sequence[Fact], *, cursor: Cursor | None = None) -> None:
        """Record *facts*, in order, and move the cursor if one is given."""
        ...

    async def checkpoint(self) -> str:
        """Sign the tree as it stands and keep the signed note here and at the anchor."""
        ...

    async def tidy(self) -> bool:
        """Delete a part of what disposals on record still have to; say whether more is left."""
        ...

    async def cursor(self) -> Cursor | None:
        """The cursor of the newest batch on record."""
        ...

    async def known(self, events: Sequence[EventId]) -> Mapping[EventId, Known]:
        """Those of *events* that are on record."""
        ...

    async def sources(self, messages: Sequence[Message]) -> Mapping[tuple[str, int], EventId]:
        """Which recorded event first carried each of *messages*' (session, index), if any did."""
        ...

    async def edits(self, event: EventId) -> tuple[EventId, ...]:
        """The recorded edits of *event*, oldest first."""
        ...

    async def owed(self) -> tuple[Debt, ...]:
        """What is owed and not settled, oldest first; a message's debts in their order."""
        ...

    async def waiting(self) -> tuple[Message, ...]:
        """What is on record as unreadable and is younger than a week, oldest first."""
        ...

    async def brakes(self) -> frozenset[RoomId | None]:
        """Where acting is stopped; None stands for everywhere."""
        ...

    async def head(self) -> Head:
        """Where the ledger stands."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go."""
        ...


class Clock(Protocol):
    """The time."""

    def __call__(self) -> Ms:
        """Return the time now."""
        ...
