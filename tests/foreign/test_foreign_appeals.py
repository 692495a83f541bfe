"""An appeal from one foreign client, decided on another, and read on a third."""

from __future__ import annotations

import pytest

from bridge.demo.force import BOT
from bridge.model import Message, RoomId
from tests.acceptance.town import plate
from tests.foreign.conftest import Scene, skip_without_the_parts
from tests.foreign.driver import Client, text_of

skip_without_the_parts()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


async def heard(client: Client, words: str, room: RoomId | None = None) -> Message:
    """Wait for a post of the bot with *words*; the newest."""
    assert await client.hears(BOT, words, room), f"{client.user} did not hear {words!r}"
    found = [
        one
        for one in client.phone.messages.values()
        if one.sender == BOT and words in one.body and room in {None, one.room}
    ]
    return max(found, key=lambda one: one.sent_at)


async def test_a_foreign_thumb_down_leads_to_a_restored_message_that_foreign_clients_read(
    scene: Scene, social: RoomId
) -> None:
    """The thumb, the taps, a reply in a thread, the note and the message: all by other people."""
    asha, ben, review = scene.asha, scene.ben, scene.town.stage.rooms["review"]
    dan = await scene.sign_in("dan")
    await dan.make_identity()
    await dan.enter(review)
    words = f"{plate()} is Priya's new car, come and see"
    html = f"<strong>{words}</strong>"
    root = await ben.say(social, "anything new?")
    assert await asha.until(lambda phone: root in phone.messages)
    answer = {"m.relates_to": {"m.in_reply_to": {"event_id": root}}}
    event = await asha.send(social, text_of(words, html) | answer)
    assert await ben.loses(event)

    note = await heard(asha, "is now in Response A secure")
    assert "Wrong? Tap 👎; a person replies by " in note.body
    await asha.react(note.room, note.event_id, "👎")
    await heard(asha, "Thank you.")
    request = await heard(dan, "Please look at an appeal", review)
    assert words.split()[1] not in request.body + request.formatted
    await dan.react(review, request.event_id, "✅")
    question = await heard(dan, "To confirm", review)
    await dan.reply_in_thread(review, question.event_id, "yes")

    back = await heard(ben, "Restored by Blue Lamp after a review.", social)
    assert back.body.startswith("PC Asha Khan wrote at ")
    assert words in back.body
    assert f"<blockquote>{html}</blockquote>" in back.formatted
    assert f'"event_id":"{root}"' in back.content.decode().replace(": ", ":")
    assert ben.phone.shields[back.event_id] == "none"
    await heard(asha, "You were right; we are sorry. It is back in Response A social.")
    for client in (asha, ben, dan):
        assert not client.phone.failures
    await scene.town.settled()
    assert back.event_id not in ben.phone.removed
    assert scene.town.sound()
