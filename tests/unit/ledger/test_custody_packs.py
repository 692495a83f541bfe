"""One record is shown to an outsider, who needs nothing else of ours to check it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.cli.main import main
from bridge.facts import Noted
from bridge.model import Ms
from bridge.records import consult
from bridge.running import app
from bridge.store.chain import closed
from bridge.store.reader import SqliteReader
from tests.unit.ledger.custody import BUCKET, JULY, Force, copied, found, quick

__all__ = ["quick"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Force:
    return found(tmp_path_factory.mktemp("two"), "psd", "im")


@pytest.fixture
def force(two: Force, tmp_path: Path) -> Force:
    return copied(two, tmp_path)


def rid_of(force: Force, kind: str) -> str:
    store = SqliteReader(force.config.ledger)
    headers = [msgspec.json.decode(row.header, type=dict[str, Any]) for row in store.rows()]
    store.close()
    return next(str(one["rid"]) for one in headers if one["kind"] == kind)


def looks(force: Force) -> int:
    path = consult.consultations(force.config)
    if not path.exists():
        return 0
    store = SqliteReader(path)
    count = sum(b'"kind":"view"' in row.header for row in store.rows())
    store.close()
    return count


def key(force: Force) -> list[str]:
    return ["--verifier", force.path("anchor/verifier.key")]


def both(force: Force) -> list[str]:
    return [*force.keys("psd"), *force.keys("im")]


def test_a_pack_without_keys_proves_that_a_record_is_there_and_shows_nothing(
    force: Force, capsys: Captured
) -> None:
    rid, path = rid_of(force, "message"), force.path("pack.json")
    assert force.run("ledger", "prove", rid, "-o", path) == 0
    pack = json.loads(Path(path).read_text())
    assert (pack["body"], pack["halves"]) == ("", "")
    capsys.readouterr()
    assert main(["ledger", "verify-pack", path, *key(force)]) == 0
    said = capsys.readouterr().out
    assert rid in said
    assert "does not show what it says" in said
    assert looks(force) == 0


def test_a_pack_with_keys_shows_one_record_after_the_look_was_recorded(
    force: Force, capsys: Captured
) -> None:
    rid, path = rid_of(force, "message"), force.path("pack.json")
    code = force.run("ledger", "prove", rid, "-o", path, "--purpose", "court", *both(force))
    assert code == 0
    assert looks(force) == 1
    pack = json.loads(Path(path).read_text())
    assert len(base64.b64decode(pack["halves"])) == 64
    capsys.readouterr()
    assert main(["ledger", "verify-pack", path, "-o", force.path("content"), *key(force)]) == 0
    assert "who brings milk" in capsys.readouterr().out
    assert "who brings milk" in Path(force.path("content")).read_text()


def test_a_record_of_a_closed_log_is_proven_and_shown(force: Force, capsys: Captured) -> None:
    rid, path = rid_of(force, "message"), force.path("pack.json")
    force.hold("kind:message", at=JULY)
    assert closed(force.config.ledger)
    code = force.run("ledger", "prove", rid, "-o", path, "--purpose", "court", *both(force))
    assert code == 0
    first = [*Path(force.path("anchor")).glob("verifier.key")]
    pinned = json.loads(Path(path).read_text())["verifier"]
    assert pinned == first[0].read_text().strip()
    capsys.readouterr()
    assert main(["ledger", "verify-pack", path, *key(force)]) == 0
    assert "who brings milk" in capsys.readouterr().out
    assert force.run("ledger", "prove", rid_of(force, "hold"), "-o", path) == 0
    assert json.loads(Path(path).read_text())["verifier"].startswith("force.example/bluelamp/2+")


def test_a_pack_is_made_of_what_was_released(force: Force, capsys: Captured) -> None:
    rid = rid_of(force, "message")
    request, answer = force.path("psd/request.json"), force.path("psd/release.json")
    force.run("ledger", "request", "--scope", f"rid:{rid}", "--purpose", "court", "-o", request)
    force.run("ledger", "release", request, "--yes", "-o", answer, *force.keys("im"))
    path = force.path("pack.json")
    options = ["--release", answer, *force.keys("psd")]
    assert force.run("ledger", "prove", rid, "-o", path, *options) == 0
    assert main(["ledger", "verify-pack", path, *key(force)]) == 0
    assert "who brings milk" in capsys.readouterr().out
    other = rid_of(force, "verdict")
    assert force.run("ledger", "prove", other, "-o", force.path("no"), *options) == 3
    assert "was not released" in capsys.readouterr().err
    assert not Path(force.path("no")).exists()


def test_one_custodian_of_two_shows_no_content(force: Force, capsys: Captured) -> None:
    rid, path = rid_of(force, "message"), force.path("pack.json")
    code = force.run("ledger", "prove", rid, "-o", path, "--purpose", "court", *force.keys("psd"))
    assert code == 1
    assert "the key of im is needed" in capsys.readouterr().err
    assert not Path(path).exists()
    assert looks(force) == 0


def test_without_a_purpose_a_pack_shows_no_content(force: Force, capsys: Captured) -> None:
    rid, path = rid_of(force, "message"), force.path("pack.json")
    assert force.run("ledger", "prove", rid, "-o", path, *both(force)) == 3
    assert "--purpose" in capsys.readouterr().err
    assert not Path(path).exists()


def test_a_pack_checked_by_its_own_key_alone_is_a_warning(force: Force, capsys: Captured) -> None:
    path = force.path("pack.json")
    force.run("ledger", "prove", rid_of(force, "message"), "-o", path)
    assert main(["ledger", "verify-pack", path]) == 2
    assert "Get the ledger's key from a source that you trust" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["header", "body", "halves", "proof", "verifier"])
def test_a_pack_that_was_changed_is_refused(force: Force, capsys: Captured, field: str) -> None:
    path = Path(force.path("pack.json"))
    force.run("ledger", "prove", rid_of(force, "message"), "-o", str(path), "--purpose", "court",
              *both(force))  # fmt: skip
    pack = json.loads(path.read_text())
    middle = len(pack[field]) // 2
    other = "A" if pack[field][middle] != "A" else "B"
    pack[field] = pack[field][:middle] + other + pack[field][middle + 1 :]
    path.write_text(json.dumps(pack))
    capsys.readouterr()
    assert main(["ledger", "verify-pack", str(path), *key(force)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_what_is_no_pack_or_no_record_is_one_sentence(force: Force, capsys: Captured) -> None:
    path = Path(force.path("pack.json"))
    for raw in (b"", b"{}", b"\xff"):
        path.write_bytes(raw)
        assert main(["ledger", "verify-pack", str(path), *key(force)]) == 1
        assert "not a disclosure pack" in capsys.readouterr().err
    assert main(["ledger", "verify-pack", force.path("nowhere"), *key(force)]) == 3
    for rid in ("ab" * 16, "no such", '"'):
        assert force.run("ledger", "prove", rid, "-o", force.path("new")) == 3
        assert "there is no record" in capsys.readouterr().err
    assert not Path(force.path("new")).exists()


def test_the_certificate_of_a_disposal_is_shown_whole_to_everybody(
    force: Force, capsys: Captured
) -> None:
    force.append(Noted(text="still here"), at=Ms(app.now() - 60_000))
    force.run("retention", "due", "-o", force.path("due.json"))
    force.run("keys", "destroy", BUCKET, "--due", force.path("due.json"), "--yes", "-o",
              force.path("a.json"), *force.keys("psd"))  # fmt: skip
    force.run("retention", "run", "--attestation", force.path("a.json"))
    path = force.path("pack.json")
    rid = rid_of(force, "shred")
    force.run("ledger", "checkpoint")
    assert force.run("ledger", "prove", rid, "-o", path) == 0
    capsys.readouterr()
    assert main(["ledger", "verify-pack", path, *key(force)]) == 0
    assert "attestation" in capsys.readouterr().out
