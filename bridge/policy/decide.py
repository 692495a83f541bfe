"""From sightings to a verdict. The same arguments give the same verdict, for ever.

Never looks at the words of a message: only at what was seen in them, and how surely.

Within a family the surest sighting counts, for two signs of one thing are one sign. Families then
join as independent chances would (noisy or): 100 * (1 - product of (1 - confidence / 100)).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.detect.rules import HARD, Channel, Marking, Mode, Sighting
from bridge.model import Action, Finding, Ms, Queue, Rid, Verdict

# Reading a member of an enumeration takes longer than comparing it, and each of these is asked for
# every sighting.
_OPERATIONAL, _CONDUCT = Channel.OPERATIONAL, Channel.PROFESSIONAL_STANDARDS
_MARKING, _SUPPORT = Channel.MARKING, Channel.SUPPORT
_ENFORCE, _NUDGE = Mode.ENFORCE, Mode.NUDGE
_ALLOW, _TELL, _MOVE = Action.ALLOW, Action.NUDGE, Action.REDIRECT

#: So many hints beside a message's own weak signal count as a strong one: two may be chance.
FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A weak signal that an earlier message of the same sender and room left behind."""

    #: Its record.
    rid: Rid
    score: int
    sent_at: Ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is too much, in scores of 0 to 100."""

    nudge: int
    redirect: int
    #: None where the professional-standards rules are off.
    review: int | None
    #: From here on they should not let it wait.
    escalate: int = 100
    ceiling: Marking


def noisy_or(scores: Iterable[int]) -> int:
    """Join independent confidences of 0 to 100."""
    doubt = 1.0
    for score in scores:
        doubt *= 1 - score / 100
    return min(100, round(100 * (1 - doubt)))


#: The name under which somebody in distress is asked about a reference: no reaction moves that.
DISTRESS = "builtin:distress"


def by_family(seen: Iterable[Sighting], channel: Channel) -> dict[str, int]:
    """Give the surest confidence of each family of one channel; rules in shadow do not count."""
    families: dict[str, int] = {}
    for one in seen:
        rule = one.rule
        counts = rule.channel is channel and (rule.mode is _ENFORCE or rule.mode is _NUDGE)
        if counts and one.confidence > families.get(rule.family, -1):
            families[rule.family] = one.confidence
    return families


def decide(
    seen: Sequence[Sighting], limits: Limits, revision: str, hints: Sequence[Hint] = ()
) -> Verdict:
    """Judge what was *seen*: first markings, then distress, then what is operational."""
    live = [one for one in seen if one.rule.mode is _ENFORCE or one.rule.mode is _NUDGE]
    above = [
        one for one in live if one.rule.channel is _MARKING and one.rule.marking > limits.ceiling
    ]
    if above:
        return _verdict(Action.QUARANTINE, above, live, 100, revision, {Queue.MARKINGS})
    families = by_family(live, _OPERATIONAL)
    score = noisy_or(families.values())
    distress = [one for one in live if one.rule.channel is _SUPPORT]
    if distress:
        return _distress(distress, live, families, limits, revision)
    action = _action(score, live, limits)
    counted: tuple[Rid, ...] = ()
    if action is _ALLOW and score and len(hints) >= FEWEST:
        joint = noisy_or([score, *(hint.score for hint in hints)])
        action = _action(joint, live, limits)
        if action is not _ALLOW:
            score, counted = joint, tuple(hint.rid for hint in hints)
    referrals, concern = _referrals(live, limits)
    deciding = [one for one in live if one.rule.channel is _OPERATIONAL]
    if action is _ALLOW:
        deciding = concern
    # What a room does not look for leaves no trace in its records.
    kept = [one for one in live if one.rule.channel is not _CONDUCT or limits.review is not None]
    return _verdict(action, deciding, kept, score, revision, referrals, counted)


def _action(score: int, live: Sequence[Sighting], limits: Limits) -> Action:
    if score < limits.nudge:
        return _ALLOW
    if score >= limits.redirect:
        full = [one for one in live if one.rule.mode is _ENFORCE]
        if len(full) == len(live) or _score(full) >= limits.redirect:
            return _MOVE
    return _TELL


def _score(seen: Iterable[Sighting]) -> int:
    return noisy_or(by_family(seen, _OPERATIONAL).values())


def _referrals(live: Sequence[Sighting], limits: Limits) -> tuple[set[Queue], list[Sighting]]:
    if limits.review is None:
        return set(), []
    concern = [one for one in live if one.rule.channel is _CONDUCT]
    score = noisy_or(by_family(concern, _CONDUCT).values())
    if score < limits.review:
        return set(), []
    urgent = {Queue.ESCALATED} if score >= limits.escalate else set()
    return {Queue.PROFESSIONAL_STANDARDS, *urgent}, concern


def _distress(
    distress: Sequence[Sighting],
    live: Sequence[Sighting],
    families: Mapping[str, int],
    limits: Limits,
    revision: str,
) -> Verdict:
    """Somebody is in distress about a job: never moved, refused or referred."""
    hard = noisy_or(score for family, score in families.items() if family in HARD)
    kept = [one for one in live if one.rule.channel is not _CONDUCT]
    if hard >= limits.nudge:
        deciding = [one for one in kept if one.rule.family in HARD]
        asked = _verdict(Action.NUDGE, deciding, kept, hard, revision, set())
        return replace(asked, rule=DISTRESS)
    return _verdict(Action.ALLOW, distress, kept, 0, revision, set())


def _verdict(  # noqa: PLR0913, PLR0917 - it is the one place that puts a verdict together
    action: Action,
    deciding: Sequence[Sighting],
    seen: Sequence[Sighting],
    score: int,
    revision: str,
    referrals: set[Queue],
    hints: tuple[Rid, ...] = (),
) -> Verdict:
    rule = max(deciding, key=lambda one: one.confidence).rule if deciding else None
    return Verdict(
        action=action,
        rule=rule.id if rule else None,
        reason=rule.reason if rule else "nothing was found",
        findings=findings(seen),
        referrals=frozenset(referrals),
        hints=hints,
        score=score,
        revision=revision,
    )


def findings(seen: Sequence[Sighting]) -> tuple[Finding, ...]:
    """Say where what was seen, each place once, in the order of the text."""
    if len(seen) == 1:
        return (_finding(seen[0]),)
    unique = {(one.part, one.start, one.end, one.rule.id): one for one in seen}
    return tuple(_finding(unique[place]) for place in sorted(unique))


def _finding(one: Sighting) -> Finding:
    rule = one.rule
    return Finding(
        rule=rule.id,
        label=rule.title,
        start=one.start,
        end=one.end,
        part=one.part,
        confidence=one.confidence,
    )
