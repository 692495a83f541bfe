"""What the same person said in the same room in the last minute, as far as it was a weak signal.

And what rules flagged in that room, whoever said it: beside a model's belief, that counts as well.
Never holds words: record ids, scores and times. It is empty after a restart, so that hints from
before one do not count; nobody is moved for what the record does not show.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from bridge.model import Action, EventId, Message, Ms, Rid, RoomId, UserId, Verdict
from bridge.policy import record_hint
from bridge.policy.decide import Hint
from bridge.policy.meaning import OPERATIONAL

#: More than so many hints of one person and room are not remembered.
_MOST = 8
#: Looked through for what is too old after so many people and rooms.
_CROWD = 512


@dataclass(slots=True)
class Hints:
    """The hints of everybody, each with the message that it is of."""

    _by: dict[tuple[RoomId, UserId], deque[tuple[EventId, Hint]]] = field(default_factory=dict)
    _flagged: dict[RoomId, deque[tuple[EventId, Hint]]] = field(default_factory=dict)

    def of(self, message: Message) -> tuple[Hint, ...]:
        """Give the earlier hints of this sender and room; an edit is not its own witness."""
        heard = self._by.get((message.room, message.sender))
        if not heard:
            return ()
        root = message.replaces or message.event_id
        return tuple(hint for event, hint in heard if event != root)

    def flagged(self, message: Message) -> tuple[Hint, ...]:
        """Give what rules flagged in the room before; a message is not its own witness."""
        root = message.replaces or message.event_id
        return tuple(hint for event, hint in self._flagged.get(message.room, ()) if event != root)

    def note(self, message: Message, rid: Rid, verdict: Verdict, memory: Ms) -> None:
        """Remember the hint that *message* leaves, if any; *memory* is how long one counts."""
        root = message.replaces or message.event_id
        if verdict.action is not Action.ALLOW and verdict.rule != OPERATIONAL:
            # A model is not its own witness, either.
            place = self._flagged.setdefault(message.room, deque(maxlen=_MOST))
            place.append((root, Hint(rid=rid, score=verdict.score, sent_at=message.sent_at)))
        hint = record_hint(rid, verdict, message.sent_at)
        if hint is None:
            return
        if len(self._by) > _CROWD:
            self._forget(Ms(message.sent_at - memory))
        place = self._by.setdefault((message.room, message.sender), deque(maxlen=_MOST))
        for old in [each for each in place if each[0] == root]:
            place.remove(old)
        place.append((root, hint))

    def _forget(self, before: Ms) -> None:
        kept = {who: heard for who, heard in self._by.items() if heard[-1][1].sent_at >= before}
        self._by.clear()
        self._by.update(kept)
