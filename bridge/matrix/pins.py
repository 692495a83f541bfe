"""The list of pinned messages of a room on a real homeserver.

Never unpins what it was not asked to.
"""

from __future__ import annotations

from collections.abc import Collection

from bridge.errors import NotFound
from bridge.matrix.api import Api, quote
from bridge.model import EventId, RoomId


class MatrixPins:
    """Keeps the promises of `hanging.Pins`."""

    def __init__(self, api: Api) -> None:
        """Pin with the bot's account."""
        self._api = api

    async def pin(self, room: RoomId, event: EventId, instead: Collection[EventId]) -> None:
        """Have *event* pinned first, and none of *instead*."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.pinned_events"
        try:
            state = await self._api.call("GET", path)
        except NotFound:
            state = {}
        found = state.get("pinned")
        pinned = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
        wanted = [one for one in pinned if one not in instead or one == event]
        if event not in wanted:
            wanted = [event, *wanted]
        if wanted != pinned:
            await self._api.call("PUT", path, {**state, "pinned": wanted})
