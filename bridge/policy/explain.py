"""Says why a text is judged as it is: for the person who writes the rules.

Never says less than what decided: what is shown is made by the code that judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.detect.rules import Channel, Mode, Sighting
from bridge.model import JUDGED, RoomClass, Verdict
from bridge.policy import Policy
from bridge.policy.decide import by_family, noisy_or
from bridge.policy.meaning import Believed, Here
from bridge.policy.measure import as_message


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing that a rule saw in the text."""

    rule: str
    title: str
    family: str
    channel: Channel
    mode: Mode
    #: Offsets in characters into the text.
    start: int
    end: int
    confidence: int
    #: Where the evidence for it stands.
    evidence: tuple[tuple[int, int], ...]
    #: How the text had to be read: "plain", "joined" (letters set apart) or "unleeted".
    view: str
    #: The file and line of the rule.
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a text is judged as it is. Holds the text, so it is for the screen and never a log."""

    text: str
    cls: RoomClass
    #: In the order of the text.
    seen: tuple[Seen, ...]
    #: The surest confidence of each family, and what they come to together, by channel.
    families: Mapping[Channel, Mapping[str, int]]
    scores: Mapping[Channel, int]
    nudge: int
    redirect: int
    #: Whether the professional-standards rules are on in the policy as it is.
    conduct: bool
    verdict: Verdict
    #: What a model may do there; None where none takes part.
    here: Here | None
    #: Whether what a model believes could change the verdict.
    asked: bool


def explain(
    policy: Policy,
    text: str,
    cls: RoomClass = RoomClass.SOCIAL,
    belief: Believed | None = None,
) -> Explanation:
    """Judge *text* as a message in a room of class *cls*, and say how that came about.

    *belief* is what the model that takes part in *policy* thinks of it.
    """
    message = as_message(text)
    seen = policy.look(message)
    sightings = (*seen, *policy.signs(message, seen))
    families = {channel: by_family(sightings, channel) for channel in Channel}
    here = policy.classes[cls]
    return Explanation(
        text=text,
        cls=cls,
        seen=tuple(map(_seen, sorted(sightings, key=lambda one: (one.start, one.end)))),
        families=families,
        scores={channel: noisy_or(found.values()) for channel, found in families.items()},
        nudge=here.nudge,
        redirect=here.redirect,
        conduct=policy.conduct.enabled,
        verdict=policy.judge(message, cls, belief=belief),
        here=policy.speaking.here(cls, conduct=policy.conduct.enabled)
        if policy.speaking and cls in JUDGED
        else None,
        asked=policy.wants_belief(message, cls),
    )


def _seen(one: Sighting) -> Seen:
    return Seen(
        rule=one.rule.id,
        title=one.rule.title,
        family=one.rule.family,
        channel=one.rule.channel,
        mode=one.rule.mode,
        start=one.start,
        end=one.end,
        confidence=one.confidence,
        evidence=one.evidence,
        view=one.view,
        source=one.rule.source,
    )
