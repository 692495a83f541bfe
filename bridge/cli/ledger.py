"""`bluelamp ledger`: verify it, and open what a custodian's key opens."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from bridge import app
from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.cli.keys import PassphrasesOption, SharesOption, VaultsOption, unlock_vaults
from bridge.config import Config, load_register
from bridge.errors import UsageError
from bridge.facts import Viewed
from bridge.ledger.opening import Reader
from bridge.ledger.record import new_rid
from bridge.ledger.scope import parse_scope
from bridge.reading import check_ledger, consultations, opened, record_look
from bridge.register import Lock, People, Register
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every record. Exit 0 sound · 1 tampered · 2 sound with an unwitnessed tail."""
    loaded = configuration(context, config)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("verifying", total=None)
        report = check_ledger(
            loaded,
            tuple(checkpoint or ()),
            now=app.now(),
            progress=lambda done, size: bar.update(task, completed=done, total=size),
        )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_as_json(report))).decode())
    else:
        _show(report, loaded)
    if not report.ok:
        raise typer.Exit(1)
    if report.unwitnessed_tail:
        raise typer.Exit(2)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "records": report.records,
        "checkpoints": report.checkpoints,
        "unwitnessed_tail": report.unwitnessed_tail,
        "unwitnessed_age_s": report.unwitnessed_age_ms // 1000,
        "failures": [
            {"step": one.step, "rid": one.rid, "what": one.what} for one in report.failures
        ],
        "kinds": dict(sorted(report.kinds.items())),
    }


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
    if report.unwitnessed_tail:
        out.print(
            f"The last {report.unwitnessed_tail} records ({report.unwitnessed_age_ms // 1000} s) "
            "are in no checkpoint that is kept elsewhere.",
            style="yellow",
        )
    if report.outside == 0:
        out.print(
            "No checkpoint from elsewhere was given: a ledger that was rolled back would look "
            "just like this.",
            style="yellow",
        )
    else:
        out.print(
            "Held against the anchor on this host. Whoever owns this host could have changed "
            "both: keep checkpoints on another one and give them with --checkpoint.",
            style="dim",
        )


@cli.command("open")
def open_records(
    context: typer.Context,
    scope: Annotated[
        str, typer.Option(help="Such as 'room:\"Response A social\" from:2026-11-22'.")
    ],
    purpose: Annotated[str, typer.Option(help="What you read it for; it is recorded.")],
    vault: VaultsOption,
    share: SharesOption,
    config: ConfigOption = None,
    case: Annotated[str, typer.Option(help="A case reference; it is recorded.")] = "",
    passphrase_file: PassphrasesOption = None,
) -> None:
    """Read records with the custodians' keys. The look is recorded before anything is shown."""
    if not purpose.strip():
        raise UsageError("Say what you read it for: --purpose is recorded with the look.")
    loaded = configuration(context, config)
    register, people, lock = load_register(loaded)
    wanted = parse_scope(
        scope,
        loaded.zone,
        room_id=lambda name: _room_id(register, lock, name),
        person_id=lambda name: _person_id(people, name),
    )
    custodians = unlock_vaults(vault, share, passphrase_file or [])
    names = tuple(sorted(one.name for one in loaded.custodians))
    reader = Reader(loaded.origin, names, custodians)
    role = " and ".join(f"custodian {one.name}" for one in custodians)
    look = Viewed(
        rid=new_rid(), who=getpass.getuser(), role=role, scope=scope, purpose=purpose, case=case
    )
    asyncio.run(record_look(loaded, look, clock=app.now))
    shown, closed = 0, 0
    for header, body in opened(loaded, reader, wanted):
        if body is None:
            closed += 1
            continue
        shown += 1
        inside, _, _ = body.partition(b"\n")  # a file's own bytes come after its first line
        typer.echo(msgspec.json.encode({**header, "opened": msgspec.Raw(inside)}).decode())
    err.print(f"{shown} records shown. This look is recorded in {consultations(loaded)}.")
    if closed:
        err.print(f"{closed} records of this scope do not open with this key.", style="yellow")
        raise typer.Exit(2)


def _person_id(people: People, name: str) -> str | None:
    for person in people.persons.values():
        if name in {person.id, person.name, person.collar}:
            return person.id
    return name if name.startswith("@") and ":" in name else None


def _room_id(register: Register, lock: Lock, name: str) -> str | None:
    for room in register.resolve(lock).values():
        if name in {room.id, room.name}:
            return room.id
    for key, entry in register.rooms.items():
        if name in {key, entry.name}:
            return register.id_of(key, lock)
    return None
