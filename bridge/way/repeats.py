"""Who says the same again: so that one slip is moved once and explained once.

Never holds words: a keyed hash of them, with a key that dies with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from bridge.model import Message, Ms

#: The same words count as the same slip for so long.
SAME_MS = 10 * 60_000
_MOST = 512


@dataclass(slots=True)
class Repeats:
    """What was stopped lately, by whom and how often."""

    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _seen: dict[bytes, tuple[Ms, int]] = field(default_factory=dict)

    def times(self, message: Message) -> int:
        """How often the same was stopped before."""
        at, times = self._seen.get(self._name(message), (Ms(0), 0))
        return times if 0 <= message.sent_at - at <= SAME_MS else 0

    def note(self, message: Message) -> None:
        """Remember that *message* was stopped."""
        times = self.times(message)
        if len(self._seen) >= _MOST:
            self._seen.pop(next(iter(self._seen)))
        self._seen[self._name(message)] = message.sent_at, times + 1

    def _name(self, message: Message) -> bytes:
        words = " ".join(message.body.casefold().split())
        others = (part for pair in message.extra for part in pair)
        files = (one.url for one in message.media)
        said = "\0".join(
            (message.room, message.sender, words, message.formatted, *others, "\0", *files)
        )
        return hmac.digest(self._key, said.encode("utf-8", "replace"), hashlib.sha256)
