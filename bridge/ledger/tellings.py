"""From facts about what people were told of a room to record drafts.

Never says in the clear who was told, or of which room.
"""

from __future__ import annotations

import msgspec

from bridge.facts import Progress, Told
from bridge.ledger.looks import SYSTEM
from bridge.ledger.record import Draft, new_rid
from bridge.verify.headers import Kind

_encode = msgspec.json.Encoder(order="deterministic").encode


def told(fact: Told) -> Draft:
    """Say which record *fact* becomes. The first about a notice has its name, the others refer."""
    notice = fact.notice
    first = fact.progress is Progress.DUE
    clear = {
        "class": notice.cls.value,
        "status": fact.progress.value,
        "revision": fact.revision or notice.revision,
        "card": notice.card,
    }
    body: dict[str, object] = {"room": notice.room}
    if first:
        body |= {"name": notice.name, "private": notice.private, "words": notice.words}
    if fact.progress in {Progress.DUE, Progress.SHOWN}:
        body["to"] = notice.to
    if fact.event is not None:
        body["event_id"] = fact.event
    if fact.by is not None:
        body["by"] = fact.by
    tagged = {"room": str(notice.room)}
    tagged |= {"event": str(fact.event)} if fact.event is not None else {}
    tagged |= {"sender": str(fact.by)} if fact.by is not None else {}
    return Draft(
        kind=Kind.NOTICE,
        rid=notice.rid if first else new_rid(),
        retention=SYSTEM,
        fields=clear if first else {**clear, "ref": notice.rid},
        tagged=tagged,
        body=_encode(body),
    )
