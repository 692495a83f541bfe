"""Everything a message can carry, and whether everything was heard."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from nio.crypto.attachments import decrypt_attachment, encrypt_attachment

from bridge.cli.main import main
from bridge.demo.officer import Officer
from bridge.matrix.api import quote
from bridge.model import EventId, Ms, RoomId
from bridge.running.app import compare_coverage
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40 + b"\x00\x00"


async def attachment(officer: Officer, name: str, caption: str = "") -> dict[str, object]:
    """Upload an encrypted picture with an encrypted thumbnail; return its message."""
    places = []
    for raw in (PICTURE, PICTURE[:500]):
        sealed, keys = encrypt_attachment(raw)
        places.append({**keys, "url": await officer.api.upload(sealed)})
    info = {"mimetype": "image/png", "size": len(PICTURE), "thumbnail_file": places[1]}
    content: dict[str, object] = {"msgtype": "m.image", "body": caption or name, "info": info}
    return {**content, "file": places[0], "filename": name}


async def download(officer: Officer, file: dict[str, object]) -> bytes:
    url = str(file["url"]).removeprefix("mxc://")
    sealed = await officer.api.download(
        f"/_matrix/client/v1/media/download/{url}", most_bytes=10_000_000
    )
    key, hashes = file["key"], file["hashes"]
    assert isinstance(key, dict)
    assert isinstance(hashes, dict)
    return bytes(decrypt_attachment(sealed, key["k"], hashes["sha256"], file["iv"]))


async def test_a_picture_with_an_operational_caption_is_moved_with_its_thumbnail(
    town: Town,
) -> None:
    """It lies in the secure room under fresh keys, and its ciphertext is in the record."""
    caption = f"{plate()} outside 14 Acacia Avenue"
    message = await attachment(town.asha, "IMG_2211.png", caption)
    event = await town.asha.send(town.social, message)
    assert await town.gone(event)
    assert await town.copied(caption)

    def files(phone: object) -> list[dict[str, object]]:
        return [
            content
            for m in town.ben.phone.messages.values()
            if m.room == town.secure and m.media and (content := json.loads(m.content))
            and content.get("filename") == "IMG_2211.png"
        ]  # fmt: skip

    assert await town.ben.until(lambda phone: bool(files(phone)))
    (copy,) = files(None)
    file, info = copy["file"], copy["info"]
    assert isinstance(file, dict)
    assert isinstance(info, dict)
    assert file["url"] != message["file"]["url"]  # type: ignore[index]
    assert await download(town.ben, file) == PICTURE
    assert await download(town.ben, info["thumbnail_file"]) == PICTURE[:500]
    await town.quiet()
    kept = town.kept_of(event)
    sizes = sorted(r.inside["bytes"] for r in kept if r.header["kind"] == "media")  # type: ignore[type-var]
    assert sizes == [500, len(PICTURE)]


async def test_a_picture_of_a_cake_stays_and_is_kept(town: Town) -> None:
    event = await town.asha.send(town.social, await attachment(town.asha, "cake.png"))
    assert await town.ben.until(lambda phone: event in phone.messages)
    await town.heard(event)
    await town.settled()
    assert event not in town.ben.phone.removed
    kinds = [r.header["kind"] for r in town.kept_of(event)]
    assert kinds.count("media") == 2


@pytest.mark.parametrize(
    "where", ["filename", "poll", "poll answer", "location", "nameless", "odd body"]
)
async def test_words_are_found_wherever_a_client_would_show_them(town: Town, where: str) -> None:
    words = f"{plate()} outside the address"
    start = "org.matrix.msc3381.poll.start"
    text = "org.matrix.msc1767.text"
    contents: dict[str, tuple[str, dict[str, object]]] = {
        "filename": ("m.room.message", {"msgtype": "m.file", "body": "see", "filename": words}),
        "poll": (start, {start: {"question": {text: words}, "answers": []}, text: "poll"}),
        "poll answer": (
            start,
            {start: {"question": {text: "?"}, "answers": [{"id": "1", text: words}]}},
        ),
        "location": (
            "m.room.message",
            {"msgtype": "m.location", "body": "here", "geo_uri": "geo:51.5,-0.1",
             "org.matrix.msc3488.location": {"uri": "geo:51.5,-0.1", "description": words}},
        ),
        "nameless": ("m.room.message", {"body": words}),
        "odd body": ("m.room.message", {"msgtype": "m.text", "body": [words], "format": 5}),
    }  # fmt: skip
    kind, content = contents[where]
    event = await town.asha.send(town.social, content, kind=kind)
    assert await town.gone(event), where
    assert await town.copied(words)


async def test_words_in_a_reaction_are_taken_out_and_a_thumb_is_left(town: Town) -> None:
    event = await town.asha.say(town.social, "cake at three?")
    thumb = await town.asha.react(town.social, event, "👍")
    words = await town.asha.react(town.social, event, f"{plate()} at the address")
    assert await town.gone(words)
    await town.settled()
    assert not {event, thumb} & town.ben.phone.removed.keys()


async def test_somebody_elses_ciphertext_posted_again_is_captured_and_referred(
    town: Town,
) -> None:
    """Its sender is as the server presents them; who wrote it does not add up."""
    event = await town.asha.say(town.social, "who wants chips?")
    assert await town.ben.until(lambda phone: event in phone.messages)
    content = (await town.chloe.fetch(town.social, event))["content"]
    path = f"/_matrix/client/v3/rooms/{quote(town.social)}/send/m.room.encrypted/again"
    again = EventId((await town.chloe.api.call("PUT", path, dict(content)))["event_id"])
    assert await town.gwen.until(
        lambda phone: any("as presented by the server" in m.body for m in phone.messages.values())
    )
    await town.quiet()
    kept = town.kept_of(again)
    assert kept[0].inside["doubt"] == "its ciphertext was posted before, as another event"
    assert kept[1].header["rule"] == "builtin:doubtful"
    assert town.kept_of(event)[0].inside["doubt"] == ""


async def test_an_upgraded_room_is_followed(town: Town) -> None:
    """The new room has the old one's class, from its first message."""
    bot = town.stage.bot
    old = town.stage.rooms["response-b-social"]
    dan, ewa, femi = (town.stage.officers[name] for name in ("dan", "ewa", "femi"))
    from bridge.running.app import _as_bot  # noqa: PLC0415 - as the bot, for this once

    async with await _as_bot(town.stage.config) as api:
        answer = await api.call(
            "POST", f"/_matrix/client/v3/rooms/{quote(old)}/upgrade", {"new_version": "12"}
        )
        new = RoomId(answer["replacement_room"])
        for officer in (dan, ewa, femi):
            await api.call(
                "POST", f"/_matrix/client/v3/rooms/{quote(new)}/invite", {"user_id": officer.user}
            )
    for officer in (dan, ewa, femi):
        await officer.enter(new)
    town.stage.rooms["response-b-social"] = new  # where the stories after this one go on
    words = f"{plate()} at the address, in the new room"
    event = await dan.say(new, words)
    assert await ewa.until(lambda phone: event in phone.removed)
    assert await town.gwen.until(
        lambda phone: any("was upgraded" in m.body for m in phone.messages.values())
    )
    await town.bot_stops()
    await town.bot_runs()
    event = await dan.say(new, f"{words} again")
    assert await ewa.until(lambda phone: event in phone.removed), "also after a restart"
    assert bot.running


async def test_nothing_that_the_server_has_was_missed(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """All the stories so far, kills and restarts included."""
    femi = town.stage.officers["femi"]
    await town.settled(femi, room=town.stage.social("Response B"))
    await town.settled()
    found = await compare_coverage(town.stage.config, Ms(0))
    assert found.served > 100
    assert [(day.room, day.missed) for day in found.days if day.missed] == []
    assert found.closed == {}
    code = await asyncio.to_thread(main, ["-c", str(town.stage.config.path), "coverage"])
    assert code in {0, 2}
    said = re.search(r"missed 0 of (\d+)", capsys.readouterr().out)
    assert said is not None
    assert int(said[1]) >= found.served
