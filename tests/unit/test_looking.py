"""What a picture says of itself counts like a word of its sender, after it has come."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from nio.crypto.attachments import encrypt_attachment
from structlog.testing import capture_logs

from bridge.detect.position import position_of, spelt
from bridge.errors import NotFound, TransportError
from bridge.matrix import media
from bridge.model import Action, Kind, Media, Message, RoomClass
from bridge.policy.load import load
from bridge.running.shelf import read_files
from bridge.way.looking import MOST_BYTES, Looker
from tests.making import SECURE, SOCIAL, say
from tests.pictures import photo, plain_photo
from tests.unit.test_pipeline import OPERATIONAL, POLICY, ROOMS, World

URL = "mxc://force.example/pic"
STRICT = {
    **read_files(Path(__file__).parents[2] / "policies"),
    "rules/pictures.yaml": (Path(__file__).parents[2] / "policies/rules/pictures.yaml")
    .read_bytes()
    .replace(b"mode: nudge", b"mode: enforce")
    .replace(b"base: 45", b"base: 75"),
}


def picture(event: str, words: str = "", *, url: str = URL) -> Message:
    said = say(event, words, kind=Kind.MEDIA)
    return replace(said, media=(Media(part="file", url=url),))


class Album(World):
    """A world whose settler looks into pictures."""

    def __init__(self, file: bytes = b"", *, strict: bool = False) -> None:
        super().__init__()
        self.transport.files[URL] = file or photo()
        if strict:
            policy = load(STRICT)
            self.pipeline.policy = lambda: policy
        looker = Looker(
            transport=self.transport, reconsider=self.pipeline.reconsider, patience_s=120.0
        )
        self.settler.look = looker.look

    async def shows(self, message: Message) -> list[tuple[str, str]]:
        """Have it said; return what was decided about it: (action, rule)."""
        await self.hear_and_settle(message)
        await self.settler.settle_once()
        await self.settler.settle_once()
        return [(str(h["action"]), str(h["rule"])) for k, h, _ in self.ledger() if k == "verdict"]


async def test_a_photograph_with_a_position_has_its_sender_told_after_it_has_come() -> None:
    world = Album()
    assert await world.shows(picture("$a")) == [("nudge", "picture.position")]
    assert world.kinds() == ["message", "debt", "outcome", "media", "verdict", "debt", "outcome"]
    assert len(world.done()) == 1
    _, _, inside = next(one for one in world.ledger() if one[0] == "verdict")
    assert inside["findings"][0]["part"] == "picture"  # type: ignore[index]
    assert "53.8" not in json.dumps([one[2] for one in world.ledger()]), "where is nowhere said"


async def test_where_the_policy_says_so_it_is_moved() -> None:
    world = Album(strict=True)
    assert await world.shows(picture("$a", "look at this")) == [("redirect", "picture.position")]
    assert [room for what, room in world.done() if what == "posted"][:2] == [SECURE, SECURE]
    assert ("removed", "$a") in world.done()
    assert await world.store.owed() == ()


@pytest.mark.parametrize(
    "file",
    [
        plain_photo(),
        photo(36.72, -4.42),
        photo(0.0, 0.0),
        b"",
        b"\xff\xd8\xff\xe1",
        photo()[:60],
        b"GIF89a" + photo(),
    ],
)
async def test_a_picture_that_says_nothing_that_is_looked_for_stays_as_it_was(file: bytes) -> None:
    assert await Album(file or b"\0").shows(picture("$a")) == []


async def test_who_was_moved_already_is_not_judged_again() -> None:
    world = Album()
    ((action, _),) = await world.shows(picture("$a", OPERATIONAL))
    assert action == "redirect"


async def test_a_room_where_it_is_at_home_is_not_looked_into() -> None:
    assert await Album(strict=True).shows(replace(picture("$a"), room=SECURE)) == []


async def test_the_bots_own_pictures_are_not_looked_into() -> None:
    world = Album(strict=True)
    assert await world.shows(replace(picture("$a"), sender=world.transport.user)) == []


async def test_an_edit_that_brings_a_picture_takes_what_it_edits_along() -> None:
    world = Album(strict=True)
    await world.hear_and_settle(say("$a", "look"))
    await world.shows(replace(picture("$b"), replaces=say("$a").event_id))
    assert {("removed", "$a"), ("removed", "$b")} <= set(world.done())


async def test_an_edit_of_somebody_elses_message_takes_nothing_of_theirs_along() -> None:
    world = Album(strict=True)
    await world.hear_and_settle(replace(say("$a", "look"), sender="@ben:force.example"))  # type: ignore[arg-type]
    await world.shows(replace(picture("$b"), replaces=say("$a").event_id))
    assert ("removed", "$b") in world.done()
    assert ("removed", "$a") not in world.done()


async def test_a_file_that_does_not_decrypt_changes_nothing_and_no_words_are_logged() -> None:
    world = Album()

    def fault(name: str) -> tuple[bool, TransportError | None]:
        return True, NotFound("cake at ours") if name == "unsealed" else None

    world.transport.fault = fault
    with capture_logs() as logs:
        assert await world.shows(picture("$a")) == []
    assert world.kinds().count("media") == 1
    assert await world.store.owed() == ()
    assert any(entry["event"] == "file.not_looked_into" for entry in logs)
    assert "cake at ours" not in json.dumps(logs, default=str)


async def test_what_takes_too_long_or_is_too_long_is_left() -> None:
    world = Album()

    async def never(_: Message) -> list[object]:
        await asyncio.Event().wait()
        return []

    looker = Looker(transport=world.transport, reconsider=never, patience_s=0.01)  # type: ignore[arg-type]
    world.settler.look = looker.look
    assert await world.shows(picture("$a")) == []
    world = Album(photo() + bytes(MOST_BYTES))
    assert await world.shows(picture("$a")) == []
    assert world.kinds().count("media") == 1, "it is kept all the same"


async def test_the_same_after_a_crash_before_the_file_was_fetched() -> None:
    world = Album()
    await world.hear(picture("$a"))
    world.restart()
    looker = Looker(
        transport=world.transport, reconsider=world.pipeline.reconsider, patience_s=120.0
    )
    world.settler.look = looker.look
    for _ in range(3):
        await world.settler.settle_once()
    assert [h["rule"] for k, h, _ in world.ledger() if k == "verdict"] == ["picture.position"]


def test_what_is_said_of_a_position_is_what_the_shipped_rule_looks_for_and_no_other() -> None:
    found = position_of(photo())
    assert found is not None
    message = replace(picture("$a"), extra=(("picture", spelt(found)),))
    verdict = POLICY.judge(message, RoomClass.SOCIAL)
    assert verdict.action is Action.NUDGE
    assert {one.rule for one in verdict.findings} == {"picture.position"}
    assert ROOMS[SOCIAL].cls is RoomClass.SOCIAL


@pytest.mark.parametrize("edited", [False, True])
def test_a_file_is_opened_with_the_key_that_its_message_has_for_it(edited: bool) -> None:
    sealed, keys = encrypt_attachment(photo())
    small, other = encrypt_attachment(b"thumbnail")
    said = {
        "file": {**keys, "url": URL},
        "info": {"thumbnail_file": {**other, "url": f"{URL}-small"}},
    }
    content = json.dumps({"m.new_content": said} if edited else said).encode()
    assert media.unsealed(content, URL, sealed) == photo()
    assert media.unsealed(content, f"{URL}-small", small) == b"thumbnail"
    with pytest.raises(NotFound):
        media.unsealed(content, URL, small)
    assert media.unsealed(b'{"url": "mxc://a/b"}', "mxc://a/b", b"plain") == b"plain"


@pytest.mark.parametrize(
    "content",
    [
        {"file": {"url": URL}},
        {"file": {"url": URL, "key": 3, "iv": "", "hashes": []}},
        {"file": {"url": URL, "key": {"k": "=="}, "iv": "x", "hashes": {"sha256": "y"}}},
        {"info": {"thumbnail_file": {"url": URL, "key": None}}},
    ],
)
def test_keys_that_are_none_are_refused_as_not_found(content: dict[str, object]) -> None:
    with pytest.raises(NotFound):
        media.unsealed(json.dumps(content).encode(), URL, b"sealed")
