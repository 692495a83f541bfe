"""Who decides an appeal: a reviewer outside the team, or the shift supervisor out of hours.

Never lets anybody decide about their own message or work, and reads no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.facts import Appeal
from bridge.model import Ms, Room, UserId
from bridge.officers.hours import Hours
from bridge.register import People, Person
from bridge.way import members

REVIEWER = "reviewer"
#: Whose decisions in the console the bot follows; an appeal needs a reviewer.
DECIDES = frozenset({REVIEWER, "professional-standards", "policy-officer"})
#: Why nobody decides about what they wrote.
OWN = "the message is yours, so somebody else decides"
#: So many people are named; of more, none.
_NAMED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Those who may decide one appeal."""

    appeal: Appeal
    room: Room
    people: People
    hours: Hours
    #: Who gave the first decision, where this is the second opinion.
    first: UserId | None = None

    def why_not(self, user: UserId, now: Ms) -> str:
        """Say politely why *user* may not decide it now; empty if they may."""
        appeal, person = self.appeal, self.people.get(user)
        if user == appeal.sender:
            return OWN
        if person is None:
            return "appeals are decided by reviewers, and you are not on the list of people"
        if person.team and person.team in self._teams():
            return f"somebody outside {person.team} decides, so that it is a fresh pair of eyes"
        if user == self.first:
            return "you gave the first decision; a second opinion is somebody else's"
        if appeal.rule == members.SUPERVISOR and user == self.room.supervisor:
            return "you marked the message as operational yourself, so somebody else decides"
        return "" if REVIEWER in person.roles else self._why_not_out_of_hours(user, now)

    def _why_not_out_of_hours(self, user: UserId, now: Ms) -> str:
        if not self._supervises(user):
            return "appeals are decided by reviewers, and you are not listed as one"
        if not self.hours.supervisors:
            return "appeals are decided by reviewers, also out of hours"
        if self.hours.open_at(now) and self.hours.open_at(self.appeal.at):
            return "shift supervisors decide out of hours; at this time a reviewer does"
        return ""

    def is_near(self, person: Person) -> bool:
        """Say whether *person*, who may decide out of hours, supervises the room or the sender."""
        sender = self.people.get(self.appeal.sender)
        return person.id in {self.room.supervisor, sender.supervisor if sender else None}

    def deciders(self, now: Ms) -> tuple[Person, ...]:
        """List who is asked: reviewers, or out of hours shift supervisors, in the file's order."""
        able = [one for one in self.people.persons.values() if not self.why_not(one.id, now)]
        reviewers = tuple(person for person in able if REVIEWER in person.roles)
        others = tuple(person for person in able if REVIEWER not in person.roles)
        if self.hours.supervisors and not self.hours.open_at(now):
            return others or reviewers
        return reviewers or others

    def _teams(self) -> set[str]:
        sender = self.people.get(self.appeal.sender)
        return {self.room.team, sender.team if sender else ""}

    def _supervises(self, user: UserId) -> bool:
        persons = self.people.persons.values()
        return user == self.room.supervisor or any(one.supervisor == user for one in persons)


def outsiders(team: str, people: People) -> tuple[Person, ...]:
    """List the reviewers who are not of *team*."""
    reviewers = (one for one in people.persons.values() if REVIEWER in one.roles)
    return tuple(person for person in reviewers if not team or person.team != team)


def named(persons: Sequence[Person], otherwise: str) -> str:
    """Name the people who are asked, if they are few."""
    if not 0 < len(persons) <= _NAMED:
        return otherwise
    return " or ".join(person.name for person in persons)
