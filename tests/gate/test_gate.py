"""Stopped before it is delivered: on a real homeserver, in encrypted rooms, through our module."""

from __future__ import annotations

import json

import pytest

from bridge.demo.officer import Phone
from bridge.errors import NotPermitted
from bridge.matrix.api import quote
from bridge.model import EventId
from bridge.running.doctor import examine
from tests.acceptance.town import plate
from tests.gate.conftest import Gated

pytestmark = pytest.mark.asyncio(loop_scope="session")


def drawn(phone: Phone, words: str, room: str) -> bool:
    return any(words in m.body and m.room == room for m in phone.messages.values())


async def test_what_belongs_elsewhere_reaches_nobody_and_is_moved_and_explained(
    gated: Gated,
) -> None:
    words = f"{plate()} has just left 14 Acacia Avenue"
    before = len(gated.notes(gated.asha, "was not delivered to Response A social"))
    event = await gated.asha.say(gated.social, words)
    assert await gated.copied(words)
    assert await gated.noted(gated.asha, before + 1, "was not delivered to Response A social")
    await gated.quiet()
    assert not drawn(gated.ben.phone, words, gated.social)
    note = gated.notes(gated.asha, "was not delivered")[-1]
    assert "it is now in Response A secure, under your name" in note.body
    assert "not a conduct finding" in note.body
    assert words.split()[1] not in note.body
    # What was delivered instead says nothing, and is gone as well.
    assert await gated.gone(event)
    assert await gated.content(gated.social, event) == {}
    after = await gated.asha.say(gated.social, "who brings the milk?")
    assert await gated.ben.until(lambda phone: after in phone.messages)
    assert gated.sound()


async def test_no_table_of_the_server_holds_what_was_stopped(gated: Gated) -> None:
    words = f"CAD 2210, {plate()} is outside the address now"
    content = {"msgtype": "m.text", "body": words}
    sealed = await gated.ben.transport.client.seal(gated.social, "m.room.message", content)
    path = f"/_matrix/client/v3/rooms/{quote(gated.social)}/send/m.room.encrypted/gate-1"
    answer = await gated.ben.api.call("PUT", path, sealed)
    assert await gated.copied(words)
    ciphertext = str(sealed["ciphertext"])[:60]
    assert gated.rows(ciphertext) == 0
    again = await gated.ben.api.call("PUT", path, sealed)
    assert again["event_id"] == answer["event_id"], "the same transaction is the same event"
    await gated.quiet()
    assert len(gated.copies(words)) == 1


async def test_it_is_on_record_first_as_evidence_and_with_the_same_verdict(gated: Gated) -> None:
    reg = plate()
    words = f"{reg} has just left the address"
    event = await gated.asha.say(gated.social, words)
    assert await gated.copied(words)
    await gated.quiet()
    kept = [r for r in gated.ledger() if words in json.dumps(r.inside.get("content", ""))]
    (message,) = [r for r in kept if r.inside.get("room") == gated.social]
    assert message.inside["origin"] == "stopped at the gate"
    assert message.inside["event_id"] != event, "the server knows another event"
    assert str(message.header["bucket"]).startswith("operational-")
    verdict = next(r for r in gated.ledger() if r.header.get("ref") == message.header["rid"]
                   and r.header["kind"] == "verdict")  # fmt: skip
    assert (verdict.header["action"], bool(verdict.header["rule"])) == ("redirect", True)


async def test_a_message_under_brand_new_keys_is_stopped_too(gated: Gated) -> None:
    gated.asha.transport.client.olm.outbound_group_sessions.pop(gated.social, None)
    words = f"{plate()} is back at the address"
    event = await gated.asha.say(gated.social, words)
    assert await gated.copied(words)
    assert await gated.gone(event)
    assert not drawn(gated.ben.phone, words, gated.social)


async def test_the_same_slip_twenty_times_is_moved_once_and_explained_twice(gated: Gated) -> None:
    words = f"{plate()} has just left the address, obs still on"
    before = len(gated.notes(gated.chloe))
    for _ in range(20):
        await gated.chloe.say(gated.social, words)
    assert await gated.copied(words)
    await gated.settled(gated.ben, gated.chloe)
    assert len(gated.copies(words)) == 1
    assert len(gated.notes(gated.chloe)) == before + 2
    assert len(gated.notes(gated.chloe, "You have sent that again")) == 1
    assert not drawn(gated.ben.phone, words, gated.social)


async def test_a_stopped_edit_leaves_the_message_as_it_was(gated: Gated) -> None:
    event = await gated.asha.say(gated.social, "who wants tea?")
    assert await gated.ben.until(lambda phone: event in phone.messages)
    words = f"{plate()} is at 9 Mill Lane"
    edit = await gated.asha.edit(gated.social, event, words)
    assert await gated.copied(words)
    assert await gated.gone(edit)
    await gated.settled()
    assert event not in gated.ben.phone.removed
    assert (await gated.content(gated.social, event)) != {}


