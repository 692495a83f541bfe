"""`bluelamp ledger open`, `request`, `release`, `unexamined`, `examine`: reading what is sealed."""

from __future__ import annotations

import asyncio
import datetime
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.cli.common import ConfigOption, configuration, err, out, watching, who
from bridge.cli.keys import (
    PassphraseOption,
    PassphrasesOption,
    ShareOption,
    VaultOption,
    open_one,
    open_safes,
)
from bridge.cli.releases import (
    CheckpointOption,
    ReleaseOption,
    SessionOption,
    drop_sessions,
    load_release,
    load_session,
    read_checkpoints,
    session_name,
)
from bridge.config import Config, read_text
from bridge.errors import CannotOpen, UsageError
from bridge.facts import Basis, Examined, Granted, Viewed
from bridge.ledger import release as releasing
from bridge.ledger.keys import public_of
from bridge.ledger.opening import Reader, ReportReader, ReviewReader
from bridge.ledger.record import new_rid
from bridge.ledger.release import (
    VALID_MS,
    Release,
    Request,
    Session,
    digest_of,
    read_request,
)
from bridge.ledger.scope import Scope
from bridge.model import Ms, Rid
from bridge.records import consult
from bridge.records.certificate import certificate
from bridge.records.custody import LedgerCopy, names_of, scope_of
from bridge.records.reading import Opener, opened
from bridge.records.safe import Safe
from bridge.running import app
from bridge.secret import write_secret
from bridge.verify.headers import Header, Kind
from bridge.verify.notes import encode64


class Role(StrEnum):
    """Whose keys are used."""

    CUSTODIAN = "custodian"
    REVIEWER = "reviewer"
    PROFESSIONAL_STANDARDS = "professional-standards"


class Ground(StrEnum):
    """On whose word a custodian reads."""

    CUSTODIANS = "custodians"
    BREAK_GLASS = "break-glass"


