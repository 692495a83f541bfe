"""Puts the parts together and runs them. The composition root of `bluelamp run`.

Never decides, records or sends anything itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bridge import __version__, control, drafts
from bridge.config import Config, load_identity, load_register, save_lock
from bridge.coverage import Coverage, cover
from bridge.duties.publishing import Publishing
from bridge.duties.sweep import Sweep
from bridge.duties.witnessing import Seat, Witnessing
from bridge.enforce import Enforcer
from bridge.errors import BridgeError, ConfigError, TransportError, UsageError
from bridge.facts import Noted
from bridge.matrix import rooms
from bridge.matrix.api import Api, quote
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account, sign_in
from bridge.matrix.transport import MatrixTransport
from bridge.model import Ms, Room, RoomClass, RoomId
from bridge.orders import Orders
from bridge.pipeline import Pipeline
from bridge.policy import Policy
from bridge.ports import Store
from bridge.register import Entry, Lock, People, Register
from bridge.settle import Settler
from bridge.store.book import Identity
from bridge.store.reader import SqliteReader
from bridge.store.space import set_aside
from bridge.store.sqlite import SqliteStore
from bridge.texts import Speaker, card
from bridge.witness.client import HttpWitness

log = structlog.get_logger(__name__)


def now() -> Ms:
    """Return the time."""
    return Ms(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What `bluelamp run` is made of, once everything that can be wrong was checked."""

    config: Config
    policy: Policy
    register: Register
    people: People
    rooms: dict[RoomId, Room]
    identity: Identity
    #: Rooms of class audit, where checkpoints are posted; spaces are none.
    auditors: tuple[RoomId, ...] = ()

    @property
    def review(self) -> RoomId | None:
        """The room where people are asked, if there is one."""
        return next((r.id for r in self.rooms.values() if r.cls is RoomClass.REVIEW), None)


def check(config: Config) -> Parts:
    """Read and check everything that the force writes.

    Raises:
        ConfigError: something in it is wrong.
    """
    policy = drafts.deciding(config)
    register, people, lock = load_register(config)
    identity = load_identity(config, policy)
    for retention in sorted(policy.retention):
        identity.certificates.recipients(retention, now())
        if identity.reviewers is not None:
            identity.reviewers.recipients(retention, now())
    listed = register.resolve(lock)
    return Parts(
        config=config,
        policy=policy,
        register=register,
        people=people,
        rooms={**_spaces(register, lock), **listed},
        identity=identity,
        auditors=tuple(i for i, room in listed.items() if room.cls is RoomClass.AUDIT),
    )


def _spaces(register: Register, lock: Lock) -> dict[RoomId, Room]:
    """The spaces, which hold no talk: what changes in them is recorded."""
    found = ((register.id_of(space.key, lock), space.name) for space in register.spaces())
    return {i: Room(id=i, cls=RoomClass.AUDIT, name=name) for i, name in found if i is not None}


async def run(config: Config) -> None:
    """Run the bot until it is told to stop (SIGINT, SIGTERM) or cannot go on.

    Raises:
        BridgeError: one clear sentence about why.
    """
    drafts.must_be_approved(config)
    parts = check(config)
    if not parts.rooms:
        raise ConfigError(
            str(config.rooms), None,
            "none of these rooms exists on the server yet; run 'bluelamp rooms apply' first",
        )  # fmt: skip
    async with _witnessed(parts) as (store, witnessing):
        transport = await connect(config, parts.rooms)
        try:
            await _serve(parts, store, witnessing, transport)
        finally:
            await transport.close()


@contextlib.asynccontextmanager
async def _witnessed(parts: Parts) -> AsyncIterator[tuple[SqliteStore, Witnessing]]:
    """Open the ledger, held against its anchor and its witnesses.

    Raises:
        StoreBehind: it is older than one of them has seen.
    """
    config = parts.config
    set_aside(config.ledger)
    store = SqliteStore(config.ledger, parts.identity, now, anchor=config.anchor)
    clients = [HttpWitness(one.url, one.key) for one in config.witnesses]
    seats = [
        Seat(witness=client, key=one.key)
        for client, one in zip(clients, config.witnesses, strict=True)
    ]
    witnessing = Witnessing(store=store, seats=seats, clock=now)
    try:
        await witnessing.compare()
        yield store, witnessing
    finally:
        for client in clients:
            await client.close()
        await store.close()