async def test_ordinary_chat_passes_and_is_judged_once(gated: Gated) -> None:
    event = await gated.asha.say(gated.social, "stuck behind a tractor, 5 mins late")
    assert await gated.ben.until(lambda phone: event in phone.messages)
    await gated.heard(event)
    await gated.settled()
    kept = [r for r in gated.ledger() if r.inside.get("event_id") == event]
    assert [(r.header["kind"], r.header["action"]) for r in kept] == [("message", "allow")]


async def test_without_the_bot_it_is_delivered_and_moved_afterwards(gated: Gated) -> None:
    await gated.bot_stops()
    words = f"{plate()} has just left the address"
    before = len(gated.notes(gated.asha, "Colleagues may have seen it"))
    event = await gated.asha.say(gated.social, words)
    assert await gated.ben.until(lambda phone: event in phone.messages), "the room goes on"
    await gated.bot_runs()
    assert await gated.copied(words)
    assert await gated.gone(event)
    assert await gated.noted(gated.asha, before + 1, "Colleagues may have seen it")


@pytest.mark.slow
async def test_a_rehearsal_stops_nothing_and_its_record_says_what_would_have_been(
    gated: Gated,
) -> None:
    await gated.bot_stops()
    await gated.stage.bot.start(also=("--rehearse",))
    words = f"{plate()} has just left the address"
    event = await gated.asha.say(gated.social, words)
    assert await gated.ben.until(lambda phone: event in phone.messages)
    await gated.heard(event)
    kept = [r for r in gated.ledger() if r.inside.get("event_id") == event]
    assert kept[0].inside["origin"] == "would have been stopped at the gate"
    await gated.quiet()
    await gated.bot_stops()
    await gated.bot_runs()
    await gated.settled()
    assert not gated.copies(words)
    assert event not in gated.ben.phone.removed


async def test_nothing_unencrypted_gets_into_an_encrypted_room(gated: Gated) -> None:
    path = f"/_matrix/client/v3/rooms/{quote(gated.social)}/send/m.room.message/plain-1"
    with pytest.raises(NotPermitted, match="is encrypted, and this message was not"):
        await gated.asha.api.call("PUT", path, {"msgtype": "m.text", "body": "hello"})


async def test_nobody_loosens_a_room_and_nobody_asks_strangers_in(gated: Gated) -> None:
    room = quote(gated.social)
    path = f"/_matrix/client/v3/rooms/{room}/state/m.room.history_visibility/"
    with pytest.raises(NotPermitted, match="looked after by Blue Lamp"):
        await gated.gwen.api.call("PUT", path, {"history_visibility": "world_readable"})
    path = f"/_matrix/client/v3/rooms/{room}/invite"
    for stranger in ("@eve:elsewhere.example", "@ewa:force.example"):
        with pytest.raises(NotPermitted):
            await gated.gwen.api.call("POST", path, {"user_id": stranger})


async def test_who_replays_a_colleagues_ciphertext_makes_no_evidence(gated: Gated) -> None:
    content = {"msgtype": "m.text", "body": "see you at eight"}
    sealed = await gated.ben.transport.client.seal(gated.social, "m.room.message", content)
    path = f"/_matrix/client/v3/rooms/{quote(gated.social)}/send/m.room.encrypted"
    await gated.ben.api.call("PUT", f"{path}/own-1", sealed)
    answer = await gated.asha.api.call("PUT", f"{path}/replay-1", sealed)
    await gated.heard(EventId(answer["event_id"]))
    kept = [r for r in gated.ledger() if r.inside.get("event_id") == answer["event_id"]]
    assert kept, "it was delivered, recorded and doubted"
    assert any(r.header.get("referrals") for r in kept)
    assert not any(r.inside.get("origin") for r in kept)


async def waiting(gated: Gated) -> str:
    """How many messages wait for a key, as the bot says."""
    status = await gated.stage.bot.status()
    return next(part for part in status.split("; ") if part.endswith("messages wait for a key"))


async def test_a_mark_that_a_member_made_up_is_no_alarm(gated: Gated) -> None:
    create = f"${gated.social[1:]}"  # as room version 12 has it
    forged = {"m.relates_to": {"rel_type": "m.replace", "event_id": create},
              "uk.police.gate": "stopped"}  # fmt: skip
    path = f"/_matrix/client/v3/rooms/{quote(gated.social)}/send/m.room.encrypted/forged-1"
    before = await waiting(gated)
    answer = await gated.asha.api.call("PUT", path, forged)
    assert await gated.gone(EventId(answer["event_id"]))
    await gated.heard(EventId(answer["event_id"]))
    assert await waiting(gated) == before


async def test_the_doctor_says_that_the_gate_is_there_and_when_it_is_not_answered(
    gated: Gated,
) -> None:
    config = gated.stage.config

    async def said() -> dict[str, str]:
        return {one.words: one.sign.value async for one in examine(config)}

    found = await said()
    assert set(found.values()) == {"good"}, found
    assert any(words.startswith("The gate's module asks the bot") for words in found)
    assert any("signed by its own identity" in words for words in found)
    await gated.bot_stops()
    found = await said()
    bad = [words for words, sign in found.items() if sign == "bad"]
    assert any("the bot does not answer it" in words for words in bad)
    assert any("The bot is not running" in words for words in bad)
    await gated.bot_runs()
