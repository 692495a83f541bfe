"""Where the homeserver's gate knocks: HTTP on a Unix socket, or on a port with mutual TLS.

Never answers with a word of a message, and never lets anybody in who shows no certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web

from bridge.errors import ConfigError
from bridge.running.door import Door

log = structlog.get_logger(__name__)

#: An event has 64 KiB at most.
_MOST_BYTES = 256 * 1024

#: Given what the gate asks, says what to do: `pass` or `stop`.
Answer = Callable[[Mapping[str, Any]], Awaitable[str]]


@contextlib.asynccontextmanager
async def opened(door: Door, answers: Mapping[str, Answer]) -> AsyncIterator[None]:
    """Listen at *door* while the context lasts; *answers* are by the name of the question.

    Raises:
        ConfigError: it is not possible to listen there.
    """
    app = web.Application(client_max_size=_MOST_BYTES)
    for name, answer in answers.items():
        app.router.add_post(f"/{name}", _asked(answer))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await _site(runner, door).start()
        if door.socket is not None:
            os.chmod(door.socket, 0o660)
        log.info("gate.open", at=str(door))
        yield
    except (OSError, ssl.SSLError) as exc:
        said = f"the gate cannot be answered here: {exc.strerror or type(exc).__name__}"
        raise ConfigError(str(door), None, said) from None
    finally:
        await runner.cleanup()
        if door.socket is not None:
            door.socket.unlink(missing_ok=True)


def _site(runner: web.AppRunner, door: Door) -> web.BaseSite:
    if door.socket is not None:
        door.socket.unlink(missing_ok=True)
        return web.UnixSite(runner, str(door.socket))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=door.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert door.certificate is not None  # noqa: S101 - the configuration has seen to it
    context.load_cert_chain(door.certificate, door.key)
    return web.TCPSite(runner, door.host, door.port, ssl_context=context)


def _asked(answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            said = msgspec.json.decode(await request.read(), type=dict[str, Any])
        except msgspec.MsgspecError:
            return web.Response(status=400)
        try:
            do = await answer(said)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            # Only the kind of error: its words may be a message's.
            log.error("gate.fault", error=type(exc).__name__)
            return web.Response(status=500)
        return web.json_response({"do": do})

    return handle
