"""Which rooms are approved: rooms.yaml and rooms.lock.yaml, read strictly.

Never opens a file or asks a server: text in, values out, and every complaint has file and line.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from bridge.model import JUDGED, Room, RoomClass, RoomId, UserId
from bridge.nodes import Node, parse
from bridge.register.lock import Lock, room_id
from bridge.register.partners import (
    SERVER,
    Guests,
    Partners,
    read_guests,
    read_partners,
    welcome,
)
from bridge.register.people import People, user_id


class Information(StrEnum):
    """What a room's messages are to the force: corporate records, or policing information."""

    CORPORATE = "corporate"
    OPERATIONAL = "operational"


class Marking(StrEnum):
    """The highest Government Security Classification that may be said in a room."""

    OFFICIAL = "OFFICIAL"
    OFFICIAL_SENSITIVE = "OFFICIAL-SENSITIVE"


class History(StrEnum):
    """From when on a new member can read; Matrix's m.room.history_visibility."""

    INVITED = "invited"
    JOINED = "joined"
    SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The force's space or a team's: a folder of rooms that nobody talks in."""

    key: str
    name: str
    id: RoomId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One approved room, as the force wrote it down."""

    key: str
    cls: RoomClass
    name: str
    #: Empty for the rooms of the whole force.
    team: str
    information: Information
    ceiling: Marking
    owner: UserId
    #: May invite, remove people and take out messages. Always a member.
    supervisor: UserId
    purpose: str
    #: The reference of the data protection impact assessment.
    dpia: str
    review: datetime.date
    #: Key of the room where operational talk goes; None where it is at home.
    secure: str | None
    #: Key of the room where a person is asked about this one.
    review_room: str | None
    history: History
    members: tuple[UserId, ...]
    #: Teams of people.csv whose people are members.
    rosters: tuple[str, ...]
    #: Nothing is sent or removed about its messages; the record says what would have been.
    rehearse: bool = False
    #: Of a room that exists already; else the lock knows it, or `rooms apply` makes it.
    id: RoomId | None = None
    #: Where it stands in the register.
    line: int = 0
    #: People of partners, each until a day (the last on which they belong there).
    guests: Guests = ()
    #: The MoPI group that people have given what is said there; None where nobody has.
    mopi: int | None = None

    @property
    def labelled(self) -> bool:
        """Say whether messages may leave the room when their time is over.

        Operational information has to be given a group by people first.
        """
        return self.information is Information.CORPORATE or self.mopi is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """All approved rooms of a force."""

    source: str
    #: The force's server name, such as force.example; members are all on it.
    server: str
    force: Space
    #: Each team's space, by the team's name.
    teams: Mapping[str, Space]
    #: By key, as the file orders them.
    rooms: Mapping[str, Entry]
    #: Other servers whose people may be guests, each until a day.
    partners: Partners = field(default_factory=dict)

    def spaces(self) -> Iterator[Space]:
        """List the force's space, then the teams'."""
        yield self.force
        yield from self.teams.values()

    def id_of(self, key: str, lock: Lock) -> RoomId | None:
        """Say which room *key* is, if that is known."""
        known: Mapping[str, Space | Entry] = {space.key: space for space in self.spaces()}
        place = known.get(key) or self.rooms[key]
        return place.id or lock.ids.get(key)

    def members(self, entry: Entry, people: People) -> tuple[UserId, ...]:
        """List who belongs in a room, each once: its supervisor, those named, those on rosters."""
        rosters = [person.id for name in entry.rosters for person in people.team(name)]
        named = dict.fromkeys((entry.supervisor, *entry.members, *rosters))
        return tuple(user for user in named if user in people.persons)

    def guests(self, entry: Entry, today: datetime.date) -> tuple[UserId, ...]:
        """List the people of partners who belong in a room today."""
        return welcome(entry.guests, self.partners, today)

    def resolve(self, lock: Lock, people: People | None = None) -> dict[RoomId, Room]:
        """Map the approved rooms whose id is known; a room that is not in it is not approved.

        With *people*, each room knows who may be in its secure room.
        """
        rooms = {}
        for entry in self.rooms.values():
            room = self.id_of(entry.key, lock)
            if room is None or entry.key in lock.retired:
                continue
            secure = self.rooms[entry.secure] if entry.secure else None
            rooms[room] = Room(
                id=room,
                cls=entry.cls,
                name=entry.name,
                secure=self.id_of(secure.key, lock) if secure else None,
                secure_name=secure.name if secure else "",
                review=self.id_of(entry.review_room, lock) if entry.review_room else None,
                supervisor=entry.supervisor,
                owner=entry.owner,
                team=entry.team,
                ceiling=entry.ceiling.value,
                rehearse=entry.rehearse,
                entitled=frozenset(self.members(secure, people)) if secure and people else None,
                members=self._allowed(entry, people) if people else None,
                intake=self._intake(entry, lock),
            )
        return rooms

    def _allowed(self, entry: Entry, people: People) -> frozenset[UserId]:
        return frozenset((*self.members(entry, people), *(one for one, _ in entry.guests)))

    def _intake(self, entry: Entry, lock: Lock) -> RoomId | None:
        """The intake room of the entry's team, or else the force's."""
        found = {one.team: one.key for one in self.rooms.values() if one.cls is RoomClass.INTAKE}
        key = found.get(entry.team) or found.get("")
        return self.id_of(key, lock) if key else None


