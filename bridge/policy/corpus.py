"""Reads labelled messages: what a policy is measured on.

Never guesses a label, and never reads a file itself.

A corpus is JSON lines with `id`, `text` and `label` (social, operational or concern); `tags`,
`note` and `before` (what was said before it, oldest first) may be there as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from bridge.errors import ConfigError


class Label(StrEnum):
    """What a message is, as a person judged it."""

    SOCIAL = "social"
    OPERATIONAL = "operational"
    CONCERN = "concern"  #: for professional standards


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One message with its label."""

    id: str
    text: str
    label: Label
    tags: tuple[str, ...] = ()
    #: What was said in the room before it, oldest first.
    before: tuple[str, ...] = ()


_KNOWN = frozenset({"id", "text", "label", "tags", "note", "before"})


def read_corpus(text: str, source: str) -> tuple[Labelled, ...]:
    """Read a corpus; *source* is its name in complaints.

    Raises:
        ConfigError: a line is not what it should be, or an id is there twice.
    """
    found: dict[str, Labelled] = {}
    for number, line in _lines(text):
        one = _labelled(line, source, number)
        if one.id in found:
            raise ConfigError(source, number, f"the id {one.id!r} is there twice")
        found[one.id] = one
    if not found:
        raise ConfigError(source, None, "there is no message in this corpus")
    return tuple(found.values())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): a message may hold a line separator that JSON leaves as it is.
    # Some editors begin a file with a mark of the order of its bytes.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            yield number, line


def _odd(line: str) -> Any:
    """Read JSON that the strict reader refuses; None if it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _labelled(line: str, source: str, number: int) -> Labelled:
    try:
        row: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        row = _odd(line)  # such as half a pair of surrogates, which some clients send
        if row is None:
            raise ConfigError(source, number, f"this line is not JSON: {exc}") from None
    if not isinstance(row, dict):
        raise ConfigError(source, number, "this line is not a JSON object")
    for key in ("id", "text", "label"):
        if not isinstance(row.get(key), str):
            raise ConfigError(source, number, f"{key!r} is missing or is not a text")
    if unknown := sorted(row.keys() - _KNOWN):
        raise ConfigError(source, number, f"unknown key {unknown[0]!r}")
    if row["label"] not in set(Label):
        labels = ", ".join(Label)
        raise ConfigError(source, number, f"{row['label']!r} is not one of: {labels}")
    tags, before = (_texts(row, key, source, number) for key in ("tags", "before"))
    label = Label(row["label"])
    return Labelled(id=row["id"], text=row["text"], label=label, tags=tags, before=before)


def _texts(row: dict[str, Any], key: str, source: str, number: int) -> tuple[str, ...]:
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ConfigError(source, number, f"{key!r} is not a list of texts")
    return tuple(found)
