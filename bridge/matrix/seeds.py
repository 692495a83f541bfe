"""The seeds of the bot's cross-signing identity, encrypted in a file, and the passphrase elsewhere.

Never needs the passphrase to say whose identity the file holds, and never leaves seeds in the clear
on a disk: whoever has them can sign devices of their own as the bot's.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from bridge.errors import ConfigError
from bridge.secret import read_secret, write_secret

log = structlog.get_logger(__name__)

USES = ("master", "self_signing", "user_signing")
_TYPE = "bluelamp identity 1"
#: As it was kept before: in the clear.
_PLAIN = "identity.json"
#: RFC 9106's second recommended setting: 64 MiB, three passes, four lanes.
_MEMORY_KIB, _PASSES, _LANES = 65_536, 3, 4

#: By use, 32 bytes each.
Seeds = Mapping[str, bytes]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    #: The public master key, as other people's clients know it.
    master: str
    salt: bytes
    nonce: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Vault:
    """Where the seeds lie, and where their passphrase."""

    path: Path
    passphrase: Path

    @classmethod
    def of(cls, state: Path, passphrase: Path | None) -> Vault:
        """The vault in *state*, whose passphrase lies beside that folder unless said otherwise."""
        beside = state.with_name(f"{state.name}-identity.passphrase")
        return cls(state / "identity.vault", passphrase or beside)

    def master(self) -> str | None:
        """The public master key of the identity in the file, if there is one; needs no passphrase.

        Raises:
            ConfigError: it is not a vault file.
        """
        return self._read().master if self.path.exists() else None

    def open(self) -> Seeds:
        """Return the seeds.

        Raises:
            ConfigError: the passphrase is not there or is another's, or the file is damaged.
        """
        file = self._read()
        if not self.passphrase.exists():
            raise ConfigError(
                str(self.passphrase),
                None,
                f"the passphrase of the bot's identity, {self.path}, should be in this file. Put "
                "it back from where you keep it, start once, and take both away again.",
            )
        try:
            plain = self._key(file.salt).decrypt(file.nonce, file.sealed, _clear(file.master))
        except (InvalidTag, ValueError):
            raise ConfigError(
                str(self.path),
                None,
                f"the bot's identity does not open: the passphrase in {self.passphrase} is not "
                "the one that it was locked with, or the file is damaged",
            ) from None
        return msgspec.json.decode(plain, type=dict[str, bytes])

    def make(self) -> Seeds:
        """Make an identity, in the place of the one that was there; and a passphrase if none is.

        Raises:
            ConfigError: the passphrase cannot be read or written.
        """
        seeds = {use: secrets.token_bytes(32) for use in USES}
        self._lock(seeds)
        return seeds

    def take_over(self) -> None:
        """Lock up what an older version kept in the clear, once.

        Raises:
            ConfigError: that file is damaged, or holds another identity than the vault.
        """
        plain = self.path.with_name(_PLAIN)
        if not plain.exists():
            return
        seeds = _plain_seeds(plain)
        if not self.path.exists():
            self._lock(seeds)
        if self.open() != seeds:
            raise ConfigError(
                str(plain), None,
                f"this is another identity than the one in {self.path}; keep the one that the "
                "bot's verified contacts know, and move the other away",
            )  # fmt: skip
        plain.unlink()
        log.warning(
            "identity.locked", vault=str(self.path), passphrase=str(self.passphrase),
            removed=str(plain), note="copies of the old file, in backups too, still open it",
        )  # fmt: skip

    def _lock(self, seeds: Seeds) -> None:
        if not self.passphrase.exists():
            try:
                write_secret(self.passphrase, secrets.token_urlsafe(32))
            except OSError as exc:
                raise ConfigError(
                    str(self.passphrase), None,
                    f"a passphrase for the bot's identity cannot be written here: {exc.strerror}. "
                    "Name another place as homeserver.identity_passphrase_file.",
                ) from None  # fmt: skip
        salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
        master = public(seeds["master"])
        sealed = self._key(salt).encrypt(nonce, msgspec.json.encode(seeds), _clear(master))
        file = _File(format=_TYPE, master=master, salt=salt, nonce=nonce, sealed=sealed)
        write_secret(self.path, msgspec.json.encode(file).decode())

    def _key(self, salt: bytes) -> AESGCM:
        passphrase = read_secret(self.passphrase, "the passphrase of the bot's identity")
        stretched = Argon2id(
            salt=salt, length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
        )
        return AESGCM(stretched.derive(passphrase.encode()))

    def _read(self) -> _File:
        text = read_secret(self.path, "the bot's identity")
        try:
            file = msgspec.json.decode(text, type=_File)
        except msgspec.MsgspecError:
            raise ConfigError(str(self.path), None, "this is not an identity's vault") from None
        if file.format != _TYPE:
            raise ConfigError(str(self.path), None, f"the format {file.format!r} is unknown here")
        return file


def public(seed: bytes) -> str:
    """The public key of *seed*, as Matrix spells it."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return base64.b64encode(key.public_bytes_raw()).decode().rstrip("=")


def _clear(master: str) -> bytes:
    """What is not encrypted, but must not be changed either."""
    return f"{_TYPE}\n{master}".encode()


def _plain_seeds(path: Path) -> Seeds:
    text = read_secret(path, "the bot's cross-signing identity")
    try:
        stored = msgspec.json.decode(text, type=dict[str, str])
        seeds = {use: base64.b64decode(stored[use], validate=True) for use in USES}
    except (msgspec.MsgspecError, binascii.Error, KeyError):
        seeds = {}
    if not seeds or any(len(seed) != 32 for seed in seeds.values()):
        raise ConfigError(str(path), None, "the bot's identity in this file is damaged")
    return seeds
