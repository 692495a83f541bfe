"""An officer objects, and a person decides: on a real homeserver, the bot in its own process."""

from __future__ import annotations

import asyncio

import pytest

from bridge.demo.force import BOT
from bridge.demo.officer import Officer
from bridge.matrix.api import quote
from bridge.model import EventId, Message, RoomId
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Court:
    """A town whose reviewers are at work."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.dan: Officer = town.stage.officers["dan"]
        self.ewa: Officer = town.stage.officers["ewa"]
        self.review: RoomId = town.stage.rooms["review"]

    def posts(self, officer: Officer, room: RoomId, words: str) -> list[Message]:
        """What the bot said in *room* with these words, as *officer* reads it, oldest first."""
        found = [
            one
            for one in officer.phone.messages.values()
            if one.room == room and one.sender == BOT and words in one.body
        ]
        return sorted(found, key=lambda one: one.sent_at)

    async def shown(self, officer: Officer, room: RoomId, words: str, count: int = 1) -> Message:
        """Wait until *officer* reads the bot's *count*th post with these words; the newest."""
        assert await officer.until(lambda _: len(self.posts(officer, room, words)) >= count), (
            f"nobody saw {words!r}"
        )
        return self.posts(officer, room, words)[-1]

    async def told(self, officer: Officer, words: str, before: int = 0) -> Message:
        """Wait until the bot has told *officer* in private; the newest such note."""
        assert await self.town.noted(officer, before + 1, words), f"nobody was told {words!r}"
        return max(self.town.notes(officer, words), key=lambda one: one.sent_at)

    async def moved(self, words: str, officer: Officer, room: RoomId) -> Message:
        """Have *officer* say something that is moved; the note that they get."""
        before = len(self.town.notes(officer, "is now in"))
        event = await officer.say(room, words)
        assert await officer.until(lambda phone: event in phone.removed)
        return await self.told(officer, "is now in", before)

    async def appealed(self, words: str, officer: Officer, room: RoomId) -> Message:
        """Have it moved and appealed; the request in the review room."""
        note = await self.moved(words, officer, room)
        assert "Tap 👎; a person replies by " in note.body
        asked = len(self.posts(self.dan, self.review, "Please look at an appeal"))
        thanks = len(self.town.notes(officer, "Thank you."))
        await officer.react(note.room, note.event_id, "👎")
        await self.told(officer, "Thank you.", thanks)
        return await self.shown(self.dan, self.review, "Please look at an appeal", asked + 1)

    async def reply(self, officer: Officer, to: Message, words: str) -> EventId:
        relation = {"m.in_reply_to": {"event_id": to.event_id}}
        content = {"msgtype": "m.text", "body": words, "m.relates_to": relation}
        return await officer.send(to.room, content)

    async def asked_back(self, request: Message, key: str, officer: Officer) -> Message:
        """Have *officer* tap *key* on the request; what the bot asks back."""
        before = len(self.posts(officer, self.review, "To confirm"))
        await officer.react(self.review, request.event_id, key)
        return await self.shown(officer, self.review, "To confirm", before + 1)

    async def decided(self, request: Message, key: str, officer: Officer, words: str) -> None:
        await self.reply(officer, await self.asked_back(request, key, officer), words)


@pytest.fixture
def court(town: Town) -> Court:
    return Court(town)


async def test_an_appeal_that_is_granted_puts_the_message_back(court: Court) -> None:
    """Nothing happens on a tap; a reply to the question does it, and everybody can read it."""
    town = court.town
    words = f"{plate()} is Priya's new car, come and see"
    request = await court.appealed(words, town.asha, town.social)
    assert words.split()[1] not in request.body
    question = await court.asked_back(request, "✅", court.dan)
    await town.settled()
    assert court.posts(town.ben, town.social, words) == []
    sorry = len(town.notes(town.asha, "It is back in"))
    await court.reply(court.dan, question, "yes")
    back = await court.shown(town.ben, town.social, words)
    assert back.body.startswith("PC Asha Khan wrote at ")
    assert back.body.endswith("(Restored by Blue Lamp after a review.)")
    note = await court.told(town.asha, "It is back in", sorry)
    assert note.body.startswith("You were right; we are sorry. It is back in Response A social.")
    assert len(town.copies(words)) == 1, "the copy stays"
    await court.shown(court.ewa, court.review, "PC Dan Murray decided this appeal: the officer was")
    await town.settled()
    assert back.event_id not in town.ben.phone.removed, "our own post is not judged"
    records = town.ledger()
    appeal = next(r for r in reversed(records) if r.header["kind"] == "appeal")
    decision = next(r for r in reversed(records) if r.header["kind"] == "decision")
    assert (decision.header["status"], decision.header["appeal"]) == (
        "restored",
        appeal.header["rid"],
    )
    assert decision.header["ref"] == appeal.header["ref"]
    assert decision.inside == {"by": court.dan.user}
    assert town.sound()


