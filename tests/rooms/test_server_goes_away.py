"""A homeserver that goes away in the middle of a disposal, and comes back; in both versions."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import os
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.duties.forgetting import Forgetting
from bridge.facts import Cleared, Fact
from bridge.matrix.api import Api, quote
from bridge.model import Ms
from bridge.rooms.slate import FileSlate
from tests.homeserver.test_rooms import V3
from tests.rooms.conftest import Estate
from tests.rooms.test_forgetting import Cellar, now

pytestmark = pytest.mark.slow

MANY = 40
UTC = ZoneInfo("UTC")
#: Two o'clock at night: an hour in which rooms are cleared.
NIGHT = Ms(int(datetime.datetime(2027, 3, 3, 2, tzinfo=UTC).timestamp() * 1000))


@pytest.fixture
def homeserver(tmp_path: Path) -> Iterator[Homeserver]:
    """One that may be stopped, as nobody else uses it."""
    with Homeserver(tmp_path / "server") as server:
        yield server


async def kill(server: Homeserver) -> None:
    """Have it end as by a failure of power: nothing of it gets to say a word."""
    os.kill(int((server.directory / "homeserver.pid").read_text()), signal.SIGKILL)
    await asyncio.to_thread(server.stop)


@dataclass(slots=True)
class Breaking:
    """An administrator's account, whose server goes away before it hears one request."""

    admin: Api
    server: Homeserver
    before: str

    async def call(self, method: str, path: str, *rest: Any, **named: Any) -> dict[str, Any]:
        if f"/{self.before}/" in path:
            await asyncio.to_thread(self.server.stop)
        return await self.admin.call(method, path, *rest, **named)


@dataclass(slots=True)
class Night:
    """A full room, and the duty that clears it every night."""

    cellar: Cellar
    word: str
    #: All that is due, in the order in which it was said.
    ids: list[str]
    duty: Forgetting
    papers: list[Cleared] = field(default_factory=list)

    async def record(self, facts: Sequence[Fact]) -> None:
        self.papers += [fact for fact in facts if isinstance(fact, Cleared)]
        await self.cellar.estate.record(facts)

    def agrees(self) -> None:
        """Each removal is in one certificate: each speaks of the messages after the last one's."""
        at = 0
        for paper in self.papers:
            names = sorted(self.ids[at : at + paper.messages])
            digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
            assert re.findall(r"ids ([0-9a-f]{64})", paper.text) == [digest]
            at += paper.messages
        assert len({paper.rid for paper in self.papers}) == len(self.papers)

    def certified(self) -> int:
        return sum(paper.messages for paper in self.papers)


@pytest.fixture
async def night(estate: Estate, homeserver: Homeserver, tmp_path: Path) -> Night:
    cellar, word = Cellar(estate, homeserver), f"w{token_hex(6)}"
    anna = await estate.joins("anna", "social")
    ids = [await cellar.say(anna, f"{word} number {n}", "session-0") for n in range(MANY)]
    before = now()
    await asyncio.sleep(0.01)
    await cellar.say(anna, "and today", "session-9")
    await cellar.hear()

    async def agree() -> bool:
        return True

    duty = Forgetting(
        expirer=cellar.expirer,
        due=lambda _: [cellar.due(before)],
        clock=lambda: NIGHT,
        zone=UTC,
        clocks_agree=agree,
    )
    made = Night(cellar, word, ids, duty)
    cellar.expirer.slate = FileSlate(tmp_path / "clearing.json")
    cellar.expirer.record = made.record
    return made


async def removals(cellar: Cellar) -> int:
    """How many the server has by now."""
    path = f"{V3}/rooms/{quote(cellar.room)}/messages"
    page = await cellar.estate.api.call("GET", path, query={"dir": "b", "limit": "200"})
    return sum(one["type"] == "m.room.redaction" for one in page["chunk"])


async def test_a_server_that_is_killed_among_the_removals_has_each_in_one_certificate(
    night: Night, homeserver: Homeserver
) -> None:
    cellar = night.cellar
    cellar.expirer.pace_s = 0.05
    clearing = asyncio.ensure_future(night.duty.once())
    while await removals(cellar) < 6:  # the last of them we may not have been told of
        assert not clearing.done()
    await kill(homeserver)
    await clearing  # it says so in its log, and waits for the next time
    first = night.certified()
    assert 5 <= first < MANY
    night.agrees()
    assert "keeps what was taken out for its redaction_retention_period" in night.papers[0].text
    assert cellar.left(night.word) >= MANY, "what is hidden is in its database still"
    assert cellar.keys.dropped == set()
    await night.duty.once()
    assert night.certified() == first, "nothing is done or said while it is away"

    cellar.expirer.pace_s = 0
    await asyncio.to_thread(homeserver.start)
    gone = await removals(cellar)
    assert first <= gone <= first + 1, "one may have been answered by nobody"
    # As after a restart of the bot: all that is known of it is in the file.
    cellar.expirer.slate = FileSlate(cast(FileSlate, cellar.expirer.slate).path)
    await night.duty.once()
    assert night.certified() == MANY
    night.agrees()
    assert await removals(cellar) <= MANY + 1
    assert "server's database: what was taken out was deleted" in night.papers[-1].text
    assert cellar.left(night.word) == 0
    assert cellar.keys.dropped == {"session-0"}
    papers = len(night.papers)
    await night.duty.once()
    assert len(night.papers) == papers, "and that was all for this night"


@pytest.mark.parametrize("before", ["purge_history", "purge_history_status"])
async def test_a_server_that_goes_away_before_it_has_let_go_is_asked_again_and_certified_once(
    night: Night, homeserver: Homeserver, before: str
) -> None:
    cellar = night.cellar
    admin = cellar.estate.admin
    assert admin is not None
    cellar.fading._admin = cast(Api, Breaking(admin, homeserver, before))
    await night.duty.once()
    assert not homeserver.running
    assert night.certified() == MANY, "they are out of the room"
    night.agrees()
    (paper,) = night.papers
    assert "keeps what was taken out for its redaction_retention_period" in paper.text
    assert "was deleted" not in paper.text, "nobody has seen that"
    assert cellar.keys.dropped == set()

    cellar.fading._admin = admin
    await asyncio.to_thread(homeserver.start)
    await night.duty.once()
    assert night.certified() == MANY, "none of them a second time"
    assert await removals(cellar) <= MANY
    assert "server's database: what had gone before was deleted" in night.papers[-1].text
    assert cellar.left(night.word) == 0
    assert cellar.keys.dropped == {"session-0"}
