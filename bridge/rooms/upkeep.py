"""Keeps rooms as they were approved to be: the only module that acts on rooms themselves.

Never acts before it is on record who did what, never raises for what the homeserver did, and in a
rehearsal never acts at all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bridge.errors import NotSignedIn, TransportError
from bridge.facts import Care, Drifted, Fact, Noted
from bridge.ledger.record import new_rid
from bridge.model import Ms, RoomId, UserId
from bridge.ports import Clock
from bridge.rooms import guard
from bridge.rooms.belonging import leavers
from bridge.rooms.guard import Doing, Guard, Past
from bridge.rooms.premises import Fault, Gone, Look, Premises, Sort

log = structlog.get_logger(__name__)

#: Between two changes to the server: a bearable rate.
PACE_S = 0.05


@dataclass(slots=True, kw_only=True)
class Upkeep:
    """Looks at rooms, and does what `guard` says about each."""

    #: Puts facts on record: `Store.append`.
    record: Callable[[Sequence[Fact]], Awaitable[None]]
    premises: Premises
    clock: Clock
    bot: UserId
    #: Says something where people are asked about the room of a key, once under each name; says
    #: whether it is there.
    tell: Callable[[str, str, str, Ms], Awaitable[bool]]
    #: What people are called.
    names: Mapping[UserId, str]
    rehearse: bool = False
    #: Whoever has left the list of people cannot sign in any more.
    lock_leavers: bool = False
    #: How many holds are active.
    holds: Callable[[], int] = lambda: 0
    #: Notes that a room is being retired, and why.
    retiring: Callable[[str, str], None] = lambda _key, _reason: None
    #: Notes that a room is retired, and why.
    retired: Callable[[str, str], None] = lambda _key, _reason: None
    #: The rooms that were retired.
    closed: Collection[str] = ()
    #: The rooms that are being retired; one that stopped half-way is still among them.
    leaving: Collection[str] = ()
    #: Those on the register that are spaces.
    spaces: Callable[[], Collection[str]] = tuple
    #: Called with each room that was seen.
    seen: Callable[[Look], None] = lambda _look: None
    #: What was remembered over a restart, and what is from now on.
    before: Past = field(default_factory=Past)
    keep: Callable[[Past], None] = lambda _past: None
    #: How rooms stood when last looked at.
    looks: dict[str, Look] = field(default_factory=dict)
    _guard: Guard = field(init=False)
    #: What could not be said yet: name → (key, words, since).
    _unsaid: dict[str, tuple[str, str, Ms]] = field(default_factory=dict)
    #: What a rehearsal has on record.
    _rehearsed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Know what was known before a restart, and what was left half done."""
        self._guard = Guard(bot=self.bot)
        self._guard.remember(self.before)
        self._unsaid.update({name: (k, said, Ms(at)) for name, k, said, at in self.before.unsaid})
        for key in self.leaving:
            said = (
                f"{key} is being retired, and that is not finished. Nobody is asked into it again. "
                f"Please say 'bluelamp rooms retire {key}' once more."
            )
            self._unsaid[f"retiring-{key}-{self.clock()}"] = key, said, self.clock()

    async def look(self, key: str) -> None:
        """Look at one room, and put it right; one that is being retired is left alone.

        Raises:
            TransportError: the server was not reached; what was done stays done.
        """
        if self._is_left(key):
            return
        look = await self.premises.look(key)
        self.looks[key] = look
        self.seen(look)
        if self.rehearse:
            await self._practise(look)
            return
        try:
            await self._see_to(look)
        finally:
            self._remember()

    async def _see_to(self, look: Look) -> None:
        for fault, doing in self._guard.decide(look, self.clock()):
            if self._is_left(look.key):
                return
            match doing:
                case Doing.MEND:
                    await self._mend(fault)
                case Doing.LOCK:
                    await self._lock(fault)
                case Doing.CALL:
                    said = f"{fault.room}: {fault.what}{_by(fault)}; people have to see to it"
                    await self._note(Care.CALLED, said, fault)
                    await self._call(guard.called(fault, self._who(fault)), fault.key)
                case Doing.LEAVE:
                    pass
        for fault in look.faults:
            if fault.sort is Sort.MISSING and fault.mendable and not self._is_left(look.key):
                await self._let_in(fault)

    def _is_left(self, key: str) -> bool:
        """Say whether a room is closed, or on the way to it."""
        return key in self.leaving or key in self.closed

    async def speak(self) -> None:
        """Say what could not be said before."""
        for name, (key, words, since) in list(self._unsaid.items()):
            if await self.tell(key, name, words, since):
                self._unsaid.pop(name, None)
        self._remember()

    def begin(self) -> None:
        """Know that the register is another: what is put right because of it is no fight."""
        self._guard.begin()

    def _remember(self) -> None:
        unsaid = ((name, *said) for name, said in self._unsaid.items())
        self.keep(self._guard.past(self.clock(), unsaid))

    async def unlock(self, key: str, by: str, reason: str) -> str:
        """Open a locked room again, for *by*; say why not, or nothing."""
        said = f"{self._name(key)} was unlocked by {by}: {reason or 'no reason given'}"
        await self._order(Care.UNLOCKED, said, key, by)
        refused = await self.premises.lift_lock(key)
        if not refused:
            self._guard.calm(key)
            self._remember()
        return refused

    async def finished(self, key: str) -> str:
        """Say that nothing is left to do about a room that was closed; empty if something is."""
        if key not in self.closed:
            return ""
        match await self.premises.deleted(key):
            case Gone.GONE:
                return f"{self._name(key)} is closed, and gone from the server: nothing is left."
            case Gone.GOING:
                return f"{self._name(key)} is closed, and the server is still deleting it."
            case Gone.THERE:
                return ""

    async def retire(self, key: str, by: str, reason: str) -> tuple[bool, str]:
        """Close a room for good, and delete it on the server if nothing is held.

        Says whether it is closed, and what became of it.
        """
        held = await asyncio.to_thread(self.holds)
        said = f"{self._name(key)} is retired by {by}: {reason}; {held} active holds"
        await self._order(Care.RETIRED, said, key, by)
        if self.rehearse:
            return False, "The bot rehearses: nothing was done."
        if key not in self.closed:
            await asyncio.to_thread(self.retiring, key, reason)
            refused = await self._close_down(key, reason)
            if refused:
                log.error("room.not_retired", room=key, error=refused)
                return False, (
                    f"{self._name(key)} is not closed: {refused}. Say this again to finish it; "
                    "until then the bot leaves the room as it is."
                )
            await asyncio.to_thread(self.retired, key, reason)
        if held:
            kept = f"it stays on the server: there are {held} active holds. Say this again"
            return True, f"{self._name(key)} is closed, and {kept} once they are released."
        refused = await self.premises.delete_room(key)
        what = f"stays on the server: {refused}" if refused else "is being deleted on the server"
        care = Care.REFUSED if refused else Care.DELETED
        await self._order(care, f"{self._name(key)} {what}", key, by)
        return True, f"{self._name(key)} is closed, and {what}."

    async def _close_down(self, key: str, reason: str) -> str:
        try:
            return await self.premises.close_down(key, reason)
        except NotSignedIn:
            raise
        except TransportError as exc:
            return str(exc)

    async def request(self, key: str, by: str, reason: str) -> None:
        """Put on record who was the first of two to want a room closed for good, and why."""
        said = f"{by} wants {self._name(key)} retired: {reason}; it takes a second person"
        await self.record([Noted(text=said)])

    async def see_off(self, before: Collection[UserId], now: Collection[UserId]) -> bool:
        """End the sessions of whoever is no longer listed; say whether that is done.

        They are put out of their rooms as each room is looked at.
        """
        found = leavers(before, now)
        if self.rehearse or not found.gone:
            return True
        if found.doubtful:
            await self._call(
                f"{len(found.gone)} of {len(before)} people are no longer listed, which is more "
                "than a tenth. Their sessions were not ended: if they have left, an administrator "
                "of the homeserver ends them.",
                "",
            )
            return True
        for user in found.gone:
            locked = await self._lock_account(user) if self.lock_leavers else ""
            ended = await self.premises.end_sessions(user)
            if ended is None:
                said = "their sessions stay: the bot has no administrator's token that is accepted"
            else:
                said = f"{ended} session{'s' * (ended != 1)} on the homeserver ended"
            await self._order(
                Care.LEFT, f"{user} has left the list of people: {said}{locked}", "", user
            )
            log.info("people.left", ended=ended)
            await asyncio.sleep(PACE_S)
        return True

    async def _lock_account(self, user: UserId) -> str:
        """Keep somebody who has left from signing in again; say what became of that."""
        refused = await self.premises.lock_account(user)
        if refused:
            log.warning("people.not_locked", error=refused)
            return f"; their account is not locked: {refused}"
        return "; their account is locked"

    async def _mend(self, fault: Fault) -> None:
        """Put one thing right; of what a person did, people hear."""
        who = self._who(fault)
        did = f" (by {fault.by})" if fault.by is not None else ""
        said = f"{fault.room}: {fault.what}{did}; putting it right"
        await self._note(Care.MENDING, said, fault)
        refused = await self.premises.put_right(fault)
        await asyncio.sleep(PACE_S)
        if refused:
            await self._note(Care.REFUSED, f"{fault.room}: not put right: {refused}", fault)
            said = f"{guard.called(fault, who)} The homeserver says: {refused}"
            await self._call(said, fault.key)
        elif guard.is_news(fault, self.bot):
            await self._call(guard.mended(fault, who), fault.key)
        log.warning("room.drift", room=fault.key, sort=fault.sort.value, mended=not refused)

    async def _let_in(self, fault: Fault) -> None:
        """Ask somebody in who belongs there. Joiners are no news, and on record as members."""
        refused = await self.premises.put_right(fault)
        await asyncio.sleep(PACE_S)
        if refused:
            log.warning("room.not_invited", room=fault.key, error=refused)

    async def _lock(self, fault: Fault) -> None:
        who, by = self._who(fault), _by(fault)
        await self._note(Care.LOCKING, f"{fault.room}: {fault.what}{by}; locking the room", fault)
        refused = await self.premises.lock_down(fault.key, f"{fault.what}{by}")
        if refused:
            await self._note(Care.REFUSED, f"{fault.room}: not locked: {refused}", fault)
            said = f"{guard.called(fault, who)} Nor can it lock the room: {refused}"
            await self._call(said, fault.key)
        else:
            await self._call(guard.locked(fault, who), fault.key)
        log.error("room.locked", room=fault.key, sort=fault.sort.value, locked=not refused)

    async def _practise(self, look: Look) -> None:
        """Put on record, once, what would have been done."""
        for fault in look.faults:
            said = f"rehearsed, nothing was done: {fault.room}: {fault.what}"
            if said not in self._rehearsed:
                self._rehearsed.add(said)
                await self._note(Care.REHEARSED, said, fault)

    async def _note(self, care: Care, text: str, fault: Fault) -> None:
        """Put on record what is done about something that is not as it should be."""
        fact = Drifted(
            rid=new_rid(), key=fault.key, room=self._id(fault.key), care=care,
            sort=fault.sort.value, text=text, by=fault.by or "",
        )  # fmt: skip
        await self.record([fact])

    async def _order(self, care: Care, text: str, key: str, by: str) -> None:
        """Put on record what somebody ordered or did."""
        fact = Drifted(rid=new_rid(), key=key, room=self._id(key), care=care, text=text, by=by)
        await self.record([fact])

    def _id(self, key: str) -> RoomId | None:
        return self.looks[key].id if key in self.looks else None

    async def _call(self, words: str, key: str) -> None:
        """Tell people of the room *key*, now or as soon as we can."""
        now = self.clock()
        name = "room-" + hashlib.sha256(f"{words}\0{now}".encode()).hexdigest()[:24]
        if not await self._said(key, name, words, now):
            self._unsaid[name] = key, words, now

    async def _said(self, key: str, name: str, words: str, since: Ms) -> bool:
        try:
            return await self.tell(key, name, words, since)
        except NotSignedIn:
            raise
        except TransportError:
            return False

    def _who(self, fault: Fault) -> str:
        """Who did it, as people know them."""
        if fault.by is None:
            return "Somebody"
        if fault.by == self.bot:
            return "The bot's own account, which an administrator of the homeserver can use,"
        name = self.names.get(fault.by)
        return f"{name} ({fault.by})" if name else str(fault.by)

    def _name(self, key: str) -> str:
        return self.looks[key].name if key in self.looks else key


def _by(fault: Fault) -> str:
    return f" by {fault.by}" if fault.by is not None else ""
