"""Which records a person asks to read, in words: `room:… person:… from:… to:… rule:… action:…`.

Never opens anything: tags and clear fields are all that it looks at.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import UsageError
from bridge.ledger.keys import DAY_MS
from bridge.ledger.seal import EPOCH_MS
from bridge.model import Rid
from bridge.verify.headers import PLAIN, Header, Kind

#: Words whose value is compared with a clear field of the header.
_CLEAR = {"rule": "rule", "action": "action", "rid": "rid", "kind": "kind", "class": "class"}
#: What somebody wrote who named things as they were called then; it narrows nothing.
_SAID = "words"
_WORDS = ("room", "person", "from", "to", "hold", *_CLEAR, _SAID)


class Finder(Protocol):
    """Whoever can tell what a record is about without opening it."""

    def matches(self, header: Header, what: str, identifier: str) -> bool:
        """Say whether the record's tag *what* (room, sender, event) is of *identifier*."""
        ...

    def saved_for(self, hold: str, rid: Rid) -> bool:
        """Say whether the record was saved for this hold before its bucket's key was destroyed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A question about records; every part that is given must hold."""

    text: str
    room: str | None = None
    person: str | None = None
    #: Ms since 1970: at or after, and before.
    start: int | None = None
    end: int | None = None
    clear: Mapping[str, str]
    hold: str | None = None
    #: Reports are asked for, too: only with the key that they are sealed to.
    reports: bool = False

    def settled(self) -> str:
        """Write the scope with ids and absolute times: names and days may come to mean others."""
        parts = {
            "room": self.room,
            "person": self.person,
            "from": None if self.start is None else _moment(self.start),
            "to": None if self.end is None else _moment(self.end),
            "hold": self.hold,
            **self.clear,
            _SAID: self.text,
        }
        return shlex.join(f"{name}:{value}" for name, value in parts.items() if value is not None)

    def needs(self, header: Header) -> bool:
        """Say whether what this epoch record opens may be asked for."""
        at = int(header["t"])
        return not (
            header["kind"] == Kind.EPOCH
            and (
                (self.start is not None and at + EPOCH_MS < self.start)
                # A clock may have been set back while the epoch lasted.
                or (self.end is not None and at >= self.end + DAY_MS)
            )
        )

    def covers(self, header: Header, finder: Finder) -> bool:
        """Say whether the record with *header* is asked for."""
        if header["kind"] in PLAIN and not (self.reports and header["kind"] == Kind.REPORT):
            return False
        at = int(header["t"])
        if (self.start is not None and at < self.start) or (
            self.end is not None and at >= self.end
        ):
            return False
        if any(header.get(name) != value for name, value in self.clear.items()):
            return False
        if self.room is not None and not finder.matches(header, "room", self.room):
            return False
        if self.hold is not None and not finder.saved_for(self.hold, Rid(str(header["rid"]))):
            return False
        return self.person is None or finder.matches(header, "sender", self.person)


def parse_scope(
    text: str,
    zone: datetime.tzinfo,
    *,
    room_id: Callable[[str], str | None],
    person_id: Callable[[str], str | None],
) -> Scope:
    """Read a scope; days are of *zone*, *room_id* and *person_id* find ids by name or id.

    Raises:
        UsageError: a word is unknown, or the scope is empty (empty means no).
    """
    got: dict[str, str] = {}
    try:
        words = shlex.split(text)
    except ValueError:
        raise UsageError(f"a quotation mark of {text!r} is not closed") from None
    for word in words:
        name, colon, value = word.partition(":")
        if not colon or not value or name not in _WORDS:
            raise UsageError(
                f"{word!r} is not part of a scope; use {', '.join(f'{w}:…' for w in _WORDS)}"
            )
        if name in got:
            raise UsageError(f"{name}: is given twice in this scope")
        got[name] = value
    if not got.keys() - {_SAID}:
        raise UsageError("an empty scope asks for nothing; name a room, person, day, rule or rid")
    room = room_id(got["room"]) if "room" in got else None
    if "room" in got and room is None:
        raise UsageError(f"there is no room {got['room']!r} on the register")
    person = person_id(got["person"]) if "person" in got else None
    if "person" in got and person is None:
        raise UsageError(f"there is no person {got['person']!r}; give their Matrix id or full name")
    if got.get("kind", Kind.NOTE) not in list(Kind):
        raise UsageError(f"there is no kind {got['kind']!r}; there are: {', '.join(Kind)}")
    start = _day(got["from"], zone, 0) if "from" in got else None
    end = _day(got["to"], zone, 1) if "to" in got else None
    if start is not None and end is not None and start >= end:
        raise UsageError("this scope ends before it begins: nothing could be in it")
    return Scope(
        text=text,
        room=room,
        person=person,
        start=start,
        end=end,
        hold=got.get("hold"),
        clear={_CLEAR[name]: value for name, value in got.items() if name in _CLEAR},
    )


def _moment(at: int) -> str:
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (start + datetime.timedelta(milliseconds=at)).isoformat()


def _day(text: str, zone: datetime.tzinfo, later: int) -> int:
    """Read a day or a time; a day given as an end is meant whole."""
    try:
        if "T" in text:
            at = datetime.datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=zone)
        else:
            day = datetime.date.fromisoformat(text) + datetime.timedelta(days=later)
            at = datetime.datetime.combine(day, datetime.time(), zone)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is neither a day (2026-11-22) nor a time") from None
    return round(at.timestamp() * 1000)
