"""The main job on a real homeserver, in encrypted rooms, with the bot as its own process."""

from __future__ import annotations

import asyncio

import pytest

from bridge.demo.force import BOT
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_operational_text_is_moved_removed_and_explained(town: Town) -> None:
    """It stands in the secure room under its sender's name, is gone, and its sender was told."""
    words = f"{plate()} has just left 14 Acacia Avenue"
    before = len(town.notes(town.asha, "is now in"))
    event = await town.asha.say(town.social, words)

    assert await town.copied(words)
    assert await town.gone(event)
    assert await town.noted(town.asha, before + 1, "is now in")
    (copy,) = town.copies(words)
    assert copy.body.startswith("PC Asha Khan wrote in Response A social at ")
    note = town.notes(town.asha, "is now in")[-1]
    assert "is now in Response A secure, under your name" in note.body
    assert "not a conduct finding" in note.body
    assert words.split()[1] not in note.body
    assert await town.content(town.social, event) == {}


async def test_everything_is_on_record_before_it_is_done(town: Town) -> None:
    """Message, verdict and debts come first; each outcome follows its debt."""
    words = f"CAD 4411, {plate()} is outside the address now"
    event = await town.asha.say(town.social, words)
    assert await town.gone(event)
    await town.quiet()

    kept = town.kept_of(event)
    kinds = [str(r.header["kind"]) for r in kept]
    assert kinds == ["message", "verdict", *["debt"] * 4, *["outcome"] * 4]
    assert [r.header.get("effect") for r in kept[2:6]] == ["copy", "redact", "notify", "close"]
    assert {r.header.get("status") for r in kept[6:]} == {"done"}
    assert kept[1].header["action"] == "redirect"
    assert kept[0].inside["content"] == {"body": words, "msgtype": "m.text"}
    redaction = next(
        m for m in town.ben.phone.messages.values()
        if m.type == "m.room.redaction" and event in m.content.decode()
    )  # fmt: skip
    assert int(kept[3].header["t"]) <= redaction.sent_at
    assert town.sound()


async def test_ordinary_chat_is_left_alone_and_recorded(town: Town) -> None:
    lines = ["who's bringing milk?", "overslept, there in 20", "stuck behind a tractor",
             "rest day birthday for Priya, cake at 3", "swap my late Tuesday?"]  # fmt: skip
    events = [await town.asha.say(town.social, line) for line in lines]
    assert await town.ben.until(lambda phone: set(events) <= phone.messages.keys())
    await town.settled()
    assert not set(events) & town.ben.phone.removed.keys()
    recorded = {str(r.inside.get("event_id")): r for r in town.ledger()}
    for event in events:
        assert recorded[event].header["action"] == "allow"
        assert recorded[event].header["class"] == "social"


async def test_what_only_the_formatted_text_says_is_moved_too(town: Town) -> None:
    """A clean body does not hide what other clients would show."""
    reg = plate()
    event = await town.asha.say(town.social, "see this", html=f"<b>{reg}</b> is at the address")
    assert await town.gone(event)
    assert await town.copied(f"{reg} is at the address")


async def test_an_edit_that_turns_chat_into_operations_takes_both_away(town: Town) -> None:
    words = f"tea? also {plate()} is back at 9 Mill Lane"
    event = await town.asha.say(town.social, "who wants tea?")
    assert await town.ben.until(lambda phone: event in phone.messages)
    edit = await town.asha.edit(town.social, event, words)
    assert await town.gone(edit)
    assert await town.gone(event)
    assert await town.copied(words)
    assert await town.content(town.social, event) == {}
    assert await town.content(town.social, edit) == {}


async def test_an_edit_of_a_message_that_was_moved_goes_the_same_way(town: Town) -> None:
    """What is added to a moved message does not stay behind, however harmless it looks."""
    event = await town.asha.say(town.social, f"{plate()} just failed to stop")
    assert await town.gone(event)
    tail = "sorry, I meant the blue one"
    edit = await town.asha.edit(town.social, event, tail)
    assert await town.gone(edit)
    assert await town.copied(tail)
    await town.quiet()
    assert await town.removals(event) == 1


