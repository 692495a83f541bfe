"""A mapping that remembers the last so many things it was told or asked about.

Never grows past its bound: whoever can make us remember things could fill our memory with them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """Forgets what was not asked about or set for longest."""

    def __init__(self, most: int) -> None:
        """Remember *most* things."""
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        """Remember, and forget the oldest if that is one too many."""
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self._most:
            del self[next(iter(self))]

    def recall(self, key: K) -> V | None:
        """Return what is remembered, if anything, and remember it for longer."""
        if key not in self:
            return None
        self.move_to_end(key)
        return self[key]
