"""Which policy two people have made active. The same approvals give the same answer, for ever.

Never counts the same person twice, nor an approval that was used up before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: So many people make a policy active.
PEOPLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What approvals come to."""

    #: The revision that is active; None where none ever was.
    active: str | None
    #: Who made it so.
    approvers: tuple[str, ...]
    #: Revision → who has approved it, where that is not enough yet.
    pending: Mapping[str, tuple[str, ...]]


def standing(approvals: Iterable[tuple[str, str]]) -> Standing:
    """Say what *approvals*, (revision, who) in the order in which they were given, come to.

    What makes a revision active uses up its approvals: to come back to it later, two people
    approve it again.
    """
    active: str | None = None
    approvers: tuple[str, ...] = ()
    pending: dict[str, tuple[str, ...]] = {}
    for revision, who in approvals:
        people = tuple(dict.fromkeys((*pending.get(revision, ()), who)))
        if len(people) < PEOPLE:
            pending[revision] = people
            continue
        active, approvers = revision, people
        pending.pop(revision, None)
    return Standing(active=active, approvers=approvers, pending=MappingProxyType(pending))
