"""The running bot: its parts put together, and its duties until it is told to stop.

Never decides, records or sends anything itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import closing
from typing import Any, Protocol, TypeAlias

import structlog

from bridge import __version__
from bridge.acting.enforce import Enforcer
from bridge.acting.removal import Closer
from bridge.acting.settle import Settler
from bridge.acting.texts import Speaker
from bridge.config import Config
from bridge.duties.directing import Judged
from bridge.duties.publishing import Publishing
from bridge.duties.sweep import Sweep
from bridge.duties.witnessing import Witnessing
from bridge.facts import Noted
from bridge.matrix.closing import MatrixRemains
from bridge.matrix.door import Answer, opened
from bridge.matrix.transport import MatrixTransport
from bridge.model import EventId, Ms, RoomId, UserId
from bridge.officers import hearing
from bridge.officers.reception import Reception
from bridge.ports import Store
from bridge.rooms import caretaking, noticeboard
from bridge.running import control, drafts
from bridge.running.orders import Orders
from bridge.running.parts import Parts, now
from bridge.running.stopping import until_stopped
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from bridge.understand.stage import Understanding
from bridge.way import understood
from bridge.way.gatehouse import Gatehouse, answers
from bridge.way.looking import Looker
from bridge.way.pipeline import Pipeline
from bridge.way.rereading import follow_late

log = structlog.get_logger(__name__)

#: Name, words and since when; says whether it is there.
Tell: TypeAlias = Callable[[str, str, Ms], Awaitable[bool]]
#: The same, about the room of a key.
TellOf: TypeAlias = Callable[[str, str, str, Ms], Awaitable[bool]]


async def serve(
    parts: Parts,
    store: SqliteStore,
    witnessing: Witnessing,
    transport: MatrixTransport,
    at_start: Coroutine[Any, Any, None],
) -> None:
    """Run the bot until it is told to stop; *at_start* is done meanwhile, once."""
    config = parts.config
    names: dict[UserId, str] = {}
    speaker = _speaker(parts, names)
    closer = Closer(
        transport=transport,
        remains=MatrixRemains.behind(transport, config.admin_token_file),
        store=store,
        rooms=parts.rooms,
    )
    enforcer = Enforcer(
        transport=transport,
        speaker=speaker,
        rehearse=config.rehearse,
        posted_about=store.posted_about,
        closer=closer,
    )
    settler = Settler(
        store=store,
        enforcer=enforcer,
        rooms=parts.rooms,
        review=parts.review,
        clock=now,
        removals_per_minute=config.removals_per_minute,
        started=now(),
    )
    tell_of, tell = _telling(parts, enforcer, store)
    roster = drafts.roster(config, parts.people, store, now, tell, names)
    desk = drafts.desk(config, parts.policy, roster, store, now, tell)
    live = desk.live
    chosen = await asyncio.to_thread(understood.choose, config.model)
    live.model = chosen.taking
    reader = Understanding(model=chosen.model) if chosen.model is not None else None
    pipeline = closer.pipeline = Pipeline(
        transport=transport,
        store=store,
        policy=live.policy,
        peer_support=bool(config.peer_support),
        rooms=parts.rooms,
        review=parts.review,
        wake=settler.wake,
        understanding=reader,
    )
    appealing = hearing.appeals(config, parts.rooms, store, roster, settler.wake, now)
    pipeline.appeals, pipeline.ruled = appealing.desk, live.weigh_soon
    reception = Reception(
        config=config,
        store=store,
        transport=transport,
        enforcer=enforcer,
        rooms=parts.rooms,
        people=roster.people,
        policy=live.policy,
        names=names,
        review=parts.review,
        auditors=parts.auditors,
        clock=now,
        wake=settler.wake,
        standards=parts.identity.standards,
    )
    pipeline.desk, settler.look = (
        reception.desk(appealing.desk),
        Looker(transport=transport, reconsider=pipeline.reconsider).look,
    )
    sweep = Sweep(
        store=store,
        pipeline=pipeline,
        settler=settler,
        certificates=parts.identity.certificates,
        retentions=frozenset(parts.policy.retention),
        clock=now,
    )
    publishing = Publishing(store=store, enforcer=enforcer, rooms=parts.auditors, clock=now)
    await live.begin()
    await store.append([_started(rehearsing=config.rehearse)])
    if chosen.refused and live.policy().wants_model:
        await live.miss_model(chosen.refused)
    watch = reception.watch()
    guarding, estate = caretaking.guarding(
        parts, transport, store, roster, live.policy, tell_of,
        lambda: _ask_in(parts.review, settler, pipeline, appealing.desk, watch),
    )  # fmt: skip
    _note_changes(transport, store)
    orders = Orders(
        store=store,
        settler=settler,
        rooms=parts.rooms,
        clock=now,
        zone=config.zone,
        incident_ms=Ms(config.incident_hours * 3_600_000),
        witnessing=witnessing,
        desk=desk,
        agreement=reception.agreement,
        model=lambda: understood.state_of(chosen, live.policy(), reader),
        upkeep=guarding.upkeep,
    )
    server = await control.listen(config.socket, orders.obey)
    log.info("started", user=config.user, rooms=len(parts.rooms), rehearse=config.rehearse,
             policy=live.policy().revision[:12])  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, live.hurry)
    look = asyncio.ensure_future(at_start)
    doors = contextlib.AsyncExitStack()
    if config.gate is not None:
        await doors.enter_async_context(opened(config.gate, _answers(transport, pipeline)))
    try:
        await until_stopped(
            pipeline.run(lambda batch: caretaking.meet(batch, pipeline, transport)),
            settler.run(),
            sweep.run(),
            live.run(),
            roster.run(),
            estate.run(),
            witnessing.run(),
            publishing.run(),
            appealing.run(),
            hearing.console(
                config,
                appealing.desk,
                roster,
                functools.partial(_ruled, config),
                settler.wake,
                live.weigh,
            ).run(),
            guarding.run(),
            noticeboard.showing(parts, transport, store, guarding.upkeep, pipeline).run(),
            *caretaking.fetching(parts, store, tell),
            *caretaking.forgetting(parts, transport, store, closer.remains, live.policy, tell),
            caretaking.reminding(parts, transport, store, roster, enforcer).run(),
            watch.run(),
            reception.digest().run(),
            *follow_late(reader, pipeline, store),
        )
    finally:
        await doors.aclose()
        look.cancel()
        if reader is not None:
            reader.close()
        server.close()
        config.socket.unlink(missing_ok=True)
    await store.append([Noted(text="bluelamp stopped")])
    await store.checkpoint()
    await witnessing.show()
    log.info("stopped")


def _ruled(config: Config, rid: str) -> Judged | None:
    """A verdict of a rule on record, and the message that it is about."""
    found = drafts.find_verdict(config, rid)
    if found is None or not found.rule:
        return None
    with closing(SqliteReader(config.ledger)) as reader:
        event, refused = reader.judged(found.rid), reader.refused(found.rid)
    return Judged(found.rid, found.rule, found.action, EventId(event) if event else None, refused)


def _started(*, rehearsing: bool) -> Noted:
    return Noted(text=f"bluelamp {__version__} started{', rehearsing' if rehearsing else ''}")


def _answers(transport: MatrixTransport, pipeline: Pipeline) -> Mapping[str, Answer]:
    """What the homeserver's gate may ask."""
    return answers(Gatehouse(
        foresee=transport.foresee, pipeline=pipeline, room=pipeline.room, user=transport.user,
        held=transport.held,
    ))  # fmt: skip


