"""How the homeserver, the bot's account and the gate's module are, as the server tells it.

Never changes anything.
"""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from bridge.errors import NotFound, TransportError
from bridge.matrix.api import Api, quote

_GATE = "/_synapse/client/uk.police.gate"
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A homeserver that answers."""

    versions: tuple[str, ...]
    #: How far its clock is ahead of ours, in seconds; it is told to the second only.
    ahead_s: float | None
    #: How long it took to answer, in milliseconds.
    ms: float


async def server(url: str) -> Server:
    """Ask who is there.

    Raises:
        TransportError: nobody answers, or it is no homeserver.
    """
    before = time.time()
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{url}/_matrix/client/versions") as answer,
        ):
            said: Any = await answer.json(content_type=None)
            date = answer.headers.get("Date")
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        raise TransportError(f"No homeserver answers at {url} ({type(exc).__name__}).") from None
    if not isinstance(said, dict) or not isinstance(said.get("versions"), list):
        raise TransportError(f"What answers at {url} is no homeserver.")
    after = time.time()
    return Server(
        versions=tuple(str(one) for one in said["versions"]),
        ahead_s=_ahead(date, (before + after) / 2),
        ms=(after - before) * 1000,
    )


def _ahead(date: str | None, now: float) -> float | None:
    try:
        told = email.utils.parsedate_to_datetime(date or "")
    except ValueError:
        return None
    # A second is cut off: on average it was half a second later.
    return told.timestamp() + 0.5 - now


async def whose(api: Api) -> tuple[str, str]:
    """Say which user and device the token is of.

    Raises:
        NotSignedIn: it is of none.
    """
    said = await api.call("GET", "/_matrix/client/v3/account/whoami")
    return str(said.get("user_id", "")), str(said.get("device_id", ""))


async def is_cross_signed(api: Api, user: str, device: str) -> bool:
    """Say whether the bot's device is signed by its own identity, so that strict clients trust it.

    Raises:
        TransportError: the server was not reached.
    """
    asked = await api.call("POST", "/_matrix/client/v3/keys/query", {"device_keys": {user: []}})
    signing = ((asked.get("self_signing_keys") or {}).get(user) or {}).get("keys") or {}
    found = ((asked.get("device_keys") or {}).get(user) or {}).get(device) or {}
    signatures = (found.get("signatures") or {}).get(user) or {}
    return bool(set(signing) & set(signatures))


async def is_in(api: Api, room: str) -> bool:
    """Say whether the bot is in *room*.

    Raises:
        TransportError: the server was not reached.
    """
    try:
        await api.call("GET", f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.create/")
    except NotFound:
        return False
    except TransportError:
        joined = await api.call("GET", "/_matrix/client/v3/joined_rooms")
        return room in (joined.get("joined_rooms") or ())
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The module in the homeserver."""

    version: str
    stops_messages: bool
    bot_answers: bool
    #: How long the bot took to answer it, in milliseconds.
    ms: float


async def gate(api: Api) -> Gate | None:
    """Ask the module how it is; None where there is none.

    Raises:
        TransportError: the server was not reached.
    """
    try:
        said = await api.call("GET", _GATE)
    except NotFound:
        return None
    return Gate(
        version=str(said.get("version", "")),
        stops_messages=said.get("stops_messages") is True,
        bot_answers=said.get("bot_answers") is True,
        ms=float(said.get("ms") or 0.0),
    )
