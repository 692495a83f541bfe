"""Who is signed in, on the server: a cookie has a random name and nothing else.

Never written to disk: opened keys lie with the session, and both are gone when the process is.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.console.rights import Right
from bridge.ledger.keys import Custodian
from bridge.model import Ms, Rid
from bridge.records.archive import Sight

_MINUTE_MS = 60_000
#: Nobody has more of these open at the same time; the oldest is ended.
PER_PERSON = 5


@dataclass(slots=True, kw_only=True)
class Enrolling:
    """Somebody who has shown an enrolment code, and sets up their second factor."""

    name: str
    code: str
    passphrase: str = field(repr=False)
    totp: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Visit:
    """What somebody has come for, and what they have opened for it."""

    purpose: str
    case: str
    #: Only the independent log reader is shown these looks.
    restricted: bool = False
    #: What whoever works here might do when it was opened.
    rights: frozenset[Right] = frozenset()
    #: Custodians whose vault was unlocked here, and who unlocked it.
    custodians: dict[str, Custodian] = field(default_factory=dict, repr=False)
    #: Who reads: with custodians' keys (or what they released), and with the reviewers'.
    sight: Sight | None = field(default=None, repr=False)
    review: Sight | None = field(default=None, repr=False)
    #: On whose word: basis, and as what, as the look's record has it.
    basis: str = ""
    role: str = ""
    #: The request whose answer is open; empty where the keys open everything.
    request: str = ""
    #: Until when that is open.
    until: Ms | None = None
    #: Request → the halves that would be released, while a custodian looks at it.
    counted: dict[str, Mapping[Rid, bytes]] = field(default_factory=dict, repr=False)
    #: Searches of this visit, by their names.
    searches: dict[str, Any] = field(default_factory=dict, repr=False)
    #: Professional-standards matters whose person was revealed, with a reason on record.
    revealed: set[str] = field(default_factory=set)

    def lock(self) -> None:
        """Forget every key, and whatever was found with it."""
        self.custodians.clear()
        self.sight = self.review = None
        self.basis = self.role = self.request = ""
        self.until = None
        self.counted.clear()
        for search in self.searches.values():
            search.stop()
        self.searches.clear()
        self.revealed.clear()

    def keep_time(self, now: Ms) -> bool:
        """Lock everything once what was released is no longer; say whether."""
        over = self.until is not None and now >= self.until
        if over:
            self.lock()
        return over

    def keep_to(self, rights: frozenset[Right]) -> bool:
        """Lock everything once a right is gone with which it was opened or found; say whether."""
        lost = not self.rights <= rights
        if lost:
            self.lock()
        self.rights = rights
        return lost


@dataclass(slots=True, kw_only=True)
class Session:
    """One browser in which somebody has signed in, or is about to."""

    #: Empty while they enrol.
    name: str
    epoch: int
    made: Ms
    seen: Ms
    #: What the browser says of itself, hashed: a stolen cookie elsewhere is no session.
    agent: str
    #: The force's identity provider vouches for them, not an account of ours.
    provided: bool = False
    #: Their full name and roles, as the provider has them; roles are None where people.csv has
    #: them.
    full: str = ""
    roles: frozenset[str] | None = None
    visit: Visit | None = None
    enrolling: Enrolling | None = field(default=None, repr=False)
    #: What to say on the next page, once.
    said: list[tuple[str, str]] = field(default_factory=list)


class Sessions:
    """Every session, by the hash of its cookie."""

    def __init__(self, clock: Callable[[], Ms], *, idle_minutes: int, longest_hours: int) -> None:
        """End sessions that nobody uses for *idle_minutes*, and all after *longest_hours*."""
        self._clock = clock
        self._idle, self._longest = idle_minutes * _MINUTE_MS, longest_hours * 60 * _MINUTE_MS
        self._all: dict[str, Session] = {}

    def begin(self, name: str, epoch: int, agent: str, **more: Any) -> str:
        """Begin one, and return its cookie; whoever is signed in too often is signed out there."""
        now = self._clock()
        self._sweep(now)
        own = [key for key, one in self._all.items() if one.name == name and name]
        for key in own[: max(0, len(own) - PER_PERSON + 1)]:
            self._end(key)
        token = secrets.token_urlsafe(32)
        self._all[_hash(token)] = Session(
            name=name, epoch=epoch, made=now, seen=now, agent=_hash(agent), **more
        )
        return token

    def get(self, token: str, agent: str) -> Session | None:
        """The session of a cookie, if it is this browser's and has not ended."""
        now = self._clock()
        key = _hash(token)
        found = self._all.get(key)
        if found is None:
            return None
        if self._is_over(found, now) or found.agent != _hash(agent):
            self._end(key)
            return None
        found.seen = now
        return found

    def lasts(self, one: Session) -> tuple[int, int]:
        """How long it lasts from now on, ms: if nobody uses it, and whatever anybody does."""
        return self._idle, max(0, one.made + self._longest - self._clock())

    def end(self, token: str) -> None:
        """End one."""
        self._end(_hash(token))

    def end_all(self, name: str) -> int:
        """End every session of somebody; return how many there were."""
        own = [key for key, one in self._all.items() if one.name == name and name]
        for key in own:
            self._end(key)
        return len(own)

    def close(self) -> None:
        """End all."""
        for key in list(self._all):
            self._end(key)

    def all(self) -> list[Session]:
        """Every session that has not ended."""
        self._sweep(self._clock())
        return list(self._all.values())

    def _is_over(self, one: Session, now: Ms) -> bool:
        return now - one.seen > self._idle or now - one.made > self._longest

    def _sweep(self, now: Ms) -> None:
        for key in [key for key, one in self._all.items() if self._is_over(one, now)]:
            self._end(key)

    def _end(self, key: str) -> None:
        found = self._all.pop(key, None)
        if found is not None and found.visit is not None:
            found.visit.lock()


@dataclass(slots=True)
class Throttle:
    """Makes whoever fails too often wait, by name and by address."""

    clock: Callable[[], Ms]
    #: Failures that cost nothing, and how long the first one after them costs, ms; it doubles.
    free: int = 5
    first: int = 30_000
    most: int = 900_000
    _failed: dict[str, tuple[int, Ms]] = field(default_factory=dict)

    def wait(self, *keys: str) -> int:
        """How many ms until another try is let through."""
        now = self.clock()
        return max(0, *(self._until(key) - now for key in keys))

    def fail(self, *keys: str) -> None:
        """Count a failure."""
        now = self.clock()
        if len(self._failed) > 10_000:
            self._failed = {k: v for k, v in self._failed.items() if now - v[1] < self.most}
        for key in keys:
            count, _ = self._failed.get(key, (0, now))
            self._failed[key] = (count + 1, now)

    def forget(self, *keys: str) -> None:
        """They got it right."""
        for key in keys:
            self._failed.pop(key, None)

    def _until(self, key: str) -> int:
        count, at = self._failed.get(key, (0, Ms(0)))
        if count < self.free:
            return 0
        return at + min(self.most, self.first << min(10, count - self.free))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
