"""Finds texts that are the same, or nearly, however many there are.

Never compares every text with every other: two sets that are alike enough share one of their
rarest members, so that only texts which share one of those are compared (the prefix filter of
Chaudhuri, Ganti and Kaushik, 2006). What is found is exact, not an estimate.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

#: Characters in a row.
GRAM = 5
#: From this Jaccard similarity of their 5-grams on, two texts are near duplicates.
NEAR = 0.6
#: Folded texts shorter than this are everybody's ("did you find the kids"), and no copies.
SHORT = 24


def fold(text: str) -> str:
    """Give *text* without case, accents, punctuation and doubled spaces."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(ch for ch in bare if not unicodedata.combining(ch))
    return " ".join("".join(ch if ch.isalnum() else " " for ch in bare).split())


def grams(folded: str) -> frozenset[str]:
    """Give every 5 characters in a row; a shorter text is its own and only one."""
    return frozenset(folded[at : at + GRAM] for at in range(max(1, len(folded) - GRAM + 1)))


def same(texts: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Give the names of texts that are the same when folded."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, text in texts.items():
        if len(folded := fold(text)) >= SHORT:
            groups[folded].append(name)
    return (tuple(names) for names in groups.values() if len(names) > 1)


def alike(texts: Mapping[str, str], least: float = NEAR) -> Iterator[tuple[float, str, str]]:
    """Give every pair of texts whose similarity is at least *least*, with it.

    Texts shorter than `SHORT` are left out.
    """
    folded = {name: fold(text) for name, text in texts.items()}
    sets = {name: grams(text) for name, text in folded.items() if len(text) >= SHORT}
    common = Counter(gram for one in sets.values() for gram in one)
    begins: dict[str, list[str]] = defaultdict(list)
    for name in sorted(sets, key=lambda name: (len(sets[name]), name)):
        one, near = sets[name], set[str]()
        for gram in _rarest(one, common, least):
            near.update(begins[gram])
            begins[gram].append(name)
        for other in sorted(near):
            # The other is the smaller: at best, all of it is here.
            if len(sets[other]) < least * len(one):
                continue
            if (likeness := jaccard(one, sets[other])) >= least:
                yield likeness, min(name, other), max(name, other)


def _rarest(one: frozenset[str], common: Mapping[str, int], least: float) -> Sequence[str]:
    ordered = sorted(one, key=lambda gram: (common[gram], gram))
    return ordered[: len(one) - math.ceil(least * len(one)) + 1]


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Give how much of what either has both have."""
    both = len(one & other)
    return both / (len(one) + len(other) - both)
