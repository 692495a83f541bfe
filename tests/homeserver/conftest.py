"""Each test has people and rooms of its own on the shared homeserver."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.matrix.api import Api, login
from bridge.model import UserId

PASSWORD = "correct horse battery staple"

SignIn = Callable[[str], Awaitable[Api]]


@pytest.fixture
def tag() -> str:
    """A word that makes this test's users, keys and names its own."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
async def sign_in(homeserver: Homeserver) -> AsyncIterator[SignIn]:
    """Make accounts, by local part or id, and sign them in; closed after the test."""
    open_apis: list[Api] = []

    async def make(user: str) -> Api:
        local = user.removeprefix("@").partition(":")[0]
        homeserver.register(local, PASSWORD)
        signed_in = await login(homeserver.url, local, PASSWORD, device_name="test")
        open_apis.append(Api(homeserver.url, signed_in.token))
        return open_apis[-1]

    yield make
    for api in open_apis:
        await api.close()


@pytest.fixture
def bot_id(tag: str, homeserver: Homeserver) -> UserId:
    """The bot of this test."""
    return UserId(f"@{tag}-bot:{homeserver.server_name}")
