"""`bluelamp rooms`: show how the server differs from the register, and make it so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import typer

from bridge import app
from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.config import Config, load_policies, save_lock
from bridge.matrix import rooms
from bridge.matrix.api import Api
from bridge.matrix.identity import Account, sign_in

cli = typer.Typer(help="The rooms on the register.", no_args_is_help=True)


@cli.command()
def plan(context: typer.Context, config: ConfigOption = None) -> None:
    """Show each way in which the server is not as the register says; change nothing."""
    planned = asyncio.run(_plan(configuration(context, config)))
    out.print(str(planned), markup=False)
    if planned.problems:
        raise typer.Exit(2)


@cli.command()
def apply(context: typer.Context, config: ConfigOption = None) -> None:
    """Make the server as the register says. Can be interrupted and run again."""
    loaded = configuration(context, config)
    left = asyncio.run(apply_register(loaded, lambda line: out.print(line, markup=False)))
    if left.differences:
        err.print(str(left), markup=False)
        raise typer.Exit(2)
    out.print("Every room is as the register says.")


async def _plan(config: Config) -> rooms.Plan:
    api = await _sign_in(config)
    async with api:
        return await _compare(config, api)


async def apply_register(config: Config, progress: Callable[[str], None]) -> rooms.Plan:
    """Make the server as the register says; return what remains to be done by people."""
    api = await _sign_in(config)
    async with api:
        planned = await _compare(config, api)
        return await rooms.apply(
            api,
            planned,
            save=lambda lock: save_lock(config, lock),
            progress=progress,
        )


async def _compare(config: Config, api: Api) -> rooms.Plan:
    return await app.compare_rooms(api, config, load_policies(config.policies, clock=None))


async def _sign_in(config: Config) -> Api:
    session = await sign_in(
        Account(
            url=config.homeserver,
            user=config.user,
            state=config.state,
            token_file=config.token_file,
            password_file=config.password_file,
        )
    )
    return Api(config.homeserver, session.token)
