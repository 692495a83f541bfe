"""What is due to be forgotten, and what a custodian's attestation leads to.

Never destroys a key: custodians do that on their own machines, and say so in a signed paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bridge.config import Config, read_text
from bridge.errors import ConfigError, UsageError
from bridge.facts import Disposed, Erased
from bridge.model import Ms, Rid
from bridge.store.chain import closed, is_log_of
from bridge.store.reader import Hold, SqliteReader
from bridge.verify import Unsound
from bridge.verify.papers import Attestation, Certificate, EraseBody, Paper, ShredBody, Signed


class DueFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a custodian is handed: which keys to destroy, and for whom some of it must stay."""

    origin: str
    #: The newest signed checkpoint.
    checkpoint: str
    buckets: tuple[str, ...]
    #: The rids of the holds that are active.
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One class of records of one month, and how far its disposal is."""

    name: str
    #: The latest of its custodians' dates, ms.
    expires: Ms
    #: Whose keys open it, and who of them has attested that theirs is destroyed.
    custodians: tuple[str, ...]
    attested: tuple[str, ...]
    #: Whether its bodies are deleted; a disposal that is still at work is not.
    deleted: bool

    def is_due(self, now: Ms) -> bool:
        """Say whether a key of it should be destroyed by now."""
        return now >= self.expires and set(self.attested) != set(self.custodians)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a ledger still holds, and why."""

    origin: str
    checkpoint: str
    buckets: tuple[Bucket, ...]
    holds: tuple[Hold, ...]
    certificates: Mapping[str, Sequence[Certificate]] = field(repr=False)

    @property
    def active(self) -> tuple[Hold, ...]:
        """The holds that are not over."""
        return tuple(hold for hold in self.holds if hold.released is None)

    def due(self, now: Ms) -> DueFile:
        """Return what is due now, as a file for the custodians."""
        return DueFile(
            origin=self.origin,
            checkpoint=self.checkpoint,
            buckets=tuple(bucket.name for bucket in self.buckets if bucket.is_due(now)),
            holds=tuple(hold.rid for hold in self.active),
        )


def state(config: Config) -> State:
    """Read how far everything is.

    Raises:
        StoreError: there is no ledger.
    """
    opened: dict[str, list[Certificate]] = {}
    for path in (*closed(config.ledger), config.ledger):
        log = SqliteReader(path)
        opened |= {name: _certificates(row.body or b"") for name, row in log.buckets()}
        log.close()
    reader = SqliteReader(config.ledger)
    try:
        reader.snapshot()
        notes = reader.checkpoints()
        disposals = reader.disposals()
        buckets = [
            Bucket(
                name=name,
                expires=Ms(max(one.expires for one in certificates)),
                custodians=tuple(one.custodian for one in certificates),
                attested=tuple(d.custodian for d in disposals if d.bucket == name),
                deleted=any(d.bucket == name for d in disposals)
                and all(d.done for d in disposals if d.bucket == name),
            )
            for name, certificates in opened.items()
            if certificates
        ]
        return State(
            origin=reader.origin(),
            checkpoint=notes[-1][1] if notes else "",
            buckets=tuple(sorted(buckets, key=lambda one: (one.expires, one.name))),
            holds=tuple(reader.holds()),
            certificates=opened,
        )
    finally:
        reader.close()


def _certificates(body: bytes) -> list[Certificate]:
    """Read the certificates that opened a bucket; `verify` is who checks their signatures."""
    parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    signed = msgspec.json.decode(parts["certificates"], type=list[Signed])
    return [msgspec.json.decode(one.certificate, type=Certificate) for one in signed]


def read_attestations(paths: Iterable[Path]) -> list[Paper]:
    """Read the files that `keys destroy` wrote.

    Raises:
        ConfigError: a file is not one of those.
    """
    papers: list[Paper] = []
    for path in paths:
        raw = read_text(path, "the attestation")
        try:
            papers += msgspec.json.decode(raw, type=list[Paper])
        except msgspec.MsgspecError:
            raise ConfigError(
                str(path), None, "this is not an attestation file of 'bluelamp keys destroy'"
            ) from None
    return papers


