"""Reading sealed records with the custodians' keys, or with the reviewers'.

Never used by the bot. Whoever calls this has recorded that they look, before they look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from bridge.errors import CannotOpen, LedgerError
from bridge.ledger.keys import Custodian, unseal_with
from bridge.ledger.quick import Half, half_of
from bridge.ledger.record import (
    commitment,
    epoch_info,
    half,
    hold_info,
    open_body,
    report_info,
    review_info,
    tag,
    tag_info,
)
from bridge.model import Rid
from bridge.verify.headers import PLAIN, Header, Kind
from bridge.verify.notes import decode64
from bridge.verify.papers import OVERHEAD, Attestation, ShredBody, Wrap

_SEALED_SECRET = OVERHEAD + 32
HALF_BYTES = 32
#: So many epochs are kept ready for opening many records.
_QUICK = 256
_NOBODY: Mapping[str, Mapping[Rid, bytes]] = {}


class Halves(Protocol):
    """Where one custodian's halves of record keys come from."""

    name: str

    def enter(self, origin: str) -> None:
        """From here on, the records are of the log *origin*."""
        ...

    def learn(self, header: Header, body: bytes) -> None:
        """Take in a record that is not itself sealed under an epoch."""
        ...

    def half(self, header: Header) -> bytes | None:
        """This custodian's half of a record's key, 32 bytes; None if it is not to be had."""
        ...


class OwnHalves:
    """The halves that a custodian's own vault gives: by bucket, or saved for a hold."""

    def __init__(self, origin: str, names: Sequence[str], custodian: Custodian) -> None:
        """Read the log *origin*, which is sealed to the custodians *names*, as one of them."""
        self.name = custodian.name
        self._origin, self._custodian = origin, custodian
        self._place, self._count = sorted(names).index(custodian.name), len(names)
        self._epochs: dict[str, bytes] = {}
        self._tag_keys: dict[str, bytes] = {}
        self._saved: dict[str, dict[Rid, bytes]] = {}

    def enter(self, origin: str) -> None:
        """From here on, the records are of the log *origin*."""
        self._origin = origin

    def learn(self, header: Header, body: bytes) -> None:
        """Take in an epoch, certificate or shred record.

        Raises:
            CannotOpen: the key that it is sealed to is not here.
            LedgerError: it is not as it should be.
        """
        bucket, rid = str(header.get("bucket", "")), str(header["rid"])
        if header["kind"] == Kind.EPOCH:
            self._epochs[rid] = self._secret(header, bucket, rid, body)
        elif header["kind"] == Kind.CERTIFICATE:
            info = tag_info(self._origin, bucket, rid, self.name)
            sealed = _tag_key(body, self.name)
            self._tag_keys[bucket] = self._custodian.unseal(bucket, sealed, info)
        elif header["kind"] == Kind.SHRED:
            attestation = _attestation(body)
            if attestation.custodian == self.name:
                for wrap in attestation.holds:
                    self._unwrap(wrap, attestation)

    def _secret(self, header: Header, bucket: str, rid: str, body: bytes) -> bytes:
        if len(body) != _SEALED_SECRET * self._count:
            raise LedgerError(f"epoch {rid} is not sealed to {self._count} custodians")
        part = body[_SEALED_SECRET * self._place :][:_SEALED_SECRET]
        info = epoch_info(self._origin, bucket, rid, self.name)
        secret = self._custodian.unseal(bucket, part, info)
        committed = str(header.get("commit", "")).split(",")
        if len(committed) != self._count or committed[self._place] != commitment(secret):
            raise LedgerError(f"epoch {rid} holds other secrets than its header commits to")
        return secret

    def _unwrap(self, wrap: Wrap, attestation: Attestation) -> None:
        seed = self._custodian.holds.get(wrap.hold)
        if seed is None or not wrap.records:
            return
        info = hold_info(attestation.origin, wrap.hold, attestation.bucket, self.name)
        halves = unseal_with(seed, decode64(wrap.sealed), info)
        if len(halves) != HALF_BYTES * len(wrap.records):
            raise LedgerError(f"what was saved for hold {wrap.hold} is damaged")
        saved = self._saved.setdefault(wrap.hold, {})
        for place, rid in enumerate(wrap.records):
            saved[Rid(rid)] = halves[HALF_BYTES * place :][:HALF_BYTES]

    def half(self, header: Header) -> bytes | None:
        """This custodian's half of a record's key; None if neither bucket nor hold gives it."""
        rid = Rid(str(header["rid"]))
        secret = self._epochs.get(str(header.get("epoch")))
        if secret is not None:
            return half(secret, rid)
        return next((saved[rid] for saved in self._saved.values() if rid in saved), None)

    def secret(self, epoch: str) -> bytes | None:
        """The secret of an epoch, if it was learned."""
        return self._epochs.get(epoch)

    def saved_for(self, hold: str, rid: Rid) -> bool:
        """Say whether the record was saved for this hold."""
        return rid in self._saved.get(hold, {})

    def tag_key(self, bucket: str) -> bytes | None:
        """The bucket's tag key, if it was learned."""
        return self._tag_keys.get(bucket)

    def tags(self, what: str, identifier: str) -> tuple[str, ...]:
        """The tags of *identifier* in every bucket whose tag key was learned."""
        return tuple(tag(key, what, identifier) for key in self._tag_keys.values())

    def matches(self, header: Header, what: str, identifier: str) -> bool:
        """Say whether the record's tag *what* (room, sender, event) is of *identifier*."""
        key = self._tag_keys.get(str(header.get("bucket")))
        return key is not None and header.get(what) == tag(key, what, identifier)


