"""What a room should be, and the differences found in one that is not."""

from __future__ import annotations

import datetime
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from bridge.matrix.desired import (
    LOCK_TYPE,
    RETENTION_TYPE,
    House,
    Want,
    creation,
    levels,
    want,
)
from bridge.matrix.drift import Difference, authors, child, compare, state_of, why_locked
from bridge.model import JUDGED, RoomClass, RoomId, UserId
from bridge.register import Lock, load_people, load_rooms
from bridge.rooms.premises import Sort
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


FORGETTING = replace(HOUSE, lifetimes=dict.fromkeys(RoomClass, 1_000))
FORGETS = (RETENTION_TYPE, "")


def test_how_long_the_server_shows_messages_is_mended_where_it_was_changed() -> None:
    room = want(FORGETTING, "a-social", LOCK)
    for content in ({"max_lifetime": 1}, {"max_lifetime": 1_000, "min_lifetime": 1}, {}):
        (found,) = compare(room, HERE, made(room) | {FORGETS: content})
        assert (found.sort, found.about, found.problem) == (Sort.DOOR, RETENTION_TYPE, False)
        assert found.mend is not None
        assert found.mend.body == {"max_lifetime": 1_000}


@pytest.mark.parametrize("key", ["a-secure", "response-a"])
def test_where_nobody_wants_the_server_to_forget_it_is_told_not_to(key: str) -> None:
    room = want(FORGETTING, key, LOCK)
    assert FORGETS not in room.state
    (found,) = compare(room, HERE, made(room) | {FORGETS: {"max_lifetime": 1}})
    assert (found.sort, found.about, found.problem) == (Sort.DOOR, RETENTION_TYPE, False)
    assert found.mend is not None
    assert (found.mend.method, found.mend.body) == ("PUT", {})
    assert found.mend.path.endswith("/state/m.room.retention/")
    assert compare(room, HERE, made(room) | {FORGETS: {}}) == ()


def test_in_a_room_that_rehearses_the_server_forgets_nothing_and_an_old_time_goes() -> None:
    entry = replace(REGISTER.rooms["a-social"], rehearse=True)
    register = replace(REGISTER, rooms={**REGISTER.rooms, "a-social": entry})
    real = want(FORGETTING, "a-social", LOCK)
    rehearsing = want(replace(FORGETTING, register=register), "a-social", LOCK)
    assert FORGETS in real.state
    assert FORGETS not in rehearsing.state
    (found,) = compare(rehearsing, HERE, made(real))
    assert found.mend is not None
    assert found.mend.body == {}


def test_encrypted_state_is_not_allowed_in_by_the_encryption_event() -> None:
    key = ("m.room.encryption", "")
    state = made(SOCIAL)
    state[key] = {**state[key], "io.element.msc4362.encrypt_state_events": True}
    (found,) = compare(SOCIAL, HERE, state)
    assert found.what == "encryption changes its keys otherwise than it should"
    state[key] = {"algorithm": "org.example.rot13"}
    (found,) = compare(SOCIAL, HERE, state)
    assert found.what == "is encrypted by org.example.rot13, which phones cannot read"
    assert found.mend is not None
    assert found.mend.body == SOCIAL.state[key]


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
    assert extra.what == f"{MALLORY} is invited but not on the register"
    assert extra.mend is not None
    assert extra.mend.path.endswith("/kick")
    assert extra.mend.body["user_id"] == MALLORY


