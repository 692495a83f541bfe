"""One record as the index knows it, and which of them are meant.

Never has a word of a message: what stands in the clear in a header, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bridge.model import Queue

#: Later than any record.
END = 2**53
#: Queues of referrals that only some may know of.
MARKED = frozenset({Queue.PROFESSIONAL_STANDARDS.value})
#: The same, and what stands beside it where that should not wait.
HIDDEN = MARKED | {Queue.ESCALATED.value}
#: The number of a record in the index: its log's, then its own.
LOG_BITS = 40
_SEQ = (1 << LOG_BITS) - 1


class Facet(NamedTuple):
    """What a record shows of itself; empty where it shows nothing."""

    kind: str
    cls: str = ""
    action: str = ""
    rule: str = ""
    #: Its effect, status or referrals, whichever it has, with a space between; and a mark, where
    #: it is about a matter that only some may know of.
    what: str = ""

    def has(self, word: str) -> bool:
        """Say whether this word stands in `what`."""
        return word in self.what.split()


class Entry(NamedTuple):
    """One record, as far as the index knows it."""

    id: int
    t: int
    facet: Facet
    rid: str
    ref: str
    #: Tags, not ids.
    room: str
    sender: str

    @property
    def log(self) -> int:
        """The number of its log, oldest first."""
        return self.id >> LOG_BITS

    @property
    def seq(self) -> int:
        """Its number in that log."""
        return self.id & _SEQ


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which records; every part that is given must hold. Sets are of alternatives; empty is any."""

    kinds: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    #: One of these words stands in `Facet.what`.
    whats: frozenset[str] = frozenset()
    #: None of these words stands there.
    without: frozenset[str] = frozenset()
    start: int = 0
    end: int = END
    #: Tags of the room, and of the person, in every bucket; None for any.
    rooms: tuple[str, ...] | None = None
    senders: tuple[str, ...] | None = None
    #: Names of the only records that may be meant; None for any.
    rids: frozenset[str] | None = None
    #: At least one of these must hold as well; None where the rest says it all.
    among: tuple[Filter, ...] | None = None

    @property
    def is_countable(self) -> bool:
        """Say whether the records can be counted without finding them, by whole hours."""
        return self.rooms is None and self.senders is None and self.rids is None and (
            self.among is None
        )  # fmt: skip

    @property
    def parts(self) -> tuple[Filter, ...]:
        """What each of `among` comes to together with the rest; together they mean the same."""
        alone = replace(self, among=None)
        met = [alone.meet(one) for one in self.among or ()]
        return tuple(one for one in met if one is not None)

    def meet(self, other: Filter) -> Filter | None:
        """What both mean, where *other* has neither `whats` nor `among`; None if that is nothing.

        Raises:
            ValueError: *other* has one of these.
        """
        if other.whats or other.among is not None:
            raise ValueError("this cannot be narrowed by a filter that has alternatives itself")
        pairs = [(getattr(self, name), getattr(other, name)) for name in _SETS]
        sets = [mine & theirs if mine and theirs else mine or theirs for mine, theirs in pairs]
        if any(mine and theirs and not mine & theirs for mine, theirs in pairs):
            return None
        tags = [_both(getattr(self, name), getattr(other, name)) for name in ("rooms", "senders")]
        rids = self.rids
        if other.rids is not None:
            rids = other.rids if rids is None else rids & other.rids
        start, end = max(self.start, other.start), min(self.end, other.end)
        if start >= end or () in tags or (rids is not None and not rids):
            return None
        return replace(
            self, **dict(zip(_SETS, sets, strict=True)), without=self.without | other.without,
            start=start, end=end, rooms=tags[0], senders=tags[1], rids=rids,
        )  # fmt: skip

    def admits(self, facet: Facet) -> bool:
        """Say whether records of this facet may be meant."""
        return (
            (not self.kinds or facet.kind in self.kinds)
            and (not self.classes or facet.cls in self.classes)
            and (not self.actions or facet.action in self.actions)
            and (not self.rules or facet.rule in self.rules)
            and (not self.whats or not self.whats.isdisjoint(facet.what.split()))
            and (not self.without or self.without.isdisjoint(facet.what.split()))
        )


#: Sets of alternatives that two filters narrow together.
_SETS = ("kinds", "classes", "actions", "rules")


def _both(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The tags that both have; None is every tag."""
    if one is None or other is None:
        return other if one is None else one
    known = frozenset(other)
    return tuple(tag for tag in one if tag in known)


def places(entries: Sequence[Entry]) -> dict[int, list[int]]:
    """Sort records by log: log → numbers."""
    found: dict[int, list[int]] = {}
    for one in entries:
        found.setdefault(one.log, []).append(one.seq)
    return found
