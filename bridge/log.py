"""One line of JSON for each event, on standard error; words for people on a terminal.

Never logs the words of a message: there is no field for them, and a processor drops those that
would hold them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

#: Names under which a body would travel if somebody forgot themselves.
_FORBIDDEN = frozenset({"body", "formatted", "formatted_body", "content", "text", "message"})


def _drop_words(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _FORBIDDEN & event.keys():
        event[name] = "(not logged)"
    return event


class _Lines:
    """Writes lines to standard error, as it is at that moment."""

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    log = debug = info = warning = error = critical = exception = failure = fatal = msg


def configure(level: str = "info") -> None:
    """Set logging up for this process; libraries are heard from warnings on."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    # nio says things about messages that nobody needs.
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _drop_words,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )
