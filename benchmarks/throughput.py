"""How much of decrypting's speed is left when each message is also judged and sealed.

Never speaks to a server: the messages are made here, with other people's Megolm sessions, and
half of what makes a figure is who it stands beside. Three loops read the same events, a batch of
each in turn:

* peer: `LampClient.decrypt`, and what it says is thrown away;
* ours: `LampClient.decrypt`, then `Pipeline.handle`: judged, sealed to the custodian, on the disk;
* nio: what stock matrix-nio does to decrypt the same events, thrown away as well.

Usage: python -m benchmarks.throughput [--messages N] [--into FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import vodozemac
from nio import AsyncClient, Event, RoomMessageText
from nio.crypto import InboundGroupSession, OlmDevice

from benchmarks.results import RESULTS, keep, surroundings
from bridge.config import load_policies
from bridge.demo.force import OFFICERS, SERVER, shipped_policies
from bridge.matrix import translate
from bridge.matrix.client import Clear, LampClient
from bridge.matrix.keys import MEGOLM
from bridge.matrix.memory import MemoryTransport
from bridge.model import Batch, Cursor, Message, Room, RoomClass
from bridge.policy import Policy
from bridge.store.sqlite import SqliteStore
from bridge.way.pipeline import Pipeline
from tests.making import NOON, REVIEW, SECURE, SOCIAL, Hands, custodian, identity

BATCH = 50
#: A client begins a new session after so many messages (m.room.encryption's default).
ROTATE = 100
#: One in so many is operational.
ONE_IN = 20
MESSAGES = 6_000
TARGET = 0.8
_PROFILED = 1_500
_CORPUS = Path(__file__).parent.parent / "tests" / "corpus" / "sample.jsonl"
_ROOMS = {
    SOCIAL: Room(id=SOCIAL, cls=RoomClass.SOCIAL, name="social", secure=SECURE, review=REVIEW),
    SECURE: Room(id=SECURE, cls=RoomClass.OPERATIONAL, name="secure", review=REVIEW),
    REVIEW: Room(id=REVIEW, cls=RoomClass.REVIEW, name="review"),
}


@dataclass(frozen=True, slots=True)
class Talk:
    """What people said, and the keys to it."""

    events: list[dict[str, Any]]
    sessions: list[InboundGroupSession]
    devices: list[OlmDevice]


@dataclass(slots=True)
class Cost:
    """What a loop cost, in seconds."""

    cpu_s: float = 0.0
    wall_s: float = 0.0

    def add(self, began: tuple[float, float]) -> None:
        """Add what has passed since *began*."""
        self.cpu_s += time.process_time() - began[0]
        self.wall_s += time.perf_counter() - began[1]


@dataclass(slots=True)
class Costs:
    """What each loop cost, and within ours each part."""

    peer: Cost = field(default_factory=Cost)
    ours: Cost = field(default_factory=Cost)
    nio: Cost = field(default_factory=Cost)
    #: Parts of ours, done once more beside it.
    translating: Cost = field(default_factory=Cost)
    judging: Cost = field(default_factory=Cost)
    #: CPU time of the ledger's thread: sealing and writing.
    ledger_s: float = 0.0


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def texts() -> Iterator[str]:
    """Go round the corpus for ever, one in twenty operational."""
    said: dict[str, list[str]] = {"social": [], "operational": []}
    for line in _CORPUS.read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        said.setdefault(example["label"], []).append(example["text"])
    count = 0
    while True:
        label = "operational" if count % ONE_IN == ONE_IN - 1 else "social"
        yield said[label][count % len(said[label])]
        count += 1


def prepared(count: int) -> Talk:
    """Have six officers say *count* things, each under their own sessions."""
    talk = Talk([], [], [])
    for officer in OFFICERS:
        keys = vodozemac.Account()
        named = {
            "ed25519": keys.ed25519_key.to_base64(),
            "curve25519": keys.curve25519_key.to_base64(),
        }
        talk.devices.append(OlmDevice(officer.id, f"PHONE{officer.local.upper()}", named))
    open_sessions: dict[int, vodozemac.GroupSession] = {}
    for number, text in zip(range(count), texts(), strict=False):
        device = talk.devices[number % len(talk.devices)]
        session = open_sessions.get(number % len(talk.devices))
        if session is None or session.message_index >= ROTATE:
            session = open_sessions[number % len(talk.devices)] = vodozemac.GroupSession()
            talk.sessions.append(
                InboundGroupSession(
                    session.session_key.to_base64(), device.ed25519, device.curve25519, SOCIAL
                )
            )
        talk.events.append(_event(number, device, session, text))
    return talk


def _event(number: int, device: OlmDevice, session: Any, text: str) -> dict[str, Any]:
    said = {"msgtype": "m.text", "body": text, "m.mentions": {}}
    inside = {"type": "m.room.message", "content": said, "room_id": SOCIAL}
    content = {
        "algorithm": MEGOLM,
        "ciphertext": session.encrypt(json.dumps(inside).encode()).to_base64(),
        "device_id": device.id,
        "sender_key": device.curve25519,
        "session_id": session.session_id,
    }
    return {
        "type": "m.room.encrypted",
        "event_id": f"$event{number:07}",
        "room_id": SOCIAL,
        "sender": device.user_id,
        "origin_server_ts": NOON + number * 1000,
        "content": content,
        "unsigned": {"age": 50},
    }


def client_of(folder: Path, talk: Talk) -> LampClient:
    """Open a device that has been given every key of *talk*."""
    folder.mkdir(parents=True)
    client = LampClient("http://nowhere.invalid", f"@bluelamp:{SERVER}", folder, "a key")
    client.restore_login(f"@bluelamp:{SERVER}", "BOT", "no token")
    for device in talk.devices:
        client.olm.device_store.add(device)
    with client.store.database.atomic():
        for session in talk.sessions:
            client.olm.inbound_group_store.add(session)
    return client


def stock_of(folder: Path, talk: Talk) -> AsyncClient:
    """Open a device of stock nio that has been given every key of *talk*."""
    folder.mkdir(parents=True)
    client = AsyncClient("http://nowhere.invalid", f"@stock:{SERVER}", store_path=str(folder))
    client.restore_login(f"@stock:{SERVER}", "STOCK", "no token")
    for device in talk.devices:
        client.olm.device_store.add(device)
    for session in talk.sessions:
        copy = InboundGroupSession.from_pickle(
            session.pickle("a key"), session.ed25519, session.sender_key, SOCIAL, "a key"
        )
        client.olm.inbound_group_store.add(copy)
    return client


def batches(talk: Talk) -> Iterator[list[dict[str, Any]]]:
    """Cut the events as syncs would."""
    for start in range(0, len(talk.events), BATCH):
        yield talk.events[start : start + BATCH]


@dataclass(slots=True)
class Bench:
    """Both loops over the same talk."""

    talk: Talk
    #: One device for each loop, so that neither warms the other's sessions.
    theirs: LampClient
    ours: LampClient
    stock: AsyncClient
    store: SqliteStore
    pipeline: Pipeline
    costs: Costs = field(default_factory=Costs)

    @classmethod
    def build(cls, folder: Path, talk: Talk, policy: Policy) -> Bench:
        """Prepare everything in *folder*."""
        clock = Hands()
        store = SqliteStore(folder / "ledger.db", identity(custodian()), clock, anchor=None)
        pipeline = Pipeline(
            transport=MemoryTransport(clock=clock),
            store=store,
            policy=lambda: policy,
            rooms=dict(_ROOMS),
            review=REVIEW,
            wake=lambda: None,
        )
        theirs, ours = (client_of(folder / name, talk) for name in ("theirs", "ours"))
        stock = stock_of(folder / "stock", talk)
        return cls(talk, theirs, ours, stock, store, pipeline)

    async def close(self) -> None:
        """Close the stores."""
        await self.store.close()
        for client in (self.theirs, self.ours, self.stock):
            await client.close()

    async def run(self) -> Costs:
        """Go through all of it, batch by batch, each loop in its turn."""
        began_s = self.ledger_s()
        for number, events in enumerate(batches(self.talk)):
            loops = [self.do_all, self.only_decrypt, self.decrypt_as_nio]
            turn = number % len(loops)
            for loop in loops[turn:] + loops[:turn]:
                await loop(events, number)
        self.costs.ledger_s = self.ledger_s() - began_s
        return self.costs

    def ledger_s(self) -> float:
        """CPU time of the ledger's thread so far."""
        # Nobody but a benchmark may ask the store what its thread costs.
        return self.store._thread.submit(time.thread_time).result()  # noqa: SLF001

    async def only_decrypt(self, events: Sequence[dict[str, Any]], _: int) -> None:
        """What the peer does."""
        began = _now()
        clear = [self.theirs.decrypt(SOCIAL, event) for event in events]
        self.costs.peer.add(began)
        if not all(isinstance(one, Clear) for one in clear):
            raise AssertionError("the peer could not read what was prepared")

    async def decrypt_as_nio(self, events: Sequence[dict[str, Any]], _: int) -> None:
        """What stock nio does with the encrypted events of a sync."""
        began = _now()
        clear = []
        for event in events:
            sealed = Event.parse_event(event)
            sealed.room_id = SOCIAL
            clear.append(self.stock.decrypt_event(sealed))
        self.costs.nio.add(began)
        if not all(isinstance(one, RoomMessageText) for one in clear):
            raise AssertionError("nio could not read what was prepared")

    async def do_all(self, events: Sequence[dict[str, Any]], number: int) -> None:
        """What we do; then parts of it once more, to know what they cost."""
        began = _now()
        messages = tuple(map(self.read, events))
        await self.pipeline.handle(Batch(messages=messages, cursor=Cursor(f"s{number}")))
        self.costs.ours.add(began)
        began = _now()
        for message in messages:
            self.pipeline.policy().judge(message, RoomClass.SOCIAL)
        self.costs.judging.add(began)
        clear = [self.ours.decrypt(SOCIAL, event) for event in events]
        began = _now()
        for event, one in zip(events, clear, strict=True):
            if isinstance(one, Clear):
                translate.decrypted(SOCIAL, event, one, late=False)
        self.costs.translating.add(began)

    def read(self, event: dict[str, Any]) -> Message:
        """Decrypt one event and put it in our words."""
        clear = self.ours.decrypt(SOCIAL, event)
        if not isinstance(clear, Clear):
            raise TypeError("what was prepared could not be read")
        return translate.decrypted(SOCIAL, event, clear, late=False)


