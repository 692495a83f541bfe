"""Room keys on disk, each read when it is needed and not all of them at the start.

Never lets one copy of a key take another's place: any member can send us a key that somebody
else made, or the later half of one. nio keeps one row for each session id and overwrites it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from nio.crypto import InboundGroupSession
from nio.crypto import Session as OlmSession
from nio.store import MegolmInboundSessions, OlmSessions, SqliteStore
from nio.store.database import use_database, use_database_atomic
from peewee import SQL, BlobField, CompositeKey, Model, TextField, Value

from bridge.matrix.recent import Recent

#: Keys of so many sessions are held open, of about 2.4 kB each.
_OPEN = 2_000
#: So many copies of one key are tried; those of the sender's own devices come first.
_COPIES = 4
#: So many Olm sessions are kept for one other device; it needs one, or a few after trouble.
_OLM_SESSIONS = 20

#: The best few copies of one room key.
Copies: TypeAlias = tuple[InboundGroupSession, ...]


class RoomKeys(Model):  # type: ignore[misc]  # peewee ships no types
    """One copy of a room key."""

    session_id = TextField()
    room_id = TextField(index=True)
    #: The curve25519 key of the device that made the session, as far as we were told.
    sender_key = TextField()
    #: Who gave it to us in its maker's place; empty if the maker did.
    via = TextField()
    #: The ed25519 key that the device claims.
    fp_key = TextField()
    #: Pickled under the store's key.
    session = BlobField()

    class Meta:
        """How peewee lays it out."""

        table_name = "lamp_room_keys"
        primary_key = CompositeKey("session_id", "room_id", "sender_key", "via")


class OfferRow(Model):  # type: ignore[misc]  # peewee ships no types
    """Somebody offers us the keys of a room's past."""

    sender = TextField()
    room_id = TextField()
    sender_key = TextField()
    ed25519 = TextField()
    #: JSON.
    file = TextField()

    class Meta:
        """How peewee lays it out."""

        table_name = "lamp_offers"
        primary_key = CompositeKey("sender", "room_id")


class InviterRow(Model):  # type: ignore[misc]  # peewee ships no types
    """Who invited us to a room."""

    room_id = TextField(primary_key=True)
    sender = TextField()

    class Meta:
        """How peewee lays it out."""

        table_name = "lamp_inviters"


