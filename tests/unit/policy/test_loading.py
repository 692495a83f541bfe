"""Policies load whole or not at all, and every complaint has a file and a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from inspect import signature

import pytest

from bridge.config import load_policies
from bridge.errors import PolicyError
from bridge.model import RoomClass
from bridge.policy.examples import DEAREST, _best
from bridge.policy.load import load
from bridge.running import drafts

from .shipped import CLASSES, POLICIES, shipped_files

RULE = """rules:
  - id: a.rule
    title: A rule
    reason: it has a word
    family: words
    dpia: DPIA-1
    phrases: [misper]
    confidence: {base: 60}
    match: [the misper again]
    no_match: [milk]
"""


def files(rule: str = RULE, classes: str = CLASSES) -> dict[str, bytes]:
    return {"classes.yaml": classes.encode(), "rules/a.yaml": rule.encode()}


def complaint(rule: str = RULE, classes: str = CLASSES) -> str:
    with pytest.raises(PolicyError) as caught:
        load(files(rule, classes))
    return str(caught.value)


def test_a_small_policy_loads() -> None:
    policy = load(files())
    assert [rule.id for rule in policy.rules] == ["a.rule"]
    assert set(policy.classes) == set(RoomClass)
    assert policy.retention["system"] == 2557


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    title: A rule\n", "    tittle: A rule\n", "rules/a.yaml:3: unknown key 'tittle'"),
        ("    title: A rule\n", "    title: A\n    title: B\n", "rules/a.yaml:4: the key 'title'"),
        ("    dpia: DPIA-1\n", "", "rules/a.yaml:2: the key 'dpia' is missing"),
        ("[misper]", "[]", "rules/a.yaml:7: the list is empty"),
        ("[milk]", "[]", "rules/a.yaml:10: the list is empty"),
        ("phrases: [misper]", "pattern: '(?=x)y'", "rules/a.yaml:7: RE2 refuses this pattern"),
        ("phrases: [misper]", "pattern: 'x*'", "rules/a.yaml:7: this pattern matches an empty"),
        ("phrases: [misper]", "identifier: nope", "rules/a.yaml:7: 'nope' is not one of"),
        ("phrases: [misper]", "phrases: nope", "rules/a.yaml:7: there is no lexicon 'nope'"),
        ("[the misper again]", "[the missing one]", "rules/a.yaml:9: the rule 'a.rule' must match"),
        ("[milk]", "[a misper]", "rules/a.yaml:10: the rule 'a.rule' must not match"),
        ("{base: 60}", "{base: 101}", "rules/a.yaml:8: 101 is not between 0 and 100"),
        ("{base: 60}", "{base: sure}", "rules/a.yaml:8: 'sure' is not a whole number"),
        ("    dpia: DPIA-1\n", "    dpia: D\n    mode: loud\n", "rules/a.yaml:7: 'loud' is not"),
        ("    phrases: [misper]\n", "", "a rule looks for exactly one of"),
        ("    dpia: DPIA-1\n", "    dpia: D\n    channel: marking\n", "says which marking"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_its_line(old: str, new: str, words: str) -> None:
    assert old in RULE
    assert words in complaint(RULE.replace(old, new))


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("file_names: []", "rules/a.yaml:7: the list is empty"),
        ("file_names: [the (old) file]", "rules/a.yaml:7: the name 'the (old) file' is not words"),
        ("file_names: [a%]", "must match this example"),
        ("phrases: [no/ comment]", "rules/a.yaml:7: there is an empty choice"),
        ("pattern: 'x{1001}'", "rules/a.yaml:7: RE2 refuses this pattern"),
        ("pattern: 'caf\u00e9'", "rules/a.yaml:7: a pattern is matched against plain letters"),
        ("identifier: [mobile]", "rules/a.yaml:7: expected some text"),
    ],
)
def test_what_a_rule_cannot_look_for_is_said_with_its_line(new: str, words: str) -> None:
    assert words in complaint(RULE.replace("phrases: [misper]", new))


def test_a_pattern_that_explodes_is_refused_by_the_real_clock() -> None:
    # Each place of a text may begin a match, so RE2 needs a new state for nearly every letter.
    dear = RULE.replace("phrases: [misper]", "pattern: '(?:misper|[a1][ab1 ]{300}q)'")
    with pytest.raises(PolicyError, match=r"rules/a\.yaml:9: .* ms for 64 KiB of text"):
        load(files(dear), clock=time.thread_time)


def test_a_slash_that_takes_two_words_apart_is_warned_of_and_loads() -> None:
    told: list[str] = []
    torn = RULE.replace("[misper]", "[misper, nobody/do not/never park]")
    load(files(torn), warn=told.append)
    (warning,) = told
    assert warning.startswith("rules/a.yaml:7: a slash binds tighter than a space")
    assert "'do-not'" in warning
    load(files(torn.replace("do not/never", "do-not/never")), warn=told.append)
    assert len(told) == 1


def test_nothing_in_the_shipped_policy_is_warned_of() -> None:
    told: list[str] = []
    load(shipped_files(), warn=told.append)
    assert told == []


def test_an_id_given_twice_is_refused() -> None:
    second = RULE.removeprefix("rules:\n")
    assert "rules/a.yaml:11: the rule 'a.rule' is defined twice" in complaint(RULE + second)


def test_a_lexicon_defined_twice_is_refused() -> None:
    given = files() | {
        "lexicons/a.yaml": b"lexicons:\n  x: [a]\n",
        "lexicons/b.yaml": b"lexicons:\n  x: [b]\n",
    }
    with pytest.raises(PolicyError, match=r"lexicons/b\.yaml:2: the lexicon 'x' is defined twice"):
        load(given)


def test_a_phrase_given_twice_is_refused() -> None:
    assert "is given twice" in complaint(RULE.replace("[misper]", "[misper, misper]"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  canary:", "  aviary:", "unknown key 'aviary'"),
        ("  system: 2557", "  sistem: 2557", "the retention class 'system' is missing"),
        ("    nudge: 40 ", "    nudge: 70 ", "moved before its sender is nudged"),
        ("  enabled: no", "  enabled: yes", "'dpia' has to be given"),
        ("    visible_days: 30\n", "    visible_days: 300\n", "visible longer than records"),
        ("  march: 26", "  march: 99", "99 is not between 2 and 50"),
    ],
)
def test_what_is_wrong_with_the_classes_is_said(old: str, new: str, words: str) -> None:
    assert old in CLASSES
    message = complaint(classes=CLASSES.replace(old, new, 1))
    assert message.startswith("classes.yaml:")
    assert words in message


KEPT = "  operational: {kept_for: 2557, minimum: 2192} # seven years, six at least\n"


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("{kept_for: 2557, minimum: 3000, maximum: 2900}", "longer than the maximum, 2900"),
        ("{kept_for: 2000, minimum: 2192}", "kept for 2000 days, and 2192 is the minimum"),
        ("{kept_for: 4000, maximum: 3653}", "kept for 4000 days, and 3653 is the maximum"),
        ("{minimum: 2192}", "'kept_for' is missing"),
        ("{kept_for: 2557, least: 3}", "unknown key 'least'"),
        ("0", "0 is not between 1 and"),
    ],
)
def test_a_minimum_and_a_maximum_that_contradict_are_refused_with_their_line(
    days: str, words: str
) -> None:
    assert KEPT in CLASSES
    message = complaint(classes=CLASSES.replace(KEPT, f"  operational: {days}\n", 1))
    assert message.startswith(f"classes.yaml:{CLASSES[: CLASSES.index(KEPT)].count(chr(10)) + 1}:")
    assert words in message


def test_how_long_records_are_kept_has_a_minimum_where_one_is_given() -> None:
    policy = load(files())
    assert (policy.keeping["operational"].days, policy.keeping["operational"].least) == (2557, 2192)
    assert policy.keeping["social"].least == 1
    assert policy.retention["operational"] == 2557


def test_the_professional_standards_rules_need_an_assessment_and_an_approver() -> None:
    on = CLASSES.replace("  enabled: no", "  enabled: yes\n  dpia: DPIA-2\n  approver: ACC Example")
    policy = load(files(classes=on))
    assert policy.conduct.enabled
    assert policy.conduct.looks_for in policy.classes[RoomClass.SOCIAL].looks_for


def test_nothing_loads_without_classes_or_rules() -> None:
    with pytest.raises(PolicyError, match=r"classes\.yaml: this file is missing"):
        load({"rules/a.yaml": RULE.encode()})
    with pytest.raises(PolicyError, match="there is no rule"):
        load({"classes.yaml": CLASSES.encode()})


def test_a_file_that_is_not_text_or_not_yaml_is_refused() -> None:
    with pytest.raises(PolicyError, match="not UTF-8"):
        load(files() | {"rules/b.yaml": b"\xff\xfe"})
    with pytest.raises(PolicyError, match=r"rules/b\.yaml:1: this is not YAML"):
        load(files() | {"rules/b.yaml": b"rules: [\x01"})


def test_the_revision_covers_every_byte_and_every_name() -> None:
    first = load(files())
    assert load(files()).revision == first.revision
    assert load(files(RULE + "# a remark\n")).revision != first.revision
    renamed = {"classes.yaml": CLASSES.encode(), "rules/b.yaml": RULE.encode()}
    assert load(renamed).revision != first.revision
    assert [name for name, _ in first.files] == ["classes.yaml", "rules/a.yaml"]
    assert len(first.revision) == 64


def test_a_pattern_that_costs_too_much_is_refused_where_a_clock_is_given() -> None:
    ticks = iter(range(10_000_000))
    with pytest.raises(PolicyError, match=r"rules/a\.yaml:9: .* for 64 KiB of text"):
        load(files(), clock=lambda: float(next(ticks)))


def test_the_shipped_policy_loads_and_none_of_its_patterns_costs_too_much() -> None:
    # Asked for warnings, it is loaded anew: what another test has loaded may not have been probed.
    found = load(shipped_files(), clock=time.thread_time, warn=lambda _: None)
    assert len(found.rules) > 50


def test_to_wait_for_its_turn_on_a_busy_machine_makes_no_pattern_dear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a bot would refuse tomorrow the policy that it took today."""

    class Busy:
        """An expression that finds nothing, and is kept waiting meanwhile."""

        def finditer(self, _text: bytes) -> Iterator[object]:
            time.sleep(1.2 * DEAREST)
            return iter(())

    clocks: list[Callable[[], float]] = [
        signature(load_policies).parameters["clock"].default, _clock_of(monkeypatch)
    ]  # fmt: skip
    for clock in clocks:
        assert _best(Busy(), b"", clock) < DEAREST


