"""A force of three people and four kinds of room, on the shared homeserver; each test its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.facts import Cleared, Drifted, Fact, Noted
from bridge.matrix import desired, rooms
from bridge.matrix.api import Api, login
from bridge.matrix.desired import House
from bridge.matrix.premises import MatrixPremises
from bridge.model import Ms, RoomId, UserId
from bridge.register import Lock, load_people, load_rooms
from bridge.rooms.upkeep import Upkeep
from tests.homeserver.conftest import PASSWORD, SignIn, bot_id, sign_in, tag
from tests.homeserver.test_rooms import PEOPLE, house_of, join, state

__all__ = ["bot_id", "sign_in", "tag"]


#: One room, whose class is of no matter here: making many takes the server long.
ROOMS = """\
server: force.example
force: {{name: {tag} Police, space: {tag}-force}}
teams: {{}}
rooms:
  {tag}-social:
    class: review
    name: A social
    information: corporate
    ceiling: OFFICIAL
    owner: "@{tag}-sam:force.example"
    supervisor: "@{tag}-sam:force.example"
    purpose: Rotas and milk.
    dpia: DPIA-1
    review: 2027-05-01
    members: [{{team: A}}]
"""


@dataclass(kw_only=True)
class Estate:
    """Rooms on a real homeserver, and the upkeep that looks after them."""

    tag: str
    house: House
    api: Api
    sign_in: SignIn
    version: str
    #: The homeserver's administrator.
    admin: Api | None = None
    lock: Lock = field(default_factory=Lock)
    told: list[str] = field(default_factory=list)
    #: What is on record about the rooms.
    notes: list[str] = field(default_factory=list)
    now: Ms = field(default=Ms(1_800_000_000_000))

    def __post_init__(self) -> None:
        self.upkeep = Upkeep(
            record=self.record,
            premises=self.premises,
            clock=lambda: self.now,
            bot=self.house.bot,
            tell=self.tell,
            names={self.person("sam"): "Sam"},
        )

    @property
    def premises(self) -> MatrixPremises:
        return MatrixPremises(self.api, lambda: (self.house, self.lock), self.admin)

    @property
    def api_user(self) -> UserId:
        return self.house.bot

    def renotice(self, words: str) -> None:
        """Have another policy, and so another notice."""
        notices = dict.fromkeys(self.house.notices, words)
        self.house = replace(self.house, notices=notices)

    def key(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def room(self, name: str) -> RoomId:
        return self.lock.ids[self.key(name)]

    def person(self, name: str) -> UserId:
        return UserId(f"@{self.tag}-{name}:force.example")

    async def tell(self, key: str, name: str, words: str, since: Ms) -> bool:
        self.told.append(words)
        return True

    def people(self, text: str) -> None:
        """Have another list of people."""
        people = load_people(text, "people.csv")
        self.house = replace(self.house, people=people)

    async def make(self) -> None:
        """Make the rooms, and have everybody join."""
        planned = await rooms.plan(self.api, self.house, self.lock)
        applied = await rooms.apply(
            self.api, planned, save=lambda lock: None, progress=lambda line: None
        )
        assert applied.differences == ()
        self.lock = applied.lock

    async def joins(self, who: str, *names: str) -> Api:
        api = await self.sign_in(self.person(who))
        for name in names:
            await join(api, self.room(name))
        return api

    async def look(self, name: str) -> None:
        self.upkeep.premises = self.premises
        await self.upkeep.look(self.key(name))

    async def faults(self, name: str) -> list[str]:
        return [fault.what for fault in (await self.premises.look(self.key(name))).faults]

    async def state(self, name: str, kind: str, key: str = "") -> dict[str, Any]:
        return await state(self.api, self.room(name), kind, key)

    async def record(self, facts: Sequence[Fact]) -> None:
        self.notes += [fact.text for fact in facts if isinstance(fact, Noted | Drifted | Cleared)]


@pytest.fixture(params=["12", pytest.param("11", marks=pytest.mark.slow)])
async def estate(
    request: pytest.FixtureRequest,
    tag: str,
    bot_id: UserId,
    sign_in: SignIn,
    homeserver: Homeserver,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Estate]:
    """The rooms made, in a version in which the bot is not listed and in one in which it is."""
    monkeypatch.setattr(desired, "ROOM_VERSION", request.param)
    register = load_rooms(ROOMS.format(tag=tag), "rooms.yaml")
    people = load_people(PEOPLE.format(tag=tag), "people.csv")
    api = await sign_in(bot_id)
    homeserver.register(f"{tag}-admin", PASSWORD, admin=True)
    signed_in = await login(homeserver.url, f"{tag}-admin", PASSWORD, device_name="admin")
    async with Api(homeserver.url, signed_in.token) as admin:
        house = house_of(register, people, bot_id)
        built = Estate(tag=tag, house=house, api=api, sign_in=sign_in, version=request.param)
        built.admin = admin
        await built.make()
        yield built
