"""Our one subclass of nio's client: its cryptography, with its known failures cured.

Never lets nio run a sync, keep a token or believe what a decrypted event says about a room: we
hand it to-device events, key counts and clear state, and ask it to encrypt and decrypt. The
numbers in brackets are those of the failures of matrix-nio 0.26 that docs/matrix.md lists.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nio.client.base_client
import structlog
from aiohttp import ClientError
from nio import AsyncClient, AsyncClientConfig, MatrixRoom
from nio.crypto import Olm
from nio.events.to_device import ToDeviceEvent
from nio.responses import KeysClaimResponse
from nio.store import SqliteStore

from bridge.errors import TransportError
from bridge.matrix.api import Api

log = structlog.get_logger(__name__)

MEGOLM = "m.megolm.v1.aes-sha2"
#: Requests of nio's own (keys) are given up after so many seconds.
_TIMEOUT_S = 20


class LampOlm(Olm):
    """nio's Olm machine, which one bad device or key no longer stops."""

    def verify_json(self, json: Any, user_key: str, user_id: str, device_id: str) -> bool:
        """Check a signature; whatever is malformed is unsigned (3)."""
        signatures, unsigned = json.get("signatures"), json.get("unsigned")
        try:
            return bool(super().verify_json(json, user_key, user_id, device_id))
        except Exception as exc:
            log.warning("device.malformed", user=user_id, device=device_id, error=repr(exc))
            for name, value in (("signatures", signatures), ("unsigned", unsigned)):
                if value is not None:
                    json[name] = value
            return False

    def _handle_key_claiming(self, response: KeysClaimResponse) -> None:
        """Start Olm sessions device by device, so that a bad one stands alone (4)."""
        for user, devices in list(response.one_time_keys.items()):
            for device, key in list(devices.items()):
                alone = copy.copy(response)
                alone.one_time_keys = {user: {device: key}}
                try:
                    super()._handle_key_claiming(alone)
                except Exception as exc:
                    log.warning("olm.cannot_start", user=user, device=device, error=repr(exc))

    def share_keys(self) -> dict[str, Any]:
        """Save the private halves before the server learns of the public ones."""
        content: dict[str, Any] = super().share_keys()
        self.save_account()
        return content


@dataclass(frozen=True, slots=True)
class Clear:
    """What was inside an encrypted event."""

    type: str
    content: dict[str, Any]
    #: Which session and which message of it; no two events may share both.
    session_id: str
    index: int
    #: What does not add up about who wrote it; empty if nothing.
    doubt: str


@dataclass(frozen=True, slots=True)
class Dark:
    """Why an encrypted event could not be read."""

    reason: str
    session_id: str


