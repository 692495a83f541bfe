"""Whose device a device is: chains of signatures, and each person's key as we first saw it.

Never takes the server's word for it: a key counts only with the signatures that lead to it. A
chain is proved in these steps:

1. the master key names its user, says that it is one, and is the only key in its object;
2. the self-signing key likewise, and the master key has signed it;
3. the device's keys are signed by the self-signing key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bridge.errors import ConfigError
from bridge.secret import write_secret

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person's cross-signing keys, unpadded base64; empty where there is none that holds."""

    master: str = ""
    self_signing: str = ""

    def signs(self, user: str, device: Mapping[str, Any]) -> bool:
        """Say whether the owner has signed the keys of *device* (3)."""
        return bool(self.self_signing) and signed(device, user, self.self_signing)


def identity(user: str, master: object, self_signing: object) -> Identity:
    """Read the keys of *user* from an answer to /keys/query (1, 2)."""
    first = _only_key(master, user, "master")
    second = _only_key(self_signing, user, "self_signing") if first else ""
    if second and isinstance(self_signing, dict) and signed(self_signing, user, first):
        return Identity(first, second)
    return Identity(first)


def signed(thing: Mapping[str, Any], user: str, key: str) -> bool:
    """Say whether *thing* has a signature by *user* with the ed25519 key *key*."""
    try:
        signature = thing["signatures"][user][f"ed25519:{key}"]
        bare = {k: v for k, v in thing.items() if k not in {"signatures", "unsigned"}}
        Ed25519PublicKey.from_public_bytes(_raw(key)).verify(_raw(signature), _canonical(bare))
    except (InvalidSignature, KeyError, TypeError, ValueError, RecursionError):
        return False
    return True


def _only_key(thing: object, user: str, use: str) -> str:
    if not isinstance(thing, dict) or thing.get("user_id") != user:
        return ""
    usage, keys = thing.get("usage"), thing.get("keys")
    if not isinstance(usage, list) or use not in usage or not isinstance(keys, dict):
        return ""
    named = [(name, key) for name, key in keys.items() if name == f"ed25519:{key}"]
    return str(named[0][1]) if len(keys) == len(named) == 1 else ""


def _raw(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not text")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _canonical(thing: Mapping[str, Any]) -> bytes:
    return json.dumps(thing, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


class Pins:
    """The master key of each person as we first saw it, in a file of the state folder."""

    def __init__(self, path: Path) -> None:
        """Read the pins at *path*; none are there at the first start.

        Raises:
            ConfigError: the file is damaged. Without it a changed identity would go unseen.
        """
        self._path = path
        self._keys: dict[str, str] = {}
        self._dirty = False
        if path.exists():
            try:
                self._keys = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
            except (msgspec.MsgspecError, OSError):
                raise ConfigError(
                    str(path),
                    None,
                    "the identities that were seen in this file cannot be read; put it back from a "
                    "backup, or move it away to accept everybody's present identity",
                ) from None

    def get(self, user: str) -> str | None:
        """Return the master key of *user*, if we have seen one."""
        return self._keys.get(user)

    def see(self, user: str, master: str) -> bool:
        """Take in the master key of *user*; say whether it is another than before.

        A key that is not there any more changes nothing: the pin waits for the next one.
        """
        before = self._keys.get(user)
        if not master or master == before:
            return False
        self._keys[user] = master
        self._dirty = True
        return before is not None

    def save(self) -> None:
        """Write what changed, in one step."""
        if self._dirty:
            write_secret(self._path, msgspec.json.encode(self._keys).decode())
            self._dirty = False
