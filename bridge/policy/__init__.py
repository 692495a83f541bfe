"""What is allowed where: one frozen value that judges messages.

Never does I/O, reads a clock, or acts; it never fails for any message.

`bridge.policy.load` makes a `Policy` from files. A message is judged in four steps: (1) what cannot
be read goes to a person; (2) the engine says what it sees; (3) `decide` adds it up by channel;
(4) the class of the room says how much is too much.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.detect import markup
from bridge.detect.engine import Engine
from bridge.detect.rules import Channel, Marking, Mode, Rule, Sighting
from bridge.model import JUDGED, Action, Kind, Message, Ms, Queue, Rid, RoomClass, Verdict
from bridge.policy.bounds import Bounds
from bridge.policy.decide import Hint, Limits, decide

__all__ = ["ClassPolicy", "Conduct", "Hint", "Policy"]

_WORDS = frozenset({Kind.TEXT, Kind.MEDIA})
_ACTING = (Mode.ENFORCE, Mode.NUDGE)
#: Asks for the coloured picture of a sign; clients send it or not, as they like.
_VARIATION = "\ufe0f"


def plain_reaction(key: str) -> str:
    """Spell a reaction in the one way in which they are compared."""
    return key.replace(_VARIATION, "").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPolicy:
    """What holds in rooms of one class."""

    #: Scores, 0 to 100, from which a sender is told, and a message is moved.
    nudge: int
    redirect: int
    #: Scores from which professional standards are asked to look.
    review: int
    #: The name of the retention class of what is said there.
    retention: str
    #: How long messages stand in the room, and how long records are kept.
    visible_days: int
    kept_days: int
    #: The highest marking that may be there.
    ceiling: Marking
    #: Whether messages are judged at all.
    judged: bool
    #: For the card of the room: what is looked for, and who may read records.
    looks_for: tuple[str, ...]
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Whether the professional-standards rules are on, and on whose authority."""

    enabled: bool
    dpia: str = ""
    approver: str = ""
    #: What the card of the room then says in addition.
    looks_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that decides, loaded whole."""

    #: SHA-256 (hex) over every byte of every file, its name, and the engine's version.
    revision: str
    #: (name, SHA-256 in hex) of every file.
    files: tuple[tuple[str, str], ...]
    classes: Mapping[RoomClass, ClassPolicy]
    #: How many days each retention class keeps records.
    retention: Mapping[str, int]
    rules: tuple[Rule, ...]
    engine: Engine
    conduct: Conduct
    #: Hints older than this, in milliseconds before the message, do not count.
    memory: Ms
    #: A reaction by one of these says that a message is operational.
    reactions: frozenset[str] = frozenset()
    #: How often a rule may be wrong before it loses strength.
    bounds: Bounds = field(default_factory=Bounds)
    #: Rules that have lost strength, as they are now; see `weakened`.
    reduced: Mapping[str, Rule] = field(default_factory=dict)
    #: The revision of the files alone, where rules have lost strength.
    base: str = ""
    _clean: Verdict = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the one verdict that most messages get."""
        clean = Verdict(
            action=Action.ALLOW, rule=None, reason="nothing was found", revision=self.revision
        )
        object.__setattr__(self, "_clean", clean)

    def judge(self, message: Message, cls: RoomClass, *, hints: Sequence[Hint] = ()) -> Verdict:
        """Judge *message* as one of a room of class *cls*. Never raises.

        *hints* are earlier messages of the same sender in the same room that were allowed with a
        score; those younger than `memory` count with this one if this one has a score of its own.
        """
        if message.kind is Kind.UNREADABLE:
            return self._builtin("unreadable", "it could not be read", Queue.UNDECRYPTABLE)
        if message.kind not in _WORDS or cls not in JUDGED:
            return self._clean
        try:
            seen = self.look(message)
            if not seen:
                return self._clean
            young = [h for h in hints if 0 <= message.sent_at - h.sent_at <= self.memory]
            return decide(seen, self.limits(cls), self.revision, young)
        except Exception:
            # Whatever a rule does, a person sees the message; nothing is passed over in silence.
            return self._builtin("error", "a rule failed", Queue.ERRORS)

    def look(self, message: Message) -> tuple[Sighting, ...]:
        """Say what the engine sees in the words of *message*, without deciding anything."""
        body = message.body
        start = markup.own_words_from(body) if body.startswith(">") else 0
        if start:
            seen = tuple(
                dataclasses.replace(
                    one,
                    start=one.start + start,
                    end=one.end + start,
                    evidence=tuple((a + start, b + start) for a, b in one.evidence),
                )
                for one in self.engine.sight(body[start:])
            )
        else:
            seen = self.engine.sight(body)
        if message.formatted:
            seen += self._look_formatted(message.formatted, body[start:])
        for part, words in message.extra:
            found = self.engine.sight(words)
            seen += tuple(dataclasses.replace(one, part=part) for one in found)
        if seen and self.reduced:
            seen = tuple(
                dataclasses.replace(one, rule=self.reduced.get(one.rule.id, one.rule))
                for one in seen
            )
        return seen

    def _look_formatted(self, formatted: str, body: str) -> tuple[Sighting, ...]:
        words = markup.words_of(formatted)
        if words.text.split() == body.split():
            return ()  # it says what the body says, which was looked at
        found = []
        for one in self.engine.sight(words.text):
            start, end = words.span(one.start, one.end)
            evidence = tuple(words.span(*place) for place in one.evidence)
            found.append(
                dataclasses.replace(one, start=start, end=end, evidence=evidence, part="formatted")
            )
        return tuple(found)

    def limits(self, cls: RoomClass) -> Limits:
        """Say how much is too much in rooms of class *cls*."""
        here = self.classes[cls]
        return Limits(
            nudge=here.nudge,
            redirect=here.redirect,
            review=here.review if self.conduct.enabled else None,
            ceiling=here.ceiling,
        )

    def with_conduct(self) -> Policy:
        """Give the same policy with the professional-standards rules on: to measure them."""
        return dataclasses.replace(self, conduct=dataclasses.replace(self.conduct, enabled=True))

    def weakened(self, modes: Mapping[str, Mode]) -> Policy:
        """Give the policy of the same files in which these rules may do no more than that.

        Its revision says so: what decides otherwise has another name.
        """
        base = self.base or self.revision
        rules = {rule.id: rule for rule in self.rules if rule.id in modes}
        if not rules:
            return dataclasses.replace(self, revision=base, base="", reduced={})
        said = "\0".join(f"{name}={modes[name]}" for name in sorted(rules))
        revision = hashlib.sha256(f"bluelamp policy, weakened\0{base}\0{said}".encode())
        return dataclasses.replace(
            self,
            revision=revision.hexdigest(),
            base=base,
            reduced={
                name: dataclasses.replace(rule, mode=modes[name]) for name, rule in rules.items()
            },
        )

    def sees_distress(self, verdict: Verdict) -> bool:
        """Say whether somebody in distress is to be offered support."""
        found = {finding.rule for finding in verdict.findings}
        return any(
            rule.id in found and rule.channel is Channel.SUPPORT and rule.mode in _ACTING
            for rule in self.rules
        )

    def _builtin(self, name: str, reason: str, queue: Queue) -> Verdict:
        return Verdict(
            action=Action.ALLOW,
            rule=f"builtin:{name}",
            reason=reason,
            referrals=frozenset({queue}),
            revision=self.revision,
        )


def record_hint(rid: Rid, verdict: Verdict, sent_at: Ms) -> Hint | None:
    """Make the hint that an allowed message leaves behind; None if it leaves none."""
    if verdict.action is not Action.ALLOW or verdict.score <= 0 or verdict.referrals:
        return None
    return Hint(rid=rid, score=verdict.score, sent_at=sent_at)
