"""How a room on the server differs from what it should be, and what would mend it.

Never asks a server anything: a room's state comes in; differences go out, each with the request
that mends it where one can.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.matrix.api import quote
from bridge.matrix.desired import CLASS_TYPE, Content, State, Want, levels
from bridge.model import RoomId, UserId

V3 = "/_matrix/client/v3"
#: Before version 12, a room's maker is listed in its power levels like everybody else.
_OLD_VERSIONS = frozenset(str(number) for number in range(1, 12))
#: What the bot needs in a room that somebody else made: only it may change state.
_FULL_POWER = 100
_LONGEST_SHOWN = 80
#: State whose content is one value: what people call it, and its field.
_SINGLE = {
    "m.room.name": ("name", "name"),
    "m.room.join_rules": ("join rule", "join_rule"),
    "m.room.history_visibility": ("history visibility", "history_visibility"),
    "m.room.guest_access": ("guest access", "guest_access"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to the homeserver."""

    method: str
    path: str
    body: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which the server is not as the register says."""

    #: The room's key and name on the register.
    key: str
    room: str
    #: In plain words, such as "join rule is public, should be invite".
    what: str
    #: A person has to see to it: `apply` cannot.
    problem: bool = False
    #: What mends it, where one request does.
    mend: Request | None = None

    def __str__(self) -> str:
        """Show it as one line."""
        return f"{self.room}: {self.what}"


def differs(room: Want, what: str, mend: Request | None = None) -> Difference:
    """Say something that `apply` puts right."""
    return Difference(key=room.key, room=room.name, what=what, mend=mend)


def problem(room: Want, what: str) -> Difference:
    """Say something that a person has to see to."""
    return Difference(key=room.key, room=room.name, what=what, problem=True)


def state_of(events: Sequence[Content]) -> State:
    """Sort a room's state events; m.room.create gets a "creator" in every room version."""
    state = {(str(e["type"]), str(e["state_key"])): dict(e["content"]) for e in events}
    for event in events:
        if event["type"] == "m.room.create":
            state["m.room.create", ""]["creator"] = event["sender"]
    return state


def maker(state: State) -> UserId:
    """Name who made a room."""
    return UserId(str(state.get(("m.room.create", ""), {}).get("creator", "")))


def compare(room: Want, here: RoomId, state: State) -> tuple[Difference, ...]:
    """List how the room *here*, which the bot is in, differs from what it should be."""
    found = [
        *_settings(room, here, state),
        *_levels(room, here, state),
        *_memberships(room, here, state),
    ]
    return tuple(_within_power(room, found, state))


def child(room: Want, here: RoomId, link: Content) -> tuple[Difference, ...]:
    """Say whether *room* is missing from its space, whose m.space.child for it is *link*."""
    if room.parent is None or link.get("via"):
        return ()
    mend = None
    if room.parent_id is not None:
        mend = _put(room.parent_id, "m.space.child", here, {"via": [room.server]})
    return (differs(room, f"is not in the space {room.parent}", mend),)


def _put(room: RoomId, kind: str, state_key: str, content: Content) -> Request:
    path = f"{V3}/rooms/{quote(room)}/state/{quote(kind)}/{quote(state_key)}"
    return Request(method="PUT", path=path, body=content)


def _settings(room: Want, here: RoomId, state: State) -> Iterator[Difference]:
    if ("m.room.tombstone", "") in state:
        yield problem(room, "was replaced by another room (it has a tombstone): update its id")
    for (kind, state_key), content in room.state.items():
        found = state.get((kind, state_key), {})
        if kind == "m.room.encryption" and found != content:
            yield _encryption(room, here, content, state)
        elif found != content:
            what = _words(kind, found, content, room)
            yield differs(room, what, _put(here, kind, state_key, content))


def _words(kind: str, found: Content, content: Content, room: Want) -> str:
    if kind in _SINGLE:
        label, field = _SINGLE[kind]
        if found.get(field) == content[field]:
            return f"{label} has something added to it"
        return f"{label} is {_shown(found.get(field))}, should be {content[field]}"
    return {
        "m.room.topic": "topic is not the notice",
        "m.room.server_acl": f"other servers than {room.server} are let in",
        "m.space.parent": f"does not name {room.parent} as its space",
        CLASS_TYPE: f"class mark ({CLASS_TYPE}) is missing or not the register's",
    }[kind]


def _shown(value: object) -> str:
    """Show what somebody else wrote, so that it cannot write to the terminal."""
    if value is None:
        return "not set"
    text = str(value)[:_LONGEST_SHOWN]
    return text if text.isprintable() else repr(text)


