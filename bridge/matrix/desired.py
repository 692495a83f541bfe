"""What each room and space on the register should be, in Matrix's terms.

Never asks a server anything, and never looks at a room as it is: that is `drift`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bridge.model import JUDGED, RoomClass, RoomId, UserId
from bridge.register import Entry, History, Lock, People, Register, Space
from bridge.rooms import badges

ROOM_VERSION = "12"
#: Before version 12, a room's maker is listed in its power levels like everybody else.
OLD_VERSIONS = frozenset(str(number) for number in range(1, 12))
#: A room's class, for programs; people see it in the name.
CLASS_TYPE = "uk.police.room_class"
#: Why the bot lets nobody write in a room; believed only where the bot has sent it.
LOCK_TYPE = "uk.police.lock"
#: How long the server shows messages: MSC1763, which Synapse follows.
RETENTION_TYPE = "m.room.retention"
_PORT = re.compile(r":[0-9]{1,5}$")
#: In a locked room nobody but the bot sends anything.
_BOT_ONLY = 100
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
    #: What the homeserver's gate has to know of each class; it stands in the class state.
    gates: Mapping[RoomClass, Content] = field(default_factory=dict)
    #: A person says that whoever is not on the register goes, however many they are.
    put_out: bool = False
    #: Guests belong until a day; None: nobody is one.
    today: datetime.date | None = None
    #: Keys of rooms that are closed for good.
    retired: frozenset[str] = frozenset()
    #: How long the server shows messages of each class, ms; classes that are left out: for ever.
    lifetimes: Mapping[RoomClass, int] = field(default_factory=dict)
    #: Who is or was on the list of a room, as long as they are in it; None: nobody knows.
    belonged: Callable[[str], Collection[UserId] | None] = lambda _: None

    def guests(self, entry: Entry) -> tuple[UserId, ...]:
        """List the people of partners who belong in a room."""
        return self.register.guests(entry, self.today) if self.today is not None else ()

    def order(self) -> Iterator[str]:
        """List keys so that each comes after those that it refers to."""
        yield from (space.key for space in self.register.spaces())
        rooms = [one for one in self.register.rooms.values() if one.key not in self.retired]
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
    #: Who answers for it or supervises it, and is not listed any more.
    gone: tuple[tuple[str, UserId], ...]
    #: The space that it belongs in: its name, and its id if it is known.
    parent: str | None
    parent_id: RoomId | None
    bot: UserId
    server: str
    #: Why the bot has locked it; empty if it has not.
    locked: str = ""
    #: The register gives its id, so that no upgrade changes it.
    fixed: bool = False
    #: Whoever does not belong goes, however many they are.
    put_out: bool = False
    #: Who is or was on its list, as long as they are in it; None: nobody knows.
    belonged: Collection[UserId] | None = None


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
        "events_default": _BOT_ONLY if room.locked else 0,
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
        "power_level_content_override": levels(room, listed=ROOM_VERSION in OLD_VERSIONS),
    }


def _room(house: House, entry: Entry, lock: Lock) -> Want:
    register = house.register
    parent = register.teams[entry.team] if entry.team else register.force
    mark: dict[str, Any] = {
        "class": entry.cls.value,
        "team": entry.team,
        "marking": entry.ceiling.value,
        "owner": entry.owner,
        "review_at": entry.review.isoformat(),
        "secure": register.id_of(entry.secure, lock) if entry.secure else None,
    }
    if entry.cls in house.gates:
        mark["gate"] = house.gates[entry.cls]
    picture = lock.pictures.get(badges.name(entry.cls))
    encryption = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "rotation_period_msgs": 100,
        "rotation_period_ms": 604_800_000,
    }
    servers = sorted({one.partition(":")[2] for one in house.guests(entry)} - {register.server})
    state = _common([register.server, *servers], entry.history) | {
        ("m.room.name", ""): {"name": f"{_MARKS[entry.cls]} | {entry.name}"},
        ("m.room.topic", ""): {"topic": house.notices[entry.key]},
        ("m.room.encryption", ""): encryption,
        (CLASS_TYPE, ""): mark,
    }
    if picture is not None:
        state["m.room.avatar", ""] = {"url": picture}
    if entry.cls in house.lifetimes and entry.labelled and not entry.rehearse:
        state[RETENTION_TYPE, ""] = {"max_lifetime": house.lifetimes[entry.cls]}
    return _wanted(house, entry, lock, state, parent)


def _space(house: House, space: Space, lock: Lock) -> Want:
    force = house.register.force
    state = _common([house.register.server], History.INVITED) | {
        ("m.room.name", ""): {"name": space.name},
        ("m.room.topic", ""): {"topic": f"The rooms of {space.name}"},
    }
    return _wanted(house, space, lock, state, None if space == force else force)


def _common(servers: Sequence[str], history: History) -> dict[tuple[str, str], Content]:
    """Compose the state that rooms and spaces have alike."""
    return {
        ("m.room.join_rules", ""): {"join_rule": "invite"},
        ("m.room.history_visibility", ""): {"history_visibility": history.value},
        ("m.room.guest_access", ""): {"guest_access": "forbidden"},
        ("m.room.server_acl", ""): {
            "allow": _let_in(servers),
            "deny": [],
            "allow_ip_literals": False,
        },
    }


def _let_in(servers: Sequence[str]) -> list[str]:
    """Name servers with their ports, and without: the specification compares them without.

    Synapse does so where one asks; of its own server, it takes no list without the whole name.
    """
    names = (name for one in servers for name in (one, _PORT.sub("", one)))
    return list(dict.fromkeys(names))


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
        supervisor=_supervisor(house, place) if isinstance(place, Entry) else None,
        members=_members(house, place),
        gone=_gone(house, place) if isinstance(place, Entry) else (),
        parent=parent.name if parent else None,
        parent_id=parent_id,
        bot=house.bot,
        server=register.server,
        put_out=house.put_out,
        belonged=house.belonged(place.key),
        fixed=place.id is not None,
    )


def _supervisor(house: House, place: Entry) -> UserId | None:
    """Whoever has left supervises nothing."""
    return place.supervisor if house.people.get(place.supervisor) is not None else None


def _gone(house: House, place: Entry) -> tuple[tuple[str, UserId], ...]:
    named = (("owner", place.owner), ("supervisor", place.supervisor))
    return tuple((what, user) for what, user in named if house.people.get(user) is None)


def _members(house: House, place: Entry | Space) -> tuple[UserId, ...]:
    """List who belongs in a room, or in any room of a space; the bot is there anyway."""
    register = house.register
    rooms = [place] if isinstance(place, Entry) else register.rooms.values()
    if isinstance(place, Space) and place != register.force:
        rooms = [room for room in rooms if room.team == place.name]
    members = [user for room in rooms for user in register.members(room, house.people)]
    if isinstance(place, Entry):
        members += house.guests(place)
    return tuple(user for user in dict.fromkeys(members) if user != house.bot)
