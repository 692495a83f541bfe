"""A process that keeps a ledger until it is done or stopped: python -m tests.torture.writing.

Says what the store has promised, one line each time. Where it is told to wait it says what it is
about to do, and waits for a word, so that whoever torments it can choose the moment. After an error
it tries everything else, and says what was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import re
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from bridge.errors import BridgeError
from bridge.facts import Noted
from bridge.store.file import SQL
from bridge.store.sqlite import SqliteStore
from tests.torture.acts import perform, promise
from tests.unit.ledger.appending import open_in

#: Let anyone trace us, where the kernel lets only parents do so: prctl(2), PR_SET_PTRACER.
_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)
#: Of every five acts the last three are done at once; a checkpoint follows the first.
ROUND, TOGETHER, SIGNED = 5, 3, 1


def say(line: str) -> None:
    print(line, flush=True)


def weaken(synchronous: str) -> None:
    """Have stores write as a control does: only `synchronous` differs from what is shipped."""
    pragmas, found = re.subn(r"synchronous = \w+", f"synchronous = {synchronous}", SQL["pragmas"])
    if not found:
        raise LookupError("the store does not say how it synchronises")
    SQL["pragmas"] = pragmas


async def write(store: SqliteStore, acts: int) -> None:
    """Do *acts* acts, now and then some at once, and promise each."""
    done = int(await store.cursor() or 0)
    last = done + acts
    while done < last:
        step = min(3 if done % ROUND == TOGETHER else 1, last - done)
        await asyncio.gather(*(perform(store, done + n) for n in range(step)))
        done += step
        say(str(await promise(store, done)))
        if done % ROUND == SIGNED:
            await store.checkpoint()
            say("signed")


async def refusals(store: SqliteStore) -> None:
    """Ask for everything a store can do, and say how much of it was refused."""
    refused = 0
    asked = (store.append([Noted(text="more")]), store.checkpoint(), store.head(),
             store.cursor(), store.owed(), store.waiting(), store.brakes())  # fmt: skip
    for what in asked:
        try:
            await what
        except BridgeError:
            refused += 1
    say(f"stopped {refused} of {len(asked)}")


async def live(folder: Path, acts: int, wait: str) -> None:
    """Open the ledger in *folder*, write, close; say whatever is refused."""
    pause("open", wait)
    try:
        store = open_in(folder)
    except (BridgeError, OSError) as exc:
        say(f"not opened: {exc!r}")
        return
    pause("write", wait)
    try:
        await write(store, acts)
    except BridgeError as exc:
        say(f"refused: {exc}")
        await refusals(store)
    say("closing")
    with contextlib.suppress(Exception):  # what closing says no longer matters
        await store.close()
    say("closed")


def pause(here: str, wait: str) -> None:
    if here == wait:
        ctypes.CDLL(None).prctl(_SET_PTRACER, _ANY, 0, 0, 0)
        say(f"about to {here}")
        os.read(0, 1)


def child(folder: Path, acts: Sequence[int], wait: str, into: Connection, out: Connection) -> None:
    """Live as a process that was forked, with *into* to read from and *out* to write to."""
    os.dup2(into.fileno(), 0)
    os.dup2(out.fileno(), 1)
    into.close()
    out.close()
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    for count in acts:
        asyncio.run(live(folder, count, wait))


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--acts", type=int, nargs="+", required=True, help="of each life in turn")
    asked.add_argument("--synchronous", choices=["FULL", "NORMAL", "OFF"])
    given = asked.parse_args()
    if given.synchronous:
        weaken(given.synchronous)
    for acts in given.acts:
        asyncio.run(live(given.folder, acts, ""))


if __name__ == "__main__":
    main()
