"""Raw calls to a homeserver's client-server API, for what nio does not do.

Never puts a token, a request body or a message's words into an error, and never lets an error of
the library underneath out: each is translated here, once.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote as _quote
from urllib.parse import unquote, urlencode

import aiohttp
from yarl import URL

from bridge.bounded import at_most
from bridge.errors import (
    NotFound,
    NotPermitted,
    NotSignedIn,
    RateLimited,
    TooLarge,
    TransportError,
)
from bridge.matrix.nested import read_json
from bridge.model import UserId

_LOGIN = "/_matrix/client/v3/login"
#: A server's remark about its refusal is cut at so many characters.
_LONGEST_REMARK = 200
_DEFAULT_WAIT_MS = 1000
#: The media type of what nobody but its readers can read.
_SEALED = "application/octet-stream"
#: Whatever a server says, we wait at least and at most so long before we believe that it is over.
_LEAST_WAIT_MS, _MOST_WAIT_MS = 10, 86_400_000

T = TypeVar("T")


def quote(part: str) -> str:
    """Encode one part of a path, such as a room id or an alias; never raises."""
    return _quote(part, safe="", errors="replace")


class Api:
    """One homeserver, asked over one HTTP session; `close` it, or use `async with`.

    Requests may overlap. Nothing is retried except after M_LIMIT_EXCEEDED, and that for no longer
    than *patience_s* seconds a call.
    """

    def __init__(self, url: str, token: str | None = None, *, patience_s: float = 0.0) -> None:
        """Prepare to ask the server at *url* (such as https://matrix.force.example)."""
        self.url = url.rstrip("/")
        self._token = token
        self._patience_s = patience_s
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> dict[str, Any]:
        """Ask for *path*, from "/_matrix" on and with its parts quoted; return the JSON object.

        Raises:
            NotSignedIn, NotPermitted, NotFound, RateLimited: the server refused.
            TransportError: it was not reached, failed, or does not answer as a homeserver does.
        """
        ask = _Ask(method, path, query or {}, body, timeout_s)
        answer = await self._patiently(ask)
        if not isinstance(answer, dict):
            raise TransportError(ask.said("answered with JSON of another shape"))
        return answer

    async def call_list(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> list[dict[str, Any]]:
        """Ask as `call` does where the answer is a list of objects, such as a room's state."""
        ask = _Ask(method, path, query or {}, None, timeout_s)
        answer = await self._patiently(ask)
        if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
            raise TransportError(ask.said("answered with JSON of another shape"))
        return answer

    async def download(self, path: str, *, most_bytes: int, timeout_s: float = 120.0) -> bytes:
        """Fetch a file from *path*.

        Raises:
            TooLarge: it is longer than *most_bytes*.
            NotFound, NotPermitted, TransportError: as `call`.
        """
        ask = _Ask("GET", path, {}, None, timeout_s)

        async def read(response: aiohttp.ClientResponse) -> bytes:
            too_large = TooLarge(ask.said(f"is longer than the {most_bytes} bytes that are kept"))
            if (response.content_length or 0) > most_bytes:
                raise too_large
            got = await at_most(response.content, most_bytes + 1)
            if len(got) > most_bytes:
                raise too_large
            return got

        return await self._translated(ask, read)

    async def upload(self, content: bytes, *, kind: str = "", timeout_s: float = 120.0) -> str:
        """Store a file on the server; return where it lies (mxc://…).

        *kind* is its media type; an encrypted one has none.

        Raises:
            NotPermitted, TransportError: as `call`.
        """
        ask = _Ask("POST", "/_matrix/media/v3/upload", {}, content, timeout_s, kind or _SEALED)
        answer = await self._patiently(ask)
        if not isinstance(answer, dict) or not isinstance(answer.get("content_uri"), str):
            raise TransportError(ask.said("answered with JSON of another shape"))
        return str(answer["content_uri"])

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        """Return it; connections are made when they are needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def _patiently(self, ask: _Ask) -> object:
        """Ask; while the server says that it is too much, wait, but no longer than allowed."""
        left_s = self._patience_s
        while True:
            try:
                return await self._once(ask)
            except RateLimited as limited:
                wait_s = limited.retry_after_ms / 1000
                if wait_s > left_s:
                    raise
                left_s -= wait_s
            await asyncio.sleep(wait_s)

    async def _once(self, ask: _Ask) -> object:
        """Ask once for JSON."""
        return await self._translated(ask, _json)

    async def _translated(
        self, ask: _Ask, read: Callable[[aiohttp.ClientResponse], Awaitable[T]]
    ) -> T:
        """Ask once, *read* the answer, and translate whatever goes wrong."""
        try:
            async with asyncio.timeout(ask.timeout_s):
                return await self._exchange(ask, read)
        except TimeoutError:
            late = f"got no answer from {self.url} within {ask.timeout_s:g} s"
            raise TransportError(ask.said(late)) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise TransportError(
                f"{self.url!r} is not an address; correct homeserver.url"
            ) from None
        except aiohttp.ClientSSLError as exc:
            raise TransportError(
                f"The certificate of {self.url} is not trusted: {type(exc).__name__}"
            ) from None
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
            raise TransportError(ask.said("was cut off before its answer was complete")) from None
        except aiohttp.ClientConnectionError:
            raise TransportError(
                f"No homeserver answers at {self.url}: is it running, and is homeserver.url right?"
            ) from None
        except aiohttp.ClientError as exc:
            raise TransportError(ask.said(f"failed on the way: {type(exc).__name__}")) from None

    async def _exchange(
        self, ask: _Ask, read: Callable[[aiohttp.ClientResponse], Awaitable[T]]
    ) -> T:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        # Paths come quoted; taken apart and put together again, "%2F" would become "/".
        url = URL(
            self.url + ask.path + ("?" + urlencode(ask.query) if ask.query else ""), encoded=True
        )
        raw = isinstance(ask.body, bytes)
        if raw:
            headers["Content-Type"] = ask.kind
        async with self._session.request(
            ask.method,
            url,
            json=None if raw else ask.body,
            # Bytes of any length would be sent in one go.
            data=io.BytesIO(ask.body) if isinstance(ask.body, bytes) else None,
            headers=headers,
            allow_redirects=False,
        ) as response:
            if response.status < 300:
                return await read(response)
            answer = await _json_or_none(response)
            raise _refusal(ask, response, answer if isinstance(answer, dict) else None)


async def _json_or_none(response: aiohttp.ClientResponse) -> object:
    try:
        return read_json(await response.read())
    except ValueError:
        return None


async def _json(response: aiohttp.ClientResponse) -> object:
    answer = await _json_or_none(response)
    if answer is None:
        raise TransportError(
            f"{response.method} {unquote(response.url.path)} got an answer that is not a "
            f"homeserver's ({response.status}): is homeserver.url right?"
        )
    return answer


@dataclass(frozen=True, slots=True)
class _Ask:
    """One question to the server."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | bytes | None
    timeout_s: float
    #: The media type of a body of bytes.
    kind: str = _SEALED

    def said(self, what: str) -> str:
        """Compose a sentence about this question: ids yes, body and query no."""
        return f"{self.method} {unquote(self.path)} {what}"


def _refusal(
    ask: _Ask, response: aiohttp.ClientResponse, answer: Mapping[str, Any] | None
) -> TransportError:
    """Choose the error that an answer stands for."""
    status = response.status
    if answer is None or status < 400:
        return TransportError(
            ask.said(
                f"got an answer that is not a homeserver's ({status}): is homeserver.url right?"
            )
        )
    errcode = str(answer.get("errcode", ""))
    # First line only, and nothing for a body found wrong: there, servers quote what they were sent.
    quotes = status == 400 and ask.body is not None
    remark = "" if quotes else (str(answer.get("error", "")).splitlines() or [""])[0]
    said = ask.said(f"was refused: {status} {errcode} {remark[:_LONGEST_REMARK]}".rstrip())
    if errcode == "M_LIMIT_EXCEEDED" or status == 429:
        wait_ms = _wait_ms(response.headers.get("Retry-After"), answer.get("retry_after_ms"))
        return RateLimited(said, retry_after_ms=wait_ms)
    if status >= 500:
        return TransportError(said)
    if errcode in {"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"}:
        return NotSignedIn(f"{said}; the access token is not valid (any more), sign in again")
    if status == 403 and ask.path == _LOGIN:
        return NotSignedIn(f"{said}; check the user name and the password")
    if status == 404:
        return NotFound(said)
    return NotPermitted(said)


def _wait_ms(header_s: str | None, body_ms: object) -> int:
    """Read how long to wait; the header is the newer of the two ways to say it (spec 1.10)."""
    said_ms = _DEFAULT_WAIT_MS
    if isinstance(body_ms, int) and not isinstance(body_ms, bool) and body_ms >= 0:
        said_ms = body_ms
    elif header_s is not None and header_s.isdecimal() and header_s.isascii():
        said_ms = int(header_s[:12]) * 1000
    return min(max(said_ms, _LEAST_WAIT_MS), _MOST_WAIT_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A signed-in device. Its `repr` hides the token."""

    user_id: UserId
    device_id: str
    token: str

    def __repr__(self) -> str:
        """Show who, and not the secret."""
        return f"Login(user_id={self.user_id!r}, device_id={self.device_id!r})"


async def login(
    url: str, user: str, password: str, *, device_id: str | None = None, device_name: str
) -> Login:
    """Sign *user* (an id or its local part) in; *device_id* None makes a new device.

    Raises:
        NotSignedIn: user or password are wrong.
        TransportError: as `Api.call`.
    """
    body: dict[str, Any] = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "initial_device_display_name": device_name,
    }
    if device_id is not None:
        body["device_id"] = device_id
    async with Api(url) as api:
        answer = await api.call("POST", _LOGIN, body)
    try:
        return Login(
            user_id=UserId(answer["user_id"]),
            device_id=answer["device_id"],
            token=answer["access_token"],
        )
    except KeyError as exc:
        raise TransportError(f"POST {_LOGIN} answered without {exc}") from None
