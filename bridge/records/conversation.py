"""Opened records as people read them: a conversation with versions, reactions and what was done.

Never loses anything: what cannot be shown as part of a message stands for itself, and what does
not open is there as closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bridge.model import Ms
from bridge.records.archive import Opened
from bridge.records.membership import change_of
from bridge.verify.headers import EVENTS, Kind

#: Longer texts are cut on the page; the record has all of it.
LONGEST = 20_000


class Inside(msgspec.Struct, kw_only=True):
    """What is inside the record of an event."""

    event_id: str = ""
    room: str = ""
    sender: str = ""
    sent_at: int = 0
    type: str = ""
    #: Whose membership it is; older records do not have it.
    state_key: str = ""
    doubt: str = ""
    content: Any = None
    #: What is shown of it, and of a membership who changed it; neither is on record by itself.
    text: str = ""
    by: str = ""


@dataclass(slots=True, kw_only=True)
class File:
    """A file that a message brings."""

    name: str
    kind: str
    size: int | None
    #: The record that has its bytes; empty if it was not kept.
    rid: str = ""


@dataclass(slots=True, kw_only=True)
class Version:
    """What a message said from a time on."""

    rid: str
    at: Ms
    text: str


@dataclass(slots=True, kw_only=True)
class Step:
    """Something that Blue Lamp did about a message, or was to do."""

    rid: str
    at: Ms
    effect: str
    #: How it went; empty while it is owed.
    status: str
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Judged:
    """What was decided about a message."""

    rid: str
    at: Ms
    action: str
    rule: str
    reason: str
    score: int
    revision: str
    referrals: tuple[str, ...] = ()
    #: (label, words) of the places that decided.
    findings: tuple[tuple[str, str], ...] = ()
    steps: list[Step] = field(default_factory=list)
    #: (what was found, by whom, when).
    decisions: list[tuple[str, str, Ms]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a reply answers, in short."""

    rid: str
    #: Both empty where it is not open here.
    sender: str = ""
    text: str = ""
    #: It is among what is shown with the reply.
    here: bool = True


@dataclass(slots=True, kw_only=True)
class Item:
    """One thing in a conversation, in the place where it was said."""

    rid: str
    at: Ms
    kind: str
    #: Who said it; of a membership, whose it is.
    sender: str = ""
    #: Who changed the membership of somebody else.
    by: str = ""
    room: str = ""
    event: str = ""
    #: What is shown: the newest text, or a sentence about what happened.
    text: str = ""
    #: text, media, action (/me), notice, member, state, event, unreadable, closed or gone.
    form: str = "text"
    doubt: str = ""
    versions: list[Version] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    #: Reaction → by whom.
    reactions: dict[str, list[str]] = field(default_factory=dict)
    #: (by whom, when) it was taken out of the room.
    removed: list[tuple[str, Ms]] = field(default_factory=list)
    #: The event that it replies to.
    reply: str = ""
    #: What that is, as far as it is on record and open; see `tie_replies`.
    answers: Answered | None = None
    #: Records that are shown as a part of this one: edits, reactions, removals, late keys.
    parts: list[str] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    #: Read only later than it was received.
    late: bool = False

    def has(self, rid: str) -> bool:
        """Say whether a record is shown here, by itself or as a part of it."""
        return rid == self.rid or rid in self.parts

    @property
    def is_removed(self) -> bool:
        """Say whether it is not in the room any more."""
        steps = (step for judged in self.judged for step in judged.steps)
        return bool(self.removed) or any(
            (step.effect, step.status) == ("redact", "done") for step in steps
        )


def conversation(events: Sequence[Opened], about: Iterable[Opened]) -> list[Item]:
    """Put a conversation together: *events* as they were recorded, and what refers to them.

    What belongs to an earlier message (an edit, a reaction, a removal) is put to it where that is
    among *events*, and stands for itself where it is not.
    """
    items: list[Item] = []
    by_rid: dict[str, Item] = {}
    by_event: dict[str, Item] = {}
    for one in events:
        item = _item(one)
        target = _belongs(one, item, by_rid, by_event) if one.inside is not None else None
        if target is not None:
            target.parts.append(one.rid)
            by_rid.setdefault(one.rid, target)
            continue
        items.append(item)
        by_rid[one.rid] = item
        if item.event:
            by_event.setdefault(item.event, item)
    _add_about(about, by_rid)
    return items


