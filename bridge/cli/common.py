"""What every command shares: the configuration option, the console, the way to say no.

Never prints a traceback.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from bridge.config import Config, load_config

DEFAULT = Path("config.yaml")
_LOGIN = Path("/proc/self/loginuid")
_NO_LOGIN = 0xFFFFFFFF

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


def who() -> str:
    """Name the account that runs this command: the system's word, not the environment's."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"account {number}"


def signed_in(config: Config) -> str:
    """Name the account that somebody signed in with, also where they became the bot or root since.

    The kernel keeps it from the sign-in on, where it was told (`loginuid`). Only for root and the
    bot's own account is it believed: others could have set it where nobody had.
    """
    with contextlib.suppress(OSError, ValueError):
        if os.getuid() in {0, config.state.stat().st_uid}:
            number = int(_LOGIN.read_text(encoding="ascii"))
            if number != _NO_LOGIN:
                return pwd.getpwuid(number).pw_name
    return who()


@contextlib.contextmanager
def watching(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar, on a terminal only, while something is done; yields what to tell how far it is.

    It is told how many are done, and of how many.
    """
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