def accept(paper: Paper, config: Config, now_there: State) -> Disposed | None:
    """Check one attestation against everything we know, and say what to record.

    None where it is of a bucket that has no records: then there is nothing to dispose of.

    Raises:
        UsageError: it is of another ledger, of a bucket that is not due, or given already.
        Unsound: it is not signed by a custodian that the configuration pins.
    """
    said = _signed_by_one(paper, config)
    certificates = {one.custodian: one for one in now_there.certificates.get(said.bucket, ())}
    certificate = certificates.get(said.custodian)
    if not is_log_of(said.origin, config.origin):
        raise UsageError(f"this attestation is of another ledger: {said.origin}")
    if certificate is None:
        return None
    if said.destroyed < certificate.expires:
        raise UsageError(f"the key of {said.bucket} was destroyed before its date; ask why")
    bucket = next(one for one in now_there.buckets if one.name == said.bucket)
    if said.custodian in bucket.attested:
        raise UsageError(f"{said.custodian}'s attestation of {said.bucket} is on record already")
    return Disposed(
        bucket=said.bucket,
        custodian=said.custodian,
        attestation=msgspec.json.encode(ShredBody(attestation=paper)),
        kept=tuple(
            (Rid(wrap.hold), tuple(Rid(rid) for rid in wrap.records)) for wrap in said.holds
        ),
    )


def unsaved(fact: Disposed, now_there: State) -> tuple[Hold, ...]:
    """The active holds that the custodian did not know of when the key was destroyed."""
    saved = {hold for hold, _ in fact.kept}
    return tuple(hold for hold in now_there.active if hold.rid not in saved)


def _signed_by_one(paper: Paper, config: Config) -> Attestation:
    last: Unsound | None = None
    for custody in config.custodians:
        try:
            said = paper.attestation(custody.identity)
        except Unsound as exc:
            last = exc
            continue
        if said.custodian == custody.name:
            return said
    raise last or Unsound("this attestation is by nobody that the configuration names")


def erasure(rid: str, orders: Iterable[Path], config: Config) -> Erased:
    """Check that every custodian has ordered to erase record *rid*, and say what to record.

    Raises:
        ConfigError: a file is not an order.
        UsageError: a custodian's order is missing, or is about another record.
        StoreError: there is no such ledger.
    """
    if not any(_has(path, rid) for path in (*closed(config.ledger), config.ledger)):
        raise UsageError(f"there is no record {rid} in this ledger")
    papers = [_order(path) for path in orders]
    by: dict[str, Paper] = {}
    for custody in config.custodians:
        for paper in papers:
            try:
                order = paper.order(custody.identity)
            except Unsound:
                continue
            if (order.custodian, order.rid) == (custody.name, rid) and is_log_of(
                order.origin, config.origin
            ):
                by[custody.name] = paper
    missing = [one.name for one in config.custodians if one.name not in by]
    if missing:
        raise UsageError(
            f"Nothing was erased: there is no valid order of {' and '.join(missing)} for this "
            "record. Each custodian makes one with 'bluelamp keys order-erase'."
        )
    body = EraseBody(orders=tuple(by[name] for name in sorted(by)))
    return Erased(record=Rid(rid), orders=msgspec.json.encode(body))


def _has(path: Path, rid: str) -> bool:
    reader = SqliteReader(path)
    try:
        return reader.find(rid) is not None
    finally:
        reader.close()


def _order(path: Path) -> Paper:
    try:
        return msgspec.json.decode(read_text(path, "the order"), type=Paper)
    except msgspec.MsgspecError:
        raise ConfigError(
            str(path), None, "this is not an order of 'bluelamp keys order-erase'"
        ) from None
