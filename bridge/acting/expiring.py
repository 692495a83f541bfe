"""Takes messages out of a room when their time in it is over, and certifies what has gone.

Never touches the record, which has a time of its own; never takes out what is not on record; and
never says that something is gone which the homeserver was not seen to have deleted. What goes is
noted before it goes: whatever interrupts it, it looks again, goes on, and certifies each once.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from bridge.acting.fading import Fading, Old
from bridge.acting.remains import Remains, Standing
from bridge.acting.unfinished import Slate, Unfinished
from bridge.errors import NotFound, NotPermitted, NotSignedIn
from bridge.facts import Cleared, Fact, Noted
from bridge.ledger.record import new_rid
from bridge.model import EventId, Ms, Rid, RoomId
from bridge.officers.brake import stopped
from bridge.ports import Store

log = structlog.get_logger(__name__)

REASON = "Its time in this room is over"
#: Between two removals: twenty a second at most.
PACE_S = 0.05
_MANY = ("messages are", "their", "")
_DAY_MS = 86_400_000
#: A session is used for a week at most; one that was used in no message of the days after the
#: last that went is used no more.
_SESSION_MS = 8 * _DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A room, and until when what was said in it is no longer shown."""

    room: RoomId
    name: str
    #: How many days messages are visible there.
    days: int
    before: Ms
    #: How long the server is to be told to show messages, ms; None: the register sees to it.
    server_ms: int | None = None

    @property
    def now(self) -> Ms:
        """When it was looked what is due."""
        return Ms(self.before + self.days * _DAY_MS)


@dataclass(slots=True)
class _Tally:
    """What was done in one room and is in no certificate yet."""

    events: list[Old] = field(default_factory=list)
    edits: int = 0
    pins: int = 0
    files: int = 0
    files_left: int = 0
    #: Not on record, and left.
    unknown: int = 0
    refused: int = 0
    #: The server has deleted what was taken out from its database.
    purged: bool = False
    keys: int = 0

    def __bool__(self) -> bool:
        return bool(self.events or self.refused or self.purged or self.keys)


@dataclass(slots=True, kw_only=True)
class _Run:
    """One way through one room."""

    due: Due
    left: Unfinished
    tally: _Tally = field(default_factory=_Tally)
    #: Gone, or refused: of these nothing is unsure.
    settled: set[EventId] = field(default_factory=set)
    #: The first message that is due and stays; None where none does.
    first: EventId | None = None
    #: The sessions of all that are due and stay.
    staying: set[str] = field(default_factory=set)
    urls: set[str] = field(default_factory=set)

    def stays(self, one: Old) -> None:
        """Note that this one is due and stays."""
        self.first = self.first or one.event
        self.staying.add(one.session)


