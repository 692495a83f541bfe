"""Reads classes.yaml: what holds in rooms of each class, and how long records are kept.

Never lets a class be missing: a room without a policy would be a room where everything goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bridge.detect.identifiers import AgeRange
from bridge.detect.rules import Marking
from bridge.model import JUDGED, Ms, RoomClass
from bridge.nodes import Node
from bridge.policy import ClassPolicy, Conduct, plain_reaction
from bridge.policy.bounds import Bounds
from bridge.policy.keeping import LONGEST, Keeping, read_keeping

CLASSES_FILE = "classes.yaml"
#: The retention class of the bot's own records.
SYSTEM = "system"
#: From this score professional standards are told not to let it wait, where a class does not say.
_ESCALATE = 80
#: What becomes of the thread of a moved message.
_THREADS = ("keep", "remove")
#: What becomes of a message when the bot does not answer the gate.
_UNANSWERED = ("pass", "refuse")
#: Whether a card hangs in each room, and who joins is told in private.
_CARDS = ("pinned", "none")
_MARKINGS = {"official": Marking.OFFICIAL, "official-sensitive": Marking.OFFICIAL_SENSITIVE,
             "secret": Marking.SECRET, "top-secret": Marking.TOP_SECRET}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The content of classes.yaml."""

    classes: Mapping[RoomClass, ClassPolicy]
    retention: Mapping[str, int]
    keeping: Mapping[str, Keeping]
    conduct: Conduct
    ages: AgeRange
    memory: Ms
    reactions: frozenset[str]
    bounds: Bounds


def read_settings(root: Mapping[str, Node]) -> Settings:
    """Read the whole file.

    Raises:
        PolicyError: something in it is wrong or missing.
    """
    got = root[""].mapping(
        required=("retention", "classes", "professional_standards", "plates_issued"),
        optional=("memory_seconds", "operational_reactions", "strength"),
    )
    keeping = {name: read_keeping(node) for name, node in got["retention"].items()}
    retention = {name: one.days for name, one in keeping.items()}
    if SYSTEM not in retention:
        got["retention"].fail(f"the retention class {SYSTEM!r} is missing: the bot's own records")
    conduct = _conduct(got["professional_standards"])
    memory = got["memory_seconds"].integer(least=0, most=600) if "memory_seconds" in got else 60
    return Settings(
        classes=_classes(got["classes"], retention, conduct),
        retention=retention,
        keeping=keeping,
        conduct=conduct,
        ages=_ages(got["plates_issued"]),
        memory=Ms(memory * 1000),
        reactions=_reactions(got.get("operational_reactions")),
        bounds=_bounds(got.get("strength")),
    )


def _reactions(node: Node | None) -> frozenset[str]:
    return frozenset(map(plain_reaction, node.texts())) if node else frozenset()


def _bounds(node: Node | None) -> Bounds:
    found = Bounds()
    if node is None:
        return found
    names = ("team", "wrong_moves", "wrong_nudges", "wrong_share")
    got = node.mapping(optional=names)
    most = {"team": 10_000, "wrong_share": 99}
    given = {
        name: value.integer(least=0 if name.startswith("wrong_") else 1, most=most.get(name, 1000))
        for name, value in got.items()
    }
    return replace(found, **given)


def _conduct(node: Node) -> Conduct:
    got = node.mapping(required=("enabled", "looks_for"), optional=("dpia", "approver"))
    enabled = got["enabled"].boolean()
    for name in ("dpia", "approver"):
        if enabled and name not in got:
            node.fail(f"to switch these rules on, {name!r} has to be given")
    return Conduct(
        enabled=enabled,
        dpia=got["dpia"].text() if "dpia" in got else "",
        approver=got["approver"].text() if "approver" in got else "",
        looks_for=got["looks_for"].text(),
    )


def _ages(node: Node) -> AgeRange:
    got = node.mapping(required=("march", "september"))
    return AgeRange(
        march=got["march"].integer(least=2, most=50),
        september=got["september"].integer(least=51, most=99),
    )


def _classes(
    node: Node, retention: Mapping[str, int], conduct: Conduct
) -> dict[RoomClass, ClassPolicy]:
    found: dict[RoomClass, ClassPolicy] = {}
    names = {cls.value: cls for cls in RoomClass}
    for name, value in node.mapping(required=names).items():
        found[names[name]] = _class(names[name], value, retention, conduct)
    return found


def _class(
    cls: RoomClass, node: Node, retention: Mapping[str, int], conduct: Conduct
) -> ClassPolicy:
    judged = cls in JUDGED
    limits = ("nudge", "redirect", "review", "looks_for") if judged else ()
    got = node.mapping(
        required=("retention", "visible_days", "readers", *limits),
        optional=("ceiling", "threads", "gate", "card", *(("escalate",) if judged else ())),
    )
    gate_ms, gate_refuses = _gate(got.get("gate"))
    kept_as = got["retention"].choice(retention)
    visible = got["visible_days"].integer(least=1, most=LONGEST)
    if visible > retention[kept_as]:
        got["visible_days"].fail(
            f"messages would be visible longer than records are kept: {kept_as}"
        )
    nudge, redirect, review = (
        (got[name].integer(least=1, most=100) if judged else 100)
        for name in ("nudge", "redirect", "review")
    )
    escalate = max(review, _ESCALATE)
    if "escalate" in got:
        escalate = got["escalate"].integer(least=1, most=100)
        if review > escalate:
            got["escalate"].fail("what should not wait would not be looked at")
    if nudge > redirect:
        got["nudge"].fail("a message would be moved before its sender is nudged")
    looks_for = got["looks_for"].texts() if judged else ()
    return ClassPolicy(
        nudge=nudge,
        redirect=redirect,
        review=review,
        escalate=escalate,
        retention=kept_as,
        visible_days=visible,
        kept_days=retention[kept_as],
        ceiling=_MARKINGS[got["ceiling"].choice(_MARKINGS)]
        if "ceiling" in got
        else Marking.OFFICIAL,
        judged=judged,
        looks_for=(*looks_for, conduct.looks_for) if judged and conduct.enabled else looks_for,
        readers=got["readers"].texts(),
        threads="threads" in got and got["threads"].choice(_THREADS) == "remove",
        gate_ms=gate_ms,
        gate_refuses=gate_refuses,
        card="card" in got and got["card"].choice(_CARDS) == "pinned",
    )


def _gate(node: Node | None) -> tuple[int, bool]:
    """How long the homeserver's gate waits for the bot, and whether it refuses a message then."""
    got = node.mapping(optional=("budget_ms", "unanswered")) if node else {}
    budget_ms = got["budget_ms"].integer(least=10, most=5000) if "budget_ms" in got else 300
    refuses = "unanswered" in got and got["unanswered"].choice(_UNANSWERED) == "refuse"
    return budget_ms, refuses
