"""When a message is moved, what else holds its words goes too, and the record says what is left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nio.crypto.attachments import encrypt_attachment

from bridge.demo.officer import Officer
from bridge.errors import NotFound
from bridge.matrix.api import Api, quote
from bridge.matrix.identity import sign_in
from bridge.model import EventId, RoomId
from bridge.running.app import _account
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def certificate(town: Town, event: EventId) -> list[dict[str, Any]]:
    """The certificate of the removal of *event*, once it is whole."""
    await town.quiet()
    outcomes = [
        r for r in town.kept_of(event)
        if r.header["kind"] == "outcome" and r.header["effect"] == "close"
    ]  # fmt: skip
    assert outcomes, "nothing was closed"
    assert outcomes[-1].header["status"] == "done", outcomes[-1].inside
    made: Any = outcomes[-1].inside["certificate"]
    return list(made)


def fates(steps: list[dict[str, Any]], what: str) -> list[tuple[str, str]]:
    return [(one["fate"], one["target"]) for one in steps if one["what"] == what]


async def reply(
    officer: Officer, room: RoomId, to: EventId, quoted: str, own: str, **more: Any
) -> EventId:
    """Answer as clients do that repeat what they answer."""
    quote_html = f"<mx-reply><blockquote><a href='#'>In reply to</a> <a href='#'>A</a><br>{quoted}"
    content = {
        "msgtype": "m.text",
        "body": f"> <@asha:force.example> {quoted}\n\n{own}",
        "format": "org.matrix.custom.html",
        "formatted_body": f"{quote_html}</blockquote></mx-reply>{own}",
        "m.relates_to": {"m.in_reply_to": {"event_id": to}, **more},
    }
    return await officer.send(room, content)


async def as_bot(town: Town) -> Api:
    session = await sign_in(_account(town.stage.config))
    return Api(town.stage.homeserver.url, session.token)


async def pin(town: Town, *events: EventId) -> None:
    path = f"/_matrix/client/v3/rooms/{quote(town.social)}/state/m.room.pinned_events"
    async with await as_bot(town) as api:
        await api.call("PUT", path, {"pinned": [*events]})


async def pinned(town: Town) -> list[str]:
    path = f"/_matrix/client/v3/rooms/{quote(town.social)}/state/m.room.pinned_events"
    return list((await town.ben.api.call("GET", path))["pinned"])


async def test_everything_that_holds_the_words_goes_with_a_message(town: Town) -> None:
    """Said while the bot was away: edits, text reactions, quotations and the pin; not the rest."""
    await town.bot_stops()
    reg = plate()
    words = f"{reg} has just left 14 Acacia Avenue"
    event = await town.asha.say(town.social, words)
    assert await town.ben.until(lambda phone: event in phone.messages)
    edit = await town.asha.edit(town.social, event, f"{words}, two up")
    again = await town.asha.edit(town.social, edit, f"{words}, three up")
    said = await town.chloe.react(town.social, event, "by the chapel")
    thumb = await town.chloe.react(town.social, event, "👍")
    quoting = await reply(town.ben, town.social, event, words, "on my way, who has the kettle?")
    plain = await town.chloe.say(town.social, "kettle is on")
    other = await town.chloe.say(town.social, "biscuits too")
    await pin(town, other, event)
    notes = len(town.notes(town.ben, "is now in"))

    await town.bot_runs()
    for one in (event, edit, again, said, quoting):
        assert await town.gone(one), one
    steps = await certificate(town, event)
    for one in (event, edit, again, said, quoting):
        assert await town.content(town.social, one) == {}
        assert await town.removals(one) == 1
    assert not {thumb, plain, other} & town.ben.phone.removed.keys()
    assert await pinned(town) == [other]
    assert fates(steps, "message") == [("removed", event)]
    assert sorted(fates(steps, "edit")) == sorted([("removed", edit), ("removed", again)])
    assert fates(steps, "reaction") == [("removed", said)]
    assert fates(steps, "reply") == [("removed", quoting)]
    assert fates(steps, "pin") == [("removed", event)]
    assert fates(steps, "thread") == fates(steps, "file") == [("not applicable", "")]
    assert fates(steps, "server's copy") == fates(steps, "clients") == [("partial", "")]
    assert reg not in str(steps)
    assert await town.copied("on my way, who has the kettle?"), "their own words are not lost"
    assert await town.noted(town.ben, notes + 1, "is now in")
    assert "it repeats a message that was moved" in town.notes(town.ben)[-1].body
    assert town.sound()


async def threaded(officer: Officer, room: RoomId, root: EventId, text: str) -> EventId:
    relation = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True,
                "m.in_reply_to": {"event_id": root}}  # fmt: skip
    content = {"msgtype": "m.text", "body": text, "m.relates_to": relation}
    return await officer.send(room, content)


async def test_a_thread_stays_by_default(town: Town) -> None:
    await town.bot_stops()
    event = await town.asha.say(town.social, f"{plate()} is parked at 3 Low Lane now")
    answer = await threaded(town.chloe, town.social, event, "lovely day for it")
    await town.bot_runs()
    assert await town.gone(event)
    (line,) = [one for one in await certificate(town, event) if one["what"] == "thread"]
    assert line["fate"] == "not applicable"
    assert line["detail"].startswith("1 in its thread stay")
    assert await town.content(town.social, answer) != {}


async def test_a_thread_goes_along_where_the_policy_says_so(town: Town) -> None:
    """Each answer is moved under its author's name, who is told."""
    classes = town.stage.config.policies / "classes.yaml"
    shipped = classes.read_text(encoding="utf-8")
    await town.bot_stops()
    event = await town.asha.say(town.social, f"{plate()} is parked at 3 Low Lane now")
    words = f"fancy that, {plate()[:4]} times lucky"
    answer = await threaded(town.chloe, town.social, event, words)
    notes = len(town.notes(town.chloe, "is now in"))
    classes.write_text(shipped.replace("threads: keep ", "threads: remove"), encoding="utf-8")
    try:
        await town.bot_runs()
        assert await town.gone(event)
        assert await town.gone(answer)
        assert fates(await certificate(town, event), "thread") == [("removed", answer)]
        assert await town.copied(words)
        assert await town.noted(town.chloe, notes + 1, "is now in")
    finally:
        await town.bot_stops()
        classes.write_text(shipped, encoding="utf-8")