async def sign_checkpoint(config: Config) -> str:
    """Sign a checkpoint while the bot is not running; return it with its cosignatures.

    Raises:
        StoreLocked: the bot is running.
        StoreBehind: the ledger is older than its anchor or a witness has seen.
        UsageError: nothing is on record yet.
    """
    if not config.ledger.exists():
        raise UsageError("There is nothing to sign yet: the bot has recorded nothing.")
    async with _witnessed(check(config)) as (store, witnessing):
        await store.checkpoint()
        await witnessing.show()
        return await store.newest()


async def connect(config: Config, approved: Mapping[RoomId, Room]) -> MatrixTransport:
    """Sign in, make the device known and cross-signed, and enter the *approved* rooms.

    Raises:
        TransportError: the homeserver is not there or refuses.
    """
    transport = await open_device(
        _account(config), approved=approved.__contains__, most_bytes=config.most_bytes
    )
    try:
        await _enter(transport.api, approved)
    except BaseException:
        await transport.close()
        raise
    return transport


async def sign_in_anew(config: Config) -> str:
    """Sign in as a new device under the identity that there is; return its id.

    Raises:
        NotSignedIn: the password is not accepted.
        TransportError: the homeserver is not there or refuses.
    """
    transport = await open_device(_account(config), approved=lambda _: False)
    device = transport.client.device_id
    await transport.close()
    return str(device)


async def compare_rooms(api: Api, config: Config, policy: Policy) -> rooms.Plan:
    """Say how the server differs from the register.

    Raises:
        ConfigError: register or people are wrong.
        TransportError: the homeserver is not there or refuses.
    """
    register, people, lock = load_register(config)

    def notice(entry: Entry) -> str:
        secure = register.rooms[entry.secure].name if entry.secure else ""
        return card(
            policy.classes[entry.cls],
            secure=secure,
            contact=config.contact,
            reviewers=config.reviewers is not None,
        )

    return await rooms.plan(api, register, people, lock, bot=config.user, card=notice)


async def plan_register(config: Config) -> rooms.Plan:
    """Sign in as the bot and say how the server differs from the register."""
    async with await _as_bot(config) as api:
        return await compare_rooms(api, config, drafts.deciding(config))


async def apply_register(config: Config, progress: Callable[[str], None]) -> rooms.Plan:
    """Make the server as the register says; return what remains to be done by people."""
    async with await _as_bot(config) as api:
        planned = await compare_rooms(api, config, drafts.deciding(config))
        return await rooms.apply(
            api, planned, save=lambda lock: save_lock(config, lock), progress=progress
        )


async def compare_coverage(config: Config, since: Ms) -> Coverage:
    """Say which of the server's events since then are on record.

    Raises:
        StoreError: there is no ledger.
        TransportError: the homeserver is not there or refuses.
    """
    register, _, lock = load_register(config)
    reader = SqliteReader(config.ledger)
    try:
        async with await _as_bot(config) as api:
            rooms_now = register.resolve(lock)
            return await cover(api, rooms_now, reader.recorded, since=since, zone=config.zone)
    finally:
        reader.close()


async def _as_bot(config: Config) -> Api:
    session = await sign_in(_account(config))
    return Api(config.homeserver, session.token)


def _account(config: Config) -> Account:
    return Account(
        url=config.homeserver,
        user=config.user,
        state=config.state,
        token_file=config.token_file,
        password_file=config.password_file,
        identity_passphrase=config.identity_passphrase,
    )


async def _report_problems(parts: Parts, api: Api) -> None:
    """Say once, after starting, what in the rooms only people can put right."""
    try:
        planned = await compare_rooms(api, parts.config, parts.policy)
    except BridgeError as exc:
        log.warning("rooms.not_compared", error=str(exc))
        return
    for difference in planned.problems:
        log.error("room.problem", problem=str(difference))


