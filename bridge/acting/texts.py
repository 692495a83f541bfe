"""What the bot says to people. Short, private where it can be, blameless.

Never quotes the words that a rule matched, and never says "breach", "violation" or "misconduct".
Every foreign word is escaped before it stands in HTML.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import quote
from zoneinfo import ZoneInfo

from bridge.acting import moving
from bridge.model import (
    CHOICE_MS,
    Debt,
    EventId,
    Message,
    Moment,
    Ms,
    Notify,
    Queue,
    Refer,
    Room,
    RoomId,
    UserId,
)
from bridge.officers.hours import Hours
from bridge.policy import ClassPolicy
from bridge.ports import Post

_QUEUES = {
    Queue.APPEALS: "an appeal",
    Queue.PROFESSIONAL_STANDARDS: "a professional-standards referral",
    Queue.ESCALATED: "a professional-standards referral that should not wait",
    Queue.UNDECRYPTABLE: "a message that Blue Lamp could not read",
    Queue.ERRORS: "something that did not go as it should",
    Queue.MARKINGS: "a security marking",
    Queue.MEMBERS: "a message that a colleague says is operational",
    Queue.BRAKE: "a room in which Blue Lamp has paused itself",
}
_REFER = "Please look at {what}: a message of {who} in {room} at {when}. Why: {reason}."
_CHECKPOINT = (
    "The checkpoint of the ledger, as every day. Keep a copy outside this server: given to "
    "'bluelamp ledger verify --checkpoint FILE', it shows whether anything up to it was changed "
    "or lost."
)
_PRIVATE = {
    Moment.NUDGE: (
        "This may belong in {secure}. Your message is still here. Only you got this note; it is "
        "recorded and is not a conduct finding. Wrong? {wrong}."
    ),
    Moment.MOVED: (
        "Your {when} message is now in {secure}, under your name: {reason}. Colleagues may have "
        "seen it. This is not a conduct finding. Wrong? {wrong}."
    ),
    Moment.REMOVED: (
        "Your {when} message was taken out of {room}: {reason}. It was not copied anywhere else. "
        "This is not a conduct finding. Please speak to {contact}. Wrong? {wrong}."
    ),
    Moment.STOPPED: (
        "Your {when} message was not delivered to {room}; it is now in {secure}, under your name: "
        "{reason}. This is not a conduct finding. Wrong? {wrong}."
    ),
    Moment.WITHHELD: (
        "Your {when} message was not delivered to {room}: {reason}. It was not copied anywhere "
        "else. This is not a conduct finding. Please speak to {contact}. Wrong? {wrong}."
    ),
    Moment.CHOOSE: (
        "You wrote something in {room} that belongs in {secure}: {reason}. It was not delivered. "
        'Tap ➡️ to post it there under your name, 🗑️ to leave it, or reply "move" or "discard", by '
        "{until}. A record is kept either way."
    ),
    Moment.UNREADABLE: (
        "Blue Lamp could not read your {when} message in {room}; colleagues may have. Usually a "
        "key problem, not your fault. Signing out and in again often helps. Help: {contact}."
    ),
    Moment.SUPPORT: (
        "That sounds heavy. Nobody has been told. If you would like to talk: {peer_support}."
    ),
    Moment.APPEALED: "Thank you. {reason}",
    Moment.RESTORED: "You were right; we are sorry. It is back in {room}. {reason}",
    Moment.STANDS: (
        "A person agreed that this belongs in {secure}: {reason}, or ask {contact}. This is not a "
        "conduct finding."
    ),
    Moment.PASSED: (
        "You were right; we are sorry. Please send it again in {room}: your next message there is "
        "let through. {reason}"
    ),
    Moment.UNMOVED: (
        "A message from {room} was taken out and could not be moved: {reason}. The record has it, "
        "and its sender has been told. Please ask {contact}."
    ),
    Moment.INTAKE: (
        "A message from {room} was moved to {secure}, because its sender is not in your secure "
        "room: {reason}. Please see that it gets where it belongs."
    ),
}


#: Made with a sound: what people should know soon.
_SOUND = frozenset(Moment) - {Moment.NUDGE, Moment.UNREADABLE, Moment.SUPPORT, Moment.APPEALED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """What the texts need to know of the force."""

    rooms: Mapping[RoomId, Room]
    names: Mapping[UserId, str]
    #: Whom officers ask, such as "the Digital Desk, ext. 4401".
    contact: str
    zone: ZoneInfo
    server: str
    #: Whom somebody in distress can talk to; empty where the force names nobody.
    peer_support: str = ""
    #: When appeals are answered; None where there are none.
    hours: Hours | None = None

    def copy(
        self, debt: Debt, message: Message, reason: str, parent: moving.Parent | None = None
    ) -> tuple[Post, ...]:
        """The moved message, under its sender's name, with what it answered."""
        name, room = self.name(debt.sender), self._room(message.room)
        when = self._when(debt.sent_at)
        link = self._link(message.room, room, message.event_id)
        frame = moving.Frame(
            intro=f"{name} wrote in {room} at {when}:",
            intro_html=(f"<strong>{escape(name)}</strong> wrote in {link.html} at {escape(when)}:"),
            outro=f"Moved here by Blue Lamp: {reason}.",
        )
        return moving.posts(message, frame, parent)

    def restored(
        self, debt: Debt, message: Message, parent: moving.Parent | None = None
    ) -> tuple[Post, ...]:
        """A message that goes back where it was said, under its sender's name."""
        name, when = self.name(debt.sender), self._when(debt.sent_at)
        frame = moving.Frame(
            intro=f"{name} wrote at {when}:",
            intro_html=f"<strong>{escape(name)}</strong> wrote at {escape(when)}:",
            outro="Restored by Blue Lamp after a review.",
        )
        return moving.posts(message, frame, parent)

    def without_file(self, sender: UserId) -> Post:
        """Said under a copy whose file could not come along."""
        words = (
            "A file came with this message and could not be moved: it is too large or no longer "
            f"on the server. Please ask {self.name(sender)} to send it here."
        )
        return Post(body=words, formatted=f"<p>{escape(words)}</p>")

    def private(
        self,
        notify: Notify,
        sent_at: Ms,
        copy: tuple[RoomId, EventId] | None = None,
        *,
        told_at: Ms | None = None,
    ) -> Post:
        """A private word to the sender; *copy* is where their message stands now.

        *told_at*: from when the promise of an answer counts.
        """
        room = self.rooms.get(notify.room)
        secure = room.secure if room else None
        filled = _fill(
            _PRIVATE[notify.moment],
            when=_Both(self._when(sent_at)),
            room=_Both(self._room(notify.room)),
            secure=self._whither(copy, secure),
            reason=_Both(notify.reason),
            contact=_Both(self.contact),
            wrong=_Both(self._wrong(notify.moment, told_at)),
            peer_support=_Both(self.peer_support),
            until=_Both(self._when(Ms((told_at or sent_at) + CHOICE_MS))),
        )
        sounds = notify.moment in _SOUND
        return Post(
            body=filled.text,
            formatted=filled.html,
            sounds=sounds,
            mentions=(notify.to,) if sounds else (),
            offers=("➡️", "🗑️") if notify.moment is Moment.CHOOSE else (),
        )

    def _wrong(self, moment: Moment, at: Ms | None) -> str:
        """What somebody does who thinks that we were wrong."""
        if self.hours is None or at is None:
            return f"Tell {self.contact}"
        if moment is Moment.NUDGE:
            return "Tap 👎"
        return f"Tap 👎; a person replies by {self.hours.say(self.hours.due(at))}"

    def _whither(self, copy: tuple[RoomId, EventId] | None, secure: RoomId | None) -> _Both:
        if copy is not None:
            return self._link(copy[0], self._room(copy[0]), copy[1])
        return _ELSEWHERE if secure is None else self._link(secure, self._room(secure))

    def refer(self, refer: Refer, sender: UserId, sent_at: Ms) -> Post:
        """A request to a person, in the review room."""
        filled = _fill(
            _REFER,
            what=_Both(_QUEUES[refer.queue]),
            who=_Both(self.name(sender)),
            room=self._link(refer.room, self._room(refer.room), refer.about),
            when=_Both(self._when(sent_at)),
            reason=_Both(refer.reason),
        )
        called = self._supervisors(refer) if refer.queue is Queue.BRAKE else ()
        return Post(
            body=filled.text,
            formatted=filled.html,
            sounds=True,
            mentions=called,
            offers=("✅", "❌", "➡️") if refer.queue is Queue.APPEALS else (),
        )

    def _supervisors(self, refer: Refer) -> tuple[UserId, ...]:
        """Who is to look up from what they do: the room's supervisor and the review room's."""
        rooms = (self.rooms.get(room) for room in (refer.room, refer.to))
        found = [room.supervisor for room in rooms if room is not None and room.supervisor]
        return tuple(dict.fromkeys(found))

    def checkpoint(self, note: str) -> Post:
        """The ledger's newest checkpoint, for auditors to keep."""
        return Post(
            body=f"{_CHECKPOINT}\n\n{note}",
            formatted=f"<p>{escape(_CHECKPOINT)}</p><pre><code>{escape(note)}</code></pre>",
        )

    def name(self, user: UserId) -> str:
        """What colleagues call *user*."""
        return self.names.get(user, user)

    def _room(self, room: RoomId) -> str:
        known = self.rooms.get(room)
        return known.name if known else "a room that is not on the register"

    def _when(self, at: Ms) -> str:
        return f"{datetime.datetime.fromtimestamp(at / 1000, self.zone):%H:%M}"

    def _link(self, room: RoomId, name: str, event: EventId | None = None) -> _Both:
        # Room ids of version 12 name no server, so the link must say where to ask.
        path = quote(room) + (f"/{quote(event)}" if event else "")
        url = f"https://matrix.to/#/{path}?via={quote(self.server)}"
        return _Both(name, f'<a href="{escape(url)}">{escape(name)}</a>')


