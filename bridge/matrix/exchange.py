"""What we ask the server and other devices about keys: upload, query, claim, share, request.

Never lets one user's device or one far server hold up the rest: whoever does not answer is asked
again later. The numbers in brackets are those of the failures of matrix-nio 0.26 that
docs/matrix.md lists.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

import structlog
from nio import MatrixRoom

from bridge.errors import NotPermitted, TransportError
from bridge.matrix import trust
from bridge.matrix.api import quote
from bridge.matrix.keys import LampOlm
from bridge.matrix.recent import Recent

log = structlog.get_logger(__name__)

_V3 = "/_matrix/client/v3"
_OTK = "signed_curve25519"
#: So many users are asked about in one request.
_USERS = 200
#: The server waits so long for other servers, ms.
_FAR_MS = 3_000
#: Who did not answer is asked again after so long, then twice as long, s.
_AGAIN_S, _LATEST_S = 60.0, 3600.0
#: A fallback key that was used is replaced at most so often; the last two can be used, s.
_FALLBACK_S = 300.0
#: After so many uploads that met keys we do not know, somebody must look at the store.
_CONFLICTS = 20
#: So many messages that wait are sent before other work goes on.
_SENT_AT_ONCE = 20
#: So long may one step of work on many devices keep everything else waiting, s.
_STEP_S = 0.02
_USER = re.compile(r"@[^:\0\n]*:[^\0\s]+", re.ASCII)


class Caller(Protocol):
    """What asks the server; `api.Api` does."""

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the JSON object that the server answers with, or raise `TransportError`."""
        ...


class Later:
    """Whom not to ask for now."""

    def __init__(self) -> None:
        """Put nobody off yet."""
        #: Seconds; only differences count.
        self.clock: Callable[[], float] = time.monotonic
        self._until: Recent[object, tuple[float, float]] = Recent(50_000)

    def put_off(self, who: object) -> None:
        """Do not ask *who* for a while, and longer each time."""
        _, wait_s = self._until.recall(who) or (0.0, _AGAIN_S / 2)
        wait_s = min(wait_s * 2, _LATEST_S)
        self._until[who] = (self.clock() + wait_s, wait_s)

    def answered(self, who: object) -> None:
        """Ask *who* whenever needed."""
        self._until.pop(who, None)

    def now(self, who: object) -> bool:
        """Say whether *who* may be asked."""
        due, _ = self._until.get(who, (0.0, 0.0))
        return self.clock() >= due


