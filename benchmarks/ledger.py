"""What the ledger costs, beside the floor of each figure: plain rows in the same database.

Never compares with another day or machine: each figure is taken beside its floor, in turn, in one
run. The messages are 300 bytes long, of three people in two rooms.

* append: `SqliteStore.append` in batches of 1, 16 and 256, beside rows of the very same bytes that
  are inserted into two tables and committed, with the same pragmas;
* sealing: CPU time of a record, without the disk;
* waiting: how long `append` takes to come back at 500 messages a second, one at a time;
* verifying: the whole ledger, from its file;
* proofs: of random records of a million;
* size: bytes on the disk of a message, everything counted;
* opening: with the custodian's key, as a search does;
* growth: append at a million records beside append at 100,000.

Usage: python -m benchmarks.ledger [--records N] [--million N] [--into FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.plot import bars
from benchmarks.results import RESULTS, keep, percentile, surroundings
from bridge.facts import Seen
from bridge.ledger.opening import Reader
from bridge.model import Action, Message, Ms, RoomClass, Verdict
from bridge.store.book import Book
from bridge.store.file import bring_up_to_date, connect
from bridge.store.reader import SqliteReader
from bridge.store.sql import statements
from bridge.store.sqlite import SqliteStore
from bridge.verify.headers import PLAIN
from bridge.verify.report import Evidence
from bridge.verify.steps import verify
from bridge.verify.tree import Frontier, Tiler, leaf_hash, lookup, prove_inclusion, split
from tests.making import NOON, ORIGIN, SECURE, SOCIAL, custodian, identity, say

SQL = statements("ledger.sql")
BATCHES = (1, 16, 256)
TARGETS = {1: 0.80, 16: 0.45, 256: 0.30}
RECORDS = 20_000
MILLION = 1_000_000
OFFERED = 500
PSD = custodian()
CLEAN = Verdict(action=Action.ALLOW, rule=None, reason="", revision="0" * 64)
_WORDS = [
    "who",
    "is",
    "on",
    "for",
    "the",
    "late",
    "and",
    "can",
    "somebody",
    "please",
    "bring",
    "the",
    "good",
    "biscuits",
    "this",
    "time",
]


class _Clock:
    """Goes on a millisecond with each question, so that epochs end as they do in life."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> Ms:
        self.at = Ms(self.at + 1)
        return self.at


def message(number: int) -> Message:
    """Make a message whose content is 300 bytes long."""
    chance = random.Random(number)  # noqa: S311 - no secret
    body = ""
    while len(body) < 250:
        body += chance.choice(_WORDS) + " "
    room = SOCIAL if number % 2 else SECURE
    return say(f"${number:043d}", body[:250], room=room)


