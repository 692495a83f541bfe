"""Certificates are by whom the configuration pins; vaults open with both halves."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import CannotOpen
from bridge.ledger.keys import (
    Bundle,
    Certificates,
    Custodian,
    bucket_of,
    month_bounds,
)
from bridge.ledger.vault import SHARE_BYTES, lock, unlock
from bridge.model import Ms
from bridge.verify import Unsound
from bridge.verify.headers import FORMAT
from bridge.verify.notes import decode64, encode64
from bridge.verify.papers import OVERHEAD, Certificate, Signed
from tests.making import NOON, custodian
from tests.unit.ledger.forging import encode

PSD, IM = custodian("psd"), custodian("im")
ONE = custodian("psd", months=1)
SHARE = secrets.token_bytes(SHARE_BYTES)
PASSPHRASE = "correct horse battery staple"


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_months_follow_each_other_without_a_gap_over_the_years_end() -> None:
    assert month_bounds(2026, 12) == (ms(2026, 12, 1), ms(2027, 1, 1))
    for year in (2026, 2027, 2028):
        for month in range(1, 13):
            start, end = month_bounds(year, month)
            following = month_bounds(year + (month == 12), month % 12 + 1)
            assert end == following[0]
            assert bucket_of("social", start) == f"social-{year}-{month:02}"
            assert bucket_of("social", Ms(end - 1)) == f"social-{year}-{month:02}"


def test_keys_are_issued_ahead_over_the_years_end_and_only_once() -> None:
    one = Custodian.new("psd")
    assert one.issue_ahead({"social": 90}, year=2026, month=11, months=4) == 4
    assert sorted(one.seeds) == [
        "social-2026-11", "social-2026-12", "social-2027-01", "social-2027-02",
    ]  # fmt: skip
    before = dict(one.seeds)
    assert one.issue_ahead({"social": 90}, year=2026, month=12, months=4) == 1
    assert {bucket: one.seeds[bucket] for bucket in before} == before
    made = {c.bucket: c for c in (s.check(one.public) for s in one.bundle().certificates)}
    december = made["social-2026-12"]
    assert (december.start, december.end) == month_bounds(2026, 12)
    assert december.expires == december.end + 90 * 86_400_000


def test_what_is_sealed_to_a_bucket_opens_with_its_key_and_info_only() -> None:
    certificates = Certificates([PSD.bundle()], pinned={"psd": PSD.public})
    (recipient,) = certificates.recipients("social", NOON)
    sealed = recipient.seal(b"x" * 32, b"info")
    assert len(sealed) == 32 + OVERHEAD
    assert PSD.unseal("social-2026-11", sealed, b"info") == b"x" * 32
    for bucket, raw, info in (
        ("social-2026-12", sealed, b"info"),
        ("social-2026-11", sealed, b"other"),
        ("social-2026-11", sealed[:-1], b"info"),
        ("social-2026-11", b"", b"info"),
        ("social-2027-01", sealed, b"info"),
    ):
        with pytest.raises(CannotOpen):
            PSD.unseal(bucket, raw, info)


def test_certificates_of_another_identity_are_refused() -> None:
    with pytest.raises(Unsound, match="not by the identity"):
        Certificates([PSD.bundle()], pinned={"psd": IM.public})
    with pytest.raises(Unsound, match="not by the identity"):
        Certificates([PSD.bundle()], pinned={"im": IM.public})
    posing = msgspec.structs.replace(PSD.bundle(), identity=encode64(IM.public))
    with pytest.raises(Unsound, match="not signed by its custodian"):
        Certificates([posing], pinned={"psd": IM.public})


def with_certificate(bundle: Bundle, **changes: str | int) -> Bundle:
    first, *rest = bundle.certificates
    given = msgspec.json.decode(first.certificate, type=Certificate)
    text = encode(msgspec.structs.replace(given, **changes)).decode()
    changed = msgspec.structs.replace(first, certificate=text)
    return msgspec.structs.replace(bundle, certificates=(changed, *rest))


@pytest.mark.parametrize(
    ("name", "value"),
    [("bucket", "social-2099-01"), ("retention", "other"), ("start", 0), ("end", 2**52),
     ("expires", 2**52), ("key", encode64(bytes(1216))), ("custodian", "im")],
)  # fmt: skip
def test_a_tampered_certificate_is_refused(name: str, value: str | int) -> None:
    with pytest.raises(Unsound, match="not signed by its custodian"):
        Certificates([with_certificate(PSD.bundle(), **{name: value})], pinned={"psd": PSD.public})


@pytest.mark.parametrize("signature", ["", "AAAA", encode64(bytes(64)), "not base64"])
def test_a_certificate_without_a_signature_is_refused(signature: str) -> None:
    first = msgspec.structs.replace(PSD.bundle().certificates[0], signature=signature)
    bundle = msgspec.structs.replace(PSD.bundle(), certificates=(first,))
    with pytest.raises(Unsound):
        Certificates([bundle], pinned={"psd": PSD.public})


def signed_by_psd(text: bytes) -> Signed:
    key = Ed25519PrivateKey.from_private_bytes(PSD.identity)
    signature = key.sign(FORMAT + b"/certificate\n" + text)
    return Signed(certificate=text.decode(), signature=encode64(signature))


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"custodian":"psd","surplus":1}'])
def test_a_signed_text_that_is_no_certificate_is_refused(text: bytes) -> None:
    with pytest.raises(Unsound, match="not in the form"):
        signed_by_psd(text).check(PSD.public)


def test_a_custodian_certifies_in_no_name_but_their_own() -> None:
    given = msgspec.json.decode(PSD.bundle().certificates[0].certificate, type=Certificate)
    other = signed_by_psd(encode(msgspec.structs.replace(given, custodian="im")))
    bundle = msgspec.structs.replace(PSD.bundle(), certificates=(other,))
    with pytest.raises(Unsound, match="in the name of 'im'"):
        Certificates([bundle], pinned={"psd": PSD.public})


def test_the_warning_counts_months_that_every_custodian_has_certified() -> None:
    pinned = {"psd": ONE.public, "im": IM.public}
    both = Certificates([ONE.bundle(), IM.bundle()], pinned=pinned)
    assert both.last_day("social") == month_bounds(2026, 11)[1]
    assert both.last_day("unheard-of") == 0
    alone = Certificates([IM.bundle()], pinned={"im": IM.public})
    assert alone.last_day("social") == month_bounds(2026, 12)[1]


# Vaults. Each try costs about 0.2 s and 64 MiB, as it should.


@pytest.fixture(scope="module")
def vault() -> bytes:
    return lock(ONE, PASSPHRASE, SHARE)


def test_a_vault_opens_with_passphrase_and_share(vault: bytes) -> None:
    again = unlock(vault, PASSPHRASE, SHARE)
    assert (again.name, again.identity, again.seeds) == (ONE.name, ONE.identity, ONE.seeds)


def test_a_vault_shows_nothing_from_outside(vault: bytes) -> None:
    for secret in (ONE.identity, *(seed for _, seed in ONE.seeds.values())):
        assert secret not in vault
        assert encode64(secret).encode() not in vault
    assert b"social" not in vault


def test_a_vault_does_not_open_with_half_of_it(vault: bytes) -> None:
    with pytest.raises(CannotOpen, match="the passphrase is wrong"):
        unlock(vault, PASSPHRASE + " ", SHARE)
    with pytest.raises(CannotOpen, match="the share file does not belong"):
        unlock(vault, PASSPHRASE, secrets.token_bytes(SHARE_BYTES))


def test_a_damaged_vault_says_so(vault: bytes) -> None:
    outside = msgspec.json.decode(vault, type=dict[str, str])
    sealed = decode64(outside["sealed"])
    flipped = encode64(bytes([sealed[0] ^ 1]) + sealed[1:])
    with pytest.raises(CannotOpen):
        unlock(encode({**outside, "sealed": flipped}), PASSPHRASE, SHARE)
    for raw in (
        b"", b"{}", b"\xff", vault[:-1],
        encode({**outside, "format": "bluelamp vault 9"}),
        encode({**outside, "more": "x"}),
        encode({**outside, "salt": "!"}),
        encode({**outside, "salt": ""}),
        encode({**outside, "nonce": ""}),
    ):  # fmt: skip
        with pytest.raises(Unsound):
            unlock(raw, PASSPHRASE, SHARE)
