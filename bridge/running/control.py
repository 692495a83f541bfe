"""The running bot's local socket: how commands that write reach the one writer.

Never listens on a network, and never answers with anything about messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from bridge.errors import StoreError
from bridge.facts import Appraised, CaseOpened, Disposed, Erased, Held, Labelled, Released

#: Paths of sockets may not be longer than this on Linux.
_LONGEST_PATH = 107
_PATIENCE_S = 15.0
#: Closing a room puts its people out one by one.
_LONG_S = 300.0

#: What a person may have put on record.
Recordable: TypeAlias = CaseOpened | Held | Released | Disposed | Erased | Appraised | Labelled
_RECORDABLE: dict[str, type[Recordable]] = {
    form.__name__: form
    for form in (CaseOpened, Held, Released, Disposed, Erased, Appraised, Labelled)
}


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person at the command line wants of the running bot."""

    do: Literal[
        "pause", "resume", "incident-on", "incident-off", "status", "record", "checkpoint",
        "policy", "reload", "activate", "adjudicate", "unlock", "retire",
    ]  # fmt: skip
    #: None means everywhere.
    room: str | None = None
    by: str = ""
    reason: str = ""
    #: With activate: the policy's digest; with adjudicate: the record and what was found.
    about: str = ""
    decision: str = ""
    #: With activate: under which account of this machine it was said.
    account: str = ""
    #: With resume: forget what is owed instead of doing it.
    waive: bool = False
    #: With pause and incident-on: how long, ms; None: until somebody says so.
    length: int | None = None
    #: With record: what to put on record.
    said: tuple[dict[str, Any], ...] = ()

    @classmethod
    def record(cls, *facts: Recordable) -> Order:
        """Order that *facts* are recorded."""
        named = ({"fact": type(one).__name__, **msgspec.to_builtins(one)} for one in facts)
        return cls(do="record", said=tuple(named))

    @property
    def facts(self) -> tuple[Recordable, ...]:
        """What is to be recorded.

        Raises:
            msgspec.ValidationError: it is none of what may be.
        """
        return tuple(_fact(one) for one in self.said)


def _fact(said: dict[str, Any]) -> Recordable:
    form = _RECORDABLE.get(str(said.get("fact")))
    if form is None:
        raise msgspec.ValidationError("this is no fact that may be ordered")
    fields = {name: value for name, value in said.items() if name != "fact"}
    return msgspec.convert(fields, type=form)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    ok: bool
    text: str


async def listen(path: Path, obey: Callable[[Order], Awaitable[Answer]]) -> asyncio.Server:
    """Listen at *path* and have *obey* answer each order.

    Raises:
        StoreError: the path is too long for a socket.
    """
    if len(str(path)) > _LONGEST_PATH:
        raise StoreError(
            f"The folder {path.parent} has too long a name for a socket in it; choose a state "
            "folder with a shorter one."
        )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order = msgspec.json.decode(await reader.readline(), type=Order)
            answer = await obey(order)
        except msgspec.MsgspecError:
            answer = Answer(ok=False, text="this bot does not know that order")
        with contextlib.suppress(ConnectionError):
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)  # noqa: ASYNC240 - once, at start
    old = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(serve, path)
    finally:
        os.umask(old)


async def ask(path: Path, order: Order) -> Answer | None:
    """Send *order* to the bot that listens at *path*; None if none does.

    Raises:
        StoreError: it does not answer.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except (OSError, ValueError):
        return None
    try:
        writer.write(msgspec.json.encode(order) + b"\n")
        await writer.drain()
        line = await asyncio.wait_for(
            reader.readline(), _LONG_S if order.do == "retire" else _PATIENCE_S
        )
        return msgspec.json.decode(line, type=Answer)
    except (TimeoutError, OSError, msgspec.MsgspecError):
        raise StoreError(f"The bot that listens at {path} does not answer.") from None
    finally:
        writer.close()
