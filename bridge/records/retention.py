"""What is due to be forgotten, and what a custodian's attestation leads to.

Never destroys a key: custodians do that on their own machines, and say so in a signed paper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import msgspec

from bridge.config import Config, read_text
from bridge.errors import ConfigError, UsageError
from bridge.facts import Disposed, Erased
from bridge.ledger.record import Record, finish, new_rid
from bridge.model import Ms, Rid
from bridge.store.chain import closed, is_log_of, written
from bridge.store.reader import Hold, SqliteReader
from bridge.verify import Unsound
from bridge.verify.headers import PLAIN, VERSION, Header, Kind, read_header
from bridge.verify.papers import Attestation, Certificate, EraseBody, Paper, ShredBody, Signed
from bridge.verify.report import Evidence, Row
from bridge.verify.steps import verify_logs

#: The steps of `verify` that are about what custodians sign.
_CUSTODY_STEPS = frozenset({8, 12})
#: Kinds that nobody can have erased: without them nobody could tell what was decided, and why.
_LASTING = (PLAIN - {Kind.REVIEW, Kind.REPORT}) | {
    Kind.POLICY, Kind.APPROVAL, Kind.HOLD, Kind.RELEASE, Kind.BRAKE, Kind.GAP, Kind.DISPOSAL,
    Kind.VIEW, Kind.GRANT, Kind.DISCLOSURE, Kind.DIRECTION, Kind.EXAMINATION, Kind.APPRAISAL,
}  # fmt: skip


class DueFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a custodian is handed: which keys to destroy, and for whom some of it must stay."""

    origin: str
    #: The newest signed checkpoint, and when the last record that it covers was written, ms.
    checkpoint: str
    seen: int
    buckets: tuple[str, ...]
    #: The rids of the holds that are active.
    holds: tuple[str, ...]
    #: Buckets whose flagged records the reviewers' keys would still open, attested or not: what
    #: reviewers destroy is on no record.
    reviewers: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()  #: Past their date; people retain them, or have not decided.


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
    #: The newest signed checkpoint of the open log, and the time of the last record it covers.
    checkpoint: str
    seen: Ms
    buckets: tuple[Bucket, ...]
    holds: tuple[Hold, ...]
    certificates: Mapping[str, Sequence[Certificate]] = field(repr=False)
    #: Whether flagged records are sealed to reviewers, too.
    reviewed: bool = False

    @property
    def active(self) -> tuple[Hold, ...]:
        """The holds that are not over."""
        return tuple(hold for hold in self.holds if hold.released is None)

    def due(self, now: Ms, withheld: Collection[str] = ()) -> DueFile:
        """Return what is due now but for what is *withheld*, as a file for the custodians.

        Raises:
            UsageError: no checkpoint says yet what holds there are.
        """
        if not self.checkpoint:
            raise UsageError(
                f"the log {self.origin} has no signed checkpoint yet, which custodians need: make "
                "one with 'bluelamp ledger checkpoint'"
            )
        past = [one for one in self.buckets if one.name not in withheld and now >= one.expires]
        return DueFile(
            origin=self.origin,
            checkpoint=self.checkpoint,
            seen=self.seen,
            buckets=tuple(bucket.name for bucket in past if bucket.is_due(now)),
            holds=tuple(hold.rid for hold in self.active),
            reviewers=tuple(one.name for one in past if self.reviewed),
            withheld=tuple(withheld),
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
            seen=_seen(reader, notes[-1][0]) if notes else Ms(0),
            buckets=tuple(sorted(buckets, key=lambda one: (one.expires, one.name))),
            holds=tuple(reader.holds()),
            certificates=opened,
            reviewed=config.reviewers is not None,
        )
    finally:
        reader.close()


def _seen(reader: SqliteReader, size: int) -> Ms:
    return max((written(row.header) for row in islice(reader.rows(max(0, size - 1)), 1)),
               default=Ms(0))  # fmt: skip


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


def accepted(
    papers: Iterable[Paper], config: Config, now_there: State, now: Ms
) -> tuple[Disposed, ...]:
    """Check attestations as `verify` will once they are on record, and say what to record.

    Raises:
        UsageError: one is of another ledger, of a bucket that is not due, or given already.
        Unsound: one is not signed by a custodian that the configuration pins, or would not verify.
    """
    facts = tuple(filter(None, (accept(one, config, now_there) for one in papers)))
    refuse_unsound(config, facts, now)
    return facts


