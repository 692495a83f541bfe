"""What a search or a list was narrowed by, as it is shown and as it can be taken away again.

Never puts what was chosen into an address: it is taken away by a form, and on record as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Field → what people call it, in the order in which they are shown.
SEARCHED: Mapping[str, str] = {
    "words": "Words", "room": "Rooms", "case": "Case", "person": "Person", "team": "Team",
    "from": "From", "to": "To", "kind": "What", "action": "What happened", "rule": "Rule",
    "class": "Class of room",
}  # fmt: skip
LOOKED: Mapping[str, str] = {"category": "What", "who": "Who", "case": "Case", "day": "Day"}
#: What is looked for where nothing else was chosen.
_ALWAYS = ("kind", "said")


@dataclass(frozen=True, slots=True)
class Group:
    """What was chosen of one kind."""

    heading: str
    #: (what takes it away, what it says), for each tag.
    tags: tuple[tuple[str, str], ...]


def groups(
    form: Mapping[str, Any],
    headings: Mapping[str, str],
    called: Mapping[str, Mapping[str, str]],
) -> tuple[Group, ...]:
    """What was chosen, kind by kind; *called* has what values are called: field → value → that."""
    found = []
    for name, heading in headings.items():
        value = form.get(name) or ""
        names = called.get(name, {})
        if isinstance(value, list | tuple):
            tags = tuple((f"{name} {one}", names.get(one, one)) for one in value)
        else:
            tags = ((name, names.get(value, value)),)
        if value and (name, value) != _ALWAYS:
            found.append(Group(heading, tags))
    return tuple(found)


def without(form: Mapping[str, Any], taken: str) -> dict[str, Any]:
    """The form as it was, but for the one value that was taken away; *taken* is a tag's."""
    name, _, value = taken.partition(" ")
    left = dict(form)
    if name in form:
        kept = form[name]
        many = isinstance(kept, list | tuple)
        left[name] = tuple(one for one in kept if one != value) if many else ""
    return left
