"""A draft of the policy tried over what is open, or over a labelled sample, with progress.

Never keeps the words of a record: what was judged is forgotten at once, and names, rules and
actions are left. Whoever begins one has put the look on record before (`bridge.records.consult`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType

import msgspec

from bridge.model import RoomClass
from bridge.policy.corpus import Labelled
from bridge.policy.replay import Replayed, Trial
from bridge.records.archive import CHUNK, Sight, Stack
from bridge.store.entries import Entry, Filter
from bridge.verify.headers import Kind

#: No run takes in more records than this, the newest ones: choose fewer days.
MOST = 50_000
_WORDS = frozenset({Kind.MESSAGE.value, Kind.LATE.value})
_TAKEN = _WORDS | {Kind.VERDICT.value}


@dataclass(slots=True, kw_only=True)
class Run:
    """One trial of a draft, and how far it is."""

    id: str
    #: The draft's revision.
    revision: str
    #: What it goes over, as it was recorded.
    scope: str
    #: Records taken in so far, and how many there are.
    covered: int = 0
    total: int = 0
    #: Messages that did not open and were not judged.
    closed: int = 0
    #: Older records of the period were left out.
    cut: bool = False
    found: tuple[Replayed, ...] = ()
    #: What was said, by name, where that is nobody's: of a sample.
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    begun: float = field(default_factory=time.monotonic)
    took: float = 0.0
    #: running, done, stopped or failed.
    state: str = "running"
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Judge no more; what was judged stays."""
        self._stop.set()

    def over_records(
        self, stack: Stack, sight: Sight, period: Filter, begin: Callable[[], Trial]
    ) -> None:
        """Judge what opens of *period* again; for a thread of its own."""
        with _Ending(self):
            entries = self._entries(stack, sight, period)
            self.total = len(entries)
            trial = begin()
            for start in range(0, len(entries), CHUNK):
                chunk = entries[start : start + CHUNK]
                for one in sight.open(stack, chunk):
                    spoken = one.entry.facet.kind in _WORDS and not one.gone
                    trial.take(one.header, one.inside if spoken else None)
                self.covered += len(chunk)
                self.closed = trial.closed
                if self._stop.is_set():
                    break
            self.found = tuple(trial.found())

    def over_sample(
        self, sample: Sequence[Labelled], now: Callable[[], Trial], draft: Callable[[], Trial]
    ) -> None:
        """Judge each message of *sample* by itself, by what decides *now* and by the *draft*."""
        with _Ending(self):
            self.total = len(sample)
            self.texts = {one.id: one.text for one in sample}
            one, other = now(), draft()
            for place, labelled in enumerate(sample):
                header, body = _as_record(place, labelled)
                one.take(header, body)
                other.take(header, body)
                self.covered += 1
                if self._stop.is_set():
                    break
            self.found = tuple(_beside(one.found(), other.found(), [each.id for each in sample]))

    def _entries(self, stack: Stack, sight: Sight, period: Filter) -> list[Entry]:
        """The records to take in, oldest first, as they were heard."""
        if sight.only is not None:
            given = stack.index.get(sight.only).values()
            about = stack.index.about(sight.only)
            every = {one.id: one for one in (*given, *about) if one.facet.kind in _TAKEN}
            found = [one for one in every.values() if period.start <= one.t < period.end]
            found.sort(reverse=True)
        else:
            found = stack.index.newest(replace(period, kinds=_TAKEN), MOST + 1)
        self.cut = len(found) > MOST
        return found[:MOST][::-1]


class _Ending:
    """Says how a run ended, whichever way it did."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, _exc: object, _trace: TracebackType | None
    ) -> None:
        run = self._run
        run.took = time.monotonic() - run.begun
        run.state = "failed" if kind else "stopped" if run.covered < run.total else "done"


def _as_record(place: int, one: Labelled) -> tuple[dict[str, str | int], bytes]:
    """A message of a sample as if it were on record: each in a room of its own."""
    inside = {
        "event_id": f"${place}", "room": f"!{place}:sample", "sender": f"@{place}:sample",
        "sent_at": 0, "type": "m.room.message", "content": {"msgtype": "m.text", "body": one.text},
    }  # fmt: skip
    header: dict[str, str | int] = {
        "kind": Kind.MESSAGE.value, "rid": str(place), "class": RoomClass.SOCIAL.value
    }  # fmt: skip
    return header, msgspec.json.encode(inside)


def _beside(
    now: Iterable[Replayed], draft: Iterable[Replayed], names: Sequence[str]
) -> Iterator[Replayed]:
    """Both trials are of the same messages: what the one decided beside what the other did."""
    decided = {one.rid: one.draft for one in now}
    for one in draft:
        yield Replayed(names[int(one.rid)], decided[one.rid], one.draft)
