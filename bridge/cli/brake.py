"""`bluelamp pause`, `resume`, `incident on` and `incident off`: the brake."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bridge.cli.asking import give_order
from bridge.cli.common import ConfigOption, configuration, signed_in, who
from bridge.cli.policing import ByOption
from bridge.errors import UsageError
from bridge.officers.commands import span
from bridge.running import control

cli = typer.Typer(
    help="Major-incident mode: the bot only records, and nobody is nudged or moved.",
    no_args_is_help=True,
)

RoomOption = Annotated[str | None, typer.Option(help="The room's name or id.")]
EverywhereOption = Annotated[bool, typer.Option("--all", help="Everywhere.")]
LengthOption = Annotated[
    str | None, typer.Option("--for", help="For how long, such as 30m or 2h.", show_default=False)
]
ReasonOption = Annotated[str, typer.Option(help="Why, for the record.")]


def pause(
    context: typer.Context,
    config: ConfigOption = None,
    room: RoomOption = None,
    everywhere: EverywhereOption = False,
    length: LengthOption = None,
    reason: ReasonOption = "",
) -> None:
    """Stop acting at once, in one room or everywhere; recording goes on."""
    _one_of(room, everywhere)
    order = control.Order(do="pause", room=room, by=who(), reason=reason, length=_length(length))
    give_order(configuration(context, config), order)


def resume(
    context: typer.Context,
    config: ConfigOption = None,
    room: RoomOption = None,
    everywhere: EverywhereOption = False,
    waive: Annotated[
        bool,
        typer.Option(
            "--waive",
            help="Forget what was owed meanwhile; it is recorded, and takes two people.",
        ),
    ] = False,
    by: ByOption = "",
) -> None:
    """Act again after a pause, and do what was owed meanwhile."""
    _one_of(room, everywhere)
    loaded = configuration(context, config)
    account = signed_in(loaded)
    said = by if waive else who()
    order = control.Order(do="resume", room=room, by=said, account=account, waive=waive)
    give_order(loaded, order)


@cli.command()
def on(
    context: typer.Context,
    config: ConfigOption = None,
    room: RoomOption = None,
    everywhere: EverywhereOption = False,
    length: LengthOption = None,
    reason: ReasonOption = "",
) -> None:
    """Only record: what would have been done is on record, and is not done afterwards either."""
    _incident(context, config, "incident-on", room, everywhere, _length(length), reason)


@cli.command()
def off(
    context: typer.Context,
    config: ConfigOption = None,
    room: RoomOption = None,
    everywhere: EverywhereOption = False,
    reason: ReasonOption = "",
) -> None:
    """End major-incident mode; it also ends by itself."""
    _incident(context, config, "incident-off", room, everywhere, None, reason)


def _incident(
    context: typer.Context,
    config: ConfigOption,
    do: Literal["incident-on", "incident-off"],
    room: str | None,
    everywhere: bool,
    length: int | None,
    reason: str,
) -> None:
    _one_of(room, everywhere)
    order = control.Order(do=do, room=room, by=who(), reason=reason, length=length)
    give_order(configuration(context, config), order)


def _one_of(room: str | None, everywhere: bool) -> None:
    if (room is None) == (not everywhere):
        raise UsageError("Say where: --room NAME or --all.")


def _length(text: str | None) -> int | None:
    """Read a length of time, in milliseconds."""
    if text is None:
        return None
    length, rest = span(text.strip())
    if length is None or rest:
        raise UsageError(f"{text!r} is not a length of time such as 30m or 2h.")
    return length
