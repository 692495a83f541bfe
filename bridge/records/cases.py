"""What was put under a case: the records that its holds cover, also those that are over.

Never opens a message: only the holds, to know what they cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

import msgspec

from bridge.config import Config
from bridge.errors import BridgeError
from bridge.ledger.scope import Scope
from bridge.records.archive import Sight, Stack
from bridge.records.custody import scope_of
from bridge.store.entries import END, MARKED, Entry, Filter
from bridge.store.reader import Case, Hold, SqliteReader
from bridge.verify.headers import Kind
from bridge.verify.papers import Attestation, ShredBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Under:
    """One case, its holds, and what these cover as far as that can be told here."""

    case: Case
    holds: tuple[Hold, ...]
    covered: tuple[Filter, ...]
    #: Holds that do not open with what is open, or that name what is not known any more.
    closed: int


def case_of(config: Config, reference: str) -> tuple[Case, tuple[Hold, ...]] | None:
    """Find a case and its holds, oldest first; None if there is none of that reference.

    Raises:
        StoreError: the ledger cannot be read.
    """
    with closing(SqliteReader(config.ledger)) as reader:
        case = next((one for one in reader.cases() if one.reference == reference), None)
        if case is None:
            return None
        return case, tuple(one for one in reader.holds() if one.case == reference)


def under(config: Config, stack: Stack, sight: Sight, case: Case, holds: tuple[Hold, ...]) -> Under:
    """Say what the *holds* of a case cover."""
    saved = _saved(stack)
    entries = stack.index.get(one.rid for one in holds)
    found: list[Filter] = []
    closed = 0
    for one in sight.open(stack, entries.values()):
        try:
            scope = scope_of(config, _scope(one.inside)) if one.inside else None
        except (BridgeError, msgspec.MsgspecError, KeyError):
            scope = None
        if scope is None:
            closed += 1
        else:
            found.append(covered(scope, sight, saved))
    # What was kept of buckets whose keys are gone is known by name alone.
    kept = frozenset[str]().union(*(saved.get(one.rid, frozenset()) for one in holds))
    if kept:
        found.append(Filter(rids=kept))
    missing = len(holds) - len(entries)
    return Under(case=case, holds=holds, covered=tuple(found), closed=closed + missing)


def covered(scope: Scope, sight: Sight, saved: Mapping[str, frozenset[str]]) -> Filter:
    """The records that a scope covers, as the index finds them.

    Who somebody is must not come out by what was put under a case for them.
    """
    clear = scope.clear
    rids = frozenset({clear["rid"]}) if "rid" in clear else None
    if scope.hold is not None:
        of_hold = saved.get(scope.hold, frozenset())
        rids = of_hold if rids is None else rids & of_hold
    return Filter(
        kinds=frozenset({clear.get("kind", "")} - {""}),
        classes=frozenset({clear.get("class", "")} - {""}),
        actions=frozenset({clear.get("action", "")} - {""}),
        rules=frozenset({clear.get("rule", "")} - {""}),
        without=MARKED if scope.person is not None else frozenset(),
        start=scope.start or 0,
        end=END if scope.end is None else scope.end,
        rooms=None if scope.room is None else sight.tags("room", scope.room),
        senders=None if scope.person is None else sight.tags("sender", scope.person),
        rids=rids,
    )


def scopes(sight: Sight, stack: Stack, holds: Iterable[Entry]) -> dict[str, str]:
    """What those holds cover that open: hold → its scope, as it was recorded."""
    found = {}
    for one in sight.open(stack, holds):
        with suppress(msgspec.MsgspecError, KeyError):
            if one.inside:
                found[one.rid] = _scope(one.inside)
    return found


def _scope(inside: bytes) -> str:
    return str(msgspec.json.decode(inside, type=dict[str, object])["scope"])


def _saved(stack: Stack) -> dict[str, frozenset[str]]:
    """Hold → the records that custodians saved for it; `verify` is who checks signatures."""
    found: dict[str, frozenset[str]] = {}
    for _, row in stack.fetch(stack.of_kind(Kind.SHRED)):
        text = msgspec.json.decode(row.body or b"", type=ShredBody).attestation.text
        for wrap in msgspec.json.decode(text, type=Attestation).holds:
            found[wrap.hold] = found.get(wrap.hold, frozenset()) | frozenset(wrap.records)
    return found
