"""Finds records by what stands in the clear in their headers: a sidecar to a ledger that is read.

Never has a word of a message, and nothing that the ledger file does not show to whoever has it. It
can be deleted at any time and is made again, record by record, from the ledger.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from bridge.errors import StoreError
from bridge.store.chain import closed
from bridge.store.entries import END, LOG_BITS, MARKED, Entry, Facet, Filter
from bridge.store.reader import SqliteReader
from bridge.store.sql import blob, in_hex, names_json, statements

SQL = statements("index.sql")
HOUR_MS = 3_600_000
#: Records that are taken in under one transaction.
_PAGE = 20_000
#: Entries that are fetched in one go where all are wanted.
_STREAMED = 4096
#: An index that was made in another way is made anew.
_FORM = 2


class _Head(msgspec.Struct, gc=False):
    kind: str
    rid: str
    t: int
    ref: str = ""
    room: str = ""
    sender: str = ""
    cls: str = msgspec.field(name="class", default="")
    action: str = ""
    rule: str = ""
    effect: str = ""
    status: str = ""
    referrals: str = ""

    def facet(self) -> Facet:
        what = " ".join(filter(None, (self.effect, self.status, self.referrals.replace(",", " "))))
        return Facet(self.kind, self.cls, self.action, self.rule, what)


_decode = msgspec.json.Decoder(_Head).decode


class Index:
    """The index of one ledger, in a file of its own. One thread at a time may use one of these.

    A referral whose queue is in *marked*, what it is about and whatever refers to that have the
    queue's name in `Facet.what`, whatever kind they are.
    """

    def __init__(
        self, path: Path, ledger: Path, *, marked: frozenset[str] = MARKED, blind: bool = False
    ) -> None:
        """Open or make the index at *path* of the ledger at *ledger*.

        To whoever is *blind*, marked records are not there: not one, not in a count, and no rule
        that only they have.

        Raises:
            StoreError: it cannot be made there.
        """
        self._path, self.ledger = path, ledger
        self._marks, self._blind = marked, blind
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=60)
            self._db.create_function("unhex", 1, bytes.fromhex, deterministic=True)
            self._db.executescript(SQL["pragmas"])
            if self._db.execute("PRAGMA user_version").fetchone()[0] != _FORM:
                self._db.executescript(SQL["clear"])
            self._db.executescript(SQL["schema"])
        except (OSError, sqlite3.Error) as exc:
            raise StoreError(f"The index {path} cannot be made: {exc}.") from None
        self._facets: dict[int, Facet] = {}
        self._hidden: frozenset[int] = frozenset()
        self._load_facets()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # Following the ledger

    def follow(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> int:
        """Take in what the ledger has and the index has not; return how many records there are.

        Raises:
            StoreError: the ledger cannot be read.
        """
        total = 0
        for number, path in enumerate((*closed(self.ledger), self.ledger)):
            reader = SqliteReader(path)
            try:
                total += self._follow_log(number, reader, progress)
            finally:
                reader.close()
        return total

    def _follow_log(
        self, number: int, reader: SqliteReader, progress: Callable[[int, int], None]
    ) -> int:
        size = reader.size()
        if size == 0:
            return 0
        known = {row[0]: row for row in self._ask("logs")}.get(number)
        at = self._known(known, reader, size)
        if at < 0:  # it is another ledger, or one that was rolled back
            self._start_again()
            return self.follow(progress)
        if at == size:
            return size
        first = reader.at([0])[0].header
        while at < size:
            rows = reader.headers(at, min(at + _PAGE, size))
            if not rows:
                break
            self._begin()
            self._take(number, rows)
            at = rows[-1][0] + 1
            self._db.execute(SQL["set_log"], (number, reader.origin(), first, rows[-1][1], at))
            self._db.execute(SQL["commit"])
            progress(at, size)
        return at

    def _known(self, known: Any, reader: SqliteReader, size: int) -> int:
        """How many records of this log are in the index; -1 if they are not of this log."""
        if known is None:
            return 0
        _, _, first, last, at = known
        if at > size:
            return -1
        both = {row.seq: row.header for row in reader.at([0, at - 1])}
        return at if (both.get(0), both.get(at - 1)) == (first, last) else -1

    def _begin(self) -> None:
        self._db.execute(SQL["begin"])
        self._load_facets()  # another process may have added some

    def _take(self, number: int, rows: Iterable[tuple[int, bytes]]) -> None:
        ids = {facet: one for one, facet in self._facets.items()}
        marked = self._marked_rids()
        counts: Counter[tuple[int, int]] = Counter()
        found: list[tuple[Any, ...]] = []
        for seq, header in rows:
            head = _decode(header)
            facet = head.facet()
            if head.ref in marked:
                facet = self._mark(facet)
                marked.add(head.rid)
            one = self._id(ids, facet)
            counts[head.t // HOUR_MS, one] += 1
            found.append((number << LOG_BITS | seq, head.t, one, bytes.fromhex(head.rid),
                          blob(head.ref), blob(head.room), blob(head.sender)))  # fmt: skip
            if facet.kind == "verdict" and self._is_marked(facet):
                self._write(found, counts)
                marked |= self._mark_what_it_is_about(ids, head.ref)
                marked.add(head.rid)
        self._write(found, counts)

    def _write(self, found: list[tuple[Any, ...]], counts: Counter[tuple[int, int]]) -> None:
        self._db.executemany(SQL["add"], found)
        self._db.executemany(SQL["count"], [(*key, count) for key, count in counts.items()])
        found.clear()
        counts.clear()

    def _id(self, ids: dict[Facet, int], facet: Facet) -> int:
        if (one := ids.get(facet)) is None:
            one = ids[facet] = len(ids) + 1
            self._facets[one] = facet
            self._db.execute(SQL["add_facet"], (one, *facet))
        return one

    # Marking

    def _mark(self, facet: Facet) -> Facet:
        if self._is_marked(facet):
            return facet
        return facet._replace(what=" ".join(filter(None, (facet.what, *sorted(self._marks)))))

    def _mark_what_it_is_about(self, ids: dict[Facet, int], rid: str) -> set[str]:
        """Mark a record that was taken in before, and whatever refers to it."""
        done = set()
        for number, t, old, name in self._ask("with_all_about", blob(rid)):
            fresh = self._id(ids, self._mark(self._facets[old]))
            done.add(name.hex())
            if fresh != old:
                self._db.execute(SQL["change"], (fresh, number))
                for one, by in ((old, -1), (fresh, 1)):
                    self._db.execute(SQL["count"], (t // HOUR_MS, one, by))
        return done

    def _marked_rids(self) -> set[str]:
        ids = [one for one, facet in self._facets.items() if self._is_marked(facet)]
        rows = self._ask("rids_of", msgspec.json.encode(ids).decode())
        return {rid.hex() for (rid,) in rows}

    def _is_marked(self, facet: Facet) -> bool:
        return not self._marks.isdisjoint(facet.what.split())

    def _start_again(self) -> None:
        self._db.executescript(SQL["clear"])
        self._db.executescript(SQL["schema"])
        self._facets.clear()

    def _load_facets(self) -> None:
        self._facets = {row[0]: Facet(*row[1:]) for row in self._ask("facets")}
        if self._blind:
            self._hidden = frozenset(
                one for one, facet in self._facets.items() if self._is_marked(facet)
            )

    def _shown(self) -> dict[int, Facet]:
        """The facets that whoever asks may know of."""
        self._load_facets()
        if not self._hidden:
            return self._facets
        return {one: facet for one, facet in self._facets.items() if one not in self._hidden}

    # Finding

    @property
    def origins(self) -> Mapping[int, str]:
        """The name of each log, by its number."""
        return {row[0]: row[1] for row in self._ask("logs")}

    def facets(self) -> tuple[Facet, ...]:
        """Every combination of clear fields that there is."""
        return tuple(self._shown().values())

    def tallies(self, start: int, end: int) -> Iterator[tuple[int, Facet, int]]:
        """Yield (first ms of the hour, facet, records) of [start, end), whole hours."""
        shown = self._shown()
        for hour, facet, count in self._ask("tallies", start // HOUR_MS, -(-end // HOUR_MS)):
            if count and facet in shown:
                yield hour * HOUR_MS, shown[facet], count

    def count(self, wanted: Filter) -> int:
        """Count the records of a filter that is countable, by whole hours."""
        end = min(wanted.end, END - HOUR_MS)
        return sum(
            count for _, facet, count in self.tallies(wanted.start, end) if wanted.admits(facet)
        )

    def get(self, rids: Iterable[str]) -> dict[str, Entry]:
        """The records of these names that there are."""
        return {one.rid: one for one in self._entries("by_rid", names_json(rids))}

    def about(self, rids: Iterable[str]) -> list[Entry]:
        """The records that refer to these, in the order in which they were written."""
        return list(self._entries("by_ref", names_json(rids)))

    def newest(self, wanted: Filter, limit: int, offset: int = 0) -> list[Entry]:
        """The records of *wanted*, newest first."""
        many = limit + offset
        if wanted.among is not None:
            return list(islice(self._among(wanted, many), offset, many))
        if wanted.rids is not None:
            return self._named(wanted)[offset:many]
        if wanted.rooms is not None or wanted.senders is not None:
            streams = self._tagged(wanted, many)
        else:
            streams = [
                list(self._entries("by_facet", one, wanted.start, wanted.end, many))
                for one in self._admitted(wanted)
            ]
        merged = heapq.merge(*streams, key=lambda one: (one.t, one.id), reverse=True)
        return list(islice(merged, offset, many))

    def stream(self, wanted: Filter) -> Iterator[Entry]:
        """Yield the records of *wanted*, newest first, however many there are."""
        if wanted.is_countable:
            yield from self._before(wanted)
            return
        if wanted.among is not None or wanted.rids is not None:
            every = self._among(wanted) if wanted.among is not None else self._named(wanted)
            yield from every
            return
        end, page = wanted.end, _STREAMED
        seen: set[int] = set()
        while True:
            found = self.newest(replace(wanted, end=end), page)
            fresh = [one for one in found if one.id not in seen]
            yield from fresh
            if len(found) < page:
                return
            last = found[-1].t
            if not fresh:  # more of one millisecond than a page holds
                page *= 2
            seen = {one.id for one in found if one.t == last}
            end = last + 1

    def numbers(self, wanted: Filter) -> Iterator[int]:
        """Yield the numbers of the records of *wanted*, newest first, however many there are."""
        if not wanted.is_countable:
            yield from (one.id for one in self.stream(wanted))
            return
        facets = self._admitted_json(wanted)
        last = END
        while page := self._ask("numbers", last, wanted.start, wanted.end, facets, _STREAMED):
            yield from (row[0] for row in page)
            last = page[-1][0]

    def numbered(self, numbers: Iterable[int]) -> dict[int, Entry]:
        """The records of these numbers."""
        asked = msgspec.json.encode(list(numbers)).decode()
        return {one.id: one for one in self._entries("by_number", asked)}

    def _among(self, wanted: Filter, most: int | None = None) -> Iterator[Entry]:
        """Those of any part, newest first, and none twice; of each no more than *most*."""
        streams: list[Iterable[Entry]] = [
            self.stream(one) if most is None else self.newest(one, most) for one in wanted.parts
        ]
        seen: set[int] = set()
        for one in heapq.merge(*streams, key=lambda one: (one.t, one.id), reverse=True):
            if one.id not in seen:
                seen.add(one.id)
                yield one

    def _named(self, wanted: Filter) -> list[Entry]:
        """Those that are named, newest first, as far as the rest holds of them."""
        found = self.get(wanted.rids or ()).values()
        kept = [
            one for one in found
            if wanted.admits(one.facet) and wanted.start <= one.t < wanted.end
            and (wanted.rooms is None or one.room in wanted.rooms)
            and (wanted.senders is None or one.sender in wanted.senders)
        ]  # fmt: skip
        return sorted(kept, key=lambda one: (one.t, one.id), reverse=True)

    def _before(self, wanted: Filter) -> Iterator[Entry]:
        """In the order in which they were written, backwards: no sorting, and no page twice."""
        facets = self._admitted_json(wanted)
        last = END
        while True:
            page = list(self._entries("before", last, wanted.start, wanted.end, facets, _STREAMED))
            yield from page
            if len(page) < _STREAMED:
                return
            last = page[-1].id

    def oldest_in(self, wanted: Filter, limit: int, after: int = -1) -> list[Entry]:
        """The records of a filter that names rooms after that number, oldest first."""
        return self._beside("by_room_after", wanted, limit, after)

    def newest_in(self, wanted: Filter, limit: int, before: int = END) -> list[Entry]:
        """The records of a filter that names rooms before that number, newest first."""
        return self._beside("by_room_before", wanted, limit, before)

    def _beside(self, name: str, wanted: Filter, limit: int, number: int) -> list[Entry]:
        """Those beside a number, nearest first: many records can have one and the same time."""
        facets = self._admitted_json(wanted)
        streams = [
            list(self._entries(name, tag, wanted.start, wanted.end, facets, limit, number))
            for tag in wanted.rooms or ()
        ]
        back = name == "by_room_before"
        merged = heapq.merge(*streams, key=lambda one: (one.t, one.id), reverse=back)
        return list(islice(merged, limit))

    def removals(self, since: int, most: int) -> list[tuple[int, int]]:
        """(when, ms after the message) of removals that were done since then, newest first."""
        found: list[tuple[int, int]] = []
        for one, facet in self._shown().items():
            if facet.kind == "outcome" and facet.what == "redact done":
                found += self._ask("removals", one, since, most)
        return sorted(found, reverse=True)[:most]

    def _tagged(self, wanted: Filter, limit: int) -> list[list[Entry]]:
        """Streams of the records of a room or person, newest first."""
        by_room = wanted.rooms is not None
        tags, others = (wanted.rooms, wanted.senders) if by_room else (wanted.senders, None)
        facets = self._admitted_json(wanted)
        more = "" if others is None else names_json(others)
        name = "by_room_down" if by_room else "by_sender_down"
        return [
            list(self._entries(name, tag, wanted.start, wanted.end, facets, more, limit))
            for tag in tags or ()
        ]

    def _admitted(self, wanted: Filter) -> list[int]:
        return [one for one, facet in self._shown().items() if wanted.admits(facet)]

    def _admitted_json(self, wanted: Filter) -> str:
        return msgspec.json.encode(self._admitted(wanted)).decode()

    def _entries(self, name: str, *values: Any) -> Iterator[Entry]:
        for number, t, facet, rid, ref, room, sender in self._ask(name, *values):
            if facet not in self._facets:
                self._load_facets()
            if facet in self._hidden:
                continue
            yield Entry(
                number, t, self._facets[facet], rid.hex(), in_hex(ref), in_hex(room), in_hex(sender)
            )

    def _ask(self, name: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(SQL[name], values).fetchall()
        except sqlite3.Error as exc:
            raise StoreError(f"The index {self._path} cannot be read: {exc}.") from None
