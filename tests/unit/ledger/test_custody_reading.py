"""Nobody reads without a record of it first; four eyes see only what was released."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from bridge.cli.releases import load_session
from bridge.errors import BridgeError, LedgerError, StoreError
from bridge.facts import Noted
from bridge.ledger import release as releasing
from bridge.ledger.opening import OwnHalves, Reader
from bridge.ledger.release import VALID_MS, SignedRelease
from bridge.ledger.release import released as halves_of
from bridge.model import Ms
from bridge.records import consult
from bridge.records.custody import scope_of
from bridge.records.reading import opened
from bridge.running import app
from bridge.store.reader import SqliteReader
from bridge.verify import Unsound
from tests.unit.ledger.custody import BEN, Force, copied, found, quick, reopened

__all__ = ["quick"]
ALL = ["who brings milk", "AB12 CDE is on the drive", "there is cake"]
WEEK = 7 * 86_400_000
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Force:
    return found(tmp_path_factory.mktemp("one"), "psd", reviewers=True)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Force:
    return found(tmp_path_factory.mktemp("two"), "psd", "im")


@pytest.fixture
def alone(one: Force, tmp_path: Path) -> Force:
    return copied(one, tmp_path)


@pytest.fixture
def both(two: Force, tmp_path: Path) -> Force:
    return copied(two, tmp_path)


def look(force: Force, *more: str, scope: str = "kind:message") -> int:
    return force.run("ledger", "open", "--scope", scope, "--purpose", "a test", *more)


def views(force: Force) -> list[dict[str, Any]]:
    """What the consultation ledger has, opened with the custodians' keys."""
    own = consult.consulting(force.config)
    if not own.ledger.exists():
        return []
    names = sorted(one.name for one in force.config.custodians)
    custodians = [reopened(force, name).custodian for name in names]
    reader, found = Reader(own.origin, names, custodians), []
    store = SqliteReader(own.ledger)
    for row in store.rows():
        header = msgspec.json.decode(row.header, type=dict[str, Any])
        reader.learn(header, row.body or b"")
        if header["kind"] in {"view", "grant", "examination"}:
            found.append({**header, **json.loads(reader.open(header, row.body or b""))})
    store.close()
    return found


def asked(force: Force, scope: str = f"person:{BEN} kind:message") -> tuple[str, str]:
    request, answer = force.path("psd/request.json"), force.path("psd/release.json")
    code = force.run("ledger", "request", "--scope", scope, "--purpose", "an enquiry",
                     "--case", "PS/1", "-o", request)  # fmt: skip
    assert code == 0
    return request, answer


def released(force: Force, scope: str = f"person:{BEN} kind:message") -> str:
    request, answer = asked(force, scope)
    assert force.run("ledger", "release", request, "--yes", "-o", answer, *force.keys("im")) == 0
    return answer


# One custodian


def test_a_look_is_on_record_with_who_what_and_what_for(alone: Force, capsys: Captured) -> None:
    assert look(alone, "--case", "PS/1", *alone.keys("psd")) == 0
    assert alone.said(capsys.readouterr().out) == ALL
    (view,) = views(alone)
    assert view["status"] == "custodians"
    assert (view["scope"], view["purpose"], view["case"]) == ("kind:message", "a test", "PS/1")
    assert view["role"] == "custodian psd"
    assert view["who"]


@pytest.mark.parametrize("purpose", ["", "  "])
def test_without_a_purpose_nothing_is_opened(alone: Force, capsys: Captured, purpose: str) -> None:
    keys = alone.keys("psd")
    assert alone.run("ledger", "open", "--scope", "kind:message", "--purpose", purpose, *keys) == 3
    assert "--purpose is recorded" in capsys.readouterr().err
    assert views(alone) == []


def test_killed_right_after_the_record_of_the_look_nothing_was_shown(alone: Force) -> None:
    """The process dies when it begins to read; by then the look is durable."""
    done = _dying(alone, "bridge.cli.reading", "opened")
    assert done.returncode == -9
    assert done.stdout == ""
    assert len(views(alone)) == 1


def test_killed_before_the_record_of_the_look_nothing_was_shown(alone: Force) -> None:
    done = _dying(alone, "bridge.records.consult", "SqliteStore")
    assert done.returncode == -9
    assert done.stdout == ""
    assert views(alone) == []


