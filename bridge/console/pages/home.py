"""Home: what waits for whoever has signed in, and the last days at a glance.

Never needs a key: everything on it stands in the clear, and no word of a message does.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web

from bridge.config import Config
from bridge.console import charts
from bridge.console.desk import Here, here
from bridge.console.rights import Right
from bridge.console.views import words
from bridge.errors import BridgeError
from bridge.facts import Care
from bridge.model import Queue
from bridge.records import due
from bridge.records.archive import Stack
from bridge.records.figures import Figures, Waiting, figures, waiting
from bridge.records.followed import Followed, final, follow
from bridge.store.entries import HIDDEN
from bridge.store.reader import SqliteReader

#: (what, how many, where to), for each card.
Cards: TypeAlias = list[tuple[str, int, str]]

_CLASSES = {"social": "social rooms", "operational": "secure rooms", "community": "community rooms"}

#: What was done about a room that has not put it right.
_UNMENDED = frozenset({Care.CALLED.value, Care.LOCKING.value, Care.REFUSED.value})
#: What the last days were like is counted again after so long; what waits is counted each time.
_FRESH_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Besides:
    """What waits besides referrals, buckets and certificates."""

    #: Rooms that were found not as the register says, and are not put right.
    drifting: int = 0
    #: What is due and waits for a decision.
    undecided: int = 0
    #: Buckets that stay although their date is past.
    stay: frozenset[str] = frozenset()


async def show(request: web.Request) -> web.Response:
    """Show it."""
    at = here(request)
    desk, now = at.desk, at.desk.clock()
    kept = tuple((await desk.policy()).retention)
    done, besides = await desk.decided(), await _besides(at)

    glance = desk.glance.get(at.may(Right.CONDUCT))

    def read(stack: Stack) -> tuple[Figures, Waiting, list[Followed]]:
        followed = follow(stack, done)
        left = waiting(stack, desk.config, now, kept, final(followed), besides.stay)
        late = [one for one in followed.values() if one.is_late(now)]
        if glance is not None and 0 <= now - glance[0] < _FRESH_MS:
            return glance[1], left, late
        size = sum(stack.log(n).size() for n in stack.index.origins)
        return figures(stack, desk.config.zone, now, size=size), left, late

    found, left, late = await at.work(read)
    if glance is None or glance[1] is not found:
        desk.glance[at.may(Right.CONDUCT)] = now, found
    return at.page(
        "home.html",
        figures=found,
        charts=_charts(found),
        waiting=left,
        mine=[*_mine(at, left), *_more(at, found, besides, late)],
        requests=[
            one for one in desk.requests.values()
            if at.may(Right.APPROVE) and one.made.who != at.session.name and one.is_open(now)
        ],
    )  # fmt: skip


async def _besides(at: Here) -> Besides:
    """Count what only some are shown, for those who are."""
    desk = at.desk
    drifting = await asyncio.to_thread(_drifting, desk.config) if at.may(Right.ROOMS) else 0
    if not at.may(Right.RETENTION):
        return Besides(drifting=drifting)
    policy = await desk.policy()
    try:
        known = await asyncio.to_thread(due.know, desk.config, policy)
        survey = due.survey(known, desk.clock())
    except BridgeError:  # there is no ledger yet, or the register is wrong: its own page says so
        return Besides(drifting=drifting)
    return Besides(drifting=drifting, undecided=len(survey.waiting),
                   stay=frozenset(survey.withheld))  # fmt: skip


def _drifting(config: Config) -> int:
    """How many rooms were found to differ in something that nothing was done about since."""
    with closing(SqliteReader(config.ledger)) as reader:
        found = reader.drifts()
    newest = {(one.key, one.sort): one for one in reversed(found)}
    return len({one.key for one in newest.values() if one.care in _UNMENDED})


def _more(at: Here, found: Figures, besides: Besides, late: list[Followed]) -> Cards:
    cards = []
    if at.may(Right.REVIEW) and late:
        text = _many(len(late), "decision on record that is not carried out yet",
                     "decisions on record that are not carried out yet")  # fmt: skip
        cards.append((text, len(late), "/referrals"))
    if besides.drifting:
        text = _many(besides.drifting, "room that differs from the register and was not put right",
                     "rooms that differ from the register and were not put right")  # fmt: skip
        cards.append((text, besides.drifting, "/drift"))
    if besides.undecided:
        text = _many(besides.undecided, "thing that is due and waits for a decision",
                     "things that are due and wait for a decision")  # fmt: skip
        cards.append((text, besides.undecided, "/disposals"))
    if at.may(Right.ROOMS) and found.unreadable:
        text = _many(found.unreadable, "event of the last 14 days that could not be read",
                     "events of the last 14 days that could not be read")  # fmt: skip
        cards.append((text, found.unreadable, "/rooms"))
    return cards


def _mine(at: Here, left: Waiting) -> Cards:
    """What this person may do something about."""
    conduct = Queue.PROFESSIONAL_STANDARDS.value
    found = []
    if at.may(Right.REVIEW):
        found += [
            (f"{words(name)} {_many(count, 'referral', 'referrals')}", count,
             f"/referrals?queue={name}")
            for name, count in left.queues.items()
            if count and name not in HIDDEN
        ]  # fmt: skip
    if at.may(Right.CONDUCT) and left.queues.get(conduct):
        count = left.queues[conduct]
        text = _many(count, "professional standards matter", "professional standards matters")
        found.append((text, count, "/conduct"))
    if at.may(Right.RETENTION) and left.due:
        text = _many(left.due, "bucket due to be destroyed", "buckets due to be destroyed")
        found.append((text, left.due, "/retention"))
    return found


def _many(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _charts(found: Figures) -> list[charts.Chart]:
    days = found.days
    return [
        charts.bars(
            "messages", "Messages by class of room", "messages", days, found.messages,
            [_CLASSES.get(one.name, f"{one.name} rooms") for one in found.messages],
        ),
        charts.bars(
            "actions", "Nudged, moved and taken out", "messages", days, found.actions,
            [words(one.name) for one in found.actions],
        ),
        charts.lines(
            "removal", "From message to removal", "seconds", days, found.removal,
            [one.name for one in found.removal],
        ),
        charts.bars(
            "capture", "Captured", "events", days, found.capture,
            ["read", "on record but could not be read", "gaps"],
        ),
        charts.bars(
            "restored", "Put back by people, by rule", "messages", days, found.restored,
            [one.name for one in found.restored],
        ),
    ]  # fmt: skip
