"""From drafts to sealed records: epochs, tags and keys that are dropped.

Never keeps a secret longer than its epoch, and never holds what would open one that has ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from bridge.ledger.keys import Certificates, Recipient, bucket_of, month_of
from bridge.ledger.record import (
    Draft,
    Record,
    close,
    commitment,
    epoch_info,
    finish,
    half,
    new_rid,
    report_info,
    review_info,
    start,
    tag,
    tag_info,
)
from bridge.model import Ms, Rid
from bridge.verify.headers import PLAIN, Header, Kind
from bridge.verify.notes import encode64
from bridge.verify.opening import PADDING

#: An epoch ends after this many records or this long, whichever comes first.
EPOCH_RECORDS = 1024
EPOCH_MS = 15 * 60 * 1000
#: Kinds that no fact becomes.
MADE_HERE = frozenset({Kind.GENESIS, Kind.CERTIFICATE, Kind.EPOCH, Kind.REVIEW})
#: A page's records have one time and few retention classes.
_bucket = lru_cache(maxsize=32)(bucket_of)


@dataclass(slots=True)
class _Epoch:
    rid: Rid
    ends: Ms
    secrets: tuple[bytes, ...] = field(repr=False)
    left: int = EPOCH_RECORDS
    #: What was sealed under it.
    rids: set[Rid] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Records in their order, and the tag keys of buckets that were opened on the way."""

    records: tuple[Record, ...]
    tag_keys: Mapping[str, bytes]


