"""The brake, rehearsal and the daily digest, told as stories without a homeserver."""

from __future__ import annotations

from dataclasses import replace
from typing import cast
from zoneinfo import ZoneInfo

from bridge.errors import TransportError
from bridge.facts import Mode
from bridge.matrix.memory import no_fault
from bridge.model import Action, Copy, EventId, Ms, RoomClass, RoomId
from bridge.officers import brake
from bridge.officers.brake import AGREE_MS
from bridge.officers.frontdesk import STALE_MS
from bridge.running.control import Answer, Order
from bridge.running.live import Live
from bridge.running.orders import Orders
from bridge.running.policydesk import PolicyDesk
from tests.making import ASHA, NOON, REVIEW, SOCIAL, say
from tests.unit.counter import BEN, DAN, DIRECT, EWA, GWEN, Counter, people
from tests.unit.test_pipeline import OPERATIONAL, failing

AUDIT = RoomId("!audit")
MINUTE = 60_000
HOUR = 60 * MINUTE


async def settle(world: Counter) -> None:
    await world.settler.settle_once()


async def paused(world: Counter) -> list[tuple[str, RoomId | None]]:
    return [(one.mode.value, one.room) for one in await world.store.standing()]


# Pause and resume in the review room


async def test_a_supervisor_pauses_their_room_for_a_time_and_it_ends_by_itself() -> None:
    world = Counter()
    await world.type("!pause Response A social 30m a wrong rule", room=REVIEW, by=GWEN)
    assert "Paused in Response A social until 12:30. Recording goes on." in world.last(REVIEW)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.removed() == []
    world.clock.move(29 * MINUTE)
    await world.watch.once()
    assert await paused(world) == [("pause", SOCIAL)]
    world.clock.move(MINUTE)
    await world.watch.once()
    await settle(world)
    assert await paused(world) == []
    assert world.removed() == ["$a"]
    assert "The pause in Response A social, since 12:00, is over" in world.last(REVIEW)
    brakes = [
        (h["status"], i.get("by"), i.get("until")) for k, h, i in world.ledger() if k == "brake"
    ]
    assert brakes == [("on", GWEN, NOON + 30 * MINUTE), ("off", "bluelamp", None)]


async def test_the_end_of_a_pause_does_not_wait_for_the_homeserver_and_is_told_once() -> None:
    world = Counter()
    await world.type("!pause all 1m", room=REVIEW, by=GWEN)
    world.clock.move(MINUTE)
    world.transport.fault = failing("send", TransportError("down"))
    await world.watch.once()
    assert await paused(world) == []
    world.transport.fault = no_fault
    for _ in range(3):
        await world.watch.once()
    assert len(world.posts(REVIEW, "is over")) == 1


async def test_resume_acts_again_and_does_what_was_owed() -> None:
    world = Counter()
    await world.type("!pause Response A social", room=REVIEW, by=DAN)
    assert "Paused in Response A social. " in world.last(REVIEW)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    await world.type("!resume Response A social", room=REVIEW, by=EWA)
    await settle(world)
    assert world.removed() == ["$a"]
    assert "Acting again in Response A social." in world.last(REVIEW)


async def test_who_may_not_is_told_so_and_nothing_happens() -> None:
    world = Counter()
    for word in ("!pause all", "!incident on all", "!resume all"):
        await world.type(word, room=REVIEW, by=BEN)
        assert "reviewers, administrators, and the supervisor" in world.last(REVIEW)
    assert await paused(world) == []


async def test_the_brake_is_worked_from_the_review_room_only() -> None:
    world = Counter()
    await world.type("!pause all", by=GWEN)
    assert "typed in Referrals" in world.last(RoomId(f"!direct-{GWEN}"))
    assert await paused(world) == []


async def test_a_room_has_to_be_named_or_replied_to() -> None:
    world = Counter()
    await world.type("!pause 30m", room=REVIEW, by=GWEN)
    assert "Which room?" in world.last(REVIEW)
    assert "Response A social" in world.last(REVIEW)
    world.transport.fault = failing("redact", TransportError("502"))
    await world.hear_and_settle(replace(say("$a", "tea?"), suspect=True, doubt="odd"))
    request = world.sent_to(REVIEW, "Please look").event
    await world.type("!pause 30m odd things", room=REVIEW, by=GWEN, to=request)
    assert await paused(world) == [("pause", SOCIAL)]


async def test_an_order_that_comes_late_is_not_carried_out() -> None:
    world = Counter()
    sent = world.clock()
    world.clock.move(STALE_MS + 1)
    await world.type("!pause all", room=REVIEW, by=GWEN, at=sent)
    assert "reached me late" in world.last(REVIEW)
    assert await paused(world) == []


