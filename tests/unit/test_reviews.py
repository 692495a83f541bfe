"""Rooms whose review is due, and rooms that nobody answers for any more."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest

from bridge.duties.reminding import Reminding
from bridge.errors import TransportError
from bridge.facts import Fact, Noted
from bridge.model import Ms, RoomId, UserId
from bridge.register import Information, load_people, load_rooms
from bridge.rooms.reviews import Reminder, Stage, reminders
from tests.unit.test_register import ANNA, PEOPLE, ROOMS, SAM

PEOPLE_HERE = load_people(PEOPLE, "people.csv")
ENTRY = replace(
    load_rooms(ROOMS, "rooms.yaml", PEOPLE_HERE).rooms["a-social"],
    owner=ANNA,
    review=datetime.date(2027, 5, 1),
)
REVIEW = RoomId("!review")


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def due(today: str, people: object = PEOPLE_HERE) -> list[tuple[Stage, tuple[UserId | None, ...]]]:
    found = reminders(ENTRY, people, day(today))  # type: ignore[arg-type]
    return [(one.stage, one.to) for one in found]


@pytest.mark.parametrize(
    ("today", "told"),
    [
        ("2027-04-02", []),
        ("2027-04-03", [(Stage.SOON, (ANNA,))]),
        ("2027-05-01", [(Stage.DUE, (ANNA, None))]),
        ("2027-05-14", [(Stage.DUE, (ANNA, None))]),
        ("2027-05-15", [(Stage.LATE, (ANNA, SAM, None))]),
        ("2028-05-15", [(Stage.LATE, (ANNA, SAM, None))]),
    ],
)
def test_more_people_hear_of_a_review_the_later_it_is(
    today: str, told: list[tuple[Stage, tuple[UserId | None, ...]]]
) -> None:
    assert due(today) == told


def test_a_late_review_is_told_again_every_fortnight_and_not_every_day() -> None:
    days = [day("2027-05-15") + datetime.timedelta(days=n) for n in range(29)]
    names = {one.name for today in days for one in reminders(ENTRY, PEOPLE_HERE, today)}
    assert len(names) == 3


def test_a_room_whose_owner_has_left_is_told_weekly_and_stays_as_it_is() -> None:
    others = {user: one for user, one in PEOPLE_HERE.persons.items() if user != ANNA}
    people = replace(PEOPLE_HERE, persons=MappingProxyType(others))
    days = [day("2027-01-04") + datetime.timedelta(days=n) for n in range(14)]
    found = [one for today in days for one in reminders(ENTRY, people, today)]
    assert {one.to for one in found} == {(SAM, None)}
    assert len({one.name for one in found}) in {2, 3}
    assert (
        f"its owner {ANNA} has left the list of people. The room stays as it is" in found[0].words
    )


def test_a_review_of_operational_information_without_a_group_says_that_nothing_leaves() -> None:
    secure = replace(ENTRY, information=Information.OPERATIONAL)
    (asked,) = reminders(secure, PEOPLE_HERE, day("2027-05-01"))
    assert "no MoPI group (mopi), and until people give it one nothing leaves" in asked.words
    (given,) = reminders(replace(secure, mopi=3), PEOPLE_HERE, day("2027-05-01"))
    assert "MoPI" not in given.words


class Post:
    """Somebody who is told, and what was put on record."""

    def __init__(self) -> None:
        self.said: dict[tuple[RoomId, str], str] = {}
        self.notes: list[str] = []
        self.away = False
        self.review: RoomId | None = REVIEW
        self.reminders = [
            Reminder(
                key="a", stage=Stage.DUE, since=day("2027-05-01"), to=(ANNA, None), words="due"
            )
        ]

    def reminding(self) -> Reminding:
        return Reminding(
            due=lambda _: self.reminders,
            tell=self.tell,
            direct=self.direct,
            review=lambda _: self.review,
            record=self.record,
            clock=lambda: Ms(1_809_000_000_000),
            zone=ZoneInfo("Europe/London"),
        )

    async def direct(self, user: UserId) -> RoomId:
        if self.away:
            raise TransportError("the homeserver is away")
        return RoomId(f"!{user}")

    async def tell(self, room: RoomId, name: str, words: str, since: Ms) -> bool:
        assert since == 1_809_126_000_000
        self.said[room, name] = words
        return True

    async def record(self, facts: Sequence[Fact]) -> None:
        self.notes += [fact.text for fact in facts if isinstance(fact, Noted)]


async def test_each_is_told_once_and_it_is_on_record() -> None:
    post = Post()
    reminding = post.reminding()
    for _ in range(3):
        await reminding.once()
    name = "review-a-due-2027-05-01"
    assert post.said == {(RoomId(f"!{ANNA}"), name): "due", (REVIEW, name): "due"}
    assert post.notes == ["people were told: due"]


async def test_who_could_not_be_told_is_told_later() -> None:
    post = Post()
    post.away = True
    reminding = post.reminding()
    await reminding.once()
    assert list(post.said) == [(REVIEW, "review-a-due-2027-05-01")]
    post.away = False
    await reminding.once()
    assert len(post.said) == 2


async def test_where_there_is_no_review_room_it_is_on_record_that_nobody_was_told() -> None:
    post = Post()
    post.review = None
    reminding = post.reminding()
    for _ in range(2):
        await reminding.once()
    assert post.notes[0] == "nobody was told, as there is no review room: due"
    assert len(post.said) == 1
