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

from msgspec.structs import replace

from bridge.detect import markup
from bridge.detect.engine import Engine
from bridge.detect.rules import Channel, Marking, Mode, Rule, Sighting
from bridge.model import JUDGED, Action, Kind, Message, Ms, Queue, Rid, RoomClass, Verdict
from bridge.policy.bounds import Bounds
from bridge.policy.decide import DISTRESS, Hint, Limits, decide
from bridge.policy.keeping import Keeping
from bridge.policy.meaning import (
    Believed,
    Grounds,
    ModelPolicy,
    Speaking,
    Taking,
    may_matter,
    reconsider,
)

__all__ = ["ClassPolicy", "Conduct", "Hint", "Policy"]

_WORDS = frozenset({Kind.TEXT, Kind.MEDIA})
#: Reading a member of an enumeration takes longer than comparing it.
_UNREADABLE = Kind.UNREADABLE
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
    #: From here on they are told that it should not wait.
    escalate: int
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
    #: Whether the answers in a moved message's thread go along with it.
    threads: bool = False
    #: How long the homeserver's gate waits for the bot, ms, and whether it refuses then.
    gate_ms: int = 300
    gate_refuses: bool = False
    #: A card hangs in each room, and who joins later is told in private.
    card: bool = False


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
    #: How long each retention class keeps records, at least and at most.
    keeping: Mapping[str, Keeping] = field(default_factory=dict)
    #: How often a rule may be wrong before it loses strength.
    bounds: Bounds = field(default_factory=Bounds)
    #: Rules that have lost strength, as they are now; see `weakened`.
    reduced: Mapping[str, Rule] = field(default_factory=dict)
    #: The revision of the files alone, where rules have lost strength.
    base: str = ""
    #: Looks for signs, which matter beside a model's belief alone; None: there are none.
    sign_engine: Engine | None = None
    #: What a model may do; None: nothing.
    meaning: ModelPolicy | None = None
    #: The model that takes part; None where none does.
    model: Taking | None = None
    #: What it may do now.
    speaking: Speaking | None = field(init=False, repr=False)
    _clean: Verdict = field(init=False, repr=False)
    #: How much is too much, by class of room and the room's own ceiling.
    _limits: dict[tuple[RoomClass, str], Limits] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the one verdict that most messages get."""
        clean = Verdict(
            action=Action.ALLOW, rule=None, reason="nothing was found", revision=self.revision
        )
        object.__setattr__(self, "_clean", clean)
        both = self.meaning is not None and self.model is not None
        speaking = Speaking.of(self.meaning, self.model, self.reduced) if both else None  # type: ignore[arg-type]
        object.__setattr__(self, "speaking", speaking)
        object.__setattr__(self, "_limits", {})

    def judge(  # noqa: PLR0913 - each is one thing that counts
        self,
        message: Message,
        cls: RoomClass,
        *,
        hints: Sequence[Hint] = (),
        flagged: Sequence[Hint] = (),
        belief: Believed | None = None,
        ceiling: str = "",
    ) -> Verdict:
        """Judge *message* as one of a room of class *cls*. Never raises.

        *hints* are earlier messages of the same sender in the same room that were allowed with a
        score; those younger than `memory` count with this one if this one has a score of its own.
        *belief* is what the model thinks of it, if anybody asked; *flagged* are messages of that
        room that rules flagged, and count as *hints* do beside a belief only. *ceiling* is the
        highest marking that may be said in its room, where that is not what its class says.
        """
        if message.kind is _UNREADABLE:
            return self._builtin("unreadable", "it could not be read", Queue.UNDECRYPTABLE)
        if message.kind not in _WORDS or cls not in JUDGED:
            return self._clean
        try:
            seen = self._sight(self.engine, message)
            if not seen and belief is None:
                return self._clean
            young = self._young(hints, message)
            limits = self.limits(cls, ceiling)
            verdict = decide(seen, limits, self.revision, young) if seen else self._clean
            model = None if belief is None else self.speaking
            if belief is None or model is None:
                return verdict
            grounds = Grounds(
                seen=(*seen, *self.signs(message, seen)),
                hints=young,
                flagged=self._young(flagged, message),
            )
            here = model.here(cls, conduct=self.conduct.enabled)
            return reconsider(verdict, message, belief, here, grounds)
        except Exception:
            # Whatever a rule does, a person sees the message; nothing is passed over in silence.
            return self._builtin("error", "a rule failed", Queue.ERRORS)

    def _young(self, hints: Sequence[Hint], message: Message) -> list[Hint]:
        return [h for h in hints if 0 <= message.sent_at - h.sent_at <= self.memory]

    @property
    def accountable(self) -> tuple[Rule, ...]:
        """Everything that loses strength when people find that it is wrong."""
        return self.rules if self.meaning is None else (*self.rules, self.meaning.rule)

    @property
    def wants_model(self) -> bool:
        """Whether the policy's files let a model do anything."""
        return self.meaning is not None and self.meaning.rule.mode is not Mode.OFF

    @property
    def model_moves(self) -> bool:
        """Whether the model's belief may be part of why a message is moved."""
        return self.speaking is not None and self.speaking.rule.mode is Mode.ENFORCE

    def doubts(self, belief: Believed | None, cls: RoomClass) -> bool:
        """Say whether the model alone finds a message of concern, to measure it."""
        if belief is None or self.speaking is None:
            return False
        least = self.speaking.classes[cls].concern
        return least is not None and belief.concern >= least

    def wants_belief(self, message: Message, cls: RoomClass) -> bool:
        """Say whether a model's belief could change what happens to *message*. Never raises.

        Not where no model takes part, and not where rules are sure that the message is moved, or
        where its sender is in distress.
        """
        judged = message.kind in _WORDS and cls in JUDGED
        if self.speaking is None or self.speaking.rule.mode is Mode.OFF or not judged:
            return False
        try:
            seen = self.look(message)
            verdict = decide(seen, self.limits(cls), self.revision) if seen else self._clean
            return may_matter(verdict, Grounds(seen=seen), self.speaking.classes[cls])
        except Exception:
            return False  # `judge` sends it to a person

    def look(self, message: Message) -> tuple[Sighting, ...]:
        """Say what the rules see in the words of *message*, without deciding anything.

        Signs are left out: see `signs`.
        """
        return self._sight(self.engine, message)

    def signs(self, message: Message, seen: Sequence[Sighting]) -> tuple[Sighting, ...]:
        """Say which signs are in *message*, and which shapes of identifiers rules have not *seen*.

        Nobody needs to know before a model has spoken.
        """
        if self.sign_engine is None:
            return ()
        known = {(one.rule.id, one.part, one.start, one.end) for one in seen}
        found = self._sight(self.sign_engine, message)
        return tuple(
            one for one in found if (one.rule.id, one.part, one.start, one.end) not in known
        )

    def _sight(self, engine: Engine, message: Message) -> tuple[Sighting, ...]:
        body = message.body
        if body[:1] == ">" or message.formatted or message.extra:
            seen = _look_at_all(engine, message)
        else:
            seen = engine.sight(body)  # as most are
        if seen and self.reduced:
            seen = tuple(replace(one, rule=self.reduced.get(one.rule.id, one.rule)) for one in seen)
        return seen

    def limits(self, cls: RoomClass, ceiling: str = "") -> Limits:
        """Say how much is too much in rooms of class *cls*; *ceiling* as for `judge`."""
        known = self._limits.get((cls, ceiling))
        if known is None:
            here = self.classes[cls]
            known = self._limits[cls, ceiling] = Limits(
                nudge=here.nudge,
                redirect=here.redirect,
                review=here.review if self.conduct.enabled else None,
                escalate=here.escalate,
                ceiling=Marking.of(ceiling) if ceiling else here.ceiling,
            )
        return known

    def with_conduct(self) -> Policy:
        """Give the same policy with the professional-standards rules on: to measure them."""
        return dataclasses.replace(self, conduct=dataclasses.replace(self.conduct, enabled=True))

    def weakened(self, modes: Mapping[str, Mode]) -> Policy:
        """Give the policy of the same files in which these rules may do no more than that.

        Its revision says so: what decides otherwise has another name.
        """
        reduced = {
            rule.id: dataclasses.replace(rule, mode=modes[rule.id])
            for rule in self.accountable
            if rule.id in modes
        }
        return self._named(reduced, self.model)

    def with_model(self, model: Taking | None) -> Policy:
        """Give the same policy with *model* taking part, or none.

        Its revision says so, unless its files let no model do anything.
        """
        return self._named(self.reduced, model if self.wants_model else None)

    def _named(self, reduced: Mapping[str, Rule], model: Taking | None) -> Policy:
        """Give the policy of the same files, under the name that follows from both."""
        base = self.base or self.revision
        name = base
        if reduced:
            said = "\0".join(f"{rule}={reduced[rule].mode}" for rule in sorted(reduced))
            name = _digest(f"bluelamp policy, weakened\0{base}\0{said}")
        if model is not None:
            name = _digest(f"bluelamp policy, with a model\0{name}\0{model.digest}")
        return dataclasses.replace(
            self,
            revision=name,
            base="" if name == base else base,
            reduced=reduced,
            model=model,
        )

    @property
    def left_alone(self) -> frozenset[str]:
        """The rules that see somebody in distress: what they decided, no reaction changes."""
        support = (rule for rule in self.rules if rule.channel is Channel.SUPPORT)
        return frozenset({DISTRESS, *(rule.id for rule in support if rule.mode in _ACTING)})

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


