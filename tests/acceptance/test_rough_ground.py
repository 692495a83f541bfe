"""People, rooms and files that are not as they should be: the right end, or a person is asked."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import yaml
from nio.crypto import encrypt_attachment

from bridge.config import load_register
from bridge.demo.force import ADMIN, BOT
from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer
from bridge.demo.stage import stage
from bridge.matrix.api import Api, login, quote
from bridge.model import EventId, Message, Ms, RoomId
from bridge.records.reading import check_ledger
from bridge.running.app import _as_bot, apply_register, now
from tests.acceptance.town import PATIENT_BOT, Town, plate

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

#: People of another network, who come in over a bridge.
BRIDGED = "@_wa_447700900123:force.example"
_INTAKE = """
  intake:
    class: intake
    name: Intake
    information: operational
    ceiling: OFFICIAL-SENSITIVE
    owner: "@gwen:force.example"
    supervisor: "@gwen:force.example"
    purpose: What was moved of people who are in no secure room.
    dpia: DPIA-2026-014
    review: 2027-05-01
    members: ["@gwen:force.example"]
"""


def bridge_file(folder: Path, token: str) -> Path:
    """What a homeserver is given of a bridge to another network."""
    said = {
        "id": "wa", "url": None, "as_token": token, "hs_token": secrets.token_hex(16),
        "sender_localpart": "_wa_bot", "rate_limited": False,
        "namespaces": {"users": [{"exclusive": True, "regex": "@_wa_.*"}]},
    }  # fmt: skip
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(said), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def token() -> str:
    return secrets.token_hex(16)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(token: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A force of its own: some of these stories cannot be undone."""
    folder = tmp_path_factory.mktemp("rough")
    settings = {"app_service_config_files": [str(bridge_file(folder, token))]}
    with Homeserver(folder / "homeserver", settings=settings) as server:
        async with stage(folder, lambda _: None, server=server, module=PATIENT_BOT) as built:
            yield Town(built)


@pytest_asyncio.fixture(loop_scope="module")
async def town(whole: Town) -> Town:
    await whole.bot_runs()
    return whole


async def shown(
    officer: Officer, words: str, room: RoomId | None = None, *, since: EventId | None = None
) -> Message:
    """Wait until *officer* reads a post of the bot with these words; the newest.

    *since*: of those that came after that event, which the officer has seen.
    """
    begun = officer.phone.messages[since].sent_at if since else 0

    def found() -> list[Message]:
        every = [one for one in officer.phone.messages.values() if one.sent_at > begun]
        return [m for m in every if m.sender == BOT and words in m.body and room in {None, m.room}]

    assert await officer.until(lambda _: bool(found())), f"nobody saw {words!r}"
    return max(found(), key=lambda one: one.sent_at)


def digests(supervisor: Officer) -> list[str]:
    """What a supervisor was told of their rooms' days, line by line."""
    head = "Since this time yesterday, in the rooms that you supervise"
    every = supervisor.phone.messages.values()
    told = [one.body for one in every if one.sender == BOT and head in one.body]
    return [line for body in told for line in body.split("\n")]


async def put(town: Town, data: bytes) -> dict[str, Any]:
    sealed, keys = encrypt_attachment(data)
    return {**keys, "url": await town.asha.api.upload(sealed)}


def photo(file: Mapping[str, Any], caption: str) -> dict[str, Any]:
    return {"msgtype": "m.image", "body": caption, "filename": "IMG_1.jpg", "file": dict(file)}


async def test_a_file_that_is_gone_or_too_large_keeps_no_words_back(town: Town) -> None:
    """Both are said in the secure room, and a person knows of what was not kept."""
    config = town.stage.config.path
    plain = config.read_text(encoding="utf-8")
    await town.bot_stops()
    config.write_text(f"{plain}files: {{most_mb: 1}}\n", encoding="utf-8")
    try:
        gone, large = await put(town, b"gone" * 99), await put(town, b"large" * 300_000)
        words = [f"{plate()} at the address, {what}" for what in ("gone", "large")]
        events = [
            await town.asha.send(town.social, photo(file, caption))
            for file, caption in zip((gone, large), words, strict=True)
        ]
        server, force = town.stage.homeserver.url, town.stage.force
        admin = await login(server, ADMIN, force.passwords[ADMIN], device_name="deletes")
        async with Api(server, admin.token) as api:
            name = gone["url"].removeprefix("mxc://")
            await api.call("DELETE", f"/_synapse/admin/v1/media/{name}")
        await town.bot_runs()
        for event, caption in zip(events, words, strict=True):
            assert await town.gone(event)
            assert await town.copied(caption)
        await town.quiet()
        said = town.copies("A file came with this message and could not be moved")
        assert len(said) == 2
        assert "Please ask PC Asha Khan to send it here" in said[0].body
        assert town.sound()
    finally:
        await town.bot_stops()
        config.write_text(plain, encoding="utf-8")


