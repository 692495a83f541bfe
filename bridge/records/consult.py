"""The consultation ledger: who looked at what, who allowed it, who examined it afterwards.

Never has a word of what was looked at. It is a ledger like the other, with its own file, key and
anchor, on whatever machine people read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bridge.config import Config, load_identity, load_policies
from bridge.facts import Basis, Examined, Granted, Viewed
from bridge.model import Ms
from bridge.ports import Clock
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from bridge.verify.headers import Kind

#: A look that nobody approved beforehand is to be examined within this time.
EXAMINED_WITHIN_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Look:
    """A look in an emergency, as far as it shows without a key."""

    rid: str
    at: Ms
    examined: bool


def consultations(config: Config) -> Path:
    """Where looks are recorded: beside the ledger that is looked at."""
    return config.ledger.with_name("consultations.db")


def consulting(config: Config) -> Config:
    """The consultation ledger of *config*, as `check_ledger` and the store want to know it."""
    own = config.ledger_key.with_name("consultations.key")
    # Those that were begun before it had a key of its own go on under the ledger's.
    begun = consultations(config).exists() and not own.exists() and config.ledger_key.exists()
    return replace(
        config,
        ledger=consultations(config),
        origin=f"{config.origin}/consultations",
        ledger_key=config.ledger_key if begun else own,
        anchor=config.anchor.parent / "consultations" / "checkpoint" if config.anchor else None,
        reviewers=None,
        witnesses=(),
    )


async def record(
    config: Config, facts: Sequence[Viewed | Granted | Examined], clock: Clock
) -> None:
    """Have *facts* on record, durably and under a signed checkpoint, before anything is shown.

    Raises:
        StoreError: it cannot be recorded; then nothing may be shown.
        NoCertificate: no custodian's key covers now.
    """
    own = consulting(config)
    identity = load_identity(own, load_policies(config.policies, clock=None))
    store = SqliteStore(own.ledger, identity, clock, anchor=own.anchor)
    try:
        await store.append(facts)
        await store.checkpoint()
    finally:
        await store.close()


def emergencies(config: Config) -> list[Look]:
    """Every look under `Basis.BREAK_GLASS`, oldest first; none where nobody ever looked.

    Raises:
        StoreError: the consultation ledger cannot be read.
    """
    if not consultations(config).exists():
        return []
    reader = SqliteReader(consultations(config))
    found: dict[str, Look] = {}
    try:
        for row in reader.rows():
            header = msgspec.json.decode(row.header, type=dict[str, str | int])
            if header["kind"] == Kind.VIEW and header.get("status") == Basis.BREAK_GLASS:
                rid = str(header["rid"])
                found[rid] = Look(rid, Ms(int(header["t"])), examined=False)
            elif header["kind"] == Kind.EXAMINATION and (ref := str(header.get("ref"))) in found:
                found[ref] = replace(found[ref], examined=True)
    finally:
        reader.close()
    return list(found.values())
