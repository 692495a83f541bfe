"""From facts about what is looked after to record drafts.

Never says in the clear which room or person a record is about.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from bridge.facts import Appraised, Cleared, Drifted, Labelled
from bridge.ledger.looks import SYSTEM
from bridge.ledger.record import Draft
from bridge.model import Rid
from bridge.verify.headers import Kind

Overseen: TypeAlias = Drifted | Cleared | Appraised | Labelled
_encode = msgspec.json.Encoder(order="deterministic").encode


def overseen(fact: Overseen) -> Draft:
    """Say which record *fact* becomes."""
    match fact:
        case Drifted(rid=rid, room=room, care=care, sort=sort):
            body = {"key": fact.key, "room": room or "", "by": fact.by, "text": fact.text}
            clear = {"status": care.value} | ({"sort": sort} if sort else {})
            return _draft(Kind.DRIFT, rid, body, clear, {"room": room} if room else {})
        case Cleared(rid=rid, room=room):
            inside = {"room": room, "name": fact.name, "messages": fact.messages}
            return _draft(Kind.DISPOSAL, rid, {**inside, "text": fact.text}, {}, {"room": room})
        case Appraised(rid=rid, fate=fate, until=until):
            said = {"item": fact.item, "reason": fact.reason, "by": fact.by}
            said |= {"account": fact.account} if fact.account else {}
            more = {"until": until} if until is not None else {}
            return _draft(Kind.APPRAISAL, rid, {**said, **more}, {"status": fate.value}, {})
        case Labelled(rid=rid, group=group):
            label = {"item": fact.item, "group": group, "reason": fact.reason, "by": fact.by}
            account = {"account": fact.account} if fact.account else {}
            return _draft(Kind.LABEL, rid, {**label, **account}, {}, {})


def _draft(
    kind: Kind, rid: Rid, body: object, fields: dict[str, str], tagged: dict[str, str]
) -> Draft:
    return Draft(
        kind=kind, rid=rid, retention=SYSTEM, fields=fields, tagged=tagged, body=_encode(body)
    )
