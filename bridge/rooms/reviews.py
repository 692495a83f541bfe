"""When a room's review is due, and who hears where nobody sees to it: reminders, then more people.

Never closes, locks or changes a room: whoever is at work in it goes on.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bridge.model import UserId
from bridge.register import Entry, People

#: The owner hears of a review so long before it is due.
SOON = datetime.timedelta(days=28)
#: More people hear of one that is so late, and again each time as long after.
LATE = datetime.timedelta(days=14)
#: Where somebody is missing, people are told so often.
_UNLABELLED = " It has no MoPI group (mopi), and until people give it one nothing leaves the room."
_WEEK = datetime.timedelta(days=7)


class Stage(StrEnum):
    """How far it has come."""

    SOON = "soon"
    DUE = "due"
    LATE = "late"
    MISSING = "missing"  #: whoever answers for the room, or supervises it, has left


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """Something that people are told once."""

    key: str
    stage: Stage
    #: The day from which it is due; with key and stage it names the reminder.
    since: datetime.date
    #: Who is told in private; None: the room in which people are asked.
    to: tuple[UserId | None, ...]
    words: str

    @property
    def name(self) -> str:
        """Name it the same way every time."""
        return f"review-{self.key}-{self.stage}-{self.since.isoformat()}"


def reminders(entry: Entry, people: People, today: datetime.date) -> Iterator[Reminder]:
    """Say what people should have been told of *entry* by *today*."""
    group = "" if entry.labelled else _UNLABELLED
    gone = [
        f"its {what} {user}"
        for what, user in (("owner", entry.owner), ("supervisor", entry.supervisor))
        if people.get(user) is None
    ]
    if gone:
        week = datetime.date.min + (today - datetime.date.min) // _WEEK * _WEEK
        words = (
            f"{entry.name}: {' and '.join(gone)} has left the list of people. The room stays as it "
            "is; please name somebody in rooms.yaml."
        )
        yield _reminder(entry, people, Stage.MISSING, week, words)
    if today >= entry.review + LATE:
        late = entry.review + (today - entry.review) // LATE * LATE
        words = (
            f"{entry.name}: its review was due on {entry.review:%d %b %Y} and nobody has done it. "
            "The room stays as it is. Please see that its owner reviews it, and put the next date "
            f"into rooms.yaml.{group}"
        )
        yield _reminder(entry, people, Stage.LATE, late, words)
    elif today >= entry.review:
        words = (
            f"{entry.name}: its review is due. Is it still needed, for the purpose on the register "
            f"({entry.purpose}), with these people? Put the next date into rooms.yaml, or retire "
            f"it.{group}"
        )
        yield _reminder(entry, people, Stage.DUE, entry.review, words)
    elif today >= entry.review - SOON:
        words = f"{entry.name}: its review is due on {entry.review:%d %b %Y}."
        yield _reminder(entry, people, Stage.SOON, entry.review - SOON, words)


def _reminder(
    entry: Entry, people: People, stage: Stage, since: datetime.date, words: str
) -> Reminder:
    named = [entry.owner]
    if stage in {Stage.LATE, Stage.MISSING}:
        named.append(entry.supervisor)
    to: list[UserId | None] = [one for one in named if people.get(one) is not None]
    if stage is not Stage.SOON or not to:
        to.append(None)
    told = tuple(dict.fromkeys(to))
    return Reminder(key=entry.key, stage=stage, since=since, to=told, words=words)
