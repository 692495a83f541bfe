"""Entering the approved rooms when the bot starts.

Never makes a room, and never enters one that is on no register.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from bridge.errors import TransportError
from bridge.matrix.api import Api, quote
from bridge.model import Room, RoomId

log = structlog.get_logger(__name__)


async def enter(api: Api, approved: Mapping[RoomId, Room]) -> None:
    """Be in every approved room; say of each that cannot be entered what to do."""
    answer = await api.call("GET", "/_matrix/client/v3/joined_rooms")
    inside = set(answer.get("joined_rooms") or ())
    for room in approved.values():
        if room.id in inside:
            continue
        try:
            await api.call("POST", f"/_matrix/client/v3/join/{quote(room.id)}", {})
        except TransportError as exc:
            log.error(
                "room.cannot_enter",
                room=room.id,
                name=room.name,
                error=str(exc),
                what_to_do="invite the bot there, or run 'bluelamp rooms plan'; nothing in this "
                "room is read until then",
            )
