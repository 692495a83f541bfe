"""Asks the bot, within a budget, and stops asking for a while when nobody answers.

Never waits longer than it was told, and never raises for what the other side does.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import defer, reactor, ssl
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.web.client import Agent, HTTPConnectionPool, ResponseNeverReceived, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from bluelamp_gate.settings import Settings

log = logging.getLogger("bluelamp_gate")

_JSON = Headers({"Content-Type": ["application/json"]})
#: An answer is a few words.
_MOST_BYTES = 4096


@implementer(IBodyProducer)
class _Body:
    def __init__(self, body: bytes) -> None:
        self.body, self.length = body, len(body)

    def startProducing(self, consumer: Any) -> defer.Deferred[None]:
        consumer.write(self.body)
        return defer.succeed(None)

    def pauseProducing(self) -> None:
        """Nothing to pause: all of it has been written."""

    def stopProducing(self) -> None:
        """Nothing to stop."""

    def resumeProducing(self) -> None:
        """Nothing to resume."""


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Every address is the bot's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def endpointForURI(self, uri: Any) -> Any:
        if self._settings.socket:
            return UNIXClientEndpoint(reactor, self._settings.socket, timeout=5)
        return wrapClientTLS(_mutual(self._settings, uri.host), HostnameEndpoint(
            reactor, uri.host, uri.port, timeout=5
        ))  # fmt: skip


def _mutual(settings: Settings, host: bytes) -> Any:
    tls = settings.tls
    if tls is None:
        raise ValueError("no certificates are given")
    with open(tls.certificate) as certificate, open(tls.key) as key:
        own = ssl.PrivateCertificate.loadPEM(certificate.read() + "\n" + key.read())
    with open(tls.authority) as file:
        authority = ssl.Certificate.loadPEM(file.read())
    return ssl.optionsForClientTLS(host.decode(), trustRoot=authority, clientCertificate=own)


class Breaker:
    """Opens after some failures in a row; when its rest is over, one more opens it again."""

    def __init__(
        self, failures: int, rest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Rest for *rest_s* after *failures* in a row."""
        self._most, self._rest, self._clock = failures, rest_s, clock
        self._failed, self._until = 0, 0.0

    @property
    def open(self) -> bool:
        """Whether nobody should be asked now."""
        return self._failed >= self._most and self._clock() < self._until

    def went(self, *, well: bool) -> None:
        """Say how a question went."""
        if well:
            self._failed = 0
            return
        self._failed += 1
        if self._failed >= self._most:
            self._until = self._clock() + self._rest


class Asking:
    """The way to the bot."""

    def __init__(self, settings: Settings) -> None:
        """Reach the bot as *settings* say."""
        self._base = settings.url or "http://bluelamp"
        pool = HTTPConnectionPool(reactor, persistent=True)
        pool.maxPersistentPerHost = 16
        pool.cachedConnectionTimeout = 60
        pool.retryAutomatically = False
        self._agent = Agent.usingEndpointFactory(reactor, _Endpoints(settings), pool=pool)
        self.breaker = Breaker(settings.failures, settings.rest_s)

    async def ask(
        self, what: str, said: Mapping[str, Any], budget_ms: int
    ) -> Mapping[str, Any] | None:
        """Ask the bot; None if it gives no answer in *budget_ms*."""
        if self.breaker.open:
            return None
        started = time.monotonic()
        try:
            answer = await self._asked(what, json.dumps(said).encode(), budget_ms / 1000)
        except Exception as exc:  # whatever it is, the room must not wait
            self.breaker.went(well=False)
            log.warning(
                "no answer to %s after %d ms: %s", what,
                (time.monotonic() - started) * 1000, type(exc).__name__,
            )  # fmt: skip
            return None
        self.breaker.went(well=True)
        return answer

    async def _asked(self, what: str, body: bytes, budget_s: float) -> Mapping[str, Any]:
        whole = defer.ensureDeferred(self._talk(what, body))
        whole.addTimeout(budget_s, reactor)
        return await whole

    async def _talk(self, what: str, body: bytes) -> Mapping[str, Any]:
        uri = f"{self._base}/{what}".encode()
        try:
            response = await self._agent.request(b"POST", uri, _JSON, _Body(body))
        except ResponseNeverReceived as exc:
            if any(reason.check(defer.CancelledError) for reason in exc.reasons):
                raise  # the budget is used up
            # A connection of before the bot was started again; asking twice is asking once.
            response = await self._agent.request(b"POST", uri, _JSON, _Body(body))
        raw = await readBody(response)
        if response.code != 200 or len(raw) > _MOST_BYTES:
            raise ValueError(f"answered {response.code}")
        answer = json.loads(raw)
        if not isinstance(answer, dict):
            raise ValueError("answered what is no object")  # noqa: TRY004 - it is the text that is wrong
        return answer
