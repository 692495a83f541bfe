"""A custodian's two files, the vault and the share, changed together so that one pair always opens.

Never leaves an old share or vault lying about: each is overwritten where it lies before its name is
given to the new one. (What a disk of flash keeps of what was overwritten is for its owner to know.)

The steps of a change: write `share.new` and `vault.new`; rename `vault.new` to `vault.next`, from
when on the change is meant to happen; overwrite the old share, put the new one in its place; the
same with the vault. A crash before the rename leaves the old pair, and one after it is carried on
by whoever opens the vault next, without any passphrase.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.errors import CannotOpen, ConfigError, LedgerError, UsageError
from bridge.ledger.keys import Custodian
from bridge.ledger.vault import (
    SHARE_BYTES,
    Vault,
    create,
    fits,
    officers,
    open_vault,
    seal_vault,
)
from bridge.secret import read_secret, write_secret
from bridge.verify import Unsound
from bridge.verify.notes import decode64, encode64


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """An opened vault, and where it and its share lie."""

    vault_file: Path
    share_file: Path
    vault: Vault
    share: bytes = field(repr=False)
    #: The vault file as it was opened; None for one that is being made.
    opened: bytes | None = field(repr=False, default=None)

    @property
    def custodian(self) -> Custodian:
        """Whose vault it is."""
        return self.vault.custodian

    def save(self) -> Safe:
        """Write the vault anew under the share that it has.

        Raises:
            UsageError: another command has changed it since it was opened.
        """
        sealed = seal_vault(self.vault, self.share)
        with _writing(self.vault_file):
            self._compare()
            _write(_new(self.vault_file), sealed)
            _rename(_new(self.vault_file), self.vault_file)
        return replace(self, opened=sealed)

    def change(self) -> Safe:
        """Write the vault anew under a fresh root and a fresh share; destroy the old of both.

        Raises:
            UsageError: another command has changed it since it was opened.
        """
        fresh = replace(
            self, vault=self.vault.with_fresh_root(), share=secrets.token_bytes(SHARE_BYTES)
        )
        sealed = seal_vault(fresh.vault, fresh.share)
        with _writing(self.vault_file):
            self._compare()
            _write(_new(self.share_file), encode64(fresh.share).encode())
            _write(_new(self.vault_file), sealed)
            if not fits(_new(self.vault_file).read_bytes(), _read_share(_new(self.share_file))):
                raise LedgerError("what was written does not read back; nothing was changed")
            _rename(_new(self.vault_file), _next(self.vault_file))
            _carry_on(self.vault_file, self.share_file)
        return replace(fresh, opened=sealed)

    def _compare(self) -> None:
        there = self.vault_file.read_bytes() if self.vault_file.exists() else None
        if there != self.opened:
            raise UsageError(
                f"another command has changed {self.vault_file} meanwhile: nothing was written; "
                "run this one again"
            )


def make_safe(
    vault_file: Path, share_file: Path, custodian: Custodian, passphrase: str, *, who: str
) -> Safe:
    """Write a new custodian's vault and share.

    Raises:
        UsageError: one of the files is there already.
    """
    for path in (vault_file, share_file):
        if path.exists():
            raise UsageError(f"{path} exists already; 'keys init' never overwrites a key.")
    safe = Safe(
        vault_file=vault_file,
        share_file=share_file,
        vault=create(custodian, passphrase, who=who),
        share=secrets.token_bytes(SHARE_BYTES),
    )
    write_secret(share_file, encode64(safe.share))
    return safe.save()


def open_safe(vault_file: Path, share_file: Path, passphrase: str) -> Safe:
    """Open a vault, after carrying on what a crash interrupted.

    Raises:
        CannotOpen: the passphrase is wrong, or the share is of another state of the vault.
        LedgerError: the vault is damaged.
        ConfigError: a file cannot be read.
    """
    _recover(vault_file, share_file)
    raw = _read_vault(vault_file)
    share = _read_share(share_file)
    return Safe(
        vault_file=vault_file,
        share_file=share_file,
        vault=open_vault(raw, passphrase, share),
        share=share,
        opened=raw,
    )


def officers_of(vault_file: Path, share_file: Path) -> tuple[str, ...]:
    """Say whose passphrases open a vault; raises as `open_safe`."""
    _recover(vault_file, share_file)
    return officers(_read_vault(vault_file), _read_share(share_file))


def _read_vault(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(str(path), None, f"the vault cannot be read: {exc.strerror}") from None


def _read_share(path: Path) -> bytes:
    try:
        share = decode64(read_secret(path, "the share"))
    except Unsound:
        share = b""
    if len(share) != SHARE_BYTES:
        raise ConfigError(str(path), None, "this is not a share file, or it is damaged")
    return share


def _new(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _next(path: Path) -> Path:
    return path.with_name(path.name + ".next")


def _recover(vault_file: Path, share_file: Path) -> None:
    left = (_new(vault_file), _next(vault_file), _new(share_file))
    if not any(path.exists() for path in left):
        return
    with _writing(vault_file):
        if _next(vault_file).exists():
            if not any(_pair(_next(vault_file), one) for one in (_new(share_file), share_file)):
                raise CannotOpen(
                    f"a change of this vault was interrupted, and {share_file} is not the share "
                    "that it was begun with: give that one"
                )
            _carry_on(vault_file, share_file)
        elif _pair(vault_file, _new(share_file)):
            _carry_on(vault_file, share_file)
        elif _pair(vault_file, share_file) is not False:
            for path in (_new(vault_file), _new(share_file)):
                _overwrite(path)
                path.unlink(missing_ok=True)


def _pair(vault_file: Path, share_file: Path) -> bool | None:
    """Say whether these two belong together; None where it takes a passphrase to tell."""
    try:
        return fits(vault_file.read_bytes(), _read_share(share_file))
    except (OSError, LedgerError, ConfigError):
        return False


def _carry_on(vault_file: Path, share_file: Path) -> None:
    """Put the new share and vault in the places of the old. Can be interrupted and run again."""
    meant = _next(vault_file) if _next(vault_file).exists() else vault_file
    if _pair(meant, _new(share_file)):
        _overwrite(share_file)
        _rename(_new(share_file), share_file)
    if _next(vault_file).exists():
        _overwrite(vault_file)
        _rename(_next(vault_file), vault_file)


def _write(path: Path, raw: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _overwrite(path: Path) -> None:
    """Write noise over the whole of a file, where it lies."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(max(1, path.stat().st_size)))
        file.flush()
        os.fsync(file.fileno())


def _rename(old: Path, new: Path) -> None:
    os.replace(old, new)
    _sync(new.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _writing(vault_file: Path) -> Iterator[None]:
    """Be the only one who changes the vaults of this folder."""
    vault_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(vault_file.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise UsageError(
            f"another command is changing {vault_file}: wait until it is done"
        ) from None
    try:
        yield
    finally:
        os.close(handle)
