"""How long people wait for the console, on a ledger of a million records.

Never measures anything but whole answers: a page is asked for over HTTP on loopback, by somebody
who has signed in and unlocked a key; what is counted is the time until all of it is there.

Usage: python -m benchmarks.console [--records N] [--into FOLDER]

A ledger that was made into a folder is used again the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from benchmarks.results import RESULTS, keep, percentile, surroundings
from bridge.config import load_identity, load_policies
from bridge.console import server
from bridge.console.settings import load_settings
from bridge.facts import Adjudicated, Decided, Decision, Fact, Performed, Seen
from bridge.model import (
    Action,
    Ms,
    Outcome,
    Queue,
    Redact,
    Refer,
    Rid,
    RoomClass,
    Status,
    UserId,
    key,
)
from bridge.records.searching import Search
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from tests.making import Hands
from tests.unit.console.conftest import Browser
from tests.unit.console.world import (
    ANNA,
    BEGAN,
    BEN,
    CHLOE,
    DAN,
    REVIEW,
    SOCIAL,
    SOCIAL_B,
    Story,
    World,
    found,
    verdict,
)

MILLION = 1_000_000
#: Milliseconds; and records a second that are looked into for words.
_TARGETS = {"home": 300, "home, counted anew": 300, "search by rule": 300,
            "search by room and person": 300, "conversation of 200": 400}  # fmt: skip
_WORDS_PER_S = 30_000
#: The home page counts anew what is older than this.
_STALE_MS = 61_000
_TIMES = 7
_PAGE = 500
_WORDS = ["who", "is", "on", "for", "the", "late", "can", "somebody", "bring", "biscuits"]
_CONDUCT = Queue.PROFESSIONAL_STANDARDS
#: How many days all of it is spread over.
_DAYS = 60
_PEOPLE = (ANNA, BEN, CHLOE, DAN)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _facts(number: int, at: Ms) -> list[Fact]:
    """One message; every fiftieth is moved, and every thousandth is referred."""
    chance = random.Random(number)  # noqa: S311 - no secret
    body = " ".join(chance.choice(_WORDS) for _ in range(12))
    body += " tangerine" if number % 100_000 == 77 else ""
    story = Story(at)
    story.count = number
    sender: UserId = _PEOPLE[number % len(_PEOPLE)]
    room = SOCIAL if number % 3 else SOCIAL_B
    message = story.message(sender, {"msgtype": "m.text", "body": body}, room=room)
    if number % 50:
        clean = verdict(Action.ALLOW, "none", "")
        return [Seen(message=message, cls=RoomClass.SOCIAL, clean=clean)]
    rule = f"ops.rule{number % 7}"
    owes: tuple[Redact | Refer, ...] = (
        Redact(room=room, about=message.event_id, reason="a place"),
    )
    queues = () if number % 1000 else (Queue.APPEALS if number % 5000 else _CONDUCT,)
    owes += tuple(
        Refer(room=room, about=message.event_id, queue=one, to=REVIEW, reason="a place")
        for one in queues
    )
    return [
        Seen(message=message, cls=RoomClass.SOCIAL),
        Decided(message=message, cls=RoomClass.SOCIAL, owes=owes,
                verdict=verdict(Action.REDIRECT, rule, "x", "", *queues)),
        *(Performed(outcome=Outcome(key=key(one), status=Status.DONE)) for one in owes),
    ]  # fmt: skip


async def fill(world: World, records: int) -> Ms:
    """Have the bot record so many; return when the last was written."""
    config = world.config
    identity = load_identity(config, load_policies(config.policies, clock=None))
    clock = Hands(BEGAN)
    store = SqliteStore(config.ledger, identity, clock, anchor=config.anchor)
    size, number = 0, 0
    while size < records:
        facts = [one for n in range(number, number + _PAGE) for one in _facts(n, clock())]
        await store.append(facts)
        number += _PAGE
        clock.move(max(1000, _DAYS * 86_400_000 * _PAGE // records))
        size = (await store.head()).size
        if number % 50_000 == 0:
            _say(f"  {size:,} records")
    # Nine of ten referrals were answered.
    referred = [rid for rid in _referred(world) if rid[0] not in "01"]
    for rid in referred:
        await store.append([
            Adjudicated(record=rid, rule="ops.rule1", action=Action.REDIRECT,
                        decision=Decision.ACTION_STANDS, by="sokoro")
        ])  # fmt: skip
    await store.checkpoint()
    await store.close()
    return clock()


def _referred(world: World) -> list[Rid]:
    reader = SqliteReader(world.config.ledger)
    try:
        size = reader.size()
        heads = (
            head
            for start in range(0, size, 20_000)
            for _, raw in reader.headers(start, start + 20_000)
            if b'"referrals":' in raw
            for head in [json.loads(raw)]
        )
        return [Rid(head["rid"]) for head in heads if head["kind"] == "verdict"]
    finally:
        reader.close()


async def timed(ask: Callable[[], Awaitable[Any]]) -> dict[str, int]:
    """Ask several times, of which the first is left out; ms by the clock, and of our own CPU."""
    took, spent = [], []
    for _ in range(_TIMES + 1):
        begun, cpu = time.perf_counter(), time.process_time()
        answer = await ask()
        took.append(1000 * (time.perf_counter() - begun))
        spent.append(1000 * (time.process_time() - cpu))
        if answer.status != 200:
            raise RuntimeError(f"the console answered {answer.status}")
    return {"p50_ms": round(percentile(took[1:], 50)), "worst_ms": round(max(took[1:])),
            "cpu_ms": round(percentile(spent[1:], 50))}  # fmt: skip


async def measure(world: World, now: Ms) -> dict[str, Any]:
    """Go through the pages."""
    clock = Hands(now)
    desk = server.desk(world.config, load_settings(None, world.config), clock)
    client: Any = TestClient(
        TestServer(server.application(desk), host="127.0.0.1"), cookie_jar=aiohttp.DummyCookieJar()
    )
    await client.start_server()
    begun = time.perf_counter()
    with desk.archive.open() as stack:
        size = stack.index.follow()
    results: dict[str, Any] = {"records": size, "indexed_s": round(time.perf_counter() - begun, 1)}
    if world.accounts.get("acustodian") is None:
        world.enrolled("acustodian", now)
    person = await Browser(client, desk, world, clock).sign_in("acustodian").start()
    await person.unlock()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def search(**form: str) -> str:
        answer = await person.post("/search", form)
        return str(answer.headers["Location"])

    by_rule = await search(rule="ops.rule3")
    by_both = await search(room="Response A social", person="Ben Hughes")

    async def anew() -> Any:
        clock.move(_STALE_MS)
        return await person.get("/")

    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "home": lambda: person.get("/"),
        "home, counted anew": anew,
        "search by rule": lambda: person.get(by_rule),
        "search by room and person": lambda: person.get(by_both),
        "conversation of 200": lambda: person.get("/rooms/response-a-social/conversation"),
    }
    for name, ask in asked.items():
        results[name] = await timed(ask)
        _say(f"  {name}: {results[name]}")
    results["words"] = await _words(person, await search(words="tangerine"))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results["memory_mb"] = {"before": before // 1024, "after": after // 1024}
    await client.close()
    await desk.recorder.close()
    return results


async def _words(person: Browser, place: str) -> dict[str, Any]:
    visit = person.desk.sessions.all()[0].visit
    if visit is None:
        raise RuntimeError("nobody has come for anything")
    one: Search = visit.searches[place.rsplit("/", 1)[1]]
    begun, first, spent = time.perf_counter(), None, time.process_time()
    while one.state == "running":
        if first is None and one.hits:
            first = time.perf_counter() - begun
        await asyncio.sleep(0.05)
    spent = time.process_time() - spent
    return {
        "looked_into": one.covered,
        "found": len(one.hits),
        "per_second": round(one.covered / max(one.took, 1e-9)),
        # What it would be if nobody else used this core.
        "per_cpu_second": round(one.covered / max(spent, 1e-9)),
        "first_s": round(first, 2) if first is not None else None,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the ledger, measure, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=MILLION)
    parser.add_argument("--into", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bluelamp-console-") as place:
        folder = (given.into or Path(place)) / "force"
        _say(f"Making a ledger of {given.records:,} records")
        if (folder / "made.json").exists():
            made = json.loads((folder / "made.json").read_text())
            world, now = World(folder, ("psd",), {}), Ms(made["now"])
        else:
            world = found(folder, "psd")
            now = asyncio.run(fill(world, given.records))
            (folder / "made.json").write_text(json.dumps({"now": now}))
        results = asyncio.run(measure(world, now))
    results |= {"targets_ms": _TARGETS, "words_target_per_second": _WORDS_PER_S}
    results["missed"] = [n for n, target in _TARGETS.items() if results[n]["p50_ms"] >= target]
    if results["words"]["per_second"] < _WORDS_PER_S:
        results["missed"].append("words")
    keep(given.out, "console", {**surroundings(), **results})
    print(results)


if __name__ == "__main__":
    main()
