"""`bluelamp policy`: explain a verdict, measure a policy."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from bridge.cli.common import ConfigOption, config_path, err, out, watching
from bridge.cli.meaning import ModelOption, chosen, show_belief
from bridge.config import load_config, load_policies, read_text
from bridge.detect.rules import Channel, Mode
from bridge.errors import UsageError
from bridge.model import JUDGED, Action, RoomClass
from bridge.policy import Policy
from bridge.policy.corpus import Label, read_corpus
from bridge.policy.explain import Explanation, explain
from bridge.policy.gate import check_gate, gate
from bridge.policy.measure import Measurement, compare, measure, wilson
from bridge.running.drafts import find_policies
from bridge.understand.model import Asked
from bridge.way.understood import asking

cli = typer.Typer(help="Try and measure policies.", no_args_is_help=True)

PoliciesOption = Annotated[
    Path | None,
    typer.Option("--policies", help="A folder of policies, instead of the configured one."),
]


def _load(context: typer.Context, config: Path | None, policies: Path | None) -> Policy:
    if policies is not None:
        return load_policies(policies, warn=_doubt)
    path = config_path(context, config)
    if path.exists() or config is not None or context.find_root().obj is not None:
        return load_policies(load_config(path).policies, warn=_doubt)
    return load_policies(Path("policies"), warn=_doubt)


def _doubt(words: str) -> None:
    """Show what loads and may be meant otherwise."""
    err.print(words, markup=False, style="yellow")


def _other(context: typer.Context, config: Path | None, named: str) -> Policy:
    """The policy that a folder has, or of which the bot keeps a copy under that digest."""
    if Path(named).is_dir():
        return load_policies(Path(named))
    return find_policies(load_config(config_path(context, config)), named)


@cli.command("explain")
def explain_text(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The words of a message; '-' reads them from input.")],
    cls: Annotated[str, typer.Option("--class", help="The class of room.")] = "social",
    before: Annotated[
        list[str] | None,
        typer.Option(help="What was said in the room before it; repeatable, oldest first."),
    ] = None,
    config: ConfigOption = None,
    policies: PoliciesOption = None,
    model: ModelOption = None,
) -> None:
    """Say what would happen to a message and why. Nothing is kept."""
    if cls not in list(RoomClass):
        raise UsageError(f"{cls!r} is no class of room; there are: {', '.join(RoomClass)}")
    if text == "-":
        stream = typer.get_text_stream("stdin", encoding="utf-8", errors="replace")
        text = stream.read().rstrip("\n")
    choice = chosen(context, config, model)
    policy = choice.beside(_load(context, config, policies))
    asked = Asked(text, tuple(before or ()))
    belief = choice.model.judge([asked])[0] if choice.model and policy.speaking else None
    found = explain(policy, text, RoomClass(cls), belief if belief and belief.read else None)
    _show(found)
    if choice.model is not None and belief is not None:
        show_belief(choice.model, asked, belief, found)
    if found.cls in JUDGED:
        out.print(f"policy {found.verdict.revision[:12]}", style="dim")


def _show(found: Explanation) -> None:
    shown = Text(found.text)
    for one in found.seen:
        shown.stylize("bold underline", one.start, one.end)
        for start, end in one.evidence:
            shown.stylize("italic", start, end)
    if found.seen and not out.is_terminal:
        _underline(found)
    else:
        out.print(shown)
    if found.seen:
        table = Table(box=None, pad_edge=False)
        for name in ("rule", "what it is", "family", "sure", "at", "from"):
            table.add_column(name, overflow="fold")
        for one in found.seen:
            place = f"{one.start} to {one.end}" + ("" if one.view == "plain" else f" ({one.view})")
            mode = "" if one.mode is Mode.ENFORCE else f" ({one.mode})"
            near = ", ".join(f"{start} to {end}" for start, end in one.evidence)
            place += f", with {near}" if near else ""
            table.add_row(
                f"{one.rule}{mode}",
                one.title,
                one.family,
                str(one.confidence),
                place,
                Text(one.source),
            )
        out.print(table)
        families = found.families[Channel.OPERATIONAL]
        if len(families) > 1:
            out.print("together: " + ", ".join(f"{n} {score}" for n, score in families.items()))
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
    if verdict.referrals:
        out.print(f"people look: {', '.join(sorted(verdict.referrals))}")
    if found.scores.get(Channel.SUPPORT):
        out.print("somebody may be in distress: never moved; peer support is offered privately")


def _underline(found: Explanation) -> None:
    """Mark what was seen (^) and what made it surer (~) where there is no terminal to do so."""
    marks = [" "] * len(found.text)
    for one in found.seen:
        for start, end in one.evidence:
            marks[start:end] = ["~" if mark == " " else mark for mark in marks[start:end]]
    for one in found.seen:
        marks[one.start : one.end] = "^" * (min(one.end, len(marks)) - one.start)
    at = 0
    for line in found.text.split("\n"):
        below = "".join(marks[at : at + len(line)]).rstrip()
        out.print(f"{line}\n{below}" if below else line, markup=False)
        at += len(line) + 1


@cli.command("test")
def measure_policy(
    context: typer.Context,
    corpus: Annotated[list[Path], typer.Option(help="JSONL with id, text and label; repeatable.")],
    config: ConfigOption = None,
    policies: PoliciesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    baseline: Annotated[
        str | None,
        typer.Option(help="Another policy, a folder or a digest; say what it does otherwise."),
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option("--gate", help="Such as 'social.redirect_per_1000<=5'; exit 1 if not met."),
    ] = None,
    model: ModelOption = None,
    with_before: Annotated[
        bool,
        typer.Option("--context", help="Tell the language model what was said before each, too."),
    ] = False,
) -> None:
    """Measure the policy on labelled messages, each judged by itself as in a social room."""
    if bounds is not None:
        check_gate(bounds)
    choice = chosen(context, config, model)
    policy = choice.beside(_load(context, config, policies))
    labelled = [
        one if with_before else dataclasses.replace(one, before=())
        for file in corpus
        for one in read_corpus(read_text(file, "the corpus"), str(file))
    ]
    with watching("asking the language model") as progress:
        ask = asking(choice.model, progress) if choice.model and policy.speaking else None
        measured = measure(policy, labelled, clock=time.perf_counter, ask=ask)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(measured.as_json())).decode())
    else:
        _report(measured)
    if baseline is not None:
        other = choice.beside(_other(context, config, baseline))
        before = measure(other, labelled, clock=time.perf_counter, ask=ask)
        change = compare(before, measured)
        err.print(f"newly matched: {', '.join(change.newly_matched) or 'none'}")
        err.print(f"no longer matched: {', '.join(change.no_longer_matched) or 'none'}")
        for name, was, now in change.other_action:
            err.print(f"{name}: {was.name.lower()} before, {now.name.lower()} now", markup=False)
    if bounds is None:
        return
    missed = [bound for bound in gate(measured, bounds) if not bound.holds]
    for bound in missed:
        err.print(f"not met: {bound.text} (it is {bound.value:.4g})", style="red")
    if missed:
        raise typer.Exit(1)


def _share(count: int, total: int) -> str:
    """A count, and what it is per 1,000, with the Wilson interval of 95 %."""
    if not total:
        return "none"
    low, high = (1000 * bound for bound in wilson(count, total))
    return f"{count}: {1000 * count / total:.1f} ({low:.1f} to {high:.1f})"


def _by_rule(measured: Measurement) -> None:
    table = Table(title="messages in which each rule saw something")
    for name in ("rule", *(label.value for label in Label)):
        table.add_column(name, justify="left" if name == "rule" else "right", overflow="fold")
    for rule, count in sorted(measured.by_rule.items()):
        table.add_row(rule, str(count.social), str(count.operational), str(count.concern))
    if measured.by_rule:
        out.print(table)


def _report(measured: Measurement) -> None:
    table = Table(title=f"{len(measured.judged)} messages, policy {measured.revision[:12]}")
    for name in ("label", "of", "nudged or moved, ‰ (95 %)", "moved, ‰ (95 %)"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for label in (Label.OPERATIONAL, Label.SOCIAL):
        total = len(measured.of(label))
        cells = [
            _share(measured.count(label, least), total) for least in (Action.NUDGE, Action.REDIRECT)
        ]
        table.add_row(label.value, str(total), *cells)
    out.print(table)
    _by_rule(measured)
    concern = measured.of(Label.CONCERN)
    if concern:
        referred = sum(one.referred for one in concern)
        alone = sum(one.doubted for one in concern)
        said = f"; the language model finds {alone} so" if measured.model else ""
        out.print(f"of {len(concern)} messages of concern, {referred} would be looked at{said}")
    if measured.model:
        out.print(f"with the language model {measured.model[:12]}, asked about {measured.asked}")
    out.print(f"{measured.messages_per_second:,.0f} messages a second")
    if measured.false_positives:
        out.print("wrongly flagged: " + ", ".join(measured.false_positives[:20]))
