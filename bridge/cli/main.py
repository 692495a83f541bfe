"""`bluelamp`: the verbs that stand alone, and the groups of the others."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bridge import __version__, log
from bridge.cli import (
    brake,
    console,
    demo,
    destroy,
    device,
    disclose,
    doctor,
    keys,
    learn,
    ledger,
    notices,
    people,
    policing,
    policy,
    reading,
    replay,
    retention,
    review,
    rooms,
    safekeeping,
    witness,
)
from bridge.cli.common import ConfigOption, config_path, configuration, err, out
from bridge.config import (
    Config,
    load_certificates,
    load_config,
    load_policies,
    load_register,
    load_reviewers,
    load_standards,
)
from bridge.detect.rules import Marking
from bridge.errors import BridgeError, UsageError
from bridge.model import JUDGED, Ms, RoomClass
from bridge.officers.bench import outsiders
from bridge.policy import Policy
from bridge.register import People, Register
from bridge.running import app, control, drafts
from bridge.running.coverage import Coverage
from bridge.secret import read_secret
from bridge.store.reader import SqliteReader
from bridge.verify import Unsound
from bridge.way.understood import choose

cli = typer.Typer(
    help="Blue Lamp keeps operational talk in the rooms that are built for it, and proves it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
keys.cli.command("destroy")(destroy.destroy)
keys.cli.command("order-erase")(destroy.order_erase)
ledger.cli.command("prove")(disclose.prove)
ledger.cli.command("verify-pack")(disclose.verify_pack)
ledger.cli.command("open")(reading.open_records)
ledger.cli.command("request")(reading.request_records)
ledger.cli.command("release")(reading.release_records)
ledger.cli.command("unexamined")(reading.unexamined)
ledger.cli.command("examine")(reading.examine)
ledger.cli.command("recover")(safekeeping.recover)
policy.cli.command("status")(policing.status)
policy.cli.command("reload")(policing.reload)
policy.cli.command("activate")(policing.activate)
policy.cli.command("adjudicate")(policing.adjudicate)
policy.cli.command("replay")(replay.replay)
policy.cli.command("learn")(learn.learn)
cli.add_typer(policy.cli, name="policy")
cli.add_typer(rooms.cli, name="rooms")
cli.add_typer(people.cli, name="people")
cli.add_typer(notices.cli, name="notices")
cli.add_typer(ledger.cli, name="ledger")
cli.add_typer(keys.cli, name="keys")
cli.add_typer(device.cli, name="device")
cli.add_typer(retention.cases, name="case")
cli.add_typer(retention.holds, name="hold")
cli.add_typer(retention.cli, name="retention")
cli.add_typer(review.cli, name="review")
cli.command("erase")(retention.erase)
cli.command("pause")(brake.pause)
cli.command("resume")(brake.resume)
cli.add_typer(brake.cli, name="incident")
cli.add_typer(safekeeping.cli, name="backup")
cli.command("witness")(witness.witness)
cli.command("doctor")(doctor.doctor)
cli.command("console")(console.console)
cli.add_typer(console.cli, name="auditor")
cli.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"bluelamp {__version__}")
        raise typer.Exit


@cli.callback()
def before(
    context: typer.Context,
    config: ConfigOption = None,
    _: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_version)
    ] = False,
) -> None:
    """Remember the configuration that is named before the verb."""
    context.obj = config


@cli.command()
def run(
    context: typer.Context,
    config: ConfigOption = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Judge and record, but send and remove nothing.")
    ] = False,
) -> None:
    """Run the bot until it is stopped with Ctrl-C or SIGTERM."""
    log.configure()
    loaded = configuration(context, config)
    if rehearse:
        loaded = dataclasses.replace(loaded, rehearse=True)
    asyncio.run(app.run(loaded))


@cli.command()
def check(context: typer.Context, config: ConfigOption = None) -> None:
    """Check all that a force writes: config, people, rooms, policies. Exit 2 if one is in doubt."""
    path = config_path(context, config)
    loaded = load_config(path)
    out.print(f"{path}: good")
    doubts: list[str] = []
    policies = load_policies(loaded.policies, warn=doubts.append)
    out.print(
        f"{loaded.policies}: good; {len(policies.rules)} rules, revision {policies.revision[:12]}"
    )
    if drafts.is_draft(loaded):
        doubts.append(
            f"{loaded.policies}: not active yet, so that the bot does not start: two policy "
            f"officers have to say 'bluelamp policy activate {policies.revision[:12]}'"
        )
    register, people, lock = load_register(loaded, strict=True)
    out.print(f"{loaded.people}: good; {len(people.persons)} people")
    doubts += _above_their_class(register, policies)
    made = len(register.resolve(lock))
    out.print(f"{loaded.rooms}: good; {len(register.rooms)} rooms, {made} made on the server")
    secret = loaded.token_file or loaded.password_file
    if secret is not None:
        read_secret(secret, "the bot's token or password")
        out.print(f"{secret}: good; only you may read it")
    certificates = load_certificates(loaded)
    for name in sorted(policies.retention):
        certificates.recipients(name, app.now())
    out.print(f"custodians: good; {' and '.join(certificates.custodians)}")
    reviewers = load_reviewers(loaded)
    if reviewers is not None:
        for name in sorted(policies.retention):
            reviewers.recipients(name, app.now())
        out.print(f"reviewers: good; {' and '.join(reviewers.custodians)}")
    doubts += _reports(loaded, people, policies)
    doubts += _undecided(register, people)
    doubts += _unheard(register)
    chosen = choose(loaded.model)
    if chosen.model is not None:
        out.print(f"{loaded.model}: good; {chosen.model.name} {chosen.model.digest[:12]}")
    elif chosen.refused:
        doubts.append(f"the language model is not used: {chosen.refused}; rules go on without it")
    for doubt in doubts:
        err.print(doubt, markup=False, style="yellow")
    if doubts:
        raise typer.Exit(2)


def _reports(config: Config, people: People, policy: Policy) -> list[str]:
    """Check that reports can be sealed and that somebody hears of them; say if nobody does."""
    standards = load_standards(config)
    if config.standards is None or standards is None:
        return []
    standards.recipients(policy.classes[RoomClass.REVIEW].retention, app.now())
    out.print(f"professional standards: good; reports go to {config.standards.team}", markup=False)
    if any("professional-standards" in one.roles for one in people.persons.values()):
        return []
    return [
        f"{config.people}: nobody has the role professional-standards, so nobody would hear of a "
        "report, and none is taken"
    ]


def _undecided(register: Register, people: People) -> list[str]:
    """Name the judged rooms about which no reviewer could decide an appeal."""
    return [
        f"{register.source}:{entry.line}: nobody could decide an appeal about {entry.name} in "
        f"working hours: {people.source} has no reviewer outside {entry.team or 'the room'}"
        for entry in register.rooms.values()
        if entry.cls in JUDGED and not outsiders(entry.team, people)
    ]


def _unheard(register: Register) -> list[str]:
    """Say so where there is no room in which people are asked."""
    if any(entry.cls is RoomClass.REVIEW for entry in register.rooms.values()):
        return []
    return [
        f"{register.source}: there is no room of class review, so nobody hears what the bot asks, "
        "or that it has locked a room; it is on record only"
    ]


def _above_their_class(register: Register, policy: Policy) -> list[str]:
    """Name the judged rooms in which more may be said than their class is meant for."""
    return [
        f"{register.source}:{entry.line}: {entry.name} may hold what is marked "
        f"{entry.ceiling}: its class {entry.cls} may not, and the room's ceiling counts"
        for entry in register.rooms.values()
        if entry.cls in JUDGED and Marking.of(entry.ceiling) > policy.classes[entry.cls].ceiling
    ]


@cli.command()
def status(context: typer.Context, config: ConfigOption = None) -> None:
    """Say how the bot is doing. Exit 0 if it runs, 2 if not."""
    loaded = configuration(context, config)
    answer = asyncio.run(control.ask(loaded.socket, control.Order(do="status")))
    if answer is not None:
        out.print(answer.text)
        return
    size = (
        f"{SqliteReader(loaded.ledger).size()} records" if loaded.ledger.exists() else "no ledger"
    )
    out.print(f"The bot is not running. There is {size}." if size == "no ledger" else
              f"The bot is not running. Its ledger has {size}.")  # fmt: skip
    raise typer.Exit(2)


@cli.command()
def coverage(
    context: typer.Context,
    config: ConfigOption = None,
    since: Annotated[
        str | None, typer.Option("--from", help="A day such as 2026-11-22; default: yesterday.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold the record against the server. Exit 0 all there · 1 missed some · 2 some unreadable."""
    loaded = configuration(context, config)
    found = asyncio.run(app.compare_coverage(loaded, _day(since, loaded)))
    if as_json:
        shown = {
            "served": found.served,
            "missed": found.missed,
            "unreadable": found.unreadable,
            "days": [{**dataclasses.asdict(day), "day": str(day.day)} for day in found.days],
            "closed": found.closed,
        }
        typer.echo(json.dumps(shown, indent=2))
    else:
        _show_coverage(found)
    if found.missed or found.closed:
        raise typer.Exit(1)
    if found.unreadable:
        raise typer.Exit(2)


