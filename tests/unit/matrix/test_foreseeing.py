"""What the gate is told of before it is delivered; and what is put under a message for tapping."""

from __future__ import annotations

import asyncio
from typing import Any

from bridge.errors import TransportError
from bridge.matrix.api import Api
from bridge.matrix.taps import Taps
from bridge.matrix.transport import MatrixTransport
from bridge.model import Cursor, EventId, RoomId
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import ANNA, event
from tests.unit.matrix.world import ROOM as NAME

ROOM = RoomId(NAME)


class Syncing(Api):
    """A homeserver that answers a sync once it is let go."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")
        self.go = asyncio.Event()

    async def call(self, method: str, path: str, *_: Any, **__: Any) -> dict[str, Any]:
        await self.go.wait()
        return {"next_batch": "s1"}


async def test_before_the_first_sync_nothing_is_foreseen_as_nobody_knows_who_is_where(
    pair: Pair,
) -> None:
    """A member of the secure room was asked whether to move a message there, after a restart."""
    api = Syncing()
    transport = MatrixTransport(pair.bot, api, approved=lambda _: False)
    said = {**event(ANNA, {"msgtype": "m.text", "body": "hello"}), "type": "m.room.message"}
    assert await transport.foresee(ROOM, said, patience_s=0.05) is None
    waiting = asyncio.create_task(transport.foresee(ROOM, said, patience_s=300))
    batches = transport.batches(Cursor("s0"), ())
    api.go.set()
    await anext(batches)
    message = await waiting
    assert message is not None
    assert message.body == "hello"
    await batches.aclose()  # type: ignore[attr-defined]
    await api.close()


class Reacting(Api):
    """A homeserver that takes some reactions, and then none."""

    def __init__(self, most: int) -> None:
        super().__init__("http://127.0.0.1:9")
        self.most, self.taken = most, list[tuple[str, str]]()
        #: It was asked for as much as anybody asks here.
        self.asked_again = asyncio.Event()

    async def call(self, method: str, path: str, body: Any = None, **__: Any) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        if name.endswith(".1"):
            self.asked_again.set()
        if len(self.taken) >= self.most:
            raise TransportError("no")
        self.taken.append((name, body["m.relates_to"]["key"]))
        return {"event_id": "$r"}


async def test_what_can_be_tapped_is_put_there_in_order_and_a_failure_is_nobodys_trouble() -> None:
    for most in (2, 1):
        api = Reacting(most)
        taps = Taps(api)
        taps.offer(ROOM, EventId("$asked"), ("➡️", "🗑️"), txn="t/1")
        taps.offer(ROOM, EventId("$said"), (), txn="t2")
        async with asyncio.timeout(60):
            await api.asked_again.wait()
        await taps.close()
        assert api.taken == [("t%2F1.0", "➡️"), ("t%2F1.1", "🗑️")][:most]
