"""`bluelamp case`, `hold`, `retention` and `erase`: what is kept longer, and what is forgotten."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.cli.asking import give_order
from bridge.cli.common import ConfigOption, configuration, err, out, who
from bridge.config import Config
from bridge.errors import UsageError
from bridge.facts import CaseOpened, Held, Released
from bridge.ledger.record import new_rid
from bridge.model import Rid
from bridge.records import due as reviewing
from bridge.records import retention
from bridge.records.custody import scope_of
from bridge.running import app, drafts
from bridge.running.control import Order, Recordable
from bridge.store.reader import Case, Hold, SqliteReader

cases = typer.Typer(help="Cases that records are linked to.", no_args_is_help=True)
holds = typer.Typer(help="What stays readable whatever its retention says.", no_args_is_help=True)
cli = typer.Typer(help="What is due to be forgotten.", no_args_is_help=True)

ScopeOption = Annotated[
    str, typer.Option(help="Such as 'person:asha from:2026-11-02 to:2026-11-04'.")
]


@cases.command("add")
def add_case(
    context: typer.Context,
    reference: Annotated[str, typer.Argument(help="Such as PS/2026/114.")],
    title: Annotated[str, typer.Option(help="What it is about, in a few words.")],
    config: ConfigOption = None,
) -> None:
    """Open a case."""
    loaded = configuration(context, config)
    if not reference.strip() or not title.strip():
        raise UsageError("a case needs a reference, such as PS/2026/114, and a title")
    if reference in {one.reference for one in _read_cases(loaded)}:
        raise UsageError(f"there is a case {reference} already")
    _record(loaded, CaseOpened(reference=reference, title=title, by=who()))
    out.print(f"Case {reference} is open. Link records to it with 'bluelamp case link'.")


@cases.command("link")
def link_case(
    context: typer.Context,
    reference: Annotated[str, typer.Argument(help="The case.")],
    scope: ScopeOption,
    config: ConfigOption = None,
) -> None:
    """Link records to a case: they stay readable until the link's hold is released."""
    loaded = configuration(context, config)
    if reference not in {one.reference for one in _read_cases(loaded)}:
        raise UsageError(f"there is no case {reference}; open it with 'bluelamp case add'")
    _hold(loaded, scope, case=reference, reason="linked to the case")


@cases.command("list")
def list_cases(context: typer.Context, config: ConfigOption = None) -> None:
    """List the cases, each with the holds that it has."""
    loaded = configuration(context, config)
    found = _read_holds(loaded)
    table = Table("case", "title", "opened", "by", "active holds", "released")
    for case in _read_cases(loaded):
        own = [hold for hold in found if hold.case == case.reference]
        active = sum(hold.released is None for hold in own)
        table.add_row(case.reference, case.title, _day(loaded, case.at), case.by, str(active),
                      str(len(own) - active))  # fmt: skip
    out.print(table)


@holds.command("add")
def add_hold(
    context: typer.Context,
    scope: ScopeOption,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    config: ConfigOption = None,
    case: Annotated[str, typer.Option(help="The case that it is for.")] = "",
) -> None:
    """Keep what a scope covers readable, now and later, until the hold is released."""
    loaded = configuration(context, config)
    if case and case not in {one.reference for one in _read_cases(loaded)}:
        raise UsageError(f"there is no case {case}; open it with 'bluelamp case add'")
    _hold(loaded, scope, case=case, reason=reason)


def _hold(config: Config, scope: str, *, case: str, reason: str) -> None:
    if not reason.strip():
        raise UsageError("Say why: the reason is recorded with the hold.")
    # Names change hands: what they mean today is what is held.
    settled = scope_of(config, scope).settled()
    hold = new_rid()
    _record(config, Held(rid=hold, scope=settled, case=case, reason=reason, by=who()))
    out.print(f"Hold {hold} is on record.")
    out.print(
        "It binds the record, not what a room still shows. Custodians save what it covers before "
        "they destroy a key.",
        style="dim",
    )


@holds.command("list")
def list_holds(
    context: typer.Context,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
) -> None:
    """List the holds. What they cover is sealed; only custodians can read it."""
    loaded = configuration(context, config)
    table = Table("hold", "case", "reason", "since", "by", "saved", "released")
    for hold in _read_holds(loaded):
        if hold.released is None or everything:
            over = _day(loaded, hold.released) if hold.released is not None else ""
            table.add_row(hold.rid, hold.case, hold.reason, _day(loaded, hold.at), hold.by,
                          str(hold.saved), over)  # fmt: skip
    out.print(table)


