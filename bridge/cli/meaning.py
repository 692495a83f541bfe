"""What commands share that ask the language model: which one, and what it says of a message."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bridge.cli.common import config_path, err, out
from bridge.config import load_config
from bridge.errors import UsageError
from bridge.policy.explain import Explanation
from bridge.understand.model import Asked, Belief, Model
from bridge.understand.shipped import SHIPPED
from bridge.understand.why import context_weight, words_that_mattered
from bridge.way.understood import Chosen, choose

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="'off', or a folder with a language model, instead of the configured one.",
        show_default=False,
    ),
]


def chosen(context: typer.Context, config: Path | None, named: str | None) -> Chosen:
    """Load the model that is *named*, or the configured one; say it if it cannot be used.

    Raises:
        UsageError: it was named, and cannot be used.
    """
    found = choose(_folder(context, config, named))
    if found.refused and named is not None:
        raise UsageError(found.refused)
    if found.refused:
        err.print(f"Without the language model: {found.refused}", style="yellow", markup=False)
    return found


def _folder(context: typer.Context, config: Path | None, named: str | None) -> Path | None:
    if named is not None:
        return None if named == "off" else Path(named)
    path = config_path(context, config)
    if path.exists() or config is not None or context.find_root().obj is not None:
        return load_config(path).model
    return SHIPPED


def show_belief(model: Model, asked: Asked, belief: Belief, found: Explanation) -> None:
    """Print what the model believes, what that may lead to, and why it believes it."""
    here = found.here
    if here is None:
        return
    if not belief.read:
        out.print("the language model cannot read it: too few words that it knows")
        return
    terms = here.terms
    named = (
        ("nudge", terms.nudge),
        ("nudge what may have an identifier", terms.nudge_with_identifier),
        ("move with a second ground", terms.move_with_hint),
        ("move what may have an identifier", terms.move_with_identifier),
        ("move what a rule nudges", terms.move_nudged),
        ("move", terms.move),
    )
    back = (
        ("only ask about what rules are not sure to move", terms.only_ask),
        ("let be what rules would ask about", terms.let_be),
    )
    steps = [f"{name} from {step:.3g}" for name, step in named if step is not None]
    steps += [f"{name} below {step:.3g}" for name, step in back if step is not None]
    mode = "" if here.rule.mode == "enforce" else f", {here.rule.mode}"
    out.print(
        f"the language model ({model.name} {model.digest[:12]}{mode}) believes: operational "
        f"{belief.operational:.3f}, of concern {belief.concern:.3f}"
    )
    out.print(f"what follows here: {'; '.join(steps)}")
    if not found.asked:
        out.print("it is not asked about this message: the rules have settled it")
    words = words_that_mattered(model, asked)
    if words:
        said = ", ".join(f"{asked.body[one.start : one.end]} {one.weight:+.1f}" for one in words)
        out.print(Text(f"words that mattered: {said}"))
    if asked.before:
        out.print(f"for what was said before: {context_weight(model, asked):+.1f}")
    for like in model.likest(belief):
        example = like.example
        out.print(Text(f"reads like ({example.label}, {like.nearness:.2f}): {example.text}"))
