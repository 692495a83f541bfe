"""A homeserver of lists that only carries keys, devices of ours on it, and stock nio beside."""

from __future__ import annotations

import base64
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nio import AsyncClient, AsyncClientConfig
from nio.api import Api as NioApi
from nio.responses import SyncResponse
from nio.store import SqliteStore

from bridge.errors import NotPermitted
from bridge.matrix.client import LampClient

ROOM = "!room:force.example"
BOT, ANNA, MALLORY = ("@bot:force.example", "@anna:force.example", "@mallory:force.example")
PICKLE_KEY = "a key"


class KeyServer:
    """What a homeserver does with keys; hostile where a test makes it so."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, Any]] = defaultdict(dict)
        self.one_time: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
        self.fallback: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
        self.fallback_used: set[tuple[str, str]] = set()
        self.identities: dict[str, tuple[Any, Any]] = {}
        self.inbox: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        #: Everything asked: who, method and path, body.
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        #: May raise, or change the answer.
        self.twist: Callable[[str, dict[str, Any], dict[str, Any]], dict[str, Any]] | None = None

    def answer(self, user: str, device: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        path = path.partition("?")[0]
        self.asked.append((user, path, body))
        match path.removeprefix("/_matrix/client/v3/").split("/")[:2]:
            case ["keys", "upload"]:
                got = self._upload(user, device, body)
            case ["keys", "query"]:
                got = self._query(body["device_keys"])
            case ["keys", "claim"]:
                got = self._claim(body["one_time_keys"])
            case ["sendToDevice", kind]:
                got = self._carry(user, kind, body["messages"])
            case _:
                raise AssertionError(path)
        # As it would come over a wire.
        got = json.loads(json.dumps(got))
        return self.twist(path, body, got) if self.twist else got

    def _upload(self, user: str, device: str, body: dict[str, Any]) -> dict[str, Any]:
        if "device_keys" in body:
            self.devices[user][device] = body["device_keys"]
        mine = self.one_time[user, device]
        for name, key in body.get("one_time_keys", {}).items():
            if name in mine and mine[name]["key"] != key["key"]:
                raise NotPermitted(f"refused: 400 M_UNKNOWN {name} already exists")
            mine[name] = key
        if "fallback_keys" in body:
            self.fallback[user, device] = body["fallback_keys"]
            self.fallback_used.discard((user, device))
        return {"one_time_key_counts": {"signed_curve25519": len(mine)}}

    def _query(self, users: Iterable[str]) -> dict[str, Any]:
        known = {user: self.devices[user] for user in users}
        identities = {user: self.identities[user] for user in known if user in self.identities}
        return {
            "device_keys": known,
            "master_keys": {user: keys[0] for user, keys in identities.items()},
            "self_signing_keys": {user: keys[1] for user, keys in identities.items()},
            "failures": {},
        }

    def _claim(self, asked: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        got: dict[str, Any] = defaultdict(dict)
        for user, device in ((user, device) for user, each in asked.items() for device in each):
            keys, fallback = self.one_time[user, device], self.fallback[user, device]
            if keys:
                name = next(iter(keys))
                got[user][device] = {name: keys.pop(name)}
            elif fallback:
                self.fallback_used.add((user, device))
                got[user][device] = fallback
        return {"one_time_keys": got, "failures": {}}

    def _carry(self, sender: str, kind: str, messages: Mapping[str, Any]) -> dict[str, Any]:
        for user, devices in messages.items():
            for device, content in devices.items():
                named = [*self.devices[user]] if device == "*" else [device]
                for each in named:
                    event = {"type": kind, "sender": sender, "content": content}
                    self.inbox[user, each].append(event)
        return {}

    def mail(self, user: str, device: str) -> list[dict[str, Any]]:
        """Hand out what lies in an inbox."""
        events, self.inbox[user, device] = self.inbox[user, device], []
        return events

    def news(self, user: str, device: str) -> dict[str, Any]:
        """Return what a sync says about a device's keys."""
        used = (user, device) in self.fallback_used or not self.fallback[user, device]
        return {
            "device_one_time_keys_count": {"signed_curve25519": len(self.one_time[user, device])},
            "device_unused_fallback_key_types": [] if used else ["signed_curve25519"],
        }

    def paths(self, user: str, word: str) -> list[dict[str, Any]]:
        """Return the bodies of what *user* asked under paths with *word* in them."""
        return [body for who, path, body in self.asked if who == user and word in path]