@holds.command("release")
def release_hold(
    context: typer.Context,
    hold: Annotated[str, typer.Argument(help="The hold, as 'hold list' names it.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    config: ConfigOption = None,
    even_so: Annotated[
        bool, typer.Option("--even-so", help="Although newer holds may need what it alone keeps.")
    ] = False,
) -> None:
    """End a hold. What was kept for it alone is deleted if its time was up."""
    loaded = configuration(context, config)
    active = [one for one in _read_holds(loaded) if one.released is None]
    found = [one.rid for one in active if one.rid.startswith(hold)]
    if len(found) != 1:
        raise UsageError(f"there is no one active hold {hold!r}; see 'bluelamp hold list'")
    late = retention.too_late(loaded, found[0])
    if late and not even_so:
        names = ", ".join(one.rid for one in late)
        raise UsageError(
            f"Hold {found[0]} alone keeps records whose keys were destroyed before these holds "
            f"were made: {names}. If they cover any of these, that is lost with the release. Make "
            "sure that they do not, then say --even-so."
        )
    fact = Released(hold=Rid(found[0]), reason=reason, by=who())
    _record(loaded, fact)
    out.print(
        f"Hold {found[0]} is released. Custodians who saved keys for it destroy them with "
        f"'bluelamp keys destroy hold/{found[0]}'."
    )


@cli.command()
def due(
    context: typer.Context,
    config: ConfigOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the file for the custodians.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is not due yet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print that file.")] = False,
) -> None:
    """Say which keys custodians should destroy now. Exit 1 if there are any."""
    loaded = configuration(context, config)
    now = app.now()
    survey = _survey(loaded)
    found = retention.state(loaded)
    file = found.due(now, survey.withheld)
    raw = msgspec.json.format(msgspec.json.encode(file))
    if output is not None:
        output.write_bytes(raw)
    if as_json:
        typer.echo(raw.decode())
    else:
        table = Table("bucket", "kept until", "destroyed by", "still to be destroyed by", "content")
        for bucket in found.buckets:
            if bucket.name in file.buckets or everything:
                left = ", ".join(name for name in bucket.custodians if name not in bucket.attested)
                gone = "deleted" if bucket.deleted else "being deleted" if bucket.attested else ""
                table.add_row(bucket.name, _day(loaded, bucket.expires),
                              ", ".join(bucket.attested), left, gone)  # fmt: skip
        out.print(table)
        out.print(f"{len(file.buckets)} due; {len(file.holds)} active holds.")
        for name, why in survey.withheld.items():
            out.print(f"{name} stays: {why}.", markup=False)
        if any(one.sort == reviewing.Sort.BUCKET for one in survey.waiting):
            out.print("People decide about these first: 'bluelamp review list'.")
        if file.reviewers:
            out.print(
                f"The reviewers' keys of {', '.join(file.reviewers)} open what was flagged there "
                "until they destroy theirs with the same command, one bucket after another."
            )
        if output is not None:
            out.print(f"Hand {output} and a copy of the ledger to each custodian, who runs")
            out.print("  bluelamp keys destroy --due FILE --ledger COPY", markup=False)
    if file.buckets:
        raise typer.Exit(1)


@cli.command()
def run(
    context: typer.Context,
    attestation: Annotated[
        list[Path], typer.Option(help="A file of 'bluelamp keys destroy'; repeatable.")
    ],
    config: ConfigOption = None,
) -> None:
    """Record that custodians have destroyed keys, and delete what these keys opened."""
    loaded = configuration(context, config)
    now_there = retention.state(loaded)
    papers = retention.read_attestations(attestation)
    facts = retention.accepted(papers, loaded, now_there, app.now())
    withheld = _survey(loaded).withheld
    for name in sorted({fact.bucket for fact in facts} & withheld.keys()):
        raise UsageError(
            f"Nothing was recorded, and nothing deleted: {name} stays, as {withheld[name]}. See "
            "'bluelamp review list'."
        )
    if not facts:
        out.print("This ledger has no records of these buckets: there is nothing to dispose of.")
        return
    for fact in facts:
        for hold in retention.unsaved(fact, now_there):
            err.print(
                f"Hold {hold.rid} was not known to {fact.custodian} when the key of {fact.bucket} "
                "was destroyed: nothing of that bucket could be saved for it.",
                style="bold red",
            )
    _record(loaded, *facts)
    for fact in facts:
        kept = len({rid for _, rids in fact.kept for rid in rids})
        out.print(
            f"{fact.bucket}: attested by {fact.custodian}; its content is being deleted"
            + (f", {kept} records are kept under hold." if kept else ".")
        )
    out.print(
        "Attested, not proven gone: copies of the keys that nobody told us of would still open "
        "copies of the file.",
        style="dim",
    )


def erase(
    context: typer.Context,
    rid: Annotated[str, typer.Argument(help="The record.")],
    order: Annotated[
        list[Path], typer.Option(help="A custodian's order; one of each custodian is needed.")
    ],
    config: ConfigOption = None,
    not_held: Annotated[
        bool, typer.Option("--not-held", help="You have made sure that no hold covers it.")
    ] = False,
) -> None:
    """Delete the content of one record, as every custodian has ordered. What it was stays."""
    loaded = configuration(context, config)
    active = [one for one in _read_holds(loaded) if one.released is None]
    if active and not not_held:
        raise UsageError(
            f"There are {len(active)} active holds, and what they cover is sealed. Have a "
            "custodian make sure that none covers this record, then say --not-held."
        )
    _record(loaded, retention.erasure(rid, order, loaded))
    out.print(f"The content of record {rid} is deleted here. Copies of the file still hold it.")


def _survey(config: Config) -> reviewing.Survey:
    """What is due, and what people have decided about it."""
    return reviewing.survey(reviewing.know(config, drafts.deciding(config)), app.now())


def _record(config: Config, *facts: Recordable) -> None:
    give_order(config, Order.record(*facts))


def _read_cases(config: Config) -> list[Case]:
    reader = SqliteReader(config.ledger)
    try:
        return reader.cases()
    finally:
        reader.close()


def _read_holds(config: Config) -> list[Hold]:
    reader = SqliteReader(config.ledger)
    try:
        return reader.holds()
    finally:
        reader.close()


def _day(config: Config, at: int) -> str:
    return f"{datetime.datetime.fromtimestamp(at / 1000, config.zone):%d %b %Y}"
