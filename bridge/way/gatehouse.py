"""Answers the homeserver's gate, which asks whether something may be delivered.

Never answers "stop" before what it stops is on record, never lets a fault of ours hold up a room,
and never believes that an event is what the gate says: it is decrypted with the room's own key.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from bridge.model import JUDGED, EventId, Message, Room, RoomId, UserId
from bridge.way.pipeline import Pipeline
from bridge.way.repeats import Repeats

log = structlog.get_logger(__name__)

PASS, STOP, UNREAD = "pass", "stop", "unread"
#: Of the gate's budget, so much may go to waiting for a key; the rest is for judging.
_FOR_KEYS = 0.6
#: What the gate may say of its budget, ms.
_LONGEST_MS = 5_000


class Foresees(Protocol):
    """Reads events that are not delivered yet, and writes nothing."""

    async def __call__(
        self, room: RoomId, event: Mapping[str, Any], *, patience_s: float
    ) -> Message | None:
        """None if its key does not come in time."""
        ...


@dataclass(slots=True, kw_only=True)
class Gatehouse:
    """Answers the gate's questions."""

    foresee: Foresees
    pipeline: Pipeline
    #: The register, which is also asked for rooms that were upgraded.
    room: Callable[[RoomId], Room | None]
    user: UserId
    #: Where what was stopped and never encrypted is kept until it is moved: in memory, or nowhere.
    held: MutableMapping[EventId, Message] = field(default_factory=dict)
    _repeats: Repeats = field(default_factory=Repeats)

    async def check(self, said: Mapping[str, Any]) -> str:
        """Say what the gate should do with an event: `pass`, `stop`, or `unread`."""
        started = time.monotonic()
        room, sender = said.get("room_id"), said.get("sender")
        if not isinstance(room, str) or not isinstance(sender, str) or sender == self.user:
            return PASS
        known = self.room(RoomId(room))
        if known is None or known.cls not in JUDGED:
            return PASS
        event = {name: value for name, value in said.items() if name != "budget_ms"}
        budget_s = _budget_s(said.get("budget_ms"))
        message = await self.foresee(RoomId(room), event, patience_s=budget_s * _FOR_KEYS)
        if message is None:
            log.info("gate.unread", room=room, event_id=str(said.get("event_id")))
            return UNREAD
        times = self._repeats.times(message)
        stopped = await self.pipeline.stop(
            message, times=times, too_late=lambda: time.monotonic() - started > budget_s
        )
        if stopped:
            self._repeats.note(message)
            if not message.ciphertext:
                self.held[message.event_id] = message
        log.info(
            "gate.answered",
            room=room,
            event_id=message.event_id,
            do=STOP if stopped else PASS,
            ms=round((time.monotonic() - started) * 1000, 1),
        )
        return STOP if stopped else PASS

    async def invite(self, said: Mapping[str, Any]) -> str:
        """Say whether somebody may be asked into a room: those whom the register has."""
        room, invitee = said.get("room_id"), said.get("invitee")
        known = self.room(RoomId(room)) if isinstance(room, str) else None
        if known is None or known.members is None:
            return PASS
        return PASS if invitee in known.members else STOP


def answers(gatehouse: Gatehouse) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[str]]]:
    """What the gate may ask, by name."""
    return {"check": gatehouse.check, "invite": gatehouse.invite, "ping": _ping}


async def _ping(_: Mapping[str, Any]) -> str:
    return PASS


def _budget_s(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0.3
    return min(max(value, 1), _LONGEST_MS) / 1000
