"""What goes back together: a moved message, and the fragments that went along with it.

Never puts back a fragment that another moved message nearby still needs beside it, and never
decides: a person did.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridge.facts import Appeal, Decision
from bridge.model import Action, Copy, Effect, EventId, Moment, Ms, Restore
from bridge.officers import appeals
from bridge.ports import Known, Store
from bridge.way.runs import RUN, RUN_MS


def fragments(
    event: EventId, near: Mapping[EventId, Known], back: Collection[EventId]
) -> tuple[EventId, ...]:
    """Say which fragments go back with *event*.

    *near* is what its sender had moved about then, oldest first, itself among it; *back* of that is
    where it was said again.
    """
    if event not in near or near[event].rule == RUN:
        return ()
    run = _run(event, near)
    heads = [one for one in run if near[one].rule != RUN]
    others = [near[one] for one in heads if one != event and one not in back]
    return tuple(
        one
        for one in run
        if near[one].rule == RUN
        and one not in back
        and all(abs(other.sent_at - near[one].sent_at) > RUN_MS for other in others)
    )


def _run(event: EventId, near: Mapping[EventId, Known]) -> list[EventId]:
    """What was said in one go with *event*: no more than `RUN_MS` from one to the next."""
    order = list(near)
    here = order.index(event)
    first = last = here
    while first and near[order[first]].sent_at - near[order[first - 1]].sent_at <= RUN_MS:
        first -= 1
    while (
        last + 1 < len(order)
        and near[order[last + 1]].sent_at - near[order[last]].sent_at <= RUN_MS
    ):
        last += 1
    return order[first : last + 1]


async def put_back(store: Store, appeal: Appeal) -> tuple[Effect, ...]:
    """Post it again from its copy, and its fragments; without a copy, let its sender send it again.

    In the order in which they were said.
    """
    own = await _restore(store, appeal, appeal.event) if _was_copied(appeal) else None
    if own is None:
        return (appeals.tell(appeal, Moment.PASSED, appeals.WITHIN),)
    near = await store.moved_near(appeal.event)
    decided = await store.appeals(list(near))
    back = {one.appeal.event for one in decided if one.decision is Decision.RESTORED}
    back |= {event for event in near if await is_back(store, event)}
    effects: list[tuple[Ms, Effect]] = [(appeal.sent_at, own)]
    for event in fragments(appeal.event, near, back):
        at = near[event].sent_at
        if (one := await _restore(store, appeal, event, along=str(at))) is not None:
            effects.append((at, one))
    return tuple(effect for _, effect in sorted(effects, key=lambda one: one[0]))


def _was_copied(appeal: Appeal) -> bool:
    return appeal.action is Action.REDIRECT


async def is_back(store: Store, event: EventId) -> bool:
    """Say whether a moved message has been posted again where it was said."""
    events = (event, *await store.edits(event))
    posted = [one for each in events for one in await store.posted_about(each)]
    return any(isinstance(one.effect, Restore) for one in posted)


async def _restore(store: Store, appeal: Appeal, event: EventId, along: str = "") -> Restore | None:
    """Owe that *event* is posted again; None where it has no copy. The newest edit has it."""
    for about in reversed((event, *await store.edits(event))):
        for one in reversed(await store.posted_about(about)):
            if isinstance(one.effect, Copy):
                return Restore(
                    room=appeal.room, about=about, source=one.effect.to, copy=one.event, along=along
                )
    return None
