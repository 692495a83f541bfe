"""What is left of a message on the homeserver made of lists (`memory.MemoryTransport`).

Never used by `bluelamp run`. It keeps the promises of `remains.Remains`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from bridge.acting.remains import Later, Reach, Standing
from bridge.errors import NotPermitted
from bridge.matrix.memory import MemoryTransport, Sent
from bridge.model import EventId, Kind, Message, Ms, RoomId, UserId


@dataclass(slots=True, kw_only=True)
class MemoryRemains:
    """Looks and cleans up in the rooms of *transport*, which can be told to fail."""

    transport: MemoryTransport
    pinned: dict[RoomId, list[EventId]] = field(default_factory=dict)
    #: Rooms that are not encrypted, and other servers in a room.
    plain: set[RoomId] = field(default_factory=set)
    servers: dict[RoomId, tuple[str, ...]] = field(default_factory=dict)
    #: Whether we may delete files.
    admin: bool = True
    #: Who has uploaded which file, where it is not whoever brought it.
    uploaded: dict[str, UserId] = field(default_factory=dict)
    #: No more events are read than this.
    most: int = 20_000
    _marks: dict[RoomId, set[str]] = field(default_factory=dict)

    async def later(self, room: RoomId, event: EventId, *, since: Ms) -> Later:
        """Read what was said in *room* after *event*."""
        self._may("later")
        gone = self._gone(room)
        said = [m for m in self.transport.heard() if m.room == room]
        places = [place for place, m in enumerate(said) if m.event_id == event]
        after = said[places[0] + 1 :] if places else [m for m in said if m.sent_at >= since]
        return Later(
            messages=tuple(
                _emptied(m) if m.event_id in gone else m for m in after[: self.most]
            ),
            marks=frozenset(self._marks.get(room, ())),
            whole=len(after) <= self.most,
        )  # fmt: skip

    async def standing(self, room: RoomId, event: EventId) -> Standing:
        """Say how *event* stands now."""
        self._may("standing")
        if all((m.room, m.event_id) != (room, event) for m in self.transport.heard()):
            return Standing.ABSENT
        return Standing.EMPTY if event in self._gone(room) else Standing.THERE

    async def take_out(
        self, room: RoomId, event: EventId, reason: str, *, txn: str, mark: str
    ) -> None:
        """Redact *event*."""
        try:
            await self.transport.redact(room, event, reason, txn=txn)
        finally:
            if event in self._gone(room):
                self._marks.setdefault(room, set()).add(mark)

    async def unpin(
        self, room: RoomId, events: Collection[EventId], *, mark: str
    ) -> tuple[EventId, ...]:
        """Take *events* off the list of pinned ones."""
        self._may("unpin")
        pinned = self.pinned.get(room, [])
        off = tuple(one for one in dict.fromkeys(pinned) if one in events)
        if off:
            self.pinned[room] = [one for one in pinned if one not in off]
            self._marks.setdefault(room, set()).add(mark)
        return off

    async def drop_file(self, url: str, of: UserId) -> bool:
        """Delete a file."""
        self._may("drop_file")
        if not self.admin:
            return False
        server = url.removeprefix("mxc://").partition("/")[0]
        if server != self.transport.user.partition(":")[2]:
            raise NotPermitted(f"The file lies on {server}, which is not ours.")
        if self.uploaded.get(url, of) != of:
            raise NotPermitted("Somebody else has uploaded the file: it was left.")
        self.transport.files.pop(url, None)
        return True

    async def reach(self, room: RoomId, event: EventId) -> Reach:
        """Say who else may have what *event* said."""
        self._may("reach")
        return Reach(encrypted=room not in self.plain, servers=self.servers.get(room, ()))

    def _may(self, what: str) -> None:
        _, error = self.transport.fault(what)
        if error is not None:
            raise error

    def _gone(self, room: RoomId) -> set[EventId]:
        removals: list[Sent] = [one for one in self.transport.sent if one.room == room]
        return {one.removed for one in removals if one.removed is not None}


def _emptied(message: Message) -> Message:
    return replace(
        message, kind=Kind.OTHER, body="", formatted="", extra=(), media=(), content=b"{}",
        ciphertext=b"", replaces=None,
    )  # fmt: skip
