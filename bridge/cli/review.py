"""`bluelamp review`: what is due, who decides, and what people have decided."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Annotated, Any

import typer

from bridge.cli.asking import give_order
from bridge.cli.common import ConfigOption, configuration, out, signed_in
from bridge.cli.policing import ByOption
from bridge.config import Config
from bridge.errors import UsageError
from bridge.facts import Fate
from bridge.records import deciding, due
from bridge.records.due import Item, Known, Sort
from bridge.running import app, drafts
from bridge.running.control import Order
from bridge.running.policydesk import officer

cli = typer.Typer(
    help="What is due: records, rooms and holds that people decide about.", no_args_is_help=True
)

ItemArgument = Annotated[
    str, typer.Argument(help="Such as bucket:operational-2026-11, room:KEY or hold:RID.")
]
ReasonOption = Annotated[str, typer.Option(help="Why; it is recorded.")]


@cli.command("list")
def list_due(
    context: typer.Context,
    config: ConfigOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what nobody need decide about now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what waits for people to decide about it. Exit 2 if anything does."""
    known = _known(configuration(context, config))
    found = due.survey(known, app.now())
    items = found.items if everything else found.waiting
    if as_json:
        typer.echo(json.dumps([_plain(one, known) for one in items], indent=2))
    else:
        for one in items:
            out.print(one.name, markup=False, style="bold")
            out.print(_words(one, known), markup=False)
        waits = len(found.waiting)
        out.print(f"{waits} {'waits' if waits == 1 else 'wait'} for a decision.")
    if found.waiting:
        raise typer.Exit(2)


@cli.command()
def decide(
    context: typer.Context,
    item: ItemArgument,
    fate: Annotated[Fate, typer.Argument(help="retain, or dispose: it may go.")],
    reason: ReasonOption,
    until: Annotated[
        str, typer.Option(help="With retain: until which day, such as 2027-11-22.")
    ] = "",
    by: ByOption = "",
    config: ConfigOption = None,
) -> None:
    """Decide about something that is due, with a reason. It is recorded."""
    loaded = configuration(context, config)
    known = _known(loaded)
    name = deciding.named(known, item, (Sort.BUCKET, Sort.ROOM, Sort.HOLD))
    account = signed_in(loaded)
    fact = deciding.decision(
        known, name, fate, reason=reason, until=_read_day(until),
        by=_who(loaded, known, name, by, account), account=account, now=app.now(),
    )  # fmt: skip
    give_order(loaded, Order.record(fact))
    stays = f"is retained until {known.day(fact.until)}" if fact.until else "may go"
    out.print(f"On record: {name} {stays}.", markup=False)
    if fate is Fate.DISPOSE:
        out.print(_what_then(name), markup=False, style="dim")


@cli.command()
def label(
    context: typer.Context,
    item: Annotated[
        str, typer.Argument(help="room:KEY, case:REFERENCE or bucket:operational-2026-11.")
    ],
    group: Annotated[int, typer.Argument(help="The MoPI group, 1 to 4.")],
    reason: ReasonOption,
    by: ByOption = "",
    config: ConfigOption = None,
) -> None:
    """Give operational information its MoPI group, without which it is not disposed of."""
    loaded = configuration(context, config)
    known = _known(loaded)
    name = deciding.named(known, item, (Sort.ROOM, Sort.CASE, Sort.BUCKET))
    account = signed_in(loaded)
    fact = deciding.label(
        known, name, group, reason=reason, by=_who(loaded, known, name, by, account),
        account=account,
    )  # fmt: skip
    give_order(loaded, Order.record(fact))
    out.print(f"On record: {name} has MoPI group {group}.", markup=False)


def _known(config: Config) -> Known:
    return due.know(config, drafts.deciding(config))


def _who(config: Config, known: Known, item: str, by: str, account: str) -> str:
    """Name who decides.

    Raises:
        UsageError: it is nobody who may.
    """
    roles, also = deciding.who_may(known, item)
    found = officer(
        known.people, by, account, roles, also=also, shared_account=config.shared_account
    )
    if isinstance(found, str):
        raise UsageError(found)
    return found.name


def _read_day(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{text!r} is not a day such as 2027-11-22.") from None


def _what_then(item: str) -> str:
    sort, _, name = item.partition(":")
    if sort == Sort.ROOM:
        return f"Two people close it with 'bluelamp rooms retire {name}'."
    return "The custodians destroy its keys: 'bluelamp retention due' writes what they need."


def _words(item: Item, known: Known) -> str:
    """What people read of an item, below its name."""
    decides = f"; {item.who} decides" if item.waits else ""
    group = f"; MoPI group {item.group}" if item.group else ""
    lines = [f"  {item.what}, since {known.day(item.since)}{group}{decides}", f"  {item.why}"]
    if said := _said(item, known):
        lines.append(f"  decided: {said}")
    return "\n".join(lines)


def _said(item: Item, known: Known) -> str:
    last = item.decided
    if last is None:
        return ""
    until = f" until {known.day(last.until)}" if last.until is not None else ""
    return f"{last.fate}{until}, {known.day(last.at)}, {last.by}: {last.reason}"


def _plain(item: Item, known: Known) -> dict[str, Any]:
    """An item as JSON: times in milliseconds."""
    last = item.decided
    return {
        "item": item.name,
        "what": item.what,
        "why": item.why,
        "since": item.since,
        "who": item.who,
        "waits": item.waits,
        "mopi": item.group,
        "decided": dataclasses.asdict(last) if last is not None else None,
    }
