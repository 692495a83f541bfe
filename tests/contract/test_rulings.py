"""What every store remembers of approvals, of what people found, and of where events were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bridge.facts import Adjudicated, Decided, Decision, PolicyApproved, Seen
from bridge.ledger.record import new_rid
from bridge.model import Action, EventId, Rid, RoomClass
from bridge.ports import Approval, Ruling, Store
from bridge.store.chain import half_year
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from tests.contract.test_store import MOVE, PSD, make
from tests.making import NOON, SOCIAL, Hands, custodian, identity, say

__all__ = ["make"]


def found(record: Rid, decision: Decision) -> Adjudicated:
    return Adjudicated(
        record=record, rule="veh.vrm", action=Action.REDIRECT, decision=decision, by="sgt"
    )


async def test_approvals_are_remembered_in_the_order_in_which_they_were_given(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    assert await store.approvals() == ()
    for revision, by in (("r2", "anna"), ("r1", "ben"), ("r2", "anna")):
        await store.append([PolicyApproved(revision=revision, by=by, account="root")])
    assert await store.approvals() == (
        Approval(revision="r2", by="anna"),
        Approval(revision="r1", by="ben"),
        Approval(revision="r2", by="anna"),
    )
    await store.close()


async def test_of_several_findings_about_one_verdict_the_last_counts(
    make: Callable[[Hands], Store],
) -> None:
    clock = Hands()
    store = make(clock)
    one, other = new_rid(), new_rid()
    await store.append([found(one, Decision.FALSE_POSITIVE), found(other, Decision.REFERRED)])
    clock.move(1000)
    await store.append([found(one, Decision.ACTION_STANDS)])
    rulings = await store.rulings(NOON)
    assert [(ruling.record, ruling.decision) for ruling in rulings] == [
        (other, Decision.REFERRED),
        (one, Decision.ACTION_STANDS),
    ]
    assert await store.rulings(clock()) == (
        Ruling(record=one, rule="veh.vrm", action=Action.REDIRECT, decision=Decision.ACTION_STANDS),
    )
    await store.close()


async def test_a_recorded_event_is_known_with_its_room_and_time(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([Seen(message=say("$a"), cls=RoomClass.SOCIAL)])
    known = (await store.known([EventId("$a")]))[EventId("$a")]
    assert (known.room, known.sent_at) == (SOCIAL, NOON)
    await store.close()


async def test_they_go_on_in_the_next_log_and_can_be_read_beside_a_bot(tmp_path: Path) -> None:
    clock = Hands()
    path = tmp_path / "ledger.db"
    store = SqliteStore(path, identity(custodian(months=6)), clock, anchor=None)
    await store.append([PolicyApproved(revision="r1", by="anna", account="root")])
    await store.append([found(new_rid(), Decision.FALSE_POSITIVE)])
    before = half_year(clock())
    clock.move(60 * 86_400_000)
    assert half_year(clock()) != before
    assert await store.roll()
    assert len(await store.approvals()) == len(await store.rulings(NOON)) == 1
    reader = SqliteReader(path)
    assert reader.approvals() == (Approval(revision="r1", by="anna"),)
    reader.close()
    await store.close()


async def test_a_verdict_is_found_by_its_own_name_and_by_its_messages(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = SqliteStore(path, identity(PSD), Hands(), anchor=None)
    message = say("$a", "AB12 CDE")
    await store.append(
        [
            Seen(message=message, cls=RoomClass.SOCIAL),
            Decided(message=message, cls=RoomClass.SOCIAL, verdict=MOVE),
        ]
    )
    about = (await store.known([EventId("$a")]))[EventId("$a")].rid
    reader = SqliteReader(path)
    row = reader.verdict(about)
    assert row is not None
    assert b'"rule":"veh.vrm"' in row.header
    own = row.header.partition(b'"rid":"')[2][:32].decode()
    assert reader.verdict(own) == row
    assert reader.verdict("0" * 32) is None
    reader.close()
    await store.close()
