"""The drills of drift where it matters most: social and secure rooms, and their team's space."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.errors import NotPermitted
from bridge.matrix import desired
from bridge.matrix.api import Api, login, quote
from bridge.matrix.desired import RETENTION_TYPE
from bridge.model import RoomClass, UserId
from bridge.register import Lock, load_people, load_rooms
from tests.homeserver.conftest import PASSWORD, SignIn
from tests.homeserver.test_rooms import (
    PEOPLE,
    V3,
    house_of,
    invite,
    join,
    joined,
    make_room,
    put,
    redact,
    say,
)
from tests.homeserver.test_rooms import ROOMS as FOUR_ROOMS
from tests.rooms.conftest import Estate

pytestmark = pytest.mark.slow

POWER, TOMBSTONE = "m.room.power_levels", "m.room.tombstone"
CLASSES = ("social", "secure")
#: How long the server shows messages, ms, as the classes have it.
SHOWN = dict.fromkeys(RoomClass, 32 * 86_400_000)
#: What an open door looks like, and how it is called.
LOOSE: dict[str, tuple[dict[str, Any], str]] = {
    "m.room.join_rules": ({"join_rule": "public"}, "join rule is public, should be invite"),
    "m.room.guest_access": ({"guest_access": "can_join"}, "guest access is can_join"),
    "m.room.history_visibility": (
        {"history_visibility": "world_readable"},
        "history visibility is world_readable",
    ),
    "m.room.server_acl": ({"allow": ["*"]}, "other servers than force.example are let in"),
}
UNENCRYPTED: dict[str, tuple[dict[str, Any], str]] = {
    "m.room.encryption": ({}, "is encrypted by not set")
}
FORGETS = {
    "social": "how long the server shows messages is not what the class says",
    "secure": "told to forget what was said in it, which it should not be",
}


@pytest.fixture(params=["12", "11"])
async def estate(
    request: pytest.FixtureRequest,
    tag: str,
    bot_id: UserId,
    sign_in: SignIn,
    homeserver: Homeserver,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Estate]:
    """A social room, its secure room and the space of their team, with the times of the classes."""
    monkeypatch.setattr(desired, "ROOM_VERSION", request.param)
    register = load_rooms(FOUR_ROOMS.format(tag=tag), "rooms.yaml")
    people = load_people(PEOPLE.format(tag=tag), "people.csv")
    api = await sign_in(bot_id)
    homeserver.register(f"{tag}-admin", PASSWORD, admin=True)
    signed_in = await login(homeserver.url, f"{tag}-admin", PASSWORD, device_name="admin")
    async with Api(homeserver.url, signed_in.token) as admin:
        house = replace(house_of(register, people, bot_id), lifetimes=SHOWN)
        built = Estate(tag=tag, house=house, api=api, sign_in=sign_in, version=request.param)
        built.admin = admin
        await built.make()
        yield built


async def raised(estate: Estate, name: str, api: Api, who: str = "anna") -> None:
    """Give somebody the bot's power, as whoever can use its account could."""
    await join(api, estate.room(name))
    power = await estate.state(name, POWER)
    users = {**power["users"], estate.person(who): 100}
    await put(estate.api, estate.room(name), POWER, {**power, "users": users})


async def stands_down(estate: Estate, name: str, api: Api, who: str = "anna") -> None:
    """Have them give it up again: what they did with it is all that is left."""
    power = await estate.state(name, POWER)
    users = {user: level for user, level in power["users"].items() if user != estate.person(who)}
    await put(api, estate.room(name), POWER, {**power, "users": users})


async def opened(
    estate: Estate, name: str, api: Api, doors: dict[str, tuple[dict[str, Any], str]]
) -> None:
    """Open all *doors* with anna's hand, and see each of them shut again, with her name to it."""
    here = estate.room(name)
    before = {kind: await estate.state(name, kind) for kind in doors if kind != RETENTION_TYPE}
    await raised(estate, name, api)
    for kind, (content, _) in doors.items():
        await put(api, here, kind, content)
    await stands_down(estate, name, api)
    await estate.look(name)
    anna = estate.person("anna")
    for kind, (_, words) in doors.items():
        assert any(words in note and f"(by {anna}); putting it right" in note
                   for note in estate.notes), kind  # fmt: skip
        assert any(words in said and f"{anna} did that; Blue Lamp has put it right" in said
                   for said in estate.told), kind  # fmt: skip
    for kind, content in before.items():
        assert await estate.state(name, kind) == content, kind
    for kind, (content, _) in doors.items():
        with pytest.raises(NotPermitted):
            await put(api, here, kind, content)
    assert await estate.faults(name) == []


async def test_no_door_of_a_social_or_a_secure_room_stays_open(estate: Estate) -> None:
    anna = await estate.sign_in(estate.person("anna"))
    assert await estate.state("social", RETENTION_TYPE) == {"max_lifetime": SHOWN[RoomClass.SOCIAL]}
    for name in CLASSES:
        forgets = {RETENTION_TYPE: ({"max_lifetime": 1}, FORGETS[name])}
        estate.notes.clear()
        estate.told.clear()
        await opened(estate, name, anna, LOOSE | UNENCRYPTED | forgets)
    assert await estate.state("social", RETENTION_TYPE) == {"max_lifetime": SHOWN[RoomClass.SOCIAL]}
    assert await estate.state("secure", RETENTION_TYPE) == {}


