"""`bluelamp keys destroy` and `order-erase`: what custodians do so that something is forgotten."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge.cli.common import ConfigOption, configuration, out, watching, who
from bridge.cli.keys import PassphraseOption, ShareOption, VaultOption, open_one
from bridge.cli.releases import (
    CheckpointOption,
    ReleaseOption,
    SessionOption,
    read_checkpoints,
    read_releases,
)
from bridge.config import Config, read_text
from bridge.errors import ConfigError, UsageError
from bridge.facts import Viewed
from bridge.ledger.holding import Ground, attest
from bridge.ledger.keys import Custodian
from bridge.ledger.record import new_rid
from bridge.model import Ms
from bridge.records import consult
from bridge.records.custody import (
    Granted,
    LedgerCopy,
    Progress,
    Saving,
    is_reviewer,
    newest_origin,
    refuse_stale,
    refuse_strangers,
)
from bridge.records.retention import DueFile, refuse_lasting
from bridge.records.safe import Safe
from bridge.running import app
from bridge.secret import write_secret
from bridge.verify import Unsound
from bridge.verify.headers import Kind
from bridge.verify.notes import unverified
from bridge.verify.papers import Order, Paper

_HOLD = "hold/"
_RID = re.compile(r"[0-9a-f]{32}").fullmatch

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """What is believed about holds: a file of the host's, or a copy of the ledger."""

    due: DueFile | None
    config: Config | None
    #: Checkpoints that were kept elsewhere, each with where it comes from.
    notes: Sequence[tuple[str, str]] = ()
    #: Where this custodian's looks are recorded: not beside the copy.
    own: Config | None = None

    def copy(self, now: Ms, progress: Progress) -> LedgerCopy | None:
        """The copy of the ledger, which verifies itself when it is used; None without one."""
        if self.config is None:
            return None
        notes = [*self.notes]
        if self.due is not None:
            notes.append(("the file of what is due", self.due.checkpoint))
        return LedgerCopy(config=self.config, now=now, notes=notes, progress=progress)


