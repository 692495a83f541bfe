"""Reading a ledger as people do: verify it, and open it with custodians' keys.

Never writes to the ledger that it reads. Whoever calls `opened` has recorded the look before, in
the consultation ledger (`bridge.records.consult`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from bridge.config import Config, read_text, verifier_file
from bridge.errors import CannotOpen, ConfigError, LedgerError, StoreError, UsageError
from bridge.ledger.keys import Custodian
from bridge.ledger.scope import Finder, Scope
from bridge.model import Ms
from bridge.records.safe import open_safe
from bridge.store.chain import closed, is_log_of
from bridge.store.reader import SqliteReader
from bridge.verify import Unsound
from bridge.verify.headers import Header, Kind
from bridge.verify.notes import Verifier, unverified
from bridge.verify.proofs import Proof, prove
from bridge.verify.report import Row, sum_up
from bridge.verify.steps import Evidence, Report, verify_logs
from bridge.verify.tree import lookup

_RID = re.compile(r"[0-9a-f]{32}").fullmatch


def _checkpoint(path: Path, config: Config) -> str:
    """Read a checkpoint of this ledger; a wrong file is a slip, and no sign of tampering."""
    note = read_text(path, "the checkpoint")
    try:
        origin = unverified(note).origin
    except Unsound as exc:
        raise ConfigError(str(path), None, f"this is not a checkpoint: {exc}") from None
    if not is_log_of(origin, config.origin):
        raise ConfigError(str(path), None, f"this checkpoint is of another ledger: {origin}")
    return note


def check_ledger(  # noqa: PLR0913 - what it is held against, from when, and whom to tell
    config: Config,
    checkpoints: tuple[Path, ...] = (),
    *,
    now: Ms,
    since: Path | None = None,
    notes: Sequence[tuple[str, str]] = (),
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Verify every log of the ledger of *config* against anchors, *checkpoints* and *notes*.

    *notes* are signed checkpoints, each with where it comes from; *since* is one up to which the
    ledger was verified before.

    Raises:
        StoreError: there is no ledger.
        ConfigError: a checkpoint cannot be read.
    """
    outside = [(str(path), _checkpoint(path, config)) for path in checkpoints]
    outside += notes
    anchors = [(f"the anchor {path}", read_text(path, "the anchor")) for path in _anchors(config)]
    if not outside and not anchors and not config.ledger.exists():
        raise StoreError(f"There is no ledger at {config.ledger} yet. Has the bot run?")
    readers: list[SqliteReader] = []
    try:
        for path in (*closed(config.ledger), config.ledger):
            readers.append(SqliteReader(path))
            readers[-1].snapshot()
        size = sum(one.size() for one in readers)
        if size == 0 and not outside and not anchors:
            raise StoreError(f"There is no ledger at {config.ledger} yet. Has the bot run?")
        return sum_up(
            verify_logs(
                [
                    (reader.rows(), evidence)
                    for reader, evidence in zip(
                        readers, _evidence(config, readers, outside, anchors, now), strict=True
                    )
                ],
                since=None if since is None else read_text(since, "the checkpoint"),
                progress=lambda done: progress(done, size),
            )
        )
    finally:
        for reader in readers:
            reader.close()


def _evidence(
    config: Config,
    readers: Sequence[SqliteReader],
    outside: Sequence[tuple[str, str]],
    anchors: Sequence[tuple[str, str]],
    now: Ms,
) -> Iterator[Evidence]:
    """Give each log the checkpoints that are of it; such as are of none are the last one's."""
    pinned = _pinned(config)
    origins = [_origin(reader, config.origin) for reader in readers]
    for origin, reader in zip(origins, readers, strict=True):
        others = set(origins) - {origin} if reader is readers[-1] else None
        yield Evidence(
            verifier=pinned and Verifier(origin, _key_then(config, origin, pinned)),
            tiles=reader.tiles(),
            checkpoints=reader.checkpoints(),
            outside=_of(origin, others, outside),
            anchors=_of(origin, others, anchors),
            edge=reader.edge(),
            identities={one.name: one.identity for one in config.custodians},
            now=now,
            witnesses=[one.key for one in config.witnesses],
        )


