"""Random and mutated JSON, and the events and syncs that it makes up.

Each input can be made again from its seed, and is made fast enough for hundreds of thousands of
them. Never makes what could not come over a wire: `wire` spells it as a server would, and reads it
as the bot does.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any, Self, TypeVar

from bridge.matrix.nested import read_json
from tests.unit.matrix.world import ANNA, BOT, MALLORY, MEGOLM_, ROOM

T = TypeVar("T")

WORDS = [
    "type", "content", "sender", "algorithm", "ciphertext", "body", "session_id", "session_key",
    "room_id", "sender_key", "keys", "signatures", "user_id", "device_id", "ed25519", "key",
    "device_keys", "master_keys", "self_signing_keys", "one_time_keys", "failures", "membership",
    "m.room.encrypted", "m.room_key", "m.forwarded_room_key", "m.room_key.withheld", "m.dummy",
    "m.room_key_bundle", "m.room.member", "m.room.encryption", MEGOLM_, "code", "usage",
    "m.olm.v1.curve25519-aes-sha2", ANNA, BOT, MALLORY, ROOM, "BOT", "ANNA", "join", "invite", "",
    "state_key", "unsigned", "recipient", "recipient_keys", "file", "url", "mxc://a/b", "$e",
]  # fmt: skip
SAID = [
    "body", "formatted_body", "format", "msgtype", "filename", "file", "url", "info",
    "m.relates_to", "m.new_content", "rel_type", "event_id", "key", "reason", "membership",
    "m.poll.start", "m.poll", "org.matrix.msc3381.poll.start", "question", "answers", "m.text",
    "org.matrix.msc1767.text", "m.location", "description", "thumbnail_file", "thumbnail_url",
    "replacement_room", "predecessor", "room_id", "algorithm", "ciphertext", "session_id",
    "sender_key", "redacts", "displayname", "m.mentions", "m.replace", "m.thread",
]  # fmt: skip
KINDS = [
    "m.room.message", "m.sticker", "m.reaction", "m.room.redaction", "m.room.encrypted",
    "m.room.member", "m.room.create", "m.room.tombstone", "m.room.encryption", "m.poll.start",
    "org.matrix.msc3381.poll.start", "m.room.power_levels", "odd", "\ud800", "",
]  # fmt: skip
#: Letters that have made trouble somewhere: controls, marks, halves of pairs, other planes.
_LETTERS = "aZ0<>&\"'\\/@!$:#.-_ \n\t\0\x1b\x7f\x85\xa0éßİ\u200d\u202e\u2028\ufeff\ud800\udfff😀"
_NUMBERS = [0, 1, -1, 2, 2**31, 2**53, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, float("inf")]
_LONG = ["A" * 43, "A" * 70_000, "<b" * 20_000, "&" * 30_000, "\n" * 50_000, "<a href='" * 7_000]
#: Stands for lists or objects nested as deep as the number says.
_DEEP = "nested:"
_DEPTHS = [60, 300, 900, 970, 3_000, 30_000]
#: Stands for a number of so many digits.
_DIGITS = "digits:5000"


class Dice:
    """Draws; the same chance gives the same draws."""

    def __init__(self, chance: Random) -> None:
        """Draw from *chance*."""
        self.chance = chance

    @classmethod
    def of(cls, seed: object) -> Self:
        """Draw what a seed gives, always the same."""
        return cls(Random(str(seed)))  # noqa: S311 - it is to be repeated, not to be secret

    def below(self, end: int) -> int:
        # A third of the time that randrange takes.
        return int(self.chance.random() * end)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def seldom(self) -> bool:
        """True once in forty times."""
        return self.below(40) == 0

    def text(self) -> str:
        if self.below(2):
            return self.one_of(WORDS)
        if self.seldom():
            return self.one_of(_LONG)
        return "".join(self.one_of(_LETTERS) for _ in range(self.below(9)))

    def leaf(self) -> Any:
        match self.below(6):
            case 0:
                return None
            case 1:
                return bool(self.below(2))
            case 2:
                return self.one_of(_NUMBERS)
            case 3 if self.below(160) == 0:
                return f"{_DEEP}{self.one_of(_DEPTHS)}" if self.below(4) else _DIGITS
            case _:
                return self.text()

    def json(self, depth: int = 3, names: Sequence[str] = WORDS) -> Any:
        kind = self.below(5) if depth else 0
        if kind < 3:
            return self.leaf()
        if kind == 3:
            return [self.json(depth - 1, names) for _ in range(self.below(4))]
        return self.object(depth - 1, names)

    def object(self, depth: int = 3, names: Sequence[str] = WORDS) -> dict[str, Any]:
        return {
            self.one_of(names) if self.below(6) else self.text(): self.json(depth, names)
            for _ in range(self.below(6))
        }

    def mutated(self, value: Any) -> Any:
        """Return *value* with one to three things in it taken out, changed or replaced."""
        value = copy.deepcopy(value)
        for _ in range(1 + self.below(3)):
            self.mutate(value)
        return value

    def mutate(self, value: Any) -> None:
        """Take out, change or replace one thing somewhere in *value*."""
        within, last = self._place(value)
        if last is None:
            return
        old = within[last]
        match self.below(3):
            case 0:
                del within[last]
            case 1 if isinstance(old, str) and old:
                at = self.below(len(old))
                within[last] = old[:at] + self.one_of(_LETTERS) + old[at + 1 :]
            case _:
                within[last] = self.json()

    def _place(self, value: Any) -> tuple[Any, Any]:
        """Walk into *value* for a while; return where we are, and a name or number there."""
        names = _names(value)
        if not names:
            return value, None
        last = self.one_of(names)
        while (deeper := _names(value[last])) and self.below(4):
            value, last = value[last], self.one_of(deeper)
        return value, last

    def content(self) -> dict[str, Any]:
        """What an event might say."""
        return self.object(3, SAID)

    def event(self) -> dict[str, Any]:
        """Something like an event."""
        event: dict[str, Any] = {
            "type": self.one_of(KINDS) if self.below(8) else self.json(),
            "content": self.content() if self.below(8) else self.json(),
            "event_id": "$" + "".join(self.one_of("abc") for _ in range(1 + self.below(5))),
        }
        for name in ("sender", "state_key", "redacts", "unsigned", "room_id"):
            if self.below(3) == 0:
                event[name] = self.text() if self.below(2) else self.json()
        if self.below(2):
            event["origin_server_ts"] = self.one_of(_NUMBERS) if self.below(4) else self.json()
        return event


def _names(value: Any) -> Sequence[Any]:
    """What can be looked up in *value*."""
    if isinstance(value, dict):
        return list(value)
    return range(len(value)) if isinstance(value, list) else ()


def spelt(value: Any) -> str:
    """Spell *value* as JSON, with what it has nested as deep as it says."""
    text = json.dumps(value).replace(f'"{_DIGITS}"', "9" * 5_000)
    if _DEEP in text:
        for depth in _DEPTHS:
            for left, right in ("[]", ('{"body":', "}")):
                text = text.replace(f'"{_DEEP}{depth}"', f"{left * depth}5{right * depth}", 1)
    return text


def wire(value: Any) -> Any:
    """Return *value* as the bot gets it from a server."""
    return read_json(spelt(value).encode())
