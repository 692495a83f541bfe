"""A ledger of format version 1, made once. It must verify, open and be continued for ever."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec

from bridge.errors import CannotOpen
from bridge.facts import Noted
from bridge.ledger.keys import Custodian
from bridge.ledger.opening import Reader
from bridge.ledger.vault import unlock
from bridge.model import Ms
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import Verifier, decode64, parse
from tests.making import NOON, Hands, identity
from tests.unit.ledger.forging import Ledger, decode, of_file

VECTORS = Path(__file__).parents[2] / "vectors"
DB = VECTORS / "ledger-v1.db"
ROOT = "5c70d12c5fb950dc2a3dcff17decabe38cb80c4322d46f52d9f0348d22491873"


def text(name: str) -> str:
    return (VECTORS / f"ledger-v1.{name}").read_text(encoding="utf-8").strip()


def the_ledger(path: Path = DB) -> Ledger:
    note = (VECTORS / "ledger-v1.checkpoint").read_text(encoding="utf-8")
    return of_file(
        path,
        verifier=Verifier.parse(text("verifier")),
        identities={"psd": decode64(text("identity"))},
        outside=(("the anchor", note),),
        now=NOON,
    )


def the_custodian() -> Custodian:
    return unlock(text("vault").encode(), text("passphrase"), decode64(text("share")))


def test_it_is_small() -> None:
    assert DB.stat().st_size < 60_000


def test_it_verifies() -> None:
    report = the_ledger().verified()
    assert report.failures == []
    assert (report.records, report.checkpoints, report.outside) == (29, 3, 1)
    assert report.unwitnessed_tail == 0
    assert report.kinds == {
        "brake": 2, "certificate": 3, "debt": 2, "epoch": 5, "gap": 1, "genesis": 1, "late": 1,
        "membership": 1, "message": 4, "note": 4, "outcome": 2, "policy": 1, "undecryptable": 1,
        "verdict": 1,
    }  # fmt: skip


def test_its_root_has_never_changed() -> None:
    ((_, note),) = the_ledger().outside
    root = parse(note, Verifier.parse(text("verifier"))).root
    assert root.hex() == ROOT


def test_reading_it_leaves_no_file_beside_it(tmp_path: Path) -> None:
    shutil.copy(DB, tmp_path / "ledger.db")
    the_ledger(tmp_path / "ledger.db")
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.db"]


def test_it_opens_with_the_vault() -> None:
    custodian = the_custodian()
    reader = Reader("force.example/bluelamp", ["psd"], [custodian])
    said, debts = [], []
    for row in the_ledger().rows:
        header = decode(row.header)
        assert row.body is not None
        reader.learn(header, row.body)
        inside = reader.open(header, row.body)
        if header["kind"] in {"message", "late"}:
            said.append(msgspec.json.decode(inside)["content"]["body"])
            assert reader.matches(header, "sender", "@asha:force.example")
        elif header["kind"] == "debt":
            debts.append(msgspec.json.decode(inside)["about"])
    assert said == [
        "who brings milk", "AB12 CDE is on the drive", "forty-two Acacia Avenue",
        "wife of PC 99", "wife of PC 99",
    ]  # fmt: skip
    assert debts == ["$b", "$b"]


def test_it_opens_for_nobody_else() -> None:
    stranger = Custodian("psd", bytes(32), {b: (s, bytes(32)) for b, (s, _) in
                                            the_custodian().seeds.items()})  # fmt: skip
    reader = Reader("force.example/bluelamp", ["psd"], [stranger])
    opened = 0
    for row in the_ledger().rows:
        header = decode(row.header)
        try:
            reader.learn(header, row.body or b"")
            reader.open(header, row.body or b"")
        except CannotOpen:
            continue
        opened += 1
    assert opened == 1  # the genesis, which is there for all to read


async def test_it_can_be_continued(tmp_path: Path) -> None:
    shutil.copy(DB, tmp_path / "ledger.db")
    shutil.copy(VECTORS / "ledger-v1.checkpoint", tmp_path / "checkpoint")
    clock = Hands(Ms(NOON + 2 * 3_600_000))
    own = identity(the_custodian())
    assert own.key.private_bytes_raw() == decode64(text("key"))
    store = SqliteStore(tmp_path / "ledger.db", own, clock, anchor=tmp_path / "checkpoint")
    await store.append([Noted(text="many years later")])
    await store.checkpoint()
    assert await store.cursor() == "s2"
    await store.close()
    note = (tmp_path / "checkpoint").read_text(encoding="utf-8")
    grown = the_ledger(tmp_path / "ledger.db")
    report = replace(grown, outside=(*grown.outside, ("the new anchor", note))).verified()
    assert (report.failures, report.records, report.outside) == ([], 31, 2)