def _encryption(room: Want, here: RoomId, content: Content, state: State) -> Difference:
    found = state.get(("m.room.encryption", ""))
    mend = _put(here, "m.room.encryption", "", content)
    if found is None and maker(state) != room.bot:
        if _power(room, state) < _FULL_POWER:
            return problem(
                room,
                f"was made without encryption by {maker(state)}, and the bot may not switch it on: "
                "it cannot be made safe here, use another room",
            )
        past = "what was said in it so far stays readable to the server"
        return differs(room, f"is not encrypted ({past})", mend)
    if found is None:
        return differs(room, "is not encrypted", mend)
    if found.get("algorithm") != content["algorithm"]:
        return problem(room, "is encrypted in a way that cannot be undone: use another room")
    return differs(room, "encryption changes its keys otherwise than it should", mend)


def _creators(state: State) -> frozenset[UserId]:
    """List who outranks everybody for good."""
    create = state.get(("m.room.create", ""), {})
    if str(create.get("room_version", "1")) in _OLD_VERSIONS:
        return frozenset()
    return frozenset({maker(state), *map(UserId, create.get("additional_creators", ()))})


def _power(room: Want, state: State) -> float:
    """Say how much the bot may do."""
    if room.bot in _creators(state):
        return math.inf
    found = state.get(("m.room.power_levels", ""), {})
    return _number(_users(found).get(room.bot, found.get("users_default")))


def _users(levels_found: Content) -> dict[UserId, object]:
    users = levels_found.get("users")
    return dict(users) if isinstance(users, Mapping) else {}


def _number(level: object) -> float:
    """Read a power level; rooms before version 10 may have them as text."""
    return float(level) if isinstance(level, int | str) and str(level).isdecimal() else 0.0


def _levels(room: Want, here: RoomId, state: State) -> Iterator[Difference]:
    """Compare the power levels; those that the bot cannot take away are for a person."""
    creators = _creators(state)
    for other in sorted(creators - {room.bot}):
        yield problem(
            room,
            f"{other} made it and outranks the bot in it for good: use a room that the bot made",
        )
    found = state.get(("m.room.power_levels", ""), {})
    wanted = levels(room, listed=room.bot not in creators)
    is_now, users = _users(found), dict(wanted["users"])
    power = _power(room, state)
    for user, level in sorted(is_now.items()):
        if user != room.bot and _number(level) >= power and users.get(user) != level:
            users[user] = level
            yield problem(
                room,
                f"{user} has power level {level} and the bot {power:g}, so the bot cannot take "
                "it away: ask them to give it up, or use a room that the bot made",
            )
    wanted["users"] = users
    words = [
        f"{user} has {is_now.get(user, 'none')}, should have {users.get(user, 'none')}"
        for user in sorted({*users, *is_now})
        if users.get(user) != is_now.get(user)
    ]
    words += [
        f"{field} is {_shown(found.get(field))}, should be {value}"
        for field, value in wanted.items()
        if field != "users" and found.get(field) != value
    ]
    if words:
        mend = _put(here, "m.room.power_levels", "", {**found, **wanted})
        yield differs(room, f"power levels: {'; '.join(words)}", mend)


def _memberships(room: Want, here: RoomId, state: State) -> Iterator[Difference]:
    """Compare who is in it; nobody is put out yet."""
    found = {
        UserId(user): str(content.get("membership"))
        for (kind, user), content in state.items()
        if kind == "m.room.member"
    }
    for user in room.members:
        match found.get(user):
            case "join" | "invite":
                continue
            case "ban":
                yield problem(room, f"{user} is banned: lift the ban, or change the register")
                continue
            case "leave":
                what = f"{user} has left or declined: not invited"
            case _:
                what = f"{user} is not invited"
        path = f"{V3}/rooms/{quote(here)}/invite"
        yield differs(room, what, Request(method="POST", path=path, body={"user_id": user}))
    for user, membership in sorted(found.items()):
        if membership in {"join", "invite"} and user not in {*room.members, room.bot}:
            way = "in the room" if membership == "join" else "invited"
            yield problem(room, f"{user} is {way} but not on the register")


def _within_power(room: Want, found: Sequence[Difference], state: State) -> Iterator[Difference]:
    """Leave *found* as it is if the bot may mend it; else say first why it may not."""
    power = _power(room, state)
    if power >= _FULL_POWER:
        yield from found
        return
    yield problem(
        room,
        f"{room.bot} has power level {power:g} in it and needs {_FULL_POWER}: ask who has that "
        "much to raise it, or use a room that the bot made",
    )
    for difference in found:
        yield replace(difference, problem=True, mend=None)
