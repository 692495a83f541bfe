"""`bluelamp backup` and `bluelamp ledger recover`: against loss, and after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.config import (
    Config,
    load_identity,
    load_policies,
    make_ledger_key,
    read_text,
    verifier_file,
)
from bridge.errors import UsageError
from bridge.facts import Noted
from bridge.records import backup
from bridge.running import app
from bridge.store.recover import Loss
from bridge.store.recover import recover as begin_anew
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import Verifier

cli = typer.Typer(help="A copy of what cannot be made again.", no_args_is_help=True)


@cli.command()
def create(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write, such as monday.tar.")],
    config: ConfigOption = None,
) -> None:
    """Write a backup; the bot may be running. It holds no secrets: keep those in a safe."""
    loaded = configuration(context, config)
    made = backup.create(loaded, file, app.now(), progress=_tell)
    out.print(f"{len(made.files)} files in {file}.")
    out.print(
        f"Not in it, so keep copies in a safe: the ledger's signing key ({loaded.ledger_key}), and "
        "the bot's password. The bot's session and message keys must not be restored from "
        "anywhere.",
        style="yellow",
    )


@cli.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    into: Annotated[Path, typer.Option(help="A new folder.")],
) -> None:
    """Unpack a backup into a new folder, and say what to do next."""
    made = backup.restore(file, into, progress=_tell)
    out.print(f"{len(made.files)} files are in {into}; each is as it was when it was saved.")
    out.print(
        "Now: put the ledger's key and the bot's password where config.yaml looks for them; run "
        "'bluelamp ledger verify'; run 'bluelamp device renew'; then 'bluelamp ledger recover', "
        "with the newest checkpoint that a witness or the anchor still has, so that the record "
        "says what is missing. What the server still has is read again when the bot starts.",
    )


def _tell(name: str) -> None:
    if err.is_terminal:
        err.print(f"  {name}", style="dim", markup=False)


def recover(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="What happened; it is recorded and signed.")],
    config: ConfigOption = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint that was kept elsewhere; repeatable.", show_default=False),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="The ledger's signing key is lost: make another.")
    ] = False,
) -> None:
    """Go on after records were lost: a new log, whose first record names what is missing."""
    if not reason.strip():
        raise UsageError("Say what happened: --reason is recorded and signed.")
    loaded = configuration(context, config)
    old = verifier_file(loaded)
    known = Verifier.parse(read_text(old, "the ledger's public key")) if old.exists() else None
    if new_key:
        if loaded.ledger_key.exists():
            raise UsageError(f"The key {loaded.ledger_key} is there; --new-key is for a lost one.")
        make_ledger_key(loaded)
    notes = [read_text(path, "the checkpoint") for path in checkpoint or ()]
    if loaded.anchor is not None and loaded.anchor.exists():
        notes.append(read_text(loaded.anchor, "the anchor"))
    policies = load_policies(loaded.policies, clock=None)
    identity = load_identity(loaded, policies, pinned=not new_key)
    loss = begin_anew(
        loaded.ledger, identity, notes, reason, key=known.key if known is not None else None
    )
    if new_key and old.exists():
        old.rename(old.with_name(f"{old.name}.before-{loss.next_origin.rpartition('/')[2]}"))
        identity = load_identity(loaded, policies)
    asyncio.run(_begin(loaded, loss))
    out.print(
        f"Records {loss.first} to {loss.end - 1} of {loss.origin} are lost, and that is on record."
        if loss.end > loss.first
        else f"No record of {loss.origin} is known to be lost."
    )
    if loss.kept_as is not None:
        out.print(f"The old file is kept as {loss.kept_as}.")
    fresh = Verifier(loss.next_origin, identity.verifier.key)
    out.print(f"The ledger goes on as {loss.next_origin}; give this to each witness:\n\n{fresh}",
              markup=False)  # fmt: skip


async def _begin(config: Config, loss: Loss) -> None:
    """Write the first records of the new log."""
    parts = app.check(config)
    store = SqliteStore(config.ledger, parts.identity, app.now, anchor=config.anchor)
    try:
        text = f"recovered: records {loss.first} to {loss.end} of {loss.origin} are lost"
        await store.append([Noted(text=text)])
        await store.checkpoint()
    finally:
        await store.close()
