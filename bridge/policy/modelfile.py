"""Reads model.yaml: what a language model may do in each class of room, and how sure it has to be.

Never lets a model do anything where there is no such file, and never lets one be surer to nudge
than to move.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from bridge.detect.rules import Channel, Mode
from bridge.model import JUDGED, RoomClass
from bridge.nodes import Node
from bridge.policy.meaning import (
    CONCERN,
    OPERATIONAL,
    SHARES,
    ModelPolicy,
    Steps,
    model_rule,
)

MODEL_FILE = "model.yaml"
#: Steps of which each has to be surer than the one before it.
_LADDERS = (
    ("nudge", "move_with_hint", "move"),
    ("nudge_with_identifier", "nudge"),
    ("nudge_with_identifier", "move_with_identifier", "move"),
)


def read_model(root: Node) -> ModelPolicy:
    """Read the whole file.

    Raises:
        PolicyError: something in it is wrong or missing.
    """
    got = root.mapping(required=("mode", "dpia", "operational", "concern", "classes"))
    mode, dpia = got["mode"].member(Mode), got["dpia"].text()
    if mode is Mode.SIGN:
        got["mode"].fail("a sign is what stands beside a model, so a model cannot be one")
    source = f"{root.source}:{root.line}"
    questions = {}
    for name, channel in ((OPERATIONAL, Channel.OPERATIONAL),
                          (CONCERN, Channel.PROFESSIONAL_STANDARDS)):  # fmt: skip
        said = got[name.partition(":")[2]].mapping(required=("title", "reason"))
        title, reason = said["title"].text(), said["reason"].text()
        questions[name] = model_rule(
            name, channel=channel, title=title, reason=reason, mode=mode, dpia=dpia, source=source
        )
    return ModelPolicy(
        rule=questions[OPERATIONAL], concern=questions[CONCERN], classes=_classes(got["classes"])
    )


def _classes(node: Node) -> Mapping[RoomClass, Steps]:
    names = {cls.value: cls for cls in RoomClass if cls in JUDGED}
    got = node.mapping(required=names)
    return MappingProxyType({names[name]: _steps(value) for name, value in got.items()})


def _steps(node: Node) -> Steps:
    got = node.mapping(
        required=("nudge",),
        optional=(
            "move_with_hint",
            "move",
            "move_nudged",
            "nudge_with_identifier",
            "move_with_identifier",
            "only_ask",
            "let_be",
            "concern",
        ),
    )
    back = {name: got[name].probability() for name in ("only_ask", "let_be") if name in got}
    for name, least in back.items():
        if isinstance(nudge := _step(got["nudge"]), float) and least >= nudge:
            got[name].fail(f"{name!r} is not below 'nudge': what a model believes it cannot deny")
    found = {name: _step(value) for name, value in got.items() if name not in back}
    for ladder in _LADDERS:
        steps = [name for name in ladder if name in found]
        for milder, stricter in pairwise(steps):
            if _is_less(found[stricter], found[milder]):
                got[stricter].fail(
                    f"{stricter!r} asks for less than {milder!r}: the stricter step has to be surer"
                )
    return Steps(
        nudge=found["nudge"],
        move_with_hint=found.get("move_with_hint"),
        move=found.get("move"),
        move_nudged=found.get("move_nudged"),
        nudge_with_identifier=found.get("nudge_with_identifier"),
        move_with_identifier=found.get("move_with_identifier"),
        only_ask=back.get("only_ask"),
        let_be=back.get("let_be"),
        concern=found.get("concern"),
    )


def _step(node: Node) -> float | str:
    """Read a probability, or the name of a share such as 2 %."""
    name = node.text().replace(" ", "")
    if not name.endswith("%"):
        return node.probability()
    if name not in SHARES:
        node.fail(f"{name} is not one of the shares that models know: {', '.join(SHARES)}")
    return name


def _is_less(one: float | str, other: float | str) -> bool:
    """Say whether *one* is surely less sure than *other*; of two kinds nothing is sure."""
    if isinstance(one, str) and isinstance(other, str):
        return SHARES.index(one) > SHARES.index(other)
    return isinstance(one, float) and isinstance(other, float) and one < other
