"""How fast the language model reads, and what a verdict takes with it and without.

Never compares two runs: everything is measured in one process, in turn, by CPU time, on the
labelled messages that ship. Where time on the clock is given, it is said: this computer may have
had other work.

Usage: python -m benchmarks.understand [--rounds N] [--into FOLDER] [--tell FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.detect import labelled
from benchmarks.plot import bars
from benchmarks.results import RESULTS, keep, percentile, surroundings
from bridge.config import load_policies
from bridge.demo.force import shipped_policies
from bridge.errors import ModelRefused
from bridge.model import EventId, RoomClass
from bridge.policy import Policy
from bridge.policy.corpus import Label
from bridge.policy.measure import as_message
from bridge.understand.model import Asked, Model
from bridge.understand.shipped import SHIPPED
from bridge.understand.stage import BUDGET_S, Understanding
from bridge.way.understood import choose

ROUNDS = 3
_FEW = 240
_LONG = 65_536
#: What is aimed at, in ms.
AIMS = {"median_ms": 8.0}
HEADING = "## How fast the language model reads"


def texts() -> list[str]:
    """Give labelled messages of both kinds, evenly, so that they are of ordinary length."""
    both = (labelled(Label.SOCIAL)[: _FEW // 2], labelled(Label.OPERATIONAL)[: _FEW // 2])
    return [one for pair in zip(*both, strict=True) for one in pair]


def each_ms(ask: Callable[[Any], object], questions: Sequence[Any], rounds: int) -> list[float]:
    """Give for each question the CPU time that it takes at its best of *rounds*, in ms."""
    best = [float("inf")] * len(questions)
    for _ in range(rounds):
        for place, question in enumerate(questions):
            began = time.process_time_ns()
            ask(question)
            best[place] = min(best[place], (time.process_time_ns() - began) / 1e6)
    return best


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Give median and 99th percentile of times in ms."""
    return {
        "median_ms": round(statistics.median(samples), 2),
        "p99_ms": round(percentile(samples, 99), 2),
    }


def batches(model: Model, asked: Sequence[Asked]) -> dict[str, float]:
    """Give how many messages a second a batch gets through, by the clock."""
    found: dict[str, float] = {}
    for name, threads in (("one_thread", 1), ("every_core", os.cpu_count() or 1)):
        began = time.perf_counter()
        model.judge(asked, threads=threads)
        found[f"{name}_per_s"] = round(len(asked) / (time.perf_counter() - began))
    return found


def verdicts(policy: Policy, bare: Policy, model: Model, some: Sequence[str]) -> dict[str, Any]:
    """Measure whole verdicts without the model and with it, as they come to a room."""
    messages = [as_message(text) for text in some]

    def with_model(place: int) -> None:
        message = messages[place]
        belief = None
        if policy.wants_belief(message, RoomClass.SOCIAL):
            (belief,) = model.judge([Asked(message.body)])
        policy.judge(message, RoomClass.SOCIAL, belief=belief)

    places = range(len(messages))
    return {
        "without": spread(
            each_ms(lambda at: bare.judge(messages[at], RoomClass.SOCIAL), places, 3)
        ),
        "with": spread(each_ms(with_model, places, 1)),
        "asked": sum(policy.wants_belief(one, RoomClass.SOCIAL) for one in messages),
    }


async def waits(policy: Policy, model: Model, some: Sequence[str]) -> dict[str, float]:
    """Measure by the clock how long a message that comes alone waits for the model, and a flood."""
    patient, understanding = Understanding(model=model, budget_s=60), Understanding(model=model)
    wanted = [text for text in some if policy.wants_belief(as_message(text), RoomClass.SOCIAL)]
    alone = []
    for number, text in enumerate(wanted):
        message = replace(as_message(text), event_id=EventId(f"${number}"))
        began = time.perf_counter()
        await patient.of([(message, RoomClass.SOCIAL)], policy.wants_belief)
        alone.append(1000 * (time.perf_counter() - began))
    flood = [replace(as_message(text), event_id=EventId(f"$f{n}")) for n, text in enumerate(some)]
    began = time.perf_counter()
    await understanding.of([(one, RoomClass.SOCIAL) for one in flood], policy.wants_belief)
    held = 1000 * (time.perf_counter() - began)
    patient.close()
    understanding.close()
    return {
        **spread(alone),
        "flood": len(flood),
        "flood_held_up_ms": round(held, 1),
        "budget_ms": round(1000 * BUDGET_S),
    }


