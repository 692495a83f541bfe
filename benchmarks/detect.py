"""How fast messages are judged, beside the least that could be asked of the same engine.

Never compares two runs: whatever stands beside each other was measured in turn, round by round, in
one process, by CPU time. What is judged is ordinary chat put together here, the shipped corpora,
and, where it is at hand, real text messages that nobody here wrote.

* ours: `Policy.judge`, a whole verdict;
* bare: the same RE2 set asked about the same folded bytes, and its answer thrown away;
* one by one: the same patterns with Python's `re`, one after another;
* joined: the patterns of all words as one alternation of Python's `re`, as word lists are used.

Usage: python -m benchmarks.detect [--rounds N] [--into FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plot import bars
from benchmarks.results import RESULTS, keep, percentile, surroundings
from bridge.config import load_policies
from bridge.demo.force import shipped_policies
from bridge.detect.fold import plain_bytes
from bridge.detect.rules import Concepts, Words
from bridge.model import Message, RoomClass
from bridge.policy import Policy
from bridge.policy.corpus import Label, read_corpus
from bridge.policy.measure import as_message

ROUNDS = 9
_TOP = Path(__file__).parent.parent
_CORPORA = [_TOP / "tests" / "corpus" / name for name in ("sample.jsonl", "references.jsonl")]
_SHARED = Path(os.environ.get("BLUELAMP_SHARED", _TOP.parent / "shared"))
_LONG = 65_536
#: So many questions a round at least.
_LEAST = 5_000
#: What is aimed at: messages a second, a share, milliseconds, microseconds.
AIMS = {
    "ordinary_per_s": 250_000,
    "of_bare": 0.5,
    "flagged_per_s": 40_000,
    "long_ms": 1.0,
    "longest_ms": 20.0,
    "p99_us": 100.0,
}
#: Below this many ordinary messages a second something is wrong.
DEFECT_PER_S = 50_000

_OPENINGS = (
    "morning all", "lol", "haha brilliant", "right then", "cheers for that", "no worries mate",
    "anyone about", "sorry I'm late", "just got in", "is it me or", "honestly", "good shout",
)  # fmt: skip
_MIDDLES = (
    "who's getting the brews in", "I'm starving already", "the heating is still off upstairs",
    "can somebody swap my late on Tuesday", "did you see the match last night",
    "traffic on the ring road is a joke", "the new coffee machine takes cards now",
    "we should do a curry at the end of the month", "my back is killing me after five a side",
    "the kids had me up at five again", "I have left my lunch on the kitchen side",
    "is the gym open over the weekend", "thinking of booking a week in Wales in the spring",
    "that film was far too long but the ending was decent", "it is absolutely freezing out there",
)  # fmt: skip
_ENDINGS = (
    "", "see you at six", "back in ten", "what a week", "roll on Friday", "don't all rush at once",
    "let me know", "I'll bring biscuits", "ha", "only joking", "honest", "who's in?",
)  # fmt: skip

#: Spellings that make the work hard, each the beginning of 64 KiB.
_HARD = {
    "letters set apart": "a b 1 2 c d e ",
    "figures for letters": "m1sper p@ckage ",
    "registrations": "AB12 CDE ",
    "figures": "0770 0900 ",
    "other scripts": "мisреr ",  # noqa: RUF001 - look-alikes
    "marks on letters": "a\u0301\u0302",
    "invisible signs": "m\u200bi\u200bs\u200b",
    "directions": "\u202emisper\u202c ",
    "addresses": "12 the old mill road and a ",
    "angle brackets": "<b>misper</b> ",
}


def chat(count: int) -> list[str]:
    """Put *count* ordinary messages together, the same ones each time."""
    chance = random.Random(5)  # noqa: S311 - no secret
    parts = (_OPENINGS, _MIDDLES, _ENDINGS)
    return [" ".join(filter(None, map(chance.choice, parts))) for _ in range(count)]


def labelled(label: Label) -> list[str]:
    """Give the texts of one label from the shipped corpora."""
    corpora = (read_corpus(path.read_text(encoding="utf-8"), path.name) for path in _CORPORA)
    return [one.text for corpus in corpora for one in corpus if one.label is label]


def real_messages() -> list[str]:
    """Give real text messages, if they are at hand."""
    path = _SHARED / "data" / "uci_sms_ham.txt"
    return list(filter(None, path.read_text("utf-8").split("\n"))) if path.exists() else []


def seconds_of(ask: Callable[[Any], object], questions: Sequence[Any]) -> float:
    """Give the CPU seconds that *ask* takes for all *questions*."""
    began = time.process_time()
    for question in questions:
        ask(question)
    return time.process_time() - began


def beside(loops: Mapping[str, tuple[Callable[[Any], object], Sequence[Any]]], rounds: int) -> Any:
    """Run *loops* in turn, round by round; give the median rate of each, in questions a second."""
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, (ask, questions) in loops.items():
            rates[name].append(len(questions) / seconds_of(ask, questions))
    return {name: statistics.median(found) for name, found in rates.items()}


def patterns_of(policy: Policy) -> tuple[list[str], list[str]]:
    """Give the patterns of all rules, and those of them that are made of words."""
    sought = [rule.looks_for for rule in policy.rules]
    lexicons = {
        one.pattern
        for looks_for in sought
        if isinstance(looks_for, Concepts)
        for group in looks_for.groups
        for one in group
    }
    words = [one.pattern for one in sought if isinstance(one, Words) and one.wordy]
    others = [one.pattern for one in sought if isinstance(one, Words) and not one.wordy]
    return [*others, *words, *sorted(lexicons)], [*words, *sorted(lexicons)]


def rates_of(policy: Policy, texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Measure whole verdicts on *texts* beside a bare pass of the same set."""
    often = -(-_LEAST // len(texts))  # a round must be long enough for the clock
    messages = [as_message(text) for text in texts] * often
    folded = [plain_bytes(text) for text in texts] * often
    # The one place where a benchmark reaches inside: what it stands beside is that very set.
    found = beside(
        {
            "ours": (lambda one: policy.judge(one, RoomClass.SOCIAL), messages),
            "bare": (policy.engine._match, folded),  # noqa: SLF001
        },
        rounds,
    )
    return {
        "messages": len(texts),
        "per_s": round(found["ours"], -2),
        "bare_per_s": round(found["bare"], -2),
        "of_bare": round(found["ours"] / found["bare"], 2),
    }


def peers_of(policy: Policy, texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Measure Python's `re` with the same patterns, beside ours, on a few of *texts*."""
    every, wordy = patterns_of(policy)
    single = [re.compile(pattern) for pattern in every]
    joined = re.compile("|".join(wordy))
    few = texts[:60]
    found = beside(
        {
            "ours": (
                lambda one: policy.judge(one, RoomClass.SOCIAL),
                [as_message(text) for text in few] * 20,
            ),
            "one_by_one": (
                lambda text: [one for one in single if one.search(text)],
                [text.lower() for text in few],
            ),
            "joined": (joined.search, [text.lower() for text in few]),
        },
        max(3, rounds // 3),
    )
    return {
        "patterns": len(every),
        "ours_per_s": round(found["ours"], -2),
        "one_by_one_per_s": round(found["one_by_one"]),
        "joined_per_s": round(found["joined"]),
        "times_one_by_one": round(found["ours"] / found["one_by_one"]),
        "times_joined": round(found["ours"] / found["joined"]),
    }


def waits_of(policy: Policy, texts: Sequence[str]) -> dict[str, float]:
    """Measure each verdict by itself, in µs of CPU time."""
    messages = [as_message(text) for text in texts]
    taken: list[float] = []
    for message in messages:
        began = time.thread_time_ns()
        policy.judge(message, RoomClass.SOCIAL)
        taken.append((time.thread_time_ns() - began) / 1000)
    return {
        "messages": len(texts),
        "p50_us": round(percentile(taken, 50), 1),
        "p99_us": round(percentile(taken, 99), 1),
        "most_us": round(max(taken), 1),
    }


def mixed(ordinary: Sequence[str], flagged: Sequence[str]) -> Iterator[str]:
    """Go through *ordinary*, with one in twenty from *flagged*."""
    for number, text in enumerate(ordinary):
        yield flagged[number % len(flagged)] if number % 20 == 19 else text


def long_ones(policy: Policy, rounds: int) -> dict[str, float]:
    """Measure messages of 64 KiB, each spelling at its best of *rounds*, in ms of CPU time."""
    ordinary = " ".join(chat(2000))[:_LONG]
    hard = {name: (part * (_LONG // len(part.encode()) + 1)) for name, part in _HARD.items()}
    texts = {"ordinary": ordinary, **hard}
    return {name: _best_ms(policy, as_message(text), rounds) for name, text in texts.items()}


def _best_ms(policy: Policy, message: Message, rounds: int) -> float:
    best = min(seconds_of(lambda one: policy.judge(one, RoomClass.SOCIAL), [message])
               for _ in range(max(3, rounds)))  # fmt: skip
    return round(1000 * best, 2)


def measure(policy: Policy, rounds: int) -> dict[str, Any]:
    """Measure everything in one run."""
    ordinary, flagged = chat(5_000), labelled(Label.OPERATIONAL)
    for text in (*ordinary, *flagged):  # what RE2 builds when it first meets a text is built
        policy.judge(as_message(text), RoomClass.SOCIAL)
    real = real_messages()
    long = long_ones(policy, rounds)
    result: dict[str, Any] = {
        "ordinary": rates_of(policy, ordinary, rounds),
        **({"real": rates_of(policy, real, rounds)} if real else {}),
        "hard_social": rates_of(policy, labelled(Label.SOCIAL), rounds),
        "flagged": rates_of(policy, flagged, rounds),
        "peers": peers_of(policy, ordinary, rounds),
        "waits": waits_of(policy, list(mixed(ordinary, flagged))),
        "long_ms": long,
    }
    worst = max((name for name in long if name != "ordinary"), key=long.__getitem__)
    result["reached"] = {
        "ordinary_per_s": result["ordinary"]["per_s"],
        "of_bare": result["ordinary"]["of_bare"],
        "flagged_per_s": result["flagged"]["per_s"],
        "long_ms": long["ordinary"],
        "longest_ms": long[worst],
        "p99_us": result["waits"]["p99_us"],
    }
    return {**result, "longest": worst, "aims": AIMS, **surroundings()}


def shares(reached: Mapping[str, float]) -> dict[str, float]:
    """Say for each aim how far it is reached: 1 is reached, 2 is twice as good."""
    less_is_better = {"long_ms", "longest_ms", "p99_us"}
    return {
        name: round(aim / reached[name] if name in less_is_better else reached[name] / aim, 2)
        for name, aim in AIMS.items()
    }


_NAMES = {
    "ordinary_per_s": "ordinary chat, a second",
    "of_bare": "beside a bare set",
    "flagged_per_s": "flagged, a second",
    "long_ms": "64 KiB",
    "longest_ms": "64 KiB at its worst",
    "p99_us": "one verdict, p99",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, keep the result and its picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--into", type=Path, default=RESULTS)
    asked = parser.parse_args(argv)
    result = measure(load_policies(shipped_policies()), asked.rounds)
    keep(asked.into, "detect", result)
    drawn = {_NAMES[name]: share for name, share in shares(result["reached"]).items()}
    picture = bars("Judging: how far each aim is reached", drawn, line=1.0)
    (asked.into / "detect.svg").write_text(picture, encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
