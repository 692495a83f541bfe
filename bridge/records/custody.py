"""What a custodian does with a copy of the ledger: save what is held, release what was asked for.

Never believes a copy that does not verify, and never opens a message: only holds, to know what they
cover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from bridge.config import Config, load_register
from bridge.errors import BridgeError, CannotOpen, LedgerError, UsageError
from bridge.ledger.holding import Gathering, Ground, Holding, Saved
from bridge.ledger.keys import Custodian
from bridge.ledger.opening import OwnHalves, Reader
from bridge.ledger.scope import Scope, parse_scope
from bridge.model import Ms, Rid
from bridge.records.reading import check_ledger, learn, learn_first, logs
from bridge.register import person_id, room_id
from bridge.store.chain import closed, written
from bridge.store.reader import SqliteReader
from bridge.verify.headers import Header, Kind
from bridge.verify.notes import size_of
from bridge.verify.steps import Row

#: Custodian → the halves that they released.
Granted = Mapping[str, Mapping[Rid, bytes]]
Progress = Callable[[int, int], None]
TAG_KEY_BYTES = 32
#: A ledger that runs has a record every quarter of an hour: who looks at holds looks at a copy
#: whose newest signed record is no older than this.
FRESH_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What was found to be held, and on what ground."""

    ground: Ground
    saved: Saved


def scope_of(config: Config, text: str) -> Scope:
    """Read a scope with the names that the force's register has.

    Raises:
        UsageError: it is none.
        ConfigError: register or people cannot be read.
    """
    register, people, lock = load_register(config)
    return parse_scope(
        text,
        config.zone,
        # An id is what it is, whatever the register came to say since.
        room_id=lambda name: name if _is_id(name, "!") else room_id(register, lock, name),
        person_id=lambda name: name if _is_id(name, "@") else person_id(people, name),
    )


def _is_id(name: str, mark: str) -> bool:
    return name.startswith(mark) and ":" in name


def names_of(config: Config) -> tuple[str, ...]:
    """The custodians whom the ledger is sealed to."""
    return tuple(sorted(one.name for one in config.custodians))


def is_reviewer(config: Config, custodian: Custodian) -> bool:
    """Say whether this vault is that of the reviewers, for whom nothing is ever saved."""
    return config.reviewers is not None and custodian.public == config.reviewers.identity


def refuse_strangers(config: Config, custodian: Custodian) -> None:
    """Refuse a vault that is not, by name and identity, one that the ledger is sealed to.

    Raises:
        UsageError: it is another's; nothing may be done with it here.
    """
    if not any(
        (one.name, one.identity) == (custodian.name, custodian.public) for one in config.custodians
    ):
        raise UsageError(
            f"this ledger is not sealed to this vault's {custodian.name}: by name and identity "
            f"its custodians are those that {config.path} names, "
            f"{' and '.join(names_of(config))}"
        )


