"""The judgement of words: what the policy says, beside what is remembered, on record and promised.

Never records anything, and never acts: the same judgement is used before a message is delivered
and after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.detect.rules import Mode
from bridge.facts import GATE_PRACTISED
from bridge.ledger.record import new_rid
from bridge.model import Action, EventId, Message, Ms, Rid, Room, RoomId, UserId, Verdict
from bridge.officers.appeals import PASS_MS
from bridge.policy import Policy
from bridge.policy.hints import Hints
from bridge.ports import Store
from bridge.understand.model import Belief
from bridge.way.amending import doubtful, follow, let_through
from bridge.way.following import explains, follow_moved, unquoted
from bridge.way.recall import Recall, moved
from bridge.way.runs import Runs

#: So many verdicts wait for their messages to be delivered; the oldest goes first.
_MOST_FORESEEN = 1024
#: The most that a model can believe.
_SURE = Belief(operational=1.0, concern=0.0, alone=1.0)


@dataclass(slots=True, kw_only=True)
class Judge:
    """Judges words."""

    policy: Callable[[], Policy]
    store: Store
    #: What the last minute has of everybody's weak signals, and what was moved.
    hints: Hints = field(default_factory=Hints)
    runs: Runs = field(default_factory=Runs)
    #: What the gate was told about messages that are about to be delivered.
    _foreseen: dict[EventId, Verdict] = field(default_factory=dict)
    _practised: set[EventId] = field(default_factory=set)
    #: Whose promise which message has used up, which is not on record yet.
    _passed: dict[tuple[UserId, RoomId], EventId] = field(default_factory=dict)
    #: By the policy of which revision.
    _weak_in: tuple[str, frozenset[str]] = ("", frozenset())

    def begin(self) -> None:
        """Begin a batch: what the one before has used up is on record."""
        waits = {w: event for w, event in self._passed.items() if event in self._foreseen}
        self._passed = waits

    def verdict(self, message: Message, room: Room, belief: Belief | None = None) -> Verdict:
        """Judge *message* beside what was said in its room before."""
        return self.policy().judge(
            message,
            room.cls,
            hints=self.hints.of(message),
            flagged=self.hints.flagged(message),
            belief=belief,
            ceiling=room.ceiling,
        )

    async def of_words(self, message: Message, room: Room, recall: Recall) -> Verdict:
        """Judge words, unless the gate has been told already."""
        if (foreseen := self._foreseen.pop(message.event_id, None)) is not None:
            return foreseen
        verdict = self.verdict(message, room, recall.beliefs.get(message.event_id))
        verdict = self._quoting(message, room, verdict, recall)
        return await self._promised(message, self._along(message, verdict))

    def foresees(self, message: Message) -> bool:
        """Say whether the gate has been told about a message already."""
        return message.event_id in self._foreseen

    def foresee(self, message: Message, verdict: Verdict, *, practised: bool = False) -> None:
        """Judge a message once: what the gate was told stands when it has been delivered.

        *practised*: it would have been stopped.
        """
        if len(self._foreseen) >= _MOST_FORESEEN:
            oldest = next(iter(self._foreseen))
            self._foreseen.pop(oldest)
            self._practised.discard(oldest)
        self._foreseen[message.event_id] = verdict
        if practised:
            self._practised.add(message.event_id)

    def practised(self, message: Message) -> str:
        """How a message came to us: whether the gate would have stopped it. Asked once."""
        found = message.event_id in self._practised
        self._practised.discard(message.event_id)
        return GATE_PRACTISED if found else ""

    def may_stop(self, message: Message, room: Room, recall: Recall) -> bool:
        """Say whether the gate may have to stop a message, whatever a model would say of it."""
        for belief in (None, _SURE):
            verdict = self._quoting(message, room, self.verdict(message, room, belief), recall)
            verdict = self._along(message, verdict)
            if beside(verdict, message, recall).action >= Action.REDIRECT:
                return True
        return False

    def _quoting(self, message: Message, room: Room, verdict: Verdict, recall: Recall) -> Verdict:
        """Judge what stands in a quotation, too, unless that is what the quoted message said."""
        if (whole := unquoted(message)) is None:
            return verdict
        strict = self.verdict(whole, room)
        alone = self.verdict(message, room).action  # as the rules see its own words
        if strict.action <= max(verdict.action, alone) or explains(
            message, recall.known, strict.action
        ):
            return verdict
        return strict

    def _along(self, message: Message, verdict: Verdict) -> Verdict:
        followed = self.runs.follow(message, verdict, self._weak())
        return verdict if followed is None or self.policy().sees_distress(verdict) else followed

    def note(self, message: Message, verdict: Verdict) -> None:
        """Let what is said next belong with *message*, or go along with it.

        What somebody in distress says goes along with nothing.
        """
        if verdict.findings and self.policy().sees_distress(verdict):
            return
        self.runs.note(message, verdict, self._weak())

    def _weak(self) -> frozenset[str]:
        """The rules that may move nothing by themselves, or not any more."""
        policy = self.policy()
        if self._weak_in[0] != policy.revision:
            modes = {rule.id: policy.reduced.get(rule.id, rule).mode for rule in policy.rules}
            weak = frozenset(rule for rule, mode in modes.items() if mode is not Mode.ENFORCE)
            self._weak_in = policy.revision, weak
        return self._weak_in[1]

    def remember(self, message: Message, verdict: Verdict) -> Rid | None:
        """Let a weak signal count with the next ones; its record is named beforehand."""
        if not verdict.score:
            return None
        rid = new_rid()
        self.hints.note(message, rid, verdict, self.policy().memory)
        return rid

    async def _promised(self, message: Message, verdict: Verdict) -> Verdict:
        """Let a message through whose sender was told that it would be."""
        if verdict.action is Action.ALLOW or message.replaces is not None:
            return verdict
        whose = message.sender, message.room
        passes = await self.store.passes(Ms(message.sent_at - PASS_MS))
        if whose in self._passed or passes.get(whose, Action.ALLOW) < verdict.action:
            return verdict
        self._passed[whose] = message.event_id
        return let_through(verdict)


def beside(verdict: Verdict, message: Message, recall: Recall) -> Verdict:
    """What else is on record about a message may make its verdict stricter."""
    original = recall.original(message)
    if original is not None and moved(original):
        # Its message has been moved: an edit that arrives late goes the same way.
        verdict = follow(verdict, original)
    verdict = follow_moved(verdict, message, recall.known)
    return doubtful(verdict, message.doubt) if message.suspect else verdict
