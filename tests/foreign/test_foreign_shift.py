"""What officers meet besides a single moved message, all of it on clients of another SDK."""

from __future__ import annotations

import pytest

from bridge.demo.force import BOT
from bridge.model import EventId, Message, RoomId
from tests.acceptance.town import plate
from tests.foreign.conftest import Scene, skip_without_the_parts
from tests.foreign.driver import Client

skip_without_the_parts()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

#: One rule sees something in it, and not enough to do anything.
WEAK = "MG11 is done"
_SOON_S = 120


async def heard(
    client: Client, words: str, room: RoomId | None = None, count: int = 1
) -> list[Message]:
    """Wait for so many posts of the bot with *words*; they, oldest first."""

    def found() -> list[Message]:
        every = client.phone.messages.values()
        ours = (one for one in every if one.sender == BOT and words in one.body)
        return sorted(
            (one for one in ours if room in {None, one.room}), key=lambda one: one.sent_at
        )

    assert await client.until(lambda _: len(found()) >= count, _SOON_S), (
        f"{client.user} did not hear {words!r} {count} times"
    )
    return found()


async def gone(client: Client, *events: EventId) -> bool:
    return await client.until(lambda phone: {*events} <= phone.removed.keys(), _SOON_S)


def verdicts(scene: Scene, event: EventId) -> list[tuple[str, str]]:
    found = [r.header for r in scene.town.kept_of(event) if r.header["kind"] == "verdict"]
    return [(str(head.get("rule", "")), str(head["action"])) for head in found]


async def test_fragments_go_together_and_come_back_together_in_their_order(
    scene: Scene, social: RoomId
) -> None:
    asha, ben, review = scene.asha, scene.ben, scene.town.stage.rooms["review"]
    dan = await scene.sign_in("dan")
    await dan.make_identity()
    await dan.enter(review)
    reg = plate()
    lines = [WEAK, f"{reg} has just left 14 Acacia Avenue", f"{WEAK}, too"]
    events = [await asha.say(social, line) for line in lines]
    assert await gone(ben, *events)
    secure = scene.town.secure
    copies = [(await heard(ben, f"{line}\n", secure))[-1] for line in lines]
    assert copies == sorted(copies, key=lambda one: one.sent_at)
    assert verdicts(scene, events[0])[-1] == ("builtin:run", "redirect")
    note = (await heard(asha, "What you said just before went with it"))[-1]

    await asha.react(note.room, note.event_id, "👎")
    request = (await heard(dan, "Please look at an appeal", review))[-1]
    await dan.react(review, request.event_id, "✅")
    question = (await heard(dan, "To confirm", review))[-1]
    await dan.reply_in_thread(review, question.event_id, "yes")
    await heard(ben, "Restored by Blue Lamp after a review.", social, 3)
    back = await heard(ben, "Restored by Blue Lamp after a review.", social)
    assert [one.body.split("\n")[1] for one in back] == lines
    assert len(await heard(asha, "It is back in Response A social")) == 1
    await dan.close()
    await scene.town.settled()
    assert not {one.event_id for one in back} & ben.phone.removed.keys()


async def test_who_has_left_the_secure_room_is_let_in_and_reads_what_was_moved(
    scene: Scene, social: RoomId
) -> None:
    """The room's history is for those who were invited, and the bot's client shares its keys."""
    town, asha = scene.town, scene.asha
    await asha.leave(town.secure)
    assert await town.ben.until(
        lambda phone: any(
            m.type == "m.room.member" and m.room == town.secure and m.sender == asha.user
            and b'"leave"' in m.content for m in phone.messages.values()
        )
    )  # fmt: skip
    await town.passed()  # the bot has read it, too
    words = f"{plate()} has just left 15 Acacia Avenue"
    event = await asha.say(social, words)
    assert await gone(asha, event)
    await asha.join(town.secure)
    (copy,) = await heard(asha, words, town.secure)
    assert asha.phone.shields[copy.event_id] == "none"
    await heard(asha, "is now in Response A secure, under your name")


async def test_distress_is_answered_with_support_and_a_conversation_is_nudged_once(
    scene: Scene, social: RoomId
) -> None:
    asha, ben, town = scene.asha, scene.ben, scene.town
    sad = await asha.say(social, "can't stop thinking about that baby")
    await heard(asha, "Peer Support, ext. 4450, day and night")
    first = await ben.say(social, "obs are still on")
    await heard(ben, "Your message is still here. Only you got this note")
    second = await ben.say(social, "yes obs are still on")
    await town.settled()
    (note,) = await heard(ben, "Your message is still here")
    assert not {sad, first, second} & ben.phone.removed.keys()
    assert '"msgtype":"m.notice"' in note.content.decode().replace(": ", ":"), "it makes no sound"


