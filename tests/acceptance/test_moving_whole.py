"""All of a message moves: its form, what it answered, its files, and what was said just before."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from nio.crypto.attachments import encrypt_attachment

from bridge.acting.moving import COPY_FIELD
from bridge.demo.officer import Officer
from bridge.matrix.api import quote
from bridge.model import EventId, Message, RoomId
from bridge.records.conversation import read_inside
from bridge.records.membership import Change, change_of
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")


def fields(message: Message) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(message.content)
    return content


async def reply(officer: Officer, room: RoomId, to: EventId, words: str) -> EventId:
    relation = {"m.in_reply_to": {"event_id": to}}
    content = {"msgtype": "m.text", "body": words, "m.relates_to": relation}
    return await officer.send(room, content)


async def test_form_and_what_it_answered_come_along_and_the_copy_can_be_cut(town: Town) -> None:
    reg = plate()
    question = await town.ben.say(town.social, "who saw it go?")
    assert await town.asha.until(lambda phone: question in phone.messages)
    words, html = f"{reg} left the address", f"<b>{reg}</b> left the <i>address</i>"
    relation = {"m.in_reply_to": {"event_id": question}}
    event = await town.asha.send(
        town.social,
        {"msgtype": "m.text", "body": words, "format": "org.matrix.custom.html",
         "formatted_body": html, "m.relates_to": relation},
    )  # fmt: skip
    assert await town.gone(event)
    assert await town.copied(words)
    (copy,) = town.copies(words)
    assert "In reply to PC Ben Hughes, who wrote: who saw it go?" in copy.body
    content = fields(copy)
    assert html in content["formatted_body"]
    where = content[COPY_FIELD]
    assert content["body"][where["head"] : -where["tail"]] == words
    assert content["formatted_body"][where["html"][0] : -where["html"][1]] == html


async def test_an_answer_to_a_moved_message_answers_its_copy(town: Town) -> None:
    first, second = f"{plate()} is outside the address", f"no it is {plate()}, at the address"
    asked = await town.asha.say(town.social, first)
    assert await town.gone(asked)
    assert await town.copied(first)
    answer = await reply(town.ben, town.social, asked, second)
    assert await town.gone(answer)
    assert await town.copied(second)
    (copy,), (then,) = town.copies(first), town.copies(second)
    assert fields(then)["m.relates_to"] == {"m.in_reply_to": {"event_id": copy.event_id}}


async def test_who_left_the_secure_room_is_let_in_again_and_can_read_what_was_moved(
    town: Town,
) -> None:
    words = f"{plate()} has just left the address"
    path = f"/_matrix/client/v3/rooms/{quote(town.secure)}/leave"
    await town.chloe.api.call("POST", path, {})
    assert await town.ben.until(
        lambda phone: any(
            m.type == "m.room.member" and m.room == town.secure and m.sender == town.chloe.user
            and "leave" in m.content.decode() for m in phone.messages.values()
        )
    )  # fmt: skip
    await town.passed()  # the bot has read it, too
    event = await town.chloe.say(town.social, words)
    assert await town.gone(event)
    await town.quiet()

    def read(phone: Any) -> bool:
        return any(m.room == town.secure and words in m.body for m in phone.messages.values())

    assert await town.chloe.until(read)
    assert "invite" in {str(r.header.get("effect")) for r in town.kept_of(event)}
    # It is on record who was invited, and by whom, and not the bot as who was.
    wanted = {Change(town.chloe.user, "left"),
              Change(town.chloe.user, "was invited", town.stage.config.user)}  # fmt: skip
    await town.settled()
    assert wanted <= _changes(town, town.secure)


def _changes(town: Town, room: RoomId) -> set[Change]:
    """Who came and went, as the ledger has it."""
    found = [
        read_inside(msgspec.json.encode(one.inside)) for one in town.ledger()
        if one.header["kind"] == "membership" and one.inside["room"] == room
    ]  # fmt: skip
    return {change_of(one.sender, one.state_key, one.content) for one in found}


async def test_a_picture_moves_with_its_preview_under_keys_of_its_own(town: Town) -> None:
    async def put(data: bytes) -> dict[str, Any]:
        sealed, keys = encrypt_attachment(data)
        return {**keys, "url": await town.asha.api.upload(sealed)}

    reg = plate()
    picture, preview = await put(b"picture" * 999), await put(b"preview" * 99)
    event = await town.asha.send(
        town.social,
        {"msgtype": "m.image", "body": f"{reg} at the address", "filename": "IMG_1.jpg",
         "file": picture, "info": {"thumbnail_file": preview, "mimetype": "image/jpeg"}},
    )  # fmt: skip
    assert await town.gone(event)

    def shown(phone: Any) -> bool:
        return bool(files(phone))

    def files(phone: Any) -> list[Message]:
        found = phone.messages.values()
        return [m for m in found if m.room == town.secure and m.media and reg in m.body]

    assert await town.ben.until(shown)
    content = fields(files(town.ben.phone)[0])
    places = {content["file"]["url"], content["info"]["thumbnail_file"]["url"]}
    assert len(places) == 2
    assert not places & {picture["url"], preview["url"]}


async def test_a_run_of_fragments_moves_together_and_in_order(town: Town) -> None:
    reg = plate()
    lines = ["obs are still on", "two up, blue one", f"{reg} just left the address"]
    events = [await town.ben.say(town.social, line) for line in lines[:-1]]
    # A fragment that the bot is nudging about just then would come a moment later than the rest.
    await town.heard(*events)
    await town.quiet()
    events.append(await town.ben.say(town.social, lines[-1]))
    assert await town.gone(events[-1])
    await town.settled()
    moved = [line for line, event in zip(lines, events, strict=True)
             if event in town.ben.phone.removed]  # fmt: skip
    assert len(moved) >= 2, "at least one of the fragments was a weak signal"
    for line in moved:
        assert await town.copied(line)
    # As the room has them: a phone that waits for a key may come to read them in another order.
    there = [m for m in town.ben.phone.messages.values()
             if m.room == town.secure and any(line in m.body for line in moved)]  # fmt: skip
    newest = [m.body for m in sorted(there, key=lambda m: m.sent_at)][-len(moved) :]
    assert all(line in body for line, body in zip(moved, newest, strict=True)), newest


@pytest.mark.slow
async def test_a_message_that_fits_into_no_copy_comes_in_parts(town: Town) -> None:
    reg = plate()
    event = await town.asha.say(town.social, f"{reg} left the address. " + "long story " * 4_000)
    assert await town.gone(event)
    await town.quiet()

    def parts(phone: Any) -> list[Message]:
        found = [m for m in phone.messages.values() if m.room == town.secure]
        return [m for m in found if fields(m).get(COPY_FIELD, {}).get("of") == 2]

    assert await town.ben.until(lambda phone: len(parts(phone)) == 2)
    assert town.sound()
