"""A picture that says where it was taken, in an encrypted room."""

from __future__ import annotations

from pathlib import Path

import pytest
from nio.crypto.attachments import encrypt_attachment

from bridge.demo.officer import Officer
from bridge.model import EventId, RoomId
from tests.acceptance.town import Kept, Town
from tests.pictures import photo, plain_photo

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def shows(officer: Officer, room: RoomId, file: bytes) -> EventId:
    """Send an encrypted picture, as clients do."""
    sealed, keys = encrypt_attachment(file)
    place = {**keys, "url": await officer.api.upload(sealed)}
    content = {"msgtype": "m.image", "body": "IMG_2211.jpg", "file": place}
    return await officer.send(room, {**content, "info": {"mimetype": "image/jpeg"}})


def verdicts(kept: list[Kept]) -> list[tuple[object, object]]:
    return [(r.header["action"], r.header["rule"]) for r in kept if r.header["kind"] == "verdict"]


async def test_who_shows_where_a_photograph_was_taken_is_told_in_private(town: Town) -> None:
    femi, room = town.stage.officers["femi"], town.stage.social("Response B")
    dull = await shows(femi, room, plain_photo())
    event = await shows(femi, room, photo())
    assert await town.noted(femi, 1, "This may belong in")
    await town.heard(dull)
    await town.settled(femi, town.stage.officers["ewa"], room=room)
    assert verdicts(town.kept_of(dull)) == []
    kept = town.kept_of(event)
    assert verdicts(kept) == [("nudge", "picture.position")]
    assert [r.header["kind"] for r in kept if r.header["kind"] in {"media", "verdict"}] == [
        "media",
        "verdict",
    ], "the file is on record before it is judged"
    assert event not in town.stage.officers["ewa"].phone.removed
    assert town.sound()


@pytest.mark.slow
async def test_where_the_policy_says_so_it_is_moved_and_nothing_of_it_lies_on_the_disk(
    town: Town,
) -> None:
    pictures = town.stage.config.policies / "rules" / "pictures.yaml"
    plain = pictures.read_text(encoding="utf-8")
    strict = plain.replace("mode: nudge", "mode: enforce").replace("base: 45", "base: 75")
    await town.bot_stops()
    pictures.write_text(strict, encoding="utf-8")
    try:
        await town.bot_runs()
        secret = photo(padding=9_000)
        event = await shows(town.asha, town.social, secret)
        assert await town.gone(event)
        await town.quiet()
        assert verdicts(town.kept_of(event)) == [("redirect", "picture.position")]
        assert await town.ben.until(
            lambda phone: any(
                m.room == town.secure and m.media and "IMG_2211.jpg" in m.body
                for m in phone.messages.values()
            )
        )
        await town.bot_stops()
        folder: Path = town.stage.force.folder
        ours = [
            *(folder / "state").rglob("*"),
            *(folder / "ledger").rglob("*"),
        ]
        needle = secret[20:90]
        assert not [one for one in ours if one.is_file() and needle in one.read_bytes()]
    finally:
        await town.bot_stops()
        pictures.write_text(plain, encoding="utf-8")
        await town.bot_runs()
    assert town.sound()