def crowd(*people: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {("m.room.member", one): {"membership": "join"} for one in people}


def test_a_register_that_would_put_out_more_than_a_tenth_of_a_room_asks_a_person() -> None:
    strangers = [f"@s{n}:force.example" for n in range(7)]
    (found,) = compare(SOCIAL, HERE, made(SOCIAL) | crowd(*strangers))
    assert (found.problem, found.mend, found.sort) == (True, None, Sort.UNSURE)
    there = len(SOCIAL.members) + 8
    assert found.what.startswith(f"7 of {there} people are not on the register, which is more than")
    assert "@s0:force.example" in found.what
    assert "@s4:force.example and 2 more. If they are" in found.what
    sure = replace(SOCIAL, put_out=True)
    going = compare(sure, HERE, made(SOCIAL) | crowd(*strangers))
    assert [one.about for one in going if one.mend is not None] == strangers


@pytest.mark.parametrize("many", [1, 2, 3, 7])
def test_who_never_belonged_goes_at_once_however_many_let_them_in(many: int) -> None:
    spies = [f"@spy{n}:force.example" for n in range(many)]
    room = replace(SOCIAL, belonged=frozenset(SOCIAL.members))
    found = compare(room, HERE, made(SOCIAL) | crowd(*spies))
    assert [one.about for one in found if one.mend is not None] == spies
    assert {one.sort for one in found} == {Sort.STRANGER}


def test_a_list_that_was_cut_short_puts_nobody_out_while_intruders_go() -> None:
    belonged = [f"@p{n}:force.example" for n in range(3)]
    spies = [f"@spy{n}:force.example" for n in range(40)]  # so many that three are few
    room = replace(SOCIAL, belonged=frozenset({*SOCIAL.members, *map(UserId, belonged)}))
    found = compare(room, HERE, made(SOCIAL) | crowd(*belonged, *spies))
    (unsure,) = [one for one in found if one.sort is Sort.UNSURE]
    there = len(SOCIAL.members) + 1 + len(belonged)
    assert unsure.what.startswith(f"3 of {there} people are not on the register")
    assert {one.about for one in found if one.mend is not None} == set(spies)


def test_guests_of_partners_belong_until_their_day_and_then_go() -> None:
    lea = UserId("@lea:council.example")
    partners = {"council.example": datetime.date(2027, 3, 31)}
    guests = ((lea, datetime.date(2027, 1, 31)),)
    entry = replace(REGISTER.rooms["a-social"], cls=RoomClass.COMMUNITY, guests=guests)
    register = replace(REGISTER, rooms={**REGISTER.rooms, "a-social": entry}, partners=partners)

    def on(year: int, month: int, day: int) -> Want:
        today = datetime.date(year, month, day)
        return want(replace(HOUSE, register=register, today=today), "a-social", LOCK)

    acl = ("m.room.server_acl", "")
    before, after = on(2027, 1, 31), on(2027, 2, 1)
    assert before.state[acl]["allow"] == ["force.example", "council.example"]
    assert compare(before, HERE, made(before)) == ()
    whole = whats(compare(after, HERE, made(before)))
    assert whole == [
        "other servers than force.example are let in",
        f"{lea} is in the room but not on the register",
    ]
    shorter = replace(register, partners={"council.example": datetime.date(2026, 12, 31)})
    gone = want(replace(HOUSE, register=shorter, today=datetime.date(2027, 1, 1)), "a-social", LOCK)
    assert lea not in gone.members


def test_people_of_other_servers_go_however_many_they_are() -> None:
    strangers = [f"@s{n}:elsewhere.example" for n in range(7)]
    found = compare(SOCIAL, HERE, made(SOCIAL) | crowd(*strangers))
    assert [(one.about, one.problem) for one in found] == [(one, False) for one in strangers]


def test_a_room_that_the_bot_has_locked_stays_locked_and_says_so() -> None:
    locked = replace(SOCIAL, locked="sam changes it")
    state = made(SOCIAL)
    closed = levels(locked, listed=False)
    assert closed["events_default"] == 100
    (found,) = compare(locked, HERE, state | {("m.room.power_levels", ""): closed})
    assert found.what == "is locked (sam changes it): say 'bluelamp rooms unlock a-social'"
    open_again = [one.what for one in compare(locked, HERE, state)]
    assert any("events_default is 0, should be 100" in what for what in open_again)


def test_only_the_bots_own_word_locks_a_room() -> None:
    word = event(LOCK_TYPE, {"reason": "an alarm"}, by=MALLORY)
    assert why_locked([word], BOT) == ""
    assert why_locked([{**word, "sender": BOT}], BOT) == "an alarm"
    assert why_locked([{**word, "sender": BOT, "content": {}}], BOT) == ""


def test_a_replaced_room_is_a_problem() -> None:
    state = made(SOCIAL) | {("m.room.tombstone", ""): {"replacement_room": "!new"}}
    (found,) = compare(SOCIAL, HERE, state)
    assert found.problem
    assert "tombstone" in found.what


def test_a_successor_that_somebody_else_named_is_taken_back() -> None:
    moved = event("m.room.tombstone", {"replacement_room": "!theirs"}, by=MALLORY)
    moved["event_id"] = "$moved"
    (found,) = compare(SOCIAL, HERE, {**made(SOCIAL), **state_of([moved])})
    assert (found.sort, found.about) == (Sort.DOOR, "m.room.tombstone")
    assert found.what == "people are sent on to the room !theirs, which the register does not know"
    assert found.mend is not None
    assert "/redact/%24moved/" in found.mend.path
    back = event("m.room.tombstone", {})
    assert compare(SOCIAL, HERE, {**made(SOCIAL), **state_of([back])}) == ()
    ours = {**moved, "sender": BOT}
    (found,) = compare(SOCIAL, HERE, {**made(SOCIAL), **state_of([ours])})
    assert found.sort is Sort.REPLACED


def test_who_took_state_out_has_made_it_what_it_is() -> None:
    kind = "m.room.encryption"
    removed = {"unsigned": {"redacted_because": {"sender": MALLORY}}}
    assert authors([event(kind, {}) | removed])[kind, ""] == MALLORY
    # What the server keeps of it was set by whoever set it.
    assert authors([event(kind, {"algorithm": "x"}) | removed])[kind, ""] == BOT
    assert authors([event(kind, {}) | {"unsigned": {"redacted_because": "?"}}])[kind, ""] == BOT
    assert authors([event(kind, {})])[kind, ""] == BOT


def test_servers_are_let_in_by_their_names_with_ports_and_without() -> None:
    """The specification of m.room.server_acl has them compared without."""
    partner = "council.example:8448"
    entry = replace(
        REGISTER.rooms["a-social"],
        guests=((UserId(f"@lea:{partner}"), datetime.date(2027, 1, 1)),),
    )
    register = replace(
        REGISTER,
        server="force.example:443",
        rooms={**REGISTER.rooms, "a-social": entry},
        partners={partner: datetime.date(2027, 1, 1)},
    )
    house = replace(HOUSE, register=register, today=datetime.date(2026, 12, 31))
    acl = want(house, "a-social", LOCK).state["m.room.server_acl", ""]
    ours = ["force.example:443", "force.example"]
    assert acl["allow"] == [*ours, partner, "council.example"]
    assert want(house, "response-a", LOCK).state["m.room.server_acl", ""]["allow"] == ours


def test_a_room_that_its_space_does_not_list_is_put_into_it() -> None:
    assert child(SOCIAL, HERE, {"via": ["force.example"]}) == ()
    (found,) = child(SOCIAL, HERE, {})
    assert found.what == "is not in the space Response A"
    assert found.mend is not None
    assert found.mend.path.endswith("/rooms/%21space/state/m.space.child/%21here")
    assert child(want(HOUSE, "force", LOCK), HERE, {}) == ()
