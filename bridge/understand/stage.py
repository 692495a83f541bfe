"""Asks the model beside the rules, in a thread of its own and within a budget of time.

Never holds up intake: what is not answered in time, the rules alone decide for now, and it is
handed out by `late` once it has been read. Never keeps more waiting than is written here: beyond
that the rules alone decide for good, which is counted, said in the log and put on record.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from bridge.model import EventId, Message, RoomClass
from bridge.understand.model import Asked, Belief
from bridge.understand.talk import Talk, words

log = structlog.get_logger(__name__)

#: A batch waits so long for the model, in seconds.
BUDGET_S = 0.150
#: More than so many messages, or bytes of them, do not wait to be read.
MOST_WAITING = 2_000
MOST_BYTES = 32 * 1_048_576


class Answers(Protocol):
    """Something that says what it believes: a model."""

    def judge(self, asked: Sequence[Asked]) -> list[Belief]:
        """Say of each what it believes, in their order."""
        ...


@dataclass(slots=True)
class Count:
    """How it has gone since the start."""

    read: int = 0
    #: Of these, so many were answered after the rules had decided.
    late: int = 0
    #: The rules alone have decided these for good: too many were waiting.
    passed_over: int = 0
    failed: int = 0


@dataclass(slots=True, kw_only=True)
class Understanding:
    """A model beside the rules. Its methods are called from one event loop."""

    model: Answers
    budget_s: float = BUDGET_S
    most_waiting: int = MOST_WAITING
    talk: Talk = field(default_factory=Talk)
    count: Count = field(default_factory=Count)
    _waiting: dict[EventId, int] = field(default_factory=dict)
    _bytes: int = 0
    _overdue: set[EventId] = field(default_factory=set)
    _passed_over: int = 0
    _late: asyncio.Queue[tuple[Message, Belief | None]] = field(default_factory=asyncio.Queue)
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="model")
    )

    async def of(
        self,
        said: Iterable[tuple[Message, RoomClass]],
        wanted: Callable[[Message, RoomClass], bool],
    ) -> dict[EventId, Belief]:
        """Say what the model believes of those of *said* that are *wanted*, as far as time allows.

        *said* is everything that was newly said in rooms that are judged, in its order.
        """
        behind = bool(self._waiting)
        asked: dict[EventId, asyncio.Future[Belief | None]] = {}
        for message, cls in said:
            before = self.talk.before(message)
            if not wanted(message, cls):
                # The rules move it for sure: what has left the room says nothing about what stays.
                self.talk.forget(message)
                continue
            self.talk.note(message)
            said_now = words(message)
            if message.event_id not in self._waiting and said_now.strip():
                answer = self._ask(message, Asked(said_now, before))
                if answer is not None:
                    asked[message.event_id] = answer
        if asked and not behind:
            await asyncio.wait(asked.values(), timeout=self.budget_s)
        found: dict[EventId, Belief] = {}
        for event, answer in asked.items():
            if not answer.done():
                self._overdue.add(event)
            elif (belief := answer.result()) is not None:
                found[event] = belief
        return found

    async def late(self) -> AsyncIterator[tuple[Message, Belief | None]]:
        """Hand out, for ever, what was answered after its time, in the order of the answers.

        None stands for an answer that says nothing.
        """
        while True:
            yield await self._late.get()

    @property
    def waiting(self) -> int:
        """How many messages wait to be read."""
        return len(self._waiting)

    def relieved(self) -> int:
        """Say how many messages were passed over, once that has ended; each is said once."""
        if self._waiting or not self._passed_over:
            return 0
        count, self._passed_over = self._passed_over, 0
        return count

    def close(self) -> None:
        """Stop reading; what waits keeps the rules' verdict."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self, message: Message, asked: Asked) -> asyncio.Future[Belief | None] | None:
        size = len(message.body) + len(message.content) + len(message.ciphertext)
        full = len(self._waiting) >= self.most_waiting or self._bytes + size > MOST_BYTES
        if self._waiting and full:
            if not self._passed_over:
                log.warning("model.too_much", waiting=len(self._waiting))
            self._passed_over += 1
            self.count.passed_over += 1
            return None
        self._waiting[message.event_id] = size
        self._bytes += size
        task = asyncio.ensure_future(self._answer(message, asked))
        task.add_done_callback(functools.partial(self._answered, message))
        return task

    async def _answer(self, message: Message, asked: Asked) -> Belief | None:
        loop = asyncio.get_running_loop()
        try:
            (belief,) = await loop.run_in_executor(self._thread, self.model.judge, [asked])
        except Exception as exc:  # the rules go on, whatever a model does
            self.count.failed += 1
            # What kind, and never what it says: that may be words of a message.
            log.error("model.failed", event_id=message.event_id, error=type(exc).__name__)
            return None
        self.count.read += 1
        return belief if belief.read else None

    def _answered(self, message: Message, task: asyncio.Future[Belief | None]) -> None:
        self._bytes -= self._waiting.pop(message.event_id)
        if message.event_id not in self._overdue:
            return
        self._overdue.discard(message.event_id)
        if not task.cancelled():
            self.count.late += 1
            self._late.put_nowait((message, task.result()))
