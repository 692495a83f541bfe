"""A copy of everything that a force cannot make again, in one tar file, and back.

Never holds a secret: not the ledger's signing key or what it looks for people with, not the bot's
session or passwords, and no key of a custodian. Never holds the crypto store either, which must not
be restored: keys that were used since would be used twice. `bluelamp device renew` and `ledger
recover` make good for both.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec

from bridge.config import Config, verifier_file
from bridge.errors import ConfigError, StoreError, UsageError
from bridge.model import Ms
from bridge.records.consult import consultations
from bridge.store.chain import closed
from bridge.store.file import copy, forget_tag_keys

_MANIFEST = "MANIFEST.json"
_FORMAT = "bluelamp backup 1"
_CHUNK = 1 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds."""

    format: str
    #: Ms.
    made: int
    origin: str
    #: Name in the archive → SHA-256, hex.
    files: dict[str, str]


def create(
    config: Config, target: Path, now: Ms, *, progress: Callable[[str], None] = lambda _: None
) -> Manifest:
    """Write a backup of the force that *config* describes to *target*; the bot may be running.

    Raises:
        UsageError: *target* exists.
        StoreError: the ledger cannot be read, or the disk is full.
    """
    if target.exists():
        raise UsageError(f"{target} exists already; a backup never overwrites one.")
    part = target.with_name(target.name + ".part")
    digests: dict[str, str] = {}
    try:
        with (
            TemporaryDirectory(dir=target.parent) as folder,
            _private(part) as raw_file,
            tarfile.open(fileobj=raw_file, mode="w") as archive,
        ):
            for name, file in _files(config):
                progress(name)
                whole = Path(folder) / "copy"
                if file.suffix == ".db":
                    copy(file, whole)
                    forget_tag_keys(whole)
                else:
                    whole.write_bytes(file.read_bytes())
                digests[name] = _digest(whole)
                archive.add(whole, name)
                whole.unlink()
            manifest = Manifest(format=_FORMAT, made=now, origin=config.origin, files=digests)
            raw = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"))
            info = tarfile.TarInfo(_MANIFEST)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
        part.rename(target)
    except StoreError:
        part.unlink(missing_ok=True)
        raise
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise StoreError(f"The backup {target} was not made: {exc}.") from None
    return manifest


def _private(path: Path) -> BinaryIO:
    """Make a file that nobody else on this machine can read."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _files(config: Config) -> Iterator[tuple[str, Path]]:
    """Each file that belongs into a backup, with its place beside config.yaml."""
    folder = config.path.absolute().parent
    for file in _all(config):
        inside = file.is_relative_to(folder)
        yield (file.relative_to(folder).as_posix() if inside else f"elsewhere/{file.name}"), file


def _all(config: Config) -> Iterator[Path]:
    yield from (config.path.absolute(), config.rooms, config.people)
    yield from sorted(config.policies.rglob("*.yaml"))
    yield from (custody.certificates for custody in config.custodians)
    yield from (*closed(config.ledger), config.ledger)
    yield from (file for file in (config.lock, consultations(config)) if file.exists())
    yield from (file for file in sorted(config.shelf.rglob("*")) if file.is_file())
    if config.anchor is not None:
        beside = config.anchor.parent.glob(f"{config.anchor.name}*")
        yield from sorted(file for file in beside if file.suffix not in {".lock", ".new"})
        if verifier_file(config).exists():
            yield verifier_file(config)


def restore(
    source: Path, folder: Path, *, progress: Callable[[str], None] = lambda _: None
) -> Manifest:
    """Unpack the backup *source* into the new *folder*, every file held against its digest.

    Raises:
        UsageError: *folder* is not empty.
        ConfigError: *source* is not a backup, or is damaged.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; a backup is restored into a new folder.")
    try:
        with tarfile.open(source) as archive:
            manifest = _manifest(archive, source)
            for name, digest in manifest.files.items():
                progress(name)
                _unpack(archive, name, digest, folder, source)
    except (tarfile.TarError, OSError, KeyError) as exc:
        raise ConfigError(str(source), None, f"this backup cannot be read: {exc}") from None
    return manifest


def _manifest(archive: tarfile.TarFile, source: Path) -> Manifest:
    try:
        file = archive.extractfile(_MANIFEST)
        manifest = msgspec.json.decode(file.read() if file else b"", type=Manifest)
    except (KeyError, msgspec.MsgspecError):
        raise ConfigError(str(source), None, "this is not a backup of Blue Lamp") from None
    if manifest.format != _FORMAT:
        raise ConfigError(str(source), None, f"a backup of the form {manifest.format!r}: unknown")
    return manifest


def _unpack(archive: tarfile.TarFile, name: str, digest: str, folder: Path, source: Path) -> None:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise ConfigError(str(source), None, f"{name!r} would lie outside the folder")
    file = archive.extractfile(name)
    if file is None:
        raise ConfigError(str(source), None, f"{name!r} is not a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        while piece := file.read(_CHUNK):
            out.write(piece)
    target.chmod(0o600)
    if _digest(target) != digest:
        raise ConfigError(str(source), None, f"{name!r} is damaged: its digest is another one")


def _digest(file: Path) -> str:
    with file.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()
