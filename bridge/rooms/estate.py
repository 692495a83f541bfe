"""Which rooms there are now: rooms.yaml and rooms.lock.yaml, followed while the bot runs.

Never takes up half a register: one that is wrong is refused whole, what counted before goes on, and
a person is told once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import structlog

from bridge.errors import ConfigError
from bridge.facts import Noted
from bridge.model import Ms
from bridge.ports import Clock, Store
from bridge.register import Entry, Lock, Register

log = structlog.get_logger(__name__)

#: The files are looked at so often; rooms.yaml is read once it has been left alone for as long.
TICK_S = 1.0
_MOST_NAMED = 8

#: Of each file when it was last changed and how long it is; None where it is not there.
Stamp: TypeAlias = tuple[tuple[int, int] | None, ...]


def stamp(*paths: Path) -> Stamp:
    """Say how the files at *paths* are, so that a change shows."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        at = path.stat()
    except OSError:  # reading it will say what is wrong
        return None
    return at.st_mtime_ns, at.st_size


@dataclass(slots=True)
class Held:
    """The register and the ids as they were when they last made sense; shared by all who ask."""

    register: Register
    lock: Lock
    #: How the files were before they were read.
    read: Stamp = ()


@dataclass(slots=True, kw_only=True)
class Estate:
    """The rooms that are listed, and everything that may change which they are."""

    store: Store
    rooms: Path
    lock: Path
    clock: Clock
    held: Held
    #: Reads both files and holds them against people and policy, or raises ConfigError.
    load: Callable[[], tuple[Register, Lock]]
    #: Has everybody know another register, in one step.
    take: Callable[[Register, Lock], None]
    #: Says something in the review room, once under each name; says whether it is there.
    tell: Callable[[str, str, Ms], Awaitable[bool]]
    #: Called after another register was taken up.
    taken: list[Callable[[], None]] = field(default_factory=list)
    _seen: Stamp = ()
    _refused: str = ""
    #: What could not be said yet, under which name, and since when.
    _unsaid: dict[str, tuple[str, Ms]] = field(default_factory=dict)

    def fresh(self) -> bool:
        """Say whether what counts is what stands on the disk, or that was refused."""
        return self._stamp() == self.held.read

    async def run(self) -> None:
        """Follow the files for ever."""
        while True:
            await self.once()
            await asyncio.sleep(TICK_S)

    async def once(self) -> None:
        """Look whether the files have changed; a rooms.yaml that is still being written waits."""
        now = await asyncio.to_thread(self._stamp)
        if now[:1] == self._seen[:1] and now != self.held.read:
            await self.reload()
        self._seen = now
        for name, (words, since) in list(self._unsaid.items()):
            if await self.tell(name, words, since):
                self._unsaid.pop(name, None)

    async def reload(self) -> str:
        """Read both files, or keep what was read before; return what is wrong, or nothing."""
        before = await asyncio.to_thread(self._stamp)
        try:
            register, lock = await asyncio.to_thread(self.load)
            digests = await asyncio.to_thread(self._digests)
        except (ConfigError, OSError) as exc:
            self.held.read = before
            await self._refuse(str(exc))
            return str(exc)
        if await asyncio.to_thread(self._stamp) != before:
            return ""  # somebody is writing: it comes again
        self._refused = ""
        if (register, lock) != (self.held.register, self.held.lock):
            said = f"{self.rooms.name} was read again: {_changes(self.held, register, lock)}"
            await self.store.append([Noted(text=f"{said}; {digests}")])
            self.take(register, lock)
            for after in self.taken:
                after()
            log.info("rooms.loaded", rooms=len(register.rooms))
        self.held.read = before
        return ""

    async def _refuse(self, why: str) -> None:
        if why == self._refused:
            return
        log.error("rooms.refused", error=why)
        said = f"a changed {self.rooms.name} is refused, and the rooms as they were stay: {why}"
        await self.store.append([Noted(text=said)])
        if not self._refused:  # people are told once, until it is put right
            name = hashlib.sha256(f"{said}\0{self.clock()}".encode()).hexdigest()[:24]
            self._unsaid[f"rooms-{name}"] = f"{said}. Please put it right.", self.clock()
        self._refused = why

    def _digests(self) -> str:
        found = [(one.name, one.read_bytes()) for one in (self.rooms, self.lock) if one.exists()]
        return ", ".join(f"{name} sha256 {hashlib.sha256(raw).hexdigest()}" for name, raw in found)

    def _stamp(self) -> Stamp:
        return stamp(self.rooms, self.lock)


def _changes(before: Held, register: Register, lock: Lock) -> str:
    """Say which rooms are new, gone, other than before, made or retired."""
    was, now = before.register.rooms, register.rooms
    said = [f"{len(now)} rooms"]
    for what, keys in (
        ("new", now.keys() - was.keys()),
        ("gone", was.keys() - now.keys()),
        ("changed", {key for key in now.keys() & was.keys() if _bare(now[key]) != _bare(was[key])}),
        ("known on the server", lock.ids.items() - before.lock.ids.items()),
        ("retired", lock.closed - before.lock.closed),
    ):
        names = sorted(key if isinstance(key, str) else key[0] for key in keys)
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        if names:
            said.append(f"{what}: {', '.join(names[:_MOST_NAMED])}{more}")
    return "; ".join(said)


def _bare(entry: Entry) -> Entry:
    """Leave out where it stands in the file."""
    return replace(entry, line=0)
