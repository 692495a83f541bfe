"""`bluelamp notices`: who has been shown what is kept in their rooms, and who has not."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
import typer

from bridge.cli.common import ConfigOption, configuration, out
from bridge.config import Config, load_register
from bridge.errors import UsageError
from bridge.records.notices import Room, Standing, standings
from bridge.rooms.board import Board
from bridge.running import drafts
from bridge.store.reader import told_in

cli = typer.Typer(
    help="What people are told of their rooms, and who has acknowledged it.", no_args_is_help=True
)


@cli.callback()
def notices() -> None:
    """Make `status` a word of its own."""


@cli.command()
def status(
    context: typer.Context,
    config: ConfigOption = None,
    room: Annotated[str, typer.Option(help="Only this room: its key in rooms.yaml.")] = "",
    person: Annotated[str, typer.Option(help="Only this person: name, collar or id.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Say who has been shown which card, who has not, and who has acknowledged it.

    Exit code 1 where somebody has not been shown what holds, 2 where somebody who was has not
    acknowledged it.
    """
    loaded = configuration(context, config)
    rooms = _wanted(loaded, room, person)
    if as_json:
        out.print_json(msgspec.json.encode(rooms).decode())
    else:
        for one in rooms:
            for line in _lines(one, loaded):
                out.print(line, markup=False)
        out.print(_total(rooms), markup=False)
    if any(one.unshown for one in rooms):
        raise typer.Exit(1)
    if any(one.silent for one in rooms):
        raise typer.Exit(2)


def _wanted(config: Config, room: str, person: str) -> list[Room]:
    register, people, lock = load_register(config)
    if room and room not in register.rooms:
        raise UsageError(f"There is no room {room!r} in {config.rooms}.")
    carded = {cls for cls, here in drafts.deciding(config).classes.items() if here.card}
    if room and register.rooms[room].cls not in carded:
        raise UsageError(f"No card hangs in rooms of the class {register.rooms[room].cls.value}.")
    today = datetime.datetime.now(config.zone).date()
    board = Board.of(told_in(config.ledger))
    found = [
        one for one in standings(register, people, lock, board, carded, today)
        if room in {"", one.key}
    ]  # fmt: skip
    if not person:
        return found
    ids = {one.id for one in people.persons.values() if person in {one.name, one.collar, one.id}}
    ids |= {each.user for one in found for each in one.people if each.user == person}
    if not ids:
        raise UsageError(f"Nobody is called {person!r} in {config.people}, or is a guest.")
    theirs = [
        replace(one, people=tuple(each for each in one.people if each.user in ids))
        for one in found
    ]  # fmt: skip
    return [one for one in theirs if one.people]


def _lines(room: Room, config: Config) -> list[str]:
    if room.since is None:
        return [f"{room.name}: no card hangs yet; {len(room.people)} people belong there."]
    since = datetime.datetime.fromtimestamp(room.since / 1000, config.zone)
    said = sum(one.acknowledged is not None for one in room.people)
    lines = [
        f"{room.name}: card {room.card[:12]} since {since:%d %b %Y %H:%M}, policy "
        f"{room.revision[:12]}. {len(room.people) - len(room.unshown)} of {len(room.people)} "
        f"were shown it, {said} acknowledged it."
    ]  # fmt: skip
    lines += _named("not shown", room.unshown)
    lines += _named("not acknowledged", room.silent)
    return lines


def _named(what: str, people: Sequence[Standing]) -> list[str]:
    names = [
        f"{one.name} (shown an earlier one)" if one.earlier else one.name for one in people
    ]  # fmt: skip
    return [f"  {what}: {', '.join(names)}"] if names else []


def _total(rooms: Sequence[Room]) -> str:
    if not rooms:
        return "No room has a card: 'card: pinned' in classes.yaml hangs one."
    unshown = {each.user for one in rooms for each in one.unshown}
    silent = {each.user for one in rooms for each in one.silent}
    if not unshown and not silent:
        return "Everybody was shown what holds in their rooms, and has acknowledged it."
    if not unshown:
        return f"Everybody was shown what holds; {_count(silent)} not acknowledged all of it."
    return (
        f"{_count(unshown)} not been shown all of what holds: they have not come into the room, "
        "or into their direct room with the bot, or the bot is not running."
    )


def _count(people: Collection[str]) -> str:
    return f"{len(people)} {'person has' if len(people) == 1 else 'people have'}"
