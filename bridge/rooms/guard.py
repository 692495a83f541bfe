"""What is done about a room that is not as the register says: put right, locked, or a call.

Never acts, and never looks at a server: faults come in, and what to do comes out. It does not
fight: what comes back again and again ends with a lock and a call, also over a restart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.model import Ms, UserId
from bridge.rooms.premises import Fault, Look, Sort

#: The same thing is put right so often within this time; then the room is locked.
MOST_TIMES = 3
WINDOW_MS = 10 * 60_000
#: The same, where the bot itself had set it otherwise: its policy changed, or it was started with
#: another. Only a fault of its own comes back without end.
MOST_OF_ITS_OWN = 12
#: Or so often within a day: whoever is slower fights, too.
MOST_A_DAY = 6
DAY_MS = 86_400_000
#: Faults for which a room is locked where they cannot be put right: others could read along.
_LOCKS = frozenset({Sort.DOOR, Sort.STRANGER})
#: Faults that guarding leaves to whoever looks after belonging, or to people.
_NOT_OURS = frozenset({Sort.MISSING, Sort.LOCKED, Sort.REPLACED, Sort.KNOWN})


class Doing(StrEnum):
    """What to do about one fault."""

    MEND = "mend"  #: put it right, and say so where somebody did it
    LOCK = "lock"  #: let nobody write, and call
    CALL = "call"  #: only people can see to it
    LEAVE = "leave"  #: people know


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a guard remembers over a restart; values that a file can hold."""

    #: What was put right lately: key, sort, what it is about, and when.
    mended: tuple[tuple[str, Sort, str, tuple[int, ...]], ...] = ()
    #: Of what people were called: key, sort, what it is about.
    called: tuple[tuple[str, Sort, str], ...] = ()
    #: What could not be said yet: its name, about which room, the words, since when.
    unsaid: tuple[tuple[str, str, str, int], ...] = ()


@dataclass(slots=True)
class Guard:
    """Remembers what was put right, and of what people were told."""

    #: What the bot itself set is no slow fight: a policy or list was another.
    bot: UserId | None = None
    #: When the same thing was put right.
    _mended: dict[tuple[str, Sort, str], list[Ms]] = field(
        default_factory=lambda: defaultdict(list)
    )
    #: Of what people were called, until it is gone.
    _called: set[tuple[str, Sort, str]] = field(default_factory=set)

    def decide(self, look: Look, now: Ms) -> list[tuple[Fault, Doing]]:
        """Say what to do about each fault of one room, and remember it as done."""
        faults = [one for one in look.faults if one.sort not in _NOT_OURS]
        there = {one.same for one in faults}
        self._called = {same for same in self._called if same[0] != look.key or same in there}
        return [(one, self._one(one, locked=bool(look.locked), now=now)) for one in faults]

    def remember(self, past: Past) -> None:
        """Know what was known before a restart."""
        for key, sort, about, times in past.mended:
            self._mended[key, sort, about] = [Ms(at) for at in times]
        self._called |= set(past.called)

    def past(self, now: Ms, unsaid: Iterable[tuple[str, str, str, int]] = ()) -> Past:
        """Say what is to be known after a restart; *unsaid* is what people were not told yet."""
        mended = (
            (*same, tuple(at for at in times if 0 <= now - at < DAY_MS))
            for same, times in sorted(self._mended.items())
        )
        return Past(
            mended=tuple(one for one in mended if one[3]),
            called=tuple(sorted(self._called)),
            unsaid=tuple(unsaid),
        )

    def begin(self) -> None:
        """Forget what was put right: under another register that is no fight."""
        self._mended.clear()

    def calm(self, key: str) -> None:
        """Forget what happened in one room: a person has seen to it."""
        self._mended = defaultdict(list, {k: v for k, v in self._mended.items() if k[0] != key})
        self._called = {same for same in self._called if same[0] != key}

    def _one(self, fault: Fault, *, locked: bool, now: Ms) -> Doing:
        if not fault.mendable:
            return self._told(fault, lock=fault.sort in _LOCKS and not locked)
        times = self._mended[fault.same]
        # A clock that was set back must not make old times count for ever.
        times[:] = [at for at in times if 0 <= now - at < DAY_MS]
        lately = sum(now - at < WINDOW_MS for at in times)
        slow = len(times) >= MOST_A_DAY and _by_somebody(fault, self.bot)
        own = fault.by is not None and not _by_somebody(fault, self.bot)
        if lately >= (MOST_OF_ITS_OWN if own else MOST_TIMES) or slow:
            return self._told(fault, lock=not locked)
        times.append(now)
        return Doing.MEND

    def _told(self, fault: Fault, *, lock: bool) -> Doing:
        if fault.same in self._called:
            return Doing.LEAVE
        self._called.add(fault.same)
        return Doing.LOCK if lock else Doing.CALL


def mended(fault: Fault, names: str) -> str:
    """Say that something was put right; *names*: who did it, as people know them."""
    return f"{fault.room}: {fault.what}. {names} did that; Blue Lamp has put it right."


def locked(fault: Fault, by: str) -> str:
    """Say that a room was locked, and why."""
    why = (
        f"{by} changes it as often as Blue Lamp puts it right"
        if fault.mendable
        else f"Blue Lamp cannot put that right; {by} did it"
    )
    return (
        f"{fault.room} is locked: {fault.what}. {why[0].upper()}{why[1:]}. Nobody can write there "
        f"until somebody has seen to it and says 'bluelamp rooms unlock {fault.key}'."
    )


def called(fault: Fault, by: str) -> str:
    """Say what only people can see to."""
    who = f" {by} did that." if fault.by is not None else ""
    return f"{fault.room}: {fault.what}.{who} Blue Lamp cannot put that right: please see to it."


def is_news(fault: Fault, bot: UserId) -> bool:
    """Say whether people hear that something was put right.

    Not where nobody did it, because the register or a policy is another; power is always news, as
    an administrator of the homeserver can give it in the bot's name.
    """
    return fault.sort.loosens and _by_somebody(fault, bot)


def _by_somebody(fault: Fault, bot: UserId | None) -> bool:
    if fault.by is None:
        return False
    return fault.by != bot or fault.sort in {Sort.POWER, Sort.OUTRANKED}
