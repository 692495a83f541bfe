"""Gives the bot one bad input after another, and counts what went wrong.

Never lets one failure of a long run hide the others: all are counted, and the first are shown.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.matrix.chaos import Dice

T = TypeVar("T")

#: One input may keep the bot from others for so long, s.
LONGEST_S = 0.1
#: Something else on the machine may hold up one input again and again, but not each time.
_TRIES = 20
#: What `_chore` takes where `LONGEST_S` was set, s of processor time.
_CHORE_S = 0.005
#: Inputs of one test in `make test`, where hypothesis draws them.
FEW = 300
_SHOWN = 5


class Wrong(AssertionError):
    """The bot did not withstand an input."""


class Escaped(Wrong):
    """An exception left the bot's handling."""


class Stalled(Wrong):
    """The handling took too long."""


class Lost(Wrong):
    """Something good beside the input was not read."""


def handled(handle: Callable[[], T]) -> T:
    """Have the bot handle an input, and return what it makes of it.

    Processor time counts, so that a busy machine is no stall, and a slower one has as much longer;
    and time on the clock if the same input takes long every time, for what waits instead of
    working. Collecting the garbage of the test is not the bot's.

    Raises:
        Escaped: an exception came out.
        Stalled: it took longer than `LONGEST_S`.
    """
    made, worked_s, took_s = _timed(handle)
    tries = 1
    if worked_s >= LONGEST_S and worked_s >= LONGEST_S * _slower():
        raise Stalled(f"it worked for {worked_s * 1000:.0f} ms")
    while took_s >= LONGEST_S and tries < _TRIES:
        _, _, took_s = _timed(handle)
        tries += 1
    if took_s >= LONGEST_S:
        raise Stalled(f"it took {took_s * 1000:.0f} ms, {tries} times")
    return made


def _slower() -> float:
    """How many times slower than there this machine works just now."""
    return max(1.0, _timed(_chore)[1] / _CHORE_S)


def _chore() -> None:
    """Work that is always the same, and of the kind that the bot's is."""
    for _ in range(10):
        json.loads(json.dumps([{"b": n, "c": "x" * n} for n in range(200)]))


def _timed(handle: Callable[[], T]) -> tuple[T, float, float]:
    gc.disable()
    worked, took = time.thread_time(), time.perf_counter()
    try:
        made = handle()
        return made, time.thread_time() - worked, time.perf_counter() - took
    except Exception as exc:
        raise Escaped(f"{type(exc).__name__}: {exc}"[:300]) from exc
    finally:
        gc.enable()


def kept(good: object, what: str) -> None:
    """Hold that something good beside the input was not lost.

    Raises:
        Lost: it was.
    """
    if not good:
        raise Lost(what)


@dataclass
class Tally:
    """What became of the inputs of one test."""

    tried: int = 0
    wrong: Counter[type[Wrong]] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    seconds: float = 0.0


#: By what was tried; `conftest.py` prints it after a long run.
TALLIES: dict[str, Tally] = {}


def tried(name: str, examples: int, one: Callable[[Dice], None]) -> None:
    """Have *one* give the bot so many inputs: few drawn by hypothesis, or many from a seed.

    `FUZZ_SEED` gives a long run the inputs of an earlier one.
    """
    if examples <= FEW:
        _by_hypothesis(examples, one)
        return
    seed = os.environ.get("FUZZ_SEED") or str(secrets.randbelow(10**9))
    tally = TALLIES[name] = Tally()
    began = time.perf_counter()
    for number in range(examples):
        tally.tried += 1
        where = f"FUZZ_SEED={seed}, number {number}"
        _count(tally, where, one, Dice.of(f"{seed}/{number}"))
    tally.seconds = time.perf_counter() - began
    assert not tally.wrong, "\n".join(tally.shown)


def _count(tally: Tally, where: str, one: Callable[[Dice], None], dice: Dice) -> None:
    try:
        one(dice)
    except Wrong as exc:
        tally.wrong[type(exc)] += 1
        if len(tally.shown) < _SHOWN:
            tally.shown.append(f"{type(exc).__name__}: {exc} ({where})")


def _by_hypothesis(examples: int, one: Callable[[Dice], None]) -> None:
    # The bot remembers what it was given: draws must not depend on it, and shrinking is no use.
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 2**64))
    def drawn(seed: int) -> None:
        one(Dice.of(seed))

    drawn()


def table() -> list[str]:
    """Lay out what the long runs of this session tried, and what went wrong."""
    everything = Tally(
        tried=sum(tally.tried for tally in TALLIES.values()),
        wrong=sum((tally.wrong for tally in TALLIES.values()), Counter()),
        seconds=sum(tally.seconds for tally in TALLIES.values()),
    )
    head = ("", "tried", "escaped", "stalled", "lost", "seconds")
    rows = [head, *(_row(*each) for each in (*TALLIES.items(), ("all", everything)))]
    first = max(len(row[0]) for row in rows)
    return [f"{row[0]:<{first}}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows]


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    wrong = (str(tally.wrong[kind]) for kind in (Escaped, Stalled, Lost))
    return (name, f"{tally.tried:,}", *wrong, f"{tally.seconds:.0f}")
