"""Looks for words in what is open, newest first, so that the first results are there at once.

Never keeps an index of words anywhere: what was opened to be searched is forgotten at once.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any

import msgspec

from bridge.model import Ms
from bridge.records.archive import CHUNK, Sight, Stack
from bridge.records.cases import Under
from bridge.store.entries import END, Entry, Filter
from bridge.store.index import HOUR_MS
from bridge.verify.headers import Kind

#: More than so many hits is no answer: the question has to be narrower.
MOST = 500
#: Around the words that were found, characters.
_AROUND = 90
SAID = frozenset({Kind.MESSAGE.value, Kind.LATE.value})


class Said(msgspec.Struct):
    """What is inside the record of a message, as far as it is searched."""

    room: str = ""
    sender: str = ""
    sent_at: int = 0
    content: dict[str, object] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One message in which the words are."""

    rid: str
    at: Ms
    room: str
    sender: str
    #: What stands before the words, the words, and what follows.
    before: str
    words: str
    after: str


@dataclass(frozen=True, slots=True)
class Found:
    """Where the words are in what somebody said."""

    said: Said
    before: str
    words: str
    after: str


@dataclass(slots=True, kw_only=True)
class Search:
    """A question and what was found so far."""

    id: str
    #: As it was recorded.
    scope: str
    wanted: Filter
    #: Verdicts of which one must be about the message; None where any message is meant.
    judged: Filter | None = None
    words: str = ""
    #: Whose records these are, where everything of one person is gathered; empty otherwise.
    subject: str = ""
    #: What the form had, for asking again.
    form: dict[str, Any] = field(default_factory=dict)
    #: The case whose records are looked for, and its holds; None where any records are.
    under: Under | None = None
    #: What the author of a record is called who is not to be named; empty for whoever may be.
    called: Callable[[Entry], str] = lambda _: ""
    hits: list[Hit] = field(default_factory=list)
    #: Records that were opened and looked into, and those that did not open.
    covered: int = 0
    closed: int = 0
    #: How many there are to look into; None until they are counted.
    total: int | None = None
    begun: float = field(default_factory=time.monotonic)
    took: float = 0.0
    #: running, done, stopped, full or failed.
    state: str = "done"
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Find no more."""
        self._stop.set()

    def now(self) -> Search:
        """Return this as it stands: what is shown of one moment must not change while it is drawn.

        The state is read before what was found, so that what is called whole is whole.
        """
        state = self.state
        return replace(self, state=state, hits=list(self.hits))

    def run(self, stack: Stack, sight: Sight) -> None:
        """Look into every record of the question; for a thread of its own."""
        self.state = "running"
        needle = folded(self.words)
        try:
            numbers = self._numbers(stack)
            while chunk := list(islice(numbers, CHUNK)):
                self._look(stack, sight, chunk, needle)
                if self._stop.is_set() or len(self.hits) >= MOST:
                    break
                if self.total is None:  # only now: the first results are not to wait for it
                    numbers = self._counted(numbers, len(chunk))
            self.took = time.monotonic() - self.begun  # before it is over, for whoever looks then
            self.state = (
                "stopped" if self._stop.is_set() else "full" if len(self.hits) >= MOST else "done"
            )
        except Exception:
            self.took = time.monotonic() - self.begun
            self.state = "failed"
            raise

    def _numbers(self, stack: Stack) -> Iterator[int]:
        if self.judged is not None:
            return numbers_judged(stack, self.judged, self.wanted)
        if _is_tallied(self.wanted):
            self.total = stack.index.count(self.wanted)
        return stack.index.numbers(self.wanted)

    def _counted(self, numbers: Iterator[int], done: int) -> Iterator[int]:
        """Count what is left besides what is done, and go on with that: eight bytes for each."""
        left = array("q", takewhile(lambda _: not self._stop.is_set(), numbers))
        if not self._stop.is_set():
            self.total = done + len(left)
        return iter(left)

    def _look(self, stack: Stack, sight: Sight, chunk: Sequence[int], needle: str) -> None:
        found: dict[int, Found] = {}
        for number, inside in sight.insides(stack, chunk):
            if inside is None:
                self.closed += 1
                continue
            self.covered += 1
            if (one := found_in(inside, needle)) is not None:
                found[number] = one
        entries = stack.index.numbered(found) if found else {}
        for number, one in found.items():
            if number in entries and len(self.hits) < MOST:
                self.hits.append(self._hit(entries[number], one))
        self.took = time.monotonic() - self.begun

    def _hit(self, entry: Entry, found: Found) -> Hit:
        said = found.said
        return Hit(
            rid=entry.rid, at=Ms(said.sent_at or entry.t), room=said.room,
            sender=self.called(entry) or said.sender, before=found.before, words=found.words,
            after=found.after,
        )  # fmt: skip


def numbers_judged(stack: Stack, judged: Filter, wanted: Filter) -> Iterator[int]:
    """Yield the number of each record of *wanted* that a verdict of *judged* is about, none twice.

    The one with the newest verdict comes first; what is held of them is a number each. *wanted*
    names no records itself.
    """
    verdicts, seen = stack.index.stream(judged), set[int]()
    while chunk := list(islice(verdicts, CHUNK)):
        about = frozenset(one.ref for one in chunk if one.ref)
        for one in stack.index.newest(replace(wanted, rids=about), len(about)):
            if one.id not in seen:
                seen.add(one.id)
                yield one.id


def _is_tallied(wanted: Filter) -> bool:
    """Say whether the index has counted these: it counts whole hours."""
    ends = wanted.end >= END or wanted.end % HOUR_MS == 0
    return wanted.is_countable and wanted.start % HOUR_MS == 0 and ends


def cut_short(search: Search) -> str:
    """Say why there may be more than was found; empty where every record was looked into."""
    if not search.words:
        return ""
    closed = f"{search.closed:,} records did not open, and were not searched" * bool(search.closed)
    why = {
        "full": f"the search ended at its limit of {MOST:,} messages, the newest that have the "
        "words: there may be older ones",
        "stopped": "the search was stopped before it had looked into every record",
        "running": "the search had not looked into every record yet",
        "failed": "the search failed before it had looked into every record",
    }.get(search.state, "")
    return "; ".join(filter(None, (why, closed)))


def folded(text: str) -> str:
    """Fold case and the ways of writing one letter, as a person searching means it."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold()


_decode: Callable[[bytes], Said] = msgspec.json.Decoder(Said).decode


def found_in(raw: bytes, needle: str) -> Found | None:
    """Say where *needle*, folded, is in what somebody said; None where it is not."""
    # Most records do not have it: they are told from their bytes, where these are plain.
    if (
        needle.isascii()
        and '"' not in needle
        and "\\" not in needle
        and b"\\u" not in raw
        and (raw.isascii() and needle.encode() not in raw.lower())
    ):
        return None
    try:
        said = _decode(raw)
    except msgspec.MsgspecError:
        return None
    for text in _texts(said.content):
        shown = text if text.isascii() else unicodedata.normalize("NFKC", text)
        place = folded(shown).find(needle)
        if place >= 0:
            end = place + len(needle)
            before, after = shown[max(0, place - _AROUND) : place], shown[end : end + _AROUND]
            return Found(said, before, shown[place:end], after)
    return None


def _texts(content: dict[str, object]) -> list[str]:
    fresh = content.get("m.new_content")
    parts = (content, fresh if isinstance(fresh, dict) else {})
    values = (part.get(name) for part in parts for name in ("body", "filename"))
    return [value for value in values if isinstance(value, str)]
