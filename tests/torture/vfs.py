"""Records what SQLite asks of its disk, from inside, where strace may not be had.

Second best, and so only the second of two recordings: the store's own code, statements and
pragmas run, but on the SQLite that apsw brings along, with a lock nobody else can share (a VFS in
Python has no shared memory), and the anchor's way to the disk is taken on trust. What `tracing`
records is what is shipped.

Never changes what is written: everything is passed on to a real file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from bridge.store.anchor import keep_anchor
from tests.torture.disk import (
    Emptied,
    Made,
    NamesSynced,
    Removed,
    Renamed,
    Step,
    Synced,
    Written,
)

NAME = "recorded"
Take = Callable[[Step], None]


class _File(apsw.VFSFile):
    """A real file that tells what is done to it."""

    def __init__(self, name: str | apsw.URIFilename, flags: list[int], take: Take) -> None:
        super().__init__("unix", name, flags)
        path = name if isinstance(name, str) else name.filename()
        self._name, self._take = Path(path).name, take

    def xWrite(self, data: Any, offset: int) -> None:
        super().xWrite(data, offset)
        self._take(Written(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._take(Emptied(self._name, newsize))

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._take(Synced(self._name))
        if self._name.endswith(("-wal", "-journal")):  # the first time only, in truth
            self._take(NamesSynced())


class _Recorder(apsw.VFS):
    """The real disk, and somebody who takes notes."""

    def __init__(self, take: Take) -> None:
        super().__init__(NAME, "unix")
        self._take = take

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        if name is None:  # a file for SQLite's own use, which nobody misses
            return apsw.VFSFile("unix", name, flags)
        file = _File(name, flags, self._take)
        self._take(Made(file._name))
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._take(Removed(Path(filename).name))
        if syncdir:
            self._take(NamesSynced())


class _Connection:
    """What the store uses of `sqlite3.Connection`, in apsw's words."""

    def __init__(self, path: Path) -> None:
        self._db = apsw.Connection(str(path), vfs=NAME)
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.execute, self.executemany = self._db.execute, self._db.executemany
        self.close = self._db.close

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def executescript(self, script: str) -> None:
        self._db.execute(script).fetchall()


@contextlib.contextmanager
def recorded(take: Take) -> Iterator[None]:
    """Have every store that is opened meanwhile tell *take* what it does to its disk."""
    recorder, ours = _Recorder(take), sqlite3.connect

    def connect(path: Any, **more: Any) -> Any:
        return ours(path, **more) if "uri" in more else _Connection(path)

    def keep(path: Path, note: str) -> None:
        keep_anchor(path, note)
        fresh = path.name + ".new"
        for step in (Made(fresh), Emptied(fresh, 0), Written(fresh, 0, note.encode()),
                     Synced(fresh), Renamed(fresh, path.name), NamesSynced()):  # fmt: skip
            take(step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        for name, module in list(sys.modules.items()):
            if name.startswith("bridge.store.") and hasattr(module, "keep_anchor"):
                patch.setattr(module, "keep_anchor", keep)
        yield
    recorder.unregister()
