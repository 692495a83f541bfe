"""Who is who now: people.csv as it was when it last made sense, followed while the bot runs.

Never takes a role away or gives one for a file that is half written or wrong: what was read last
stays, and a person is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bridge.errors import ConfigError
from bridge.facts import Noted
from bridge.model import Ms, UserId
from bridge.ports import Clock, Store
from bridge.register import People

log = structlog.get_logger(__name__)

#: The file is looked at so often; it is read once it has been left alone for as long.
TICK_S = 2.0


@dataclass(slots=True, kw_only=True)
class Roster:
    """The people that are listed, and everything that may change who they are."""

    store: Store
    path: Path
    clock: Clock
    #: Reads the file and holds it against the register of rooms, or raises ConfigError.
    load: Callable[[], People]
    #: Says something in the review room, once under each name; says whether it is there.
    tell: Callable[[str, str, Ms], Awaitable[bool]]
    loaded: People
    #: What people are called in the bot's texts; shared with whoever speaks.
    names: dict[UserId, str] = field(default_factory=dict)
    _seen: tuple[int, int] | None = None
    _taken: tuple[int, int] | None = None
    _refused: str = ""
    #: What could not be said yet, under which name, and since when.
    _unsaid: dict[str, tuple[str, Ms]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know the file that was read as this one."""
        self._taken = self._stamp()
        self._call(self.loaded)

    def people(self) -> People:
        """Return who is listed now."""
        return self.loaded

    async def run(self) -> None:
        """Follow the file for ever."""
        while True:
            await self.once()
            await asyncio.sleep(TICK_S)

    async def once(self) -> None:
        """Look whether the file has changed; one that is still being written waits."""
        stamp = await asyncio.to_thread(self._stamp)
        if stamp == self._seen and stamp != self._taken:
            await self.reload()
        self._seen = stamp
        for name, (words, since) in list(self._unsaid.items()):
            if await self.tell(name, words, since):
                self._unsaid.pop(name, None)

    async def reload(self) -> str:
        """Read the file, or keep what was read before; return what is wrong, or nothing."""
        self._taken = await asyncio.to_thread(self._stamp)
        try:
            fresh = await asyncio.to_thread(self.load)
        except ConfigError as exc:
            await self._refuse(str(exc))
            return str(exc)
        self._refused = ""
        if fresh.persons == self.loaded.persons:
            return ""
        said = f"{self.path.name} was read again: {_changes(self.loaded, fresh)}"
        await self.store.append([Noted(text=said)])
        log.info("people.loaded", people=len(fresh.persons))
        self.loaded = fresh
        self._call(fresh)
        return ""

    def _call(self, people: People) -> None:
        self.names.clear()
        self.names.update({person.id: person.name for person in people.persons.values()})

    async def _refuse(self, why: str) -> None:
        if why == self._refused:
            return
        log.error("people.refused", error=why)
        said = f"a changed {self.path.name} is refused, and who was listed before stays: {why}"
        await self.store.append([Noted(text=said)])
        if not self._refused:  # people are told once, until it is put right
            name = hashlib.sha256(f"{said}\0{self.clock()}".encode()).hexdigest()[:24]
            self._unsaid[f"people-{name}"] = f"{said}. Please put it right.", self.clock()
        self._refused = why

    def _stamp(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):  # reading it will say what is wrong
            at = self.path.stat()
            return at.st_mtime_ns, at.st_size
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Who was listed when leavers were last seen off; a file, so that a restart forgets nobody."""

    path: Path

    def read(self) -> frozenset[UserId] | None:
        """Return who was; None where nobody knows."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return frozenset(map(UserId, self.path.read_text(encoding="utf-8").split()))
        return None

    def write(self, people: frozenset[UserId]) -> None:
        """Remember *people*, in one step."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text("\n".join(sorted(people)) + "\n", encoding="utf-8")
        fresh.replace(self.path)


@dataclass(slots=True, kw_only=True)
class Belonged:
    """Who belonged to each room when it was last seen, as long as they are in it; a file each.

    So that a list that was cut short is told from strangers who were let in.
    """

    folder: Path
    _known: dict[str, frozenset[UserId] | None] = field(default_factory=dict)

    def of(self, key: str) -> frozenset[UserId] | None:
        """Return who belonged to the room *key*; None where nobody knows."""
        if key not in self._known:
            self._known[key] = self._file(key).read()
        return self._known[key]

    def note(self, key: str, members: frozenset[UserId], present: frozenset[UserId]) -> None:
        """Note that *members* belong there now, and that *present* are there.

        Of a room that is seen for the first time, whoever is there may have belonged.
        """
        before = self.of(key)
        after = members | (present if before is None else before & present)
        if after != before:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file(key).write(after)
            self._known[key] = after

    def _file(self, key: str) -> Remembered:
        return Remembered(path=self.folder / key)


def _changes(before: People, after: People) -> str:
    """Say whose roles are others; names of people are no secret of the record's own part."""
    said = [f"{len(after.persons)} people"]
    for user in sorted(before.persons.keys() | after.persons.keys()):
        was, now = before.get(user), after.get(user)
        old, new = (one.roles if one else frozenset() for one in (was, now))
        if old != new:
            said.append(f"{user} is {' and '.join(sorted(new)) or 'without a role'}")
    return "; ".join(said)
