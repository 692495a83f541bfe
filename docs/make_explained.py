"""Writes docs/explained.md: what `bluelamp policy explain` says of twenty messages.

Never edits what the command says. The messages are invented, and are of no corpus.

Usage: python docs/make_explained.py
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
from pathlib import Path

from bridge.cli.main import main

PAGE = Path(__file__).parent / "explained.md"
#: Each message, and what was said before it.
MESSAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("he was hiding in the loft the whole time, sister let us in", ()),
    ("AB12 CDE has just gone through the lights, two up", ()),
    ("two in the bin, third one made off over the back gardens", ()),
    ("mum won't sign anything now, she's gone back to him", ()),
    ("yes, behind the boiler", ("did you find it", "took us an hour")),
    ("yes, behind the boiler", ("has anyone seen my good mug", "the blue one")),
    ("she's changed her story again so we start from nothing", ()),
    ("quiet word: nobody goes near the yellow door until Thursday", ()),
    ("can someone sit with the lad in four till his nan gets here", ()),
    ("phone downloads are back and it's not his voice on them", ()),
    ("who has nicked my yoghurt, I want statements from everybody", ()),
    ("suspect last seen heading for the biscuit tin, male, large, crumbs on vest", ()),
    ("anyone swap my Sunday late for a Tuesday early?", ()),
    ("happy birthday sarge, forty and still can't park", ()),
    ("new episode tonight, no spoilers, I think the DCI did it", ()),
    ("training day moved to the 14th, bring boots", ()),
    ("my brother's selling his Golf, MOT till June, message me", ()),
    ("can't stop thinking about that baby. haven't slept since", ()),
    ("typical diversity hire, won't last the winter", ()),
    ("that joke about the new girl was not on, and I said so to his face", ()),
)
_HEAD = """# Twenty messages explained

What `bluelamp policy explain` says of twenty invented messages, with the policies and the language
model that ship. Made by `python docs/make_explained.py`; nothing of it is edited. Some verdicts are
wrong, and that is why they stand here: a social message with a nudge, or talk about a job without
one, is what a policy officer looks for before a policy is made active.

How to read it: `^` stands under what a rule saw. A belief is a probability from 0 to 1; the
probabilities in brackets are those from which something follows in a social room. *Words that
mattered*: by how much the log-odds fall when the word is left out. *Reads like*: the labelled
messages of the corpus that are nearest to it.
"""


def explained(text: str, before: tuple[str, ...]) -> str:
    """Give what the command prints about one message."""
    printed = io.StringIO()
    words = [text, *(part for one in before for part in ("--before", one))]
    with contextlib.redirect_stdout(printed):
        code = main(["policy", "explain", *words])
    if code:
        raise SystemExit(f"'bluelamp policy explain' ended with {code}: {text}")
    typed = shlex.join(["bluelamp", "policy", "explain", *words])
    lines = [line.rstrip() for line in printed.getvalue().rstrip().split("\n")]
    return "\n".join(["```", f"$ {typed}", *lines, "```"])


def page() -> str:
    """Give the whole page."""
    parts = [
        f"## {number}. {text}\n\n{explained(text, before)}\n"
        for number, (text, before) in enumerate(MESSAGES, start=1)
    ]
    return "\n".join([_HEAD, *parts])


if __name__ == "__main__":
    os.environ["COLUMNS"] = "132"  # so that tables are not folded
    PAGE.write_text(page(), encoding="utf-8")
