"""From facts about who looked to record drafts, for the consultation ledger.

Never has a word of what was looked at.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from bridge.facts import Directed, Disclosed, Examined, Granted, Viewed
from bridge.ledger.record import Draft, new_rid
from bridge.model import Rid
from bridge.verify.headers import Kind

#: The retention class of these records.
SYSTEM = "system"
Look: TypeAlias = Viewed | Granted | Disclosed | Directed | Examined
_encode = msgspec.json.Encoder(order="deterministic").encode
_VIEWED = ("who", "role", "scope", "purpose", "case")
_DISCLOSED = (*_VIEWED, "recipient", "count", "digest")


def consulted(fact: Look) -> Draft:
    """Say which record *fact* becomes."""
    match fact:
        case Viewed(rid=rid, basis=basis):
            return _draft(Kind.VIEW, _named(fact, _VIEWED), rid, status=basis.value)
        case Granted(rid=rid):
            return _draft(Kind.GRANT, _named(fact, ("request", "by", "scope", "count")), rid)
        case Disclosed(rid=rid):
            return _draft(Kind.DISCLOSURE, _named(fact, _DISCLOSED), rid)
        case Directed(rid=rid, verdict=verdict, decision=decision, by=by):
            clear = {"verdict": verdict, "status": decision.value, "by": by}
            return _draft(Kind.DIRECTION, _named(fact, ("by", "reason")), rid, **clear)
        case Examined(view=view):
            return _draft(Kind.EXAMINATION, _named(fact, ("by", "finding")), new_rid(), ref=view)


def _named(fact: Look, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(fact, name) for name in names}


def _draft(kind: Kind, body: object, rid: Rid, **fields: str) -> Draft:
    return Draft(kind=kind, rid=rid, retention=SYSTEM, fields=fields, body=_encode(body))
