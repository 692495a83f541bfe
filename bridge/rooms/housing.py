"""How every room should be, from what the force wrote down: register, people, policy.

Never asks a server anything.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from bridge.acting.texts import card, joining, pinned
from bridge.config import Config
from bridge.ledger.keys import DAY_MS
from bridge.matrix.desired import House
from bridge.model import RoomClass, RoomId
from bridge.policy import ClassPolicy, Policy
from bridge.register import Entry, Lock, People, Register
from bridge.rooms.cards import Want
from bridge.rooms.roster import Belonged

#: The server hides by itself what the bot should have taken out by then, ms.
_GRACE_MS = 2 * DAY_MS


def house(  # noqa: PLR0913 - what the house is made of
    config: Config,
    register: Register,
    people: People,
    policy: Policy,
    *,
    retired: Collection[str] = (),
    put_out: bool = False,
    belonged: Belonged | None = None,
) -> House:
    """Say how everything should be."""
    return House(
        register=register,
        people=people,
        bot=config.user,
        notices=notices(config, register, policy),
        gates=gates(config, policy),
        put_out=put_out,
        belonged=(belonged or belonging(config)).of,
        retired=frozenset(retired),
        # Where the bot rehearses, the server is not to take out what the bot does not.
        lifetimes={
            cls: server_shows_ms(here)
            for cls, here in policy.classes.items()
            if not config.rehearse and cls not in config.rehearsed
        },
        today=datetime.datetime.now(config.zone).date(),
    )


def server_shows_ms(here: ClassPolicy) -> int:
    """How long the homeserver is told to show messages of a class, ms."""
    return here.visible_days * DAY_MS + _GRACE_MS


def belonging(config: Config) -> Belonged:
    """Who belonged to each room when the bot last saw it."""
    return Belonged(folder=config.state / "belonged")


def notices(config: Config, register: Register, policy: Policy) -> Mapping[str, str]:
    """What each room says of itself, by key; it becomes the room's topic."""
    return {
        entry.key: _notice(config, register, policy, entry) for entry in register.rooms.values()
    }


def _notice(config: Config, register: Register, policy: Policy, entry: Entry) -> str:
    return card(
        policy.classes[entry.cls],
        secure=register.rooms[entry.secure].name if entry.secure else "",
        contact=config.contact,
        reviewers=config.reviewers is not None,
    )


def wants(config: Config, register: Register, policy: Policy) -> Mapping[str, Want]:
    """What people are to know of each room that has a card, by key."""
    found = {}
    for entry in register.rooms.values():
        here = policy.classes[entry.cls]
        if here.card:
            topic = _notice(config, register, policy, entry)
            found[entry.key] = Want(
                name=entry.name,
                cls=entry.cls,
                card=_essence(entry.cls, here, reviewers=config.reviewers is not None),
                revision=policy.revision,
                words=pinned(topic, judged=here.judged),
                joining=joining(here),
                visible_ms=here.visible_days * DAY_MS,
            )
    return found


def _essence(cls: RoomClass, here: ClassPolicy, *, reviewers: bool) -> str:
    """The digest of what people have to know: not whom to ask, or what the secure room is called.

    Where it is another, everybody is told, and asked to acknowledge it.
    """
    known = [cls.value, here.judged, here.visible_days, here.kept_days, here.looks_for,
             here.readers, reviewers]  # fmt: skip
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def gates(config: Config, policy: Policy) -> dict[RoomClass, dict[str, object]]:
    """What the homeserver's gate has to know of each class, where there is one."""
    if config.gate is None:
        return {}
    return {
        cls: {
            "budget_ms": here.gate_ms,
            "unanswered": "refuse" if here.gate_refuses else "pass",
        }
        for cls, here in policy.classes.items()
        if here.judged
    }


def followed(
    register: Register, lock: Lock, newest: Callable[[RoomId], RoomId]
) -> tuple[Register, Lock]:
    """The same rooms, each under the id that its newest upgrade gave it."""
    rooms = {
        key: replace(one, id=newest(one.id)) if one.id is not None else one
        for key, one in register.rooms.items()
    }
    ids = {key: newest(room) for key, room in lock.ids.items()}
    return replace(register, rooms=rooms), replace(lock, ids=ids)
