"""What is done by the clock: heartbeats, the alarm when it is set back, daily checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from structlog.testing import capture_logs

from bridge.acting.enforce import Enforcer
from bridge.acting.settle import Settler
from bridge.acting.texts import Speaker
from bridge.duties.publishing import Publishing
from bridge.duties.sweep import BEAT_MS, Sweep
from bridge.errors import TransportError
from bridge.facts import Braked, Fact, Noted
from bridge.ledger.seal import EPOCH_MS
from bridge.matrix.memory import MemoryTransport
from bridge.model import Ms, Room, RoomClass, RoomId
from bridge.policy import Policy
from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import parse
from bridge.way.pipeline import Pipeline
from tests.making import NOON, Hands, custodian, identity

PSD = custodian()
WHO = identity(PSD)
AUDIT = RoomId("!audit")
HOUR = 3_600_000


def speaker() -> Speaker:
    return Speaker(
        rooms={AUDIT: Room(id=AUDIT, cls=RoomClass.AUDIT, name="Checkpoints")},
        names={},
        contact="the Digital Desk",
        zone=ZoneInfo("Europe/London"),
        server="force.example",
    )


def sweeping(store: MemoryStore | SqliteStore, clock: Hands) -> Sweep:
    transport = MemoryTransport(clock=clock)
    settler = Settler(
        store=store,
        enforcer=Enforcer(transport=transport, speaker=speaker()),
        rooms={},
        review=None,
        clock=clock,
        removals_per_minute=60,
        started=NOON,
    )

    def policy() -> Policy:
        raise AssertionError("nothing is judged here")

    pipeline = Pipeline(
        transport=transport, store=store, policy=policy, rooms={}, review=None, wake=lambda: None
    )
    return Sweep(
        store=store,
        pipeline=pipeline,
        settler=settler,
        certificates=WHO.certificates,
        retentions=frozenset({"system"}),
        clock=clock,
    )


def headers(store: MemoryStore) -> list[dict[str, str | int]]:
    return [msgspec.json.decode(record.header) for record in store.records]


def kinds(store: MemoryStore) -> list[str]:
    return [str(header["kind"]) for header in headers(store)]


def noted(words: str = "words") -> Sequence[Fact]:
    return [Noted(text=words)]


# Heartbeats


async def test_an_idle_ledger_says_every_quarter_of_an_hour_that_it_is_alive() -> None:
    clock = Hands()
    store = MemoryStore(WHO, clock)
    sweep = sweeping(store, clock)
    await store.append(noted())
    for _ in range(4 * 15):  # an hour, looked at every minute
        await sweep.once()
        clock.move(60_000)
    assert kinds(store).count("heartbeat") == 3
    await sweep.once()
    assert kinds(store).count("heartbeat") == 4
    head = await store.head()
    assert head.witnessed == head.size
    assert head.checkpoint_at == clock()


async def test_a_ledger_in_use_has_no_heartbeats() -> None:
    clock = Hands()
    store = MemoryStore(WHO, clock)
    sweep = sweeping(store, clock)
    for n in range(30):
        await store.append(noted(str(n)))
        await sweep.once()
        clock.move(BEAT_MS - 1000)
    assert "heartbeat" not in kinds(store)


async def test_a_cursor_that_moves_is_nothing_that_was_recorded(tmp_path: Path) -> None:
    clock = Hands()
    store = SqliteStore(tmp_path / "l.db", WHO, clock, anchor=None)
    sweep = sweeping(store, clock)
    await store.append(noted())
    size = (await store.head()).size
    for _ in range(17):
        await sweep.once()
        clock.move(60_000)
        await store.append([], cursor=None)
    assert (await store.head()).size == size + 1
    await store.close()


# A clock that was set back


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_records_never_go_back_in_time(kind: str, tmp_path: Path) -> None:
    clock = Hands()
    memory = MemoryStore(WHO, clock)
    store = memory if kind == "memory" else SqliteStore(tmp_path / "l", WHO, clock, anchor=None)
    await store.append(noted("before"))
    clock.move(-3 * HOUR)
    await store.append(noted("set back"))
    assert (await store.head()).latest == NOON
    clock.move(3 * HOUR + 5)
    await store.append(noted("caught up"))
    assert (await store.head()).latest == NOON + 5
    if kind == "memory":
        times = [int(header["t"]) for header in headers(memory)]
        assert times == sorted(times)
    await store.close()


async def test_nor_after_a_restart(tmp_path: Path) -> None:
    clock = Hands()
    store = SqliteStore(tmp_path / "l", WHO, clock, anchor=None)
    await store.append(noted("before"))
    await store.close()
    store = SqliteStore(tmp_path / "l", WHO, Hands(Ms(NOON - 24 * HOUR)), anchor=None)
    assert (await store.head()).latest == NOON
    await store.append(noted("after"))
    rows = [msgspec.json.decode(h) for (h,) in store._db.execute("SELECT header FROM record")]
    assert {row["t"] for row in rows} == {NOON}
    await store.close()


async def test_secrets_of_epochs_are_dropped_although_time_stands_still() -> None:
    clock = Hands()
    store = MemoryStore(WHO, clock)
    await store.append(noted())
    epochs = store._book._sealer._epochs
    assert epochs
    clock.move(-24 * HOUR)
    for _ in range(4):
        await store.append([Braked(room=None, on=True, by="sgt", reason="r")])
        clock.move(EPOCH_MS)
    assert kinds(store).count("epoch") == 5
    assert {header["t"] for header in headers(store)} == {NOON}


async def test_a_clock_that_is_a_little_behind_costs_no_epoch() -> None:
    clock = Hands()
    store = MemoryStore(WHO, clock)
    for n in range(20):
        await store.append(noted(str(n)))
        clock.move(-500)
    assert kinds(store).count("epoch") == 1


async def test_a_clock_that_was_set_back_is_an_alarm_once_and_on_record() -> None:
    clock = Hands()
    store = MemoryStore(WHO, clock)
    sweep = sweeping(store, clock)
    await store.append(noted())
    clock.move(-2 * HOUR)
    with capture_logs() as logs:
        for _ in range(5):
            await sweep.once()
            clock.move(1000)
    alarms = [line for line in logs if line["event"] == "clock.set_back"]
    assert [(line["log_level"], line["behind_s"]) for line in alarms] == [("error", 7200)]
    assert kinds(store).count("note") == 2
    clock.move(3 * HOUR)
    await sweep.once()
    clock.move(-2 * HOUR)
    with capture_logs() as logs:
        await sweep.once()
    assert [line["event"] for line in logs] == ["clock.set_back"]


async def test_a_clock_that_is_put_right_by_a_little_is_no_alarm() -> None:
    clock = Hands()
    store = MemoryStore(WHO, clock)
    sweep = sweeping(store, clock)
    await store.append(noted())
    clock.move(-60_000)
    with capture_logs() as logs:
        await sweep.once()
    assert [line for line in logs if line["event"] == "clock.set_back"] == []


# Checkpoints for auditors


class Auditors:
    """A room of class audit, and what is posted there."""

    def __init__(self, *, rehearse: bool = False) -> None:
        self.clock = Hands()
        self.store = MemoryStore(WHO, self.clock)
        self.transport = MemoryTransport(clock=self.clock)
        self.enforcer = Enforcer(transport=self.transport, speaker=speaker(), rehearse=rehearse)
        self.publishing = self.started_again()

    def started_again(self) -> Publishing:
        return Publishing(store=self.store, enforcer=self.enforcer, rooms=[AUDIT], clock=self.clock)

    async def grow(self) -> str:
        await self.store.append(noted())
        return await self.store.checkpoint()

    def posts(self) -> list[str]:
        assert all(one.room == AUDIT for one in self.transport.sent)
        return [one.post.body for one in self.transport.sent if one.post is not None]


async def test_the_newest_checkpoint_is_posted_once_a_day() -> None:
    on = Auditors()
    first = await on.grow()
    for _ in range(11):  # until 23:00
        await on.publishing.once()
        await on.grow()
        on.clock.move(HOUR)
    assert len(on.posts()) == 1
    newest = await on.grow()
    on.clock.move(HOUR)
    await on.publishing.once()
    assert [post.split("\n\n", 1)[1] for post in on.posts()] == [first, newest]
    assert parse(on.posts()[1].split("\n\n", 1)[1], WHO.verifier).size > 10


async def test_it_is_a_quiet_notice() -> None:
    on = Auditors()
    note = await on.grow()
    await on.publishing.once()
    post = on.transport.sent[0].post
    assert post is not None
    assert not post.sounds
    assert post.mentions == ()
    assert note in post.body
    assert "<pre><code>" in post.formatted


async def test_a_bot_that_was_started_again_does_not_post_again() -> None:
    on = Auditors()
    await on.grow()
    await on.publishing.once()
    await on.grow()
    on.clock.move(HOUR)
    await on.started_again().once()
    assert len(on.posts()) == 1


async def test_what_could_not_be_posted_is_tried_again() -> None:
    on = Auditors()
    await on.grow()
    on.transport.fault = lambda _: (False, TransportError("away"))
    with capture_logs() as logs:
        await on.publishing.once()
    assert [line["event"] for line in logs] == ["checkpoint.not_posted"]
    assert on.posts() == []
    on.transport.fault = lambda _: (True, None)
    await on.publishing.once()
    assert len(on.posts()) == 1


async def test_what_was_posted_although_it_seemed_to_fail_is_not_posted_twice() -> None:
    on = Auditors()
    await on.grow()
    on.transport.fault = lambda _: (True, TransportError("no answer"))
    await on.publishing.once()
    on.transport.fault = lambda _: (True, None)
    await on.publishing.once()
    assert len(on.posts()) == 1


async def test_a_rehearsal_posts_nothing() -> None:
    on = Auditors(rehearse=True)
    await on.grow()
    await on.publishing.once()
    assert on.posts() == []


async def test_nothing_is_posted_before_there_is_a_checkpoint() -> None:
    on = Auditors()
    await on.publishing.once()
    assert on.posts() == []
    await on.grow()
    await on.publishing.once()
    assert len(on.posts()) == 1
