"""Measures a policy on labelled messages, and compares two measurements.

Never uses what it measures to change the policy, and keeps no words of a message.

Each message is judged by itself as in a social room, with the professional-standards rules on; and
with a model's belief, where there is one to ask.
Shares come with Wilson score intervals of 95 %, for small samples say less than they seem to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bridge.detect.rules import Mode
from bridge.model import Action, EventId, Kind, Message, Ms, Queue, RoomClass, RoomId, UserId
from bridge.policy import Policy
from bridge.policy.corpus import Label, Labelled
from bridge.policy.meaning import Believed

_Z = 1.959964  # 95 %, two-sided
#: Rules of these modes see without a verdict telling of it.
_QUIET = frozenset({Mode.SHADOW, Mode.SIGN})

#: Says what a model believes of each of (message, what was said before it); None: nothing.
Ask: TypeAlias = Callable[[Sequence[tuple[str, tuple[str, ...]]]], Sequence[Believed | None]]


def wilson(count: int, total: int) -> tuple[float, float]:
    """Give the Wilson score interval of 95 % for *count* of *total*."""
    if total == 0:
        return 0.0, 1.0
    share, square = count / total, _Z * _Z
    middle = share + square / (2 * total)
    spread = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the policy made of one message."""

    id: str
    label: Label
    action: Action
    score: int
    #: Whether professional standards would look.
    referred: bool
    rules: frozenset[str]
    tags: tuple[str, ...] = ()
    #: Whether the model alone finds it of concern, which by itself leads to nothing.
    doubted: bool = False


