"""When a list of people may put somebody out of a room by itself, and when a person is asked.

Never acts. It is a list that is trusted here: one that was cut short must not empty the rooms.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bridge.model import UserId


def too_many(going: int, there: int) -> bool:
    """Say whether so many people going, of so many, is more than a list may do by itself.

    More than a tenth of them; one may always go.
    """
    return going > max(1, there // 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leavers:
    """Who was on the list before and is not now."""

    gone: tuple[UserId, ...]
    #: They are too many for the list to be believed.
    doubtful: bool


def leavers(before: Collection[UserId], now: Collection[UserId]) -> Leavers:
    """Compare who was listed with who is."""
    gone = tuple(sorted(set(before) - set(now)))
    return Leavers(gone=gone, doubtful=too_many(len(gone), len(before)))