class GivenHalves:
    """The halves that another custodian released: of these records, and of no others."""

    def __init__(self, name: str, halves: Mapping[Rid, bytes]) -> None:
        """Hold what *name* released."""
        self.name, self._halves = name, halves

    def enter(self, origin: str) -> None:
        """It makes no difference: names of records are used once in a ledger."""

    def learn(self, header: Header, body: bytes) -> None:
        """Learn nothing: what was released is all that there is."""

    def half(self, header: Header) -> bytes | None:
        """The half that was released, if it was."""
        return self._halves.get(Rid(str(header["rid"])))


class Reader:
    """Opens the records of one log as they are fed to it in order.

    Shred records come later than what they are about: whoever wants held records of a destroyed
    bucket feeds those first.
    """

    def __init__(
        self,
        origin: str,
        names: Sequence[str],
        custodians: Sequence[Custodian],
        *,
        granted: Mapping[str, Mapping[Rid, bytes]] = _NOBODY,
    ) -> None:
        """Read the log *origin* that is sealed to the custodians *names*, all of whom are needed.

        *granted* has the halves that custodians released who are not here themselves.

        Raises:
            CannotOpen: one of them neither is here nor released anything.
        """
        self._origin = origin
        here = {one.name: one for one in custodians}
        missing = [name for name in names if name not in here and name not in granted]
        if missing or not names:
            raise CannotOpen(f"the key of {' and '.join(missing) or 'somebody'} is needed as well")
        self._own = [OwnHalves(origin, names, here[name]) for name in sorted(names) if name in here]
        own: dict[str, Halves] = {one.name: one for one in self._own}
        self._sources = [
            own.get(name) or GivenHalves(name, granted[name]) for name in sorted(names)
        ]
        self._quick: dict[str, list[Half]] = {}

    def enter(self, origin: str) -> None:
        """From here on, the records are of the log *origin*: a ledger is one log after another."""
        self._origin = origin
        for source in self._sources:
            source.enter(origin)

    def learn(self, header: Header, body: bytes) -> None:
        """Take in an epoch, certificate or shred record.

        Raises:
            CannotOpen: a bucket's key is gone: what is sealed under it stays closed.
        """
        refused: LedgerError | None = None
        for source in self._sources:
            try:
                source.learn(header, body)
            except LedgerError as exc:
                refused = refused or exc
        if refused is not None:
            raise refused

    def halves(self, header: Header) -> bytes:
        """Return every custodian's half of one record's key, side by side.

        Raises:
            CannotOpen: one of them is not to be had.
        """
        parts = [source.half(header) for source in self._sources]
        lacking = [one.name for one, part in zip(self._sources, parts, strict=True) if not part]
        if lacking:
            raise CannotOpen(
                f"the epoch of record {header['rid']} is not open: no key of "
                f"{' and '.join(lacking)} gives it"
            )
        return b"".join(part for part in parts if part)

    def open(self, header: Header, body: bytes) -> bytes:
        """Return the JSON inside a record.

        Raises:
            CannotOpen: its epoch was not learned, or it was changed.
        """
        if header["kind"] == Kind.REPORT:
            raise CannotOpen(f"record {header['rid']} is for professional standards alone")
        if header["kind"] in PLAIN:
            return body
        return open_body(self._origin, header, body, self.halves(header))

    def quick(self, epoch: str) -> list[Half] | None:
        """What gives every half of an epoch's records; None where some are not here."""
        if epoch not in self._quick:
            secrets = [one.secret(epoch) for one in self._own]
            if len(secrets) != len(self._sources) or None in secrets:
                return None
            if len(self._quick) >= _QUICK:  # whoever looks through everything goes from day to day
                self._quick.clear()
            self._quick[epoch] = [half_of(one) for one in secrets if one]
        return self._quick[epoch]

    def tags(self, what: str, identifier: str) -> tuple[str, ...]:
        """The tags of *identifier* in every bucket whose tag key was learned."""
        every = (name for one in self._own for name in one.tags(what, identifier))
        return tuple(dict.fromkeys(every))

    def matches(self, header: Header, what: str, identifier: str) -> bool:
        """Say whether the record's tag *what* (room, sender, event) is of *identifier*."""
        return any(one.matches(header, what, identifier) for one in self._own)

    def saved_for(self, hold: str, rid: Rid) -> bool:
        """Say whether the record was saved for this hold before its bucket's key was destroyed."""
        return any(one.saved_for(hold, rid) for one in self._own)