def measure(rounds: int) -> dict[str, Any]:
    """Measure everything in one run.

    Raises:
        ModelRefused: the shipped model cannot be used.
    """
    began = time.perf_counter()
    chosen = choose(SHIPPED)
    loading = time.perf_counter() - began
    if chosen.model is None:
        raise ModelRefused(chosen.refused)
    model, some = chosen.model, texts()
    bare = load_policies(shipped_policies())
    policy = chosen.beside(bare)
    alone = [Asked(text) for text in some]
    after = [Asked(text, tuple(some[at : at + 3])) for at, text in enumerate(some)]

    def ask(one: Asked) -> object:
        return model.judge([one])

    result: dict[str, Any] = {
        "model": {"name": model.name, "digest": model.digest, "loaded_s": round(loading, 1)},
        "messages": len(some),
        "alone": spread(each_ms(ask, alone, rounds)),
        "after_three": spread(each_ms(ask, after, rounds)),
        "long_ms": round(min(each_ms(ask, [Asked((" ".join(some) * 4)[:_LONG])], rounds)), 1),
        "batch": batches(model, alone),
        "verdict": verdicts(policy, bare, model, some),
        "waits": asyncio.run(waits(policy, model, some)),
    }
    result["reached"] = {"median_ms": result["alone"]["median_ms"]}
    return {**result, "aims": AIMS, **surroundings()}


def told(result: Mapping[str, Any]) -> str:
    """Give the figures as a part of docs/figures.md."""
    alone, after, batch = result["alone"], result["after_three"], result["batch"]
    verdict, wait = result["verdict"], result["waits"]
    missed = ": **missed**" if alone["median_ms"] > AIMS["median_ms"] else ""
    return f"""{HEADING}

The model that ships ({result["model"]["digest"][:12]}), one thread, by CPU time, each of \
{result["messages"]} labelled messages at its best of a few rounds \
([all of it](../benchmarks/results/understand.json)); machine load {result["load"][0]}.

| | median, ms | p99, ms |
|---|---|---|
| one message (target: median ≤ 8{missed}) | {alone["median_ms"]} | {alone["p99_ms"]} |
| the same after three others | {after["median_ms"]} | {after["p99_ms"]} |
| a verdict without the model | {verdict["without"]["median_ms"]} | \
{verdict["without"]["p99_ms"]} |
| a verdict with it (asked about {verdict["asked"]}) | {verdict["with"]["median_ms"]} | \
{verdict["with"]["p99_ms"]} |
| a message that comes alone waits, by the clock | {wait["median_ms"]} | {wait["p99_ms"]} |

One message of 64 KiB takes {result["long_ms"]} ms: it is read in eight windows at most. Many at \
once, by the clock: {batch["one_thread_per_s"]} messages a second in one thread, \
{batch["every_core_per_s"]} on {result["cores"]} cores. {wait["flood"]} messages in one batch hold \
intake up for {wait["flood_held_up_ms"]} ms, of a budget of {wait["budget_ms"]}; the rest is \
judged again once it has been read.

![How far the aim is reached](../benchmarks/results/understand.svg)

Again: `make bench-detect`.
"""


def retell(path: Path, result: Mapping[str, Any]) -> None:
    """Put the figures into *path*, in the place of those that are there."""
    text = path.read_text(encoding="utf-8")
    part = re.compile(rf"{re.escape(HEADING)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    fresh = told(result) + "\n"
    changed = part.sub(lambda _: fresh, text) if part.search(text) else f"{text}\n{fresh}"
    path.write_text(changed.rstrip("\n") + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, keep the result and its picture, and tell it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--into", type=Path, default=RESULTS)
    parser.add_argument("--tell", type=Path, help="a document to put the figures into")
    asked = parser.parse_args(argv)
    result = measure(asked.rounds)
    keep(asked.into, "understand", result)
    drawn = {
        "one message": AIMS["median_ms"] / result["alone"]["median_ms"],
        "after three others": AIMS["median_ms"] / result["after_three"]["median_ms"],
        "p99": AIMS["median_ms"] / result["alone"]["p99_ms"],
    }
    picture = bars("The language model: 8 ms beside what a message takes", drawn, line=1.0)
    (asked.into / "understand.svg").write_text(picture, encoding="utf-8")
    if asked.tell:
        retell(asked.tell, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
