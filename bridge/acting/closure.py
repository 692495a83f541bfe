"""What else holds the words of a message that was taken out, and the certificate of its removal.

Never asks a server and never acts: it is shown what was said after the message, and says which of
it has to go as well (`bridge.acting.removal` sees to that). Members choose all of these bytes, so
nothing here may raise.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bridge.detect.markup import words_of
from bridge.model import EventId, Fate, Kind, Message, RoomId, Step, UserId


class What(StrEnum):
    """What holds the words; the first word of a line of the certificate."""

    MESSAGE = "message"
    EDIT = "edit"
    REACTION = "reaction"
    POLL = "poll"  #: votes for it, and its result
    REPLY = "reply"
    THREAD = "thread"
    ECHO = "repetition"  #: says the same, and is no reply to it
    PIN = "pin"
    FILE = "file"
    THUMBNAIL = "thumbnail"
    REST = "rest of the room"
    KEPT = "server's copy"
    INDEX = "search index"
    PUSHED = "notifications"
    PREVIEW = "link previews"
    SERVERS = "other servers"
    CLIENTS = "clients"


#: Taken out with the message, as a part of it; the others are somebody's own words.
PARTS: Final = frozenset({What.EDIT, What.REACTION, What.POLL})
#: Rules by which somebody's own words go along, and what they are told.
REPEATS: Final = "builtin:repeats-moved"
THREADED: Final = "builtin:thread-of-moved"
WHY: Final = {
    REPEATS: "it repeats a message that was moved",
    THREADED: "it is in the thread of a message that was moved",
}
#: What is the same for every message: no reason to ask a person each time.
_STANDING = frozenset(
    {What.KEPT, What.INDEX, What.PUSHED, What.PREVIEW, What.SERVERS, What.CLIENTS}
)
#: A file that nobody can read without the key, which has gone with its message.
SEALED_FILE: Final = (
    "still on the server, which Blue Lamp may not delete from; encrypted, and its key has gone "
    "with the message"
)
#: Repeating fewer words than this is chance.
_FEWEST_WORDS = 5
#: So many lines of one kind are spelt out in a certificate.
_MOST_ALIKE = 50
_LONGEST_ID = 255
_POLL_TYPES = ("m.poll.", "org.matrix.msc3381.")
#: "1" and what makes a picture of a key out of it.
_KEYCAP = "\u20e3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A message that was taken out, as far as is still known."""

    room: RoomId
    sender: UserId
    #: The message and its edits.
    events: frozenset[EventId]
    #: What it said: plain text of every version that can be read.
    said: tuple[str, ...] = ()
    #: Whether that is every version.
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An event that holds the words."""

    what: What
    message: Message
    #: It cannot be read, so that nobody knows.
    unsure: bool = False


# What holds the words


def find(moved: Moved, later: Iterable[Message], *, threads: bool) -> tuple[Found, ...]:
    """Say which of the events *later* in the room hold the words, in their order.

    *threads*: whether answers in the message's thread go along. Relations may lead in circles and
    to anything; each event is looked at once for each relation.
    """
    said = [m for m in later if m.room == moved.room and m.kind in _SAID and not is_empty(m)]
    children: dict[EventId, list[tuple[str, Message]]] = defaultdict(list)
    for message in said:
        for relation, target in relations(message):
            children[target].append((relation, message))
    family, found = dict.fromkeys(moved.events, moved.sender), dict[EventId, Found]()
    ours, waiting = set(moved.events), list(moved.events)
    while waiting:
        target = waiting.pop()
        author = family[target]
        for relation, message in children.get(target, ()):
            if message.event_id in family:
                continue
            one = _related(moved, relation, message, author, target in ours, threads=threads)
            if one is None:
                continue
            found[message.event_id] = one
            family[message.event_id] = message.sender
            if target in ours and one.what is What.EDIT:
                ours.add(message.event_id)
            if not one.unsure:
                waiting.append(message.event_id)
    known = [_normal(text) for text in moved.said]
    for message in said:
        if message.event_id not in family and _echoes(message, known):
            found[message.event_id] = Found(what=What.ECHO, message=message)
    return tuple(found[m.event_id] for m in said if m.event_id in found)


_SAID = frozenset({Kind.TEXT, Kind.MEDIA, Kind.OTHER, Kind.UNREADABLE})


def _related(  # noqa: PLR0913 - what a relation is depends on both of its ends
    moved: Moved, relation: str, message: Message, author: UserId, ours: bool, *, threads: bool
) -> Found | None:
    """Say what *message* is to the message that it relates to, which is by *author*.

    *ours*: that is the moved message or an edit of it, and not only something that goes along.
    """
    dark = message.kind is Kind.UNREADABLE
    match relation:
        case "m.replace" if message.sender == author:
            return Found(what=What.EDIT, message=message)
        case "m.annotation" if ours and worded(_key(message)):
            return Found(what=What.REACTION, message=message)
        case "m.reference" if ours and message.type.startswith(_POLL_TYPES):
            return Found(what=What.POLL, message=message)
        case "m.thread" if ours and threads:
            return Found(what=What.THREAD, message=message)
        case "m.in_reply_to" if dark and ours:
            return Found(what=What.REPLY, message=message, unsure=True)
        case "m.in_reply_to" if ours and quotes(moved, message):
            return Found(what=What.REPLY, message=message)
        case "m.in_reply_to" if not ours and _echoes(message, map(_normal, moved.said)):
            return Found(what=What.REPLY, message=message)  # a quotation of a quotation
        case _:
            return None


def in_thread(moved: Moved, later: Iterable[Message]) -> int:
    """Count the answers in the thread of the moved message."""
    return sum(
        any(how == "m.thread" and target in moved.events for how, target in relations(message))
        for message in later
        if message.room == moved.room and message.kind in _SAID and not is_empty(message)
    )


def quotes(moved: Moved, message: Message) -> bool:
    """Say whether a reply to the moved message repeats its words.

    Where not all of what it said is known, a quotation is taken to be one.
    """
    quoted = _tokens(quotation(message))
    if quoted and not moved.whole:
        return True
    known = {token for text in moved.said for token in _tokens(text)}
    if quoted and 2 * len(quoted & known) >= len(quoted):
        return True
    return _echoes(message, [_normal(text) for text in moved.said])


def quotation(message: Message) -> str:
    """Give the part of a reply in which its client repeats what it answers; empty if none does."""
    texts = [message.body, *(text for name, text in message.extra if name == "outer")]
    found = [_quoted_lines(text.removeprefix("* ")) for text in texts]
    return "\n".join(filter(None, (*found, _quoted_markup(message.formatted))))


def _quoted_lines(body: str) -> str:
    """The lines with which a reply begins in clients that quote; without whom they name."""
    lines = []
    for line in body.split("\n"):
        if not line.startswith(">"):
            break
        lines.append(line.lstrip("> "))
    if lines:
        first = lines[0].removeprefix("* ")
        if first.startswith("<") and ">" in first:
            lines[0] = first.partition(">")[2]
    return "\n".join(lines).strip()


def _quoted_markup(html: str) -> str:
    low = html.lower()
    for tag in ("mx-reply", "blockquote"):
        start = low.find(f"<{tag}")
        if start < 0:
            continue
        end = low.find(f"</{tag}", start)
        inside = html[start : end if end >= 0 else len(html)]
        if tag == "mx-reply":  # two links come first: "In reply to", and to whom
            inside = inside.split("</a>", 2)[-1]
        return words_of(inside).text.strip()
    return ""


def worded(key: str) -> bool:
    """Say whether a reaction says something in letters or digits, and is not only a picture."""
    if _KEYCAP in key:
        return worded("".join(key[n] for n in _without_keycaps(key)))
    return any(one.isalnum() for one in key)


def _without_keycaps(key: str) -> Iterator[int]:
    for n, one in enumerate(key):
        rest = key[n + 1 : n + 3].replace("\ufe0f", "")
        if one != _KEYCAP and not rest.startswith(_KEYCAP):
            yield n


def is_empty(message: Message) -> bool:
    """Say whether an event says nothing (any more), as after its removal."""
    return message.content in {b"{}", b""} and message.kind is not Kind.UNREADABLE


def relations(message: Message) -> tuple[tuple[str, EventId], ...]:
    """What a message says it relates to: (how, event), within and outside of its encryption."""
    found: dict[tuple[str, EventId], None] = {}
    for raw, served in ((message.content, message.kind is Kind.UNREADABLE),
                        (message.ciphertext, True)):  # fmt: skip
        if b"m.relates_to" not in raw:
            continue
        content = _json(raw)
        relation = _dict((_dict(content.get("content")) if served else content).get("m.relates_to"))
        for how, target in (
            (relation.get("rel_type"), relation.get("event_id")),
            ("m.in_reply_to", _dict(relation.get("m.in_reply_to")).get("event_id")),
        ):
            if isinstance(how, str) and isinstance(target, str) and 0 < len(target) <= _LONGEST_ID:
                found[how, EventId(target)] = None
    return tuple(found)


def _key(message: Message) -> str:
    key = _dict(_json(message.content).get("m.relates_to")).get("key")
    return key if isinstance(key, str) else ""


def _echoes(message: Message, known: Iterable[str]) -> bool:
    """Say whether *message* has one of these texts in it, word for word."""
    long = [text for text in known if len(text.split()) >= _FEWEST_WORDS]
    if not long:
        return False
    own = " ".join(map(_normal, texts_of(message)))
    return any(f" {text} " in f" {own} " for text in long)


def texts_of(message: Message) -> tuple[str, ...]:
    """Every text of a message, plain."""
    shown = (words_of(message.formatted).text,) if message.formatted else ()
    texts = (message.body, *shown, *(text for _, text in message.extra))
    return tuple(text for text in texts if text.strip())


def _normal(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def _tokens(text: str) -> set[str]:
    return {token for token in _normal(text).split() if len(token) > 1}


def _json(raw: bytes) -> Mapping[str, Any]:
    try:
        return _dict(json.loads(raw))
    except (ValueError, RecursionError):
        return {}


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def mark(key: str, event: EventId, what: What) -> str:
    """Name what a closure does to one event: the same every time, and like no other.

    It stands in the clear part of what we send, and shows a later attempt what was done before.
    """
    return hashlib.sha256(f"{key}\0{event}\0{what}".encode("utf-8", "replace")).hexdigest()[:32]


# The certificate


def certified(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Put a certificate in order; of very many alike, the later ones are only counted."""
    order = {what.value: place for place, what in enumerate(What)}
    alike: dict[tuple[str, Fate, str], list[Step]] = defaultdict(list)
    for step in sorted(steps, key=lambda one: order.get(one.what, len(order))):
        alike[step.what, step.fate, step.detail].append(step)
    found: list[Step] = []
    for (what, fate, _), group in alike.items():
        found += group[:_MOST_ALIKE]
        if (more := len(group) - _MOST_ALIKE) > 0:
            found.append(Step(what=what, fate=fate, detail=f"and {more} more like this"))
    return tuple(found)


