"""Move or discard, asked in the direct room of a real homeserver, by a bot that dies meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from bridge.demo.officer import Officer
from bridge.matrix.api import quote
from bridge.model import Message
from tests.acceptance.town import plate
from tests.gate.conftest import Gated
from tests.gate.test_gate import drawn

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def out(gated: Gated, officer: Officer) -> None:
    """Have *officer* leave the secure room, and the bot know of it."""
    await officer.api.call("POST", f"/_matrix/client/v3/rooms/{quote(gated.secure)}/leave", {})

    def seen() -> bool:
        return any(
            r.header["kind"] == "membership" and r.inside.get("sender") == officer.user
            and "leave" in str(r.inside.get("content"))
            for r in gated.ledger()
        )  # fmt: skip

    await gated.passed()
    assert seen(), "the bot has not seen them leave"


async def question(gated: Gated, officer: Officer, words: str) -> Message:
    """Have *officer* say *words*, which are stopped; return what they are asked."""
    before = len(gated.notes(officer, "You wrote something in"))
    event = await officer.say(gated.social, words)
    assert await gated.noted(officer, before + 1, "You wrote something in")
    assert await gated.gone(event)
    assert not drawn(gated.ben.phone, words, gated.social)
    assert not gated.copies(words)
    return gated.notes(officer, "You wrote something in")[-1]


async def offers(gated: Gated, officer: Officer, asked: Message) -> list[str]:
    """The reactions that the bot itself has put under what it asks."""
    path = (
        f"/_matrix/client/v1/rooms/{quote(asked.room)}/relations/{quote(asked.event_id)}"
        "/m.annotation/m.reaction?dir=f"
    )
    for _ in range(1_200):
        found = (await officer.api.call("GET", path))["chunk"]
        if len(found) > 1:
            break
        await asyncio.sleep(0.1)
    assert {one["sender"] for one in found} == {gated.stage.config.user}
    return [one["content"]["m.relates_to"]["key"] for one in found]


@pytest.mark.slow
async def test_who_left_the_secure_room_is_asked_and_a_bot_that_dies_loses_nothing(
    gated: Gated,
) -> None:
    chloe = gated.chloe
    await out(gated, chloe)
    words = f"{plate()} has just left the address"
    asked = await question(gated, chloe, words)
    assert "It was not delivered. Tap ➡️ to post it there under your name" in asked.body
    assert words.split()[1] not in asked.body
    offered = await offers(gated, chloe, asked)
    assert offered == ["➡️", "🗑️"], "they are there to be tapped, and answer nothing themselves"
    gated.stage.bot.kill()
    await chloe.react(asked.room, asked.event_id, "🗑️")  # heard when the bot is back
    await gated.bot_runs()
    assert await gated.noted(chloe, 1, "It was left")
    await gated.quiet()
    assert not gated.copies(words)

    words = f"{plate()} is outside the address now"
    asked = await question(gated, chloe, words)
    gated.stage.bot.kill()
    await gated.bot_runs()
    assert "1 still to be chosen by their senders" in await gated.stage.bot.status()
    await chloe.react(asked.room, asked.event_id, "➡️")
    assert await gated.copied(words)
    assert await gated.noted(chloe, 1, "it is now in Response A secure, under your name")
    await chloe.enter(gated.secure)
    await gated.quiet()
    assert len(gated.copies(words)) == 1
    assert gated.sound()
