"""What `ports.Witness` promises, asked of every witness."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bridge.errors import WitnessDisagrees, WitnessElsewhere, WitnessError
from bridge.ports import Witness
from bridge.verify.notes import Cosigner, cosigned
from bridge.witness.client import HttpWitness
from bridge.witness.folder import Folder
from bridge.witness.judge import Judge
from bridge.witness.memory import MemoryWitness
from bridge.witness.server import listening
from tests.unit.witness.history import LOG, NAME, History

OURS = History(600)
THEIRS = History(600, "other", parts_at=5)


def clock() -> float:
    return 1_795_348_800.9


@pytest.fixture(params=["memory", "http"])
async def both(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Witness, Cosigner]]:
    monkeypatch.setattr("bridge.witness.client._PATIENCE", aiohttp.ClientTimeout(total=120))
    monkeypatch.setattr("bridge.witness.server._PATIENCE_S", 120.0)
    if request.param == "memory":
        one = MemoryWitness(NAME, LOG, clock)
        yield one, one.judge.cosigner
        return
    folder = Folder(tmp_path)
    judge = Judge(NAME, folder.key(NAME), [LOG], folder, clock)
    async with listening(judge, "127.0.0.1", 0) as url:
        client = HttpWitness(url, judge.cosigner)
        yield client, judge.cosigner
        await client.close()
    folder.close()


async def test_what_it_returns_is_its_cosignature(both: tuple[Witness, Cosigner]) -> None:
    witness, key = both
    assert witness.name == key.name == NAME
    note = OURS.note(3)
    lines = await witness.cosign(0, (), note)
    assert cosigned(note + lines, [key]) == {NAME: 1_795_348_800}


async def test_it_follows_a_tree_that_grows(both: tuple[Witness, Cosigner]) -> None:
    witness, _ = both
    old = 0
    for new in (1, 2, 3, 100, 100, 256, 257, 600):
        assert await witness.cosign(old, OURS.proof(old, new), OURS.note(new))
        old = new


async def test_it_says_where_it_stands(both: tuple[Witness, Cosigner]) -> None:
    witness, _ = both
    await witness.cosign(0, (), OURS.note(40))
    for old in (0, 39):
        with pytest.raises(WitnessElsewhere) as told:
            await witness.cosign(old, OURS.proof(old, 41), OURS.note(41))
        assert told.value.size == 40


async def test_it_refuses_a_smaller_tree(both: tuple[Witness, Cosigner]) -> None:
    witness, _ = both
    await witness.cosign(0, (), OURS.note(40))
    with pytest.raises(WitnessElsewhere) as told:
        await witness.cosign(39, (), OURS.note(39))
    assert told.value.size == 40


async def test_it_refuses_another_history(both: tuple[Witness, Cosigner]) -> None:
    witness, _ = both
    await witness.cosign(0, (), OURS.note(40))
    for new in (40, 50):
        with pytest.raises(WitnessDisagrees):
            await witness.cosign(40, THEIRS.proof(40, new), THEIRS.note(new))
    assert await witness.cosign(40, OURS.proof(40, 50), OURS.note(50))


async def test_it_does_not_know_every_log(both: tuple[Witness, Cosigner]) -> None:
    witness, _ = both
    with pytest.raises(WitnessError, match="does not know this ledger"):
        await witness.cosign(0, (), OURS.note(3).replace("force.example", "else.example"))


async def test_what_the_log_did_not_sign_is_refused(both: tuple[Witness, Cosigner]) -> None:
    witness, _ = both
    with pytest.raises(WitnessError, match="by another key"):
        await witness.cosign(0, (), OURS.note(3).replace("\n3\n", "\n4\n"))
