"""What people at the command line may have the bot do, by its local socket.

Never lets anyone change what is on record: an order becomes a fact, and the fact is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.control import Answer, Order, Recordable
from bridge.duties.witnessing import Witnessing
from bridge.errors import StoreBehind
from bridge.facts import Braked, Fact, Performed
from bridge.model import Outcome, Refer, Room, RoomId, Status, key
from bridge.policydesk import PolicyDesk
from bridge.ports import Store
from bridge.settle import Settler


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What people at the command line may have the bot do."""

    store: Store
    settler: Settler | None
    rooms: Mapping[RoomId, Room]
    #: None where nobody asks about policies.
    desk: PolicyDesk | None = None
    #: None where the bot is not running.
    witnessing: Witnessing | None = None

    async def obey(self, order: Order) -> Answer:
        """Do it, and say what became of it."""
        if order.do == "status":
            return await self._status()
        if order.do == "checkpoint":
            return await self._checkpoint()
        if order.do in {"policy", "reload", "activate", "adjudicate"} and self.desk is not None:
            return await self.desk.obey(order)
        if order.do == "record":
            return await self._record(order.facts)
        room = self._find(order.room)
        if order.room is not None and room is None:
            known = ", ".join(sorted(room.name for room in self.rooms.values()))
            return Answer(ok=False, text=f"There is no room {order.room!r}. There are: {known}.")
        here = room.id if room else None
        where = room.name if room else "every room"
        on = order.do == "pause"
        facts: list[Fact] = [Braked(room=here, on=on, by=order.by, reason=order.reason)]
        if order.waive:
            facts += await self._waived(here, order.by)
        await self.store.append(facts)
        if self.settler is not None:
            self.settler.wake()
        if on:
            return Answer(ok=True, text=f"Paused in {where}. Recording goes on.")
        waived = f" {len(facts) - 1} things that were owed are waived." if order.waive else ""
        return Answer(ok=True, text=f"Acting again in {where}.{waived}")

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

    def _name(self, room: RoomId | None) -> str:
        if room is None:
            return "every room"
        return self.rooms[room].name if room in self.rooms else room

    def _find(self, name: str | None) -> Room | None:
        return next((r for r in self.rooms.values() if name in {r.id, r.name}), None)

    async def _waived(self, room: RoomId | None, by: str) -> list[Fact]:
        return [
            Performed(
                outcome=Outcome(key=key(debt.effect), status=Status.WAIVED, detail=f"by {by}")
            )
            for debt in await self.store.owed()
            if room in {None, debt.effect.room} and not isinstance(debt.effect, Refer)
        ]

    async def _status(self) -> Answer:
        head, owed = await self.store.head(), await self.store.owed()
        brakes = await self.store.brakes()
        waiting = len(await self.store.waiting())
        names = sorted(self._name(brake) for brake in brakes)
        return Answer(
            ok=True,
            text=(
                f"{head.size} records, {head.size - head.witnessed} since the last checkpoint; "
                f"{len(owed)} things owed; {waiting} messages wait for a key; "
                f"paused: {', '.join(names) or 'nowhere'}."
                + "".join(f"\n{line}." for line in self._witnesses())
            ),
        )

    def _witnesses(self) -> list[str]:
        return self.witnessing.lines() if self.witnessing is not None else []