async def test_no_pause_is_for_ever_or_for_nothing() -> None:
    world = Counter()
    for length in ("0m", "200h"):
        await world.type(f"!pause all {length}", room=REVIEW, by=GWEN)
        assert "1 minute to 7 days" in world.last(REVIEW)
    assert await paused(world) == []


async def test_to_forget_what_is_owed_takes_two_people() -> None:
    world = Counter()
    await world.type("!pause all", room=REVIEW, by=GWEN)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    await world.type("!resume waive all", room=REVIEW, by=GWEN)
    await world.type("!resume waive all", room=REVIEW, by=GWEN)
    assert await paused(world) == [("pause", None)], "the same person twice is one person"
    world.clock.move(AGREE_MS + 1)
    await world.type("!resume waive all", room=REVIEW, by=DAN)
    assert await paused(world) == [("pause", None)], "the first word was too long ago"
    await world.type("!resume waive all", room=REVIEW, by=EWA)
    assert await paused(world) == []
    await settle(world)
    assert world.removed() == []
    assert not any(isinstance(d.effect, Copy) for d in await world.store.owed())
    by = [i["by"] for k, h, i in world.ledger() if k == "brake" and h["status"] == "off"]
    assert by == [f"{DAN} and {EWA}"]


async def test_one_room_does_not_resume_while_everything_is_paused() -> None:
    world = Counter()
    await world.type("!pause all", room=REVIEW, by=GWEN)
    await world.type("!resume Response A social", room=REVIEW, by=GWEN)
    assert "every room is stopped" in world.last(REVIEW)
    assert await paused(world) == [("pause", None)]


# By itself


async def test_too_many_removals_call_the_supervisors_once_with_a_mention() -> None:
    world = Counter(limit=3)
    await world.hear_and_settle(*(say(f"${n}", f"{OPERATIONAL} {n}") for n in range(12)))
    for _ in range(5):
        world.clock.move(5_000)
        await settle(world)
    calls = [s for s in world.sent if s.post and "has paused itself there" in s.post.body]
    assert len(calls) == 1
    assert calls[0].room == REVIEW
    assert calls[0].post is not None
    assert calls[0].post.sounds
    assert calls[0].post.mentions == (GWEN,)
    before = len(world.removed())
    await world.type("!resume", room=REVIEW, by=GWEN, to=calls[0].event)
    for _ in range(3):
        await settle(world)
        world.clock.move(5_000)
    assert len(world.removed()) == before + 3, "a reply says which room; it is counted anew"
    assert len(world.posts(REVIEW, "has paused itself there")) == 2


# Major incident


async def test_in_a_major_incident_everything_is_recorded_and_nothing_is_done() -> None:
    world = Counter()
    await world.type("!incident on all 2h flooding", room=REVIEW, by=GWEN)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert [s.room for s in world.sent] == [REVIEW], "the answer, and nothing else"
    assert await world.store.owed() == ()
    verdict = next((h, i) for k, h, i in world.ledger() if k == "verdict")
    assert (verdict[0]["action"], verdict[1]["held"]) == ("redirect", "incident")
    world.clock.move(2 * HOUR)
    await world.watch.once()
    await settle(world)
    assert world.removed() == [], "not afterwards either"
    await world.hear_and_settle(say("$b", OPERATIONAL, at=world.clock()))
    assert world.removed() == ["$b"]


async def test_commands_are_answered_in_a_major_incident() -> None:
    world = Counter()
    await world.type("!incident on all", room=REVIEW, by=GWEN)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    await world.type("!why", to=EventId("$a"))
    assert "I did nothing to your message" in world.last(DIRECT)
    await world.type("!incident off all", room=REVIEW, by=GWEN)
    assert await paused(world) == []


async def test_what_was_said_in_an_incident_can_be_moved_by_a_person_afterwards() -> None:
    world = Counter()
    await world.type("!incident on Response A social", room=REVIEW, by=GWEN)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    known = (await world.store.known([EventId("$a")]))[EventId("$a")]
    assert known.action is Action.ALLOW
    await world.type("!incident off Response A social", room=REVIEW, by=GWEN)
    await world.hear_and_settle(say("$e", f"{OPERATIONAL} again", replaces="$a"))
    assert set(world.removed()) == {"$a", "$e"}


async def test_what_was_owed_before_an_incident_waits_until_it_is_over() -> None:
    world = Counter()
    await world.hear(say("$a", OPERATIONAL))
    await world.type("!incident on all 1h", room=REVIEW, by=GWEN)
    await settle(world)
    assert world.removed() == []
    world.clock.move(HOUR)
    await world.watch.once()
    await settle(world)
    assert world.removed() == ["$a"]


