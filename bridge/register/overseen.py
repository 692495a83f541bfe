"""The register with what people have decided since it was written.

Never changes a room otherwise: its label, and when it is reviewed next.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from bridge.register.rooms import Register

_ROOM = "room:"


def overseen(
    register: Register,
    groups: Iterable[tuple[str, int]],
    reviews: Iterable[tuple[str, datetime.date]],
) -> Register:
    """Give rooms the MoPI groups and review dates that people gave `room:KEY`, oldest first.

    What rooms.yaml says of a group counts more; of two dates the later one does.
    """
    rooms = dict(register.rooms)
    given = {item.removeprefix(_ROOM): group for item, group in groups if item.startswith(_ROOM)}
    for key, group in given.items():
        if key in rooms and rooms[key].mopi is None:
            rooms[key] = replace(rooms[key], mopi=group)
    for item, day in reviews:
        entry = rooms.get(item.removeprefix(_ROOM)) if item.startswith(_ROOM) else None
        if entry is not None and day > entry.review:
            rooms[entry.key] = replace(entry, review=day)
    return replace(register, rooms=MappingProxyType(rooms))
