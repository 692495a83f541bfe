"""The main job with clients of another SDK, which exclude every device that is not signed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

import pytest

from bridge.demo.force import BOT
from bridge.model import EventId, Ms, RoomId
from bridge.running.app import compare_coverage
from tests.acceptance.town import plate
from tests.foreign.conftest import Scene, content_of, skip_without_the_parts
from tests.foreign.driver import Client, Identity, about, poll_of

#: One transparent pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SMALL = PNG + b"a thumbnail"
#: What makes a sound a voice message.
VOICE = {
    "body": "Voice message",
    "org.matrix.msc3245.voice": {},
    "org.matrix.msc1767.audio": {"duration": 1200, "waveform": [0, 512, 1024]},
}

skip_without_the_parts()
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_strict_client_is_heard_and_reads_all_that_the_bot_says(
    scene: Scene, social: RoomId
) -> None:
    """Moved, removed, told; copy and private note are readable on foreign clients at once."""
    town, asha, ben = scene.town, scene.asha, scene.ben
    words = f"{plate()} has just left 14 Acacia Avenue"
    event = await asha.say(social, words)

    assert await town.copied(words)
    assert await town.gone(event)
    assert await town.noted(town.asha, 1)
    (copy,) = town.copies(words)
    assert copy.body.startswith("PC Asha Khan wrote in Response A social at ")
    (note,) = town.notes(town.asha)
    assert "is now in Response A secure, under your name" in note.body
    assert words.split()[1] not in note.body
    assert ben.phone.shields[copy.event_id] == "none"
    assert asha.phone.shields[note.event_id] == "none"
    for client in (asha, ben):
        assert not client.phone.failures
    assert await town.content(social, event) == {}


async def test_after_the_removal_a_foreign_client_shows_no_words(
    scene: Scene, social: RoomId
) -> None:
    """Neither in what it draws nor in what it would draw: the words have left its memory."""
    reg = plate()
    event = await scene.asha.say(social, f"{reg} is at the address", html=f"<b>{reg}</b> is there")
    for client in (scene.ben, scene.asha):
        assert await client.loses(event)
        drawn = await client.drawn(social)
        assert reg not in json.dumps(drawn)
        (tile,) = (one for one in drawn if one["id"] == event)
        assert tile["redacted"]
        assert tile["reason"] == "Moved to Response A secure"


async def test_ordinary_chat_of_a_foreign_client_is_left_alone_and_recorded(
    scene: Scene, social: RoomId
) -> None:
    lines = ["who's bringing milk?", "overslept, there in 20", "swap my late Tuesday?"]
    events = [await scene.asha.say(social, line) for line in lines]
    liked = await scene.ben.react(social, events[0], "🥛")
    assert await scene.ben.until(lambda phone: {*events, liked} <= phone.messages.keys())
    await scene.town.settled()
    assert not {*events, liked} & scene.ben.phone.removed.keys()
    await scene.all_readable({*events, liked})
    assert scene.said(liked)[liked].inside["content"] == {
        "m.relates_to": {"event_id": events[0], "key": "🥛", "rel_type": "m.annotation"}
    }


async def test_what_only_the_formatted_text_of_a_foreign_client_says_is_moved_too(
    scene: Scene, social: RoomId
) -> None:
    reg = plate()
    event = await scene.asha.say(social, "see this", html=f"<b>{reg}</b> is at the address")
    assert await scene.town.gone(event)
    assert await scene.town.copied(f"{reg} is at the address")


async def test_a_foreign_edit_that_turns_chat_into_operations_takes_both_away(
    scene: Scene, social: RoomId
) -> None:
    words = f"tea? also {plate()} is back at 9 Mill Lane"
    event = await scene.asha.say(social, "who wants tea?")
    assert await scene.ben.until(lambda phone: event in phone.messages)
    edit = await scene.asha.edit(social, event, words)
    assert await scene.town.gone(edit)
    assert await scene.town.gone(event)
    assert await scene.town.copied(words)
    assert words not in json.dumps(await scene.ben.drawn(social))


async def test_replies_and_threads_of_a_foreign_client_are_sorted_like_any_message(
    scene: Scene, social: RoomId
) -> None:
    """Operational answers go, in threads too; what they answer and the other answers stay."""
    asha, ben, town = scene.asha, scene.ben, scene.town
    root = await ben.say(social, "how was the football?")
    assert await asha.until(lambda phone: root in phone.messages)
    harmless = [
        await ben.reply(social, root, "we lost again"),
        await asha.reply_in_thread(social, root, "three nil"),
    ]
    moved = {
        await asha.reply(social, root, said): said
        for said in [f"no idea, {plate()} failed to stop on the way"]
    } | {
        await asha.reply_in_thread(social, root, said): said
        for said in [f"and {plate()} has just left 14 Acacia Avenue"]
    }
    for event, said in moved.items():
        assert await asha.loses(event)
        assert await ben.loses(event)
        assert await town.copied(said)
    assert await ben.until(lambda phone: set(harmless) <= phone.messages.keys())
    assert await asha.until(lambda phone: set(harmless) <= phone.messages.keys())
    await town.settled()
    assert not {root, *harmless} & asha.phone.removed.keys()
    screens = json.dumps(await asha.drawn(social)) + json.dumps(await ben.drawn(social))
    assert not any(said in screens for said in moved.values())
    await scene.all_readable({root, *harmless, *moved})


async def test_a_burst_of_twenty_from_a_foreign_client_is_sorted_without_loss(
    scene: Scene, social: RoomId
) -> None:
    """Sent at once, every second message operational; each copied once and removed once."""
    town, asha = scene.town, scene.asha
    said = [
        f"{plate()} seen again, {n}" if n % 2 else f"round {n} of the tea list" for n in range(20)
    ]
    events = await asyncio.gather(*(asha.say(social, words) for words in said))
    moved = dict(zip(events[1::2], said[1::2], strict=True))
    for event in moved:
        assert await town.gone(event)
    await town.settled()
    for event, words in moved.items():
        assert await town.copied(words)
        assert len(town.copies(words)) == 1
        assert await town.removals(event) == 1
    await town.settled()
    assert not set(events[::2]) & scene.ben.phone.removed.keys()
    await scene.all_readable(set(events))


async def test_what_foreign_clients_said_while_the_bot_was_away_is_put_right(
    scene: Scene, social: RoomId
) -> None:
    """New room keys and an edit included: their keys wait on the server."""
    town, asha = scene.town, scene.asha
    assert await town.bot_stops() == 0
    moved, left = {}, set()
    for n in range(12):
        if n % 4 == 0:
            words = f"{plate()} is at the address, {n}"
            moved[await asha.say(social, words, rotate=True)] = words
        else:
            left.add(await asha.say(social, f"chat while nobody listens, {n}"))
    changed = next(iter(left))
    words = f"{plate()} is at the address after all"
    moved[await asha.edit(social, changed, words)] = words
    await town.bot_runs()
    for event, words in moved.items():
        assert await town.gone(event)
        assert await town.copied(words)
    assert await town.gone(changed)
    await town.settled()
    assert all(len(town.copies(words)) == 1 for words in moved.values())
    assert left & scene.ben.phone.removed.keys() == {changed}
    await scene.all_readable(left | moved.keys())
    assert town.sound()


async def test_thirty_room_keys_for_thirty_messages_leave_nothing_undecryptable(
    scene: Scene, social: RoomId
) -> None:
    town, asha = scene.town, scene.asha
    said = [
        f"{plate()} going north, {n}" if n % 10 == 9 else f"cake of the day {n}" for n in range(30)
    ]
    events = [await asha.say(social, words, rotate=True) for words in said]
    for event in events[9::10]:
        assert await town.gone(event)
    await town.settled()
    await scene.all_readable(set(events))
    assert await scene.ben.until(lambda phone: set(events) <= phone.messages.keys())
    sessions = {str(one["wire"].get("session_id")) for one in await scene.ben.drawn(social)
                if one["id"] in events and not one["redacted"]}  # fmt: skip
    assert len(sessions) == 27, "each message had a key of its own"


async def test_an_officer_who_signs_in_anew_is_heard_and_answered(scene: Scene) -> None:
    """Out and in again, signed from secret storage; then with a new identity."""
    stage = scene.town.stage
    social, secure = stage.social("Response B"), stage.secure("Response B")
    identities: list[Identity] = []
    for turn in ("first", "recovered", "new identity"):
        dan = await scene.sign_in("dan")
        if turn == "recovered":
            identities.append(await dan.recover(identities[0].recovery))
        else:
            identities.append(await dan.make_identity())
        await dan.enter(social)
        await dan.enter(secure)

        words = f"{plate()} is outside the address, {turn}"
        event = await dan.say(social, words)
        assert await dan.loses(event)
        assert await dan.hears(BOT, words, secure)
        assert await dan.hears(BOT, "is now in Response B secure")
        await scene.town.heard(event)
        await scene.all_readable({event})
        await dan.sign_out()
    first, recovered, fresh = (one.master for one in identities)
    assert first == recovered != fresh


async def test_the_bot_hears_a_device_that_strict_clients_refuse(
    scene: Scene, social: RoomId
) -> None:
    """An auditor is not deaf to whom others do not trust; and strict is strict here."""
    unsigned = await scene.sign_in("chloe", strict=False)
    await unsigned.enter(social)
    words = f"{plate()} is at the address, from nowhere"
    event = await unsigned.say(social, words)
    assert await scene.ben.until(lambda phone: event in phone.failures)
    assert scene.ben.phone.failures[event] == "UNSIGNED_SENDER_DEVICE"
    assert await scene.town.gone(event)
    assert await scene.town.copied(words)
    await unsigned.sign_out()


async def test_everything_that_a_foreign_client_can_send_is_on_record(
    scene: Scene, social: RoomId
) -> None:
    """With its content; attachments with their key, and as they lay on the server."""
    asha = scene.asha
    picture = await asha.attach(
        social, PNG, msgtype="m.image", name="cake.png", mimetype="image/png", caption="the cake"
    )
    file = await asha.attach(
        social, b"milk, tea", msgtype="m.file", name="list.txt", mimetype="text/plain"
    )
    voice = await asha.attach(
        social, b"OggS", msgtype="m.audio", name="Voice message.ogg", mimetype="audio/ogg",
        also=VOICE,
    )  # fmt: skip
    poll = await asha.poll(social, "Where do we eat?", ["Chips", "Curry"])
    stable = await asha.poll(social, "And when?", ["At six", "At seven"], stable=True)
    vote = await asha.send(
        social,
        {"m.relates_to": about("m.reference", poll),
         "org.matrix.msc3381.poll.response": {"answers": ["1"]}},
        kind="org.matrix.msc3381.poll.response",
    )  # fmt: skip
    # Ben's, of whom nothing was moved: where something is would go along with that for a minute.
    place = await scene.ben.locate(social, "The Feathers, upstairs", "geo:51.5008,0.1247")
    sticker = await asha.stick(social, "a waving otter", PNG)
    everything = {picture, file, voice, poll, stable, vote, place, sticker}
    assert await scene.ben.until(lambda phone: everything <= phone.messages.keys())
    await scene.town.heard(*everything)
    await scene.town.settled()
    await scene.all_readable(everything)

    kept = scene.said(*everything)
    for event in everything:
        assert kept[event].inside["doubt"] == ""
        sent = json.loads(scene.ben.phone.messages[event].content)
        assert sent.items() <= content_of(kept[event]).items()
    for event, data in {picture: PNG, file: b"milk, tea", voice: b"OggS"}.items():
        (sealed,) = scene.files(kept[event])
        assert sealed != data
        assert await scene.ben.unsealed(sealed, content_of(kept[event])["file"]) == data
    assert scene.files(kept[sticker]) == [PNG]
    assert "Curry" in json.dumps(content_of(kept[poll]))
    assert "At seven" in json.dumps(content_of(kept[stable]))
    assert content_of(kept[place])["geo_uri"] == "geo:51.5008,0.1247"
    assert kept[sticker].inside["type"] == "m.sticker"
    assert not everything & scene.ben.phone.removed.keys()


async def test_an_operational_caption_is_moved(scene: Scene, social: RoomId) -> None:
    caption = f"{plate()} outside 14 Acacia Avenue"
    event = await scene.asha.attach(
        social, PNG, msgtype="m.image", name="photo.png", mimetype="image/png", caption=caption
    )
    assert await scene.town.gone(event)
    assert await scene.town.copied(caption)


async def test_an_operational_file_name_is_moved(scene: Scene, social: RoomId) -> None:
    name = f"Statement {plate()} failed to stop.txt"
    event = await scene.asha.attach(
        social, b"a statement", msgtype="m.file", name=name, mimetype="text/plain"
    )
    assert await scene.town.gone(event)
    assert await scene.town.copied(name)


async def test_operational_words_beside_a_place_or_a_sticker_are_moved(
    scene: Scene, social: RoomId
) -> None:
    beside = [f"{plate()} is parked at 14 Acacia Avenue", f"{plate()} has just failed to stop"]
    place = await scene.asha.locate(social, beside[0], "geo:51.5008,0.1247")
    sticker = await scene.asha.stick(social, beside[1], PNG)
    for event, words in zip((place, sticker), beside, strict=True):
        assert await scene.town.gone(event)
        assert await scene.town.copied(words)


@pytest.mark.parametrize(
    ("msgtype", "name", "data", "mimetype"),
    [
        ("m.image", "front.png", b"", "image/png"),
        ("m.file", "statement.txt", b"a statement", "text/plain"),
        ("m.audio", "call.ogg", b"OggS and a voice", "audio/ogg"),
    ],
)
async def test_an_attachment_can_be_opened_in_the_secure_room(
    scene: Scene, social: RoomId, msgtype: str, name: str, data: bytes, mimetype: str
) -> None:
    """Under a new key and address: what lay in the social room is out of reach."""
    data = data or PNG
    caption = f"{plate()} outside 14 Acacia Avenue"
    event = await scene.asha.attach(
        social, data, msgtype=msgtype, name=name, mimetype=mimetype, caption=caption,
        thumbnail=SMALL,
    )  # fmt: skip
    assert await scene.ben.until(lambda phone: event in phone.messages)
    sent = json.loads(scene.ben.phone.messages[event].content)
    assert await scene.town.gone(event)
    assert await scene.town.copied(caption)
    assert await scene.ben.until(lambda _: bool(scene.attachments(msgtype, name)))
    (copy,) = scene.attachments(msgtype, name)
    for here, there, inside in (
        (sent["file"], copy["file"], data),
        (sent["info"]["thumbnail_file"], copy["info"]["thumbnail_file"], SMALL),
    ):
        assert here["url"] != there["url"]
        assert here["key"]["k"] != there["key"]["k"]
        assert await scene.ben.opened(there) == inside


@pytest.mark.parametrize("stable", [False, True], ids=["msc3381", "stable"])
@pytest.mark.parametrize("where", ["question", "answer"])
async def test_an_operational_poll_is_moved(
    scene: Scene, social: RoomId, stable: bool, where: str
) -> None:
    words = f"{plate()} is at 14 Acacia Avenue"
    question, second = (words, "Chips") if where == "question" else ("Where is he?", words)
    event = await scene.asha.poll(social, question, ["At home", second], stable=stable)
    assert await scene.town.gone(event)
    assert await scene.town.copied(words)


async def _reaction(by: Client, room: RoomId, words: str) -> EventId:
    return await by.react(room, await by.say(room, "tea?"), words)


async def _edited_caption(by: Client, room: RoomId, words: str) -> EventId:
    event = await by.attach(
        room, PNG, msgtype="m.image", name="cake.png", mimetype="image/png", caption="the cake"
    )
    assert await by.until(lambda phone: event in phone.messages)
    fresh = json.loads(by.phone.messages[event].content) | {"body": words}
    return await by.send(
        room, fresh | {"m.new_content": fresh, "m.relates_to": about("m.replace", event)}
    )


async def _edited_poll(by: Client, room: RoomId, words: str) -> EventId:
    event = await by.poll(room, "Where do we eat?", ["Chips", "Curry"])
    fresh = poll_of(words, ["Chips", "Curry"], stable=False)
    return await by.send(
        room,
        {"m.new_content": fresh, "m.relates_to": about("m.replace", event)},
        kind="org.matrix.msc3381.poll.start",
    )


async def _end_of_poll(by: Client, room: RoomId, words: str) -> EventId:
    event = await by.poll(room, "Where do we eat?", ["Chips", "Curry"])
    kind = "org.matrix.msc3381.poll.end"
    content = {"m.relates_to": about("m.reference", event), kind: {}, "body": words}
    return await by.send(room, content, kind=kind)


async def _edited_edit(by: Client, room: RoomId, words: str) -> EventId:
    event = await by.say(room, "one lump")
    return await by.edit(room, await by.edit(room, event, "two lumps"), words)


async def _edited_in_thread(by: Client, room: RoomId, words: str) -> EventId:
    root = await by.say(room, "who is on lates?")
    return await by.edit(room, await by.reply_in_thread(room, root, "me"), words)


async def _emote(by: Client, room: RoomId, words: str) -> EventId:
    return await by.send(room, {"msgtype": "m.emote", "body": words})


async def _notice(by: Client, room: RoomId, words: str) -> EventId:
    return await by.send(room, {"msgtype": "m.notice", "body": words})


async def _unknown(by: Client, room: RoomId, words: str) -> EventId:
    return await by.send(room, {"msgtype": "uk.example.odd", "body": words})


async def _extensible(by: Client, room: RoomId, words: str) -> EventId:
    return await by.send(room, {"m.text": [{"body": words}]}, kind="m.message")


async def _spoiler(by: Client, room: RoomId, words: str) -> EventId:
    hidden = f'<span data-mx-spoiler="{words}">guess</span>'
    return await by.say(room, "guess", html=hidden)


async def _picture_text(by: Client, room: RoomId, words: str) -> EventId:
    return await by.say(room, "look", html=f'<img src="mxc://force.example/x" alt="{words}">')


async def _link(by: Client, room: RoomId, words: str) -> EventId:
    return await by.say(room, "look", html=f'<a href="https://x.example/?q={words}">here</a>')


@pytest.mark.parametrize(
    "way",
    [
        _reaction, _edited_caption, _edited_poll, _end_of_poll, _edited_edit, _edited_in_thread,
        _emote, _notice, _unknown, _extensible,
        _spoiler,
        _picture_text,
        _link,
    ],
    ids=lambda way: way.__name__.strip("_"),
)  # fmt: skip
async def test_operational_words_are_moved_whichever_way_they_are_sent(
    scene: Scene, social: RoomId, way: Callable[[Client, RoomId, str], Awaitable[EventId]]
) -> None:
    words = f"{plate()} has just left 14 Acacia Avenue"
    event = await way(scene.asha, social, words)
    assert await scene.town.gone(event)
    assert await scene.town.copied(words)


async def test_nothing_that_was_said_in_these_stories_is_missing_or_unreadable(
    scene: Scene,
) -> None:
    """The server's own list of events, held against the record."""
    await scene.town.settled()
    assert await scene.town.bot_stops() == 0
    covered = await compare_coverage(scene.town.stage.config, Ms(0))
    assert covered.served > 0
    assert covered.missed == 0
    assert covered.unreadable == 0
    assert scene.town.sound()
