"""Draws docs/demo.svg from what `bluelamp demo --once` prints: a real run, nothing made up.

Never leaves in the picture where it was made: the folder and the port are replaced, and no font or
address is fetched by whoever looks at it.

    .venv/bin/python docs/make_demo_picture.py           plays the demo, then draws it
    .venv/bin/python docs/make_demo_picture.py FILE      draws what such a run printed into FILE
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
COLUMNS = 112
#: Blue on night blue: the colours of a lamp outside a station.
LAMP = TerminalTheme(
    (13, 23, 38),
    (226, 232, 240),
    [(51, 65, 85), (248, 113, 113), (134, 239, 172), (253, 224, 71),
     (96, 165, 250), (216, 180, 254), (125, 211, 252), (226, 232, 240)],
)  # fmt: skip
#: rich's own frame without its @font-face, which would fetch fonts.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" \
role="img" aria-label="What the demo prints">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def play() -> str:
    """Play the demo in a folder that is thrown away, and return what it printed, with colours."""
    with tempfile.TemporaryDirectory(prefix="bluelamp-picture-") as folder:
        done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-m", "bridge", "demo", "--once", "--dir", folder],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "NO_COLOR": "",
                 "COLUMNS": str(COLUMNS)},
        )  # fmt: skip
        return done.stdout.replace(folder, "demo")


def tidy(printed: str) -> Text:
    """Take out of *printed* what tells where it was made."""
    text = re.sub(r"/[\w./-]*?bluelamp-[\w-]+", "demo", printed)
    text = re.sub(r"http://127\.0\.0\.1:\d+", "loopback", text)
    return Text.from_ansi(text.rstrip())


def draw(said: Text) -> str:
    """Return the picture of *said*."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(said)
    picture = console.export_svg(
        title="bluelamp demo --once", theme=LAMP, code_format=FRAME, unique_id="demo"
    )
    return "".join(f"{line.rstrip()}\n" for line in picture.splitlines())


def main() -> None:
    """Draw the picture."""
    source = sys.argv[1:]
    printed = Path(source[0]).read_text(encoding="utf-8") if source else play()
    PICTURE.write_text(draw(tidy(printed)), encoding="utf-8")


if __name__ == "__main__":
    main()
