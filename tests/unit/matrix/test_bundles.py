"""The past of a room, offered by whoever invites us (MSC4268)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nio.crypto.attachments import encrypt_attachment

from bridge.errors import TransportError
from bridge.matrix.client import Clear, Dark
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
    lambda sealed, file: (sealed[:-1] + b"x", file),
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
