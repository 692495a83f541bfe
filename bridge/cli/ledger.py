"""`bluelamp ledger`: verify it, and open what a custodian's key opens."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from bridge import app
from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.cli.keys import PassphraseOption, ShareOption, VaultOption, unlock_vault
from bridge.config import Config, load_identity, load_policies, load_register, verifier_file
from bridge.errors import CannotOpen, ConfigError, LedgerError
from bridge.ledger.checkpoint import Verifier
from bridge.ledger.opening import Reader
from bridge.ledger.record import Header
from bridge.ledger.scope import Scope, parse_scope
from bridge.ledger.verify import Evidence, Report, verify
from bridge.model import Viewed
from bridge.register import Lock, Register
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore

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
    report = check_ledger(loaded, tuple(checkpoint or ()))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_as_json(report))).decode())
    else:
        _show(report, loaded)
    if not report.ok:
        raise typer.Exit(1)
    if report.unwitnessed_tail:
        raise typer.Exit(2)


def check_ledger(config: Config, checkpoints: tuple[Path, ...] = ()) -> Report:
    """Verify the ledger of *config* against its anchor and *checkpoints*."""
    reader = SqliteReader(config.ledger)
    try:
        reader.snapshot()
        outside = [(str(path), _note(path)) for path in checkpoints]
        if config.anchor is not None and config.anchor.exists():
            outside.append((f"the anchor {config.anchor}", _note(config.anchor)))
        evidence = Evidence(
            verifier=_pinned(config),
            tiles=reader.tiles(),
            checkpoints=reader.checkpoints(),
            outside=outside,
            edge=reader.edge(),
            identities={one.name: one.identity for one in config.custodians},
            now=app.now(),
        )
        size = reader.size()
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("verifying", total=size)
            return verify(
                reader.rows(),
                evidence,
                progress=lambda done: progress.update(task, completed=done),
            )
    finally:
        reader.close()


def _pinned(config: Config) -> Verifier | None:
    path = verifier_file(config)
    if not path.exists():
        return None
    try:
        return Verifier.parse(path.read_text(encoding="utf-8"))
    except LedgerError as exc:
        raise ConfigError(str(path), None, str(exc)) from None


def _note(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), None, f"the checkpoint cannot be read: {exc}") from None


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
    vault: VaultOption,
    share: ShareOption,
    config: ConfigOption = None,
    case: Annotated[str, typer.Option(help="A case reference; it is recorded.")] = "",
    passphrase_file: PassphraseOption = None,
) -> None:
    """Read records with the custodian's key. The look is recorded before anything is shown."""
    loaded = configuration(context, config)
    register, _, lock = load_register(loaded)
    wanted = parse_scope(scope, loaded.zone, lambda name: _room_id(register, lock, name))
    custodian = unlock_vault(vault, share, passphrase_file)
    names = tuple(sorted(one.name for one in loaded.custodians))
    reader = Reader(loaded.origin, names, [custodian])
    look = Viewed(
        who=getpass.getuser(), role=f"custodian {custodian.name}", scope=scope, purpose=purpose,
        case=case,
    )  # fmt: skip
    asyncio.run(_record(loaded, look))
    shown, closed = 0, 0
    for header, body in opened(loaded, reader, wanted):
        if body is None:
            closed += 1
            continue
        shown += 1
        typer.echo(msgspec.json.encode({**header, "opened": msgspec.Raw(body)}).decode())
    err.print(f"{shown} records shown. This look is recorded in {_consultations(loaded)}.")
    if closed:
        err.print(f"{closed} records of this scope do not open with this key.", style="yellow")
        raise typer.Exit(2)


def opened(config: Config, reader: Reader, scope: Scope) -> Iterator[tuple[Header, bytes | None]]:
    """Yield the records of *scope*, each with what is inside, or None if it does not open."""
    store = SqliteReader(config.ledger)
    try:
        for row in store.rows():
            header = msgspec.json.decode(row.header, type=dict[str, str | int])
            try:
                reader.learn(header, row.body or b"")
                if scope.covers(header, reader):
                    yield header, reader.open(header, row.body or b"")
            except CannotOpen:
                if scope.covers(header, reader):
                    yield header, None
    finally:
        store.close()


def _consultations(config: Config) -> Path:
    return config.ledger.with_name("consultations.db")


async def _record(config: Config, look: Viewed) -> None:
    """Record the look in the consultation ledger: same code, own file and name."""
    identity = load_identity(config, load_policies(config.policies, clock=None))
    store = SqliteStore(
        _consultations(config),
        identity.renamed(f"{config.origin}/consultations"),
        app.now,
        anchor=None,
    )
    try:
        await store.append([look])
        await store.checkpoint()
    finally:
        await store.close()


def _room_id(register: Register, lock: Lock, name: str) -> str | None:
    for room in register.resolve(lock).values():
        if name in {room.id, room.name}:
            return room.id
    for key, entry in register.rooms.items():
        if name in {key, entry.name}:
            return register.id_of(key, lock)
    return None
