"""`bluelamp console` and `bluelamp auditor`: the record in a browser, and who may sign in there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bridge import log
from bridge.cli.common import ConfigOption, configuration, out, signed_in
from bridge.config import Config, load_register
from bridge.console.accounts import Accounts
from bridge.console.desk import note
from bridge.console.server import desk, listening
from bridge.console.settings import Settings, load_settings
from bridge.errors import UsageError
from bridge.records.consult import Recorder
from bridge.running import app
from bridge.running.stopping import until_stopped
from bridge.running.trial import trials
from bridge.store.journal import Category, Entry

cli = typer.Typer(help="Who may sign in to the console.", no_args_is_help=True)

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", help="The console's settings (default: console.yaml beside config.yaml).",
        show_default=False,
    ),
]  # fmt: skip


def console(context: typer.Context, config: ConfigOption = None, file: FileOption = None) -> None:
    """Serve the auditors' console until Ctrl-C or SIGTERM. It is no part of the bot."""
    log.configure()
    loaded = configuration(context, config)
    asyncio.run(_serve(loaded, load_settings(file, loaded)))


async def _serve(config: Config, settings: Settings) -> None:
    made = desk(config, settings, app.now, trial=trials(config))
    async with listening(made) as url:
        typer.echo(f"The console answers at {url}. Ctrl-C ends it.")
        await until_stopped()


@cli.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Their console sign-in, as people.csv has it.")],
    config: ConfigOption = None,
    file: FileOption = None,
) -> None:
    """Let somebody in: prints a code with which they choose a passphrase and a second factor."""
    loaded, accounts = _accounts(context, config, file)
    people = load_register(loaded)[1].persons.values()
    person = next((one for one in people if one.console == name), None)
    if person is None:
        raise UsageError(f"nobody in {loaded.people} has the console sign-in {name!r}")
    if accounts.get(name) is None:
        _on_record(loaded, f"let {name} enrol for the console")
    code = accounts.add(name, app.now())
    out.print(f"{person.name} may enrol with this code, once, within 7 days:")
    out.print(f"  {code}", style="bold")
    roles = ", ".join(sorted(person.roles)) or "none, so they can do nothing yet"
    out.print(f"Their roles, from people.csv: {roles}.")


@cli.command("list")
def list_accounts(
    context: typer.Context, config: ConfigOption = None, file: FileOption = None
) -> None:
    """List the accounts, each with its roles and how far it is."""
    loaded, accounts = _accounts(context, config, file)
    people = {one.console: one for one in load_register(loaded)[1].persons.values()}
    table = Table("sign-in", "name", "roles", "state", "recovery codes left")
    for one in accounts.list():
        person = people.get(one.name)
        state = "disabled" if one.disabled else "enrolled" if one.enrolled else "not enrolled yet"
        if person is None:
            state += ", not in people.csv"
        roles = ", ".join(sorted(person.roles)) if person else ""
        table.add_row(one.name, person.name if person else "", roles, state,
                      str(len(one.recovery)))  # fmt: skip
    out.print(table)


@cli.command("disable")
def disable(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Their console sign-in.")],
    config: ConfigOption = None,
    file: FileOption = None,
) -> None:
    """Let somebody in no more, and sign them out with their next click."""
    loaded, accounts = _accounts(context, config, file)
    accounts.disable(name)  # first: nobody stays in because it cannot be recorded
    _on_record(loaded, f"disabled the console account {name}")
    out.print(f"{name} is disabled. 'bluelamp auditor reset' lets them in again.")


@cli.command("reset")
def reset(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Their console sign-in.")],
    config: ConfigOption = None,
    file: FileOption = None,
) -> None:
    """Take passphrase and second factor away, and print a new enrolment code."""
    loaded, accounts = _accounts(context, config, file)
    if accounts.get(name) is not None:
        _on_record(
            loaded, f"took {name}'s passphrase and second factor away and let them enrol again"
        )
    code = accounts.reset(name, app.now())
    out.print(f"{name} may enrol again with this code, once, within 7 days:")
    out.print(f"  {code}", style="bold")


def _on_record(config: Config, what: str) -> None:
    """Have *what* an administrator did to an account among the looks, where log readers see it."""
    by = f"{signed_in(config)}, on the console's host"
    entry = Entry(rid="", at=app.now(), category=Category.ACCESS, who=by, what=what)
    asyncio.run(_record(Recorder(config, app.now), f"{by} {what}", entry))


async def _record(recorder: Recorder, text: str, entry: Entry) -> None:
    try:
        await recorder.record([note(text)], [entry])
    finally:
        await recorder.close()


def _accounts(
    context: typer.Context, config: Path | None, file: Path | None
) -> tuple[Config, Accounts]:
    loaded = configuration(context, config)
    return loaded, Accounts(load_settings(file, loaded).state / "auditors")
