"""Reading a ledger as people do: verify it, open it with custodians' keys, record the look.

Never shows anything before the look is on record, and never writes to the ledger that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bridge.config import Config, load_identity, load_policies, read_text, verifier_file
from bridge.errors import CannotOpen, ConfigError, StoreError
from bridge.facts import Viewed
from bridge.ledger.keys import Custodian
from bridge.ledger.opening import Reader
from bridge.ledger.scope import Scope
from bridge.ledger.vault import unlock
from bridge.model import Ms
from bridge.ports import Clock
from bridge.secret import read_secret
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from bridge.verify import Unsound
from bridge.verify.headers import Header
from bridge.verify.notes import Verifier, decode64
from bridge.verify.steps import Evidence, Report, verify


def check_ledger(
    config: Config,
    checkpoints: tuple[Path, ...] = (),
    *,
    now: Ms,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Verify the ledger of *config* against its anchor and *checkpoints*.

    Raises:
        StoreError: there is no ledger.
        ConfigError: a checkpoint cannot be read.
    """
    reader = SqliteReader(config.ledger)
    try:
        reader.snapshot()
        size = reader.size()
        if size == 0 and not checkpoints and not _anchored(config):
            raise StoreError(f"There is no ledger at {config.ledger} yet. Has the bot run?")
        outside = [(str(path), read_text(path, "the checkpoint")) for path in checkpoints]
        if config.anchor is not None and _anchored(config):
            outside.append((f"the anchor {config.anchor}", read_text(config.anchor, "the anchor")))
        evidence = Evidence(
            verifier=_pinned(config),
            tiles=reader.tiles(),
            checkpoints=reader.checkpoints(),
            outside=outside,
            edge=reader.edge(),
            identities={one.name: one.identity for one in config.custodians},
            now=now,
        )
        return verify(reader.rows(), evidence, progress=lambda done: progress(done, size))
    finally:
        reader.close()


def _anchored(config: Config) -> bool:
    return config.anchor is not None and config.anchor.exists()


def _pinned(config: Config) -> Verifier | None:
    path = verifier_file(config)
    if not path.exists():
        return None
    try:
        return Verifier.parse(path.read_text(encoding="utf-8"))
    except Unsound as exc:
        raise ConfigError(str(path), None, str(exc)) from None


def open_vault(vault: Path, share: Path, passphrase: str) -> Custodian:
    """Open a custodian's vault file.

    Raises:
        CannotOpen: the passphrase is wrong, or the share is of another state of the vault.
        ConfigError: a file cannot be read.
    """
    own = decode64(read_secret(share, "the share"))
    return unlock(read_text(vault, "the vault").encode(), passphrase, own)


def opened(config: Config, reader: Reader, scope: Scope) -> Iterator[tuple[Header, bytes | None]]:
    """Yield the records of *scope*, each with what is inside, or None if it does not open."""
    store = SqliteReader(config.ledger)
    try:
        for row in store.rows():
            header = msgspec.json.decode(row.header, type=dict[str, str | int])
            try:
                reader.learn(header, row.body or b"")
                if scope.covers(header, reader):
                    yield header, reader.open(header, row.body or b"")
            except CannotOpen:
                if scope.covers(header, reader):
                    yield header, None
    finally:
        store.close()


def consultations(config: Config) -> Path:
    """Where looks are recorded: a ledger of its own beside the one that is looked at."""
    return config.ledger.with_name("consultations.db")


async def record_look(config: Config, look: Viewed, *, clock: Clock) -> None:
    """Record the look in the consultation ledger: same code, own file and name."""
    identity = load_identity(config, load_policies(config.policies, clock=None))
    store = SqliteStore(
        consultations(config),
        identity.renamed(f"{config.origin}/consultations"),
        clock,
        anchor=None,
    )
    try:
        await store.append([look])
        await store.checkpoint()
    finally:
        await store.close()