class Sealer:
    """Seals drafts to the custodians. One per log; not for use by two threads at once."""

    def __init__(
        self,
        origin: str,
        certificates: Certificates,
        *,
        tag_keys: Mapping[str, bytes],
        reviewers: Certificates | None = None,
        standards: Certificates | None = None,
    ) -> None:
        """Seal for the log *origin*; *tag_keys* are those of the buckets that it has open.

        *reviewers* are those who may read flagged records without the custodians, if any;
        *standards* those to whom alone reports are sealed.
        """
        self._origin = origin
        self._certificates = certificates
        self._reviewers = reviewers
        self._standards = standards
        self._tag_keys = dict(tag_keys)
        self._epochs: dict[str, _Epoch] = {}
        #: Tags made since the last `forget`: most records of a page share rooms and senders.
        self._tags: dict[tuple[str, str, str], str] = {}

    def genesis(self, at: Ms, about: Mapping[str, object]) -> Record:
        """Make a log's first record."""
        draft = Draft(kind=Kind.GENESIS, rid=new_rid(), retention="system")
        return finish(start(draft, at), msgspec.json.encode(about, order="deterministic"))

    def seal(self, drafts: Iterable[Draft], at: Ms) -> Sealed:
        """Seal *drafts* at the time *at*, opening buckets and epochs as needed.

        Raises:
            NoCertificate: a bucket has no custodian's key.
        """
        records: list[Record] = []
        opened: dict[str, bytes] = {}
        for draft in drafts:
            if draft.kind in MADE_HERE:
                raise ValueError(f"{draft.kind} records are made here, not asked for")
            if draft.kind is Kind.REPORT:
                records.append(self._report(draft, at))
                continue
            if draft.kind in PLAIN:
                records.append(finish(start(draft, at), draft.body))
                continue
            bucket = _bucket(draft.retention, at)
            epoch = self._epochs.get(bucket)
            if epoch is None or epoch.left == 0 or at >= epoch.ends:
                recipients = self._certificates.recipients(draft.retention, at)
                if bucket not in self._tag_keys:
                    opened[bucket] = self._tag_keys[bucket] = secrets.token_bytes(32)
                    records.append(self._open_bucket(bucket, recipients, at))
                epoch = self._begin(bucket, recipients, at, records)
            epoch.left -= 1
            epoch.rids.add(draft.rid)
            records.append(self._close(draft, bucket, epoch, at))
        return Sealed(records=tuple(records), tag_keys=opened)

    def review(self, rid: Rid, at: Ms) -> Record | None:
        """Seal the keys of one record to the reviewers, while its epoch is open.

        None where there are no reviewers, or the epoch has ended: then only custodians can.

        Raises:
            NoCertificate: the reviewers have no key for its bucket.
        """
        found = ((b, e) for b, e in self._epochs.items() if rid in e.rids)
        bucket, epoch = next(found, ("", None))
        if self._reviewers is None or epoch is None:
            return None
        (reviewers,) = self._reviewers.recipients(bucket[: -len("-2026-11")], at)
        name = reviewers.certificate.custodian
        halves = b"".join(half(one, rid) for one in epoch.secrets)
        sealed = reviewers.seal(halves, review_info(self._origin, bucket, rid, name))
        draft = Draft(kind=Kind.REVIEW, rid=new_rid(), retention="")
        return finish({**start(draft, at), "bucket": bucket, "ref": rid}, sealed)

    def _report(self, draft: Draft, at: Ms) -> Record:
        """Seal a report to professional standards, and to nobody else."""
        if self._standards is None:
            raise ValueError("there is nobody to seal a report to")
        bucket = _bucket(draft.retention, at)
        (standards,) = self._standards.recipients(draft.retention, at)
        info = report_info(self._origin, bucket, draft.rid, standards.certificate.custodian)
        padded = draft.body + bytes(-len(draft.body) % PADDING).replace(b"\0", b" ")
        return finish({**start(draft, at), "bucket": bucket}, standards.seal(padded, info))

    def forget(self, at: Ms) -> None:
        """Drop the secrets of every epoch, and the tag key of every month, that ended by *at*."""
        self._epochs = {b: e for b, e in self._epochs.items() if at < e.ends and e.left}
        month = month_of(at)
        self._tag_keys = {b: k for b, k in self._tag_keys.items() if b[-len(month) :] >= month}
        self._tags.clear()

    def _open_bucket(self, bucket: str, recipients: tuple[Recipient, ...], at: Ms) -> Record:
        draft = Draft(kind=Kind.CERTIFICATE, rid=new_rid(), retention="")
        header: Header = {**start(draft, at), "bucket": bucket}
        body = {
            "certificates": [r.signed for r in recipients],
            "tag_keys": {
                name: encode64(
                    r.seal(self._tag_keys[bucket], tag_info(self._origin, bucket, draft.rid, name))
                )
                for r in recipients
                for name in [r.certificate.custodian]
            },
        }
        return finish(header, msgspec.json.encode(body, order="deterministic"))

    def _begin(
        self, bucket: str, recipients: tuple[Recipient, ...], at: Ms, records: list[Record]
    ) -> _Epoch:
        draft = Draft(kind=Kind.EPOCH, rid=new_rid(), retention="")
        own = tuple(secrets.token_bytes(32) for _ in recipients)
        body = b"".join(
            r.seal(one, epoch_info(self._origin, bucket, draft.rid, r.certificate.custodian))
            for r, one in zip(recipients, own, strict=True)
        )
        header: Header = {
            **start(draft, at),
            "bucket": bucket,
            "commit": ",".join(commitment(one) for one in own),
        }
        records.append(finish(header, body))
        ends = Ms(min(at + EPOCH_MS, *(r.certificate.end for r in recipients)))
        epoch = self._epochs[bucket] = _Epoch(draft.rid, ends, own)
        return epoch

    def _close(self, draft: Draft, bucket: str, epoch: _Epoch, at: Ms) -> Record:
        tags = {
            what: self._tag(bucket, what, identifier) for what, identifier in draft.tagged.items()
        }
        header: Header = {**start(draft, at), **tags, "bucket": bucket, "epoch": epoch.rid}
        halves = b"".join(half(one, draft.rid) for one in epoch.secrets)
        return close(self._origin, header, draft.body, halves)

    def _tag(self, bucket: str, what: str, identifier: str) -> str:
        made = self._tags.get((bucket, what, identifier))
        if made is None:
            made = tag(self._tag_keys[bucket], what, identifier)
            self._tags[bucket, what, identifier] = made
        return made