@dataclass(slots=True, kw_only=True)
class RuleCount:
    """In how many messages of each label one rule saw something."""

    operational: int = 0
    social: int = 0
    concern: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a policy made of a corpus."""

    revision: str
    judged: tuple[Judged, ...]
    seconds: float
    by_rule: Mapping[str, RuleCount] = field(default_factory=dict)
    #: The digest of the model that took part; empty if none did.
    model: str = ""
    #: How many messages it was asked about.
    asked: int = 0

    def of(self, label: Label) -> list[Judged]:
        """Give the messages of one label."""
        return [one for one in self.judged if one.label is label]

    def count(self, label: Label, least: Action) -> int:
        """Count the messages of one label that met at least this action."""
        return sum(1 for one in self.of(label) if one.action >= least)

    @property
    def misses(self) -> list[str]:
        """The operational messages that were left alone."""
        return [one.id for one in self.of(Label.OPERATIONAL) if one.action is Action.ALLOW]

    @property
    def false_positives(self) -> list[str]:
        """The social messages that were not left alone."""
        return [one.id for one in self.of(Label.SOCIAL) if one.action is not Action.ALLOW]

    @property
    def messages_per_second(self) -> float:
        """How many messages were judged in a second, this computer's other work included."""
        return len(self.judged) / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Give the figures as values that JSON knows."""
        concern = self.of(Label.CONCERN)
        reviewed = sum(1 for one in concern if one.referred)
        return {
            "messages": len(self.judged),
            "operational": self._shares(Label.OPERATIONAL),
            "social": self._shares(Label.SOCIAL),
            "concern": {
                "n": len(concern),
                "review_or_stronger": reviewed,
                "review_interval": _rounded(wilson(reviewed, len(concern))),
                "model_alone": sum(1 for one in concern if one.doubted),
            },
            "misses": self.misses,
            "false_positives": self.false_positives,
            "messages_per_second": round(self.messages_per_second),
            "by_rule": {
                rule: {
                    "operational": count.operational,
                    "social": count.social,
                    "concern": count.concern,
                    "precision": _share(count.operational, count.operational + count.social),
                }
                for rule, count in sorted(self.by_rule.items())
            },
            "by_tag": self._by_tag(),
            "revision": self.revision,
            "model": {"digest": self.model, "asked": self.asked} if self.model else None,
        }

    def _shares(self, label: Label) -> dict[str, Any]:
        total = len(self.of(label))
        shares: dict[str, Any] = {"n": total}
        for name, least in (("nudge", Action.NUDGE), ("redirect", Action.REDIRECT)):
            count = self.count(label, least)
            shares[f"{name}_or_stronger"] = count
            shares[f"{name}_interval"] = _rounded(wilson(count, total))
        shares["referred"] = sum(1 for one in self.of(label) if one.referred)
        return shares

    def _by_tag(self) -> dict[str, dict[str, int]]:
        tags: dict[str, dict[str, int]] = {}
        for one in self.of(Label.OPERATIONAL):
            for tag in one.tags:
                counts = tags.setdefault(tag, {"n": 0, "nudge": 0, "redirect": 0})
                counts["n"] += 1
                counts["nudge"] += one.action >= Action.NUDGE
                counts["redirect"] += one.action >= Action.REDIRECT
        return dict(sorted(tags.items()))


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(bound, 4) for bound in interval]


def _share(count: int, total: int) -> float | None:
    return round(count / total, 4) if total else None


def as_message(text: str) -> Message:
    """Make a message of *text* alone, for judging it outside of any room."""
    return Message(
        event_id=EventId("$measured"),
        room=RoomId("!measured"),
        sender=UserId("@measured"),
        sent_at=Ms(0),
        kind=Kind.TEXT,
        type="m.room.message",
        body=text,
    )


def measure(
    policy: Policy,
    messages: Iterable[Labelled],
    *,
    clock: Callable[[], float],
    cls: RoomClass = RoomClass.SOCIAL,
    ask: Ask | None = None,
) -> Measurement:
    """Judge *messages*; *clock* gives seconds, as `time.perf_counter` does.

    *ask* asks the model that takes part in *policy*.
    """
    policy = policy.with_conduct()
    labelled = list(messages)
    ready = [as_message(one.text) for one in labelled]
    begin = clock()
    beliefs = _beliefs(policy, labelled, ready, cls, ask) if ask else {}
    verdicts = [
        policy.judge(message, cls, belief=beliefs.get(place)) for place, message in enumerate(ready)
    ]
    seconds = clock() - begin
    quiet = frozenset(rule.id for rule in policy.rules if rule.mode in _QUIET)
    judged = tuple(
        Judged(
            id=one.id,
            label=one.label,
            action=verdict.action,
            score=verdict.score,
            referred=Queue.PROFESSIONAL_STANDARDS in verdict.referrals,
            rules=frozenset(finding.rule for finding in verdict.findings)
            | _seen_quietly(policy, quiet, ready[place]),
            tags=one.tags,
            doubted=policy.doubts(beliefs.get(place), cls),
        )
        for place, (one, verdict) in enumerate(zip(labelled, verdicts, strict=True))
    )
    return Measurement(
        revision=policy.revision,
        judged=judged,
        seconds=seconds,
        by_rule=_by_rule(judged),
        model=policy.model.digest if policy.model else "",
        asked=len(beliefs),
    )


def _beliefs(
    policy: Policy,
    labelled: Sequence[Labelled],
    ready: Sequence[Message],
    cls: RoomClass,
    ask: Ask,
) -> dict[int, Believed | None]:
    """Ask of those messages that the rules leave open; by their places."""
    places = [place for place, one in enumerate(ready) if policy.wants_belief(one, cls)]
    found = ask([(labelled[at].text, labelled[at].before) for at in places])
    return dict(zip(places, found, strict=True))


def _seen_quietly(policy: Policy, quiet: frozenset[str], message: Message) -> frozenset[str]:
    """Say which rules see something that no verdict tells of: those in shadow, and signs."""
    if not quiet:
        return frozenset()
    seen = policy.look(message)
    return quiet & {one.rule.id for one in (*seen, *policy.signs(message, seen))}


def _by_rule(judged: Sequence[Judged]) -> dict[str, RuleCount]:
    counts: dict[str, RuleCount] = {}
    for one in judged:
        for rule in one.rules:
            count = counts.setdefault(rule, RuleCount())
            setattr(count, one.label.value, getattr(count, one.label.value) + 1)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a new policy does otherwise than an old one. Holds ids of messages."""

    newly_matched: tuple[str, ...]
    no_longer_matched: tuple[str, ...]
    #: Met an action before and now, but another one: (id, before, now).
    other_action: tuple[tuple[str, Action, Action], ...]


def compare(before: Measurement, after: Measurement) -> Change:
    """Say which messages are treated otherwise; only those that both measured."""
    old = {one.id: one.action for one in before.judged}
    both = [(one.id, old[one.id], one.action) for one in after.judged if one.id in old]
    return Change(
        newly_matched=tuple(i for i, was, now in both if not was and now),
        no_longer_matched=tuple(i for i, was, now in both if was and not now),
        other_action=tuple((i, w, n) for i, w, n in both if w and n and w is not n),
    )
