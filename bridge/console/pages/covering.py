"""How much of each room was read: events on record, those that could not be read, and gaps.

Never opens a record: rooms are known by their tags, which only a key or released records show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.records.archive import Sight, Stack
from bridge.store.entries import Filter
from bridge.verify.headers import EVENTS, Kind

_DARK, _LATE, _GAP = (kind.value for kind in (Kind.UNDECRYPTABLE, Kind.LATE, Kind.GAP))
_EVENTS = frozenset(kind.value for kind in EVENTS - {Kind.MEDIA})


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What there is of one room, as far as its tags are known."""

    #: Events that could be read, at once or later; None where they were not counted.
    read: int | None
    #: Events that could not be read when they came, and were not later.
    unreadable: int
    #: How often the server did not give us something.
    gaps: int

    @property
    def in_words(self) -> str:
        """In a word or two, for a list."""
        found = [f"{self.unreadable:,} not read"] if self.unreadable else []
        found += [f"{self.gaps:,} {'gap' if self.gaps == 1 else 'gaps'}"] if self.gaps else []
        return ", ".join(found) or "nothing missing"


def coverage(stack: Stack, sight: Sight, room: str) -> Coverage | None:
    """Count what there is of the room with that id; None where its tags are not known."""
    tags = sight.tags("room", room)
    if not tags:
        return None
    wanted = Filter(kinds=_EVENTS | {_GAP}, rooms=tags)
    found = Counter(one.facet.kind for one in stack.index.stream(wanted))
    dark, late = found[_DARK], found[_LATE]
    read = sum(found[kind] for kind in _EVENTS - {_DARK})
    return Coverage(read=read, unreadable=max(0, dark - late), gaps=found[_GAP])


def missing(stack: Stack, sight: Sight, rooms: Mapping[str, str]) -> dict[str, Coverage]:
    """What is missing of each room (key → id), without counting what is there."""
    wanted = Filter(kinds=frozenset({_DARK, _LATE, _GAP}))
    found = Counter((one.room, one.facet.kind) for one in stack.index.stream(wanted))
    covered = {}
    for key, room in rooms.items():
        tags = sight.tags("room", room)
        dark, late, gaps = (sum(found[tag, kind] for tag in tags) for kind in (_DARK, _LATE, _GAP))
        if tags:
            covered[key] = Coverage(read=None, unreadable=max(0, dark - late), gaps=gaps)
    return covered
