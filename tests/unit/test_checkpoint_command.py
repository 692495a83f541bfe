"""`bluelamp ledger checkpoint` and `bluelamp witness`, as people type them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest
import structlog

from bridge.cli.main import main
from bridge.config import Config, load_config, load_identity, load_policies
from bridge.demo.bystander import NAME, witnessed
from bridge.demo.force import Force, found
from bridge.duties.witnessing import Seat, Witnessing
from bridge.errors import ConfigError
from bridge.facts import Noted
from bridge.running import app, control
from bridge.running.orders import Orders
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import cosigned, parse
from bridge.witness.client import HttpWitness
from tests.making import Hands
from tests.unit.witness.history import LOG, ROOT, Running

POLICY = load_policies(ROOT / "policies", clock=None)


@pytest.fixture(autouse=True)
def policies_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("running.drafts", "demo.bystander"):
        monkeypatch.setattr(f"bridge.{module}.load_policies", lambda *_, **__: POLICY)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A witness and a bot may take as long to answer as a busy machine makes them."""
    monkeypatch.setattr("bridge.duties.witnessing.PATIENCE_S", 120.0)
    monkeypatch.setattr("bridge.witness.client._PATIENCE", aiohttp.ClientTimeout(total=120))
    monkeypatch.setattr("bridge.running.control._PATIENCE_S", 120.0)


