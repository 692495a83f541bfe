"""Reads rules and lexicons from policy files.

Never accepts a rule without a reason for the officer, an assessment, and examples of both kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from bridge.detect.phrases import compiled, name_pattern, phrase_pattern, torn_apart
from bridge.detect.rules import (
    Case,
    Channel,
    Concepts,
    Ladder,
    Lexicon,
    Marking,
    Mode,
    Near,
    Rule,
    Words,
)  # fmt: skip
from bridge.detect.shapes import SHAPES
from bridge.nodes import Node
from bridge.policy.examples import Examples

_MARKINGS = {"official-sensitive": Marking.OFFICIAL_SENSITIVE, "secret": Marking.SECRET,
             "top-secret": Marking.TOP_SECRET}  # fmt: skip
_KINDS = ("identifier", "pattern", "phrases", "concepts", "file_names")
_STEPS = ("evidence", "lower", "lower_spaced", "check_failed", "check_failed_evidence", "per_extra")


#: Is told what may be meant otherwise: `file:line: what is doubtful`. Nothing is refused for it.
Warn: TypeAlias = Callable[[str], None]


class LexiconTable:
    """Lexicons by name, each defined once."""

    def __init__(self, warn: Warn | None = None) -> None:
        """Start with none."""
        self._found: dict[str, Lexicon] = {}
        self._warn = warn

    def doubt(self, node: Node) -> None:
        """Warn of a phrase that may not say what its writer means."""
        torn = torn_apart(node.text())
        if torn is not None and self._warn is not None:
            self._warn(
                f"{node.source}:{node.line}: a slash binds tighter than a space, so the phrase "
                f"{node.text()!r} takes {torn!r} apart; for a choice of two words write "
                f"{torn.replace(' ', '-')!r}"
            )

    def add(self, name: str, node: Node, lexicon: Lexicon) -> None:
        """Add one; a name that is taken is an error."""
        if name in self._found:
            node.fail(f"the lexicon {name!r} is defined twice")
        self._found[name] = lexicon

    def get(self, node: Node) -> Lexicon:
        """Give the one that *node* names."""
        name = node.text()
        if name not in self._found:
            node.fail(f"there is no lexicon {name!r}")
        return self._found[name]


def read_lexicons(node: Node, table: LexiconTable) -> None:
    """Read a mapping of names to phrases (and, rarely, patterns)."""
    for name, value in node.items():
        if value.is_list():
            phrases, patterns = value.list(), []
        else:
            got = value.mapping(required=("phrases",), optional=("patterns", "note"))
            phrases = got["phrases"].list()
            patterns = got["patterns"].list() if "patterns" in got else []
        for phrase in phrases:
            table.doubt(phrase)
        table.add(name, value, _lexicon(name, value, phrases, patterns))


def _lexicon(name: str, node: Node, phrases: list[Node], patterns: list[Node]) -> Lexicon:
    parts: dict[str, None] = {}
    for phrase in phrases:
        pattern = phrase.read(phrase_pattern)
        if pattern in parts:
            phrase.fail(f"the phrase {phrase.text()!r} is given twice")
        parts[pattern] = None
    for own in patterns:
        own.read(compiled)
        parts[own.text()] = None
    try:
        whole = "|".join(parts)
        return Lexicon(id=name, pattern=whole, expression=compiled(whole), size=len(parts))
    except ValueError as exc:
        node.fail(str(exc))


def read_rules(
    node: Node, lexicons: LexiconTable, rules: dict[str, Rule], examples: dict[str, Examples]
) -> None:
    """Read a list of rules into *rules*, and what each must and must not match."""
    for item in node.list():
        rule, told = _rule(item, lexicons)
        if rule.id in rules:
            item.fail(f"the rule {rule.id!r} is defined twice; also at {rules[rule.id].source}")
        rules[rule.id] = rule
        examples[rule.id] = told


def _rule(node: Node, lexicons: LexiconTable) -> tuple[Rule, Examples]:
    got = node.mapping(
        required=("id", "title", "reason", "family", "dpia", "confidence", "match", "no_match"),
        optional=(*_KINDS, "channel", "mode", "evidence", "exceptions", "case", "marking", "note"),
    )
    kinds = [kind for kind in _KINDS if kind in got]
    if len(kinds) != 1:
        node.fail(f"a rule looks for exactly one of: {', '.join(_KINDS)}")
    marking = got["marking"].choice(_MARKINGS) if "marking" in got else None
    rule = Rule(
        id=got["id"].text(),
        title=got["title"].text(),
        reason=got["reason"].text(),
        family=got["family"].text(),
        channel=got["channel"].member(Channel) if "channel" in got else Channel.OPERATIONAL,
        mode=got["mode"].member(Mode) if "mode" in got else Mode.ENFORCE,
        dpia=got["dpia"].text(),
        looks_for=_looks_for(kinds[0], got[kinds[0]], lexicons),
        ladder=_ladder(got["confidence"]),
        evidence=_near(got["evidence"], lexicons) if "evidence" in got else None,
        exceptions=_exceptions(got.get("exceptions"), lexicons),
        case=got["case"].member(Case) if "case" in got else Case.ANY,
        marking=_MARKINGS[marking] if marking else Marking.OFFICIAL,
        source=f"{node.source}:{node.line}",
    )
    if (rule.channel is Channel.MARKING) != (marking is not None):
        node.fail("a rule of the channel 'marking' says which marking, and no other rule does")
    told = Examples(match=tuple(got["match"].list()), no_match=tuple(got["no_match"].list()))
    return rule, told


def _looks_for(kind: str, node: Node, lexicons: LexiconTable) -> Words | Concepts:
    if kind == "concepts":
        return _concepts(node, lexicons)
    if kind == "identifier":
        shape = SHAPES[node.choice(SHAPES)]
        return Words(
            pattern=shape.pattern,
            expression=compiled(shape.pattern),
            check=shape.check,
            ordinary=shape.ordinary,
        )
    if kind == "file_names":
        for name in node.list():
            name.read(lambda text: name_pattern([text]))
        pattern = name_pattern(node.texts())
        return Words(pattern=pattern, expression=compiled(pattern))
    if kind == "pattern":
        return Words(pattern=node.text(), expression=node.read(compiled))
    if node.is_list():
        for phrase in node.list():
            lexicons.doubt(phrase)
    phrases = _lexicon("", node, node.list(), []) if node.is_list() else lexicons.get(node)
    return Words(pattern=phrases.pattern, expression=phrases.expression, wordy=True)


def _concepts(node: Node, lexicons: LexiconTable) -> Concepts:
    got = node.mapping(optional=("all_of", "any_of", "at_least", "window"))
    if ("all_of" in got) == ("any_of" in got):
        node.fail("concepts have either 'all_of' or 'any_of'")
    items = got["all_of" if "all_of" in got else "any_of"].list()
    groups = tuple(
        tuple(map(lexicons.get, item.list())) if item.is_list() else (lexicons.get(item),)
        for item in items
    )
    if len(groups) < 2:
        node.fail("a conjunction is of two or more")
    found = Concepts(groups=groups, at_least=len(groups))
    if "at_least" in got:
        if "all_of" in got:
            got["at_least"].fail("'all_of' means all of them")
        found = replace(found, at_least=got["at_least"].integer(least=2, most=len(groups)))
    elif "any_of" in got:
        node.fail("'any_of' needs 'at_least'")
    if "window" in got:
        found = replace(found, window=got["window"].integer(least=10, most=400))
    return found


def _ladder(node: Node) -> Ladder:
    got = node.mapping(required=("base",), optional=_STEPS)
    steps = {name: value.integer(least=0, most=100) for name, value in got.items()}
    if "lower_spaced" in steps and "lower" not in steps:
        got["lower_spaced"].fail("'lower_spaced' needs 'lower'")
    return Ladder(
        base=steps["base"],
        evidence=steps.get("evidence"),
        lower=steps.get("lower"),
        lower_spaced=steps.get("lower_spaced"),
        check_failed=steps.get("check_failed"),
        check_failed_evidence=steps.get("check_failed_evidence"),
        per_extra=steps.get("per_extra", 0),
    )


def _near(node: Node, lexicons: LexiconTable) -> Near:
    got = node.mapping(required=("near",), optional=("window",))
    found = Near(lexicons=tuple(map(lexicons.get, got["near"].list())))
    if "window" in got:
        found = replace(found, window=got["window"].integer(least=1, most=400))
    return found


def _exceptions(node: Node | None, lexicons: LexiconTable) -> tuple[Near, ...]:
    if node is None:
        return ()
    return tuple(_near(item, lexicons) for item in node.list())
