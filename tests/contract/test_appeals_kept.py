"""What every store remembers of appeals, of verdicts, and of whose next message passes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bridge.facts import (
    LET_THROUGH,
    Adjudicated,
    Appeal,
    Appealed,
    Decided,
    Decision,
    Erased,
    Performed,
    Seen,
    Stage,
)
from bridge.ledger.record import new_rid
from bridge.model import (
    Action,
    EventId,
    Moment,
    Ms,
    Notify,
    Outcome,
    RoomClass,
    Say,
    Status,
    Verdict,
    key,
)
from bridge.ports import Docket, Store
from bridge.store.chain import half_year
from bridge.store.sql import statements
from bridge.store.sqlite import SqliteStore
from tests.contract.test_store import MOVE, PSD, make
from tests.making import ASHA, NOON, SOCIAL, Hands, custodian, identity, say

__all__ = ["make"]
A = EventId("$a")


async def moved(store: Store, event: str = "$a") -> Appeal:
    """Have a message moved; return an appeal against it."""
    message = say(event, "AB12 CDE")
    await store.append(
        [
            Seen(message=message, cls=RoomClass.SOCIAL),
            Decided(message=message, cls=RoomClass.SOCIAL, verdict=MOVE),
        ]
    )
    known = (await store.known((message.event_id,)))[message.event_id]
    assert known.verdict is not None
    return Appeal(
        rid=new_rid(),
        event=message.event_id,
        record=known.rid,
        room=SOCIAL,
        cls=RoomClass.SOCIAL,
        sender=ASHA,
        sent_at=NOON,
        verdict=known.verdict,
        rule="veh.vrm",
        action=Action.REDIRECT,
        round=1,
        at=NOON,
        due=Ms(NOON + 1000),
    )


def told(appeal: Appeal, moment: Moment) -> Notify:
    return Notify(room=SOCIAL, about=appeal.event, to=ASHA, moment=moment, reason="")


def ruled(appeal: Appeal, decision: Decision, *owes: Notify) -> Adjudicated:
    return Adjudicated(
        record=appeal.verdict,
        rule=appeal.rule,
        action=appeal.action,
        decision=decision,
        by="@dan:force.example",
        appeal=appeal,
        owes=owes,
    )


async def test_an_appeal_is_open_until_it_is_decided_and_owes_what_it_says(
    make: Callable[[Hands], Store],
) -> None:
    clock = Hands()
    store = make(clock)
    appeal = await moved(store)
    thanks = told(appeal, Moment.APPEALED)
    await store.append([Appealed(appeal=appeal, stage=Stage.RAISED, owes=(thanks,))])
    (debt,) = await store.owed()
    assert (debt.effect, debt.message, debt.sender) == (thanks, appeal.record, ASHA)
    assert await store.open_appeals() == (Docket(appeal=appeal, stage=Stage.RAISED),)
    say_it = Say(room=SOCIAL, about=A, to=SOCIAL, name="remind", text="please")
    await store.append([Appealed(appeal=appeal, stage=Stage.REMINDED, owes=(say_it,))])
    assert [one.stage for one in await store.open_appeals()] == [Stage.REMINDED]
    assert [one.effect for one in await store.owed()] == [thanks, say_it]
    clock.move(5)
    await store.append([ruled(appeal, Decision.ACTION_STANDS)])
    assert await store.open_appeals() == ()
    (docket,) = await store.appeals((A,))
    assert (docket.decision, docket.decided_by) == (Decision.ACTION_STANDS, "@dan:force.example")
    assert docket.decided_at == NOON + 5
    assert [one.decision for one in await store.rulings(NOON)] == [Decision.ACTION_STANDS]
    await store.close()


async def test_appeals_are_found_by_their_name_and_by_their_message_oldest_first(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    first, other = await moved(store), await moved(store, "$b")
    second = replace(first, rid=new_rid(), round=2)
    await store.append([Appealed(appeal=one, stage=Stage.RAISED) for one in (first, other, second)])
    assert [one.appeal for one in await store.appeals((A,))] == [first, second]
    assert [one.appeal for one in await store.appeals((other.rid,))] == [other]
    assert [one.appeal for one in await store.appeals((A, second.rid))] == [first, second]
    assert await store.appeals(("$c", "\0")) == ()
    await store.close()


async def test_an_appeal_that_was_passed_on_is_still_open(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    appeal = await moved(store)
    await store.append([Appealed(appeal=appeal, stage=Stage.RAISED)])
    await store.append([ruled(appeal, Decision.REFERRED)])
    (docket,) = await store.open_appeals()
    assert docket.decision is Decision.REFERRED
    await store.close()


async def test_the_newest_verdict_on_an_event_is_known(make: Callable[[Hands], Store]) -> None:
    store = make(Hands())
    appeal = await moved(store)
    await store.append([Decided(message=say("$a"), cls=RoomClass.SOCIAL, verdict=MOVE)])
    known = (await store.known((A,)))[A]
    assert known.verdict not in {None, appeal.verdict}
    await store.append([Seen(message=say("$quiet"), cls=RoomClass.SOCIAL)])
    assert (await store.known((EventId("$quiet"),)))[EventId("$quiet")].verdict is None
    await store.close()


async def test_whoever_is_told_so_may_send_one_message(make: Callable[[Hands], Store]) -> None:
    clock = Hands()
    store = make(clock)
    appeal = await moved(store)
    await store.append([Appealed(appeal=appeal, stage=Stage.RAISED)])
    await store.append([ruled(appeal, Decision.RESTORED, told(appeal, Moment.PASSED))])
    assert await store.passes(NOON) == {(ASHA, SOCIAL): Action.REDIRECT}
    assert await store.passes(Ms(NOON + 1)) == {}
    passed = Verdict(action=Action.ALLOW, rule=LET_THROUGH, reason="a person said so", revision="r")
    again = say("$again", "AB12 CDE")
    await store.append(
        [
            Seen(message=again, cls=RoomClass.SOCIAL),
            Decided(message=again, cls=RoomClass.SOCIAL, verdict=passed),
        ]
    )
    assert await store.passes(NOON) == {}
    await store.close()


async def test_a_pass_that_follows_from_how_a_debt_went_counts_once(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    appeal = await moved(store)
    thanks = told(appeal, Moment.APPEALED)
    await store.append([Appealed(appeal=appeal, stage=Stage.RAISED, owes=(thanks,))])
    outcome = Outcome(key=key(thanks), status=Status.DONE, detail="$note")
    done = Performed(outcome=outcome, owes=(told(appeal, Moment.PASSED),))
    await store.append([replace(done, outcome=replace(outcome, key="0" * 32))])
    assert await store.passes(NOON) == {}, "nothing of that name was owed"
    await store.append([done])
    assert await store.passes(NOON) == {(ASHA, SOCIAL): Action.REDIRECT}
    await store.close()


async def test_appeals_are_forgotten_with_their_message(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db", identity(PSD), Hands(), anchor=None)
    appeal = await moved(store)
    await store.append([Appealed(appeal=appeal, stage=Stage.RAISED)])
    await store.append([Erased(record=appeal.record, orders=b"{}")])
    while await store.tidy():
        pass
    assert await store.appeals((A,)) == ()
    await store.close()


async def test_appeals_and_passes_go_on_in_the_next_log(tmp_path: Path) -> None:
    clock = Hands()
    store = SqliteStore(tmp_path / "ledger.db", identity(custodian(months=6)), clock, anchor=None)
    appeal = await moved(store)
    await store.append([Appealed(appeal=appeal, stage=Stage.RAISED)])
    before = half_year(clock())
    clock.move(60 * 86_400_000)
    await store.append([ruled(appeal, Decision.REFERRED, told(appeal, Moment.PASSED))])
    assert half_year(clock()) != before
    assert await store.roll()
    assert [one.appeal for one in await store.open_appeals()] == [appeal]
    assert await store.passes(NOON) == {(ASHA, SOCIAL): Action.REDIRECT}
    await store.close()


async def test_an_older_file_learns_which_verdict_was_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = SqliteStore(path, identity(PSD), Hands(), anchor=None)
    await moved(store)
    await store.append([Decided(message=say("$a"), cls=RoomClass.SOCIAL, verdict=MOVE)])
    newest = (await store.known((A,)))[A].verdict
    await store.close()
    db = sqlite3.connect(path)
    db.executescript(
        "DROP TABLE appeal; DROP TABLE pass; ALTER TABLE event DROP COLUMN verdict;"
        "PRAGMA user_version = 3;"
    )
    db.close()
    store = SqliteStore(path, identity(PSD), Hands(), anchor=None)
    assert (await store.known((A,)))[A].verdict == newest
    assert await store.open_appeals() == ()
    await store.close()
    assert statements("ledger.sql")["stamp"].strip() == "PRAGMA user_version = 5;"
