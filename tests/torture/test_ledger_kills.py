"""A process that keeps a ledger is killed with -9, again and again, at any moment of its life."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest

from tests.torture.acts import Promise, new_folder, promises, survey
from tests.torture.children import Child
from tests.torture.tally import Tally, tell
from tests.unit.ledger.forging import dice

SMALL, FULL = 10, 1000
#: A new ledger is begun after so many lives, as the cost of looking at one grows with it.
LIVES = 12
#: How long a life lasts from its first promise, how many die before that, and when.
LONGEST_S, EARLY, EARLIEST_S = 0.2, 0.2, 0.1


def one_life(folder: Path, chance: random.Random) -> Promise:
    """Start a process, kill it, and return the last thing that it promised."""
    with Child(folder, 7, 3, 10_000) as child:
        first = ""
        if chance.random() < EARLY:
            time.sleep(chance.random() * EARLIEST_S)  # about when it opens the ledger
        else:
            first = child.line()
            time.sleep(chance.random() * LONGEST_S)
        child.kill()
        lines = [first, *child.rest()]
        assert child.exit == -signal.SIGKILL, lines
    return promises(lines)


def kill_cycles(tmp: Path, count: int) -> None:
    chance, lost, kept, last = dice(9), [], 0, Promise()
    for cycle in range(count):
        folder = tmp / f"ledger-{cycle // LIVES}"
        if cycle % LIVES == 0:
            new_folder(folder)
            last = Promise()
        told = one_life(folder, chance)
        kept += told.acts > 0
        last = max(last, told, key=lambda one: one.acts)
        if said := asyncio.run(survey(folder, last)):
            lost.append((cycle, said))
    tell(Tally(family="kill -9", tried=count, lost=len(lost), remark=f"{kept} after a promise"))
    assert lost == []
    assert kept > count / 2


def test_nothing_promised_is_lost_in_some_kills(tmp_path: Path) -> None:
    kill_cycles(tmp_path, SMALL)


@pytest.mark.torture
def test_nothing_promised_is_lost_in_a_thousand_kills(tmp_path: Path) -> None:
    kill_cycles(tmp_path, FULL)
