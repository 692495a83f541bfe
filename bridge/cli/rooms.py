"""`bluelamp rooms`: show how the server differs from the register, and make it so."""

from __future__ import annotations

import asyncio

import typer

from bridge import app
from bridge.cli.common import ConfigOption, configuration, err, out

cli = typer.Typer(help="The rooms on the register.", no_args_is_help=True)


@cli.command()
def plan(context: typer.Context, config: ConfigOption = None) -> None:
    """Show each way in which the server is not as the register says; change nothing."""
    planned = asyncio.run(app.plan_register(configuration(context, config)))
    out.print(str(planned), markup=False)
    if planned.problems:
        raise typer.Exit(2)


@cli.command()
def apply(context: typer.Context, config: ConfigOption = None) -> None:
    """Make the server as the register says. Can be interrupted and run again."""
    loaded = configuration(context, config)
    left = asyncio.run(app.apply_register(loaded, lambda line: out.print(line, markup=False)))
    if left.differences:
        err.print(str(left), markup=False)
        raise typer.Exit(2)
    out.print("Every room is as the register says.")
