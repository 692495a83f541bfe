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
    Appealed,
    Appraised,
    Beat,
    Braked,
    CaseOpened,
    Cleared,
    Decided,
    Directed,
    Disclosed,
    Disposed,
    Drifted,
    Erased,
    Examined,
    Fact,
    Granted,
    Held,
    Labelled,
    Minuted,
    Missed,
    Mode,
    Noted,
    Performed,
    PolicyApproved,
    PolicyLoaded,
    Released,
    Reported,
    Seen,
    Stage,
    Told,
    Viewed,
)
from bridge.ledger.looks import SYSTEM, Look, consulted
from bridge.ledger.overseen import Overseen, overseen
from bridge.ledger.record import Draft, new_rid
from bridge.ledger.tellings import told
from bridge.model import (
    Choice,
    Close,
    Copy,
    Effect,
    EventId,
    Invite,
    Keep,
    Message,
    Notify,
    Redact,
    Refer,
    Restore,
    Rid,
    RoomClass,
    Say,
    key,
)
from bridge.model import Kind as MessageKind
from bridge.verify.headers import Kind

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
    """Name an effect in the clear: copy, redact, notify, refer …"""
    return type(effect).__name__.lower()


def encode_effect(effect: Effect) -> bytes:
    """Write an effect down, for the debts table and the record."""
    return _encode({"effect": effect_name(effect), **_fields(effect)})


def _fields(effect: Effect) -> dict[str, str]:
    return {name: str(getattr(effect, name)) for name in effect.__dataclass_fields__}


_EFFECTS: Mapping[str, type[Effect]] = {
    "copy": Copy, "redact": Redact, "notify": Notify, "refer": Refer, "keep": Keep,
    "invite": Invite, "close": Close, "restore": Restore, "choice": Choice,
    "say": Say,
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
        case PolicyLoaded() | PolicyApproved():
            yield _ruled(fact)
        case Adjudicated() | Appealed():
            yield from _appealed(fact, retention)
        case Minuted():
            yield _minuted(fact, memory, retention[fact.cls])
        case Reported():
            yield _reported(fact, retention[RoomClass.REVIEW])
        case Missed() | Braked() | Noted() | Beat():
            yield _itself(fact)
        case CaseOpened() | Held() | Released() | Disposed() | Erased():
            yield _kept(fact)
        case _:
            yield _beside(fact)


def _beside(fact: Overseen | Told | Look) -> Draft:
    """What is about rooms and people beside the messages, and about who looked."""
    match fact:
        case Drifted() | Cleared() | Appraised() | Labelled():
            return overseen(fact)
        case Told():
            return told(fact)
        case Viewed() | Granted() | Disclosed() | Directed() | Examined():
            return consulted(fact)
        case _:
            assert_never(fact)


def _itself(fact: Missed | Braked | Noted | Beat) -> Draft:
    """What the bot says of itself: what it missed, that it was stopped, that it was there."""
    match fact:
        case Missed(gap=gap):
            body = {"room": gap.room, "reason": gap.reason}
            return replace(_own(Kind.GAP, body), tagged={"room": gap.room})
        case Braked(room=room):
            return replace(_braked(fact), tagged={"room": room} if room else {})
        case Noted(text=text):
            return _own(Kind.NOTE, {"text": text}, **fact.refers)
        case Beat():
            return _own(Kind.HEARTBEAT, {})


def _braked(fact: Braked) -> Draft:
    body: dict[str, str | int] = {"room": fact.room or "", "by": fact.by, "reason": fact.reason}
    body |= {"mode": fact.mode.value} if fact.mode is not Mode.PAUSE else {}
    body |= {"until": fact.until} if fact.until is not None else {}
    return _own(Kind.BRAKE, body, status="on" if fact.on else "off")


def _minuted(fact: Minuted, memory: Memory, retention: str) -> Draft:
    """A decision as somebody put it on record; the message itself is another record."""
    message = fact.message
    about = memory.rid_of(message.event_id)
    if about is None:
        raise ValueError("a decision in a message that was never recorded")
    body = {
        "event_id": message.event_id,
        "room": message.room,
        "sender": message.sender,
        "sent_at": message.sent_at,
        "number": fact.number,
        "words": _utf8(fact.words),
    }
    return Draft(
        kind=Kind.MINUTE,
        rid=fact.rid,
        retention=retention,
        fields={"ref": about, "class": fact.cls.value},
        tagged=_tagged(message),
        body=_encode(body),
    )


def _reported(fact: Reported, retention: str) -> Draft:
    """A report: nothing in its clear part says who made it, or where."""
    message = fact.message
    body = {
        "sender": message.sender,
        "sent_at": message.sent_at,
        "words": _utf8(fact.words),
        "content": msgspec.Raw(message.content),
    }
    return Draft(kind=Kind.REPORT, rid=fact.rid, retention=retention, body=_encode(body))


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


def _ruled(fact: PolicyLoaded | PolicyApproved) -> Draft:
    """Which policy decides, and on whose word."""
    match fact:
        case PolicyLoaded(revision=revision, files=files, base=base, weakened=weakened):
            also = {"base": base, "weakened": dict(weakened), "model": fact.model}
            given = {name: value for name, value in also.items() if value}
            return _own(Kind.POLICY, {"files": dict(files), **given}, revision=revision)
        case PolicyApproved(revision=revision, by=by, account=account):
            return _own(Kind.APPROVAL, {"by": by, "account": account}, revision=revision)


def _appealed(fact: Adjudicated | Appealed, retention: Mapping[RoomClass, str]) -> Iterator[Draft]:
    """Whether what was done to a message was right: somebody asks, or a person says so.

    Both go when the message goes, where there is an appeal; a decision without one is our own.
    """
    appeal = fact.appeal
    match fact:
        case Appealed(stage=stage, appeal=one):
            clear = {"ref": one.verdict, "rule": one.rule, "action": one.action.name.lower()}
            clear |= {"class": one.cls.value, "status": stage.value}
            told = {"event_id": one.event, "by": one.sender, "due": one.due, "round": one.round}
            draft = _own(Kind.APPEAL, {"appeal": one.rid, **told}, **clear)
            rid = one.rid if stage is Stage.RAISED else draft.rid
            yield replace(draft, rid=rid, retention=retention[one.cls], tagged=_tagged(one.message))
        case Adjudicated(record=record, rule=rule, action=action, decision=decision, by=by):
            clear = {"ref": record, "rule": rule, "action": action.name.lower()}
            clear |= {"appeal": appeal.rid} if appeal and appeal.round else {}
            optional = {"account": fact.account, "reason": _utf8(fact.reason)}
            body = {"by": by, **{name: value for name, value in optional.items() if value}}
            draft = _own(Kind.DECISION, body, status=decision.value, **clear)
            yield replace(draft, retention=retention[appeal.cls] if appeal else SYSTEM)
    if appeal is not None:
        for effect in fact.owes:
            fields = {"class": appeal.cls.value}
            yield _owe(effect, appeal.record, retention[appeal.cls], fields)


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
        body=_encode(
            {"key": outcome.key, "detail": outcome.detail}
            | ({"certificate": outcome.steps} if outcome.steps else {})
        ),
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
                **({"origin": fact.origin} if fact.origin else {}),
                # Who was invited or removed is not who did it.
                **({"state_key": message.state_key} if message.state_key else {}),
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
            | ({"held": fact.held} if fact.held else {})
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