PurposeOption = Annotated[str, typer.Option(help="What you read it for; it is recorded.")]
CaseOption = Annotated[str, typer.Option(help="A case reference; it is recorded.")]
ScopeOption = Annotated[
    str, typer.Option(help="Such as 'room:\"Response A social\" from:2026-11-22'.")
]
VaultsOption = Annotated[
    list[Path] | None, typer.Option("--vault", help="A vault file; repeat for a second one.")
]
SharesOption = Annotated[
    list[Path] | None,
    typer.Option("--share", help="The share that belongs to it; repeat likewise."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to read, and why."""

    text: str
    scope: Scope
    purpose: str
    case: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """With what it can be opened, and on whose word."""

    reader: Opener
    role: str
    basis: Basis
    #: Leaves out what the scope covers and this reader has no business with.
    only: Callable[[Header], bool] = lambda _: True


def open_records(
    context: typer.Context,
    scope: ScopeOption = "",
    purpose: PurposeOption = "",
    vault: VaultsOption = None,
    share: SharesOption = None,
    config: ConfigOption = None,
    case: CaseOption = "",
    release: ReleaseOption = None,
    session: SessionOption = None,
    role: Annotated[
        Role,
        typer.Option("--as", help="Reviewers see flagged records only, standards reports only."),
    ] = Role.CUSTODIAN,
    basis: Annotated[
        Ground, typer.Option(help="break-glass: in an emergency, to be examined afterwards.")
    ] = Ground.CUSTODIANS,
    passphrase_file: PassphrasesOption = None,
    certificates: Annotated[
        bool, typer.Option("--certificates", help="Only certificates of removals, in words.")
    ] = False,
) -> None:
    """Read records with the custodians' keys. The look is recorded before anything is shown."""
    loaded = configuration(context, config)
    if release:
        if scope or purpose or case or role is not Role.CUSTODIAN or basis is not Ground.CUSTODIANS:
            raise UsageError("Scope, purpose and case are those of the request: give none here.")
        found = {path: load_release(path, loaded) for path in release}
        asked = asked_in(loaded, [one.request for one in found.values()])
        safes = open_safes(vault or [], share or [], passphrase_file or [])
        means = with_releases(loaded, found, session, safes)
    else:
        asked = asked_for(loaded, scope, purpose, case)
        safes = open_safes(vault or [], share or [], passphrase_file or [])
        if role is Role.REVIEWER:
            means = with_reviewers(loaded, asked.scope, safes)
        elif role is Role.PROFESSIONAL_STANDARDS:
            means = with_standards(loaded, asked.scope, safes)
            asked = replace(asked, scope=replace(asked.scope, reports=True))
        else:
            means = with_custodians(loaded, safes, basis)
    _take(loaded, asked, means, certificates=certificates)


def asked_for(config: Config, scope: str, purpose: str, case: str) -> Asked:
    """Read what somebody asks for; a purpose is not optional."""
    if not scope.strip():
        raise UsageError("Say what to read with --scope, or give a --release.")
    if not purpose.strip():
        raise UsageError("Say what you read it for: --purpose is recorded with the look.")
    return Asked(text=scope, scope=scope_of(config, scope), purpose=purpose, case=case)


def asked_in(config: Config, requests: Sequence[Request]) -> Asked:
    """What the one request asks for that all releases answer."""
    first = requests[0]
    if any(one.rid != first.rid for one in requests):
        raise UsageError("These releases answer different requests: open them one by one.")
    return asked_for(config, first.scope, first.purpose, first.case)


def with_custodians(config: Config, safes: Sequence[Safe], ground: Ground) -> Means:
    """Open with every custodian's vault."""
    custodians = [safe.custodian for safe in safes]
    try:
        reader = Reader(config.origin, names_of(config), custodians)
    except CannotOpen as exc:
        raise CannotOpen(
            f"{exc}: ask for it with 'bluelamp ledger request', or open with both vaults"
        ) from None
    if ground is Ground.BREAK_GLASS:
        err.print(
            "BREAK GLASS: you read without anybody's approval. It goes on record as that, with "
            "your name, and somebody else will examine it ('bluelamp ledger unexamined').",
            style="bold red",
        )
    return Means(reader=reader, role=_roles("custodian", safes), basis=Basis(ground.value))


def with_releases(
    config: Config, found: Mapping[Path, Release], session: Path | None, safes: Sequence[Safe]
) -> Means:
    """Open what custodians released, together with the vaults that are here."""
    halves: dict[str, dict[Rid, bytes]] = {}
    for path, one in found.items():
        own = load_session(session, path, one.request.rid)
        halves.setdefault(one.custodian, {}).update(releasing.released(one, own))
    every = frozenset.intersection(*(frozenset(each) for each in halves.values()))
    reader = Reader(
        config.origin, names_of(config), [safe.custodian for safe in safes], granted=halves
    )
    who = " and ".join(sorted(halves))
    role = f"{_roles('custodian', safes) or 'asker'}, released by custodian {who}"
    return Means(
        reader=reader, role=role, basis=Basis.GRANTED, only=lambda header: header["rid"] in every
    )


def with_reviewers(config: Config, scope: Scope, safes: Sequence[Safe]) -> Means:
    """Open flagged records with the reviewers' vault."""
    if config.reviewers is None:
        raise UsageError("The configuration names no reviewers.")
    if len(safes) != 1 or safes[0].custodian.public != config.reviewers.identity:
        raise UsageError(f"Give the vault of {config.reviewers.name}, and no other.")
    if scope.room or scope.person or scope.hold:
        raise UsageError(
            "Reviewers hold no key to look for rooms, people or holds: name what was flagged by "
            "rid:, rule:, action:, class:, kind:, from: or to:."
        )
    reader = ReviewReader(config.origin, safes[0].custodian)
    return Means(
        reader=reader,
        role=_roles("reviewer", safes),
        basis=Basis.REVIEW,
        only=lambda header: reader.flagged(Rid(str(header["rid"]))),
    )


def with_standards(config: Config, scope: Scope, safes: Sequence[Safe]) -> Means:
    """Open reports with professional standards' vault, and nothing else."""
    if config.standards is None:
        raise UsageError("The configuration names no professional standards.")
    custody = config.standards.custody
    if len(safes) != 1 or safes[0].custodian.public != custody.identity:
        raise UsageError(f"Give the vault of {custody.name}, and no other.")
    if scope.room or scope.person or scope.hold:
        raise UsageError("A report names nobody outside: look for it by rid:, from: or to:.")
    return Means(
        reader=ReportReader(config.origin, safes[0].custodian),
        role=_roles("professional standards", safes),
        basis=Basis.STANDARDS,
        only=lambda header: header["kind"] == Kind.REPORT,
    )


def _roles(what: str, safes: Sequence[Safe]) -> str:
    """Who reads as what: a vault, and the officer whose passphrase opened it."""
    return " and ".join(
        f"{what} {safe.custodian.name}"
        + (f" ({safe.vault.who})" if safe.vault.who != safe.custodian.name else "")
        for safe in safes
    )


def record_look(config: Config, asked: Asked, means: Means) -> Rid:
    """Have a look on record, durably, before it is taken; return its name there."""
    look = Viewed(
        rid=new_rid(),
        who=who(),
        role=means.role,
        scope=asked.text,
        purpose=asked.purpose,
        case=asked.case,
        basis=means.basis,
    )
    asyncio.run(consult.record(config, [look], app.now))
    return look.rid


def _take(config: Config, asked: Asked, means: Means, *, certificates: bool = False) -> None:
    """Record the look, then show what it is at."""
    look = record_look(config, asked, means)
    shown, closed = 0, 0
    for header, body in opened(config, means.reader, asked.scope, only=means.only):
        if body is None:
            closed += 1
            continue
        inside, _, _ = body.partition(b"\n")  # a file's own bytes come after its first line
        line = msgspec.json.encode({**header, "opened": msgspec.Raw(inside)}).decode()
        if certificates:
            at = datetime.datetime.fromtimestamp(int(header["t"]) / 1000, config.zone)
            line = certificate(
                inside, status=str(header.get("status", "")), when=f"{at:%d %B %Y, %H:%M:%S}"
            )
        if line:
            shown += 1
            typer.echo(line)
    err.print(
        f"{shown} records shown. This look is recorded in {consult.consultations(config)} as "
        f"{look}."
    )
    if closed:
        err.print(f"{closed} records of this scope do not open with this key.", style="yellow")
        raise typer.Exit(2)


def request_records(
    context: typer.Context,
    scope: ScopeOption,
    purpose: PurposeOption,
    output: Annotated[Path, typer.Option("--out", "-o", help="Where to write the request.")],
    config: ConfigOption = None,
    case: CaseOption = "",
) -> None:
    """Ask the other custodian to release what a scope covers. The request is recorded first."""
    loaded = configuration(context, config)
    asked = asked_for(loaded, scope, purpose, case)
    at, seed = app.now(), secrets.token_bytes(32)
    made = Request(
        rid=new_rid(),
        origin=loaded.origin,
        who=who(),
        scope=asked.text,
        purpose=asked.purpose,
        case=asked.case,
        key=encode64(public_of(seed)),
        made=at,
        expires=at + VALID_MS,
    )
    releasing.check_request(made, origin=loaded.origin, now=at)
    look = Viewed(
        rid=Rid(made.rid),
        who=made.who,
        role="asker",
        scope=made.scope,
        purpose=made.purpose,
        case=made.case,
        basis=Basis.GRANTED,
    )
    asyncio.run(consult.record(loaded, [look], app.now))
    own = output.with_name(session_name(made.rid))
    session = Session(
        request=made.rid, seed=encode64(seed), expires=made.expires, asked=digest_of(made)
    )
    drop_sessions(own.parent, at)
    write_secret(own, msgspec.json.encode(session).decode())
    write_secret(output, msgspec.json.format(msgspec.json.encode(made)).decode())
    out.print(f"Hand {output} to the other custodian. Their answer can be opened for 7 days.")
    out.print(f"Keep {own}: without it nobody can open the answer. Hand it to nobody.")


def release_records(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help="What 'ledger request' wrote.")],
    vault: VaultOption,
    share: ShareOption,
    output: Annotated[Path, typer.Option("--out", "-o", help="Where to write the answer.")],
    config: ConfigOption = None,
    passphrase_file: PassphraseOption = None,
    checkpoint: CheckpointOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before releasing.")] = False,
) -> None:
    """Release this custodian's halves of what somebody asked for. It is recorded first."""
    loaded = configuration(context, config)
    asked = read_request(read_text(request, "the request"), origin=loaded.origin, now=app.now())
    scope = scope_of(loaded, asked.scope)
    custodian = open_one(vault, share, passphrase_file).custodian
    with watching("verifying") as progress:
        copy = LedgerCopy(
            config=loaded, now=app.now(), notes=read_checkpoints(checkpoint), progress=progress
        )
        halves = copy.releasable(custodian, scope)
    for name, value in (("who", asked.who), ("scope", asked.scope), ("purpose", asked.purpose),
                        ("case", asked.case or "none"), ("asked", _when(loaded, Ms(asked.made))),
                        ("records", str(len(halves)))):  # fmt: skip
        out.print(f"{name:>8}  {value}", markup=False)
    if not halves:
        raise UsageError("There is nothing of this scope that could be released.")
    if not yes:
        typer.confirm(f"Release {len(halves)} records to {asked.who}?", abort=True)
    by = f"{who()}, custodian {custodian.name}"
    grant = Granted(
        rid=new_rid(), request=Rid(asked.rid), by=by, scope=asked.scope, count=len(halves)
    )
    asyncio.run(consult.record(loaded, [grant], app.now))
    signed = releasing.release(custodian, asked, halves, grant=grant.rid, at=app.now())
    write_secret(output, msgspec.json.encode(signed).decode())
    out.print(f"Hand {output} to {asked.who}. Only the key of this request opens it.")


