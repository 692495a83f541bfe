"""What people are told of their rooms, as records, with nothing about anybody in the clear."""

from __future__ import annotations

import pytest

from bridge.facts import Notice, Progress, Told
from bridge.model import EventId, Rid, RoomClass
from bridge.store.memory import MemoryStore
from tests.making import ASHA, NOON, SOCIAL, Hands, custodian, identity
from tests.unit.ledger.forging import decode, of_memory

NOTICE = Notice(
    rid=Rid("dd" * 16), room=SOCIAL, cls=RoomClass.SOCIAL, card="c" * 64, revision="5" * 64,
    name="n", to=(ASHA,), private=False, words="kept 90 days",
)  # fmt: skip
DUE = Told(notice=NOTICE, progress=Progress.DUE)
SHOWN = Told(notice=NOTICE, progress=Progress.SHOWN, event=EventId("$the-card"))
READ = Told(notice=NOTICE, progress=Progress.ACKNOWLEDGED, event=EventId("$the-card"), by=ASHA)


async def recorded(*facts: Told) -> MemoryStore:
    store = MemoryStore(identity(custodian()), Hands())
    await store.append(facts)
    await store.checkpoint()
    return store


async def test_a_notice_is_due_shown_and_acknowledged_and_names_nobody_in_the_clear() -> None:
    store = await recorded(DUE, SHOWN, READ)
    report = of_memory(store, now=NOON).verified()
    assert report.ok, report.failures
    heads = [decode(one.header) for one in store.records]
    notices = [head for head in heads if head["kind"] == "notice"]
    assert [head["status"] for head in notices] == ["due", "shown", "acknowledged"]
    assert {head["revision"] for head in notices} == {"5" * 64}
    assert {str(head["bucket"]) for head in notices} == {"system-2026-11"}
    for record in store.records:
        for secret in (b"@asha:force", b"!social", b"$the-card", b"90 days"):
            assert secret not in record.header
            assert secret not in record.body


@pytest.mark.parametrize("fact", [SHOWN, READ])
async def test_what_was_never_due_was_not_shown(fact: Told) -> None:
    store = await recorded(fact)
    failures = of_memory(store, now=NOON).verified().failures
    assert {failure.step for failure in failures} == {10}