def load_rooms(
    text: str, source: str, people: People | None = None, *, strict: bool = True
) -> Register:
    """Read rooms.yaml; with *people*, also check that everybody named in it is one of them.

    Not *strict*: somebody who is named and has left is no mistake in it, but in no room.

    Raises ConfigError with file and line.
    """
    top = parse(text, source).mapping(
        required=["server", "force", "teams", "rooms"], optional=["partners"]
    )
    found = _Reader(top["server"].read(_server_name), people if strict else None)
    return found.read(top, source)


class _Reader:
    """Reads one register, and remembers what must not come twice."""

    def __init__(self, server: str, people: People | None) -> None:
        self.server, self.people = server, people
        self.partners: Partners = {}
        self.taken: dict[tuple[str, str], int] = {}

    def read(self, top: Mapping[str, Node], source: str) -> Register:
        force = self.space(top["force"], "")
        teams = {name: self.space(node, name) for name, node in top["teams"].items()}
        nodes = dict(top["rooms"].items())
        self.partners = read_partners(top.get("partners"), self.server)
        rooms = {key: self.entry(key, node, teams) for key, node in nodes.items()}
        reviews = [key for key, entry in rooms.items() if entry.cls is RoomClass.REVIEW]
        for key, node in nodes.items():
            rooms[key] = _linked(rooms, key, dict(node.items()), node, reviews)
        return Register(
            source=source,
            server=self.server,
            force=force,
            teams=MappingProxyType(teams),
            rooms=MappingProxyType(rooms),
            partners=self.partners,
        )

    def space(self, node: Node, team: str) -> Space:
        needed = ["space"] if team else ["name", "space"]
        got = node.mapping(required=needed, optional=["id"])
        name = team or got["name"].text()
        space = Space(key=got["space"].read(_key), name=name, id=_optional_id(got))
        self.once(got["space"], "key", space.key)
        self.once(node, "name", name.casefold())
        if space.id is not None:
            self.once(got["id"], "id", space.id)
        return space

    def entry(self, key: str, node: Node, teams: Mapping[str, Space]) -> Entry:
        got = node.mapping(required=_REQUIRED, optional=_OPTIONAL)
        cls = got["class"].member(RoomClass)
        if cls is RoomClass.DIRECT:
            got["class"].fail("direct rooms are made by the bot as it needs them: do not list them")
        members, rosters = self.members(got["members"])
        entry = Entry(
            key=key,
            cls=cls,
            name=got["name"].text(),
            team=_team(got, node, cls, teams),
            information=got["information"].member(Information),
            ceiling=got["ceiling"].member(Marking),
            owner=self.person(got["owner"]),
            supervisor=self.person(got["supervisor"]),
            purpose=got["purpose"].text(),
            dpia=got["dpia"].text(),
            review=got["review"].date(),
            secure=got["secure"].text() if "secure" in got else None,
            review_room=got["review_room"].text() if "review_room" in got else None,
            history=got["history"].member(History) if "history" in got else History.INVITED,
            members=members,
            rosters=rosters,
            rehearse=got["rehearse"].boolean() if "rehearse" in got else False,
            id=_optional_id(got),
            line=node.line,
            mopi=got["mopi"].integer(least=1, most=4) if "mopi" in got else None,
            guests=read_guests(got.get("guests"), cls, self.partners),
        )
        try:
            _key(key)
        except ValueError as exc:
            node.fail(str(exc))
        self.once(node, "key", key)
        self.once(got["name"], "name", entry.name.casefold())
        if entry.id is not None:
            self.once(got["id"], "id", entry.id)
        return entry

    def members(self, node: Node) -> tuple[tuple[UserId, ...], tuple[str, ...]]:
        """Read `team: name`, or a list of Matrix ids and such teams: (people, rosters)."""
        users: list[UserId] = []
        rosters: list[str] = []
        for item in [node] if node.is_mapping() else node.list(empty=True):
            if not item.is_mapping():
                users.append(self.person(item))
                continue
            team = item.mapping(required=["team"])["team"]
            rosters.append(team.text())
            if self.people is not None:
                self.roster(team)
        return tuple(dict.fromkeys(users)), tuple(dict.fromkeys(rosters))

    def roster(self, node: Node) -> None:
        people = self.people.team(node.text()) if self.people else ()
        if self.people and not people:
            node.fail(f"nobody in {self.people.source} is in the team {node.text()!r}")
        for person in people:
            if not person.id.endswith(f":{self.server}"):
                node.fail(f"{person.id} of this team is not on {self.server}")

    def person(self, node: Node) -> UserId:
        user = node.read(user_id)
        if not user.endswith(f":{self.server}"):
            node.fail(f"{user} is not on {self.server}, and no other server is let in")
        if self.people is not None and user not in self.people.persons:
            node.fail(f"{user} is not in {self.people.source}")
        return user

    def once(self, node: Node, what: str, value: str) -> None:
        if (what, value) in self.taken:
            first = self.taken[what, value]
            node.fail(f"the {what} {value!r} is used already, on line {first}")
        self.taken[what, value] = node.line


