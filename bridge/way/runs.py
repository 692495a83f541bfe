"""Fragments of one thought: what one person said in one room within a minute moves together.

Never holds words: event ids, times, and what lies on the server, encrypted. It is empty after a
restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bridge.model import Action, EventId, Message, Ms, RoomId, UserId, Verdict
from bridge.policy.meaning import OPERATIONAL

RUN = "builtin:run"
#: What one person says in one room within this time may be one thought, ms.
RUN_MS = 60_000
_REASON = "it belongs to a message that was moved"
#: More than so many messages of one person and room are not remembered.
_MOST = 16
#: Looked through for what is too old after so many people and rooms.
_CROWD = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    event: EventId
    at: Ms
    moved: bool
    #: Its newest edit, or itself, and that as it lies on the server: it can be copied from this
    #: when it has been taken out.
    newest: EventId
    ciphertext: bytes


class Fragment(NamedTuple):
    """Something that goes along, with what it says now as it lies on the server."""

    event: EventId
    newest: EventId
    ciphertext: bytes


@dataclass(slots=True)
class Runs:
    """What everybody said in the last minute, as far as it was a signal of something."""

    _by: dict[tuple[RoomId, UserId], deque[_Said]] = field(default_factory=dict)

    def earlier(self, message: Message) -> tuple[Fragment, ...]:
        """What goes along when *message* is moved, oldest first."""
        return tuple(
            Fragment(said.event, said.newest, said.ciphertext)
            for said in self._recent(message)
            if not said.moved
        )

    def follow(
        self, message: Message, verdict: Verdict, weak: Collection[str] = ()
    ) -> Verdict | None:
        """Judge what comes after a moved message: anything that a rule saw, and it goes along.

        A model's belief is no such thing: what was moved is among what it was told. Nor is a rule
        among the *weak*, that may not move a message by itself (any more).
        """
        if verdict.action >= Action.REDIRECT or not _seen_by_a_rule(verdict, weak):
            return None
        if not any(said.moved for said in self._recent(message)):
            return None
        return follow(verdict)

    def note(self, message: Message, verdict: Verdict, weak: Collection[str] = ()) -> None:
        """Remember *message* if it was moved, or a rule that is not *weak* saw anything in it."""
        if verdict.action < Action.REDIRECT and not _seen_by_a_rule(verdict, weak):
            return
        if len(self._by) > _CROWD:
            self._forget(Ms(message.sent_at - RUN_MS))
        place = self._by.setdefault((message.room, message.sender), deque(maxlen=_MOST))
        root = message.replaces or message.event_id
        for old in [said for said in place if said.event == root]:
            place.remove(old)
        moved = verdict.action >= Action.REDIRECT
        place.append(
            _Said(
                event=root,
                at=message.sent_at,
                moved=moved,
                newest=message.event_id,
                ciphertext=b"" if moved else message.ciphertext,
            )
        )
        if moved:  # and with it what came before
            whole = [replace(said, moved=True, ciphertext=b"") for said in place]
            place.clear()
            place.extend(whole)

    def _recent(self, message: Message) -> list[_Said]:
        root = message.replaces or message.event_id
        said = self._by.get((message.room, message.sender), ())
        return [
            one for one in said if one.event != root and 0 <= message.sent_at - one.at <= RUN_MS
        ]

    def _forget(self, before: Ms) -> None:
        kept = {who: said for who, said in self._by.items() if said[-1].at >= before}
        self._by.clear()
        self._by.update(kept)


def _seen_by_a_rule(verdict: Verdict, weak: Collection[str]) -> bool:
    found = {one.rule for one in verdict.findings}
    return bool(verdict.score) and bool(found - {OPERATIONAL, *weak})


def along(verdict: Verdict) -> Verdict:
    """The verdict on what was said before a message that is moved by *verdict*, and goes with it.

    What was found in that message was not found in this, and whoever looks at that need not look
    at this.
    """
    return Verdict(action=Action.REDIRECT, rule=RUN, reason=_REASON, revision=verdict.revision)


def follow(verdict: Verdict) -> Verdict:
    """The verdict on a fragment that goes along with a moved message."""
    return Verdict(
        action=Action.REDIRECT,
        rule=RUN,
        reason=_REASON,
        findings=verdict.findings,
        referrals=verdict.referrals,
        hints=verdict.hints,
        score=verdict.score,
        revision=verdict.revision,
    )
