"""How a room on the server differs from what it should be, and what would mend it.

Never asks a server anything: a room's state comes in; differences go out, each with the request
that mends it where one can.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.matrix.api import quote
from bridge.matrix.desired import (
    CLASS_TYPE,
    LOCK_TYPE,
    OLD_VERSIONS,
    RETENTION_TYPE,
    Content,
    State,
    Want,
    levels,
)
from bridge.model import RoomId, UserId
from bridge.rooms.belonging import too_many
from bridge.rooms.premises import Sort

V3 = "/_matrix/client/v3"
#: What the bot needs in a room that somebody else made: only it may change state.
_FULL_POWER = 100
_LONGEST_SHOWN = 80
_MOST_NAMED = 5
#: Memberships of people who are in a room, or about to be.
_THERE = frozenset({"join", "invite", "knock"})
_TOMBSTONE = "m.room.tombstone"
#: State whose content is one value: what people call it, and its field.
_SINGLE = {
    "m.room.name": ("name", "name"),
    "m.room.join_rules": ("join rule", "join_rule"),
    "m.room.history_visibility": ("history visibility", "history_visibility"),
    "m.room.guest_access": ("guest access", "guest_access"),
}
#: State that decides who gets in, who can read, and for how long.
_DOORS = frozenset(
    {
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "m.room.server_acl",
        "m.room.encryption",
        RETENTION_TYPE,
    }
)


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
    sort: Sort = Sort.SETTING
    #: The type of state or the person that it is about.
    about: str = ""

    def __str__(self) -> str:
        """Show it as one line."""
        return f"{self.room}: {self.what}"


def differs(
    room: Want,
    what: str,
    mend: Request | None = None,
    sort: Sort = Sort.SETTING,
    about: str = "",
) -> Difference:
    """Say something that `apply` puts right."""
    return Difference(key=room.key, room=room.name, what=what, mend=mend, sort=sort, about=about)


def problem(room: Want, what: str, sort: Sort = Sort.KNOWN, about: str = "") -> Difference:
    """Say something that a person has to see to."""
    return Difference(key=room.key, room=room.name, what=what, problem=True, sort=sort, about=about)


def state_of(events: Sequence[Content]) -> State:
    """Sort a room's state events.

    m.room.create gets a "creator" in every room version, a tombstone its "sender" and "event_id".
    """
    state = {(str(e["type"]), str(e["state_key"])): dict(e["content"]) for e in events}
    for event in events:
        if event["type"] == "m.room.create":
            state["m.room.create", ""]["creator"] = event["sender"]
        if event["type"] == _TOMBSTONE and event["state_key"] == "" and event["content"]:
            which = {"sender": event["sender"], "event_id": event.get("event_id")}
            state[_TOMBSTONE, ""].update(which)
    return state


def authors(events: Sequence[Content]) -> Mapping[tuple[str, str], UserId]:
    """Say who made each piece of a room's state what it is."""
    return {(str(e["type"]), str(e["state_key"])): UserId(_hand(e)) for e in events}


def _hand(event: Content) -> str:
    """Name who set a piece of state, or took all of it out: state can be redacted, too."""
    removal = dict(event.get("unsigned") or {}).get("redacted_because")
    if isinstance(removal, Mapping) and not event["content"]:
        return str(removal.get("sender", event["sender"]))
    return str(event["sender"])


def why_locked(events: Sequence[Content], bot: UserId) -> str:
    """Why the bot has locked a room; empty if it has not. Nobody else's word counts."""
    for event in events:
        if event["type"] == LOCK_TYPE and event["state_key"] == "" and event["sender"] == bot:
            reason = dict(event["content"]).get("reason")
            return reason if isinstance(reason, str) else ""
    return ""


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
    if state.get((_TOMBSTONE, "")):
        yield _replaced(room, here, state[_TOMBSTONE, ""])
    for (kind, state_key), content in room.state.items():
        found = state.get((kind, state_key), {})
        if kind == "m.room.encryption" and found != content:
            yield _encryption(room, here, content, state)
        elif found != content:
            what = _words(kind, found, content, room)
            sort = Sort.DOOR if kind in _DOORS else Sort.SETTING
            yield differs(room, what, _put(here, kind, state_key, content), sort, kind)
    forgets = (RETENTION_TYPE, "")
    if forgets not in room.state and state.get(forgets):
        what = "the server is told to forget what was said in it, which it should not be"
        yield differs(room, what, _put(here, *forgets, {}), Sort.DOOR, RETENTION_TYPE)
    for what, user in room.gone:
        yield problem(room, f"its {what} {user} is not listed any more: name another")
    if room.locked:
        how = f"is locked ({_shown(room.locked)}): say 'bluelamp rooms unlock {room.key}'"
        yield problem(room, how, Sort.LOCKED)


def _replaced(room: Want, here: RoomId, tombstone: Content) -> Difference:
    """Say that a room has a successor; one that somebody else than the bot gave it is none."""
    if tombstone.get("sender", room.bot) == room.bot:
        what = "was replaced by another room (it has a tombstone): update its id"
        return problem(room, what, Sort.REPLACED)
    to = _shown(tombstone.get("replacement_room"))
    what = f"people are sent on to the room {to}, which the register does not know"
    # The server takes no empty tombstone; one that is redacted names no room.
    event = str(tombstone["event_id"])
    path = f"{V3}/rooms/{quote(here)}/redact/{quote(event)}/{quote(f'back-{event}')}"
    body = {"reason": "Not on the register of this room"}
    mend = Request(method="PUT", path=path, body=body)
    return differs(room, what, mend, Sort.DOOR, _TOMBSTONE)


