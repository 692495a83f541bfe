"""The list of people is followed while the bot runs, and a wrong one takes nobody's role away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bridge.ledger.opening import Reader
from bridge.model import Ms, UserId
from bridge.register import People, load_people
from bridge.rooms.roster import Roster
from bridge.store.memory import MemoryStore
from tests.making import ORIGIN, Hands, custodian, identity

PSD = custodian()
HEAD = "matrix_id,name,collar,team,rank,supervisor,console,roles\n"
ANNA = "@anna:force.example,Anna Kelly,1001,,Insp,,anna,policy-officer\n"
BEN = "@ben:force.example,Ben Hughes,1002,,Sgt,,ben,{}\n"


class Town:
    """A list of people in a file, and a review room that can be out of reach."""

    def __init__(self, folder: Path) -> None:
        self.file, self.told, self.reachable = folder / "people.csv", list[str](), True
        self.write(HEAD + ANNA + BEN.format(""))
        self.store = MemoryStore(identity(PSD), Hands())
        self.names: dict[UserId, str] = {}
        self.roster = Roster(
            store=self.store,
            path=self.file,
            clock=Hands(),
            load=self.load,
            tell=self._tell,
            loaded=self.load(),
            names=self.names,
        )

    def load(self) -> People:
        return load_people(self.file.read_text(encoding="utf-8"), "people.csv")

    def write(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")

    async def _tell(self, _name: str, words: str, _since: Ms) -> bool:
        if self.reachable:
            self.told.append(words)
        return self.reachable

    def notes(self) -> list[str]:
        reader, found = Reader(ORIGIN, ["psd"], [PSD]), []
        for record in self.store.records:
            header = msgspec.json.decode(record.header, type=dict[str, str | int])
            reader.learn(header, record.body)
            if header["kind"] == "note":
                found.append(str(msgspec.json.decode(reader.open(header, record.body) or b"")))
        return found

    def roles(self, user: str) -> frozenset[str]:
        person = self.roster.people().get(UserId(f"@{user}:force.example"))
        return person.roles if person else frozenset()

    async def looks(self, times: int = 2) -> None:
        for _ in range(times):
            await self.roster.once()


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


async def test_a_role_that_is_given_while_the_bot_runs_holds_and_is_on_record(town: Town) -> None:
    await town.looks()
    assert town.notes() == []
    town.write(HEAD + ANNA + BEN.format("reviewer policy-officer"))
    await town.looks(1)
    assert not town.roles("ben"), "somebody may still be writing"
    await town.looks(1)
    assert town.roles("ben") == {"reviewer", "policy-officer"}
    (note,) = town.notes()
    assert "@ben:force.example is policy-officer and reviewer" in note


async def test_who_is_taken_off_the_list_has_no_role(town: Town) -> None:
    town.write(HEAD + BEN.format("reviewer"))
    assert await town.roster.reload() == ""
    assert not town.roles("anna")
    assert "@anna:force.example is without a role" in town.notes()[0]


async def test_what_the_bot_calls_people_follows_the_list(town: Town) -> None:
    assert town.names[UserId("@anna:force.example")] == "Anna Kelly"
    town.write(HEAD + ANNA.replace("Anna Kelly", "Anna Reid"))
    await town.looks()
    assert town.names == {"@anna:force.example": "Anna Reid"}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda town: town.write(HEAD + ANNA + BEN.format("king")),
        lambda town: town.write(""),
        lambda town: town.write("matrix_id"),
    ],
)
async def test_a_wrong_list_changes_nothing_and_a_person_is_told_once(
    town: Town, wrong: Callable[[Town], None]
) -> None:
    wrong(town)
    await town.looks(6)
    assert town.roles("anna") == {"policy-officer"}
    (said,) = town.told
    assert said.startswith("a changed people.csv is refused, and who was listed before stays: ")
    assert len(town.notes()) == 1
    town.write(HEAD + ANNA + BEN.format("reviewer"))
    await town.looks()
    assert town.roles("ben") == {"reviewer"}


async def test_what_could_not_be_said_is_said_later(town: Town) -> None:
    town.reachable = False
    town.write(HEAD)
    await town.looks(3)
    assert town.told == []
    town.reachable = True
    await town.looks(2)
    assert len(town.told) == 1


async def test_a_list_that_says_the_same_is_no_news(town: Town) -> None:
    town.write(HEAD + ANNA + BEN.format("") + "\n")
    await town.looks(3)
    assert town.notes() == []
