"""Appeals and what people decide about them, as records."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from bridge.facts import Adjudicated, Appeal, Appealed, Decided, Decision, Noted, Seen, Stage
from bridge.ledger.facts import decode_effect, encode_effect
from bridge.ledger.opening import Reader
from bridge.ledger.record import new_rid
from bridge.model import (
    Action,
    EventId,
    Moment,
    Ms,
    Notify,
    Queue,
    Refer,
    Restore,
    Rid,
    RoomClass,
    RoomId,
    key,
)
from bridge.store.memory import MemoryStore
from tests.making import ASHA, NOON, ORIGIN, SECURE, SOCIAL, Hands, custodian, identity, say
from tests.unit.ledger.forging import MOVE, decode, of_memory

PSD = custodian()
A = EventId("$appealed")
TOLD = Notify(room=SOCIAL, about=A, to=ASHA, moment=Moment.APPEALED, reason="by noon")
RESTORE = Restore(room=SOCIAL, about=A, source=SECURE, copy=EventId("$copy"))


async def appealed(**changed: Rid) -> MemoryStore:
    """A ledger with a moved message, an appeal and its decision."""
    clock = Hands()
    store = MemoryStore(identity(PSD), clock)
    message = say(A, "AB12 CDE is on the drive")
    await store.append(
        [
            Seen(message=message, cls=RoomClass.SOCIAL),
            Decided(message=message, cls=RoomClass.SOCIAL, verdict=MOVE),
        ]
    )
    known = (await store.known((A,)))[A]
    assert known.verdict is not None
    appeal = Appeal(
        rid=new_rid(),
        event=A,
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
    appeal = replace(appeal, **changed)  # type: ignore[arg-type]
    await store.append([Appealed(appeal=appeal, stage=Stage.RAISED, owes=(TOLD,))])
    decision = Adjudicated(
        record=appeal.verdict,
        rule=appeal.rule,
        action=appeal.action,
        decision=Decision.RESTORED,
        by="@dan:force.example",
        appeal=appeal,
        reason="it is her own car",
        owes=(RESTORE,),
    )
    await store.append([decision])
    await store.checkpoint()
    return store


async def test_an_appeal_and_its_decision_verify_and_name_each_other() -> None:
    store = await appealed()
    report = of_memory(store, now=NOON).verified()
    assert report.ok, report.failures
    heads = [decode(record.header) for record in store.records]
    appeal = next(head for head in heads if head["kind"] == "appeal")
    decision = next(head for head in heads if head["kind"] == "decision")
    message = next(head for head in heads if head["kind"] == "message")
    verdict = next(head for head in heads if head["kind"] == "verdict")
    assert appeal["ref"] == decision["ref"] == verdict["rid"]
    assert decision["appeal"] == appeal["rid"]
    assert [h["ref"] for h in heads if h["kind"] == "debt"] == [message["rid"]] * 2
    assert {str(h["bucket"]) for h in (appeal, decision)} == {"social-2026-11"}


async def test_no_name_room_or_reason_of_theirs_stands_in_the_clear() -> None:
    store = await appealed()
    for record in store.records:
        for secret in (b"@asha:force", b"@dan:force", b"!social", b"own car", b"$appealed"):
            assert secret not in record.header
            assert secret not in record.body
    reader = Reader(ORIGIN, ["psd"], [PSD])
    for record in store.records:
        header = decode(record.header)
        reader.learn(header, record.body)
        if header["kind"] == "decision":
            inside = msgspec.json.decode(reader.open(header, record.body))
            assert inside == {"by": "@dan:force.example", "reason": "it is her own car"}
            return
    pytest.fail("there is no decision")


async def test_an_appeal_about_what_is_no_verdict_does_not_verify() -> None:
    known = (await (await appealed()).known((A,)))[A]
    forged = await appealed(verdict=known.rid)
    failures = of_memory(forged, now=NOON).verified().failures
    assert {failure.step for failure in failures} == {10}


def test_what_is_said_in_another_round_is_another_effect_and_is_remembered_as_such() -> None:
    again = replace(TOLD, turn="2")
    ask = Refer(room=SOCIAL, about=A, queue=Queue.APPEALS, to=RoomId("!review"), reason="please")
    assert key(again) != key(TOLD)
    assert key(replace(ask, turn="2")) != key(ask)
    for effect in (TOLD, again, ask, replace(ask, turn="2"), RESTORE):
        assert decode_effect(encode_effect(effect)) == effect


def test_what_was_owed_before_rounds_were_counted_is_read_as_the_first() -> None:
    fields = msgspec.json.decode(encode_effect(TOLD), type=dict[str, str])
    del fields["turn"]
    assert decode_effect(msgspec.json.encode(fields)) == TOLD


async def test_what_nobody_appealed_is_put_back_on_record_and_names_no_appeal() -> None:
    clock = Hands()
    store = MemoryStore(identity(PSD), clock)
    message = say(A, "AB12 CDE is on the drive")
    decided = Decided(message=message, cls=RoomClass.SOCIAL, verdict=MOVE)
    await store.append([Seen(message=message, cls=RoomClass.SOCIAL), decided])
    known = (await store.known((A,)))[A]
    assert known.verdict is not None
    asked = Appeal(
        rid=new_rid(), event=A, record=known.rid, room=SOCIAL, cls=RoomClass.SOCIAL, sender=ASHA,
        sent_at=NOON, verdict=known.verdict, rule="veh.vrm", action=Action.REDIRECT, round=0,
        at=NOON, due=NOON,
    )  # fmt: skip
    restored = Adjudicated(
        record=known.verdict, rule="veh.vrm", action=Action.REDIRECT, decision=Decision.RESTORED,
        by="@dan:force.example", appeal=asked, owes=(RESTORE,),
    )  # fmt: skip
    refused = Noted(text="a decision of the console was not followed: so", verdict=known.verdict)
    await store.append([restored, refused])
    await store.checkpoint()
    report = of_memory(store, now=NOON).verified()
    assert report.ok, report.failures
    heads = [decode(record.header) for record in store.records]
    decision = next(head for head in heads if head["kind"] == "decision")
    note = next(head for head in heads if head["kind"] == "note")
    assert decision["ref"] == note["ref"] == known.verdict
    assert "appeal" not in decision
    assert note["status"] == "refused"
    assert [debt.effect for debt in await store.owed()] == [RESTORE]
    assert not await store.open_appeals()
