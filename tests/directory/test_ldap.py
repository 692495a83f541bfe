"""People from a real LDAP directory, whole or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bridge.config import Config
from bridge.duties.fetching import Fetching
from bridge.errors import ConfigError, DirectoryError
from bridge.facts import Fact, Noted
from bridge.model import Ms, UserId
from bridge.register import load_people
from bridge.rooms.fetched import fetch
from bridge.rooms.ldap import LdapSource
from tests.directory.conftest import BASE, Slapd, started

ROOMS = """\
server: force.example
force: {name: Police, space: force}
teams: {A: {space: a}}
rooms:
  review:
    class: review
    name: Referrals
    information: corporate
    ceiling: OFFICIAL
    owner: "@sam:force.example"
    supervisor: "@sam:force.example"
    purpose: What could not be decided.
    dpia: DPIA-1
    review: 2027-05-01
    members: []
"""
SAM = f"uid=sam,ou=people,{BASE}"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    rooms = tmp_path / "rooms.yaml"
    rooms.write_text(ROOMS)
    return cast("Config", SimpleNamespace(people=tmp_path / "people.csv", rooms=rooms))


def staff(slapd: Slapd, count: int) -> None:
    slapd.add("sam", cn="Sam Okoro", employeeNumber="2207", title="Sgt")
    with slapd.connect() as connection:
        for n in range(count):
            slapd.add(f"pc{n}", connection, ou="A", manager=SAM, employeeNumber=str(4000 + n))


def test_everybody_comes_with_team_supervisor_sign_in_and_roles(
    slapd: Slapd, tmp_path: Path, config: Config
) -> None:
    slapd.add("sam", cn="Sam Okoro", employeeNumber="2207", title="Sgt")
    slapd.add(
        "Zoë", cn="Zoë Müller", ou="A", manager=SAM, mail="zoe",
        businessCategory=["reviewer", "auditor"],
    )  # fmt: skip
    slapd.remove("Zoë")
    slapd.add(
        "zoe", cn="Zoë Müller", ou="A", manager=SAM, mail="zoe",
        businessCategory=["reviewer", "auditor"],
    )  # fmt: skip
    assert fetch(config, LdapSource(slapd.where(tmp_path))) == "2 people; 2 new, 0 gone"
    assert config.people.read_text(encoding="utf-8").splitlines() == [
        "matrix_id,name,collar,team,rank,supervisor,console,roles",
        "@sam:force.example,Sam Okoro,2207,,Sgt,,,",
        "@zoe:force.example,Zoë Müller,,A,,@sam:force.example,zoe,reviewer auditor",
    ]
    assert fetch(config, LdapSource(slapd.where(tmp_path))) == ""


def test_capitals_in_the_directory_are_small_letters_in_every_column_that_names_somebody(
    slapd: Slapd, tmp_path: Path, config: Config
) -> None:
    boss = f"uid=Boss,ou=people,{BASE}"
    slapd.add("Boss", cn="Sam Okoro")
    slapd.add("Ben", cn="Ben Hughes", manager=boss.upper())
    source = LdapSource(slapd.where(tmp_path))
    assert fetch(config, source) == "2 people; 2 new, 0 gone"
    people = load_people(config.people.read_text(encoding="utf-8"), "people.csv")
    ben = people.get(UserId("@ben:force.example"))
    assert ben is not None
    assert ben.supervisor == "@boss:force.example"
    written = slapd.where(tmp_path)
    columns = {**written.columns, "supervisor": "description"}
    for entry in ("Cat", "Dan"):
        slapd.add(entry, cn=entry, description="@Boss:force.example")
    assert "4 people" in fetch(config, LdapSource(replace(written, columns=columns)))


def test_more_than_a_page_of_people_comes_whole(
    slapd: Slapd, tmp_path: Path, config: Config
) -> None:
    staff(slapd, 620)
    assert fetch(config, LdapSource(slapd.where(tmp_path))).startswith("621 people;")


def test_a_leaver_is_gone_from_the_list(slapd: Slapd, tmp_path: Path, config: Config) -> None:
    staff(slapd, 12)
    fetch(config, LdapSource(slapd.where(tmp_path)))
    slapd.remove("pc3")
    assert fetch(config, LdapSource(slapd.where(tmp_path))) == "12 people; 0 new, 1 gone"
    assert "pc3" not in config.people.read_text()


@contextmanager
def cut_after(slapd: Slapd, most_bytes: int) -> Iterator[str]:
    """A way to the directory that breaks after so many bytes of its answers."""
    door = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            near, _ = door.accept()
            with near, socket.create_connection(("127.0.0.1", slapd.port)) as far:
                asking = threading.Thread(target=pump, args=(near, far, 1 << 30), daemon=True)
                asking.start()
                pump(far, near, most_bytes)

    threading.Thread(target=serve, daemon=True).start()
    with door:
        yield f"ldap://127.0.0.1:{door.getsockname()[1]}"


def pump(source: socket.socket, target: socket.socket, most_bytes: int) -> None:
    with suppress(OSError):
        while most_bytes > 0 and (piece := source.recv(min(4096, most_bytes))):
            target.sendall(piece)
            most_bytes -= len(piece)
        target.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("most_bytes", [10, 3_000, 60_000])
def test_a_directory_that_dies_half_way_removes_nobody(
    slapd: Slapd, tmp_path: Path, config: Config, most_bytes: int
) -> None:
    staff(slapd, 620)
    fetch(config, LdapSource(slapd.where(tmp_path)))
    before = config.people.read_text()
    with cut_after(slapd, most_bytes) as url:
        where = slapd.where(tmp_path, url=url)
        with pytest.raises(DirectoryError):
            fetch(config, LdapSource(where))
    assert config.people.read_text() == before


def test_a_directory_that_gives_no_more_than_its_limit_is_not_believed(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, config: Config
) -> None:
    for slapd in started(tmp_path_factory.mktemp("limited"), limit="size.prtotal=10"):
        slapd.empty()
        staff(slapd, 30)
        where = slapd.where(tmp_path, user="", password=None)
        with pytest.raises(DirectoryError, match=r"(?i)sizelimit"):
            fetch(config, LdapSource(where))
    assert not config.people.exists()


def test_a_directory_without_more_than_a_tenth_of_its_people_asks(
    slapd: Slapd, tmp_path: Path, config: Config
) -> None:
    staff(slapd, 19)
    source = LdapSource(slapd.where(tmp_path))
    fetch(config, source)
    before = config.people.read_text()
    for n in range(3):
        slapd.remove(f"pc{n}")
    with pytest.raises(DirectoryError, match=r"^3 of 20 people are no longer in the directory"):
        fetch(config, source)
    assert config.people.read_text() == before
    assert fetch(config, source, even_so=True) == "17 people; 0 new, 3 gone"


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"ou": "A", "employeeNumber": "2207"}, "the collar '2207' is used already"),
        ({"businessCategory": "king", "mail": "x"}, "'king' is not a role"),
    ],
)
def test_people_that_the_rooms_could_not_use_are_refused_whole(
    slapd: Slapd, tmp_path: Path, config: Config, attributes: dict[str, str], words: str
) -> None:
    staff(slapd, 1)
    source = LdapSource(slapd.where(tmp_path))
    fetch(config, source)
    before = config.people.read_text()
    slapd.add("eve", **attributes)
    with pytest.raises(ConfigError, match=words):
        fetch(config, source)
    assert config.people.read_text() == before


def test_a_wrong_password_an_empty_tree_and_a_server_that_is_away_are_said(
    slapd: Slapd, tmp_path: Path
) -> None:
    where = slapd.where(tmp_path)
    with pytest.raises(DirectoryError, match="has nobody under"):
        LdapSource(where).read()
    with pytest.raises(DirectoryError, match="invalidCredentials"):
        LdapSource(slapd.where(tmp_path, user=f"cn=nobody,{BASE}")).read()
    with pytest.raises(DirectoryError):
        LdapSource(slapd.where(tmp_path, url="ldap://127.0.0.1:1")).read()


async def test_the_bot_fetches_by_the_clock_and_says_once_what_is_wrong(
    slapd: Slapd, tmp_path: Path, config: Config
) -> None:
    staff(slapd, 3)
    source, at = LdapSource(slapd.where(tmp_path)), [Ms(0)]
    told: list[str] = []
    notes: list[str] = []

    async def record(facts: Sequence[Fact]) -> None:
        notes.extend(fact.text for fact in facts if isinstance(fact, Noted))

    async def tell(name: str, words: str, since: Ms) -> bool:
        told.append(words)
        return True

    fetching = Fetching(
        fetch=lambda: fetch(config, source), record=record, tell=tell, clock=lambda: at[0],
        every_ms=Ms(60_000),
    )  # fmt: skip
    await fetching.once()
    await fetching.once()
    assert notes == ["people.csv was fetched from the directory: 4 people; 4 new, 0 gone"]
    slapd.empty()
    for minute in (1, 2, 3):
        at[0] = Ms(minute * 60_000)
        await fetching.once()
    assert len(notes) == 2
    assert len(told) == 1
    assert told[0].startswith("The list of people was not fetched, and who was listed stays: ")
