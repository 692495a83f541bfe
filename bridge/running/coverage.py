"""Holds the record against the server: which of its events are on record, by room and day.

Never looks at words: event ids, times and types are all that it asks for.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from bridge.errors import NotPermitted
from bridge.matrix.api import Api, quote
from bridge.model import Ms, Room, RoomId

_PAGE = 100


@dataclass(slots=True)
class Day:
    """One room on one day."""

    room: str
    day: datetime.date
    #: Events that the server has.
    served: int = 0
    #: Of these: on record and readable, and on record but never readable.
    readable: int = 0
    unreadable: int = 0
    #: Ids of those that are not on record.
    missed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What was captured of what there was."""

    days: tuple[Day, ...]
    #: Rooms that the server would not let us look into, with its words.
    closed: Mapping[str, str]

    @property
    def served(self) -> int:
        """How many events the server has."""
        return sum(day.served for day in self.days)

    @property
    def missed(self) -> int:
        """How many of them are not on record."""
        return sum(len(day.missed) for day in self.days)

    @property
    def unreadable(self) -> int:
        """How many are on record but could not be read."""
        return sum(day.unreadable for day in self.days)


async def cover(
    api: Api,
    rooms: Mapping[RoomId, Room],
    recorded: Callable[[str], bool | None],
    *,
    since: Ms,
    zone: ZoneInfo,
) -> Coverage:
    """Compare every event since then; *recorded* says of one: readable, unreadable or None.

    Raises:
        TransportError: the server was not reached.
    """
    days: dict[tuple[str, datetime.date], Day] = {}
    closed: dict[str, str] = {}
    for room in rooms.values():
        try:
            async for event in _events(api, room.id, since):
                at = datetime.datetime.fromtimestamp(event["origin_server_ts"] / 1000, zone).date()
                day = days.setdefault((room.name, at), Day(room.name, at))
                day.served += 1
                match recorded(event["event_id"]):
                    case None:
                        day.missed.append(event["event_id"])
                    case True:
                        day.readable += 1
                    case False:
                        day.unreadable += 1
        except NotPermitted as exc:
            closed[room.name] = str(exc)
    ordered = sorted(days.values(), key=lambda day: (day.room, day.day))
    return Coverage(days=tuple(ordered), closed=closed)


async def _events(api: Api, room: RoomId, since: Ms) -> AsyncIterator[Mapping[str, Any]]:
    """The room's events, newest first."""
    path, start = f"/_matrix/client/v3/rooms/{quote(room)}/messages", ""
    while True:
        query = {"dir": "b", "limit": str(_PAGE), **({"from": start} if start else {})}
        page = await api.call("GET", path, query=query)
        for event in page.get("chunk") or ():
            if event.get("origin_server_ts", 0) < since:
                return
            yield event
        start = page.get("end") or ""
        if not start:
            return
