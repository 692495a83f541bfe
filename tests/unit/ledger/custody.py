"""A small force with a ledger of January 2024, whose time has come, and custodians' vaults."""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.cli.main import main
from bridge.config import Config, load_config, load_policies
from bridge.facts import Decided, Fact, Held, Released, Seen
from bridge.ledger import vault as vaults
from bridge.ledger.keys import Certificates, Custodian
from bridge.ledger.record import new_rid
from bridge.model import Ms, Rid, RoomClass
from bridge.records.safe import Safe, make_safe, open_safe
from bridge.secret import write_secret
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import encode64
from tests.making import Hands, identity, say
from tests.unit.ledger.forging import CLEAN, MOVE

TOP = Path(__file__).parents[3]
#: 15 January 2024, noon UTC.
THEN = Ms(int(datetime(2024, 1, 15, 12, tzinfo=UTC).timestamp() * 1000))
LATER = Ms(THEN + 3_600_000)
#: 20 July 2024: the bot closes the log of the first half-year.
JULY = Ms(int(datetime(2024, 7, 20, 12, tzinfo=UTC).timestamp() * 1000))
#: 20 June 2024: what was written in January may be forgotten, and no log was closed yet.
JUNE = Ms(int(datetime(2024, 6, 20, 12, tzinfo=UTC).timestamp() * 1000))
BUCKET = "social-2024-01"
ASHA, BEN = "@asha:force.example", "@ben:force.example"
PASSPHRASES = {name: f"the passphrase of {name}" for name in ("psd", "im", "reviewers", "Deputy")}


@functools.cache
def _policies() -> dict[str, int]:
    return dict(load_policies(TOP / "policies", clock=None).retention)


@functools.cache
def _custodian(name: str) -> Custodian:
    """Keys of some months of 2024, and of now, as the consultation ledger needs them."""
    # Of yesterday's month on: what is recorded a minute before now may be of the last month.
    made, since = Custodian.new(name), datetime.now(UTC) - timedelta(days=1)
    for month in (1, 2, 6, 7):
        for retention in ("social", "operational", "system"):
            made.issue(retention, year=2024, month=month, kept_days=90)
    made.issue_ahead(_policies(), year=since.year, month=since.month, months=3)
    return made


@dataclass(frozen=True, slots=True)
class Force:
    """Where everything lies."""

    folder: Path

    @property
    def config(self) -> Config:
        return load_config(self.folder / "config.yaml")

    def vault(self, name: str) -> Path:
        return self.folder / name / "vault"

    def share(self, name: str) -> Path:
        return self.folder / "stick" / f"{name}.share"

    def keys(self, name: str) -> list[str]:
        """The options that open somebody's vault."""
        return [
            "--vault", str(self.vault(name)), "--share", str(self.share(name)),
            "--passphrase-file", str(self.folder / f"{name}.passphrase"),
        ]  # fmt: skip

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def run(self, *arguments: str) -> int:
        """Run a command, as a person would."""
        return main(["-c", str(self.folder / "config.yaml"), *arguments])

    def append(self, *facts: Fact, at: Ms = LATER) -> None:
        """Have the bot record something."""

        async def write() -> None:
            store = SqliteStore(
                self.config.ledger, self._identity(), Hands(at), anchor=self.config.anchor
            )
            await store.roll()
            await store.append(facts)
            await store.checkpoint()
            await store.close()

        asyncio.run(write())

    def _identity(self) -> Any:
        config = self.config
        own = identity(*(_custodian(one.name) for one in config.custodians))
        if config.reviewers is None:
            return own
        keys = _custodian("reviewers")
        return replace(
            own, reviewers=Certificates([keys.bundle()], pinned={"reviewers": keys.public})
        )

    def hold(self, scope: str, *, at: Ms = LATER) -> Rid:
        rid = new_rid()
        self.append(Held(rid=rid, scope=scope, case="", reason="asked for", by="sgt"), at=at)
        return rid

    def end(self, hold: Rid) -> None:
        self.append(Released(hold=hold, reason="over", by="sgt"), at=Ms(THEN + 7_200_000))

    def said(self, shown: str) -> list[str]:
        """The words of the messages that a command showed."""
        records = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
        return [r["opened"]["content"]["body"] for r in records if r["kind"] == "message"]


def found(folder: Path, *names: str, reviewers: bool = False) -> Force:
    """Make a force with these custodians, and a ledger that is sealed to them."""
    force = Force(folder)
    shutil.copytree(TOP / "policies", folder / "policies")
    for name in ("rooms.yaml", "people.csv"):
        shutil.copy(TOP / name.replace(".", ".example."), folder / name)
    (folder / "config.yaml").write_text(_config(names, reviewers), encoding="utf-8")
    for name in (*names, *(["reviewers"] if reviewers else [])):
        made = _custodian(name)
        own = Custodian(name, made.identity, dict(made.seeds))
        make_safe(force.vault(name), force.share(name), own, PASSPHRASES[name], who=name)
        write_secret(folder / f"{name}.passphrase", PASSPHRASES[name])
        (folder / f"{name}.certificates.json").write_bytes(msgspec.json.encode(made.bundle()))
    write_secret(folder / "Deputy.passphrase", PASSPHRASES["Deputy"])
    write_secret(folder / "wrong.passphrase", "not the passphrase of anybody")
    write_secret(folder / "state" / "ledger.key", encode64(b"k" * 32))
    (folder / "anchor").mkdir()
    (folder / "anchor" / "verifier.key").write_text(f"{force._identity().verifier}\n")
    flagged = say("$plate", "AB12 CDE is on the drive", sender=_user(BEN), at=THEN)
    force.append(
        Seen(message=say("$milk", "who brings milk", at=THEN), cls=RoomClass.SOCIAL, clean=CLEAN),
        Seen(message=flagged, cls=RoomClass.SOCIAL),
        Decided(message=flagged, cls=RoomClass.SOCIAL, verdict=MOVE),
        Seen(
            message=say("$cake", "there is cake", sender=_user(BEN), at=THEN),
            cls=RoomClass.SOCIAL,
            clean=CLEAN,
        ),
        at=THEN,
    )
    return force


def _user(name: str) -> Any:
    return name


def _config(names: tuple[str, ...], reviewers: bool) -> str:
    def one(name: str, dash: str) -> str:
        pad = " " * len(dash)
        return (
            f"{dash}name: {name}\n{pad}identity: {encode64(_custodian(name).public)}\n"
            f"{pad}certificates: {name}.certificates.json\n"
        )

    return (
        "homeserver:\n  url: http://127.0.0.1:9\n  user: '@bluelamp:force.example'\n"
        "  password_file: bot.password\n"
        "force:\n  name: Exampleshire Police\n  contact: the desk\n"
        "custodians:\n"
        + "".join(one(name, "  - ") for name in names)
        + ("reviewers:\n" + one("reviewers", "  ") if reviewers else "")
    )


def copied(force: Force, folder: Path) -> Force:
    """The same force again, to spoil as we like."""
    shutil.copytree(force.folder, folder / "force")
    return Force(folder / "force")


def reopened(force: Force, name: str, *, who: str | None = None) -> Safe:
    """Open a vault as the command line would."""
    return open_safe(force.vault(name), force.share(name), PASSPHRASES[who or name])


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Stretch passphrases less: what is tested here is not how long guessing takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vaults, "_MEMORY_KIB", 64)
        yield