def left(steps: Iterable[Step]) -> tuple[Step, ...]:
    """What a person should know of: not gone, and not what is so for every message."""
    return tuple(
        step
        for step in steps
        if step.fate in {Fate.PARTIAL, Fate.FAILED}
        and step.what not in _STANDING
        and step.detail != SEALED_FILE
    )


def summary(steps: Iterable[Step]) -> str:
    """Say in half a sentence what is left, for whoever is asked to look."""
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for step in left(steps):
        counted[step.what, step.detail] += 1
    said = [
        f"{what}{f' ({count} of them)' if count > 1 else ''}: {detail or 'still there'}"
        for (what, detail), count in counted.items()
    ]
    return "; ".join(said[:5]) + (f"; and {len(said) - 5} more" if len(said) > 5 else "")


def limits(*, encrypted: bool, servers: Sequence[str], linked: bool) -> tuple[Step, ...]:
    """What no removal reaches, so that nobody takes a certificate for more than it is.

    *linked*: the message may have had a link of which the server fetched a preview.
    """
    partial, none = Fate.PARTIAL, Fate.NOT_APPLICABLE
    window = "for redaction_retention_period, which is 7 days in Synapse unless set otherwise"
    kept = "what was encrypted, and not its key," if encrypted else "the words"
    return (
        Step(what=What.KEPT, fate=partial, detail=f"the database keeps {kept} {window}"),
        Step(what=What.INDEX, fate=none, detail="encrypted: there was nothing to index")
        if encrypted
        else Step(
            what=What.INDEX,
            fate=partial,
            detail="keeps the words of a removed message, unless the server has enable_search: "
            "false or purges its history",
        ),
        Step(what=What.PUSHED, fate=none, detail="encrypted: no words in them")
        if encrypted
        else Step(
            what=What.PUSHED, fate=partial,
            detail="words that went through a push service are not called back",
        ),
        _previews(encrypted=encrypted, linked=linked),
        Step(
            what=What.SERVERS, fate=partial,
            detail=f"were asked to remove it and cannot be checked: {', '.join(servers[:20])}",
        )
        if servers
        else Step(what=What.SERVERS, fate=none, detail="none is in this room"),
        Step(
            what=What.CLIENTS, fate=partial,
            detail="hide it as soon as they hear of the removal; not while offline, and not what "
            "was read, photographed or exported before",
        ),
    )  # fmt: skip


def _previews(*, encrypted: bool, linked: bool) -> Step:
    if encrypted or not linked:
        why = "encrypted: the server saw no links" if encrypted else "no links"
        return Step(what=What.PREVIEW, fate=Fate.NOT_APPLICABLE, detail=why)
    why = "what the server fetched of a link stays in its cache for a few days"
    return Step(what=What.PREVIEW, fate=Fate.PARTIAL, detail=why)
