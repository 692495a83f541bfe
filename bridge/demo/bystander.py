"""A witness for the demo: it remembers how far the ledger had come.

Never an example of where to put one: it runs on the machine of the bot that it is to watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

from bridge.config import load_config, load_identity, load_policies
from bridge.demo.force import SERVER, Force
from bridge.errors import BridgeError
from bridge.witness.folder import Folder
from bridge.witness.judge import Judge
from bridge.witness.server import listening

NAME = f"witness.{SERVER}/w1"


@contextlib.contextmanager
def witnessed(force: Force) -> Iterator[str]:
    """Start a witness of the force's ledger, and name it in the configuration; its address.

    Raises:
        BridgeError: it cannot listen.
    """
    config = load_config(force.config)
    log = load_identity(config, load_policies(config.policies, clock=None)).verifier
    folder = Folder(force.folder / "witness")
    judge = Judge(NAME, folder.key(NAME), [log], folder, time.time)
    stop = threading.Event()
    answers: SimpleQueue[str | BridgeError] = SimpleQueue()
    # A loop of its own, as it must answer while the demo waits for the bot to end.
    thread = threading.Thread(target=lambda: asyncio.run(_answer(judge, answers, stop)))
    thread.start()
    try:
        url = answers.get()
        if isinstance(url, BridgeError):
            raise url
        with force.config.open("a", encoding="utf-8") as file:
            file.write(f"witnesses:\n  - url: {url}\n    key: {judge.cosigner}\n")
        yield url
    finally:
        stop.set()
        thread.join()
        folder.close()


async def _answer(
    judge: Judge, answers: SimpleQueue[str | BridgeError], stop: threading.Event
) -> None:
    try:
        async with listening(judge, "127.0.0.1", 0) as url:
            answers.put(url)
            await asyncio.to_thread(stop.wait)
    except BridgeError as exc:
        answers.put(exc)
