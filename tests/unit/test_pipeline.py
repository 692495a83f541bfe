"""Operational talk in a social room, told as stories without a homeserver."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
import pytest

from bridge.acting.enforce import COPY_S, Enforcer
from bridge.acting.removal import Closer
from bridge.acting.settle import Settler
from bridge.acting.texts import Speaker
from bridge.config import load_policies
from bridge.duties.sweep import UNREADABLE_MS, Sweep
from bridge.errors import NotPermitted, TooLarge, TransportError
from bridge.ledger.opening import Reader
from bridge.matrix.memory import Fault, MemoryTransport, Sent, no_fault
from bridge.matrix.memory_closing import MemoryRemains
from bridge.model import (
    Batch,
    EventId,
    Gap,
    Kind,
    Media,
    Message,
    Ms,
    Room,
    RoomClass,
    RoomId,
    UserId,
)
from bridge.policy import Policy
from bridge.ports import Post, Transport
from bridge.store.memory import MemoryStore
from bridge.way.pipeline import Pipeline
from tests.making import ASHA, NOON, ORIGIN, REVIEW, SECURE, SOCIAL, Hands, custodian, identity, say

POLICY: Policy = load_policies(Path(__file__).parents[2] / "policies", clock=None)
PSD = custodian()
ROOMS = {
    SOCIAL: Room(
        id=SOCIAL, cls=RoomClass.SOCIAL, name="Response A social", secure=SECURE,
        secure_name="Response A secure", review=REVIEW,
    ),
    SECURE: Room(id=SECURE, cls=RoomClass.OPERATIONAL, name="Response A secure", review=REVIEW),
    REVIEW: Room(id=REVIEW, cls=RoomClass.REVIEW, name="Referrals"),
}  # fmt: skip
OPERATIONAL = "AB12 CDE just left 14 Acacia Avenue"


class World:
    """A pipeline and a settler between a store and a homeserver of lists."""

    def __init__(self, *, rehearse: bool = False, limit: int = 60) -> None:
        self.clock = Hands()
        self.rooms = dict(ROOMS)
        self.transport = MemoryTransport(clock=self.clock)
        self.remains = MemoryRemains(transport=self.transport)
        self.store = MemoryStore(identity(PSD), self.clock)
        self.restart(rehearse=rehearse, limit=limit)

    def restart(self, *, rehearse: bool = False, limit: int = 60) -> None:
        """Forget everything but the store and the homeserver."""
        speaker = Speaker(
            rooms=self.rooms, names={ASHA: "PC Asha Khan"}, contact="the Digital Desk",
            zone=ZoneInfo("Europe/London"), server="force.example",
        )  # fmt: skip
        closer = Closer(
            transport=self.transport, remains=self.remains, store=self.store, rooms=self.rooms
        )
        self.settler = Settler(
            store=self.store,
            enforcer=Enforcer(
                transport=self.transport, speaker=speaker, rehearse=rehearse,
                posted_about=self.store.posted_about, closer=closer,
            ),
            rooms=self.rooms, review=REVIEW, clock=self.clock, removals_per_minute=limit,
            started=self.clock(),
        )  # fmt: skip
        self.pipeline = closer.pipeline = Pipeline(
            transport=self.transport, store=self.store, policy=lambda: POLICY, rooms=self.rooms,
            review=REVIEW, wake=self.settler.wake,
        )  # fmt: skip
        self.sweep = Sweep(
            store=self.store, pipeline=self.pipeline, settler=self.settler,
            certificates=identity(PSD).certificates, retentions=frozenset({"social"}),
            clock=self.clock,
        )  # fmt: skip

    async def hear(self, *messages: Message) -> None:
        await self.pipeline.handle(self.transport.say(*messages))

    async def hear_and_settle(self, *messages: Message) -> None:
        await self.hear(*messages)
        await self.settler.settle_once()

    def done(self) -> list[tuple[str, str]]:
        """What happened on the homeserver, in order: (what, where or which)."""
        return [(("removed", s.removed) if s.removed else ("posted", s.room)) for s in self.sent]

    @property
    def sent(self) -> list[Sent]:
        return self.transport.sent

    def ledger(self) -> list[tuple[str, dict[str, str | int], dict[str, object]]]:
        """(kind, header, inside) of every record."""
        reader = Reader(ORIGIN, ["psd"], [PSD])
        found = []
        for record in self.store.records:
            header = msgspec.json.decode(record.header, type=dict[str, str | int])
            reader.learn(header, record.body)
            body = b"{}" if header["kind"] == "epoch" else reader.open(header, record.body)
            body = body.partition(b"\n")[0]
            inside = msgspec.json.decode(body, type=dict[str, object])
            found.append((str(header["kind"]), header, inside))
        return found

    def kinds(self) -> list[str]:
        own = {"genesis", "certificate", "epoch"}
        return [kind for kind, _, _ in self.ledger() if kind not in own]


class Overridden:
    """A transport whose sending is another; all else is as it was."""

    def __init__(self, inner: MemoryTransport, send: Any) -> None:
        self._inner, self.send = inner, send

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def failing(what: str, error: TransportError, *, acted: bool = False) -> Fault:
    return lambda name: (acted, error) if name == what else (True, None)


async def test_operational_talk_is_copied_then_removed_then_explained() -> None:
    world = World()
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.done() == [
        ("posted", SECURE), ("removed", "$a"), ("posted", f"!direct-{ASHA}")
    ]  # fmt: skip
    copy, _, note = world.sent
    assert copy.post is not None
    assert copy.post.body.startswith("PC Asha Khan wrote in Response A social at 12:00:")
    assert note.post is not None
    assert note.post.mentions == (ASHA,)
    assert "AB12" not in note.post.body


async def test_everything_that_is_owed_is_on_record_before_the_first_effect() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL))
    assert world.sent == []
    assert world.kinds() == ["message", "verdict", "debt", "debt", "debt", "debt"]


async def test_ordinary_chat_leaves_one_record_and_no_trace_elsewhere() -> None:
    world = World()
    await world.hear_and_settle(say("$a", "who brings the milk?"))
    assert world.sent == []
    assert world.kinds() == ["message"]
    assert world.ledger()[-1][1]["action"] == "allow"
    assert world.ledger()[-1][1]["revision"] == POLICY.revision


async def test_a_batch_that_comes_twice_is_judged_once() -> None:
    world = World()
    batch = world.transport.say(say("$a", OPERATIONAL))
    await world.pipeline.handle(batch)
    await world.pipeline.handle(batch)
    await world.settler.settle_once()
    assert world.kinds().count("message") == 1
    assert len(world.sent) == 3


async def test_an_answer_that_is_lost_does_not_send_twice() -> None:
    """It failed, but it had happened: trying again after a restart changes nothing."""
    world = World()
    world.transport.fault = failing("send", TransportError("cut off"), acted=True)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    world.transport.fault = no_fault
    world.clock.move(120_000)
    world.restart()
    await world.settler.settle_once()
    await world.settler.settle_once()
    posts = [s.room for s in world.sent if s.post]
    assert posts.count(SECURE) == 1
    assert await world.store.owed() == ()


async def test_a_copy_that_cannot_be_made_does_not_keep_the_leak_open() -> None:
    """It is removed, a person is asked, and the copy stays owed until it succeeds."""
    world = World()
    world.transport.fault = failing("send", TransportError("502"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.done() == [("removed", "$a")]
    names = [type(debt.effect).__name__ for debt in await world.store.owed()]
    assert names == ["Copy", "Notify", "Refer"]
    world.transport.fault = no_fault
    world.clock.move(120_000)
    await world.settler.settle_once()
    assert await world.store.owed() == ()
    assert [s.room for s in world.sent if s.post] == [SECURE, f"!direct-{ASHA}", REVIEW]


async def test_nobody_is_told_that_a_message_is_where_it_is_not_yet() -> None:
    """The copy fails, the rest works: the sender hears of it when the copy is there."""
    world = World()
    send = world.transport.send
    shut = True

    async def no_secure(room: RoomId, post: Post, *, txn: str) -> EventId:
        if room == SECURE and shut:
            raise TransportError("502")
        return await send(room, post, txn=txn)

    world.settler.enforcer = replace(
        world.settler.enforcer, transport=cast(Transport, Overridden(world.transport, no_secure))
    )
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.done() == [("removed", "$a")]
    world.clock.move(120_000)
    await world.settler.settle_once()
    assert world.done()[1:] == [("posted", REVIEW)], "a person is asked meanwhile"
    shut = False
    world.clock.move(120_000)
    await world.settler.settle_once()
    assert [s.room for s in world.sent if s.post][1:] == [SECURE, f"!direct-{ASHA}"]


async def test_a_sender_whose_message_could_not_be_copied_is_told_so() -> None:
    world = World()
    send = world.transport.send

    async def no_secure(room: RoomId, post: Post, *, txn: str) -> EventId:
        if room == SECURE:
            raise NotPermitted("not in the room")
        return await send(room, post, txn=txn)

    world.settler.enforcer = replace(
        world.settler.enforcer, transport=cast(Transport, Overridden(world.transport, no_secure))
    )
    await world.hear_and_settle(say("$a", OPERATIONAL))
    note = next(s.post for s in world.sent if s.post and s.room == f"!direct-{ASHA}")
    assert "It was not copied anywhere else" in note.body


async def test_words_that_cannot_be_encoded_are_copied_as_far_as_they_can() -> None:
    world = World()
    await world.hear_and_settle(say("$a", f"{OPERATIONAL} \ud800 again"))
    copy = world.sent[0].post
    assert copy is not None
    copy.body.encode()
    assert "AB12 CDE" in copy.body


async def test_a_copy_that_hangs_is_given_up_after_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert COPY_S == 5.0
    monkeypatch.setattr("bridge.acting.enforce.COPY_S", 0.05)
    monkeypatch.setattr("bridge.acting.enforce.EFFECT_S", 3600.0)
    world = World()
    send, hangs = world.transport.send, True

    async def hanging(room: RoomId, post: Post, *, txn: str) -> EventId:
        if room == SECURE and hangs:
            await asyncio.Event().wait()
        return await send(room, post, txn=txn)

    world.settler.enforcer = replace(
        world.settler.enforcer, transport=cast(Transport, Overridden(world.transport, hanging))
    )
    async with asyncio.timeout(120):
        await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.done() == [("removed", "$a")]
    hangs = False
    world.clock.move(120_000)
    await world.settler.settle_once()
    assert ("posted", SECURE) in world.done()


async def test_a_removal_that_fails_is_tried_again_and_nothing_after_it_happens_first() -> None:
    world = World()
    world.transport.fault = failing("redact", TransportError("502"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.done() == [("posted", SECURE)]
    world.transport.fault = no_fault
    world.clock.move(2_000)
    await world.settler.settle_once()
    assert [what for what, _ in world.done()] == ["posted", "removed", "posted"]


async def test_a_removal_that_is_refused_goes_to_a_person() -> None:
    world = World()
    world.transport.fault = failing("redact", NotPermitted("power level too low"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    await world.settler.settle_once()
    referred = [s for s in world.sent if s.room == REVIEW]
    assert len(referred) == 1
    assert referred[0].post is not None
    assert "could not be done: power level too low" in referred[0].post.body
    assert await world.store.owed() == ()


async def test_what_is_owed_for_a_day_is_given_up_and_a_person_is_told() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL))
    world.clock.move(86_400_001)
    await world.settler.settle_once()
    await world.settler.settle_once()
    assert {s.room for s in world.sent} == {REVIEW}
    statuses = [header["status"] for kind, header, _ in world.ledger() if kind == "outcome"]
    assert statuses.count("abandoned") == 4


async def test_an_edit_takes_its_original_and_earlier_edits_along() -> None:
    world = World()
    await world.hear_and_settle(say("$a", "tea?"), say("$e1", "tea at 3?", replaces="$a"))
    await world.hear_and_settle(say("$e2", OPERATIONAL, replaces="$a"))
    assert [which for what, which in world.done() if what == "removed"] == ["$a", "$e1", "$e2"]


async def test_two_edits_in_one_batch_remove_their_original_once() -> None:
    world = World()
    await world.hear_and_settle(
        say("$a", "tea?"),
        say("$e1", OPERATIONAL, replaces="$a"),
        say("$e2", f"{OPERATIONAL} again", replaces="$a"),
    )
    assert [which for what, which in world.done() if what == "removed"] == ["$a", "$e1", "$e2"]
    assert [room for what, room in world.done() if what == "posted"].count(SECURE) == 2


async def test_an_edit_of_a_moved_message_follows_it_however_harmless() -> None:
    world = World()
    await world.hear_and_settle(say("$a", OPERATIONAL))
    await world.hear_and_settle(say("$e", "typo, sorry", replaces="$a"))
    assert ("removed", "$e") in world.done()
    verdicts = [header for kind, header, _ in world.ledger() if kind == "verdict"]
    assert verdicts[-1]["rule"] == "builtin:edit-of-moved"


async def test_somebody_elses_edit_does_not_take_a_message_along() -> None:
    world = World()
    await world.hear_and_settle(say("$a", "tea?"))
    forged = say("$e", OPERATIONAL, replaces="$a", sender=UserId("@mallory:force.example"))
    await world.hear_and_settle(forged)
    assert [which for what, which in world.done() if what == "removed"] == ["$e"]


async def test_an_edit_of_an_edit_takes_the_first_message_along() -> None:
    world = World()
    await world.hear_and_settle(say("$a", "tea?"), say("$e1", "tea at 3?", replaces="$a"))
    await world.hear_and_settle(say("$e2", OPERATIONAL, replaces="$e1"))
    assert {which for what, which in world.done() if what == "removed"} == {"$a", "$e1", "$e2"}


async def test_ciphertext_that_was_posted_before_is_captured_and_referred() -> None:
    """After a restart, too: whose words they are cannot be believed."""
    world = World()
    await world.hear_and_settle(replace(say("$a", "tea?"), session="s", index=3))
    world.restart()
    replayed = replace(
        say("$b", "tea?", sender=UserId("@mallory:force.example")), session="s", index=3
    )
    await world.hear_and_settle(replayed)
    verdicts = [header for kind, header, _ in world.ledger() if kind == "verdict"]
    assert verdicts[-1]["rule"] == "builtin:doubtful"
    assert verdicts[-1]["referrals"] == "errors"
    assert [s.room for s in world.sent] == [REVIEW]
    bodies = [inside["doubt"] for kind, _, inside in world.ledger() if kind == "message"]
    assert bodies == ["", "its ciphertext was posted before, as another event"]


async def test_a_message_that_comes_again_by_itself_is_no_replay() -> None:
    world = World()
    message = replace(say("$a", "tea?"), session="s", index=3)
    batch = world.transport.say(message)
    await world.pipeline.handle(batch)
    await world.pipeline.handle(batch)
    assert world.kinds() == ["message"]


async def test_files_are_kept_and_go_along_when_their_message_is_moved() -> None:
    world = World()
    world.transport.files["mxc://force.example/pic"] = b"\x00ciphertext\x00\x00"
    picture = replace(
        say("$a", OPERATIONAL, kind=Kind.MEDIA),
        media=(Media(part="file", url="mxc://force.example/pic"),),
    )
    await world.hear_and_settle(picture)
    await world.settler.settle_once()
    assert [room for what, room in world.done() if what == "posted"][:2] == [SECURE, SECURE]
    assert world.kinds().count("media") == 1
    assert await world.store.owed() == ()
    record = next(r for r in world.store.records if b'"kind":"media"' in r.header)
    opened = Reader(ORIGIN, ["psd"], [PSD])
    for one in world.store.records:
        header = msgspec.json.decode(one.header, type=dict[str, str | int])
        opened.learn(header, one.body)
    header = msgspec.json.decode(record.header, type=dict[str, str | int])
    first, _, raw = opened.open(header, record.body).partition(b"\n")
    assert raw == b"\x00ciphertext\x00\x00"
    assert msgspec.json.decode(first)["bytes"] == len(raw)


async def test_a_file_that_is_too_large_is_referred_and_holds_nothing_up() -> None:
    world = World()

    def fault(name: str) -> tuple[bool, TransportError | None]:
        return (True, TooLarge("it is too long")) if name == "fetch" else (True, None)

    world.transport.fault = fault
    picture = replace(
        say("$a", "cake", kind=Kind.MEDIA), media=(Media(part="file", url="mxc://x/pic"),)
    )
    await world.hear_and_settle(picture)
    await world.settler.settle_once()
    assert [s.room for s in world.sent] == [REVIEW]
    assert await world.store.owed() == ()


@pytest.mark.parametrize("part", ["filename", "poll", "location", "reaction", "outer", "text"])
async def test_words_in_any_part_of_a_message_are_judged(part: str) -> None:
    world = World()
    await world.hear_and_settle(replace(say("$a", "look"), extra=((part, OPERATIONAL),)))
    assert ("removed", "$a") in world.done()
    assert world.sent[0].post is not None
    assert "AB12 CDE" in world.sent[0].post.body


async def test_an_upgraded_room_is_followed_and_a_person_told() -> None:
    world = World()
    fresh = RoomId("!social-2")
    tombstone = replace(say("$t", "", kind=Kind.STATE), type="m.room.tombstone")
    await world.hear_and_settle(tombstone)
    world.transport.upgraded[fresh] = SOCIAL
    await world.hear_and_settle(say("$a", OPERATIONAL, room=fresh))
    assert [s.room for s in world.sent] == [REVIEW, SECURE, fresh, RoomId(f"!direct-{ASHA}")]
    assert world.sent[-1].post is not None
    assert "now in Response A secure" in world.sent[-1].post.body


async def test_what_is_said_in_a_secure_room_is_kept_and_not_judged() -> None:
    world = World()
    await world.hear_and_settle(say("$a", OPERATIONAL, room=SECURE))
    assert world.sent == []
    assert world.ledger()[-1][1]["class"] == "operational"
    assert str(world.ledger()[-1][1]["bucket"]).startswith("operational-")


async def test_the_bots_own_posts_are_kept_and_never_judged() -> None:
    world = World()
    await world.hear_and_settle(say("$a", OPERATIONAL, sender=world.transport.user))
    assert world.sent == []
    assert world.kinds() == ["message"]


async def test_a_class_never_comes_from_what_is_said() -> None:
    """A member who says that the room is operational changes nothing."""
    world = World()
    claim = say("$s", "{}", kind=Kind.STATE)
    await world.hear_and_settle(replace(claim, type="uk.police.room_class"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert ("removed", "$a") in world.done()


async def test_a_room_that_is_on_no_register_is_referred_and_nothing_of_it_is_kept() -> None:
    world = World()
    stray = RoomId("!stray")
    await world.hear_and_settle(say("$a", OPERATIONAL, room=stray), say("$b", "x", room=stray))
    assert [s.room for s in world.sent] == [REVIEW]
    assert "AB12" not in str(world.ledger())


async def test_an_unreadable_message_is_recorded_and_judged_once_it_can_be_read() -> None:
    world = World()
    message = say("$a", OPERATIONAL)
    await world.hear_and_settle(world.transport.lock(message))
    assert world.kinds() == ["undecryptable"]
    world.transport.unlock(EventId("$a"))
    async for batch in world.transport.batches(await world.store.cursor(), ()):
        await world.pipeline.handle(batch)
    await world.settler.settle_once()
    assert world.kinds()[:3] == ["undecryptable", "late", "verdict"]
    assert ("removed", "$a") in world.done()


async def test_a_key_that_never_comes_is_told_to_sender_and_reviewer_once() -> None:
    world = World()
    await world.hear_and_settle(world.transport.lock(say("$a", OPERATIONAL)))
    await world.sweep.once()
    assert world.sent == []
    world.clock.move(UNREADABLE_MS)
    await world.sweep.once()
    await world.sweep.once()
    await world.settler.settle_once()
    assert sorted(s.room for s in world.sent) == sorted([REVIEW, RoomId(f"!direct-{ASHA}")])


async def test_after_an_absence_keys_get_their_time_to_arrive() -> None:
    """However long ago a message was sent, nobody is told before its key had a minute to come."""
    world = World()
    world.clock.move(3 * 86_400_000)
    await world.hear_and_settle(world.transport.lock(say("$a", "tea?")))
    await world.sweep.once()
    world.clock.move(UNREADABLE_MS - 1)
    await world.sweep.once()
    assert await world.store.owed() == ()
    world.clock.move(1)
    await world.sweep.once()
    assert len(await world.store.owed()) == 2


async def test_a_gap_that_could_not_be_filled_is_on_record() -> None:
    world = World()
    gap = Gap(room=SOCIAL, reason="the server refused")
    await world.pipeline.handle(Batch(messages=(), gaps=(gap,)))
    assert world.kinds() == ["gap"]


async def test_one_nudge_is_enough_for_a_conversation() -> None:
    world = World()
    weak = next(
        text
        for text in ("one in custody", "obs on", "in custody", "the suspect", "CAD", "misper")
        if POLICY.judge(say("$x", text), RoomClass.SOCIAL).action == 1
    )
    await world.hear_and_settle(say("$a", weak), say("$b", weak, at=Ms(NOON + 60_000)))
    await world.hear_and_settle(say("$c", weak, at=Ms(NOON + 31 * 60_000)))
    notes = [s.post for s in world.sent if s.post]
    assert len(notes) == 2
    assert not notes[0].sounds
    assert "Your message is still here" in notes[0].body


async def test_too_many_removals_set_the_brake_and_call_a_person_once() -> None:
    world = World(limit=3)
    await world.hear_and_settle(*(say(f"${n}", f"{OPERATIONAL} {n}") for n in range(6)))
    for _ in range(3):
        world.clock.move(5_000)
        await world.settler.settle_once()
    assert [what for what, _ in world.done()].count("removed") == 3
    assert await world.store.brakes() == {SOCIAL}
    called = [s.post.body for s in world.sent if s.room == REVIEW and s.post]
    assert called
    assert all("has paused itself" in body for body in called)


async def test_a_rehearsal_is_on_record_as_a_rehearsal() -> None:
    world = World(rehearse=True)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.sent == []
    statuses = {header["status"] for kind, header, _ in world.ledger() if kind == "outcome"}
    assert statuses == {"rehearsed"}


async def test_no_verdict_notice_or_error_quotes_what_was_matched() -> None:
    world = World()
    world.transport.fault = failing("redact", NotPermitted("no"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    await world.settler.settle_once()
    for one in world.sent:
        if one.post and one.room != SECURE:
            assert "AB12" not in one.post.body + one.post.formatted
            assert "Acacia" not in one.post.body + one.post.formatted


async def test_a_rooms_own_ceiling_counts_and_not_its_classes() -> None:
    world, marked = World(), "OFFICIAL-SENSITIVE: the minutes are below"
    world.rooms[SOCIAL] = replace(ROOMS[SOCIAL], ceiling="OFFICIAL-SENSITIVE")
    await world.hear_and_settle(say("$a", marked))
    assert ("posted", SECURE) in world.done(), "another rule moves it; it is not quarantined"
    assert ("posted", REVIEW) not in world.done()
    world.rooms[SOCIAL] = replace(ROOMS[SOCIAL], ceiling="OFFICIAL")
    copies = world.done().count(("posted", SECURE))
    await world.hear_and_settle(say("$b", marked))
    assert ("removed", "$b") in world.done()
    assert ("posted", REVIEW) in world.done()
    assert world.done().count(("posted", SECURE)) == copies