def unexamined(context: typer.Context, config: ConfigOption = None) -> None:
    """List looks in an emergency that nobody examined. Exit 1 if one is older than 7 days."""
    loaded = configuration(context, config)
    now = app.now()
    left = [look for look in consult.emergencies(loaded) if not look.examined]
    table = Table("look", "when", "days ago")
    for look in left:
        table.add_row(look.rid, _when(loaded, Ms(look.at)), str((now - look.at) // 86_400_000))
    out.print(table)
    out.print(f"{len(left)} looks were not examined.")
    if any(now - look.at > consult.EXAMINED_WITHIN_MS for look in left):
        raise typer.Exit(1)


def examine(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="The look, as 'ledger unexamined' names it.")],
    finding: Annotated[str, typer.Option(help="What you found; it is recorded.")],
    config: ConfigOption = None,
) -> None:
    """Put on record that a look in an emergency was examined, and what was found."""
    loaded = configuration(context, config)
    if not finding.strip():
        raise UsageError("Say what you found with --finding: it is recorded.")
    known = {look.rid: look for look in consult.emergencies(loaded)}
    if view not in known:
        raise UsageError(f"There is no look in an emergency {view!r} on record.")
    if known[view].examined:
        raise UsageError(f"The look {view} was examined already.")
    fact = Examined(view=Rid(view), by=who(), finding=finding)
    asyncio.run(consult.record(loaded, [fact], app.now))
    out.print(f"The examination of {view} is on record.")


def _when(config: Config, at: Ms) -> str:
    return f"{datetime.datetime.fromtimestamp(at / 1000, config.zone):%d %b %Y %H:%M}"