async def test_people_are_told_of_an_incident_and_reminded_every_hour_until_it_ends() -> None:
    world = Counter()
    await world.type("!incident on all flooding", room=REVIEW, by=GWEN)
    assert "until 16:00" in world.last(REVIEW), "four hours, where nobody says"
    for _ in range(5 * 60):
        await world.watch.once()
        world.clock.move(MINUTE)
    assert len(world.posts(REVIEW, "still on")) == 3
    assert len(world.posts(AUDIT, "still on")) == 3
    assert "flooding" in world.posts(AUDIT)[0]
    assert len(world.posts(AUDIT, "has ended by itself")) == 1
    assert await paused(world) == []


async def test_auditors_hear_that_somebody_has_ended_an_incident() -> None:
    world = Counter()
    await world.type("!incident on all", room=REVIEW, by=GWEN)
    await world.watch.once()
    await world.type("!incident off all", room=REVIEW, by=GWEN)
    await world.watch.once()
    await world.watch.once()
    assert len(world.posts(AUDIT, "is off")) == 1


async def test_incident_says_on_or_off() -> None:
    world = Counter()
    await world.type("!incident all", room=REVIEW, by=GWEN)
    assert "on or !incident off" in world.last(REVIEW)
    assert await paused(world) == []


# At the command line


def orders(world: Counter) -> Orders:
    return Orders(
        store=world.store, settler=world.settler, rooms=world.rooms, clock=world.clock,
        zone=ZoneInfo("Europe/London"),
    )  # fmt: skip


async def test_the_command_line_pauses_for_a_time_and_says_until_when() -> None:
    world = Counter()
    order = Order(do="pause", room="Response A social", by="root", length=30 * MINUTE)
    answer = await orders(world).obey(order)
    assert answer == Answer(
        ok=True, text="Paused in Response A social until 12:30. Recording goes on."
    )
    status = await orders(world).obey(Order(do="status"))
    assert "paused: Response A social until 12:30." in status.text


async def test_the_command_line_switches_incident_mode_and_the_review_room_hears_of_it() -> None:
    world = Counter()
    answer = await orders(world).obey(Order(do="incident-on", by="root", reason="flooding"))
    assert "Major-incident mode is on in every room until 16:00." in answer.text
    await world.watch.once()
    assert "root switched major-incident mode on in every room" in world.last(REVIEW)
    assert "Major incident: every room until 16:00" in (
        await orders(world).obey(Order(do="status"))
    ).text  # fmt: skip
    await orders(world).obey(Order(do="incident-off", by="root"))
    assert await paused(world) == []


async def test_an_order_of_an_absurd_length_is_refused() -> None:
    world = Counter()
    assert not (await orders(world).obey(Order(do="pause", by="root", length=1))).ok
    assert await paused(world) == []


def staffed(world: Counter) -> Orders:
    """At the command line of a running bot, where everybody has an account of their own."""
    desk = PolicyDesk(live=cast("Live", None), people=people, find=lambda _: None)
    return replace(orders(world), desk=desk, agreement=world.front.agreement)


def waive(account: str, by: str = "") -> Order:
    return Order(do="resume", by=by, account=account, waive=True)


async def test_to_forget_what_is_owed_takes_two_people_at_the_command_line_too() -> None:
    world = Counter()
    await world.type("!pause all", room=REVIEW, by=GWEN)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    line = staffed(world)
    for account, by in (("root", ""), ("root", "PC Dan Murray"), ("pat", ""), ("dan", "ewa")):
        answer = await line.obey(waive(account, by))
        assert not answer.ok, (
            "neither is a reviewer or an administrator, or it is not their account"
        )
    for _ in range(2):
        answer = await line.obey(waive("dan"))
        assert answer.ok
        assert "PC Dan Murray wants what is owed forgotten" in answer.text
        assert await paused(world) == [("pause", None)], "the same person twice is one person"
    world.clock.move(AGREE_MS + 1)
    await line.obey(waive("ewa"))
    assert await paused(world) == [("pause", None)], "the first word was too long ago"
    answer = await line.obey(waive("dan"))
    assert "Acting again in every room." in answer.text
    assert "things that were owed are waived" in answer.text
    assert await paused(world) == []
    await settle(world)
    assert world.removed() == []
    both = [i["by"] for k, h, i in world.ledger() if k == "brake" and h["status"] == "off"]
    assert both == [f"{EWA} and {DAN}"]


async def test_one_of_the_two_may_be_in_the_review_room() -> None:
    world = Counter()
    await world.type("!pause all", room=REVIEW, by=GWEN)
    await world.type("!resume waive all", room=REVIEW, by=EWA)
    answer = await staffed(world).obey(waive("ewa"))
    assert await paused(world) == [("pause", None)], "the same person twice is one person"
    answer = await staffed(world).obey(waive("dan"))
    assert answer.ok
    assert await paused(world) == []