def refuse_unsound(config: Config, facts: Sequence[Disposed | Erased], now: Ms) -> None:
    """Refuse facts that `verify` would report (steps 8 and 12) if they were on record from *now*.

    Raises:
        Unsound: one would be; nothing may be recorded or deleted because of it.
    """
    if not facts:
        return
    records = [_record(fact, now) for fact in facts]
    about = {record.rid for record in records}
    readers = [SqliteReader(path) for path in (*closed(config.ledger), config.ledger)]
    try:
        for reader in readers:
            reader.snapshot()
        size = readers[-1].size()
        more = (Row(size + n, one.header, one.body) for n, one in enumerate(records))
        rows: list[Iterable[Row]] = [reader.rows() for reader in readers]
        rows[-1] = chain(rows[-1], more)
        # What the host's own ledger says of itself is all that is asked here.
        evidence = Evidence(
            verifier=None,
            tiles={},
            checkpoints=(),
            outside=(),
            edge=(0, b"", b""),
            identities={one.name: one.identity for one in config.custodians},
            now=now,
        )
        for report in verify_logs([(each, evidence) for each in rows]):
            for failure in report.failures:
                if failure.rid in about and failure.step in _CUSTODY_STEPS:
                    raise Unsound(f"{failure.what} (step {failure.step}): nothing was recorded")
    finally:
        for reader in readers:
            reader.close()


def _record(fact: Disposed | Erased, now: Ms) -> Record:
    """The record that a fact would become."""
    start: Header = {"v": VERSION, "rid": new_rid(), "t": now}
    if isinstance(fact, Disposed):
        made = finish({**start, "kind": Kind.SHRED, "bucket": fact.bucket}, fact.attestation)
    else:
        made = finish({**start, "kind": Kind.ERASE, "ref": fact.record}, fact.orders)
    read_header(made.header)
    return made


def accept(paper: Paper, config: Config, now_there: State) -> Disposed | None:
    """Check who signed one attestation, and that it was time; say what to record.

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


def refuse_lasting(config: Config, rid: str) -> None:
    """Refuse to erase what the rest cannot be checked without, and what a hold keeps.

    Raises:
        UsageError: the record is that.
        StoreError: there is no such ledger.
    """
    row = _find(config, rid)
    kind = _kind_of(row) if row is not None else None
    if kind in _LASTING:
        raise UsageError(f"a {kind} record cannot be erased: it says what was decided, not what")
    active = {hold.rid for hold in state(config).active}
    if by := active & {hold for one in _shreds(config) for hold in one.keepers(rid)}:
        raise UsageError(f"record {rid} is kept for hold {min(by)}, which is not released")


@dataclass(frozen=True, slots=True)
class _Shred:
    """An attestation on record, and when it was recorded."""

    at: Ms
    said: Attestation

    def keepers(self, rid: str) -> set[str]:
        """The holds for which record *rid* was saved."""
        return {wrap.hold for wrap in self.said.holds if rid in wrap.records}


def _shreds(config: Config) -> list[_Shred]:
    """Every attestation on record; `verify` is who checks signatures."""
    found: list[_Shred] = []
    for path in _files(config):
        reader = SqliteReader(path)
        try:
            rows = [row for row in reader.about_earlier() if _kind_of(row) == Kind.SHRED]
        finally:
            reader.close()
        for row in rows:
            text = msgspec.json.decode(row.body or b"", type=ShredBody).attestation.text
            said = msgspec.json.decode(text, type=Attestation)
            found.append(_Shred(written(row.header), said))
    return found


def too_late(config: Config, hold: str) -> tuple[Hold, ...]:
    """The active holds that came after a key was destroyed whose records *hold* alone keeps.

    Whatever they were meant to cover there goes when *hold* is released.
    """
    others = [one for one in state(config).active if one.rid != hold]
    shreds = _shreds(config)
    alone = [
        shred
        for shred in shreds
        for wrap in shred.said.holds
        if wrap.hold == hold
        and any(not shred.keepers(rid) & {one.rid for one in others} for rid in wrap.records)
    ]
    return tuple(
        one
        for one in others
        if any(one.rid not in {wrap.hold for wrap in shred.said.holds} for shred in alone)
    )


def erasure(rid: str, orders: Iterable[Path], config: Config) -> Erased:
    """Check that every custodian has ordered to erase record *rid*, and say what to record.

    Raises:
        ConfigError: a file is not an order.
        UsageError: a custodian's order is missing, or is about another record.
        StoreError: there is no such ledger.
    """
    if (row := _find(config, rid)) is None:
        raise UsageError(f"there is no record {rid} in this ledger")
    if row.body is None:
        raise UsageError(f"the content of record {rid} is gone already")
    refuse_lasting(config, rid)
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


def _files(config: Config) -> tuple[Path, ...]:
    return (*closed(config.ledger), config.ledger)


def _find(config: Config, rid: str) -> Row | None:
    """The record of that name, in whichever log; None if there is none."""
    for path in _files(config):
        with closing(SqliteReader(path)) as reader:
            if (row := reader.find(rid)) is not None:
                return row
    return None


def _kind_of(row: Row) -> str:
    return str(msgspec.json.decode(row.header, type=dict[str, str | int])["kind"])


def _order(path: Path) -> Paper:
    try:
        return msgspec.json.decode(read_text(path, "the order"), type=Paper)
    except msgspec.MsgspecError:
        raise ConfigError(
            str(path), None, "this is not an order of 'bluelamp keys order-erase'"
        ) from None
