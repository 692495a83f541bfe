"""Shows every checkpoint to every witness, and stops the bot when one has seen a longer ledger.

Never waits for a witness with anything else: one that is down or slow is a warning and is asked
again. Never goes on with a ledger that a witness has seen longer, or otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from bridge.errors import StoreBehind, WitnessDisagrees, WitnessElsewhere, WitnessError
from bridge.model import Ms
from bridge.ports import Clock, Countersigned, Witness
from bridge.verify import Unsound
from bridge.verify.notes import Cosigner, cosigned, size_of

log = structlog.get_logger(__name__)

_TICK_S = 1.0
#: A witness that failed is left alone for so long.
_PAUSE_S = 30.0
#: Starting, and whoever asks for a checkpoint, waits for a witness no longer than this.
PATIENCE_S = 10.0
#: A witness may stand elsewhere than we remember; it is believed so many times in one go.
_TURNS = 3


@dataclass(slots=True, kw_only=True)
class Seat:
    """One witness, and what we know of it."""

    witness: Witness
    key: Cosigner
    #: The log that it last countersigned, how many records of it, and when; None for never.
    origin: str = ""
    size: int = 0
    at: Ms | None = None
    #: Why the last attempt failed; empty if it did not.
    trouble: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, kw_only=True)
class Witnessing:
    """All witnesses of one ledger."""

    store: Countersigned
    seats: Sequence[Seat]
    clock: Clock
    #: Why the bot has to stop, once it has.
    behind: StoreBehind | None = None

    async def compare(self) -> None:
        """Hold the ledger against every witness that answers, before anything is added to it.

        Raises:
            StoreBehind: one has seen a longer ledger, or another one.
        """
        for seat in self.seats:
            await self._recall(seat)
        await asyncio.gather(*(self._show(seat) for seat in self.seats))

    async def run(self) -> None:
        """Show each new checkpoint to each witness, for ever.

        Raises:
            StoreBehind: one has seen a longer ledger, or another one.
        """
        await asyncio.gather(asyncio.Event().wait(), *(self._keep_up(s) for s in self.seats))

    async def show(self) -> None:
        """Show the newest checkpoint to every witness now.

        Raises:
            StoreBehind: one has seen a longer ledger, or another one.
        """
        await asyncio.gather(*(self._show(seat) for seat in self.seats))

    def lines(self) -> list[str]:
        """How each witness is doing, for people."""
        return [_said(seat, self.clock()) for seat in self.seats]

    async def _keep_up(self, seat: Seat) -> None:
        while True:
            if self.behind is not None:
                raise self.behind
            note = await self.store.newest()
            if seat.origin != _origin(note) or seat.size < _size(note):
                await self._show(seat)
            await asyncio.sleep(_PAUSE_S if seat.trouble else _TICK_S)

    async def _recall(self, seat: Seat) -> None:
        """Remember from the ledger how far a witness had come."""
        note = await self.store.newest_by(seat.key.name)
        try:
            if note is not None and (times := cosigned(note, [seat.key])):
                seat.origin, seat.size = _origin(note), _size(note)
                seat.at = Ms(times[seat.key.name] * 1000)
        except Unsound:
            return  # its line is damaged; it will sign again

    async def _show(self, seat: Seat) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._submit(seat)
        except TimeoutError:
            self._trouble(seat, f"The witness {seat.key.name} did not answer in time.")
        except WitnessError as exc:
            self._trouble(seat, str(exc))
        except StoreBehind as exc:
            log.error("ledger.behind", witness=seat.key.name, error=str(exc))
            self.behind = exc
            raise
        else:
            if seat.trouble:
                log.info("witness.back", witness=seat.key.name)
            seat.trouble = ""

    def _trouble(self, seat: Seat, said: str) -> None:
        if not seat.trouble:
            log.warning("witness.trouble", witness=seat.key.name, error=said)
        seat.trouble = said

    async def _submit(self, seat: Seat) -> None:
        async with seat.turn:
            note = await self.store.newest()
            size = _size(note)
            if seat.origin != _origin(note):  # a new log has begun
                seat.origin, seat.size, seat.at = _origin(note), 0, None
            for _ in range(_TURNS):
                known = 0 < seat.size < size
                proof = await self.store.proof(seat.size, size) if known else ()
                try:
                    lines = await seat.witness.cosign(seat.size, proof, note)
                except WitnessElsewhere as exc:
                    if exc.size > size:
                        raise _behind(f"has seen {exc.size} records of", seat, size) from None
                    seat.size = exc.size
                except WitnessDisagrees:
                    raise _behind("has seen another history of", seat, size) from None
                else:
                    await self.store.countersign(size, lines)
                    seat.size, seat.at = size, self.clock()
                    return
        raise WitnessError(f"The witness {seat.key.name} changes its mind about where it stands.")


def _behind(seen: str, seat: Seat, size: int) -> StoreBehind:
    return StoreBehind(
        f"The witness {seat.key.name} {seen} this ledger; {size} were signed here. It was rolled "
        "back or replaced. Put the newer file back; if it is lost, 'bluelamp ledger recover' "
        "begins a new ledger that says which records are missing."
    )


def _origin(note: str) -> str:
    """Which log a note is of."""
    return note.partition("\n")[0]


def _size(note: str) -> int:
    """How many records a note is about."""
    return size_of(note.split("\n")[1])


def _said(seat: Seat, now: Ms) -> str:
    seen = (
        "has signed nothing yet"
        if seat.at is None
        else f"signed {seat.size} records {max(0, now - seat.at) // 1000} s ago"
    )
    return f"witness {seat.key.name} {seen}" + (f" ({seat.trouble})" if seat.trouble else "")
