"""`bluelamp doctor`: what is there, what is not, and what to do about it, in sentences.

Never changes anything.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer

from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.running.doctor import Finding, Sign, examine

_LOOKS = {Sign.GOOD: "green", Sign.DOUBT: "yellow", Sign.BAD: "red"}


def doctor(
    context: typer.Context,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a list of findings.")] = (
        False
    ),
) -> None:
    """Check that homeserver, account, rooms, gate, clocks and keys are there and fit together.

    Exit 1 if something is wrong, 2 if something is in doubt.
    """
    loaded = configuration(context, config)

    async def look() -> list[Finding]:
        found = []
        async for finding in examine(loaded):
            found.append(finding)
            if not as_json:
                err.print(f"{finding.sign.value:>5}  ", end="", style=_LOOKS[finding.sign])
                err.print(finding.words, markup=False)
        return found

    found = asyncio.run(look())
    if as_json:
        out.print(msgspec.json.encode(found).decode(), markup=False)
    signs = {finding.sign for finding in found}
    if Sign.BAD in signs:
        raise typer.Exit(1)
    if Sign.DOUBT in signs:
        raise typer.Exit(2)
