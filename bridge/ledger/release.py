"""Four eyes: one person asks for records, a custodian releases their halves of the keys to them.

Never holds a whole key: a release has one custodian's halves, of these records and no others,
sealed to a key that the asker made for this one request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bridge.errors import CannotOpen, LedgerError
from bridge.ledger.keys import Custodian, seal_to, unseal_with
from bridge.ledger.opening import HALF_BYTES
from bridge.model import Ms, Rid
from bridge.verify import Unsound
from bridge.verify.headers import FORMAT
from bridge.verify.notes import decode64, encode64
from bridge.verify.papers import signed_bytes
from bridge.verify.points import TOLERANCE_MS

#: A request is for this long.
VALID_MS = 7 * 86_400_000
_REQUEST, _SESSION = "bluelamp request 1", "bluelamp session 1"
_RID = re.compile(r"[0-9a-f]{32}").fullmatch
_RID_BYTES = 16
_ENTRY = _RID_BYTES + HALF_BYTES
_encode = msgspec.json.Encoder(order="deterministic").encode


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks to read, and the key that they made for the answer."""

    #: The record of this request in the asker's consultation ledger.
    rid: str
    origin: str
    who: str
    scope: str
    purpose: str
    case: str
    #: Public half of the session's key, base64.
    key: str
    made: int
    expires: int
    format: str = _REQUEST


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The private half of a request's key; it stays with who asks."""

    request: str
    seed: str
    #: Ms; no answer can be opened after it.
    expires: int = 0
    #: What was asked, as `digest_of` has it.
    asked: str = ""
    format: str = _SESSION


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One custodian's answer to a request."""

    custodian: str
    request: Request
    #: The record of this release in the custodian's consultation ledger.
    grant: str
    count: int
    #: For each record its rid (16 bytes) and this custodian's half (32), one after the other,
    #: sealed to the session's key.
    sealed: str
    released: int


class SignedRelease(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A release as it travels: the exact text that was signed, and the signature (base64)."""

    release: str
    signature: str

    def check(self, identities: Mapping[str, bytes]) -> Release:
        """Check the signature against the pinned *identities* of custodians.

        Raises:
            Unsound: it is by none of them, or is no release.
        """
        try:
            found = msgspec.json.decode(self.release, type=Release)
        except msgspec.MsgspecError:
            raise Unsound("this is not a release") from None
        if found.custodian not in identities:
            raise Unsound(f"nobody has pinned the identity of custodian {found.custodian!r}")
        try:
            Ed25519PublicKey.from_public_bytes(identities[found.custodian]).verify(
                decode64(self.signature), signed_bytes("release", self.release)
            )
        except InvalidSignature:
            raise Unsound(f"this release is not signed by custodian {found.custodian}") from None
        return found


def read_request(raw: str, *, origin: str, now: Ms) -> Request:
    """Read a request for records of the ledger *origin*.

    Raises:
        LedgerError: it is none, is for another ledger, or is too old.
    """
    try:
        found = msgspec.json.decode(raw, type=Request)
    except msgspec.MsgspecError:
        raise LedgerError("this is not a file of 'bluelamp ledger request'") from None
    check_request(found, origin=origin, now=now)
    return found


def check_request(found: Request, *, origin: str, now: Ms) -> None:
    """Refuse a request that is not, or no longer, to be answered.

    Raises:
        LedgerError: it is of another form, for another ledger, for longer than a week or not of
            now, or has something in it that a screen would not show.
    """
    if found.format != _REQUEST:
        raise LedgerError(f"this request has the format {found.format!r}, which is unknown here")
    if found.origin != origin:
        raise LedgerError(f"this request is for another ledger: {found.origin}")
    texts = (found.rid, found.who, found.scope, found.purpose, found.case, found.key)
    if not all(text.isprintable() for text in texts) or not _RID(found.rid):
        raise LedgerError(
            "this request has characters in it that do not show on a screen as they are, or no "
            "name of a record: nobody could tell what is asked"
        )
    if found.made > now + TOLERANCE_MS:
        raise LedgerError("this request is dated later than now: one of the clocks is wrong")
    if found.expires > found.made + VALID_MS:
        raise LedgerError("this request is for longer than the 7 days that one may be for")
    if now >= found.expires:
        raise LedgerError("this request is too old: ask again with 'bluelamp ledger request'")


def release(
    custodian: Custodian, request: Request, halves: Mapping[Rid, bytes], *, grant: Rid, at: Ms
) -> SignedRelease:
    """Seal *halves* to the request's key and sign the answer."""
    plain = b"".join(bytes.fromhex(rid) + one for rid, one in sorted(halves.items()))
    info = _info(request.origin, request.rid, custodian.name)
    text = _encode(
        Release(
            custodian=custodian.name,
            request=request,
            grant=grant,
            count=len(halves),
            sealed=encode64(seal_to(decode64(request.key), plain, info)),
            released=at,
        )
    ).decode()
    return SignedRelease(release=text, signature=custodian.vouch("release", text))


def digest_of(asked: Request) -> str:
    """Name a request by everything in it: SHA-256, hex."""
    return hashlib.sha256(_encode(asked)).hexdigest()


def released(found: Release, session: Session) -> dict[Rid, bytes]:
    """Open a release with the session's private half: record → this custodian's half.

    Raises:
        CannotOpen: the session is another request's, or the request was changed on its way.
    """
    if session.request != found.request.rid:
        raise CannotOpen("this session's key was made for another request")
    if session.asked and session.asked != digest_of(found.request):
        raise CannotOpen(
            "this release answers other words than were asked here: somebody changed the request "
            "on its way"
        )
    info = _info(found.request.origin, found.request.rid, found.custodian)
    plain = unseal_with(decode64(session.seed), decode64(found.sealed), info)
    entries = [plain[at : at + _ENTRY] for at in range(0, len(plain), _ENTRY)]
    return {Rid(one[:_RID_BYTES].hex()): one[_RID_BYTES:] for one in entries}


def _info(origin: str, request: str, custodian: str) -> bytes:
    """Bind what is released to the request and to who released it."""
    return b"\n".join((FORMAT + b"/release", origin.encode(), request.encode(), custodian.encode()))