class LampClient(AsyncClient):
    """Keys, devices, rooms' members and their encryption."""

    olm: LampOlm
    rooms: dict[str, MatrixRoom]

    def __init__(self, url: str, user: str, store: Path, pickle_key: str) -> None:
        """Prepare a client whose crypto store is in the folder *store*."""
        config = AsyncClientConfig(
            store=SqliteStore,
            store_sync_tokens=False,
            pickle_key=pickle_key,
            encryption_enabled=True,
            max_limit_exceeded=10,
            max_timeouts=3,
            request_timeout=_TIMEOUT_S,
        )
        super().__init__(url, user, store_path=str(store), config=config)

    def load_store(self) -> None:
        """Load the crypto store into our Olm machine instead of nio's."""
        original = nio.client.base_client.Olm
        nio.client.base_client.Olm = LampOlm
        try:
            super().load_store()
        finally:
            nio.client.base_client.Olm = original

    # What the server says

    def take_to_device(self, events: Iterable[Mapping[str, Any]]) -> set[str]:
        """Take in to-device events in one transaction; return the sessions we got keys of (1)."""
        fresh: set[str] = set()
        with self.store.database.atomic():
            for raw in events:
                try:
                    event = ToDeviceEvent.parse_event(dict(raw))
                    inner = self.olm.handle_to_device_event(event) if event else None
                except Exception as exc:
                    log.warning("to_device.malformed", sender=raw.get("sender"), error=repr(exc))
                    continue
                session = getattr(inner, "session_id", None)
                if session:
                    fresh.add(session)
            self.olm.collect_key_requests()
        return fresh

    def take_key_news(self, sync: Mapping[str, Any]) -> None:
        """Take in which devices changed and how many of our one-time keys are left (2)."""
        lists = sync.get("device_lists") or {}
        shared = {user for room in self.rooms.values() if room.encrypted for user in room.users}
        changed = {*(lists.get("changed") or ()), *(lists.get("left") or ())}
        self.olm.add_changed_users(changed & shared)
        counts = sync.get("device_one_time_keys_count")
        if isinstance(counts, dict):
            # An absent algorithm means that none are left, and none left is a count, too.
            self.olm.uploaded_key_count = int(counts.get("signed_curve25519", 0))

    def take_state(self, room_id: str, event: Mapping[str, Any]) -> None:
        """Take in one clear state event: who is in a room, and whether it is encrypted (5)."""
        room = self.rooms.get(room_id)
        if room is None:
            room = self.rooms[room_id] = MatrixRoom(room_id, self.user_id)
            room.members_synced = True
        content = event.get("content")
        if not isinstance(content, dict):
            return
        match event.get("type"):
            case "m.room.encryption":
                room.encrypted = room.encrypted or content.get("algorithm") == MEGOLM
            case "m.room.member":
                self._take_member(room, str(event.get("state_key", "")), content)

    def _take_member(self, room: MatrixRoom, user: str, content: Mapping[str, Any]) -> None:
        membership = content.get("membership")
        present = membership in {"join", "invite"}
        if present and user not in room.users:
            name = content.get("displayname")
            room.add_member(user, name if isinstance(name, str) else None, None)
            self.olm.update_tracked_users(room)
        elif not present:
            # Always: add_member ignores whom it knows, so a return must find them gone.
            if not room.remove_member(user):
                return
        else:
            return
        if self.olm.outbound_group_sessions.pop(room.room_id, None):
            log.debug("megolm.rotated", room=room.room_id)

    def forget_room(self, room_id: str) -> None:
        """We are no longer in this room (11)."""
        self.rooms.pop(room_id, None)
        self.olm.outbound_group_sessions.pop(room_id, None)

    # What we ask of it

    def decrypt(self, room_id: str, event: Mapping[str, Any]) -> Clear | Dark:
        """Read an m.room.encrypted event; needs neither sender_key nor device_id (8)."""
        content = event.get("content")
        content = content if isinstance(content, dict) else {}
        session_id = str(content.get("session_id", ""))
        if content.get("algorithm") != MEGOLM:
            return Dark("an unknown algorithm", session_id)
        of_room = self.olm.inbound_group_store[room_id]
        sessions = [by_id[session_id] for by_id in of_room.values() if session_id in by_id]
        if not sessions:
            return Dark("its key has not arrived", session_id)
        for session in sessions:
            try:
                plain, index = session.decrypt(content.get("ciphertext"))
                payload = json.loads(plain)
                kind, inner = payload["type"], payload["content"]
            except Exception as exc:
                log.info("megolm.unreadable", room=room_id, error=type(exc).__name__)
                continue
            if not isinstance(kind, str) or not isinstance(inner, dict):
                continue
            if payload.get("room_id") != room_id:
                return Dark("it was encrypted for another room", session_id)
            relation = content.get("m.relates_to")
            if relation is not None and "m.relates_to" not in inner:
                inner["m.relates_to"] = relation
            doubt = self._doubt(str(event.get("sender", "")), session)
            return Clear(kind, inner, session_id, index, doubt)
        return Dark("its key does not fit", session_id)

    def _doubt(self, sender: str, session: Any) -> str:
        """Say what speaks against *sender* having made *session* (6)."""
        own = self.olm.account.identity_keys
        if sender == self.user_id and session.sender_key == own["curve25519"]:
            return ""
        device = self.olm.device_store.device_from_sender_key(sender, session.sender_key)
        if device is None:
            return "its session is of no device of its sender that we know"
        if device.ed25519 != session.ed25519:
            return "its session claims another signing key than its sender's device has"
        return ""

    async def tend_keys(self) -> None:
        """Upload, ask for and claim keys, and send what nio has queued, as far as needed.

        Raises:
            TransportError: the homeserver could not be reached.
        """
        try:
            if self.should_upload_keys:
                await self.keys_upload()
            if self.should_query_keys:
                await self.keys_query()
            if self.should_claim_keys:
                await self.keys_claim(self.get_users_for_key_claiming())
            await self.send_to_device_messages()
        except (ClientError, TimeoutError, OSError) as exc:
            raise TransportError(f"keys could not be exchanged: {type(exc).__name__}") from None

    async def seal(self, room_id: str, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Encrypt for everyone in the room who has keys; return the content to send.

        Raises:
            TransportError: the keys could not be handed out.
        """
        room = self.rooms[room_id]
        try:
            # Twice at most: a device may appear while the first round is under way.
            while self.olm.users_for_key_query & set(room.users):
                before = set(self.olm.users_for_key_query)
                await self.keys_query()
                if self.olm.users_for_key_query >= before:
                    break
            while self.olm.should_share_group_session(room_id):
                sharing = self.sharing_session.get(room_id)
                if sharing is not None:
                    await sharing.wait()
                else:
                    await self.share_group_session(room_id, ignore_unverified_devices=True)
            _, sealed = self.encrypt(room_id, kind, dict(content))
        except (ClientError, TimeoutError, OSError) as exc:
            raise TransportError(f"room keys could not be sent: {type(exc).__name__}") from None
        return dict(sealed)

    async def share_group_session(
        self, room_id: str, ignore_unverified_devices: bool = False
    ) -> Any:
        """Share the room's session; if that fails, do not leave the next send waiting (4)."""
        try:
            return await super().share_group_session(
                room_id, ignore_unverified_devices=ignore_unverified_devices
            )
        except BaseException:
            event = self.sharing_session.pop(room_id, None)
            if event is not None:
                event.set()
            raise

    async def upload_fallback_key(self, api: Api) -> None:
        """Give the server a key for when the one-time keys have run out (2)."""
        account = self.olm.account._account  # noqa: SLF001 - nio wraps it without this call
        account.generate_fallback_key()
        keys = {}
        for key_id, key in account.fallback_key.items():
            signed = {"key": key.to_base64(), "fallback": True}
            signature = self.olm.sign_json(signed)
            keys[f"signed_curve25519:{key_id}"] = {
                **signed,
                "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}},
            }
        self.olm.save_account()
        await api.call("POST", "/_matrix/client/v3/keys/upload", {"fallback_keys": keys})
        self.olm.account.mark_keys_as_published()
        self.olm.save_account()
