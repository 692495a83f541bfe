"""Finds what the rules look for in one text, in one pass for all of them.

Never judges: it returns sightings with a confidence, and the policy decides what follows. Never
fails for any text.

1. Fold the text. 2. Ask one RE2 Set which rules, lexicons and triggers occur at all; most messages
end here. 3. For those that do, find where, check, weigh, look for evidence and exceptions. 4. Where
a trigger fired, read the text another way and do 2 and 3 again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from bridge.detect import fold, weigh
from bridge.detect.fold import Folded, plain_bytes
from bridge.detect.identifiers import AgeRange
from bridge.detect.phrases import CANARY, SET_MEMORY, options, together
from bridge.detect.rules import Case, Concepts, Lexicon, Mode, Rule, Sighting, Words
from bridge.detect.weigh import Context, Reading, Span

#: Part of every revision: raise it when the same rules would find other things than before.
ENGINE = "4"
#: A confidence below this is no sighting.
LEAST_CONFIDENCE = 10
# Reading a member of an enumeration takes longer than comparing it.
_ANY_CASE = Case.ANY
#: What follows from so many combinations of hits is remembered.
_MOST_PLANS = 20_000


@dataclass(frozen=True, slots=True)
class Conjunction:
    """A rule that wants lexicons together, and for each of its groups one bit a lexicon."""

    rule: Rule
    concepts: Concepts
    groups: tuple[int, ...]

    def is_met(self, mask: int) -> bool:
        """Say whether the lexicons of *mask* are enough."""
        return sum(1 for group in self.groups if mask & group) >= self.concepts.at_least


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one combination of hits of the set."""

    #: Rules that occur, in their order.
    worded: tuple[tuple[Rule, Words], ...]
    #: Rules that enough of their lexicons occur for: each with its groups, without what does not.
    met: tuple[tuple[Rule, Concepts, tuple[tuple[Lexicon, ...], ...]], ...]
    spaced: bool
    leet: bool


