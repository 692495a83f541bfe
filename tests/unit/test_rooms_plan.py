"""What a room should be, and the differences found in one that is not."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from bridge.matrix.desired import House, Want, creation, want
from bridge.matrix.drift import Difference, child, compare, state_of
from bridge.model import JUDGED, RoomId, UserId
from bridge.register import Lock, load_people, load_rooms
from tests.unit.test_register import ANNA, PEOPLE, ROOMS, SAM

BOT, MALLORY = UserId("@bot:force.example"), UserId("@mallory:force.example")
HERE, SPACE = RoomId("!here"), RoomId("!space")

PEOPLE_HERE = load_people(PEOPLE, "people.csv")
REGISTER = load_rooms(ROOMS, "rooms.yaml", PEOPLE_HERE)
HOUSE = House(
    register=REGISTER,
    people=PEOPLE_HERE,
    bot=BOT,
    notices=MappingProxyType(dict.fromkeys(REGISTER.rooms, "The notice")),
)
LOCK = Lock().with_room("a-social", HERE).with_room("response-a", SPACE)
SOCIAL = want(HOUSE, "a-social", LOCK)


def event(kind: str, content: dict[str, Any], state_key: str = "", by: str = BOT) -> dict[str, Any]:
    return {"type": kind, "state_key": state_key, "content": content, "sender": by}


def made(
    room: Want, *, version: str = "12", by: str = BOT, **levels: object
) -> dict[tuple[str, str], dict[str, Any]]:
    """Play the server: what it has after *by* made *room* and everybody joined."""
    body = creation(room)
    power = body["power_level_content_override"] | {"historical": 100} | levels
    events = [
        event("m.room.create", {"room_version": version}, by=by),
        event("m.room.power_levels", power),
        event("m.room.member", {"membership": "join"}, BOT),
        *(event("m.room.member", {"membership": "join"}, user) for user in room.members),
        *(event(e["type"], dict(e["content"]), e["state_key"]) for e in body["initial_state"]),
    ]
    return {key: dict(content) for key, content in state_of(events).items()}


def whats(found: tuple[Difference, ...]) -> list[str]:
    return [difference.what for difference in found]


def test_secure_and_service_rooms_come_before_the_rooms_that_refer_to_them() -> None:
    order = list(HOUSE.order())
    assert order[:2] == ["force", "response-a"]
    judged = [key in REGISTER.rooms and REGISTER.rooms[key].cls in JUDGED for key in order]
    assert judged == sorted(judged)


def test_a_room_as_the_bot_makes_it_differs_in_nothing() -> None:
    for key in HOUSE.order():
        room = want(HOUSE, key, LOCK)
        assert compare(room, HERE, made(room)) == ()


def test_a_room_is_made_without_its_maker_in_the_power_levels() -> None:
    body = creation(SOCIAL)
    assert body["room_version"] == "12"
    assert body["power_level_content_override"]["users"] == {SAM: 50}
    assert body["room_alias_name"] == "bl-a-social"
    assert "invite" not in body


def test_a_spaces_members_are_those_of_its_rooms_and_never_the_bot() -> None:
    space = want(HOUSE, "response-a", LOCK)
    assert set(space.members) == set(SOCIAL.members)
    assert BOT not in space.members
    assert ("m.room.encryption", "") not in space.state


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("m.room.name", {"name": "Cats"}, "name is Cats, should be SOCIAL | Response A social"),
        ("m.room.name", {"name": "\x1b[2Jx"}, "name is '\\x1b[2Jx', should be"),
        ("m.room.join_rules", {"join_rule": "public"}, "join rule is public, should be invite"),
        (
            "m.room.join_rules",
            {"join_rule": "invite", "allow": []},
            "join rule has something added to it",
        ),
        ("m.room.guest_access", {}, "guest access is not set, should be forbidden"),
        ("m.room.server_acl", {"allow": ["*"]}, "other servers than force.example are let in"),
        ("m.room.topic", {"topic": "Hi"}, "topic is not the notice"),
        ("uk.police.room_class", {"class": "operational"}, "class mark (uk.police.room_class) is"),
    ],
)
def test_state_that_was_changed_is_said_and_mended(
    kind: str, content: dict[str, Any], words: str
) -> None:
    (found,) = compare(SOCIAL, HERE, made(SOCIAL) | {(kind, ""): content})
    assert words in found.what
    assert not found.problem
    assert found.mend is not None
    assert found.mend.path == f"/_matrix/client/v3/rooms/%21here/state/{kind}/"
    assert found.mend.body == SOCIAL.state[kind, ""]


def test_encrypted_state_is_not_allowed_in_by_the_encryption_event() -> None:
    key = ("m.room.encryption", "")
    state = made(SOCIAL)
    state[key] = {**state[key], "io.element.msc4362.encrypt_state_events": True}
    (found,) = compare(SOCIAL, HERE, state)
    assert found.what == "encryption changes its keys otherwise than it should"
    state[key] = {"algorithm": "org.example.rot13"}
    (found,) = compare(SOCIAL, HERE, state)
    assert found.problem
    assert found.mend is None


def test_a_plain_room_of_somebody_else_is_encrypted_and_its_past_is_said() -> None:
    state = made(SOCIAL, version="11", by=MALLORY, users={BOT: 100, SAM: 50})
    del state["m.room.encryption", ""]
    (found,) = compare(SOCIAL, HERE, state)
    assert found.what.startswith("is not encrypted (what was said in it so far stays readable")
    assert found.mend is not None


def test_before_version_12_the_bot_is_listed_like_everybody() -> None:
    state = made(SOCIAL, version="10", users={BOT: 100, SAM: 50})
    assert compare(SOCIAL, HERE, state) == ()
    state = made(SOCIAL, version="10", users={BOT: 100})
    assert whats(compare(SOCIAL, HERE, state)) == [
        f"power levels: {SAM} has none, should have 50",
    ]


def test_who_made_a_room_of_version_12_outranks_the_bot_for_good() -> None:
    state = made(SOCIAL, by=MALLORY, users={BOT: 100, SAM: 50})
    (found,) = compare(SOCIAL, HERE, state)
    assert found.problem
    assert found.what.startswith(f"{MALLORY} made it and outranks the bot in it for good")


def test_without_power_nothing_is_tried_and_one_sentence_says_why() -> None:
    state = made(SOCIAL, version="11", by=MALLORY, users={BOT: 50, MALLORY: 100})
    del state["m.room.member", ANNA]
    found = compare(SOCIAL, HERE, state)
    assert found[0].what == (
        f"{BOT} has power level 50 in it and needs 100: ask who has that much to raise it, or use "
        "a room that the bot made"
    )
    assert all(difference.problem and difference.mend is None for difference in found)
    assert f"{ANNA} is not invited" in whats(found)


@pytest.mark.parametrize("users", [{BOT: "100", SAM: 50}, ["nonsense"], {BOT: 1e9, MALLORY: []}])
def test_power_levels_of_old_rooms_may_be_anything(users: object) -> None:
    compare(SOCIAL, HERE, made(SOCIAL, version="5", users=users))


def test_members_who_are_missing_are_invited_and_those_who_joined_are_left_alone() -> None:
    state = made(SOCIAL)
    state["m.room.member", ANNA] = {"membership": "ban"}
    state["m.room.member", SAM] = {"membership": "leave"}
    state["m.room.member", MALLORY] = {"membership": "invite"}
    banned, extra, left = sorted(compare(SOCIAL, HERE, state), key=lambda d: d.what)
    assert (banned.what, banned.problem) == (
        f"{ANNA} is banned: lift the ban, or change the register",
        True,
    )
    assert (left.what, left.problem) == (f"{SAM} has left or declined: not invited", False)
    assert left.mend is not None
    assert left.mend.body == {"user_id": SAM}
    assert (extra.what, extra.problem) == (f"{MALLORY} is invited but not on the register", True)


def test_a_replaced_room_is_a_problem() -> None:
    state = made(SOCIAL) | {("m.room.tombstone", ""): {"replacement_room": "!new"}}
    (found,) = compare(SOCIAL, HERE, state)
    assert found.problem
    assert "tombstone" in found.what


def test_a_room_that_its_space_does_not_list_is_put_into_it() -> None:
    assert child(SOCIAL, HERE, {"via": ["force.example"]}) == ()
    (found,) = child(SOCIAL, HERE, {})
    assert found.what == "is not in the space Response A"
    assert found.mend is not None
    assert found.mend.path.endswith("/rooms/%21space/state/m.space.child/%21here")
    assert child(want(HOUSE, "force", LOCK), HERE, {}) == ()
