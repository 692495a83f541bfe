"""`ledger verify` and `verify-pack` as people run them: what they are told, and the exit code."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.cli.main import main
from bridge.store.reader import SqliteReader
from bridge.verify.notes import Cosigner, cosign
from tests.unit.ledger.custody import Force, copied, found, quick

__all__ = ["quick"]
Captured = pytest.CaptureFixture[str]
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
COSIGNER = Cosigner("witness.example/w1", WITNESS.public_key().public_bytes_raw())
OTHER = Cosigner("witness.example/w2", bytes(32))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Force:
    return found(tmp_path_factory.mktemp("one"), "psd")


@pytest.fixture
def force(one: Force, tmp_path: Path) -> Force:
    return copied(one, tmp_path)


def change(force: Force, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(force.config.ledger)) as db:
        db.execute(statement, values)
        db.commit()


def cosigned(force: Force) -> str:
    """Have a witness sign the newest checkpoint, and the configuration name the witness."""
    reader = SqliteReader(force.config.ledger)
    size, note = reader.checkpoints()[-1]
    seconds = max(json.loads(row.header)["t"] for row in reader.rows()) // 1000
    reader.close()
    note += cosign(WITNESS, COSIGNER.name, note.partition("\n\n")[0] + "\n", seconds)
    change(force, "UPDATE checkpoint SET note = ? WHERE size = ?", note, size)
    with (force.folder / "config.yaml").open("a", encoding="utf-8") as file:
        file.write(f"witnesses:\n  - url: http://127.0.0.1:9\n    key: {COSIGNER}\n")
    return note


def test_the_anchor_alone_leaves_every_record_unwitnessed(force: Force, capsys: Captured) -> None:
    assert force.run("ledger", "verify") == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "in no checkpoint that is kept elsewhere" in said
    assert "It agrees with the anchor on this host" in said
    assert force.run("ledger", "verify", "--json") == 2
    report = json.loads(capsys.readouterr().out)
    assert (report["anchors"], report["outside"]) == (1, 0)
    assert report["unwitnessed_tail"] == report["records"]
    anchor = force.config.anchor
    assert anchor is not None
    assert force.run("ledger", "verify", "--checkpoint", str(anchor)) == 0


def test_a_witness_that_has_signed_covers_what_it_signed(force: Force, capsys: Captured) -> None:
    cosigned(force)
    assert force.run("ledger", "verify") == 0
    assert "1 checkpoints are signed by witnesses" in capsys.readouterr().out


@pytest.mark.parametrize(
    "body", [None, "text", b"", b"[]", b"\xff", b"{}", b'{"origin":7}', b'{"origin":"\xff"}']
)
def test_a_genesis_that_cannot_be_read_is_judged(
    force: Force, capsys: Captured, body: bytes | str | None
) -> None:
    if body is None:
        change(force, "DELETE FROM body WHERE seq = 0")
    else:
        change(force, "UPDATE body SET body = CAST(? AS BLOB) WHERE seq = 0", body)
    assert force.run("ledger", "verify") == 1
    assert "TAMPERED" in capsys.readouterr().out


def test_a_ledger_that_goes_on_after_its_file_was_lost_is_sound_and_warned_of(
    force: Force, capsys: Captured
) -> None:
    for file in force.config.ledger.parent.glob("ledger.db*"):
        file.unlink()
    assert force.run("ledger", "recover", "--reason", "a fire") == 0
    capsys.readouterr()
    assert force.run("ledger", "verify") == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "nothing could be held against it" in said
    assert "are lost (a fire)" in said


def test_a_witness_that_is_asked_for_must_have_signed_the_pack(
    force: Force, capsys: Captured
) -> None:
    cosigned(force)
    reader = SqliteReader(force.config.ledger)
    rid = json.loads(next(reader.rows()).header)["rid"]
    reader.close()
    path = force.path("pack.json")
    assert force.run("ledger", "prove", rid, "-o", path) == 0
    check = ["ledger", "verify-pack", path, "--verifier", force.path("anchor/verifier.key")]
    capsys.readouterr()
    assert main([*check, "--witness", str(COSIGNER)]) == 0
    told = capsys.readouterr()
    assert f"The witness {COSIGNER.name} had seen that by" in told.out
    assert "Nobody but" not in told.err
    assert main([*check, "--witness", str(COSIGNER), "--witness", str(OTHER)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"not signed by {OTHER.name}" in told.err
    assert main(check) == 0
    told = capsys.readouterr()
    assert "Nobody but the ledger itself vouches for when" in " ".join(told.err.split())
    # Nor do the witnesses that the pack itself names, where nobody pinned them.
    assert main(["ledger", "verify-pack", path]) == 2
    assert "had seen that" not in capsys.readouterr().out
