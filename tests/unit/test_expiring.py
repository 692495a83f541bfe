"""Messages whose time in their room is over: taken out once, certified, never the record."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.acting.expiring import Due, Expirer
from bridge.acting.fading import Old, Page
from bridge.acting.remains import Standing
from bridge.acting.unfinished import MemorySlate, Unfinished
from bridge.config import load_policies
from bridge.duties.forgetting import Forgetting, is_quiet
from bridge.errors import NotPermitted, TransportError
from bridge.facts import Braked, Cleared, Fact, Noted, Seen
from bridge.matrix.memory import MemoryTransport
from bridge.matrix.memory_closing import MemoryRemains
from bridge.model import EventId, Media, Message, Ms, Rid, RoomClass, RoomId
from bridge.register import Lock, Register, load_people, load_rooms
from bridge.rooms.caretaking import over
from bridge.rooms.slate import FileSlate
from bridge.store.memory import MemoryStore
from tests.making import NOON, SOCIAL, Hands, custodian, identity, say
from tests.unit.test_register import PEOPLE, ROOMS, TOP

HOUR, DAY = 3_600_000, 86_400_000
LONDON = ZoneInfo("Europe/London")
BEFORE = Ms(NOON + 10 * HOUR)


class Cellar:
    """A room of old messages, a record, and who clears it."""

    def __init__(self) -> None:
        self.clock = Hands(NOON)
        self.store = MemoryStore(identity(custodian()), self.clock)
        self.server = MemoryTransport(clock=self.clock)
        self.remains = MemoryRemains(transport=self.server)
        self.old: list[Message] = []
        self.notes: list[str] = []
        self.taken: list[EventId] = []
        self.shown: set[EventId] = set()
        self.pins: list[EventId] = []
        self.refused: set[EventId] = set()
        self.away = self.stop = self.pins_refused = False
        self.clocks_agree = True
        self.purged: list[Ms] = []
        self.purge_fails = False
        self.agreed: list[int] = []
        self.kept_from: EventId | None = None
        self.used: frozenset[str] | None = frozenset()
        self.dropped: set[str] = set()
        self.slate = MemorySlate()
        self.papers: list[Rid] = []
        self.told: list[str] = []
        self.expirer = Expirer(
            store=self.store,
            remains=self,  # type: ignore[arg-type]  # what is asked of it here
            fading=self,
            slate=self.slate,
            record=self.record,
            certified=lambda rid: rid in self.papers,
            tell=self.tell,
            goes_on=lambda: not self.stop,
            pace_s=0,
        )
        self.due = Due(room=SOCIAL, name="A social", days=30, before=BEFORE)

    async def seen(self, *messages: Message, recorded: bool = True) -> None:
        self.old += messages
        if recorded:
            await self.store.append([Seen(message=m, cls=RoomClass.SOCIAL) for m in messages])

    async def record(self, facts: Sequence[Fact]) -> None:
        self.notes += [fact.text for fact in facts if isinstance(fact, Noted | Cleared)]
        self.papers += [fact.rid for fact in facts if isinstance(fact, Cleared)]

    async def tell(self, name: str, words: str, since: Ms) -> bool:
        self.told.append(words)
        return True

    async def take_out(
        self, room: RoomId, event: EventId, reason: str, *, txn: str, mark: str
    ) -> None:
        if self.away:
            raise TransportError("the homeserver is away")
        if event in self.refused:
            raise NotPermitted("no")
        self.taken.append(event)

    async def pinned(self, room: RoomId) -> tuple[EventId, ...]:
        return tuple(self.pins)

    async def standing(self, room: RoomId, event: EventId) -> Standing:
        return Standing.EMPTY if event in self.taken else Standing.THERE

    async def unpin(
        self, room: RoomId, events: Collection[EventId], *, mark: str
    ) -> tuple[EventId, ...]:
        if self.pins_refused:
            raise NotPermitted("no")
        off = tuple(one for one in self.pins if one in events)
        self.pins = [one for one in self.pins if one not in off]
        return off

    async def drop_file(self, url: str, of: str) -> bool:
        return await self.remains.drop_file(url, of)  # type: ignore[arg-type]

    async def begin(self, room: RoomId) -> None:
        self.shown.clear()

    async def oldest(self, room: RoomId, before: Ms) -> Page:
        there = [m for m in self.old if m.event_id not in {*self.taken, *self.shown}]
        there = [m for m in there if m.sent_at < before][:100]
        self.shown |= {m.event_id for m in there}
        events = tuple(Old(event=m.event_id, at=m.sent_at, session=m.session) for m in there)
        return Page(events=events, last=len(there) < 100)

    async def in_use(self, room: RoomId, since: Ms, until: Ms) -> frozenset[str] | None:
        return self.used

    async def purge(self, room: RoomId, before: Ms, *, but_from: EventId | None) -> bool:
        if self.purge_fails:
            raise TransportError("The homeserver failed to delete old messages.")
        self.kept_from = but_from
        self.purged.append(before)
        return True

    async def agree(self, room: RoomId, shown_ms: int) -> None:
        if self.away:
            raise NotPermitted("no")
        self.agreed.append(shown_ms)

    async def drop_keys(self, room: RoomId, sessions: Collection[str]) -> int:
        self.dropped |= set(sessions)
        return len(sessions)


def said(count: int) -> list[Message]:
    return [
        replace(say(f"${n}", at=Ms(NOON + n)), session=f"s{n // 100}", index=n)
        for n in range(count)
    ]


async def test_what_is_over_is_taken_out_once_purged_and_certified() -> None:
    cellar = Cellar()
    await cellar.seen(*said(250))
    assert await cellar.expirer.clear(cellar.due)
    assert len(cellar.taken) == len(set(cellar.taken)) == 250
    assert cellar.purged == [BEFORE]
    assert cellar.notes[0].startswith("A social: taking out 100 messages from 2026-11-22 on")
    paper = cellar.notes[-1]
    assert "visible for 30 days: 250 messages and 0 edits taken out" in paper
    assert "server's database: what was taken out was deleted, but for the room's newest" in paper
    assert "3 sessions dropped" in paper
    assert await cellar.expirer.clear(cellar.due)
    assert len(cellar.notes) == 4, "where nothing is due, nothing is said"


async def test_an_edit_goes_with_its_message() -> None:
    cellar = Cellar()
    await cellar.seen(say("$1"))
    await cellar.store.append(
        [Seen(message=say("$2", at=Ms(BEFORE + DAY), replaces="$1"), cls=RoomClass.SOCIAL)]
    )
    await cellar.expirer.clear(cellar.due)
    assert cellar.taken == ["$1", "$2"]


async def test_what_is_not_on_record_is_left_and_nothing_from_it_on_is_purged() -> None:
    cellar = Cellar()
    await cellar.seen(say("$1"))
    await cellar.seen(say("$2"), recorded=False)
    await cellar.expirer.clear(cellar.due)
    assert cellar.taken == ["$1"]
    assert (cellar.purged, cellar.kept_from) == ([BEFORE], "$2")
    *_, paper, note = cellar.notes
    assert paper.endswith("1 are not on record, and were left")
    assert "deleted as far as the first message that stays; after it, it keeps" in paper
    (said,) = cellar.told
    assert said.startswith(f"{note}. The server's database keeps all that was said after the first")
    assert note == "A social: 1 message is past its time there and not on record, and stays"
    await cellar.expirer.clear(cellar.due)
    assert len(cellar.told) == 1, "people hear of it once"
    await cellar.seen(say("$3"), recorded=False)
    await cellar.expirer.clear(cellar.due)
    assert "A social: 2 messages are past their time there and not on record" in cellar.told[-1]


async def test_what_the_homeserver_refuses_is_left_and_said() -> None:
    cellar = Cellar()
    await cellar.seen(say("$1"), say("$2"))
    cellar.refused = {EventId("$1")}
    cellar.old = said(0)
    page = Page(events=(Old(event=EventId("$1"), at=NOON), Old(event=EventId("$2"), at=NOON)),
                last=True)  # fmt: skip

    async def oldest(room: RoomId, before: Ms) -> Page:
        return page

    cellar.oldest = oldest  # type: ignore[method-assign]
    await cellar.expirer.clear(cellar.due)
    assert cellar.taken == ["$2"]
    assert cellar.kept_from == "$1"
    assert cellar.notes[-1].endswith("1 were left, as the homeserver refused")


async def test_a_session_that_newer_messages_use_is_kept() -> None:
    cellar = Cellar()
    await cellar.seen(*said(150))
    cellar.used = frozenset({"s1"})
    await cellar.expirer.clear(cellar.due)
    assert cellar.dropped == {"s0"}


async def test_where_nobody_knows_which_sessions_are_used_all_are_kept() -> None:
    cellar = Cellar()
    await cellar.seen(*said(10))
    cellar.used = None
    await cellar.expirer.clear(cellar.due)
    assert cellar.dropped == set()


class Killed(BaseException):
    """The bot is no more, and does nothing after this."""


def begun_again(cellar: Cellar) -> Expirer:
    """Another process, with the same slate."""
    return replace(cellar.expirer)


def papers(cellar: Cellar) -> list[str]:
    return [note for note in cellar.notes if note.startswith("disposal in")]


def certified(cellar: Cellar) -> int:
    """How many removals all certificates speak of."""
    return sum(int(one.partition("days: ")[2].partition(" ")[0]) for one in papers(cellar))


async def test_the_keys_of_what_went_before_an_interruption_go_when_the_end_is_reached() -> None:
    cellar = Cellar()
    await cellar.seen(*said(250))
    cellar.expirer.goes_on = lambda: len(cellar.taken) < 100
    assert not await cellar.expirer.clear(cellar.due)
    assert cellar.dropped == set()
    cellar.used, again = frozenset({"s1"}), begun_again(cellar)
    again.goes_on = lambda: True
    assert await again.clear(cellar.due)
    assert cellar.dropped == {"s0", "s2"}
    cellar.used = frozenset()
    assert await again.clear(cellar.due)
    assert cellar.dropped == {"s0", "s1", "s2"}, "once nothing newer uses it, it goes too"
    assert papers(cellar)[-1].count("the bot's own keys: 1 sessions dropped") == 1


async def test_a_bot_that_is_stopped_certifies_what_it_took_out_and_the_rest_once() -> None:
    cellar, take_out = Cellar(), Cellar.take_out
    await cellar.seen(*said(150))

    async def stopped_in_flight(*given: object, **named: object) -> None:
        await take_out(cellar, *given, **named)  # type: ignore[arg-type]
        if len(cellar.taken) == 120:
            raise asyncio.CancelledError  # the homeserver did it, and we did not hear so

    cellar.take_out = stopped_in_flight  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await cellar.expirer.clear(cellar.due)
    assert certified(cellar) == 119
    assert await begun_again(cellar).clear(cellar.due)
    assert len(cellar.taken) == len(set(cellar.taken)) == 150
    assert certified(cellar) == 150
    assert cellar.dropped == {"s0", "s1"}


async def test_a_bot_that_is_stopped_before_an_edit_and_a_file_went_takes_them_the_next_time() -> (
    None
):
    cellar, take_out = Cellar(), Cellar.take_out
    cellar.server.files["mxc://force.example/gone"] = b"x"
    media = (Media(part="file", url="mxc://force.example/gone"),)
    await cellar.seen(replace(say("$1"), media=media))
    edit = say("$2", at=Ms(BEFORE + DAY), replaces="$1")
    await cellar.store.append([Seen(message=edit, cls=RoomClass.SOCIAL)])

    async def stopped(room: RoomId, event: EventId, *given: str, **named: str) -> None:
        if event == "$2":
            raise asyncio.CancelledError
        await take_out(cellar, room, event, *given, **named)

    cellar.take_out = stopped  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await cellar.expirer.clear(cellar.due)
    assert papers(cellar) == []
    cellar.take_out = partial(take_out, cellar)  # type: ignore[method-assign]
    assert await begun_again(cellar).clear(cellar.due)
    assert cellar.taken == ["$1", "$2"]
    assert cellar.server.files == {}
    (paper,) = papers(cellar)
    assert "1 messages and 1 edits taken out" in paper
    assert "files: 1 deleted" in paper


@pytest.mark.parametrize("recorded", [False, True])
async def test_what_a_killed_bot_took_out_is_in_one_certificate(recorded: bool) -> None:
    cellar, record = Cellar(), Cellar.record
    await cellar.seen(*said(150))

    async def killed(facts: Sequence[Fact]) -> None:
        if any(isinstance(fact, Cleared) for fact in facts):
            if recorded:
                await record(cellar, facts)
            raise Killed
        await record(cellar, facts)

    cellar.expirer.record = killed
    with pytest.raises(Killed):
        await cellar.expirer.clear(cellar.due)
    assert certified(cellar) == 150 * recorded
    again = begun_again(cellar)
    again.record = cellar.record
    assert await again.clear(cellar.due)
    assert certified(cellar) == 150
    assert await again.clear(cellar.due)
    assert certified(cellar) == 150
    assert cellar.slate.read(SOCIAL) == Unfinished()


async def test_what_could_not_be_purged_is_purged_the_next_night() -> None:
    cellar = Cellar()
    await cellar.seen(*said(5))
    cellar.purge_fails = True
    with pytest.raises(TransportError):
        await cellar.expirer.clear(cellar.due)
    assert "keeps what was taken out for its redaction_retention_period" in papers(cellar)[-1]
    assert cellar.dropped == set()
    cellar.purge_fails = False
    assert await begun_again(cellar).clear(cellar.due)
    assert cellar.purged == [BEFORE]
    assert cellar.dropped == {"s0"}
    assert "0 messages and 0 edits" in papers(cellar)[-1]
    assert "server's database: what had gone before was deleted" in papers(cellar)[-1]
    assert await begun_again(cellar).clear(cellar.due)
    assert (len(papers(cellar)), cellar.purged) == (2, [BEFORE]), "and then it is done"


async def test_one_message_that_is_not_on_record_keeps_nothing_but_what_came_after_it() -> None:
    cellar, messages = Cellar(), said(250)
    strange = messages.pop(120)
    await cellar.seen(*messages[:120])
    await cellar.seen(strange, recorded=False)
    await cellar.seen(*messages[120:])
    assert await cellar.expirer.clear(cellar.due)
    assert len(cellar.taken) == 249
    assert cellar.kept_from == strange.event_id
    assert cellar.dropped == {"s0", "s2"}, "its own session is needed to read it"


async def test_where_people_cannot_be_told_tonight_they_are_told_the_next_night() -> None:
    cellar, told = Cellar(), list[str]()
    await cellar.seen(say("$1"), recorded=False)

    async def nobody(name: str, words: str, since: Ms) -> bool:
        told.append(words)
        return False

    cellar.expirer.tell = nobody
    assert await cellar.expirer.clear(cellar.due)
    assert await cellar.expirer.clear(cellar.due)
    assert len(told) == 2
    assert cellar.notes == []


def test_what_is_left_to_do_is_read_again_from_its_file_and_a_broken_one_stops_nothing(
    tmp_path: Path,
) -> None:
    slate = FileSlate(tmp_path / "clearing.json")
    left = Unfinished(taking=(Old(event=EventId("$1"), at=NOON, session="s"),), rid=Rid("ab"),
                      sessions=("s",), unpurged=True, told=3)  # fmt: skip
    slate.write(SOCIAL, left)
    slate.write(RoomId("!other"), Unfinished(told=1))
    assert FileSlate(slate.path).read(SOCIAL) == left
    slate.write(SOCIAL, Unfinished())
    assert slate.read(SOCIAL) == Unfinished()
    assert slate.read(RoomId("!other")).told == 1
    slate.path.write_bytes(b"\xff{")
    assert slate.read(SOCIAL) == Unfinished()


async def test_a_file_goes_unless_a_newer_message_brings_it_too() -> None:
    cellar = Cellar()
    for name in ("gone", "shared"):
        cellar.server.files[f"mxc://force.example/{name}"] = b"x"

    def with_file(event: str, name: str, at: int) -> Message:
        media = (Media(part="file", url=f"mxc://force.example/{name}"),)
        return replace(say(event, at=Ms(at)), media=media)

    await cellar.seen(with_file("$1", "gone", NOON), with_file("$2", "shared", NOON))
    await cellar.store.append(
        [Seen(message=with_file("$3", "shared", BEFORE + DAY), cls=RoomClass.SOCIAL)]
    )
    await cellar.expirer.clear(cellar.due)
    assert list(cellar.server.files) == ["mxc://force.example/shared"]
    assert "files: 1 deleted, 0 left on the server" in cellar.notes[-1]


async def test_what_has_gone_is_taken_off_the_list_of_pinned_messages_and_nothing_else() -> None:
    cellar = Cellar()
    await cellar.seen(say("$1"), say("$2"))
    await cellar.store.append(
        [Seen(message=say("$new", at=Ms(BEFORE + DAY)), cls=RoomClass.SOCIAL)]
    )
    cellar.pins = [EventId(one) for one in ("$new", "$1", "$strange", "$2")]
    assert await cellar.expirer.clear(cellar.due)
    assert cellar.pins == ["$new", "$strange"]
    assert cellar.notes[-1].endswith("2 taken off the list of pinned messages")


async def test_a_pin_that_was_left_the_night_before_goes_the_next_time() -> None:
    cellar = Cellar()
    await cellar.seen(say("$1"))
    cellar.pins, cellar.pins_refused = [EventId("$1")], True
    assert await cellar.expirer.clear(cellar.due), "that is no reason to begin again"
    assert cellar.pins == ["$1"]
    cellar.pins_refused = False
    assert await cellar.expirer.clear(cellar.due)
    assert cellar.pins == []


async def test_a_pinned_message_that_is_still_there_stays_pinned() -> None:
    cellar = Cellar()
    await cellar.seen(say("$1"), say("$2"))
    cellar.refused, cellar.pins = {EventId("$1")}, [EventId("$1"), EventId("$2")]
    await cellar.expirer.clear(cellar.due)
    assert EventId("$1") in cellar.pins


async def test_what_went_before_the_homeserver_did_is_certified_all_the_same() -> None:
    cellar = Cellar()
    await cellar.seen(*said(250))
    oldest, served = cellar.oldest, 0

    async def once(room: RoomId, before: Ms) -> Page:
        nonlocal served
        served += 1
        if served == 2:
            raise TransportError("the homeserver is away")
        return await oldest(room, before)

    cellar.oldest = once  # type: ignore[method-assign]
    with pytest.raises(TransportError):
        await cellar.expirer.clear(cellar.due)
    assert "100 messages and 0 edits taken out" in cellar.notes[-1]
    assert await cellar.expirer.clear(cellar.due)
    assert "150 messages and 0 edits taken out" in cellar.notes[-1]
    assert len(cellar.taken) == len(set(cellar.taken)) == 250


async def test_under_a_brake_nothing_is_taken_out() -> None:
    cellar = Cellar()
    await cellar.seen(*said(10))
    await cellar.store.append([Braked(room=None, on=True, by="gwen", reason="")])
    assert not await cellar.expirer.clear(cellar.due)
    assert cellar.taken == []
    assert cellar.notes == []


async def test_when_the_quiet_hours_end_the_rest_waits_and_the_certificate_says_how_far() -> None:
    cellar = Cellar()
    await cellar.seen(*said(250))
    taken = cellar.taken
    cellar.expirer.goes_on = lambda: len(taken) < 100
    assert not await cellar.expirer.clear(cellar.due)
    assert len(taken) == 100
    assert cellar.purged == []
    assert "keeps what was taken out for its redaction_retention_period" in cellar.notes[-1]
    cellar.expirer.goes_on = lambda: True
    assert await cellar.expirer.clear(cellar.due)
    assert len(set(taken)) == 250


async def test_the_server_is_told_how_long_it_shows_a_private_room_and_no_refusal_stops_it() -> (
    None
):
    cellar = Cellar()
    assert await cellar.expirer.clear(cellar.due)
    assert cellar.agreed == [], "the register sees to it"
    private = replace(cellar.due, server_ms=32 * DAY)
    assert await cellar.expirer.clear(private)
    assert cellar.agreed == [32 * DAY]
    cellar.away = True
    assert await cellar.expirer.clear(private)


# Which rooms


def test_only_rooms_that_are_labelled_live_and_real_are_cleared() -> None:
    people = load_people(PEOPLE, "people.csv")
    register = load_rooms(ROOMS, "rooms.yaml", people)
    policy = load_policies(TOP / "policies", clock=None)
    lock = Lock(ids={key: RoomId(f"!{key}") for key in register.rooms})

    def cleared(register: Register = register, lock: Lock = lock) -> dict[str, int]:
        return {one.room: one.days for one in over(register, lock, policy, NOON)}

    assert cleared() == {"!a-social": 30, "!review": 365}
    labelled = ROOMS.replace("    history: joined\n", "    history: joined\n    mopi: 3\n")
    assert cleared(load_rooms(labelled, "rooms.yaml", people))["!a-secure"] == 365
    rehearsing = ROOMS.replace(
        "    secure: a-secure\n", "    secure: a-secure\n    rehearse: true\n"
    )
    assert "!a-social" not in cleared(load_rooms(rehearsing, "rooms.yaml", people))
    assert "!review" not in cleared(lock=lock.without("review", "over"))
    practised = over(register, lock, policy, NOON, {RoomClass.SOCIAL})
    assert [one.room for one in practised] == ["!review"]
    assert cleared(lock=Lock()) == {}
    (first, *_) = over(register, lock, policy, NOON)
    assert first.before == NOON - 30 * DAY


# By the clock


def at(hour: int) -> Ms:
    return Ms(NOON - 12 * HOUR + hour * HOUR)


@pytest.mark.parametrize(("hour", "quiet"), [(0, False), (1, True), (4, True), (5, False)])
def test_the_quiet_hours_are_those_before_dawn(hour: int, quiet: bool) -> None:
    assert is_quiet(at(hour), LONDON) == quiet


async def test_a_room_is_cleared_once_a_night_and_again_where_it_was_not_whole() -> None:
    cellar, asked = Cellar(), list[Ms]()
    await cellar.seen(*said(5))

    def due(now: Ms) -> list[Due]:
        asked.append(now)
        return [cellar.due]

    async def agree() -> bool:
        if cellar.away:
            raise TransportError("the homeserver is away")
        return cellar.clocks_agree

    forgetting = Forgetting(
        expirer=cellar.expirer, due=due, clock=cellar.clock, zone=LONDON, clocks_agree=agree
    )
    await forgetting.once()
    assert asked == [], "at noon nobody asks"
    cellar.clock.at, cellar.away = at(25), True
    await forgetting.once()
    assert cellar.taken == []
    cellar.away = cellar.clocks_agree = False
    await forgetting.once()
    assert cellar.taken == [], "a clock has jumped"
    cellar.clocks_agree = True
    await forgetting.once()
    assert len(cellar.taken) == 5
    await cellar.seen(*said(9)[5:])
    await forgetting.once()
    assert len(cellar.taken) == 5, "it was cleared tonight"
    cellar.clock.at = at(49)
    await forgetting.once()
    assert len(cellar.taken) == 9


async def test_a_bot_that_starts_again_in_the_night_goes_on_where_it_was() -> None:
    cellar = Cellar()
    await cellar.seen(*said(250))

    async def agree() -> bool:
        return True

    def begun() -> Forgetting:
        return Forgetting(
            expirer=cellar.expirer, due=lambda _: [cellar.due], clock=cellar.clock, zone=LONDON,
            clocks_agree=agree,
        )  # fmt: skip

    cellar.clock.at, taken = at(26), cellar.taken
    cellar.expirer.goes_on = lambda: len(taken) < 100  # it is stopped in the middle
    await begun().once()
    assert len(taken) == 100
    cellar.expirer.goes_on = lambda: True
    again = begun()
    await again.once()
    assert len(taken) == len(set(taken)) == 250
    asked = cellar.purged[:]
    await again.once()
    assert cellar.purged == asked, "once a night is enough"
