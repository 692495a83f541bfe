"""Which rooms and people a force has approved: rooms.yaml, people.csv and rooms.lock.yaml.

Never opens a file or asks a server: text in, values out, and every complaint has file and line.
"""

from bridge.register.names import person_id, room_id
from bridge.register.people import ROLES, People, Person, load_people
from bridge.register.rooms import (
    Entry,
    History,
    Information,
    Lock,
    Marking,
    Register,
    Space,
    dump_lock,
    load_lock,
    load_rooms,
)

__all__ = [
    "ROLES",
    "Entry",
    "History",
    "Information",
    "Lock",
    "Marking",
    "People",
    "Person",
    "Register",
    "Space",
    "dump_lock",
    "load_lock",
    "load_people",
    "load_rooms",
    "person_id",
    "room_id",
]