@dataclass(frozen=True, slots=True)
class _Both:
    """A text and the same as HTML."""

    text: str
    markup: str | None = None

    @property
    def html(self) -> str:
        return escape(self.text) if self.markup is None else self.markup


def _fill(template: str, **parts: _Both) -> _Both:
    """Put *parts* into the places that *template* names."""
    return _Both(
        template.format(**{name: part.text for name, part in parts.items()}),
        escape(template).format(**{name: part.html for name, part in parts.items()}),
    )


_ELSEWHERE = _Both("another room")


def notice(words: str) -> Post:
    """Something about the bot itself that people should know."""
    lines = escape(words).replace("\n", "<br>")
    return Post(body=words, formatted=f"<p>{lines}</p>", sounds=True)


def plain(words: str, to: UserId | None = None) -> Post:
    """Something that can wait: it makes no sound."""
    lines = escape(words).replace("\n", "<br>")
    return Post(body=words, formatted=f"<p>{lines}</p>", mentions=(to,) if to else ())


def said(words: str, to: UserId | None = None) -> Post:
    """An answer in lines of our own; one that begins with `!` is a command, shown as code."""
    lines = []
    for line in words.split("\n"):
        command, space, rest = line.partition(" ")
        shown = f"<code>{escape(command)}</code>" if line.startswith("!") else escape(command)
        lines.append(f"{shown}{space}{escape(rest)}")
    return Post(body=words, formatted=f"<p>{'<br>'.join(lines)}</p>", mentions=(to,) if to else ())


