"""What a custodian saves for holds before destroying a bucket's key, and says about it.

Never opens a record: a custodian's own halves of the keys are all that is saved.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.errors import LedgerError
from bridge.ledger.keys import Custodian, public_of, seal_to, unseal_with
from bridge.ledger.opening import OwnHalves
from bridge.ledger.record import hold_info
from bridge.ledger.scope import Scope
from bridge.model import Ms, Rid
from bridge.verify.headers import PLAIN, Header
from bridge.verify.notes import encode64
from bridge.verify.papers import Attestation, Paper, Wrap

#: Hold → bucket → record → this custodian's half.
Saved = Mapping[str, Mapping[str, Mapping[Rid, bytes]]]


@dataclass(slots=True)
class Holding:
    """What one hold covers: its scope, and whatever refers to that (files, verdicts, outcomes)."""

    hold: str
    scope: Scope
    _covered: set[str] = field(default_factory=set)

    def covers(self, header: Header, finder: OwnHalves) -> bool:
        """Say whether the record is held; to be asked of each record, in their order."""
        if header["kind"] in PLAIN:
            return False
        rid = str(header["rid"])
        # The hold's own record stays, too: it says what the hold is about.
        held = (
            rid == self.hold
            or str(header.get("ref", "")) in self._covered
            or self.scope.covers(header, finder)
        )
        if held and rid != self.hold:
            self._covered.add(rid)
        return held


class Gathering:
    """Collects a custodian's halves of held records, record by record."""

    def __init__(self, own: OwnHalves, holdings: Sequence[Holding], buckets: Sequence[str]) -> None:
        """Collect from *buckets* what *holdings* cover, with the halves that *own* gives."""
        self._own, self._holdings, self._buckets = own, holdings, frozenset(buckets)
        self._saved: dict[str, dict[str, dict[Rid, bytes]]] = {
            one.hold: {bucket: {} for bucket in buckets} for one in holdings
        }

    def look(self, header: Header, *, gone: bool) -> None:
        """Take in the next record; *gone* is one whose body was deleted.

        Raises:
            LedgerError: it is held, and there is no half of its key to save.
        """
        for holding in self._holdings:
            if not holding.covers(header, self._own) or gone:
                continue
            bucket = str(header["bucket"])
            if bucket not in self._buckets:
                continue
            own = self._own.half(header)
            if own is None:
                raise LedgerError(
                    f"record {header['rid']} of {bucket} is under hold {holding.hold}, and this "
                    "vault does not open its epoch: nothing was destroyed"
                )
            self._saved[holding.hold][bucket][Rid(str(header["rid"]))] = own

    @property
    def saved(self) -> Saved:
        """What was collected."""
        return self._saved


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """On what a key is destroyed: the ledger, the checkpoint at which holds were read, the time."""

    origin: str
    checkpoint: str
    at: Ms


def attest(custodian: Custodian, bucket: str, saved: Saved, ground: Ground) -> Paper:
    """Take the key of *bucket* out of the vault, keep what is held, and sign that it is done.

    The caller shows the paper to nobody before the vault without the key is on the disk.
    """
    wraps = tuple(
        _wrap(custodian, ground.origin, hold, bucket, by_bucket.get(bucket, {}))
        for hold, by_bucket in sorted(saved.items())
    )
    paper = custodian.sign(
        Attestation(
            custodian=custodian.name,
            origin=ground.origin,
            checkpoint=ground.checkpoint,
            bucket=bucket,
            destroyed=ground.at,
            holds=wraps,
        )
    )
    custodian.attested[bucket] = paper
    del custodian.seeds[bucket]
    return paper


def _wrap(
    custodian: Custodian, origin: str, hold: str, bucket: str, halves: Mapping[Rid, bytes]
) -> Wrap:
    if not halves:
        return Wrap(hold=hold, records=(), sealed="")
    seed = custodian.holds.setdefault(hold, secrets.token_bytes(32))
    info = hold_info(origin, hold, bucket, custodian.name)
    plain = b"".join(halves.values())
    sealed = seal_to(public_of(seed), plain, info)
    if unseal_with(seed, sealed, info) != plain:
        raise LedgerError("what was saved for a hold does not open again; nothing was destroyed")
    return Wrap(hold=hold, records=tuple(halves), sealed=encode64(sealed))