async def photo(officer: Officer, room: RoomId, caption: str) -> tuple[EventId, dict[str, Any]]:
    """Send an encrypted picture with a thumbnail and a caption."""
    sealed, keys = encrypt_attachment(b"a photograph" * 500)
    small, small_keys = encrypt_attachment(b"a thumbnail" * 20)
    content = {
        "msgtype": "m.image",
        "body": caption,
        "filename": "IMG_1.jpg",
        "file": {**keys, "url": await officer.api.upload(sealed)},
        "info": {
            "mimetype": "image/jpeg",
            "thumbnail_file": {**small_keys, "url": await officer.api.upload(small)},
        },
    }
    return await officer.send(room, content), content


async def is_there(town: Town, url: str) -> bool:
    try:
        await town.ben.transport.fetch(url)
    except NotFound:
        return False
    return True


async def test_the_files_of_a_moved_photo_leave_the_server_and_their_copies_stay(
    town: Town,
) -> None:
    reg = plate()
    event, content = await photo(town.asha, town.social, f"{reg} at the address now")
    assert await town.gone(event)
    steps = await certificate(town, event)
    urls = content["file"]["url"], content["info"]["thumbnail_file"]["url"]
    assert fates(steps, "file") == [("removed", urls[0])]
    assert fates(steps, "thumbnail") == [("removed", urls[1])]
    assert [await is_there(town, url) for url in urls] == [False, False]
    assert await town.ben.until(
        lambda phone: any(m.room == town.secure and m.media and reg in m.body
                          for m in phone.messages.values())
    )  # fmt: skip
    copy = next(m for m in town.ben.phone.messages.values()
                if m.room == town.secure and m.media and reg in m.body)  # fmt: skip
    assert [await is_there(town, one.url) for one in copy.media] == [True, True]
    files = [r for r in town.kept_of(event) if r.header["kind"] == "media"]
    assert len(files) == 2, "they were on record before they were deleted"


async def test_a_file_that_another_message_uses_stays_and_a_person_is_told(town: Town) -> None:
    await town.bot_stops()
    event, content = await photo(town.asha, town.social, f"{plate()} at the address now")
    harmless = {**content, "body": "nice sunset"}
    other = await town.chloe.send(town.social, harmless)
    await town.bot_runs()
    assert await town.gone(event)
    steps = await certificate(town, event)
    assert fates(steps, "file") == [("partial", content["file"]["url"])]
    assert await is_there(town, content["file"]["url"])
    assert other not in town.ben.phone.removed
    debts = [r.header.get("effect") for r in town.kept_of(event) if r.header["kind"] == "debt"]
    assert debts.count("refer") == 1


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before:close", "halfway:close", "during:close", "after:close"])
async def test_a_closure_that_is_killed_is_finished_once_when_the_bot_returns(
    town: Town, moment: str
) -> None:
    await town.quiet()
    await town.bot_stops()
    event = await town.asha.say(town.social, f"{plate()} is at 5 High Road now, {moment}")
    said = [await phone.react(town.social, event, f"by the {word}")
            for phone in (town.ben, town.chloe) for word in ("chapel", "garage")]  # fmt: skip
    own = f"put the kettle on, {moment}"
    quoting = await reply(town.ben, town.social, event, "it is at 5 High Road", own)
    await town.stage.bot.start(module="tests.acceptance.dying_bot", also=[moment])
    assert await asyncio.to_thread(town.stage.bot.wait, 120) == -9, "it should have been killed"
    await town.stage.bot.start()
    steps = await certificate(town, event)
    for one in (event, *said, quoting):
        assert await town.content(town.social, one) == {}
    for one in said:
        assert await town.removals(one) == 1
    assert sorted(fates(steps, "reaction")) == sorted(("removed", one) for one in said)
    assert fates(steps, "reply") == [("removed", quoting)]
    assert await town.copied(own)
    assert len(town.copies(own)) == 1
    counted = town.counted(town.kept_of(event))
    assert counted["debt", "close", ""] == 1
    assert counted["outcome", "close", "done"] == 1
    assert town.sound()
