"""JSON that is nested deeper, or has longer numbers, than Python's reader takes.

Never lets one event's depth cost what came with it: whatever lies too deep is cut out, with a note
in its place, and the rest is read. A member chooses how deep their content is nested; other
people's clients show it all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

#: What is nested deeper than this is cut out, once something was too deep. Events of real clients
#: stay below ten.
_DEEPEST = 50
_DIGITS = 4_000
CUT = "[nested too deep]"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def read_json(raw: bytes | str, refuse: Callable[[str], Any] | None = None) -> Any:
    """Read JSON, however deep; *refuse* is called for constants that are no JSON, such as NaN.

    Numbers of thousands of digits, which Python refuses to read, become infinite as in browsers.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(raw, parse_constant=refuse)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except (RecursionError, ValueError):
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "surrogatepass")
        return json.loads(_shallow(text), parse_constant=refuse, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def cut(value: Any, left: int = _DEEPEST) -> Any:
    """Return *value* without what is nested too deep in it."""
    if isinstance(value, dict):
        return {name: cut(inner, left - 1) for name, inner in value.items()} if left else CUT
    if isinstance(value, list):
        return [cut(inner, left - 1) for inner in value] if left else CUT
    return value


def _shallow(text: str) -> str:
    """Cut out of JSON in *text* what is nested too deep, without reading it."""
    kept: list[str] = []
    depth = begin = 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
            if depth == _DEEPEST + 1:
                kept += (text[begin : token.start()], json.dumps(CUT))
        elif sign in "]}":
            if depth == _DEEPEST + 1:
                begin = token.end()
            depth -= 1
    kept.append(text[begin:] if depth <= _DEEPEST else "")
    return "".join(kept)
