"""`bluelamp run` as a process of its own, which can be killed in the middle.

Never reaches into it: it is started, asked for its status, and stopped as anybody would.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bridge.errors import BridgeError
from bridge.running.control import Order, ask

#: A machine that does much else is slow; whoever waits for nothing waits for so long.
_START_S = 120.0
_STOP_S = 60.0


class BotProcess:
    """One running bot."""

    def __init__(self, config: Path, module: str = "bridge") -> None:
        """Prepare to run the bot of *config*; its output goes to bot.log beside it.

        *module* is what is run, if `start` is not told another.
        """
        self._module = module
        #: With what it is started the next time.
        self.config = config
        self._process: subprocess.Popen[bytes] | None = None
        self.log = config.with_name("bot.log")
        self._socket = config.parent / "state" / "control.sock"

    @property
    def running(self) -> bool:
        """Say whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    async def start(self, *, module: str | None = None, also: Sequence[str] = ()) -> None:
        """Start it, and wait until it listens.

        *module* is run with "-c CONFIG run" and *also* as its arguments.

        Raises:
            BridgeError: it ended instead; the sentence has its last words.
        """
        what = module or self._module
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own interpreter; quick
                [sys.executable, "-m", what, "-c", str(self.config), "run", *also],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while await ask(self._socket, Order(do="status")) is None:
            if not self.running or time.monotonic() > deadline:
                raise BridgeError(f"The bot did not start: {self.last_words()}")
            await asyncio.sleep(0.05)

    def last_words(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{' / '.join(lines[-3:])} (see {self.log})"

    async def status(self) -> str:
        """Return what it says of itself; empty if it does not run."""
        answer = await ask(self._socket, Order(do="status"))
        return answer.text if answer else ""

    def kill(self) -> None:
        """Kill it with -9: nothing is finished, nothing is said."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def wait(self, patience_s: float) -> int | None:
        """Wait for it to end by itself; its exit code, or None if it did not."""
        if self._process is None:
            return None
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> int | None:
        """Ask it to stop, and return its exit code."""
        if self._process is None:
            return None
        if self.running:
            self._process.terminate()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
