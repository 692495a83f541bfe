"""Objecting to what the bot did, and what a person decides, without a homeserver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.acting import restoring
from bridge.acting.moving import COPY_FIELD
from bridge.cli.main import main
from bridge.demo.force import found
from bridge.duties.appealing import Appealing
from bridge.errors import NotPermitted, TransportError
from bridge.facts import LET_THROUGH, Decision, Fact
from bridge.matrix.memory import Sent
from bridge.model import (
    Action,
    Cursor,
    EventId,
    Kind,
    Media,
    Message,
    Ms,
    Rid,
    RoomClass,
    RoomId,
    UserId,
)
from bridge.officers import appeals
from bridge.officers.appealdesk import AppealDesk, Heard
from bridge.officers.hours import HOUR_MS, Hours
from bridge.ports import Docket, Posted
from bridge.register import People, load_people
from tests.making import ASHA, NOON, REVIEW, SECURE, SOCIAL, say
from tests.unit.test_pipeline import OPERATIONAL, POLICY, ROOMS, Overridden, World

LONDON = ZoneInfo("Europe/London")
#: Monday 23 November 2026, noon: NOON is a Sunday.
MONDAY = Ms(NOON + 24 * HOUR_MS)
BEN, GWEN = UserId("@ben:force.example"), UserId("@gwen:force.example")
DAN, EWA, OWNER = (UserId(f"@{one}:force.example") for one in ("dan", "ewa", "owner"))
DIRECT = RoomId(f"!direct-{ASHA}")
NUDGED = next(
    text
    for text in ("one in custody", "obs on", "in custody", "the suspect", "CAD", "misper")
    if POLICY.judge(say("$x", text), RoomClass.SOCIAL).action is Action.NUDGE
)
PEOPLE = f"""matrix_id,name,collar,team,rank,supervisor,console,roles
{ASHA},PC Asha Khan,1,Response A,PC,{GWEN},,
{BEN},PC Ben Hughes,2,Response A,PC,{GWEN},ben,reviewer
{DAN},PC Dan Murray,3,Response B,PC,{GWEN},dan,reviewer
{EWA},PC Ewa Nowak,4,Response B,PC,{GWEN},ewa,reviewer
{GWEN},Sgt Gwen Price,5,,Sgt,,,
{OWNER},Insp Olu Ward,6,,Insp,,,
"""


class Court(World):
    """A world in which appeals are heard."""

    def restart(self, *, rehearse: bool = False, limit: int = 60) -> None:
        self.rooms[SOCIAL] = replace(ROOMS[SOCIAL], team="Response A", supervisor=GWEN, owner=OWNER)
        super().restart(rehearse=rehearse, limit=limit)
        self.ruled = 0
        self.desk = AppealDesk(
            store=self.store,
            people=people,
            rooms=self.rooms,
            review=REVIEW,
            hours=Hours(zone=LONDON),
            clock=self.clock,
            contact="the Digital Desk",
        )
        self.pipeline.appeals = self.desk
        self.pipeline.ruled = self._ruled
        self.appealing = Appealing(
            store=self.store, desk=self.desk, clock=self.clock, wake=self.settler.wake
        )

    def _ruled(self) -> None:
        self.ruled += 1

    async def moved(self, event: str = "$a", words: str = OPERATIONAL, **more: object) -> EventId:
        """Have a message moved; return the note about it."""
        await self.hear_and_settle(say(event, words, **more))  # type: ignore[arg-type]
        return self.last(DIRECT).event

    def last(self, room: RoomId, words: str = "") -> Sent:
        """The last thing that we posted in *room*, with these words."""
        return [s for s in self.sent if s.room == room and s.post and words in s.post.body][-1]

    def said(self, room: RoomId, words: str = "") -> list[str]:
        return [
            s.post.body for s in self.sent if s.room == room and s.post and words in s.post.body
        ]

    async def tap(self, to: EventId, key: str, by: UserId, room: RoomId = REVIEW) -> None:
        self._count = getattr(self, "_count", 0) + 1
        relation = {"rel_type": "m.annotation", "event_id": to, "key": key}
        content = json.dumps({"m.relates_to": relation}).encode()
        own = say(f"$tap{self._count}", "", room=room, sender=by, at=self.clock())
        await self.hear(
            replace(own, kind=Kind.OTHER, type="m.reaction", content=content, ciphertext=b"")
        )
        await self.settled()

    async def reply(self, to: EventId, words: str, by: UserId, room: RoomId = REVIEW) -> None:
        self._count = getattr(self, "_count", 0) + 1
        await self.hear(answer(f"$reply{self._count}", to, words, by, room, self.clock()))
        await self.settled()

    async def settled(self) -> None:
        for _ in range(3):
            await self.settler.settle_once()

    async def appealed(self, event: str = "$a", words: str = OPERATIONAL) -> EventId:
        """Have a message moved and appealed; return the request to the reviewers."""
        note = await self.moved(event, words)
        await self.tap(note, "👎", ASHA, DIRECT)
        return self.last(REVIEW, "an appeal").event

    async def decided(self, request: EventId, key: str, by: UserId, words: str) -> None:
        await self.tap(request, key, by)
        question = self.last(REVIEW, "To confirm").event
        await self.reply(question, words, by)

    async def docket(self, event: str = "$a") -> Docket:
        return (await self.store.appeals((event,)))[-1]

    def of_kind(self, kind: str) -> list[tuple[dict[str, str | int], dict[str, object]]]:
        return [(head, inside) for one, head, inside in self.ledger() if one == kind]


def people() -> People:
    return load_people(PEOPLE, "people.csv")


def answer(event: str, to: EventId, words: str, by: UserId, room: RoomId, at: Ms = NOON) -> Message:
    relation = {"m.in_reply_to": {"event_id": to}}
    content = json.dumps({"msgtype": "m.text", "body": words, "m.relates_to": relation}).encode()
    return replace(say(event, words, room=room, sender=by, at=at), content=content)


def court(at: Ms = MONDAY) -> Court:
    made = Court()
    made.clock.at = at
    made.restart()
    return made


# Raising one


async def test_a_thumb_down_on_the_note_raises_an_appeal_and_promises_an_answer() -> None:
    world = court()
    await world.appealed()
    thanks = world.last(DIRECT).post
    assert thanks is not None
    assert thanks.body.startswith(
        "Thank you. PC Dan Murray or PC Ewa Nowak, outside your team, will reply by 12:00 on Tue "
        "24 Nov."
    )
    request = world.last(REVIEW).post
    assert request is not None
    assert "PC Dan Murray, PC Ewa Nowak may decide, by 12:00 on Tue 24 Nov" in request.body
    assert OPERATIONAL not in request.body + request.formatted
    docket = await world.docket()
    assert (docket.appeal.action, docket.appeal.round, docket.open) == (Action.REDIRECT, 1, True)


async def test_an_appeal_is_on_record_beside_its_verdict() -> None:
    world = court()
    await world.appealed()
    ((header, inside),) = world.of_kind("appeal")
    ((verdict, _),) = world.of_kind("verdict")
    assert header["ref"] == verdict["rid"]
    assert (header["status"], header["rule"]) == ("raised", verdict["rule"])
    assert inside == {
        "appeal": header["rid"],
        "event_id": "$a",
        "by": ASHA,
        "due": MONDAY + 24 * HOUR_MS,
        "round": 1,
    }


async def test_a_second_tap_changes_nothing() -> None:
    world = court()
    note = await world.moved()
    await world.tap(note, "👎", ASHA, DIRECT)
    before = len(world.sent)
    await world.tap(note, "👎🏾", ASHA, DIRECT)
    assert len(world.sent) == before
    assert len(world.of_kind("appeal")) == 1


async def test_two_taps_in_one_batch_raise_one_appeal() -> None:
    world = court()
    note = await world.moved()
    relation = {"rel_type": "m.annotation", "event_id": note, "key": "👎"}
    content = json.dumps({"m.relates_to": relation}).encode()
    taps = [
        replace(say(f"$t{n}", "", room=DIRECT), kind=Kind.OTHER, type="m.reaction",
                content=content, ciphertext=b"")
        for n in range(2)
    ]  # fmt: skip
    batch = world.transport.say(*taps)
    await world.pipeline.handle(batch)
    world.restart()
    await world.pipeline.handle(batch)
    assert len(world.of_kind("appeal")) == 1


@pytest.mark.parametrize("key", ["👍", "🚨", "no"])
async def test_other_taps_raise_nothing(key: str) -> None:
    world = court()
    await world.tap(await world.moved(), key, ASHA, DIRECT)
    assert world.of_kind("appeal") == []


async def test_nobody_else_can_appeal_for_somebody() -> None:
    world = court()
    note = await world.moved()
    await world.tap(note, "👎", BEN, DIRECT)
    assert world.of_kind("appeal") == []
    heard = await world.desk.object_to(EventId("$a"), BEN)
    assert heard == Heard(
        refused="Please reply to the note that Blue Lamp sent you about your message, or tap 👎 on "
        "it."
    )


async def test_a_tap_on_what_is_no_note_about_a_message_raises_nothing() -> None:
    world = court()
    request = await world.appealed()
    await world.tap(request, "👎", ASHA, DIRECT)
    await world.tap(EventId("$never"), "👎", ASHA, DIRECT)
    assert len(world.of_kind("appeal")) == 1


async def test_a_tap_that_overtakes_the_record_of_its_note_is_not_lost() -> None:
    """The note is there, and the officer is quicker than our own record of it."""
    world = court()
    await world.hear(say("$a", OPERATIONAL))
    append, there, asked = world.store.append, asyncio.Event(), asyncio.Event()
    posted = world.store.posted

    async def slow(facts: Sequence[Fact], *, cursor: Cursor | None = None) -> None:
        if cursor is None and any(s.room == DIRECT for s in world.sent):
            there.set()
            await asked.wait()
        await append(facts, cursor=cursor)

    async def early(events: Sequence[EventId]) -> Mapping[EventId, Posted]:
        found = await posted(events)
        if not found:
            asked.set()  # now it may come on record: the tap was there before it
        return found

    world.store.append = slow  # type: ignore[method-assign]
    task = asyncio.ensure_future(world.settler.settle_once())
    await there.wait()
    note = next(s.event for s in world.sent if s.room == DIRECT)
    world.store.posted = early  # type: ignore[method-assign]
    tapping = asyncio.ensure_future(world.tap(note, "👎", ASHA, DIRECT))
    await asyncio.gather(task, tapping)
    assert asked.is_set()
    assert len(world.of_kind("appeal")) == 1


async def test_the_message_itself_and_its_copy_can_be_named_instead_of_the_note() -> None:
    world = court()
    await world.moved()
    copy = world.last(SECURE).event
    heard = await world.desk.object_to(copy, ASHA)
    assert [fact.appeal.event for fact in heard.facts] == ["$a"]  # type: ignore[union-attr]


async def test_a_message_that_nothing_was_done_to_cannot_be_appealed() -> None:
    world = court()
    await world.hear_and_settle(say("$m"))
    assert (await world.desk.object_to(EventId("$m"), ASHA)).refused


# Who decides


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (ASHA, "the message is yours"),
        (BEN, "somebody outside Response A decides"),
        (GWEN, "shift supervisors decide out of hours"),
        (OWNER, "you are not listed as one"),
        (UserId("@stranger:force.example"), "you are not on the list of people"),
    ],
)
async def test_others_are_told_politely_and_privately_why_they_cannot_decide(
    who: UserId, why: str
) -> None:
    world = court()
    request = await world.appealed()
    await world.tap(request, "✅", who)
    told = world.last(RoomId(f"!direct-{who}")).post
    assert told is not None
    assert told.body.startswith("Thank you, but ")
    assert why in told.body
    assert world.said(REVIEW, "To confirm") == []
    assert (await world.docket()).open


async def test_out_of_hours_the_shift_supervisor_decides() -> None:
    world = court(Ms(MONDAY + 10 * HOUR_MS))
    request = await world.appealed()
    thanks = world.last(DIRECT, "Thank you").post.body  # type: ignore[union-attr]
    assert "Sgt Gwen Price, a supervisor, as it is out of hours, will reply by" in thanks
    await world.decided(request, "✅", GWEN, "yes")
    assert (await world.docket()).decision is Decision.RESTORED


async def test_whoever_marked_a_message_does_not_decide_about_it() -> None:
    world = court(Ms(MONDAY + 10 * HOUR_MS))
    await world.hear_and_settle(say("$a", "he is at it again"))
    await world.tap(EventId("$a"), "🚨", GWEN, SOCIAL)
    await world.tap(world.last(DIRECT).event, "👎", ASHA, DIRECT)
    await world.tap(world.last(REVIEW, "an appeal").event, "✅", GWEN)
    told = world.last(RoomId(f"!direct-{GWEN}")).post
    assert told is not None
    assert "you marked the message as operational yourself" in told.body


async def test_where_nobody_may_decide_the_request_says_so() -> None:
    world = court()
    world.desk.people = lambda: load_people(
        "\n".join(line for line in PEOPLE.splitlines() if "Response B" not in line), "people.csv"
    )
    await world.appealed()
    request = world.last(REVIEW, "an appeal").post
    assert request is not None
    assert "nobody in people.csv may decide" in request.body
    assert "A reviewer, outside your team" in world.last(DIRECT).post.body  # type: ignore[union-attr]


# Deciding


async def test_one_tap_asks_back_and_does_nothing() -> None:
    world = court()
    request = await world.appealed()
    await world.tap(request, "✅", DAN)
    (question,) = world.said(REVIEW, "To confirm")
    assert question.startswith("PC Dan Murray, you mean: the officer was right")
    await world.tap(world.last(REVIEW, "To confirm").event, "✅", DAN)
    assert (await world.docket()).decision is None
    assert world.of_kind("decision") == []


async def test_an_appeal_that_is_granted_puts_the_message_back_under_its_authors_name() -> None:
    world = court()
    request = await world.appealed()
    await world.decided(request, "✅", DAN, "yes")
    back = world.last(SOCIAL).post
    assert back is not None
    assert back.body == (
        f"PC Asha Khan wrote at 12:00:\n{OPERATIONAL}\n(Restored by Blue Lamp after a review.)"
    )
    assert world.last(DIRECT).post.body.startswith(  # type: ignore[union-attr]
        "You were right; we are sorry. It is back in Response A social. The copy stays"
    )
    assert world.said(REVIEW, "PC Dan Murray decided this appeal")
    ((decision, inside),) = world.of_kind("decision")
    ((appeal, _),) = world.of_kind("appeal")
    assert (decision["status"], decision["appeal"]) == ("restored", appeal["rid"])
    assert inside == {"by": DAN}
    assert world.ruled == 1
    (ruling,) = await world.store.rulings(NOON)
    assert ruling.decision is Decision.RESTORED


async def test_the_form_and_the_reply_of_a_restored_message_are_as_they_were() -> None:
    world = court()
    html = f"<b>{OPERATIONAL}</b>"
    await world.hear(say("$first"))
    relation = {"m.in_reply_to": {"event_id": "$first"}}
    content = json.dumps(
        {"body": OPERATIONAL, "formatted_body": html, "m.relates_to": relation}
    ).encode()
    await world.hear_and_settle(replace(say("$a", OPERATIONAL), formatted=html, content=content))
    await world.tap(world.last(DIRECT).event, "👎", ASHA, DIRECT)
    await world.decided(world.last(REVIEW, "an appeal").event, "✅", DAN, "yes")
    back = world.last(SOCIAL).post
    assert back is not None
    assert f"<blockquote>{html}</blockquote>" in back.formatted
    assert back.reply_to == "$first"


async def test_a_message_too_long_for_one_post_comes_back_whole() -> None:
    world = court()
    words = OPERATIONAL + " and then" * 9000
    request = await world.appealed(words=words)
    await world.decided(request, "✅", DAN, "yes")
    back = [s.post.body for s in world.sent if s.room == SOCIAL and s.post]
    assert len(back) > 1
    tail = "\n(Restored by Blue Lamp after a review.)"
    intro = "PC Asha Khan wrote at 12:00:\n"
    assert "".join(one.removeprefix(intro).removesuffix(tail) for one in back) == words


async def test_a_restored_picture_comes_back_with_its_file() -> None:
    world = court()
    world.transport.files["mxc://force.example/p"] = b"picture"
    picture = replace(
        say("$a", OPERATIONAL, kind=Kind.MEDIA),
        media=(Media(part="file", url="mxc://force.example/p"),),
    )
    await world.hear_and_settle(picture)
    await world.tap(world.last(DIRECT).event, "👎", ASHA, DIRECT)
    await world.decided(world.last(REVIEW, "an appeal").event, "✅", DAN, "yes")
    posted = [s.txn for s in world.sent if s.room == SOCIAL and s.post]
    assert len(posted) == 2
    assert posted[1] == f"{posted[0]}-file"


async def test_our_own_restored_message_is_not_judged_again() -> None:
    world = court()
    request = await world.appealed()
    await world.decided(request, "✅", DAN, "yes")
    back = world.last(SOCIAL)
    assert back.post is not None
    before = world.kinds().count("verdict")
    await world.hear_and_settle(
        say(back.event, back.post.body, sender=world.transport.user, at=world.clock())
    )
    assert world.kinds().count("verdict") == before
    assert back.event not in [s.removed for s in world.sent]


async def test_an_action_stands_only_with_a_reason_which_the_officer_reads() -> None:
    world = court()
    request = await world.appealed()
    await world.decided(request, "❌", DAN, "yes")
    assert "please reply with your reason" in world.last(REVIEW).post.body  # type: ignore[union-attr]
    assert (await world.docket()).decision is None
    question = world.last(REVIEW, "To confirm").event
    await world.reply(question, "It names a live job.", DAN)
    note = world.last(DIRECT).post
    assert note is not None
    assert note.body == (
        "A person agreed that this belongs in Response A secure: It names a live job. Second "
        'opinion: reply "again" by 12:00 on Mon 30 Nov, or ask the Digital Desk. This is not a '
        "conduct finding."
    )
    ((_, inside),) = world.of_kind("decision")
    assert inside == {"by": DAN, "reason": "It names a live job"}
    assert [s for s in world.sent if s.room == SOCIAL and s.post] == []


async def test_a_tap_can_be_taken_back() -> None:
    world = court()
    request = await world.appealed()
    await world.decided(request, "❌", DAN, "No.")
    assert world.said(REVIEW, "Nothing was done.")
    assert (await world.docket()).decision is None


async def test_only_whoever_tapped_confirms_and_only_in_an_encrypted_message() -> None:
    """A reaction can be forged by whoever runs the homeserver, so that it decides nothing."""
    world = court()
    request = await world.appealed()
    await world.tap(request, "✅", DAN)
    question = world.last(REVIEW, "To confirm").event
    await world.reply(question, "yes", EWA)
    clear = replace(answer("$clear", question, "yes", DAN, REVIEW), ciphertext=b"")
    await world.hear_and_settle(clear)
    odd = replace(answer("$odd", question, "yes", DAN, REVIEW), suspect=True, doubt="odd")
    await world.hear_and_settle(odd)
    assert (await world.docket()).decision is None
    await world.reply(question, "yes", DAN)
    assert (await world.docket()).decision is Decision.RESTORED


async def test_an_appeal_is_decided_once() -> None:
    world = court()
    request = await world.appealed()
    await world.tap(request, "✅", DAN)
    first = world.last(REVIEW, "To confirm").event
    await world.tap(request, "❌", EWA)
    second = world.last(REVIEW, "To confirm").event
    await world.hear(
        answer("$one", first, "yes", DAN, REVIEW), answer("$two", second, "a job", EWA, REVIEW)
    )
    await world.settled()
    assert [head["status"] for head, _ in world.of_kind("decision")] == ["restored"]
    assert world.said(REVIEW, "it has just been decided")
    await world.tap(request, "❌", EWA)
    told = world.last(RoomId(f"!direct-{EWA}")).post
    assert told is not None
    assert "decided by PC Dan Murray already" in told.body


async def test_a_nudge_that_was_wrong_counts_and_posts_nothing() -> None:
    world = court()
    await world.hear_and_settle(say("$n", NUDGED))
    await world.tap(world.last(DIRECT).event, "👎", ASHA, DIRECT)
    await world.decided(world.last(REVIEW, "an appeal").event, "✅", DAN, "yes")
    assert (await world.docket("$n")).decision is Decision.FALSE_POSITIVE
    assert "Your message is where it was" in world.last(DIRECT).post.body  # type: ignore[union-attr]
    assert [s for s in world.sent if s.room in {SOCIAL, SECURE}] == []


async def test_an_appeal_that_is_passed_on_stays_open_for_somebody_else() -> None:
    world = court()
    request = await world.appealed()
    await world.decided(request, "➡️", DAN, "yes")
    docket = await world.docket()
    assert docket.open
    assert docket.decision is Decision.REFERRED
    assert "passed it on" in world.last(DIRECT).post.body  # type: ignore[union-attr]
    await world.tap(request, "✅", DAN)
    assert "you have passed it on" in world.last(RoomId(f"!direct-{DAN}")).post.body  # type: ignore[union-attr]
    await world.decided(request, "✅", EWA, "yes")
    assert (await world.docket()).decision is Decision.RESTORED


# A second opinion


async def stood(world: Court) -> EventId:
    """Have the action stand; return the note that says so."""
    request = await world.appealed()
    await world.decided(request, "❌", DAN, "it names a live job")
    return world.last(DIRECT, "A person agreed").event


async def test_again_asks_for_the_opinion_of_another_reviewer_once() -> None:
    world = court()
    note = await stood(world)
    await world.reply(note, "“Again.”", ASHA, DIRECT)
    assert "PC Ewa Nowak, outside your team" in world.last(DIRECT).post.body  # type: ignore[union-attr]
    request = world.last(REVIEW, "after a first decision").event
    await world.tap(request, "✅", DAN)
    assert "you gave the first decision" in world.last(RoomId(f"!direct-{DAN}")).post.body  # type: ignore[union-attr]
    await world.decided(request, "❌", EWA, "two of us see a job in it")
    last = world.last(DIRECT)
    assert last.post is not None
    assert "If it still seems wrong: speak to your supervisor" in last.post.body
    await world.reply(last.event, "again", ASHA, DIRECT)
    assert "Two people have looked at it" in world.last(DIRECT).post.body  # type: ignore[union-attr]
    assert [inside["round"] for _, inside in world.of_kind("appeal")] == [1, 2]


async def test_a_second_opinion_can_put_a_message_back() -> None:
    world = court()
    await world.reply(await stood(world), "again", ASHA, DIRECT)
    request = world.last(REVIEW, "after a first decision").event
    await world.decided(request, "✅", EWA, "yes")
    assert OPERATIONAL in world.last(SOCIAL).post.body  # type: ignore[union-attr]
    (ruling,) = await world.store.rulings(NOON)
    assert ruling.decision is Decision.RESTORED


async def test_a_second_opinion_can_be_asked_for_only_so_long() -> None:
    world = court()
    note = await stood(world)
    world.clock.move(8 * 24 * HOUR_MS)
    await world.reply(note, "again", ASHA, DIRECT)
    assert "The time for a second opinion is over" in world.last(DIRECT).post.body  # type: ignore[union-attr]


async def test_other_words_in_the_direct_room_ask_for_nothing() -> None:
    world = court()
    note = await stood(world)
    await world.reply(note, "not again!", ASHA, DIRECT)
    assert len(world.of_kind("appeal")) == 1


# Without a copy


async def lost(world: Court) -> None:
    """Have a message moved and restored whose copy is gone meanwhile."""
    request = await world.appealed()
    copy = next(s for s in world.sent if s.room == SECURE)
    world.sent.remove(copy)
    await world.decided(request, "✅", DAN, "yes")


async def test_without_a_copy_the_sender_may_send_it_again_once() -> None:
    world = court()
    await lost(world)
    assert "Please send it again in Response A social" in world.last(DIRECT).post.body  # type: ignore[union-attr]
    world.restart()
    await world.hear_and_settle(say("$chat", at=world.clock()))
    await world.hear_and_settle(say("$again", OPERATIONAL, at=world.clock()))
    assert "$again" not in [s.removed for s in world.sent]
    verdict, _ = world.of_kind("verdict")[-1]
    assert (verdict["rule"], verdict["action"]) == (LET_THROUGH, "allow")
    world.clock.move(120_000)
    await world.hear_and_settle(say("$third", OPERATIONAL, at=world.clock()))
    assert "$third" in [s.removed for s in world.sent]
    assert "$again" not in [s.removed for s in world.sent]


async def test_a_pass_is_for_one_message_also_within_one_batch() -> None:
    world = court()
    await lost(world)
    at = world.clock()
    batch = [say("$x", OPERATIONAL, at=at), say("$y", OPERATIONAL, at=Ms(at + 90_000))]
    await world.hear(*batch)
    await world.settled()
    assert [s.removed for s in world.sent if s.removed in {"$x", "$y"}] == ["$y"]


@pytest.mark.parametrize(
    "other",
    [{"sender": BEN}, {"room": RoomId("!b")}, {"at": Ms(MONDAY + 25 * HOUR_MS)}],
    ids=["another person", "another room", "later"],
)
async def test_a_pass_is_for_nobody_else_nowhere_else_and_for_a_day(
    other: dict[str, object],
) -> None:
    world = court()
    world.rooms[RoomId("!b")] = replace(ROOMS[SOCIAL], id=RoomId("!b"))
    await lost(world)
    said = {"at": world.clock(), **other}
    await world.hear_and_settle(say("$z", OPERATIONAL, **said))  # type: ignore[arg-type]
    assert "$z" in [s.removed for s in world.sent]


# When things go wrong


async def test_a_decision_survives_a_crash_before_the_message_is_back() -> None:
    world = court()
    request = await world.appealed()
    await world.tap(request, "✅", DAN)
    question = world.last(REVIEW, "To confirm").event
    await world.hear(answer("$yes", question, "yes", DAN, REVIEW))
    world.restart()
    await world.settled()
    assert len([s for s in world.sent if s.room == SOCIAL and s.post]) == 1
    assert "It is back" in world.last(DIRECT).post.body  # type: ignore[union-attr]


async def test_a_message_is_put_back_once_also_when_the_answer_was_lost() -> None:
    world = court()
    request = await world.appealed()

    def fault(name: str) -> tuple[bool, TransportError | None]:
        broken = name == "send" and not [s for s in world.sent if s.room == SOCIAL and s.post]
        return True, TransportError("the answer was lost") if broken else None

    await world.tap(request, "✅", DAN)
    question = world.last(REVIEW, "To confirm").event
    world.transport.fault = fault
    await world.reply(question, "yes", DAN)
    world.transport.fault = lambda _: (True, None)
    world.clock.move(120_000)
    await world.settled()
    assert len([s for s in world.sent if s.room == SOCIAL and s.post]) == 1
    assert "It is back" in world.last(DIRECT).post.body  # type: ignore[union-attr]


async def test_a_room_that_does_not_let_us_in_any_more_leads_to_a_pass_and_a_person() -> None:
    world = court()
    request = await world.appealed()
    await world.tap(request, "✅", DAN)
    question = world.last(REVIEW, "To confirm").event
    real = world.transport.send

    async def send(room: RoomId, post: object, *, txn: str) -> EventId:
        if room == SOCIAL:
            raise NotPermitted("we are not in that room")
        return await real(room, post, txn=txn)  # type: ignore[arg-type]

    object.__setattr__(world.settler.enforcer, "transport", Overridden(world.transport, send))
    await world.reply(question, "yes", DAN)
    assert "Please send it again" in world.last(DIRECT).post.body  # type: ignore[union-attr]
    assert world.said(REVIEW, "something that did not go as it should")


# Reminders


async def test_reviewers_are_reminded_and_then_the_owner_is_called_and_nothing_is_decided() -> None:
    world = court()
    await world.appealed()
    await world.appealing.once()
    assert len(world.of_kind("appeal")) == 1
    world.clock.move(21 * HOUR_MS)
    await world.appealing.once()
    await world.appealing.once()
    await world.settled()
    assert len(world.said(REVIEW, "Please remember the appeal")) == 1
    world.restart()
    world.clock.move(4 * HOUR_MS)
    await world.appealing.once()
    await world.appealing.once()
    await world.settled()
    assert len(world.said(REVIEW, "Nothing is decided by that")) == 1
    assert len(world.said(RoomId(f"!direct-{OWNER}"), "was to be answered by 12:00")) == 1
    assert "Insp Olu Ward has been told" in world.last(DIRECT).post.body  # type: ignore[union-attr]
    assert [head["status"] for head, _ in world.of_kind("appeal")] == [
        "raised", "reminded", "overdue"
    ]  # fmt: skip
    assert (await world.docket()).open


async def test_a_late_appeal_can_still_be_decided_and_then_nobody_is_reminded() -> None:
    world = court()
    request = await world.appealed()
    world.clock.move(26 * HOUR_MS)
    await world.appealing.once()
    await world.decided(request, "✅", DAN, "yes")
    before = len(world.sent)
    await world.appealing.once()
    await world.settled()
    assert len(world.sent) == before


async def test_the_console_can_decide_by_the_same_function() -> None:
    world = court()
    await world.appealed()
    rid = (await world.docket()).appeal.rid
    heard = await world.desk.decide(rid, Decision.ACTION_STANDS, BEN, "a job")
    assert "outside Response A" in heard.refused
    heard = await world.desk.decide(rid, Decision.ACTION_STANDS, EWA, "a job")
    assert not heard.refused
    await world.store.append(heard.facts)
    assert (await world.docket()).decision is Decision.ACTION_STANDS
    gone = await world.desk.decide(Rid("0" * 32), Decision.RESTORED, EWA, "")
    assert gone.refused == "This appeal is no longer on record."


# Hours


def at(text: str) -> Ms:
    return Ms(int(datetime.fromisoformat(text).replace(tzinfo=LONDON).timestamp() * 1000))


@pytest.mark.parametrize(
    ("raised", "due"),
    [
        ("2026-11-23T09:00", "2026-11-24T13:00"),  # 9 of 14 hours on Monday, 5 on Tuesday
        ("2026-11-20T17:00", "2026-11-24T11:00"),  # Friday: 1, Monday: 10, Tuesday: 3
        ("2026-11-21T12:00", "2026-11-24T12:00"),  # Saturday: nothing until Monday
        ("2026-11-23T05:00", "2026-11-24T12:00"),
        ("2026-03-27T17:00", "2026-03-31T11:00"),  # the clocks go forward on the Sunday
    ],
)
def test_where_out_of_hours_nobody_decides_only_working_hours_count(raised: str, due: str) -> None:
    hours = Hours(zone=LONDON, answer=14, supervisors=False)
    assert hours.say(hours.due(at(raised))) == hours.say(at(due))


def test_where_supervisors_decide_every_hour_counts() -> None:
    hours = Hours(zone=LONDON)
    assert hours.due(at("2026-11-21T23:00")) == at("2026-11-22T23:00")


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-11-23T07:59", False), ("2026-11-23T08:00", True), ("2026-11-23T17:59", True),
        ("2026-11-23T18:00", False), ("2026-11-22T12:00", False),
    ],
)  # fmt: skip
def test_reviewers_work_from_their_first_minute_to_their_last(time: str, is_open: bool) -> None:
    assert Hours(zone=LONDON).open_at(at(time)) is is_open


def test_a_day_may_end_at_midnight() -> None:
    hours = Hours(zone=LONDON, closes=24 * 60, supervisors=False, answer=2)
    assert hours.due(at("2026-11-23T23:00")) == at("2026-11-24T09:00")


def test_a_short_time_is_not_reminded_of_at_once() -> None:
    hours = Hours(zone=LONDON, answer=2, remind=4)
    raised = at("2026-11-23T09:00")
    assert hours.remind_at(raised, hours.due(raised)) == at("2026-11-23T10:00")


# Bad input


@given(st.binary(max_size=80), st.text(max_size=6))
def test_no_content_of_a_tap_or_reply_is_more_than_it_can_take(raw: bytes, words: str) -> None:
    tap = replace(say("$t"), kind=Kind.OTHER, type="m.reaction", content=raw)
    assert appeals.tapped(tap) is None
    assert appeals.replied(replace(say("$r", words), content=raw)) is None
    assert restoring.piece(replace(say("$c", words), content=raw)) is None
    assert appeals.asked_in(words) is None


@pytest.mark.parametrize("depth", [10, 100_000])
def test_content_that_is_nested_too_deep_says_nothing(depth: int) -> None:
    deep = b'{"m.relates_to":' * depth + b"1" + b"}" * depth
    tap = replace(say("$t"), kind=Kind.OTHER, type="m.reaction", content=deep)
    assert appeals.tapped(tap) is None
    assert appeals.replied(replace(say("$r"), content=deep)) is None


@pytest.mark.parametrize(
    "mark",
    [
        {"head": -1, "tail": 0},
        {"head": 90, "tail": 90},
        {"head": 0, "tail": 0, "part": 3, "of": 2},
        {"head": 0, "tail": 0, "html": [99, 99]},
        {"head": "0", "tail": 0},
    ],
)
def test_a_copy_that_does_not_add_up_is_not_read(mark: dict[str, object]) -> None:
    content = json.dumps({"body": "words", COPY_FIELD: mark}).encode()
    copy = replace(say("$c", "words"), formatted="<b>words</b>", content=content)
    assert restoring.piece(copy) is None


def test_a_reply_in_a_thread_answers_its_last_message_or_its_root() -> None:
    relation = {
        "rel_type": "m.thread",
        "event_id": "$root",
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": "$last"},
    }
    content = json.dumps({"body": "again", "m.relates_to": relation}).encode()
    found = appeals.replied(replace(say("$r", "again"), content=content))
    assert found == (("$last", "$root"), "again")


@pytest.mark.parametrize("words", ["again", "Again!", " “AGAIN” ", "again."])
def test_again_is_understood_however_it_is_spelt(words: str) -> None:
    assert appeals.is_again(words)


@pytest.mark.parametrize("words", ["yes", "Yes.", "OK", "confirmed"])
def test_a_bare_yes_is_no_reason(words: str) -> None:
    assert appeals.reason_of(words) == ""


def test_a_reason_is_one_line_and_not_endless() -> None:
    assert appeals.reason_of("it names\n a job.") == "it names a job"
    assert len(appeals.reason_of("word " * 1000)) <= appeals.MOST_REASON


async def test_a_note_that_waits_under_the_brake_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A debt that is owed for long is no reason to wait for its record."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("bridge.officers.appealdesk.asyncio.sleep", sleep)
    for later, waits in ((0, True), (60_000, False)):
        world = court()
        await world.transport.direct(ASHA)
        await world.hear(say("$a", OPERATIONAL))
        world.clock.move(later)
        await world.tap(EventId("$other"), "👎", ASHA, DIRECT)
        assert bool(waited) is waits
        waited.clear()


# Before anybody appeals


async def test_a_pass_is_for_one_message_also_at_the_gate() -> None:
    world = court()
    await lost(world)
    at = world.clock()
    first, second = say("$x", OPERATIONAL, at=at), say("$y", OPERATIONAL, at=Ms(at + 90_000))
    assert not await world.pipeline.stop(first)
    await world.hear(say("$chat", at=at))
    assert await world.pipeline.stop(second)
    await world.hear(first)
    await world.settled()
    assert "$x" not in [s.removed for s in world.sent]


def test_a_check_names_the_rooms_about_which_nobody_could_decide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.policy.load.probe_costs", lambda *_: None)
    force = found(tmp_path, "http://localhost:1", months=1)
    listed = (tmp_path / "people.csv").read_text(encoding="utf-8")
    main(["-c", str(force.config), "check"])
    assert "decide an appeal" not in capsys.readouterr().err
    fewer = listed.replace("chloe,reviewer", ",").replace("log-reader reviewer", "log-reader")
    (tmp_path / "people.csv").write_text(fewer, encoding="utf-8")
    assert main(["-c", str(force.config), "check"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "nobody could decide an appeal about Response B social" in told
    assert "Response A social" not in told


async def test_who_taps_without_end_has_others_wait_for_four_seconds_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a note is owed, a tap on it may come before it is on record: that is waited for."""
    world = court()
    await world.moved()
    await world.hear(say("$owed", OPERATIONAL, at=world.clock()))  # and nothing is settled
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("bridge.officers.appealdesk.asyncio.sleep", sleep)
    for n in range(10):
        relation = {"rel_type": "m.annotation", "event_id": f"$nothing{n}", "key": "👎"}
        content = json.dumps({"m.relates_to": relation}).encode()
        tap = say(f"$tap{n}", "", room=DIRECT, at=world.clock())
        await world.hear(replace(tap, kind=Kind.OTHER, type="m.reaction", content=content))
    assert 20 <= len(waited) <= 40
    world.clock.move(31_000)
    await world.hear(say("$owed2", OPERATIONAL, at=world.clock()))
    before = len(waited)
    tap = say("$later", "", room=DIRECT, at=world.clock())
    await world.hear(replace(tap, kind=Kind.OTHER, type="m.reaction", content=content))
    assert len(waited) > before, "and again when some time has passed"


async def test_of_very_many_who_may_decide_the_request_names_a_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = "".join(f"@r{n}:force.example,PC {n},9{n},B,PC,,r{n},reviewer\n" for n in range(50))
    monkeypatch.setattr(f"{__name__}.PEOPLE", PEOPLE + rows)
    world = court()
    await world.appealed()
    (words,) = world.said(REVIEW, "an appeal")
    assert "PC Dan Murray, PC Ewa Nowak, PC 0," in words
    assert " and 44 others may decide" in words
