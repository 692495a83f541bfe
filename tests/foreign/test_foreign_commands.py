"""Commands typed on a client of another SDK: in rooms, in the direct room, and by reply."""

from __future__ import annotations

import pytest

from bridge.model import Message, RoomId
from tests.acceptance.town import plate
from tests.foreign.conftest import Scene, skip_without_the_parts
from tests.foreign.driver import Client

skip_without_the_parts()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


async def answered(scene: Scene, client: Client, words: str, count: int = 1) -> Message:
    """Wait for that many private answers with these words; return the newest."""
    town = scene.town
    there = await client.until(lambda _: len(town.notes(client, words)) >= count)  # type: ignore[arg-type]
    assert there, [note.body for note in town.notes(client)]  # type: ignore[arg-type]
    return town.notes(client, words)[-1]  # type: ignore[arg-type]


async def test_help_and_why_are_answered_in_room_and_direct_room_and_by_reply(
    scene: Scene, social: RoomId
) -> None:
    """Each typed and read on the foreign client, which shows no key trouble and no shield."""
    asha = scene.asha
    await asha.say(social, "!help")
    first = await answered(scene, asha, "You can type")
    assert first.room != social
    await asha.say(first.room, "@bluelamp !Help")
    await answered(scene, asha, "You can type", 2)

    words = f"{plate()} has just left 14 Acacia Avenue"
    event = await asha.say(social, words)
    assert await asha.loses(event)
    note = await answered(scene, asha, "is now in Response A secure")
    await asha.reply(first.room, note.event_id, "!why")
    told = await answered(scene, asha, "was moved to Response A secure")
    assert words not in told.body
    await asha.reply(social, event, "!why")
    await answered(scene, asha, "was moved to Response A secure", 2)
    assert not asha.phone.failures
    assert asha.phone.shields[told.event_id] == "none"
