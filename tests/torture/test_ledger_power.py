"""The power goes. What the ledger had acknowledged is there; what was weakened loses it.

A session is recorded once, step by step: what was asked of the disk, and what somebody was told.
Then the power is cut at one step after another, as if each were the first time, and the real store
opens what a forgetful disk has left. That costs a restart for each cut, and no session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.store.file import SQL
from tests.torture import writing
from tests.torture.acts import new_folder, promises, survey
from tests.torture.disk import (
    Disk,
    Made,
    NamesSynced,
    Renamed,
    Step,
    Synced,
    Told,
    Written,
    cuts,
    lay_out,
)
from tests.torture.tally import Tally, tell
from tests.torture.tracing import PASSING, need_strace, steps, traced, writer
from tests.torture.vfs import recorded
from tests.unit.ledger.forging import dice

#: Cuts of each control, at which something must be lost.
CONTROLS = 30
#: Acts of each life of the store, and cuts. A life that is long enough moves its -wal into the
#: file by itself (at 1,000 pages), as ours does once in a while; every end does so as well.
Lives = tuple[int, ...]
SMALL: tuple[tuple[Lives, int], ...] = (((9, 3), 20),)
FULL: tuple[tuple[Lives, int], ...] = (((12, 6), 700), ((160, 10), 900), ((5, 5, 5), 400))
Recording = Callable[[Path, Lives, str], list[Step]]


def by_strace(folder: Path, acts: Lives, synchronous: str) -> list[Step]:
    """Record what a process asks of the kernel: the SQLite, and the anchor, that we ship."""
    need_strace()
    command = writer(folder, *acts, more=["--synchronous", synchronous] if synchronous else [])
    found = steps(traced(folder, command, log=folder.with_suffix(".log")), folder)
    assert _played(found) == _lying(folder)  # nothing was missed
    return found


def by_vfs(folder: Path, acts: Lives, synchronous: str) -> list[Step]:
    """Record what apsw's SQLite asks of its VFS; needs nothing but Python."""
    found: list[Step] = []

    async def live() -> None:
        for life in acts:
            await writing.live(folder, life, "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "say", lambda line: found.append(Told(line)))
        if synchronous:
            patch.setitem(SQL, "pragmas", SQL["pragmas"])  # and back afterwards
            writing.weaken(synchronous)
        with recorded(found.append):
            asyncio.run(live())
    assert _played(found) == _lying(folder)
    return found


def _played(found: Sequence[Step]) -> dict[str, bytes]:
    disk = Disk()
    for step in found:
        disk.take(step)
    return disk.lying()


def _lying(folder: Path) -> dict[str, bytes]:
    others = (*PASSING, "bundle.json")
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(others)
    }


@dataclass
class Cutting:
    """Cuts of one recorded session, and what was wrong after each."""

    tmp: Path
    record: Recording

    def wrong(self, acts: Lives, count: int, synchronous: str = "") -> list[str]:
        name = "-".join([self.record.__name__, *map(str, acts), synchronous])
        found = self.record(new_folder(self.tmp / name), acts, synchronous)
        left = new_folder(self.tmp / f"{name}.left")
        said = []
        for told, files in cuts(found, count, dice(count)):
            lay_out(files, left, keep=["bundle.json"])
            said.append(asyncio.run(survey(left, promises(told))))
        return [one for one in said if one]


def cut_the_power(
    tmp: Path, record: Recording, runs: Sequence[tuple[Lives, int]], controls: int
) -> None:
    cutting = Cutting(tmp, record)
    wrong = [one for acts, count in runs for one in cutting.wrong(acts, count)]
    control = {mode: len(cutting.wrong(runs[0][0], controls, mode)) for mode in ("NORMAL", "OFF")}
    tell(
        Tally(
            family=f"power cuts ({record.__name__.replace('_', ' ')})",
            tried=sum(count for _, count in runs),
            lost=len(wrong),
            controls=(sum(control.values()), 2 * controls),
            remark=", ".join(f"{mode} {lost} of {controls}" for mode, lost in control.items()),
        )
    )
    assert wrong == []
    assert min(control.values()) > 0, "a disk that loses nothing of a weakened store proves nothing"


BOTH = pytest.mark.parametrize("record", [by_strace, by_vfs])


@BOTH
def test_what_was_acknowledged_survives_some_power_cuts(tmp_path: Path, record: Recording) -> None:
    cut_the_power(tmp_path, record, SMALL, CONTROLS)


@pytest.mark.torture
@BOTH
def test_what_was_acknowledged_survives_thousands_of_power_cuts(
    tmp_path: Path, record: Recording
) -> None:
    cut_the_power(tmp_path, record, FULL, 100)


def test_the_disk_keeps_what_was_synced_and_may_lose_anything_else() -> None:
    """The test of the test: a small file with a safe part, and one that nobody waited for."""
    safe: list[Step] = [Made("a"), Written("a", 0, b"safe"), Synced("a"), NamesSynced()]
    loose: list[Step] = [Written("a", 2, b"XY"), Written("a", None, b"..."), Renamed("a", "b")]
    chance = dice(1)
    disk = Disk()
    for step in safe:
        disk.take(step)
    assert {tuple(disk.cut(chance).items()) for _ in range(50)} == {(("a", b"safe"),)}
    for step in loose:
        disk.take(step)
    left = [disk.cut(chance) for _ in range(400)]
    assert {name for files in left for name in files} == {"a", "b"}
    found = {content for files in left for content in files.values()}
    assert {b"safe", b"saXY", b"safe...", b"saXY..."} <= found
    assert any(content.startswith(b"saXe") for content in found)  # half a write
    assert all(content.startswith(b"sa") for content in found)
