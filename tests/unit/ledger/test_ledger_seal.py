"""Epochs end, tag keys are made once, and it takes every custodian to read."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import msgspec
import pytest

from bridge.errors import CannotOpen, LedgerError, NoCertificate
from bridge.ledger.keys import Certificates, Custodian
from bridge.ledger.opening import Reader
from bridge.ledger.record import Draft, Record, half, new_rid, open_body
from bridge.ledger.seal import EPOCH_MS, EPOCH_RECORDS, Sealer
from bridge.model import Ms, Rid
from bridge.verify.headers import Header, Kind
from tests.making import NOON, ORIGIN, custodian
from tests.unit.ledger.forging import decode

PSD, IM = custodian("psd"), custodian("im")
#: The last second of November 2026, UTC.
MONTH_END = Ms(int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000) - 1000)


def certificates(*custodians: Custodian) -> Certificates:
    return Certificates(
        [one.bundle() for one in custodians], pinned={one.name: one.public for one in custodians}
    )


def sealer(*custodians: Custodian) -> Sealer:
    return Sealer(ORIGIN, certificates(*(custodians or (PSD,))), tag_keys={})


def note(text: str = "n", retention: str = "social") -> Draft:
    return Draft(
        kind=Kind.NOTE, rid=new_rid(), retention=retention, body=msgspec.json.encode({"text": text})
    )


def read(reader: Reader, records: list[Record]) -> list[bytes]:
    found = []
    for record in records:
        header = decode(record.header)
        reader.learn(header, record.body)
        if header["kind"] == Kind.NOTE:
            found.append(reader.open(header, record.body))
    return found


def kinds(records: tuple[Record, ...]) -> list[str]:
    return [str(decode(record.header)["kind"]) for record in records]


def test_the_first_record_of_a_bucket_brings_its_certificate_and_epoch() -> None:
    first = sealer().seal([note()], NOON)
    assert kinds(first.records) == ["certificate", "epoch", "note"]
    assert list(first.tag_keys) == ["social-2026-11"]


def test_an_epoch_ends_after_1024_records() -> None:
    one = sealer()
    sealed = one.seal([note() for _ in range(2 * EPOCH_RECORDS + 1)], NOON)
    assert [n for n, k in enumerate(kinds(sealed.records)) if k == "epoch"] == [
        1, 2 + EPOCH_RECORDS, 3 + 2 * EPOCH_RECORDS,
    ]  # fmt: skip


def test_an_epoch_ends_after_15_minutes() -> None:
    one = sealer()
    one.seal([note()], NOON)
    assert kinds(one.seal([note()], Ms(NOON + EPOCH_MS - 1)).records) == ["note"]
    assert kinds(one.seal([note()], Ms(NOON + EPOCH_MS)).records) == ["epoch", "note"]


def test_an_epoch_ends_with_its_month() -> None:
    one = sealer()
    assert kinds(one.seal([note()], MONTH_END).records)[1:] == ["epoch", "note"]
    assert kinds(one.seal([note()], Ms(MONTH_END + 999)).records) == ["note"]
    december = one.seal([note()], Ms(MONTH_END + 1000))
    assert kinds(december.records) == ["certificate", "epoch", "note"]
    assert decode(december.records[2].header)["bucket"] == "social-2026-12"


def test_the_secrets_of_an_epoch_that_ended_are_forgotten() -> None:
    one = sealer()
    one.seal([note()], NOON)
    one.forget(Ms(NOON + EPOCH_MS - 1))
    assert len(one._epochs) == 1
    one.forget(Ms(NOON + EPOCH_MS))
    assert one._epochs == {}
    one.seal([note() for _ in range(EPOCH_RECORDS)], NOON)
    one.forget(NOON)
    assert one._epochs == {}


def test_the_tag_key_of_a_month_that_ended_is_forgotten() -> None:
    one = sealer()
    one.seal([note()], MONTH_END)
    one.forget(MONTH_END)
    assert list(one._tag_keys) == ["social-2026-11"]
    one.seal([note()], Ms(MONTH_END + 1000))
    one.forget(Ms(MONTH_END + 1000))
    assert list(one._tag_keys) == ["social-2026-12"]


def test_a_bucket_has_one_tag_key_even_over_a_restart() -> None:
    first = sealer()
    opened = first.seal([note()], NOON).tag_keys
    assert first.seal([note()], Ms(NOON + EPOCH_MS)).tag_keys == {}
    again = Sealer(ORIGIN, certificates(PSD), tag_keys=opened)
    assert kinds(again.seal([note()], NOON).records) == ["epoch", "note"]


def test_classes_have_buckets_of_their_own() -> None:
    sealed = sealer().seal([note(), note(retention="operational")], NOON)
    buckets = [decode(r.header)["bucket"] for r in sealed.records]
    assert buckets == ["social-2026-11"] * 3 + ["operational-2026-11"] * 3


def test_no_two_records_have_the_same_name_or_key_commitment() -> None:
    one = sealer()
    headers = [decode(r.header) for r in one.seal([note() for _ in range(3000)], NOON).records]
    assert len({h["rid"] for h in headers}) == len(headers)
    sealed = [h["kc"] for h in headers if "kc" in h]
    assert len(set(sealed)) == 3000


def test_plain_kinds_are_not_for_the_asking() -> None:
    with pytest.raises(ValueError, match="made here"):
        sealer().seal([Draft(kind=Kind.EPOCH, rid=new_rid(), retention="social")], NOON)


def test_a_genesis_is_the_same_for_all_to_read() -> None:
    record = sealer().genesis(NOON, {"origin": ORIGIN})
    assert record.body == b'{"origin":"force.example/bluelamp"}'
    assert "bucket" not in decode(record.header)


@pytest.mark.parametrize("both", [(PSD,), (IM, PSD)])
def test_the_custodians_read_what_was_sealed(both: tuple[Custodian, ...]) -> None:
    sealed = sealer(*both).seal([note("one"), note("two")], NOON)
    reader = Reader(ORIGIN, [one.name for one in both], both)
    assert read(reader, list(sealed.records)) == [b'{"text":"one"}', b'{"text":"two"}']


def test_of_two_custodians_one_alone_reads_nothing() -> None:
    sealed = list(sealer(IM, PSD).seal([note("one")], NOON).records)
    with pytest.raises(CannotOpen, match="key of im is needed"):
        Reader(ORIGIN, ["im", "psd"], [PSD])
    with pytest.raises(LedgerError, match="not sealed to 1 custodians"):
        read(Reader(ORIGIN, ["psd"], [PSD]), sealed)
    with pytest.raises(CannotOpen):
        read(Reader(ORIGIN, ["im", "psd"], [_named(PSD, "im"), PSD]), sealed)


def _named(one: Custodian, name: str) -> Custodian:
    return Custodian(name, one.identity, one.seeds)


def test_one_custodians_half_is_not_enough_whatever_the_other_is_guessed_to_be() -> None:
    one = sealer(IM, PSD)
    record = one.seal([note("one")], NOON).records[-1]
    header = decode(record.header)
    ours, theirs = one._epochs["social-2026-11"].secrets
    rid = Rid(record.rid)
    assert open_body(ORIGIN, header, record.body, half(ours, rid) + half(theirs, rid))
    mine, yours, noise = half(ours, rid), half(theirs, rid), secrets.token_bytes(32)
    for halves in (
        mine, yours, mine + mine, yours + yours, yours + mine, mine + bytes(32), bytes(32) + yours,
        mine + noise, noise + yours,
    ):  # fmt: skip
        with pytest.raises(CannotOpen):
            open_body(ORIGIN, header, record.body, halves)


def test_another_custodian_of_the_same_name_reads_nothing() -> None:
    sealed = list(sealer().seal([note("one")], NOON).records)
    with pytest.raises(CannotOpen, match="not sealed to psd"):
        read(Reader(ORIGIN, ["psd"], [custodian("psd")]), sealed)


def test_an_epoch_opens_in_its_own_ledger_and_bucket_only() -> None:
    sealed = list(sealer().seal([note("one")], NOON).records)
    with pytest.raises(CannotOpen):
        read(Reader("other.example/bluelamp", ["psd"], [PSD]), sealed)
    epoch = decode(sealed[1].header)
    moved: Header = {**epoch, "bucket": "social-2026-12"}
    with pytest.raises(CannotOpen):
        Reader(ORIGIN, ["psd"], [PSD]).learn(moved, sealed[1].body)


def test_an_epoch_that_does_not_keep_its_commitment_is_refused() -> None:
    epoch = sealer().seal([note("one")], NOON).records[1]
    for header in ({**decode(epoch.header), "commit": "other"},
                   {n: v for n, v in decode(epoch.header).items() if n != "commit"}):  # fmt: skip
        with pytest.raises(LedgerError, match="other secrets"):
            Reader(ORIGIN, ["psd"], [PSD]).learn(header, epoch.body)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"tag_keys":{}}', b'{"tag_keys":"x"}'])
def test_a_damaged_certificate_record_closes_its_bucket_and_nothing_else(body: bytes) -> None:
    certificate = sealer().seal([note()], NOON).records[0]
    with pytest.raises(CannotOpen, match="no tag key"):
        Reader(ORIGIN, ["psd"], [PSD]).learn(decode(certificate.header), body)


def test_a_record_whose_epoch_was_not_learned_stays_closed() -> None:
    record = sealer().seal([note()], NOON).records[-1]
    with pytest.raises(CannotOpen, match="not open"):
        Reader(ORIGIN, ["psd"], [PSD]).open(decode(record.header), record.body)


def test_tags_are_found_by_who_holds_the_buckets_tag_key_only() -> None:
    draft = Draft(kind=Kind.GAP, rid=new_rid(), retention="social", tagged={"room": "!social"})
    sealed = sealer().seal([draft], NOON).records
    header = decode(sealed[-1].header)
    reader = Reader(ORIGIN, ["psd"], [PSD])
    assert not reader.matches(header, "room", "!social")
    reader.learn(decode(sealed[0].header), sealed[0].body)
    assert reader.matches(header, "room", "!social")
    assert not reader.matches(header, "room", "!other")
    assert not reader.matches(header, "sender", "!social")


def test_without_a_certificate_nothing_is_sealed() -> None:
    late = Ms(int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000))
    with pytest.raises(NoCertificate, match="no key of psd for the records of social-2027-01"):
        sealer().seal([note()], late)
    with pytest.raises(NoCertificate, match="secret-2026-11"):
        sealer().seal([note(retention="secret")], NOON)
    with pytest.raises(NoCertificate, match="any custodian"):
        Sealer(ORIGIN, Certificates([], pinned={}), tag_keys={}).seal([note()], NOON)
    with pytest.raises(NoCertificate, match="no key of im for"):
        Sealer(
            ORIGIN,
            Certificates([PSD.bundle()], pinned={"psd": PSD.public, "im": IM.public}),
            tag_keys={},
        ).seal([note()], NOON)
