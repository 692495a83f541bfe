"""What people decide about what is due, checked before it goes on record.

Never records anything, and never takes a decision that the class of the records does not allow.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from bridge.errors import UsageError
from bridge.facts import Appraised, Fate, Labelled
from bridge.ledger.record import new_rid
from bridge.model import Ms, UserId
from bridge.records.due import DECIDES, Known, Sort, bounds, is_operational
from bridge.records.retention import Bucket

_GROUPS = range(1, 5)


def named(known: Known, item: str, sorts: Iterable[Sort]) -> str:
    """Return the full name of what people call *item*.

    Raises:
        UsageError: there is no such thing, or none of these sorts.
    """
    sort, _, name = item.partition(":")
    allowed = [one.value for one in sorts]
    if sort not in allowed or not name:
        raise UsageError(
            f"{item!r} names nothing: say {', '.join(f'{one}:NAME' for one in allowed)}, as "
            "'bluelamp review list' does."
        )
    if sort == Sort.HOLD:
        found = [one.rid for one in known.state.active if one.rid.startswith(name)]
        if len(found) != 1:
            raise UsageError(f"There is no one active hold {name!r}; see 'bluelamp hold list'.")
        return f"{sort}:{found[0]}"
    there = {
        Sort.BUCKET.value: {one.name for one in known.state.buckets},
        Sort.ROOM.value: known.register.rooms.keys() - known.lock.retired.keys(),
        Sort.CASE.value: {one.reference for one in known.cases},
    }
    if name not in there[sort]:
        where = {"bucket": "in the ledger", "room": "in rooms.yaml", "case": "on record"}[sort]
        raise UsageError(f"There is no {sort} {name!r} {where}.")
    return item


def who_may(known: Known, item: str) -> tuple[frozenset[str], frozenset[UserId]]:
    """Who decides about *item*: whoever has one of these roles, or is one of these people."""
    sort, _, name = item.partition(":")
    if sort != Sort.ROOM:
        return frozenset(DECIDES), frozenset()
    entry = known.register.rooms[name]
    return frozenset({*DECIDES, "administrator"}), frozenset({entry.owner, entry.supervisor})


def decision(  # noqa: PLR0913 - what a decision is recorded with
    known: Known,
    item: str,
    fate: Fate,
    *,
    reason: str,
    until: datetime.date | None,
    by: str,
    account: str,
    now: Ms,
) -> Appraised:
    """Return what goes on record: that *item*, as `named` returns it, is retained or may go.

    Raises:
        UsageError: that cannot be decided, or something is missing; with what to do instead.
    """
    if not reason.strip():
        raise UsageError("Say why: the reason is recorded with the decision.")
    if fate is Fate.DISPOSE and until is not None:
        raise UsageError("What may go is not kept until a day: leave the day out.")
    if fate is Fate.RETAIN and until is None:
        raise UsageError("Say until when: on that day it comes up for review again.")
    at = _end_of(until, known) if until is not None else None
    if at is not None and at <= now:
        raise UsageError(f"{until} is over: say a later day.")
    sort, _, name = item.partition(":")
    if sort == Sort.BUCKET:
        bucket = next(one for one in known.state.buckets if one.name == name)
        _refuse_bucket(known, bucket, at, now)
    elif sort == Sort.HOLD and fate is Fate.DISPOSE:
        raise UsageError(f"A hold is ended with 'bluelamp hold release {name[:8]}'.")
    return Appraised(
        rid=new_rid(), item=item, fate=fate, reason=reason.strip(), by=by, account=account,
        until=at,
    )  # fmt: skip


def _refuse_bucket(known: Known, bucket: Bucket, until: Ms | None, now: Ms) -> None:
    least, most = bounds(bucket, known)
    if bucket.attested:
        raise UsageError(f"{bucket.name} is being disposed of: {bucket.attested[0]} has attested.")
    if not bucket.is_due(now):
        raise UsageError(
            f"{bucket.name} is kept until {known.day(bucket.expires)}, as its certificate says: "
            "there is nothing to decide before. What is needed longer goes on hold."
        )
    if until is None and now < least:
        raise UsageError(
            f"{bucket.name} must be kept until {known.day(least)}: that is the minimum of its "
            "class (classes.yaml)."
        )
    if until is not None and until > most:
        raise UsageError(
            f"{bucket.name} may be kept until {known.day(most)} at the longest: that is the "
            "maximum of its class (classes.yaml). Put what is needed longer on hold."
        )


def label(  # noqa: PLR0913 - what a label is recorded with
    known: Known, item: str, group: int, *, reason: str, by: str, account: str
) -> Labelled:
    """Return what goes on record: the MoPI group that somebody gives *item*.

    Raises:
        UsageError: there is no such group, or it says nothing there.
    """
    if group not in _GROUPS:
        raise UsageError(f"There is no MoPI group {group}: it is one of 1 to 4.")
    if not reason.strip():
        raise UsageError("Say why: the reason is recorded with the group.")
    sort, _, name = item.partition(":")
    if sort == Sort.BUCKET:
        retention = known.state.certificates[name][0].retention
        if not is_operational(retention, known):
            raise UsageError(
                f"{name} holds no operational information, and needs no group: it goes on its day."
            )
    return Labelled(
        rid=new_rid(), item=item, group=group, reason=reason.strip(), by=by, account=account
    )


def _end_of(day: datetime.date, known: Known) -> Ms:
    after = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(), known.zone)
    return Ms(int(after.timestamp() * 1000))
