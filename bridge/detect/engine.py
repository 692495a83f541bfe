"""Finds what the rules look for in one text, in one pass for all of them.

Never judges: it returns sightings with a confidence, and the policy decides what follows. Never
fails for any text.

1. Fold the text. 2. Ask one RE2 Set which rules, lexicons and triggers occur at all; most messages
end here. 3. For those that do, find where, check, weigh, look for evidence and exceptions. 4. Where
a trigger fired, read the text another way and do 2 and 3 again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import re2

from bridge.detect import fold, weigh
from bridge.detect.fold import Folded
from bridge.detect.identifiers import AgeRange
from bridge.detect.phrases import CANARY, SET_MEMORY, options, together
from bridge.detect.rules import Concepts, Lexicon, Mode, Rule, Sighting, Words
from bridge.detect.weigh import Context, Reading, Span

#: Part of every revision: raise it when the same rules would find other things than before.
ENGINE = "1"
#: A confidence below this is no sighting.
LEAST_CONFIDENCE = 10


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
        bits = {lexicon.id: 1 << at for at, lexicon in enumerate(self._lexicons)}
        self._concepts = [
            (rule, concepts, tuple(_mask(group, bits) for group in concepts.groups))
            for rule, concepts in conjunctions
        ]
        self._set = together(self._patterns())
        self._context = Context(
            lexicon
            for rule in live
            for near in (*rule.exceptions, rule.evidence)
            if near is not None
            for lexicon in near.lexicons
        )
        self._singles: list[Any] | None = None

    def _patterns(self) -> Iterator[str]:
        yield from (words.pattern for _, words in self._worded)
        yield from (lexicon.pattern for lexicon in self._lexicons)
        yield fold.SPACED
        yield fold.LEET
        yield CANARY

    def sight(self, raw: str) -> tuple[Sighting, ...]:
        """Find everything that the rules see in *raw*; offsets are into *raw*."""
        hits = self._set.Match(fold.plain(raw).encode("ascii"))
        if hits is not None and len(hits) == 1 and hits[0] == self._canary:
            return ()
        return self._sight(raw, hits)

    def _sight(self, raw: str, hits: list[int] | None) -> tuple[Sighting, ...]:
        view: Folded | None = None
        if hits is None or self._canary not in hits:
            view = fold.folded(raw)
            hits = self._one_by_one(view.text)
        if not self._may_matter(hits):
            return ()
        # Views are made of a text's beginning; where nothing else was found, so is the way back.
        only_triggers = all(hit >= self._spaced for hit in hits)
        view = view or fold.folded(raw[: fold.VIEW_LIMIT] if only_triggers else raw)
        found = self._look(Reading(view, "plain", self._context), hits)
        if self._spaced in hits:
            found += self._look_again(fold.joined(view), "joined")
        if self._leet in hits:
            found += self._look_again(fold.unleeted(view), "unleeted")
        return tuple(found)

    def _may_matter(self, hits: list[int]) -> bool:
        """Say whether there is more than a lone word of one lexicon."""
        first, last = self._first_lexicon, self._spaced
        lone = 0
        for hit in hits:
            if first <= hit < last:
                lone += 1
            elif hit != self._canary:
                return True
        return lone > 1

    def _one_by_one(self, text: str) -> list[int]:
        if self._singles is None:
            self._singles = [
                re2.compile(pattern.encode("ascii"), options(SET_MEMORY))
                for pattern in self._patterns()
            ]
        data = text.encode("ascii")
        return [at for at, single in enumerate(self._singles) if single.search(data) is not None]

    def _look_again(self, view: Folded, name: str) -> list[Sighting]:
        reading = Reading(view, name, self._context)
        hits = self._set.Match(reading.data)
        if hits is None or self._canary not in hits:
            hits = self._one_by_one(view.text)
        return self._look(reading, hits)

    def _look(self, reading: Reading, hits: list[int]) -> list[Sighting]:
        found: list[Sighting] = []
        wordy_only = reading.name == "unleeted"
        mask = 0
        for hit in hits:
            if hit < self._first_lexicon:
                rule, words = self._worded[hit]
                if words.wordy or not wordy_only:
                    found += self._words(rule, words, reading)
            elif hit < self._spaced:
                mask |= 1 << (hit - self._first_lexicon)
        if mask and not wordy_only:
            for rule, concepts, groups in self._concepts:
                if sum(1 for group in groups if mask & group) >= concepts.at_least:
                    found += _conjunction(rule, concepts, reading)
        return found

    def _words(self, rule: Rule, words: Words, reading: Reading) -> Iterator[Sighting]:
        view = reading.view
        for span in reading.places(words.expression):
            raw = view.original(*span)
            if reading.name == "unleeted" and raw.isalpha():
                continue  # nothing in it was a figure or a sign; the plain view has it
            if not weigh.case_fits(rule.case, raw) or weigh.excepted(rule, reading, span):
                continue
            evidence = weigh.evidence(rule.evidence, reading, span)
            passed = words.check is None or words.check(view.text[slice(*span)], self._ages)
            confidence = weigh.sureness(
                rule.ladder, view, span, passed=passed, backed=bool(evidence)
            )
            if confidence >= LEAST_CONFIDENCE:
                yield _sighting(rule, reading, span, confidence, evidence)


def _conjunction(rule: Rule, concepts: Concepts, reading: Reading) -> list[Sighting]:
    hits = sorted(
        (start, end, group)
        for group, lexicons in enumerate(concepts.groups)
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
    start, end = view.span(*span)
    return Sighting(
        rule=rule,
        start=start,
        end=end,
        confidence=confidence,
        evidence=tuple(view.span(*place) for place in evidence),
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
