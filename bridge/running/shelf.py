"""Policy files on disk: the folder that people edit, and copies of what was ever live.

Never gives back a copy that is not byte for byte what its name says: the name is the policy's
SHA-256, so that whatever decided once can be read and tried again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bridge.detect.engine import ENGINE
from bridge.errors import ConfigError
from bridge.policy.load import revision_of

_ENGINE_FILE = "ENGINE"
#: A name may be cut short to so many digits.
FEWEST_DIGITS = 12
_DIGITS = 64

#: (name, time of change in ns, size) of each file.
Stamp = tuple[tuple[str, int, int], ...]


def _policy_files(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*.yaml")):
        if file.is_file() and not any(part.startswith(".") for part in file.parts[-2:]):
            yield file.relative_to(folder).as_posix(), file


def read_files(folder: Path) -> dict[str, bytes]:
    """Read every policy file of *folder*, by name.

    Raises:
        ConfigError: there is none, or one cannot be read.
    """
    files: dict[str, bytes] = {}
    try:
        for name, file in _policy_files(folder):
            files[name] = file.read_bytes()
    except OSError as exc:
        raise ConfigError(str(folder), None, f"a policy file cannot be read: {exc}") from None
    if not files:
        raise ConfigError(str(folder), None, "there are no policy files (*.yaml) in this folder")
    for other in sorted(folder.rglob("*.yml")):
        if any(part.startswith(".") for part in other.relative_to(folder).parts):
            continue  # such as what a forge keeps beside its files
        raise ConfigError(str(other), None, "policy files end in .yaml: it would not be read")
    return files


def stamp_of(folder: Path) -> Stamp:
    """Say when the policy files of *folder* were changed, and how long they are; reads none."""
    found = []
    with contextlib.suppress(OSError):  # reading them will say what is wrong
        for name, file in _policy_files(folder):
            at = file.stat()
            found.append((name, at.st_mtime_ns, at.st_size))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Copies of policies, each in a folder with its revision as name."""

    folder: Path

    def keep(self, files: Mapping[str, bytes]) -> str:
        """Keep a copy of *files* and return its revision; it is there whole or not at all.

        Raises:
            ConfigError: the disk does not take it.
        """
        revision = revision_of(files)
        place = self.folder / revision
        if place.exists():
            return revision
        fresh = self.folder / f".{uuid4().hex}"
        try:
            for name, content in {**files, _ENGINE_FILE: ENGINE.encode()}.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            fresh.rename(place)
        except OSError as exc:
            shutil.rmtree(fresh, ignore_errors=True)
            if not place.exists():  # else somebody was quicker
                problem = f"no copy of the policy can be kept: {exc.strerror}"
                raise ConfigError(str(self.folder), None, problem) from None
        return revision

    def get(self, revision: str) -> dict[str, bytes]:
        """Give back the files of *revision*.

        Raises:
            ConfigError: there is no such copy, or it is not what its name says.
        """
        place = self.folder / revision
        if not place.is_dir():
            raise ConfigError(str(self.folder), None, f"there is no copy of the policy {revision}")
        files = read_files(place)
        try:
            engine = (place / _ENGINE_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            engine = ENGINE
        if revision_of(files, engine) != revision:
            raise ConfigError(
                str(place), None, "this copy was changed: it is not the policy that its name says"
            )
        return files

    def find(self, digest: str) -> str | None:
        """Complete the first digits of a revision that is here; None if it is not, or not alone."""
        if not FEWEST_DIGITS <= len(digest) <= _DIGITS or not self.folder.is_dir():
            return None
        found = [one.name for one in self.folder.iterdir() if one.name.startswith(digest)]
        return found[0] if len(found) == 1 else None
