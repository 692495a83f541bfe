"""`bluelamp policy replay`: what a draft would have decided over records that custodians open."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.cli.keys import PassphrasesOption, open_safes
from bridge.cli.meaning import ModelOption, chosen
from bridge.cli.reading import (
    CaseOption,
    Ground,
    PurposeOption,
    SharesOption,
    VaultsOption,
    asked_for,
    record_look,
    with_custodians,
)
from bridge.config import load_policies
from bridge.policy import Policy
from bridge.policy.replay import Difference, difference
from bridge.records.reading import opened
from bridge.running.drafts import find_policies
from bridge.running.trial import KINDS, retrial

_LISTED = 50


def replay(
    context: typer.Context,
    since: Annotated[str, typer.Option("--from", help="A day or time such as 2026-11-22.")],
    purpose: PurposeOption,
    vault: VaultsOption = None,
    share: SharesOption = None,
    config: ConfigOption = None,
    until: Annotated[str, typer.Option("--to", help="The last day, or a time.")] = "",
    case: CaseOption = "",
    policies: Annotated[
        str | None,
        typer.Option(help="A folder or digest of the draft, instead of the configured folder."),
    ] = None,
    passphrase_file: PassphrasesOption = None,
    model: ModelOption = None,
) -> None:
    """Say what a draft would have decided over records. It is recorded as a look beforehand."""
    loaded = configuration(context, config)
    draft = load_policies(loaded.policies) if policies is None else find_policies(loaded, policies)
    scope = f"from:{since}" + (f" to:{until}" if until else "")
    asked = asked_for(loaded, scope, purpose, case)
    safes = open_safes(vault or [], share or [], passphrase_file or [])
    means = with_custodians(loaded, safes, Ground.CUSTODIANS)
    look = record_look(loaded, asked, means)
    again = retrial(loaded, draft, chosen(context, config, model))
    for header, body in opened(
        loaded, means.reader, asked.scope, only=lambda header: header["kind"] in KINDS
    ):
        again.take(header, body)
    _show(difference(again.found()), again.policy)
    err.print(f"This look is recorded as {look}.")
    if again.closed:
        err.print(f"{again.closed} messages do not open with these keys.", style="yellow")
        raise typer.Exit(2)


def _show(found: Difference, draft: Policy) -> None:
    table = Table(title=f"{found.messages} messages, draft {draft.revision[:12]}")
    for name in ("rule", "now", "draft"):
        table.add_column(name, justify="left" if name == "rule" else "right", overflow="fold")
    for line in found.lines:
        table.add_row(line.rule, str(line.now), str(line.draft))
    out.print(table)
    for what, which in (
        ("newly matched", found.newly),
        ("no longer matched", found.no_longer),
        ("treated otherwise", found.otherwise),
    ):
        out.print(f"{what}: {len(which) or 'none'}")
        for one in which[:_LISTED]:
            out.print(
                f"  {one.rid}  {one.now.action.name.lower()} → {one.draft.action.name.lower()}  "
                f"{one.draft.rule or one.now.rule}",
                markup=False,
            )
        if len(which) > _LISTED:
            out.print(f"  and {len(which) - _LISTED} more")
