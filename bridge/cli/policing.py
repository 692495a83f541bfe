"""`bluelamp policy status`, `reload`, `activate`, `adjudicate`: what decides, and who says so."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bridge.cli.asking import give_order
from bridge.cli.common import ConfigOption, configuration, signed_in, who
from bridge.running import control

ByOption = Annotated[
    str,
    typer.Option(
        help="Who says so, as in people.csv: name, Matrix id, collar number or sign-in. Needed "
        "only where everybody shares one account (accounts: shared)."
    ),
]


class Found(StrEnum):
    """What somebody found who looked at what was done to a message."""

    FALSE_POSITIVE = "false-positive"
    ACTION_STANDS = "action-stands"
    RESTORED = "restored"
    REFERRED = "referred"


def status(context: typer.Context, config: ConfigOption = None) -> None:
    """Say which policy decides, what the folder has, who approved, and which rules are weakened."""
    give_order(configuration(context, config), control.Order(do="policy"))


def reload(context: typer.Context, config: ConfigOption = None) -> None:
    """Have the running bot read the policy files now. A mistake in them leaves the old policy."""
    give_order(configuration(context, config), control.Order(do="reload", by=who()))


def activate(
    context: typer.Context,
    digest: Annotated[str, typer.Argument(help="The policy's digest; its first 12 digits do.")],
    by: ByOption = "",
    config: ConfigOption = None,
) -> None:
    """Approve a draft as one of two policy officers. With the second approval it decides."""
    loaded = configuration(context, config)
    order = control.Order(do="activate", about=digest, by=by, account=signed_in(loaded))
    give_order(loaded, order)


def adjudicate(
    context: typer.Context,
    rid: Annotated[str, typer.Argument(help="The record of the message, or of its verdict.")],
    decision: Annotated[Found, typer.Option(help="What you found.")],
    by: ByOption = "",
    config: ConfigOption = None,
) -> None:
    """Put on record whether what was done to a message was right; rules that err lose strength."""
    loaded = configuration(context, config)
    order = control.Order(
        do="adjudicate", about=rid, decision=decision.value, by=by, account=signed_in(loaded)
    )
    give_order(loaded, order)
