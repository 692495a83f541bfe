"""Who came and went, in words: of each change whose membership it is, and who made it.

Never takes who sent a change for whom it is about: a bot or an owner invites and removes others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JOINED = "joined"
#: By oneself, and by somebody else.
_SAID: Mapping[str, tuple[str, str]] = {
    "join": (JOINED, JOINED),
    "leave": ("left", "was removed"),
    "invite": ("was invited", "was invited"),
    "ban": ("was banned", "was banned"),
    "knock": ("asked to join", "asked to join"),
}
#: Of records in which it does not stand whom the change is about.
_UNNAMED: Mapping[str, str] = {
    "join": JOINED,
    "leave": "left, or removed somebody whom this older record does not name",
    "invite": "invited somebody whom this older record does not name",
    "ban": "banned somebody whom this older record does not name",
    "knock": "asked to join",
}
_ELSE = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a membership."""

    #: Whose it is; where the record does not say so, who sent it, which `said` allows for.
    user: str
    said: str
    #: Who made it; empty where that is the same person, or is not known to be another.
    by: str = ""


def change_of(sender: str, state_key: str, content: Mapping[str, Any]) -> Change:
    """Read what the record of a membership has inside; *state_key* is empty in older ones."""
    membership = content.get("membership")
    kind = membership if isinstance(membership, str) else ""
    if not state_key:
        return Change(sender, _UNNAMED.get(kind, _ELSE))
    own, others = _SAID.get(kind, (_ELSE, _ELSE))
    if state_key == sender:
        return Change(state_key, own)
    return Change(state_key, others, sender)
