"""Finds the Matrix id of a room or person by whatever people call them.

Never guesses: a name is the whole name, a key or an id.
"""

from __future__ import annotations

from bridge.register.lock import Lock
from bridge.register.people import People
from bridge.register.rooms import Register


def person_id(people: People, name: str) -> str | None:
    """Find a person by id, full name or collar number; an id of nobody listed is taken as it is."""
    for person in people.persons.values():
        if name in {person.id, person.name, person.collar}:
            return person.id
    return name if name.startswith("@") and ":" in name else None


def room_id(register: Register, lock: Lock, name: str) -> str | None:
    """Find a room by id, key or name; also one that is not on the server yet."""
    for room in register.resolve(lock).values():
        if name in {room.id, room.name}:
            return room.id
    for key, entry in register.rooms.items():
        if name in {key, entry.name}:
            return register.id_of(key, lock)
    return None