@dataclass(slots=True, kw_only=True)
class Expirer:
    """Goes through one room after the other."""

    store: Store
    remains: Remains
    fading: Fading
    slate: Slate
    record: Callable[[Sequence[Fact]], Awaitable[None]]
    #: Says whether there is a certificate under this name. Blocks.
    certified: Callable[[Rid], bool]
    #: Says something in the review room, once under each name; says whether it is there.
    tell: Callable[[str, str, Ms], Awaitable[bool]]
    #: Whether to go on: in quiet hours only.
    goes_on: Callable[[], bool]
    pace_s: float = PACE_S

    async def clear(self, due: Due) -> bool:
        """Take out what is due in one room; say whether all of it is done.

        Raises:
            TransportError: the homeserver is not there; what was done stays done.
            OSError: what is going to be done cannot be noted.
        """
        if await self._is_stopped(due.room):
            return False
        await self._agree(due)
        run = _Run(due=due, left=self.slate.read(due.room))
        try:
            await self._resume(run)
            whole = await self._through(run)
            unknown = run.tally.unknown
            if whole:
                await self._let_go(run)
        finally:  # also where the bot is stopped: what has gone is gone
            await self._certify(run)
        if whole:
            await self._tell(run, unknown)
        return whole

    async def _agree(self, due: Due) -> None:
        """Have the server forget what was said by itself, should we not be there."""
        if due.server_ms is None:
            return
        try:
            await self.fading.agree(due.room, due.server_ms)
        except NotSignedIn:
            raise
        except (NotPermitted, NotFound) as exc:
            log.warning("room.not_told_to_forget", room=due.room, error=str(exc))

    def _keep(self, run: _Run, **other: Any) -> None:
        """Note what is left to do, where that is something else."""
        left = replace(run.left, **other)
        if left != run.left:
            self.slate.write(run.due.room, left)
            run.left = left

    async def _resume(self, run: _Run) -> None:
        """Take into this certificate what an earlier run took out and could not certify."""
        left, room = run.left, run.due.room
        done = await asyncio.to_thread(self.certified, left.rid) if left.taking else False
        if done:
            self._keep(run, taking=(), rid=Rid(""))
            return
        for one in left.taking:
            if await self.remains.standing(room, one.event) is not Standing.THERE:
                await self._belongings(run, one.event)
                run.tally.events.append(one)
                run.settled.add(one.event)
        self._keep(run, taking=tuple(run.tally.events))

    async def _through(self, run: _Run) -> bool:
        """Go through what is old in a room; say whether it came to the end."""
        due = run.due
        await self.fading.begin(due.room)
        while self.goes_on() and not await self._is_stopped(due.room):
            page = await self.fading.oldest(due.room, due.before)
            if page.events:
                await self._page(run, page.events)
            if page.last:
                await self._unpin(due, run.tally)
                return True
        return False

    async def _unpin(self, due: Due, tally: _Tally) -> None:
        """Take what has gone off the room's list of pinned messages, whenever it went."""
        pinned = await self.fading.pinned(due.room)
        known = await self.store.known(pinned)
        old = [one for one in pinned if one in known and known[one].sent_at < due.before]
        gone = [
            one for one in old if await self.remains.standing(due.room, one) is not Standing.THERE
        ]
        if not gone:
            return
        mark = hashlib.sha256("\0".join(("unpinned", due.room, *gone)).encode()).hexdigest()[:32]
        try:
            tally.pins += len(await self.remains.unpin(due.room, gone, mark=mark))
        except NotSignedIn:
            raise
        except (NotPermitted, NotFound) as exc:
            log.warning("room.not_unpinned", room=due.room, error=str(exc))

    async def _is_stopped(self, room: RoomId) -> bool:
        return bool({room, None} & stopped(await self.store.standing()))

    async def _page(self, run: _Run, found: Sequence[Old]) -> None:
        """Take out some: on record first that it is done."""
        known = await self.store.known([one.event for one in found])
        ours = [one for one in found if one.event in known]
        run.tally.unknown += len(found) - len(ours)
        if ours:
            await self._begin(run, ours)
        refused = {one.event for one in ours if not await self._gone(run, one)}
        for one in found:
            if one.event not in known or one.event in refused:
                run.stays(one)

    async def _begin(self, run: _Run, ours: Sequence[Old]) -> None:
        """Note what is going to be taken out, for us and on record."""
        left, name = run.left, run.due.name
        self._keep(
            run,
            taking=tuple(dict.fromkeys((*left.taking, *ours))),
            rid=left.rid or new_rid(),
            sessions=_added(left.sessions, [one.session for one in ours]),
            unpurged=True,
        )
        said = f"{name}: taking out {len(ours)} messages from {_day(ours[0].at)} on"
        await self.record([Noted(text=f"{said}; SHA-256 of their sorted ids {_digest(ours)}")])

    async def _gone(self, run: _Run, one: Old) -> bool:
        """Take one message out with what belongs to it; say whether the server let us."""
        gone = await self._out(run.due.room, one.event)
        if gone:
            await self._belongings(run, one.event)
            run.tally.events.append(one)
        else:
            run.tally.refused += 1
        # Only now: of what breaks off before, the next run sees what is left.
        run.settled.add(one.event)
        return gone

    async def _belongings(self, run: _Run, of: EventId) -> None:
        """Take out a message's edits, and delete its files."""
        room = run.due.room
        for edit in await self.store.edits(of):
            if await self.remains.standing(room, edit) is Standing.THERE:
                run.tally.edits += await self._out(room, edit)
        await self._files(run, of)

    async def _out(self, room: RoomId, event: EventId) -> bool:
        name = hashlib.sha256(f"expired\0{room}\0{event}".encode()).hexdigest()[:32]
        try:
            await self.remains.take_out(room, event, REASON, txn=name, mark=name)
        except NotSignedIn:
            raise
        except NotFound:
            return True
        except NotPermitted:
            return False
        finally:
            await asyncio.sleep(self.pace_s)
        return True

    async def _files(self, run: _Run, of: EventId) -> None:
        """Delete the files of a message that nothing newer brings."""
        due, tally = run.due, run.tally
        for url in {one.url for one in await self.store.attached([of])} - run.urls:
            run.urls.add(url)
            holders = [one.event for one in await self.store.attached((), url)]
            known = await self.store.known(holders)
            if any(one.sent_at >= due.before or one.room != due.room for one in known.values()):
                continue
            try:
                gone = await self.remains.drop_file(url, known[of].sender)
            except NotPermitted:
                gone = False
            tally.files += gone
            tally.files_left += not gone

    async def _let_go(self, run: _Run) -> None:
        """Have the server and our keys let go of all that has gone, whenever it went."""
        due, left, tally = run.due, run.left, run.tally
        if left.unpurged:
            tally.purged = await self.fading.purge(due.room, due.before, but_from=run.first)
        if not left.sessions:
            return
        used = await self.fading.in_use(due.room, due.before, Ms(due.before + _SESSION_MS))
        if used is not None:
            gone = set(left.sessions) - used - run.staying
            tally.keys = await self.fading.drop_keys(due.room, gone)
            self._keep(run, sessions=tuple(one for one in left.sessions if one not in gone))

    async def _certify(self, run: _Run) -> None:
        """Put on record what has gone, and note what is left to do."""
        due, left, tally = run.due, run.left, run.tally
        if tally:
            said = certificate(due, tally, whole=run.first is None)
            rid, count = left.rid or new_rid(), len(tally.events)
            fact = Cleared(rid=rid, room=due.room, name=due.name, messages=count, text=said)
            await self.record([fact])
            log.info("room.cleared", room=due.room, messages=count, purged=tally.purged)
        run.tally = _Tally()
        unsure = tuple(one for one in left.taking if one.event not in run.settled)
        self._keep(
            run,
            taking=unsure,
            rid=new_rid() if unsure else Rid(""),
            unpurged=left.unpurged and not tally.purged,
        )

    async def _tell(self, run: _Run, unknown: int) -> None:
        """Tell people once how many messages are not on record, and so stay."""
        due = run.due
        if unknown > run.left.told:
            many, own, ending = ("message is", "its", "s") if unknown == 1 else _MANY
            said = (
                f"{due.name}: {unknown} {many} past {own} time there and not on record, "
                f"and stay{ending}"
            )
            name = hashlib.sha256(f"unrecorded\0{due.room}\0{unknown}".encode()).hexdigest()[:24]
            why = "The server's database keeps all that was said after the first of them."
            if not await self.tell(f"unrecorded-{name}", f"{said}. {why}", due.now):
                return
            await self.record([Noted(text=said)])
        self._keep(run, told=unknown)


