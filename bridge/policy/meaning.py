"""What a model's belief about a message may lead to, beside what the rules saw in it.

By itself a belief may ask a sender; to move a message it takes a second ground: something that a
rule saw in the message, be it only a sign, or what was said in the room a moment before. The
stronger ground is a rule that asks the sender by itself: beside that a weaker belief may do. A
policy may name a probability from which it moves alone.

A sign is a rule in the mode of that name, or the bare shape of what a rule looks for. It has no
strength of its own: no score, no hint that others add to, no trace in a verdict. It is what a
belief of the same channel needs beside it. What may be an identifier is the best of signs: beside
it a weaker belief may do.

Where rules are not sure, and a model is that there is nothing in it, a policy may let them go one
step back: what they would move is asked about; what they would ask about is let be, unless it may
have an identifier in it.

Never lets a belief alone have professional standards look, and never touches what rules are sure
of, a marking, or somebody in distress.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bridge.detect.rules import HARD, Channel, Ladder, Meaning, Mode, Rule, Sighting
from bridge.model import Action, Finding, Message, Queue, RoomClass, Verdict
from bridge.policy.decide import Hint, findings

#: From this score on rules decide alone that a message is moved.
SURE = 70
#: A model holds nothing back about a message of more characters: among much harmless talk it may
#: not see the one sentence that matters.
MOST_DENIED = 300
#: The parts of a message that a model reads.
_READ = frozenset({"body", "formatted"})
_LET_BE = "it does not read like talk about a job"
#: The names that its findings have in verdicts.
OPERATIONAL = "model:operational"
CONCERN = "model:concern"
FAMILY = "meaning"
_NOTHING = Ladder(base=0)
#: What a rule may be to stand beside a belief that moves a message, or has people look.
_MOVING = frozenset({Mode.ENFORCE, Mode.SIGN})
_SEEN = frozenset({Mode.ENFORCE, Mode.NUDGE, Mode.SIGN})


class Believed(Protocol):
    """How probable it is that a message is operational, and that it is of concern: 0 to 1."""

    @property
    def operational(self) -> float: ...  # noqa: D102 - the class says it

    @property
    def concern(self) -> float: ...  # noqa: D102 - the class says it

    @property
    def alone(self) -> float | None: ...  # noqa: D102 - `operational`, of its words alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """From which probabilities something follows in rooms of one class."""

    nudge: float
    #: With a second ground. None: never.
    move_with_hint: float | None = None
    #: By itself. None: never.
    move: float | None = None
    #: What a rule asks the sender about by itself is moved. None: never for that.
    move_nudged: float | None = None
    #: With what may be an identifier in it. None: no sooner than others.
    nudge_with_identifier: float | None = None
    move_with_identifier: float | None = None
    #: Below this, what rules would move without being sure is asked about. None: it is moved.
    only_ask: float | None = None
    #: Below this, what rules would ask about is let be. None: it is asked about.
    let_be: float | None = None
    #: Strengthens a rule's sign of concern until people look. None: never.
    concern: float | None = None

    def action(self, probability: float, *, grounded: bool, nudged: bool = False) -> Action:
        """Say what follows from a *probability*.

        *grounded*: there is a second ground; *nudged*: it is a rule that nudges by itself.
        """
        if self.move is not None and probability >= self.move:
            return Action.REDIRECT
        if nudged and self.move_nudged is not None and probability >= self.move_nudged:
            return Action.REDIRECT
        if grounded and self.move_with_hint is not None and probability >= self.move_with_hint:
            return Action.REDIRECT
        return Action.NUDGE if probability >= self.nudge else Action.ALLOW

    def with_identifier(self, probability: float) -> Action:
        """Say what follows from a *probability* where there may be an identifier in the message."""
        if self.move_with_identifier is not None and probability >= self.move_with_identifier:
            return Action.REDIRECT
        if self.nudge_with_identifier is not None and probability >= self.nudge_with_identifier:
            return Action.NUDGE
        return Action.ALLOW


#: Names of shares that a step may be given by: so many of the hard social messages of the corpus
#: are nudged (moved, referred) by mistake.
SHARES = ("0.5%", "1%", "2%", "5%", "10%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """A model that takes part: its digest, and its probabilities at the named shares."""

    digest: str
    operational: Mapping[str, float]
    concern: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """`Terms` as the policy file gives them: a probability, or the name of a share."""

    nudge: float | str
    move_with_hint: float | str | None = None
    move: float | str | None = None
    move_nudged: float | str | None = None
    nudge_with_identifier: float | str | None = None
    move_with_identifier: float | str | None = None
    only_ask: float | None = None
    let_be: float | None = None
    concern: float | str | None = None

    def of(self, model: Taking) -> Terms:
        """Give the probabilities that they come to with *model*."""
        nudge = _probability(self.nudge, model.operational)
        return Terms(
            nudge=1.0 if nudge is None else nudge,
            move_with_hint=_probability(self.move_with_hint, model.operational),
            move=_probability(self.move, model.operational),
            move_nudged=_probability(self.move_nudged, model.operational),
            nudge_with_identifier=_probability(self.nudge_with_identifier, model.operational),
            move_with_identifier=_probability(self.move_with_identifier, model.operational),
            only_ask=self.only_ask,
            let_be=self.let_be,
            concern=_probability(self.concern, model.concern),
        )


def _probability(step: float | str | None, shares: Mapping[str, float]) -> float | None:
    return shares[step] if isinstance(step, str) else step


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What the model may do in rooms of one class, with the strength that it has now."""

    rule: Rule
    concern: Rule
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """What the policy says of the model: how much it may do, and how sure it has to be."""

    #: Stands for the model wherever a rule is named, loses strength, and is explained.
    rule: Rule
    concern: Rule
    classes: Mapping[RoomClass, Steps]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """A model beside what the policy says of it, at the strength that it has now."""

    rule: Rule
    concern: Rule
    classes: Mapping[RoomClass, Terms]

    @classmethod
    def of(cls, policy: ModelPolicy, model: Taking, reduced: Mapping[str, Rule]) -> Speaking:
        """Put *policy* and *model* together; *reduced* are the rules that have lost strength."""
        return cls(
            rule=reduced.get(policy.rule.id, policy.rule),
            concern=policy.concern,
            classes={name: steps.of(model) for name, steps in policy.classes.items()},
        )

    def here(self, cls: RoomClass, *, conduct: bool) -> Here:
        """Say what holds in rooms of class *cls*; *conduct*: whether concern is looked for."""
        terms = self.classes[cls] if conduct else replace(self.classes[cls], concern=None)
        return Here(rule=self.rule, concern=self.concern, terms=terms)