async def test_no_door_of_a_teams_space_stays_open(estate: Estate) -> None:
    anna = await estate.sign_in(estate.person("anna"))
    await opened(estate, "a", anna, LOOSE)
    # And a room that was taken out of it is in it again.
    await put(estate.api, estate.room("a"), "m.space.child", {}, estate.room("social"))
    assert await estate.faults("social") == ["is not in the space A"]
    await estate.look("social")
    assert await estate.faults("social") == []


async def test_what_a_supervisor_takes_out_of_a_rooms_state_is_put_back_with_their_name_to_it(
    estate: Estate,
) -> None:
    """Whoever may take out messages may take out state: the server asks no more than that."""
    sam = await estate.sign_in(estate.person("sam"))
    for name in CLASSES:
        here = estate.room(name)
        await join(sam, here)
        before = await estate.state(name, "m.room.encryption")
        path = f"{V3}/rooms/{quote(here)}/state"
        (event,) = [
            one["event_id"]
            for one in await estate.api.call_list("GET", path)
            if one["type"] == "m.room.encryption"
        ]
        await redact(sam, here, event)
        assert await estate.state(name, "m.room.encryption") == {}
        estate.told.clear()
        await estate.look(name)
        assert await estate.state(name, "m.room.encryption") == before
        assert f"(by {estate.person('sam')}); putting it right" in estate.notes[-1]
        (said,) = estate.told
        assert f"Sam ({estate.person('sam')}) did that; Blue Lamp has put it right" in said


async def test_power_over_a_social_a_secure_room_or_a_space_is_taken_away_again(
    estate: Estate,
) -> None:
    ben = estate.person("ben")
    for name in (*CLASSES, "a"):
        power = await estate.state(name, POWER)
        loose = {**power, "users": {**power["users"], ben: 60}, "invite": 0, "state_default": 0}
        await put(estate.api, estate.room(name), POWER, loose)
        await estate.look(name)
        assert await estate.state(name, POWER) == power
        for words in (f"{ben} has 60, should have none", "invite is 0, should be 50"):
            assert words in estate.notes[-1]
            assert words in estate.told[-1]
    assert len(estate.told) == 3


async def test_nobody_is_sent_on_to_a_strangers_room(estate: Estate) -> None:
    anna = await estate.sign_in(estate.person("anna"))
    ben = await estate.sign_in(estate.person("ben"))
    elsewhere = await make_room(anna, preset="public_chat", name="Much nicer here")
    for name in CLASSES:
        here = estate.room(name)
        await join(ben, here)
        with pytest.raises(NotPermitted):
            await put(ben, here, TOMBSTONE, {"replacement_room": elsewhere, "body": "moved"})
        await raised(estate, name, anna)
        await put(anna, here, TOMBSTONE, {"replacement_room": elsewhere, "body": "moved"})
        await stands_down(estate, name, anna)
        await estate.look(name)
        assert await estate.state(name, TOMBSTONE) == {}
        by = f"(by {estate.person('anna')}); putting it right"
        assert any(elsewhere in note and by in note for note in estate.notes)
        assert any(elsewhere in said and "Blue Lamp has put it right" in said
                   for said in estate.told)  # fmt: skip
        assert await estate.faults(name) == []
        assert await say(ben, here)
        estate.notes.clear()
        estate.told.clear()


async def test_an_unknown_bot_is_put_out_of_a_social_and_of_a_secure_room(estate: Estate) -> None:
    sam = await estate.sign_in(estate.person("sam"))
    user = estate.person("helperbot")
    helper = await estate.sign_in(user)
    for name in CLASSES:
        await join(sam, estate.room(name))
        await invite(sam, estate.room(name), user)
        await join(helper, estate.room(name))
        await estate.look(name)
        assert estate.room(name) not in await joined(helper)
        assert f"{user} is in the room but not on the register" in estate.told[-1]
        assert "putting it right" in estate.notes[-1]


async def test_a_bot_that_was_kicked_by_the_rooms_creator_comes_back_and_says_who_it_was(
    estate: Estate,
) -> None:
    """In version 11 a creator has the power that is listed, which may be more than the bot's."""
    if estate.version == "12":
        return  # there, nobody can kick who made the room
    anna, user = await estate.sign_in(estate.person("anna")), estate.person("anna")
    theirs = await make_room(
        anna,
        room_version="11",
        preset="private_chat",
        power_level_content_override={"users": {user: 150, estate.house.bot: 100}},
    )
    await invite(anna, theirs, estate.house.bot)
    await join(estate.api, theirs)
    estate.lock = Lock(ids={**estate.lock.ids, estate.key("social"): theirs})
    await estate.look("social")
    body = {"user_id": estate.house.bot, "reason": "we want no bot"}
    await anna.call("POST", f"{V3}/rooms/{quote(theirs)}/kick", body)
    assert theirs not in await joined(estate.api)
    estate.notes.clear()
    estate.told.clear()
    await estate.look("social")
    assert theirs in await joined(estate.api)
    assert f"(by {user}); putting it right" in estate.notes[0]
    assert any(f"{user} did that; Blue Lamp has put it right" in said for said in estate.told)
