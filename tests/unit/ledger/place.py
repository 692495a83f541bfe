"""A host with a ledger, spoken to through the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.cli.main import main
from bridge.config import load_config, load_identity, load_policies
from bridge.facts import Noted, Seen
from bridge.ledger.keys import DAY_MS, Custodian
from bridge.model import EventId, Ms, RoomClass
from bridge.records import retention
from bridge.running import app
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import encode64
from bridge.verify.papers import Attestation, Order, Paper, Wrap, signed_bytes
from tests.making import NOON, Hands, say

ROOT = Path(__file__).parents[3]
BUCKET = "social-2026-11"


@dataclass
class Place:
    """A host with a ledger, and its custodian's key beside it."""

    folder: Path
    keeper: Custodian
    say: Callable[[], str]

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def run(self, *arguments: str) -> int:
        return main(["-c", str(self.config), *arguments])

    def rids(self) -> list[str]:
        return list(self.bodies())

    def bodies(self) -> dict[str, bool]:
        """Each message's record, and whether its content is there."""
        reader = SqliteReader(self.folder / "ledger" / "ledger.db")
        try:
            found = [(json.loads(row.header), row.body) for row in reader.rows()]
        finally:
            reader.close()
        return {h["rid"]: body is not None for h, body in found if h["kind"] == "message"}

    def holds(self) -> list[str]:
        return [hold.rid for hold in retention.state(load_config(self.config)).active]

    def signed(self, form: Attestation | Order) -> bytes:
        text = msgspec.json.encode(form).decode()
        key = Ed25519PrivateKey.from_private_bytes(self.keeper.identity)
        name = type(form).__name__.lower()
        return msgspec.json.encode(
            Paper(text=text, signature=encode64(key.sign(signed_bytes(name, text))))
        )

    def attest(self, *wraps: Wrap, **other: Any) -> Path:
        now_there = retention.state(load_config(self.config))
        fields: dict[str, Any] = {
            "custodian": "psd",
            "origin": now_there.origin,
            "checkpoint": now_there.checkpoint,
            "bucket": BUCKET,
            "destroyed": NOON + 200 * DAY_MS,
            "holds": wraps,
        }
        path = self.folder / "attestation.json"
        path.write_bytes(b"[" + self.signed(Attestation(**{**fields, **other})) + b"]")
        return path

    def order(self, rid: str, **other: Any) -> Path:
        fields: dict[str, Any] = {
            "custodian": "psd",
            "origin": "force.example/bluelamp",
            "rid": rid,
            "ordered": NOON,
            "reason": "a court said so",
        }
        path = self.folder / "order.json"
        path.write_bytes(self.signed(Order(**{**fields, **other})))
        return path


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Place:
    return made(tmp_path, monkeypatch, capsys)


def made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    classes: Callable[[str], str] = lambda text: text,
    cls: RoomClass = RoomClass.SOCIAL,
    after_days: int = 200,
    also: str = "",
) -> Place:
    """A host whose three messages, said in a room of class *cls*, are so many days old."""
    lexicons = (ROOT / "policies" / "lexicons").glob("*.yaml")
    for name in (
        "classes.yaml",
        "rules/vehicles.yaml",
        *(f"lexicons/{one.name}" for one in lexicons),
    ):
        (tmp_path / "policies" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "policies" / name).write_bytes((ROOT / "policies" / name).read_bytes())
    file = tmp_path / "policies" / "classes.yaml"
    file.write_text(classes(file.read_text(encoding="utf-8")), encoding="utf-8")
    policies = load_policies(tmp_path / "policies", clock=None)
    keeper = Custodian.new("psd")
    keeper.issue_ahead(policies.retention, year=2026, month=11, months=14)
    (tmp_path / "psd.json").write_bytes(msgspec.json.encode(keeper.bundle()))
    (tmp_path / "token").write_text("t")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "people.csv").write_bytes((ROOT / "people.example.csv").read_bytes())
    (tmp_path / "rooms.yaml").write_bytes((ROOT / "rooms.example.yaml").read_bytes())
    (tmp_path / "config.yaml").write_text(
        f"""
homeserver: {{url: "http://127.0.0.1:1", user: "@bluelamp:force.example", token_file: token}}
force: {{name: A force, contact: "Information Management"}}
custodians:
  - {{name: psd, identity: "{encode64(keeper.public)}", certificates: psd.json}}
{also}"""
    )
    clock = Hands()
    monkeypatch.setattr(app, "now", clock)
    config = load_config(tmp_path / "config.yaml")

    async def fill() -> None:
        store = SqliteStore(
            config.ledger, load_identity(config, policies), clock, anchor=config.anchor
        )
        facts = [Seen(message=say(f"$m{n}"), cls=cls) for n in range(3)]
        await store.append(facts)
        known = await store.known([EventId("$m0")])
        assert known
        await store.checkpoint()
        await store.close()

    asyncio.run(fill())
    clock.at = Ms(NOON + after_days * DAY_MS)
    go_on(tmp_path / "config.yaml", "still here")

    def said() -> str:
        both = capsys.readouterr()
        return " ".join((both.out + both.err).split())

    return Place(tmp_path, keeper, said)


def go_on(config: Path, *texts: str) -> None:
    """Record something, as the bot would."""
    loaded = load_config(config)

    async def record() -> None:
        identity = load_identity(loaded, load_policies(loaded.policies, clock=None))
        store = SqliteStore(loaded.ledger, identity, app.now, anchor=loaded.anchor)
        await store.append([Noted(text=text) for text in texts])
        await store.checkpoint()
        await store.close()

    asyncio.run(record())
