"""What a draft would have decided over messages on record, beside what was decided.

Never holds a word of a message: record ids, rules and actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from bridge.model import Action


@dataclass(frozen=True, slots=True)
class Way:
    """How a message was treated, or would have been."""

    action: Action
    rule: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """One message on record."""

    rid: str
    now: Way
    draft: Way


class Trial(Protocol):
    """Judges messages on record again, as a draft would, in the order in which they are given."""

    #: Messages that were given without their words.
    closed: int

    def take(self, header: dict[str, str | int], body: bytes | None) -> None:
        """Take in one record: a message to judge, or what was decided about one."""
        ...

    def found(self) -> Iterable[Replayed]:
        """Every message that was judged, as it was treated and as it would have been."""
        ...


@dataclass(frozen=True, slots=True)
class Shift:
    """How many messages one rule nudged and moved (or took out), now and by the draft."""

    rule: str
    nudged: tuple[int, int]
    moved: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """How many messages one rule had something done to."""

    rule: str
    now: int
    draft: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What a draft would change."""

    messages: int
    #: By rule; only those that had or would have had something done.
    lines: tuple[Line, ...]
    newly: tuple[Replayed, ...]
    no_longer: tuple[Replayed, ...]
    #: Something is done either way, but not the same.
    otherwise: tuple[Replayed, ...]


def difference(found: Iterable[Replayed]) -> Difference:
    """Sum up what a draft would change."""
    every = tuple(found)
    rules = sorted(
        {way.rule or "no rule" for one in every for way in (one.now, one.draft) if way.action}
    )
    return Difference(
        messages=len(every),
        lines=tuple(
            Line(
                rule,
                sum(1 for one in every if one.now.action and (one.now.rule or "no rule") == rule),
                sum(
                    1 for one in every if one.draft.action and (one.draft.rule or "no rule") == rule
                ),
            )
            for rule in rules
        ),
        newly=tuple(one for one in every if one.draft.action and not one.now.action),
        no_longer=tuple(one for one in every if one.now.action and not one.draft.action),
        otherwise=tuple(
            one
            for one in every
            if one.now.action and one.draft.action and one.now.action is not one.draft.action
        ),
    )


def shifts(found: Iterable[Replayed]) -> tuple[Shift, ...]:
    """Say of each rule how many messages it nudges and moves, now and by the draft."""
    every = tuple(found)
    ways: tuple[Callable[[Replayed], Way], ...] = (lambda one: one.now, lambda one: one.draft)
    rules = sorted({way(one).rule or "no rule" for one in every for way in ways if way(one).action})

    def count(rule: str, way: Callable[[Replayed], Way], *actions: Action) -> int:
        return sum(
            1 for one in every
            if way(one).action in actions and (way(one).rule or "no rule") == rule
        )  # fmt: skip

    def both(rule: str, *actions: Action) -> tuple[int, int]:
        return count(rule, ways[0], *actions), count(rule, ways[1], *actions)

    return tuple(
        Shift(rule, both(rule, Action.NUDGE), both(rule, Action.REDIRECT, Action.QUARANTINE))
        for rule in rules
    )