async def test_a_member_cannot_have_a_colleagues_file_deleted_by_naming_it(town: Town) -> None:
    """Ben's picture, in a message of Asha's that is moved: it stays on the server."""
    sealed, keys = encrypt_attachment(b"Ben's picture" * 99)
    url = await town.ben.api.upload(sealed)
    event = await town.asha.send(
        town.social, photo({**keys, "url": url}, f"{plate()} at the address")
    )
    assert await town.gone(event)
    await town.quiet()
    path = url.removeprefix("mxc://")
    assert await town.ben.transport.fetch(url) == sealed, path
    asked = await shown(town.gwen, "Somebody else has uploaded the file: it was left")
    assert asked.room == town.stage.rooms["review"]


async def test_a_bridged_member_of_no_secure_room_is_read_in_the_intake_room(
    town: Town, token: str
) -> None:
    """Their words come unencrypted, under a name that no list has; nobody is left waiting."""
    config = town.stage.config
    register = config.rooms.read_text(encoding="utf-8")
    await town.bot_stops()
    with config.people.open("a", encoding="utf-8") as people:  # a partner's worker, say
        people.write(f"{BRIDGED},Kit Moor,,,,@gwen:force.example,,\n")
    social = "members: {team: Response A}"
    assert social in register
    listed = register.replace(social, f'members: [{{team: Response A}}, "{BRIDGED}"]', 1)
    config.rooms.write_text(listed + _INTAKE, encoding="utf-8")
    await apply_register(config, lambda _: None)
    found, _, lock = load_register(config)
    intake = found.id_of("intake", lock)
    assert intake is not None
    await town.gwen.enter(intake)
    async with await _as_bot(config) as api:
        path = f"/_matrix/client/v3/rooms/{quote(town.social)}/invite"
        await _register(town.stage.homeserver.url, token)
        await api.call("POST", path, {"user_id": BRIDGED})
    await town.bot_runs()
    words = f"{plate()} has just left the address"
    async with Api(town.stage.homeserver.url, token) as api:
        room = quote(town.social)
        as_them = {"user_id": BRIDGED}
        await api.call("POST", f"/_matrix/client/v3/rooms/{room}/join", {}, query=as_them)
        path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{uuid4()}"
        answer = await api.call(
            "PUT", path, {"msgtype": "m.text", "body": words, "external_url": 7}, query=as_them
        )
        event = EventId(answer["event_id"])
        assert await town.gone(event)
        await shown(town.gwen, words, intake)
        assert town.copies(words) == []
        told = await shown(town.gwen, "was moved to Intake, because its sender is not in your")
        assert words.split()[1] not in told.body
        await town.quiet()
        assert town.sound()


async def _register(url: str, token: str) -> None:
    async with Api(url, token) as api:
        name = BRIDGED[1:].partition(":")[0]
        said = {"type": "m.login.application_service", "username": name, "inhibit_login": True}
        await api.call("POST", "/_matrix/client/v3/register", said)


async def test_another_bot_is_sorted_like_anybody_and_not_answered(town: Town) -> None:
    """It speaks in notices; two bots that answer each other would never end."""
    notes = len(town.notes(town.chloe))
    event = await town.chloe.send(
        town.social, {"msgtype": "m.notice", "body": f"{plate()} has just left the address"}
    )
    asked = await town.chloe.send(town.social, {"msgtype": "m.notice", "body": "!help"})
    assert await town.gone(event)
    await town.settled(town.ben, town.chloe)
    assert await town.noted(town.chloe, notes + 1)
    assert not [one for one in town.notes(town.chloe) if "You can type" in one.body]
    assert asked not in town.ben.phone.removed


async def test_a_secure_room_that_was_replaced_is_followed_and_its_people_are_let_in(
    town: Town,
) -> None:
    async with await _as_bot(town.stage.config) as api:
        answer = await api.call(
            "POST", f"/_matrix/client/v3/rooms/{quote(town.secure)}/upgrade", {"new_version": "12"}
        )
        new = RoomId(answer["replacement_room"])
    words = f"{plate()} is at the address"
    event = await town.asha.say(town.social, words)
    assert await town.gone(event)
    await town.quiet()
    await town.asha.enter(new)
    await shown(town.asha, words, new)
    assert town.sound()


