"""What `bluelamp run` is made of, once everything that can be wrong was checked.

Never asks a server anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.config import Config, load_identity, load_register
from bridge.model import Ms, Room, RoomClass, RoomId
from bridge.officers.reception import practising
from bridge.policy import Policy
from bridge.register import Lock, People, Register
from bridge.rooms.estate import Held, stamp
from bridge.running import drafts
from bridge.store.book import Identity


def now() -> Ms:
    """Return the time."""
    return Ms(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What `bluelamp run` is made of, once everything that can be wrong was checked."""

    config: Config
    policy: Policy
    #: The register, which another takes the place of as soon as its file is another.
    held: Held
    #: Who was listed at the start.
    people: People
    #: The approved rooms and the spaces; shared with whoever asks, and kept up to date.
    rooms: dict[RoomId, Room]
    identity: Identity
    #: Rooms of class audit, where checkpoints are posted; spaces are none. Kept up to date.
    auditors: list[RoomId] = field(default_factory=list)

    @property
    def register(self) -> Register:
        """The approved rooms as people wrote them down."""
        return self.held.register

    @property
    def lock(self) -> Lock:
        """Which room on the server each key of the register is."""
        return self.held.lock

    @property
    def review(self) -> RoomId | None:
        """The room where people are asked, if there is one."""
        return next((r.id for r in self.rooms.values() if r.cls is RoomClass.REVIEW), None)

    def asked_in(self, key: str) -> RoomId | None:
        """Where people are asked about the room *key*: where it says so, else as of all others."""
        entry = self.register.rooms.get(key)
        named = entry.review_room if entry is not None else None
        room = self.register.id_of(named, self.lock) if named is not None else None
        return room or self.review

    def take(self, register: Register, lock: Lock, people: People) -> None:
        """Have everybody who asks know another register, in one step."""
        self.held.register, self.held.lock = register, lock
        closed = {lock.ids.get(key) for key in lock.retired}  # heard until the bot is out of them
        known = {i: room for i, room in self.rooms.items() if i in closed}
        known |= _known(self.config, register, lock, people)
        self.rooms.clear()
        self.rooms.update(known)
        self.auditors[:] = _audited(register, lock, known)


def check(config: Config) -> Parts:
    """Read and check everything that the force writes.

    Raises:
        ConfigError: something in it is wrong.
    """
    policy = drafts.deciding(config)
    read = stamp(config.rooms, config.lock)  # what changes from here on is taken up later
    register, people, lock = load_register(config)
    identity = load_identity(config, policy)
    for retention in sorted(policy.retention):
        identity.certificates.recipients(retention, now())
        if identity.reviewers is not None:
            identity.reviewers.recipients(retention, now())
    known = _known(config, register, lock, people)
    return Parts(
        config=config,
        policy=policy,
        held=Held(register, lock, read),
        people=people,
        rooms=known,
        identity=identity,
        auditors=_audited(register, lock, known),
    )


def _known(config: Config, register: Register, lock: Lock, people: People) -> dict[RoomId, Room]:
    """The approved rooms and the spaces whose ids are known."""
    listed = practising(register.resolve(lock, people), config)
    return {**_spaces(register, lock), **listed}


def _audited(register: Register, lock: Lock, known: Mapping[RoomId, Room]) -> list[RoomId]:
    """Which of the *known* rooms are for auditors."""
    spaces = _spaces(register, lock)
    return [i for i, one in known.items() if one.cls is RoomClass.AUDIT and i not in spaces]


def _spaces(register: Register, lock: Lock) -> dict[RoomId, Room]:
    """The spaces, which hold no talk: what changes in them is recorded."""
    found = ((register.id_of(space.key, lock), space.name) for space in register.spaces())
    return {i: Room(id=i, cls=RoomClass.AUDIT, name=name) for i, name in found if i is not None}
