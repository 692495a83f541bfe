"""Finds who of the force is named in what somebody said, so that a person can take them out.

Never the last word: whoever is not listed, or is called something else, only a person can find.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.register import Person

#: Shorter ones are words more often than they are somebody.
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Names:
    """Everybody who may be named, and how they are looked for."""

    #: How somebody may be called, folded → who that may be: two may share a first name.
    called: Mapping[str, tuple[str, ...]]
    ids: Mapping[str, str]
    pattern: re.Pattern[str]

    def within(self, texts: Iterable[str], acting: Iterable[str] = ()) -> tuple[str, ...]:
        """Say who is named in *texts*, or is one of the ids of *acting*; in order, none twice."""
        found: dict[str, None] = {}
        for text in texts:
            for match in self.pattern.finditer(folded(text)):
                found.update(dict.fromkeys(self.called[match[0]]))
        found.update(dict.fromkeys(self.ids[one] for one in acting if one in self.ids))
        return tuple(sorted(found))


def names_of(people: Iterable[Person], subject: str) -> Names:
    """Learn how everybody but *subject* may be called."""
    called: dict[str, tuple[str, ...]] = {}
    ids: dict[str, str] = {}
    for one in people:
        if str(one.id) == subject:
            continue
        ids[str(one.id)] = one.name
        parts = one.name.split()
        for name in (one.name, *parts[:1], *parts[-1:], one.collar, str(one.id)):
            if len(name) >= _SHORTEST:
                key = folded(name)
                called[key] = tuple(dict.fromkeys((*called.get(key, ()), one.name)))
    # The longest first, so that a full name is one person and not everybody who shares a part.
    every = "|".join(re.escape(name) for name in sorted(called, key=len, reverse=True))
    return Names(called, ids, re.compile(rf"(?<!\w)(?:{every})(?!\w)" if every else r"(?!)"))


def texts_of(raw: bytes) -> Iterator[str]:
    """Yield every text that stands inside a record: what was said, and what it points at."""
    try:
        inside = msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return
    if isinstance(inside, dict):
        yield from _texts([inside.get("content"), inside.get("state_key")])


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one.values(), *one.keys()]
        elif isinstance(one, list):
            waiting += one


def folded(text: str) -> str:
    """Fold case and ways of writing one letter."""
    return unicodedata.normalize("NFKC", text).casefold()
