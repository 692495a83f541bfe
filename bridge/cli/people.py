"""`bluelamp people`: who is listed, from the force's directory."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.common import ConfigOption, configuration, out
from bridge.errors import UsageError
from bridge.rooms import fetched
from bridge.rooms.ldap import LdapSource

cli = typer.Typer(help="Who is listed in people.csv.", no_args_is_help=True)


@cli.command()
def fetch(
    context: typer.Context,
    config: ConfigOption = None,
    even_so: Annotated[
        bool, typer.Option("--even-so", help="So many have really left: write it all the same.")
    ] = False,
) -> None:
    """Write people.csv as the directory has it now; the running bot does so by itself."""
    loaded = configuration(context, config)
    if loaded.directory is None:
        raise UsageError(f"{loaded.path} names no directory: people.csv is written by people")
    said = fetched.fetch(loaded, LdapSource(loaded.directory), even_so=even_so)
    out.print(said or "Nothing has changed.", markup=False)
