"""The command of a benchmark that measures two things in turn, and draws them beside each other.

Never measures anything itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from benchmarks.results import RESULTS, keep, surroundings

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Paired(Generic[T]):
    """What is measured, how it is told and drawn; `main` is the command."""

    #: Of the files that are written, and what the command says that it is for.
    name: str
    about: str
    #: So many messages each, unless the command says otherwise.
    messages: int
    run: Callable[[Path, int], Coroutine[Any, Any, tuple[T, T]]]
    told: Callable[[T, T], dict[str, Any]]
    drawn: Callable[[T, T, dict[str, Any]], str]
    #: Which part of what is told are the samples: kept, and not printed.
    samples: str

    def main(self, argv: Sequence[str] | None = None) -> None:
        """Measure, and keep the result and its picture."""
        parser = argparse.ArgumentParser(description=self.about.partition("\n")[0])
        parser.add_argument("--messages", type=int, default=self.messages)
        parser.add_argument("--into", type=Path, default=RESULTS)
        asked = parser.parse_args(argv)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        before = surroundings()["load"]
        with tempfile.TemporaryDirectory() as folder:
            one, other = asyncio.run(self.run(Path(folder), asked.messages))
        result = {**self.told(one, other), "load_before": before}
        samples = result.pop(self.samples)
        keep(asked.into, self.name, {**result, self.samples: samples})
        picture = self.drawn(one, other, result)
        (asked.into / f"{self.name}.svg").write_text(picture, encoding="utf-8")
        print(json.dumps(result, indent=2))
