"""Who looked, in words: the readable copy of what the consultation ledger has sealed.

Never the proof: that is the consultation ledger, which names each of these entries. It has no word
of what was looked at, but who looked for whom and why, and so lies only where people read.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from bridge.errors import StoreError
from bridge.model import Ms


class Category(StrEnum):
    """What was done, in the six words of section 62 of the Data Protection Act 2018, and access."""

    COLLECTION = "collection"
    ALTERATION = "alteration"
    CONSULTATION = "consultation"
    DISCLOSURE = "disclosure"
    COMBINATION = "combination"
    ERASURE = "erasure"
    #: Who came in and who was refused: not one of the six.
    ACCESS = "access"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that somebody did, on record before they did it."""

    #: Its record in the consultation ledger; empty where that is made with the next one.
    rid: str
    at: Ms
    category: Category
    who: str
    #: What it was, in a few words: read a conversation, searched, signed in …
    what: str
    role: str = ""
    purpose: str = ""
    case: str = ""
    scope: str = ""
    basis: str = ""
    recipient: str = ""
    #: Why somebody decided as they did, in their own words.
    reason: str = ""
    #: How many records it went over, where that is known beforehand.
    count: int | None = None
    #: For the independent log reader only.
    restricted: bool = False
    #: About a professional-standards matter: which one is for the independent log reader only.
    conduct: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


def add(path: Path, entries: Sequence[Entry]) -> None:
    """Add *entries* durably.

    Raises:
        StoreError: they cannot be; then nothing may be shown.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.write(handle, b"".join(_encode(one) + b"\n" for one in entries))
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as exc:
        raise StoreError(f"Who looked cannot be written to {path}: {exc.strerror}.") from None


def read(path: Path) -> Iterator[Entry]:
    """Yield every entry, oldest first; a line that a crash cut short is passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield _decode(line)
            except msgspec.MsgspecError:
                continue
