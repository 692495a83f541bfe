"""The language model that the configuration names, or why there is none.

Never lets a model that is not what its manifest says take part: rules go on without it, and whoever
asked for it is told why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import ModelRefused
from bridge.policy import Policy
from bridge.policy.meaning import SHARES, Taking
from bridge.understand.model import Asked, Belief, Model
from bridge.understand.stage import Understanding

#: So many messages are asked about in one go, where nobody waits for each.
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What came of loading a model."""

    model: Model | None = None
    #: Why there is none although one was named; empty otherwise.
    refused: str = ""

    @property
    def taking(self) -> Taking | None:
        """The model as the policy knows it; None where there is none."""
        model = self.model
        if model is None or model.thresholds is None:
            return None
        shares = model.thresholds
        return Taking(digest=model.digest, operational=shares.operational, concern=shares.concern)

    def beside(self, policy: Policy) -> Policy:
        """Give *policy* with this model taking part, as far as it lets one."""
        return policy.with_model(self.taking)


def choose(folder: Path | None) -> Chosen:
    """Load the model in *folder*; None: there is to be none. Takes a second."""
    if folder is None:
        return Chosen()
    try:
        found = Chosen(model=Model.load(folder))
    except ModelRefused as exc:
        return Chosen(refused=str(exc))
    taking = found.taking
    for shares in (taking.operational, taking.concern) if taking else ():
        if missing := [name for name in SHARES if name not in shares]:
            return Chosen(refused=f"{folder}: its manifest has no threshold at {missing[0]}")
    return found


def asking(
    model: Model, progress: Callable[[int, int], None] = lambda _done, _size: None
) -> Callable[[Sequence[tuple[str, tuple[str, ...]]]], list[Belief | None]]:
    """Make what asks *model* of many (message, what was said before) at once.

    *progress* is told how many are done, and of how many.
    """
    threads = os.cpu_count() or 1

    def ask(said: Sequence[tuple[str, tuple[str, ...]]]) -> list[Belief | None]:
        found: list[Belief | None] = []
        for start in range(0, len(said), BATCH):
            part = [Asked(body, before) for body, before in said[start : start + BATCH]]
            beliefs = model.judge(part, threads=threads)
            found += [belief if belief.read else None for belief in beliefs]
            progress(len(found), len(said))
        return found

    return ask


def state_of(chosen: Chosen, policy: Policy, understanding: Understanding | None) -> str:
    """Say in one line how the model is doing."""
    if chosen.refused:
        return f"The language model is not used: {chosen.refused}. Rules go on without it"
    now = policy.speaking
    if chosen.model is None or now is None:
        return "No language model takes part"
    said = f"Language model {chosen.model.name} {chosen.model.digest[:12]} ({now.rule.mode})"
    if understanding is None:
        return said
    count = understanding.count
    return (
        f"{said}: {count.read} messages read, {count.late} of them after the rules had decided; "
        f"{understanding.waiting} waiting, {count.passed_over} left to the rules, "
        f"{count.failed} failed"
    )
