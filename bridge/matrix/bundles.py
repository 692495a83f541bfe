"""A room's past, as a member offers it to whoever they invite (MSC4268).

Never takes it from just anybody: only from a device that its owner has signed, and only if the
owner invited us or is in the room. What it opens is marked as second-hand for ever.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from nio import MatrixRoom
from nio.crypto import InboundGroupSession
from nio.crypto.attachments import decrypt_attachment
from peewee import PeeweeException

from bridge.errors import TransportError
from bridge.matrix.keys import MEGOLM, LampOlm
from bridge.matrix.offers import Bundle, Inviters

log = structlog.get_logger(__name__)

#: So many keys are taken out of one bundle.
_MOST_KEYS = 20_000
#: Keys taken in before other work goes on.
_STEP = 50
#: An offer whose room or sender we do not know yet is looked at again for so long, s.
_PATIENCE_S = 3600.0
#: A failed download is tried so often.
_TRIES = 3

#: Fetches what lies at an mxc: address, as it lies there.
Download = Callable[[str], Awaitable[bytes]]


class Bundles:
    """What was offered, and taking it up."""

    def __init__(self, olm: LampOlm, rooms: Mapping[str, MatrixRoom]) -> None:
        """Take up what was offered to *olm*."""
        self._olm, self._rooms = olm, rooms
        #: None: nothing can be fetched, and offers wait.
        self.download: Download | None = None
        #: Who invited us where.
        self.inviters = Inviters(olm.store)
        #: Sessions whose keys were taken in and that nobody was told of yet.
        self.fresh: set[str] = set()
        self._since: dict[Bundle, float] = {}
        self._failed: dict[Bundle, int] = {}

    async def take_up(self) -> None:
        """Take up the offers that can be judged now."""
        if self.download is None:
            return
        for named, offer in list(self._olm.bundles.items()):
            age_s = time.monotonic() - self._since.setdefault(offer, time.monotonic())
            verdict = self._may(offer)
            if verdict is None and age_s < _PATIENCE_S:
                continue
            if verdict and not await self._fetch(offer, self.download):
                continue
            if not verdict:
                log.warning("bundle.refused", sender=offer.sender, room=offer.room_id)
            self._since.pop(offer, None)
            self._failed.pop(offer, None)
            if self._olm.bundles.get(named) is offer:
                del self._olm.bundles[named]

    def _may(self, offer: Bundle) -> bool | None:
        """Say whether to take up *offer*; None: we do not know yet."""
        room = self._rooms.get(offer.room_id)
        device = self._olm.device_of(offer.sender, offer.sender_key)
        if device is None or offer.sender not in self._olm.cross_signed:
            self._olm.ask_about(offer.sender, offer.sender_key)
            return None
        if room is None:
            return None
        if device.ed25519 != offer.ed25519:
            return False
        if not self._olm.cross_signed[offer.sender].get(device.id, False):
            return False
        member = room.users.get(offer.sender)
        joined = member is not None and not member.invited
        return joined or self.inviters.get(offer.room_id) == offer.sender

    async def _fetch(self, offer: Bundle, download: Download) -> bool:
        """Take up *offer*; say whether it is done with."""
        try:
            sealed = await download(str(offer.file.get("url")))
            keys = await asyncio.to_thread(_opened, sealed, offer.file)
        except TransportError as exc:
            self._failed[offer] = self._failed.get(offer, 0) + 1
            log.warning("bundle.not_fetched", room=offer.room_id, error=str(exc))
            return self._failed[offer] >= _TRIES
        except Exception as exc:
            log.warning("bundle.malformed", sender=offer.sender, error=type(exc).__name__)
            return True
        for start in range(0, min(len(keys), _MOST_KEYS), _STEP):
            with self._olm.store.database.atomic():
                for key in keys[start : start + _STEP]:
                    self._take(key, offer)
            await asyncio.sleep(0)
        log.info("bundle.taken", sender=offer.sender, room=offer.room_id, keys=len(keys))
        return True

    def _take(self, key: Any, offer: Bundle) -> None:
        try:
            if (key["algorithm"], key["room_id"]) != (MEGOLM, offer.room_id):
                return
            session = InboundGroupSession.import_session(
                key["session_key"],
                _text(key["sender_claimed_keys"]["ed25519"]),
                _text(key["sender_key"]),
                offer.room_id,
                [offer.sender],
            )
            if session.id == key["session_id"] and self._olm.inbound_group_store.add(session):
                self.fresh.add(session.id)
        except PeeweeException:
            raise
        except Exception as exc:
            log.warning("bundle.bad_key", sender=offer.sender, error=type(exc).__name__)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _opened(sealed: bytes, file: Mapping[str, Any]) -> list[Any]:
    """Decrypt a bundle and return its keys."""
    plain = decrypt_attachment(sealed, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
    keys = json.loads(plain)["room_keys"]
    return keys if isinstance(keys, list) else []
