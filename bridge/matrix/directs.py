"""The rooms in which the bot speaks with one person: made once, marked, found again.

Never trusts the mark in a room that the bot did not make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.matrix.api import Api, quote
from bridge.model import RoomId, UserId

#: Stands in the room's very first event, which nobody can change and no sync can come before.
WITH_FIELD = "uk.police.direct_with"
_HERE = {"invite", "join"}


class Directs:
    """What the server's state says about our direct rooms."""

    def __init__(self, api: Api, user: UserId) -> None:
        """Look after the direct rooms of the bot *user*."""
        self._api, self._user = api, user
        self._marked: dict[RoomId, UserId] = {}
        self._members: dict[RoomId, dict[str, str]] = {}

    def take(self, room: RoomId, event: Mapping[str, Any]) -> None:
        """Take in one state event."""
        content = event.get("content")
        content = content if isinstance(content, dict) else {}
        match event.get("type"):
            case "m.room.create" if event.get("sender") == self._user and content.get(WITH_FIELD):
                self._marked[room] = UserId(str(content[WITH_FIELD]))
            case "m.room.member":
                user = str(event.get("state_key"))
                self._members.setdefault(room, {})[user] = str(content.get("membership"))

    def forget(self, room: RoomId) -> None:
        """We are no longer in this room."""
        self._marked.pop(room, None)
        self._members.pop(room, None)

    def is_direct(self, room: RoomId) -> bool:
        """Say whether we made this room to speak with one person."""
        return room in self._marked

    def rooms(self) -> dict[RoomId, UserId]:
        """Say with whom we speak in which room."""
        return dict(self._marked)

    async def with_user(self, user: UserId) -> tuple[RoomId, bool]:
        """Return the room with *user*, and whether it or its members changed just now.

        It is the one there is, with them asked back in, or a new one.
        """
        for room, whom in sorted(self._marked.items()):
            if whom == user:
                if self._members.get(room, {}).get(user) not in _HERE:
                    path = f"/_matrix/client/v3/rooms/{quote(room)}/invite"
                    await self._api.call("POST", path, {"user_id": user})
                    return room, True
                return room, False
        answer = await self._api.call("POST", "/_matrix/client/v3/createRoom", _template(user))
        return RoomId(answer["room_id"]), True


def _template(user: UserId) -> dict[str, Any]:
    """Describe a direct room in which only the bot changes anything."""
    state = {
        "m.room.encryption": {
            "algorithm": "m.megolm.v1.aes-sha2",
            "rotation_period_ms": 604_800_000,
            "rotation_period_msgs": 100,
        },
        "m.room.history_visibility": {"history_visibility": "invited"},
        "m.room.guest_access": {"guest_access": "forbidden"},
    }
    return {
        "preset": "private_chat",
        "room_version": "12",
        "creation_content": {WITH_FIELD: user},
        "is_direct": True,
        "name": "Blue Lamp",
        "topic": "Private notes from Blue Lamp, an automated member..",
        "invite": [user],
        "initial_state": [
            {"type": kind, "state_key": "", "content": content} for kind, content in state.items()
        ],
        "power_level_content_override": {"users_default": 0, "state_default": 100, "invite": 100},
    }
