"""What people at the command line may have the bot do, by its local socket.

Never lets anyone change what is on record: an order becomes a fact, and the fact is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from bridge.acting.settle import Settler
from bridge.duties.witnessing import Witnessing
from bridge.errors import StoreBehind
from bridge.facts import Fact, Mode
from bridge.model import Choice, Ms, Room, RoomId
from bridge.officers import brake
from bridge.officers.commands import reasonable
from bridge.ports import Clock, Store
from bridge.rooms.upkeep import Upkeep
from bridge.running.control import Answer, Order, Recordable
from bridge.running.policydesk import PolicyDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What people at the command line may have the bot do."""

    store: Store
    settler: Settler | None
    rooms: Mapping[RoomId, Room]
    clock: Clock
    #: For the times that people read.
    zone: ZoneInfo
    #: A major incident ends by itself after so long, where nobody says how long.
    incident_ms: Ms = brake.INCIDENT_MS
    #: None where nobody asks about policies.
    desk: PolicyDesk | None = None
    #: Two people for what cannot be undone; None where the bot is not running.
    agreement: brake.Agreement | None = None
    #: None where the bot is not running.
    witnessing: Witnessing | None = None
    #: Says how the language model is doing; None where the bot is not running.
    model: Callable[[], str] | None = None
    #: Who looks after the rooms themselves; None where the bot is not running.
    upkeep: Upkeep | None = None

    async def obey(self, order: Order) -> Answer:
        """Do it, and say what became of it."""
        if order.do == "status":
            return await self._status()
        if order.do == "checkpoint":
            return await self._checkpoint()
        if order.do in {"policy", "reload", "activate", "adjudicate"} and self.desk is not None:
            return await self.desk.obey(order)
        if order.do in {"unlock", "retire"}:
            return await self._keep(order)
        if order.do == "record":
            return await self._record(order.facts)
        room = self._find(order.room)
        if order.room is not None and room is None:
            known = ", ".join(sorted(room.name for room in self.rooms.values()))
            return Answer(ok=False, text=f"There is no room {order.room!r}. There are: {known}.")
        return await self._brake(order, room)

    async def _brake(self, order: Order, room: Room | None) -> Answer:
        here, now = room.id if room else None, self.clock()
        wanted = brake.Order(
            mode=Mode.INCIDENT if order.do.startswith("incident") else Mode.PAUSE,
            on=order.do in {"pause", "incident-on"},
            room=here,
            by=order.by,
            reason=order.reason,
            length=Ms(order.length) if order.length is not None else None,
        )
        if wanted.length is not None and not reasonable(wanted.length):
            return Answer(ok=False, text="It may last from 1 minute to 7 days.")
        if order.waive:
            both = self._both(order, here, now)
            if isinstance(both, Answer):
                return both
            wanted = replace(wanted, by=both)
        fact, before = wanted.fact(now, self.incident_ms), await self.store.standing()
        dropped: list[Fact] = []
        if order.waive:
            dropped = brake.waived(await self.store.owed(), here, wanted.by)
        await self.store.append([fact, *dropped])
        if self.settler is not None:
            self.settler.wake()
        words = brake.Words(rooms=self.rooms, names={}, zone=self.zone)
        return Answer(ok=True, text=words.done(fact, now, before, waived=len(dropped)))

    def _both(self, order: Order, here: RoomId | None, now: Ms) -> str | Answer:
        """Name the two who have what is owed forgotten, or say what is missing."""
        if self.agreement is None or self.desk is None:
            return Answer(ok=False, text="To forget what is owed takes two people and the running "
                          "bot: pause it, start it, and have both say so.")  # fmt: skip
        person = self.desk.officer(order, brake.ROLES)
        if isinstance(person, str):
            return Answer(ok=False, text=person)
        first = self.agreement.first(here, person.id, now)
        if first is not None:
            return f"{first} and {person.id}"
        where = "--all" if here is None else f"--room '{self.rooms[here].name}'"
        return Answer(
            ok=True,
            text=f"{person.name} wants what is owed forgotten, which cannot be undone and takes "
            "two people. Nothing is done yet. Somebody else who may has 15 minutes for the same: "
            f"'bluelamp resume {where} --waive', or !resume waive in the review room.",
        )

    async def _keep(self, order: Order) -> Answer:
        """Open a locked room again, or close one for good."""
        if self.upkeep is None:
            return Answer(ok=False, text="the bot does not run: start it, and say this again")
        key = str(order.room)
        begun = key in self.upkeep.closed or key in self.upkeep.leaving
        again = order.do == "retire" and begun
        if key in self.upkeep.spaces() and order.do == "retire":
            said = f"{key} is a space, which holds rooms and no talk: only rooms can be retired."
            return Answer(ok=False, text=said)
        if not again and key not in self.upkeep.premises.listed():
            return Answer(ok=False, text=f"There is no room {key!r} in rooms.yaml.")
        if order.do == "retire":
            return await self._retire(self.upkeep, order, key)
        refused = await self.upkeep.unlock(key, order.by, order.reason)
        return Answer(ok=not refused, text=refused or f"People can write in {key} again.")

    async def _retire(self, upkeep: Upkeep, order: Order, key: str) -> Answer:
        """Close a room for good, which cannot be undone: two people have to say so."""
        if said := await upkeep.finished(key):
            return Answer(ok=True, text=said)
        if self.agreement is None or self.desk is None:
            return Answer(ok=False, text="To close a room takes two people and the running bot.")
        person = self.desk.officer(order, brake.ROLES)
        if isinstance(person, str):
            return Answer(ok=False, text=person)
        if key in upkeep.leaving:  # two people have said so, and it stopped half-way
            done, text = await upkeep.retire(key, str(person.id), order.reason)
            return Answer(ok=done, text=text)
        first = self.agreement.first(f"retire {key}", person.id, self.clock())
        if first is None:
            await upkeep.request(key, str(person.id), order.reason)
            return Answer(
                ok=True,
                text=f"{person.name} wants {key} closed for good, which cannot be undone and takes "
                "two people. Nothing is done yet. Somebody else who may has 15 minutes for the "
                f"same: 'bluelamp rooms retire {key}', with their reason.",
            )
        done, text = await upkeep.retire(key, f"{first} and {person.id}", order.reason)
        return Answer(ok=done, text=text)

    async def _record(self, facts: Sequence[Recordable]) -> Answer:
        await self.store.append(facts)
        return Answer(ok=True, text="")

    async def _checkpoint(self) -> Answer:
        note = await self.store.checkpoint()
        if self.witnessing is None:
            return Answer(ok=True, text=note)
        try:
            await self.witnessing.show()
        except StoreBehind as exc:  # the bot stops because of it by itself
            return Answer(ok=False, text=str(exc))
        return Answer(ok=True, text=await self.witnessing.store.newest())

    def _find(self, name: str | None) -> Room | None:
        return next((r for r in self.rooms.values() if name in {r.id, r.name}), None)

    async def _stopped(self) -> str:
        """What is paused, as every status says, and until when; then the incidents that are on."""
        words = brake.Words(rooms=self.rooms, names={}, zone=self.zone)
        now, said = self.clock(), dict.fromkeys(Mode, "")
        for one in await self.store.standing():
            until = f" until {words.time(one.until, now)}" if one.until is not None else ""
            also = ", " if said[one.mode] else ""
            said[one.mode] += f"{also}{words.place(one.room)}{until}"
        incident = f" Major incident: {said[Mode.INCIDENT]}." if said[Mode.INCIDENT] else ""
        return f"paused: {said[Mode.PAUSE] or 'nowhere'}.{incident}"

    async def _status(self) -> Answer:
        head, owed = await self.store.head(), await self.store.owed()
        stopped = await self._stopped()
        waiting = len(await self.store.waiting())
        asked = sum(isinstance(one.effect, Choice) for one in owed)
        return Answer(
            ok=True,
            text=(
                f"{head.size} records, {head.size - head.witnessed} since the last checkpoint; "
                f"{len(owed) - asked} things owed; {waiting} messages wait for a key; "
                f"{f'{asked} still to be chosen by their senders; ' if asked else ''}"
                f"{stopped}"
                + "".join(f"\n{line}." for line in (*self._witnesses(), *self._model()))
            ),
        )

    def _model(self) -> list[str]:
        return [self.model()] if self.model is not None else []

    def _witnesses(self) -> list[str]:
        return self.witnessing.lines() if self.witnessing is not None else []
