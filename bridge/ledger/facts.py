"""From facts to record drafts: the table of docs/ledger.md, as code.

Never seals anything and never decides anything; a test holds this table to the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, assert_never

import msgspec

from bridge.facts import (
    Adjudicated,
    Beat,
    Braked,
    CaseOpened,
    Decided,
    Disposed,
    Erased,
    Examined,
    Fact,
    Granted,
    Held,
    Missed,
    Noted,
    Performed,
    PolicyApproved,
    PolicyLoaded,
    Released,
    Seen,
    Viewed,
)
from bridge.ledger.record import Draft, new_rid
from bridge.model import (
    Copy,
    Effect,
    EventId,
    Keep,
    Message,
    Notify,
    Redact,
    Refer,
    Rid,
    RoomClass,
    key,
)
from bridge.model import Kind as MessageKind
from bridge.verify.headers import Kind

#: The retention class of the bot's own records.
SYSTEM = "system"

_KINDS = {
    MessageKind.TEXT: Kind.MESSAGE,
    MessageKind.MEDIA: Kind.MESSAGE,
    MessageKind.UNREADABLE: Kind.UNDECRYPTABLE,
    MessageKind.MEMBERSHIP: Kind.MEMBERSHIP,
    MessageKind.STATE: Kind.STATE,
    MessageKind.OTHER: Kind.EVENT,
}
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What is remembered of a debt's record."""

    rid: Rid
    retention: str
    effect: str
    #: The record of the message that it is about.
    message: Rid


class Memory(Protocol):
    """What was recorded before, as the drafts refer to it."""

    def rid_of(self, event: EventId) -> Rid | None:
        """The record of an event, if there is one."""
        ...

    def debt(self, key: str) -> Owed | None:
        """The record of a debt that is not settled, if there is one."""
        ...


def effect_name(effect: Effect) -> str:
    """Name an effect in the clear: copy, redact, notify or refer."""
    return type(effect).__name__.lower()


def encode_effect(effect: Effect) -> bytes:
    """Write an effect down, for the debts table and the record."""
    return _encode({"effect": effect_name(effect), **_fields(effect)})


def _fields(effect: Effect) -> dict[str, str]:
    return {name: str(getattr(effect, name)) for name in effect.__dataclass_fields__}


_EFFECTS: Mapping[str, type[Effect]] = {
    "copy": Copy, "redact": Redact, "notify": Notify, "refer": Refer, "keep": Keep
}  # fmt: skip


def decode_effect(raw: bytes) -> Effect:
    """Read back what `encode_effect` wrote."""
    fields = msgspec.json.decode(raw, type=dict[str, str])
    return msgspec.convert(fields, type=_EFFECTS[fields.pop("effect")])


def drafts(fact: Fact, memory: Memory, retention: Mapping[RoomClass, str]) -> Iterator[Draft]:
    """Say which records *fact* becomes, in order.

    *retention* names the retention class of each room class.
    """
    match fact:
        case Seen(cls=cls, owes=owes):
            seen = _seen(fact, memory, retention[cls])
            yield seen
            for effect in owes:
                yield _owe(effect, seen.rid, seen.retention, {"class": cls.value})
        case Decided():
            yield from _decided(fact, memory, retention[fact.cls])
        case Performed():
            yield from _performed(fact, memory)
        case PolicyLoaded() | PolicyApproved() | Adjudicated():
            yield _ruled(fact)
        case Missed(gap=gap):
            body = {"room": gap.room, "reason": gap.reason}
            yield replace(_own(Kind.GAP, body), tagged={"room": gap.room})
        case Braked(room=room, on=on, by=by, reason=reason):
            body = {"room": room or "", "by": by, "reason": reason}
            draft = _own(Kind.BRAKE, body, status="on" if on else "off")
            yield replace(draft, tagged={"room": room} if room else {})
        case Noted(text=text):
            yield _own(Kind.NOTE, {"text": text})
        case Beat():
            yield _own(Kind.HEARTBEAT, {})
        case CaseOpened() | Held() | Released() | Disposed() | Erased():
            yield _kept(fact)
        case Viewed() | Granted() | Examined():
            yield _consulted(fact)
        case _:
            assert_never(fact)


def _kept(fact: CaseOpened | Held | Released | Disposed | Erased) -> Draft:
    """What is to stay, and what has gone."""
    match fact:
        case CaseOpened(reference=reference, title=title, by=by):
            return _own(Kind.CASE, {"case": reference, "title": title, "by": by})
        case Held(scope=scope, case=case, reason=reason, by=by):
            body = {"scope": scope, "case": case, "reason": reason, "by": by}
            return replace(_own(Kind.HOLD, body), rid=fact.rid)
        case Released(hold=hold, reason=reason, by=by):
            return _own(Kind.RELEASE, {"reason": reason, "by": by}, ref=hold)
        case Disposed(bucket=bucket, attestation=attestation):
            return replace(_own(Kind.SHRED, {}, bucket=bucket), body=attestation)
        case Erased(record=record, orders=orders):
            return replace(_own(Kind.ERASE, {}, ref=record), body=orders)


