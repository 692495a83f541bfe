"""The last days at a glance, from what stands in the clear: no key is needed, and no word is read.

Never says more than the record shows: what was not captured shows as a gap, and no gap as none.
"""

from __future__ import annotations

import datetime
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bridge.config import Config, load_certificates
from bridge.errors import BridgeError
from bridge.ledger.keys import DAY_MS
from bridge.model import Ms, Queue
from bridge.records import retention
from bridge.records.archive import Stack
from bridge.store.entries import Entry, Facet, Filter
from bridge.verify.headers import EVENTS, Kind

#: Certificates that end within so long are to be renewed.
RENEW_MS = 30 * DAY_MS
#: Referrals that are looked at, the newest; whoever lists them says where there are more.
MOST = 2_000
#: So many series a chart tells apart, besides the rest.
_APART = 5
_MESSAGES = frozenset({Kind.MESSAGE.value, Kind.LATE.value, Kind.UNDECRYPTABLE.value})
_RIGHT = frozenset({"restored", "false_positive"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Some numbers for each day."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the last days were like."""

    days: tuple[datetime.date, ...]
    #: Messages by class of room; what was done; what was captured; time to removal, seconds.
    messages: tuple[Series, ...]
    actions: tuple[Series, ...]
    capture: tuple[Series, ...]
    removal: tuple[Series, ...]
    #: What people put back, by the rule that had taken it out: those that did so most, and others.
    restored: tuple[Series, ...]
    #: Rule → (found right, found wrong).
    rules: Mapping[str, tuple[int, int]]
    #: Records in all, and those of an event that could not be read in these days.
    records: int
    unreadable: int
    gaps: int


def figures(stack: Stack, zone: ZoneInfo, now: Ms, *, days: int = 14, size: int = 0) -> Figures:
    """Count the last *days*, today included."""
    today = datetime.datetime.fromtimestamp(now / 1000, zone).date()
    shown = tuple(today - datetime.timedelta(days=n) for n in range(days - 1, -1, -1))
    place = {day: n for n, day in enumerate(shown)}
    first = datetime.datetime.combine(shown[0], datetime.time(), zone)
    start = int(first.timestamp() * 1000)
    counts: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * days)
    rules: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for at, facet, count in stack.index.tallies(start, now + DAY_MS):
        day = place.get(datetime.datetime.fromtimestamp(at / 1000, zone).date())
        if day is None:
            continue
        for group, name in _groups(facet):
            counts[group, name][day] += count
        if facet.kind == Kind.DECISION:
            rules[facet.rule][facet.what in _RIGHT] += count
    return Figures(
        days=shown,
        messages=_series(counts, "messages", ("social", "operational", "community"), days),
        actions=_series(counts, "actions", ("nudge", "redirect", "quarantine"), days),
        capture=_series(counts, "capture", ("read", "not read", "gaps"), days),
        removal=_removal(stack, zone, place, start),
        restored=_most(counts, "restored", days),
        rules={rule: (right, wrong) for rule, (right, wrong) in sorted(rules.items())},
        records=size,
        unreadable=int(sum(counts["capture", "not read"])),
        gaps=int(sum(counts["capture", "gaps"])),
    )


def _groups(facet: Facet) -> Iterable[tuple[str, str]]:
    if facet.kind in _MESSAGES and facet.cls:
        yield "messages", facet.cls
    if facet.kind == Kind.VERDICT and facet.action in {"nudge", "redirect", "quarantine"}:
        yield "actions", facet.action
    if facet.kind == Kind.UNDECRYPTABLE:
        yield "capture", "not read"
    elif facet.kind in EVENTS and facet.kind != Kind.MEDIA:
        yield "capture", "read"
    elif facet.kind == Kind.GAP:
        yield "capture", "gaps"
    elif facet.kind == Kind.DECISION and facet.has("restored"):
        yield "restored", facet.rule


def _series(
    counts: Mapping[tuple[str, str], list[float]], group: str, always: Sequence[str], days: int
) -> tuple[Series, ...]:
    names = [*always, *sorted({name for one, name in counts if one == group} - set(always))]
    zero = (0.0,) * days
    return tuple(
        Series(name=name, values=tuple(counts[group, name]) if (group, name) in counts else zero)
        for name in names
    )


def _most(
    counts: Mapping[tuple[str, str], list[float]], group: str, days: int
) -> tuple[Series, ...]:
    """Those with the most, as many as a chart can tell apart; the others together."""
    every = sorted(_series(counts, group, (), days), key=lambda one: -sum(map(_known, one.values)))
    others = [one.values for one in every[_APART:]]
    if not others:
        return tuple(every)
    together = tuple(sum(map(_known, each)) for each in zip(*others, strict=True))
    return (*every[:_APART], Series(name="other rules", values=together))


def _known(value: float | None) -> float:
    return value or 0.0


def _removal(
    stack: Stack, zone: ZoneInfo, place: Mapping[datetime.date, int], start: int
) -> tuple[Series, ...]:
    """The median and the slowest of ten, in seconds, of each day's removals."""
    by_day: dict[int, list[float]] = defaultdict(list)
    for at, took in stack.index.removals(start, 20_000):
        day = place.get(datetime.datetime.fromtimestamp(at / 1000, zone).date())
        if day is not None and took >= 0:
            by_day[day].append(took / 1000)
    middle = tuple(statistics.median(by_day[n]) if by_day[n] else None for n in range(len(place)))
    slow = tuple(
        sorted(by_day[n])[int(0.9 * (len(by_day[n]) - 1))] if by_day[n] else None
        for n in range(len(place))
    )
    return Series(name="median", values=middle), Series(name="nine of ten within", values=slow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for a person."""

    #: Queue → verdicts that nobody has decided.
    queues: Mapping[str, int]
    #: Buckets whose key should be destroyed, and for how many holds some of it stays.
    due: int
    holds: int
    #: (whose certificates, when the last ends) of those that end soon.
    ending: tuple[tuple[str, Ms], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """Something that a person has to decide."""

    #: The verdict, and the record in which its sender appealed; None where the bot itself asks.
    verdict: Entry
    appeal: Entry | None = None

    @property
    def at(self) -> Ms:
        """When it was raised."""
        return Ms((self.appeal or self.verdict).t)


def matters(stack: Stack, queues: frozenset[str], decided: Mapping[str, int]) -> list[Matter]:
    """What nobody has decided yet, newest first: what the bot referred, and what was appealed.

    *decided* says when somebody decided about a verdict in the console: the bot may not have
    carried that out yet.
    """
    wanted = Filter(kinds=frozenset({Kind.VERDICT.value}), whats=queues)
    found = [Matter(verdict=one) for one in stack.index.newest(wanted, MOST)]
    if Queue.APPEALS.value in queues:
        found += _appealed(stack)
    last: dict[str, int] = dict(decided)
    for one in stack.index.about(one.verdict.rid for one in found):
        if one.facet.kind == Kind.DECISION and "referred" not in one.facet.what.split():
            last[one.ref] = max(one.t, last.get(one.ref, 0))
    newest: dict[str, Matter] = {}
    for matter in sorted(found, key=lambda one: one.at):
        if last.get(matter.verdict.rid, -1) < matter.at:
            newest[matter.verdict.rid] = matter
    return sorted(newest.values(), key=lambda one: one.at, reverse=True)


def is_cut(stack: Stack, queues: frozenset[str]) -> bool:
    """Say whether there are more referrals than are looked at."""
    wanted = Filter(kinds=frozenset({Kind.VERDICT.value}), whats=queues)
    return len(stack.index.newest(wanted, MOST + 1)) > MOST


def _appealed(stack: Stack) -> list[Matter]:
    raised = Filter(kinds=frozenset({Kind.APPEAL.value}), whats=frozenset({"raised"}))
    appeals = stack.index.newest(raised, MOST)
    verdicts = stack.index.get(one.ref for one in appeals)
    return [Matter(verdict=verdicts[one.ref], appeal=one) for one in appeals if one.ref in verdicts]


def waiting(  # noqa: PLR0913, PLR0917 - it is asked of the ledger, the files and people alike
    stack: Stack,
    config: Config,
    now: Ms,
    kept: Iterable[str],
    decided: Mapping[str, int],
    stay: Collection[str] = (),
) -> Waiting:
    """Say what waits; *kept* names the retention classes, *stay* the buckets that are not to go."""
    ending = _ending(config, kept, now)
    counts = {
        queue.value: len(matters(stack, frozenset({queue.value}), decided)) for queue in Queue
    }
    try:
        state = retention.state(config)
        due = sum(one.is_due(now) and one.name not in stay for one in state.buckets)
        holds = len(state.active)
    except BridgeError:
        due = holds = 0
    return Waiting(queues=counts, due=due, holds=holds, ending=ending)


def _ending(config: Config, kept: Iterable[str], now: Ms) -> tuple[tuple[str, Ms], ...]:
    certificates = load_certificates(config)
    ends = {name: certificates.last_day(name) for name in kept}
    return tuple((name, end) for name, end in sorted(ends.items()) if end - now < RENEW_MS)
