"""The ledger as somebody reads it page by page: found by an index, opened a few records at a time.

Never shows anything by itself: whoever opens a record here has put the look on record before
(`bridge.records.consult`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec

from bridge.config import Config
from bridge.errors import CannotOpen, LedgerError, UsageError
from bridge.ledger.opening import Reader, ReviewReader
from bridge.ledger.quick import Head, open_quickly, read_head
from bridge.store.chain import closed
from bridge.store.entries import LOG_BITS, Entry, Filter, places
from bridge.store.index import Index
from bridge.store.reader import SqliteReader
from bridge.verify.headers import EVENTS, PLAIN, Header, Kind
from bridge.verify.opening import place_of
from bridge.verify.report import Row

#: Records that are fetched in one go.
CHUNK = 512
_decode = msgspec.json.Decoder(dict[str, str | int]).decode


class Archive:
    """A ledger and its index; opened anew for each piece of work, from whichever thread."""

    def __init__(self, config: Config, index: Path) -> None:
        """Read the ledger of *config*, with its index in the file *index*."""
        self.config, self._index = config, index
        self._following = threading.Lock()

    @contextmanager
    def open(
        self,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        *,
        conduct: bool = False,
    ) -> Iterator[Stack]:
        """Give what finds and fetches records, up to date.

        Professional-standards matters, the messages that they are about among them, are not there
        unless *conduct* says that whoever asks may know of them.

        Raises:
            StoreError: the ledger cannot be read.
        """
        with self._following:  # of two who come first, one makes it
            index = Index(self._index, self.config.ledger, blind=not conduct)
        stack = Stack(index, (*closed(self.config.ledger), self.config.ledger))
        try:
            with self._following:
                index.follow(progress)
            yield stack
        finally:
            stack.close()
            index.close()


class Stack:
    """Finds and fetches records of every log; for one thread."""

    def __init__(self, index: Index, paths: Sequence[Path]) -> None:
        """Fetch from the logs at *paths*, oldest first."""
        self.index, self._paths = index, paths
        self._readers: dict[int, SqliteReader] = {}
        self._origins: Mapping[int, str] = {}

    def close(self) -> None:
        """Let go of the logs."""
        for reader in self._readers.values():
            reader.close()

    def log(self, number: int) -> SqliteReader:
        """The log of that number."""
        if number not in self._readers:
            self._readers[number] = SqliteReader(self._paths[number])
        return self._readers[number]

    def origin(self, number: int) -> str:
        """The name of the log of that number."""
        if number not in self._origins:
            self._origins = self.index.origins
        return self._origins[number]

    def rows(self, entries: Sequence[Entry]) -> dict[int, Row]:
        """The rows of *entries*, by their number in the index."""
        found: dict[int, Row] = {}
        by_id = {(one.log, one.seq): one.id for one in entries}
        for log, numbers in places(entries).items():
            for row in self.log(log).at(numbers):
                found[by_id[log, row.seq]] = row
        return found

    def raw(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Row]]]:
        """Yield, log by log, the rows of these numbers of the index, in their order."""
        for log, each in groupby(numbers, lambda number: number >> LOG_BITS):
            asked = [number & ((1 << LOG_BITS) - 1) for number in each]
            rows = {row.seq: row for row in self.log(log).among(asked)}
            yield log, [rows[seq] for seq in asked if seq in rows]

    def fetch(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Row]]:
        """Yield *entries* in their order, each with its row, a few at a time."""
        chunk: list[Entry] = []
        for entry in entries:
            chunk.append(entry)
            if len(chunk) == CHUNK:
                yield from self._some(chunk)
                chunk = []
        yield from self._some(chunk)

    def _some(self, chunk: Sequence[Entry]) -> Iterator[tuple[Entry, Row]]:
        rows = self.rows(chunk)
        return ((entry, rows[entry.id]) for entry in chunk if entry.id in rows)

    def named(self, events: Sequence[str]) -> dict[str, Entry]:
        """The record of each of these events, as far as the notebooks beside the records say."""
        found: dict[str, str] = {}
        for number in range(len(self._paths)):
            found |= self.log(number).named(events)
        entries = self.index.get(found.values())
        return {event: entries[rid] for event, rid in found.items() if rid in entries}

    def of_kind(self, *kinds: Kind) -> list[Entry]:
        """Every record of these kinds, oldest first; for kinds that there are few of."""
        wanted = Filter(kinds=frozenset(kinds))
        return self.index.newest(wanted, 1_000_000)[::-1]


@dataclass(frozen=True, slots=True)
class Opened:
    """One record, and what is inside as far as it opens."""

    entry: Entry
    header: Header
    #: The JSON inside; None if it did not open.
    inside: bytes | None
    #: Its content was disposed of.
    gone: bool = False

    @property
    def rid(self) -> str:
        """Its name."""
        return self.entry.rid


@dataclass
class Sight:
    """What somebody can open, for as long as their keys are here. Threads take turns."""

    reader: Reader | ReviewReader
    #: Only these records were released; None where the keys open everything.
    only: frozenset[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _epochs: set[str] = field(default_factory=set)
    _reviews: set[str] = field(default_factory=set)
    #: (room or sender, id) → tags, as far as opened records have shown them.
    _tags: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def prepare(self, stack: Stack) -> None:
        """Learn what everything else is found by: tag keys, and what was saved for holds."""
        with self._lock:
            for entry, row in stack.fetch(stack.of_kind(Kind.CERTIFICATE, Kind.SHRED)):
                self._learn(stack, entry, row)
        if self.only is not None:
            self._read_tags(stack)

    def admits(self, rid: str) -> bool:
        """Say whether the record may be opened at all."""
        return self.only is None or rid in self.only

    def tags(self, what: str, identifier: str) -> tuple[str, ...]:
        """The tags of a room or sender in every bucket, as far as they can be known here."""
        seen = self._tags.get((what, identifier), set())
        keyed = self.reader.tags(what, identifier) if isinstance(self.reader, Reader) else ()
        return tuple(dict.fromkeys((*keyed, *sorted(seen))))

    def open(self, stack: Stack, entries: Iterable[Entry]) -> Iterator[Opened]:
        """Open *entries*, in their order; what does not open comes without its inside."""
        chunk: list[Entry] = []
        for entry in entries:
            chunk.append(entry)
            if len(chunk) == CHUNK:
                yield from self._open_some(stack, chunk)
                chunk = []
        yield from self._open_some(stack, chunk)

    def raw(self, stack: Stack, entry: Entry) -> bytes:
        """Everything inside one record, a file's bytes included.

        Raises:
            CannotOpen: it does not open here.
        """
        with self._lock:
            row = stack.rows([entry]).get(entry.id)
            if row is None or row.body is None or not self.admits(entry.rid):
                raise CannotOpen(f"record {entry.rid} does not open here")
            header = _decode(row.header)
            self._need(stack, [(entry, header)])
            self.reader.enter(stack.origin(entry.log))
            return self.reader.open(header, row.body)

    def halves(self, stack: Stack, entry: Entry) -> bytes:
        """Both halves of one record's key, side by side.

        Raises:
            CannotOpen: they are not to be had.
        """
        self.raw(stack, entry)
        header = _decode(stack.rows([entry])[entry.id].header)
        with self._lock:
            return self.reader.halves(header)

    def insides(self, stack: Stack, numbers: Sequence[int]) -> list[tuple[int, bytes | None]]:
        """Open the records of these numbers, for looking through: the number, and what is inside.

        None is inside what does not open.
        """
        with self._lock:
            found: list[tuple[int, bytes | None]] = []
            for log, rows in stack.raw(numbers):
                self.reader.enter(stack.origin(log))
                place = place_of(stack.origin(log))
                heads = [(read_head(row.header), row) for row in rows]
                self._need_epochs(stack, {head.epoch for head, _ in heads})
                found += [
                    (log << LOG_BITS | row.seq, self._inside(place, head, row))
                    for head, row in heads
                ]
            return found

    def _inside(self, place: bytes, head: Head, row: Row) -> bytes | None:
        if row.body is None or not self.admits(head.rid):
            return None
        halves = self.reader.quick(head.epoch) if isinstance(self.reader, Reader) else None
        if halves is not None:
            inside = open_quickly(place, head, row.header, row.body, halves)
            if inside is not None:
                return inside.partition(b"\n")[0]
        try:  # saved for a hold, released by somebody, or not to be opened at all
            return self.reader.open(_decode(row.header), row.body).partition(b"\n")[0]
        except LedgerError:
            return None

    def _open_some(self, stack: Stack, chunk: Sequence[Entry]) -> list[Opened]:
        rows = stack.rows(chunk)
        found = [(one, _decode(rows[one.id].header)) for one in chunk if one.id in rows]
        with self._lock:
            self._need(stack, found)
            return [self._open_one(stack, one, h, rows[one.id].body) for one, h in found]

    def _open_one(self, stack: Stack, entry: Entry, header: Header, body: bytes | None) -> Opened:
        if body is None:
            return Opened(entry, header, None, gone=True)
        if not self.admits(entry.rid):
            return Opened(entry, header, None)
        self.reader.enter(stack.origin(entry.log))
        try:
            inside, _, _ = self.reader.open(header, body).partition(b"\n")
        except LedgerError:
            return Opened(entry, header, None)
        return Opened(entry, header, inside)

    def _need(self, stack: Stack, found: Iterable[tuple[Entry, Header]]) -> None:
        """Learn what these records are opened with."""
        if isinstance(self.reader, ReviewReader):
            rids = {one.rid for one, _ in found} - self._reviews
            self._reviews |= rids
            about = [one for one in stack.index.about(rids) if one.facet.kind == Kind.REVIEW]
            for entry, row in stack.fetch(about):
                self._learn(stack, entry, row)
            return
        self._need_epochs(stack, {str(header.get("epoch", "")) for _, header in found})

    def _need_epochs(self, stack: Stack, wanted: set[str]) -> None:
        epochs = wanted - self._epochs
        self._epochs |= epochs
        for entry, row in stack.fetch(stack.index.get(epochs).values() if epochs else ()):
            self._learn(stack, entry, row)

    def _learn(self, stack: Stack, entry: Entry, row: Row) -> None:
        self.reader.enter(stack.origin(entry.log))
        with suppress(LedgerError):  # what it would have opened stays closed
            self.reader.learn(_decode(row.header), row.body or b"")

    def _read_tags(self, stack: Stack) -> None:
        """Open one record for each tag among what was released, to know whose it is."""
        first: dict[tuple[str, str], Entry] = {}
        for entry in stack.index.get(self.only or ()).values():
            if entry.facet.kind in EVENTS:
                first.setdefault(("room", entry.room), entry)
                first.setdefault(("sender", entry.sender), entry)
        tagged = {(what, entry.rid): tag for (what, tag), entry in first.items() if tag}
        for one in self.open(stack, {e.rid: e for e in first.values()}.values()):
            names = (
                msgspec.json.decode(one.inside, type=dict[str, msgspec.Raw]) if one.inside else {}
            )
            for what in ("room", "sender"):
                if (tag := tagged.get((what, one.rid))) and what in names:
                    name = msgspec.json.decode(names[what], type=str)
                    self._tags.setdefault((what, name), set()).add(tag)


def find_one(stack: Stack, rid: str) -> Entry:
    """The record of that name.

    Raises:
        UsageError: there is none.
    """
    found = stack.index.get([rid]).get(rid)
    if found is None:
        raise UsageError(f"There is no record {rid[:40]!r} in this ledger.")
    return found


def is_sealed(entry: Entry) -> bool:
    """Say whether it takes a key to read the record."""
    return entry.facet.kind not in PLAIN
