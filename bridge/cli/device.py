"""`bluelamp device`: the bot's own device on the homeserver."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from bridge.cli.common import ConfigOption, configuration, out
from bridge.errors import UsageError
from bridge.matrix.seeds import Vault
from bridge.running import app, control

cli = typer.Typer(help="The bot's own device.", no_args_is_help=True)


@cli.command()
def renew(
    context: typer.Context,
    config: ConfigOption = None,
    new_identity: Annotated[
        bool,
        typer.Option(
            "--new-identity",
            help="The identity is lost, too: make another. Everybody who verified the bot sees "
            "an alarm.",
        ),
    ] = False,
) -> None:
    """Sign in as a new device, after the crypto store was lost or restored from a copy.

    An old copy of the store must never be used again: its keys would be used twice, and messages
    lost. The cross-signing identity is kept, so nobody sees an alarm. What was sent while the old
    device could not read stays on record as undecryptable.
    """
    loaded = configuration(context, config)
    status = asyncio.run(control.ask(loaded.socket, control.Order(do="status")))
    if status is not None:
        raise UsageError("The bot is running. Stop it first.")
    if loaded.password_file is None:
        raise UsageError(
            "The bot signs in with a token. Make a token of a new device, put it into "
            f"{loaded.token_file}, and move {loaded.state}/crypto and session.json away."
        )
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for name in ("crypto", "session.json"):
        old = loaded.state / name
        if old.exists():
            old.rename(old.with_name(f"{name}.old-{stamp}"))
    if new_identity:
        Vault.of(loaded.state, loaded.identity_passphrase).make()
    device = asyncio.run(app.sign_in_anew(loaded))
    whose = "a new identity" if new_identity else "the identity that it had"
    out.print(f"The bot is now the device {device}, signed by {whose}.")
    out.print(f"What it had before is in {loaded.state} as *.old-{stamp}; delete it, never use it.")
