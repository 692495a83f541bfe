"""A witness's folder: its key, its name, and the newest note of each log.

Never leaves half a note: each is written beside the old one, fsynced, and put in its place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import ConfigError, StoreLocked
from bridge.secret import read_secret, write_secret
from bridge.verify import Unsound
from bridge.verify.notes import Cosigner, decode64, encode64


class Folder:
    """Keeps the promises of `judge.Memory`, for one process at a time."""

    def __init__(self, path: Path) -> None:
        """Open the folder, or make it.

        Raises:
            StoreLocked: another witness uses it.
            ConfigError: it cannot be written.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock: IO[str] = (path / "lock").open("w")
        except OSError as exc:
            raise ConfigError(
                str(path), None, f"a witness cannot keep anything here: {exc.strerror}"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise StoreLocked(
                f"Another witness uses the folder {path}. Two with one memory could both be fooled."
            ) from None

    def close(self) -> None:
        """Let another process use it."""
        self._lock.close()

    def key(self, name: str) -> Ed25519PrivateKey:
        """The key of the witness *name*, made at the first start.

        Raises:
            ConfigError: it is missing although there are notes, or is of another name.
        """
        file, public = self.path / "witness.key", self.path / "witness.vkey"
        if not file.exists():
            if any(self.path.glob("*.note")):
                raise ConfigError(
                    str(file), None,
                    "the key of this witness should be in this file; what it kept is signed with "
                    "it. Put it back, or begin a new witness in an empty folder.",
                )  # fmt: skip
            write_secret(file, encode64(Ed25519PrivateKey.generate().private_bytes_raw()))
        seed = decode64(read_secret(file, "the witness's key"))
        if len(seed) != 32:
            raise ConfigError(str(file), None, "this is not the key of a witness")
        key = Ed25519PrivateKey.from_private_bytes(seed)
        vkey = str(Cosigner(name, key.public_key().public_bytes_raw()))
        if not public.exists():
            _replace(public, f"{vkey}\n")
        elif public.read_text(encoding="utf-8").strip() != vkey:
            raise ConfigError(
                str(public), None,
                "this folder belongs to a witness of another name. One key never signs under two "
                "names: use the old name, or an empty folder.",
            )  # fmt: skip
        return key

    def read(self) -> Iterator[str]:
        """The newest note of each log.

        Raises:
            Unsound: a file has another log's note, or none.
        """
        for file in sorted(self.path.glob("*.note")):
            note = file.read_text(encoding="utf-8", errors="replace")
            if file != self._file(note.partition("\n")[0]):
                raise Unsound(f"{file.name} is damaged")
            yield note

    def keep(self, origin: str, note: str) -> None:
        """Replace it, in one step, durably."""
        _replace(self._file(origin), note)

    def _file(self, origin: str) -> Path:
        return self.path / f"{hashed(origin)}.note"


def hashed(origin: str) -> str:
    """What a log is called in file names and addresses: SHA-256 of its name, hex."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
