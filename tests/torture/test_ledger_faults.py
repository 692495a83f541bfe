"""The kernel refuses, or kills, at each call that could change a file of the ledger.

strace gives the answer in the kernel's place. A process is stopped before it opens the ledger, or
just after, strace is attached, and one call of one kind fails: so each of its threads counts from
that moment, and every call of opening, writing and closing is reached.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture.acts import Promise, new_folder, promises, survey
from tests.torture.children import Child
from tests.torture.tally import Tally, tell
from tests.torture.tracing import CHANGES, Call, need_strace, traced, writer
from tests.unit.ledger.forging import dice

#: What each call answers: a broken disk, a full one, none as the process is gone.
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")
#: Acts that a ledger has before, and that the tormented process does: of these some at once, and
#: with two checkpoints.
BEFORE, ACTS = 4, 7
#: Sampled points of the small run.
SOME = 12
#: Answers that the store must not overlook while it writes; others it may do without, such as the
#: index of the -wal, which SQLite makes again.
SERIOUS = {"pwrite64", "write", "fsync", "fdatasync", "rename"}
#: Instead of last words.
FELL = "fell over"


@dataclass(frozen=True, slots=True)
class Point:
    """One call in the life of a process that keeps a ledger."""

    #: From where the calls are counted: before opening a new ledger or an old one, or after.
    start: str
    call: str
    #: Which of its kind, from 1.
    when: int
    fault: str


@dataclass(frozen=True, slots=True)
class Start:
    """A state of affairs that processes start from."""

    name: str
    folder: Path
    #: Where the process waits for strace.
    wait: str
    told: Promise
    #: How often each kind of call is made, in the thread that it is about; and how often of that
    #: before the ledger is closed.
    calls: Counter[str]
    before_closing: Counter[str]
    #: The files that are touched.
    names: frozenset[str]


def lives(folder: Path, *, before: int) -> Promise:
    """Have a ledger of *before* acts in *folder*, left as a crash leaves it: with its -wal."""
    new_folder(folder)
    if not before:
        return Promise()
    with Child(folder, before, 10_000) as child:
        lines = [child.line()]
        while not (lines[-1].startswith("kept") and "closing" in lines):
            lines.append(child.line())
            assert lines[-1], lines
        child.kill()
        return promises([*lines, *child.rest()])


def copied(start: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(start, to))


def profiles(name: str, folder: Path, told: Promise) -> list[Start]:
    """Count the calls of a process to which nothing happens, as it opens and as it goes on."""
    work = copied(folder, folder.with_name("work"))
    calls = traced(work, writer(work, ACTS), log=folder.with_suffix(".log"), all_files=True)
    return [_profile(f"{name}, {wait}", folder, told, calls, wait) for wait in ("open", "write")]


def _profile(name: str, folder: Path, told: Promise, calls: Sequence[Call], wait: str) -> Start:
    closing = next(at for at, call in enumerate(calls) if call.says("closing"))
    opener = calls[0].thread  # the store opens where it is asked to, and writes in a thread
    begun = {"open": calls, "write": calls[:closing]}[wait]
    own = [
        Counter(call.name for call in some
                if call.file[0] != 1 and (call.thread == opener) == (wait == "open"))
        for some in (calls, begun)
    ]  # fmt: skip
    names = frozenset(
        path.name for call in calls for path in call.paths if path.parent.name == "work"
    )
    return Start(name, folder, wait, told, own[0], own[1], names)


def torment(start: Start, point: Point) -> tuple[Path, list[str]]:
    """Start a process, have one call answered otherwise; return its folder and what it said."""
    work = copied(start.folder, start.folder.with_name("work"))
    about = [part for name in start.names for part in ("-P", str(work / name))]
    with Child(work, ACTS, wait=start.wait) as child:
        assert child.line().startswith("about to")
        strace = subprocess.Popen(
            ["strace", "-f", "-p", str(child.pid), *about, "-P", str(work),
             "-e", f"trace={point.call}", "-o", str(work) + ".log",
             "-e", f"inject={point.call}:{point.fault}:when={point.when}"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert strace.stderr is not None
        attached = strace.stderr.readline()
        assert "attached" in attached, attached
        child.go()
        lines = child.rest()
        strace.communicate(timeout=60)
        return work, lines if child.exit in (0, -signal.SIGKILL) else [*lines, FELL]


def wrong(start: Start, point: Point) -> str:
    """Say what is wrong after *point*, or nothing."""
    work, lines = torment(start, point)
    hit = "(INJECTED)" in Path(str(work) + ".log").read_text(encoding="utf-8", errors="replace")
    if "signal" in point.fault:
        hit = hit or "closed" not in lines
    if not hit:
        return "the call was never made"
    if lines and lines[-1] == FELL:
        return f"it was not prepared for that: {lines}"
    if said := fail_stop(start, point, lines):
        return said
    return asyncio.run(survey(work, max(promises(lines), start.told, key=lambda p: p.acts)))


def fail_stop(start: Start, point: Point, lines: Sequence[str]) -> str:
    """Say whether the store went on after an error that it must not overlook, or nothing."""
    stopped = [line for line in lines if line.startswith("stopped")]
    if stopped not in ([], ["stopped 7 of 7"]):
        return f"it refused something, and then not everything: {stopped}"
    while_writing = start.wait == "write" and point.when <= start.before_closing[point.call]
    serious = point.call in SERIOUS and "error" in point.fault and while_writing
    if serious and not stopped:
        return "it went on after an error"
    return ""


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> list[Start]:
    need_strace()
    tmp = tmp_path_factory.mktemp("faults")
    new, old = tmp / "new" / "ledger", tmp / "old" / "ledger"
    begun, told = lives(new, before=0), lives(old, before=BEFORE)
    return [*profiles("a new ledger", new, begun), *profiles("after a crash", old, told)]


def points(starts: Sequence[Start]) -> Iterator[tuple[Start, Point]]:
    for start in starts:
        for call in CHANGES:
            for when in range(1, start.calls[call] + 1):
                for fault in FAULTS:
                    yield start, Point(start.name, call, when, fault)


def try_all(chosen: Sequence[tuple[Start, Point]], of: int) -> None:
    bad = [(point, said) for start, point in chosen if (said := wrong(start, point))]
    kinds = Counter(point.call for _, point in chosen)
    tell(
        Tally(
            family="faults of the kernel",
            tried=len(chosen),
            lost=len(bad),
            remark=f"of {of} points; " + ", ".join(f"{n} {name}" for name, n in kinds.items()),
        )
    )
    assert bad == []


def test_the_ledger_survives_faults_of_the_kernel(starts: list[Start]) -> None:
    everything = list(points(starts))
    left = dice(22).sample(everything, len(everything))
    chosen: list[tuple[Start, Point]] = []
    while len(chosen) < SOME:  # of each kind of call, as far as they go
        for call in {point.call: None for _, point in left}:
            chosen.append(next(one for one in left if one[1].call == call))
            left.remove(chosen[-1])
    try_all(chosen[:SOME], len(everything))


@pytest.mark.torture
def test_the_ledger_survives_every_fault_of_the_kernel(starts: list[Start]) -> None:
    everything = list(points(starts))
    try_all(everything, len(everything))
