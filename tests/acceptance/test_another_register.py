"""The running bot takes up a changed register: nobody has to restart it, and nothing is undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.cli.main import main
from bridge.model import Ms
from bridge.register import load_lock
from bridge.running.app import compare_coverage, now
from bridge.running.lockfile import read_ids
from tests.acceptance.test_guarding import told, until
from tests.acceptance.town import Town, plate

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

KEY = "football"
ROOM = f"""
  {KEY}:
    class: social
    name: Five-a-side
    team: Response A
    information: corporate
    ceiling: OFFICIAL
    owner: "@gwen:force.example"
    supervisor: "@gwen:force.example"
    purpose: Who plays on Thursday.
    dpia: DPIA-2026-014
    review: 2027-05-01
    secure: response-a-secure
    members: {{team: Response A}}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def register(town: Town) -> AsyncIterator[str]:
    """The register as it is; as it was afterwards, once the bot has taken that up."""
    config = town.stage.config
    before = config.rooms.read_text(encoding="utf-8")
    ids = config.lock.read_text(encoding="utf-8")
    yield before
    await town.bot_stops()
    config.rooms.write_text(before, encoding="utf-8")
    config.lock.write_text(ids, encoding="utf-8")
    assert load_lock(ids, "rooms.lock.yaml") == read_ids(config.lock)


def notes(town: Town, words: str) -> list[str]:
    texts = (str(one.inside.get("text") or one.inside) for one in town.ledger())
    return [text for text in texts if words in text]


def calls(town: Town) -> list[str]:
    """What the review room was told of rooms and people that are not on the register."""
    review, found = town.stage.rooms["review"], town.gwen.phone.messages.values()
    return [m.body for m in found if m.room == review and "not on the register" in m.body]


async def test_a_room_and_a_member_that_are_added_beside_the_running_bot_stay(
    town: Town, register: str
) -> None:
    config, dan = town.stage.config, town.stage.officers["dan"]
    before, drifted = calls(town), len(notes(town, "putting it right"))
    head, social, rest = register.partition("  response-a-social:\n")
    rest = rest.replace(
        "members: {team: Response A}", f'members: [{{team: Response A}}, "{dan.user}"]', 1
    )
    text = (head + social + rest).rstrip("\n") + "\n" + ROOM
    config.rooms.write_text(text, encoding="utf-8")
    code = await asyncio.to_thread(main, ["-c", str(config.path), "rooms", "apply"])
    assert code == 0
    room = read_ids(config.lock).ids[KEY]

    async def taken_up() -> bool:
        known = notes(town, "rooms.yaml was read again")
        return any(f"known on the server: {KEY}" in one for one in known)

    assert await until(taken_up), "the bot has taken it up by itself, on record"
    (said,) = [one for one in notes(town, "was read again") if f"on the server: {KEY}" in one]
    assert "rooms.yaml sha256 " in said
    await dan.enter(town.social)
    for officer in (town.asha, town.ben):
        await officer.enter(room)
    words = f"{plate()} has just left 14 Acacia Avenue"
    event = await town.asha.say(room, words)
    assert await town.copied(words), "the new room is judged"
    assert await town.gone(event)
    members = await town.asha.transport.api.call(
        "GET", f"/_matrix/client/v3/rooms/{town.social}/joined_members"
    )
    assert dan.user in members["joined"], "the new member stays"
    undone = [one for one in notes(town, "putting it right")[drifted:] if dan.user in one]
    assert undone == []
    await town.settled(town.ben, room=room)
    found = await compare_coverage(config, Ms(now() - 3_600_000))
    days = [one for one in found.days if one.room == "Five-a-side"]  # midnight may have been
    assert [one.missed for one in days if one.missed] == [], "on record from its first event on"
    assert sum(one.served for one in days) > 10
    assert calls(town) == before, "and nobody was called because of it"


async def test_a_register_that_is_wrong_is_refused_and_the_rooms_stay_as_they_were(
    town: Town, register: str
) -> None:
    town.stage.config.rooms.write_text(register + "  nonsense\n", encoding="utf-8")
    review, words = town.stage.rooms["review"], "a changed rooms.yaml is refused"
    assert await town.gwen.until(lambda _: told(town.gwen, review, words))
    event = await town.asha.say(town.social, f"{plate()} has just left 14 Acacia Avenue")
    assert await town.gone(event)
