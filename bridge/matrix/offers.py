"""What waits to be taken up: offers of a room's past (MSC4268), and who invited us where.

Never only in memory: the server hands each out once, and a restart in between would lose it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.matrix.recent import Recent
from bridge.matrix.sessions import InviterRow, LampStore, OfferRow
from bridge.matrix.words import is_id

#: So many offers of a room's past wait, and so many of one person.
_MOST, _EACH = 100, 4
#: So many invitations are remembered.
_MOST_INVITES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """Somebody offers us the keys of a room's past."""

    sender: str
    sender_key: str
    ed25519: str
    room_id: str
    #: Where it lies and how it is encrypted, as an attachment's `file`.
    file: Mapping[str, Any]


class Offers(Recent[tuple[str, str], Bundle]):
    """Offers that nobody has taken up yet, by who offers what room's past."""

    def __init__(self, store: LampStore) -> None:
        """Load what *store* has."""
        super().__init__(_MOST)
        self._store = store
        for row in store.rows(OfferRow):
            bundle = Bundle(**{**row, "file": json.loads(row["file"])})
            super().__setitem__((bundle.sender, bundle.room_id), bundle)

    def add(self, bundle: Bundle) -> None:
        """Remember *bundle*; one person's offers push out only their own."""
        theirs = [named for named in self if named[0] == bundle.sender]
        if len(theirs) >= _EACH:
            del self[theirs[0]]
        self[bundle.sender, bundle.room_id] = bundle

    def __setitem__(self, named: tuple[str, str], bundle: Bundle) -> None:
        """Remember it on disk, too."""
        row = {
            "sender": bundle.sender,
            "room_id": bundle.room_id,
            "sender_key": bundle.sender_key,
            "ed25519": bundle.ed25519,
            "file": json.dumps(bundle.file),
        }
        self._store.put_row(OfferRow, row)
        super().__setitem__(named, bundle)

    def __delitem__(self, named: tuple[str, str]) -> None:
        """Forget it, on disk, too."""
        super().__delitem__(named)
        sender, room_id = named
        self._store.drop_row(OfferRow, {"sender": sender, "room_id": room_id})


class Inviters(Recent[str, str]):
    """Who invited us to which room."""

    def __init__(self, store: LampStore) -> None:
        """Load what *store* has."""
        super().__init__(_MOST_INVITES)
        self._store = store
        for row in store.rows(InviterRow):
            super().__setitem__(row["room_id"], row["sender"])

    def __setitem__(self, room_id: str, sender: str) -> None:
        """Remember it on disk, too; what is no id, no database holds."""
        if is_id(room_id) and is_id(sender):
            self._store.put_row(InviterRow, {"room_id": room_id, "sender": sender})
            super().__setitem__(room_id, sender)

    def __delitem__(self, room_id: str) -> None:
        """Forget it, on disk, too."""
        super().__delitem__(room_id)
        self._store.drop_row(InviterRow, {"room_id": room_id})

    def forget(self, room_id: str) -> None:
        """Forget who invited us there, if anybody did."""
        if room_id in self:
            del self[room_id]
