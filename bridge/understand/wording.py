"""How a message is worded: its words, pairs of words and parts of words, each with a weight.

Never knows what a word means. That is why it is asked beside the network, which does: each is
fooled where the other is not, and their sum finds more of what strangers write than either.

The weights lie in tables of whole numbers. A word's place in them is a checksum of it: words that
share a place share a weight, which there are few of.
"""

from __future__ import annotations

import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bridge.understand.encode import (
    MOST_BEFORE,
    MOST_CHARACTERS,
    MOST_CHARACTERS_BEFORE,
    as_text,
)

#: Table → how many places it has, as a power of two.
BITS: Mapping[str, int] = {"words": 18, "parts": 18, "before": 15}
#: Parts of words have so many characters, with the space around the word.
_PARTS = range(2, 6)
_WORD = re.compile(r"\w+|[^\w\s]+")


class Logits(NamedTuple):
    """What is added to the network's two."""

    operational: float
    concern: float


def counted(body: str, before: Sequence[str] = ()) -> dict[str, dict[int, int]]:
    """Count for each table the places of *body* and of what was said before it, oldest first."""
    text = as_text(body[:MOST_CHARACTERS])
    earlier = [as_text(one[-MOST_CHARACTERS_BEFORE:]) for one in before[-MOST_BEFORE:]]
    words = _WORD.findall(text)
    pairs = (f"{one} {next_}" for one, next_ in zip(["^", *words], [*words, "$"], strict=True))
    found = {
        "words": [*words, *pairs],
        "parts": [part for word in text.split() for part in _parts(f" {word} ")],
        "before": _WORD.findall(" ".join(earlier)),
    }
    return {table: _places(some, BITS[table]) for table, some in found.items()}


def _parts(word: str) -> Iterator[str]:
    for size in _PARTS:
        if size >= len(word):
            yield word
            return
        yield from (word[at : at + size] for at in range(len(word) - size + 1))


def _places(some: Iterable[str], bits: int) -> dict[int, int]:
    last = (1 << bits) - 1
    return Counter(zlib.crc32(one.encode("utf-8", "replace")) & last for one in some)


class Wording:
    """The weights. Asking changes nothing: any number of threads may."""

    def __init__(self, tables: Mapping[str, Any], scales: Mapping[str, Any]) -> None:
        """Take for each table whole numbers [2, places], and what they are multiples of [2].

        Raises:
            ValueError: a table is missing, or has another shape.
        """
        if any(tables[name].shape != (2, 1 << bits) for name, bits in BITS.items()):
            raise ValueError("a table has another shape")
        self._tables = {name: tables[name] for name in BITS}
        self._scales = {name: scales[name] for name in BITS}

    @classmethod
    def read(cls, content: bytes) -> Wording:
        """Read what `write` wrote."""
        import numpy as np  # noqa: PLC0415 - only who runs a model waits for it

        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return cls(found, {name: found[f"{name}_scale"] for name in BITS})

    def write(self) -> bytes:
        """Give the content of a file."""
        import numpy as np  # noqa: PLC0415 - only who makes a model waits for it

        out = io.BytesIO()
        scales = {f"{name}_scale": scale for name, scale in self._scales.items()}
        np.savez_compressed(out, allow_pickle=False, **self._tables, **scales)
        return out.getvalue()

    def logits(self, body: str, before: Sequence[str] = ()) -> Logits:
        """Say what the wording speaks for; 0 where it says nothing."""
        import numpy as np  # noqa: PLC0415 - only who runs a model waits for it

        total = np.zeros(2)
        for name, found in counted(body, before).items():
            if not found:
                continue
            often = 1 + np.log(np.fromiter(found.values(), dtype=np.float64))
            weights = self._tables[name][:, list(found)]
            total += weights @ often / np.linalg.norm(often) * self._scales[name]
        return Logits(float(total[0]), float(total[1]))
