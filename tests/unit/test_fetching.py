"""A list of people from a directory takes the place of whatever lay there, and no error ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bridge.config import Config
from bridge.duties.fetching import Fetching
from bridge.facts import Fact, Noted
from bridge.model import Ms
from bridge.rooms.fetched import fetch
from tests.directory.test_ldap import ROOMS

BEFORE = "matrix_id,name,collar,team,rank,supervisor,console,roles\n@sam:force.example,Zoë,1,,,,,\n"


class Listed:
    """A directory of one person."""

    def read(self) -> list[dict[str, str]]:
        return [{"matrix_id": "@sam:force.example", "name": "Zoë"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_list_in_any_encoding_is_replaced_and_then_left_alone(
    tmp_path: Path, encoding: str
) -> None:
    people, rooms = tmp_path / "people.csv", tmp_path / "rooms.yaml"
    people.write_bytes(BEFORE.encode(encoding))
    rooms.write_text(ROOMS, encoding="utf-8")
    config = cast("Config", SimpleNamespace(people=people, rooms=rooms))
    assert fetch(config, Listed()).startswith("1 people; ")
    assert "@sam:force.example,Zoë" in people.read_text(encoding="utf-8")
    assert fetch(config, Listed()) == ""


def failing(exc: Exception) -> Callable[[], str]:
    def fail() -> str:
        raise exc

    return fail


@pytest.mark.parametrize(
    ("exc", "why"),
    [
        (OSError(28, "No space left on device"), "it failed (OSError: No space left on device)"),
        (UnicodeDecodeError("utf-8", b"@zoe", 0, 1, "odd"), "it failed (UnicodeDecodeError)"),
    ],
)
async def test_an_error_that_nobody_foresaw_is_said_once_and_it_goes_on(
    exc: Exception, why: str
) -> None:
    at, told, notes = [Ms(0)], list[str](), list[str]()

    async def record(facts: Sequence[Fact]) -> None:
        notes.extend(fact.text for fact in facts if isinstance(fact, Noted))

    async def tell(name: str, words: str, since: Ms) -> bool:
        told.append(words)
        return True

    fetching = Fetching(
        fetch=failing(exc), record=record, tell=tell, clock=lambda: at[0], every_ms=Ms(60_000)
    )
    for minute in range(4):
        at[0] = Ms(minute * 60_000)
        await fetching.once()
    said = f"the list of people was not fetched, and who was listed stays: {why}"
    assert notes == [said]
    assert told == [f"T{said[1:]}."]
    fetching.fetch = lambda: "2 people; 1 new, 0 gone"
    at[0] = Ms(600_000)
    await fetching.once()
    assert notes[-1] == "people.csv was fetched from the directory: 2 people; 1 new, 0 gone"
