"""`bluelamp keys`: a custodian's keys, on the custodian's own machine."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge.cli.common import ConfigOption, config_path, out
from bridge.config import load_config, load_policies
from bridge.errors import ConfigError, UsageError
from bridge.ledger.keys import Custodian
from bridge.ledger.vault import SHARE_BYTES, lock
from bridge.policy import Policy
from bridge.reading import open_vault
from bridge.secret import read_secret, write_secret
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
) -> None:
    """Make a custodian: a vault, a share, and the certificates for the bot's host."""
    for path in (vault, share):
        if path.exists():
            raise UsageError(f"{path} exists already; 'keys init' never overwrites a key.")
    custodian = Custodian.new(name)
    passphrase = _passphrase(passphrase_file, fresh=True)
    count = _issue(custodian, _policy(context, config, policies), months)
    own = secrets.token_bytes(SHARE_BYTES)
    write_secret(share, encode64(own))
    write_secret(vault, lock(custodian, passphrase, own).decode())
    certificates.parent.mkdir(parents=True, exist_ok=True)
    certificates.write_bytes(msgspec.json.encode(custodian.bundle()))
    out.print(f"{count} bucket keys made and certified. In the bot's config.yaml:")
    out.print(
        f"\ncustodians:\n  - name: {name}\n    identity: {encode64(custodian.public)}\n"
        f"    certificates: {certificates}\n",
        markup=False,
    )
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
    passphrase = _passphrase(passphrase_file, fresh=False)
    own = decode64(read_secret(share, "the share"))
    custodian = open_vault(vault, share, passphrase)
    count = _issue(custodian, _policy(context, config, policies), months)
    write_secret(vault, lock(custodian, passphrase, own).decode())
    certificates.write_bytes(msgspec.json.encode(custodian.bundle()))
    out.print(
        f"{count} new bucket keys. Hand {certificates} to the bot's host and restart the bot."
    )


def _issue(custodian: Custodian, policy: Policy, months: int) -> int:
    today = datetime.datetime.now(datetime.UTC)
    return custodian.issue_ahead(
        policy.retention, year=today.year, month=today.month, months=months
    )


def unlock_vaults(
    vaults: Sequence[Path], shares: Sequence[Path], passphrases: Sequence[Path]
) -> list[Custodian]:
    """Open custodians' vaults, asking for each passphrase unless files have them."""
    if len(vaults) != len(shares) or len(passphrases) not in {0, len(vaults)}:
        raise UsageError("Give one --share, and one or no --passphrase-file, for each --vault.")
    files: list[Path | None] = list(passphrases) or [None] * len(vaults)
    return [
        open_vault(vault, share, _passphrase(file, fresh=False, whose=str(vault)))
        for vault, share, file in zip(vaults, shares, files, strict=True)
    ]


def _passphrase(file: Path | None, *, fresh: bool, whose: str = "") -> str:
    if file is not None:
        passphrase = read_secret(file, "the passphrase")
    else:
        passphrase = str(
            typer.prompt(
                f"Passphrase of {whose}" if whose else "Passphrase",
                hide_input=True,
                confirmation_prompt=fresh,
            )
        )
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
