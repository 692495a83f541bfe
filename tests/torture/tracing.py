"""strace around a process that keeps a ledger: what it asked of the disk, and what it was refused.

Never guesses: a line that cannot be read as a step on the ledger's folder stops the test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture.disk import (
    Emptied,
    Made,
    NamesSynced,
    Removed,
    Renamed,
    Step,
    Synced,
    Told,
    Written,
)

TOP = Path(__file__).parents[2]
#: Every way to change a file, or to have it on the disk, that SQLite, Python and libc know.
CHANGES = (
    "openat", "write", "writev", "pwrite64", "pwritev", "ftruncate", "truncate", "fallocate",
    "fsync", "fdatasync", "sync_file_range", "rename", "renameat", "renameat2", "unlink",
    "unlinkat",
)  # fmt: skip
#: Ends of names of no account after a crash: SQLite makes the first again, the others hold nothing.
PASSING = ("-shm", ".lock", ".reserve")

_CALL = re.compile(
    r"(?:\[pid +)?(\d+)\]? +(\w+)\((.*)\) += (-?\d+)(?:<.*>)?(?: \w+ \(.*\))?$", re.DOTALL
)
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")


def need_strace() -> None:
    """Skip the test where there is no strace; where everything must be tested, fail."""
    works = (
        shutil.which("strace")
        and not subprocess.run(
            ["strace", "-o", os.devnull, "true"], capture_output=True, check=False
        ).returncode
    )
    if not works:
        missing = "needs strace, and leave to use it (apt-get install strace)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)


def writer(folder: Path, *acts: int, more: Sequence[str] = ()) -> list[str]:
    """Return the command of a process that keeps the ledger in *folder*."""
    lives = ["--acts", *map(str, acts)]
    return [sys.executable, "-m", "tests.torture.writing", str(folder), *lives, *more]


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the kernel that came back without an error."""

    thread: int
    name: str
    #: As strace writes them.
    given: str

    @property
    def texts(self) -> list[bytes]:
        """The strings among the arguments, but file names behind numbers."""
        bare = re.sub(r"<[^<>]*>", "", self.given)
        return [_bytes(text) for text in _TEXT.findall(bare)]

    @property
    def file(self) -> tuple[int, str]:
        """The number and path of the file that the first argument names."""
        found = _FILE.match(self.given)
        return (int(found[1]), os.fsdecode(_bytes(found[2]))) if found else (-1, "")

    @property
    def paths(self) -> list[Path]:
        """The files that it is about."""
        number, path = self.file
        texts = self.texts[:2] if number < 0 else [os.fsencode(path)]
        return [Path(os.fsdecode(text)) for text in texts]

    def says(self, line: str) -> bool:
        """Whether this call puts *line* out."""
        return self.name == "write" and self.file[0] == 1 and self.texts == [line.encode()]

    @property
    def numbers(self) -> list[int]:
        """The arguments behind the last string or file."""
        return [int(n) for n in re.findall(r", (\d+)(?=,|$)", self.given)]


def traced(
    folder: Path, command: Sequence[str], *, log: Path, all_files: bool = False
) -> list[Call]:
    """Run *command* and return what it asked the kernel to do in *folder* or say.

    *all_files* is to have those of `PASSING` as well.
    """
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000", "-o", str(log),
              "-e", f"trace={','.join(CHANGES)}"]  # fmt: skip
    ran = subprocess.run([*strace, *command], capture_output=True, text=True, cwd=TOP, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    return [call for call in _calls(log) if _concerns(call, folder, () if all_files else PASSING)]


def _calls(log: Path) -> list[Call]:
    begun: dict[str, str] = {}
    calls = []
    for line in log.read_text(encoding="ascii").splitlines():
        thread, _, said = line.partition(" ")
        if said.endswith("<unfinished ...>"):
            begun[thread] = said.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := re.match(r" *<\.\.\. \w+ resumed> ?", said):
            said = begun.pop(thread) + said[resumed.end() :]
        found = _CALL.match(f"{thread} {said.strip()}")
        if found and int(found[4]) >= 0:
            calls.append(Call(int(found[1]), found[2], found[3]))
    return calls


def _concerns(call: Call, folder: Path, passing: tuple[str, ...]) -> bool:
    return (call.file[0] == 1 and call.name == "write") or any(
        folder in (path, path.parent) and not path.name.endswith(passing) for path in call.paths
    )


def steps(calls: Sequence[Call], folder: Path) -> list[Step]:
    """Return what *calls* did to the files in *folder*, and what was said, in order."""
    made = [step for call in calls for step in _steps(call, folder)]
    return [step for step in made if not isinstance(step, Told) or step.line]


def _steps(call: Call, folder: Path) -> list[Step]:
    number, path = call.file
    name = Path(path).name
    match call.name:
        case "openat":
            name = Path(os.fsdecode(call.texts[0])).name
            made: list[Step] = [Made(name)] if "O_CREAT" in call.given else []
            return [*made, Emptied(name, 0)] if "O_TRUNC" in call.given else made
        case "write" if number == 1:
            return [Told(call.texts[0].decode().strip())]
        case "write":
            return [Written(name, None, call.texts[0])]
        case "pwrite64":
            return [Written(name, call.numbers[-1], call.texts[0])]
        case "ftruncate":
            return [Emptied(name, call.numbers[-1])]
        case "fsync" | "fdatasync":
            return [NamesSynced() if Path(path) == folder else Synced(name)]
        case "rename":
            old, new = (Path(os.fsdecode(text)).name for text in call.texts)
            return [Renamed(old, new)]
        case "unlink":
            return [Removed(Path(os.fsdecode(call.texts[0])).name)]
        case _:
            raise NotImplementedError(f"nobody has said what {call.name} does to a disk")


def _bytes(written: str) -> bytes:
    return bytes.fromhex(written.replace("\\x", ""))