async def test_without_a_running_bot_nothing_is_forgotten() -> None:
    world = Counter()
    await world.type("!pause all", room=REVIEW, by=GWEN)
    for _ in range(2):
        answer = await orders(world).obey(waive("dan"))
        assert not answer.ok
        assert "the running bot" in answer.text
    assert await paused(world) == [("pause", None)]


async def test_what_people_are_asked_and_answered_is_never_waived() -> None:
    world = Counter()
    await world.hear(say("$a", OPERATIONAL), say("$h", "!help"))
    kinds = {type(d.effect).__name__ for d in await world.store.owed()}
    dropped = brake.waived(await world.store.owed(), None, "two")
    assert "Say" in kinds
    assert len(dropped) == len([d for d in await world.store.owed()
                                if type(d.effect).__name__ != "Say"])  # fmt: skip


# Rehearsal


async def test_a_room_rehearses_while_the_others_act_and_the_record_says_so() -> None:
    world = Counter()
    other = RoomId("!other")
    world.rooms[other] = replace(world.rooms[SOCIAL], id=other, name="Response B social")
    world.rooms[SOCIAL] = replace(world.rooms[SOCIAL], rehearse=True)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.sent == []
    statuses = {h["status"] for k, h, _ in world.ledger() if k == "outcome"}
    assert statuses == {"rehearsed"}
    await world.hear_and_settle(say("$b", OPERATIONAL, room=other))
    assert world.removed() == ["$b"]
    await world.type("!help")
    assert "You can type" in world.last(DIRECT), "whoever asks is answered all the same"
    await world.type("!why", to=EventId("$a"))
    assert "only practise" in world.last(DIRECT)


# The digest


async def morning(world: Counter) -> None:
    """Move to 7 in the morning after NOON."""
    world.clock.move(19 * HOUR)
    await world.digest.once()


async def test_a_supervisor_hears_once_a_day_how_much_happened_in_their_rooms() -> None:
    world = Counter()
    await world.hear_and_settle(say("$a", OPERATIONAL), say("$b", f"{OPERATIONAL} too"))
    note = world.sent_to(DIRECT, "is now in").event
    await world.type("!appeal", room=DIRECT, to=note)
    room = RoomId(f"!direct-{GWEN}")
    await world.digest.once()
    assert not world.posts(room, "yesterday")
    await morning(world)
    told = world.posts(room, "yesterday")
    assert told == [
        "Since this time yesterday, in the rooms that you supervise:\n"
        "Response A social: 2 messages moved, 1 appeal open."
    ]
    assert "Asha" not in told[0]
    for _ in range(3):
        world.restart()
        world.clock.move(HOUR)
        await world.digest.once()
    assert len(world.posts(room, "yesterday")) == 1


async def test_where_nothing_happened_nothing_is_said() -> None:
    world = Counter()
    await world.hear_and_settle(say("$a", "tea?"))
    await morning(world)
    assert world.sent == []


async def test_a_digest_is_told_when_the_homeserver_is_there_again() -> None:
    world = Counter()
    await world.hear_and_settle(say("$a", OPERATIONAL))
    world.transport.fault = failing("send", TransportError("down"))
    await morning(world)
    world.transport.fault = no_fault
    await world.digest.once()
    assert len(world.posts(RoomId(f"!direct-{GWEN}"), "yesterday")) == 1


def test_a_major_incident_ends_by_itself_whoever_forgets_to_say_so() -> None:
    order = brake.Order(mode=Mode.INCIDENT, on=True, room=None, by="gwen")
    assert order.fact(NOON).until == NOON + 4 * HOUR
    assert order.fact(NOON, Ms(HOUR)).until == NOON + HOUR
    assert replace(order, mode=Mode.PAUSE).fact(NOON).until is None


def test_who_may_stop_the_bot() -> None:
    world = Counter()
    room, review = world.rooms[SOCIAL], replace(world.rooms[REVIEW], supervisor=DAN)
    assert room.cls is RoomClass.SOCIAL
    assert brake.may(GWEN, (), room, review), "the room's supervisor"
    assert not brake.may(GWEN, (), None, review), "but not everywhere"
    assert brake.may(DAN, (), None, review), "the review room's supervisor, everywhere"
    assert brake.may(BEN, ("reviewer",), None, review)
    assert brake.may(BEN, ("administrator",), room, review)
    assert not brake.may(BEN, ("auditor",), room, review)
    assert not brake.may(ASHA, (), room, review)
