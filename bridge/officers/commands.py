"""What people type to the bot: `!help`, `!why`, `!pause Response A social 30m`, read tolerantly.

Never raises: a member chooses these bytes. Never decides who may do what, or does anything.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec

from bridge.detect.markup import own_words_from
from bridge.model import EventId, Kind, Message, Ms, Room, RoomId, UserId

T = TypeVar("T")

#: Pauses and incident mode last at least and at most so long, in minutes.
LEAST_M, MOST_M = 1, 7 * 24 * 60
_MINUTE_MS = 60_000
#: A command begins within so many characters; before it may stand a mention of the bot.
_MENTION = 80
_LONGEST_ID = 512
#: Bots speak in notices: they are not answered, or two of them would never end.
_SPOKEN = frozenset({"m.text", "m.image", "m.file", "m.video", "m.audio"})
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_BANG = re.compile(r"[!\uff01](?P<gap>[^\S\n]*)(?P<word>\w{1,24})(?=[\s.,:;!?]|$)")
_SPAN = re.compile(
    r"(?:for\s+)?(?=\d)(?:(?P<h>\d{1,6})\s*(?:hours?|hrs?|h))?\s*"
    r"(?:(?P<m>\d{1,6})\s*(?:minutes?|mins?|m))?(?=[\s.,;:]|$)",
    re.IGNORECASE,
)
_OPENING, _CLOSING = "\"'\u201c\u2018 ", "\"'\u201d\u2019 ,:;"
_EVERYWHERE = ("everywhere", "every room", "all rooms", "all")


class Word(StrEnum):
    """What can be asked of the bot."""

    HELP = "help"
    PRIVACY = "privacy"
    WHY = "why"
    APPEAL = "appeal"
    REPORT = "report"
    DECISION = "decision"
    PAUSE = "pause"
    RESUME = "resume"
    INCIDENT = "incident"


#: These stop and start the bot, and are typed in the review room.
BRAKE = frozenset({Word.PAUSE, Word.RESUME, Word.INCIDENT})
#: In a direct room these need no exclamation mark where they stand alone.
_BARE = frozenset({Word.HELP, Word.PRIVACY, Word.WHY})
_KNOWN = {word.value: word for word in Word}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something that was typed to the bot."""

    #: None: it looks like a command, and is none.
    word: Word | None
    #: What it may have been meant to be, where it is none; empty if nothing comes close.
    near: str = ""
    #: What stands after it, as typed.
    words: str = ""
    #: The event that it answers.
    reply: EventId | None = None


class _Relation(msgspec.Struct):
    in_reply_to: dict[str, msgspec.Raw] | None = msgspec.field(name="m.in_reply_to", default=None)
    is_falling_back: bool = False


class _Mentions(msgspec.Struct):
    user_ids: tuple[str, ...] = ()


def parse(message: Message, bot: UserId, *, direct: bool = False) -> Command | None:
    """Read *message* as a command to *bot*; None if it is none.

    *direct*: it was said in a room of the bot and one person, where nobody else can be meant.
    """
    if message.kind not in {Kind.TEXT, Kind.MEDIA} or message.suspect or message.sender == bot:
        return None
    body = message.body[own_words_from(message.body) :]
    text = body.lstrip().lstrip(_INVISIBLE).lstrip()
    if not direct and _BANG.search(text[: _MENTION + 40]) is None:
        return None  # most of what people say, without a look at more of it
    content = _content(message.content)
    if message.type != "m.room.message" or _as(content.get("msgtype"), str, "") not in _SPOKEN:
        return None
    relation = _as(content.get("m.relates_to"), _Relation, _Relation())
    found = _bare(text) if direct else None
    if found is None:
        meant = _as(content.get("m.mentions"), _Mentions, _Mentions()).user_ids
        found = _banged(text, bot, mentioned=bot in meant, direct=direct)
    if found is None:
        return None
    word, near, words = found
    return Command(word=word, near=near, words=words, reply=_reply(relation))


def unsure_of(message: Message) -> str:
    """Why *message* may be by somebody else than it says, who runs the server; empty if it is sure.

    Asked of what is done in a person's name and not only answered.
    """
    if not message.ciphertext:
        return "it came without encryption, so that whoever runs the server could have written it"
    return message.doubt