def _day(text: str | None, config: Config) -> Ms:
    try:
        day = (
            datetime.date.fromisoformat(text)
            if text
            else datetime.datetime.now(config.zone).date() - datetime.timedelta(days=1)
        )
    except ValueError:
        raise UsageError(f"{text!r} is not a day such as 2026-11-22.") from None
    at = datetime.datetime.combine(day, datetime.time(), config.zone)
    return Ms(int(at.timestamp() * 1000))


def _show_coverage(found: Coverage) -> None:
    table = Table(title="What the server has, and what is on record")
    for name in ("room", "day", "events", "readable", "unreadable", "missed"):
        table.add_column(name, justify="left" if name in {"room", "day"} else "right")
    for day in found.days:
        counts = (day.served, day.readable, day.unreadable, len(day.missed))
        table.add_row(day.room, str(day.day), *(str(count) for count in counts))
    out.print(table)
    out.print(f"missed {found.missed} of {found.served}; {found.unreadable} could not be read")
    for day in found.days:
        for event in day.missed[:20]:
            err.print(f"missed in {day.room} on {day.day}: {event}", style="red")
    for room, why in found.closed.items():
        err.print(f"could not look into {room}: {why}", style="red")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        answer = cli(args=arguments, prog_name="bluelamp", standalone_mode=False)
    except typer.TyperException as exc:
        if type(exc).__name__ == "NoArgsIsHelpError":
            out.print(exc.format_message(), markup=False)
            return 0
        err.print(f"{exc.format_message()} (see 'bluelamp --help')", markup=False)
        return UsageError.exit_code
    except typer.Abort:
        err.print("Stopped.")
        return 130
    except (BridgeError, Unsound) as exc:
        err.print(str(exc), markup=False, style="red")
        return exc.exit_code
    except KeyboardInterrupt:
        err.print("Stopped.")
        return 130
    except Exception as exc:
        # Where, and what kind: the words of an unforeseen error may be a message's.
        place = traceback.extract_tb(exc.__traceback__)[-1]
        where = f"{place.name} ({Path(place.filename).name}:{place.lineno})"
        err.print(
            f"A fault in Blue Lamp: {type(exc).__name__} in {where}. Nothing on record is lost; "
            "start again, and report this line.",
            markup=False,
            style="red",
        )
        return 4
    return answer if isinstance(answer, int) else 0


if __name__ == "__main__":
    sys.exit(main())
