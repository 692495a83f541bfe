"""Which rooms and people a force has approved: rooms.yaml, people.csv and rooms.lock.yaml.

Never opens a file or asks a server: text in, values out, and every complaint has file and line.
"""

from bridge.register.lock import Lock, dump_lock, load_lock
from bridge.register.names import person_id, room_id
from bridge.register.overseen import overseen
from bridge.register.people import (
    COLUMNS,
    ROLES,
    People,
    Person,
    decode_people,
    load_people,
    write_people,
)
from bridge.register.rooms import (
    Entry,
    History,
    Information,
    Marking,
    Register,
    Space,
    load_rooms,
)

__all__ = [
    "COLUMNS",
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
    "decode_people",
    "dump_lock",
    "load_lock",
    "load_people",
    "load_rooms",
    "overseen",
    "person_id",
    "room_id",
    "write_people",
]
