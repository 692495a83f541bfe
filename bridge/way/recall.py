"""What is on record about the messages of one batch, growing as they are judged.

Never asks the store itself, and believes no message about another: who sent what is as recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bridge.facts import Decided, Fact
from bridge.model import Action, EventId, Kind, Message, Rid
from bridge.ports import Known
from bridge.understand.model import Belief

#: Stands for a record that is about to be made.
_NO_RID = Rid("")


def moved(known: Known) -> bool:
    """Say whether a message on record is no longer where it was said."""
    return (known.action or Action.ALLOW) >= Action.REDIRECT


@dataclass(slots=True, kw_only=True)
class Recall:
    """What is on record about the messages of a batch, growing as they are judged."""

    known: dict[EventId, Known]
    #: (session, index) → the event that first carried it.
    sources: dict[tuple[str, int], EventId]
    #: Edited event → its edits, oldest first.
    edits: dict[EventId, list[EventId]]
    #: What the model believes of them, as far as it has said so in time.
    beliefs: dict[EventId, Belief] = field(default_factory=dict)

    def is_new(self, message: Message) -> bool:
        """Say whether there is anything to record: first seen, or first readable."""
        before = self.known.get(message.event_id)
        return before is None or (before.unreadable and message.kind is not Kind.UNREADABLE)

    def as_ours(self, message: Message) -> Message:
        """Mark what was unreadable before; forget an edit of somebody else's message."""
        middle = self.original(message)
        if middle is not None and middle.replaces is not None:
            message = replace(message, replaces=middle.replaces)
        original = self.original(message)
        if original is not None and original.sender != message.sender:
            message = replace(message, replaces=None)  # clients ignore it, too
        first = self.sources.get((message.session, message.index))
        if first is not None and first != message.event_id:
            doubt = "its ciphertext was posted before, as another event"
            message = replace(message, doubt=doubt, suspect=True)
        late = message.event_id in self.known
        return message if message.late is late else replace(message, late=late)

    def carried(self, message: Message) -> Known | None:
        """What is on record of *message*, or of what first carried its very ciphertext."""
        if message.event_id in self.known:
            return self.known[message.event_id]
        first = self.sources.get((message.session, message.index))
        return self.known.get(first) if first is not None else None

    def original(self, message: Message) -> Known | None:
        """What is on record about the message that this one edits."""
        return self.known.get(message.replaces) if message.replaces else None

    def note(self, message: Message, made: list[Fact]) -> None:
        """Let later messages of the batch see what was decided about this one."""
        if not made:
            return
        if message.index >= 0:
            self.sources.setdefault((message.session, message.index), message.event_id)
        verdict = next((fact.verdict for fact in made if isinstance(fact, Decided)), None)
        self.known[message.event_id] = Known(
            rid=_NO_RID,
            sender=message.sender,
            action=verdict.action if verdict else Action.ALLOW,
            rule=verdict.rule if verdict else None,
            replaces=message.replaces,
            unreadable=message.kind is Kind.UNREADABLE,
            room=message.room,
            sent_at=message.sent_at,
        )
        original = self.original(message)
        if message.replaces is None:
            return
        self.edits.setdefault(message.replaces, []).append(message.event_id)
        if verdict is not None and original is not None:
            moved = replace(original, action=verdict.action, rule=verdict.rule)
            self.known[message.replaces] = moved
