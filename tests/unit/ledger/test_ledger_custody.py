"""Disposals, witnesses and logs one after another: what verify notices of them, and what it allows.

As in `test_ledger_verify`, the attacker owns the host and its key, and makes everything add up.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.ledger.record import new_rid
from bridge.model import FINAL as MODEL_FINAL
from bridge.model import Ms
from bridge.verify import custody, past, points, steps
from bridge.verify.notes import Checkpoint, Verifier, encode64
from bridge.verify.papers import OVERHEAD, Attestation, Previous, ShredBody
from bridge.verify.report import Report, Row, sum_up
from bridge.verify.steps import EPOCH_MS, EPOCH_RECORDS, FINAL, verify, verify_logs
from tests.making import ORIGIN
from tests.unit.ledger.forging import KEY, STRANGER, VERIFIER, Ledger, encode, spoilt
from tests.unit.ledger.lives import (
    BUCKET,
    WITNESSES,
    cosigned_at,
    disposed,
    erase_body,
    first_log,
    genesis_of,
    next_log,
    order_for,
    shred_body,
    witnessed,
)
from tests.unit.ledger.test_ledger_verify import TAMPERINGS as PLAIN_TAMPERINGS
from tests.unit.ledger.test_ledger_verify import Tampering, _in_memory

HOUR = 3_600_000


@pytest.fixture(scope="module")
def kept() -> Ledger:
    """Disposed of, but nothing is deleted yet: so that only what is wrong shows."""
    return disposed(deleted=False)


@pytest.fixture(scope="module")
def gone() -> Ledger:
    return disposed(deleted=True)


@pytest.fixture(scope="module")
def seen() -> Ledger:
    return witnessed()


@pytest.fixture(scope="module")
def chain() -> tuple[Ledger, Ledger]:
    first = first_log()
    return first, next_log(first)


def together(*logs: Ledger, **more: Any) -> list[Report]:
    return verify_logs([(one.rows, one.evidence) for one in logs], **more)


def steps_of(report: Report) -> set[int]:
    return {one.step for one in report.failures}


# What is as it should be


def test_bodies_may_be_gone_where_custodians_say_so(gone: Ledger) -> None:
    report = gone.kept_elsewhere().verified()
    assert report.failures == []
    missing = [row for row in gone.rows if row.body is None]
    assert report.disposed == len(missing) > 5
    assert report.undeleted == 0
    assert any(header["bucket"] == "operational-2026-11" for header in _headers(gone, missing))


def _headers(ledger: Ledger, rows: list[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield ledger.header(row.seq)


def test_what_is_still_to_be_deleted_is_counted(kept: Ledger, gone: Ledger) -> None:
    report = kept.verified()
    assert report.failures == []
    assert report.disposed == 0
    assert report.undeleted == sum(row.body is None for row in gone.rows)
    half = [
        row._replace(body=None) if row.seq % 2 and gone.rows[row.seq].body is None else row
        for row in kept.rows
    ]  # as when a deletion is at work
    between = replace(kept, rows=tuple(half)).verified()
    assert between.failures == []
    assert between.disposed + between.undeleted == report.undeleted


def test_a_record_that_no_hold_keeps_any_more_may_go(gone: Ledger) -> None:
    held = gone.find("message", bucket=BUCKET)
    assert gone.rows[held].body is not None
    hold = str(gone.header(gone.find("hold"))["rid"])
    released = _more(gone, gone.find("release"), ref=hold)
    assert _without_body(released, held).verified().ok
    assert released.verified().undeleted == 1


def test_one_custodians_word_is_enough_to_explain_what_is_gone(gone: Ledger) -> None:
    assert sum(row.body is None for row in gone.rows) > 0
    assert [gone.header(row.seq)["kind"] for row in gone.rows].count("shred") == 1


def test_witnesses_make_a_checkpoint_count_as_kept_elsewhere(seen: Ledger) -> None:
    report = seen.verified()
    assert (report.failures, report.cosigned, report.unwitnessed_tail) == ([], 3, 0)
    assert report.warnings == []
    alone = replace(seen, witnesses=WITNESSES[:1])
    assert alone.verified().unwitnessed_tail == 0
    two = replace(alone, enough=2).verified()
    assert (two.cosigned, two.unwitnessed_tail) == (0, two.records)
    assert replace(seen, enough=2).verified().unwitnessed_tail == 0


def test_the_longest_wait_for_a_witness_is_told_and_warned_of(seen: Ledger) -> None:
    first = int(seen.header(0)["t"])
    times = [first + 5000, first + 5000 + 20 * 60_000, first + 3 * HOUR]
    report = cosigned_at(_bare(seen), times).verified()
    assert report.failures == []
    waited = times[2] - int(seen.header(seen.checkpoints[1][0])["t"])
    assert report.longest_gap_ms == waited // 1000 * 1000 + report.longest_gap_ms % 1000
    assert "hours until a witness" in report.warnings[0]


def _bare(ledger: Ledger) -> Ledger:
    return replace(
        ledger, checkpoints=tuple((size, ledger.signed(size)) for size, _ in ledger.checkpoints)
    )


def test_open_debts_are_counted_and_old_ones_warned_of() -> None:
    ledger = first_log()
    at = ledger.find("outcome", effect="redact")
    cut = replace(ledger, rows=ledger.rows[:at]).add_up()
    report = cut.verified()
    assert (report.failures, report.open_debts, report.warnings) == ([], 1, [])
    debt = int(cut.header(cut.find("debt", effect="redact"))["t"])
    assert report.oldest_debt_ms == ledger.now - debt
    late = replace(cut, now=Ms(debt + 26 * HOUR)).verified()
    assert late.ok
    assert "open for more than 25 hours" in late.warnings[0]


def test_a_failed_attempt_settles_nothing() -> None:
    ledger = first_log()
    at = ledger.find("outcome", effect="redact")
    report = ledger.with_fields(at, status="failed").add_up().verified()
    assert (report.failures, report.open_debts) == ([], 1)
    assert {one.value for one in MODEL_FINAL} == FINAL


def test_without_pinned_identities_those_of_the_genesis_count(kept: Ledger) -> None:
    assert kept.verified().pinned
    report = replace(kept, identities={}).verified()
    assert (report.failures, report.pinned) == ([], False)
    forged = _attested(kept, by=STRANGER.private_bytes_raw())
    assert steps_of(replace(forged, identities={}).verified()) == {12}


def test_a_log_goes_on_from_the_one_before(chain: tuple[Ledger, Ledger]) -> None:
    reports = together(*chain)
    assert [one.failures for one in reports] == [[], []]
    whole = sum_up(reports)
    assert whole.records == sum(len(one.rows) for one in chain)
    ((before),) = whole.before
    assert (before.origin, before.size, before.lost) == (ORIGIN, len(chain[0].rows), None)


def test_a_later_log_refers_to_records_of_an_earlier_one(chain: tuple[Ledger, Ledger]) -> None:
    first, second = chain
    late = second.with_fields(
        second.find("late"), ref=str(first.header(first.find("message"))["rid"])
    ).add_up()
    assert all(one.ok for one in together(first, late))
    alone = replace(late, previous=first.signed(len(first.rows)), previous_verifier=VERIFIER)
    report = alone.verified()
    assert (report.failures, report.elsewhere) == ([], 1)
    assert "refer to an earlier log" in report.warnings[0]


def test_what_was_lost_is_told(chain: tuple[Ledger, Ledger]) -> None:
    first, _ = chain
    whole = len(first.rows)
    cut = replace(first, rows=first.rows[:-2]).add_up()
    checkpoint = first.signed(whole)
    previous = Previous(checkpoint=checkpoint, lost=(whole - 2, whole), reason="the disk")
    second = next_log(first, previous=previous)
    held = replace(cut, outside=(("a witness", checkpoint),))
    reports = together(held, second)
    assert [one.failures for one in reports] == [[], []]
    assert sum_up(reports).before[0].lost == (whole - 2, whole)
    assert sum_up(reports).plain()["previous"][0]["reason"] == "the disk"
    covers, lost = sum_up(reports).warnings
    assert "nothing could be held against it" in covers
    assert "are lost (the disk)" in lost
    # Without a genesis that says so, the same is tampering.
    assert steps_of(together(held)[0]) == {6}


def test_a_checkpoint_of_the_newest_log_covers_the_earlier_ones(
    chain: tuple[Ledger, Ledger],
) -> None:
    first, second = chain
    assert sum_up(together(*chain)).unwitnessed_tail == len(first.rows) + len(second.rows)
    assert sum_up(together(first, second.kept_elsewhere())).unwitnessed_tail == 0
    assert sum_up(together(first.kept_elsewhere(), second)).unwitnessed_tail == len(second.rows)


def _lost(first: Ledger, left: int) -> tuple[Ledger, Previous]:
    """The first *left* records of a log, and a genesis that says that the others are lost."""
    whole = len(first.rows)
    note = first.signed(whole)
    cut = replace(first, rows=first.rows[:left], checkpoints=((left, ""),)).add_up()
    previous = Previous(checkpoint=note, lost=(left, whole), reason="the disk")
    return replace(cut, outside=(("a witness", note),)), previous


def test_what_is_left_of_a_log_that_lost_records_is_not_vouched_for_by_the_next_one(
    chain: tuple[Ledger, Ledger],
) -> None:
    first, _ = chain
    left, previous = _lost(first, len(first.rows) - 1)
    rewritten = left.with_fields(left.find("message"), sender="00" * 16).add_up()
    second = next_log(first, previous=previous).kept_elsewhere()
    for log in (left, rewritten):
        whole = sum_up(together(log, second))
        assert (whole.failures, whole.unwitnessed_tail) == ([], len(left.rows))
        assert whole.unwitnessed_age_ms == left.now - int(left.header(0)["t"])
    # A checkpoint of what is left shows which of the two it is.
    note = left.signed(len(left.rows))
    told = [replace(one, outside=(("me", note),)) for one in (left, rewritten)]
    assert sum_up(together(told[0], second)).unwitnessed_tail == 0
    assert steps_of(together(told[1], second)[0]) == {6}


def test_a_log_before_one_that_is_lost_is_not_vouched_for_by_the_one_after(
    chain: tuple[Ledger, Ledger],
) -> None:
    first, second = chain
    left, previous = _lost(second, 9)
    third = _renumbered(next_log(second, previous=previous), 3).kept_elsewhere()
    tail = sum_up(together(first, replace(left, outside=()), third)).unwitnessed_tail
    assert tail == len(first.rows) + 9
    assert sum_up(together(first, left.kept_elsewhere(5), third)).unwitnessed_tail == 4
    none = Previous(checkpoint=previous.checkpoint, lost=(0, len(second.rows)), reason="the disk")
    third = _renumbered(next_log(second, previous=none), 3).kept_elsewhere()
    whole = sum_up(together(first, third))
    assert (whole.failures, whole.unwitnessed_tail) == ([], len(first.rows))


def _renumbered(ledger: Ledger, number: int) -> Ledger:
    """Have a log say that it is another one of the ledger."""
    verifier = Verifier(f"{ORIGIN}/{number}", VERIFIER.key)
    named = replace(ledger, verifier=verifier)
    return _genesis_with(named, origin=verifier.name, verifier=str(verifier))


def test_checkpoints_of_a_log_that_is_lost_as_a_whole_are_warned_of(
    chain: tuple[Ledger, Ledger],
) -> None:
    first, _ = chain
    size = len(first.rows)
    note = first.signed(size)
    second = next_log(first, previous=Previous(checkpoint=note, lost=(0, size), reason="a fire"))
    anchored = replace(second, anchors=(("the anchor", note), ("an old copy", first.signed(9))))
    (report,) = together(anchored)
    assert (report.failures, report.anchors, report.outside) == ([], 0, 0)
    assert [one for one in report.warnings if "held against it" in one] == [
        f"the checkpoint from {where} covers records that are lost, so nothing could be held "
        "against it"
        for where in ("the anchor", "an old copy")
    ]


def test_an_anchor_on_the_host_is_checked_and_keeps_nothing(kept: Ledger) -> None:
    anchored = replace(kept, anchors=(("the anchor", kept.signed(len(kept.rows))),))
    report = anchored.verified()
    assert (report.failures, report.anchors, report.outside) == ([], 1, 0)
    assert report.unwitnessed_tail == report.records
    assert sum_up([report]).plain()["anchors"] == 1
    assert steps_of(anchored.without(len(kept.rows) - 1).add_up().verified()) == {6}


def test_a_hold_that_is_newer_than_a_shred_is_warned_of_while_another_keeps_what_is_left(
    kept: Ledger,
) -> None:
    former = str(kept.header(kept.find("hold"))["rid"])
    late = _more(kept, kept.find("hold"))
    (warning,) = late.verified().warnings
    assert f"hold {late.header(len(late.rows) - 1)['rid']} was recorded after" in warning
    assert f"what hold {former} saved of it" in warning
    over = _more(late, kept.find("release"), ref=former)
    assert over.verified().warnings == [warning]
    # When the first was over before, there was nothing left; nor does a hold that is over matter.
    before = _more(_more(kept, kept.find("release"), ref=former), kept.find("hold"))
    assert before.verified().warnings == []
    settled = str(late.header(len(late.rows) - 1)["rid"])
    assert _more(late, kept.find("release"), ref=settled).verified().warnings == []


# Since


@pytest.mark.parametrize("part", [3, 2, 1])
def test_what_was_verified_before_is_passed_over_and_the_report_says_so(
    kept: Ledger, part: int
) -> None:
    size = len(kept.rows) // part
    report = verify(kept.rows, kept.evidence, since=kept.signed(size))
    assert (report.failures, report.since, report.outside) == ([], size, 1)
    whole = kept.verified()
    assert (report.records, report.kinds) == (whole.records, whole.kinds)
    assert report.unwitnessed_tail == len(kept.rows) - size


def test_a_light_pass_hashes_nothing_and_a_full_one_everything(kept: Ledger) -> None:
    old, new = kept.find("message"), len(kept.rows) - 1
    since = kept.signed(new)
    for at, noticed in ((old, False), (new, True)):
        changed = kept.with_row(at, kept.header(at), b"another body")
        report = verify(changed.rows, changed.evidence, since=since)
        assert report.ok is not noticed
        assert not changed.verified().ok


def test_a_light_pass_begins_in_the_middle_of_a_tile_and_checks_the_next_ones() -> None:
    ledger = _in_memory()
    size = len(ledger.rows) - 60
    assert size < 256 < len(ledger.rows)
    report = verify(ledger.rows, ledger.evidence, since=ledger.signed(size))
    assert (report.failures, report.since) == ([], size)
    wrong = replace(ledger, tiles={(0, 0): spoilt(ledger.tiles[0, 0])})
    assert 3 in steps_of(verify(wrong.rows, wrong.evidence, since=ledger.signed(size)))


@pytest.mark.parametrize("size", [5, 10**6])
def test_a_checkpoint_that_does_not_fit_makes_a_full_pass_and_a_failure(
    kept: Ledger, size: int
) -> None:
    wrong = Checkpoint(ORIGIN, size, bytes(32)).sign(KEY)
    report = verify(kept.rows, kept.evidence, since=wrong)
    assert (steps_of(report), report.since) == ({6}, 0)
    assert steps_of(verify(kept.rows, kept.evidence, since="nothing")) == {6}
    stranger = verify(kept.rows, kept.evidence, since=kept.signed(9, STRANGER))
    assert steps_of(stranger) == {6}


def test_logs_before_the_one_that_was_verified_last_are_passed_over_too(
    chain: tuple[Ledger, Ledger],
) -> None:
    first, second = chain
    reports = together(first, second, since=second.signed(9))
    assert [(one.failures, one.since) for one in reports] == [([], len(first.rows)), ([], 9)]
    reports = together(first, second, since=first.signed(9))
    assert [(one.failures, one.since) for one in reports] == [([], 9), ([], 0)]


# What is not


def _without_body(ledger: Ledger, at: int) -> Ledger:
    rows = (row._replace(body=None) if row.seq == at else row for row in ledger.rows)
    return replace(ledger, rows=tuple(rows))


def _more(ledger: Ledger, at: int, body: bytes | None = None, **fields: str | int) -> Ledger:
    """Add another record like the one at *at*, under a new name and the newest epoch."""
    last = ledger.header(len(ledger.rows) - 1)
    row = ledger.rows[at]
    own = {**ledger.header(at), "rid": new_rid(), "t": last["t"]}
    if "epoch" in own:
        own |= {"epoch": last["epoch"], "bucket": last["bucket"]}
    grown = ledger.with_more({**own, **fields}, row.body or b"")
    if body is not None:
        grown = grown.with_row(len(grown.rows) - 1, {**own, **fields}, body)
    return grown.add_up()


def _attestation(ledger: Ledger) -> Attestation:
    body = ledger.rows[ledger.find("shred")].body or b""
    paper = msgspec.json.decode(body, type=ShredBody).attestation
    return msgspec.json.decode(paper.text, type=Attestation)


def _attested(ledger: Ledger, *, by: bytes | None = None, **other: Any) -> Ledger:
    """Have the custodian (or *by*) say something else."""
    at = ledger.find("shred")
    said = msgspec.structs.replace(_attestation(ledger), **other)
    body = shred_body(said, by) if by else shred_body(said)
    return ledger.with_row(at, ledger.header(at), body).add_up()


def _wrapped(ledger: Ledger, **other: Any) -> Ledger:
    (wrap,) = _attestation(ledger).holds
    return _attested(ledger, holds=(msgspec.structs.replace(wrap, **other),))


def _ordered(ledger: Ledger, body: bytes, **fields: str) -> Ledger:
    at = ledger.find("erase")
    return ledger.with_row(at, {**ledger.header(at), **fields}, body).add_up()


def _erased(ledger: Ledger) -> str:
    return str(ledger.header(ledger.find("erase"))["ref"])


def _other_bucket_shredded(ledger: Ledger) -> Ledger:
    at = ledger.find("shred")
    nothing = msgspec.structs.replace(_all(ledger)[0], records=(), sealed="")
    other = {"bucket": "social-2026-12", "holds": (nothing,)}
    body = shred_body(msgspec.structs.replace(_attestation(ledger), **other))
    header = {**ledger.header(at), "bucket": "social-2026-12"}
    return ledger.with_row(at, header, body).add_up()


def _later_checkpoint(ledger: Ledger) -> Ledger:
    size = len(ledger.rows) + 1
    return _attested(ledger, checkpoint=Checkpoint(ORIGIN, size, bytes(32)).sign(KEY))


def _all(ledger: Ledger) -> tuple[Any, ...]:
    return _attestation(ledger).holds


def _too_many_in_an_epoch(ledger: Ledger) -> Ledger:
    last = ledger.rows[-1]
    header = ledger.header(len(ledger.rows) - 1)
    rows = [
        Row(last.seq + n, encode({**header, "rid": new_rid()}), last.body)
        for n in range(1, EPOCH_RECORDS + 1)
    ]
    return replace(ledger, rows=(*ledger.rows, *rows)).add_up()


def _too_late_for_its_epoch(ledger: Ledger) -> Ledger:
    at = len(ledger.rows) - 1
    late = int(ledger.header(at)["t"]) + EPOCH_MS + 3 * 60_000
    return ledger.with_fields(at, t=late).add_up()


def _genesis_with(ledger: Ledger, **fields: object) -> Ledger:
    body = encode({**genesis_of(ledger), **fields})
    return ledger.with_row(0, ledger.header(0), body).add_up()


def _stored(ledger: Ledger, at: int, note: str) -> Ledger:
    notes = list(ledger.checkpoints)
    notes[at] = (notes[at][0], note)
    return replace(ledger, checkpoints=tuple(notes))


def _cosigned_wrongly(ledger: Ledger) -> Ledger:
    line = f"\u2014 {WITNESSES[0].name} {encode64(WITNESSES[0].key_id + bytes(72))}\n"
    return _stored(ledger, 1, _bare(ledger).checkpoints[1][1] + line)


def _from_the_future(ledger: Ledger) -> Ledger:
    early = int(ledger.header(0)["t"])
    return cosigned_at(_bare(ledger), [early, early, early])


def _signed_backwards(ledger: Ledger) -> Ledger:
    late = ledger.now + 5 * HOUR
    return cosigned_at(_bare(ledger), [late, late - HOUR, late])


OTHER = "ab" * 16
KEPT = [
    Tampering(12, "does not hold", lambda led: _attested(led, by=STRANGER.private_bytes_raw())),
    Tampering(12, "does not hold", lambda led: led.with_row(
        led.find("shred"), led.header(led.find("shred")), b"{}").add_up()),
    Tampering(12, "is of another ledger", lambda led: _attested(led, origin="farce.example")),
    Tampering(12, "not of", lambda led: _attested(led, bucket="operational-2026-11")),
    Tampering(12, "never certified", _other_bucket_shredded),
    Tampering(12, "before it might be", lambda led: _attested(led, destroyed=1)),
    Tampering(12, "dated later", lambda led: _attested(led, destroyed=led.now + HOUR)),
    Tampering(12, "more than a day before", lambda led: _attested(
        led, checkpoint=led.signed(9), holds=())),
    Tampering(12, "more than a day before", lambda led: _attested(
        led, checkpoint=led.signed(0), holds=())),
    Tampering(12, "the checkpoint of this", lambda led: _attested(led, checkpoint="none")),
    Tampering(12, "the checkpoint of this", lambda led: _attested(
        led, checkpoint=led.signed(9, STRANGER), holds=())),
    Tampering(12, "another root", _later_checkpoint),
    Tampering(12, "another root", lambda led: _attested(
        led, checkpoint=Checkpoint(ORIGIN, led.find("shred"), bytes(32)).sign(KEY))),
    Tampering(12, "leaves out the hold", lambda led: _attested(led, holds=())),
    Tampering(12, "not on record", lambda led: _attested(led, holds=(
        *_all(led), msgspec.structs.replace(_all(led)[0], hold=OTHER)))),
    Tampering(12, "not of its records", lambda led: _wrapped(
        led, sealed=encode64(bytes(OVERHEAD + 31)))),
    Tampering(12, "not of its records", lambda led: _wrapped(led, sealed="!")),
    Tampering(12, "not of its records", lambda led: _wrapped(led, records=())),
    Tampering(12, "not of its bucket", lambda led: _wrapped(led, records=(_erased(led),))),
    Tampering(12, "not of its bucket", lambda led: _wrapped(led, records=(OTHER,))),
    Tampering(12, "although a hold keeps it", lambda led: _without_body(
        led, led.find("message", bucket=BUCKET))),
    Tampering(12, "do not hold", lambda led: _ordered(
        led, erase_body(order_for(_erased(led)), by=STRANGER.private_bytes_raw()))),
    Tampering(12, "do not hold", lambda led: _ordered(led, b"[]")),
    Tampering(12, "not every custodian", lambda led: _ordered(led, erase_body())),
    Tampering(12, "not every custodian", lambda led: _ordered(
        led, erase_body(order_for(_erased(led)), order_for(_erased(led))))),
    Tampering(12, "for another record", lambda led: _ordered(led, erase_body(order_for(OTHER)))),
    Tampering(12, "for another ledger", lambda led: _ordered(led, erase_body(
        msgspec.structs.replace(order_for(_erased(led)), origin="farce.example")))),
    Tampering(12, "cannot be erased", lambda led: _ordered(
        led, erase_body(order_for(str(led.header(0)["rid"]))), ref=str(led.header(0)["rid"]))),
    Tampering(8, "no custodian here", lambda led: _attested(led, custodian="mallory")),
    Tampering(8, "no custodian here", lambda led: _ordered(
        led, erase_body(order_for(_erased(led), "mallory")))),
    Tampering(2, "no disposal explains", lambda led: _without_body(led, led.find("epoch"))),
    Tampering(2, "no disposal explains", lambda led: _without_body(led, led.find("policy"))),
    Tampering(2, "no disposal explains", lambda led: _without_body(led, len(led.rows) - 1)),
    Tampering(9, "more than 1024", _too_many_in_an_epoch),
    Tampering(9, "had ended", _too_late_for_its_epoch),
    Tampering(10, "settled before", lambda led: _more(led, led.find("outcome"))),
    Tampering(10, "not what it is about", lambda led: led.with_row(led.find("erase"), {
        n: v for n, v in led.header(led.find("erase")).items() if n != "ref"}).add_up()),
    Tampering(10, "cannot be about", lambda led: _more(
        led, led.find("release"), ref=str(led.header(led.find("policy"))["rid"]))),
]  # fmt: skip
SEEN = [
    Tampering(
        4, "key that is of another ledger", lambda led: _genesis_with(led, origin="farce.example")
    ),
    Tampering(5, "cosignature of witness.example/1", _cosigned_wrongly),
    Tampering(5, "dated later", _from_the_future),
    Tampering(5, "before a smaller one", _signed_backwards),
]


def _after(first: Ledger, second: Ledger, **fields: object) -> Ledger:
    previous = {"checkpoint": first.signed(len(first.rows)), **fields}
    return _genesis_with(second, previous=previous)


def _unlinked(second: Ledger) -> Ledger:
    body = {name: value for name, value in genesis_of(second).items() if name != "previous"}
    return second.with_row(0, second.header(0), encode(body)).add_up()


Link = Callable[[Ledger, Ledger], tuple[Ledger, ...]]
LINKS: list[tuple[str, Link]] = [
    ("names no log before", lambda one, two: (one, _unlinked(two))),
    ("names no log before", lambda one, two: (
        replace(one, previous=one.signed(3), previous_verifier=VERIFIER),)),
    ("of the log before it", lambda one, two: (one, _after(one, two, checkpoint="none"))),
    ("of the log before it", lambda one, two: (one, _after(
        one, two, checkpoint=one.signed(len(one.rows), STRANGER)))),
    ("does not follow on", lambda one, two: (
        replace(_after(one, two, checkpoint=two.signed(5)), previous=two.signed(5)),)),
    ("no range", lambda one, two: (one, _after(one, two, lost=[7, 3]))),
    ("no range", lambda one, two: (_lost(one, 30)[0], _after(one, two, lost=[30, 10**15]))),
    ("not the end that", lambda one, two: (one, _after(
        one, two, checkpoint=Checkpoint(ORIGIN, 5, bytes(32)).sign(KEY)))),
    ("goes on after", lambda one, two: (one, _after(one, two, checkpoint=one.signed(5)))),
    ("ends before", lambda one, two: (replace(one, rows=one.rows[:-1]).add_up(), two)),
    ("is not here", lambda one, two: (two,)),
    ("another end", lambda one, two: (replace(two, previous=one.signed(5)),)),
    ("last checkpoint of the log before", lambda one, two: (replace(
        two, previous=one.signed(5, STRANGER), previous_verifier=VERIFIER),)),
]  # fmt: skip


def _shred_of_the_log_before(first: Ledger, *, forked: bool) -> Ledger:
    """A second log with an attestation on a checkpoint of the first one, or of a fork of it."""
    second, size = next_log(first), first.find("shred")
    note = Checkpoint(ORIGIN, size, bytes(32)).sign(KEY) if forked else first.signed(size)
    body = shred_body(msgspec.structs.replace(_attestation(first), checkpoint=note))
    at = second.header(len(second.rows) - 1)["t"]
    header = {**first.header(size), "rid": new_rid(), "t": at}
    grown = second.with_more(header, b"")
    return grown.with_row(len(grown.rows) - 1, header, body).add_up()


def test_an_attestation_may_be_on_a_checkpoint_of_the_log_before_but_on_no_fork_of_it(
    kept: Ledger,
) -> None:
    assert [one.failures for one in together(
        kept, _shred_of_the_log_before(kept, forked=False))] == [[], []]  # fmt: skip
    forked = together(kept, _shred_of_the_log_before(kept, forked=True))
    assert [steps_of(one) for one in forked] == [set(), {12}]


def _unreadable_note_of_a_lost_log(first: Ledger) -> Ledger:
    size = len(first.rows)
    lost = Previous(checkpoint=first.signed(size), lost=(0, size), reason="a fire")
    return replace(next_log(first, previous=lost), outside=(("me", f"{ORIGIN}\nx"),))


def _does_not_have(what: str) -> str:
    return {"not the end that": "does not have the end that"}.get(what, what)


@pytest.mark.parametrize("tampering", KEPT, ids=lambda t: f"{t.step} {t.what}")
def test_a_tampering_with_what_custodians_say_is_noticed_by_its_step_only(
    kept: Ledger, tampering: Tampering
) -> None:
    _noticed(tampering, kept)


@pytest.mark.parametrize("tampering", SEEN, ids=lambda t: f"{t.step} {t.what}")
def test_a_tampering_with_what_witnesses_say_is_noticed_by_its_step_only(
    seen: Ledger, tampering: Tampering
) -> None:
    _noticed(tampering, seen)


def _noticed(tampering: Tampering, ledger: Ledger) -> None:
    tampered = tampering.do(ledger)
    assert tampered != ledger
    failures = tampered.verified().failures
    assert {one.step for one in failures} == {tampering.step}, failures[:5]
    assert any(tampering.what in one.what for one in failures), failures


@pytest.mark.parametrize(("what", "link"), LINKS)
def test_a_broken_link_between_logs_is_noticed_by_its_step_only(
    chain: tuple[Ledger, Ledger], what: str, link: Link
) -> None:
    reports = together(*link(*chain))
    failures = [one for report in reports for one in report.failures]
    assert {one.step for one in failures} == {13}, failures
    assert any(_does_not_have(what) in one.what for one in failures), failures


@pytest.mark.parametrize(
    ("origin", "before"),
    [("a/2", "a"), ("a/3", "a/2"), ("a/b/11", "a/b/10"), ("a/2/2", "a/2"), ("a", None),
     ("a/1", None), ("a/02", None), ("/2", None), ("a/x", None), ("a/" + "9" * 5000, None)],
)  # fmt: skip
def test_logs_are_numbered(origin: str, before: str | None) -> None:
    assert custody.origin_before(origin) == before


def test_a_log_cannot_begin_before_the_one_before_it_ended(chain: tuple[Ledger, Ledger]) -> None:
    first, second = chain
    early = replace(first, now=Ms(first.now - 10 * 24 * HOUR))
    assert steps_of(together(first, next_log(early, previous=Previous(
        checkpoint=first.signed(len(first.rows)))))[1]) == {11}  # fmt: skip
    assert all(one.ok for one in together(first, second))


def test_a_checkpoint_of_lost_records_must_be_what_the_next_log_names(
    chain: tuple[Ledger, Ledger],
) -> None:
    first, _ = chain
    size = len(first.rows)
    left, previous = _lost(first, size - 2)
    second = next_log(first, previous=previous)
    other = Checkpoint(ORIGIN, size, bytes(32)).sign(KEY)
    more = Checkpoint(ORIGIN, size + 1, bytes(32)).sign(KEY)
    for note, what in ((other, "another root than the genesis"), (more, "no longer here")):
        report = together(replace(left, outside=(("me", note),)), second)[0]
        assert [one.step for one in report.failures] == [6]
        assert what in report.failures[0].what
    gone = Previous(checkpoint=previous.checkpoint, lost=(0, size), reason="a fire")
    alone = next_log(first, previous=gone)
    for note in (other, more, f"{ORIGIN}\nx"):
        assert steps_of(together(replace(alone, outside=(("me", note),)))[0]) == {6}
    unnamed = Checkpoint(f"{ORIGIN}/7", 1, bytes(32)).sign(KEY)
    assert steps_of(together(replace(alone, outside=(("me", unnamed),)))[0]) == {6}


def test_a_hold_that_came_too_late_for_a_bucket_is_warned_of(kept: Ledger) -> None:
    # The custodian looked at the holds before the first of them was recorded.
    report = _attested(kept, checkpoint=kept.signed(kept.find("hold")), holds=()).verified()
    assert report.failures == []
    assert "had last looked at the holds" in report.warnings[0]


# Each step, and each complaint of it, is needed


def _all_tampered() -> list[tuple[int, Callable[[], list[Report]]]]:
    plain, kept_, seen_ = _in_memory(), disposed(deleted=False), witnessed()
    first = first_log()
    second = next_log(first)
    made: list[tuple[int, tuple[Ledger, ...]]] = [
        *((one.step, (one.do(plain),)) for one in PLAIN_TAMPERINGS),
        *((one.step, (one.do(kept_),)) for one in KEPT),
        *((one.step, (one.do(seen_),)) for one in SEEN),
        *((13, link(first, second)) for _, link in LINKS),
        (6, (_unreadable_note_of_a_lost_log(first),)),
        (12, (kept_, _shred_of_the_log_before(kept_, forked=True))),
    ]
    return [(step, lambda logs=logs: together(*logs)) for step, logs in made]  # type: ignore[misc]


@pytest.fixture(scope="module")
def tampered() -> list[tuple[int, Callable[[], list[Report]]]]:
    return _all_tampered()


BUILT = (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13)


@pytest.mark.parametrize("step", BUILT)
def test_with_a_step_switched_off_its_tamperings_pass_unnoticed(
    tampered: list[tuple[int, Callable[[], list[Report]]]],
    step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = Report.fail
    monkeypatch.setattr(
        Report, "fail", lambda self, at, rid, what: at == step or report(self, at, rid, what)
    )
    passed = {at for at, run in tampered if all(one.ok for one in run())}
    assert passed == {step}


MODULES = (steps, points, custody, past)
SOURCES = {
    module.__name__: Path(module.__file__ or "").read_text(encoding="utf-8") for module in MODULES
}


def _complaints(tree: ast.AST) -> list[ast.Expr]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "fail"
        and len(node.value.args) == 3
        and not isinstance(node.value.args[0], ast.Name)
    ]


EVERY = [
    (name, index, complaint.lineno)
    for name, source in SOURCES.items()
    for index, complaint in enumerate(_complaints(ast.parse(source)))
]


class _Silenced(ast.NodeTransformer):
    def __init__(self, complaint: ast.Expr) -> None:
        self.complaint = complaint

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if node is self.complaint else node


@contextmanager
def _without(name: str, index: int) -> Iterator[None]:
    """Put the package together again without one complaint of one of its modules."""
    tree = ast.parse(SOURCES[name])
    silenced = ast.fix_missing_locations(_Silenced(_complaints(tree)[index]).visit(tree))
    whole = [(vars(module), dict(vars(module))) for module in MODULES]
    try:
        for module in (past, points, custody, steps):  # as they import one another
            code = silenced if module.__name__ == name else ast.parse(SOURCES[module.__name__])
            exec(compile(code, module.__name__, "exec"), vars(module))  # noqa: S102 - our own
        yield
    finally:
        for now, before in whole:
            now.clear()
            now.update(before)


@pytest.mark.parametrize(("name", "index", "line"), EVERY)
def test_no_complaint_of_verify_can_be_left_out_unnoticed(
    tampered: list[tuple[int, Callable[[], list[Report]]]], name: str, index: int, line: int
) -> None:
    with _without(name, index):
        assert any(all(one.ok for one in run()) for _, run in tampered), (name, line)
