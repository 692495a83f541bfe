"""People of other servers who may be in community rooms: by named server, and until a day.

Never lets anybody in without a last day.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import TypeAlias

from bridge.model import RoomClass, UserId
from bridge.nodes import Node
from bridge.register.people import user_id

SERVER = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")

#: Other servers, each with the last day on which its people may be guests.
Partners: TypeAlias = Mapping[str, datetime.date]
#: Guests of a room, each with the last day on which they belong there.
Guests: TypeAlias = tuple[tuple[UserId, datetime.date], ...]


def read_partners(node: Node | None, own: str) -> Partners:
    """Read the partners: a server each, and until when."""
    found: dict[str, datetime.date] = {}
    for name, value in node.items() if node is not None else ():
        if SERVER.fullmatch(name) is None or name == own:
            value.fail(f"{name!r} is not the name of another server")
        found[name] = value.mapping(required=["until"])["until"].date()
    return found


def read_guests(node: Node | None, cls: RoomClass, partners: Partners) -> Guests:
    """Read the guests of a room of class *cls*."""
    if node is None:
        return ()
    if cls is not RoomClass.COMMUNITY:
        node.fail("only a room of class community may have guests")
    found: dict[UserId, datetime.date] = {}
    for item in node.list():
        got = item.mapping(required=["id", "until"])
        user = got["id"].read(user_id)
        if server_of(user) not in partners:
            got["id"].fail(f"{user} is on no server of the partners in this register")
        if user in found:
            got["id"].fail(f"{user} is a guest of this room already")
        found[user] = got["until"].date()
    return tuple(found.items())


def welcome(guests: Guests, partners: Partners, today: datetime.date) -> tuple[UserId, ...]:
    """List the guests whose day, and whose server's day, has not passed."""
    return tuple(one for one, until in guests if today <= min(until, partners[server_of(one)]))


def server_of(user: UserId) -> str:
    """Name the server that somebody is on."""
    return user.partition(":")[2]
