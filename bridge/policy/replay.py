"""What a draft would have decided over messages on record, beside what was decided.

Never holds a word of a message: record ids, rules and actions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
