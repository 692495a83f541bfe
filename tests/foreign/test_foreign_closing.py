"""What strict clients of another SDK still show of a moved message: nothing of its words."""

from __future__ import annotations

import json

import pytest

from bridge.model import RoomId
from tests.acceptance.test_closing import certificate, fates
from tests.acceptance.town import plate
from tests.foreign.conftest import Scene, skip_without_the_parts
from tests.foreign.driver import in_reply_to

skip_without_the_parts()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


async def test_edits_quotations_and_text_reactions_of_foreign_clients_leave_every_screen(
    scene: Scene, social: RoomId
) -> None:
    """Said while the bot was away, by clients that encrypt as Element does."""
    town, asha, ben = scene.town, scene.asha, scene.ben
    await town.quiet()
    await town.bot_stops()
    reg = plate()
    words = f"{reg} has just left 14 Acacia Avenue"
    event = await asha.say(social, words)
    assert await ben.until(lambda phone: event in phone.messages)
    edit = await asha.edit(social, event, f"{words}, two up")
    said = await ben.react(social, event, "by the chapel")
    liked = await ben.react(social, event, "👍")
    quoted = {
        "msgtype": "m.text",
        "body": f"> <@asha:force.example> {words}\n\nwho has the kettle?",
        "m.relates_to": in_reply_to(event),
    }
    quoting = await ben.send(social, quoted)
    plain = await ben.reply(social, event, "on my way")
    await town.bot_runs()

    gone = (event, edit, said, quoting)
    for one in gone:
        assert await town.gone(one), one
        assert await asha.loses(one)
        assert await ben.loses(one)
    steps = await certificate(town, event)
    assert fates(steps, "edit") == [("removed", edit)]
    assert fates(steps, "reaction") == [("removed", said)]
    assert fates(steps, "reply") == [("removed", quoting)]
    for client in (asha, ben):
        drawn = json.dumps(await client.drawn(social))
        assert reg not in drawn
        assert "by the chapel" not in drawn
    await town.settled()
    assert not {liked, plain} & town.ben.phone.removed.keys()
    assert await town.copied("who has the kettle?")
