"""`bluelamp keys`: a custodian's keys, on the custodian's own machine."""

from __future__ import annotations

import datetime
import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge.cli.common import ConfigOption, config_path, err, out
from bridge.config import load_config, load_policies
from bridge.errors import CannotOpen, ConfigError, UsageError
from bridge.ledger.keys import Custodian, public_of, seal_to, unseal_with
from bridge.policy import Policy
from bridge.records.safe import Safe, make_safe, officers_of, open_safe
from bridge.running import app
from bridge.secret import read_secret
from bridge.verify.notes import decode64, encode64

cli = typer.Typer(help="A custodian's keys to content.", no_args_is_help=True)

VaultOption = Annotated[Path, typer.Option(help="The custodian's vault file.")]
ShareOption = Annotated[
    Path, typer.Option(help="The share file: keep it apart from the vault, as on a USB stick.")
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(help="A file with the passphrase; without one you are asked.", show_default=False),
]
VaultsOption = Annotated[
    list[Path], typer.Option("--vault", help="A custodian's vault file; repeat for a second one.")
]
SharesOption = Annotated[
    list[Path], typer.Option("--share", help="The share file that belongs to it; repeat likewise.")
]
PassphrasesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--passphrase-file",
        help="A file with its passphrase; without one you are asked.",
        show_default=False,
    ),
]
MonthsOption = Annotated[int, typer.Option(min=1, max=60, help="How many months ahead.")]
PoliciesOption = Annotated[
    Path | None,
    typer.Option("--policies", help="A folder of policies, instead of the configured one."),
]
SHORTEST = 12


@cli.command()
def init(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The custodian's name, such as psd.")],
    vault: VaultOption,
    share: ShareOption,
    certificates: Annotated[Path, typer.Option(help="Where to write the bot host's file.")],
    config: ConfigOption = None,
    policies: PoliciesOption = None,
    months: MonthsOption = 14,
    passphrase_file: PassphraseOption = None,
    who: Annotated[
        str, typer.Option(help="The officer whose passphrase it is; the custodian's name if none.")
    ] = "",
    reviewers: Annotated[
        bool, typer.Option("--reviewers", help="Not a custodian, but who reads flagged messages.")
    ] = False,
    standards: Annotated[
        bool,
        typer.Option(
            "--professional-standards", help="Not a custodian, but who alone opens reports."
        ),
    ] = False,
) -> None:
    """Make a custodian: a vault, a share, and the certificates for the bot's host."""
    if reviewers and standards:
        raise UsageError("Reviewers and professional standards need a vault each.")
    for path in (vault, share):
        if path.exists():
            raise UsageError(f"{path} exists already; 'keys init' never overwrites a key.")
    custodian = Custodian.new(name)
    passphrase = ask_passphrase(passphrase_file, fresh=True)
    count = _issue(custodian, _policy(context, config, policies), months)
    make_safe(vault, share, custodian, passphrase, who=who or name)
    _export(custodian, certificates)
    out.print(f"{count} bucket keys made and certified. In the bot's config.yaml:")
    first, dash = ("reviewers", "  ") if reviewers else ("custodians", "  - ")
    first, dash = ("professional_standards", "  ") if standards else (first, dash)
    team = "  team: who they are to officers\n" if standards else ""
    pad = " " * len(dash)
    out.print(
        f"\n{first}:\n{dash}name: {name}\n{pad}identity: {encode64(custodian.public)}\n"
        f"{pad}certificates: {certificates}\n{team}",
        markup=False,
    )
    if standards:
        out.print(
            "Who holds this vault opens reports, and nothing else does: losing it loses them. "
            "Destroy its keys when the custodians destroy theirs.",
            style="bold yellow",
        )
        return
    if reviewers:
        out.print(
            "Who holds this vault reads flagged messages without the custodians; rooms' cards say "
            "so. Destroy its keys when the custodians destroy theirs.",
            style="bold yellow",
        )
        return
    out.print(
        "This is one custodian: who holds this vault reads everything alone. A force should have "
        "two, in different departments, each on their own machine. Never keep the vault on the "
        "bot's host, and keep the share apart from the vault.",
        style="bold yellow",
    )