async def _enter(api: Api, approved: Mapping[RoomId, Room]) -> None:
    """Be in every approved room; say of each that cannot be entered what to do."""
    answer = await api.call("GET", "/_matrix/client/v3/joined_rooms")
    inside = set(answer.get("joined_rooms") or ())
    for room in approved.values():
        if room.id in inside:
            continue
        try:
            await api.call("POST", f"/_matrix/client/v3/join/{quote(room.id)}", {})
        except TransportError as exc:
            log.error(
                "room.cannot_enter",
                room=room.id,
                name=room.name,
                error=str(exc),
                what_to_do="invite the bot there, or run 'bluelamp rooms plan'; nothing in this "
                "room is read until then",
            )


async def _serve(
    parts: Parts, store: SqliteStore, witnessing: Witnessing, transport: MatrixTransport
) -> None:
    config = parts.config
    speaker = Speaker(
        rooms=parts.rooms,
        names={person.id: person.name for person in parts.people.persons.values()},
        contact=config.contact,
        zone=config.zone,
        server=config.user.split(":", 1)[1],
        peer_support=config.peer_support,
    )
    enforcer = Enforcer(transport=transport, speaker=speaker, rehearse=config.rehearse)
    settler = Settler(
        store=store,
        enforcer=enforcer,
        rooms=parts.rooms,
        review=parts.review,
        clock=now,
        removals_per_minute=config.removals_per_minute,
        started=now(),
    )
    tell = functools.partial(_tell, enforcer, parts.review)
    desk = drafts.desk(config, parts.policy, parts.people, store, now, tell)
    live = desk.live
    pipeline = Pipeline(
        transport=transport,
        store=store,
        policy=live.policy,
        peer_support=bool(config.peer_support),
        rooms=parts.rooms,
        review=parts.review,
        wake=settler.wake,
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
    rehearsing = ", rehearsing" if config.rehearse else ""
    await live.begin()
    await store.append([Noted(text=f"bluelamp {__version__} started{rehearsing}")])
    noting: set[asyncio.Task[None]] = set()
    transport.client.on_change.append(functools.partial(_note_change, store, noting))
    orders = Orders(
        store=store, settler=settler, rooms=parts.rooms, witnessing=witnessing, desk=desk
    )
    server = await control.listen(config.socket, orders.obey)
    log.info("started", user=config.user, rooms=len(parts.rooms), rehearse=config.rehearse,
             policy=live.policy().revision[:12])  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, live.hurry)
    look = asyncio.ensure_future(_report_problems(parts, transport.api))
    try:
        await _until_stopped(
            pipeline.run(),
            settler.run(),
            sweep.run(),
            live.run(),
            witnessing.run(),
            publishing.run(),
        )
    finally:
        look.cancel()
        server.close()
        config.socket.unlink(missing_ok=True)
    await store.append([Noted(text="bluelamp stopped")])
    await store.checkpoint()
    await witnessing.show()
    log.info("stopped")


async def _tell(enforcer: Enforcer, room: RoomId | None, name: str, words: str, since: Ms) -> bool:
    """Say something in the review room, if there is one."""
    return room is None or await enforcer.tell(room, words, txn=name, since=since)


def _note_change(store: Store, noting: set[asyncio.Task[None]], said: str) -> None:
    """Put on record, and before people's eyes, that an identity or device has changed."""
    log.error("identity.changed", change=said)
    task = asyncio.ensure_future(store.append([Noted(text=said)]))
    noting.add(task)  # nobody else holds it
    task.add_done_callback(noting.discard)


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel *tasks* until they have ended; what they raise is for whoever asked for it.

    Once is not enough: a cancellation that meets a request's timeout comes out as the timeout.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=1.0)
        for task in done:
            if not task.cancelled():
                task.exception()  # or asyncio would tell the log of it, words and all


async def _until_stopped(*duties: object) -> None:
    """Run *duties* until one fails (raise its error) or a signal asks us to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.ensure_future(duty) for duty in duties]  # type: ignore[call-overload]
    stopped = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            task.result()
    finally:
        await end(stopped, *tasks)
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)
