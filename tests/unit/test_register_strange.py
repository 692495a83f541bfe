"""Lists and registers as they come: odd encodings, partners, rooms that lead in circles."""

from __future__ import annotations

import datetime

import pytest

from bridge.errors import ConfigError
from bridge.model import UserId
from bridge.register import decode_people, load_people, load_rooms, write_people
from tests.unit.test_register import PEOPLE, ROOMS

LEA = UserId("@lea:council.example")
SPREADSHEET = PEOPLE.replace("Anna Reid", "Zoë Reid")


def people(raw: bytes) -> list[str]:
    found = load_people(decode_people(raw, "people.csv"), "people.csv")
    return [person.name for person in found.persons.values()]


@pytest.mark.parametrize(
    "raw",
    [
        SPREADSHEET.encode(),
        SPREADSHEET.encode("utf-8-sig"),
        SPREADSHEET.encode("utf-16"),
        SPREADSHEET.replace(",", ";").encode("utf-8-sig"),
        SPREADSHEET.replace(",", "\t").encode("utf-16"),
        SPREADSHEET.replace("\n", "\r\n").encode(),
        f"\n\n{SPREADSHEET}\n".encode(),
    ],
    ids=["utf-8", "with a mark", "utf-16", "semicolons", "tabs", "windows lines", "empty lines"],
)
def test_a_list_reads_the_same_however_a_spreadsheet_wrote_it(raw: bytes) -> None:
    assert people(raw) == ["Zoë Reid", "Ben Hughes", "Sam Okoro"]


@pytest.mark.parametrize(
    ("raw", "line", "problem"),
    [
        (SPREADSHEET.encode("cp1252"), 2, "the byte 0xEB is not UTF-8: save it from the"),
        (SPREADSHEET.encode("utf-16")[:-1], None, "this says it is UTF-16 and is cut short"),
        (SPREADSHEET.encode("utf-16-le"), 2, "the byte 0xEB is not UTF-8"),
        (PEOPLE.encode("utf-16-le"), None, "this is not text"),
        (b"", None, "there is nobody in it"),
    ],
)
def test_an_encoding_that_would_have_to_be_guessed_is_refused(
    raw: bytes, line: int | None, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        people(raw)
    assert problem in caught.value.problem
    assert caught.value.line == line


def test_what_a_directory_gave_is_written_as_it_is_read() -> None:
    rows = [{"matrix_id": "@zoe:force.example", "name": 'Zoë "Z", Reid', "team": "A"}]
    found = load_people(write_people(rows), "people.csv")
    (person,) = found.persons.values()
    assert (person.name, person.team, person.collar) == ('Zoë "Z", Reid', "A", "")


# Partners and their people

PARTNERS = ROOMS.replace(
    "teams:", "partners:\n  council.example: {until: 2027-03-31}\nteams:"
).replace("class: social", "class: community", 1)


def with_guests(guests: str, text: str = PARTNERS) -> str:
    return text.replace("    secure: a-secure\n", f"    secure: a-secure\n    guests: {guests}\n")


def test_guests_of_a_partner_are_read_with_their_last_day() -> None:
    text = with_guests(f'[{{id: "{LEA}", until: 2027-01-31}}]')
    register = load_rooms(text, "rooms.yaml", load_people(PEOPLE, "people.csv"))
    entry = register.rooms["a-social"]
    assert register.guests(entry, datetime.date(2027, 1, 31)) == (LEA,)
    assert register.guests(entry, datetime.date(2027, 2, 1)) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (with_guests('[{id: "@lea:other.example", until: 2027-01-31}]'), "is on no server of the"),
        (with_guests(f'[{{id: "{LEA}"}}]'), "the key 'until' is missing"),
        (with_guests(f'[{{id: "{LEA}", until: soon}}]'), "'soon' is not a date"),
        (
            with_guests(
                f'[{{id: "{LEA}", until: 2027-01-31}}, {{id: "{LEA}", until: 2027-01-31}}]'
            ),
            "is a guest of this room already",
        ),
        (
            with_guests(
                f'[{{id: "{LEA}", until: 2027-01-31}}]',
                PARTNERS.replace("class: community", "class: social"),
            ),
            "only a room of class community may have guests",
        ),
        (PARTNERS.replace("council.example:", "force.example:"), "is not the name of another"),
        (PARTNERS.replace("council.example:", "no server:"), "is not the name of another server"),
        (PARTNERS.replace("{until: 2027-03-31}", "{}"), "the key 'until' is missing"),
    ],
)
def test_a_guest_without_a_partner_or_a_last_day_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_rooms(text, "rooms.yaml")


# Rooms that lead to one another


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            ROOMS.replace("ceiling: OFFICIAL-SENSITIVE", "ceiling: OFFICIAL", 1).replace(
                "ceiling: OFFICIAL\n", "ceiling: OFFICIAL-SENSITIVE\n", 1
            ),
            "the room 'a-secure' has a lower ceiling than this one",
        ),
        (
            ROOMS.replace("    history: joined\n", "    history: joined\n    secure: a-social\n"),
            "a room of class operational has no secure room",
        ),
        (ROOMS.replace("secure: a-secure", "secure: a-social"), "is of class social, and must be"),
        (ROOMS.replace("  a-secure:", "  a-social:"), "the key 'a-social' is given twice"),
        (ROOMS.replace("{space: response-a}", "{space: a-secure}"), "'a-secure' is used already"),
    ],
    ids=["lower", "circle", "itself", "two of one alias", "a space and a room of one alias"],
)
def test_a_register_whose_rooms_do_not_fit_together_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_rooms(text, "rooms.yaml")
