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

from bridge.detect.markup import words_of
from bridge.model import (
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
from bridge.policy import ClassPolicy
from bridge.ports import Post

_QUEUES = {
    Queue.APPEALS: "an appeal",
    Queue.PROFESSIONAL_STANDARDS: "a professional-standards referral",
    Queue.UNDECRYPTABLE: "a message that Blue Lamp could not read",
    Queue.ERRORS: "something that did not go as it should",
    Queue.MARKINGS: "a security marking",
    Queue.MEMBERS: "a message that a colleague says is operational",
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
        "recorded and is not a conduct finding. Wrong? Tell {contact}."
    ),
    Moment.MOVED: (
        "Your {when} message is now in {secure}, under your name: {reason}. Colleagues may have "
        "seen it. This is not a conduct finding. Wrong? Tell {contact}."
    ),
    Moment.REMOVED: (
        "Your {when} message was taken out of {room}: {reason}. It was not copied anywhere else. "
        "This is not a conduct finding. Please speak to {contact}."
    ),
    Moment.UNREADABLE: (
        "Blue Lamp could not read your {when} message in {room}; colleagues may have. Usually a "
        "key problem, not your fault. Signing out and in again often helps. Help: {contact}."
    ),
    Moment.SUPPORT: (
        "That sounds heavy. Nobody has been told. If you would like to talk: {peer_support}."
    ),
}


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

    def copy(self, debt: Debt, message: Message, reason: str) -> Post:
        """The moved message, under its sender's name."""
        name, room = self.name(debt.sender), self._room(message.room)
        when = self._when(debt.sent_at)
        words = message.body
        shown = words_of(message.formatted).text.strip() if message.formatted else ""
        if shown and shown.split() != words.split():
            words = f"{words}\n{shown}"
        intro = f"{name} wrote in {room} at {when}:"
        outro = f"Moved here by Blue Lamp: {reason}."
        also = "\n".join(text for _, text in message.extra)
        if also:
            words = f"{words}\n{also}" if words else also
        # A lone surrogate cannot be sent, and must not keep the rest from being copied.
        words = words.encode("utf-8", "replace").decode()
        lines = escape(words).replace("\n", "<br>")
        return Post(
            body=f"{intro}\n{words}\n({outro})",
            formatted=(
                f"<p><strong>{escape(name)}</strong> wrote in {escape(room)} at {escape(when)}:"
                f"</p><blockquote>{lines}</blockquote><p><em>{escape(outro)}</em></p>"
            ),
            sounds=True,
        )

    def private(self, notify: Notify, sent_at: Ms) -> Post:
        """A private word to the sender."""
        room = self.rooms.get(notify.room)
        secure = room.secure if room else None
        filled = _fill(
            _PRIVATE[notify.moment],
            when=_Both(self._when(sent_at)),
            room=_Both(self._room(notify.room)),
            secure=self._link(secure, room.secure_name)
            if secure and room
            else _Both("another room"),
            reason=_Both(notify.reason),
            contact=_Both(self.contact),
            peer_support=_Both(self.peer_support),
        )
        sounds = notify.moment in {Moment.MOVED, Moment.REMOVED}
        return Post(
            body=filled.text,
            formatted=filled.html,
            sounds=sounds,
            mentions=(notify.to,) if sounds else (),
        )

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
        return Post(body=filled.text, formatted=filled.html, sounds=True)

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


def card(here: ClassPolicy, *, secure: str, contact: str, reviewers: bool = False) -> str:
    """The notice of a room, which is its topic: what is kept, how long, who may read it.

    *reviewers* says that there are people who read flagged messages without the custodians.
    """
    visible, kept = _days(here.visible_days), _days(here.kept_days)
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


def _days(days: int) -> str:
    years, rest = divmod(days, 365)
    if years and rest <= years:
        return f"{years} year{'s' if years > 1 else ''}"
    return f"{days} days"
