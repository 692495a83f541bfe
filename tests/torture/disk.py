"""A disk that forgets, at a power cut, whatever nobody waited for.

What a file system may do with writes that were not synced is more than any one does: any of them
may be on the disk, or half of it, whatever came before or after. What was synced is there. Names
(made, renamed, taken away) become durable in their order, as in a journal, when the folder is
synced or the power holds for long enough.

Never touches a real disk but to lay out what is left.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Made:
    """A name for a new and empty file, unless there is one of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Emptied:
    """Cut off or filled up with zeros, to *size*."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes put at a place; None for behind the last."""

    name: str
    at: int | None
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Synced:
    """All bytes of one file are on the disk."""

    name: str


@dataclass(frozen=True, slots=True)
class NamesSynced:
    """All names of the folder are on the disk."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """One name put in the place of another."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A name that is no more."""

    name: str


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody outside was told something."""

    line: str


Step: TypeAlias = Made | Emptied | Written | Synced | NamesSynced | Renamed | Removed | Told


class _File:
    """The bytes of one file that are safe, and what was done since."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.since: list[Emptied | Written] = []
        self.size = 0

    def change(self, step: Emptied | Written) -> None:
        if isinstance(step, Written) and step.at is None:
            step = Written(step.name, self.size, step.data)
        self.since.append(step)
        end = step.size if isinstance(step, Emptied) else (step.at or 0) + len(step.data)
        self.size = end if isinstance(step, Emptied) else max(self.size, end)

    def sync(self) -> None:
        for step in self.since:
            _apply(self.safe, step)
        self.since.clear()

    def seen(self) -> bytes:
        seen = bytearray(self.safe)
        for step in self.since:
            _apply(seen, step)
        return bytes(seen)

    def left(self, chance: random.Random) -> bytes:
        """Return what a power cut leaves: of what was not synced, any part."""
        left = bytearray(self.safe)
        luck = chance.choice((0.0, 0.5, 0.9))
        for step in self.since:
            if chance.random() < luck:
                _apply(left, _torn(step, chance))
        return bytes(left)


def _apply(content: bytearray, step: Emptied | Written) -> None:
    if isinstance(step, Written):
        at = step.at or 0
        content.extend(bytes(max(0, at - len(content))))
        content[at : at + len(step.data)] = step.data
    elif step.size < len(content):
        del content[step.size :]
    else:
        content.extend(bytes(step.size - len(content)))


def _torn(step: Emptied | Written, chance: random.Random) -> Emptied | Written:
    if isinstance(step, Emptied) or chance.random() < 0.8:
        return step
    return Written(step.name, step.at, step.data[: chance.randrange(len(step.data) + 1)])


class Disk:
    """One folder on a disk, while steps are taken in it."""

    def __init__(self) -> None:
        """Begin with an empty folder."""
        self._names: dict[str, _File] = {}
        self._safe: dict[str, _File] = {}
        #: How the folder stood after each change of its names that is not durable yet.
        self._since: list[dict[str, _File]] = []
        self.told: list[str] = []

    def take(self, step: Step) -> None:
        """Do what *step* says."""
        match step:
            case Made(name):
                if name not in self._names:
                    self._rename({**self._names, name: _File()})
            case Emptied(name) | Written(name):
                self._names[name].change(step)
            case Synced(name):
                self._names[name].sync()
            case NamesSynced():
                self._safe = self._names
                self._since.clear()
            case Renamed(name, to):
                rest = {n: f for n, f in self._names.items() if n != name}
                self._rename({**rest, to: self._names[name]})
            case Removed(name):
                self._rename({n: f for n, f in self._names.items() if n != name})
            case Told(line):
                self.told.append(line)

    def _rename(self, names: dict[str, _File]) -> None:
        self._names = names
        self._since.append(names)

    def lying(self) -> dict[str, bytes]:
        """Return what any program sees in the folder while the power holds."""
        return {name: file.seen() for name, file in self._names.items()}

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return what is in the folder if the power goes now."""
        names = chance.choice([self._safe, *self._since])
        return {name: file.left(chance) for name, file in names.items()}


def cuts(
    steps: Sequence[Step], count: int, chance: random.Random
) -> Iterator[tuple[list[str], dict[str, bytes]]]:
    """Cut the power *count* times, each time at some step of *steps*, as if for the first time.

    Every other cut is at a step of a kind that was drawn first, as writes are many and renames few.
    Yields what was told before the cut, and what is left in the folder.
    """
    moments: dict[type[Step], list[int]] = {}
    for at, step in enumerate(steps):
        moments.setdefault(type(step), []).append(at)
    kinds = list(moments.values())
    every = [at for kind in kinds for at in kind]
    chosen = sorted(chance.choice(chance.choice(kinds) if n % 2 else every) for n in range(count))
    disk, at = Disk(), 0
    for moment in chosen:
        for step in steps[at:moment]:
            disk.take(step)
        at = moment
        yield disk.told, disk.cut(chance)


def lay_out(files: dict[str, bytes], folder: Path, keep: Iterable[str]) -> None:
    """Put *files* into *folder* and take out all others but *keep*."""
    for path in folder.iterdir():
        if path.name not in keep:
            path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