def facts(first: int, count: int) -> list[Seen]:
    """Make *count* messages that were judged and found clean."""
    return [
        Seen(message=message(n), cls=RoomClass.SOCIAL, clean=CLEAN)
        for n in range(first, first + count)
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def appended(folder: Path, batch: int, count: int) -> dict[str, float]:
    """Measure appends in batches, beside plain rows of the same bytes, in turn."""
    ours = SqliteStore(folder / f"a{batch}.db", identity(PSD), _Clock(), anchor=None)
    plain = sqlite3.connect(folder / f"b{batch}.db", isolation_level=None)
    plain.executescript(SQL["pragmas"])
    plain.execute("CREATE TABLE record (seq INTEGER PRIMARY KEY, header BLOB NOT NULL) STRICT")
    plain.execute("CREATE TABLE body (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    took, cpu, floor, at = 0.0, 0.0, 0.0, 0
    await ours.append(facts(10_000_000, 1))
    reader = SqliteReader(folder / f"a{batch}.db")
    pages = max(8, count // batch)
    for page in range(pages):
        own = facts(page * batch, batch)
        began, cpu_began = time.perf_counter(), time.process_time()
        await ours.append(own)
        took += time.perf_counter() - began
        cpu += time.process_time() - cpu_began
        rows = list(reader.rows(at))
        at = rows[-1].seq + 1
        began = time.perf_counter()
        plain.execute("BEGIN IMMEDIATE")
        plain.executemany("INSERT INTO record VALUES (?, ?)", [(r.seq, r.header) for r in rows])
        plain.executemany("INSERT INTO body VALUES (?, ?)", [(r.seq, r.body) for r in rows])
        plain.execute("COMMIT")
        floor += time.perf_counter() - began
    reader.close()
    plain.close()
    await ours.close()
    messages = pages * batch
    return {
        "messages": messages,
        "ours_per_s": round(messages / took),
        "plain_per_s": round(messages / floor),
        "ours_cpu_us": round(1e6 * cpu / messages, 1),
        "ratio": round(floor / took, 3),
        "target": TARGETS[batch],
    }


def sealed(count: int) -> dict[str, float]:
    """Measure the CPU time of making and sealing records, without a disk."""

    class Nothing:
        def rid_of(self, _event: str) -> None:
            return None

        def debt(self, _key: str) -> None:
            return None

    book = Book(identity(PSD), frontier=Frontier(), tiler=Tiler(), tag_keys={})
    own = facts(0, count)
    began = time.process_time()
    for first in range(0, count, 256):
        book.write([(own[first : first + 256], None)], Nothing(), Ms(NOON + first))
    took = time.process_time() - began
    return {"us": round(1e6 * took / count, 1), "target_us": 30}


async def waited(folder: Path, seconds: int) -> dict[str, Any]:
    """Measure how long a message waits to be safe, at 500 a second."""
    store = SqliteStore(folder / "w.db", identity(PSD), _Clock(), anchor=None)
    await store.append(facts(10_000_000, 1))
    own = facts(0, OFFERED * seconds)
    samples: list[float] = []

    async def one(fact: Seen) -> None:
        began = time.perf_counter()
        await store.append([fact])
        samples.append(1000 * (time.perf_counter() - began))

    start = time.perf_counter()
    tasks = []
    for number, fact in enumerate(own):
        wait = start + number / OFFERED - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(fact)))
    await asyncio.gather(*tasks)
    await store.close()
    return {
        "offered_per_s": OFFERED,
        "p50_ms": round(percentile(samples, 50), 2),
        "p99_ms": round(percentile(samples, 99), 2),
        "target_p50_ms": 5,
        "target_p99_ms": 50,
    }


async def filled(folder: Path, count: int) -> Path:
    """Make a ledger of *count* messages."""
    path = folder / "full.db"
    store = SqliteStore(path, identity(PSD), _Clock(), anchor=None)
    for first in range(0, count, 256):
        await store.append(facts(first, min(256, count - first)))
    await store.checkpoint()
    await store.close()
    return path


def verified(path: Path) -> dict[str, float]:
    """Measure a full verification from the file."""
    reader = SqliteReader(path)
    own = identity(PSD)
    evidence = Evidence(
        verifier=own.verifier,
        tiles=reader.tiles(),
        checkpoints=reader.checkpoints(),
        outside=[],
        edge=reader.edge(),
        identities=dict(own.custodians),
        now=NOON,
    )
    began = time.process_time()
    report = verify(reader.rows(), evidence)
    took = time.process_time() - began
    reader.close()
    if not report.ok:
        raise RuntimeError(f"the ledger does not verify: {report.failures[:3]}")
    return {
        "records": report.records,
        "per_s": round(report.records / took),
        "target_per_s": 100_000,
        "ratio": round(report.records / took / 100_000, 2),
    }


def opened(path: Path) -> dict[str, float]:
    """Measure opening every record, as a search does."""
    reader = SqliteReader(path)
    own = Reader(ORIGIN, ("psd",), [PSD])
    decode = msgspec.json.Decoder(dict[str, str | int]).decode
    count, found = 0, 0
    began = time.process_time()
    for row in reader.rows():
        header = decode(row.header)
        if header["kind"] in PLAIN:
            own.learn(header, row.body or b"")
        else:
            found += b"biscuits" in own.open(header, row.body or b"")
            count += 1
    took = time.process_time() - began
    reader.close()
    if not found:
        raise RuntimeError("nothing was found in what was opened")
    return {
        "records": count,
        "per_s": round(count / took),
        "target_per_s": 30_000,
        "ratio": round(count / took / 30_000, 2),
    }


def size_of(path: Path, count: int) -> dict[str, float]:
    """Say how much of the disk a message takes, with everything that belongs to it."""
    return {"bytes": round(path.stat().st_size / count), "target_bytes": 1_000}


def proven(count: int) -> dict[str, Any]:
    """Measure inclusion proofs of random records of a tree of *count*."""
    tiler, tiles = Tiler(), {}
    for number in range(count):
        for tile in tiler.append(leaf_hash(number.to_bytes(8, "big"))):
            tiles[tile.level, tile.index] = tile.hashes
    get = lookup(count, tiles, tiler.edges)
    samples, longest = [], 0
    for _ in range(2_000):
        index = secrets.randbelow(count)
        began = time.perf_counter()
        proof = prove_inclusion(index, count, get)
        samples.append(1000 * (time.perf_counter() - began))
        longest = max(longest, 32 * len(proof))
    return {
        "records": count,
        "bytes": longest,
        "target_bytes": 1_300,
        "p99_ms": round(percentile(samples, 99), 3),
        "target_p99_ms": 2,
    }


async def grown(folder: Path, sizes: Sequence[int]) -> dict[str, Any]:
    """Measure appends to a ledger that has few records, and to one that has many, in turn."""
    stores = []
    for size in sizes:
        path = folder / f"g{size}.db"
        store = SqliteStore(path, identity(PSD), _Clock(), anchor=None)
        await store.append(facts(0, 1))
        await store.close()
        _pad(path, size)
        stores.append(SqliteStore(path, identity(PSD), _Clock(), anchor=None))
    took = [0.0] * len(sizes)
    for store in stores:
        await store.append(facts(10_000_000, 16))
    for page in range(120):
        own = facts(20_000_000 + 16 * page, 16)
        for place, store in enumerate(stores):
            began = time.perf_counter()
            await store.append(own)
            took[place] += time.perf_counter() - began
    for store in stores:
        await store.close()
    return {"at": list(sizes), "ratio": round(took[0] / took[-1], 2), "target": 0.9}


def _pad(path: Path, size: int) -> None:
    """Fill a ledger with rows of the usual lengths; only their number and size matter here."""
    db = connect(path)
    bring_up_to_date(db)
    have, peaks, edges = db.execute(SQL["head"]).fetchone()
    tree, tiler = Frontier(have, split(peaks)), Tiler(have, edges)
    noise = secrets.token_bytes(1 << 20)
    spelt = noise.hex().encode()
    db.execute("BEGIN")
    for number in range(have, size):
        at = number * 97 % (len(noise) - 1024)
        header = b'{"t":%d,"pad":"%s"}' % (NOON, spelt[at : at + 390])
        body = noise[at : at + 540]
        leaf = leaf_hash(header)
        tree.append(leaf)
        for tile in tiler.append(leaf):
            db.execute(SQL["add_tile"], (tile.level, tile.index, tile.hashes))
        db.execute(SQL["add_record"], (number, header))
        db.execute(SQL["add_body"], (number, body))
    db.execute(SQL["set_head"], (tree.size, b"".join(tree.peaks), tiler.edges))
    db.execute("COMMIT")
    db.close()


async def measure(records: int, million: int) -> dict[str, Any]:
    """Measure everything."""
    folder = Path(tempfile.mkdtemp(prefix="bluelamp-bench-"))
    try:
        result: dict[str, Any] = {"surroundings": surroundings(), "append": {}}
        for batch in BATCHES:
            _say(f"append, batches of {batch}")
            result["append"][str(batch)] = await appended(
                folder, batch, min(records, {1: 600, 16: 6_400, 256: records}[batch])
            )
        _say("sealing")
        result["sealing"] = sealed(min(records, 8_192))
        _say("waiting")
        result["waiting"] = await waited(folder, 6)
        _say(f"a ledger of {records} messages")
        path = await filled(folder, records)
        result["size"] = size_of(path, records)
        _say("verifying")
        result["verify"] = verified(path)
        _say("opening")
        result["opening"] = opened(path)
        _say(f"proofs, {million} records")
        result["proof"] = proven(million)
        _say(f"growth, {million} records")
        result["growth"] = await grown(folder, (million // 10, million))
        return result
    finally:
        shutil.rmtree(folder)


def rows(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Each figure: its name, what was measured, the target, and whether it was reached."""
    got = [
        (
            f"durable append beside plain rows, batch {batch}",
            f"{one['ratio']:.2f}",
            f"≥ {one['target']:.2f}",
            one["ratio"] >= one["target"],
        )
        for batch, one in result["append"].items()
    ]
    seal, wait, proof = result["sealing"], result["waiting"], result["proof"]
    check, look, size = result["verify"], result["opening"], result["size"]
    grow = result["growth"]
    return [
        *got,
        ("CPU of a sealed record", f"{seal['us']} µs", "≤ 30 µs", seal["us"] <= 30),
        (
            "waiting at 500 a second, p50 and p99",
            f"{wait['p50_ms']} and {wait['p99_ms']} ms",
            "≤ 5 and 50 ms",
            wait["p50_ms"] <= 5 and wait["p99_ms"] <= 50,
        ),
        ("full verify", f"{check['per_s']:,}/s", "≥ 100,000/s", check["ratio"] >= 1),
        (
            f"inclusion proof of {proof['records']:,}",
            f"{proof['bytes']:,} bytes, p99 {proof['p99_ms']} ms",
            "≤ 1,300 bytes, 2 ms",
            proof["bytes"] <= 1300 and proof["p99_ms"] <= 2,
        ),
        (
            "size of a 300-byte message",
            f"{size['bytes']:,} bytes",
            "≤ 1,000",
            size["bytes"] <= 1000,
        ),
        ("opening for search", f"{look['per_s']:,}/s", "≥ 30,000/s", look["ratio"] >= 1),
        (
            f"append at {grow['at'][-1]:,} beside {grow['at'][0]:,}",
            f"{grow['ratio']:.2f}",
            f"≥ {grow['target']}",
            grow["ratio"] >= grow["target"],
        ),
    ]


def picture(result: dict[str, Any]) -> str:
    """Draw each figure as a share of its target; longer is better."""
    seal, wait, proof = result["sealing"], result["waiting"], result["proof"]
    shares = {
        **{
            f"append, batch {batch}": one["ratio"] / one["target"]
            for batch, one in result["append"].items()
        },
        "sealing": seal["target_us"] / seal["us"],
        "waiting, p50": wait["target_p50_ms"] / wait["p50_ms"],
        "waiting, p99": wait["target_p99_ms"] / wait["p99_ms"],
        "full verify": result["verify"]["ratio"],
        "proof, size": proof["target_bytes"] / proof["bytes"],
        "size on disk": result["size"]["target_bytes"] / result["size"]["bytes"],
        "opening": result["opening"]["ratio"],
        "growth": result["growth"]["ratio"] / result["growth"]["target"],
    }
    return bars("The ledger's figures, as shares of their targets", shares, line=1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write JSON and plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--million", type=int, default=MILLION)
    parser.add_argument("--into", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    result = asyncio.run(measure(given.records, given.million))
    keep(given.into, "ledger", result)
    (given.into / "ledger.svg").write_text(picture(result), encoding="utf-8")
    for name, got, target, reached in rows(result):
        print(f"{name:48} {got:32} {target:20} {'' if reached else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
