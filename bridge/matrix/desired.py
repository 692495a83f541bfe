"""What each room and space on the register should be, in Matrix's terms.

Never asks a server anything, and never looks at a room as it is: that is `drift`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bridge.model import JUDGED, RoomClass, RoomId, UserId
from bridge.register import Entry, History, Lock, People, Register, Space

ROOM_VERSION = "12"
#: A room's class, for programs; people see it in the name.
CLASS_TYPE = "uk.police.room_class"
_MARKS = {
    RoomClass.SOCIAL: "SOCIAL",
    RoomClass.OPERATIONAL: "OP",
    RoomClass.COMMUNITY: "COMMUNITY",
    RoomClass.INTAKE: "INTAKE",
    RoomClass.REVIEW: "REVIEW",
    RoomClass.AUDIT: "AUDIT",
    RoomClass.CANARY: "CANARY",
}

Content: TypeAlias = Mapping[str, Any]
#: By event type and state key.
State: TypeAlias = Mapping[tuple[str, str], Content]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What decides how everything should be."""

    register: Register
    people: People
    bot: UserId
    #: The notice of each room, by key; it becomes the room's topic.
    notices: Mapping[str, str]

    def order(self) -> Iterator[str]:
        """List keys so that each comes after those that it refers to."""
        yield from (space.key for space in self.register.spaces())
        rooms = self.register.rooms.values()
        yield from (room.key for room in rooms if room.cls not in JUDGED)
        yield from (room.key for room in rooms if room.cls in JUDGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """How one room or space should be, as far as it can be said with the ids known so far."""

    key: str
    #: As the register has it.
    name: str
    #: How an interrupted `apply` finds what it made: an alias is given to one room only.
    alias: str
    #: An `id:` in the register, or the lock's.
    id: RoomId | None
    space: bool
    #: All state but power levels, which also depend on who made the room.
    state: State
    #: The only person with power beside the bot.
    supervisor: UserId | None
    members: tuple[UserId, ...]
    #: The space that it belongs in: its name, and its id if it is known.
    parent: str | None
    parent_id: RoomId | None
    bot: UserId
    server: str


def want(house: House, key: str, lock: Lock) -> Want:
    """Say how the room or space *key* should be."""
    entry = house.register.rooms.get(key)
    if entry is not None:
        return _room(house, entry, lock)
    spaces = house.register.spaces()
    return _space(house, next(space for space in spaces if space.key == key), lock)


def levels(room: Want, *, listed: bool) -> dict[str, Any]:
    """Compose the power levels: state is the bot's alone, keeping order the supervisor's too.

    *listed* says whether the bot is named in them; a creator must not be from version 12 on.
    """
    users = {room.supervisor: 50} if room.supervisor else {}
    return {
        "users": {**users, room.bot: 100} if listed else users,
        "users_default": 0,
        "events_default": 0,
        "state_default": 100,
        # Everybody may take out what they said themselves; others' words need `redact`.
        "events": {"m.room.redaction": 0},
        "invite": 50,
        "kick": 50,
        "ban": 50,
        "redact": 50,
        "notifications": {"room": 50},
    }


def creation(room: Want) -> dict[str, Any]:
    """Compose the request body that makes a room; its members are invited afterwards."""
    return {
        "room_version": ROOM_VERSION,
        "preset": "private_chat",
        "visibility": "private",
        "room_alias_name": room.alias[1:].partition(":")[0],
        "creation_content": {"type": "m.space"} if room.space else {},
        "initial_state": [
            {"type": kind, "state_key": state_key, "content": content}
            for (kind, state_key), content in room.state.items()
        ],
        "power_level_content_override": levels(room, listed=False),
    }


def _room(house: House, entry: Entry, lock: Lock) -> Want:
    register = house.register
    parent = register.teams[entry.team] if entry.team else register.force
    mark = {
        "class": entry.cls.value,
        "team": entry.team,
        "marking": entry.ceiling.value,
        "owner": entry.owner,
        "review_at": entry.review.isoformat(),
        "secure": register.id_of(entry.secure, lock) if entry.secure else None,
    }
    encryption = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "rotation_period_msgs": 100,
        "rotation_period_ms": 604_800_000,
    }
    state = _common(register.server, entry.history) | {
        ("m.room.name", ""): {"name": f"{_MARKS[entry.cls]} | {entry.name}"},
        ("m.room.topic", ""): {"topic": house.notices[entry.key]},
        ("m.room.encryption", ""): encryption,
        (CLASS_TYPE, ""): mark,
    }
    return _wanted(house, entry, lock, state, parent)


def _space(house: House, space: Space, lock: Lock) -> Want:
    force = house.register.force
    state = _common(house.register.server, History.INVITED) | {
        ("m.room.name", ""): {"name": space.name},
        ("m.room.topic", ""): {"topic": f"The rooms of {space.name}"},
    }
    return _wanted(house, space, lock, state, None if space == force else force)


def _common(server: str, history: History) -> dict[tuple[str, str], Content]:
    """Compose the state that rooms and spaces have alike."""
    return {
        ("m.room.join_rules", ""): {"join_rule": "invite"},
        ("m.room.history_visibility", ""): {"history_visibility": history.value},
        ("m.room.guest_access", ""): {"guest_access": "forbidden"},
        ("m.room.server_acl", ""): {"allow": [server], "deny": [], "allow_ip_literals": False},
    }


def _wanted(
    house: House, place: Entry | Space, lock: Lock, state: State, parent: Space | None
) -> Want:
    register = house.register
    parent_id = register.id_of(parent.key, lock) if parent else None
    if parent_id is not None:
        link = {"via": [register.server], "canonical": True}
        state = {**state, ("m.space.parent", parent_id): link}
    return Want(
        key=place.key,
        name=place.name if isinstance(place, Entry) else f"{place.name} (space)",
        alias=f"#bl-{place.key}:{register.server}",
        id=register.id_of(place.key, lock),
        space=isinstance(place, Space),
        state=state,
        supervisor=place.supervisor if isinstance(place, Entry) else None,
        members=_members(house, place),
        parent=parent.name if parent else None,
        parent_id=parent_id,
        bot=house.bot,
        server=register.server,
    )


def _members(house: House, place: Entry | Space) -> tuple[UserId, ...]:
    """List who belongs in a room, or in any room of a space; the bot is there anyway."""
    register = house.register
    rooms = [place] if isinstance(place, Entry) else register.rooms.values()
    if isinstance(place, Space) and place != register.force:
        rooms = [room for room in rooms if room.team == place.name]
    members = [user for room in rooms for user in register.members(room, house.people)]
    return tuple(user for user in dict.fromkeys(members) if user != house.bot)