def refuse_stale(seen: Ms, now: Ms, what: str) -> None:
    """Refuse to destroy anything on the word of what may leave out the newest holds.

    *seen* is when the newest record was written that *what* shows under a signed checkpoint.

    Raises:
        UsageError: that is too long ago, or the clock here is wrong.
    """
    if now - seen > FRESH_MS:
        hours = (now - seen) // 3_600_000
        raise UsageError(
            f"{what} is {hours} hours old, and there may be newer holds: nothing was destroyed. "
            "Take a new one, not older than a day; if it is new, this machine's clock is wrong"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCopy:
    """The ledger that a configuration names, as a custodian looks at it at one moment."""

    config: Config
    now: Ms
    #: Signed checkpoints that the copy must contain, each with where it comes from.
    notes: Sequence[tuple[str, str]] = ()
    #: Told how much of how much is verified.
    progress: Progress = lambda _done, _all: None

    def verify(self) -> None:
        """Check every record.

        Raises:
            LedgerError: it does not verify; nothing may be done on its word.
        """
        report = check_ledger(self.config, now=self.now, notes=self.notes, progress=self.progress)
        if not report.ok:
            first = report.failures[0]
            raise LedgerError(
                f"the ledger {self.config.ledger} does not verify (step {first.step}: "
                f"{first.what}): nothing is done on its word. See 'bluelamp ledger verify'."
            )

    def releasable(self, custodian: Custodian, scope: Scope) -> dict[Rid, bytes]:
        """Return this custodian's halves for the records of *scope*.

        Raises:
            LedgerError: the ledger does not verify.
            UsageError: the ledger is not sealed to this custodian.
        """
        names = names_of(self.config)
        refuse_strangers(self.config, custodian)
        self.verify()
        own = OwnHalves(self.config.origin, names, custodian)
        found: dict[Rid, bytes] = {}
        for header, row, _ in _headers(self.config, own, needed=scope.needs):
            if row.body is None or not scope.covers(header, own):
                continue
            if (half := own.half(header)) is not None:
                found[Rid(str(header["rid"]))] = half
        return found

    def gather(self, custodian: Custodian, buckets: Sequence[str], granted: Granted) -> Saving:
        """Find what of *buckets* is held, and this custodian's halves of it.

        *granted* are the other custodian's halves of the hold records, which one alone cannot
        open.

        Raises:
            LedgerError: the ledger does not verify, or a hold cannot be read; then nothing may be
                destroyed.
            UsageError: its newest checkpoint does not cover the newest hold, or the ledger is not
                sealed to this custodian.
        """
        names = names_of(self.config)
        refuse_strangers(self.config, custodian)
        ground = self.ground()
        size = size_of(ground.checkpoint.split("\n", 2)[1])
        holdings = _holdings(self.config, custodian, granted, size)
        own = OwnHalves(self.config.origin, names, custodian)
        gathering = Gathering(own, holdings, buckets)
        if holdings:
            for header, row, _ in _headers(self.config, own):
                _can_look(custodian, own, header)
                gathering.look(header, gone=row.body is None)
        return Saving(ground=ground, saved=gathering.saved)

    def ground(self) -> Ground:
        """On what something is destroyed: this copy as it verifies, up to its newest checkpoint.

        Raises:
            LedgerError: the ledger does not verify.
            UsageError: it has no checkpoint yet, or is older than a day.
        """
        self.verify()
        size, note = _newest(self.config)
        refuse_stale(_seen(self.config, size), self.now, f"the copy {self.config.ledger}")
        return Ground(origin=newest_origin(self.config), checkpoint=note, at=self.now)

    def has_holds(self) -> bool:
        """Say whether there is any hold that would have to be opened, verified or not."""
        return any(header["kind"] == Kind.HOLD for header, _, _ in _headers(self.config, None))

    def is_released(self, hold: str) -> bool:
        """Say whether the release of a hold is on record, under a signed checkpoint.

        Raises:
            LedgerError: the ledger does not verify.
        """
        self.verify()
        size, _ = _newest(self.config)
        return any(
            header["kind"] == Kind.RELEASE
            and header.get("ref") == hold
            and (is_closed or row.seq < size)
            for header, row, is_closed in _headers(self.config, None)
        )


def newest_origin(config: Config) -> str:
    """Name the log that the bot writes to now; papers are about that one.

    Where the ledger is not at hand, it is taken to be in its first log.
    """
    if not config.ledger.exists():
        return config.origin
    return list(logs(config))[-1][0]


def _newest(config: Config) -> tuple[int, str]:
    store = SqliteReader(config.ledger)
    try:
        notes = store.checkpoints()
    finally:
        store.close()
    if not notes:
        raise UsageError(f"the ledger {config.ledger} has no checkpoint yet: take a newer copy")
    note = notes[-1][1]
    return size_of(note.split("\n", 2)[1]), note


def _seen(config: Config, size: int) -> Ms:
    """When the last of the first *size* records of the open log was written."""
    store = SqliteReader(config.ledger)
    try:
        return max((written(row.header) for row in islice(store.rows(max(0, size - 1)), 1)),
                   default=Ms(0))  # fmt: skip
    finally:
        store.close()


def _can_look(custodian: Custodian, own: OwnHalves, header: Header) -> None:
    """Refuse a bucket in which nobody could be looked for, though its key is here."""
    bucket = str(header.get("bucket"))
    if header["kind"] != Kind.CERTIFICATE or bucket not in custodian.seeds:
        return
    key = own.tag_key(bucket)
    if key is None or len(key) != TAG_KEY_BYTES:
        raise LedgerError(
            f"what rooms and people of {bucket} are looked for with does not open with this "
            "vault, so nobody can tell what holds cover there: nothing was destroyed"
        )


def _holdings(config: Config, custodian: Custodian, granted: Granted, size: int) -> list[Holding]:
    """Open the holds that are active at the newest checkpoint, which covers *size* records."""
    names, empty = names_of(config), dict[Rid, bytes]()
    others = {name: granted.get(name, empty) for name in names if name != custodian.name}
    reader = Reader(config.origin, names, [custodian], granted=others)
    active: dict[str, bytes | CannotOpen] = {}
    for header, row, is_closed in _headers(config, reader):
        kind = header["kind"]
        if kind not in {Kind.HOLD, Kind.RELEASE}:
            continue
        if not is_closed and row.seq >= size:
            raise UsageError(
                f"the newest checkpoint of {config.ledger} does not cover its newest {kind}: take "
                "a copy that was made a minute later"
            )
        if kind == Kind.RELEASE:
            active.pop(str(header.get("ref")), None)
            continue
        try:
            active[str(header["rid"])] = reader.open(header, row.body or b"")
        except CannotOpen as exc:
            active[str(header["rid"])] = exc
    return [_holding(config, rid, inside) for rid, inside in active.items()]


def _holding(config: Config, rid: str, inside: bytes | CannotOpen) -> Holding:
    if isinstance(inside, CannotOpen):
        raise CannotOpen(
            f"hold {rid} cannot be read with this custodian's key alone ({inside}), so it cannot "
            "be said what it covers: nothing was destroyed. Ask the other custodian with "
            "'bluelamp ledger request --scope kind:hold', and give their answer with --release."
        )
    text = str(msgspec.json.decode(inside, type=dict[str, object])["scope"])
    try:
        return Holding(rid, scope_of(config, text))
    except BridgeError as exc:
        raise LedgerError(
            f"what hold {rid} covers cannot be told here ({exc}): nothing was destroyed. Use the "
            "register and people that were in force when it was made."
        ) from None


def _headers(
    config: Config,
    learner: OwnHalves | Reader | None,
    *,
    needed: Callable[[Header], bool] = lambda _: True,
) -> Iterator[tuple[Header, Row, bool]]:
    """Every record in order, after the learner has learned what it brings.

    The last says whether it stands in a log that is closed, and so under its last checkpoint.
    """
    if learner is not None:
        learn_first(config, learner)
    count = len(closed(config.ledger))
    for number, (origin, store) in enumerate(logs(config)):
        if learner is not None:
            learner.enter(origin)
        for row in store.rows():
            header: Header = msgspec.json.decode(row.header, type=dict[str, str | int])
            if learner is not None and needed(header):
                learn(learner, header, row.body)
            yield header, row, number < count