async def test_an_action_stands_with_a_reason_and_again_asks_somebody_else(court: Court) -> None:
    town = court.town
    words = f"{plate()} just left 14 Acacia Avenue"
    request = await court.appealed(words, town.asha, town.social)
    stands = len(town.notes(town.asha, "A person agreed"))
    await court.decided(request, "❌", court.dan, "It names a vehicle of a live job.")
    note = await court.told(town.asha, "A person agreed", stands)
    assert "belongs in Response A secure: It names a vehicle of a live job. Second" in note.body
    assert "This is not a conduct finding." in note.body
    assert court.posts(town.ben, town.social, words) == []

    again = len(court.posts(court.ewa, court.review, "after a first decision"))
    await court.reply(town.asha, note, "again")
    second = await court.shown(court.ewa, court.review, "after a first decision", again + 1)
    refused = len(town.notes(court.dan, "you gave the first decision"))
    await court.dan.react(court.review, second.event_id, "✅")
    await court.told(court.dan, "you gave the first decision", refused)
    await court.decided(second, "❌", court.ewa, "A second pair of eyes sees the same")
    last = await court.told(town.asha, "A person agreed", stands + 1)
    assert "If it still seems wrong: speak to your supervisor" in last.body
    await town.settled()
    assert court.posts(town.ben, town.social, words) == []
    assert town.sound()


async def test_a_colleague_of_the_same_team_is_told_why_not_and_nothing_happens(
    court: Court,
) -> None:
    town, room = court.town, court.town.stage.social("Response B")
    words = f"{plate()} is at the address"
    request = await court.appealed(words, court.dan, room)
    for officer, why in (
        (court.ewa, "somebody outside Response B decides"),
        (court.dan, "the message is yours"),
    ):
        await officer.react(court.review, request.event_id, "✅")
        note = await court.told(officer, why)
        assert note.body.startswith("Thank you, but ")
    await town.settled(court.ewa, room=room)
    assert court.posts(court.ewa, room, words) == []


async def test_a_second_tap_changes_nothing(court: Court) -> None:
    town = court.town
    await court.appealed(f"{plate()} is outside the address now", town.asha, town.social)
    note = max(town.notes(town.asha, "is now in"), key=lambda one: one.sent_at)
    before = len(court.posts(court.dan, court.review, "Please look at an appeal"))
    await town.asha.react(note.room, note.event_id, "👎🏽")
    await town.settled(court.dan, room=court.review)
    assert len(court.posts(court.dan, court.review, "Please look at an appeal")) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "words"),
    [  # each by another rule: one that is found wrong too often would move nothing any more
        ("before:restore", "Custody ref 26XX/4471/26, the solicitor is on the way"),
        ("during:restore", "his mobile is 07700 900461, he is outside the address"),
        ("after:restore", "crime ref 42/12345/26 is at the address"),
    ],
)
async def test_a_bot_that_dies_between_decision_and_restoring_restores_once(
    court: Court, moment: str, words: str
) -> None:
    town, bot = court.town, court.town.stage.bot
    request = await court.appealed(words, town.asha, town.social)
    question = await court.asked_back(request, "✅", court.dan)
    await town.quiet()
    await town.bot_stops()
    await bot.start(module="tests.acceptance.dying_bot", also=[moment])
    sorry = len(town.notes(town.asha, "It is back in"))
    await court.reply(court.dan, question, "yes")
    assert await asyncio.to_thread(bot.wait, 120) == -9, "it should have been killed"
    await bot.start()
    await court.shown(town.ben, town.social, words)
    await court.told(town.asha, "It is back in", sorry)
    await town.settled(town.ben, town.asha)
    assert len(court.posts(town.ben, town.social, words)) == 1
    assert len(town.notes(town.asha, "It is back in")) == sorry + 1
    assert town.sound()


@pytest.mark.slow
async def test_where_the_copy_is_gone_the_sender_may_send_it_again_once_also_after_a_restart(
    court: Court,
) -> None:
    town = court.town
    words = "CAD 1234 of today, outside the address"
    request = await court.appealed(words, town.asha, town.social)
    assert await town.copied(words)
    (copy,) = town.copies(words)
    gwen = town.gwen
    path = f"/_matrix/client/v3/rooms/{quote(town.secure)}/redact/{quote(copy.event_id)}/gone"
    await gwen.api.call("PUT", path, {"reason": "it was in the wrong place"})
    assert await town.ben.until(lambda phone: copy.event_id in phone.removed)
    sorry = len(town.notes(town.asha, "Please send it again"))
    await court.decided(request, "✅", court.dan, "yes")
    await court.told(town.asha, "Please send it again in Response A social", sorry)
    await town.quiet()
    town.stage.bot.kill()
    await town.stage.bot.start()
    again = await town.asha.say(town.social, words)
    assert await town.ben.until(lambda phone: again in phone.messages)
    other = await town.asha.say(town.social, f"{plate()} just left 11 Mill Lane")
    assert await town.gone(other)
    await town.settled()
    assert again not in town.ben.phone.removed
    verdict = next(r for r in town.kept_of(again) if r.header["kind"] == "verdict")
    assert (verdict.header["rule"], verdict.header["action"]) == ("builtin:pass", "allow")
    assert town.sound()
