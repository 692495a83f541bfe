"""Processes that keep a ledger, and that somebody torments: quickly made, as there are thousands.

They are forked off a server that has imported what they need, and share nothing with the test.
Never leaves one running.
"""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from types import TracebackType

from tests.torture import writing

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([writing.__name__])
#: Nobody needs longer, s.
_PATIENCE_S = 60


class Child:
    """A process that keeps the ledger in a folder, for so many acts in each of its lives."""

    def __init__(self, folder: Path, *acts: int, wait: str = "") -> None:
        """Start it; with *wait* it tarries at that place until `go`."""
        here, out = _SERVER.Pipe(duplex=False)
        into, self._go = _SERVER.Pipe(duplex=False)
        self._process = _SERVER.Process(target=writing.child, args=(folder, acts, wait, into, out))
        self._process.start()
        out.close()
        into.close()
        self._lines = os.fdopen(os.dup(here.fileno()), encoding="utf-8")
        here.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.kill()
        self._process.join(_PATIENCE_S)
        self._lines.close()
        self._go.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def exit(self) -> int | None:
        """How it ended: minus the signal's number if by one, None while it lives."""
        return self._process.exitcode

    def line(self) -> str:
        """Return the next thing that it says."""
        return self._lines.readline().strip()

    def go(self) -> None:
        """Let one that waits go on."""
        os.write(self._go.fileno(), b"\n")

    def kill(self) -> None:
        self._process.kill()

    def rest(self) -> list[str]:
        """Return what else it says until it ends; not what was cut off in the middle."""
        found = self._lines.read()
        self._process.join(_PATIENCE_S)
        return found.split("\n")[:-1]