def card(here: ClassPolicy, *, secure: str, contact: str, reviewers: bool = False) -> str:
    """The notice of a room, which is its topic: what is kept, how long, who may read it.

    *reviewers* says that there are people who read flagged messages without the custodians.
    """
    visible, kept = span_of(here.visible_days), span_of(here.kept_days)
    readers = ", ".join(here.readers)
    flagged = " Flagged messages: also reviewers, without the custodians." if reviewers else ""
    if not here.judged:
        return (
            f"Blue Lamp, an automated member, records this room. Visible {visible}; kept {kept}, "
            f"longer under hold. Readers: {readers}, each look recorded. Help: {contact}"
        )
    return (
        f"Fine here: rotas, milk, birthdays. Not here: people, addresses, jobs; use {secure}. "
        f"Blue Lamp, an automated member, reads this room. Visible {visible}; kept {kept}, longer "
        f"under hold. Looked for: {', '.join(here.looks_for)}. Readers: {readers}, each look "
        f"recorded.{flagged} Help: {contact}"
    )


def pinned(topic: str, *, judged: bool) -> str:
    """The card that hangs in a room: its topic, and what does not go without saying."""
    also = " Pictures without a caption and voice notes are kept, not judged." if judged else ""
    return (
        f"{topic}. Messages between two people, and calls, are not recorded.{also} Tap ✅ to say "
        "that you have read this; that is recorded."
    )


def changed(words: str) -> str:
    """The card that hangs in place of one that says something else."""
    return f"What holds in this room has changed. {words}"


def joining(here: ClassPolicy) -> str:
    """What somebody is told in private who joins a room and cannot read the card there."""
    kept = span_of(here.kept_days)
    looks = f" It looks for {', '.join(here.looks_for)}." if here.judged else ""
    return (
        f"Blue Lamp, an automated member, reads this room. Messages are kept {kept}, even if "
        f"deleted; longer under legal hold.{looks} {_first_up(', '.join(here.readers))} may read "
        "records, each look recorded."
    )


def welcome(said: Mapping[str, str]) -> str:
    """One private message about every room that somebody has just joined: name → what to say.

    Rooms of which the same is to be said share a paragraph.
    """
    paragraphs: dict[str, list[str]] = {}
    for name, words in said.items():
        paragraphs.setdefault(words, []).append(name)
    lines = [f"{', '.join(names)}: {words}" for words, names in paragraphs.items()]
    return "\n".join([*lines, "Details: !privacy in the room. Tap ✅ when you have read this; that "
                      "is recorded."])  # fmt: skip


def _first_up(words: str) -> str:
    return words[:1].upper() + words[1:]


def span_of(days: int) -> str:
    """Spell a number of days as people do: 7 years."""
    years, rest = divmod(days, 365)
    if years and rest <= years:
        return f"{years} year{'s' if years > 1 else ''}"
    return f"{days} days"