class ReviewReader:
    """Opens flagged records, and only those, with the reviewers' key of their bucket."""

    def __init__(self, origin: str, reviewers: Custodian) -> None:
        """Read the log *origin* as its reviewers."""
        self._origin, self._reviewers = origin, reviewers
        self._sealed: dict[str, tuple[str, str, bytes]] = {}

    def enter(self, origin: str) -> None:
        """From here on, the records are of the log *origin*."""
        self._origin = origin

    def learn(self, header: Header, body: bytes) -> None:
        """Take in a review record; it may come after what it is about, and be fed first."""
        if header["kind"] == Kind.REVIEW:
            about = str(header.get("ref", ""))
            self._sealed[about] = self._origin, str(header["bucket"]), body

    def flagged(self, rid: Rid) -> bool:
        """Say whether the keys of this record were sealed to the reviewers."""
        return rid in self._sealed

    def halves(self, header: Header) -> bytes:
        """Return every custodian's half of one record's key, side by side.

        Raises:
            CannotOpen: it was not flagged, or the reviewers' key is not here any more.
        """
        rid = str(header["rid"])
        if rid not in self._sealed:
            raise CannotOpen(f"record {rid} was not flagged, and is not for reviewers")
        origin, bucket, sealed = self._sealed[rid]
        info = review_info(origin, bucket, rid, self._reviewers.name)
        return self._reviewers.unseal(bucket, sealed, info)

    def open(self, header: Header, body: bytes) -> bytes:
        """Return the JSON inside a flagged record.

        Raises:
            CannotOpen: it was not flagged, was changed, or the key is not here any more.
        """
        if header["kind"] == Kind.REPORT:
            raise CannotOpen(f"record {header['rid']} is for professional standards alone")
        if header["kind"] in PLAIN:
            return body
        return open_body(self._origin, header, body, self.halves(header))

    def matches(self, header: Header, what: str, identifier: str) -> bool:
        """Reviewers hold no tag key: they cannot look for a person or a room."""
        return False

    def saved_for(self, hold: str, rid: Rid) -> bool:
        """Nothing is saved for reviewers."""
        return False


class ReportReader:
    """Opens reports, and only those, with professional standards' key of their bucket."""

    def __init__(self, origin: str, standards: Custodian) -> None:
        """Read the log *origin* as professional standards."""
        self._origin, self._standards = origin, standards

    def enter(self, origin: str) -> None:
        """From here on, the records are of the log *origin*."""
        self._origin = origin

    def learn(self, header: Header, body: bytes) -> None:
        """Nothing else is needed to open a report."""

    def halves(self, header: Header) -> bytes:
        """Custodians have no part in a report.

        Raises:
            CannotOpen: always.
        """
        raise CannotOpen(f"record {header['rid']} is not for professional standards")

    def open(self, header: Header, body: bytes) -> bytes:
        """Return the JSON of a report.

        Raises:
            CannotOpen: it is none, was changed, or the key is not here any more.
        """
        if header["kind"] != Kind.REPORT:
            raise CannotOpen(f"record {header['rid']} is no report")
        bucket, rid = str(header["bucket"]), str(header["rid"])
        info = report_info(self._origin, bucket, rid, self._standards.name)
        return self._standards.unseal(bucket, body, info).rstrip(b" ")

    def matches(self, header: Header, what: str, identifier: str) -> bool:
        """A report is tagged with nobody."""
        return False

    def saved_for(self, hold: str, rid: Rid) -> bool:
        """Nothing of it is saved for a hold."""
        return False


def _tag_key(body: bytes, custodian: str) -> bytes:
    try:
        parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        sealed = msgspec.json.decode(parts["tag_keys"], type=dict[str, str])
        return decode64(sealed[custodian])
    except (msgspec.MsgspecError, KeyError):
        raise CannotOpen(f"this certificate record holds no tag key for {custodian}") from None


def _attestation(body: bytes) -> Attestation:
    """Read what a shred record says; `verify` is who checks its signature."""
    try:
        paper = msgspec.json.decode(body, type=ShredBody).attestation
        return msgspec.json.decode(paper.text, type=Attestation)
    except msgspec.MsgspecError:
        raise LedgerError("a shred record holds no attestation") from None