def _words(kind: str, found: Content, content: Content, room: Want) -> str:
    if kind in _SINGLE:
        label, field = _SINGLE[kind]
        if found.get(field) == content[field]:
            return f"{label} has something added to it"
        return f"{label} is {_shown(found.get(field))}, should be {content[field]}"
    return {
        "m.room.topic": "topic is not the notice",
        "m.room.avatar": "picture is not that of its class",
        "m.room.server_acl": f"other servers than {_and(content.get('allow', ()))} are let in",
        RETENTION_TYPE: "how long the server shows messages is not what the class says",
        "m.space.parent": f"does not name {room.parent} as its space",
        CLASS_TYPE: f"class mark ({CLASS_TYPE}) is missing or not the register's",
    }[kind]


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shown(value: object) -> str:
    """Show what somebody else wrote, so that it cannot write to the terminal."""
    if value is None:
        return "not set"
    text = str(value)[:_LONGEST_SHOWN]
    return text if text.isprintable() else repr(text)


def _encryption(room: Want, here: RoomId, content: Content, state: State) -> Difference:
    kind = "m.room.encryption"
    found = state.get((kind, ""))
    mend = _put(here, kind, "", content)
    if found is None and maker(state) != room.bot:
        if _power(room, state) < _FULL_POWER:
            return problem(
                room,
                f"was made without encryption by {maker(state)}, and the bot may not switch it on: "
                "it cannot be made safe here, use another room",
                Sort.DOOR,
                kind,
            )
        past = "what was said in it so far stays readable to the server"
        return differs(room, f"is not encrypted ({past})", mend, Sort.DOOR, kind)
    if found is None:
        return differs(room, "is not encrypted", mend, Sort.DOOR, kind)
    if found.get("algorithm") != content["algorithm"]:
        what = f"is encrypted by {_shown(found.get('algorithm'))}, which phones cannot read"
        return differs(room, what, mend, Sort.DOOR, kind)
    what = "encryption changes its keys otherwise than it should"
    return differs(room, what, mend, Sort.DOOR, kind)


def _creators(state: State) -> frozenset[UserId]:
    """List who outranks everybody for good."""
    create = state.get(("m.room.create", ""), {})
    if str(create.get("room_version", "1")) in OLD_VERSIONS:
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
            Sort.OUTRANKED,
            other,
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
                Sort.OUTRANKED,
                user,
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
        kind = "m.room.power_levels"
        yield differs(room, f"power levels: {'; '.join(words)}", mend, Sort.POWER, kind)


def _memberships(room: Want, here: RoomId, state: State) -> Iterator[Difference]:
    """Compare who is in it."""
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
                what = f"{user} is banned: lift the ban, or change the register"
                yield problem(room, what, Sort.KNOWN, user)
                continue
            case "leave":
                what = f"{user} has left or declined: not invited"
            case _:
                what = f"{user} is not invited"
        path = f"{V3}/rooms/{quote(here)}/invite"
        mend = Request(method="POST", path=path, body={"user_id": user})
        yield differs(room, what, mend, Sort.MISSING, user)
    strangers = {
        user: membership
        for user, membership in sorted(found.items())
        if membership in _THERE and user not in {*room.members, room.bot}
    }
    # A list that was cut short has lost who was on it: people of ours, who belonged here.
    going = [one for one in strangers if one.endswith(f":{room.server}") and _belonged(room, one)]
    there = sum(way in _THERE for way in found.values()) - (len(strangers) - len(going))
    if too_many(len(going), there) and not room.put_out:
        what = (
            f"{len(going)} of {there} people are not on the register, which is more than a tenth: "
            f"{_some(going)}. If they are to go, say 'bluelamp rooms apply --put-out'"
        )
        yield problem(room, what, Sort.UNSURE)
        strangers = {one: way for one, way in strangers.items() if one not in going}
    for user, membership in strangers.items():
        yield _stranger(room, here, user, membership)


def _belonged(room: Want, user: UserId) -> bool:
    """Say whether *user* may have been on the room's list; where nobody knows, anybody may."""
    return room.belonged is None or user in room.belonged


def present(state: State) -> frozenset[UserId]:
    """List who is in a room, asked in, or asking to come in."""
    return frozenset(
        UserId(user)
        for (kind, user), content in state.items()
        if kind == "m.room.member" and content.get("membership") in _THERE
    )


def _stranger(room: Want, here: RoomId, user: UserId, membership: str) -> Difference:
    """Say that somebody is there who does not belong; they can be put out."""
    way = {"join": "in the room", "invite": "invited"}.get(membership, "asking to come in")
    body = {"user_id": user, "reason": "Not on the register of this room"}
    mend = Request(method="POST", path=f"{V3}/rooms/{quote(here)}/kick", body=body)
    what = f"{user} is {way} but not on the register"
    return differs(room, what, mend, Sort.STRANGER, user)


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
        Sort.POWER,
        room.bot,
    )
    for difference in found:
        yield replace(difference, problem=True, mend=None)