def _speaker(parts: Parts, names: dict[UserId, str]) -> Speaker:
    """Who knows the force's words; *names* are filled in as people become known."""
    config = parts.config
    return Speaker(
        rooms=parts.rooms,
        names=names,
        contact=config.contact,
        zone=config.zone,
        server=config.user.split(":", 1)[1],
        peer_support=config.peer_support,
        hours=config.appeals,
    )


class _Asks(Protocol):
    """Whoever asks people about rooms that name no review room."""

    review: RoomId | None


def _ask_in(review: RoomId | None, *who: _Asks) -> None:
    """Have everybody ask in another room from now on."""
    for one in who:
        one.review = review


def _telling(parts: Parts, enforcer: Enforcer, store: Store) -> tuple[TellOf, Tell]:
    """Make what tells people of one room, and of what concerns all of them."""
    tell_of = functools.partial(tell_people, parts, enforcer, store)
    return tell_of, functools.partial(tell_of, "")


async def tell_people(  # noqa: PLR0913, PLR0917 - what is said, and who says it where
    parts: Parts, enforcer: Enforcer, store: Store, key: str, name: str, words: str, since: Ms
) -> bool:
    """Say something where people are asked about the room *key*; empty: about all rooms.

    Where there is no such room it is on record that nobody was told.
    """
    room = parts.asked_in(key)
    if room is not None:
        return await enforcer.tell(room, words, txn=name, since=since)
    log.error("nobody.told", room=key, why="there is no review room: list one in rooms.yaml")
    await store.append([Noted(text=f"nobody was told, as there is no review room: {words}")])
    return True


def _note_changes(transport: MatrixTransport, store: Store) -> None:
    """From now on, put it on record when an identity or device changes."""
    noting: set[asyncio.Task[None]] = set()
    transport.client.on_change.append(functools.partial(_note_change, store, noting))


def _note_change(store: Store, noting: set[asyncio.Task[None]], said: str) -> None:
    """Put on record, and before people's eyes, that an identity or device has changed."""
    log.error("identity.changed", change=said)
    task = asyncio.ensure_future(store.append([Noted(text=said)]))
    noting.add(task)  # nobody else holds it
    task.add_done_callback(noting.discard)
