"""Weighs what was found in one place: how it is written, what stands near it, its check digit.

Never drops a finding for what is elsewhere in the message: an exception cancels only a place that
it stands near to, or one harmless word would open the way for everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from bridge.detect.fold import Folded
from bridge.detect.phrases import CANARY, spans, together
from bridge.detect.rules import Case, Ladder, Lexicon, Near, Rule

#: How many places of one expression are looked at in one text: some of them may be harmless ones
#: that were put before another.
MOST_PLACES = 100
#: How far around a place we look for small letters, in characters.
_AROUND = 40
_MOST_KNOWN = 20_000
# Reading a member of an enumeration takes longer than comparing it.
_ANY, _UPPER = Case.ANY, Case.UPPER

Span: TypeAlias = tuple[int, int]


class Context:
    """The lexicons that evidence and exceptions name: one pass says which of them occur at all."""

    def __init__(self, lexicons: Iterable[Lexicon]) -> None:
        """Compile them as one set."""
        known = {lexicon.id: lexicon for lexicon in lexicons}
        self._expressions = tuple(lexicon.expression for lexicon in known.values())
        self._match = together([*(lexicon.pattern for lexicon in known.values()), CANARY])
        #: Combinations of hits, and what they come to: few occur, and they occur often.
        self._known: dict[tuple[int, ...], frozenset[Any]] = {}

    def present(self, data: bytes) -> frozenset[Any]:
        """Give the expressions of the lexicons that may occur in *data*."""
        hits = tuple(self._match(data))
        found = self._known.get(hits)
        if found is None:
            found = self._present(hits)
            if len(self._known) < _MOST_KNOWN:
                self._known[hits] = found
        return found

    def _present(self, hits: tuple[int, ...]) -> frozenset[Any]:
        canary = len(self._expressions)
        if canary not in hits:
            return frozenset(self._expressions)  # the answer is worth nothing
        return frozenset(self._expressions[hit] for hit in hits if hit != canary)


class Reading:
    """A view of a text, ready for matching; looks for a lexicon once, however often it is asked.

    *name* is "plain", "joined" or "unleeted".
    """

    __slots__ = ("_context", "_known", "_present", "data", "name", "view")

    def __init__(
        self, view: Folded, name: str, context: Context, data: bytes | None = None
    ) -> None:
        """Make *view* ready; *data* is its text as bytes, if anybody has them."""
        self.view, self.name = view, name
        self.data = view.text.encode("ascii") if data is None else data
        self._context = context
        self._present: frozenset[Any] | None = None
        self._known: dict[Any, list[Span]] = {}

    def places(self, expression: Any) -> list[Span]:
        """Find where an expression matches, the first `MOST_PLACES` of them, in order."""
        known = self._known.get(expression)
        if known is None:
            known = self._known[expression] = spans(expression, self.data, MOST_PLACES)
        return known

    def near(self, near: Near, span: Span) -> Span | None:
        """Find the first word of *near*'s lexicons that stands within its window of *span*."""
        if self._present is None:
            self._present = self._context.present(self.data)
        if near.expressions.isdisjoint(self._present):
            return None
        start, end = span
        for lexicon in near.lexicons:
            if lexicon.expression not in self._present:
                continue
            for place in self.places(lexicon.expression):
                if place[0] > end + near.window:
                    break
                beside = place[0] < start or place[1] > end
                if beside and place[1] >= start - near.window:
                    return place
        return None


def densest(hits: list[tuple[int, int, int]], window: int) -> list[tuple[int, int, int]]:
    """Choose the run of (start, end, group) within *window* that has the most groups.

    *hits* are sorted; no two of the result are of one group or overlap.
    """
    best: list[tuple[int, int, int]] = []
    for at, first in enumerate(hits):
        run: dict[int, tuple[int, int, int]] = {}
        last_end = -1
        for hit in hits[at:]:
            if run and hit[1] - first[0] > window:
                break
            if hit[0] >= last_end and hit[2] not in run:
                run[hit[2]] = hit
                last_end = hit[1]
        if len(run) > len(best):
            best = list(run.values())
    return best


def case_fits(case: Case, raw: str) -> bool:
    """Say whether *raw* is written as the rule wants it."""
    if case is _ANY:
        return True
    if case is _UPPER:
        return raw.upper() == raw
    return raw.rsplit(maxsplit=1)[-1][:1].isupper()


def excepted(rule: Rule, reading: Reading, span: Span) -> bool:
    """Say whether words stand near a place that take its meaning away."""
    for near in rule.exceptions:  # noqa: SIM110 - any() of a generator costs more than the search
        if reading.near(near, span) is not None:
            return True
    return False


def evidence(near: Near | None, reading: Reading, span: Span) -> tuple[Span, ...]:
    """Find words near a place that make it surer; the first is enough."""
    found = reading.near(near, span) if near else None
    return (found,) if found else ()


def sureness(ladder: Ladder, view: Folded, span: Span, *, passed: bool, backed: bool) -> int:
    """Give the confidence of one place, 0 to 100.

    *passed*: its check digit or range is right, or it has none. *backed*: evidence stands near it.
    """
    sure = ladder.base
    if ladder.lower is not None and not _stands_out(view, span):
        spaced = ladder.lower_spaced is not None and " " in view.text[slice(*span)]
        lower = ladder.lower_spaced if spaced else ladder.lower
        sure = min(sure, lower if lower is not None else sure)
    if not passed and ladder.check_failed is not None:
        sure = min(sure, ladder.check_failed)
    if not backed or ladder.evidence is None:
        return sure
    if not passed and ladder.check_failed_evidence is not None:
        return max(sure, ladder.check_failed_evidence)
    return max(sure, ladder.evidence)


def _stands_out(view: Folded, span: Span) -> bool:
    """Say whether a span is in capitals in a message that is not all in capitals."""
    first, last = view.span(*span)
    if not view.raw[first:last].isupper():
        return False
    around = view.raw[max(0, first - _AROUND) : first] + view.raw[last : last + _AROUND]
    if around.isascii() and around.upper() != around:
        return True  # as below, for what most people write
    letters = [ch for ch in around if ch.isalpha()]
    return len(letters) < 8 or any(ch.islower() for ch in letters)
