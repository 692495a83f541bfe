"""How what runs for ever ends: by a signal, or because a part of it cannot go on.

Never leaves a task behind, and never lets asyncio print what one of them raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel *tasks* until they have ended; what they raise is for whoever asked for it.

    Once is not enough: a cancellation that meets a request's timeout comes out as the timeout.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=1.0)
        for task in done:
            if not task.cancelled():
                task.exception()  # or asyncio would tell the log of it, words and all


async def until_stopped(*duties: object) -> None:
    """Run *duties* until one fails (raise its error) or a signal asks us to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.ensure_future(duty) for duty in duties]  # type: ignore[call-overload]
    stopped = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            task.result()
    finally:
        await end(stopped, *tasks)
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)
