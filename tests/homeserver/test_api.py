"""Raw calls, and what becomes of a server's refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bridge.demo.homeserver import Homeserver
from bridge.errors import NotFound, NotPermitted, NotSignedIn, RateLimited, TransportError
from bridge.matrix.api import Api, login, quote
from bridge.model import UserId
from tests.homeserver.conftest import PASSWORD, SignIn

WHOAMI = "/_matrix/client/v3/account/whoami"


async def test_who_signs_in_may_ask(homeserver: Homeserver, sign_in: SignIn, tag: str) -> None:
    api = await sign_in(tag)
    assert (await api.call("GET", WHOAMI))["user_id"] == f"@{tag}:force.example"
    named = await login(homeserver.url, tag, PASSWORD, device_id="BLUELAMP", device_name="test")
    assert (named.user_id, named.device_id) == (UserId(f"@{tag}:force.example"), "BLUELAMP")
    assert named.token not in repr(named)


async def test_a_wrong_password_is_said_without_the_password(
    homeserver: Homeserver, sign_in: SignIn, tag: str
) -> None:
    await sign_in(tag)
    with pytest.raises(NotSignedIn, match="check the user name and the password") as caught:
        await login(homeserver.url, tag, "hunter2", device_name="test")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("token", ["syt_not_ours", None])
async def test_an_unknown_token_is_said_without_the_token(
    homeserver: Homeserver, token: str | None
) -> None:
    async with Api(homeserver.url, token) as api:
        with pytest.raises(NotSignedIn, match=f"GET {WHOAMI} was refused: 401") as caught:
            await api.call("GET", WHOAMI)
    assert "syt_" not in str(caught.value)


async def test_what_is_not_there_and_what_is_not_allowed_are_told_apart(
    sign_in: SignIn, tag: str
) -> None:
    api = await sign_in(tag)
    alias = f"#no/such?room {tag}:force.example"
    with pytest.raises(NotFound) as caught:
        await api.call("GET", f"/_matrix/client/v3/directory/room/{quote(alias)}")
    assert f"GET /_matrix/client/v3/directory/room/{alias} was refused: 404" in str(caught.value)
    with pytest.raises(NotPermitted, match="M_FORBIDDEN") as refused:
        await api.call_list("GET", f"/_matrix/client/v3/rooms/{quote('!other')}/state")
    assert not isinstance(refused.value, NotSignedIn)


async def test_a_refused_body_is_not_quoted(sign_in: SignIn, tag: str) -> None:
    api = await sign_in(tag)
    body = {"messages": {"@x:y": {"*": "knife at number 12"}}, "auth": "knife"}
    for path in ("keys/claim", "createRoom", "delete_devices"):
        wrong = {"one_time_keys": "knife at number 12", "preset": "knife", "devices": "knife"}
        with pytest.raises(TransportError) as caught:
            await api.call("POST", f"/_matrix/client/v3/{path}", {**body, **wrong})
        assert "knife" not in str(caught.value)


async def test_where_no_homeserver_answers_that_is_said() -> None:
    with pytest.raises(TransportError, match=r"No homeserver answers at http://127\.0\.0\.1:9:"):
        await login("http://127.0.0.1:9", "anna", PASSWORD, device_name="test")
    with pytest.raises(TransportError, match="is not an address"):
        await login("force.example", "anna", PASSWORD, device_name="test")


class Strange:
    """A web server that is no homeserver."""

    def __init__(self) -> None:
        self.url = ""
        self.limits = 0
        self.absurd = "{}"

    async def answer(self, request: web.Request) -> web.Response:
        match request.path:
            case "/html":
                return web.Response(text="<h1>Welcome to nginx</h1>")
            case "/moved":
                return web.Response(status=302, headers={"Location": "/html"})
            case "/broken":
                return web.json_response({"errcode": "M_UNKNOWN", "error": "oops"}, status=502)
            case "/list":
                return web.json_response([1, 2])
            case "/slow":
                await asyncio.sleep(1)
            case "/limited" if self.limits:
                self.limits -= 1
                limited = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 10}
                return web.json_response(limited, status=429)
            case "/limited-absurdly" if self.limits:
                self.limits -= 1
                return web.Response(
                    text=self.absurd, status=429, content_type="application/json",
                    headers={"Retry-After": "9" * 5000},
                )  # fmt: skip
            case "/limited-by-header" if self.limits:
                self.limits -= 1
                return web.Response(text="{}", status=429, headers={"Retry-After": "1"})
        return web.json_response({})


@pytest.fixture
async def strange() -> AsyncIterator[Strange]:
    server = Strange()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    yield server
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/html", "not a homeserver's (200): is homeserver.url right?"),
        ("/moved", "not a homeserver's (302): is homeserver.url right?"),
        ("/broken", "502 M_UNKNOWN oops"),
        ("/list", "JSON of another shape"),
        ("/slow", "within 0.2 s"),
    ],
)
async def test_what_a_homeserver_would_not_answer_is_worth_another_try(
    strange: Strange, path: str, words: str
) -> None:
    async with Api(strange.url) as api:
        with pytest.raises(TransportError) as caught:
            await api.call("GET", path, timeout_s=0.2 if path == "/slow" else 120)
    assert words in str(caught.value)
    assert not isinstance(caught.value, NotPermitted)


@pytest.mark.parametrize("path", ["/limited", "/limited-by-header"])
async def test_a_limit_is_waited_out(strange: Strange, path: str) -> None:
    strange.limits = 2
    async with Api(strange.url, patience_s=60) as api:
        assert await api.call("GET", path) == {}
    assert strange.limits == 0


async def test_a_limit_beyond_patience_is_raised_with_how_long_to_wait(strange: Strange) -> None:
    strange.limits = 5
    async with Api(strange.url, patience_s=0.025) as api:
        with pytest.raises(RateLimited) as caught:
            await api.call("GET", "/limited")
    assert caught.value.retry_after_ms == 10
    assert strange.limits == 2


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        ("0", 10), ("9" * 400, 86_400_000), ("-1", 86_400_000), ("1e300", 86_400_000),
        ('"soon"', 86_400_000), ("null", 86_400_000), ("true", 86_400_000),
    ],
)  # fmt: skip
async def test_however_absurd_a_wait_is_it_neither_spins_nor_lasts_for_ever(
    strange: Strange, said: str, ms: int
) -> None:
    strange.limits = 1
    strange.absurd = f'{{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": {said}}}'
    async with Api(strange.url, patience_s=0) as api:
        with pytest.raises(RateLimited) as caught:
            await api.call("GET", "/limited-absurdly")
    assert caught.value.retry_after_ms == ms
