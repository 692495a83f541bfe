"""Rooms planned and applied on a real homeserver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.errors import NotPermitted
from bridge.matrix import rooms
from bridge.matrix.api import Api, login, quote
from bridge.matrix.desired import House
from bridge.matrix.rooms import Plan
from bridge.model import RoomClass, RoomId, UserId
from bridge.register import (
    Entry,
    Lock,
    People,
    Register,
    dump_lock,
    load_lock,
    load_people,
    load_rooms,
)
from bridge.rooms import badges
from tests.homeserver.conftest import PASSWORD, SignIn

V3 = "/_matrix/client/v3"

PEOPLE = """\
matrix_id,name,collar,team,rank,supervisor,console,roles
@{tag}-anna:force.example,Anna,,A,,@{tag}-sam:force.example,,
@{tag}-ben:force.example,Ben,,A,,@{tag}-sam:force.example,,
@{tag}-sam:force.example,Sam,,Supervision,,,,
"""

ROOMS = """\
server: force.example
force: {{name: {tag} Police, space: {tag}-force}}
teams:
  A: {{space: {tag}-a}}
rooms:
  {tag}-social:
    class: social
    name: A social
    team: A
    information: corporate
    ceiling: OFFICIAL
    owner: "@{tag}-sam:force.example"
    supervisor: "@{tag}-sam:force.example"
    purpose: Rotas and milk.
    dpia: DPIA-1
    review: 2027-05-01
    secure: {tag}-secure
    members: {{team: A}}
  {tag}-secure:
    class: operational
    name: A secure
    team: A
    information: operational
    ceiling: OFFICIAL-SENSITIVE
    owner: "@{tag}-sam:force.example"
    supervisor: "@{tag}-sam:force.example"
    purpose: Jobs.
    dpia: DPIA-1
    review: 2027-05-01
    members: {{team: A}}
  {tag}-review:
    class: review
    name: Referrals
    information: corporate
    ceiling: OFFICIAL
    owner: "@{tag}-sam:force.example"
    supervisor: "@{tag}-sam:force.example"
    purpose: What the bot could not decide.
    dpia: DPIA-1
    review: 2027-05-01
    members: []
