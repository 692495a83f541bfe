"""`bluelamp demo`: the main job, played on a homeserver of its own."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bridge import log
from bridge.cli.common import err, out
from bridge.console.accounts import Accounts
from bridge.demo.force import AUDITOR, BOT, OFFICERS, SUPERVISOR, Force
from bridge.demo.scenes import Scene, scenes
from bridge.demo.shift import SHIFT, Expected
from bridge.demo.stage import Stage, Told, stage
from bridge.errors import UsageError
from bridge.running import app

#: Longer than a force would want: the demo's machine does many things at once.
_GATE_MS = 1_000


def demo(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Where to put everything; must be empty.", show_default=False),
    ] = None,
    stay: Annotated[
        bool | None,
        typer.Option(
            "--stay/--once",
            help="Leave it running so that you can join, or end (default: stay on a terminal).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Play a shift: a real homeserver, six officers, a supervisor and the bot."""
    if stay is None:
        stay = sys.stdout.isatty()
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="bluelamp-demo-"))
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; delete it or choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    good = asyncio.run(_play(folder.absolute(), stay=stay))
    if not good:
        raise typer.Exit(1)


async def _play(folder: Path, *, stay: bool) -> bool:
    begun = time.monotonic()
    log.configure("warning")
    out.print("Blue Lamp: a shift in two teams", style="bold")
    out.print(f"Everything is in {folder}; delete it when you are done.\n", style="dim")

    def say(line: str) -> None:
        out.print(f"  {line}", style="dim", markup=False)

    async with stage(folder, say, gate_ms=_GATE_MS, cards=True) as on:
        out.print()
        tolds = []
        for line in SHIFT:
            if line.while_dead:
                out.print("        the bot is killed with -9, and started again afterwards, now "
                          "without the gate: it acts after delivery", style="dim")  # fmt: skip
            told = await on.play(line)
            _tell(told)
            tolds.append(told)
        played = [_show(scene) async for scene in scenes(on)]
        faults = await on.keep(tolds)
        faults += [f"{scene.name}: {fault}" for scene in played for fault in scene.faults]
        out.print()
        _sum_up(tolds, faults, on)
        good = not faults and all(told.good for told in tolds)
        verdict = "Every check holds" if good else "Not every check holds"
        out.print(f"{verdict}; {time.monotonic() - begun:.0f} s in all.",
                  style="bold green" if good else "bold red")  # fmt: skip
        out.print("\nOne custodian's key opens this ledger. A force should have two, in different "
                  "departments, and keep neither on the bot's host.", style="dim")  # fmt: skip
        out.print(f"Try: bluelamp -c {folder}/config.yaml ledger verify", style="dim")
        if stay:
            await on.bot.start()
            await _stay(on)
    return good


def _show(scene: Scene) -> Scene:
    out.print(f"{scene.name}", style="bold")
    for line in scene.seen:
        out.print(f"        {line}", style="cyan", markup=False)
    for line in scene.faults:
        out.print(f"        WRONG, this was not seen: {line}", style="red", markup=False)
    return scene


def _tell(told: Told) -> None:
    line = told.line
    name = next(one.name for one in OFFICERS if one.local == line.who)
    out.print(
        Text.assemble((f"{name}", "bold"), f" in {line.team} social: ", (line.text, "italic"))
    )
    if line.edited is not None:
        out.print(Text.assemble("        and edits it to: ", (line.edited, "italic")))
    if not told.good:
        out.print(f"        WRONG: {'; '.join(told.faults)}", style="red")
    elif line.expected is Expected.MOVED and told.stopped and not line.while_dead:
        out.print(
            f"        stopped before delivery (sending took {told.sent_s * 1000:.0f} ms), moved to "
            f"{line.team} secure, {name} told in private",
            style="cyan",
        )
    elif line.expected is Expected.MOVED and told.removed_s is not None:
        since = "the bot came back" if line.while_dead else "it was sent"
        out.print(
            f"        moved to {line.team} secure, removed {told.removed_s * 1000:.0f} ms after "
            f"{since}, {name} told in private",
            style="cyan",
        )
    else:
        out.print("        left alone", style="green")


def _sum_up(tolds: list[Told], faults: list[str], on: Stage) -> None:
    table = Table(title="The shift")
    for column in ("", "messages", "as they should be"):
        table.add_column(column, justify="right" if column else "left")
    moved = [told for told in tolds if told.line.expected is Expected.MOVED]
    left = [told for told in tolds if told.line.expected is Expected.LEFT]
    recorded = [told for told in tolds if "it is not on record" not in told.faults]
    for name, some, right in (
        ("sent", tolds, len(tolds)),
        ("left alone", left, sum(t.good for t in left)),
        ("copied to the secure room", moved, sum(t.copied for t in moved)),
        ("removed", moved, sum(t.removed_s is not None for t in moved)),
        ("stopped before any other phone had it", *_stopped(moved)),
        ("sender told", moved, sum(t.informed for t in moved)),
        ("kept in the sealed record", tolds, len(recorded)),
    ):
        table.add_row(name, str(len(some)), f"{right} of {len(some)}")
    covered = f"{on.served - on.missed} of {on.served}"
    table.add_row("every event on the server, on record", str(on.served), covered)
    table.add_row("ledger verified", "", "no" if faults else "yes")
    out.print(table)
    for fault in faults:
        err.print(fault, style="red")


def _stopped(moved: list[Told]) -> tuple[list[Told], int]:
    """Those that came while the gate was on: before the bot was killed."""
    dead = next((n for n, told in enumerate(moved) if told.line.while_dead), len(moved))
    behind = moved[:dead]
    return behind, sum(told.stopped for told in behind)


async def _stay(on: Stage) -> None:
    out.print(f"\nIt goes on running. Sign in with Element at {on.homeserver.url}:")
    for one in (*OFFICERS, SUPERVISOR):
        out.print(f"  {one.local:6} {on.force.passwords[one.id]}", markup=False)
    out.print(f"The bot is {BOT}. Ctrl-C ends everything.")
    with _console(on.force):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            out.print("Stopping.")


@contextlib.contextmanager
def _console(force: Force) -> Iterator[None]:
    """Run the auditors' console beside the bot, and say how to sign in."""
    log_file = force.folder / "console.log"
    with log_file.open("wb") as told:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "bridge", "-c", str(force.config), "console"],
            stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(300):
            said = log_file.read_text(encoding="utf-8", errors="replace")
            if "answers at" in said or process.poll() is not None:
                break
            time.sleep(0.1)
        if "answers at" in said:
            code = Accounts(force.folder / "console" / "auditors").add(AUDITOR, app.now())
            out.print(f"\n{said.split('. Ctrl-C')[0]}.", markup=False)
            passphrase = force.passphrase.read_text(encoding="utf-8").strip()
            out.print(f"  Enrol at /enrol as {AUDITOR} with the code {code}.", markup=False)
            out.print(f"  Unlock the key of psd with the file {force.share}", markup=False)
            out.print(f"  and the passphrase {passphrase}", markup=False)
            out.print("  At a force the console runs on another host than the bot.", style="dim")
        else:
            out.print(f"The console is not running: {said.strip()[-300:]}", markup=False)
        yield
    finally:
        process.terminate()
        process.wait(10)
