"""What has come due and waits for people: buckets of records, rooms past their review, holds.

Never decides anything, and never lets what people have not decided about be disposed of: a hold
comes before the minimum of a class, the minimum before the maximum.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from bridge.config import Config, load_register
from bridge.facts import Fate
from bridge.ledger.keys import DAY_MS
from bridge.model import Ms, RoomClass
from bridge.policy import Policy
from bridge.policy.keeping import Keeping
from bridge.records import retention
from bridge.records.retention import Bucket, State
from bridge.register import Entry, Lock, People, Register
from bridge.register.rooms import Information
from bridge.rooms.labels import decided
from bridge.store.oversight import Appraisal, Label
from bridge.store.reader import Case, Hold, SqliteReader

#: A hold is looked at again after so long, ms: a year.
HOLD_MS = 365 * DAY_MS
#: Who decides about records and holds.
DECIDES = ("auditor", "custodian")
_WHO = "an auditor or a custodian"


class Sort(StrEnum):
    """What something is that people decide about."""

    BUCKET = "bucket"
    ROOM = "room"
    HOLD = "hold"
    CASE = "case"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something whose time has come."""

    #: Its name in orders and records, such as bucket:operational-2026-11.
    name: str
    sort: Sort
    #: What it is and why it is here, in words.
    what: str
    why: str
    #: Since when, ms.
    since: Ms
    #: Who decides, in words.
    who: str
    #: It waits for a person; otherwise a person has decided, or nobody need.
    waits: bool
    #: What was decided last; None where nothing was.
    decided: Appraisal | None = None
    #: The MoPI group that it has.
    group: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything that is due, and what was decided."""

    items: tuple[Item, ...]
    #: Buckets whose date is past and whose keys are not destroyed all the same → why.
    withheld: Mapping[str, str] = field(default_factory=dict)

    @property
    def waiting(self) -> tuple[Item, ...]:
        """What waits for a person."""
        return tuple(one for one in self.items if one.waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a survey is made of."""

    state: State
    policy: Policy
    register: Register
    people: People
    lock: Lock
    appraisals: Sequence[Appraisal]
    labels: Sequence[Label]
    cases: Sequence[Case]
    zone: ZoneInfo

    def decided(self, name: str) -> Appraisal | None:
        """What was decided last about one thing."""
        return next((one for one in reversed(self.appraisals) if one.item == name), None)

    def group(self, name: str) -> int | None:
        """The MoPI group that something has."""
        return next((one.group for one in reversed(self.labels) if one.item == name), None)

    def day(self, at: int) -> str:
        """Spell a day."""
        return f"{datetime.datetime.fromtimestamp(at / 1000, self.zone):%d %b %Y}"


def know(config: Config, policy: Policy) -> Known:
    """Read what there is.

    Raises:
        ConfigError: register or people are wrong.
        StoreError: there is no ledger.
    """
    reader = SqliteReader(config.ledger)
    try:
        appraisals, labels, cases = reader.appraisals(), reader.labels(), reader.cases()
    finally:
        reader.close()
    register, people, lock = load_register(config)
    return Known(
        state=retention.state(config),
        policy=policy,
        register=decided(register, config),
        people=people,
        lock=lock,
        appraisals=appraisals,
        labels=labels,
        cases=cases,
        zone=config.zone,
    )


def survey(known: Known, now: Ms) -> Survey:
    """Say what is due by *now*."""
    buckets = [_bucket(one, known, now) for one in known.state.buckets if one.is_due(now)]
    withheld = {
        one.bucket.name: one.withheld for one in buckets if one.withheld and not one.bucket.attested
    }
    rooms = (_room(one, known, now) for one in _open(known))
    holds = (_hold(one, known, now) for one in known.state.active)
    found = [*(one.item for one in buckets), *filter(None, rooms), *filter(None, holds)]
    return Survey(items=tuple(sorted(found, key=lambda one: one.since)), withheld=withheld)


# Buckets


@dataclass(frozen=True, slots=True)
class _Due:
    bucket: Bucket
    item: Item
    #: Why its key is not destroyed now; empty if it may be.
    withheld: str


def bounds(bucket: Bucket, known: Known) -> tuple[Ms, Ms]:
    """Until when a bucket must be kept, and until when it may be, without a hold."""
    certificates = known.state.certificates[bucket.name]
    end, name = max(one.end for one in certificates), certificates[0].retention
    keeping = known.policy.keeping.get(name, Keeping(days=1))
    least, most = Ms(end + keeping.least * DAY_MS), Ms(end + keeping.most * DAY_MS)
    # What was promised when the bucket was opened stands, whatever the maximum is now.
    return least, Ms(max(most, bucket.expires))


