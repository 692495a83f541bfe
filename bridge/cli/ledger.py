"""`bluelamp ledger`: verify it, and open what a custodian's key opens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import Progress

from bridge import log
from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.config import Config
from bridge.errors import StoreError
from bridge.records.consult import consulting
from bridge.records.reading import check_ledger
from bridge.running import app, control
from bridge.verify.notes import cosigned
from bridge.verify.steps import Report

cli = typer.Typer(help="The sealed record.", no_args_is_help=True)


@cli.command("verify")
def verify_ledger(
    context: typer.Context,
    config: ConfigOption = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint that was kept elsewhere; repeatable.", show_default=False),
    ] = None,
    looks: Annotated[
        bool, typer.Option("--consultations", help="The ledger of who looked at what, instead.")
    ] = False,
    since: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint up to which you verified before: only later records in full.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every record. Exit 0 sound · 1 tampered · 2 sound with an unwitnessed tail."""
    loaded = configuration(context, config)
    if looks:
        loaded = consulting(loaded)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("verifying", total=None)
        report = check_ledger(
            loaded,
            tuple(checkpoint or ()),
            now=app.now(),
            since=since,
            progress=lambda done, size: bar.update(task, completed=done, total=size),
        )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report.plain())).decode())
    else:
        _show(report, loaded)
    if not report.ok:
        raise typer.Exit(1)
    if report.unwitnessed_tail:
        raise typer.Exit(2)


@cli.command("checkpoint")
def sign_checkpoint(
    context: typer.Context,
    config: ConfigOption = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Write it to this file too.", show_default=False),
    ] = None,
) -> None:
    """Sign what there is now and have it witnessed. Exit 2 if a witness did not sign it."""
    log.configure("warning")
    loaded = configuration(context, config)
    answer = asyncio.run(control.ask(loaded.socket, control.Order(do="checkpoint")))
    if answer is not None and not answer.ok:
        raise StoreError(answer.text)
    note = answer.text if answer else asyncio.run(app.sign_checkpoint(loaded))
    if out_file is not None:
        out_file.write_text(note, encoding="utf-8")
    typer.echo(note, nl=False)
    signed = cosigned(note, [one.key for one in loaded.witnesses])
    missing = [one.key.name for one in loaded.witnesses if one.key.name not in signed]
    if missing:
        again = "The bot asks again" if answer else "Run this again when they answer"
        err.print(f"Not signed by: {', '.join(missing)}. {again}.", style="yellow")
        raise typer.Exit(2)


def _show(report: Report, config: Config) -> None:
    if not report.ok:
        out.print(f"TAMPERED: {config.ledger}", style="bold red")
        for one in report.failures[:50]:
            out.print(f"  step {one.step}: {one.what}" + (f" [{one.rid}]" if one.rid else ""),
                      markup=False)  # fmt: skip
        if len(report.failures) > 50:
            out.print(f"  and {len(report.failures) - 50} more")
        return
    out.print(f"Sound: {report.records} records, {report.checkpoints} checkpoints.")
    out.print(", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items())))
    for line in _more(report):
        out.print(line, markup=False)
    for line in report.warnings:
        out.print(f"Look into this: {line}.", style="yellow", markup=False)
    if report.unwitnessed_tail:
        out.print(
            f"{report.unwitnessed_tail} records, the oldest written "
            f"{report.unwitnessed_age_ms // 1000} s ago, are in no checkpoint that is kept "
            "elsewhere.",
            style="yellow",
        )
    if report.outside == 0:
        out.print(
            "No checkpoint from elsewhere was given: a ledger that was rolled back would look "
            "just like this.",
            style="yellow",
        )
    if report.anchors:
        out.print(
            "It agrees with the anchor on this host. Whoever owns this host could have changed "
            "both: keep checkpoints on another one and give them with --checkpoint.",
            style="dim",
        )


def _more(report: Report) -> Iterator[str]:
    """What else people should know of a sound ledger."""
    if report.since:
        yield f"Only what came after record {report.since} was checked in full."
    if not report.pinned:
        yield "No identities were pinned: the custodians are those that the genesis names."
    for one in report.before:
        yield f"It goes on from {one.origin} at {one.size} records." + (
            f" Lost: records {one.lost[0]} to {one.lost[1] - 1} ({one.reason})."
            if one.lost and one.lost[0] < one.lost[1]
            else ""
        )
    if report.cosigned:
        yield (
            f"{report.cosigned} checkpoints are signed by witnesses; the longest wait for one was "
            f"{report.longest_gap_ms // 1000} s."
        )
    if report.disposed or report.undeleted:
        yield f"{report.disposed} bodies were disposed of; {report.undeleted} are still to go."
    if report.open_debts:
        oldest = report.oldest_debt_ms // 1000
        yield f"{report.open_debts} debts are open, the oldest for {oldest} s."
