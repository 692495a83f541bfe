"""What officers type, on a real homeserver with encrypted clients."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from pathlib import Path

import pytest

from bridge.cli.main import main
from bridge.demo.force import BOT
from bridge.demo.officer import Officer
from bridge.model import EventId, Message, RoomId
from bridge.secret import write_secret
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def answered(town: Town, officer: Officer, words: str) -> Message:
    """Wait for a private answer with these words; return the newest."""
    found = await officer.until(lambda _: bool(town.notes(officer, words)))
    assert found, [note.body for note in town.notes(officer)]
    return town.notes(officer, words)[-1]


async def reply(officer: Officer, room: RoomId, to: EventId, text: str) -> EventId:
    relation = {"m.in_reply_to": {"event_id": to}}
    return await officer.send(room, {"msgtype": "m.text", "body": text, "m.relates_to": relation})


async def direct(town: Town, officer: Officer) -> RoomId:
    """The room of the bot and *officer*, made by asking something in the social room."""
    await officer.say(town.social, "!help")
    room = (await answered(town, officer, "You can type")).room
    await officer.enter(room)
    return room


async def test_help_typed_in_a_room_is_answered_in_a_direct_room_and_there_too(town: Town) -> None:
    room = await direct(town, town.chloe)
    assert room not in town.stage.rooms.values()
    before = len(town.notes(town.chloe, "You can type"))
    await town.chloe.say(room, "Blue Lamp: ! HELP")
    assert await town.noted(town.chloe, before + 1, "You can type")
    note = town.notes(town.chloe, "You can type")[-1]
    assert json.loads(note.content)["msgtype"] == "m.notice", "an answer makes no sound"
    assert "<code>!why</code>" in json.loads(note.content)["formatted_body"]


async def test_privacy_tells_what_holds_in_this_room_now(town: Town) -> None:
    await town.asha.say(town.social, "!privacy")
    told = await answered(town, town.asha, "Looked for:")
    assert "Response A social" in told.body
    assert "30 days" in told.body
    assert "90 days" in told.body


async def test_why_is_answered_by_reply_to_the_note_the_copy_and_the_removed_message(
    town: Town,
) -> None:
    words = f"{plate()} is at the address"
    before, told_before = (
        len(town.notes(town.asha, said)) for said in ("is now in", "was moved to Response A secure")
    )
    event = await town.asha.say(town.social, words)
    assert await town.gone(event)
    assert await town.noted(town.asha, before + 1, "is now in")
    note = town.notes(town.asha, "is now in")[-1]
    await town.asha.enter(note.room)
    assert await town.copied(words)
    copy = town.copies(words)[-1]
    for count, (room, to) in enumerate(
        [(note.room, note.event_id), (town.secure, copy.event_id), (town.social, event)],
        told_before + 1,
    ):
        await reply(town.asha, room, to, "!why")
        assert await town.noted(town.asha, count, "was moved to Response A secure")
    told = town.notes(town.asha, "was moved to")[-1].body
    assert words not in told
    assert words.partition(" is")[0] not in told
    await reply(town.ben, town.secure, copy.event_id, "!why")
    assert await answered(town, town.ben, "I can tell its sender")


async def test_an_edited_command_is_answered_once(town: Town) -> None:
    before = len(town.notes(town.ben))
    event = await town.ben.say(town.social, "!hlep")
    assert await answered(town, town.ben, "Did you mean !help?")
    await town.ben.edit(town.social, event, "!help")
    await town.ben.say(town.social, "!privacy")
    assert await answered(town, town.ben, "Looked for:")
    await town.settled()
    assert len(town.notes(town.ben)) == before + 2


async def test_a_decision_in_the_secure_room_is_on_record_with_its_number(town: Town) -> None:
    words = f"no pursuit of {plate()} above 50"
    event = await town.asha.say(town.secure, f"!decision {words}")

    def told(message: Message) -> bool:
        return message.room == town.secure and "of this room is on record" in message.body

    assert await town.ben.until(lambda phone: any(map(told, phone.messages.values())))
    said = next(m for m in town.ben.phone.messages.values() if told(m))
    assert said.sender == BOT
    await town.quiet()
    minute = next(r for r in town.ledger() if r.header["kind"] == "minute"
                  and r.inside["event_id"] == event)  # fmt: skip
    assert minute.inside["words"] == words
    assert str(minute.header["rid"]) in said.body
    assert f"Decision {minute.inside['number']} " in said.body
    assert town.sound()


async def test_a_report_typed_among_colleagues_is_taken_out_and_not_copied(town: Town) -> None:
    words = "somebody looked their neighbour up"
    event = await town.asha.say(town.social, f"!report {words}")
    assert await town.gone(event)
    told = await answered(town, town.asha, "You typed !report in Response A social")
    assert words not in told.body
    await town.settled()
    assert town.copies(words) == []
    assert "m.room.message" not in str((await town.content(town.social, event)).keys())


async def test_where_no_report_can_be_made_its_words_are_not_kept(town: Town) -> None:
    room = await direct(town, town.asha)
    words = "a report about nobody in particular"
    event = await town.asha.say(room, f"!report {words}")
    assert await answered(town, town.asha, "Reports cannot be taken here")
    assert await town.asha.until(lambda phone: event in phone.removed)
    await town.quiet()
    kept = [record for record in town.ledger() if words in json.dumps(record.inside)]
    assert kept == []
    assert words not in town.stage.bot.log.read_text(encoding="utf-8", errors="replace")
    assert town.sound()


@pytest.mark.slow
async def test_a_report_opens_with_professional_standards_key_and_with_no_other(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Set up with the command line, reported from a phone, opened with their vault alone."""
    config, people = town.stage.config.path, town.stage.config.people
    before = {path: path.read_text(encoding="utf-8") for path in (config, people)}
    write_secret(tmp_path / "passphrase", secrets.token_urlsafe(12))
    keys = ["--vault", str(tmp_path / "vault"), "--share", str(tmp_path / "share")]
    secret = ["--passphrase-file", str(tmp_path / "passphrase")]
    init = [
        "-c", str(config), "keys", "init", "--name", "standards", "--professional-standards",
        *keys, *secret, "--months", "2", "--certificates", str(tmp_path / "standards.json"),
    ]  # fmt: skip
    assert await asyncio.to_thread(main, init) == 0
    lines = re.findall(r"^(?:professional_standards:|  \w+: .*)$", capsys.readouterr().out, re.M)
    block = "\n".join(lines).replace("who they are to officers", "Standards, ext. 1")
    gwen = f"{town.gwen.user},Sgt Gwen Price,2207,,Sgt,,"
    await town.bot_stops()
    config.write_text(f"{before[config]}{block}\n", encoding="utf-8")
    people.write_text(
        before[people].replace(f"{gwen},", f"{gwen}gwen,professional-standards"), encoding="utf-8"
    )
    try:
        assert await asyncio.to_thread(main, ["-c", str(config), "check"]) in {0, 2}
        assert "reports go to Standards, ext. 1" in capsys.readouterr().out
        await town.bot_runs()
        room = await direct(town, town.asha)
        words = f"somebody looked their neighbour up, {secrets.token_hex(4)}"
        event = await town.asha.say(room, f"!report {words}")
        told = await answered(town, town.asha, "This goes to Standards, ext. 1 only")
        assert words not in told.body
        assert await town.asha.until(lambda phone: event in phone.removed)
        notice = await answered(town, town.gwen, "There is a report for you")
        assert town.asha.user not in notice.body
        assert words not in notice.body
        rid = re.findall(r"rid:([0-9a-f]{32})", notice.body)[0]
        await town.quiet()
        kept = [record for record in town.ledger() if words in json.dumps(record.inside)]
        assert kept == [], "no custodian reads it"
        look = ["-c", str(config), "ledger", "open", "--as", "professional-standards", *keys,
                *secret, "--scope", f"rid:{rid}", "--purpose", "a report"]  # fmt: skip
        assert await asyncio.to_thread(main, look) == 0
        opened = json.loads(capsys.readouterr().out.splitlines()[-1])["opened"]
        assert opened["words"] == words
        assert opened["sender"] == town.asha.user
        force = town.stage.force
        theirs = ["--vault", str(force.vault), "--share", str(force.share)]
        assert await asyncio.to_thread(main, [
            "-c", str(config), "ledger", "open", "--as", "professional-standards", *theirs,
            "--passphrase-file", str(force.passphrase), "--scope", f"rid:{rid}", "--purpose", "x",
        ]) == 3  # fmt: skip
        assert town.sound()
    finally:
        await town.bot_stops()
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
