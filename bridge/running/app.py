"""Puts the parts together and runs them. The composition root of `bluelamp run`.

Never decides, records or sends anything itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

import structlog

from bridge.config import Config, load_register
from bridge.duties.witnessing import Seat, Witnessing
from bridge.errors import BridgeError, ConfigError, NotPermitted, UsageError
from bridge.matrix import rooms
from bridge.matrix.api import Api
from bridge.matrix.device import open_device
from bridge.matrix.entering import enter
from bridge.matrix.identity import Account, sign_in
from bridge.matrix.premises import MatrixPremises, lift_limits
from bridge.matrix.transport import MatrixTransport
from bridge.model import Ms, Room, RoomId
from bridge.policy import Policy
from bridge.rooms.housing import house
from bridge.rooms.labels import decided
from bridge.rooms.premises import Look
from bridge.running import drafts
from bridge.running.coverage import Coverage, cover
from bridge.running.lockfile import add_ids
from bridge.running.parts import Parts, check, now
from bridge.running.serving import serve
from bridge.store.reader import SqliteReader
from bridge.store.space import set_aside
from bridge.store.sqlite import SqliteStore
from bridge.witness.client import HttpWitness

__all__ = ["check", "now"]

log = structlog.get_logger(__name__)


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
            await serve(parts, store, witnessing, transport, _report_problems(parts, transport.api))
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
        await enter(transport.api, approved)
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


async def compare_rooms(
    api: Api, config: Config, policy: Policy, *, put_out: bool = False
) -> rooms.Plan:
    """Say how the server differs from the register.

    *put_out*: whoever is not on the register goes, however many they are.

    Raises:
        ConfigError: register or people are wrong.
        StoreError: the ledger, where labels of rooms are, cannot be read.
        TransportError: the homeserver is not there or refuses.
    """
    register, people, lock = load_register(config)
    register = decided(register, config)
    wanted = house(config, register, people, policy, retired=lock.closed, put_out=put_out)
    return await rooms.plan(api, wanted, lock)


async def plan_register(config: Config) -> rooms.Plan:
    """Sign in as the bot and say how the server differs from the register."""
    async with await _as_bot(config) as api:
        return await compare_rooms(api, config, drafts.deciding(config))


async def apply_register(
    config: Config, progress: Callable[[str], None], *, put_out: bool = False
) -> rooms.Plan:
    """Make the server as the register says; return what remains to be done by people."""
    async with await _as_bot(config) as api:
        planned = await compare_rooms(api, config, drafts.deciding(config), put_out=put_out)
        if planned.differences and config.admin_token_file is not None:
            with contextlib.suppress(NotPermitted):  # then it waits where the server asks it to
                await lift_limits(config.homeserver, config.admin_token_file, config.user)
        return await rooms.apply(
            api, planned, save=lambda lock: add_ids(config.lock, lock), progress=progress
        )


async def adopt_room(config: Config, key: str, room: RoomId) -> rooms.Plan:
    """Take a room that exists already onto the register, and say how it differs.

    Raises:
        UsageError: the key is on no register, or has a room; or the room has a key.
    """
    register, people, lock = load_register(config)
    if key not in register.rooms:
        raise UsageError(f"There is no room {key!r} in {config.rooms}: write it down there first.")
    has = register.id_of(key, lock)
    if has is not None:
        raise UsageError(f"The room {key} is {has} already.")
    if room in lock.ids.values() or room in register.resolve(lock):
        raise UsageError(f"The room {room} is on the register already, under another key.")
    known = decided(register, config)
    wanted = house(config, known, people, drafts.deciding(config), retired=lock.closed)
    async with await _as_bot(config) as api:
        adopted = await rooms.adopt(api, wanted, key, lock.with_room(key, room))
    if key in adopted.lock.ids:
        add_ids(config.lock, adopted.lock)
    return adopted


async def look_at_rooms(config: Config) -> list[Look]:
    """Say how every room of the register is now."""
    register, people, lock = load_register(config)
    register = decided(register, config)
    wanted = house(config, register, people, drafts.deciding(config), retired=lock.closed)
    async with await _as_bot(config) as api:
        premises = MatrixPremises(api, lambda: (wanted, lock))
        return [await premises.look(key) for key in premises.listed() if key in register.rooms]


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
