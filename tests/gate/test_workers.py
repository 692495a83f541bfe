"""The gate on a Synapse of several processes, with the module in each of them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.demo.stage import stage
from bridge.matrix.api import quote
from bridge.model import EventId
from tests.acceptance.town import PATIENT_BOT, plate
from tests.gate import workers
from tests.gate.conftest import BUDGET_MS, Gated
from tests.gate.test_gate import drawn

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


class Spread(Gated):
    """A force whose homeserver is many processes and one PostgreSQL."""

    database: Path

    def ask(self, statement: str) -> list[str]:
        """Ask the homeserver's database."""
        assert workers.INITDB is not None
        command = [str(Path(workers.INITDB).with_name("psql")), "-h", str(self.database),
                   "-U", "synapse", "-d", "postgres", "-Atc", statement]  # fmt: skip
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.splitlines()

    def rows(self, needle: str) -> int:
        return sum(
            int(self.ask(f"SELECT count(*) FROM {table} WHERE {column} LIKE '%{needle}%'")[0])
            for table, column in (("event_json", "json"), ("rejections", "reason"))
        )

    def taken_out(self, event: str) -> int:
        """How many redactions of *event* the server has."""
        return int(self.ask(f"SELECT count(*) FROM redactions WHERE redacts = '{event}'")[0])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spread(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spread]:
    workers.needed()
    folder = tmp_path_factory.mktemp("spread")
    with workers.postgres() as database:
        async with (
            workers.Workers(folder, database, ("worker1", "worker2")).served() as server,
            stage(
                folder, lambda _: None, server=server, gate_ms=BUDGET_MS, module=PATIENT_BOT
            ) as built,
        ):
            found = Spread(built)
            found.database = database
            await found.bot_runs()
            yield found


async def test_each_worker_asks_the_bot_and_what_is_stopped_reaches_nobody(
    spread: Spread,
) -> None:
    said = []
    for _ in range(4):  # by each of the two workers, twice
        words = f"{plate()} has just left 14 Acacia Avenue"
        said.append((words, await spread.asha.say(spread.social, words)))
    for words, event in said:
        assert await spread.copied(words)
        assert await spread.gone(event)
        assert not drawn(spread.ben.phone, words, spread.social)
    after = await spread.asha.say(spread.social, "who brings the milk?")
    assert await spread.ben.until(lambda phone: after in phone.messages)
    await spread.quiet()
    assert [len(spread.copies(words)) for words, _ in said] == [1] * 4
    assert spread.sound()


async def test_what_was_delivered_instead_is_taken_out_once_though_every_process_hears_of_it(
    spread: Spread,
) -> None:
    words = f"{plate()} is outside the address now"
    event = await spread.ben.say(spread.social, words)
    assert await spread.gone(event)
    await spread.quiet()
    assert spread.taken_out(event) == 1


async def test_no_table_of_postgresql_holds_what_was_stopped(spread: Spread) -> None:
    words = f"CAD 2210, {plate()} is outside the address now"
    content = {"msgtype": "m.text", "body": words}
    sealed = await spread.ben.transport.client.seal(spread.social, "m.room.message", content)
    path = f"/_matrix/client/v3/rooms/{quote(spread.social)}/send/m.room.encrypted"
    answers = [await spread.ben.api.call("PUT", f"{path}/once", sealed) for _ in range(2)]
    assert answers[0] == answers[1], "the same transaction is the same event, at whichever worker"
    assert await spread.copied(words)
    ciphertext = str(sealed["ciphertext"])[:60]
    assert spread.rows(ciphertext) == 0
    await spread.quiet()
    assert len(spread.copies(words)) == 1


async def test_the_same_ciphertext_at_two_workers_at_once_is_moved_once(spread: Spread) -> None:
    words = f"{plate()} has just left the address"
    content = {"msgtype": "m.text", "body": words}
    sealed = await spread.chloe.transport.client.seal(spread.social, "m.room.message", content)
    path = f"/_matrix/client/v3/rooms/{quote(spread.social)}/send/m.room.encrypted"
    answers = await asyncio.gather(
        *(spread.chloe.api.call("PUT", f"{path}/both-{number}", sealed) for number in range(4))
    )
    assert await spread.copied(words)
    for answer in answers:
        assert await spread.gone(EventId(answer["event_id"]))
    await spread.quiet()
    assert len(spread.copies(words)) == 1
    assert spread.rows(str(sealed["ciphertext"])[:60]) == 0
    assert not drawn(spread.ben.phone, words, spread.social)


async def test_without_the_bot_every_worker_lets_pass_and_it_is_moved_afterwards(
    spread: Spread,
) -> None:
    await spread.bot_stops()
    said = []
    for _ in range(2):
        words = f"{plate()} has just left the address"
        said.append((words, await spread.asha.say(spread.social, words)))
    events = {event for _, event in said}
    assert await spread.ben.until(lambda phone: events <= phone.messages.keys())
    await spread.bot_runs()
    for words, event in said:
        assert await spread.copied(words)
        assert await spread.gone(event)
    await spread.quiet()
    assert [len(spread.copies(words)) for words, _ in said] == [1, 1]
    assert spread.sound()
