"""What a draft has that the policy in force has not, and the other way round.

Never judges a message: files and rules, as they are written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.detect.rules import Rule
from bridge.policy import Policy

#: Longer differences are cut: somebody who changed that much reads the files.
MOST_LINES = 2_000


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that is otherwise: its name, what it was, and what it would be; empty for none."""

    name: str
    what: str
    now: str
    draft: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is otherwise, line by line."""

    name: str
    #: (sign, text): "+" for a line that is new, "-" for one that is gone, "@" for where, " " else.
    lines: tuple[tuple[str, str], ...]
    #: Lines that are not shown.
    more: int


def compare_rules(now: Policy, draft: Policy) -> tuple[Changed, ...]:
    """Say which rules are new, gone, or may do something else, and which thresholds differ."""
    return (*_rules(now, draft), *_classes(now, draft))


def _rules(now: Policy, draft: Policy) -> Iterator[Changed]:
    before, after = ({rule.id: rule for rule in one.rules} for one in (now, draft))
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield Changed(name, "rule", _said(old), _said(new))
            continue
        for what in ("mode", "family", "channel", "reason", "title"):
            one, other = str(getattr(old, what)), str(getattr(new, what))
            if one != other:
                yield Changed(name, what, one, other)
        for what in old.ladder.__dataclass_fields__:
            one, other = _number(getattr(old.ladder, what)), _number(getattr(new.ladder, what))
            if one != other:
                yield Changed(name, f"how sure: {what.replace('_', ' ')}", one, other)


def _classes(now: Policy, draft: Policy) -> Iterator[Changed]:
    for cls, old in now.classes.items():
        new = draft.classes[cls]
        for what in ("nudge", "redirect", "review", "escalate", "visible_days", "kept_days"):
            one, other = getattr(old, what), getattr(new, what)
            if one != other:
                yield Changed(f"{cls} rooms", what.replace("_", " "), str(one), str(other))
    if now.conduct.enabled != draft.conduct.enabled:
        yield Changed("professional-standards rules", "switched on",
                      _yes(now.conduct.enabled), _yes(draft.conduct.enabled))  # fmt: skip


def _said(rule: Rule | None) -> str:
    return "" if rule is None else f"{rule.title} ({rule.mode})"


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _yes(on: bool) -> str:
    return "yes" if on else "no"


def compare_files(now: Mapping[str, bytes], draft: Mapping[str, bytes]) -> tuple[FileChange, ...]:
    """Compare two policies file by file, line by line."""
    found = []
    for name in sorted(now.keys() | draft.keys()):
        old, new = (_lines(files.get(name, b"")) for files in (now, draft))
        if old == new:
            continue
        unified = list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]
        lines = tuple((one[:1], one[1:].strip("@ ") if one[:1] == "@" else one[1:])
                      for one in unified[:MOST_LINES])  # fmt: skip
        found.append(FileChange(name, lines, max(0, len(unified) - MOST_LINES)))
    return tuple(found)


def _lines(content: bytes) -> list[str]:
    lines = content.decode("utf-8", "replace").split("\n")
    return lines if lines[-1] else lines[:-1]