def _clock_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """The clock by which a draft is probed."""
    given: list[Callable[[], float]] = []

    def taken(_files: object, *, clock: Callable[[], float]) -> None:
        given.append(clock)

    monkeypatch.setattr(drafts, "load", taken)
    drafts.load_files({})
    return given[0]


def test_the_rule_in_the_readme_loads() -> None:
    readme = (POLICIES / "README.md").read_text(encoding="utf-8")
    example = readme.split("```yaml\n")[1].split("```")[0]
    policy = load(shipped_files() | {"packs/readme.yaml": example.encode()})
    assert "pack.ourforce.crime" in {rule.id for rule in policy.rules}


@pytest.mark.parametrize(
    ("of_file", "of_rule", "together"),
    [("shadow", "enforce", "shadow"), ("nudge", "off", "off"), ("enforce", "nudge", "nudge")],
)
def test_a_mode_at_the_top_of_a_file_is_the_most_that_its_rules_may_do(
    of_file: str, of_rule: str, together: str
) -> None:
    rule = RULE.replace("    dpia:", f"    mode: {of_rule}\n    dpia:")
    policy = load({**files(f"mode: {of_file}\n{rule}"), "rules/b.yaml": other().encode()})
    assert {one.id: str(one.mode) for one in policy.rules} == {
        "a.rule": together, "b.rule": "enforce"
    }  # fmt: skip
    assert complaint(f"mode: loud\n{RULE}").startswith("rules/a.yaml:1: 'loud' is not one of")


def other() -> str:
    return RULE.replace("a.rule", "b.rule")
