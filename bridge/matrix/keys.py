"""nio's Olm machine, which no device, key or message of anybody's can stop.

Never keeps a room key whose id it did not check, and never gives one away: we answer no requests.
The numbers in brackets are those of the failures of matrix-nio 0.26 that docs/matrix.md lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import structlog
import vodozemac
from nio.crypto import InboundGroupSession, InboundSession, OlmDevice, OutboundSession
from nio.crypto import Session as OlmSession
from peewee import PeeweeException
from unpaddedbase64 import decode_base64

from bridge.matrix.devices import Devices
from bridge.matrix.offers import Bundle, Offers
from bridge.matrix.recent import Recent
from bridge.matrix.sessions import LampStore, RoomKeyStore
from bridge.matrix.words import is_id

log = structlog.get_logger(__name__)

MEGOLM = "m.megolm.v1.aes-sha2"
OLM = "m.olm.v1.curve25519-aes-sha2"
_OTK = "signed_curve25519"
#: So many room keys are sent in one request.
_AT_ONCE = 20
#: So many to-device messages wait to be sent.
_MOST_QUEUED = 1_000


class LampOlm(Devices):
    """The keys of our device, and of everybody else's."""

    store: LampStore
    inbound_group_store: RoomKeyStore

    def __init__(self, user_id: str, device_id: str, store: LampStore) -> None:
        """Load what *store* has."""
        self.bundles = Offers(store)
        #: When we last tried to start anew with a device.
        self._unwedged: Recent[tuple[str, str], datetime] = Recent(10_000)
        self._account_changed = False
        super().__init__(user_id, device_id, store)

    # What others send us

    def take_olm(self, sender: str, content: Mapping[str, Any]) -> str:
        """Read one Olm message; return the session whose key it brought, or "" (1).

        Raises:
            PeeweeException: the store failed.
        """
        sender_key, ciphertext = content.get("sender_key"), content.get("ciphertext")
        ours = self.account.identity_keys["curve25519"]
        if content.get("algorithm") != OLM or not isinstance(ciphertext, dict):
            return ""
        part = ciphertext.get(ours)
        if not isinstance(part, dict) or not isinstance(sender_key, str):
            return ""
        try:
            message = _olm_message(part.get("type"), part.get("body"))
            got = self.decrypt(sender, sender_key, message)
        except PeeweeException:
            raise
        except Exception as exc:
            # A pre-key message to a key that we lost comes here: start anew from our side.
            log.warning("to_device.malformed", sender=sender, error=type(exc).__name__)
            self._mark_device_for_unwedging(sender, sender_key)
            return ""
        finally:
            self._tidy(sender_key)
        return got if isinstance(got, str) else ""

    def _tidy(self, sender_key: str) -> None:
        """Keep no list for a device without sessions, and no list without an end."""
        kept = self.session_store[sender_key]
        if len(kept) > 1:
            self.store.trim(kept)
        elif not kept:
            self.session_store._entries.pop(sender_key, None)  # noqa: SLF001 - it has no call

    def save_if_changed(self) -> None:
        """Save that one-time keys were used up."""
        if self._account_changed:
            self.save_account()
            self._account_changed = False

    def _create_inbound_session(self, sender: str, sender_key: str, message: Any) -> InboundSession:
        # nio saves before the one-time key is used; the batch saves once, afterwards.
        self._account_changed = True
        return InboundSession(self.account, message, sender_key)

    def _handle_olm_event(self, sender: str, sender_key: str, payload: dict[Any, Any]) -> str:
        content, claimed = payload["content"], payload["keys"].get("ed25519")
        if not isinstance(claimed, str):
            return ""
        try:
            match payload["type"]:
                case "m.room_key":
                    return self._take_room_key(sender_key, claimed, content)
                case "m.forwarded_room_key":
                    return self._take_forwarded(sender, sender_key, claimed, content)
                case "m.room_key_bundle" | "io.element.msc4268.room_key_bundle":
                    self._take_bundle(sender, sender_key, claimed, content)
        except PeeweeException:
            raise
        except Exception as exc:
            log.warning("room_key.malformed", sender=sender, error=type(exc).__name__)
        return ""

    def _take_bundle(
        self, sender: str, sender_key: str, claimed: str, content: Mapping[str, Any]
    ) -> None:
        room, file = content.get("room_id"), content.get("file")
        if not is_id(room) or not isinstance(file, dict):
            return
        self.bundles.add(
            Bundle(sender=sender, sender_key=sender_key, ed25519=claimed, room_id=room, file=file)
        )

    def _take_room_key(self, sender_key: str, claimed: str, content: Mapping[str, Any]) -> str:
        if content.get("algorithm") != MEGOLM:
            return ""
        session = InboundGroupSession(
            content["session_key"], claimed, sender_key, content["room_id"]
        )
        return self._keep(session, content["session_id"])

    def _take_forwarded(
        self, sender: str, sender_key: str, claimed: str, content: Mapping[str, Any]
    ) -> str:
        """Take a key that we asked for, from the device that made it and from no other."""
        asked = self.outgoing_key_requests.get(str(content.get("session_id")))
        device = self.device_of(sender, sender_key)
        if asked is None or asked.room_id != content["room_id"] or device is None:
            return ""
        maker = (content["sender_key"], content["sender_claimed_ed25519_key"])
        if maker != (sender_key, device.ed25519) or claimed != device.ed25519:
            log.warning("forward.not_by_its_maker", sender=sender, session=asked.session_id)
            return ""
        session = InboundGroupSession.import_session(
            content["session_key"], claimed, sender_key, content["room_id"]
        )
        got = self._keep(session, asked.session_id)
        if got:
            del self.outgoing_key_requests[asked.session_id]
            self.store.remove_outgoing_key_request(asked)
        return got

    def _keep(self, session: InboundGroupSession, session_id: object) -> str:
        if session.id != session_id or not isinstance(session.room_id, str):
            log.warning("room_key.mismatched", room=str(session.room_id)[:255])
            return ""
        return str(session_id) if self.inbound_group_store.add(session) else ""

    def create_group_session(
        self, sender_key: str, sender_fp_key: str, room_id: str, session_id: str, session_key: str
    ) -> None:
        """Keep the key of a session of our own, as nio calls it."""
        self._keep(InboundGroupSession(session_key, sender_fp_key, sender_key, room_id), session_id)

    def _mark_device_for_unwedging(self, sender: str, sender_key: str) -> None:
        """Start anew with a device whose messages we cannot read: at most once an hour."""
        device = self.device_of(sender, sender_key)
        if device is None:
            self.ask_about(sender, sender_key)
            return
        now, last = datetime.now(), self._unwedged.recall((sender, device.id))  # noqa: DTZ005 - nio's
        if last is None or now - last >= self._unwedging_interval:
            self._unwedged[sender, device.id] = now
            super()._mark_device_for_unwedging(sender, sender_key)

    def _queue_dummy_message(self, session: Any, device: OlmDevice) -> None:
        if len(self.outgoing_to_device_messages) < _MOST_QUEUED:
            super()._queue_dummy_message(session, device)

    # What we send

    def share_keys(self) -> dict[str, Any]:
        """Return what is to be uploaded, its private halves saved before the server knows (2)."""
        account = self.account
        content: dict[str, Any] = {}
        if not account.shared:
            content["device_keys"] = self._device_keys()
        waiting = len(account.one_time_keys["curve25519"])
        missing = account.max_one_time_keys - (self.uploaded_key_count or 0) - waiting
        if missing > 0 and (not account.shared or self.uploaded_key_count is not None):
            account.generate_one_time_keys(missing)
        keys = account.one_time_keys["curve25519"]
        if keys:
            content["one_time_keys"] = {
                f"{_OTK}:{name}": self._signed({"key": key}) for name, key in keys.items()
            }
        fallback = account._account.fallback_key  # noqa: SLF001 - nio does not wrap it
        if fallback:
            content["fallback_keys"] = {
                f"{_OTK}:{name}": self._signed({"key": key.to_base64(), "fallback": True})
                for name, key in fallback.items()
            }
        if content:
            self.save_account()
        return content

    def make_fallback_key(self) -> None:
        """Have a fallback key to upload: the one that never was, or a new one (2).

        Of those that were uploaded the last two can be used.
        """
        account = self.account._account  # noqa: SLF001 - nio does not wrap it
        if not account.fallback_key:
            account.generate_fallback_key()

    def _device_keys(self) -> dict[str, Any]:
        keys = self.account.identity_keys
        return self._signed(
            {
                "algorithms": [OLM, MEGOLM],
                "user_id": self.user_id,
                "device_id": self.device_id,
                "keys": {f"{kind}:{self.device_id}": key for kind, key in keys.items()},
            }
        )

    def _signed(self, thing: dict[str, Any]) -> dict[str, Any]:
        signature = self.sign_json(thing)
        return {
            **thing,
            "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}},
        }

    def take_claimed(self, claimed: object, asked: Mapping[str, Iterable[str]]) -> None:
        """Start an Olm session with each device that gave a key; a bad one stands alone (4)."""
        users = claimed if isinstance(claimed, dict) else {}
        for user, device_ids in asked.items():
            keys = users.get(user)
            for device_id in device_ids:
                device = self.device_store[user].get(device_id)
                key = keys.get(device_id) if isinstance(keys, dict) else None
                if device is None or not isinstance(key, dict):
                    continue
                try:
                    self._start(device, next(iter(key.values())))
                except PeeweeException:
                    raise
                except Exception as exc:
                    log.warning(
                        "olm.cannot_start", user=user, device=device_id, error=type(exc).__name__
                    )

    def _start(self, device: OlmDevice, key: dict[str, Any]) -> None:
        if not self.verify_json(key, device.ed25519, device.user_id, device.id):
            raise ValueError("not signed by the device")
        session = self.create_session(key["key"], device.curve25519)
        if device in self.wedged_devices:
            self._queue_dummy_message(session, device)

    def create_session(self, one_time_key: str, curve_key: str) -> OlmSession:
        """Start an Olm session, and keep it."""
        session = OutboundSession(self.account, curve_key, one_time_key)
        self.session_store.add(curve_key, session)
        self.save_session(curve_key, session)
        return session

    def sharers(self, users: Iterable[str]) -> Iterator[OlmDevice]:
        """Go through the devices of *users* that may have our room keys (12).

        Our account's other devices may not: the bot has none, so they are somebody's theft.
        """
        for user in users:
            if user != self.user_id:
                yield from self.device_store.active_user_devices(user)

    def get_missing_sessions(self, users: list[str]) -> dict[str, list[str]]:
        """Return the devices that we cannot send keys to before we have a key of theirs."""
        missing: dict[str, list[str]] = {}
        for device in self.sharers(users):
            if device.curve25519 not in self.session_store._entries:  # noqa: SLF001 - it would grow
                missing.setdefault(device.user_id, []).append(device.id)
        return missing

    def share_group_session_parallel(
        self, room_id: str, users: list[str], ignore_unverified_devices: bool = True
    ) -> Iterator[tuple[set[tuple[str, str]], dict[str, Any]]]:
        """Encrypt the room's key for each device that does not have it, some at a time."""
        session = self.outbound_group_sessions[room_id]
        content = {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": session.id,
            "session_key": session.session_key,
        }
        missing = [
            device
            for device in self.sharers(users)
            if (device.user_id, device.id) not in session.users_shared_with
            and device.curve25519 in self.session_store._entries  # noqa: SLF001 - it would grow
        ]
        for start in range(0, len(missing), _AT_ONCE):
            messages: dict[str, dict[str, Any]] = {}
            with self.store.database.atomic():
                for device in missing[start : start + _AT_ONCE]:
                    olm = self.session_store.get(device.curve25519)
                    sealed = self._olm_encrypt(olm, device, "m.room_key", content)
                    messages.setdefault(device.user_id, {})[device.id] = sealed
            reached = {(user, device) for user, each in messages.items() for device in each}
            yield reached, {"messages": messages}


def _olm_message(kind: object, body: object) -> Any:
    if not isinstance(body, str):
        raise TypeError("no text")
    if kind == 0:
        return vodozemac.PreKeyMessage.from_base64(body)
    if kind == 1:
        return vodozemac.AnyOlmMessage.normal(decode_base64(body))
    raise ValueError("no such kind of message")