def _dying(force: Force, module: str, name: str) -> subprocess.CompletedProcess[str]:
    """Run `ledger open` in a process that dies when it calls *name* of *module*."""
    script = (
        "import importlib, os, signal, sys\n"
        "from bridge.ledger import vault\n"
        "vault._MEMORY_KIB = 64\n"
        "from bridge.cli.main import main\n"
        f"there = importlib.import_module({module!r})\n"
        f"setattr(there, {name!r}, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, "-c", force.path("config.yaml"), "ledger", "open",
         "--scope", "kind:message", "--purpose", "x", *force.keys("psd")],
        capture_output=True, text=True, check=False, timeout=300,
        cwd=Path(__file__).parents[3], env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip


def test_a_look_that_cannot_be_recorded_is_not_taken(
    alone: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(consult, "SqliteStore", full)
    assert look(alone, *alone.keys("psd")) == 4
    assert capsys.readouterr().out == ""


def test_the_consultation_ledger_has_a_key_and_an_anchor_of_its_own_and_verifies(
    alone: Force, capsys: Captured
) -> None:
    look(alone, *alone.keys("psd"))
    own = consult.consulting(alone.config)
    assert own.ledger_key.read_text() != alone.config.ledger_key.read_text()
    assert own.anchor is not None
    assert own.anchor.exists()
    assert alone.run("ledger", "verify", "--consultations") == 2  # sound, nothing kept elsewhere
    assert "1 view" in capsys.readouterr().out


def test_a_consultation_ledger_that_was_rolled_back_is_noticed(
    alone: Force, capsys: Captured
) -> None:
    look(alone, *alone.keys("psd"))
    own = consult.consulting(alone.config)
    before = own.ledger.read_bytes()
    look(alone, *alone.keys("psd"))
    own.ledger.write_bytes(before)
    assert alone.run("ledger", "verify", "--consultations") == 1
    assert "no longer here" in capsys.readouterr().out
    assert look(alone, *alone.keys("psd")) == 4
    captured = capsys.readouterr()
    assert "rolled back or replaced" in captured.err
    assert captured.out == ""


def test_a_machine_without_the_bots_signing_key_can_read_and_record(
    alone: Force, capsys: Captured
) -> None:
    alone.config.ledger_key.unlink()
    assert look(alone, *alone.keys("psd")) == 0
    assert alone.said(capsys.readouterr().out) == ALL
    assert len(views(alone)) == 1
    assert not alone.config.ledger_key.exists()


def test_a_consultation_ledger_from_before_goes_on_under_the_key_that_it_had(
    alone: Force,
) -> None:
    look(alone, *alone.keys("psd"))
    own = consult.consulting(alone.config)
    alone.config.ledger_key.write_text(own.ledger_key.read_text())
    own.ledger_key.unlink()
    assert look(alone, *alone.keys("psd")) == 0
    assert len(views(alone)) == 2
    assert not own.ledger_key.exists()


# Four eyes


def test_the_asker_opens_what_was_released_and_nothing_else(both: Force, capsys: Captured) -> None:
    answer = released(both)
    said = capsys.readouterr().out
    assert "records  2" in said
    assert "an enquiry" in said
    assert both.run("ledger", "open", "--release", answer, *both.keys("psd")) == 0
    assert both.said(capsys.readouterr().out) == ALL[1:]
    statuses = [(v["kind"], v.get("status"), v.get("count")) for v in views(both)]
    assert statuses == [("view", "granted", None), ("grant", None, 2), ("view", "granted", None)]
    request, grant, taken = views(both)
    assert grant["request"] == request["rid"]
    assert taken["role"] == "custodian psd, released by custodian im"
    assert (taken["purpose"], taken["case"]) == ("an enquiry", "PS/1")


def test_what_was_released_does_not_open_without_the_askers_vault(
    both: Force, capsys: Captured
) -> None:
    answer = released(both)
    capsys.readouterr()
    assert both.run("ledger", "open", "--release", answer) == 1
    captured = capsys.readouterr()
    assert "the key of psd is needed as well" in captured.err
    assert captured.out == ""


def test_what_was_released_does_not_open_without_the_requests_key(
    both: Force, capsys: Captured
) -> None:
    answer = released(both)
    (session,) = both.vault("psd").parent.glob("session-*.key")
    assert session.stat().st_mode & 0o077 == 0
    aside = session.rename(session.with_name("aside.key"))
    code = both.run("ledger", "open", "--release", answer, *both.keys("psd"))
    assert code == 3
    assert "Only who asked has it" in capsys.readouterr().err
    options = ["--release", answer, "--session", str(aside), *both.keys("psd")]
    assert both.run("ledger", "open", *options) == 0
    assert both.said(capsys.readouterr().out) == ALL[1:]


def test_another_requests_key_does_not_open_a_release(both: Force, capsys: Captured) -> None:
    answer = released(both)
    (first,) = both.vault("psd").parent.glob("session-*.key")
    aside = first.rename(both.vault("psd").parent / "first")
    asked(both)
    (other,) = both.vault("psd").parent.glob("session-*.key")
    options = ["--release", answer, "--session", str(other), *both.keys("psd")]
    assert both.run("ledger", "open", *options) == 1
    assert "made for another request" in capsys.readouterr().err
    mine = json.loads(aside.read_text())
    renamed = json.loads(other.read_text()) | {n: mine[n] for n in ("request", "asked")}
    other.write_text(json.dumps(renamed))
    assert both.run("ledger", "open", *options) == 1
    assert "sealed to another key" in capsys.readouterr().err


def test_a_release_that_was_changed_is_refused(both: Force, capsys: Captured) -> None:
    answer = Path(released(both))
    signed = json.loads(answer.read_text())
    for changed in (
        {**signed, "release": signed["release"].replace("an enquiry", "an ENQUIRY")},
        {**signed, "signature": "AAAA"},
        {**signed, "release": signed["release"].replace('"custodian":"im"', '"custodian":"psd"')},
        {**signed, "release": signed["release"].replace('"custodian":"im"', '"custodian":"eve"')},
    ):
        answer.write_text(json.dumps(changed))
        before = len(views(both))
        capsys.readouterr()
        assert both.run("ledger", "open", "--release", str(answer), *both.keys("psd")) == 1
        assert capsys.readouterr().out == ""
        assert len(views(both)) == before


def test_a_request_that_was_changed_on_its_way_is_not_opened(both: Force, capsys: Captured) -> None:
    request, answer = asked(both)
    words = Path(request).read_text()
    Path(request).write_text(words.replace("an enquiry", "another enquiry"))
    assert both.run("ledger", "release", request, "--yes", "-o", answer, *both.keys("im")) == 0
    capsys.readouterr()
    assert both.run("ledger", "open", "--release", answer, *both.keys("psd")) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "somebody changed the request" in " ".join(said.err.split())


def test_a_release_is_recorded_before_it_is_written(
    both: Force, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    request, answer = asked(both)
    monkeypatch.setattr(releasing, "release", die)
    options = [request, "--yes", "-o", answer, *both.keys("im")]
    assert both.run("ledger", "release", *options) == 130
    assert [view["kind"] for view in views(both)] == ["view", "grant"]
    assert not Path(answer).exists()


def test_who_says_no_releases_nothing(
    both: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise typer.Abort

    request, answer = asked(both)
    capsys.readouterr()
    monkeypatch.setattr("typer.confirm", refuse)
    assert both.run("ledger", "release", request, "-o", answer, *both.keys("im")) == 130
    said = capsys.readouterr().out
    for shown in ("scope", BEN, "an enquiry", "PS/1", "records  2"):
        assert shown in said
    assert not Path(answer).exists()
    assert [view["kind"] for view in views(both)] == ["view"]


def test_a_request_is_answered_for_a_week_and_for_its_own_ledger(
    both: Force, capsys: Captured
) -> None:
    request, answer = asked(both)
    whole = json.loads(Path(request).read_text())
    for change, why in (
        ({"expires": whole["made"]}, "too old"),
        ({"origin": "other.example/bluelamp"}, "for another ledger"),
        ({"format": "bluelamp request 9"}, "unknown here"),
        ({"more": 1}, "not a file of 'bluelamp ledger request'"),
        ({"scope": "sender:x"}, "not part of a scope"),
    ):
        Path(request).write_text(json.dumps({**whole, **change}))
        assert both.run("ledger", "release", request, "--yes", "-o", answer, *both.keys("im")) != 0
        assert why in capsys.readouterr().err
        assert not Path(answer).exists()
    assert whole["expires"] - whole["made"] == WEEK


def test_a_release_holds_one_custodians_halves_only(both: Force) -> None:
    """Not even with the request's key does it open anything by itself."""
    answer = Path(released(both))
    config = both.config
    signed = msgspec.json.decode(answer.read_bytes(), type=SignedRelease)
    found = signed.check({one.name: one.identity for one in config.custodians})
    halves = halves_of(found, load_session(None, answer, found.request.rid))
    assert len(halves) == found.count == 2
    for guess in (
        {"im": halves, "psd": halves},
        {"im": halves, "psd": dict.fromkeys(halves, b"0" * 32)},
    ):
        reader = Reader(config.origin, ["im", "psd"], [], granted=guess)
        shown = list(opened(config, reader, scope_of(config, "kind:message")))
        assert [body for _, body in shown] == [None, None, None]


# Deputies and emergencies


def test_a_deputy_opens_and_the_record_names_them(alone: Force, capsys: Captured) -> None:
    deputy = ["--who", "Deputy", "--deputy-passphrase-file", alone.path("Deputy.passphrase")]
    assert alone.run("keys", "deputy", *deputy, *alone.keys("psd")) == 0
    keys = alone.keys("psd")
    keys[-1] = alone.path("Deputy.passphrase")
    assert look(alone, *keys) == 0
    assert alone.said(capsys.readouterr().out) == ALL
    assert views(alone)[-1]["role"] == "custodian psd (Deputy)"
    assert alone.run("keys", "deputy", "--remove", "Deputy", *alone.keys("psd")) == 0
    assert look(alone, *keys) == 1
    assert "the passphrase is wrong" in capsys.readouterr().err


def test_a_look_in_an_emergency_is_loud_and_waits_to_be_examined(
    alone: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(alone, "--basis", "break-glass", *alone.keys("psd")) == 0
    captured = capsys.readouterr()
    assert "BREAK GLASS" in captured.err
    assert alone.said(captured.out) == ALL
    (view,) = views(alone)
    assert view["status"] == "break-glass"
    assert alone.run("ledger", "unexamined") == 0
    assert view["rid"] in capsys.readouterr().out
    now = app.now()
    monkeypatch.setattr(app, "now", lambda: now + WEEK + 60_000)
    assert alone.run("ledger", "unexamined") == 1
    monkeypatch.undo()
    assert alone.run("ledger", "examine", view["rid"], "--finding", "it was right") == 0
    capsys.readouterr()
    assert alone.run("ledger", "unexamined") == 0
    assert view["rid"] not in capsys.readouterr().out
    assert views(alone)[-1]["finding"] == "it was right"
    for rid, why in ((view["rid"], "was examined already"), ("ab" * 16, "no look in an emergency")):
        assert alone.run("ledger", "examine", rid, "--finding", "again") == 3
        assert why in capsys.readouterr().err


def test_an_ordinary_look_waits_for_no_examination(alone: Force, capsys: Captured) -> None:
    assert alone.run("ledger", "unexamined") == 0
    look(alone, *alone.keys("psd"))
    capsys.readouterr()
    assert alone.run("ledger", "unexamined") == 0
    assert "0 looks" in capsys.readouterr().out


def test_in_an_emergency_too_both_vaults_are_needed(both: Force, capsys: Captured) -> None:
    emergency = ["--basis", "break-glass"]
    assert look(both, *emergency, *both.keys("psd")) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "BREAK GLASS" not in captured.err
    assert look(both, *emergency, *both.keys("psd"), *both.keys("im")) == 0
    assert both.said(capsys.readouterr().out) == ALL
    assert views(both)[-1]["status"] == "break-glass"


# Reviewers


def test_reviewers_open_what_was_flagged_and_nothing_else(alone: Force, capsys: Captured) -> None:
    assert look(alone, "--as", "reviewer", *alone.keys("reviewers"), scope="from:2024-01-01") == 0
    shown = capsys.readouterr().out
    assert alone.said(shown) == [ALL[1]]
    kinds = {json.loads(line)["kind"] for line in shown.splitlines()}
    assert kinds == {"message", "verdict"}
    assert [(v["status"], v["role"]) for v in views(alone)] == [("review", "reviewer reviewers")]


def test_reviewers_cannot_look_for_a_person_or_pass_as_a_custodian(
    alone: Force, capsys: Captured
) -> None:
    keys = alone.keys("reviewers")
    assert look(alone, "--as", "reviewer", *keys, scope=f"person:{BEN}") == 3
    assert "no key to look for rooms, people" in capsys.readouterr().err
    assert look(alone, *keys) == 1
    assert look(alone, "--as", "reviewer", *alone.keys("psd")) == 3
    assert capsys.readouterr().out == ""
    assert views(alone) == []


def test_where_there_are_no_reviewers_nothing_is_sealed_to_any(
    both: Force, capsys: Captured
) -> None:
    assert look(both, "--as", "reviewer", *both.keys("psd")) == 3
    assert "names no reviewers" in capsys.readouterr().err
    store = SqliteReader(both.config.ledger)
    assert list(store.about_earlier()) == []
    store.close()


def test_reviewers_keys_are_destroyed_like_others_and_open_nothing_more(
    alone: Force, capsys: Captured
) -> None:
    alone.append(Noted(text="still here"), at=Ms(app.now() - 60_000))
    alone.run("retention", "due", "-o", alone.path("due.json"))
    code = alone.run(
        "keys", "destroy", "social-2024-01", "--due", alone.path("due.json"), "--yes",
        "--ledger", str(alone.config.ledger), "-o", alone.path("r.json"), *alone.keys("reviewers"),
    )  # fmt: skip
    assert code == 0
    capsys.readouterr()
    assert look(alone, "--as", "reviewer", *alone.keys("reviewers")) == 2
    assert alone.said(capsys.readouterr().out) == []


# Sources of halves


def test_halves_of_an_epoch_are_refused_where_the_commitment_is_not_kept(both: Force) -> None:
    config, psd = both.config, reopened(both, "psd").custodian
    store = SqliteReader(config.ledger)
    rows = [(msgspec.json.decode(r.header, type=dict[str, Any]), r.body) for r in store.rows()]
    store.close()
    header, body = next((h, b) for h, b in rows if h["kind"] == "epoch")
    own = OwnHalves(config.origin, ["im", "psd"], psd)
    own.learn(header, body or b"")
    im, ours = header["commit"].split(",")
    for commit in (f"{ours},{im}", im, f"{im},{ours},x", ""):
        with pytest.raises(LedgerError):
            OwnHalves(config.origin, ["im", "psd"], psd).learn(
                {**header, "commit": commit}, body or b""
            )


@pytest.mark.parametrize("body", [b"", b"{}", b'{"attestation":{"text":"{}","signature":""}}'])
def test_a_shred_record_that_is_none_brings_nothing(both: Force, body: bytes) -> None:
    psd = reopened(both, "psd").custodian
    own = OwnHalves(both.config.origin, ["im", "psd"], psd)
    with pytest.raises(LedgerError, match="no attestation"):
        own.learn({"kind": "shred", "rid": "ab", "bucket": "b"}, body)


def test_every_refusal_is_an_error_of_ours() -> None:
    assert issubclass(LedgerError, BridgeError)
    assert issubclass(LedgerError, Unsound)


# Requests that somebody made by hand


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"purpose": "\x1b[1A\x1b[2K   scope  rid:0123"}, "do not show on a screen"),
        ({"who": "asha\nrecords  1"}, "do not show on a screen"),
        ({"case": "\u202eno case"}, "do not show on a screen"),
        ({"rid": "../../evil"}, "no name of a record"),
        ({"expires": 2**52}, "longer than the 7 days"),
        ({"made": 2**52 - VALID_MS, "expires": 2**52}, "dated later than now"),
    ],
)
def test_a_request_that_hides_what_it_asks_for_is_not_answered(
    alone: Force, capsys: Captured, other: dict[str, object], said: str
) -> None:
    made = alone.path("request.json")
    assert alone.run("ledger", "request", "--scope", "kind:message", "--purpose", "x",
                     "-o", made) == 0  # fmt: skip
    Path(made).write_text(json.dumps({**json.loads(Path(made).read_text()), **other}))
    capsys.readouterr()
    code = alone.run("ledger", "release", made, "--yes", "-o", alone.path("r"), *alone.keys("psd"))
    assert code == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert "\x1b" not in shown.out
    assert not Path(alone.path("r")).exists()


def test_the_key_of_a_request_is_deleted_when_no_answer_can_be_opened_any_more(
    alone: Force, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(name: str) -> set[Path]:
        before = set(alone.folder.glob("session-*.key"))
        assert alone.run("ledger", "request", "--scope", "kind:message", "--purpose", "x",
                         "-o", alone.path(name)) == 0  # fmt: skip
        return set(alone.folder.glob("session-*.key")) - before

    at = app.now()
    monkeypatch.setattr(app, "now", lambda: at)
    (old,) = ask("one")
    monkeypatch.setattr(app, "now", lambda: Ms(at + 60_000))
    ask("two")
    assert old.exists()
    monkeypatch.setattr(app, "now", lambda: Ms(at + VALID_MS + 60_000))
    (new,) = ask("three")
    assert not old.exists()
    assert new.exists()