@cli.command()
def issue(
    context: typer.Context,
    vault: VaultOption,
    share: ShareOption,
    certificates: Annotated[Path, typer.Option(help="Where to write the bot host's file.")],
    config: ConfigOption = None,
    policies: PoliciesOption = None,
    months: MonthsOption = 14,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make and certify the keys of the coming months that are missing."""
    safe = open_one(vault, share, passphrase_file)
    count = _issue(safe.custodian, _policy(context, config, policies), months)
    safe.save()
    _export(safe.custodian, certificates)
    out.print(
        f"{count} new bucket keys. Hand {certificates} to the bot's host and restart the bot."
    )


@cli.command("list")
def list_keys(
    vault: VaultOption, share: ShareOption, passphrase_file: PassphraseOption = None
) -> None:
    """List the bucket keys in a vault, and what it keeps for holds. Shows no secret."""
    custodian = open_one(vault, share, passphrase_file).custodian
    for bucket in sorted(custodian.seeds):
        made = custodian.certificate(bucket)
        due = "; due to be destroyed" if app.now() >= made.expires else ""
        span = f"{_day(made.start)} to {_day(made.end - 1)}"
        out.print(f"{bucket:<24} {span}, kept until {_day(made.expires)}{due}", markup=False)
    for bucket in sorted(custodian.attested):
        out.print(f"{bucket:<24} destroyed", markup=False)
    for hold in sorted(custodian.holds):
        out.print(f"hold/{hold} kept until the hold is released", markup=False)
    out.print(f"custodian {custodian.name}, identity {encode64(custodian.public)}")


@cli.command()
def drill(
    vault: VaultOption,
    share: ShareOption,
    passphrase_file: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file with an officer's passphrase, repeatable; without one each is asked.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Prove that the officers' passphrases open the vault, and that every key in it works."""
    names = officers_of(vault, share)
    proven: set[str] = set()
    safe: Safe | None = None
    given: list[Path | None] = [*(passphrase_file or [])] or [None] * max(1, len(names))
    for file in given:
        label = "Passphrase of an officer (empty if none is left here)"
        passphrase = ask_passphrase(file, fresh=False, prompt=label, optional=True)
        if passphrase:
            safe = open_safe(vault, share, passphrase)
            proven.add(safe.vault.who)
    if safe is None:
        raise UsageError("Nobody gave a passphrase: nothing was proved.")
    count = _try_keys(safe.custodian)
    _write_down(vault, f"{', '.join(sorted(proven))} opened the vault; {count} keys work")
    out.print(f"{count} keys seal and unseal. Opened by: {', '.join(sorted(proven))}.")
    missing = sorted(set(names) - proven)
    if missing:
        err.print(f"Not proved today: {', '.join(missing)}.", style="yellow")
    if len(safe.vault.slots) == 1:
        err.print(
            "This vault has one slot. If that officer is ill, leaves, or forgets, everything "
            "sealed is lost: more than one officer's key should open a role's vault. Add one with "
            "'bluelamp keys deputy --who NAME'.",
            style="bold yellow",
        )
    if missing or len(safe.vault.slots) == 1:
        raise typer.Exit(2)


def _try_keys(custodian: Custodian) -> int:
    """Seal something to every key's public half, as its certificate has it, and unseal it."""
    for bucket in custodian.seeds:
        public, secret = custodian.certificate(bucket).key, secrets.token_bytes(32)
        if (
            custodian.unseal(bucket, seal_to(decode64(public), secret, b"drill"), b"drill")
            != secret
        ):
            raise CannotOpen(f"the key of {bucket} does not open what was sealed to it")
    for hold, seed in custodian.holds.items():
        secret = secrets.token_bytes(32)
        if unseal_with(seed, seal_to(public_of(seed), secret, b"drill"), b"drill") != secret:
            raise CannotOpen(f"the key of hold {hold} does not open what was sealed to it")
    return len(custodian.seeds) + len(custodian.holds)


def _write_down(vault: Path, what: str) -> None:
    """Add a dated line to the drill log beside the vault."""
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path = vault.with_name(vault.name + ".drills")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{at} {what}\n")
        file.flush()
        os.fsync(file.fileno())


@cli.command()
def deputy(
    vault: VaultOption,
    share: ShareOption,
    who: Annotated[str, typer.Option(help="The officer who is to open this vault, too.")] = "",
    remove: Annotated[str, typer.Option(help="The officer who is to open it no longer.")] = "",
    passphrase_file: PassphraseOption = None,
    deputy_passphrase_file: Annotated[
        Path | None,
        typer.Option(help="A file with the new officer's passphrase.", show_default=False),
    ] = None,
) -> None:
    """Let another officer open a vault with a passphrase of their own, or take that away."""
    if bool(who) == bool(remove):
        raise UsageError("Say --who NAME to add an officer, or --remove NAME.")
    safe = open_one(vault, share, passphrase_file)
    if remove:
        replace(safe, vault=safe.vault.without_slot(remove)).change()
        out.print(
            f"{remove} opens this vault no longer; root and share are new. Copies of the old vault "
            "and share together still open with the old passphrase."
        )
        return
    fresh = ask_passphrase(
        deputy_passphrase_file, fresh=True, prompt=f"New passphrase, typed by {who}"
    )
    replace(safe, vault=safe.vault.with_slot(who, fresh)).save()
    out.print(f"{who} opens this vault now. Prove it with 'bluelamp keys drill'.")


@cli.command("export-certificates")
def export_certificates(
    vault: VaultOption,
    share: ShareOption,
    output: Annotated[Path, typer.Option("--out", "-o", help="Where to write them.")],
    passphrase_file: PassphraseOption = None,
) -> None:
    """Write the public file for the bot's host again."""
    custodian = open_one(vault, share, passphrase_file).custodian
    _export(custodian, output)
    out.print(f"{len(custodian.seeds)} certificates of {custodian.name} are in {output}.")


def _export(custodian: Custodian, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(custodian.bundle()))


def _day(at: int) -> str:
    return f"{datetime.datetime.fromtimestamp(at / 1000, datetime.UTC):%d %b %Y}"


def _issue(custodian: Custodian, policy: Policy, months: int) -> int:
    today = datetime.datetime.now(datetime.UTC)
    return custodian.issue_ahead(
        policy.retention, year=today.year, month=today.month, months=months
    )


def unlock_vaults(
    vaults: Sequence[Path], shares: Sequence[Path], passphrases: Sequence[Path]
) -> list[Custodian]:
    """Open custodians' vaults, asking for each passphrase unless files have them."""
    return [safe.custodian for safe in open_safes(vaults, shares, passphrases)]


def open_safes(
    vaults: Sequence[Path], shares: Sequence[Path], passphrases: Sequence[Path]
) -> list[Safe]:
    """Open several vaults, asking for each passphrase unless files have them."""
    if len(vaults) != len(shares) or len(passphrases) not in {0, len(vaults)}:
        raise UsageError("Give one --share, and one or no --passphrase-file, for each --vault.")
    files: list[Path | None] = list(passphrases) or [None] * len(vaults)
    return [
        open_one(vault, share, file, prompt=f"Passphrase of {vault}")
        for vault, share, file in zip(vaults, shares, files, strict=True)
    ]


def open_one(
    vault: Path, share: Path, passphrase_file: Path | None, *, prompt: str = "Passphrase"
) -> Safe:
    """Open a vault, asking for its passphrase unless a file has it."""
    return open_safe(vault, share, ask_passphrase(passphrase_file, fresh=False, prompt=prompt))


def ask_passphrase(
    file: Path | None, *, fresh: bool, prompt: str = "Passphrase", optional: bool = False
) -> str:
    """Read a passphrase from a file or, unseen, from whoever sits here; *fresh* ones twice."""
    if file is not None:
        passphrase = read_secret(file, "the passphrase")
    else:
        default = "" if optional else None
        passphrase = str(
            typer.prompt(prompt, hide_input=True, confirmation_prompt=fresh, default=default,
                         show_default=False)
        )  # fmt: skip
    if fresh and len(passphrase) < SHORTEST:
        raise ConfigError(
            str(file or "passphrase"), None, f"it needs at least {SHORTEST} characters"
        )
    return passphrase


def _policy(context: typer.Context, config: Path | None, policies: Path | None) -> Policy:
    if policies is None:
        path = config_path(context, config)
        if not path.exists():
            raise UsageError(
                "Give --policies FOLDER: the keys are made for the retention classes of the "
                "policies, and there is no configuration yet that would name them."
            )
        policies = load_config(path).policies
    return load_policies(policies, clock=None)