def tie_replies(items: Sequence[Item], elsewhere: Iterable[Item] = ()) -> None:
    """Say of each reply what it answers, where that is among these or *elsewhere*."""
    near = {item.event: item for item in items if item.event}
    far = {item.event: item for item in elsewhere if item.event}
    for item in items:
        target = near.get(item.reply) or far.get(item.reply)
        if target is not None and target is not item:
            shown = target.text if target.form != "unreadable" else ""
            text = shown or next((file.name for file in target.files), "")
            item.answers = Answered(
                rid=target.rid, sender=target.sender, text=text, here=item.reply in near
            )


def _item(one: Opened) -> Item:
    item = Item(rid=one.rid, at=Ms(one.entry.t), kind=one.entry.facet.kind)
    if one.inside is None:
        item.form = "gone" if one.gone else "closed"
        return item
    inside = read_inside(one.inside)
    content: Mapping[str, Any] = inside.content if isinstance(inside.content, dict) else {}
    item.sender, item.room, item.event = inside.sender, inside.room, inside.event_id
    item.at, item.doubt = Ms(inside.sent_at or one.entry.t), inside.doubt
    item.late = item.kind == Kind.LATE
    _say(item, inside, content)
    return item


def read_inside(raw: bytes) -> Inside:
    """Read what is inside the record of an event; of another record, as far as it has that."""
    try:
        return msgspec.json.decode(raw, type=Inside)
    except msgspec.MsgspecError:
        return Inside()


def _say(item: Item, inside: Inside, content: Mapping[str, Any]) -> None:
    """Fill in what is shown of an event, however oddly its client spelt it."""
    body = _text(content.get("body"))
    item.text = body[:LONGEST]
    item.versions = [Version(rid=item.rid, at=item.at, text=item.text)]
    relates = _dict(content.get("m.relates_to"))
    if relates.get("is_falling_back") is not True:  # else it is for clients without threads
        item.reply = _text(_dict(relates.get("m.in_reply_to")).get("event_id"))
    kind = _text(content.get("msgtype"))
    if item.kind == Kind.UNDECRYPTABLE:
        item.form, item.text = "unreadable", inside.doubt or "no key"
    elif item.kind == Kind.MEMBERSHIP:
        change = change_of(inside.sender, inside.state_key, content)
        item.form, item.text = "member", change.said
        item.sender, item.by = change.user, change.by
    elif item.kind == Kind.STATE:
        item.form, item.text = "state", _state(inside, content)
    elif kind in {"m.image", "m.file", "m.audio", "m.video"} or inside.type == "m.sticker":
        info = _dict(content.get("info"))
        size = info.get("size")
        name = _text(content.get("filename")) or body
        item.form = "media"
        item.text = body if _text(content.get("filename")) not in {"", body} else ""
        item.files = [
            File(name=name[:200], kind=_text(info.get("mimetype")) or kind.removeprefix("m."),
                 size=size if isinstance(size, int) else None)
        ]  # fmt: skip
    elif kind in {"m.emote", "m.notice"}:
        item.form = "action" if kind == "m.emote" else "notice"
    elif not body:
        item.form, item.text = "event", inside.type


def _state(inside: Inside, content: Mapping[str, Any]) -> str:
    named = {
        "m.room.name": ("called the room", "name"),
        "m.room.topic": ("set the topic", "topic"),
        "m.room.encryption": ("switched encryption on", ""),
        "m.room.join_rules": ("set who may join", "join_rule"),
        "m.room.history_visibility": ("set who may read history", "history_visibility"),
        "m.room.power_levels": ("changed who may do what", ""),
        "m.room.create": ("made the room", ""),
        "m.room.avatar": ("changed the picture", ""),
        "m.room.guest_access": ("set whether guests may join", "guest_access"),
        "m.room.pinned_events": ("changed what is pinned", ""),
    }
    said, key = named.get(inside.type, (f"set {inside.type}", ""))
    value = _text(content.get(key)) if key else ""
    return f"{said}: {value}" if value else said