class LampStore(SqliteStore):  # type: ignore[misc]  # nio ships no types
    """nio's crypto store, with room keys of its own."""

    models = [*SqliteStore.models, RoomKeys, OfferRow, InviterRow]  # noqa: RUF012 - nio's own way to say it

    def __post_init__(self) -> None:
        """Open it; take over the room keys of an older store, once."""
        super().__post_init__()
        self._take_over()

    @use_database_atomic  # type: ignore[untyped-decorator]
    def _take_over(self) -> None:
        old = MegolmInboundSessions
        if not old.select(old.session_id).limit(1).exists():
            return
        fields = ("session_id", "room_id", "sender_key", "fp_key", "session")
        rows = old.select(*(getattr(old, name) for name in fields), Value(""))
        into = [*(getattr(RoomKeys, name) for name in fields), RoomKeys.via]
        RoomKeys.insert_from(rows, into).on_conflict_ignore().execute()
        old.delete().execute()

    def load_inbound_group_sessions(self) -> RoomKeyStore:
        """Return the room keys, none of them read yet."""
        return RoomKeyStore(self)

    def save_inbound_group_session(self, session: InboundGroupSession) -> None:
        """Keep a room key, as nio calls it."""
        self.keep(session)

    @use_database  # type: ignore[untyped-decorator]
    def keep(self, session: InboundGroupSession) -> bool:
        """Keep a copy of a room key unless we have one that begins as early; say whether we did."""
        via = session.forwarding_chain[0] if session.forwarding_chain else ""
        named = {
            "session_id": session.id,
            "room_id": session.room_id,
            "sender_key": session.sender_key,
            "via": via,
        }
        row = RoomKeys.get_or_none(**named)
        if row is not None and self._opened(row).first_known_index <= session.first_known_index:
            return False
        pickle = session.pickle(self.pickle_key)
        RoomKeys.replace(**named, fp_key=session.ed25519, session=pickle).execute()
        return True

    @use_database  # type: ignore[untyped-decorator]
    def find(self, room_id: str, session_id: str, senders: Collection[str]) -> Copies:
        """Return copies of a room key, those that a device in *senders* made first."""
        theirs, direct = RoomKeys.sender_key.in_(list(senders)), RoomKeys.via == ""
        rows = (
            RoomKeys.select()
            .where((RoomKeys.session_id == session_id) & (RoomKeys.room_id == room_id))
            .order_by(theirs.desc(), direct.desc())
            .limit(_COPIES)
        )
        return tuple(self._opened(row) for row in rows)

    @use_database  # type: ignore[untyped-decorator]
    def every(self) -> list[InboundGroupSession]:
        """Return all room keys, for an export."""
        return [self._opened(row) for row in RoomKeys.select()]

    @use_database_atomic  # type: ignore[untyped-decorator]
    def forget(self, room_id: str) -> int:
        """Delete the keys of a room from the disk; return how many there were."""
        return int(RoomKeys.delete().where(RoomKeys.room_id == room_id).execute())

    @use_database_atomic  # type: ignore[untyped-decorator]
    def forget_sessions(self, room_id: str, sessions: Collection[str]) -> int:
        """Delete the keys of some sessions of a room from the disk; return how many there were."""
        return sum(
            int(
                RoomKeys.delete()
                .where((RoomKeys.room_id == room_id) & (RoomKeys.session_id == session))
                .execute()
            )
            for session in sessions
        )

    @use_database  # type: ignore[untyped-decorator]
    def trim(self, kept: list[OlmSession]) -> None:
        """Delete the oldest of a device's Olm sessions, from *kept*, too."""
        for session in kept[_OLM_SESSIONS:]:
            OlmSessions.delete().where(OlmSessions.session_id == session.id).execute()
        del kept[_OLM_SESSIONS:]

    @use_database  # type: ignore[untyped-decorator]
    def rows(self, table: type[Model]) -> list[dict[str, Any]]:
        """Return all rows of *table*, oldest first."""
        return list(table.select().order_by(SQL("rowid")).dicts())

    @use_database  # type: ignore[untyped-decorator]
    def put_row(self, table: type[Model], row: Mapping[str, Any]) -> None:
        """Write a row in the place of the one of the same key."""
        table.replace(**row).execute()

    @use_database  # type: ignore[untyped-decorator]
    def drop_row(self, table: type[Model], named: Mapping[str, str]) -> None:
        """Delete the row of that key, if there is one."""
        table.delete().where(
            *(getattr(table, name) == each for name, each in named.items())
        ).execute()

    def _opened(self, row: Any) -> InboundGroupSession:
        return InboundGroupSession.from_pickle(
            bytes(row.session),
            row.fp_key,
            row.sender_key,
            row.room_id,
            self.pickle_key,
            [row.via] if row.via else [],
        )


class RoomKeyStore:
    """Room keys by room and session; takes the place of nio's store in memory."""

    def __init__(self, store: LampStore) -> None:
        """Read from *store* what is asked for."""
        self._store = store
        #: By room and session, then by the devices that were preferred.
        self._open: Recent[tuple[str, str], dict[frozenset[str], Copies]] = Recent(_OPEN)

    def add(self, session: InboundGroupSession) -> bool:
        """Keep a room key; say whether it is new, or begins earlier than the one we had."""
        self._open.pop((session.room_id, session.id), None)
        return bool(self._store.keep(session))

    def find(self, room_id: str, session_id: str, senders: frozenset[str] = frozenset()) -> Copies:
        """Return the few best copies of a room key; none if it has not arrived."""
        known = self._open.recall((room_id, session_id)) or {}
        found: Copies | None = known.get(senders)
        if found is None:
            found = self._store.find(room_id, session_id, senders)
            if found:
                self._open[room_id, session_id] = {**known, senders: found}
        return found

    def get(self, room_id: str, sender_key: str, session_id: str) -> InboundGroupSession | None:
        """Return the copy that the device with *sender_key* made, as nio asks for it."""
        for session in self.find(room_id, session_id, frozenset({sender_key})):
            if session.sender_key == sender_key:
                return session
        return None

    def forget(self, room_id: str) -> int:
        """Delete the keys of a room; return how many there were."""
        for named in [named for named in self._open if named[0] == room_id]:
            del self._open[named]
        return int(self._store.forget(room_id))

    def forget_sessions(self, room_id: str, sessions: Collection[str]) -> int:
        """Delete the keys of some sessions of a room; return how many there were."""
        for session in sessions:
            self._open.pop((room_id, session), None)
        return int(self._store.forget_sessions(room_id, sessions))

    def __iter__(self) -> Iterator[InboundGroupSession]:
        """Go through all room keys."""
        return iter(self._store.every())

    @property
    def opened(self) -> int:
        """How many are held in memory."""
        return len(self._open)
