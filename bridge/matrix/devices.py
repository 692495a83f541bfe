"""Other people's devices: which there are, whose they are, and what speaks against one.

Never takes in a key that is none, or a device that did not sign itself. The numbers in brackets
are those of the failures of matrix-nio 0.26 that docs/matrix.md lists.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import structlog
import vodozemac
from nio.crypto import InboundGroupSession, Olm, OlmDevice

from bridge.matrix.recent import Recent
from bridge.matrix.sessions import LampStore
from bridge.matrix.trust import Identity

log = structlog.get_logger(__name__)

#: So many devices of one user are taken in; making up more costs a user nothing, and us time.
_MOST_DEVICES = 200
#: So many unknown devices are remembered as asked about.
_MOST_ASKED = 10_000

#: Doubts that are no accident once the server was asked for the sender's devices.
NO_DEVICE = "its session is of no device of its sender that we know"
OTHER_KEY = "its session claims another signing key than its sender's device has"
GRAVE = frozenset({NO_DEVICE, OTHER_KEY})


class Devices(Olm):  # type: ignore[misc]  # nio ships no types
    """The part of an Olm machine that knows devices."""

    def __init__(self, user_id: str, device_id: str, store: LampStore) -> None:
        """Load what *store* has."""
        #: Which devices their owners have signed, by user and device id, as far as we asked.
        self.cross_signed: dict[str, dict[str, bool]] = {}
        self._doubts: dict[str, dict[tuple[str, str, str], str]] = {}
        self._asked_for: Recent[tuple[str, str], bool] = Recent(_MOST_ASKED)
        super().__init__(user_id, device_id, store)

    @cached_property
    def own_key(self) -> str:
        """Our device's curve25519 key, which it keeps for life."""
        return str(self.account.identity_keys["curve25519"])

    def take_devices(self, user: str, devices: object, owner: Identity) -> bool:
        """Take in the devices of *user*; say whether a room key must be made anew (3)."""
        payloads = devices if isinstance(devices, dict) else {}
        known = self.device_store[user]
        self.tracked_users.add(user)
        self._doubts.pop(user, None)
        if len(payloads) > _MOST_DEVICES:
            log.warning("devices.too_many", user=user, devices=len(payloads))
        changed: dict[str, OlmDevice] = {}
        signs: dict[str, bool] = {}
        for device_id in sorted(payloads, key=lambda named: named not in known)[:_MOST_DEVICES]:
            if (user, device_id) == (self.user_id, self.device_id):
                continue
            device = self._checked(user, device_id, payloads[device_id])
            if device is None:
                continue
            signs[device_id] = owner.signs(user, payloads[device_id])
            if self._differs(known.get(device_id), device):
                known[device_id] = changed[device_id] = device
        for device in known.values():
            if device.id not in payloads and not device.deleted:
                device.deleted = True
                changed[device.id] = device
        self.cross_signed[user] = signs
        if changed:
            self.store.save_device_keys({user: changed})
        return bool(changed)

    def _checked(self, user: str, device_id: str, payload: object) -> OlmDevice | None:
        """Return the device that *payload* describes, or None if anything in it is not so."""
        try:
            ed25519, curve25519 = _keys(user, device_id, payload)
        except Exception as exc:
            log.warning("device.malformed", user=user, device=device_id, error=type(exc).__name__)
            return None
        if not self.verify_json(payload, ed25519, user, device_id):
            log.warning("device.unsigned", user=user, device=device_id)
            return None
        return OlmDevice(user, device_id, {"ed25519": ed25519, "curve25519": curve25519})

    @staticmethod
    def _differs(old: OlmDevice | None, new: OlmDevice) -> bool:
        """Say whether *new* is to take the place of *old*."""
        if old is None or old.deleted:
            return True
        if old.ed25519 != new.ed25519:
            # Not a change but another device under a name that is taken.
            log.warning("device.other_key", user=new.user_id, device=new.id)
            return False
        return bool(old.curve25519 != new.curve25519)

    def verify_json(self, json: Any, user_key: str, user_id: str, device_id: str) -> bool:
        """Check a signature; whatever is malformed is unsigned (3)."""
        if not isinstance(json, dict):
            return False
        before = dict(json)
        try:
            return bool(super().verify_json(json, user_key, user_id, device_id))
        except Exception as exc:
            log.warning("signature.malformed", user=user_id, error=type(exc).__name__)
            return False
        finally:
            json.update(before)

    def device_of(self, user: str, sender_key: str) -> OlmDevice | None:
        """Return the device of *user* with this curve25519 key, also one that is gone."""
        for device in self.device_store[user].values():
            if device.curve25519 == sender_key:
                return device
        return None

    def ask_about(self, user: str, sender_key: str) -> None:
        """Ask for a user's devices, once for each device that we do not know."""
        if (user, sender_key) not in self._asked_for:
            self._asked_for[user, sender_key] = True
            self.users_for_key_query.add(user)

    def doubt(self, sender: str, session: InboundGroupSession) -> str:
        """Say what speaks against *sender* having made *session*; "" if nothing does (6)."""
        if sender == self.user_id and session.sender_key == self.own_key:
            return ""
        via = session.forwarding_chain[0] if session.forwarding_chain else ""
        named = (session.sender_key, session.ed25519, via)
        known = self._doubts.setdefault(sender, {})
        if named not in known:
            known[named] = self._weigh(sender, session, via)
        return known[named]

    def _weigh(self, sender: str, session: InboundGroupSession, via: str) -> str:
        device = self.device_of(sender, session.sender_key)
        if device is not None and device.ed25519 != session.ed25519:
            return OTHER_KEY
        if via:
            return f"its key came second-hand from {via}"
        if device is None:
            self.ask_about(sender, session.sender_key)
            return NO_DEVICE
        if sender not in self.cross_signed:
            self.ask_about(sender, session.sender_key)
        if not self.cross_signed.get(sender, {}).get(device.id, True):
            return "its device is not cross-signed by its owner"
        return ""


def _keys(user: str, device_id: str, payload: Any) -> tuple[str, str]:
    if (payload["user_id"], payload["device_id"]) != (user, device_id):
        raise ValueError("keys of another device")
    ed25519 = payload["keys"][f"ed25519:{device_id}"]
    curve25519 = payload["keys"][f"curve25519:{device_id}"]
    # nio keeps what is no key, and fails on it in the middle of a send.
    vodozemac.Ed25519PublicKey.from_base64(ed25519)
    vodozemac.Curve25519PublicKey.from_base64(curve25519)
    return ed25519, curve25519