async def test_a_secure_room_that_refuses_us_leaves_no_leak_and_nobody_is_told_of_a_copy(
    town: Town,
) -> None:
    gwen, config = town.gwen, town.stage.config
    made = {
        "name": "By hand", "preset": "private_chat", "room_version": "11", "invite": [BOT],
        "power_level_content_override": {"events_default": 50},
        "initial_state": [
            {"type": "m.room.encryption", "state_key": "",
             "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        ],
    }  # fmt: skip
    room = (await gwen.api.call("POST", "/_matrix/client/v3/createRoom", made))["room_id"]
    plain, settings = (path.read_text(encoding="utf-8") for path in (config.rooms, config.path))
    name, admin = "name: Response B secure", "  admin_token_file: secrets/admin.token\n"
    assert name in plain
    assert admin in settings
    await town.bot_stops()
    # With an administrator's token the bot would give itself the power that it lacks.
    config.path.write_text(settings.replace(admin, ""), encoding="utf-8")
    config.rooms.write_text(plain.replace(name, f'{name}\n    id: "{room}"'), encoding="utf-8")
    try:
        await town.bot_runs()
        dan, ewa = town.stage.officers["dan"], town.stage.officers["ewa"]
        social = town.stage.social("Response B")
        event = await dan.say(social, f"{plate()} is at the address")
        assert await ewa.until(lambda phone: event in phone.removed)
        note = await shown(dan, "was taken out of Response B social")
        assert "It was not copied anywhere else." in note.body
        await shown(gwen, "it could not be done")
        await town.quiet()
        assert town.sound()
    finally:
        await town.bot_stops()
        config.rooms.write_text(plain, encoding="utf-8")
        config.path.write_text(settings, encoding="utf-8")


async def test_who_leaves_and_is_gone_in_the_middle_of_a_move_does_not_stop_it(town: Town) -> None:
    """Said while the bot was away; its sender's account is closed before it returns."""
    await town.bot_stops()
    words = f"{plate()} has just left the address"
    event = await town.chloe.say(town.social, words)
    assert await town.ben.until(lambda phone: event in phone.messages)
    await town.chloe.api.call("POST", f"/_matrix/client/v3/rooms/{quote(town.social)}/leave", {})
    server, force = town.stage.homeserver.url, town.stage.force
    admin = await login(server, ADMIN, force.passwords[ADMIN], device_name="closes")
    async with Api(server, admin.token) as api:
        path = f"/_synapse/admin/v1/deactivate/{quote(town.chloe.user)}"
        await api.call("POST", path, {"erase": False})
    await town.bot_runs()
    assert await town.gone(event)
    await town.quiet()
    counted = town.counted(town.kept_of(event))
    assert counted["outcome", "copy", "done"] == 1
    assert counted["outcome", "redact", "done"] == 1
    told = [count for (kind, effect, _), count in counted.items() if effect == "notify"]
    assert sum(told) >= 2, "told, or a person was asked because that was refused"
    assert town.sound()


async def test_an_appeal_is_pressed_for_then_late_and_still_decided_and_the_day_is_told(
    town: Town,
) -> None:
    """For a bot whose clock is ahead: reminded, overdue, and the supervisor's digest."""
    asha, gwen, bot = town.asha, town.gwen, town.stage.bot
    review = town.stage.rooms["review"]
    dan = town.stage.officers["dan"]
    words = f"{plate()} is Priya's new car, come and see"
    event = await asha.say(town.social, words)
    assert await town.gone(event)
    note = await shown(asha, "is now in Response A secure", since=event)
    await asha.react(note.room, note.event_id, "👎")
    await shown(asha, "Thank you.")
    request = await shown(dan, "Please look at an appeal", review)
    await town.quiet()

    await town.bot_stops()
    await bot.start(module="tests.acceptance.later_bot", also=["21"])
    await shown(dan, "Please remember the appeal about a message in Response A social", review)
    await town.bot_stops()
    await bot.start(module="tests.acceptance.later_bot", also=["25"])
    await shown(dan, "Nothing is decided by that", review)
    await shown(gwen, "was to be answered by")
    late = await shown(asha, "We promised you an answer by now, and are sorry that it is late")
    assert "Sgt Gwen Price has been told." in late.body

    # One day, or two where the hour at which it is told is between the two starts.
    def of_the_room(what: str) -> bool:
        lines = [one for one in digests(gwen) if one.startswith("Response A social: ")]
        return any(what in one for one in lines)

    assert await gwen.until(lambda _: of_the_room("moved") and of_the_room("1 appeal open"))
    assert not [one for one in digests(gwen) if words.split()[1] in one]

    await dan.react(review, request.event_id, "✅")
    question = await shown(dan, "To confirm", review)
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": question.event_id}}}
    await dan.send(review, {"msgtype": "m.text", "body": "yes", **relation})
    back = await shown(town.ben, "Restored by Blue Lamp after a review.", town.social, since=event)
    assert words in back.body
    await town.quiet()
    kept = [r.header.get("status") for r in town.ledger() if r.header["kind"] == "appeal"]
    assert kept == ["raised", "reminded", "overdue"]
    # Its newest records are of tomorrow, which its witness has seen: nothing else is wrong.
    report = check_ledger(town.stage.config, now=Ms(now() + 25 * 3_600_000))
    assert {"dated later than" in one.what for one in report.failures} <= {True}
    assert report.open_debts == 0