@pytest.fixture(autouse=True)
def log_of_one_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process configures once and keeps would outlive the test, and its captured streams."""

    def configure(level: str = "info") -> None:
        structlog.configure(
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
            wrapper_class=structlog.make_filtering_bound_logger(level),
        )

    monkeypatch.setattr("bridge.log.configure", configure)
    yield
    structlog.reset_defaults()


@dataclass
class Witnessed:
    """A force with a witness, and no bot running."""

    force: Force
    config: Config

    def store(self) -> SqliteStore:
        identity = app.check(self.config).identity
        return SqliteStore(self.config.ledger, identity, app.now, anchor=self.config.anchor)

    def record(self, words: str) -> None:
        async def append() -> None:
            store = self.store()
            await store.append([Noted(text=words)])
            await store.close()

        asyncio.run(append())

    def command(self, *words: str) -> int:
        return main(["-c", str(self.force.config), *words])


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Witnessed]:
    force = found(tmp_path, "http://127.0.0.1:9")
    with witnessed(force):
        yield Witnessed(force, load_config(force.config))


def test_a_checkpoint_is_signed_witnessed_printed_and_written(
    here: Witnessed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.record("one")
    assert here.command("ledger", "checkpoint", "--out", str(tmp_path / "note")) == 0
    note = capsys.readouterr().out
    assert (tmp_path / "note").read_text(encoding="utf-8") == note
    verifier = load_identity(here.config, POLICY).verifier
    assert parse(note, verifier).size > 1
    assert set(cosigned(note, [here.config.witnesses[0].key])) == {NAME}
    assert here.command("ledger", "verify", "--checkpoint", str(tmp_path / "note")) == 0


def test_the_running_bot_signs_when_it_is_asked(
    here: Witnessed, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> int:
        store, (one,) = here.store(), here.config.witnesses
        client = HttpWitness(one.url, one.key)
        witnessing = Witnessing(
            store=store, seats=[Seat(witness=client, key=one.key)], clock=app.now
        )
        await store.append([Noted(text="running")])
        orders = Orders(
            store=store, settler=None, rooms={}, witnessing=witnessing, clock=Hands(),
            zone=ZoneInfo("UTC"),
        )  # fmt: skip
        here.config.socket.parent.mkdir(exist_ok=True)
        server = await control.listen(here.config.socket, orders.obey)
        code = await asyncio.to_thread(here.command, "ledger", "checkpoint")
        await asyncio.to_thread(here.command, "status")
        server.close()
        await client.close()
        await store.close()
        return code

    assert asyncio.run(run()) == 0
    said = capsys.readouterr().out
    assert f"\N{EM DASH} {NAME} " in said
    assert f"\nwitness {NAME} signed " in said


def test_a_witness_that_is_away_is_a_warning_and_the_checkpoint_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    force = found(tmp_path, "http://127.0.0.1:9")
    with witnessed(force):
        pass  # and it is gone
    here = Witnessed(force, load_config(force.config))
    here.record("one")
    assert here.command("ledger", "checkpoint") == 2
    out, err = capsys.readouterr()
    assert out.startswith(here.config.origin)
    assert f"Not signed by: {NAME}" in err


def test_a_ledger_that_a_witness_has_seen_longer_is_refused_with_what_to_do(
    here: Witnessed, capsys: pytest.CaptureFixture[str]
) -> None:
    here.record("one")
    assert here.command("ledger", "checkpoint") == 0
    assert here.config.anchor is not None
    files = (here.config.ledger, here.config.anchor)
    copies = [path.read_bytes() for path in files]
    here.record("two")
    assert here.command("ledger", "checkpoint") == 0
    for path, raw in zip(files, copies, strict=True):
        path.write_bytes(raw)
    capsys.readouterr()
    assert here.command("ledger", "checkpoint") == 4
    said = capsys.readouterr().err
    assert "rolled back" in said
    assert "bluelamp ledger recover" in said


def test_bad_witnesses_in_the_configuration_have_file_and_line(here: Witnessed) -> None:
    text = here.force.config.read_text(encoding="utf-8")
    (one,) = here.config.witnesses
    line = text.split("\n").index("witnesses:") + 1
    entry = f"  - url: {one.url}\n    key: {one.key}\n"
    for wrong, why, at in (
        (text.replace(one.url, "ftp://127.0.0.1"), "is not an address", line + 1),
        (text.replace(str(one.key), str(LOG)), "not the verifier key of an Ed25519 wit", line + 2),
        (text.replace(str(one.key), str(one.key)[:-4]), "bluelamp witness", line + 2),
        (text + entry, "given twice", line + 4),
    ):
        here.force.config.write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError, match=why) as refused:
            load_config(here.force.config)
        assert refused.value.line == at


# The witness


def test_the_command_starts_a_witness_that_can_be_asked_and_stopped(tmp_path: Path) -> None:
    force = found(tmp_path, "http://127.0.0.1:9")
    config = load_config(force.config)
    load_identity(config, POLICY)  # writes verifier.key
    settings = tmp_path / "witness.yaml"
    settings.write_text("listen: 127.0.0.1:0\nstate: w\nname: other.example/w1\n", encoding="utf-8")
    assert config.anchor is not None
    one = Running("bridge", "witness", "--file", str(settings), "--name", NAME,
                  "--log", str(config.anchor.with_name("verifier.key")))  # fmt: skip
    try:
        assert one.key.name == NAME
        text = force.config.read_text(encoding="utf-8")
        named = f"{text}witnesses:\n  - url: {one.url}\n    key: {one.key}\n"
        force.config.write_text(named, encoding="utf-8")
        here = Witnessed(force, load_config(force.config))
        here.record("one")
        assert here.command("ledger", "checkpoint") == 0
    finally:
        assert one.stop() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs --state"),
        (["--state", "w", "--name", "n"], "needs --state"),
        (["--state", "w", "--name", "n", "--log", "no+such+key"], "no+such+key"),
        (["--state", "w", "--name", "n", "--log", "missing.key"], "cannot be read"),
        (["--state", "w", "--name", "n m", "--log", "LOG"], "no spaces"),
        (["--state", "w", "--name", "n", "--log", "LOG", "--listen", "nowhere"], "not a place"),
        (["--state", "w", "--name", "n", "--log", "LOG", "--listen", "127.0.0.1:99999"], "place"),
        (["--state", "f", "--name", "n", "--log", "LOG"], "cannot keep anything"),
    ],
)
def test_a_witness_that_is_started_wrongly_says_how_in_one_sentence(
    words: list[str], said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("a file", encoding="utf-8")
    assert main(["witness", *(str(LOG) if word == "LOG" else word for word in words)]) in {1, 3}
    err = capsys.readouterr().err
    assert said in err
    assert "fault" not in err


def test_a_port_that_is_taken_is_one_sentence(
    here: Witnessed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = here.config.witnesses
    place = one.url.removeprefix("http://")
    log = str(load_identity(here.config, POLICY).verifier)
    assert main(["witness", "--state", str(tmp_path / "w2"), "--name", "n", "--log", log,
                 "--listen", place]) == 3  # fmt: skip
    assert "cannot listen here" in capsys.readouterr().err


def test_a_stranger_to_rooms_and_store_is_all_that_a_witness_needs() -> None:
    """It must run where neither Matrix nor a ledger is."""
    ask = (
        "import sys, bridge.witness.server\n"
        "print([one for one in ('nio', 'sqlite3', 'bridge.matrix') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, cwd=ROOT,
                          check=True)  # fmt: skip
    assert done.stdout == "[]\n"