def destroy(
    context: typer.Context,
    vault: VaultOption,
    share: ShareOption,
    key: Annotated[
        list[str] | None,
        typer.Argument(
            help="Buckets such as social-2026-11, or hold/RID; all that the file of what is due "
            "names, if none.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write the attestation.")
    ] = None,
    config: ConfigOption = None,
    due: Annotated[
        Path | None, typer.Option(help="What the host's 'bluelamp retention due' wrote.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="A copy of the ledger, to save what is held.")
    ] = None,
    checkpoint: CheckpointOption = None,
    release: ReleaseOption = None,
    session: SessionOption = None,
    passphrase_file: PassphraseOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before destroying.")] = False,
) -> None:
    """Destroy keys whose time has come, after saving what is under hold; write an attestation."""
    own = configuration(context, config) if ledger else None
    sources = _Sources(
        due=_read_due(due) if due else None,
        config=replace(own, ledger=ledger) if own and ledger else None,
        notes=read_checkpoints(checkpoint),
        own=own,
    )
    if sources.notes and sources.config is None:
        raise UsageError("A checkpoint is held against a copy of the ledger: give --ledger COPY.")
    names = _named(key or [], sources)
    _refuse_withheld(names, sources.due)
    safe = open_one(vault, share, passphrase_file)
    buckets = [name for name in names if not name.startswith(_HOLD)]
    holds = [name.removeprefix(_HOLD) for name in names if name.startswith(_HOLD)]
    if buckets and output is None:
        raise UsageError("Say where to write the attestation: -o FILE.")
    if not buckets and not holds:
        out.print("Nothing is due that this vault has a key for.")
        return
    now = app.now()
    left = _check_due(safe.custodian, buckets, now) if buckets else []
    granted = read_releases(release, session, sources.config)
    with watching("verifying") as progress:
        copy = sources.copy(now, progress)
        _check_released(safe.custodian, holds, copy)
        if left and copy is not None:
            _record_look(safe.custodian, left, copy, sources.own)
        saving = _saving(safe.custodian, left, sources.due, copy, granted, now)
    _show_plan(safe.custodian, left, holds, saving)
    if left or holds:
        if not yes:
            typer.confirm("Destroy these keys now? This cannot be undone.", abort=True)
        _carry_out(safe, left, holds, saving)
    if output is not None:
        papers = [safe.custodian.attested[bucket] for bucket in buckets]
        _write(output, papers)
        out.print(f"The attestation is in {output}. On the bot's host:")
        out.print(f"  bluelamp retention run --attestation {output.name}", markup=False)


def _carry_out(safe: Safe, buckets: Sequence[str], holds: Sequence[str], saving: Saving) -> None:
    for bucket in buckets:
        attest(safe.custodian, bucket, saving.saved, saving.ground)
    for hold in holds:
        safe.custodian.holds.pop(hold)
    safe.change()
    out.print(
        f"{len(buckets) + len(holds)} keys are destroyed. The vault and the share are new; the old "
        "ones are overwritten. Any other copy of the old share must be destroyed, too."
    )


def _named(given: Sequence[str], sources: _Sources) -> list[str]:
    if sources.due is None and sources.config is None:
        raise UsageError(
            "Say what is known about holds: --due FILE of the host's 'bluelamp retention due', or "
            "--ledger COPY, or both."
        )
    if not given and sources.due is None:
        raise UsageError("Say which keys: buckets such as social-2026-11, or hold/RID.")
    names = list(dict.fromkeys(given or (sources.due.buckets if sources.due else ())))
    for name in names:
        if name.startswith(_HOLD) and sources.config is None:
            raise UsageError("To destroy what was saved for a hold, give --ledger COPY as well.")
    return names


def _refuse_withheld(names: Sequence[str], due: DueFile | None) -> None:
    """Refuse what people have retained, or have not decided about, as the host's file has it."""
    for name in names:
        if due is not None and name in due.withheld:
            raise UsageError(
                f"{name} stays: people have retained it, or not decided about it yet. On the bot's "
                "host 'bluelamp review list' says which."
            )


def _check_due(custodian: Custodian, buckets: Sequence[str], now: Ms) -> list[str]:
    """Refuse what is not due; return the buckets whose key is still here."""
    left = []
    for bucket in buckets:
        if bucket in custodian.attested:
            continue
        if bucket not in custodian.seeds:
            raise UsageError(f"This vault has no key for {bucket}; see 'bluelamp keys list'.")
        made = custodian.certificate(bucket)
        if now < made.expires:
            days = -(-(made.expires - now) // 86_400_000)
            raise UsageError(
                f"{bucket} must be kept for {days} more days: its key is not destroyed."
            )
        left.append(bucket)
    return left


def _check_released(custodian: Custodian, holds: Sequence[str], copy: LedgerCopy | None) -> None:
    for hold in holds:
        if hold not in custodian.holds:
            raise UsageError(f"This vault keeps nothing for hold {hold}; see 'bluelamp keys list'.")
        if copy is None or not copy.is_released(hold):
            raise UsageError(f"Hold {hold} is not released: its key is not destroyed.")


def _saving(
    custodian: Custodian,
    buckets: Sequence[str],
    due: DueFile | None,
    copy: LedgerCopy | None,
    granted: Granted,
    now: Ms,
) -> Saving:
    """Gather what must be saved of *buckets*."""
    if not buckets:
        return Saving(ground=Ground(origin="", checkpoint="", at=now), saved={})
    if copy is not None:
        if is_reviewer(copy.config, custodian):
            return Saving(ground=copy.ground(), saved={})
        return copy.gather(custodian, buckets, granted)
    if due is None:
        raise UsageError("Give --due FILE of the host's 'bluelamp retention due', or --ledger.")
    if due.holds:
        raise UsageError(
            f"{len(due.holds)} holds are active. Give a copy of the ledger with --ledger, so that "
            "what they cover can be saved first."
        )
    refuse_stale(Ms(due.seen), now, "the file of what is due")
    ground = Ground(origin=due.origin, checkpoint=due.checkpoint, at=now)
    return Saving(ground=ground, saved={})


def _record_look(
    custodian: Custodian, buckets: Sequence[str], copy: LedgerCopy, own: Config | None
) -> None:
    """Have on record that holds are opened, before they are."""
    if own is None or is_reviewer(own, custodian) or not copy.has_holds():
        return
    refuse_strangers(own, custodian)
    look = Viewed(
        rid=new_rid(),
        who=who(),
        role=f"custodian {custodian.name}",
        scope=f"kind:{Kind.HOLD}",
        purpose=f"to save what is held of {', '.join(buckets)}",
        case="",
    )
    asyncio.run(consult.record(own, [look], app.now))


def _show_plan(
    custodian: Custodian, buckets: Sequence[str], holds: Sequence[str], saving: Saving
) -> None:
    for bucket in buckets:
        out.print(f"destroy {custodian.name}'s key of {bucket}")
        for hold, by_bucket in sorted(saving.saved.items()):
            count = len(by_bucket.get(bucket, {}))
            out.print(f"  after saving {count} records for hold {hold}", style="dim")
    for hold in holds:
        out.print(f"destroy what {custodian.name} saved for hold {hold}, which is released")
    if not buckets and not holds:
        out.print("These keys are destroyed already; the attestation is written again.")


def _read_due(path: Path) -> DueFile:
    try:
        due = msgspec.json.decode(read_text(path, "the file of what is due"), type=DueFile)
        point = unverified(due.checkpoint)
    except msgspec.MsgspecError:
        raise ConfigError(
            str(path), None, "this is not a file of 'bluelamp retention due'"
        ) from None
    except Unsound as exc:
        raise ConfigError(str(path), None, f"its checkpoint is none: {exc}") from None
    if point.origin != due.origin:
        raise ConfigError(str(path), None, f"its checkpoint is of {point.origin}, not of its log")
    return due


def _write(path: Path, papers: object) -> None:
    write_secret(path, msgspec.json.format(msgspec.json.encode(papers)).decode())


def order_erase(
    context: typer.Context,
    rid: Annotated[str, typer.Argument(help="The record.")],
    reason: Annotated[str, typer.Option(help="Why; it becomes part of the record.")],
    vault: VaultOption,
    share: ShareOption,
    output: OutOption,
    config: ConfigOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Sign an order to erase one record; every custodian must sign one."""
    loaded = configuration(context, config)
    if not _RID(rid):
        raise UsageError(f"{rid!r} does not name a record: that takes 32 digits from 0 to f.")
    if not reason.strip():
        raise UsageError("Say why with --reason: it becomes part of the record.")
    custodian = open_one(vault, share, passphrase_file).custodian
    refuse_strangers(loaded, custodian)
    if loaded.ledger.exists():
        refuse_lasting(loaded, rid)
    order = Order(
        custodian=custodian.name,
        origin=newest_origin(loaded),
        rid=rid,
        ordered=app.now(),
        reason=reason,
    )
    paper: Paper = custodian.sign(order)
    _write(output, paper)
    out.print(f"The order is in {output}. On the bot's host, with every custodian's order:")
    out.print(f"  bluelamp erase {rid} --order {output.name} …", markup=False)