def _of(
    origin: str, others: set[str] | None, notes: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Choose the checkpoints of one log; of the last one, all that are not of the *others*."""
    return [
        (where, note)
        for where, note in notes
        for of in [note.partition("\n")[0]]
        if of == origin or (others is not None and of not in others)
    ]


def _key_then(config: Config, origin: str, now: Verifier) -> bytes:
    """Find the key of the log *origin*: one that was lost since is pinned beside that of now."""
    number = origin.removeprefix(config.origin).lstrip("/") or "1"
    pinned = verifier_file(config)
    former = [
        (int(before), path)
        for path in pinned.parent.glob(f"{pinned.name}.before-*")
        if (before := path.name.rpartition("-")[2]).isdigit() and int(before) > int(number)
    ]
    return _read_verifier(min(former)[1]).key if former else now.key


def _origin(reader: SqliteReader, base: str) -> str:
    """Name a log as its genesis does, if it may have that name."""
    try:
        origin = reader.origin()
    except StoreError:
        return base  # there is no genesis, and `verify` will say so
    return origin if is_log_of(origin, base) else base


def _anchors(config: Config) -> list[Path]:
    """The anchors of closed logs, and that of the open one."""
    if config.anchor is None:
        return []
    return sorted(
        path
        for path in config.anchor.parent.glob(f"{config.anchor.name}*")
        if path == config.anchor or path.name.removeprefix(f"{config.anchor.name}.").isdigit()
    )


def _pinned(config: Config) -> Verifier | None:
    path = verifier_file(config)
    return _read_verifier(path) if path.exists() else None


def _read_verifier(path: Path) -> Verifier:
    try:
        return Verifier.parse(path.read_text(encoding="utf-8"))
    except Unsound as exc:
        raise ConfigError(str(path), None, str(exc)) from None


def open_vault(vault: Path, share: Path, passphrase: str) -> Custodian:
    """Open a custodian's vault file.

    Raises:
        CannotOpen: the passphrase is wrong, or the share is of another state of the vault.
        ConfigError: a file cannot be read.
    """
    return open_safe(vault, share, passphrase).custodian


class Opener(Finder, Protocol):
    """Whoever opens records: with custodians' keys, or reviewers'."""

    def enter(self, origin: str) -> None:
        """From here on, the records are of the log *origin*."""
        ...

    def learn(self, header: Header, body: bytes) -> None:
        """Take in a record that brings keys."""
        ...

    def open(self, header: Header, body: bytes) -> bytes:
        """Return the JSON inside a record."""
        ...

    def halves(self, header: Header) -> bytes:
        """Return every custodian's half of one record's key, side by side."""
        ...


class Learner(Protocol):
    """Whoever takes in what brings keys."""

    def enter(self, origin: str) -> None:
        """From here on, the records are of the log *origin*."""
        ...

    def learn(self, header: Header, body: bytes) -> None:
        """Take in a record that brings keys."""
        ...


def logs(config: Config) -> Iterator[tuple[str, SqliteReader]]:
    """Every log of the ledger, oldest first, with its name; each is closed when the next comes."""
    for path in (*closed(config.ledger), config.ledger):
        store = SqliteReader(path)
        try:
            yield _origin(store, config.origin), store
        finally:
            store.close()


def learn_first(config: Config, learner: Learner) -> None:
    """Take in what stands later in the ledger than the records that it brings keys to."""
    for origin, store in logs(config):
        learner.enter(origin)
        for row in store.about_earlier():
            with contextlib.suppress(LedgerError):  # it stays closed, and so does what it was for
                learner.learn(_header(row.header), row.body or b"")


def learn(learner: Learner, header: Header, body: bytes | None) -> None:
    """Take in an epoch or certificate record, if it is one; what does not open stays closed."""
    if header["kind"] in {Kind.EPOCH, Kind.CERTIFICATE}:
        with contextlib.suppress(CannotOpen):
            learner.learn(header, body or b"")


def opened(
    config: Config,
    reader: Opener,
    scope: Scope,
    *,
    only: Callable[[Header], bool] = lambda _: True,
) -> Iterator[tuple[Header, bytes | None]]:
    """Yield the records of *scope*, each with what is inside, or None if it does not open.

    *only* leaves out what the scope covers and the reader has no business with.
    """
    learn_first(config, reader)
    for origin, store in logs(config):
        reader.enter(origin)
        for row in store.rows():
            header = _header(row.header)
            if scope.needs(header):
                learn(reader, header, row.body)
            if scope.covers(header, reader) and only(header):
                yield header, _opened(reader, header, row.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """One record, where it stands, and by whose key that is signed."""

    row: Row
    header: Header
    proof: Proof
    verifier: Verifier


def prove_record(config: Config, rid: str) -> Proven:
    """Find a record, and prove that it stands under the newest checkpoint of its log.

    Raises:
        UsageError: there is none of that name, or no checkpoint covers it yet.
    """
    for origin, store in logs(config):
        store.snapshot()
        row = store.find(rid) if _RID(rid) else None
        if row is not None:
            return prove_row(config, origin, store, row)
    raise UsageError(f"there is no record {rid!r} in this ledger")


def prove_row(config: Config, origin: str, store: SqliteReader, row: Row) -> Proven:
    """Prove that *row* of the log *origin* stands under the newest checkpoint of it.

    Raises:
        UsageError: no checkpoint covers it yet.
    """
    notes = [note for size, note in store.checkpoints() if size > row.seq]
    if not notes:
        rid = _header(row.header)["rid"]
        raise UsageError(
            f"no checkpoint covers record {rid} yet; make one with 'bluelamp ledger checkpoint'"
        )
    size, _, edges = store.edge()
    return Proven(
        row=row,
        header=_header(row.header),
        proof=prove(row.seq, notes[-1], lookup(size, store.tiles(), edges)),
        verifier=_verifier_of(config, origin, store),
    )


def _verifier_of(config: Config, origin: str, store: SqliteReader) -> Verifier:
    """The key of a log: the one that is pinned, or else the one that it names itself."""
    if (pinned := _pinned(config)) is not None:
        return Verifier(origin, _key_then(config, origin, pinned))
    first = next(store.rows())
    stated = msgspec.json.decode(first.body or b"", type=dict[str, msgspec.Raw])["verifier"]
    return Verifier.parse(msgspec.json.decode(stated, type=str))


def halves_of(config: Config, reader: Opener, header: Header) -> bytes:
    """Return the halves of one record's key, and learn no more for it than needed.

    Raises:
        CannotOpen: they are not to be had with these keys.
    """
    learn_first(config, reader)
    for origin, store in logs(config):
        if (epoch := store.find(str(header["epoch"]))) is not None:
            reader.enter(origin)
            learn(reader, _header(epoch.header), epoch.body)
    return reader.halves(header)


def _opened(reader: Opener, header: Header, body: bytes | None) -> bytes | None:
    if body is None:
        return None
    try:
        return reader.open(header, body)
    except CannotOpen:
        return None


def _header(raw: bytes) -> Header:
    return msgspec.json.decode(raw, type=dict[str, str | int])
