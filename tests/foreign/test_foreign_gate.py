"""The gate and clients of another SDK, which exclude every device that is not signed.

Whatever is stopped is asked of both sides: the sender's client, which must go on, and another
member's, which must never have had it.
"""

from __future__ import annotations

import json

import pytest

from bridge.model import EventId, RoomId
from tests.acceptance.town import plate
from tests.foreign.conftest import Scene, skip_without_the_parts
from tests.foreign.driver import about
from tests.foreign.test_foreign import PNG
from tests.gate.conftest import BUDGET_MS, Gated

skip_without_the_parts()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

#: A loaded machine is slow; how long it takes is the benchmark's to say.
GATE_MS = BUDGET_MS


#: What was delivered instead of a stopped message: nothing that could be decrypted, or is drawn.
MARKS: set[EventId] = set()


async def kept_away(scene: Scene, event: EventId, reg: str) -> None:
    """Only an empty event came to the other member, and the words are in the secure room."""
    social, ben, asha = scene.town.social, scene.ben, scene.asha
    MARKS.add(event)
    assert await scene.town.copied(reg)
    for client in (ben, asha):
        assert await client.loses(event)
        assert client.phone.failures.keys() <= MARKS
    had = [m for m in ben.phone.messages.values() if m.room == social]
    assert not [m for m in had if reg in m.content.decode()]
    for client in (ben, asha):
        shown = await client.drawn(social)
        assert reg not in json.dumps(shown)
        assert all(one["redacted"] for one in shown if one["id"] == event)
    assert await scene.town.content(social, event) == {}


async def test_it_is_stopped_moved_and_explained_and_the_next_message_goes_through_at_once(
    scene: Scene, social: RoomId
) -> None:
    asha, ben, town = scene.asha, scene.ben, scene.town
    reg = plate()
    before = len(town.notes(town.asha, "was not delivered to Response A social"))
    event = await asha.say(social, f"{reg} has just left 14 Acacia Avenue")
    log = town.stage.homeserver.log
    begun = log.stat().st_size
    after = await asha.say(social, "who brings the milk?")
    assert b"no answer to check" not in log.read_bytes()[begun:], "nothing was held up"
    assert await ben.until(lambda phone: after in phone.messages)
    assert ben.phone.messages[after].body == "who brings the milk?"
    await kept_away(scene, event, reg)
    assert await town.noted(town.asha, before + 1, "was not delivered to Response A social")
    note = town.notes(town.asha, "was not delivered")[-1]
    assert "it is now in Response A secure, under your name" in note.body
    assert reg not in note.body
    assert asha.phone.shields[note.event_id] == "none"
    (copy,) = town.copies(reg)
    assert copy.body.startswith("PC Asha Khan wrote in Response A social at ")
    assert ben.phone.shields[copy.event_id] == "none"


async def test_no_row_of_the_server_has_what_a_foreign_client_sent(
    scene: Scene, social: RoomId
) -> None:
    """What the server keeps under the event's id is the mark, or nothing."""
    reg = plate()
    event = await scene.asha.say(social, f"{reg} is outside the address")
    await kept_away(scene, event, reg)
    kept = next(
        r for r in scene.town.ledger()
        if r.header["kind"] == "message" and reg in json.dumps(r.inside["content"])
        and r.inside["room"] == social
    )  # fmt: skip
    assert kept.inside["origin"] == "stopped at the gate"
    assert kept.inside["event_id"] != event
    assert Gated(scene.town.stage).rows(str(kept.inside["event_id"])) == 0


async def test_under_a_brand_new_room_key_it_is_stopped_too(scene: Scene, social: RoomId) -> None:
    reg = plate()
    event = await scene.asha.say(social, f"{reg} is back at the address", rotate=True)
    await kept_away(scene, event, reg)


async def test_a_stopped_edit_leaves_the_message_on_every_screen_as_it_was(
    scene: Scene, social: RoomId
) -> None:
    asha, ben = scene.asha, scene.ben
    event = await asha.say(social, "who wants tea?")
    assert await ben.until(lambda phone: event in phone.messages)
    reg = plate()
    edit = await asha.edit(social, event, f"{reg} is back at 9 Mill Lane")
    await kept_away(scene, edit, reg)
    for client in (asha, ben):
        assert event not in client.phone.removed
        (tile,) = (one for one in await client.drawn(social) if one["id"] == event)
        assert tile["content"]["body"] == "who wants tea?"
    # And an edit of it that is harmless still goes through.
    better = await asha.edit(social, event, "who wants coffee?")
    assert await ben.until(lambda phone: better in phone.messages)


