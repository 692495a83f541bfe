"""What a compiled rule is: the values that the engine works with.

Never reads a policy file: `bridge.policy.load` makes these, and refuses what makes no sense.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from bridge.detect.identifiers import Check, Ordinary

#: Families whose findings name a person, vehicle, place or case by themselves. In a message of
#: somebody in distress they may still cause a private word; the message is never moved.
HARD = frozenset({"vehicle", "person", "incident", "case", "contact", "location", "money"})


class Channel(StrEnum):
    """Which question a rule helps to answer. Scores of different channels never add up."""

    OPERATIONAL = "operational"  #: does it belong in the secure room?
    PROFESSIONAL_STANDARDS = "professional-standards"  #: should a person of that team look?
    MARKING = "marking"  #: is it marked above what the room may hold?
    SUPPORT = "support"  #: is somebody in distress? Then nothing is done to the message


class Mode(StrEnum):
    """How much a rule may do."""

    ENFORCE = "enforce"
    NUDGE = "nudge"  #: it cannot move a message, only ask
    SIGN = "sign"  #: does nothing by itself; beside a model's belief it is the second ground
    SHADOW = "shadow"  #: counted in tests and charts; does nothing
    OFF = "off"


class Case(StrEnum):
    """What the raw text must look like."""

    ANY = "any"
    UPPER = "upper"  #: no small letter in it
    CAPITAL = "capital"  #: its last word begins with a capital letter


class Marking(IntEnum):
    """Government security classifications, lowest first."""

    OFFICIAL = 0
    OFFICIAL_SENSITIVE = 1
    SECRET = 2
    TOP_SECRET = 3

    @classmethod
    def of(cls, written: str) -> Marking:
        """Read a marking as people write it, such as OFFICIAL-SENSITIVE."""
        return cls[written.upper().replace("-", "_").replace(" ", "_")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """A named list of phrases, compiled as one expression."""

    id: str
    pattern: str
    expression: Any
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Words to look for beside what was found."""

    lexicons: tuple[Lexicon, ...]
    #: In characters, before and after; the whole message is longer than most thoughts in it.
    window: int = 60
    #: The expressions of the lexicons, to see at once whether any of them is there.
    expressions: frozenset[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Gather the expressions."""
        found = frozenset(lexicon.expression for lexicon in self.lexicons)
        object.__setattr__(self, "expressions", found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """How sure a rule is, 0 to 100, and what changes that. None: it changes nothing."""

    base: int
    #: With evidence near it.
    evidence: int | None = None
    #: Typed in small letters, or all of the message is in capitals.
    lower: int | None = None
    #: As `lower`, and with a space in it.
    lower_spaced: int | None = None
    #: Its check digit or range is wrong: people mistype, so it is less sure and not ruled out.
    check_failed: int | None = None
    #: The same with evidence near it.
    check_failed_evidence: int | None = None
    #: For each concept beyond the least number.
    per_extra: int = 0


#: How sure a sign is of which only the shape is known.
_SHAPE = Ladder(base=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Looks for one pattern, with a check where there is one."""

    pattern: str
    expression: Any
    check: Check | None = None
    #: Says that a place, as it was typed, is ordinary words.
    ordinary: Ordinary | None = None
    #: Made of words alone, so that it is also looked for in the view without figures and signs.
    wordy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Concepts:
    """Looks for lexicons that occur together."""

    #: A hit of any lexicon of a group counts for that group.
    groups: tuple[tuple[Lexicon, ...], ...]
    at_least: int
    #: In characters, from the start of the first to the end of the last.
    window: int = 80


@dataclass(frozen=True, slots=True)
class Meaning:
    """Looks for what a message means: nothing for the engine, but for a model beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the policy."""

    id: str
    title: str
    #: What its sender is told: a clause such as "it has a vehicle registration".
    reason: str
    #: Signals of one family do not add up; those of different families do.
    family: str
    channel: Channel
    mode: Mode
    #: Where the assessment of its effects is kept.
    dpia: str
    looks_for: Words | Concepts | Meaning
    ladder: Ladder
    evidence: Near | None = None
    exceptions: tuple[Near, ...] = ()
    case: Case = Case.ANY
    marking: Marking = Marking.OFFICIAL
    #: The file and line where it is written.
    source: str = ""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that one rule saw. Holds offsets into the raw text, never the text.

    As a dataclass it would take ten times as long to make, and each message may have many.
    """

    rule: Rule
    start: int
    end: int
    confidence: int
    #: Where the evidence was; empty if none was needed or found.
    evidence: tuple[tuple[int, int], ...] = ()
    part: str = "body"
    #: How the text had to be read: "plain", "joined" or "unleeted".
    view: str = "plain"


def shape_of(rule: Rule) -> Rule | None:
    """Give what stands for the bare shape of an identifier, as a sign.

    What has such a shape may be an identifier, a price or a score: *rule* sees it where evidence
    stands near it or the way it is typed tells; where a model believes that the message is
    operational, the shape is enough. None: it looks for no identifier, or may itself move nothing.
    """
    worded = isinstance(rule.looks_for, Words)
    if not (
        rule.mode is Mode.ENFORCE
        and worded
        and rule.channel is Channel.OPERATIONAL
        and rule.family in HARD
    ):
        return None
    return replace(rule, mode=Mode.SIGN, ladder=_SHAPE, evidence=None)