class Caller:
    """Asks the server of lists, as `Api` asks a real one."""

    def __init__(self, server: KeyServer, user: str, device: str) -> None:
        self.server, self.user, self.device = server, user, device

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        assert method in {"POST", "PUT"}
        wire = json.loads(json.dumps(body))
        return self.server.answer(self.user, self.device, path, wire)


class Stock(AsyncClient):  # type: ignore[misc]  # nio ships no types
    """nio as it comes, whose requests go to the server of lists."""

    server: KeyServer

    async def _send(
        self, response_class: Any, method: str, path: str, data: Any = None,
        response_data: Any = None, *_: Any, **__: Any,
    ) -> Any:  # fmt: skip
        try:
            got = self.server.answer(self.user_id, self.device_id, path, json.loads(data))
        except NotPermitted as exc:
            got = {"errcode": "M_INVALID_PARAM", "error": str(exc)}
        response = response_class.from_dict(got, *(response_data or ()))
        await self.receive_response(response)
        return response


@dataclass
class World:
    """The server and a folder for the stores."""

    server: KeyServer
    folder: Path

    def lamp(self, user: str, device: str) -> LampClient:
        """Open a device of ours, that no network knows."""
        store = self.folder / f"{user[1:5]}-{device}"
        store.mkdir(exist_ok=True)
        client = LampClient("http://127.0.0.1:9", user, store, PICKLE_KEY)
        client.restore_login(user, device, "token")
        client.exchange.api = Caller(self.server, user, device)
        return client

    def stock(self, user: str, device: str) -> Stock:
        """Open a device of stock nio's."""
        store = self.folder / f"{user[1:5]}-{device}"
        store.mkdir(exist_ok=True)
        config = AsyncClientConfig(store=SqliteStore, pickle_key=PICKLE_KEY)
        client = Stock("http://127.0.0.1:9", user, store_path=str(store), config=config)
        client.server = self.server
        client.restore_login(user, device, "token")
        return client

    async def settle(self, *clients: LampClient, room: str = ROOM) -> None:
        """Put the devices' users in an encrypted room and let them learn of each other."""
        for client in clients:
            await client.tend_keys()
        for client in clients:
            encrypt(client, room)
            for other in clients:
                client.take_state(room, joined(other.user_id))
        for _ in range(2):
            for client in clients:
                await client.tend_keys()

    async def settle_stock(self, client: Stock, *users: str, room: str = ROOM) -> None:
        """The same for stock nio, by a sync."""
        state = [
            {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM_}},
            *(joined(user) for user in users),
        ]
        state = [
            {"event_id": f"$s{n}", "sender": BOT, "origin_server_ts": 1, **event}
            for n, event in enumerate(state)
        ]
        await stock_sync(client, state=state, room=room)
        client.rooms[room].members_synced = True
        await stock_tend(client)

    def receive(self, client: LampClient) -> set[str]:
        """Take in the mail of a device of ours, and what a sync says of its keys."""
        fresh = client.take_to_device(self.server.mail(client.user_id, client.device_id))
        client.take_key_news(self.server.news(client.user_id, client.device_id))
        return fresh


MEGOLM_ = "m.megolm.v1.aes-sha2"
_numbers = itertools.count()


async def stock_tend(client: Stock) -> None:
    """Do what sync_forever does with keys."""
    if client.should_upload_keys:
        await client.keys_upload()
    if client.should_query_keys:
        await client.keys_query()
    if client.should_claim_keys:
        await client.keys_claim(client.get_users_for_key_claiming())
    await client.send_to_device_messages()