def certificate(due: Due, tally: _Tally, *, whole: bool) -> str:
    """Say what has gone from a room, and what is left of it where; *whole*: nothing due stays."""
    times = [one.at for one in tally.events]
    span = f", sent from {_day(min(times))} to {_day(max(times))}" if times else ""
    many = len(tally.events)
    lines = [
        f"disposal in {due.name} ({due.room}), visible for {due.days} days: {many} messages "
        f"and {tally.edits} edits taken out{span}; SHA-256 of their sorted ids "
        f"{_digest(tally.events)}",
        f"files: {tally.files} deleted, {tally.files_left} left on the server",
        _database(tally, whole=whole),
        f"the bot's own keys: {tally.keys} sessions dropped",
        "clients hide it as soon as they hear of the removal; the record is kept for its own time",
    ]
    if tally.pins:
        lines.append(f"{tally.pins} taken off the list of pinned messages")
    if tally.unknown:
        lines.append(f"{tally.unknown} are not on record, and were left")
    if tally.refused:
        lines.append(f"{tally.refused} were left, as the homeserver refused")
    return "; ".join(lines)


def _database(tally: _Tally, *, whole: bool) -> str:
    kept = "keeps what was taken out for its redaction_retention_period"
    if not tally.purged:
        return f"server's database: {kept}"
    gone = "what was taken out was deleted" if tally.events else "what had gone before was deleted"
    if whole:
        return f"server's database: {gone}, but for the room's newest event"
    return f"server's database: {gone} as far as the first message that stays; after it, it {kept}"


def _added(sessions: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for one in dict.fromkeys((*sessions, *more)) if one)


def _digest(events: Sequence[Old]) -> str:
    names = sorted(one.event for one in events)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _day(at: Ms) -> str:
    return f"{datetime.datetime.fromtimestamp(at / 1000, datetime.UTC):%Y-%m-%d}"