"""


#: As little as there may be: the force's space and one room.
ONE_ROOM = (
    ROOMS.partition("teams:")[0] + "teams: {{}}\nrooms:\n  {tag}-review:"
    + ROOMS.partition("  {tag}-review:")[2]
)  # fmt: skip


def card(entry: Entry) -> str:
    return f"Notice of {entry.name}"


def house_of(register: Register, people: People, bot: UserId) -> House:
    notices = {entry.key: card(entry) for entry in register.rooms.values()}
    return House(register=register, people=people, bot=bot, notices=notices)


class Interrupted(Exception):
    """The process ended here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """A force of three people, four kinds of room and a bot."""

    tag: str
    bot: UserId
    api: Api
    register: Register
    people: People
    sign_in: SignIn

    def key(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def person(self, name: str) -> UserId:
        return UserId(f"@{self.tag}-{name}:force.example")

    def with_id(self, name: str, room: RoomId) -> Force:
        """The same register, which says which room *name* is."""
        key = self.key(name)
        entries = {**self.register.rooms, key: replace(self.register.rooms[key], id=room)}
        return replace(self, register=replace(self.register, rooms=entries))

    async def plan(self, lock: Lock | None = None) -> Plan:
        house = house_of(self.register, self.people, self.bot)
        return await rooms.plan(self.api, house, lock or Lock())

    async def apply(self, lock: Lock | None = None) -> Plan:
        planned = await self.plan(lock)
        return await rooms.apply(self.api, planned, save=ignore, progress=ignore)


def ignore(_: object) -> None:
    """Take notice of nothing."""


@pytest.fixture
async def force(tag: str, bot_id: UserId, sign_in: SignIn) -> Force:
    return Force(
        tag=tag,
        bot=bot_id,
        api=await sign_in(bot_id),
        register=load_rooms(ROOMS.format(tag=tag), "rooms.yaml"),
        people=load_people(PEOPLE.format(tag=tag), "people.csv"),
        sign_in=sign_in,
    )


async def state(api: Api, room: RoomId, kind: str, state_key: str = "") -> dict[str, Any]:
    return await api.call("GET", f"{V3}/rooms/{quote(room)}/state/{kind}/{quote(state_key)}")


async def put(
    api: Api, room: RoomId, kind: str, content: dict[str, Any], state_key: str = ""
) -> None:
    path = f"{V3}/rooms/{quote(room)}/state/{kind}/{quote(state_key)}"
    await api.call("PUT", path, content)


async def make_room(api: Api, **settings: object) -> RoomId:
    return RoomId((await api.call("POST", f"{V3}/createRoom", settings))["room_id"])


async def invite(api: Api, room: RoomId, user: UserId) -> None:
    await api.call("POST", f"{V3}/rooms/{quote(room)}/invite", {"user_id": user})


async def join(api: Api, room: RoomId) -> None:
    await api.call("POST", f"{V3}/join/{quote(room)}", {})


async def say(api: Api, room: RoomId) -> str:
    path = f"{V3}/rooms/{quote(room)}/send/m.room.encrypted/{token_hex(8)}"
    return str(
        (await api.call("PUT", path, {"ciphertext": "as far as the server can see"}))["event_id"]
    )


async def redact(api: Api, room: RoomId, event: str) -> None:
    path = f"{V3}/rooms/{quote(room)}/redact/{quote(event)}/{token_hex(8)}"
    await api.call("PUT", path, {})


async def joined(api: Api) -> list[str]:
    return list((await api.call("GET", f"{V3}/joined_rooms"))["joined_rooms"])


def lines(plan: Plan) -> list[str]:
    return [str(difference) for difference in plan.differences]


async def test_on_an_empty_server_everything_is_to_be_made(force: Force) -> None:
    planned = await force.plan()
    assert lines(planned) == [
        f"{force.tag} Police (space): does not exist: make it, and invite 3",
        "A (space): does not exist: make it, and invite 3",
        "A secure: does not exist: make it, and invite 3",
        "Referrals: does not exist: make it, and invite 1",
        "A social: does not exist: make it, and invite 3",
    ]
    assert planned.problems == ()
    assert await joined(force.api) == []


async def test_what_was_applied_is_as_the_register_says_and_needs_nothing_more(
    force: Force,
) -> None:
    applied = await force.apply()
    assert applied.differences == ()
    assert (await force.plan(applied.lock)).differences == ()
    assert len(await joined(force.api)) == 5

    approved = force.register.resolve(applied.lock)
    assert sorted(room.cls for room in approved.values()) == ["operational", "review", "social"]
    social = next(room for room in approved.values() if room.cls is RoomClass.SOCIAL)
    assert social.secure is not None
    assert approved[social.secure].cls is RoomClass.OPERATIONAL
    assert social.review is not None


async def test_a_member_finds_an_encrypted_room_that_says_what_it_is(force: Force) -> None:
    lock = (await force.apply()).lock
    social, secure = lock.ids[force.key("social")], lock.ids[force.key("secure")]
    anna = await force.sign_in(force.person("anna"))
    await join(anna, social)

    encryption = await state(anna, social, "m.room.encryption")
    assert encryption == {
        "algorithm": "m.megolm.v1.aes-sha2",
        "rotation_period_msgs": 100,
        "rotation_period_ms": 604_800_000,
    }
    assert (await state(anna, social, "m.room.create"))["room_version"] == "12"
    assert await state(anna, social, "m.room.name") == {"name": "SOCIAL | A social"}
    assert await state(anna, social, "m.room.topic") == {"topic": "Notice of A social"}
    assert await state(anna, social, "m.room.join_rules") == {"join_rule": "invite"}
    assert await state(anna, social, "m.room.guest_access") == {"guest_access": "forbidden"}
    assert (await state(anna, social, "m.room.server_acl"))["allow"] == ["force.example"]
    visibility = await state(anna, social, "m.room.history_visibility")
    assert visibility == {"history_visibility": "invited"}
    mark = await state(anna, social, "uk.police.room_class")
    assert mark == {
        "class": "social",
        "team": "A",
        "marking": "OFFICIAL",
        "owner": force.person("sam"),
        "review_at": "2027-05-01",
        "secure": secure,
    }


async def test_only_the_bot_changes_a_room_and_only_its_supervisor_keeps_order(
    force: Force,
) -> None:
    social = (await force.apply()).lock.ids[force.key("social")]
    anna = await force.sign_in(force.person("anna"))
    sam = await force.sign_in(force.person("sam"))
    for member in (anna, sam):
        await join(member, social)
        with pytest.raises(NotPermitted):
            await put(member, social, "m.room.topic", {"topic": "ours"})

    await redact(anna, social, await say(anna, social))
    with pytest.raises(NotPermitted):
        await redact(anna, social, await say(sam, social))
    await redact(sam, social, await say(anna, social))


async def test_rooms_stand_in_their_teams_space_and_that_in_the_forces(force: Force) -> None:
    ids = (await force.apply()).lock.ids
    top, team = ids[force.key("force")], ids[force.key("a")]
    social, review = ids[force.key("social")], ids[force.key("review")]
    assert (await state(force.api, top, "m.room.create"))["type"] == "m.space"
    for child, parent in ((team, top), (review, top), (social, team)):
        link = await state(force.api, parent, "m.space.child", child)
        assert link["via"] == ["force.example"]
        link = await state(force.api, child, "m.space.parent", parent)
        assert link["canonical"] is True


async def test_each_class_has_its_picture_which_is_uploaded_once_and_put_back(
    force: Force,
) -> None:
    lock = (await force.apply()).lock
    social, secure = lock.ids[force.key("social")], lock.ids[force.key("secure")]
    anna = await force.sign_in(force.person("anna"))
    await join(anna, social)
    url = (await state(anna, social, "m.room.avatar"))["url"]
    assert url == lock.pictures["social-1"]
    path = f"/_matrix/client/v1/media/download/{url.removeprefix('mxc://')}"
    assert await anna.download(path, most_bytes=10_000) == badges.picture(RoomClass.SOCIAL)
    assert (await state(force.api, secure, "m.room.avatar"))["url"] != url
    assert (await force.apply(lock)).lock.pictures == lock.pictures

    await put(force.api, social, "m.room.avatar", {"url": "mxc://elsewhere/cat"})
    planned = await force.plan(lock)
    assert lines(planned) == ["A social: picture is not that of its class"]
    await rooms.apply(force.api, planned, save=ignore, progress=ignore)
    assert (await state(anna, social, "m.room.avatar"))["url"] == url


async def test_rooms_from_before_there_were_pictures_get_theirs(force: Force) -> None:
    lock = replace((await force.apply()).lock, pictures={})
    lock = load_lock(dump_lock(lock), "rooms.lock.yaml")
    planned = await force.plan(lock)
    assert lines(planned) == [
        f"{name}: the picture of its class is not on the server yet"
        for name in ("A secure", "Referrals", "A social")
    ]
    saved: list[Lock] = []
    applied = await rooms.apply(force.api, planned, save=saved.append, progress=ignore)
    assert applied.differences == ()
    assert sorted(saved[-1].pictures) == ["operational-1", "review-1", "social-1"]
    assert (await force.plan(applied.lock)).differences == ()


async def test_interrupted_before_the_lock_was_written_it_makes_no_room_twice(
    force: Force,
) -> None:
    def die(_: Lock) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await rooms.apply(force.api, await force.plan(), save=die, progress=ignore)
    made = await joined(force.api)
    assert len(made) == 1

    again = await force.plan()
    assert "exists already: note its id in the lock" in lines(again)[0]
    saved: list[Lock] = []
    applied = await rooms.apply(force.api, again, save=saved.append, progress=ignore)
    assert applied.differences == ()
    assert set(made) < set(await joined(force.api))
    assert len(await joined(force.api)) == 5
    assert saved[-1] == applied.lock
    assert sorted({len(lock.ids) for lock in saved}) == [1, 2, 3, 4, 5]


async def test_what_somebody_changed_is_shown_and_put_back(force: Force) -> None:
    lock = (await force.apply()).lock
    social, team = lock.ids[force.key("social")], lock.ids[force.key("a")]
    anna = await force.sign_in(force.person("anna"))
    await join(anna, social)
    power = await state(force.api, social, "m.room.power_levels")
    power = {**power, "users": {**power["users"], force.person("anna"): 100}, "invite": 0}
    await put(force.api, social, "m.room.power_levels", power)
    await put(anna, social, "m.room.topic", {"topic": "anything goes"})
    await put(anna, social, "m.room.join_rules", {"join_rule": "public"})
    await put(anna, social, "m.room.history_visibility", {"history_visibility": "world_readable"})
    await put(anna, social, "m.room.server_acl", {"allow": ["*"]})
    await put(force.api, team, "m.space.child", {}, social)

    planned = await force.plan(lock)
    assert set(lines(planned)) == {
        "A social: topic is not the notice",
        "A social: join rule is public, should be invite",
        "A social: history visibility is world_readable, should be invited",
        "A social: other servers than force.example are let in",
        f"A social: power levels: {force.person('anna')} has 100, should have none; "
        "invite is 0, should be 50",
        "A social: is not in the space A",
    }
    assert (await force.apply(lock)).differences == ()
    assert (await force.plan(lock)).differences == ()
    with pytest.raises(NotPermitted):
        await put(anna, social, "m.room.topic", {"topic": "anything goes"})


async def test_who_left_is_invited_again_and_who_should_not_be_there_is_put_out(
    force: Force,
) -> None:
    lock = (await force.apply()).lock
    social = lock.ids[force.key("social")]
    anna = await force.sign_in(force.person("anna"))
    guest = await force.sign_in(force.person("guest"))
    await anna.call("POST", f"{V3}/rooms/{quote(social)}/leave", {})
    await invite(force.api, social, force.person("guest"))
    await join(guest, social)

    planned = await force.plan(lock)
    assert lines(planned) == [
        f"A social: {force.person('anna')} has left or declined: not invited",
        f"A social: {force.person('guest')} is in the room but not on the register",
    ]
    assert lines(await force.apply(lock)) == []
    assert social not in await joined(guest)
    assert lines(await force.plan(lock)) == []
    member = await state(force.api, social, "m.room.member", force.person("anna"))
    assert member["membership"] == "invite"


async def test_a_room_that_the_bot_cannot_enter_is_named_and_the_others_are_made(
    force: Force, homeserver: Homeserver
) -> None:
    anna = await force.sign_in(force.person("anna"))
    room = await make_room(anna, name="Anna's own")
    force = force.with_id("secure", room)
    sentence = (
        f"A secure: the bot cannot enter {room} on {homeserver.url}: have {force.bot} invited to "
        "it, or take the id out of rooms.yaml and its lock so that a new room is made"
    )
    assert sentence in [str(problem) for problem in (await force.plan()).problems]
    assert lines(await force.apply()) == [sentence]
    assert len(await joined(force.api)) == 4


async def test_a_room_that_somebody_else_made_is_joined_and_its_dangers_are_said(
    force: Force,
) -> None:
    anna = await force.sign_in(force.person("anna"))
    room = await make_room(anna, room_version="11", preset="private_chat")
    await invite(anna, room, force.bot)
    force = force.with_id("secure", room)

    assert "A secure: the bot is not in it: join" in lines(await force.plan())
    left = lines(await force.apply())
    assert (
        f"A secure: {force.bot} has power level 0 in it and needs 100: ask who has that much to "
        "raise it, or use a room that the bot made"
    ) in left
    assert (
        f"A secure: was made without encryption by {force.person('anna')}, and the bot may not "
        "switch it on: it cannot be made safe here, use another room"
    ) in left
    assert all(line.startswith("A secure: ") for line in left)


async def test_a_room_of_version_11_is_put_right_once_the_bot_has_power(force: Force) -> None:
    anna = await force.sign_in(force.person("anna"))
    room = await make_room(
        anna,
        room_version="11",
        preset="private_chat",
        power_level_content_override={
            "users": {force.person("anna"): 100, force.bot: 100},
        },
    )
    await invite(anna, room, force.bot)
    force = force.with_id("secure", room)
    left = lines(await force.apply())
    assert left == [
        f"A secure: {force.person('anna')} has power level 100 and the bot 100, so the bot cannot "
        "take it away: ask them to give it up, or use a room that the bot made"
    ]
    power = await state(force.api, room, "m.room.power_levels")
    assert power["users"][force.bot] == 100
    power["users"].pop(force.person("anna"))
    await put(anna, room, "m.room.power_levels", power)
    assert (await force.plan((await force.apply()).lock)).differences == ()


async def test_an_alias_that_somebody_else_took_is_not_believed(force: Force) -> None:
    anna = await force.sign_in(force.person("anna"))
    alias = f"bl-{force.key('secure')}"
    room = await make_room(anna, room_alias_name=alias, preset="public_chat")
    await join(force.api, room)
    left = lines(await force.apply())
    assert left == [
        f"A secure: the alias #{alias}:force.example leads to {room}, which the bot did not make "
        "for this: have the alias removed, or give this id in the register if it is the right room"
    ]


async def test_an_alias_that_a_member_gave_to_another_of_the_bots_rooms_is_not_believed(
    force: Force,
) -> None:
    anna = await force.sign_in(force.person("anna"))
    private = await make_room(force.api, preset="private_chat", is_direct=True)
    await invite(force.api, private, force.person("anna"))
    await join(anna, private)
    alias = f"#bl-{force.key('secure')}:force.example"
    await anna.call("PUT", f"{V3}/directory/room/{quote(alias)}", {"room_id": private})
    (problem,) = (await force.plan()).problems
    assert f"the alias {alias} leads to {private}, which the bot did not make" in str(problem)


@pytest.mark.slow
async def test_a_homeserver_that_asks_to_wait_is_waited_for(tmp_path: Path, tag: str) -> None:
    # A room that takes long to make must not take as long as the limit has it wait.
    slow = {"rc_room_creation": {"per_second": 1 / 20, "burst_count": 1}}
    said: list[str] = []
    async with Homeserver(tmp_path, settings=slow) as server:
        server.register(f"{tag}-bot", PASSWORD)
        bot = await login(server.url, f"{tag}-bot", PASSWORD, device_name="test")
        async with Api(server.url, bot.token) as api:
            register = load_rooms(ONE_ROOM.format(tag=tag), "rooms.yaml")
            people = load_people(PEOPLE.format(tag=tag), "people.csv")
            house = house_of(register, people, bot.user_id)
            planned = await rooms.plan(api, house, Lock())
            applied = await rooms.apply(api, planned, save=ignore, progress=said.append)
    assert applied.differences == ()
    assert any(line.startswith("The homeserver asks us to wait") for line in said)


async def test_a_room_that_the_homeserver_will_not_make_is_said_with_its_reason(
    force: Force, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.matrix.desired.ROOM_VERSION", "no-such-version")
    left = lines(await force.apply())
    assert len(left) == 5
    assert all("the bot cannot make it: POST" in line for line in left)
    assert all("M_UNSUPPORTED_ROOM_VERSION" in line for line in left)
