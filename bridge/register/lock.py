"""Which room on the server each key of rooms.yaml is, and which are retired: rooms.lock.yaml.

Never opens a file: text in, values out, and every complaint has file and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import yaml

from bridge.model import RoomId
from bridge.nodes import parse

_HEAD = (
    "# Written by `bluelamp rooms apply`: which room on the server each key of rooms.yaml is.\n"
    "# Keep it beside rooms.yaml. An `id:` in rooms.yaml wins over a line here.\n"
)
_ROOM = re.compile(r"![^\s:]+(?::\S+)?")
_FILE = re.compile(r"mxc://[^\s/]+/[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Which room on the server each key is, as far as the bot made or found it."""

    ids: Mapping[str, RoomId] = field(default_factory=lambda: MappingProxyType({}))
    #: Rooms that were closed for good, each with the reason.
    retired: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Rooms that are being closed: it was ordered, and may have stopped half-way.
    retiring: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Where on the server the pictures of the classes lie (mxc://…), by their names.
    pictures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def with_room(self, key: str, room: RoomId) -> Lock:
        """Return a lock that also knows *key*."""
        return replace(self, ids=MappingProxyType({**self.ids, key: room}))

    def with_picture(self, name: str, url: str) -> Lock:
        """Return a lock that also knows where a picture lies."""
        return replace(self, pictures=MappingProxyType({**self.pictures, name: url}))

    def without(self, key: str, reason: str) -> Lock:
        """Return a lock in which *key* is retired."""
        return replace(self, retired=MappingProxyType({**self.retired, key: reason}))

    def closing(self, key: str, reason: str) -> Lock:
        """Return a lock in which *key* is being retired."""
        return replace(self, retiring=MappingProxyType({**self.retiring, key: reason}))

    @property
    def closed(self) -> frozenset[str]:
        """Rooms that nobody is asked into any more: retired, or on the way to it."""
        return frozenset((*self.retired, *self.retiring))

    def over(self, before: Lock) -> Lock:
        """Return what both know, so that nothing is lost that *before* has; ours wins.

        Whoever was retired meanwhile stays so.
        """
        retired = {**before.retired, **self.retired}
        retiring = {**before.retiring, **self.retiring}
        return Lock(
            ids=MappingProxyType({**before.ids, **self.ids}),
            retired=MappingProxyType(retired),
            retiring=MappingProxyType({k: v for k, v in retiring.items() if k not in retired}),
            pictures=MappingProxyType({**before.pictures, **self.pictures}),
        )


def load_lock(text: str, source: str) -> Lock:
    """Read rooms.lock.yaml. Raises ConfigError with file and line."""
    ids: dict[str, RoomId] = {}
    got = parse(text, source).mapping(
        required=["rooms"], optional=["retired", "retiring", "pictures"]
    )
    for key, node in got["rooms"].items():
        room = node.read(room_id)
        if room in ids.values():
            node.fail(f"the room {room} is given for two keys")
        ids[key] = room
    retired, retiring = (
        {key: node.text() for key, node in got[name].items()} if name in got else {}
        for name in ("retired", "retiring")
    )
    drawn = got["pictures"].items() if "pictures" in got else ()
    pictures = {name: node.read(mxc) for name, node in drawn}
    return Lock(
        ids=MappingProxyType(ids),
        retired=MappingProxyType(retired),
        retiring=MappingProxyType(retiring),
        pictures=MappingProxyType(pictures),
    )


def dump_lock(lock: Lock) -> str:
    """Write what `load_lock` reads."""
    said: dict[str, object] = {"rooms": {key: str(room) for key, room in lock.ids.items()}}
    if lock.retired:
        said["retired"] = dict(lock.retired)
    if lock.retiring:
        said["retiring"] = dict(lock.retiring)
    if lock.pictures:
        said["pictures"] = dict(lock.pictures)
    return _HEAD + yaml.safe_dump(said, allow_unicode=True)


def mxc(text: str) -> str:
    """Check where a file lies; raises ValueError."""
    if _FILE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a file on a homeserver, which starts with 'mxc://'")
    return text


def room_id(text: str) -> RoomId:
    """Check a room's id; raises ValueError."""
    if _ROOM.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a room id, which starts with '!'")
    return RoomId(text)