def _look_at_all(engine: Engine, message: Message) -> tuple[Sighting, ...]:
    """Look at the sender's own words in the body, at what is shown otherwise, and at the rest."""
    body = message.body
    start = markup.own_words_from(body) if body[:1] == ">" else 0
    seen = engine.sight(body[start:])
    if start:
        seen = tuple(
            replace(
                one,
                start=one.start + start,
                end=one.end + start,
                evidence=tuple((a + start, b + start) for a, b in one.evidence),
            )
            for one in seen
        )
    if message.formatted:
        seen += _look_formatted(engine, message.formatted, body[start:])
    for part, words in message.extra:
        seen += tuple(replace(one, part=part) for one in engine.sight(words))
    return seen


def _look_formatted(engine: Engine, formatted: str, body: str) -> tuple[Sighting, ...]:
    words = markup.words_of(formatted)
    if words.text.split() == body.split():
        return ()  # it says what the body says, which was looked at
    found = []
    for one in engine.sight(words.text):
        start, end = words.span(one.start, one.end)
        evidence = tuple(words.span(*place) for place in one.evidence)
        found.append(replace(one, start=start, end=end, evidence=evidence, part="formatted"))
    return tuple(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record_hint(rid: Rid, verdict: Verdict, sent_at: Ms) -> Hint | None:
    """Make the hint that an allowed message leaves behind; None if it leaves none."""
    if verdict.action is not Action.ALLOW or verdict.score <= 0 or verdict.referrals:
        return None
    return Hint(rid=rid, score=verdict.score, sent_at=sent_at)
