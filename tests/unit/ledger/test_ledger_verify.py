"""Every check of verify is needed, and every one of them works.

The attacker here owns the bot's host, its signing key included: after each change everything that
can be computed again is. What is left to notice it by is the one check under test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore
from bridge.verify import steps as verify
from bridge.verify.headers import FORMAT
from bridge.verify.notes import Checkpoint, Verifier, encode64
from bridge.verify.papers import Certificate, Signed
from bridge.verify.steps import Evidence, Row
from bridge.verify.tree import WIDTH
from tests.making import ORIGIN, Hands, custodian, identity
from tests.unit.ledger.forging import (
    KEY,
    STRANGER,
    VERIFIER,
    Ledger,
    decode,
    encode,
    of_file,
    of_memory,
    play,
    spoilt,
)

PSD = custodian()
PINNED = {"psd": PSD.public}


def _in_memory() -> Ledger:
    clock = Hands()
    store = MemoryStore(identity(PSD), clock)
    asyncio.run(play(store, clock))
    return of_memory(store, identities=PINNED, now=clock())


def _in_sqlite(folder: Path) -> Ledger:
    async def run() -> None:
        store = SqliteStore(folder / "ledger.db", identity(PSD), clock, anchor=None)
        await play(store, clock)
        await store.close()

    clock = Hands()
    asyncio.run(run())
    return of_file(folder / "ledger.db", identities=PINNED, now=clock())


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    if request.param == "memory":
        return _in_memory()
    return _in_sqlite(tmp_path_factory.mktemp("ledger"))


def _on_end(ledger: Ledger, **fields: str | int) -> Ledger:
    return ledger.with_fields(len(ledger.rows) - 1, **fields).add_up()


def _drop_with_a_hole(ledger: Ledger) -> Ledger:
    return ledger.without(ledger.find("note"), renumber=False).add_up()


def _unreadable_header(ledger: Ledger) -> Ledger:
    return ledger.with_more(b"\xff{", b"").add_up()


def _spaced_header(ledger: Ledger) -> Ledger:
    last = len(ledger.rows) - 1
    return ledger.with_row(last, ledger.rows[last].header.replace(b":", b": ", 1)).add_up()


def _text_for_a_time(ledger: Ledger) -> Ledger:
    return _on_end(ledger, t=str(ledger.header(len(ledger.rows) - 1)["t"]))


def _unsealed(ledger: Ledger) -> Ledger:
    at = len(ledger.rows) - 1
    bare = {n: v for n, v in ledger.header(at).items() if n not in {"bucket", "epoch", "kc"}}
    return ledger.with_row(at, bare, b'{"text":"never sealed to anyone"}').add_up()


def _same_name_twice(ledger: Ledger) -> Ledger:
    last = ledger.rows[-1]
    return ledger.with_more(last.header, last.body or b"").add_up()


def _second_genesis(ledger: Ledger) -> Ledger:
    header = {**ledger.header(0), "rid": "ab" * 16, "t": ledger.header(len(ledger.rows) - 1)["t"]}
    return ledger.with_more(header, ledger.rows[0].body or b"").add_up()


def _all_gone(ledger: Ledger) -> Ledger:
    return replace(ledger, rows=(), tiles={}, checkpoints=(), edge=(0, b"", b""))


def _body_gone(ledger: Ledger) -> Ledger:
    at = ledger.find("message")
    row = ledger.rows[at]
    return replace(
        ledger, rows=(*ledger.rows[:at], Row(row.seq, row.header, None), *ledger.rows[at + 1 :])
    )


def _body_changed(ledger: Ledger) -> Ledger:
    at = ledger.find("message")
    row = ledger.rows[at]
    body = spoilt(row.body or b"")
    return replace(
        ledger, rows=(*ledger.rows[:at], Row(row.seq, row.header, body), *ledger.rows[at + 1 :])
    )


def _bodies_swapped(ledger: Ledger) -> Ledger:
    one, two = ledger.find("verdict"), ledger.find("debt")
    rows = list(ledger.rows)
    rows[one] = rows[one]._replace(body=ledger.rows[two].body)
    rows[two] = rows[two]._replace(body=ledger.rows[one].body)
    return replace(ledger, rows=tuple(rows))


def _tile_changed(ledger: Ledger) -> Ledger:
    return replace(ledger, tiles={**ledger.tiles, (0, 0): bytes(32) + ledger.tiles[0, 0][32:]})


def _tile_gone(ledger: Ledger) -> Ledger:
    return replace(ledger, tiles={})


def _tile_too_many(ledger: Ledger) -> Ledger:
    return replace(ledger, tiles={**ledger.tiles, (0, 99): bytes(32 * WIDTH)})


def _peaks_changed(ledger: Ledger) -> Ledger:
    size, peaks, edges = ledger.edge
    return replace(ledger, edge=(size, bytes(32) + peaks[32:], edges))


def _edges_changed(ledger: Ledger) -> Ledger:
    size, peaks, edges = ledger.edge
    return replace(ledger, edge=(size, peaks, bytes(32) + edges[32:]))


def _head_back(ledger: Ledger) -> Ledger:
    return replace(ledger, edge=ledger.without(len(ledger.rows) - 1).add_up().edge)


def _genesis_without_a_key(ledger: Ledger) -> Ledger:
    only = replace(ledger, rows=ledger.rows[:1])
    return only.with_row(0, only.header(0), b"{}").add_up()


def _genesis_of_another_key(ledger: Ledger) -> Ledger:
    other = Verifier(ORIGIN, STRANGER.public_key().public_bytes_raw())
    body = (ledger.rows[0].body or b"").replace(str(VERIFIER).encode(), str(other).encode())
    return ledger.with_row(0, ledger.header(0), body).add_up()


def _signed_by_another(ledger: Ledger) -> Ledger:
    return ledger.add_up(signed_by=STRANGER)


def _checkpoint_of_another_root(ledger: Ledger) -> Ledger:
    size, _ = ledger.checkpoints[1]
    note = Checkpoint(ORIGIN, size, bytes(32)).sign(KEY)
    return replace(ledger, checkpoints=(ledger.checkpoints[0], (size, note)))


def _checkpoint_misfiled(ledger: Ledger) -> Ledger:
    (_, first), (size, _), *rest = ledger.checkpoints
    return replace(ledger, checkpoints=((size, first), *rest))


def _newest_dropped(ledger: Ledger) -> Ledger:
    """What a witness is for: everything adds up, but it is not what was once signed."""
    return ledger.kept_elsewhere().without(len(ledger.rows) - 1).add_up()


def _history_rewritten(ledger: Ledger) -> Ledger:
    at = ledger.find("message")
    return ledger.kept_elsewhere().with_row(at, ledger.header(at), b"another body").add_up()


def _two_swapped(ledger: Ledger) -> Ledger:
    at = ledger.find("note")
    one, two = ledger.rows[at], ledger.rows[at + 1]
    swapped = ledger.with_row(at, two.header, two.body).with_row(at + 1, one.header, one.body)
    rows = list(swapped.rows)
    rows[at], rows[at + 1] = Row(at, two.header, two.body), Row(at + 1, one.header, one.body)
    return replace(swapped.kept_elsewhere(), rows=tuple(rows), outside=(
        ("a witness", ledger.signed(len(ledger.rows))),
    )).add_up()  # fmt: skip


def _witness_note_garbled(ledger: Ledger) -> Ledger:
    return replace(ledger, outside=(("a witness", "a note\n1\n"),))


def _fewer_custodians(ledger: Ledger) -> Ledger:
    return replace(ledger, identities={**PINNED, "im": bytes(32)})


def _certificates(ledger: Ledger, bucket: str, certificates: list[Signed]) -> Ledger:
    at = ledger.find("certificate", bucket=bucket)
    body = msgspec.json.decode(ledger.rows[at].body or b"")
    return ledger.with_row(
        at, ledger.header(at), encode({**body, "certificates": certificates})
    ).add_up()


def _tags(ledger: Ledger, change: Callable[[Any], Any]) -> Ledger:
    at = ledger.find("certificate", bucket="social-2026-11")
    body = msgspec.json.decode(ledger.rows[at].body or b"")
    changed = encode({**body, "tag_keys": change(body["tag_keys"])})
    return ledger.with_row(at, ledger.header(at), changed).add_up()


def _host_certifies_itself(ledger: Ledger) -> Ledger:
    signed = msgspec.json.decode(PSD.seeds["social-2026-11"][0], type=Signed)
    own = STRANGER.sign(FORMAT + b"/certificate\n" + signed.certificate.encode())
    return _certificates(
        ledger, "social-2026-11", [Signed(certificate=signed.certificate, signature=encode64(own))]
    )


def _uncertified(ledger: Ledger) -> Ledger:
    return _certificates(ledger, "social-2026-11", [])


def _certified_for_another_bucket(ledger: Ledger) -> Ledger:
    other = msgspec.json.decode(PSD.seeds["operational-2026-11"][0], type=Signed)
    return _certificates(ledger, "social-2026-11", [other])


def _certified_for_another_time(ledger: Ledger) -> Ledger:
    signed = msgspec.json.decode(PSD.seeds["social-2026-11"][0], type=Signed)
    given = msgspec.json.decode(signed.certificate, type=Certificate)
    text = encode(msgspec.structs.replace(given, start=given.start - 1, end=given.start))
    signature = Ed25519PrivateKey.from_private_bytes(PSD.identity).sign(
        FORMAT + b"/certificate\n" + text
    )
    return _certificates(
        ledger,
        "social-2026-11",
        [Signed(certificate=text.decode(), signature=encode64(signature))],
    )


def _bucket_never_opened(ledger: Ledger) -> Ledger:
    return ledger.without(ledger.find("certificate", bucket="operational-2026-11")).add_up()


def _epoch_sealed_to_nobody(ledger: Ledger) -> Ledger:
    at = ledger.find("epoch")
    return ledger.with_row(at, ledger.header(at), b"").add_up()


def _epoch_of_another_bucket(ledger: Ledger) -> Ledger:
    other = str(ledger.header(ledger.find("epoch", bucket="social-2026-11"))["rid"])
    return _on_end(ledger, epoch=other)


def _reference_to_nothing(ledger: Ledger) -> Ledger:
    return ledger.with_fields(ledger.find("late"), ref="ab" * 16).add_up()


def _reference_to_itself(ledger: Ledger) -> Ledger:
    at = ledger.find("late")
    return ledger.with_fields(at, ref=str(ledger.header(at)["rid"])).add_up()


def _debt_dropped(ledger: Ledger) -> Ledger:
    return ledger.without(ledger.find("debt", effect="redact")).add_up()


def _debt_dropped_and_covered_up(ledger: Ledger) -> Ledger:
    message = str(ledger.header(ledger.find("debt"))["ref"])
    outcome = ledger.find("outcome", effect="redact")
    left = ledger.with_fields(outcome, ref=message)
    return left.without(left.find("debt", effect="redact")).add_up()


def _removal_under_the_debt_of_a_copy(ledger: Ledger) -> Ledger:
    copy = str(ledger.header(ledger.find("debt", effect="copy"))["rid"])
    return ledger.with_fields(ledger.find("outcome", effect="redact"), ref=copy).add_up()


def _outcome_of_nothing(ledger: Ledger) -> Ledger:
    at = ledger.find("outcome")
    header = {name: value for name, value in ledger.header(at).items() if name != "ref"}
    return ledger.with_row(at, header).add_up()


def _removal_of_what_was_never_served(ledger: Ledger) -> Ledger:
    policy = str(ledger.header(ledger.find("policy"))["rid"])
    return ledger.with_fields(ledger.find("debt", effect="redact"), ref=policy).add_up()


def _back_dated(ledger: Ledger) -> Ledger:
    return _on_end(ledger, t=int(ledger.header(0)["t"]))


@dataclass(frozen=True)
class Tampering:
    step: int
    what: str
    do: Callable[[Ledger], Ledger]


TAMPERINGS = [
    Tampering(1, "is missing", _drop_with_a_hole),
    Tampering(1, "cannot be read", _unreadable_header),
    Tampering(1, "not spelt in the one way", _spaced_header),
    Tampering(1, "unknown", lambda led: _on_end(led, v=2)),
    Tampering(1, "unknown", lambda led: _on_end(led, kind="gossip")),
    Tampering(1, "other fields", lambda led: _on_end(led, rule="a.rule")),
    Tampering(1, "other fields", _unsealed),
    Tampering(1, "wrong type", _text_for_a_time),
    Tampering(1, "wrong type", lambda led: _on_end(led, kc=7)),
    Tampering(1, "wrong type", lambda led: _on_end(led, t=2**53)),
    Tampering(1, "wrong type", lambda led: _on_end(led, rid="AB" * 16)),
    Tampering(1, "used before", _same_name_twice),
    Tampering(1, "starts with its genesis", _second_genesis),
    Tampering(1, "no records", _all_gone),
    Tampering(2, "is gone", _body_gone),
    Tampering(2, "not the one", _body_changed),
    Tampering(2, "not the one", _bodies_swapped),
    Tampering(3, "not made of", _tile_changed),
    Tampering(3, "not made of", _tile_gone),
    Tampering(3, "no records belong to", _tile_too_many),
    Tampering(3, "would go on from", _peaks_changed),
    Tampering(3, "would go on from", _edges_changed),
    Tampering(3, "would go on from", _head_back),
    Tampering(4, "does not name", _genesis_without_a_key),
    Tampering(4, "another key", _genesis_of_another_key),
    Tampering(4, "nobody we know", _signed_by_another),
    Tampering(4, "another root", _checkpoint_of_another_root),
    Tampering(4, "another size", _checkpoint_misfiled),
    Tampering(6, "no longer here", _newest_dropped),
    Tampering(6, "another root", _history_rewritten),
    Tampering(6, "another root", _two_swapped),
    Tampering(6, "not a checkpoint", _witness_note_garbled),
    Tampering(8, "other custodians", _fewer_custodians),
    Tampering(8, "do not hold", _host_certifies_itself),
    Tampering(8, "not certified by each", _uncertified),
    Tampering(8, "is used for", _certified_for_another_bucket),
    Tampering(8, "was not valid", _certified_for_another_time),
    Tampering(8, "tag key", lambda led: _tags(led, lambda _: {})),
    Tampering(8, "tag key", lambda led: _tags(led, lambda tags: {**tags, "mallory": tags["psd"]})),
    Tampering(8, "tag key", lambda led: _tags(led, lambda _: {"psd": "AAAA"})),
    Tampering(8, "do not hold", lambda led: _tags(led, lambda _: {"psd": "!"})),
    Tampering(8, "do not hold", lambda led: _tags(led, lambda _: None)),
    Tampering(9, "not opened before", _bucket_never_opened),
    Tampering(9, "not sealed to", _epoch_sealed_to_nobody),
    Tampering(9, "not of its bucket", _epoch_of_another_bucket),
    Tampering(10, "does not come before", _reference_to_nothing),
    Tampering(10, "does not come before", _reference_to_itself),
    Tampering(10, "does not come before", _debt_dropped),
    Tampering(10, "never written down", _debt_dropped_and_covered_up),
    Tampering(10, "never written down", _removal_under_the_debt_of_a_copy),
    Tampering(10, "not what it is about", _outcome_of_nothing),
    Tampering(10, "cannot be about", _removal_of_what_was_never_served),
    Tampering(11, "older than those before", _back_dated),
]
STEPS = (1, 2, 3, 4, 6, 8, 9, 10, 11)


def test_an_untouched_ledger_is_sound(sound: Ledger) -> None:
    report = sound.kept_elsewhere().verified()
    assert report.failures == []
    assert (report.records, report.checkpoints, report.outside) == (len(sound.rows), 3, 1)
    assert report.unwitnessed_tail == 0
    assert sum(report.kinds.values()) == len(sound.rows) > WIDTH
    assert {"genesis", "verdict", "debt", "outcome", "gap", "brake", "policy"} <= set(report.kinds)


def test_making_it_add_up_again_changes_nothing_of_an_untouched_ledger(sound: Ledger) -> None:
    assert sound.add_up() == sound


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda t: f"{t.step} {t.what}")
def test_a_tampering_is_noticed_by_its_step_and_by_no_other(
    sound: Ledger, tampering: Tampering
) -> None:
    tampered = tampering.do(sound)
    assert tampered != sound
    failures = tampered.verified().failures
    assert {one.step for one in failures} == {tampering.step}, failures[:5]
    assert tampering.what in failures[0].what


@pytest.mark.parametrize("step", STEPS)
def test_with_a_step_disabled_its_tamperings_go_unnoticed(sound: Ledger, step: int) -> None:
    mine = [one for one in TAMPERINGS if one.step == step]
    assert mine
    for tampering in mine:
        left = [one for one in tampering.do(sound).verified().failures if one.step != step]
        assert left == []


def test_a_rebuilt_ledger_is_sound_where_nothing_is_kept_elsewhere_and_the_report_says_so(
    sound: Ledger,
) -> None:
    rewritten = replace(_history_rewritten(sound), outside=())
    report = rewritten.verified()
    assert report.ok
    assert report.outside == 0
    assert report.unwitnessed_tail == report.records


def test_the_unwitnessed_tail_is_counted_with_its_age(sound: Ledger) -> None:
    size = sound.find("brake")
    report = sound.kept_elsewhere(size).verified()
    assert report.unwitnessed_tail == len(sound.rows) - size
    assert report.unwitnessed_age_ms == sound.now - int(sound.header(size)["t"])


def test_without_a_pinned_key_the_genesis_is_believed(sound: Ledger) -> None:
    other = Verifier(ORIGIN, STRANGER.public_key().public_bytes_raw())
    body = (sound.rows[0].body or b"").replace(str(VERIFIER).encode(), str(other).encode())
    forged = sound.with_row(0, sound.header(0), body).add_up(signed_by=STRANGER)
    assert replace(forged, verifier=None).verified().ok
    assert not forged.verified().ok


def test_a_clock_may_be_set_back_by_two_minutes(sound: Ledger) -> None:
    last = len(sound.rows) - 1
    newest = int(sound.header(last)["t"])
    assert sound.with_fields(last, t=newest - 60_000).add_up().verified().ok


@pytest.mark.parametrize(
    "header",
    [b"", b"[]", b"null", b"{}", b'{"v":1}', b'{"v":1,"kind":"note"}', b"{" * 4000, b"\0",
     b'{"kind":7}', b'{"v":1,"kind":"note","rid":1,"t":1,"len":1,"sha256":1}',
     b'{"t":99999999999999999999999999}', b'"' + b"x" * 5000 + b'"'],
)  # fmt: skip
def test_no_header_makes_verify_fall_over(sound: Ledger, header: bytes) -> None:
    report = sound.with_row(5, header).add_up().verified()
    assert 1 in {one.step for one in report.failures}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'{"certificates":[{}]}', b'{"certificates":3}', b"\xff"]
)
@pytest.mark.parametrize("kind", ["genesis", "certificate", "epoch"])
def test_no_body_makes_verify_fall_over(sound: Ledger, kind: str, body: bytes) -> None:
    at = sound.find(kind)
    assert not sound.with_row(at, sound.header(at), body).add_up().verified().ok


def test_a_checkpoint_of_absurd_size_is_a_failure_like_any_other(sound: Ledger) -> None:
    note = f"{ORIGIN}\n{'9' * 5000}\n{encode64(bytes(32))}\n\n"
    assert {f.step for f in replace(sound, outside=(("x", note),)).verified().failures} == {6}


def test_progress_is_told_every_thousand_and_at_the_end(sound: Ledger) -> None:
    told: list[int] = []
    evidence = Evidence(
        verifier=VERIFIER, tiles=sound.tiles, checkpoints=(), outside=(), edge=sound.edge,
        identities={}, now=sound.now,
    )  # fmt: skip
    verify.verify(sound.rows, evidence, progress=told.append)
    assert told == [len(sound.rows)]
    assert decode(sound.rows[0].header)["kind"] == "genesis"
