"""A room whose review is past, and one that nobody answers for: who hears of it when, and where.

The duty that reminds people runs against real encrypted rooms; whoever is at work goes on.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.acting.enforce import Enforcer
from bridge.acting.texts import Speaker
from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer, Phone
from bridge.duties.reminding import Reminding
from bridge.facts import Fact, Noted
from bridge.matrix import desired
from bridge.model import Message, Ms, RoomId, UserId
from bridge.register import load_people, load_rooms
from bridge.rooms.reviews import Reminder, reminders
from tests.homeserver.conftest import PASSWORD
from tests.homeserver.test_rooms import ROOMS as FOUR_ROOMS
from tests.homeserver.test_rooms import house_of
from tests.rooms.conftest import Estate

pytestmark = pytest.mark.slow

ZONE = ZoneInfo("Europe/London")
DAY = datetime.timedelta(days=1)
#: All of the story lies before today, so that what was said is found again as it will be.
REVIEW = datetime.datetime.now(ZONE).date() - 60 * DAY
PEOPLE = """\
matrix_id,name,collar,team,rank,supervisor,console,roles
@{tag}-anna:force.example,Anna,,A,,@{tag}-sam:force.example,,
@{tag}-sam:force.example,Sam,,Supervision,,,,
@{tag}-olive:force.example,Olive,,Estates,,,,
"""


@dataclass
class Force:
    """A bot, an owner, a supervisor and a member, each with a phone that can read."""

    estate: Estate
    bot: Officer
    people: dict[str, Officer]
    today: datetime.date = REVIEW
    noted: list[str] = field(default_factory=list)

    def duty(self) -> Reminding:
        """What the bot makes when it starts."""
        transport, house = self.bot.transport, self.estate.house
        speaker = Speaker(rooms={}, names={}, contact="the desk", zone=ZONE, server="force.example")
        enforcer = Enforcer(transport=transport, speaker=speaker)

        def due(today: datetime.date) -> list[Reminder]:
            social = house.register.rooms[self.estate.key("social")]
            return list(reminders(social, self.estate.house.people, today))

        async def tell(room: RoomId, name: str, words: str, since: Ms) -> bool:
            return await enforcer.tell(room, words, txn=name, since=since)

        return Reminding(
            due=due,
            tell=tell,
            direct=transport.direct,
            review=lambda _: self.estate.room("review"),
            record=self.record,
            clock=self.noon,
            zone=ZONE,
        )

    async def record(self, facts: Sequence[Fact]) -> None:
        self.noted += [fact.text for fact in facts if isinstance(fact, Noted)]

    def noon(self) -> Ms:
        at = datetime.datetime.combine(self.today, datetime.time(12), ZONE)
        return Ms(int(at.timestamp() * 1000))

    def heard(self, who: str, words: str, *, private: bool = True) -> list[Message]:
        """What the bot has said to somebody in private, or in the room where people are asked."""
        review = self.estate.room("review")
        return [
            one
            for one in self.people[who].phone.messages.values()
            if one.sender == self.bot.user and words in one.body
            and (one.room != review if private else one.room == review)
        ]  # fmt: skip

    async def hears(self, who: str, words: str, count: int = 1, *, private: bool = True) -> None:
        def there(_: Phone) -> bool:
            return len(self.heard(who, words, private=private)) >= count

        assert await self.people[who].until(there), (who, words)
        assert len(self.heard(who, words, private=private)) == count

    async def goes_on(self) -> None:
        """Nothing of the room is changed, and whoever writes there is heard."""
        await self.estate.look("social")
        assert self.estate.notes == []
        words = f"still at work on {self.today}"
        await self.people["anna"].say(self.estate.room("social"), words)

        def read(phone: Phone) -> bool:
            return any(one.body == words for one in phone.messages.values())

        assert await self.people["sam"].until(read)


@pytest.fixture(params=["12", "11"])
async def force(
    request: pytest.FixtureRequest,
    tag: str,
    homeserver: Homeserver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Force]:
    monkeypatch.setattr(desired, "ROOM_VERSION", request.param)
    owner = FOUR_ROOMS.replace("2027-05-01", REVIEW.isoformat())
    owner = owner.replace('owner: "@{tag}-sam', 'owner: "@{tag}-olive', 1)
    register = load_rooms(owner.format(tag=tag), "rooms.yaml")
    people = load_people(PEOPLE.format(tag=tag), "people.csv")
    async with contextlib.AsyncExitStack() as stack:
        officers: dict[str, Officer] = {}
        for name in ("bot", "anna", "sam", "olive"):
            homeserver.register(f"{tag}-{name}", PASSWORD)
            user = UserId(f"@{tag}-{name}:force.example")
            officer = await Officer.sign_in(homeserver.url, user, PASSWORD, tmp_path / name)
            stack.push_async_callback(officer.close)
            officers[name] = officer
        bot = officers.pop("bot")
        house = house_of(register, people, bot.user)

        async def nobody(user: str) -> object:
            raise AssertionError(user)

        estate = Estate(tag=tag, house=house, api=bot.api, sign_in=nobody, version=request.param)  # type: ignore[arg-type]
        await estate.make()
        for who, names in {"anna": ["social"], "sam": ["social", "review"]}.items():
            for name in names:
                await officers[who].enter(estate.room(name))
        yield Force(estate, bot, officers)


async def test_the_later_a_review_is_the_more_people_hear_of_it_and_the_room_goes_on(
    force: Force,
) -> None:
    duty, due_on = force.duty(), f"its review is due on {REVIEW:%d %b %Y}"
    force.today = REVIEW - 29 * DAY
    await duty.once()
    force.today = REVIEW - 28 * DAY
    for _ in range(3):
        await duty.once()
    await force.hears("olive", due_on)
    # A bot that was started again finds what it has said.
    duty = force.duty()
    await duty.once()
    force.today = REVIEW
    for _ in range(3):
        await duty.once()
    words = "its review is due. Is it still needed, for the purpose on the register"
    await force.hears("olive", words)
    await force.hears("sam", words, private=False)
    assert len(force.heard("olive", due_on)) == 1, "nobody is told the same again"
    assert force.heard("sam", due_on, private=False) == []
    await force.goes_on()

    force.today = REVIEW + 14 * DAY
    await duty.once()
    late = f"its review was due on {REVIEW:%d %b %Y} and nobody has done it. The room stays as it"
    await force.hears("olive", late)
    await force.hears("sam", late)
    await force.hears("sam", late, private=False)
    force.today = REVIEW + 27 * DAY
    await force.duty().once()
    force.today = REVIEW + 28 * DAY
    await duty.once()
    await force.hears("olive", late, 2)
    await force.hears("sam", late, 2)
    await force.hears("sam", late, 2, private=False)
    assert force.heard("sam", words) == [], "a supervisor hears in private of what is late"
    assert force.heard("anna", "review") == [], "members are not asked"
    await force.goes_on()
    told = [note for note in force.noted if "people were told" in note]
    assert len([note for note in told if words in note]) == 1
    assert len([note for note in told if late in note]) >= 2


async def test_of_a_room_that_nobody_answers_for_people_hear_every_week_and_it_goes_on(
    force: Force,
) -> None:
    left = "\n".join(line for line in PEOPLE.splitlines() if "-olive" not in line) + "\n"
    force.estate.people(left.format(tag=force.estate.tag))
    duty, owner = force.duty(), force.estate.person("olive")
    monday = REVIEW - 60 * DAY
    monday -= monday.weekday() * DAY
    words = f"its owner {owner} has left the list of people. The room stays as it is"
    force.today = monday
    await duty.once()
    await force.hears("sam", words)
    await force.hears("sam", words, private=False)
    for day in range(1, 7):
        force.today = monday + day * DAY
        await force.duty().once()
    force.today = monday + 7 * DAY
    await duty.once()
    await force.hears("sam", words, 2)
    await force.hears("sam", words, 2, private=False)
    assert force.heard("olive", words) == []
    assert await force.estate.faults("social") == [
        f"its owner {owner} is not listed any more: name another"
    ]
    await force.goes_on()