def _bucket(bucket: Bucket, known: Known, now: Ms) -> _Due:
    name = f"{Sort.BUCKET}:{bucket.name}"
    last, (least, most) = known.decided(name), bounds(bucket, known)
    group = _group_of(bucket, known)
    operational = is_operational(known.state.certificates[bucket.name][0].retention, known)
    waits, withheld = False, ""
    if now < least:
        why = f"its class is kept until {known.day(least)} at least"
        withheld = why
    elif (last is not None and last.fate == Fate.RETAIN and last.until is not None
          and now < min(last.until, most)):  # fmt: skip
        why = f"{last.by} retained it until {known.day(min(last.until, most))}: {last.reason}"
        withheld = why
    elif operational and group is None and (last is None or last.fate != Fate.DISPOSE):
        waits = True
        why = "it holds operational information that nobody has given a MoPI group"
        if now >= most:
            why += f"; {known.day(most)} was the longest that its class may be kept"
        withheld = f"{why}, and nobody has decided about it"
    else:
        why = "the custodians destroy its keys: 'bluelamp retention due'"
    item = Item(
        name=name,
        sort=Sort.BUCKET,
        what=f"records of {bucket.name}",
        why=why,
        since=bucket.expires,
        who=_WHO,
        waits=waits,
        decided=last,
        group=group,
    )
    return _Due(bucket, item, withheld)


def is_operational(name: str, known: Known) -> bool:
    """Say whether records of the retention class *name* are policing information."""
    classes = known.policy.classes
    return classes[RoomClass.OPERATIONAL].retention == name or bool(_feeding(name, known))


def _feeding(name: str, known: Known) -> list[Entry]:
    """The rooms whose operational information is recorded under that retention class."""
    return [
        one
        for one in known.register.rooms.values()
        if one.information is Information.OPERATIONAL
        and known.policy.classes[one.cls].retention == name
    ]


def _group_of(bucket: Bucket, known: Known) -> int | None:
    """The group of a bucket: its own, or the gravest of its rooms where all of them have one.

    A room that is no longer in rooms.yaml, but was once, may have fed it: its class is not known.
    """
    own = known.group(f"{Sort.BUCKET}:{bucket.name}")
    if own is not None:
        return own
    rooms = _feeding(known.state.certificates[bucket.name][0].retention, known)
    groups = [one.mopi for one in rooms]
    groups += [known.group(f"{Sort.ROOM}:{key}") for key in _former(known)]
    found = [one for one in groups if one is not None]
    return min(found) if found and len(found) == len(groups) else None


def _former(known: Known) -> list[str]:
    """The keys of rooms that rooms.yaml had once, by what `apply` and `retire` noted."""
    listed = {*known.register.rooms, *(one.key for one in known.register.spaces())}
    return sorted({*known.lock.ids, *known.lock.retired} - listed)


# Rooms and holds


def _open(known: Known) -> Iterable[Entry]:
    return (one for one in known.register.rooms.values() if one.key not in known.lock.retired)


def _room(entry: Entry, known: Known, now: Ms) -> Item | None:
    """A room whose review is due, or that has no group."""
    name = f"{Sort.ROOM}:{entry.key}"
    review = datetime.datetime.combine(entry.review, datetime.time(), known.zone)
    at = Ms(int(review.timestamp() * 1000))
    why = [f"its review was due on {entry.review:%d %b %Y}"] if at <= now else []
    if not entry.labelled:
        why.append("it has no MoPI group, and until it has one nothing leaves it")
    if not why:
        return None
    last = known.decided(name)
    if last is not None and last.fate == Fate.DISPOSE:
        why.append(f"{last.by} decided that it is closed: 'bluelamp rooms retire {entry.key}'")
    owner = known.people.get(entry.owner)
    return Item(
        name=name,
        sort=Sort.ROOM,
        what=f"the room {entry.name}",
        why="; ".join(why),
        since=min(at, now),
        who=f"its owner, {owner.name}" if owner else "an administrator: its owner has left",
        waits=not entry.labelled or last is None or last.fate != Fate.DISPOSE,
        decided=last,
        group=entry.mopi,
    )


def _hold(hold: Hold, known: Known, now: Ms) -> Item | None:
    """A hold that nobody has looked at for long."""
    name = f"{Sort.HOLD}:{hold.rid}"
    last = known.decided(name)
    at = Ms(hold.at + HOLD_MS)
    if last is not None and last.until is not None:
        at = Ms(last.until)
    if now < at:
        return None
    case = f" for case {hold.case}" if hold.case else ""
    return Item(
        name=name,
        sort=Sort.HOLD,
        what=f"hold {hold.rid[:8]}{case}",
        why=f"{hold.by} made it on {known.day(hold.at)}: {hold.reason}. Is it still needed?",
        since=at,
        who=_WHO,
        waits=True,
        decided=last,
        group=known.group(f"{Sort.CASE}:{hold.case}") if hold.case else None,
    )
