"""`bluelamp ledger prove` and `verify-pack`: one record, shown to whoever has no ledger of ours."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.cli.keys import PassphrasesOption, open_safes
from bridge.cli.reading import (
    CaseOption,
    Ground,
    PurposeOption,
    SharesOption,
    VaultsOption,
    asked_for,
    asked_in,
    record_look,
    with_custodians,
    with_releases,
)
from bridge.cli.releases import ReleaseOption, SessionOption, load_release
from bridge.config import Config, read_text
from bridge.errors import ConfigError, UsageError
from bridge.records.reading import Proven, halves_of, prove_record
from bridge.records.safe import Safe
from bridge.secret import write_secret
from bridge.verify import Unsound
from bridge.verify.headers import PLAIN
from bridge.verify.notes import Cosigner, Verifier
from bridge.verify.pack import Shown, check_pack, make_pack


def prove(
    context: typer.Context,
    rid: Annotated[str, typer.Argument(help="The record.")],
    output: Annotated[Path, typer.Option("--out", "-o", help="Where to write the pack.")],
    config: ConfigOption = None,
    purpose: PurposeOption = "",
    case: CaseOption = "",
    vault: VaultsOption = None,
    share: SharesOption = None,
    release: ReleaseOption = None,
    session: SessionOption = None,
    passphrase_file: PassphrasesOption = None,
) -> None:
    """Write a pack that proves one record; with the custodians' keys it shows the content, too."""
    loaded = configuration(context, config)
    proven = prove_record(loaded, rid)
    opened, how = (b"", b""), "that it is on record, and not what it says"
    if proven.header["kind"] in PLAIN:
        opened, how = (proven.row.body or b"", b""), "all of it: it was never sealed"
    elif vault or release:
        safes = open_safes(vault or [], share or [], passphrase_file or [])
        opened = _opened(loaded, proven, safes, list(release or []), session, purpose, case)
        how = "what it says, and no other record"
    witnesses = [one.key for one in loaded.witnesses]
    pack = make_pack(
        proven.row.header, proven.proof, proven.verifier, opened=opened, witnesses=witnesses
    )
    write_secret(output, pack.decode())
    out.print(f"{output} proves record {proven.row.seq} of {proven.verifier.name}: {how}.")
    out.print("Whoever gets it checks it with 'bluelamp ledger verify-pack', and should have the")
    out.print(f"ledger's key from elsewhere: {proven.verifier}", markup=False)


def _opened(
    config: Config,
    proven: Proven,
    safes: Sequence[Safe],
    releases: Sequence[Path],
    session: Path | None,
    purpose: str,
    case: str,
) -> tuple[bytes, bytes]:
    """Record the look, then return the body and the halves of its key."""
    if proven.row.body is None:
        raise UsageError("The content of this record is deleted: prove it without the vaults.")
    if releases:
        found = {path: load_release(path, config) for path in releases}
        asked = asked_in(config, [one.request for one in found.values()])
        means = with_releases(config, found, session, safes)
    else:
        asked = asked_for(config, f"rid:{proven.header['rid']}", purpose, case)
        means = with_custodians(config, safes, Ground.CUSTODIANS)
    if not means.only(proven.header):
        raise UsageError("This record was not released.")
    record_look(config, asked, means)
    return proven.row.body, halves_of(config, means.reader, proven.header)


def verify_pack(
    pack: Annotated[Path, typer.Argument(help="What 'ledger prove' wrote.")],
    verifier: Annotated[
        Path | None,
        typer.Option(help="The ledger's public key, from a source that you trust."),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(help="A witness's public key, as it publishes it; repeatable."),
    ] = None,
    content: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the content to this file.")
    ] = None,
) -> None:
    """Check a pack without anything else of ours. Exit 0 proven · 1 not · 2 by its own key only."""
    known = Verifier.parse(read_text(verifier, "the ledger's key")) if verifier else None
    named = [Cosigner.parse(one) for one in witness or ()]
    try:
        raw = pack.read_bytes()
    except OSError as exc:
        raise ConfigError(str(pack), None, f"the pack cannot be read: {exc.strerror}") from None
    shown = check_pack(raw, verifier=known, witnesses=named)
    if missing := sorted({one.name for one in named} - shown.witnessed.keys()):
        raise Unsound(f"the checkpoint in this pack is not signed by {', '.join(missing)}")
    _show(shown, shown.witnessed if named else {})
    if not named:
        err.print(
            "Nobody but the ledger itself vouches for when this was written: give the key of a "
            "witness with --witness.",
            style="yellow",
        )
    if content is not None:
        if shown.content is None:
            raise UsageError("This pack does not show the content.")
        content.write_bytes(shown.content)
    if not shown.pinned:
        err.print(
            "Checked against the key that the pack itself names: whoever made the pack could have "
            "made that, too. Get the ledger's key from a source that you trust, and give it with "
            "--verifier.",
            style="bold yellow",
        )
        raise typer.Exit(2)


def _show(shown: Shown, witnessed: Mapping[str, int]) -> None:
    header, point = shown.header, shown.checkpoint
    out.print(f"Proven: record {shown.index} of {point.origin}, a {header['kind']} record,")
    out.print(f"written {_utc(int(header['t']) // 1000)}, {header['rid']}")
    out.print(
        f"It stands in the ledger of {point.size} records under {shown.verifier}", markup=False
    )
    for name, at in sorted(witnessed.items()):
        out.print(f"The witness {name} had seen that by {_utc(at)}.", markup=False)
    if shown.content is None:
        out.print("The pack does not show what it says.")
        return
    # A file's own bytes come after its first line; --out writes them.
    line, _, rest = shown.content.partition(b"\n")
    typer.echo(line.decode("utf-8", "replace"))
    if rest:
        err.print(f"and {len(rest)} bytes of a file; write them with --out", style="dim")


def _utc(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%d %b %Y %H:%M:%S} UTC"
