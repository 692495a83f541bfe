"""What every command shares: the configuration option, the console, the way to say no.

Never prints a traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bridge.config import Config, load_config

DEFAULT = Path("config.yaml")

#: What was asked for goes to standard output; everything else to standard error.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration file (default: config.yaml).", show_default=False
    ),
]


def config_path(context: typer.Context, own: Path | None) -> Path:
    """Which configuration: named after the verb, before it, or config.yaml in this folder."""
    return own or context.find_root().obj or DEFAULT


def configuration(context: typer.Context, own: Path | None) -> Config:
    """Load the configuration that the command line names."""
    return load_config(config_path(context, own))
