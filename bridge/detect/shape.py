"""What one form of a reference is, and the pieces that several forms are made of.

Never knows which forms there are: `bridge.detect.shapes` puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.detect.identifiers import Check, Ordinary

#: The check letters of police references.
M23 = "[a-hj-np-rt-z]"
MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
#: One or two words of a name, of a person or a street.
NAME = r"[a-z][a-z'-]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One form: what it looks like and, where it has one, its check."""

    pattern: str
    check: Check | None = None
    #: Says that a place, as it was typed, is ordinary words that only look like the form.
    ordinary: Ordinary | None = None
