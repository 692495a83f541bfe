"""The consultation ledger: who looked at what, who allowed it, who got it, who examined it.

Never has a word of what was looked at. It is a ledger like the other, with its own file, key and
anchor, on whatever machine people read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import msgspec

from bridge.config import Config, load_identity, load_policies
from bridge.errors import StoreLocked
from bridge.facts import Basis, Directed, Disclosed, Examined, Granted, Noted, Viewed
from bridge.model import Ms
from bridge.ports import Clock
from bridge.store import journal
from bridge.store.book import Identity
from bridge.store.directions import consultations_of, journal_beside
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from bridge.verify.headers import Kind

#: What the consultation ledger is asked to record.
Consulted: TypeAlias = Viewed | Granted | Disclosed | Directed | Examined | Noted
#: A store that nobody writes to is let go after so long: commands may want it.
LINGER_S = 2.0
#: A store that a command is writing to is asked for again so often, and for so long.
_AGAIN_S, _PATIENCE_S = 0.1, 10.0

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
    return consultations_of(config.ledger)


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
        standards=None,
        witnesses=(),
    )


async def record(config: Config, facts: Sequence[Consulted], clock: Clock) -> None:
    """Have *facts* on record, durably and under a signed checkpoint, before anything is shown.

    Raises:
        StoreError: it cannot be recorded; then nothing may be shown.
        NoCertificate: no custodian's key covers now.
    """
    recorder = Recorder(config, clock)
    try:
        await recorder.record(facts)
    finally:
        await recorder.close()


@dataclass(slots=True)
class Recorder:
    """Writes the consultation ledger for a process that lasts; lets go of it when nobody looks."""

    config: Config
    clock: Clock
    _identity: Identity | None = None
    _store: SqliteStore | None = None
    _leaving: asyncio.TimerHandle | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def record(
        self, facts: Sequence[Consulted], entries: Sequence[journal.Entry] = ()
    ) -> None:
        """Have *facts* on record under a signed checkpoint, and their words in the journal.

        *entries* are the words; what is left out is said as `words` says it.

        Raises:
            StoreError: it cannot be recorded; then nothing may be shown.
            NoCertificate: no custodian's key covers now.
        """
        async with self._turn:
            store = await self._open()
            try:
                await store.append(facts)
                await store.checkpoint()
            except BaseException:
                await self._let_go()
                raise
            said = entries or [words(fact, self.clock()) for fact in facts]
            await asyncio.to_thread(journal.add, journal_of(self.config), said)
            self._linger()

    async def close(self) -> None:
        """Let go of the file."""
        async with self._turn:
            await self._let_go()

    async def _open(self) -> SqliteStore:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        own, waited = consulting(self.config), 0.0
        while self._store is None:
            if self._identity is None or not own.ledger_key.exists():
                policy = await asyncio.to_thread(load_policies, self.config.policies, clock=None)
                self._identity = load_identity(own, policy)
            try:
                self._store = SqliteStore(own.ledger, self._identity, self.clock, anchor=own.anchor)
            except StoreLocked:
                if waited >= _PATIENCE_S:
                    raise
                waited += _AGAIN_S
                await asyncio.sleep(_AGAIN_S)
        return self._store

    def _linger(self) -> None:
        loop = asyncio.get_running_loop()
        leave: Callable[[], object] = lambda: loop.create_task(self.close())  # noqa: E731
        self._leaving = loop.call_later(LINGER_S, leave)

    async def _let_go(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._store is not None:
            store, self._store = self._store, None
            with contextlib.suppress(asyncio.CancelledError):
                await store.close()


def words(fact: Consulted, at: Ms) -> journal.Entry:
    """What a look that a command took is called in the journal, where log readers see it."""
    kind = journal.Category
    match fact:
        case Viewed():
            return journal.Entry(
                rid=fact.rid, at=at, category=kind.CONSULTATION, who=fact.who, role=fact.role,
                what="opened records by command", scope=fact.scope, purpose=fact.purpose,
                case=fact.case, basis=fact.basis.value,
            )  # fmt: skip
        case Granted():
            return journal.Entry(
                rid=fact.rid, at=at, category=kind.DISCLOSURE, who=fact.by, count=fact.count,
                what="released records by command", scope=fact.scope,
            )  # fmt: skip
        case Disclosed():
            return journal.Entry(
                rid=fact.rid, at=at, category=kind.DISCLOSURE, who=fact.who, role=fact.role,
                what="handed out records by command", scope=fact.scope, purpose=fact.purpose,
                case=fact.case, recipient=fact.recipient, count=fact.count,
            )  # fmt: skip
        case Directed():
            return journal.Entry(
                rid=fact.rid, at=at, category=kind.ALTERATION, who=fact.by, reason=fact.reason,
                what=f"decided by command: {fact.decision.value}",
            )  # fmt: skip
        case Examined():
            return journal.Entry(
                rid="", at=at, category=kind.CONSULTATION, who=fact.by, reason=fact.finding,
                what="examined a look by command",
            )  # fmt: skip
        case Noted():
            return journal.Entry(
                rid="", at=at, category=kind.ACCESS, who="somebody", what=fact.text
            )


def journal_of(config: Config) -> Path:
    """Where the readable copy of who looked lies."""
    return journal_beside(config.ledger)


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
