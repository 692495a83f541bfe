"""Keys to content: a custodian's bucket keys and the certificates that make them known.

Never runs on the bot's host with a private half: there, only certificates are read. Content is
sealed to a *bucket*, one retention class in one calendar month, so that it can be forgotten by
destroying one key.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import CannotOpen, LedgerError, NoCertificate
from bridge.model import Ms
from bridge.verify.notes import decode64, encode64
from bridge.verify.papers import Attestation, Certificate, Order, Paper, Signed, signed_bytes

#: X-Wing-shaped hybrid KEM of draft-ietf-hpke-pq, as `cryptography` 49 and later has it.
SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
DAY_MS = 86_400_000
_ML_KEM_PUBLIC = 1184

_encode = msgspec.json.Encoder(order="deterministic").encode


def bucket_of(retention: str, at: Ms) -> str:
    """Name the bucket that *retention* class has in the month (UTC) of *at*."""
    return f"{retention}-{month_of(at)}"


def month_of(at: Ms) -> str:
    """Name the month (UTC) of *at*, as it ends the name of a bucket."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m}"


def month_bounds(year: int, month: int) -> tuple[Ms, Ms]:
    """Return the first millisecond of a month (UTC) and of the month after it."""
    start = datetime(year, month, 1, tzinfo=UTC)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return Ms(int(start.timestamp()) * 1000), Ms(int(end.timestamp()) * 1000)


def public_of(seed: bytes) -> bytes:
    """Return the public half (1,216 bytes) of the HPKE key that *seed* (32 bytes) makes."""
    both = hashlib.shake_256(seed).digest(96)
    kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(both[:64]).public_key()
    curve = x25519.X25519PrivateKey.from_private_bytes(both[64:]).public_key()
    return kem.public_bytes_raw() + curve.public_bytes_raw()


def seal_to(public: bytes, secret: bytes, info: bytes) -> bytes:
    """Seal *secret* to a public half as `public_of` gives it; *info* binds it to its place.

    Raises:
        LedgerError: it is no such key.
    """
    try:
        key = hpke.MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(public[:_ML_KEM_PUBLIC]),
            x25519.X25519PublicKey.from_public_bytes(public[_ML_KEM_PUBLIC:]),
        )
    except ValueError:
        raise LedgerError("this is not a public key that anything could be sealed to") from None
    return SUITE.encrypt(secret, key, info)


def unseal_with(seed: bytes, sealed: bytes, info: bytes) -> bytes:
    """Open what was sealed to the key that *seed* makes.

    Raises:
        CannotOpen: it was sealed to another, or for another place.
    """
    try:
        return SUITE.decrypt(sealed, _private(seed), info)
    except (InvalidTag, ValueError):
        raise CannotOpen("this was sealed to another key, or for another place") from None


