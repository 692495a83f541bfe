"""The register of approved rooms, the people, and the lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.model import RoomClass, RoomId, UserId
from bridge.register import (
    History,
    Information,
    Lock,
    Marking,
    dump_lock,
    load_lock,
    load_people,
    load_rooms,
)

TOP = Path(__file__).parents[2]

PEOPLE = """\
matrix_id,name,collar,team,rank,supervisor,console,roles
@anna:force.example,Anna Reid,4411,Response A,PC,@sam:force.example,,
@ben:force.example,Ben Hughes,4523,Response A,PC,@sam:force.example,,
@sam:force.example,Sam Okoro,2207,Supervision,Inspector,,sokoro,reviewer auditor
"""

ROOMS = """\
server: force.example
force: {name: Exampleshire Police, space: force}
teams:
  Response A: {space: response-a}
rooms:
  a-social:
    class: social
    name: Response A social
    team: Response A
    information: corporate
    ceiling: OFFICIAL
    owner: "@sam:force.example"
    supervisor: "@sam:force.example"
    purpose: Rotas and milk.
    dpia: DPIA-1
    review: 2027-05-01
    secure: a-secure
    members: {team: Response A}
  a-secure:
    class: operational
    name: Response A secure
    team: Response A
    information: operational
    ceiling: OFFICIAL-SENSITIVE
    owner: "@sam:force.example"
    supervisor: "@sam:force.example"
    purpose: Jobs.
    dpia: DPIA-1
    review: 2027-05-01
    history: joined
    members: ["@anna:force.example", {team: Response A}]
  review:
    class: review
    name: Referrals
    information: corporate
    ceiling: OFFICIAL
    owner: "@sam:force.example"
    supervisor: "@sam:force.example"
    purpose: What the bot could not decide.
    dpia: DPIA-1
    review: 2027-05-01
    members: []
