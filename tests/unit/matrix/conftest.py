"""Devices on a homeserver of lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.matrix.client import LampClient
from tests.unit.matrix.trial import TALLIES, table
from tests.unit.matrix.world import ANNA, BOT, KeyServer, Owner, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(KeyServer(), tmp_path)


@dataclass
class Pair:
    """The bot and Anna, in a room, each cross-signed and known to the other."""

    world: World
    bot: LampClient
    anna: LampClient


@pytest.fixture
async def pair(world: World) -> AsyncIterator[Pair]:
    bot, anna = world.lamp(BOT, "BOT"), world.lamp(ANNA, "ANNA")
    for client in (bot, anna):
        await client.tend_keys()
        Owner(world.server, client.user_id).sign(client.device_id)
    await world.settle(bot, anna)
    yield Pair(world, bot, anna)
    for client in (bot, anna):
        await client.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After a long run, say what was tried and what went wrong."""
    if TALLIES:
        terminalreporter.section("bad input at length")
        for row in table():
            terminalreporter.line(row)