async def measure(folder: Path, count: int) -> dict[str, Any]:
    """Measure over *count* messages; what is needed for it lies in *folder*."""
    talk = prepared(count)
    policy = load_policies(shipped_policies())
    bench = await asyncio.to_thread(Bench.build, folder, talk, policy)
    try:
        costs = await bench.run()
        head = await bench.store.head()
        moved = sum(debt.effect.__class__.__name__ == "Copy" for debt in await bench.store.owed())
    finally:
        await bench.close()
    parts = (costs.peer, costs.translating, costs.judging)
    parts_s = sum(part.cpu_s for part in parts) + costs.ledger_s
    if head.size < count:
        raise AssertionError(f"only {head.size} records of {count} messages")
    return {
        "what": "decrypt, judge and seal, against decrypting only",
        "messages": count,
        "sessions": len(talk.sessions),
        "batch": BATCH,
        "records": head.size,
        "moved": moved,
        "cpu": _compared(costs.ours.cpu_s, costs.peer.cpu_s, count),
        "wall": _compared(costs.ours.wall_s, costs.peer.wall_s, count),
        "target": TARGET,
        "against_stock_nio": {
            "cpu_us": _each(costs.nio.cpu_s, count),
            "cpu_ratio": round(costs.nio.cpu_s / costs.ours.cpu_s, 3),
            "wall_ratio": round(costs.nio.wall_s / costs.ours.wall_s, 3),
        },
        "cpu_parts_us": {
            "decrypt": _each(costs.peer.cpu_s, count),
            "translate": _each(costs.translating.cpu_s, count),
            "judge": _each(costs.judging.cpu_s, count),
            "seal and store": _each(costs.ledger_s, count),
            "the rest": _each(costs.ours.cpu_s - parts_s, count),
        },
        **surroundings(),
    }