def model_rule(  # noqa: PLR0913 - what a rule says of itself
    name: str, *, channel: Channel, title: str, reason: str, mode: Mode, dpia: str, source: str
) -> Rule:
    """Make the rule that stands for one of the model's two questions."""
    return Rule(
        id=name,
        title=title,
        reason=reason,
        family=FAMILY,
        channel=channel,
        mode=mode,
        dpia=dpia,
        looks_for=Meaning(),
        ladder=_NOTHING,
        source=source,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What may stand beside a belief."""

    #: What the rules saw in the message, also signs.
    seen: Sequence[Sighting]
    #: Weak signs of the same sender, young enough to count.
    hints: Sequence[Hint] = ()
    #: What rules flagged in the same room a moment before, whoever said it.
    flagged: Sequence[Hint] = ()

    @property
    def in_message(self) -> Sighting | None:
        """The surest of what rules saw in this one that may be part of why it is moved.

        What a rule of its own strength saw goes before any sign; it is in the verdict already.
        """
        found = [
            one
            for one in self.seen
            if one.rule.channel is Channel.OPERATIONAL and one.rule.mode in _MOVING
        ]
        return max(found, key=_strength, default=None)

    def has_moving(self, rule: str | None) -> bool:
        """Say whether *rule* saw something in this one, and may be why it is moved."""
        return any(one.rule.id == rule and one.rule.mode is Mode.ENFORCE for one in self.seen)

    @property
    def identifier(self) -> Sighting | None:
        """The surest of what may be an identifier, be it only the shape of one."""
        found = [
            one
            for one in self.seen
            if one.rule.family in HARD
            and one.rule.channel is Channel.OPERATIONAL
            and one.rule.mode in _SEEN
        ]
        return max(found, key=_as_ground, default=None)

    @property
    def may_name(self) -> bool:
        """Whether a rule of its own strength saw what may be an identifier."""
        return any(
            one.rule.family in HARD
            and one.rule.channel is Channel.OPERATIONAL
            and one.rule.mode in {Mode.ENFORCE, Mode.NUDGE}
            for one in self.seen
        )

    @property
    def of_concern(self) -> Sighting | None:
        """The surest of what rules saw in it that people may be asked to look at."""
        found = [
            one
            for one in self.seen
            if one.rule.channel is Channel.PROFESSIONAL_STANDARDS and one.rule.mode in _SEEN
        ]
        return max(found, key=_strength, default=None)

    @property
    def distress(self) -> bool:
        """Whether somebody is in distress: then nothing is done to the message."""
        return any(
            one.rule.channel is Channel.SUPPORT and one.rule.mode in {Mode.ENFORCE, Mode.NUDGE}
            for one in self.seen
        )


def _as_ground(one: Sighting) -> tuple[bool, bool, int]:
    """Put first what may be part of why a message is moved."""
    return one.rule.mode in _MOVING, *_strength(one)


def _strength(one: Sighting) -> tuple[bool, int]:
    return one.rule.mode is not Mode.SIGN, one.confidence


def may_matter(verdict: Verdict, grounds: Grounds, terms: Terms) -> bool:
    """Say whether a belief could change the rules' *verdict*."""
    unsure = verdict.action is Action.REDIRECT and verdict.score < SURE
    open_to_it = verdict.action < Action.REDIRECT or (unsure and terms.only_ask is not None)
    return open_to_it and not grounds.distress


def reconsider(
    verdict: Verdict, message: Message, belief: Believed, here: Here, grounds: Grounds
) -> Verdict:
    """Add what the model believes to the rules' *verdict* about *message*.

    The same arguments give the same verdict, for ever.
    """
    if not may_matter(verdict, grounds, here.terms):
        return verdict
    # What was said before may hide what a message says, and may be what it means.
    most = max(belief.operational, belief.alone or 0.0)
    verdict = _held_back(verdict, message, most, here, grounds)
    verdict = _operational(verdict, message, belief, here, grounds)
    return _concern(verdict, message, belief.concern, here, grounds)


def _held_back(
    verdict: Verdict, message: Message, sure: float, here: Here, grounds: Grounds
) -> Verdict:
    """Let rules that are not sure go one step back; the record names the model beside them."""
    rule, terms = here.rule, here.terms
    most = max(terms.action(sure, grounded=True, nudged=True), terms.with_identifier(sure))
    sees_nothing = most is Action.ALLOW
    if rule.mode is not Mode.ENFORCE or not sees_nothing or not _deniable(verdict, message):
        return verdict
    found = (*verdict.findings, _finding(rule, message, sure))
    if verdict.action is Action.REDIRECT and terms.only_ask is not None and sure < terms.only_ask:
        return replace(verdict, action=Action.NUDGE, findings=found)
    asked = verdict.action is Action.NUDGE and not grounds.may_name and not verdict.referrals
    if asked and terms.let_be is not None and sure < terms.let_be:
        # Without a score, so that it is no hint for what comes next and goes along with nothing.
        return replace(
            verdict, action=Action.ALLOW, rule=rule.id, reason=_LET_BE, findings=found, score=0
        )
    return verdict


def _deniable(verdict: Verdict, message: Message) -> bool:
    """Say whether a model has surely read what rules found, and not much else around it."""
    return len(message.body) <= MOST_DENIED and all(
        finding.part in _READ for finding in verdict.findings
    )


def _operational(
    verdict: Verdict, message: Message, belief: Believed, here: Here, grounds: Grounds
) -> Verdict:
    rule, terms, sure = here.rule, here.terms, belief.operational
    if rule.mode not in {Mode.ENFORCE, Mode.NUDGE}:
        return verdict
    earlier = (*grounds.hints, *grounds.flagged)
    beside = grounds.in_message
    by_itself = verdict.action is Action.NUDGE and not verdict.hints
    nudged = by_itself and grounds.has_moving(verdict.rule)
    action = terms.action(sure, grounded=beside is not None, nudged=nudged)
    if earlier and beside is None:
        # What was said before is one ground, not two: it may have raised the belief already.
        alone = sure if belief.alone is None else min(sure, belief.alone)
        action = max(action, terms.action(alone, grounded=True))
    if (named := grounds.identifier) is not None:
        most = Action.REDIRECT if named.rule.mode in _MOVING else Action.NUDGE
        if (by_name := min(terms.with_identifier(sure), most)) > action:
            action, beside = by_name, named
    if rule.mode is Mode.NUDGE:
        action = min(action, Action.NUDGE)
    if action is Action.ALLOW:
        return verdict
    own = _finding(rule, message, sure)
    found = replace(verdict, findings=(*verdict.findings, own))
    if action <= verdict.action:
        return found
    needed = terms.action(sure, grounded=False) < action
    if needed and beside is not None:
        found = replace(verdict, findings=(*_with(verdict, beside), own))
    earlier = earlier if needed and beside is None else ()
    counted = tuple(dict.fromkeys(hint.rid for hint in earlier)) or verdict.hints
    score = max(verdict.score, _percent(sure))
    return replace(
        found, action=action, rule=rule.id, reason=rule.reason, score=score, hints=counted
    )


def _concern(
    verdict: Verdict, message: Message, sure: float, here: Here, grounds: Grounds
) -> Verdict:
    rule, terms = here.concern, here.terms
    if rule.mode is not Mode.ENFORCE or terms.concern is None or sure < terms.concern:
        return verdict
    best = grounds.of_concern
    if best is None or Queue.PROFESSIONAL_STANDARDS in verdict.referrals:
        return verdict
    return replace(
        verdict,
        findings=(*_with(verdict, best), _finding(rule, message, sure)),
        referrals=verdict.referrals | {Queue.PROFESSIONAL_STANDARDS},
        rule=verdict.rule if verdict.action and verdict.rule else best.rule.id,
        reason=verdict.reason if verdict.action else best.rule.reason,
    )


def _with(verdict: Verdict, sighting: Sighting) -> tuple[Finding, ...]:
    """Give what a verdict names, and *sighting*: what stood beside the belief is on record."""
    (own,) = findings((sighting,))
    return verdict.findings if own in verdict.findings else (*verdict.findings, own)


def _finding(rule: Rule, message: Message, sure: float) -> Finding:
    """Name the whole message: a belief has no place in it."""
    return Finding(
        rule=rule.id,
        label=rule.title,
        start=0,
        end=len(message.body),
        confidence=_percent(sure),
    )


def _percent(sure: float) -> int:
    """Give a probability as a whole number of hundredths; below certainty it stays below 100."""
    return min(99, int(100 * sure))
