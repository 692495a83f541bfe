"""What was said in each room a moment ago, so that a fragment is read as its room reads it.

Never on disk: it is empty after a restart, and a message is then judged by itself. It is bounded in
rooms, messages and characters, and lets go of what is no longer the same conversation.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from bridge.detect import markup
from bridge.model import EventId, Message, Ms, RoomId
from bridge.understand.encode import MOST_BEFORE, MOST_CHARACTERS_BEFORE

#: What was said longer ago is another conversation.
SAME_TALK_MS = 30 * 60 * 1000
#: So many rooms are remembered, those that spoke last.
_ROOMS = 2_000


def words(message: Message) -> str:
    """Give what a member of the room reads: the sender's own words, also those only shown."""
    body = message.body
    if body.startswith(">"):
        body = body[markup.own_words_from(body) :]
    if not message.formatted:
        return body
    shown = markup.words_of(message.formatted).text
    return body if shown.split() == body.split() else f"{body}\n{shown}"


@dataclass(frozen=True, slots=True)
class _Line:
    event: EventId
    at: Ms
    words: str


@dataclass(slots=True)
class Talk:
    """The last lines of every room."""

    _rooms: OrderedDict[RoomId, deque[_Line]] = field(default_factory=OrderedDict)

    def before(self, message: Message) -> tuple[str, ...]:
        """Give what was said in the room before *message*, oldest first; not what it edits."""
        root = message.replaces or message.event_id
        lines = [
            line.words
            for line in self._rooms.get(message.room, ())
            if line.event != root and 0 <= message.sent_at - line.at <= SAME_TALK_MS
        ]
        return tuple(lines[-MOST_BEFORE:])

    def forget(self, message: Message) -> None:
        """Let go of what is no longer in the room."""
        root = message.replaces or message.event_id
        lines = self._rooms.get(message.room)
        if lines is not None:
            for line in [one for one in lines if one.event == root]:
                lines.remove(line)

    def note(self, message: Message) -> None:
        """Remember *message*; an edit takes the place of what it edits."""
        said = words(message)[-MOST_CHARACTERS_BEFORE:]
        if not said.strip():
            return
        lines = self._rooms.setdefault(message.room, deque(maxlen=MOST_BEFORE + 1))
        self._rooms.move_to_end(message.room)
        root = message.replaces or message.event_id
        for place, line in enumerate(lines):
            if line.event == root:
                lines[place] = _Line(root, line.at, said)
                break
        else:
            lines.append(_Line(root, message.sent_at, said))
        while len(self._rooms) > _ROOMS:
            self._rooms.popitem(last=False)
