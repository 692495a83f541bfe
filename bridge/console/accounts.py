"""Auditors' accounts: who may sign in, with what passphrase and second factor.

Never keeps a passphrase, a recovery code or an enrolment code: only what they are checked with.
The secret of the second factor has to be kept; each account is a file that only we may read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bridge.errors import StoreError, UsageError
from bridge.model import Ms
from bridge.secret import write_secret

SHORTEST = 12
#: An enrolment code is for this long.
ENROL_MS = 7 * 86_400_000
RECOVERY_CODES = 8
#: Seconds of one code of the second factor.
STEP_S = 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Letters and digits that nobody mistakes for another.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
#: RFC 9106's second recommended setting: 64 MiB, three passes, four lanes.
_hasher = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One auditor's account."""

    name: str
    #: Argon2id; empty until they have enrolled.
    passphrase: str = ""
    #: Base32, empty until they have enrolled.
    totp: str = ""
    #: SHA-256 (hex) of the recovery codes that are left.
    recovery: tuple[str, ...] = ()
    #: SHA-256 (hex) of the enrolment code, and when it ends.
    enrolment: str = ""
    enrolment_ends: int = 0
    disabled: bool = False
    #: The last code of the second factor that was used; none is good twice.
    used: int = 0
    #: Changes whenever whoever is signed in should not be any more.
    epoch: int = 0

    @property
    def enrolled(self) -> bool:
        """Say whether they can sign in."""
        return bool(self.passphrase and self.totp)


class Accounts:
    """All accounts of a console, one file each."""

    def __init__(self, folder: Path) -> None:
        """Keep them in *folder*, which is made when the first comes."""
        self.folder = folder
        # Somebody unknown has to wait as long as somebody known.
        self._nobody: str = ""

    def list(self) -> list[Account]:
        """Every account, by name."""
        if not self.folder.exists():
            return []
        found = (self._read(path) for path in sorted(self.folder.glob("*.json")))
        return [one for one in found if one is not None]

    def get(self, name: str) -> Account | None:
        """The account of that sign-in."""
        return self._read(self._path(name)) if _NAME.fullmatch(name) else None

    def add(self, name: str, now: Ms) -> str:
        """Make an account and return its enrolment code, which is shown once.

        Raises:
            UsageError: there is one, or the name cannot be one.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not a sign-in: letters, digits, dot, hyphen, underscore")
        with self._writing():
            if self.get(name) is not None:
                raise UsageError(
                    f"there is an account {name} already; see 'bluelamp auditor reset'"
                )
            return self._issue(Account(name=name), now)

    def reset(self, name: str, now: Ms) -> str:
        """Take passphrase, second factor and recovery codes away; return a new enrolment code.

        Raises:
            UsageError: there is no such account.
        """
        with self._writing():
            old = self._known(name)
            return self._issue(Account(name=name, epoch=old.epoch + 1), now)

    def disable(self, name: str) -> None:
        """Let nobody sign in under this name, and sign out whoever is.

        Raises:
            UsageError: there is no such account.
        """
        with self._writing():
            old = self._known(name)
            self._write(
                msgspec.structs.replace(
                    old, disabled=True, epoch=old.epoch + 1, enrolment="", enrolment_ends=0
                )
            )

    def may_enrol(self, name: str, code: str, now: Ms) -> bool:
        """Say whether this is the enrolment code of that name."""
        account = self.get(name)
        given = _digest(code)
        fits = account is not None and not account.disabled and now < account.enrolment_ends
        known = account.enrolment if account is not None and fits else _digest("")
        return hmac.compare_digest(given, known) and bool(code) and fits

    def enrol(self, name: str, passphrase: str, totp: str, code: str) -> tuple[str, ...]:
        """Set passphrase and second factor, use up the enrolment code; return recovery codes.

        Raises:
            UsageError: the enrolment code was used or taken back meanwhile.
        """
        words = tuple(_code(2) for _ in range(RECOVERY_CODES))
        fresh = _hasher.hash(_normal(passphrase))
        with self._writing():
            old = self._known(name)
            if old.disabled or not hmac.compare_digest(old.enrolment, _digest(code)):
                raise UsageError(
                    "This enrolment code was used or taken back already. Ask for another."
                )
            self._write(
                Account(
                    name=name,
                    passphrase=fresh,
                    totp=totp,
                    recovery=tuple(_digest(one) for one in words),
                    epoch=old.epoch + 1,
                )
            )
        return words

    def check(self, name: str, passphrase: str, code: str, now: Ms) -> Account | None:
        """Check a sign-in; a code that was good is used up. None says nothing about why."""
        account = self.get(name)
        good = self._is_passphrase(account, passphrase)
        if account is None or not good or account.disabled or not account.enrolled:
            return None
        with self._writing():
            return self._spend(self._known(name), code.replace(" ", ""), now)

    def _is_passphrase(self, account: Account | None, passphrase: str) -> bool:
        if not self._nobody:
            self._nobody = _hasher.hash(secrets.token_hex(16))
        known = account.passphrase if account is not None and account.enrolled else self._nobody
        try:
            return _hasher.verify(known, _normal(passphrase))
        except (VerificationError, InvalidHashError):
            return False

    def _spend(self, account: Account, code: str, now: Ms) -> Account | None:
        step = _step_of(account.totp, code, now)
        if step is not None and step > account.used:
            fresh = msgspec.structs.replace(account, used=step)
        elif (digest := _digest(code)) in account.recovery:
            left = tuple(one for one in account.recovery if one != digest)
            fresh = msgspec.structs.replace(account, recovery=left)
        else:
            return None
        self._write(fresh)
        return fresh

    def _issue(self, account: Account, now: Ms) -> str:
        code = _code(4)
        self._write(
            msgspec.structs.replace(account, enrolment=_digest(code), enrolment_ends=now + ENROL_MS)
        )
        return code

    def _known(self, name: str) -> Account:
        account = self.get(name)
        if account is None:
            raise UsageError(f"there is no account {name!r}; 'bluelamp auditor list' shows them")
        return account

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, path: Path) -> Account | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Account)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as exc:
            raise StoreError(f"The account {path} cannot be read: {type(exc).__name__}.") from None

    def _write(self, account: Account) -> None:
        write_secret(self._path(account.name), msgspec.json.encode(account).decode())

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only one who changes accounts."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def new_totp() -> str:
    """Make the secret of a second factor."""
    return pyotp.random_base32()


def totp_uri(secret: str, name: str, force: str) -> str:
    """What the QR code says to an authenticator app."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(
        name=name, issuer_name=f"Blue Lamp {force}"
    )


def is_code(secret: str, code: str, now: Ms) -> bool:
    """Say whether this is a code of the second factor at this time."""
    return _step_of(secret, code.replace(" ", ""), now) is not None


def _step_of(secret: str, code: str, now: Ms) -> int | None:
    """Which step's code it is: this one, or one to either side, as clocks differ."""
    at = now // 1000 // STEP_S
    make: Callable[[int], str] = pyotp.TOTP(secret, interval=STEP_S).generate_otp
    for step in (at, at - 1, at + 1):
        if hmac.compare_digest(make(step).encode(), code.encode()):
            return step
    return None


def _code(groups: int) -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(groups))


def _digest(code: str) -> str:
    return hashlib.sha256(code.strip().lower().encode()).hexdigest()


def _normal(passphrase: str) -> str:
    return unicodedata.normalize("NFKC", passphrase)