_REQUIRED = (
    "class",
    "name",
    "information",
    "ceiling",
    "owner",
    "supervisor",
    "purpose",
    "dpia",
    "review",
    "members",
)
_OPTIONAL = ("team", "secure", "review_room", "history", "rehearse", "id", "guests", "mopi")
#: Rooms of a team; the others may belong to the whole force.
_OF_A_TEAM = JUDGED | {RoomClass.OPERATIONAL}

#: Markings, lowest first.
_RANK = (Marking.OFFICIAL, Marking.OFFICIAL_SENSITIVE)
_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")


def _key(text: str) -> str:
    if _KEY.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a key: small letters, digits and hyphens, 60 at most")
    return text


def _server_name(text: str) -> str:
    if SERVER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a server name such as force.example")
    return text


def _optional_id(got: Mapping[str, Node]) -> RoomId | None:
    return got["id"].read(room_id) if "id" in got else None


def _team(got: Mapping[str, Node], node: Node, cls: RoomClass, teams: Mapping[str, Space]) -> str:
    if "team" in got:
        return got["team"].choice(teams)
    if cls in _OF_A_TEAM:
        node.fail(f"the key 'team' is missing: a room of class {cls} belongs to a team")
    return ""


def _linked(
    rooms: Mapping[str, Entry],
    key: str,
    got: Mapping[str, Node],
    node: Node,
    reviews: list[str],
) -> Entry:
    """Check the keys that an entry refers to, and choose its review room."""
    entry = rooms[key]
    if entry.cls in JUDGED and entry.secure is None:
        node.fail(
            f"a room of class {entry.cls} needs a secure room: name with 'secure' the key of the "
            "room where its operational talk goes"
        )
    if entry.secure is not None:
        if entry.cls not in JUDGED:
            got["secure"].fail(f"a room of class {entry.cls} has no secure room: leave this out")
        _refer(rooms, got["secure"], RoomClass.OPERATIONAL)
        if _RANK.index(rooms[entry.secure].ceiling) < _RANK.index(entry.ceiling):
            got["secure"].fail(f"the room {entry.secure!r} has a lower ceiling than this one")
    if entry.cls is RoomClass.OPERATIONAL and entry.information is not Information.OPERATIONAL:
        got["information"].fail("an operational room holds operational information")
    if entry.review_room is not None:
        _refer(rooms, got["review_room"], RoomClass.REVIEW)
        return entry
    if len(reviews) > 1 and entry.cls is not RoomClass.REVIEW:
        node.fail(f"name with 'review_room' one of: {', '.join(reviews)}")
    if entry.cls is RoomClass.REVIEW:
        return replace(entry, review_room=key)
    return replace(entry, review_room=reviews[0] if reviews else None)


def _refer(rooms: Mapping[str, Entry], node: Node, cls: RoomClass) -> None:
    key = node.text()
    if key not in rooms:
        node.fail(f"there is no room {key!r} in this register")
    if rooms[key].cls is not cls:
        node.fail(f"the room {key!r} is of class {rooms[key].cls}, and must be {cls}")
