"""A witness that is killed with -9 never goes back, and never signs what it did not keep."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from bridge.errors import WitnessDisagrees, WitnessElsewhere, WitnessError
from bridge.witness.client import HttpWitness
from tests.unit.ledger.forging import dice
from tests.unit.witness.history import History, Running, running

KILLS = 6
HONEST = History(4000)


async def grow(client: HttpWitness, size: int, signed: list[int], grows: asyncio.Event) -> None:
    """Show it a checkpoint after each leaf, until it is gone; say when two were signed."""
    two = len(signed) + 2
    with contextlib.suppress(WitnessError):
        while size < len(HONEST.leaves) - 1:
            await client.cosign(size, HONEST.proof(size, size + 1), HONEST.note(size + 1))
            size += 1
            signed.append(size)
            if len(signed) == two:
                grows.set()


async def stands_at(client: HttpWitness) -> int:
    try:
        await client.cosign(0, (), HONEST.note(1))
    except WitnessElsewhere as exc:
        return exc.size
    return 0


async def test_what_was_cosigned_is_remembered_after_every_kill(tmp_path: Path) -> None:
    chance = dice(7)
    signed = [0]
    keys = set()
    for _ in range(KILLS):
        with running(tmp_path) as one:
            keys.add(one.key)
            client = HttpWitness(one.url, one.key)
            size = await stands_at(client)
            assert size in {signed[-1], signed[-1] + 1}  # kept, but killed before it could say so
            signed.append(size)  # it has said so now, and may be killed in its next word
            grows = asyncio.Event()
            growing = asyncio.create_task(grow(client, max(size, 1), signed, grows))
            async with asyncio.timeout(60):
                await grows.wait()  # it is in the middle of it, however slow it is
            await asyncio.sleep(0.05 + chance.random() * 0.3)
            one.kill()
            await growing
            await client.close()
    assert len(keys) == 1
    assert signed[-1] > KILLS


async def test_after_a_kill_neither_a_smaller_nor_another_tree_is_cosigned(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        client = HttpWitness(one.url, one.key)
        await client.cosign(0, (), HONEST.note(300))
        one.kill()
        await client.close()
    other = History(400, "other", parts_at=250)
    with running(tmp_path) as one:
        client = HttpWitness(one.url, one.key)
        for history in (HONEST, other):
            for old in (0, 200):
                with pytest.raises(WitnessElsewhere) as told:
                    await client.cosign(old, history.proof(old, 200), history.note(200))
                assert told.value.size == 300
        for new in (300, 350):
            with pytest.raises(WitnessDisagrees):
                await client.cosign(300, other.proof(300, new), other.note(new))
        await client.cosign(300, HONEST.proof(300, 301), HONEST.note(301))
        await client.close()


async def test_it_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    one = Running("tests.unit.witness.serving", str(tmp_path))
    assert one.stop() == 0
