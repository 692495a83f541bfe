"""From YAML files to a policy, or to an error that says which line of which file is wrong.

Never reads a file itself, and never gives half a policy: it loads whole or not at all.

1. Each file is read strictly. 2. Lexicons are compiled. 3. Rules are compiled. 4. The engines
are made. 5. Each rule's examples are tried on it. 6. With a clock, each pattern's cost is probed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bridge.detect.engine import ENGINE, Engine
from bridge.detect.rules import Channel, Mode, Rule, shape_of
from bridge.errors import PolicyError
from bridge.model import RoomClass
from bridge.nodes import Node, parse
from bridge.policy import Policy
from bridge.policy.classes import CLASSES_FILE, Settings, read_settings
from bridge.policy.examples import Examples, check_examples, probe_costs
from bridge.policy.modelfile import MODEL_FILE, read_model
from bridge.policy.rulefiles import LexiconTable, Warn, read_lexicons, read_rules
from bridge.policy.strength import weaker

#: What a language model has beliefs about.
_SIGNED = frozenset({Channel.OPERATIONAL, Channel.PROFESSIONAL_STANDARDS})


@dataclass(frozen=True, slots=True)
class _Ruled:
    """A policy without what a model may do, and what may be meant otherwise in its files."""

    policy: Policy
    doubts: tuple[str, ...]


#: The rules of so many policies are remembered: of what is in force, a draft of it, and what they
#: are held against. What a model may do is read anew: it costs nothing.
_MOST_RECENT = 3
_RECENT: dict[tuple[object, ...], _Ruled] = {}


def load(
    files: Mapping[str, bytes],
    *,
    clock: Callable[[], float] | None = None,
    warn: Warn | None = None,
) -> Policy:
    """Make one policy of *files*: their contents by name, such as "rules/vehicles.yaml".

    *clock* gives seconds, as `time.thread_time` does; given, patterns that cost too much are
    refused as well. *warn* is told what loads and may yet be meant otherwise, with file and line.
    The rules that the same files gave a moment ago are not made anew.

    Raises:
        PolicyError: the first thing that is wrong, with its file and line.
    """
    if CLASSES_FILE not in files:
        raise PolicyError(CLASSES_FILE, None, "this file is missing; it says what each room may")
    model = None
    if MODEL_FILE in files:
        model = read_model(_root(MODEL_FILE, files[MODEL_FILE])[""])
    ruled = _recent({name: files[name] for name in files if name != MODEL_FILE}, clock)
    if warn is not None:
        for doubt in ruled.doubts:
            warn(doubt)
    return replace(ruled.policy, revision=revision_of(files), files=_digests(files), meaning=model)


def _recent(files: Mapping[str, bytes], clock: Callable[[], float] | None) -> _Ruled:
    name = (clock is not None, *sorted(files.items()))
    ruled = _RECENT.pop(name, None) or _load(files, clock)
    _RECENT[name] = ruled
    if len(_RECENT) > _MOST_RECENT:
        _RECENT.pop(next(iter(_RECENT)))
    return ruled


def _load(files: Mapping[str, bytes], clock: Callable[[], float] | None) -> _Ruled:
    doubts: list[str] = []
    roots = {name: _root(name, files[name]) for name in sorted(files)}
    settings = read_settings(roots.pop(CLASSES_FILE))
    lexicons = _lexicons(roots, doubts.append)
    rules, examples = _rules(roots, lexicons)
    policy = _policy(files, settings, rules)
    check_examples(policy, examples)
    if clock is not None:
        probe_costs(rules, examples, clock)
    return _Ruled(policy, tuple(doubts))


def _root(name: str, content: bytes) -> dict[str, Node]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyError(name, None, "this is not UTF-8 text") from None
    root = parse(text, name, error=PolicyError)
    if name in {CLASSES_FILE, MODEL_FILE}:
        return {"": root}
    return root.mapping(optional=("lexicons", "rules", "mode", "note"))


def _lexicons(roots: Mapping[str, dict[str, Node]], warn: Warn) -> LexiconTable:
    table = LexiconTable(warn)
    for got in roots.values():
        if "lexicons" in got:
            read_lexicons(got["lexicons"], table)
    return table


def _rules(
    roots: Mapping[str, dict[str, Node]], lexicons: LexiconTable
) -> tuple[tuple[Rule, ...], dict[str, Examples]]:
    rules: dict[str, Rule] = {}
    examples: dict[str, Examples] = {}
    for got in roots.values():
        if "rules" in got:
            before = len(rules)
            read_rules(got["rules"], lexicons, rules, examples)
            if "mode" in got:
                most = got["mode"].member(Mode)
                for rule in list(rules.values())[before:]:
                    rules[rule.id] = replace(rule, mode=weaker(rule.mode, most))
    for rule in rules.values():
        if rule.mode is Mode.SIGN and rule.channel not in _SIGNED:
            examples[rule.id].match[0].fail(
                f"{rule.id!r} cannot be a sign: no belief of a model is about {rule.channel.value}"
            )
    if not rules:
        raise PolicyError("rules", None, "there is no rule in any file; an empty policy is none")
    return tuple(rules.values()), examples


def revision_of(files: Mapping[str, bytes], engine: str = ENGINE) -> str:
    """Name the policy that *files* make with that engine: SHA-256, in hex. Loads nothing."""
    whole = hashlib.sha256(f"bluelamp policy, engine {engine}\0".encode())
    for name, digest in _digests(files):
        whole.update(f"{len(name)}:{name}\0{digest}\0".encode())
    return whole.hexdigest()


def _digests(files: Mapping[str, bytes]) -> tuple[tuple[str, str], ...]:
    return tuple((name, hashlib.sha256(files[name]).hexdigest()) for name in sorted(files))


def _policy(
    files: Mapping[str, bytes],
    settings: Settings,
    rules: tuple[Rule, ...],
) -> Policy:
    signs = [rule for rule in rules if rule.mode is Mode.SIGN]
    shapes = [shape for shape in map(shape_of, rules) if shape is not None]
    return Policy(
        revision=revision_of(files),
        files=_digests(files),
        classes=MappingProxyType({cls: settings.classes[cls] for cls in RoomClass}),
        retention=MappingProxyType(dict(settings.retention)),
        keeping=MappingProxyType(dict(settings.keeping)),
        rules=rules,
        engine=Engine([rule for rule in rules if rule.mode is not Mode.SIGN], settings.ages),
        sign_engine=Engine([*signs, *shapes], settings.ages) if signs or shapes else None,
        conduct=settings.conduct,
        memory=settings.memory,
        reactions=settings.reactions,
        bounds=settings.bounds,
    )