class Exchange:
    """Asks on behalf of one device."""

    def __init__(
        self,
        api: Caller,
        olm: LampOlm,
        rooms: Mapping[str, MatrixRoom],
        pins: trust.Pins,
        report: Callable[[str], None],
    ) -> None:
        """Ask through *api*, for *olm*; *report* is told in a sentence of changed identities."""
        self.api, self.olm, self.rooms = api, olm, rooms
        self._pins, self._report = pins, report
        self.later = Later()
        #: The server has no fallback key of ours that was not used.
        self.fallback_wanted = not olm.account.shared
        self._fallback_at: float | None = None
        self._reported: set[str] = set()
        #: Whose devices we are asking for just now.
        self.asking: set[str] = set()
        self._querying, self._uploading = asyncio.Lock(), asyncio.Lock()
        self._sharing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # Our own keys

    async def upload(self) -> None:
        """Give the server the keys that it lacks (2).

        Raises:
            TransportError: it was not reached, or has keys of ours that we never made.
        """
        async with self._uploading:
            if not self.later.now("upload"):
                return
            if self.fallback_wanted and self._fallback_is_due():
                self.olm.make_fallback_key()
            for _ in range(_CONFLICTS):
                content = self.olm.share_keys()
                if not content:
                    return
                try:
                    answer = await self.api.call("POST", f"{_V3}/keys/upload", content)
                except NotPermitted as exc:
                    # Synapse says of a key id that it knows with another key: 400, M_UNKNOWN.
                    if " 400 " not in f"{exc} " or "one_time_keys" not in content:
                        raise
                    # The store is older than the server: leave these, make others.
                    log.error("keys.conflict", keys=len(content.get("one_time_keys", {})))
                    self.olm.account.mark_keys_as_published()
                    self.olm.uploaded_key_count = 0
                    continue
                self._uploaded(content, answer)
                return
            self.later.put_off("upload")
        raise TransportError(
            "The homeserver has one-time keys of this device that the bot's store does not know: "
            "the store is an old copy. Move it away and start again as a new device."
        )

    def _fallback_is_due(self) -> bool:
        return self._fallback_at is None or self.later.clock() - self._fallback_at >= _FALLBACK_S

    def _uploaded(self, content: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        counts = answer.get("one_time_key_counts")
        count = counts.get(_OTK, 0) if isinstance(counts, dict) else None
        self.olm.uploaded_key_count = count if isinstance(count, int) else None
        self.olm.account.shared = True
        self.olm.account.mark_keys_as_published()
        self.olm.save_account()
        if "fallback_keys" in content:
            self._fallback_at, self.fallback_wanted = self.later.clock(), False

    # Other people's devices

    async def query(self, users: Iterable[str] | None = None) -> None:
        """Ask for the devices of *users*, or of everybody that there is news of (3).

        Raises:
            TransportError: the server was not reached; who was not asked will be.
        """
        # Whoever is being asked about is waited for: who shares a key meanwhile must know them.
        async with self._querying:
            wanted = self.olm.users_for_key_query
            asked = set(wanted if users is None else wanted & set(users))
            nobody = {user for user in asked if len(user) > 255 or not _USER.fullmatch(user)}
            wanted -= nobody
            self.asking = {user for user in asked - nobody if self.later.now(user)}
            # Whoever changes while we ask comes into *wanted* again.
            wanted -= self.asking
            ordered = sorted(self.asking)
            try:
                for start in range(0, len(ordered), _USERS):
                    await self._query(ordered[start : start + _USERS])
                    self.asking -= set(ordered[start : start + _USERS])
            finally:
                wanted |= self.asking
                self.asking = set()

    async def _query(self, users: list[str]) -> None:
        body = {"device_keys": {user: [] for user in users}, "timeout": _FAR_MS}
        try:
            answer = await self.api.call("POST", f"{_V3}/keys/query", body)
        except NotPermitted:
            if len(users) == 1:
                # The server will not speak of this one: the others are asked without them.
                self._put_off(users[0])
                return
            half = len(users) // 2
            await self._query(users[:half])
            await self._query(users[half:])
            return
        await self.take_queried(answer, users)

    def _put_off(self, user: str) -> None:
        self.later.put_off(user)
        self.olm.users_for_key_query.add(user)

    async def take_queried(self, answer: Mapping[str, Any], users: Iterable[str]) -> None:
        """Take in what the server says of the devices and identities of *users*."""
        devices = _object(answer, "device_keys")
        masters, signers = _object(answer, "master_keys"), _object(answer, "self_signing_keys")
        until = time.monotonic() + _STEP_S
        for user in users:
            if not isinstance(devices.get(user), dict):
                self._put_off(user)
                continue
            self.later.answered(user)
            owner = trust.identity(user, masters.get(user), signers.get(user))
            if user == self.olm.user_id:
                self._watch_ourselves(devices[user])
            if self._pins.see(user, owner.master):
                self._report(
                    f"The cross-signing identity of {user} has changed: all their devices now "
                    "vouch for a new key. Ask them in person whether they reset it."
                )
            if self.olm.take_devices(user, devices[user], owner):
                self._renew_rooms_of(user)
            if time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + _STEP_S
        self._pins.save()

    def _renew_rooms_of(self, user: str) -> None:
        for room_id, room in self.rooms.items():
            if user in room.users:
                self.olm.outbound_group_sessions.pop(room_id, None)

    def _watch_ourselves(self, devices: Mapping[str, Any]) -> None:
        """Raise the alarm if somebody else has signed in as us."""
        known = self.olm.device_store[self.olm.user_id]
        strange = devices.keys() - known.keys() - {self.olm.device_id} - self._reported
        self._reported |= strange
        for device_id in sorted(strange):
            log.error("own.new_device", device=device_id)
            self._report(
                f"A device that is not the bot's, {device_id[:64]!r}, has signed in to the bot's "
                "own account. If nobody of the force did this, the account's password or token "
                "is known to somebody else: change it and remove the device."
            )

    async def claim(self, devices: Mapping[str, Iterable[str]]) -> None:
        """Start Olm sessions with *devices*, as far as they have keys to offer (4).

        Raises:
            TransportError: the server was not reached.
        """
        now = self.later.now
        asked = {u: [d for d in each if now((u, d))] for u, each in devices.items()}
        asked = {user: each for user, each in asked.items() if each}
        if not asked:
            return
        body = {
            "one_time_keys": {user: dict.fromkeys(each, _OTK) for user, each in asked.items()},
            "timeout": _FAR_MS,
        }
        for user, each in asked.items():
            for device in each:
                # Unless it answers now.
                self.later.put_off((user, device))
        answer = await self.api.call("POST", f"{_V3}/keys/claim", body)
        self.take_claimed(answer, asked)

    def take_claimed(self, answer: Mapping[str, Any], asked: Mapping[str, Iterable[str]]) -> None:
        """Take in the one-time keys of the devices that we *asked* for."""
        with self.olm.store.database.atomic():
            self.olm.take_claimed(_object(answer, "one_time_keys"), asked)
        without = self.olm.get_missing_sessions(list(asked))
        for user, each in asked.items():
            for device in set(each) - set(without.get(user, ())):
                self.later.answered((user, device))

    async def unwedge(self) -> None:
        """Start anew with devices whose messages we could not read.

        Raises:
            TransportError: the server was not reached.
        """
        wedged: dict[str, list[str]] = {}
        for device in self.olm.wedged_devices:
            wedged.setdefault(device.user_id, []).append(device.id)
        try:
            await self.claim(wedged)
        finally:
            # Who had no key to offer is tried again when their next message fails.
            self.olm.wedged_devices.clear()

    # Room keys

    async def share(self, room: MatrixRoom) -> None:
        """Give the room's key to every device in it that does not have it, as far as we can (4).

        Raises:
            TransportError: it was not handed out; what was, is remembered.
        """
        room_id = room.room_id
        async with self._sharing[room_id]:
            if (self.olm.users_for_key_query | self.asking) & set(room.users):
                await self.query(room.users)
            missing = self.olm.get_missing_sessions(list(room.users))
            if missing:
                await self._claim_for(room, missing)
            while True:
                session = self.olm.outbound_group_sessions.get(room_id)
                if session is None or session.expired:
                    self.olm.create_outbound_group_session(room_id)
                    session = self.olm.outbound_group_sessions[room_id]
                for reached, body in self.olm.share_group_session_parallel(
                    room_id, list(room.users)
                ):
                    await self.put("m.room.encrypted", body)
                    session.users_shared_with |= reached
                session.shared = True
                # Somebody may have come or gone while we waited: then it was made anew.
                if self.olm.outbound_group_sessions.get(room_id) is session:
                    return

    async def _claim_for(self, room: MatrixRoom, missing: Mapping[str, Iterable[str]]) -> None:
        """Claim keys; if that fails, go on without them, unless nobody at all could read us."""
        try:
            await self.claim(missing)
        except TransportError as exc:
            without = sum(len(list(each)) for each in missing.values())
            if without == sum(1 for _ in self.olm.sharers(room.users)):
                for user, each in missing.items():
                    for device in each:
                        self.later.answered((user, device))
                raise
            log.warning("keys.not_claimed", room=room.room_id, devices=without, error=str(exc))

    async def send_queued(self) -> None:
        """Send some of the to-device messages that wait.

        Raises:
            TransportError: the server was not reached; what was not sent waits on.
        """
        queue = self.olm.outgoing_to_device_messages
        for message in queue[:_SENT_AT_ONCE]:
            with suppress(NotPermitted):
                await self.put(message.type, message.as_dict())
            queue.remove(message)

    async def put(self, kind: str, body: Mapping[str, Any]) -> None:
        """Send a to-device message of type *kind*."""
        await self.api.call("PUT", f"{_V3}/sendToDevice/{quote(kind)}/{uuid4()}", body)


def _object(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, dict) else {}