def _each(seconds: float, count: int) -> float:
    return round(seconds / count * 1e6, 1)


def _compared(ours_s: float, peer_s: float, count: int) -> dict[str, float]:
    return {
        "ours_us": _each(ours_s, count),
        "peer_us": _each(peer_s, count),
        "ours_per_s": round(count / ours_s),
        "peer_per_s": round(count / peer_s),
        "ratio": round(peer_s / ours_s, 3),
    }


async def profile(folder: Path, count: int, top: int = 15) -> None:
    """Print where the CPU time goes, by cumulative time: our thread's and the ledger's."""
    talk = prepared(count)
    bench = await asyncio.to_thread(Bench.build, folder, talk, load_policies(shipped_policies()))
    main, ledger = cProfile.Profile(time.thread_time), cProfile.Profile(time.thread_time)
    # cProfile sees the thread that it is switched on in, and the ledger writes in its own.
    thread = bench.store._thread  # noqa: SLF001
    try:
        thread.submit(ledger.enable).result()
        main.enable()
        for number, events in enumerate(batches(talk)):
            messages = tuple(map(bench.read, events))
            await bench.pipeline.handle(Batch(messages=messages, cursor=Cursor(f"s{number}")))
        main.disable()
        thread.submit(ledger.disable).result()
    finally:
        await bench.close()
    for name, seen in (("reading and judging", main), ("the ledger's thread", ledger)):
        print(f"\n{name}, {count} messages", file=sys.stderr)
        stats = pstats.Stats(seen, stream=sys.stderr)
        stats.strip_dirs().sort_stats("cumulative").print_stats(top)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, keep the result, and print where the time goes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--into", type=Path, default=RESULTS)
    asked = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(Path(folder) / "measured", asked.messages))
        keep(asked.into, "throughput", result)
        print(json.dumps(result, indent=2))
        asyncio.run(profile(Path(folder) / "profiled", min(asked.messages, _PROFILED)))


if __name__ == "__main__":
    main()
