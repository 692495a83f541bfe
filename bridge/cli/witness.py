"""`bluelamp witness`: remember, on another host, how far a ledger had come."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bridge import log
from bridge.config import read_text
from bridge.errors import ConfigError, UsageError
from bridge.nodes import parse
from bridge.verify import Unsound
from bridge.verify.notes import Verifier
from bridge.witness.folder import Folder
from bridge.witness.judge import Judge
from bridge.witness.server import listening, stopped

_LISTEN = "127.0.0.1:8780"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a witness is told: by options, or by a file."""

    listen: str | None
    state: Path | None
    name: str | None
    logs: tuple[str, ...]


def witness(
    file: Annotated[
        Path | None,
        typer.Option(help="These settings: listen, state, name, logs. Options go before it."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="Where to listen (default: 127.0.0.1:8780).")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Its folder: key, and what it has seen.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What it signs as, such as witness.force.example/w1.")
    ] = None,
    log_key: Annotated[
        list[str] | None,
        typer.Option(
            "--log", help="A ledger's key, or the file verifier.key that has it; repeatable."
        ),
    ] = None,
) -> None:
    """Remember how far a ledger had come, and sign that. Runs until Ctrl-C or SIGTERM."""
    log.configure()
    given = _read(file) if file else Settings(listen=None, state=None, name=None, logs=())
    where, called = state or given.state, name or given.name
    logs = [_log(text) for text in (*(log_key or ()), *given.logs)]
    if where is None or called is None or not logs:
        raise UsageError("A witness needs --state FOLDER, --name NAME and at least one --log KEY.")
    asyncio.run(_serve(*_place(listen or given.listen or _LISTEN), where, called, logs))


async def _serve(host: str, port: int, state: Path, name: str, logs: list[Verifier]) -> None:
    stop = stopped()
    folder = Folder(state)
    try:
        try:
            judge = Judge(name, folder.key(name), logs, folder, time.time)
        except (Unsound, OSError) as exc:
            raise ConfigError(
                str(state), None, f"what this witness kept cannot be used: {exc}"
            ) from None
        async with listening(judge, host, port) as url:
            typer.echo(f"This witness answers at {url}. For the bot's config.yaml:")
            typer.echo(f"witnesses:\n  - url: {url}\n    key: {judge.cosigner}")
            await stop.wait()
    finally:
        folder.close()


def _read(file: Path) -> Settings:
    top = parse(read_text(file, "the settings of the witness"), str(file)).mapping(
        optional=("listen", "state", "name", "logs")
    )
    folder = file.absolute().parent
    return Settings(
        listen=top["listen"].text() if "listen" in top else None,
        state=folder / top["state"].text() if "state" in top else None,
        name=top["name"].text() if "name" in top else None,
        logs=top["logs"].texts() if "logs" in top else (),
    )


def _log(text: str) -> Verifier:
    """Read a ledger's key, given as it is or as the file that has it."""
    vkey = text if "+" in text else read_text(Path(text), "the ledger's key")
    try:
        return Verifier.parse(vkey)
    except Unsound as exc:
        raise UsageError(f"{text}: {exc}.") from None


def _place(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{listen!r} is not a place to listen such as 127.0.0.1:8780.")
    return host.strip("[]"), int(port)
