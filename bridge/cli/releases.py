"""What commands share that read files of `ledger request` and `ledger release`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge.config import Config, read_text
from bridge.errors import ConfigError, UsageError
from bridge.ledger.release import Release, Session, SignedRelease, check_request, released
from bridge.model import Ms, Rid
from bridge.running import app
from bridge.secret import read_secret

ReleaseOption = Annotated[
    list[Path] | None,
    typer.Option(help="What another custodian's 'ledger release' wrote; repeatable."),
]
SessionOption = Annotated[
    Path | None,
    typer.Option(help="The request's private key; looked for beside the release if not given."),
]

CheckpointOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint", help="A checkpoint that was kept elsewhere; repeatable.",
        show_default=False,
    ),
]  # fmt: skip


def read_checkpoints(paths: Sequence[Path] | None) -> list[tuple[str, str]]:
    """Read checkpoints that the copy must contain, each with where it comes from."""
    return [(str(path), read_text(path, "the checkpoint")) for path in paths or ()]


def session_name(request: str) -> str:
    """What the file with the private half of a request's key is called."""
    return f"session-{request}.key"


def load_release(path: Path, config: Config) -> Release:
    """Read one release, and check who signed it and that it can still be used.

    Raises:
        ConfigError: the file is none.
        Unsound: it is not signed by a custodian that is pinned, or is too old.
    """
    try:
        signed = msgspec.json.decode(read_text(path, "the release"), type=SignedRelease)
    except msgspec.MsgspecError:
        raise ConfigError(str(path), None, "this is not a file of 'ledger release'") from None
    drop_sessions(path.parent, app.now())
    found = signed.check({one.name: one.identity for one in config.custodians})
    check_request(found.request, origin=config.origin, now=app.now())
    return found


def drop_sessions(folder: Path, now: Ms) -> None:
    """Delete the private halves of requests in *folder* that no answer can be opened with."""
    for path in folder.glob(session_name("*")):
        try:
            own = msgspec.json.decode(path.read_bytes(), type=Session)
        except (OSError, msgspec.MsgspecError):
            continue  # not one of ours
        if own.expires <= now:
            path.unlink(missing_ok=True)


def load_session(path: Path | None, release: Path, request: str) -> Session:
    """Read the private half of a request's key.

    Raises:
        ConfigError: it is not where it should be.
    """
    name = session_name(request)
    places = [path] if path else [release.with_name(name), Path(name)]
    where = next((one for one in places if one.exists()), None)
    if where is None:
        raise ConfigError(
            str(places[0]), None,
            "the request's private key should be here; name it with --session. Only who asked has "
            "it",
        )  # fmt: skip
    try:
        return msgspec.json.decode(read_secret(where, "the request's key"), type=Session)
    except msgspec.MsgspecError:
        raise ConfigError(str(where), None, "this is not the key of a request") from None


def read_releases(
    paths: Sequence[Path] | None, session: Path | None, config: Config | None
) -> dict[str, dict[Rid, bytes]]:
    """Open releases: custodian → record → their half.

    Raises:
        UsageError: releases are given without anything that they are of.
    """
    granted: dict[str, dict[Rid, bytes]] = {}
    for path in paths or ():
        if config is None:
            raise UsageError("A release is of a ledger: give --ledger COPY as well.")
        found = load_release(path, config)
        own = load_session(session, path, found.request.rid)
        granted.setdefault(found.custodian, {}).update(released(found, own))
    return granted
