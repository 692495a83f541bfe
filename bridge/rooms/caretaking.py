"""Puts together who looks after the rooms themselves while the bot runs.

Never looks at a room itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping
from typing import Any

from bridge.acting.enforce import Enforcer
from bridge.acting.expiring import Due, Expirer
from bridge.acting.remains import Remains
from bridge.config import load_register
from bridge.duties.fetching import Fetching
from bridge.duties.forgetting import Forgetting, is_quiet
from bridge.duties.guarding import Guarding
from bridge.duties.reminding import Reminding
from bridge.errors import ConfigError
from bridge.ledger.keys import DAY_MS
from bridge.matrix import health
from bridge.matrix.desired import House
from bridge.matrix.fading import MatrixFading
from bridge.matrix.premises import MatrixPremises
from bridge.matrix.transport import MatrixTransport
from bridge.model import Batch, Ms, Rid, RoomClass, RoomId, UserId
from bridge.officers.reception import practising
from bridge.policy import Policy
from bridge.ports import Store
from bridge.register import Lock, Register
from bridge.rooms.estate import Estate
from bridge.rooms.fetched import fetch
from bridge.rooms.fights import Fights
from bridge.rooms.housing import belonging, followed, house, server_shows_ms
from bridge.rooms.labels import decided
from bridge.rooms.ldap import LdapSource
from bridge.rooms.premises import Look
from bridge.rooms.reviews import Reminder, reminders
from bridge.rooms.roster import Remembered, Roster
from bridge.rooms.slate import FileSlate
from bridge.rooms.upkeep import Upkeep
from bridge.running.lockfile import add_ids
from bridge.running.parts import Parts, now
from bridge.store.reader import SqliteReader, active_holds
from bridge.way.pipeline import Pipeline

#: By a clock that is further from the homeserver's, nothing is forgotten.
_CLOCK_S = 60.0
#: A room that our own account has made is given so long to come onto the register.
_MEET_S, _MEETS = 0.1, 50


def guarding(  # noqa: PLR0913, PLR0917 - it is where what guards the rooms is put together
    parts: Parts,
    transport: MatrixTransport,
    store: Store,
    roster: Roster,
    policy: Callable[[], Policy],
    tell: Callable[[str, str, str, Ms], Awaitable[bool]],
    taken: Callable[[], None],
) -> tuple[Guarding, Estate]:
    """Make what keeps rooms as they were approved to be, and what follows what was approved.

    It hears of changes by *transport*; *taken* is called after another register was taken up.
    """
    estate = following(parts, store, roster, policy, functools.partial(tell, ""))
    config, belonged = parts.config, belonging(parts.config)
    closed, leaving = set(parts.lock.retired), set(parts.lock.retiring)
    fights = Fights(path=config.state / "rooms.fights")

    def plan() -> tuple[House, Lock]:
        known = decided(parts.register, config)
        register, lock = followed(known, parts.lock, transport.newest)
        return house(config, register, roster.people(), policy(), retired=closed | leaving,
                     belonged=belonged), lock  # fmt: skip

    def renew() -> None:
        """Have everybody who asks who is in which room know it."""
        register, lock = followed(parts.register, parts.lock, transport.newest)
        parts.rooms.update(practising(register.resolve(lock, roster.people()), config))
        closed.update(parts.lock.retired)
        leaving.update(parts.lock.retiring)
        leaving.difference_update(closed)

    def retiring(key: str, reason: str) -> None:
        leaving.add(key)
        add_ids(config.lock, Lock().closing(key, reason))

    def retired(key: str, reason: str) -> None:
        closed.add(key)
        leaving.discard(key)
        add_ids(config.lock, Lock().without(key, reason))

    def seen(look: Look) -> None:
        if look.members is not None:
            belonged.note(look.key, look.members, look.present)

    upkeep = Upkeep(
        record=store.append,
        premises=MatrixPremises.behind(transport, plan, config.admin_token_file),
        clock=now,
        bot=config.user,
        tell=tell,
        names=roster.names,
        rehearse=config.rehearse,
        lock_leavers=config.lock_leavers,
        holds=lambda: active_holds(config.ledger),
        retiring=retiring,
        retired=retired,
        closed=closed,
        leaving=leaving,
        spaces=lambda: [space.key for space in parts.register.spaces()],
        seen=seen,
        before=fights.read(),
        keep=fights.write,
    )
    estate.taken += [taken, upkeep.begin]
    remembered = Remembered(path=config.state / "people.listed")
    made = Guarding(
        upkeep=upkeep,
        clock=now,
        listed=lambda: frozenset(roster.people().persons),
        remembered=remembered.read,
        remember=remembered.write,
        fresh=estate.fresh,
        renew=renew,
        deciding=lambda: (roster.people(), policy(), parts.register, parts.lock),
    )
    transport.on_state.append(made.hear)
    return made, estate


def following(
    parts: Parts,
    store: Store,
    roster: Roster,
    policy: Callable[[], Policy],
    tell: Callable[[str, str, Ms], Awaitable[bool]],
) -> Estate:
    """Make what takes up a changed register while the bot runs."""
    config = parts.config

    def load() -> tuple[Register, Lock]:
        register, people, lock = load_register(config)
        if not register.resolve(lock):
            raise ConfigError(str(config.rooms), None, "none of these rooms exists on the server")
        house(config, register, people, policy())  # nothing of it is missing
        return register, lock

    return Estate(
        store=store,
        rooms=config.rooms,
        lock=config.lock,
        clock=now,
        held=parts.held,
        load=load,
        take=lambda register, lock: parts.take(register, lock, roster.people()),
        tell=tell,
    )


async def meet(batch: Batch, pipeline: Pipeline, transport: MatrixTransport) -> None:
    """Wait for the register where *batch* has rooms that `rooms apply` has just made beside us.

    So that they are on record from their first event on; not for long, and for no other rooms.
    """
    made = {one.room for one in batch.messages if one.sender == transport.user}
    for _ in range(_MEETS):
        if all(pipeline.room(one) is not None or transport.is_direct(one) for one in made):
            return
        await asyncio.sleep(_MEET_S)


def fetching(
    parts: Parts, store: Store, tell: Callable[[str, str, Ms], Awaitable[bool]]
) -> Iterator[Coroutine[Any, Any, None]]:
    """Give what fetches the list of people, where the force names a directory."""
    where = parts.config.directory
    if where is not None:
        yield Fetching(
            fetch=functools.partial(fetch, parts.config, LdapSource(where)),
            record=store.append,
            tell=tell,
            clock=now,
            every_ms=Ms(where.every_minutes * 60_000),
        ).run()


def reminding(
    parts: Parts, transport: MatrixTransport, store: Store, roster: Roster, enforcer: Enforcer
) -> Reminding:
    """Make what tells people of rooms whose review is due, or that nobody answers for."""

    def due(today: datetime.date) -> list[Reminder]:
        entries = decided(parts.register, parts.config).rooms.values()
        kept = [one for one in entries if one.key not in parts.lock.retired]
        return [told for one in kept for told in reminders(one, roster.people(), today)]

    async def tell(room: RoomId, name: str, words: str, since: Ms) -> bool:
        return await enforcer.tell(room, words, txn=name, since=since)

    return Reminding(
        due=due,
        tell=tell,
        direct=transport.direct,
        review=parts.asked_in,
        record=store.append,
        clock=now,
        zone=parts.config.zone,
    )


def over(
    register: Register,
    lock: Lock,
    policy: Policy,
    at: Ms,
    rehearsed: Collection[RoomClass] = (),
) -> list[Due]:
    """List the rooms that are cleared, each with when what was said until then is over.

    Not those whose operational information nobody has given a group, nor any that rehearses.
    """
    found = []
    for one in register.rooms.values():
        room, days = register.id_of(one.key, lock), policy.classes[one.cls].visible_days
        rehearses = one.rehearse or one.cls in rehearsed
        if room is None or one.key in lock.retired or rehearses or not one.labelled:
            continue
        found.append(Due(room=room, name=one.name, days=days, before=Ms(at - days * DAY_MS)))
    return found


def over_in_private(rooms: Mapping[RoomId, UserId], policy: Policy, at: Ms) -> list[Due]:
    """List the rooms in which the bot speaks with one person each, as `over` does the others."""
    here = policy.classes[RoomClass.DIRECT]
    return [
        Due(
            room=room,
            name=f"private room with {user}",
            days=here.visible_days,
            before=Ms(at - here.visible_days * DAY_MS),
            server_ms=server_shows_ms(here),
        )
        for room, user in sorted(rooms.items())
    ]


def forgetting(  # noqa: PLR0913, PLR0917 - as above
    parts: Parts,
    transport: MatrixTransport,
    store: Store,
    remains: Remains,
    policy: Callable[[], Policy],
    tell: Callable[[str, str, Ms], Awaitable[bool]],
) -> Iterator[Coroutine[Any, Any, None]]:
    """Give what clears rooms of what is no longer shown in them, unless the bot rehearses."""
    config = parts.config

    def due(at: Ms) -> list[Due]:
        register = decided(parts.register, config)
        register, lock = followed(register, parts.lock, transport.newest)
        shared = over(register, lock, policy(), at, config.rehearsed)
        if RoomClass.DIRECT in config.rehearsed:
            return shared
        return shared + over_in_private(transport.directs.rooms(), policy(), at)

    def certified(rid: Rid) -> bool:
        with contextlib.closing(SqliteReader(config.ledger)) as reader:
            return any(one.rid == rid for one in reader.cleared())

    expirer = Expirer(
        store=store,
        remains=remains,
        fading=MatrixFading.behind(transport, config.admin_token_file),
        slate=FileSlate(config.state / "clearing.json"),
        record=store.append,
        certified=certified,
        tell=tell,
        goes_on=lambda: is_quiet(now(), config.zone),
    )

    async def clocks_agree() -> bool:
        ahead_s = (await health.server(config.homeserver)).ahead_s
        return ahead_s is not None and abs(ahead_s) <= _CLOCK_S

    if not config.rehearse:
        yield Forgetting(
            expirer=expirer, due=due, clock=now, zone=config.zone, clocks_agree=clocks_agree
        ).run()
