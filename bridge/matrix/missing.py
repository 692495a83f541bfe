"""Room keys that have not come: why, and asking for them.

Never asks anybody but the person who sent what cannot be read, and never twice for one key.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from nio.crypto import OutgoingKeyRequest

from bridge.matrix.keys import MEGOLM, LampOlm
from bridge.matrix.recent import Recent

log = structlog.get_logger(__name__)

#: Keys come before what they open, or a little later: only after so long they are asked for, s.
_PATIENCE_S = 10.0
#: So many keys are waited for, and so many of one sender.
_MOST, _MOST_EACH = 1_000, 100
#: So many are asked for at a time.
_AT_ONCE = 10
#: So many requests stay open.
_MOST_OPEN = 5_000
_MOST_WITHHELD = 10_000
_LONGEST_CODE = 64

Put = Callable[[str, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Want:
    room_id: str
    session_id: str
    sender: str
    #: What the event says of its device, "" where it does not.
    device_id: str
    sender_key: str
    since: float


class Missing:
    """What cannot be read for want of a key."""

    def __init__(self, olm: LampOlm) -> None:
        """Look for keys of *olm*."""
        self._olm = olm
        #: Seconds; only differences count.
        self.clock: Callable[[], float] = time.monotonic
        #: Why a sender's device says that it gave us no key, by sender and session id.
        self.withheld: Recent[tuple[str, str], str] = Recent(_MOST_WITHHELD)
        self._wants: dict[tuple[str, str], _Want] = {}
        self._each: Counter[str] = Counter()

    def take_withheld(self, sender: str, content: Mapping[str, Any]) -> None:
        """Take in an m.room_key.withheld."""
        code, session_id = content.get("code"), content.get("session_id")
        if not isinstance(code, str) or not code.isprintable():
            return
        code = code[:_LONGEST_CODE]
        log.warning("key.withheld", sender=sender, code=code)
        if isinstance(session_id, str) and session_id:
            self.withheld[sender, session_id] = code
        elif code == "m.no_olm" and isinstance(content.get("sender_key"), str):
            # They could not start a session with us: start one with them.
            self._olm._mark_device_for_unwedging(sender, content["sender_key"])  # noqa: SLF001 - nio's

    def reason(self, sender: str, session_id: str) -> str:
        """Say why the key is not here."""
        code = self.withheld.recall((sender, session_id))
        return f"its key was withheld: {code}" if code else "its key has not arrived"

    def want(self, room_id: str, event: Mapping[str, Any]) -> None:
        """Remember that the key of *event*, an m.room.encrypted, is not here."""
        want = self._read(room_id, event)
        if want is None or (want.sender, want.session_id) in self._wants:
            return
        if len(self._wants) < _MOST and self._each[want.sender] < _MOST_EACH:
            self._wants[want.sender, want.session_id] = want
            self._each[want.sender] += 1

    async def ask(self, put: Put) -> None:
        """Ask for some of the keys that are overdue.

        Raises:
            TransportError: the server was not reached; who was not asked will be.
        """
        overdue = self.clock() - _PATIENCE_S
        due = [want for want in self._wants.values() if want.since <= overdue]
        for want in due[:_AT_ONCE]:
            if not self._olm.inbound_group_store.find(want.room_id, want.session_id):
                await self._request(want, put)
            del self._wants[want.sender, want.session_id]
            self._each -= Counter([want.sender])

    async def request(self, room_id: str, event: Mapping[str, Any], put: Put) -> None:
        """Ask the device that sent *event* for its key, unless that was done before."""
        want = self._read(room_id, event)
        if want is not None:
            await self._request(want, put)

    def _read(self, room_id: str, event: Mapping[str, Any]) -> _Want | None:
        content, sender = event.get("content"), event.get("sender")
        session_id = content.get("session_id") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(session_id, str):
            return None
        if not isinstance(sender, str) or sender == self._olm.user_id or not session_id:
            return None
        device_id, sender_key = content.get("device_id"), content.get("sender_key")
        return _Want(
            room_id=room_id,
            session_id=session_id,
            sender=sender,
            device_id=device_id if isinstance(device_id, str) else "",
            sender_key=sender_key if isinstance(sender_key, str) else "",
            since=self.clock(),
        )

    async def _request(self, want: _Want, put: Put) -> None:
        asked = self._olm.outgoing_key_requests
        if want.session_id in asked:
            return
        body = {
            "algorithm": MEGOLM,
            "room_id": want.room_id,
            "session_id": want.session_id,
            **({"sender_key": want.sender_key} if want.sender_key else {}),
        }
        content = {
            "action": "request",
            "request_id": uuid4().hex,
            "requesting_device_id": self._olm.device_id,
            "body": body,
        }
        request = OutgoingKeyRequest(want.session_id, want.session_id, want.room_id, MEGOLM)
        # First, so that an answer is known as one; a request that fails is made again.
        asked[want.session_id] = request
        try:
            # Where the event names no device, all of its sender's are asked.
            messages = {want.sender: {want.device_id or "*": content}}
            await put("m.room_key_request", {"messages": messages})
        except BaseException:
            del asked[want.session_id]
            raise
        self._olm.store.add_outgoing_key_request(request)
        while len(asked) > _MOST_OPEN:
            self._olm.store.remove_outgoing_key_request(asked.pop(next(iter(asked))))
        log.info("key.requested", sender=want.sender, room=want.room_id)
