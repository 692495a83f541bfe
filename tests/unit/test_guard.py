"""What is done about a room that has come loose, and who keeps at it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, cast
from zoneinfo import ZoneInfo

import pytest

from bridge.duties.guarding import RETRY_MS, ROUND_MS, Guarding
from bridge.errors import NotPermitted, TransportError
from bridge.facts import Drifted, Fact, Noted
from bridge.model import Ms, RoomId, UserId
from bridge.officers.brake import Agreement
from bridge.ports import Store
from bridge.register import Person
from bridge.rooms.belonging import leavers, too_many
from bridge.rooms.guard import (
    DAY_MS,
    MOST_A_DAY,
    MOST_OF_ITS_OWN,
    MOST_TIMES,
    WINDOW_MS,
    Doing,
    Guard,
    Past,
    called,
    locked,
    mended,
)
from bridge.rooms.premises import Fault, Gone, Look, Sort
from bridge.rooms.upkeep import Upkeep
from bridge.running.control import Answer, Order
from bridge.running.orders import Orders
from bridge.running.policydesk import PolicyDesk

BOT, SAM = UserId("@bot:force.example"), UserId("@sam:force.example")


def fault(sort: Sort = Sort.DOOR, *, mendable: bool = True, about: str = "x") -> Fault:
    return Fault(
        key="a", room="A social", what="join rule is public", sort=sort, about=about, by=SAM,
        mendable=mendable,
    )  # fmt: skip


def look(*faults: Fault, locked: str = "") -> Look:
    return Look(key="a", name="A social", id=RoomId("!a"), faults=faults, locked=locked)


def doings(guard: Guard, seen: Look, now: int = 0) -> list[Doing]:
    return [doing for _, doing in guard.decide(seen, Ms(now))]


# What is decided


def test_what_comes_back_in_a_short_time_ends_with_a_lock_and_then_with_silence() -> None:
    guard = Guard()
    found = [doings(guard, look(fault()), n)[0] for n in range(MOST_TIMES + 3)]
    assert found == [*[Doing.MEND] * MOST_TIMES, Doing.LOCK, Doing.LEAVE, Doing.LEAVE]


def test_what_comes_back_after_a_while_is_put_right_again() -> None:
    guard = Guard()
    times = range(0, WINDOW_MS * 6, WINDOW_MS)
    assert {doings(guard, look(fault()), now)[0] for now in times} == {Doing.MEND}


def test_a_clock_that_was_set_back_makes_no_fight_of_it() -> None:
    guard = Guard()
    for _ in range(MOST_TIMES):
        doings(guard, look(fault()), 10 * WINDOW_MS)
    assert doings(guard, look(fault()), 0) == [Doing.MEND]


def test_whoever_fights_slowly_is_stopped_within_a_day() -> None:
    guard, slow = Guard(bot=BOT), WINDOW_MS * 2
    found = [doings(guard, look(fault()), n * slow)[0] for n in range(MOST_A_DAY + 2)]
    assert found == [*[Doing.MEND] * MOST_A_DAY, Doing.LOCK, Doing.LEAVE]
    rare = Guard(bot=BOT)
    days = range(0, DAY_MS * 12, DAY_MS // MOST_A_DAY)
    assert {doings(rare, look(fault()), now)[0] for now in days} == {Doing.MEND}


def test_what_the_bot_itself_set_by_another_policy_is_no_slow_fight() -> None:
    guard, ours = Guard(bot=BOT), replace(fault(Sort.SETTING), by=BOT)
    times = range(0, WINDOW_MS * 12, WINDOW_MS)
    assert {doings(guard, look(ours), now)[0] for now in times} == {Doing.MEND}
    power = replace(fault(Sort.POWER), by=BOT)  # an administrator can take it in the bot's name
    assert Doing.LOCK in {doings(guard, look(power), now)[0] for now in times}


def test_what_another_register_changes_is_no_fight() -> None:
    guard = Guard()
    for _ in range(MOST_TIMES):
        doings(guard, look(fault()))
    guard.begin()
    assert doings(guard, look(fault())) == [Doing.MEND]


def test_policies_that_change_in_quick_succession_do_not_have_the_bot_lock_a_room() -> None:
    guard, ours = Guard(bot=BOT), replace(fault(Sort.SETTING), by=BOT)
    assert [doings(guard, look(ours), n)[0] for n in range(MOST_OF_ITS_OWN)] == [
        Doing.MEND
    ] * MOST_OF_ITS_OWN
    assert doings(guard, look(ours), MOST_OF_ITS_OWN) == [Doing.LOCK], "that has no end"


def test_a_fight_and_its_calls_are_known_after_a_restart() -> None:
    guard, hopeless = Guard(), fault(Sort.OUTRANKED, mendable=False, about="y")
    for _ in range(MOST_TIMES):
        doings(guard, look(fault(), hopeless))
    again = Guard()
    again.remember(guard.past(Ms(0)))
    assert doings(again, look(fault(), hopeless)) == [Doing.LOCK, Doing.LEAVE]
    assert guard.past(Ms(2 * DAY_MS)).mended == (), "what is long ago is not kept"


def test_other_things_in_the_same_room_are_no_fight() -> None:
    guard, seen = Guard(), [look(fault(about=str(n))) for n in range(9)]
    assert {doings(guard, one)[0] for one in seen} == {Doing.MEND}


@pytest.mark.parametrize("sort", [Sort.DOOR, Sort.STRANGER])
def test_what_lets_others_read_along_and_cannot_be_put_right_locks_the_room(sort: Sort) -> None:
    guard, loose = Guard(), fault(sort, mendable=False)
    assert doings(guard, look(loose)) == [Doing.LOCK]
    assert doings(guard, look(loose, locked="it")) == [Doing.LEAVE]


@pytest.mark.parametrize("sort", [Sort.OUTRANKED, Sort.ABSENT, Sort.POWER, Sort.UNSURE])
def test_what_only_people_can_see_to_is_a_call_and_no_lock(sort: Sort) -> None:
    guard, loose = Guard(), fault(sort, mendable=False)
    assert doings(guard, look(loose)) == [Doing.CALL]
    assert doings(guard, look(loose)) == [Doing.LEAVE]
    assert doings(guard, look()) == []
    assert doings(guard, look(loose)) == [Doing.CALL], "it was gone, and is there again"


def test_a_person_who_unlocks_a_room_has_ended_the_fight() -> None:
    guard = Guard()
    for _ in range(MOST_TIMES + 1):
        doings(guard, look(fault()))
    guard.calm("a")
    assert doings(guard, look(fault())) == [Doing.MEND]


@pytest.mark.parametrize("sort", [Sort.MISSING, Sort.LOCKED, Sort.REPLACED, Sort.KNOWN])
def test_what_others_look_after_is_left_to_them(sort: Sort) -> None:
    assert doings(Guard(), look(fault(sort, mendable=False))) == []


def test_what_people_are_told_names_what_who_and_what_to_do() -> None:
    loose = fault()
    assert mended(loose, "Sam") == (
        "A social: join rule is public. Sam did that; Blue Lamp has put it right."
    )
    assert locked(loose, "Sam").endswith("and says 'bluelamp rooms unlock a'.")
    assert "Sam changes it as often as Blue Lamp puts it right" in locked(loose, "Sam")
    hopeless = fault(mendable=False)
    assert "Blue Lamp cannot put that right; Sam did it" in locked(hopeless, "Sam")
    assert called(hopeless, "Sam").endswith("Sam did that. Blue Lamp cannot put that right: "
                                            "please see to it.")  # fmt: skip


def test_one_person_may_always_go_and_no_more_than_a_tenth() -> None:
    assert [too_many(going, 30) for going in (0, 1, 3, 4)] == [False, False, False, True]
    assert [too_many(going, 4) for going in (1, 2)] == [False, True]


def test_who_has_left_the_list_is_known_by_comparing() -> None:
    before, now = [UserId("@a:x"), UserId("@b:x")], [UserId("@b:x"), UserId("@c:x")]
    found = leavers(before, now)
    assert found.gone == ("@a:x",)
    assert not found.doubtful
    assert leavers([*map(UserId, "abcdefghij")], []).doubtful


# Who keeps at it


class Yard:
    """Rooms in memory: what is wrong with each, and what was done."""

    def __init__(self) -> None:
        self.now = Ms(1_800_000_000_000)
        self.wrong: dict[str, list[Fault]] = {"a": [], "b": []}
        self.done: list[str] = []
        self.looked: list[str] = []
        self.notes: list[str] = []
        self.told: list[str] = []
        #: About which rooms people were told.
        self.asked: list[str] = []
        self.heard = self.there = True
        self.refuses = self.forbidden = ""
        self.gone = Gone.THERE
        self.sessions: int | None = 2
        self.people = {SAM, UserId("@anna:force.example")}
        self.remembered: frozenset[UserId] | None = None
        self.policy = object()
        self.kept, self.fresh = Past(), True
        self.leaving = set[str]()
        self.upkeep = self.made()
        self.guarding = Guarding(
            upkeep=self.upkeep,
            clock=lambda: self.now,
            listed=lambda: self.people,
            remembered=lambda: self.remembered,
            remember=self.remember,
            fresh=lambda: self.fresh,
            deciding=lambda: (self.policy,),
        )

    def made(self) -> Upkeep:
        """The upkeep as it is after a start."""
        return Upkeep(
            record=self.record,
            premises=self,
            clock=lambda: self.now,
            bot=BOT,
            tell=self.tell,
            names={SAM: "Sam"},
            leaving=self.leaving,
            spaces=lambda: ["force"],
            retiring=lambda key, _reason: self.leaving.add(key),
            before=self.kept,
            keep=self.keep,
        )

    def keep(self, past: Past) -> None:
        self.kept = past

    def remember(self, people: frozenset[UserId]) -> None:
        self.remembered = people

    async def record(self, facts: Sequence[Fact]) -> None:
        self.notes += [fact.text for fact in facts if isinstance(fact, Drifted | Noted)]

    async def tell(self, key: str, name: str, words: str, since: Ms) -> bool:
        self.asked.append(key)
        if self.heard:
            self.told.append(words)
        return self.heard

    def listed(self) -> tuple[str, ...]:
        return tuple(self.wrong)

    def key_of(self, room: RoomId) -> str | None:
        return room[1:] if room[1:] in self.wrong else None

    async def look(self, key: str) -> Look:
        if not self.there:
            raise TransportError("the homeserver is away")
        if key == self.forbidden:
            raise NotPermitted("you are not in this room")
        self.looked.append(key)
        return Look(key=key, name=key.upper(), faults=tuple(self.wrong[key]))

    async def put_right(self, fault: Fault) -> str:
        self.done.append(f"{fault.sort} {fault.about}")
        if not self.refuses:
            self.wrong[fault.key].remove(fault)
        return self.refuses

    async def lock_down(self, key: str, reason: str) -> str:
        self.done.append(f"lock {key}")
        return self.refuses

    async def lift_lock(self, key: str) -> str:
        self.done.append(f"lift {key}")
        return self.refuses

    async def close_down(self, key: str, reason: str) -> str:
        self.done.append(f"close {key}")
        return self.refuses

    async def delete_room(self, key: str) -> str:
        self.done.append(f"delete {key}")
        return ""

    async def deleted(self, key: str) -> Gone:
        return self.gone

    async def lock_account(self, user: UserId) -> str:
        self.done.append(f"lock {user}")
        return self.refuses

    async def end_sessions(self, user: UserId) -> int | None:
        self.done.append(f"sign out {user}")
        return self.sessions


async def test_every_room_is_looked_at_first_and_then_those_that_were_heard_of() -> None:
    yard = Yard()
    await yard.guarding.once()
    assert yard.looked == ["a", "b"]
    await yard.guarding.once()
    assert yard.looked == ["a", "b"]
    yard.guarding.hear(RoomId("!b"))
    yard.guarding.hear(RoomId("!elsewhere"))
    await yard.guarding.once()
    assert yard.looked == ["a", "b", "b"]
    yard.now = Ms(yard.now + ROUND_MS)
    await yard.guarding.once()
    assert yard.looked == ["a", "b", "b", "a", "b"]


async def test_while_another_register_waits_to_be_taken_up_rooms_are_left_as_they_are() -> None:
    yard = Yard()
    yard.fresh = False
    yard.wrong["a"] = [fault()]
    await yard.guarding.once()
    assert yard.looked == []
    yard.fresh = True
    await yard.guarding.once()
    assert yard.looked == ["a", "b"]
    yard.wrong["b"] = [replace(fault(), key="b")]
    yard.guarding.hear(RoomId("!b"))
    yard.fresh = False
    await yard.guarding.once()
    assert yard.looked == ["a", "b"]
    yard.fresh = True
    await yard.guarding.once()
    assert yard.looked == ["a", "b", "b"], "what was heard meanwhile is not forgotten"


async def test_a_round_that_another_register_interrupts_begins_again() -> None:
    yard = Yard()
    seen = yard.upkeep.seen

    def changed(look: Look) -> None:
        seen(look)
        yard.fresh = False

    yard.upkeep.seen = changed
    await yard.guarding.once()
    assert yard.looked == ["a"]
    yard.upkeep.seen, yard.fresh = seen, True
    await yard.guarding.once()
    assert yard.looked == ["a", "a", "b"]


async def test_every_room_is_looked_at_when_the_list_or_the_policy_is_another() -> None:
    yard = Yard()
    await yard.guarding.once()
    yard.policy = object()
    await yard.guarding.once()
    assert yard.looked == ["a", "b"] * 2


async def test_what_was_heard_while_the_homeserver_was_away_is_looked_at_afterwards() -> None:
    yard = Yard()
    await yard.guarding.once()
    yard.there = False
    yard.guarding.hear(RoomId("!b"))
    await yard.guarding.once()
    yard.there, yard.looked = True, []
    await yard.guarding.once()
    assert yard.looked == [], "it is left alone for a while"
    yard.now = Ms(yard.now + RETRY_MS)
    await yard.guarding.once()
    assert yard.looked == ["b"]


async def test_a_room_that_the_server_keeps_from_us_keeps_us_from_no_other() -> None:
    yard = Yard()
    yard.forbidden = "a"
    await yard.guarding.once()
    assert yard.looked == ["b"]
    await yard.guarding.once()
    assert yard.looked == ["b"], "the round is over"


async def test_it_is_on_record_before_it_is_done_and_people_hear_of_it() -> None:
    yard = Yard()
    yard.wrong["a"] = [fault()]
    await yard.upkeep.look("a")
    assert yard.notes == [f"A social: join rule is public (by {SAM}); putting it right"]
    assert yard.done == ["door x"]
    assert yard.told == [
        f"A social: join rule is public. Sam ({SAM}) did that; Blue Lamp has put it right."
    ]


async def test_what_the_homeserver_refuses_is_said() -> None:
    yard = Yard()
    yard.wrong["a"], yard.refuses = [fault()], "403"
    await yard.upkeep.look("a")
    assert yard.notes[-1] == "A social: not put right: 403"
    assert yard.told[-1].endswith("The homeserver says: 403")


async def test_a_lock_that_is_refused_is_said() -> None:
    yard = Yard()
    yard.wrong["a"], yard.refuses = [fault(mendable=False)], "403"
    await yard.upkeep.look("a")
    assert yard.done == ["lock a"]
    assert yard.told[-1].endswith("Nor can it lock the room: 403")


async def test_what_could_not_be_said_is_said_later_and_once() -> None:
    yard = Yard()
    yard.wrong["a"], yard.heard = [fault()], False
    await yard.upkeep.look("a")
    yard.heard = True
    await yard.upkeep.speak()
    await yard.upkeep.speak()
    assert len(yard.told) == 1


async def test_a_fight_goes_on_over_a_restart_and_what_was_unsaid_is_said_then() -> None:
    yard = Yard()
    for n in range(MOST_TIMES + 1):
        yard.wrong["a"], yard.heard = [fault()], n != 1
        await yard.upkeep.look("a")
        yard.upkeep = yard.made()  # the bot was started again
    assert yard.done == [*["door x"] * MOST_TIMES, "lock a"]
    told = len(yard.told)
    await yard.upkeep.speak()
    assert len(yard.told) == told + 1
    yard.upkeep = yard.made()
    await yard.upkeep.speak()
    assert len(yard.told) == told + 1


async def test_people_hear_of_a_room_where_they_are_asked_about_that_room() -> None:
    yard = Yard()
    yard.wrong["a"] = [fault()]
    await yard.upkeep.look("a")
    assert yard.asked == ["a"]


async def test_leavers_are_signed_out_after_a_restart_too_and_it_is_on_record() -> None:
    yard = Yard()
    yard.remembered = frozenset({SAM, UserId("@anna:force.example")})
    yard.people = {SAM}
    await yard.guarding.once()
    assert yard.done == ["sign out @anna:force.example"]
    assert yard.notes == [
        "@anna:force.example has left the list of people: 2 sessions on the homeserver ended"
    ]
    await yard.guarding.once()
    assert len(yard.done) == 1


async def test_without_an_administrators_token_it_is_said_that_sessions_stay() -> None:
    yard = Yard()
    yard.remembered, yard.people, yard.sessions = frozenset(yard.people), {SAM}, None
    await yard.guarding.once()
    assert yard.notes[0].endswith("the bot has no administrator's token that is accepted")


async def test_a_list_that_lost_more_than_a_tenth_signs_nobody_out_and_asks() -> None:
    yard = Yard()
    many = frozenset(UserId(f"@p{n}:force.example") for n in range(30))
    yard.remembered, yard.people = many, set(sorted(many)[:26])
    await yard.guarding.once()
    assert yard.done == []
    assert yard.told[0].startswith("4 of 30 people are no longer listed, which is more than a")


async def test_the_first_list_ever_seen_has_no_leavers() -> None:
    yard = Yard()
    await yard.guarding.once()
    assert yard.done == []
    assert yard.remembered == frozenset(yard.people)


async def test_a_rehearsal_touches_nothing() -> None:
    yard = Yard()
    yard.upkeep.rehearse = True
    yard.wrong["a"] = [fault(), fault(Sort.STRANGER, about="y")]
    yard.remembered, yard.people = frozenset(yard.people), {SAM}
    await yard.guarding.once()
    assert yard.done == []
    assert yard.told == []


@pytest.mark.parametrize(("held", "done"), [(0, ["close a", "delete a"]), (2, ["close a"])])
async def test_a_room_that_is_retired_is_deleted_only_where_nothing_is_held(
    held: int, done: list[str]
) -> None:
    yard, retired = Yard(), list[tuple[str, str]]()
    yard.upkeep.holds = lambda: held
    yard.upkeep.retired = lambda key, reason: retired.append((key, reason))
    closed, said = await yard.upkeep.retire("a", "gwen", "the operation is over")
    assert closed
    assert yard.done == done
    assert retired == [("a", "the operation is over")]
    assert yard.notes[0] == f"a is retired by gwen: the operation is over; {held} active holds"
    assert ("Say this again once they are released" in said) == bool(held)


async def test_a_room_that_could_not_be_closed_is_not_retired() -> None:
    yard, retired = Yard(), list[str]()
    yard.refuses = "403"
    yard.upkeep.retired = lambda key, reason: retired.append(key)
    assert await yard.upkeep.retire("a", "gwen", "over") == (
        False,
        "a is not closed: 403. Say this again to finish it; until then the bot leaves the room as "
        "it is.",
    )
    assert retired == []
    assert yard.done == ["close a"]


async def test_a_room_that_is_half_closed_is_left_alone_until_it_is_closed() -> None:
    yard = Yard()
    yard.wrong["a"], yard.refuses = [fault(Sort.MISSING), fault()], "403"
    await yard.upkeep.retire("a", "gwen", "over")
    yard.upkeep = yard.made()  # the bot was started again
    await yard.upkeep.look("a")
    assert yard.done == ["close a"], "nobody is asked in again"
    await yard.upkeep.speak()
    assert any("a is being retired, and that is not finished" in said for said in yard.told)


async def test_a_homeserver_that_is_away_while_a_room_is_closed_leaves_it_half_closed() -> None:
    yard = Yard()

    async def away(key: str, reason: str) -> str:
        raise TransportError("the homeserver is away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yard, "close_down", away)
        done, said = await yard.upkeep.retire("a", "gwen", "over")
    assert not done
    assert "a is not closed: the homeserver is away" in said
    assert yard.leaving == {"a"}


# What people may order


class Desk:
    """Who may have what cannot be undone done: Gwen and Dan."""

    def officer(self, order: Order, roles: Collection[str]) -> Person | str:
        if order.by not in {"gwen", "dan"}:
            return f"{order.by} is not listed"
        return Person(id=UserId(f"@{order.by}:force.example"), name=order.by.title())


def orders(yard: Yard | None) -> Orders:
    return Orders(
        desk=cast("PolicyDesk", Desk()),
        agreement=Agreement(),
        store=cast("Store", None),
        settler=None,
        rooms={},
        clock=lambda: Ms(0),
        zone=ZoneInfo("UTC"),
        upkeep=yard.upkeep if yard is not None else None,
    )


def order(do: Literal["unlock", "retire"], room: str = "a", by: str = "gwen") -> Order:
    return Order(do=do, room=room, by=by, reason="over")


async def both(served: Orders, room: str = "a") -> Answer:
    """Have two people say that a room is closed."""
    first = await served.obey(order("retire", room))
    assert "Nothing is done yet" in first.text
    return await served.obey(order("retire", room, by="dan"))


async def test_a_room_is_unlocked_by_its_key_while_the_bot_runs() -> None:
    yard = Yard()
    said = await orders(yard).obey(order("unlock"))
    assert (said.ok, said.text) == (True, "People can write in a again.")
    assert (await orders(yard).obey(order("unlock", "x"))).text == (
        "There is no room 'x' in rooms.yaml."
    )
    assert not (await orders(None).obey(order("unlock"))).ok


async def test_a_room_is_closed_for_good_when_two_different_people_say_so() -> None:
    yard = Yard()
    served = orders(yard)
    for _ in range(2):
        assert "takes two people" in (await served.obey(order("retire"))).text
    assert not (await served.obey(order("retire", by="anna"))).ok
    assert yard.done == []
    retired = await served.obey(order("retire", by="dan"))
    assert (retired.ok, retired.text) == (True, "a is closed, and is being deleted on the server.")
    assert yard.notes[2].startswith(
        "a is retired by @gwen:force.example and @dan:force.example: over"
    )


async def test_the_first_persons_request_and_reason_are_on_record() -> None:
    yard = Yard()
    await orders(yard).obey(order("retire"))
    assert yard.notes == [
        "@gwen:force.example wants a retired: over; it takes a second person"
    ]  # fmt: skip


async def test_a_space_is_not_retired() -> None:
    yard = Yard()
    yard.wrong["force"] = []
    said = await orders(yard).obey(order("retire", "force"))
    assert not said.ok
    assert said.text.startswith("force is a space, which holds rooms and no talk")
    assert yard.notes == []


async def test_a_room_that_was_half_closed_is_finished_by_whoever_says_so_again() -> None:
    yard = Yard()
    served = orders(yard)
    yard.refuses = "403"
    assert not (await both(served)).ok
    yard.refuses, yard.wrong = "", {"b": []}  # it is on no list any more
    assert not (await served.obey(order("retire", by="anna"))).ok
    finished = await served.obey(order("retire", by="dan"))
    assert (finished.ok, yard.done) == (True, ["close a", "close a", "delete a"])


async def test_who_agreed_to_close_one_room_has_agreed_to_no_other() -> None:
    yard = Yard()
    served = orders(yard)
    await served.obey(order("retire", "a"))
    assert "Nothing is done yet" in (await served.obey(order("retire", "b", by="dan"))).text
    assert yard.done == []


async def test_a_retired_room_is_no_longer_listed_and_can_be_deleted_later() -> None:
    yard = Yard()
    yard.wrong = {"b": []}
    yard.upkeep.closed = {"a"}
    assert (await both(orders(yard))).ok
    assert yard.done == ["delete a"], "it was closed before"
    assert not (await orders(yard).obey(order("unlock"))).ok


@pytest.mark.parametrize(
    ("gone", "said"), [(Gone.GONE, "gone from the server"), (Gone.GOING, "still deleting it")]
)
async def test_of_a_room_that_is_gone_one_person_hears_so_and_nothing_is_done(
    gone: Gone, said: str
) -> None:
    yard = Yard()
    yard.upkeep.closed, yard.gone = {"a"}, gone
    answer = await orders(yard).obey(order("retire"))
    assert answer.ok
    assert said in answer.text
    assert yard.done == []


@pytest.mark.parametrize("locks", [False, True])
async def test_the_account_of_a_leaver_is_locked_only_where_the_force_wants_that(
    locks: bool,
) -> None:
    yard = Yard()
    yard.upkeep.lock_leavers = locks
    yard.remembered, yard.people = frozenset(yard.people), {SAM}
    await yard.guarding.once()
    assert ("lock @anna:force.example" in yard.done) == locks
    assert ("their account is locked" in yard.notes[0]) == locks


async def test_an_account_that_the_homeserver_does_not_lock_is_said() -> None:
    yard = Yard()
    yard.upkeep.lock_leavers, yard.refuses = True, "the homeserver refused"
    yard.remembered, yard.people = frozenset(yard.people), {SAM}
    await yard.guarding.once()
    assert yard.notes[0].endswith("their account is not locked: the homeserver refused")


async def test_what_only_people_can_see_to_is_on_record_too() -> None:
    yard = Yard()
    yard.wrong["a"] = [fault(Sort.OUTRANKED, mendable=False)]
    await yard.upkeep.look("a")
    assert yard.notes == [f"A social: join rule is public by {SAM}; people have to see to it"]