def _banged(
    text: str, bot: UserId, *, mentioned: bool, direct: bool
) -> tuple[Word | None, str, str] | None:
    bang = _BANG.search(text[: _MENTION + 40])
    if bang is None or not _addressed(text[: bang.start()], bot, mentioned=mentioned):
        return None
    typed = unicodedata.normalize("NFKC", bang["word"]).casefold()
    words = text[bang.end() :].strip().removeprefix(":").strip()
    if typed in _KNOWN:
        return _KNOWN[typed], "", words
    close = difflib.get_close_matches(typed, _KNOWN, 1, 0.66)
    near = close[0] if close else ""
    alone = not words and not bang["gap"] and typed.isalpha()
    return (None, near, words) if near or direct or (alone and len(typed) > 1) else None


def _bare(text: str) -> tuple[Word | None, str, str] | None:
    typed = unicodedata.normalize("NFKC", text[:40]).strip(" .?!\n\t").casefold()
    word = _KNOWN.get(typed)
    return (word, "", "") if word in _BARE else None


def _addressed(before: str, bot: UserId, *, mentioned: bool) -> bool:
    """Say whether what stands before the exclamation mark is nothing, or the bot's name."""
    name = before.strip().strip(":,").strip(_INVISIBLE + " \u00a0").casefold()
    if not name:
        return True
    local = bot[1:].partition(":")[0].casefold()
    ours = {bot.casefold(), local, f"@{local}", "blue lamp", "@blue lamp", "blue lamp (automated)"}
    return name in ours or (mentioned and len(name) <= _MENTION and "\n" not in name)


def _content(raw: bytes) -> Mapping[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        pass
    # A lone surrogate in a message must not make it pass for no command.
    try:
        whole = json.loads(raw)
        found = whole.items() if isinstance(whole, dict) else ()
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in found}
    except (ValueError, RecursionError):
        return {}


def _as(raw: msgspec.Raw | None, form: type[T], otherwise: T) -> T:
    if raw is None:
        return otherwise
    try:
        return msgspec.json.decode(raw, type=form)
    except (ValueError, RecursionError):
        return otherwise


def _reply(relation: _Relation) -> EventId | None:
    """What it answers; in a thread, clients name its last message for those that have none."""
    if relation.in_reply_to is None or relation.is_falling_back:
        return None
    target = _as(relation.in_reply_to.get("event_id"), str, "")
    return EventId(target) if 0 < len(target) <= _LONGEST_ID and target.isascii() else None


# What stands after !pause, !resume and !incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A room, or every room."""

    #: None: everywhere.
    room: RoomId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Where, for how long, and why."""

    #: None where nobody has said.
    where: Where | None
    #: None where nobody has said.
    length: Ms | None
    reason: str


def terms(words: str, rooms: Collection[Room]) -> Terms:
    """Read `[room|all] [30m] [reason]`; the room by its name or id, in any case."""
    where, rest = place(words.strip(), rooms)
    length, rest = span(rest)
    if where is None:
        where, rest = place(rest, rooms)
    return Terms(where=where, length=length, reason=rest.strip(" ,.:;"))


def place(words: str, rooms: Collection[Room]) -> tuple[Where | None, str]:
    """Read the name or id of a room, or `all`, at the beginning of *words*: (it, the rest)."""
    text = words.lstrip(_OPENING)
    names: dict[str, RoomId | None] = dict.fromkeys(_EVERYWHERE)
    names |= {name.casefold(): room.id for room in rooms for name in (room.name, room.id)}
    for name in sorted(names, key=len, reverse=True):
        end = len(name)
        if text[:end].casefold() == name and not text[end : end + 1].isalnum():
            return Where(room=names[name]), text[end:].lstrip(_CLOSING)
    return None, words


def span(words: str) -> tuple[Ms | None, str]:
    """Read `30m`, `2h` or `1h30m` at the beginning of *words*: (ms, the rest)."""
    found = _SPAN.match(words.lstrip())
    if found is None or not (found["h"] or found["m"]):
        return None, words
    minutes = int(found["h"] or 0) * 60 + int(found["m"] or 0)
    return Ms(minutes * _MINUTE_MS), words.lstrip()[found.end() :].lstrip(" ,:;")


def reasonable(length: Ms) -> bool:
    """Say whether a pause or an incident may last so long."""
    return LEAST_M <= length / _MINUTE_MS <= MOST_M
