"""Steps 8, 12 and 13: what custodians have signed, what may therefore be gone, and where it began.

Never opens anything, and takes no custodian's word for more than their signature covers.
"""

from __future__ import annotations

from array import array

import msgspec

from bridge.verify import Unsound
from bridge.verify.headers import EXACT, PLAIN, Head, Kind
from bridge.verify.notes import Checkpoint, Verifier, decode64, parse, size_of, unverified
from bridge.verify.papers import (
    OVERHEAD,
    Attestation,
    Certificate,
    EraseBody,
    Genesis,
    Order,
    Paper,
    Previous,
    ShredBody,
    Signed,
)
from bridge.verify.past import STAYS, Last, Log, Lost, Past
from bridge.verify.points import TOLERANCE_MS
from bridge.verify.report import Before, Evidence, Report

#: Kinds that nobody can order to be erased: without them the rest could not be checked.
_LASTING = PLAIN - {Kind.REVIEW, Kind.REPORT}
#: A key is destroyed no later than this after the newest record that the custodian saw, ms.
STALE_MS = 86_400_000
#: Bytes of a tag key that is sealed to a custodian.
_SEALED_TAGS = OVERHEAD + 32


class Custody:
    """Collects what custodians signed in one log."""

    def __init__(self, evidence: Evidence, report: Report, past: Past, times: array[int]) -> None:
        """Go on from the *past*, and add to it; *times* of this log's records grow meanwhile."""
        self._times = times
        self._evidence, self.report, self._past = evidence, report, past
        self.verifier = evidence.verifier
        self.custodians: tuple[str, ...] = ()
        self._identities = evidence.identities
        #: Bucket → its end, ms.
        self.ends: dict[str, int] = {}
        #: The checkpoints of attestations, for the end.
        self.points: list[tuple[str, Checkpoint]] = []

    def fail(self, step: int, rid: str, what: str) -> None:
        """Report a failure."""
        self.report.fail(step, rid, what)

    # Where it begins

    def genesis(self, head: Head, _seq: int, body: bytes) -> None:  # (4) (8)
        """Learn who signs, and who the custodians are."""
        rid = head.rid
        try:
            genesis = msgspec.json.decode(body, type=Genesis)
            stated = Verifier.parse(genesis.verifier)
            named = {name: decode64(key) for name, key in genesis.custodians.items()}
        except (msgspec.MsgspecError, UnicodeDecodeError, Unsound):
            self.fail(4, rid, "the genesis does not name the ledger's key and custodians")
            return
        self.custodians = tuple(sorted(named))
        if self._evidence.identities and dict(self._evidence.identities) != named:
            self.fail(8, rid, "the genesis names other custodians than are pinned here")
        self._identities = self._evidence.identities or named
        if genesis.origin != stated.name:
            self.fail(4, rid, "the genesis names a key that is of another ledger")
        if self.verifier is None:
            self.verifier = stated
        elif self.verifier != stated:
            self.fail(4, rid, "the genesis names another key than the one that is pinned here")
        self._past.logs[self.verifier.name] = Log(self.verifier, self._past.records, self._times)
        self._previous(genesis, rid)

    def _previous(self, genesis: Genesis, rid: str) -> None:  # (13)
        previous, last = genesis.previous, self._past.last
        if previous is None:
            if last is not None or self._evidence.previous is not None:
                self.fail(13, rid, "the genesis names no log before this one")
            return
        try:
            point = unverified(previous.checkpoint)
            given = last if last is not None and last.verifier.name == point.origin else None
            verifier = given.verifier if given else self._evidence.previous_verifier
            if verifier is not None:
                point = parse(previous.checkpoint, verifier)
        except Unsound as exc:
            self.fail(13, rid, f"what the genesis says of the log before it: {exc}")
            return
        first, end = previous.lost or (point.size, point.size)
        self.report.before.append(Before(point.origin, point.size, previous.lost, previous.reason))
        if previous.lost is not None:
            self._past.lost[point.origin] = Lost(first, point)
            what = f"records {first} to {end - 1} are lost" if first < end else "it was given up"
            self.report.warnings.append(
                f"the log after {point.origin} says that {what} ({previous.reason})"
            )
        if point.origin != origin_before(genesis.origin):
            self.fail(13, rid, f"{genesis.origin} does not follow on {point.origin}")
        if not 0 <= first <= end == point.size:
            self.fail(13, rid, "what the genesis says is lost is no range up to its checkpoint")
        self._past.whole = self._past.whole and given is not None
        if given is not None:
            self._follows(previous, point, given, rid)
        elif self._evidence.previous is not None:
            self._continues(point, verifier, rid)
        elif first > 0:
            self.fail(13, rid, f"the log before this one, {point.origin}, is not here")

    def _follows(self, previous: Previous, point: Checkpoint, last: Last, rid: str) -> None:  # (13)
        if point.size > last.size:
            if previous.lost is None or previous.lost[0] > last.size:
                self.fail(13, rid, f"{point.origin} ends before the genesis says, and not as lost")
        elif not last.has(point):
            # What nobody could read any more may be there again; what was signed may not differ.
            self.fail(13, rid, f"{point.origin} does not have the end that the genesis names")
        elif point.size < last.size and previous.lost is None:
            self.fail(13, rid, f"{point.origin} goes on after the end that the genesis names")
        elif point.size == last.size:
            last.report.tied = True

    def _continues(self, point: Checkpoint, verifier: Verifier | None, rid: str) -> None:  # (13)
        note = self._evidence.previous or ""
        try:
            known = unverified(note) if verifier is None else parse(note, verifier)
        except Unsound as exc:
            self.fail(13, rid, f"the last checkpoint of the log before: {exc}")
            return
        if known != point:
            self.fail(13, rid, "the genesis names another end of the log before it")

    # What was certified

    def certificate(self, head: Head, _seq: int, body: bytes) -> None:  # (8)
        """Learn the custodians' keys of one bucket."""
        rid, bucket = head.rid, head.bucket
        self.ends[bucket] = EXACT
        try:
            parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            signed = msgspec.json.decode(parts["certificates"], type=list[Signed])
            certificates = [self._certified(one) for one in signed]
            tags = msgspec.json.decode(parts["tag_keys"], type=dict[str, str])
            sealed = {name: len(decode64(one)) for name, one in tags.items()}
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, Unsound) as exc:
            self.fail(8, rid, f"the certificates of {bucket} do not hold: {exc}")
            return
        if tuple(c.custodian for c in certificates) != self.custodians:
            self.fail(8, rid, f"{bucket} is not certified by each custodian that the genesis names")
        if sealed != dict.fromkeys(self.custodians, _SEALED_TAGS):
            self.fail(8, rid, f"the tag key of {bucket} is not sealed to each custodian")
        for one in certificates:
            if one.bucket != bucket:
                self.fail(8, rid, f"a certificate of {one.bucket} is used for {bucket}")
            elif not one.start <= head.t < one.end:
                self.fail(8, rid, f"the certificate of {bucket} was not valid when it was used")
            else:
                self._past.certificates[bucket, one.custodian] = one
                self.ends[bucket] = min(self.ends[bucket], one.end)

    def _certified(self, signed: Signed) -> Certificate:
        name = msgspec.json.decode(signed.certificate, type=Certificate).custodian
        return signed.check(self._identity(name))

    def _identity(self, name: str) -> bytes:
        if name not in self._identities:
            raise Unsound(f"nobody is known here as the custodian {name!r}")
        return self._identities[name]

    # What is held, and what has gone

    def hold(self, head: Head, seq: int, _body: bytes) -> None:
        """Learn of a hold."""
        self._past.holds[head.rid] = self._past.records + seq, head.t

    def release(self, head: Head, seq: int, _body: bytes) -> None:
        """Learn that a hold is over."""
        self._past.released.setdefault(head.ref, self._past.records + seq)

    def shred(self, head: Head, seq: int, body: bytes) -> None:  # (12)
        """Learn that a custodian has destroyed the key of a bucket."""
        sound = len(self.report.failures)
        try:
            paper = msgspec.json.decode(body, type=ShredBody).attestation
            attestation = paper.attestation(self._signer(head, paper, Attestation))
        except _Unknown as exc:
            self.fail(8, head.rid, str(exc))
            return
        except (msgspec.MsgspecError, UnicodeDecodeError, Unsound) as exc:
            self.fail(12, head.rid, f"this attestation does not hold: {exc}")
            return
        self._attested(head, attestation)
        for wrap in attestation.holds:
            self._wrapped(head, wrap.records, wrap.sealed)
        if len(self.report.failures) > sound:
            return
        self._past.shredded.add(head.bucket)
        for wrap in attestation.holds:
            for rid in wrap.records:
                self._past.kept.setdefault(rid, {}).setdefault(wrap.hold, self._past.records + seq)

    def _signer(self, head: Head, paper: Paper, form: type[Attestation | Order]) -> bytes:
        name = msgspec.json.decode(paper.text, type=form).custodian
        if name not in self._identities:
            raise _Unknown(f"this {head.kind} is on the word of {name!r}, who is no custodian here")
        return self._identities[name]

    def _attested(self, head: Head, given: Attestation) -> None:  # (12)
        rid, bucket = head.rid, head.bucket
        log = self._past.logs.get(given.origin)
        if log is None:
            self.fail(12, rid, f"this attestation is of another ledger: {given.origin}")
            return
        if given.bucket != bucket:
            self.fail(12, rid, f"this attestation is of {given.bucket}, not of {bucket}")
        certificate = self._past.certificates.get((bucket, given.custodian))
        if certificate is None and self._past.whole:
            self.fail(12, rid, f"{given.custodian} never certified a key of {bucket} here")
        if certificate is not None and given.destroyed < certificate.expires:
            self.fail(12, rid, f"the key of {bucket} was destroyed before it might be")
        if given.destroyed > head.t + TOLERANCE_MS:
            self.fail(12, rid, "this attestation is dated later than the record that it stands in")
        try:
            point = parse(given.checkpoint, log.verifier)
        except Unsound as exc:
            self.fail(12, rid, f"the checkpoint of this attestation: {exc}")
            return
        if log.verifier == self.verifier:
            self.points.append((rid, point))
        elif given.origin not in self._past.ended or not self._past.ended[given.origin].has(point):
            self.fail(12, rid, "the checkpoint of this attestation has another root in its log")
        seen = log.times[: point.size][-1:]
        if given.destroyed - (seen[0] if seen else 0) > STALE_MS + TOLERANCE_MS:
            self.fail(12, rid, "this attestation is of holds as they were more than a day before")
        self._holds_listed(head, given, log.before + point.size)

    def _holds_listed(self, head: Head, given: Attestation, size: int) -> None:  # (12)
        listed = {wrap.hold for wrap in given.holds}
        for hold, (seq, at) in self._past.holds.items():
            if hold in listed or self._past.released.get(hold, EXACT) < size:
                continue
            if seq < size:
                self.fail(12, head.rid, f"this attestation leaves out the hold {hold}")
            elif at < given.destroyed:
                self.report.warnings.append(
                    f"hold {hold} was recorded after {given.custodian} had last looked at the "
                    f"holds, and before the key of {head.bucket} was destroyed: it holds nothing "
                    "of that bucket"
                )
        if self._past.whole and not listed <= self._past.holds.keys():
            self.fail(12, head.rid, "this attestation lists a hold that is not on record")

    def _wrapped(self, head: Head, records: tuple[str, ...], sealed: str) -> None:  # (12)
        wanted = len(records) * 32 + OVERHEAD if records else 0
        try:
            size = len(decode64(sealed))
        except Unsound:
            size = -1
        if size != wanted:
            self.fail(12, head.rid, "what this attestation keeps for a hold is not of its records")
        for rid in records:
            sort = self._past.seen.get(rid)
            if sort is None and not self._past.whole:
                continue
            if sort is None or sort.bucket != head.bucket or sort.kind in STAYS:
                self.fail(12, head.rid, f"this attestation keeps {rid}, which is not of its bucket")

    def erase(self, head: Head, seq: int, body: bytes) -> None:  # (12)
        """Learn that every custodian has ordered one record's body to be deleted."""
        sound = len(self.report.failures)
        try:
            papers = msgspec.json.decode(body, type=EraseBody).orders
            orders = [one.order(self._signer(head, one, Order)) for one in papers]
        except _Unknown as exc:
            self.fail(8, head.rid, str(exc))
            return
        except (msgspec.MsgspecError, UnicodeDecodeError, Unsound) as exc:
            self.fail(12, head.rid, f"these orders do not hold: {exc}")
            return
        if sorted(one.custodian for one in orders) != list(self.custodians):
            self.fail(12, head.rid, "not every custodian has ordered this, once each")
        for one in orders:
            if one.origin not in self._past.logs:
                self.fail(12, head.rid, f"this order is for another ledger: {one.origin}")
            if head.ref and one.rid != head.ref:
                self.fail(12, head.rid, f"this order is for another record: {one.rid}")
        sort = self._past.seen.get(head.ref)
        if sort is not None and sort.kind in _LASTING:
            self.fail(12, head.rid, f"a {sort.kind} record cannot be erased")
        if len(self.report.failures) == sound:
            self._past.erased.setdefault(head.ref, self._past.records + seq)


class _Unknown(Exception):
    """Somebody signed who is no custodian."""


def origin_before(origin: str) -> str | None:
    """Name the log before `base/n`: `base/n-1`, or `base` before `base/2`; None if there is none.

    The base may itself hold slashes.
    """
    base, _, number = origin.rpartition("/")
    try:
        n = size_of(number) if base else 0
    except Unsound:
        return None
    if n < 2:
        return None
    return base if n == 2 else f"{base}/{n - 1}"
