"""A homeserver made of lists, which can be told to fail, before or after it has acted.

Never used by `bluelamp run`. It keeps the promises of `ports.Transport`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from bridge.errors import NotFound, TransportError
from bridge.matrix.posts import content
from bridge.model import Batch, Cursor, EventId, Kind, Message, Ms, RoomId, UserId
from bridge.ports import Clock, Post


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One thing that was done on this homeserver."""

    event: EventId
    room: RoomId
    txn: str
    at: Ms
    #: What was posted; None for a removal.
    post: Post | None = None
    #: What was taken out; None for a post.
    removed: EventId | None = None


_BOT = UserId("@bluelamp:force.example")

#: Says what should go wrong with a call: (whether it takes effect, what is raised).
Fault = Callable[[str], tuple[bool, TransportError | None]]


def no_fault(_: str) -> tuple[bool, TransportError | None]:
    """Nothing goes wrong."""
    return True, None


@dataclass(slots=True, kw_only=True)
class MemoryTransport:
    """Rooms in which people say things, for tests of everything that is not Matrix."""

    clock: Clock
    user: UserId = _BOT
    fault: Fault = no_fault
    #: How long each send takes, in seconds.
    delay_s: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    #: Who is not in which room.
    outside: set[tuple[RoomId, UserId]] = field(default_factory=set)
    invited: set[tuple[RoomId, UserId]] = field(default_factory=set)
    #: New room → old room.
    upgraded: dict[RoomId, RoomId] = field(default_factory=dict)
    _batches: list[Batch] = field(default_factory=list)
    _events: dict[EventId, Message] = field(default_factory=dict)
    _directs: dict[UserId, RoomId] = field(default_factory=dict)
    _locked: dict[EventId, Message] = field(default_factory=dict)

    # What a test does

    def say(self, *messages: Message) -> Batch:
        """Have something said; it comes in the next batch."""
        for message in messages:
            self._events[message.event_id] = message
        batch = Batch(messages=messages, cursor=Cursor(f"s{len(self._batches) + 1}"))
        self._batches.append(batch)
        return batch

    def lock(self, message: Message) -> Message:
        """Make a message unreadable until `unlock`."""
        dark = replace(message, kind=Kind.UNREADABLE, body="", formatted="", doubt="no key")
        self._locked[message.event_id] = message
        return dark

    def unlock(self, event: EventId) -> None:
        """Have the key of a locked message arrive."""
        message = self._locked.pop(event)
        self._events[event] = message
        self._batches.append(Batch(messages=(replace(message, late=True),)))

    def heard(self) -> tuple[Message, ...]:
        """Everything that was said, oldest first."""
        return tuple(self._events.values())

    # What it promises

    async def batches(
        self, since: Cursor | None, waiting: Sequence[Message]
    ) -> AsyncIterator[Batch]:
        """Everything after *since*, and then it ends instead of waiting."""
        seen = [batch.cursor for batch in self._batches]
        for batch in self._batches[seen.index(since) + 1 if since else 0 :]:
            yield batch

    async def send(self, room: RoomId, post: Post, *, txn: str) -> EventId:
        """Post in *room*."""
        return await self._do("send", Sent(
            event=EventId(f"$sent-{txn}"), room=room, txn=txn, at=self.clock(), post=post
        ))  # fmt: skip

    async def redact(self, room: RoomId, event: EventId, reason: str, *, txn: str) -> EventId:
        """Take *event* out."""
        return await self._do("redact", Sent(
            event=EventId(f"$gone-{txn}"), room=room, txn=txn, at=self.clock(), removed=event
        ))  # fmt: skip

    async def _do(self, name: str, what: Sent) -> EventId:
        applies, error = self.fault(name)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if applies and all(other.txn != what.txn for other in self.sent):
            self.sent.append(what)
        if error is not None:
            raise error
        return what.event

    def origin(self, room: RoomId) -> RoomId:
        """The room that *room* continues after upgrades."""
        return self.upgraded.get(room, room)

    def newest(self, room: RoomId) -> RoomId:
        """The room that continues *room* after upgrades."""
        return next((new for new, old in self.upgraded.items() if old == room), room)

    def is_member(self, room: RoomId, user: UserId) -> bool:
        """Say whether *user* is in *room*, or what continues it."""
        return (self.newest(room), user) not in self.outside

    def is_direct(self, room: RoomId) -> bool:
        """Say whether we made *room* to speak with one person."""
        return room in self._directs.values()

    async def find(self, room: RoomId, txn: str, *, since: Ms) -> EventId | None:
        """Look for what was sent under *txn*."""
        for one in self.sent:
            if one.room == room and one.txn == txn and one.at >= since:
                return one.event
        return None

    async def invite(self, room: RoomId, user: UserId) -> None:
        """Ask *user* into *room*."""
        _, error = self.fault("invite")
        if error is not None:
            raise error
        self.invited.add((room, user))

    async def direct(self, user: UserId) -> RoomId:
        """The room of the bot and *user*."""
        return self._directs.setdefault(user, RoomId(f"!direct-{user}"))

    async def fetch(self, url: str) -> bytes:
        """Fetch a file."""
        _, error = self.fault("fetch")
        if error is not None:
            raise error
        if url not in self.files:
            raise NotFound(f"There is no file {url}.")
        return self.files[url]

    def unsealed(self, message: Message, url: str, sealed: bytes) -> bytes:
        """Give a file as its sender saw it: here they lie open."""
        _, error = self.fault("unsealed")
        if error is not None:
            raise error
        return sealed

    async def repost(self, room: RoomId, message: Message, *, txn: str) -> EventId:
        """Post a message's file again in *room*."""
        for one in message.media:
            await self.fetch(one.url)
        post = Post(body=f"file of {message.event_id}", formatted="")
        return await self.send(room, post, txn=txn)

    async def reopen(self, room: RoomId, event: EventId, ciphertext: bytes) -> Message:
        """Read a message again."""
        if ciphertext:
            event = EventId(json.loads(ciphertext)["of"])
        ours = next((one for one in self.sent if one.event == event and one.post), None)
        if ours is not None and ours.post is not None:
            return _as_read(ours, ours.post, self.user)
        if event not in self._events:
            raise NotFound(f"The event {event} cannot be read again.")
        return self._events[event]


def _as_read(sent: Sent, post: Post, user: UserId) -> Message:
    """One of our own posts, as we read it later."""
    said = content(post)
    return Message(
        event_id=sent.event,
        room=sent.room,
        sender=user,
        sent_at=sent.at,
        kind=Kind.TEXT,
        type="m.room.message",
        body=post.body,
        formatted=post.formatted,
        content=json.dumps(said).encode(),
        ciphertext=json.dumps({"of": sent.event}).encode(),
    )
