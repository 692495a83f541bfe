"""Judges messages on record again, as a draft of the policy would.

Never holds more of a message than its turn takes, and never says what was in one: record ids, rules
and actions come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bridge.config import Config, load_register
from bridge.matrix import translate
from bridge.model import JUDGED, Action, Message, Rid, RoomClass, RoomId
from bridge.policy import Policy
from bridge.policy.hints import Hints
from bridge.policy.measure import Ask
from bridge.policy.replay import Replayed, Way
from bridge.understand.talk import Talk, words
from bridge.verify.headers import Header, Kind
from bridge.way.understood import BATCH, Chosen, asking, choose

_MESSAGES = frozenset({Kind.MESSAGE, Kind.LATE})
#: The kinds of records that a trial takes in.
KINDS = frozenset({*_MESSAGES, Kind.VERDICT})


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message that is to be judged, and what was said before it."""

    rid: Rid
    cls: RoomClass
    message: Message
    before: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Retrial:
    """Judges messages again, a batch at a time, and keeps no more than how that came out."""

    config: Config
    policy: Policy
    #: The highest marking of each room that is on the register now.
    ceilings: Mapping[RoomId, str]
    #: Asks the language model; None where none takes part.
    ask: Ask | None = None
    hints: Hints = field(default_factory=Hints)
    talk: Talk = field(default_factory=Talk)
    #: Messages that wait to be judged together, in their order.
    batch: list[_Waiting] = field(default_factory=list)
    drafts: dict[str, Way] = field(default_factory=dict)
    decided: dict[str, Way] = field(default_factory=dict)
    closed: int = 0

    def take(self, header: Header, body: bytes | None) -> None:
        """Take in one record: a message to judge, or what was decided about one."""
        if "action" in header:
            about = str(header["ref"] if header["kind"] == Kind.VERDICT else header["rid"])
            rule = str(header["rule"]) if "rule" in header else None
            self.decided[about] = Way(Action[str(header["action"]).upper()], rule)
        if header["kind"] not in _MESSAGES or str(header["class"]) not in JUDGED:
            return
        if body is None:
            self.closed += 1
            return
        message = message_of(msgspec.json.decode(body))
        if message.sender == self.config.user:
            return
        rid = Rid(str(header["rid"]))
        before = self.talk.before(message)
        self.talk.note(message)
        self.batch.append(_Waiting(rid, RoomClass(str(header["class"])), message, before))
        if len(self.batch) >= BATCH:
            self._judge()

    def _judge(self) -> None:
        """Judge what waits: the model is asked of all of it at once, the rest goes in order."""
        wanted = [w for w in self.batch if self.policy.wants_belief(w.message, w.cls)]
        said = [(words(w.message), w.before) for w in wanted]
        answers = self.ask(said) if self.ask and wanted else [None] * len(wanted)
        beliefs = {w.rid: belief for w, belief in zip(wanted, answers, strict=True)}
        for waiting in self.batch:
            message, rid = waiting.message, waiting.rid
            verdict = self.policy.judge(
                message,
                waiting.cls,
                hints=self.hints.of(message),
                flagged=self.hints.flagged(message),
                belief=beliefs.get(rid),
                ceiling=self.ceilings.get(message.room, ""),
            )
            self.hints.note(message, rid, verdict, self.policy.memory)
            self.drafts[rid] = Way(verdict.action, verdict.rule)
        self.batch.clear()

    def found(self) -> Iterable[Replayed]:
        """Every message, as it was treated and as it would have been."""
        self._judge()
        nothing = Way(Action.ALLOW, None)
        for rid, draft in self.drafts.items():
            yield Replayed(rid, self.decided.get(rid, nothing), draft)


def message_of(inside: dict[str, Any]) -> Message:
    """Read a message out of what stands inside its record."""
    event = {**inside, "origin_server_ts": inside["sent_at"]}
    return translate.plain(RoomId(str(inside["room"])), event)


def retrial(config: Config, draft: Policy, choice: Chosen) -> Retrial:
    """Make what judges again as *draft* would, with the language model of *choice* beside it."""
    register, _, lock = load_register(config)
    policy = choice.beside(draft)
    return Retrial(
        config=config,
        policy=policy,
        ceilings={room.id: room.ceiling for room in register.resolve(lock).values()},
        ask=asking(choice.model) if choice.model and policy.speaking else None,
    )


def trials(config: Config) -> Callable[[Policy], Retrial]:
    """Make what makes trials of drafts; the configured model is loaded with the first one."""
    loaded: list[Chosen] = []

    def begin(draft: Policy) -> Retrial:
        if not loaded:
            loaded.append(choose(config.model))
        return retrial(config, draft, loaded[0])

    return begin