async def test_a_members_mark_asks_the_supervisor_whose_mark_moves(
    scene: Scene, social: RoomId
) -> None:
    town = scene.town
    words = "he is kicking off again at the usual place"
    event = await scene.asha.say(social, words)
    await scene.ben.react(social, event, "🚨")
    assert await town.gwen.until(
        lambda phone: any("says is operational" in m.body for m in phone.messages.values())
    )
    assert event not in scene.ben.phone.removed
    await town.gwen.react(social, event, "🚨")
    assert await gone(scene.ben, event)
    await heard(scene.ben, words, town.secure)
    assert [rule for rule, _ in verdicts(scene, event)][-2:] == ["member.asks", "member.supervisor"]


async def test_privacy_decision_report_and_an_unknown_command_are_answered(
    scene: Scene, social: RoomId
) -> None:
    asha, ben, town = scene.asha, scene.ben, scene.town
    await asha.say(social, "!privacy")
    (told,) = await heard(asha, "What you write in Response A social: it stands there for 30 days")
    await ben.say(town.secure, "!decision arrest on sight, seen on CCTV")
    (decided,) = await heard(ben, "of this room is on record: PC Ben Hughes", town.secure)
    assert "Decision 1 of this room" in decided.body
    await ben.say(social, "!decision and here?")
    await heard(ben, "Decisions go on record in Response A secure")
    report = await asha.say(told.room, "!report Sgt Brown looked his neighbour up")
    await heard(asha, "Reports cannot be taken here")
    assert await gone(asha, report)
    mistyped = await asha.say(told.room, "!reprot Sgt Brown looked his neighbour up")
    assert await gone(asha, mistyped)
    await town.quiet()
    assert "looked his neighbour up" not in str([r.inside for r in town.ledger()])


async def test_the_brake_is_worked_from_a_foreign_client_by_those_who_may(
    scene: Scene, social: RoomId
) -> None:
    asha, ben, town = scene.asha, scene.ben, scene.town
    review = town.stage.rooms["review"]
    ewa = await scene.sign_in("ewa")
    await ewa.make_identity()
    await ewa.enter(review)
    await ben.say(social, "!pause Response A social 5m")
    await heard(ben, "That is typed in Referrals")
    await ewa.say(review, "!pause Response A social 5m a wrong rule")
    await heard(ewa, "Paused in Response A social until", review)
    event = await asha.say(social, f"{plate()} has just left 16 Acacia Avenue")
    assert await ben.until(lambda phone: event in phone.messages)
    await town.heard(event)
    await town.passed()
    assert event not in ben.phone.removed
    await ewa.say(review, "!resume Response A social")
    await heard(ewa, "Acting again in Response A social", review)
    assert await gone(ben, event)
    await ewa.close()
    await town.quiet()


async def test_a_rehearsal_leaves_what_foreign_clients_say_where_it_is(
    scene: Scene, social: RoomId
) -> None:
    town = scene.town
    await town.bot_stops()
    await town.stage.bot.start(also=["--rehearse"])
    try:
        words = f"{plate()} has just left 17 Acacia Avenue"
        event = await scene.asha.say(social, words)
        assert await scene.ben.until(lambda phone: event in phone.messages)
        await town.settled()
        counted = town.counted(town.kept_of(event))
        assert counted["outcome", "redact", "rehearsed"] == 1
        assert event not in scene.ben.phone.removed
        assert town.copies(words) == []
    finally:
        await town.bot_stops()
        await town.bot_runs()


async def test_what_its_sender_deletes_stays_on_record_and_so_do_edits_of_edits(
    scene: Scene, social: RoomId
) -> None:
    """Also where the redaction is redacted, and an edit names an edit."""
    asha, ben, town = scene.asha, scene.ben, scene.town
    event = await asha.say(social, "who has the milk money?")
    first = await asha.edit(social, event, "who has the milk money now?")
    second = await asha.edit(social, first, "who has had the milk money?")
    assert await ben.until(lambda phone: second in phone.messages)
    redaction = await asha.redact(social, event)
    assert await gone(ben, event)
    again = await asha.redact(social, redaction)
    after = await asha.say(social, "never mind")
    await town.heard(again, after)
    await town.settled()
    assert await ben.until(lambda phone: after in phone.messages)
    kept = scene.said(event, first, second)
    assert kept[event].inside["content"]["body"] == "who has the milk money?"  # type: ignore[index]
    recorded = {r.inside.get("event_id") for r in town.ledger()}
    assert {redaction, again, after} <= recorded

    words = f"{plate()} has just left 18 Acacia Avenue"
    chat = await asha.say(social, "tea at four?")
    edit = await asha.edit(social, chat, "tea at five?")
    deep = await asha.edit(social, edit, words)
    assert await gone(ben, chat, deep)
    await heard(ben, words, town.secure)
    assert "redirect" in {action for _, action in verdicts(scene, deep)}
    assert town.sound()
