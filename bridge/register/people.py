"""Who may be in a room, in review or in the console: people.csv, read strictly.

Never opens a file: text in, values out, and every complaint has file and line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bridge.errors import ConfigError
from bridge.model import UserId

COLUMNS = ("matrix_id", "name", "collar", "team", "rank", "supervisor", "console", "roles")
#: What people may be in the console and in review; docs name their rights.
ROLES = frozenset(
    {
        "reviewer",
        "professional-standards",
        "auditor",
        "custodian",
        "disclosure-officer",
        "log-reader",
        "independent-log-reader",
        "policy-officer",
        "administrator",
    }
)
_USER = re.compile(r"@[a-z0-9._=/+-]+:[^\s:@]\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One line of people.csv."""

    id: UserId
    name: str
    collar: str = ""
    team: str = ""
    rank: str = ""
    supervisor: UserId | None = None
    #: The name under which they sign in to the console; empty if they do not.
    console: str = ""
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Everybody that rooms, roles and identity claims may refer to."""

    source: str
    persons: Mapping[UserId, Person]

    def get(self, user: UserId) -> Person | None:
        """Find one person."""
        return self.persons.get(user)

    def team(self, name: str) -> tuple[Person, ...]:
        """List a team's people, as the file orders them."""
        return tuple(person for person in self.persons.values() if person.team == name)


def user_id(text: str) -> UserId:
    """Check a Matrix user id; raises ValueError."""
    if _USER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a Matrix id such as @anna:force.example")
    return UserId(text)


def decode_people(raw: bytes, source: str) -> str:
    """Read the bytes of people.csv as text: UTF-8, or UTF-16 that says so, as spreadsheets write.

    Nothing is guessed: in another encoding names would be others. Raises ConfigError.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            raise ConfigError(source, None, "this says it is UTF-16 and is cut short") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError(
            source, line,
            f"the byte 0x{raw[exc.start]:02X} is not UTF-8: save it from the spreadsheet as 'CSV "
            "UTF-8'",
        ) from None  # fmt: skip
    if "\0" in text:
        raise ConfigError(source, None, "this is not text: save it as 'CSV UTF-8'")
    return text


def write_people(rows: Iterable[Mapping[str, str]]) -> str:
    """Write what `load_people` reads; what a row does not have stays empty."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def load_people(text: str, source: str) -> People:
    """Read people.csv: a header with the eight columns in any order, then one person a line.

    Between columns is a comma, or what spreadsheets write instead: a semicolon or a tab. Roles are
    separated by spaces. Raises ConfigError with file and line.
    """
    text = text.removeprefix("\ufeff")
    lines_of = io.StringIO(text, newline="")
    rows = csv.reader(lines_of, strict=True, delimiter=_delimiter(text))
    persons: dict[UserId, Person] = {}
    lines: dict[UserId, int] = {}
    taken: dict[tuple[str, str], int] = {}
    header: list[str] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if header is None:
                header = _header(cells, source, rows.line_num)
                continue
            person = _person(header, cells, source, rows.line_num)
            _refuse_taken(person, taken, source, rows.line_num)
            persons[person.id], lines[person.id] = person, rows.line_num
    except csv.Error as exc:
        raise ConfigError(source, rows.line_num, f"this is not CSV: {exc}") from None
    if not persons:
        raise ConfigError(source, None, "there is nobody in it")
    for person in persons.values():
        if person.supervisor is not None and person.supervisor not in persons:
            problem = f"the supervisor {person.supervisor} is not in this file"
            raise ConfigError(source, lines[person.id], problem)
    return People(source=source, persons=MappingProxyType(persons))


def _delimiter(text: str) -> str:
    """What stands between the columns of the first line that has any."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=lambda one: (first.count(one), one == ","))


def _header(cells: list[str], source: str, line: int) -> list[str]:
    """Check that the columns are the eight, each once, in any order."""
    if sorted(cells) != sorted(COLUMNS):
        raise ConfigError(source, line, f"the first line must be: {','.join(COLUMNS)}")
    return cells


def _person(header: list[str], cells: list[str], source: str, line: int) -> Person:
    if len(cells) != len(header):
        raise ConfigError(source, line, f"has {len(cells)} columns instead of {len(header)}")
    row = dict(zip(header, cells, strict=True))
    try:
        user = user_id(row["matrix_id"])
        supervisor = user_id(row["supervisor"]) if row["supervisor"] else None
    except ValueError as exc:
        raise ConfigError(source, line, str(exc)) from None
    if not row["name"]:
        raise ConfigError(source, line, f"{user} has no name")
    if supervisor == user:
        raise ConfigError(source, line, f"{user} cannot be their own supervisor")
    roles = frozenset(row["roles"].split())
    for role in sorted(roles - ROLES):
        problem = f"{role!r} is not a role; it may be one of: {', '.join(sorted(ROLES))}"
        raise ConfigError(source, line, problem)
    if roles and not row["console"]:
        raise ConfigError(source, line, f"{user} has a role but no console sign-in")
    return Person(
        id=user,
        name=row["name"],
        collar=row["collar"],
        team=row["team"],
        rank=row["rank"],
        supervisor=supervisor,
        console=row["console"],
        roles=roles,
    )


def _refuse_taken(
    person: Person, taken: dict[tuple[str, str], int], source: str, line: int
) -> None:
    """Refuse a Matrix id, collar number or sign-in that another person has."""
    marks = {"matrix_id": person.id, "collar": person.collar, "console": person.console}
    for column, value in marks.items():
        if not value:
            continue
        if (column, value) in taken:
            problem = f"the {column} {value!r} is used already, on line {taken[column, value]}"
            raise ConfigError(source, line, problem)
        taken[column, value] = line
