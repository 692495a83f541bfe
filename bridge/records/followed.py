"""Which decisions of the console the bot has carried out, which it refused, and which wait.

Never opens a record: what became of a decision stands in the clear; why it was refused does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model import Ms
from bridge.records.archive import Stack
from bridge.store.directions import Direction
from bridge.store.entries import Entry
from bridge.verify.headers import Kind

#: The bot follows what is decided within seconds; after so long something keeps it.
PATIENCE_MS = 5 * 60_000
#: Two clocks may differ by so much.
_CLOCKS_MS = 120_000
#: What nobody has carried out for so long, with no bot here, is not going to be.
_NEVER_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One decision of the console, and what became of it."""

    direction: Direction
    #: The bot has put it on its own record.
    carried: bool = False
    #: The bot's note that it does not follow it.
    refused: Entry | None = None

    @property
    def waits(self) -> bool:
        """Say whether nothing came of it so far; what was referred on waits for a person."""
        return self.direction.is_final and not self.carried and self.refused is None

    def is_late(self, now: Ms) -> bool:
        """Say whether it should have been carried out by *now*."""
        return self.waits and now - self.direction.at > PATIENCE_MS

    def is_lost(self, now: Ms) -> bool:
        """Say whether the bot cannot have heard of it."""
        return self.waits and now - self.direction.at > _NEVER_MS


def follow(stack: Stack, directions: Mapping[str, Direction]) -> dict[str, Followed]:
    """Say what became of each decision about a verdict that is in *stack*."""
    found: dict[str, Followed] = {}
    about: dict[str, list[Entry]] = {rid: [] for rid in stack.index.get(directions)}
    for one in stack.index.about(about):
        if one.ref in about and one.facet.kind in {Kind.DECISION, Kind.NOTE}:
            about[one.ref].append(one)
    for rid, entries in about.items():
        found[rid] = _one(directions[rid], entries)
    return found


def _one(made: Direction, entries: list[Entry]) -> Followed:
    done = [
        one for one in entries
        if one.facet.kind == Kind.DECISION and one.t >= made.at - _CLOCKS_MS
        and one.facet.has("referred") is not made.is_final
    ]  # fmt: skip
    noted = [
        one for one in entries
        if one.facet.kind == Kind.NOTE and one.facet.has("refused") and one.t >= made.at
    ]  # fmt: skip
    newest = max((one.id for one in done), default=-1)
    refused = max((one for one in noted if one.id > newest), key=lambda one: one.id, default=None)
    return Followed(direction=made, carried=bool(done) and refused is None, refused=refused)


def final(followed: Mapping[str, Followed]) -> dict[str, int]:
    """When each verdict was decided that does not wait for anybody: what was refused does."""
    return {
        rid: one.direction.at
        for rid, one in followed.items()
        if one.direction.is_final and one.refused is None
    }
