"""What a custodian destroyed opens no longer; what is held stays, and nothing else."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from bridge.cli import destroy as command
from bridge.errors import CannotOpen
from bridge.facts import Disposed, Noted, Released
from bridge.ledger.opening import Reader
from bridge.ledger.record import finish
from bridge.ledger.seal import Sealer
from bridge.model import Ms, Rid
from bridge.records import consult, custody, retention
from bridge.records.reading import opened
from bridge.records.safe import open_safe
from bridge.running import app
from bridge.store.chain import closed
from bridge.store.reader import SqliteReader
from bridge.verify.notes import encode64
from bridge.verify.papers import OVERHEAD, Paper, ShredBody
from tests.unit.ledger.custody import (
    BEN,
    BUCKET,
    JULY,
    JUNE,
    PASSPHRASES,
    Force,
    copied,
    found,
    quick,
    reopened,
)

ALL = ["who brings milk", "AB12 CDE is on the drive", "there is cake"]
__all__ = ["quick"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Force:
    return found(tmp_path_factory.mktemp("one"), "psd")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Force:
    return found(tmp_path_factory.mktemp("two"), "psd", "im")


@pytest.fixture
def alone(one: Force, tmp_path: Path) -> Force:
    return copied(one, tmp_path)


@pytest.fixture
def both(two: Force, tmp_path: Path) -> Force:
    return copied(two, tmp_path)


def words(force: Force, capsys: Captured, *names: str, scope: str = "kind:message") -> list[str]:
    """What can be read now, by whom."""
    capsys.readouterr()
    keys = [option for name in names for option in force.keys(name)]
    code = force.run("ledger", "open", "--scope", scope, "--purpose", "test", *keys)
    shown = capsys.readouterr().out
    assert code in {0, 1, 2}
    return force.said(shown)


@pytest.fixture(autouse=True)
def june(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "now", lambda: JUNE)


def due(force: Force) -> str:
    force.append(Noted(text="still here"), at=Ms(app.now() - 60_000))
    assert force.run("retention", "due", "-o", force.path("due.json")) in {0, 1}
    return force.path("due.json")


def destroy(force: Force, name: str, *more: str, ledger: bool = True) -> int:
    copy = ["--ledger", str(force.config.ledger)] if ledger else []
    return force.run(
        "keys", "destroy", "--due", force.path("due.json"), *copy, "--yes",
        "-o", force.path(f"{name}.attestation.json"), *force.keys(name), *more,
    )  # fmt: skip


def attested(force: Force, name: str = "psd") -> dict[str, Any]:
    """Bucket → what was attested of it."""
    papers = json.loads((force.folder / f"{name}.attestation.json").read_bytes())
    said = [json.loads(paper["text"]) for paper in papers]
    return {one["bucket"]: one for one in said}


def test_the_words_are_there_before(alone: Force, capsys: Captured) -> None:
    assert words(alone, capsys, "psd") == ALL


def test_what_is_destroyed_opens_no_longer(alone: Force, capsys: Captured) -> None:
    due(alone)
    assert destroy(alone, "psd", ledger=False) == 0
    assert words(alone, capsys, "psd") == []
    assert BUCKET in attested(alone)
    custodian = reopened(alone, "psd").custodian
    assert BUCKET not in custodian.seeds
    assert "social-2024-02" in custodian.seeds  # nothing was asked of it


def test_last_months_vault_with_the_right_passphrase_opens_nothing(
    alone: Force, tmp_path: Path
) -> None:
    shutil.copy(alone.vault("psd"), tmp_path / "vault")
    due(alone)
    assert destroy(alone, "psd", ledger=False) == 0
    shutil.copy(tmp_path / "vault", alone.vault("psd"))
    with pytest.raises(CannotOpen, match="the share file does not belong"):
        open_safe(alone.vault("psd"), alone.share("psd"), PASSPHRASES["psd"])


def test_the_host_takes_the_attestation_and_the_ledger_still_verifies(alone: Force) -> None:
    due(alone)
    assert destroy(alone, "psd") == 0
    assert alone.run("retention", "run", "--attestation", alone.path("psd.attestation.json")) == 0
    assert alone.run("ledger", "verify") == 2  # sound, and no checkpoint is kept elsewhere


def test_two_custodians_are_both_needed(both: Force, capsys: Captured) -> None:
    assert words(both, capsys, "psd", "im") == ALL
    assert words(both, capsys, "psd") == []
    assert words(both, capsys, "im") == []
    assert "the key of psd is needed as well" in _said(both, capsys, "im")


def _said(force: Force, capsys: Captured, name: str) -> str:
    capsys.readouterr()
    force.run("ledger", "open", "--scope", "kind:message", "--purpose", "x", *force.keys(name))
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ["psd", "im"])
def test_one_destroyed_half_is_enough_to_end_it(both: Force, capsys: Captured, name: str) -> None:
    due(both)
    assert destroy(both, name, ledger=False) == 0
    assert words(both, capsys, "psd", "im") == []


def test_a_hold_keeps_exactly_what_it_covers(alone: Force, capsys: Captured) -> None:
    hold = alone.hold(f"person:{BEN} class:social")
    due(alone)
    assert destroy(alone, "psd", ledger=False) == 3
    assert "1 holds are active" in capsys.readouterr().err
    assert words(alone, capsys, "psd") == ALL  # nothing was destroyed
    assert destroy(alone, "psd") == 0
    assert alone.run("retention", "run", "--attestation", alone.path("psd.attestation.json")) == 0
    assert words(alone, capsys, "psd") == ALL[1:]
    assert words(alone, capsys, "psd", scope=f"hold:{hold} kind:message") == ALL[1:]
    (wrap,) = attested(alone)[BUCKET]["holds"]
    assert wrap["hold"] == hold
    assert len(wrap["records"]) == 3  # two messages, and the verdict on one of them
    assert alone.run("ledger", "verify") == 2  # sound, and no checkpoint is kept elsewhere


@pytest.mark.slow
def test_a_hold_reaches_into_a_log_that_was_closed(
    alone: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = alone.hold(f"person:{BEN} class:social", at=JULY)
    (closed_log,) = closed(alone.config.ledger)
    assert closed_log.exists()
    assert words(alone, capsys, "psd") == ALL
    monkeypatch.setattr(app, "now", lambda: JULY + 3_600_000)
    due(alone)
    assert destroy(alone, "psd", BUCKET) == 0
    assert attested(alone)[BUCKET]["origin"] == "force.example/bluelamp/2"
    assert len(attested(alone)[BUCKET]["holds"][0]["records"]) == 3
    (paper,) = retention.read_attestations([Path(alone.path("psd.attestation.json"))])
    kept = tuple(Rid(rid) for rid in attested(alone)[BUCKET]["holds"][0]["records"])
    shred = Disposed(
        bucket=BUCKET,
        custodian="psd",
        attestation=msgspec.json.encode(ShredBody(attestation=paper)),
        kept=((hold, kept),),
    )
    alone.append(shred, at=Ms(JULY + 7_200_000))
    assert words(alone, capsys, "psd") == ALL[1:]
    assert words(alone, capsys, "psd", scope=f"hold:{hold} kind:message") == ALL[1:]
    assert alone.run("ledger", "verify") == 2  # sound, and no checkpoint is kept elsewhere


@pytest.mark.slow
def test_a_hold_keeps_its_own_record_readable(alone: Force, capsys: Captured) -> None:
    """Or else nobody would know, years later, what it covers."""
    hold = alone.hold("kind:message")
    due(alone)
    buckets = [BUCKET, "system-2024-01"]
    assert destroy(alone, "psd", *buckets) == 0
    assert alone.run("retention", "run", "--attestation", alone.path("psd.attestation.json")) == 0
    capsys.readouterr()
    scope = f"rid:{hold}"
    assert alone.run("ledger", "open", "--scope", scope, "--purpose", "x", *alone.keys("psd")) == 0
    assert "asked for" in capsys.readouterr().out
    due(alone)
    february = ["social-2024-02"]
    assert destroy(alone, "psd", *february) == 0  # and the next month's disposal can read it


def test_what_refers_to_what_is_held_is_held(alone: Force, capsys: Captured) -> None:
    capsys.readouterr()
    alone.run("ledger", "open", "--scope", "kind:verdict", "--purpose", "x", *alone.keys("psd"))
    verdict = json.loads(capsys.readouterr().out.splitlines()[0])
    hold = alone.hold(f"rid:{verdict['ref']}")
    due(alone)
    assert destroy(alone, "psd", BUCKET) == 0
    (wrap,) = attested(alone)[BUCKET]["holds"]
    assert wrap["hold"] == hold
    assert set(wrap["records"]) == {verdict["ref"], verdict["rid"]}


def test_a_hold_with_nothing_in_a_bucket_is_named_and_saves_nothing(alone: Force) -> None:
    hold = alone.hold("from:2024-03-01 to:2024-03-02")
    due(alone)
    assert destroy(alone, "psd", BUCKET) == 0
    assert attested(alone)[BUCKET]["holds"] == [{"hold": hold, "records": [], "sealed": ""}]
    assert reopened(alone, "psd").custodian.holds == {}


@pytest.mark.slow
def test_with_two_custodians_a_hold_is_read_with_what_the_other_released(
    both: Force, capsys: Captured
) -> None:
    both.hold(f"person:{BEN} class:social")
    due(both)
    assert destroy(both, "psd", BUCKET) == 1
    assert "Ask the other custodian" in capsys.readouterr().err
    for asker, other in (("psd", "im"), ("im", "psd")):
        request, answer = both.path(f"{asker}/request.json"), both.path(f"{asker}/release.json")
        assert both.run("ledger", "request", "--scope", "kind:hold", "--purpose", "disposal",
                        "-o", request) == 0  # fmt: skip
        assert both.run("ledger", "release", request, "--yes", "-o", answer,
                        *both.keys(other)) == 0  # fmt: skip
        assert destroy(both, asker, BUCKET, "--release", answer) == 0
    for name in ("psd", "im"):
        path = both.path(f"{name}.attestation.json")
        assert both.run("retention", "run", "--attestation", path) == 0
    assert words(both, capsys, "psd", "im") == ALL[1:]
    assert words(both, capsys, "psd") == []


@pytest.mark.slow
def test_one_destroys_and_the_other_not_yet_and_what_is_held_opens(
    both: Force, capsys: Captured
) -> None:
    both.hold(f"person:{BEN} class:social")
    due(both)
    request, answer = both.path("request.json"), both.path("release.json")
    both.run("ledger", "request", "--scope", "kind:hold", "--purpose", "x", "-o", request)
    both.run("ledger", "release", request, "--yes", "-o", answer, *both.keys("im"))
    assert destroy(both, "psd", BUCKET, "--release", answer) == 0
    both.run("retention", "run", "--attestation", both.path("psd.attestation.json"))
    assert words(both, capsys, "psd", "im") == ALL[1:]


def test_a_key_whose_time_has_not_come_is_not_destroyed(alone: Force, capsys: Captured) -> None:
    due(alone)
    now = next(b for b in reopened(alone, "psd").custodian.seeds if "2024" not in b)
    before = alone.vault("psd").read_bytes(), alone.share("psd").read_bytes()
    assert destroy(alone, "psd", BUCKET, now) == 3
    assert "must be kept for" in capsys.readouterr().err
    assert (alone.vault("psd").read_bytes(), alone.share("psd").read_bytes()) == before
    assert not (alone.folder / "psd.attestation.json").exists()


def test_nothing_is_destroyed_on_the_word_of_a_ledger_that_does_not_verify(
    alone: Force, capsys: Captured
) -> None:
    due(alone)
    db = sqlite3.connect(alone.config.ledger)
    db.execute("UPDATE body SET body = zeroblob(length(body)) WHERE seq = 4")
    db.commit()
    db.close()
    before = alone.vault("psd").read_bytes()
    assert destroy(alone, "psd", BUCKET) == 1
    assert "does not verify (step 2" in capsys.readouterr().err
    assert alone.vault("psd").read_bytes() == before


def test_a_copy_that_is_older_than_the_file_of_what_is_due_is_refused(
    alone: Force, capsys: Captured, tmp_path: Path
) -> None:
    """A host, or a mishap, might hand over a copy from before the hold."""
    old = Path(shutil.copytree(alone.config.ledger.parent, tmp_path / "old")) / "ledger.db"
    alone.hold(f"person:{BEN}")
    due(alone)
    code = alone.run(
        "keys", "destroy", BUCKET, "--due", alone.path("due.json"), "--ledger", str(old), "--yes",
        "-o", alone.path("a.json"), *alone.keys("psd"),
    )  # fmt: skip
    assert code == 1
    assert "no longer here" in capsys.readouterr().err
    assert BUCKET in reopened(alone, "psd").custodian.seeds


def test_without_a_word_about_holds_nothing_is_destroyed(alone: Force, capsys: Captured) -> None:
    code = alone.run("keys", "destroy", BUCKET, "-o", alone.path("a.json"), *alone.keys("psd"))
    assert code == 3
    assert "Say what is known about holds" in capsys.readouterr().err


def test_a_hold_whose_names_nobody_knows_stops_everything(alone: Force, capsys: Captured) -> None:
    alone.hold("person:'Somebody Who Left' class:social")
    due(alone)
    assert destroy(alone, "psd", BUCKET) == 1
    assert "cannot be told here" in capsys.readouterr().err
    assert BUCKET in reopened(alone, "psd").custodian.seeds


def test_killed_after_destroying_the_attestation_can_still_be_had(
    alone: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else what was saved for a hold would be lost with it."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    alone.hold(f"person:{BEN} class:social")
    due(alone)
    monkeypatch.setattr(command, "_write", die)
    assert destroy(alone, "psd", BUCKET) == 130
    assert BUCKET not in reopened(alone, "psd").custodian.seeds
    monkeypatch.undo()
    assert destroy(alone, "psd", BUCKET) == 0
    assert "destroyed already" in capsys.readouterr().out
    assert len(attested(alone)[BUCKET]["holds"][0]["records"]) == 3


def test_a_vault_that_the_configuration_names_otherwise_saves_nothing_and_destroys_nothing(
    alone: Force, capsys: Captured
) -> None:
    alone.hold(f"person:{BEN}")
    due(alone)
    path = alone.folder / "config.yaml"
    config = path.read_text()
    before = alone.vault("psd").read_bytes()
    for old, new in (("name: psd", "name: psd2"), (encode64(_psd(alone)), encode64(b"i" * 32))):
        path.write_text(config.replace(old, new))
        assert destroy(alone, "psd", BUCKET) in {1, 3}
        assert "is not sealed to this vault's psd" in capsys.readouterr().err
    assert alone.vault("psd").read_bytes() == before


def _psd(force: Force) -> bytes:
    (psd,) = force.config.custodians
    return psd.identity


def test_an_order_to_erase_is_not_signed_by_a_vault_of_another_identity(
    alone: Force, capsys: Captured
) -> None:
    path = alone.folder / "config.yaml"
    path.write_text(path.read_text().replace(encode64(_psd(alone)), encode64(b"i" * 32)))
    code = alone.run("keys", "order-erase", "ab" * 16, "--reason", "r", "-o", alone.path("o"),
                     *alone.keys("psd"))  # fmt: skip
    assert code == 3
    assert "is not sealed to this vault's psd" in capsys.readouterr().err


def test_a_copy_of_the_day_before_yesterday_may_leave_a_hold_out_and_is_refused(
    alone: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(alone)
    monkeypatch.setattr(app, "now", lambda: JUNE + 86_400_000)
    before = alone.vault("psd").read_bytes()
    assert destroy(alone, "psd", BUCKET) == 3
    assert "24 hours old" in capsys.readouterr().err
    assert destroy(alone, "psd", BUCKET, ledger=False) == 3
    assert "24 hours old" in capsys.readouterr().err
    assert alone.vault("psd").read_bytes() == before


def test_a_copy_without_a_checkpoint_that_was_kept_elsewhere_is_refused(
    alone: Force, capsys: Captured, tmp_path: Path
) -> None:
    due(alone)
    old = Path(shutil.copytree(alone.config.ledger.parent, tmp_path / "old")) / "ledger.db"
    alone.hold(f"person:{BEN}", at=JUNE)
    note = shutil.copy(alone.config.anchor or "", tmp_path / "kept")
    shutil.rmtree(alone.folder / "anchor")
    code = alone.run(
        "keys", "destroy", BUCKET, "--ledger", str(old), "--yes", "--checkpoint", str(note),
        "-o", alone.path("a.json"), *alone.keys("psd"),
    )  # fmt: skip
    assert code == 1
    assert "no longer here" in capsys.readouterr().err
    code = alone.run("ledger", "request", "--scope", "kind:message", "--purpose", "x",
                     "-o", alone.path("request"))  # fmt: skip
    assert code == 0
    config = alone.folder / "config.yaml"
    config.write_text(config.read_text() + f"ledger:\n  path: {old}\n")
    code = alone.run("ledger", "release", alone.path("request"), "--yes", "-o", alone.path("r"),
                     "--checkpoint", str(note), *alone.keys("psd"))  # fmt: skip
    assert code == 1
    assert "no longer here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("", "its checkpoint is none"),
        (
            f"other.example\n1\n{'A' * 43}=\n\n\u2014 o {encode64(bytes(68))}\n",
            "is of other.example",
        ),
    ],
)
def test_a_file_of_what_is_due_without_a_checkpoint_of_its_log_is_refused(
    alone: Force, capsys: Captured, note: str, said: str
) -> None:
    path = Path(due(alone))
    path.write_text(json.dumps({**json.loads(path.read_text()), "checkpoint": note}))
    assert destroy(alone, "psd", BUCKET, ledger=False) == 3
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_hold_goes_on_meaning_who_was_meant(alone: Force, capsys: Captured) -> None:
    people = alone.folder / "people.csv"
    people.write_text(people.read_text().replace("@ben.hughes:", "@ben:"))
    scope = 'person:"Ben Hughes" from:2024-01-15 to:2024-01-15'
    assert alone.run("hold", "add", "--scope", scope, "--reason", "r") == 0
    assert alone.run("case", "add", "PS/1", "--title", "t") == 0
    assert alone.run("case", "link", "PS/1", "--scope", scope) == 0
    capsys.readouterr()
    alone.run("ledger", "open", "--scope", "kind:hold", "--purpose", "x", *alone.keys("psd"))
    said = [json.loads(line)["opened"]["scope"] for line in capsys.readouterr().out.splitlines()]
    assert len(said) == 2
    for one in said:
        assert f"person:{BEN} from:2024-01-15T00:00:00+00:00 to:2024-01-16T00:00:00+00:00" in one
        assert "Ben Hughes" in one  # the words, too
    people.write_text(people.read_text().replace("@ben:", "@ben.married:"))
    due(alone)
    assert destroy(alone, "psd", BUCKET) == 0
    assert {len(wrap["records"]) for wrap in attested(alone)[BUCKET]["holds"]} == {3}


def test_where_nobody_could_be_looked_for_nothing_is_destroyed(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = Sealer._open_bucket

    def spoilt(self: Sealer, bucket: str, *rest: Any) -> Any:
        made = opening(self, bucket, *rest)
        header, body = json.loads(made.header), json.loads(made.body)
        if bucket == BUCKET:
            body["tag_keys"]["psd"] = encode64(bytes(OVERHEAD + 32))
        clear = {name: value for name, value in header.items() if name not in {"len", "sha256"}}
        return finish(clear, msgspec.json.encode(body, order="deterministic"))

    monkeypatch.setattr(Sealer, "_open_bucket", spoilt)
    force = found(tmp_path, "psd")
    force.hold(f"person:{BEN}")
    due(force)
    assert destroy(force, "psd", BUCKET) == 1
    assert "nobody can tell what holds cover there" in capsys.readouterr().err
    assert BUCKET in reopened(force, "psd").custodian.seeds


def test_that_holds_were_opened_to_destroy_is_on_record(alone: Force, capsys: Captured) -> None:
    due(alone)
    assert destroy(alone, "psd", "system-2024-01") == 0  # no hold, nothing opened
    assert not consult.consultations(alone.config).exists()
    alone.hold("kind:message", at=JUNE)
    due(alone)
    assert destroy(alone, "psd", BUCKET) == 0
    own = replace(
        alone.config,
        ledger=consult.consultations(alone.config),
        origin=f"{alone.config.origin}/consultations",
    )
    reader = Reader(own.origin, ["psd"], [reopened(alone, "psd").custodian])
    looks = [body for _, body in opened(own, reader, custody.scope_of(alone.config, "kind:view"))]
    (look,) = [json.loads(body or b"") for body in looks]
    assert (look["role"], look["scope"]) == ("custodian psd", "kind:hold")
    assert BUCKET in look["purpose"]


def test_saying_no_destroys_nothing(
    alone: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(alone)
    monkeypatch.setattr("typer.confirm", _refuse)
    before = alone.vault("psd").read_bytes()
    code = alone.run(
        "keys", "destroy", BUCKET, "--due", alone.path("due.json"), "-o", alone.path("a.json"),
        *alone.keys("psd"),
    )  # fmt: skip
    assert code == 130
    assert f"destroy psd's key of {BUCKET}" in capsys.readouterr().out
    assert alone.vault("psd").read_bytes() == before
    assert not Path(alone.path("a.json")).exists()


def _refuse(*_: object, **__: object) -> None:
    raise typer.Abort


@pytest.mark.slow
def test_what_was_saved_for_a_hold_is_destroyed_only_after_its_release(
    alone: Force, capsys: Captured
) -> None:
    hold = alone.hold(f"person:{BEN} class:social")
    due(alone)
    assert destroy(alone, "psd", BUCKET) == 0
    alone.run("retention", "run", "--attestation", alone.path("psd.attestation.json"))
    key = f"hold/{hold}"
    ledger = ["--ledger", str(alone.config.ledger), "--yes", *alone.keys("psd")]
    assert alone.run("keys", "destroy", key, *ledger) == 3
    assert "is not released" in capsys.readouterr().err
    assert words(alone, capsys, "psd") == ALL[1:]
    shred_at = Ms(max(one.at for one in _disposals(alone)) + 1)
    alone.append(Released(hold=hold, reason="over", by="sgt"), at=shred_at)
    assert alone.run("keys", "destroy", key, *ledger) == 0
    assert words(alone, capsys, "psd") == []
    assert reopened(alone, "psd").custodian.holds == {}


def _disposals(force: Force) -> list[Any]:
    reader = SqliteReader(force.config.ledger)
    try:
        return list(reader.disposals())
    finally:
        reader.close()


def test_an_order_to_erase_is_signed_by_who_gives_it(alone: Force, capsys: Captured) -> None:
    rid, path = "ab" * 16, alone.path("order.json")
    code = alone.run("keys", "order-erase", rid, "--reason", "a request", "-o", path,
                     *alone.keys("psd"))  # fmt: skip
    assert code == 0
    paper = msgspec.json.decode(Path(path).read_bytes(), type=Paper)
    (psd,) = alone.config.custodians
    order = paper.order(psd.identity)
    assert (order.rid, order.custodian, order.origin) == (rid, "psd", "force.example/bluelamp")
    assert order.reason == "a request"
    for bad in ("xyz", "AB" * 16, ""):
        assert alone.run("keys", "order-erase", bad, "--reason", "r", "-o", path + "2",
                         *alone.keys("psd")) == 3  # fmt: skip
    assert not Path(path + "2").exists()


def test_with_every_custodians_order_one_record_is_erased(both: Force, capsys: Captured) -> None:
    capsys.readouterr()
    keys = [*both.keys("psd"), *both.keys("im")]
    both.run("ledger", "open", "--scope", f"person:{BEN} kind:message", "--purpose", "x", *keys)
    rid = json.loads(capsys.readouterr().out.splitlines()[0])["rid"]
    orders: list[str] = []
    for name in ("psd", "im"):
        path = both.path(f"{name}.order.json")
        both.run("keys", "order-erase", rid, "--reason", "r", "-o", path, *both.keys(name))
        orders += ["--order", path]
        expected = 0 if name == "im" else 3
        assert both.run("erase", rid, *orders) == expected
    assert words(both, capsys, "psd", "im") == [ALL[0], ALL[2]]


def test_the_papers_are_those_that_the_host_accepts(alone: Force) -> None:
    due(alone)
    assert destroy(alone, "psd", BUCKET, ledger=False) == 0
    (paper,) = retention.read_attestations([Path(alone.path("psd.attestation.json"))])
    state = retention.state(alone.config)
    (fact,) = retention.accepted([paper], alone.config, state, app.now())
    assert fact.bucket == BUCKET