class Engine:
    """A set of rules, compiled. Holds no state between texts."""

    def __init__(self, rules: Sequence[Rule], ages: AgeRange) -> None:
        """Compile *rules*; those that are off are left out."""
        self._ages = ages
        live = [rule for rule in rules if rule.mode is not Mode.OFF]
        self._worded = [(r, r.looks_for) for r in live if isinstance(r.looks_for, Words)]
        conjunctions = [(r, r.looks_for) for r in live if isinstance(r.looks_for, Concepts)]
        self._lexicons = _lexicons_of(concepts for _, concepts in conjunctions)
        self._first_lexicon = len(self._worded)
        self._spaced = self._first_lexicon + len(self._lexicons)
        self._leet = self._spaced + 1
        self._canary = self._spaced + 2
        self._bits = {lexicon.id: 1 << at for at, lexicon in enumerate(self._lexicons)}
        self._concepts = [
            Conjunction(
                rule, concepts, tuple(_mask(group, self._bits) for group in concepts.groups)
            )
            for rule, concepts in conjunctions
        ]
        self._match = together(self._patterns())
        self._context = Context(
            lexicon
            for rule in live
            for near in (*rule.exceptions, rule.evidence)
            if near is not None
            for lexicon in near.lexicons
        )
        self._singles: list[Any] | None = None
        self._plans: dict[tuple[int, ...], Plan | None] = {}

    def _patterns(self) -> Iterator[str]:
        yield from (words.pattern for _, words in self._worded)
        yield from (lexicon.pattern for lexicon in self._lexicons)
        yield fold.SPACED
        yield fold.LEET
        yield CANARY

    def sight(self, raw: str) -> tuple[Sighting, ...]:
        """Find everything that the rules see in *raw*; offsets are into *raw*."""
        data = plain_bytes(raw)
        hits = self._match(data)
        if len(hits) == 1:  # the canary: the set is well and has found nothing
            return ()
        try:
            plan = self._plans[tuple(hits)]
        except KeyError:
            plan = self._plan(data, hits)
        return () if plan is None else self._sight(raw, data, plan)

    def _sight(self, raw: str, data: bytes, plan: Plan) -> tuple[Sighting, ...]:
        # Views are made of a text's beginning; where nothing else was found, so is the way back.
        if plan.worded or plan.met:
            view = fold.folded(raw, data)
            found = self._look(Reading(view, "plain", self._context, data), plan)
        else:
            view, found = fold.folded(raw[: fold.VIEW_LIMIT]), []
        if plan.spaced:
            for other in fold.joined(view):
                found += self._look_again(other, "joined")
        if plan.leet:
            found += self._look_again(fold.unleeted(view), "unleeted")
        return tuple(found)

    def _plan(self, data: bytes, hits: list[int]) -> Plan | None:
        """Say what follows from *hits*, and remember it; None: nothing does."""
        if self._canary not in hits:
            return self._made(self._one_by_one(data))
        made = self._made(hits)
        plan = made if made.worded or made.met or made.spaced or made.leet else None
        if len(self._plans) < _MOST_PLANS:
            self._plans[tuple(hits)] = plan
        return plan

    def _made(self, hits: list[int]) -> Plan:
        mask = 0
        for hit in hits:
            if self._first_lexicon <= hit < self._spaced:
                mask |= 1 << (hit - self._first_lexicon)
        return Plan(
            worded=tuple(self._worded[hit] for hit in sorted(hits) if hit < self._first_lexicon),
            met=tuple(
                (one.rule, one.concepts, self._present(one.concepts, mask))
                for one in self._concepts
                if one.is_met(mask)
            ),
            spaced=self._spaced in hits,
            leet=self._leet in hits,
        )

    def _present(self, concepts: Concepts, mask: int) -> tuple[tuple[Lexicon, ...], ...]:
        return tuple(
            tuple(lexicon for lexicon in group if self._bits[lexicon.id] & mask)
            for group in concepts.groups
        )

    def _one_by_one(self, data: bytes) -> list[int]:
        if self._singles is None:
            self._singles = [
                re2.compile(pattern.encode("ascii"), options(SET_MEMORY))
                for pattern in self._patterns()
            ]
        return [at for at, single in enumerate(self._singles) if single.search(data) is not None]

    def _look_again(self, view: Folded, name: str) -> list[Sighting]:
        reading = Reading(view, name, self._context)
        hits = self._match(reading.data)
        key = tuple(hits)
        plan = self._plans[key] if key in self._plans else self._plan(reading.data, hits)
        return [] if plan is None else self._look(reading, plan)

    def _look(self, reading: Reading, plan: Plan) -> list[Sighting]:
        found: list[Sighting] = []
        wordy_only = reading.name == "unleeted"
        for rule, words in plan.worded:
            if words.wordy or not wordy_only:
                self._words(rule, words, reading, found)
        if not wordy_only:
            for rule, concepts, groups in plan.met:
                found += _conjunction(rule, concepts, groups, reading)
        return found

    def _words(self, rule: Rule, words: Words, reading: Reading, found: list[Sighting]) -> None:
        view, case = reading.view, rule.case
        unleeted = reading.name == "unleeted"
        for span in reading.places(words.expression):
            if unleeted and view.original(*span).isalpha():
                continue  # nothing in it was a figure or a sign; the plain view has it
            if case is not _ANY_CASE and not weigh.case_fits(case, view.original(*span)):
                continue
            if words.ordinary is not None and words.ordinary(view.original(*span)):
                continue
            if rule.exceptions and weigh.excepted(rule, reading, span):
                continue
            evidence = weigh.evidence(rule.evidence, reading, span) if rule.evidence else ()
            passed = words.check is None or words.check(view.text[slice(*span)], self._ages)
            confidence = weigh.sureness(
                rule.ladder, view, span, passed=passed, backed=bool(evidence)
            )
            if confidence >= LEAST_CONFIDENCE:
                found.append(_sighting(rule, reading, span, confidence, evidence))


def _conjunction(
    rule: Rule, concepts: Concepts, groups: tuple[tuple[Lexicon, ...], ...], reading: Reading
) -> list[Sighting]:
    hits = sorted(
        (start, end, group)
        for group, lexicons in enumerate(groups)
        for lexicon in lexicons
        for start, end in reading.places(lexicon.expression)
        if not weigh.excepted(rule, reading, (start, end))
    )
    best = weigh.densest(hits, concepts.window)
    if len(best) < concepts.at_least:
        return []
    whole = (best[0][0], best[-1][1])
    evidence = weigh.evidence(rule.evidence, reading, whole)
    sure = weigh.sureness(rule.ladder, reading.view, whole, passed=True, backed=bool(evidence))
    sure = min(99, sure + rule.ladder.per_extra * (len(best) - concepts.at_least))
    return [_sighting(rule, reading, (start, end), sure, evidence) for start, end, _ in best]


def _sighting(
    rule: Rule, reading: Reading, span: Span, confidence: int, evidence: tuple[Span, ...]
) -> Sighting:
    view = reading.view
    start, end = span
    if view.origins is not None:
        start, end = view.span(start, end)
        evidence = tuple(view.span(*place) for place in evidence)
    return Sighting(
        rule=rule,
        start=start,
        end=end,
        confidence=confidence,
        evidence=evidence,
        view=reading.name,
    )


def _lexicons_of(all_concepts: Iterator[Concepts]) -> list[Lexicon]:
    found = {
        lexicon.id: lexicon
        for concepts in all_concepts
        for group in concepts.groups
        for lexicon in group
    }
    return list(found.values())


def _mask(group: tuple[Lexicon, ...], bits: dict[str, int]) -> int:
    mask = 0
    for lexicon in group:
        mask |= bits[lexicon.id]
    return mask
