"""Fetches people.csv from the force's directory, again and again.

Never writes a part of an answer, a list that the rooms could not use, or one that has lost more
than a tenth of its people: then what was there stays, and a person is told.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from bridge.errors import BridgeError
from bridge.facts import Fact, Noted
from bridge.model import Ms
from bridge.ports import Clock

log = structlog.get_logger(__name__)

TICK_S = 2.0


@dataclass(slots=True, kw_only=True)
class Fetching:
    """Asks the directory every few minutes."""

    #: Fetches and writes; says what has changed, or nothing. Blocks.
    fetch: Callable[[], str]
    record: Callable[[list[Fact]], Awaitable[None]]
    #: Says something in the review room, once under each name; says whether it is there.
    tell: Callable[[str, str, Ms], Awaitable[bool]]
    clock: Clock
    every_ms: Ms
    _last: Ms | None = None
    _refused: str = ""
    _unsaid: tuple[str, str, Ms] | None = None

    async def run(self) -> None:
        """Fetch for ever."""
        while True:
            await self.once()
            await asyncio.sleep(TICK_S)

    async def once(self) -> None:
        """Fetch where it is time."""
        now = self.clock()
        if self._unsaid is not None and await self.tell(*self._unsaid):
            self._unsaid = None
        if self._last is not None and 0 <= now - self._last < self.every_ms:
            return
        self._last = now
        try:
            said = await asyncio.to_thread(self.fetch)
        except BridgeError as exc:
            await self._refuse(str(exc), now)
            return
        except Exception as exc:  # a full disk, say: whoever was listed stays, and it goes on
            await self._refuse(f"it failed ({_short(exc)})", now)
            return
        self._refused = ""
        if said:
            log.info("people.fetched")
            await self.record([Noted(text=f"people.csv was fetched from the directory: {said}")])

    async def _refuse(self, why: str, now: Ms) -> None:
        log.error("people.not_fetched", error=why)
        if self._refused:
            return  # people are told once, until it works again
        self._refused = why
        said = f"the list of people was not fetched, and who was listed stays: {why}"
        await self.record([Noted(text=said)])
        name = hashlib.sha256(f"{said}\0{now}".encode()).hexdigest()[:24]
        self._unsaid = f"directory-{name}", f"{said[0].upper()}{said[1:]}.", now


def _short(exc: Exception) -> str:
    """Say what went wrong and nothing of what was read."""
    why = exc.strerror if isinstance(exc, OSError) else None
    return f"{type(exc).__name__}: {why}" if why else type(exc).__name__