def _belongs(
    one: Opened, item: Item, by_rid: Mapping[str, Item], by_event: Mapping[str, Item]
) -> Item | None:
    """Put an edit, a reaction, a removal or a late key to what it is about, if that is here."""
    inside = read_inside(one.inside or b"")
    content: Mapping[str, Any] = inside.content if isinstance(inside.content, dict) else {}
    relates = _dict(content.get("m.relates_to"))
    target = by_rid.get(str(one.header.get("ref", ""))) or by_event.get(
        _text(relates.get("event_id")) or _text(content.get("redacts"))
    )
    if target is None:
        _stands_alone(item, inside, relates)
        return None
    if item.kind == Kind.LATE:
        target.form, target.text, target.late = item.form, item.text, True
        target.files, target.versions, target.reply = item.files, item.versions, item.reply
        return target
    if inside.type == "m.reaction":
        target.reactions.setdefault(_text(relates.get("key"))[:40], []).append(inside.sender)
        return target
    if inside.type == "m.room.redaction":
        target.removed.append((inside.sender, item.at))
        return target
    if relates.get("rel_type") == "m.replace":
        text = _text(_dict(content.get("m.new_content")).get("body")) or item.text
        target.versions.append(Version(rid=one.rid, at=item.at, text=text[:LONGEST]))
        target.text = text[:LONGEST]
        return target
    return None


def _stands_alone(item: Item, inside: Inside, relates: Mapping[str, Any]) -> None:
    if inside.type == "m.reaction":
        item.form, item.text = "event", f"reacted {_text(relates.get('key'))[:40]} to a message"
    elif inside.type == "m.room.redaction":
        item.form, item.text = "event", "took a message out of the room"


def _add_about(about: Iterable[Opened], by_rid: Mapping[str, Item]) -> None:
    """Put verdicts, debts, outcomes, files and decisions to their messages, in this order."""
    judged: dict[str, Judged] = {}
    latest: dict[str, Judged] = {}
    debts: dict[str, Step] = {}
    for one in about:
        ref = str(one.header.get("ref", ""))
        inside = _dict(_json(one.inside))
        match one.entry.facet.kind:
            case Kind.VERDICT if ref in by_rid:
                judged[one.rid] = latest[ref] = _judged(one, inside, by_rid[ref].text)
                by_rid[ref].judged.append(judged[one.rid])
            case Kind.MEDIA if ref in by_rid:
                for file in by_rid[ref].files[:1]:
                    file.rid = file.rid or one.rid
            case Kind.DEBT if ref in latest and one.header.get("effect") != "keep":
                step = Step(
                    rid=one.rid, at=Ms(one.entry.t), effect=str(one.header["effect"]), status=""
                )
                debts[one.rid] = step
                latest[ref].steps.append(step)
            case Kind.OUTCOME if ref in debts:
                debts[ref].status, debts[ref].at = str(one.header["status"]), Ms(one.entry.t)
                debts[ref].detail = _text(inside.get("detail"))[:300]
            case Kind.DECISION if ref in judged:
                found = str(one.header["status"])
                judged[ref].decisions.append((found, _text(inside.get("by")), Ms(one.entry.t)))


def _judged(one: Opened, inside: Mapping[str, Any], text: str) -> Judged:
    findings = inside.get("findings")
    score = inside.get("score")
    return Judged(
        rid=one.rid,
        at=Ms(one.entry.t),
        action=str(one.header.get("action", "")),
        rule=str(one.header.get("rule", "")),
        reason=_text(inside.get("reason")),
        score=score if isinstance(score, int) else 0,
        revision=str(one.header.get("revision", "")),
        referrals=tuple(filter(None, str(one.header.get("referrals", "")).split(","))),
        findings=tuple(_finding(each, text) for each in findings if isinstance(each, dict))
        if isinstance(findings, list)
        else (),
    )


def _finding(found: Mapping[str, Any], text: str) -> tuple[str, str]:
    start, end = found.get("start"), found.get("end")
    words = ""
    if found.get("part") == "body" and isinstance(start, int) and isinstance(end, int):
        words = text[start:end]
    return _text(found.get("label")), words[:80]


def related(entries_about: Sequence[Any]) -> list[Any]:
    """Those of the records that refer to something which are not themselves part of the talk."""
    return [
        one for one in entries_about if one.facet.kind not in EVENTS or one.facet.kind == Kind.MEDIA
    ]


def _json(raw: bytes | None) -> object:
    try:
        return msgspec.json.decode(raw) if raw else None
    except msgspec.MsgspecError:
        return None


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
