"""Our one subclass of nio's client: its cryptography, with its known failures cured.

Never lets nio run a sync, keep a token, speak to the server or believe what a decrypted event says
about a room: we hand it to-device events, key counts and clear state, and ask it to encrypt and
decrypt. The numbers in brackets are those of the failures of matrix-nio 0.26 that docs/matrix.md
lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import nio.client.base_client
import structlog
from nio import AsyncClient, AsyncClientConfig, MatrixRoom
from peewee import PeeweeException

from bridge.errors import StoreError, TransportError
from bridge.matrix.api import Api
from bridge.matrix.bundles import Bundles
from bridge.matrix.devices import GRAVE
from bridge.matrix.exchange import Exchange
from bridge.matrix.keys import MEGOLM, LampOlm
from bridge.matrix.missing import Missing
from bridge.matrix.nested import read_json
from bridge.matrix.recent import Recent
from bridge.matrix.sessions import LampStore
from bridge.matrix.trust import Pins

log = structlog.get_logger(__name__)

#: Requests about keys wait out 429s for so long, s.
_PATIENCE_S = 5.0
_WITHHELD = {"m.room_key.withheld", "org.matrix.room_key.withheld"}
#: Reports that nobody listens to yet are kept, up to so many.
_MOST_REPORTS = 100


class Clear(msgspec.Struct, frozen=True):
    """What was inside an encrypted event."""

    type: str
    content: dict[str, Any]
    #: Which session and which message of it; no two events may share both.
    session_id: str
    index: int
    #: What does not add up about who wrote it; empty if nothing.
    doubt: str
    #: The curve25519 key of the device that made the session, as far as we were told.
    sender_key: str = ""
    #: That device of the event's sender, if we know it as theirs.
    device_id: str = ""

    @property
    def suspect(self) -> bool:
        """Its author may not be who the server says; a person should look."""
        return self.doubt in GRAVE


@dataclass(frozen=True, slots=True)
class Dark:
    """Why an encrypted event could not be read."""

    reason: str
    session_id: str


class LampClient(AsyncClient):
    """Keys, devices, rooms' members and their encryption."""

    olm: LampOlm
    store: LampStore
    rooms: dict[str, MatrixRoom]
    #: What is asked of the server. These three are there once `restore_login` was called.
    exchange: Exchange
    missing: Missing
    bundles: Bundles

    def __init__(self, url: str, user: str, store: Path, pickle_key: str) -> None:
        """Prepare a client whose crypto store is in the folder *store*.

        Raises:
            ConfigError: the file of seen identities there is damaged.
        """
        config = AsyncClientConfig(
            store=LampStore, store_sync_tokens=False, pickle_key=pickle_key, encryption_enabled=True
        )
        super().__init__(url, user, store_path=str(store), config=config)
        #: The identity of each person as we first saw it.
        self.pins = Pins(store / "pins.json")
        #: Told in a plain sentence of changed identities and of strangers on our account.
        self.on_change: list[Callable[[str], None]] = []
        self._reports: list[str] = []

    def restore_login(self, user_id: str, device_id: str, access_token: str) -> None:
        """Be this device; load its keys.

        Raises:
            StoreError: the crypto store cannot be used.
        """
        try:
            super().restore_login(user_id, device_id, access_token)
        except PeeweeException as exc:
            _store_failed(exc)
        api = Api(self.homeserver, access_token, patience_s=_PATIENCE_S)
        self.exchange = Exchange(api, self.olm, self.rooms, self.pins, self._report)
        self.missing = Missing(self.olm)
        self.bundles = Bundles(self.olm, self.rooms)
        # Whoever is on our account without us is to be seen from the start.
        self.olm.users_for_key_query.add(user_id)

    def load_store(self) -> None:
        """Load the crypto store into our Olm machine instead of nio's."""
        original = nio.client.base_client.Olm
        nio.client.base_client.Olm = LampOlm
        try:
            super().load_store()
        finally:
            nio.client.base_client.Olm = original

    @property
    def withheld(self) -> Recent[tuple[str, str], str]:
        """Why keys were not given to us: codes by sender and session id."""
        return self.missing.withheld

    async def _send(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("nio's own requests are not hardened; use Api or Exchange")

    async def close(self) -> None:
        """Close the connections and the store."""
        await super().close()
        if self.store:
            self.store.database.close()
            if isinstance(self.exchange.api, Api):
                await self.exchange.api.close()

    def _report(self, sentence: str) -> None:
        """Tell whoever listens; the first to listen hears what was said before, too."""
        self._reports = [*self._reports, sentence][-_MOST_REPORTS:]
        log.warning("identity.changed", what=sentence)
        self._tell()

    def _tell(self) -> None:
        if self.on_change:
            reports, self._reports = self._reports, []
            for sentence in reports:
                for told in self.on_change:
                    told(sentence)

    # What the server says

    def take_to_device(self, events: Iterable[Mapping[str, Any]]) -> set[str]:
        """Take in to-device events in one transaction; return the sessions we got keys of (1).

        Among them are those of bundles that were taken up since it was last called.

        Raises:
            StoreError: nothing of it was saved; the bot must stop and begin with this sync again.
        """
        fresh, self.bundles.fresh = self.bundles.fresh, set()
        try:
            with self.store.database.atomic():
                for event in events:
                    fresh.add(self._take_one(event))
                self.olm.save_if_changed()
        except PeeweeException as exc:
            _store_failed(exc)
        return fresh - {""}

    def _take_one(self, event: Mapping[str, Any]) -> str:
        sender, content = event.get("sender"), event.get("content")
        if not isinstance(sender, str) or not isinstance(content, dict):
            return ""
        kind = event.get("type")
        if kind == "m.room.encrypted":
            return self.olm.take_olm(sender, content)
        if isinstance(kind, str) and kind in _WITHHELD:
            self.missing.take_withheld(sender, content)
        return ""

    def take_key_news(self, sync: Mapping[str, Any]) -> None:
        """Take in which devices changed and how many of our own keys are left (2)."""
        lists = sync.get("device_lists")
        lists = lists if isinstance(lists, dict) else {}
        changed, left = _texts(lists.get("changed")), _texts(lists.get("left"))
        # Of those nobody tells us any more: ask when they come back.
        self.olm.tracked_users -= left
        shared = {user for room in self.rooms.values() if room.encrypted for user in room.users}
        self.olm.add_changed_users((changed | left) & (shared | {self.user_id}))
        counts = sync.get("device_one_time_keys_count")
        if isinstance(counts, dict):
            # An absent algorithm means that none are left, and none left is a count, too.
            count = counts.get("signed_curve25519", 0)
            self.olm.uploaded_key_count = count if isinstance(count, int) else None
        unused = sync.get("device_unused_fallback_key_types")
        if isinstance(unused, list):
            self.exchange.fallback_wanted = "signed_curve25519" not in unused

    def take_invite(self, room_id: str, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in the state that came with an invitation: who invited us."""
        for event in events:
            if not isinstance(event, dict):
                continue
            ours = event.get("type") == "m.room.member" and event.get("state_key") == self.user_id
            if ours and isinstance(event.get("sender"), str):
                try:
                    self.bundles.inviters[room_id] = event["sender"]
                except PeeweeException as exc:
                    _store_failed(exc)

    def take_state(self, room_id: str, event: Mapping[str, Any]) -> None:
        """Take in one clear state event: who is in a room, and whether it is encrypted (5)."""
        room = self.rooms.get(room_id)
        if room is None:
            room = self.rooms[room_id] = MatrixRoom(room_id, self.user_id)
            room.members_synced = True
        content, user = event.get("content"), event.get("state_key")
        if not isinstance(content, dict):
            return
        match event.get("type"):
            case "m.room.encryption":
                room.encrypted = room.encrypted or content.get("algorithm") == MEGOLM
            case "m.room.member" if isinstance(user, str):
                self._take_member(room, user, content)

    def _take_member(self, room: MatrixRoom, user: str, content: Mapping[str, Any]) -> None:
        membership = content.get("membership")
        known = room.users.get(user)
        if membership in ("join", "invite"):
            if known is not None:
                known.invited = membership == "invite"
                return
            name = content.get("displayname")
            room.add_member(
                user, name if isinstance(name, str) else None, None, membership == "invite"
            )
            if user not in self.olm.tracked_users:
                self.olm.users_for_key_query.add(user)
        # Always: add_member ignores whom it knows, so a return must find them gone.
        elif not room.remove_member(user):
            return
        if self.olm.outbound_group_sessions.pop(room.room_id, None):
            log.debug("megolm.rotated", room=room.room_id)

    def forget_room(self, room_id: str) -> None:
        """We are no longer in this room (11)."""
        self.rooms.pop(room_id, None)
        try:
            self.bundles.inviters.forget(room_id)
        except PeeweeException as exc:
            _store_failed(exc)
        self.olm.outbound_group_sessions.pop(room_id, None)

    def forget_sessions(self, room_id: str) -> int:
        """Delete the room's keys from the disk, for ever; return how many there were."""
        return self.olm.inbound_group_store.forget(room_id)

    # What we ask of it

    def decrypt(
        self, room_id: str, event: Mapping[str, Any], *, wanted: bool = True
    ) -> Clear | Dark:
        """Read an m.room.encrypted event; needs neither sender_key nor device_id (8).

        Total: its sender chose every byte of it. A missing key is asked for if it is *wanted*.
        """
        content, sender = event.get("content"), event.get("sender")
        content = content if isinstance(content, dict) else {}
        sender = sender if isinstance(sender, str) else ""
        session_id = content.get("session_id")
        if not isinstance(session_id, str):
            return Dark("it names no session", "")
        if content.get("algorithm") != MEGOLM:
            return Dark("an unknown algorithm", session_id)
        devices = self.olm.device_store[sender].values()
        theirs = frozenset(device.curve25519 for device in devices)
        try:
            sessions = self.olm.inbound_group_store.find(room_id, session_id, theirs)
        except PeeweeException as exc:
            _store_failed(exc)
        except Exception as exc:
            log.warning("megolm.unreadable", room=room_id, error=type(exc).__name__)
            return Dark("its key cannot be read", session_id)
        if not sessions:
            if wanted:
                self.missing.want(room_id, event)
            return Dark(self.missing.reason(sender, session_id), session_id)
        found: Clear | Dark = Dark("its key does not fit", session_id)
        for session in sessions:
            opened = self._open(room_id, sender, content, session)
            if isinstance(opened, Clear) and not opened.doubt:
                return opened
            if isinstance(found, Dark):
                found = opened
        return found

    def _open(
        self, room_id: str, sender: str, content: Mapping[str, Any], session: Any
    ) -> Clear | Dark:
        session_id = session.id
        try:
            plain, index = session.decrypt(content.get("ciphertext"))
        except Exception as exc:
            log.info("megolm.unreadable", room=room_id, error=type(exc).__name__)
            early = "unknown message index" in str(exc)
            return Dark("its key begins after it" if early else "its key does not fit", session_id)
        try:
            payload = _read(plain)
            kind, inner = payload["type"], payload["content"]
        except Exception as exc:
            log.info("megolm.malformed", room=room_id, error=type(exc).__name__)
            return Dark("what it says is malformed", session_id)
        if not isinstance(kind, str) or not isinstance(inner, dict):
            return Dark("what it says is malformed", session_id)
        if payload.get("room_id") != room_id:
            return Dark("it was encrypted for another room", session_id)
        relation = content.get("m.relates_to")
        if relation is not None and "m.relates_to" not in inner:
            inner["m.relates_to"] = relation
        device = self.olm.device_of(sender, session.sender_key)
        return Clear(
            kind, inner, session_id, index, self.olm.doubt(sender, session),
            session.sender_key, device.id if device else "",
        )  # fmt: skip

    async def know(self, users: Iterable[str]) -> None:
        """Ask for the devices of *users* that there is news of, or that we never asked for.

        Called before what they said is read, it settles who said it; a server that does not
        answer leaves the doubt.
        """
        senders = {user for user in users if isinstance(user, str)}
        wanted = self.olm.users_for_key_query
        wanted |= senders - self.olm.tracked_users
        if senders & (wanted | self.exchange.asking):
            try:
                await self.exchange.query(senders)
            except TransportError as exc:
                log.warning("keys.not_asked", error=str(exc))

    async def request_keys(self, room_id: str, event: Mapping[str, Any]) -> None:
        """Ask the device that sent *event* for its key, unless that was done before.

        Raises:
            TransportError: the server was not reached.
        """
        await self.missing.request(room_id, event, self.exchange.put)

    async def tend_keys(self) -> None:
        """Upload, ask for and claim keys, and send what waits; one that fails holds up no other.

        Raises:
            TransportError: the first of what went wrong.
            StoreError: the crypto store failed; the bot must stop.
        """
        self._tell()
        exchange = self.exchange
        failed: TransportError | None = None
        for step in (
            exchange.upload,
            exchange.query,
            exchange.unwedge,
            exchange.send_queued,
            lambda: self.missing.ask(exchange.put),
            self.bundles.take_up,
        ):
            try:
                await step()
            except TransportError as exc:
                failed = failed or exc
            except PeeweeException as exc:
                _store_failed(exc)
        if failed is not None:
            raise failed

    async def seal(self, room_id: str, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Encrypt for everyone in the room who has keys; return the content to send.

        Raises:
            TransportError: the keys could not be handed out.
            StoreError: the crypto store failed; the bot must stop.
        """
        try:
            await self.exchange.share(self.rooms[room_id])
            _, sealed = self.encrypt(room_id, kind, dict(content))
        except PeeweeException as exc:
            _store_failed(exc)
        return dict(sealed)

    async def upload_fallback_key(self, api: Api) -> None:
        """Give the server a key for when the one-time keys have run out, if it has none (2).

        Raises:
            TransportError: the server was not reached.
        """
        await self.exchange.upload()


def _texts(value: object) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _read(plain: str) -> Any:
    """Read JSON: the fast way; what that refuses, such as a lone surrogate, the forgiving way."""
    try:
        return msgspec.json.decode(plain)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return read_json(plain, _refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _store_failed(exc: PeeweeException) -> NoReturn:
    raise StoreError(f"The crypto store failed: {type(exc).__name__}.") from None
