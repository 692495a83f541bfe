"""The witness on HTTP: add-checkpoint for logs, the newest checkpoint for whoever monitors them.

Never says more in a refusal than which rule was not met.
https://c2sp.org/tlog-witness
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from bridge.errors import ConfigError
from bridge.witness.folder import hashed
from bridge.witness.judge import ELSEWHERE, INCONSISTENT, Judge, Refused
from bridge.witness.wire import LONGEST, SIZE_TYPE

log = structlog.get_logger(__name__)

#: A request that takes longer to arrive is given up.
_PATIENCE_S = 15.0


@contextlib.asynccontextmanager
async def listening(judge: Judge, host: str, port: int) -> AsyncIterator[str]:
    """Answer at *host*:*port* (0 for a free one); yields the address.

    Raises:
        ConfigError: the port cannot be used.
    """
    runner = web.AppRunner(application(judge), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as exc:
            why = f"cannot listen here: {exc.strerror or exc}"
            raise ConfigError(f"{host}:{port}", None, why) from None
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{shown}:{bound[1]}"
    finally:
        await runner.cleanup()


def stopped() -> asyncio.Event:
    """What SIGINT or SIGTERM sets, from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def application(judge: Judge) -> web.Application:
    """Put the two addresses of a witness together."""

    async def add(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                body = await request.read()
        except TimeoutError:
            return web.Response(status=408)
        try:
            return web.Response(text=await asyncio.to_thread(judge.add, body))
        except Refused as refused:
            return _refusal(refused)

    async def newest(request: web.Request) -> web.Response:
        asked = request.match_info["hash"]
        found = (note for origin, note in judge.notes().items() if hashed(origin) == asked)
        note = next(found, None)
        return web.Response(text=note) if note is not None else web.Response(status=404)

    app = web.Application(client_max_size=LONGEST)
    app.router.add_post("/add-checkpoint", add)
    app.router.add_get("/{hash:[0-9a-f]{64}}/checkpoint", newest)
    return app


def _refusal(refused: Refused) -> web.Response:
    if refused.status in {ELSEWHERE, INCONSISTENT}:  # signed by the log: it may be misbehaviour
        log.warning("checkpoint.refused", status=refused.status, why=str(refused))
    if refused.size is None:
        return web.Response(status=refused.status, text=f"{refused}\n")
    body = f"{refused.size}\n".encode()
    return web.Response(status=refused.status, body=body, content_type=SIZE_TYPE)