@pytest.mark.parametrize(
    ("name", "caption"),
    [("photo.png", "{} is outside the address"), ("{} is at the address.png", None)],
    ids=["caption", "file name"],
)
async def test_what_a_caption_or_a_file_name_says_is_stopped(
    scene: Scene, social: RoomId, name: str, caption: str | None
) -> None:
    reg = plate()
    event = await scene.asha.attach(
        social, PNG, msgtype="m.image", name=name.format(reg), mimetype="image/png",
        caption=caption.format(reg) if caption else None,
    )  # fmt: skip
    await kept_away(scene, event, reg)


@pytest.mark.parametrize("stable", [False, True])
async def test_an_operational_poll_is_stopped(scene: Scene, social: RoomId, stable: bool) -> None:
    reg = plate()
    question = f"who goes to {reg}, it is outside the address"
    event = await scene.asha.poll(social, question, ["me", "you"], stable=stable)
    await kept_away(scene, event, reg)


async def test_a_reaction_with_operational_words_is_stopped_and_a_thumb_passes(
    scene: Scene, social: RoomId
) -> None:
    """Reactions travel in the clear; this one the server never keeps, either."""
    asha, ben = scene.asha, scene.ben
    event = await asha.say(social, "anyone about?")
    assert await ben.until(lambda phone: event in phone.messages)
    reg = plate()
    reaction = await asha.react(social, event, f"{reg} is at the address")
    await kept_away(scene, reaction, reg)
    assert Gated(scene.town.stage).rows(reg) == 0
    thumb = await asha.react(social, event, "👍")
    assert await ben.until(lambda phone: thumb in phone.messages)
    assert thumb not in ben.phone.removed


async def test_a_reply_in_a_thread_is_stopped_and_the_thread_goes_on(
    scene: Scene, social: RoomId
) -> None:
    asha, ben = scene.asha, scene.ben
    root = await ben.say(social, "pub on friday?")
    assert await asha.until(lambda phone: root in phone.messages)
    reg = plate()
    event = await asha.reply_in_thread(social, root, f"{reg} is outside the address")
    await kept_away(scene, event, reg)
    after = await asha.reply_in_thread(social, root, "count me in")
    assert await ben.until(lambda phone: after in phone.messages)


async def test_what_was_typed_in_a_cellar_hours_ago_is_judged_when_it_is_sent_at_last(
    scene: Scene, social: RoomId
) -> None:
    """Sealed with a room key of before; since then the bot was started again and keys changed."""
    asha, ben, town = scene.asha, scene.ben, scene.town
    first = await asha.say(social, "I am going down to the archive")
    assert await ben.until(lambda phone: first in phone.messages)
    reg = plate()
    typed = ("no signal here", f"{reg} is outside the address", "back in an hour")
    await asha.reach(on=False)
    assert await asha.queue(social, *typed) == len(typed)
    await town.bot_stops()
    await ben.say(social, "where is everybody?", rotate=True)
    await town.bot_runs()
    await asha.reach(on=True)
    hello, words, back = await asha.resend(social)
    await kept_away(scene, words, reg)
    assert await ben.until(lambda phone: {hello, back} <= phone.messages.keys())
    await town.quiet()
    assert len(town.copies(reg)) == 1
    kept = next(r for r in town.ledger() if reg in json.dumps(r.inside.get("content", ""))
                and r.inside.get("room") == social)  # fmt: skip
    assert kept.inside["origin"] == "stopped at the gate"


async def test_what_nobody_stops_is_read_by_strict_clients_and_judged_once(
    scene: Scene, social: RoomId
) -> None:
    asha, ben, town = scene.asha, scene.ben, scene.town
    event = await asha.say(social, "stuck behind a tractor, five minutes late")
    assert await ben.until(lambda phone: event in phone.messages)
    changed = {"m.relates_to": about("m.reference", event), "msgtype": "m.text", "body": "same"}
    other = await asha.send(social, changed)
    assert await ben.until(lambda phone: other in phone.messages)
    await town.heard(event, other)
    await town.settled()
    await town.bot_stops()
    kept = [r for r in town.ledger() if r.inside.get("event_id") in {event, other}]
    assert sorted(
        str(r.inside["event_id"]) for r in kept if r.header["kind"] == "message"
    ) == sorted([event, other])
    assert not any(r.inside.get("origin") for r in kept)
    assert town.sound()
