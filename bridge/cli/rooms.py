"""`bluelamp rooms`: show how the server differs from the register, and make it so."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from bridge.cli.asking import give_order
from bridge.cli.common import ConfigOption, configuration, err, out, signed_in, who
from bridge.cli.policing import ByOption
from bridge.config import load_register
from bridge.errors import UsageError
from bridge.model import RoomId
from bridge.rooms.labels import decided
from bridge.running import app, control
from bridge.store.reader import SqliteReader

cli = typer.Typer(help="The rooms on the register.", no_args_is_help=True)


@cli.command()
def plan(context: typer.Context, config: ConfigOption = None) -> None:
    """Show each way in which the server is not as the register says; change nothing."""
    planned = asyncio.run(app.plan_register(configuration(context, config)))
    out.print(str(planned), markup=False)
    if planned.problems:
        raise typer.Exit(2)


@cli.command()
def apply(
    context: typer.Context,
    config: ConfigOption = None,
    put_out: Annotated[
        bool,
        typer.Option("--put-out", help="Whoever is not on the register goes, however many."),
    ] = False,
) -> None:
    """Make the server as the register says. Can be interrupted and run again."""
    loaded = configuration(context, config)

    def progress(line: str) -> None:
        out.print(line, markup=False)

    left = asyncio.run(app.apply_register(loaded, progress, put_out=put_out))
    if left.differences:
        err.print(str(left), markup=False)
        raise typer.Exit(2)
    out.print("Every room is as the register says.")


@cli.command()
def status(context: typer.Context, config: ConfigOption = None) -> None:
    """Say of each room how many people are in it, how it is, and when its review is due."""
    loaded = configuration(context, config)
    register, people, lock = load_register(loaded)
    register = decided(register, loaded)
    today = datetime.datetime.now(loaded.zone).date()
    table, bad = Table("room", "class", "people", "how it is", "review", "owner"), False
    for look in asyncio.run(app.look_at_rooms(loaded)):
        entry = register.rooms[look.key]
        how = (
            "not on the server"
            if look.id is None
            else f"locked: {look.locked}"
            if look.locked
            else "; ".join(fault.what for fault in look.faults) or "as the register says"
        )
        if not entry.labelled:
            how += "; without a MoPI group nothing leaves it"
        late, owner = today >= entry.review, people.get(entry.owner)
        bad = bad or late or owner is None or bool(look.faults) or look.id is None
        table.add_row(
            look.name,
            entry.cls.value,
            f"{len(look.inside)} of {len(register.members(entry, people))}",
            escape(how),
            f"{entry.review:%d %b %Y}{' (due)' if late else ''}",
            owner.name if owner else f"{entry.owner} has left",
        )
    out.print(table)
    for key, reason in lock.retiring.items():
        said = f"{key} is being retired ({reason}), and that is not finished: say it once more."
        err.print(said, markup=False)
    if bad or lock.retiring:
        raise typer.Exit(2)


@cli.command()
def adopt(
    context: typer.Context,
    room: Annotated[str, typer.Argument(help="The room's id, such as !abc:force.example.")],
    key: Annotated[str, typer.Argument(help="Its key in rooms.yaml.")],
    config: ConfigOption = None,
) -> None:
    """Take over a room that exists already: say how it is, and put it onto the register."""
    adopted = asyncio.run(app.adopt_room(configuration(context, config), key, RoomId(room)))
    out.print(str(adopted), markup=False)
    if key not in adopted.lock.ids:
        raise UsageError(f"The room {room} was not adopted.")
    out.print(f"{key} is {room} from now on. 'bluelamp rooms apply' makes it as it should be.")
    if adopted.problems:
        raise typer.Exit(2)


@cli.command()
def retire(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The room's key in rooms.yaml.")],
    reason: Annotated[str, typer.Option(help="Why, for the record and its members.")],
    holds: Annotated[Path, typer.Option(help="Where the list of active holds is written.")],
    config: ConfigOption = None,
    by: ByOption = "",
) -> None:
    """Close a room for good, as two people say; the server deletes it if nothing is held."""
    loaded = configuration(context, config)
    if not reason.strip():
        raise UsageError("Say why: the reason is recorded, and the room's members read it.")
    register, _, _ = load_register(loaded)
    used = [one.name for one in register.rooms.values()
            if one.key != key and key in {one.secure, one.review_room}]  # fmt: skip
    if used:
        raise UsageError(f"Other rooms lead to {key}: {', '.join(used)}. Change rooms.yaml first.")
    reader = SqliteReader(loaded.ledger)
    active = [one for one in reader.holds() if one.released is None]
    reader.close()
    found = [{"hold": one.rid, "case": one.case, "reason": one.reason, "by": one.by}
             for one in active]  # fmt: skip
    holds.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    out.print(f"{len(found)} active holds are listed in {holds}.")
    order = control.Order(do="retire", room=key, by=by, account=signed_in(loaded), reason=reason)
    give_order(loaded, order)


@cli.command()
def unlock(
    context: typer.Context,
    room: Annotated[str, typer.Argument(help="The room's key in rooms.yaml.")],
    config: ConfigOption = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Let people write again in a room that the bot has locked. The bot has to run."""
    order = control.Order(do="unlock", room=room, by=who(), reason=reason)
    give_order(configuration(context, config), order)
