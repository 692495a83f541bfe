"""`bluelamp policy`: explain a verdict, measure a policy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from bridge.cli.common import ConfigOption, config_path, err, out
from bridge.config import load_config, load_policies, read_text
from bridge.detect.rules import Channel
from bridge.errors import UsageError
from bridge.model import JUDGED, Action, RoomClass
from bridge.policy import Policy
from bridge.policy.corpus import Label, read_corpus
from bridge.policy.explain import Explanation, explain
from bridge.policy.gate import gate
from bridge.policy.measure import Measurement, compare, measure

cli = typer.Typer(help="Try and measure policies.", no_args_is_help=True)

PoliciesOption = Annotated[
    Path | None,
    typer.Option("--policies", help="A folder of policies, instead of the configured one."),
]


def _load(context: typer.Context, config: Path | None, policies: Path | None) -> Policy:
    if policies is not None:
        return load_policies(policies)
    path = config_path(context, config)
    if path.exists() or config is not None or context.find_root().obj is not None:
        return load_policies(load_config(path).policies)
    return load_policies(Path("policies"))


@cli.command("explain")
def explain_text(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The words of a message; '-' reads them from input.")],
    cls: Annotated[str, typer.Option("--class", help="The class of room.")] = "social",
    config: ConfigOption = None,
    policies: PoliciesOption = None,
) -> None:
    """Say what would happen to a message and why. Nothing is kept."""
    if cls not in list(RoomClass):
        raise UsageError(f"{cls!r} is no class of room; there are: {', '.join(RoomClass)}")
    if text == "-":
        text = typer.get_text_stream("stdin").read().rstrip("\n")
    _show(explain(_load(context, config, policies), text, RoomClass(cls)))


def _show(found: Explanation) -> None:
    shown = Text(found.text)
    for one in found.seen:
        shown.stylize("bold underline", one.start, one.end)
        for start, end in one.evidence:
            shown.stylize("italic", start, end)
    out.print(shown)
    if found.seen:
        table = Table(box=None, pad_edge=False)
        for name in ("rule", "what it is", "family", "sure", "at", "from"):
            table.add_column(name, overflow="fold")
        for one in found.seen:
            place = f"{one.start} to {one.end}" + ("" if one.view == "plain" else f" ({one.view})")
            table.add_row(
                one.rule, one.title, one.family, str(one.confidence), place, Text(one.source)
            )
        out.print(table)
    verdict = found.verdict
    if found.cls not in JUDGED:
        out.print(f"Messages in {found.cls.value} rooms are recorded and not judged.")
        return
    out.print(
        f"score {found.scores[Channel.OPERATIONAL]} (nudge from {found.nudge}, move from "
        f"{found.redirect}) in a {found.cls.value} room: ",
        Text(verdict.action.name.lower(), style="bold"),
        f", because {verdict.reason}" if verdict.action else "",
        sep="",
    )
    conduct = found.scores.get(Channel.PROFESSIONAL_STANDARDS, 0)
    if conduct:
        state = "" if found.conduct else " (these rules are switched off)"
        out.print(f"professional standards: score {conduct}{state}")
    out.print(f"policy {verdict.revision[:12]}", style="dim")


@cli.command("test")
def measure_policy(
    context: typer.Context,
    corpus: Annotated[list[Path], typer.Option(help="JSONL with id, text and label; repeatable.")],
    config: ConfigOption = None,
    policies: PoliciesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(help="A folder of other policies; say what they would do otherwise."),
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option("--gate", help="Such as 'social.redirect_per_1000<=5'; exit 1 if not met."),
    ] = None,
) -> None:
    """Measure the policy on labelled messages, each judged by itself as in a social room."""
    policy = _load(context, config, policies)
    labelled = [
        one for file in corpus for one in read_corpus(read_text(file, "the corpus"), str(file))
    ]
    measured = measure(policy, labelled, clock=time.perf_counter)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(measured.as_json())).decode())
    else:
        _report(measured)
    if baseline is not None:
        before = measure(load_policies(baseline), labelled, clock=time.perf_counter)
        change = compare(before, measured)
        err.print(f"newly matched: {', '.join(change.newly_matched) or 'none'}")
        err.print(f"no longer matched: {', '.join(change.no_longer_matched) or 'none'}")
    if bounds is None:
        return
    missed = [bound for bound in gate(measured, bounds) if not bound.holds]
    for bound in missed:
        err.print(f"not met: {bound.text} (it is {bound.value:.4g})", style="red")
    if missed:
        raise typer.Exit(1)


def _report(measured: Measurement) -> None:
    table = Table(title=f"{len(measured.judged)} messages, policy {measured.revision[:12]}")
    for name in ("label", "messages", "nudged or moved", "moved"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for label in (Label.OPERATIONAL, Label.SOCIAL):
        total = len(measured.of(label))
        cells = [
            f"{count} ({count / total:.1%})" if total else "none"
            for count in (
                measured.count(label, Action.NUDGE),
                measured.count(label, Action.REDIRECT),
            )
        ]
        table.add_row(label.value, str(total), *cells)
    out.print(table)
    concern = measured.of(Label.CONCERN)
    if concern:
        referred = sum(one.referred for one in concern)
        out.print(f"of {len(concern)} messages of concern, {referred} would be looked at")
    out.print(f"{measured.messages_per_second:,.0f} messages a second")
    if measured.false_positives:
        out.print("wrongly flagged: " + ", ".join(measured.false_positives[:20]))