def _ruled(fact: PolicyLoaded | PolicyApproved | Adjudicated) -> Draft:
    """Which policy decides, on whose word, and whether it was right."""
    match fact:
        case PolicyLoaded(revision=revision, files=files, base=base, weakened=weakened):
            reduced = {"base": base, "weakened": dict(weakened)} if weakened else {}
            return _own(Kind.POLICY, {"files": dict(files), **reduced}, revision=revision)
        case PolicyApproved(revision=revision, by=by, account=account):
            return _own(Kind.APPROVAL, {"by": by, "account": account}, revision=revision)
        case Adjudicated(record=record, rule=rule, action=action, decision=decision, by=by):
            clear = {"ref": record, "rule": rule, "action": action.name.lower()}
            return _own(Kind.DECISION, {"by": by}, status=decision.value, **clear)


def _consulted(fact: Viewed | Granted | Examined) -> Draft:
    match fact:
        case Viewed(rid=rid, basis=basis):
            names = ("who", "role", "scope", "purpose", "case")
            body = {name: getattr(fact, name) for name in names}
            return replace(_own(Kind.VIEW, body, status=basis.value), rid=rid)
        case Granted(rid=rid, request=request, by=by, scope=scope, count=count):
            body = {"request": request, "by": by, "scope": scope, "count": count}
            return replace(_own(Kind.GRANT, body), rid=rid)
        case Examined(view=view, by=by, finding=finding):
            return _own(Kind.EXAMINATION, {"by": by, "finding": finding}, ref=view)


def _performed(fact: Performed, memory: Memory) -> Iterator[Draft]:
    outcome = fact.outcome
    owed = memory.debt(outcome.key)
    if owed is None:
        # Settled twice, as when a person waives what is just being done: both are told.
        yield _own(
            Kind.NOTE,
            {
                "text": "again",
                "key": outcome.key,
                "status": outcome.status.value,
                "detail": outcome.detail,
            },
        )
        return
    yield Draft(
        kind=Kind.OUTCOME,
        rid=new_rid(),
        retention=owed.retention,
        fields={"ref": owed.rid, "effect": owed.effect, "status": outcome.status.value},
        body=_encode({"key": outcome.key, "detail": outcome.detail}),
    )
    for effect in fact.owes:
        yield _owe(effect, owed.message, owed.retention, {})
    if fact.file is not None:
        yield _file(owed, outcome.key, fact.file)


def _own(kind: Kind, body: object, **fields: str) -> Draft:
    return Draft(kind=kind, rid=new_rid(), retention=SYSTEM, fields=fields, body=_encode(body))


def _utf8(text: str) -> str:
    """Spell out lone surrogates: a sender can put them into JSON, and UTF-8 cannot hold them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _tagged(message: Message) -> dict[str, str]:
    return {"room": message.room, "sender": message.sender, "event": message.event_id}


def _seen(fact: Seen, memory: Memory, retention: str) -> Draft:
    message = fact.message
    fields = {"class": fact.cls.value}
    if fact.clean is not None:
        fields |= {"action": fact.clean.action.name.lower(), "revision": fact.clean.revision}
    about = message.event_id if message.late else message.replaces
    ref = memory.rid_of(about) if about else None
    if ref is not None:
        fields["ref"] = ref
    return Draft(
        kind=Kind.LATE if message.late else _KINDS[message.kind],
        rid=fact.rid or new_rid(),
        retention=retention,
        fields=fields,
        tagged=_tagged(message),
        body=_encode(
            {
                "event_id": message.event_id,
                "room": message.room,
                "sender": message.sender,
                "sent_at": message.sent_at,
                "type": _utf8(message.type),
                "doubt": message.doubt,
                "content": msgspec.Raw(message.content),
            }
        ),
    )


def _decided(fact: Decided, memory: Memory, retention: str) -> Iterator[Draft]:
    message, verdict = fact.message, fact.verdict
    about = memory.rid_of(message.event_id)
    if about is None:
        raise ValueError("a verdict about something that was never recorded")
    optional = {
        "rule": verdict.rule or "",
        "referrals": ",".join(sorted(verdict.referrals)),
    }
    yield Draft(
        kind=Kind.VERDICT,
        rid=new_rid(),
        retention=retention,
        fields={
            "ref": about,
            "class": fact.cls.value,
            "action": verdict.action.name.lower(),
            "revision": verdict.revision,
            **{name: value for name, value in optional.items() if value},
        },
        tagged=_tagged(message),
        body=_encode(
            {
                "event_id": message.event_id,
                "reason": verdict.reason,
                "score": verdict.score,
                "findings": verdict.findings,
                "hints": verdict.hints,
            }
        ),
    )
    for effect in fact.owes:
        yield _owe(effect, about, retention, {"class": fact.cls.value})


def _file(owed: Owed, name: str, file: bytes) -> Draft:
    """A file as it lay on the server: one line of JSON, then its bytes."""
    return Draft(
        kind=Kind.MEDIA,
        rid=new_rid(),
        retention=owed.retention,
        fields={"ref": owed.message},
        body=_encode({"key": name, "bytes": len(file)}) + b"\n" + file,
    )


def _owe(effect: Effect, about: Rid, retention: str, fields: Mapping[str, str]) -> Draft:
    return Draft(
        kind=Kind.DEBT,
        rid=new_rid(),
        retention=retention,
        fields={"ref": about, "effect": effect_name(effect), **fields},
        tagged={"room": effect.room, "event": effect.about},
        body=_encode({"key": key(effect), **_fields(effect)}),
    )
