"""The past of a room, offered by whoever invites us (MSC4268)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from nio.crypto.attachments import encrypt_attachment

from bridge.errors import StoreError, TransportError
from bridge.matrix.api import Api
from bridge.matrix.client import Clear, Dark
from bridge.matrix.transport import MatrixTransport
from bridge.model import Cursor, RoomId
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import ANNA, BOT, MALLORY, MEGOLM_, ROOM, Owner, joined, olm, say

URL = "mxc://force.example/bundle"


def bundle(pair: Pair, said: dict[str, Any], **odd: Any) -> tuple[bytes, dict[str, Any]]:
    """Make a bundle with the key of *said*; return what is uploaded, and its `file`."""
    anna = pair.anna.olm
    session_id = said["content"]["session_id"]
    (session,) = anna.inbound_group_store.find(ROOM, session_id)
    key = {
        "algorithm": MEGOLM_,
        "room_id": ROOM,
        "sender_key": session.sender_key,
        "sender_claimed_keys": {"ed25519": session.ed25519},
        "session_id": session_id,
        "session_key": session.export_session(session.first_known_index),
        **odd,
    }
    plain = json.dumps({"room_keys": [5, {}, key, {**key, "session_id": "x"}], "withheld": []})
    sealed, file = encrypt_attachment(plain.encode())
    return sealed, {**file, "url": URL}


def serve(sealed: bytes) -> Callable[[str], Awaitable[bytes]]:
    async def download(url: str) -> bytes:
        assert url == URL
        return sealed

    return download


async def offer(pair: Pair, sealed: bytes, file: dict[str, Any], by: Any = None) -> None:
    pair.bot.bundles.download = serve(sealed)
    content = {"room_id": ROOM, "file": file}
    pair.bot.take_to_device([await olm(by or pair.anna, pair.bot, "m.room_key_bundle", content)])


async def lost(pair: Pair) -> dict[str, Any]:
    said = await say(pair.anna, "before the bot came")
    pair.world.server.mail(BOT, "BOT")
    return said


async def test_the_past_is_opened_and_marked_as_second_hand(pair: Pair) -> None:
    said = await lost(pair)
    await offer(pair, *bundle(pair, said))
    await pair.bot.tend_keys()
    assert pair.bot.take_to_device([]) == {said["content"]["session_id"]}
    assert pair.bot.take_to_device([]) == set()
    clear = pair.bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert clear.content["body"] == "before the bot came"
    assert clear.doubt == f"its key came second-hand from {ANNA}"


async def test_a_key_from_its_maker_clears_the_doubt_and_a_bundle_never_brings_it_back(
    pair: Pair,
) -> None:
    said = await say(pair.anna, "hello")
    mail = pair.world.server.mail(BOT, "BOT")
    await offer(pair, *bundle(pair, said))
    await pair.bot.tend_keys()
    pair.bot.take_to_device(mail)
    await offer(pair, *bundle(pair, said))
    await pair.bot.tend_keys()
    clear = pair.bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert clear.doubt == ""


async def test_a_claimed_maker_of_another_key_is_a_stronger_doubt(pair: Pair) -> None:
    said = await lost(pair)
    await offer(pair, *bundle(pair, said, sender_claimed_keys={"ed25519": "x"}))
    await pair.bot.tend_keys()
    clear = pair.bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert "claims another signing key" in clear.doubt


async def test_an_offer_of_a_device_that_its_owner_did_not_sign_is_refused(pair: Pair) -> None:
    said = await lost(pair)
    Owner(pair.world.server, ANNA)
    pair.bot.take_key_news({"device_lists": {"changed": [ANNA]}})
    await pair.bot.tend_keys()
    await offer(pair, *bundle(pair, said))
    await pair.bot.tend_keys()
    assert isinstance(pair.bot.decrypt(ROOM, said), Dark)
    assert not pair.bot.olm.bundles


async def test_an_offer_of_somebody_who_is_not_in_the_room_is_refused_unless_they_invited_us(
    pair: Pair,
) -> None:
    said = await lost(pair)
    for here in (True, False):
        pair.bot.take_state(ROOM, joined(ANNA, "leave"))
        if here:
            pair.bot.take_state(ROOM, joined(ANNA, "invite"))
        await offer(pair, *bundle(pair, said))
        await pair.bot.tend_keys()
        assert isinstance(pair.bot.decrypt(ROOM, said), Dark)
    invite = {"type": "m.room.member", "state_key": BOT, "sender": ANNA, "content": {}}
    pair.bot.take_invite(ROOM, [{"type": 5}, invite, {"type": "m.room.member"}])
    await offer(pair, *bundle(pair, said))
    await pair.bot.tend_keys()
    assert isinstance(pair.bot.decrypt(ROOM, said), Clear)


async def test_an_offer_waits_for_the_room_that_it_is_about(pair: Pair) -> None:
    said = await lost(pair)
    pair.bot.forget_room(ROOM)
    await offer(pair, *bundle(pair, said))
    await pair.bot.tend_keys()
    for user in (BOT, ANNA):
        pair.bot.take_state(ROOM, joined(user))
    await pair.bot.tend_keys()
    assert isinstance(pair.bot.decrypt(ROOM, said), Clear)


async def test_a_download_that_fails_is_tried_again_three_times(pair: Pair) -> None:
    said = await lost(pair)
    sealed, file = bundle(pair, said)
    await offer(pair, sealed, file)
    tries = 0

    async def fail(url: str) -> bytes:
        nonlocal tries
        tries += 1
        raise TransportError("gone")

    pair.bot.bundles.download = fail
    for _ in range(5):
        await pair.bot.tend_keys()
    assert tries == 3


@pytest.mark.parametrize("break_it", [
    lambda sealed, file: (sealed[:-1] + bytes([sealed[-1] ^ 1]), file),
    lambda sealed, file: (b"", file),
    lambda sealed, file: (sealed, {"url": URL}),
    lambda sealed, file: (sealed, {**file, "key": 5}),
])  # fmt: skip
async def test_a_broken_bundle_opens_nothing(
    pair: Pair, break_it: Callable[[bytes, dict[str, Any]], tuple[bytes, dict[str, Any]]]
) -> None:
    said = await lost(pair)
    await offer(pair, *break_it(*bundle(pair, said)))
    await pair.bot.tend_keys()
    assert isinstance(pair.bot.decrypt(ROOM, said), Dark)
    assert not pair.bot.olm.bundles


async def test_one_persons_offers_do_not_push_out_anothers(pair: Pair) -> None:
    mallory = pair.world.lamp(MALLORY, "EVIL")
    await mallory.tend_keys()
    await pair.world.settle(pair.bot, pair.anna, mallory)
    said = await lost(pair)
    sealed, file = bundle(pair, said)
    await offer(pair, sealed, file)
    for n in range(120):
        content = {"room_id": f"!r{n}", "file": file}
        pair.bot.take_to_device([await olm(mallory, pair.bot, "m.room_key_bundle", content)])
    await pair.bot.tend_keys()
    assert isinstance(pair.bot.decrypt(ROOM, said), Clear)
    await mallory.close()


async def test_an_offer_and_who_invited_us_survive_a_restart(pair: Pair) -> None:
    """Anna invites us, offers the past, and leaves; the bot is killed before it looks."""
    said = await lost(pair)
    invite = {"type": "m.room.member", "state_key": BOT, "sender": ANNA, "content": {}}
    pair.bot.take_invite(ROOM, [invite])
    sealed, file = bundle(pair, said)
    await offer(pair, sealed, file)
    await pair.bot.close()

    bot = pair.bot = pair.world.lamp(BOT, "BOT")
    bot.bundles.download = serve(sealed)
    await pair.world.settle(bot)
    bot.take_state(ROOM, joined(ANNA, "leave"))
    await bot.know([ANNA])
    await bot.tend_keys()
    clear = bot.decrypt(ROOM, said)
    assert isinstance(clear, Clear)
    assert clear.doubt == f"its key came second-hand from {ANNA}"
    await bot.close()

    pair.bot = pair.world.lamp(BOT, "BOT")
    assert not pair.bot.olm.bundles, "once taken up it is forgotten on disk, too"
    assert pair.bot.bundles.inviters == {ROOM: ANNA}
    pair.bot.forget_room(ROOM)
    await pair.bot.close()
    pair.bot = pair.world.lamp(BOT, "BOT")
    assert not pair.bot.bundles.inviters


async def test_what_waits_on_disk_has_the_same_bounds_as_in_memory(pair: Pair) -> None:
    file = {"url": URL}
    for n in range(6):
        content = {"room_id": f"!r{n}", "file": file}
        pair.bot.take_to_device([await olm(pair.anna, pair.bot, "m.room_key_bundle", content)])
    kept = list(pair.bot.olm.bundles)
    assert kept == [(ANNA, f"!r{n}") for n in range(2, 6)]
    await pair.bot.close()
    pair.bot = pair.world.lamp(BOT, "BOT")
    assert list(pair.bot.olm.bundles) == kept
    assert pair.bot.olm.bundles[ANNA, "!r5"].file == file


class Asked(Api):
    """A homeserver that notes how long it may take."""

    polls: list[str]

    async def call(
        self, method: str, path: str, *_: Any, query: Mapping[str, str] | None = None, **__: Any
    ) -> dict[str, Any]:
        self.polls.append((query or {})["timeout"])
        return {"next_batch": "s1"}


async def test_what_a_bundle_opened_does_not_wait_for_a_quiet_poll_to_end(pair: Pair) -> None:
    said = await lost(pair)
    await offer(pair, *bundle(pair, said))
    api = Asked("http://127.0.0.1:9")
    api.polls = []
    transport = MatrixTransport(pair.bot, api, approved=lambda _: False)
    transport._read(RoomId(ROOM), said)
    await transport._sync(Cursor("s0"), full_state=False)
    await pair.bot.tend_keys()
    batch = await transport._take(await transport._sync(Cursor("s0"), full_state=False), None)
    await transport._sync(Cursor("s0"), full_state=False)
    assert api.polls == ["25000", "0", "25000"]
    assert [(one.body, one.late) for one in batch.messages] == [("before the bot came", True)]


async def test_an_invitation_that_no_database_holds_is_passed_over(pair: Pair) -> None:
    for room, sender in (("!\ud800", ANNA), (ROOM, "\ud800"), (ROOM, "@" + "x" * 1000)):
        invite = {"type": "m.room.member", "state_key": BOT, "sender": sender, "content": {}}
        pair.bot.take_invite(room, [invite])
    assert not pair.bot.bundles.inviters
    content = {"room_id": "!\ud800", "file": {"url": URL}}
    pair.bot.olm._take_bundle(ANNA, "key", "key", content)
    assert not pair.bot.olm.bundles


async def test_a_crypto_store_that_fails_with_an_invitation_stops_the_bot(pair: Pair) -> None:
    pair.bot.store.database.execute_sql("DROP TABLE lamp_inviters")
    invite = {"type": "m.room.member", "state_key": BOT, "sender": ANNA, "content": {}}
    with pytest.raises(StoreError, match="crypto store failed"):
        pair.bot.take_invite(ROOM, [invite])