def _private(seed: bytes) -> hpke.MLKEM768X25519PrivateKey:
    # The seed is expanded as draft-ietf-hpke-pq expands it, so other libraries can use it.
    both = hashlib.shake_256(seed).digest(96)
    return hpke.MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(both[:64]),
        x25519.X25519PrivateKey.from_private_bytes(both[64:]),
    )


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file that a custodian hands to the bot's host: public halves only."""

    custodian: str
    #: Ed25519 public key, base64; the host's configuration must pin the same.
    identity: str
    certificates: tuple[Signed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One custodian's public key for one bucket."""

    certificate: Certificate
    signed: Signed

    def seal(self, secret: bytes, info: bytes) -> bytes:
        """Seal *secret* so that only this custodian opens it; *info* binds it to its place."""
        return seal_to(decode64(self.certificate.key), secret, info)


class Certificates:
    """Whom to seal to, by bucket. One or two custodians; each must have certified a bucket."""

    def __init__(self, bundles: Iterable[Bundle], *, pinned: Mapping[str, bytes]) -> None:
        """Check every certificate of *bundles* against the *pinned* identities by name.

        Raises:
            Unsound: an identity or signature is not what was pinned.
        """
        self._by_bucket: dict[str, dict[str, Recipient]] = {}
        self.custodians = tuple(sorted(pinned))
        for bundle in bundles:
            if pinned.get(bundle.custodian) != decode64(bundle.identity):
                raise LedgerError(
                    f"the certificates of custodian {bundle.custodian!r} are not by the identity "
                    "that the configuration pins"
                )
            for signed in bundle.certificates:
                certificate = signed.check(pinned[bundle.custodian])
                if certificate.custodian != bundle.custodian:
                    raise LedgerError(
                        f"custodian {bundle.custodian!r} has certified a key in the name of "
                        f"{certificate.custodian!r}"
                    )
                self._by_bucket.setdefault(certificate.bucket, {})[bundle.custodian] = Recipient(
                    certificate=certificate, signed=signed
                )

    def recipients(self, retention: str, at: Ms) -> tuple[Recipient, ...]:
        """Return the custodians' keys for the bucket of now, in the order of their names.

        Raises:
            NoCertificate: a custodian has not certified this bucket.
        """
        bucket = bucket_of(retention, at)
        found = self._by_bucket.get(bucket, {})
        missing = [name for name in self.custodians if name not in found]
        if missing or not self.custodians:
            who = " and ".join(missing) or "any custodian"
            raise NoCertificate(
                f"There is no key of {who} for the records of {bucket}. The custodian must run "
                "'bluelamp keys issue' and hand over the new certificates file; until then "
                "nothing can be recorded."
            )
        return tuple(found[name] for name in self.custodians)

    def last_day(self, retention: str) -> Ms:
        """Return when the certified months of *retention* end; 0 if there are none."""
        ends = [
            min(r.certificate.end for r in both.values())
            for both in self._by_bucket.values()
            if next(iter(both.values())).certificate.retention == retention
            and len(both) == len(self.custodians)
        ]
        return Ms(max(ends, default=0))


class Custodian:
    """The private side: an identity and the bucket keys. Lives on the custodian's machine."""

    def __init__(
        self,
        name: str,
        identity: bytes,
        seeds: dict[str, tuple[str, bytes]],
        *,
        holds: dict[str, bytes] | None = None,
        attested: dict[str, Paper] | None = None,
    ) -> None:
        """Hold the Ed25519 seed *identity* and *seeds*: bucket → (signed JSON, 32-byte seed).

        *holds* are the keys to what was saved for a hold, by the hold's rid; *attested* what was
        signed of buckets whose key is destroyed.
        """
        self.name = name
        self.identity = identity
        self.seeds = seeds
        self.holds = holds if holds is not None else {}
        self.attested = attested if attested is not None else {}

    @classmethod
    def new(cls, name: str) -> Custodian:
        """Make a custodian without buckets."""
        return cls(name, secrets.token_bytes(32), {})

    @property
    def public(self) -> bytes:
        """The identity's public half, which configurations pin."""
        return self._key().public_key().public_bytes_raw()

    def issue(self, retention: str, *, year: int, month: int, kept_days: int) -> bool:
        """Make and certify the key of one bucket; say whether it was new."""
        start, end = month_bounds(year, month)
        bucket = bucket_of(retention, start)
        if bucket in self.seeds or bucket in self.attested:
            return False
        seed = secrets.token_bytes(32)
        made = Certificate(
            custodian=self.name,
            bucket=bucket,
            retention=retention,
            start=start,
            end=end,
            expires=end + kept_days * DAY_MS,
            key=encode64(public_of(seed)),
        )
        paper = self._sign("certificate", made)
        signed = Signed(certificate=paper.text, signature=paper.signature)
        self.seeds[bucket] = (_encode(signed).decode(), seed)
        return True

    def issue_ahead(
        self, kept_days: Mapping[str, int], *, year: int, month: int, months: int
    ) -> int:
        """Issue each retention class's keys for *months* from a month on; count the new ones.

        *kept_days* says for how long each retention class is kept.
        """
        count = 0
        for ahead in range(month - 1, month - 1 + months):
            for retention, days in kept_days.items():
                count += self.issue(
                    retention, year=year + ahead // 12, month=ahead % 12 + 1, kept_days=days
                )
        return count

    def sign(self, paper: Attestation | Order) -> Paper:
        """Sign an attestation of destruction, or an order to erase."""
        return self._sign(type(paper).__name__.lower(), paper)

    def vouch(self, kind: str, text: str) -> str:
        """Sign another text of ours, of a *kind* that no paper has; base64."""
        return encode64(self._key().sign(signed_bytes(kind, text)))

    def _sign(self, kind: str, paper: msgspec.Struct) -> Paper:
        text = _encode(paper).decode()
        return Paper(text=text, signature=self.vouch(kind, text))

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.identity)

    def certificate(self, bucket: str) -> Certificate:
        """Return the certificate of one of the buckets whose key is here."""
        signed = msgspec.json.decode(self.seeds[bucket][0], type=Signed)
        return signed.check(self.public)

    def bundle(self) -> Bundle:
        """Return the file for the bot's host."""
        return Bundle(
            custodian=self.name,
            identity=encode64(self.public),
            certificates=tuple(
                msgspec.json.decode(signed, type=Signed)
                for _, (signed, _) in sorted(self.seeds.items())
            ),
        )

    def unseal(self, bucket: str, sealed: bytes, info: bytes) -> bytes:
        """Open what was sealed to this custodian's key of *bucket*.

        Raises:
            CannotOpen: the key is not (or no longer) here, or it was sealed to another.
        """
        if bucket not in self.seeds:
            raise CannotOpen(
                f"custodian {self.name} has no key for {bucket}: it was never issued "
                "or has been destroyed"
            )
        try:
            return unseal_with(self.seeds[bucket][1], sealed, info)
        except CannotOpen:
            raise CannotOpen(f"this was not sealed to {self.name}'s key of {bucket}") from None