async def test_somebody_elses_edit_does_not_take_a_message_away(town: Town) -> None:
    """Clients ignore an edit by another person; it is judged as their own message."""
    event = await town.asha.say(town.social, "chips later?")
    assert await town.ben.until(lambda phone: event in phone.messages)
    forged = await town.chloe.edit(town.social, event, f"{plate()} is at the address")
    assert await town.gone(forged)
    await town.settled()
    assert event not in town.ben.phone.removed


async def test_a_burst_of_fifty_messages_is_sorted_without_loss(town: Town) -> None:
    """Five people at once, every second message operational; each copy once, in its order."""
    people = [town.asha, town.ben, town.chloe]
    moved, left = {}, set()

    async def talk(index: int) -> None:
        officer = people[index % len(people)]
        for turn in range(17 if index < 2 else 16):
            if turn % 2:
                words = f"{plate()} seen again, turn {index}-{turn}"
                moved[await officer.say(town.social, words)] = words
            else:
                left.add(await officer.say(town.social, f"turn {index}-{turn} of the tea round"))

    await asyncio.gather(*(talk(index) for index in range(len(people))))
    assert len(moved) + len(left) == 50
    for event in moved:
        assert await town.gone(event)
    await town.settled()
    for words in moved.values():
        assert await town.copied(words)
        assert len(town.copies(words)) == 1
    assert not left & town.ben.phone.removed.keys()
    for event in moved:
        assert await town.removals(event) == 1
    recorded = {str(r.inside.get("event_id")) for r in town.ledger()}
    assert set(moved) | left <= recorded
    assert town.sound()


async def test_what_was_said_while_the_bot_was_away_is_put_right_when_it_returns(
    town: Town,
) -> None:
    """More than one sync can hold: the gap in the timeline is filled."""
    assert await town.bot_stops() == 0
    words = [f"{plate()} is at the address, {n}" for n in range(6)]
    events = []
    for n in range(130):
        said = words[n // 24] if n % 24 == 0 else f"chat while nobody listens, {n}"
        events.append(await town.asha.say(town.social, said))
    await town.bot_runs()
    for n in range(0, 130, 24):
        assert await town.gone(events[n])
    await town.settled()
    for said in words:
        assert await town.copied(said)
    recorded = {str(r.inside.get("event_id")) for r in town.ledger()}
    assert set(events) <= recorded
    assert all(len(town.copies(said)) == 1 for said in words)
    assert town.sound()


async def test_no_words_of_a_message_lie_on_the_bots_host(town: Town) -> None:
    """Neither in its log nor in its ledger nor in its crypto store nor anywhere in its folder."""
    secret = f"{plate()} by the lighthouse keeper's cottage"
    event = await town.asha.say(town.social, secret)
    assert await town.gone(event)
    await town.quiet()
    folder = town.stage.config.path.parent
    # The officers' phones and the server are other machines; so is the custodian's.
    others = {folder / name for name in ("phones", "homeserver", "custodian")}
    looked = 0
    for file in folder.rglob("*"):
        if file.is_file() and not others & set(file.parents):
            looked += 1
            try:
                raw = file.read_bytes()
            except FileNotFoundError:
                continue  # it was a file of a moment: the bot goes on
            assert b"lighthouse" not in raw, file
            assert secret[:8].encode() not in raw, file
    assert looked > 20


async def test_the_bots_device_is_signed_by_its_own_identity(town: Town) -> None:
    """Strict clients send keys to no other device."""
    answer = await town.asha.api.call(
        "POST", "/_matrix/client/v3/keys/query", {"device_keys": {BOT: []}}
    )
    signing = next(iter(answer["self_signing_keys"][BOT]["keys"]))
    assert answer["device_keys"][BOT]
    for device in answer["device_keys"][BOT].values():
        assert signing in device["signatures"][BOT]


async def test_ctrl_c_in_the_middle_loses_nothing(town: Town) -> None:
    """Asked to stop while messages arrive, it ends cleanly and goes on where it was."""
    words = [f"{plate()} going north, {n}" for n in range(8)]
    sending = asyncio.gather(*(town.asha.say(town.social, said) for said in words))
    await asyncio.sleep(0.3)
    assert await town.bot_stops() == 0
    events = await sending
    await town.bot_runs()
    for event in events:
        assert await town.gone(event)
    await town.settled()
    for said in words:
        assert await town.copied(said)
    assert all(len(town.copies(said)) == 1 for said in words)
    assert town.sound()