async def stock_sync(
    client: Stock,
    *,
    to_device: Iterable[Mapping[str, Any]] = (),
    state: Iterable[Mapping[str, Any]] = (),
    timeline: Iterable[Mapping[str, Any]] = (),
    count: int = 50,
    room: str = ROOM,
) -> Any:
    """Give stock nio a sync response."""
    sync = {
        "next_batch": f"s{next(_numbers)}",
        "device_one_time_keys_count": {"signed_curve25519": count},
        "device_lists": {"changed": [], "left": []},
        "rooms": {
            "invite": {},
            "leave": {},
            "join": {
                room: {
                    "timeline": {"events": list(timeline), "limited": False, "prev_batch": "p"},
                    "state": {"events": list(state)},
                    "ephemeral": {"events": []},
                    "account_data": {"events": []},
                }
            },
        },
        "to_device": {"events": list(to_device)},
        "presence": {"events": []},
        "account_data": {"events": []},
    }
    response = SyncResponse.from_dict(json.loads(json.dumps(sync)))
    assert isinstance(response, SyncResponse), response
    await client.receive_response(response)
    return response


def joined(user: str, membership: str = "join") -> dict[str, Any]:
    return {"type": "m.room.member", "state_key": user, "content": {"membership": membership}}


def encrypt(client: LampClient, room: str = ROOM) -> None:
    content = {"algorithm": MEGOLM_}
    client.take_state(room, {"type": "m.room.encryption", "state_key": "", "content": content})


def event(sender: str, content: Mapping[str, Any], room: str = ROOM) -> dict[str, Any]:
    """Make the event that a server serves for an encrypted message."""
    return {
        "type": "m.room.encrypted",
        "event_id": f"${next(_numbers)}",
        "sender": sender,
        "origin_server_ts": 1,
        "room_id": room,
        "content": dict(content),
    }


async def say(client: LampClient, text: str, room: str = ROOM) -> dict[str, Any]:
    """Encrypt a message, give the others its key, and return it as it is served."""
    content = {"msgtype": "m.text", "body": text}
    sealed = await client.seal(room, "m.room.message", content)
    return event(client.user_id, sealed, room)


async def olm(by: LampClient, to: Any, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Encrypt anything from one device to another; return the to-device event."""
    device = by.olm.device_store[to.user_id][to.device_id]
    if by.olm.session_store.get(device.curve25519) is None:
        by.exchange.later.answered((to.user_id, to.device_id))
        await by.exchange.claim({to.user_id: [to.device_id]})
    session = by.olm.session_store.get(device.curve25519)
    sealed = by.olm._olm_encrypt(session, device, kind, dict(content))
    return {"type": "m.room.encrypted", "sender": by.user_id, "content": sealed}


class Owner:
    """A person's cross-signing keys."""

    def __init__(self, server: KeyServer, user: str) -> None:
        """Make an identity and publish it."""
        self.server, self.user = server, user
        self._keys = {use: Ed25519PrivateKey.generate() for use in ("master", "self_signing")}
        first, second = (self._object(use) for use in self._keys)
        server.identities[user] = (first, self._signed(second, "master"))

    def sign(self, device: str) -> None:
        """Sign a device."""
        self.server.devices[self.user][device] = self._signed(
            self.server.devices[self.user][device], "self_signing"
        )

    def public(self, use: str) -> str:
        raw = self._keys[use].public_key().public_bytes_raw()
        return base64.b64encode(raw).decode().rstrip("=")

    def _object(self, use: str) -> dict[str, Any]:
        key = self.public(use)
        return {"user_id": self.user, "usage": [use], "keys": {f"ed25519:{key}": key}}

    def _signed(self, thing: dict[str, Any], use: str) -> dict[str, Any]:
        bare = {name: value for name, value in thing.items() if name != "signatures"}
        raw = self._keys[use].sign(NioApi.to_canonical_json(bare).encode())
        signature = base64.b64encode(raw).decode().rstrip("=")
        mine = thing.get("signatures", {}).get(self.user, {})
        mine = {**mine, f"ed25519:{self.public(use)}": signature}
        return {**bare, "signatures": {**thing.get("signatures", {}), self.user: mine}}