"""

ANNA, BEN, SAM = (UserId(f"@{name}:force.example") for name in ("anna", "ben", "sam"))


def people_with(row: str) -> str:
    return PEOPLE + row + "\n"


def test_the_examples_that_ship_are_good() -> None:
    people = load_people((TOP / "people.example.csv").read_text("utf-8"), "people.csv")
    register = load_rooms((TOP / "rooms.example.yaml").read_text("utf-8"), "rooms.yaml", people)
    assert {entry.cls for entry in register.rooms.values()} >= {
        RoomClass.SOCIAL,
        RoomClass.OPERATIONAL,
        RoomClass.REVIEW,
    }


def test_a_room_is_read_as_it_was_written() -> None:
    register = load_rooms(ROOMS, "rooms.yaml")
    social, secure = register.rooms["a-social"], register.rooms["a-secure"]
    assert (social.cls, social.information) == (RoomClass.SOCIAL, Information.CORPORATE)
    assert (social.secure, social.history) == ("a-secure", History.INVITED)
    assert (secure.ceiling, secure.history) == (Marking.OFFICIAL_SENSITIVE, History.JOINED)
    assert social.review.isoformat() == "2027-05-01"
    assert [space.key for space in register.spaces()] == ["force", "response-a"]


def test_the_only_review_room_serves_every_room() -> None:
    register = load_rooms(ROOMS, "rooms.yaml")
    assert {entry.review_room for entry in register.rooms.values()} == {"review"}


def test_with_two_review_rooms_each_room_says_which() -> None:
    head, review = ROOMS.split("  review:\n")
    second = "  review-b:\n" + review.replace("Referrals", "Referrals B")
    with pytest.raises(ConfigError, match="name with 'review_room' one of: review, review-b"):
        load_rooms(ROOMS + second, "rooms.yaml")
    chosen = head.replace("    dpia:", "    review_room: review-b\n    dpia:")
    register = load_rooms(f"{chosen}  review:\n{review}{second}", "rooms.yaml")
    assert register.rooms["a-social"].review_room == "review-b"
    assert register.rooms["review"].review_room == "review"


def test_members_are_the_supervisor_those_named_and_those_on_the_roster_each_once() -> None:
    people = load_people(PEOPLE, "people.csv")
    register = load_rooms(ROOMS, "rooms.yaml", people)
    assert register.members(register.rooms["a-secure"], people) == (SAM, ANNA, BEN)
    assert register.members(register.rooms["review"], people) == (SAM,)


def test_only_rooms_whose_id_is_known_are_approved() -> None:
    register = load_rooms(ROOMS, "rooms.yaml")
    assert register.resolve(Lock()) == {}
    lock = Lock().with_room("a-social", RoomId("!social")).with_room("force", RoomId("!space"))
    (only,) = register.resolve(lock).values()
    assert (only.id, only.cls, only.secure) == ("!social", RoomClass.SOCIAL, None)
    lock = lock.with_room("a-secure", RoomId("!secure")).with_room("review", RoomId("!review"))
    rooms = register.resolve(lock)
    social = rooms[RoomId("!social")]
    assert (social.secure, social.secure_name) == ("!secure", "Response A secure")
    assert {room.review for room in rooms.values()} == {"!review"}


def test_each_room_knows_who_may_be_in_its_secure_room_and_where_the_others_go() -> None:
    people = load_people(PEOPLE, "people.csv")
    intake = ROOMS[ROOMS.index("  review:\n") :].replace(
        "review:\n    class: review", "in:\n    class: intake"
    )
    register = load_rooms(ROOMS + intake.replace("Referrals", "Intake"), "rooms.yaml", people)
    lock = Lock()
    for key in register.rooms:
        lock = lock.with_room(key, RoomId(f"!{key}"))
    social = register.resolve(lock, people)[RoomId("!a-social")]
    assert social.entitled == frozenset({SAM, ANNA, BEN})
    assert social.intake == "!in"
    assert register.resolve(lock)[RoomId("!a-social")].entitled is None
    assert register.resolve(lock, people)[RoomId("!a-secure")].entitled is None


def test_a_room_may_rehearse_by_itself() -> None:
    lock = Lock().with_room("a-social", RoomId("!social"))
    for text, rehearses in ((ROOMS, False), (ROOMS.replace(
        "    class: social\n", "    class: social\n    rehearse: true\n", 1), True)):  # fmt: skip
        (room,) = load_rooms(text, "rooms.yaml").resolve(lock).values()
        assert room.rehearse is rehearses


def test_an_id_in_the_register_wins_over_the_lock() -> None:
    text = ROOMS.replace(
        "    class: social\n", '    class: social\n    id: "!mine:force.example"\n'
    )
    register = load_rooms(text, "rooms.yaml")
    lock = Lock().with_room("a-social", RoomId("!other"))
    assert register.id_of("a-social", lock) == "!mine:force.example"
    assert list(register.resolve(lock)) == ["!mine:force.example"]


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("class: social", "class: party", 7, "'party' is not one of: social, operational"),
        ("class: social", "class: direct", 7, "direct rooms are made by the bot"),
        ("    secure: a-secure\n", "", 7, "a room of class social needs a secure room"),
        ("secure: a-secure", "secure: b-secure", 17, "there is no room 'b-secure'"),
        ("secure: a-secure", "secure: review", 17, "is of class review, and must be operational"),
        ("purpose: Rotas and milk.", 'purpose: ""', 14, "expected some text"),
        ("    purpose: Rotas and milk.\n", "", 7, "the key 'purpose' is missing"),
        ("purpose: Jobs.", "purposes: Jobs.", 27, "unknown key 'purposes'"),
        ("    team: Response A\n    information: c", "    information: c", 7, "'team' is missing"),
        ("team: Response A\n    inf", "team: Response B\n    inf", 9, "'Response B' is not one of"),
        ("{team: Response A}\n  a-s", "{team: Nights}\n  a-s", 18, "nobody in people.csv is in"),
        ('["@anna:', '["@zoe:', 31, "@zoe:force.example is not in people.csv"),
        ('["@anna:force', '["@anna:other', 31, "is not on force.example, and no other server"),
        ('["@anna:force.example"', '["anna"', 31, "'anna' is not a Matrix id"),
        ('owner: "@sam:', 'owner: "@tom:', 12, "@tom:force.example is not in people.csv"),
        ("review: 2027-05-01", "review: next May", 16, "'next May' is not a date"),
        ("name: Referrals", "name: response A SOCIAL", 34, "is used already, on line 8"),
        ("name: Referrals", "name: Exampleshire Police", 34, "is used already, on line 2"),
        ("  review:\n    class", "  response-a:\n    class", 33, "the key 'response-a' is used"),
        ("  review:\n    class", "  Review Room:\n    class", 33, "is not a key: small letters"),
        ("information: operational", "information: corporate", 23, "holds operational information"),
        ("history: joined", "history: world_readable", 30, "is not one of: invited, joined"),
        ("history: joined", "secure: a-social", 30, "of class operational has no secure room"),
        ("history: joined", "review_room: a-social", 30, "class social, and must be review"),
        ("history: joined", "id: a-secure", 30, "is not a room id, which starts with '!'"),
        ("server: force.example", "server: https://force", 1, "is not a server name"),
        ("    class: review", "    class: review\n    class: audit", 34, "is given twice"),
        ("  a-secure:\n", "  a-social:\n", 19, "the key 'a-social' is given twice"),
    ],
)
def test_what_is_wrong_in_the_register_is_said_with_its_line(
    old: str, new: str, line: int, problem: str
) -> None:
    assert old in ROOMS
    people = load_people(PEOPLE, "people.csv")
    with pytest.raises(ConfigError) as caught:
        load_rooms(ROOMS.replace(old, new, 1), "rooms.yaml", people)
    assert problem in caught.value.problem
    assert (caught.value.source, caught.value.line) == ("rooms.yaml", line)


def test_one_room_cannot_be_two_on_the_register() -> None:
    text = ROOMS.replace("    class: ", '    id: "!same"\n    class: ')
    with pytest.raises(ConfigError, match=r"the id '!same' is used already, on line 7"):
        load_rooms(text, "rooms.yaml")


def test_people_are_read_whatever_the_order_of_columns_and_a_byte_order_mark() -> None:
    rows = [line.split(",") for line in PEOPLE.splitlines()]
    turned = "\ufeff" + "\r\n".join(",".join(reversed(row)) for row in rows) + "\r\n\r\n"
    people = load_people(turned, "people.csv")
    assert people == load_people(PEOPLE, "people.csv")
    assert [person.id for person in people.team("Response A")] == [ANNA, BEN]
    sam = people.get(SAM)
    assert sam is not None
    assert (sam.console, sorted(sam.roles)) == ("sokoro", ["auditor", "reviewer"])
    assert people.get(UserId("@zoe:force.example")) is None


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", None, "there is nobody in it"),
        ("matrix_id,name\n@a:b,Anna\n", 1, "the first line must be: matrix_id,name,collar"),
        (people_with("@anna:force.example,Anna,,,,,,"), 5, "is used already, on line 2"),
        (people_with("@zoe:force.example,Zoe,4411,,,,,"), 5, "the collar '4411' is used already"),
        (people_with("@zoe:force.example,Zoe,,,,,sokoro,"), 5, "the console 'sokoro' is used"),
        (people_with("@zoe:force.example,,,,,,,"), 5, "@zoe:force.example has no name"),
        (people_with("zoe,Zoe,,,,,,"), 5, "'zoe' is not a Matrix id"),
        (people_with("@zoe:force.example,Zoe"), 5, "has 2 columns instead of 8"),
        (people_with("@zoe:force.example,Zoe,,,,@tom:force.example,,"), 5, "@tom:force.example is"),
        (people_with("@z:force.example,Z,,,,@z:force.example,,"), 5, "their own supervisor"),
        (people_with("@zoe:force.example,Zoe,,,,,zoe,king"), 5, "'king' is not a role"),
        (people_with("@zoe:force.example,Zoe,,,,,,auditor"), 5, "a role but no console sign-in"),
        (people_with('@zoe:force.example,"Zoe'), 5, "this is not CSV"),
    ],
)
def test_what_is_wrong_with_people_is_said_with_its_line(
    text: str, line: int | None, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_people(text, "people.csv")
    assert problem in caught.value.problem
    assert (caught.value.source, caught.value.line) == ("people.csv", line)


def test_a_lock_is_read_as_it_was_written() -> None:
    lock = Lock().with_room("force", RoomId("!a")).with_room("a-social", RoomId("!b:force.example"))
    lock = lock.with_picture("social-1", "mxc://force.example/AbC-1_2")
    text = dump_lock(lock)
    assert load_lock(text, "rooms.lock.yaml") == lock
    assert text.startswith("# Written by `bluelamp rooms apply`")
    assert load_lock(dump_lock(Lock()), "rooms.lock.yaml") == Lock()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rooms: {a: '!x', b: '!x'}", "the room !x is given for two keys"),
        ("rooms: {a: x}", "'x' is not a room id"),
        ("room: {}", "unknown key 'room'"),
        ("rooms: {}\npictures: {social-1: 'https://a/b'}", "'https://a/b' is not a file"),
    ],
)
def test_a_lock_that_was_spoilt_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        load_lock(text, "rooms.lock.yaml")
    assert caught.value.line == 1 + text.count("\n")
