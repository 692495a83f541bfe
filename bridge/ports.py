"""What the inside asks of the outside. What is not written here is not promised.

Never implements anything: tests/contract holds every implementation, the in-memory ones
included, to these promises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bridge.facts import Appeal, Decision, Fact, Mode, Stage
from bridge.model import (
    Action,
    Batch,
    Cursor,
    Debt,
    Effect,
    EventId,
    Message,
    Ms,
    Rid,
    RoomId,
    UserId,
)


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
    #: What it answers, in the same room.
    reply_to: EventId | None = None
    #: Reactions that are put under it, for people to tap.
    offers: tuple[str, ...] = ()
    #: Fields of our own, which clients do not show.
    extra: Mapping[str, Any] = field(default_factory=dict)


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

    def newest(self, room: RoomId) -> RoomId:
        """The room that continues *room* after upgrades, as both rooms say; itself otherwise."""
        ...

    def is_member(self, room: RoomId, user: UserId) -> bool:
        """Say whether *user* is in *room*, or what continues it, as far as the server told us."""
        ...

    async def invite(self, room: RoomId, user: UserId) -> None:
        """Ask *user* into *room*; doing it to somebody who is there or asked changes nothing."""
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

    def unsealed(self, message: Message, url: str, sealed: bytes) -> bytes:
        """Give the file at *url* of *message* as its sender saw it; *sealed* is how it lies there.

        In memory only, and without asking the server. May be called from any thread, as it takes as
        long as the file is long. `NotFound` if it is not the file that was sent.
        """
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
    room: RoomId
    sent_at: Ms
    #: The record of the newest verdict on it.
    verdict: Rid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Docket:
    """An appeal, and how far it has come."""

    appeal: Appeal
    stage: Stage
    #: What was decided, by whom and when; None where nobody has.
    decision: Decision | None = None
    decided_by: str = ""
    decided_at: Ms | None = None

    @property
    def open(self) -> bool:
        """Somebody still has to decide; to pass it on to somebody else decides nothing."""
        return self.decision in {None, Decision.REFERRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Something that the bot sent because it owed it."""

    #: What was sent, and which debt it paid.
    event: EventId
    effect: Effect
    at: Ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A pause or a major incident that is on."""

    mode: Mode
    #: None: everywhere.
    room: RoomId | None
    since: Ms
    #: When it ends by itself; None: when somebody says so.
    until: Ms | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file that a recorded event brings."""

    event: EventId
    #: file or thumbnail.
    part: str
    url: str
    #: Its bytes are in the record.
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A policy officer has approved a policy."""

    revision: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a person found about one verdict; of several about the same, the last."""

    record: Rid
    rule: str
    action: Action
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the ledger stands."""

    size: int
    root: bytes
    #: Records covered by the newest checkpoint, and when it was made.
    witnessed: int
    checkpoint_at: Ms | None
    #: When the newest record was written, as it says itself.
    latest: Ms | None = None
    #: Bytes that are free where it lies; None where that says nothing.
    free: int | None = None


class Store(Protocol):
    """Where facts are kept, and what follows from them.

    `append`, `checkpoint` and `tidy` are the only ways to change anything. `append` is atomic and
    durable: once it returns, its facts, its cursor and whatever follows from them (debts, the index
    of judged events, brakes, what waits for keys) survive a crash and a power cut; if it raises,
    none of them do and the store must not be used again (fail-stop). Calls may overlap; each is
    applied whole, in the order in which they were made.

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

    async def roll(self) -> bool:
        """Close the log if its half-year is over, and begin the next; say whether it was."""
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

    async def posted(self, events: Sequence[EventId]) -> Mapping[EventId, Posted]:
        """Those of *events* that the bot sent because it owed them."""
        ...

    async def posted_about(self, event: EventId) -> tuple[Posted, ...]:
        """What the bot sent about *event* (copies, notices, questions), oldest first."""
        ...

    async def attached(
        self, events: Sequence[EventId], url: str | None = None
    ) -> tuple[Attached, ...]:
        """The files of *events*; and every recorded event that brings the file at *url*."""
        ...

    async def appeals(self, of: Sequence[str]) -> tuple[Docket, ...]:
        """The appeals that have one of these names or are about one of these events.

        Oldest first; of one message, the first round first.
        """
        ...

    async def open_appeals(self) -> tuple[Docket, ...]:
        """The appeals that nobody has decided, oldest first."""
        ...

    async def passes(self, since: Ms) -> Mapping[tuple[UserId, RoomId], Action]:
        """Whose next message in which room is let through, up to which action.

        Such as was promised at or after *since* (`Moment.PASSED`) and not used yet. A verdict of
        the rule `builtin:pass` uses it up.
        """
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

    async def standing(self) -> tuple[Standing, ...]:
        """The pauses and incidents that are on, oldest first; the pauses are also `brakes`."""
        ...

    async def minutes(self, room: RoomId) -> int:
        """How many decisions of *room* are on record."""
        ...

    async def newest_told(self, sender: UserId, room: RoomId | None) -> EventId | None:
        """The newest message of *sender*, in *room* or anywhere, about which they were told."""
        ...

    async def moved_near(self, event: EventId) -> Mapping[EventId, Known]:
        """What the sender of *event* had moved from its room within ten minutes, oldest first."""
        ...

    async def counts(self, since: Ms, until: Ms) -> Mapping[tuple[RoomId, str], int]:
        """How much was sent in [since, until): (the room that it is about, what).

        What is the effect's name; of a word to a person also the moment, as in `notify moved`.
        """
        ...

    async def approvals(self) -> tuple[Approval, ...]:
        """Every approval of a policy, oldest first."""
        ...

    async def rulings(self, since: Ms) -> tuple[Ruling, ...]:
        """What was found about verdicts at or after *since*, oldest first."""
        ...

    async def head(self) -> Head:
        """Where the ledger stands."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go."""
        ...


class Countersigned(Protocol):
    """What a store has for witnesses. A witness's line under a checkpoint changes no record.

    Raises `StoreBehind` where the anchor turns out to be of another ledger (fail-stop).
    """

    async def newest(self) -> str:
        """The newest note; before the first, one that says so much of the empty tree."""
        ...

    async def newest_by(self, name: str) -> str | None:
        """The newest note that the witness *name* has countersigned."""
        ...

    async def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Prove that the tree of *new* records continues that of *old*: RFC 6962, 2.1.2."""
        ...

    async def countersign(self, size: int, lines: str) -> None:
        """Put signature *lines* under the note of that size, here and at the anchor."""
        ...


class Witness(Protocol):
    """Another host, which remembers how far the ledger had come and never goes back.

    `cosign` answers once the witness has made the checkpoint durable, so that it never cosigns a
    smaller tree, or another one of the same size, afterwards: not after a crash either. What it
    returns is checked: only signature lines by the key that is configured. Calls do not overlap.

    Raises `WitnessElsewhere` where its newest checkpoint is not of the size *old*,
    `WitnessDisagrees` where the tree does not continue what it has seen, `WitnessError` for
    whatever may pass; it may have cosigned all the same. None takes longer than ten seconds.
    """

    @property
    def name(self) -> str:
        """Whom its cosignatures are by."""
        ...

    async def cosign(self, old: int, proof: Sequence[bytes], note: str) -> str:
        """Have it cosign *note*, which by *proof* continues what it saw at the size *old*."""
        ...


class Clock(Protocol):
    """The time."""

    def __call__(self) -> Ms:
        """Return the time now."""
        ...
