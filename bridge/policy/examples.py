"""Tries each rule on its own examples, and on texts made to be slow.

Never weighs a rule against others: an example matches if its rule sees anything in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.detect.rules import Concepts, Lexicon, Mode, Rule, Words
from bridge.nodes import Node
from bridge.policy import Policy

#: The most that one pattern may cost for 64 KiB of any text, in seconds.
DEAREST = 0.050


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What a rule must and must not match."""

    match: tuple[Node, ...]
    no_match: tuple[Node, ...]


def check_examples(policy: Policy, examples: Mapping[str, Examples]) -> None:
    """Try them all; rules that are off are not tried.

    Raises:
        PolicyError: the first that does not behave, at its line.
    """
    live = {rule.id for rule in policy.rules if rule.mode != "off"}
    for rule_id, told in examples.items():
        if rule_id not in live:
            continue
        for node in told.match:
            if rule_id not in _rules_that_see(policy, node.text()):
                node.fail(f"the rule {rule_id!r} must match this example, and does not")
        for node in told.no_match:
            if rule_id in _rules_that_see(policy, node.text()):
                node.fail(f"the rule {rule_id!r} must not match this example, and does")


def _rules_that_see(policy: Policy, text: str) -> set[str]:
    seen = {sighting.rule.id for sighting in policy.engine.sight(text)}
    if policy.sign_engine:
        signs = {rule.id for rule in policy.rules if rule.mode is Mode.SIGN}
        seen |= signs & {sighting.rule.id for sighting in policy.sign_engine.sight(text)}
    return seen


_SIZE = 65_536


def _jumble(signs: str) -> bytes:
    """Put *signs* in an order without a rhythm: what makes RE2 build one state after another."""
    # The same each time, or a policy would load today and not tomorrow.
    jumbled = hashlib.shake_256(signs.encode()).digest(_SIZE)
    return bytes(ord(signs[byte % len(signs)]) for byte in jumbled)


_SLOW_TEXTS = (
    *((part * (_SIZE // len(part) + 1))[:_SIZE].encode("ascii")
      for part in ("a", "1", "a1 ", "ab12 cd", "in the log 1 of 2 ", "0 7 7 / ")),
    _jumble("ab1 "),
    _jumble("abcdehilnorst 0127"),
)  # fmt: skip


def probe_costs(
    rules: Sequence[Rule], examples: Mapping[str, Examples], clock: Callable[[], float]
) -> None:
    """Run each pattern over texts made to be slow, three times at most.

    Raises:
        PolicyError: one takes longer than `DEAREST` even at its best.
    """
    for rule in rules:
        for expression in _expressions(rule):
            slowest = max(_best(expression, text, clock) for text in _SLOW_TEXTS)
            if slowest > DEAREST:
                examples[rule.id].match[0].fail(
                    f"the rule {rule.id!r} takes {1000 * slowest:.0f} ms for 64 KiB of text; "
                    f"{1000 * DEAREST:.0f} ms are the most"
                )


def _expressions(rule: Rule) -> list[object]:
    match rule.looks_for:
        case Words(expression=expression):
            return [expression]
        case Concepts(groups=groups):
            lexicons: list[Lexicon] = [one for group in groups for one in group]
            return [lexicon.expression for lexicon in lexicons]
        case _:
            return []


def _best(expression: object, text: bytes, clock: Callable[[], float]) -> float:
    best = float("inf")
    for _ in range(3):
        begin = clock()
        for count, _found in enumerate(expression.finditer(text)):  # type: ignore[attr-defined]
            if count == 40:
                break
        best = min(best, clock() - begin)
        if best < DEAREST / 2:
            break
    return best
